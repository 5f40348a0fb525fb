# make            lists the targets
# make compare    runs the article's workload through both targets and compares them
# make test       sets up what the tests need, and runs them
.DEFAULT_GOAL := help
SCENARIO ?= article
SPEED    ?= 10
OUT      ?= out
# Of the programs that `make compare` builds and runs: without link-time optimization, which is for what is shipped.
PROFILE  ?= try
REPORT   ?= $(OUT)/report.html
ARGS     ?=
AGREEMENT_SPEED ?= 1
BESIDE   ?= nothing else running
CARGO    ?= cargo
SEED     ?= 1
SECONDS  ?= 20
CHAOS_MESSAGES ?= 100000
CHAOS_KILLS    ?= 200
WEATHER_SECONDS ?= 60
SOAK_SECONDS   ?= 600
STATE    := target/deploy/work/state.json

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the release binaries that `make compare` runs
	$(CARGO) build --profile $(PROFILE) --locked -p twinscale-service -p twinscale-lab --bin twinscale --bin twinscale-worker --bin lambda-sqs --bin lambda-http

compare: build ## one workload through both targets, one table, out/run.json (SCENARIO=, SPEED=, OUT=, ARGS=)
	target/$(PROFILE)/twinscale compare --scenario $(SCENARIO) --speed $(SPEED) --out $(OUT) $(ARGS)

test: test-setup ## set up what the tests need, and run them: all that wants no root and no container tool
	$(CARGO) test --locked --workspace --all-features
	TWINSCALE=target/debug/twinscale tests/deploy/parts.sh tools terraform template kubernetes combinations gitops

test-setup: ## clients that we did not write (boto3 and npm, old and new, aws CLI) for the protocol tests
	crates/sqs/tests/clients/setup.sh

test-clients: ## ordinary work with each SDK that people use (installs Java, Go, and Debian's aws CLI)
	crates/sqs/tests/clients/setup.sh all
	$(CARGO) test --locked -p twinscale-sqs --all-features --test sqs -- --include-ignored --nocapture clients

test-needs:
	tests/deploy/parts.sh needs

test-deploy: test-needs build $(STATE) ## the rest: images, and both targets deployed to an emulator of AWS (docker, or podman as root)
	TWINSCALE=target/$(PROFILE)/twinscale tests/deploy/parts.sh tools needs_told tls docs image emulator

arm64: build ## the worker for arm64, cross-built on x86_64 and run under qemu (as root; ARM64_PROFILE=dev is faster)
	TWINSCALE=target/$(PROFILE)/twinscale tests/deploy/parts.sh tools arm64

# What terraform would have made, which the emulator's roles are taken from. `make test` leaves it behind.
$(STATE): $(wildcard terraform/*.tf terraform/module/*.tf) deploy/settings.yaml
	tests/deploy/parts.sh tools terraform

lint: ## formatting, clippy, all features and none
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked -p twinscale -p twinscale-service --bins --lib -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck -x -P tests/deploy .ci/run $$(git ls-files '*.sh'); \
	else echo "lint: shellcheck is not here, so that no script was looked at"; fi
	@if command -v go >/dev/null; then GOFLAGS=-mod=mod go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.7 .github/workflows/*.yml docs/examples/*.yml; \
	else echo "lint: go is not here, so that no workflow was looked at"; fi

agreement: build ## local against simulated, in full size and real time (20 minutes), and docs/agreement.md (AGREEMENT_SPEED=, BESIDE=)
	AGREEMENT_TABLE=docs/agreement.md AGREEMENT_SPEED=$(AGREEMENT_SPEED) \
	AGREEMENT_MACHINE="$$(uname -sm), $$(nproc) processors, $$(date -u +%F), release build, with $(BESIDE)" \
	$(CARGO) test --release --locked --workspace --examples --test it agreement -- --ignored --nocapture

agreement-small: ## the same bounds in sizes and at speeds that take three minutes
	$(CARGO) test --locked --workspace --all-features --examples --test it agreement -- --ignored --nocapture

calibration: ## hold the simulator to published measurements, and write docs/calibration.md
	WRITE_CALIBRATION=1 $(CARGO) test --locked -p twinscale-lab --all-features --test it calibration::

keda: build ## record scenarios with the real KEDA and the real HPA, in real time, and hold the simulator to them (SCENARIOS=, KEDA_VERSION=, KEDA_LIMIT=, KEDA_TRACES=)
	PROGRAMS=target/$(PROFILE) tests/keda/run.sh $(SCENARIOS)

keda-docs: build $(STATE) ## docs/deploy.md and every overlay against a real API server with KEDA, built as for `make keda`
	TWINSCALE=target/$(PROFILE)/twinscale tests/keda/docs.sh

package: ## every crate as it would be published: packaged, and built from its package
	$(CARGO) package --workspace --exclude twinscale-service --locked --allow-dirty
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked

deny: ## licences, sources and banned crates of the dependencies
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked --debug --no-default-features
	$(CARGO) deny check bans licenses sources

bench: ## every speed, size and cost claim, as ratios (ROUNDS=, MESSAGES=, DAY_MESSAGES=)
	$(CARGO) bench --locked --workspace

bench-peers: ## set up what people use instead, and measure the worker and the embedded queue beside it
	benches/peers/setup.sh || true
	$(CARGO) bench --locked --bench worker -- peers
	crates/sqs/benches/peers/setup.sh || true
	$(CARGO) bench --locked -p twinscale-sqs --features cli --bench embedded_queue -- peers

chaos: ## 100,000 messages, processes killed at random, 5 % of the calls fail: nothing lost (SEED=, CHAOS_MESSAGES=, CHAOS_KILLS=)
	CHAOS_MESSAGES=$(CHAOS_MESSAGES) CHAOS_KILLS=$(CHAOS_KILLS) WEATHER_SECONDS=$(WEATHER_SECONDS) SEED=$(SEED) \
		$(CARGO) test --locked --workspace --all-features --examples --test it chaos -- --nocapture --test-threads 1

soak: ## a worker at full speed for ten minutes while 5 % of its calls fail: memory, descriptors and processor time at both ends (SOAK_SECONDS=)
	SOAK_SECONDS=$(SOAK_SECONDS) SEED=$(SEED) \
		$(CARGO) test --profile $(PROFILE) --locked --workspace --all-features --examples --test it soak -- --ignored --nocapture

fuzz: ## the fuzz targets, each for so many seconds (SECONDS=)
	@command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --locked --debug
	fuzz/run.sh $(SECONDS)

page: compare page-check ## a run's report, a live page and an exploration in a real browser (Debian's chromium)

page-check: # the same for a report that is there, with binaries that are built
	tests/browser/setup.sh
	node target/browser/page.mjs $(REPORT)
	node target/browser/live.mjs target/$(PROFILE)/twinscale
	node target/browser/explore.mjs target/$(PROFILE)/twinscale

pictures: compare ## the pictures of the README, from a real run
	tests/browser/setup.sh
	node target/browser/page.mjs --pictures docs/pictures $(OUT)/report.html

.PHONY: help keda keda-docs test-clients test-needs build package agreement agreement-small calibration page page-check pictures compare test test-setup test-deploy arm64 lint deny bench bench-peers chaos soak fuzz
