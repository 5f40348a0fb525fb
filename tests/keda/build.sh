#!/usr/bin/env bash
# Builds keda-lab (etcd, API server and controllers in one program) and KEDA's three programs under target/keda, from Go modules
# whose versions go.mod and KEDA pin. Every program is built once.
#   usage: tests/keda/build.sh KEDA_VERSION
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$1
made=$PWD/target/keda
keda=$made/$version
export GOFLAGS=-buildvcs=false
mkdir -p "$keda"

say() { printf -- '-- %s\n' "$*"; }

began=$SECONDS
(cd tests/keda && go build -ldflags '-s -w' -o "$made/keda-lab" .)
say "keda-lab: built in $((SECONDS - began)) s"
[ ! -x "$keda/keda-webhooks" ] || exit 0

# KEDA's module, but for the scalers that nothing here triggers: their clients are most of what there is to compile. What is
# left is as published.
began=$SECONDS
source=$keda/source
rm -rf "$source"
module=$(cd tests/keda && go mod download -json "github.com/kedacore/keda/v2@v$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$module" "$source"
chmod -R u+w "$source"
find "$source" -name '*_test.go' -delete
# The one name that the scaler of SQS takes from another.
{ echo 'package scalers' && sed -n 's/^[[:space:]]*\(externalMetricType .*\)/const \1/p' "$source/pkg/scalers/azure_queue_scaler.go"; } > "$source/external_metric_type"
find "$source/pkg/scalers" -maxdepth 1 -name '*.go' ! -name aws_sqs_queue_scaler.go ! -name scaler.go -delete
mv "$source/external_metric_type" "$source/pkg/scalers/external_metric_type.go"
builder=$source/pkg/scaling/scalers_builder.go
grep -q TRIGGERS-START "$builder"
awk '/TRIGGERS-START/ {
        print "\tif triggerType != \"aws-sqs-queue\" {\n\t\treturn nil, fmt.Errorf(\"no scaler found for type: %s\", triggerType)\n\t}"
        print "\treturn scalers.NewAwsSqsQueueScaler(ctx, config)"
        left = 1
    }
    !left
    /TRIGGERS-END/ { left = 0 }' "$builder" > "$builder.new"
mv "$builder.new" "$builder"
cp -r "$source/config" "$keda/"
for program in operator adapter webhooks; do
    (cd "$source" && go build -ldflags "-s -w -X=github.com/kedacore/keda/v2/version.Version=$version" -o "$keda/keda-$program" "./cmd/$program")
done
rm -rf "$source"
say "KEDA $version: built in $((SECONDS - began)) s"
