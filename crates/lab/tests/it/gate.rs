//! `twinscale gate` on real git repositories, and what its GitHub Action makes of it.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use twinscale_lab::gate::{Gated, Refusal};
use twinscale_lab::manifests::{Manifest, deployed};
use twinscale_lab::target::TargetKind;

use crate::cli::text;

/// Four pods' work, for a little longer than they need to start.
const BUSY: &str = "messages = 3000\nload = { shape = 'steady', rate = 40.0 }\nwork = { wait = '1s' }\n\
                    eks.pod.start_delay = 'uniform:1s-3s'\n";
const GOAL: [&str; 4] = ["--base", "main", "--goal", "p95<30s"];

/// A repository on a branch `change` of `main`, with what this project deploys and one scenario.
struct Repository(TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().expect("a folder"));
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        for kind in [Manifest::ScaledObject, Manifest::Deployment, Manifest::Template] {
            let (path, content) = deployed(kind);
            repository.write(path, content);
        }
        repository.write("scenarios/busy.toml", BUSY);
        repository.commit("as it is deployed");
        repository.git(&["switch", "--quiet", "--create", "change"]);
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let identity =
            ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"];
        let mut git = Command::new("git");
        let done = git.args(identity).args(arguments).current_dir(self.0.path()).output().expect("git starts");
        assert!(done.status.success(), "git {arguments:?}: {}", text(&done.stderr));
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    /// Replaces text that stands once in one of the files.
    fn edit(&self, path: &str, from: &str, to: &str) {
        let before = std::fs::read_to_string(self.0.path().join(path)).expect("it is there");
        assert_eq!(before.matches(from).count(), 1, "{from} in {path}");
        self.write(path, &before.replace(from, to));
    }

    fn gate(&self, more: &[&str]) -> Output {
        self.gate_in("", &[&GOAL[..], more].concat())
    }

    fn gate_in(&self, folder: &str, arguments: &[&str]) -> Output {
        let mut gate = Command::new(env!("CARGO_BIN_EXE_twinscale"));
        gate.arg("gate").args(arguments).current_dir(self.0.path().join(folder)).output().expect("twinscale starts")
    }

    /// What the gate says as JSON, with its exit code.
    fn gated(&self, code: i32, more: &[&str]) -> Gated {
        let output = self.gate(&[&["--format", "json"], more].concat());
        assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stderr), text(&output.stdout));
        let gated: Gated = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(gated.passed, code == 0);
        gated
    }
}

const SCALED_OBJECT: &str = "eks/base/scaledobject.yaml";
const FEWER: [&str; 3] = [SCALED_OBJECT, "maxReplicaCount: 15", "maxReplicaCount: 2"];

#[test]
fn a_branch_that_lowers_max_replica_count_fails_with_the_reason() {
    let repository = Repository::new();
    let [file, from, to] = FEWER;
    repository.edit(file, from, to);
    // In the work tree, and as a commit.
    for (head, more) in [("the work tree", &[][..]), ("HEAD (", &["--head", "HEAD"])] {
        let gated = repository.gated(1, more);
        assert!(gated.head.starts_with(head) && gated.base.starts_with("main ("), "{} {}", gated.head, gated.base);
        let [change] = &gated.changes[..] else { panic!("{:?}", gated.changes) };
        assert_eq!((change.file.as_str(), change.field.as_str()), (SCALED_OBJECT, "eks.keda.maxReplicaCount"));
        assert_eq!((change.from.as_str(), change.to.as_str()), ("15", "2"));
        // The function's settings are the same: it is not judged.
        let [judged] = &gated.judged[..] else { panic!("{:?}", gated.judged) };
        assert_eq!((judged.scenario.as_str(), judged.target), ("busy", TargetKind::Eks));
        let before = judged.before.as_ref().expect("it was there");
        assert!(before.meets && !judged.after.meets && judged.after.peak_capacity == 2, "{judged:?}");
        assert!(matches!(judged.refused[..], [Refusal::Goal { before: Some(_), .. }]), "{:?}", judged.refused);
        let parting = judged.parting.as_ref().expect("two pods are fewer than it asks for");
        assert_eq!(parting.after.as_ref().map(|decision| decision.to), Some(2), "{parting:?}");
        let [reason] = &gated.reasons[..] else { panic!("{:?}", gated.reasons) };
        assert!(reason.starts_with("busy, EKS (KEDA): p95 is ") && reason.contains("which misses p95<30s"), "{reason}");
        let limit =
            "EKS (KEDA) is limited by maxReplicaCount: 2 pods × 10 ÷ 1 s = 20 messages/s, the load peaks at 40.";
        assert!(reason.ends_with(limit), "{reason}");
        repository.commit("fewer pods");
    }
    let markdown = text(&repository.gate(&["--format", "markdown"]).stdout);
    for part in [
        "**twinscale gate: failed: ",
        "| eks.keda.maxReplicaCount | 15 | 2 |",
        "| busy, EKS (KEDA) | now |",
        "<details>",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
    let plain = text(&repository.gate(&[]).stdout);
    assert!(plain.contains("maxReplicaCount: 15 -> 2") && plain.contains("decisions part: before, "), "{plain}");
}

#[test]
fn pods_start_as_fargates_do_where_the_bill_is_fargates_and_it_says_so() {
    let repository = Repository::new();
    repository
        .write("scenarios/busy.toml", "messages = 3000\nload = { shape = 'steady', rate = 40.0 }\nwork.wait = '1s'\n");
    let [file, from, to] = FEWER;
    repository.edit(file, from, to);
    let p95 = |more: &[&str]| {
        let gated = repository.gated(1, more);
        let told = gated.notes.iter().any(|note| note.contains("which start within 30 to 60 s"));
        let before = gated.judged[0].before.as_ref().and_then(|before| before.seconds);
        (told, before.expect("it did its work").mean)
    };
    let (told, fargate) = p95(&[]);
    let (on_nodes, nodes) = p95(&["--nodes", "m7g.large"]);
    assert!(told && !on_nodes && fargate > nodes + 20.0, "{fargate} s on Fargate, {nodes} s on nodes");
}

#[test]
fn a_branch_that_changes_nothing_passes_and_says_so() {
    let repository = Repository::new();
    let gated = repository.gated(0, &[]);
    assert_eq!((gated.changes.len(), gated.judged.len()), (0, 0));
    let plain = text(&repository.gate(&[]).stdout);
    assert!(plain.contains("passed: the work tree against main") && plain.contains("changes no setting"), "{plain}");
    // Nor does a comment, nor a goal that was never met.
    repository.edit(SCALED_OBJECT, "apiVersion: keda.sh/v1alpha1", "# Why.\napiVersion: keda.sh/v1alpha1");
    let output = repository.gate_in("eks/base", &["--base", "main", "--goal", "p95<1ms", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("scaledobject.yaml: no setting that the models know has changed"), "{told}");
}

#[test]
fn what_has_come_to_the_base_since_is_no_change_of_the_branch() {
    let repository = Repository::new();
    repository.git(&["switch", "--quiet", "main"]);
    let [file, from, to] = FEWER;
    repository.edit(file, from, to);
    repository.commit("fewer pods, by somebody else");
    repository.git(&["switch", "--quiet", "change"]);
    assert_eq!(repository.gated(0, &[]).changes, []);
}

#[test]
fn a_bill_may_grow_by_as_much_as_is_allowed() {
    let repository = Repository::new();
    repository.edit("sam/template.yaml", "    Default: 512", "    Default: 3008");
    let gated = repository.gated(1, &["--max-cost-increase", "10%"]);
    let [Refusal::Cost { before, after, .. }] = gated.judged[0].refused[..] else { panic!("{:?}", gated.judged) };
    assert!(after > before * 1.1, "{before} {after}");
    assert!(gated.reasons[0].starts_with("busy, Lambda: a month costs $"), "{:?}", gated.reasons);
    assert!(gated.reasons[0].ends_with("10% is allowed."), "{:?}", gated.reasons);
    // Without a limit the bill is shown, and decides nothing.
    let gated = repository.gated(0, &[]);
    assert!(gated.judged[0].before.as_ref().is_some_and(|before| before.usd.is_some()));
    assert_eq!(repository.gated(0, &["--max-cost-increase", "900%"]).reasons, [""; 0]);
}

#[test]
fn a_goal_that_was_missed_before_stops_only_what_is_worse() {
    let repository = Repository::new();
    let [file, from, to] = FEWER;
    repository.edit(file, from, to);
    repository.commit("two pods");
    repository.git(&["branch", "--force", "main"]);
    repository.edit(file, to, "maxReplicaCount: 3");
    let gated = repository.gated(0, &[]);
    assert!(gated.notes.iter().any(|note| note.contains("p95<30s is missed now as before")), "{:?}", gated.notes);
    repository.edit(file, "maxReplicaCount: 3", "maxReplicaCount: 1");
    assert_eq!(repository.gated(1, &[]).reasons.len(), 1);
}

#[test]
fn files_that_cannot_be_read_are_errors_with_file_and_line() {
    let repository = Repository::new();
    repository.edit(SCALED_OBJECT, "minReplicaCount: 1", "minReplicaCount: 90");
    let refused = |more: &[&str]| {
        let output = repository.gate(more);
        assert_eq!(output.status.code(), Some(64), "{}", text(&output.stdout));
        text(&output.stderr)
    };
    let error = refused(&[]);
    assert!(
        error.contains(&format!("{SCALED_OBJECT}, line 8: minReplicaCount: 90 is above maxReplicaCount 15")),
        "{error}"
    );
    repository.commit("more than the most");
    assert!(refused(&["--head", "HEAD"]).contains(&format!("HEAD:{SCALED_OBJECT}, line 8")));
    // Whoever repairs what the base has broken is judged by the goal alone.
    repository.git(&["branch", "--force", "main"]);
    repository.edit(SCALED_OBJECT, "minReplicaCount: 90", "minReplicaCount: 1");
    let gated = repository.gated(0, &[]);
    assert!(gated.judged[0].before.is_none(), "{:?}", gated.judged);
    assert!(
        gated.notes.iter().any(|note| note.contains(&format!("main:{SCALED_OBJECT}, line 8"))),
        "{:?}",
        gated.notes
    );
    repository.write(SCALED_OBJECT, "spec: [\n");
    assert!(refused(&[]).contains(SCALED_OBJECT));
}

#[test]
fn files_are_found_where_they_lie_or_where_one_says() {
    let repository = Repository::new();
    repository.git(&["mv", SCALED_OBJECT, "eks/worker.yaml"]);
    repository.edit("eks/worker.yaml", FEWER[1], FEWER[2]);
    // The only one below eks/ on each side.
    assert_eq!(repository.gated(1, &[]).changes[0].file, "eks/worker.yaml");
    repository.git(&["mv", "eks/worker.yaml", "eks/a.yaml"]);
    repository.write("eks/b.yaml", deployed(Manifest::ScaledObject).1);
    let output = repository.gate(&[]);
    assert_eq!(output.status.code(), Some(64));
    let error = text(&output.stderr);
    assert!(
        error.contains("eks/a.yaml, eks/b.yaml: each could be the one") && error.contains("--scaled-object"),
        "{error}"
    );
    // A path is told from the folder that one is in; on the base there is none of that name.
    let named = ["--base", "main", "--goal", "p95<30s", "--scaled-object", "b.yaml", "--format", "json"];
    let output = repository.gate_in("eks", &named);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    repository.git(&["rm", "--quiet", "sam/template.yaml"]);
    let output = repository.gate(&["--scaled-object", "eks/b.yaml"]);
    assert!(text(&output.stdout).contains("sam/template.yaml is gone, and with it Lambda"), "{}", text(&output.stdout));
}

#[test]
fn wrong_input_exits_64_and_names_what_to_change() {
    let repository = Repository::new();
    let goal = ["--goal", "p95<30s"];
    let cases: &[(&[&str], &str)] = &[
        (&["--base", "nope"], "--base nope: git knows no such commit here: fetch it"),
        (&["--base", "main", "--head", "nope"], "--head nope: git knows no such commit"),
        (&["--base", "main", "--max-cost-increase", "10"], "'10' is no percentage: write 10%"),
        (&["--base", "main", "--scenario", "nope"], "write one of article"),
        (&["--base", "main", "--template", "nope.yaml"], "--template: there is no nope.yaml in the work tree"),
        (&["--base", "main", "--template", "../nope.yaml"], "it is not in the repository"),
        (&[], "--base"),
    ];
    let refused = |repository: &Repository, arguments: &[&str], named: &str| {
        let output = repository.gate_in("", &[arguments, &goal].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {error}");
        assert!(error.contains(named) && output.stdout.is_empty(), "{arguments:?}: {error}");
    };
    for (arguments, named) in cases {
        refused(&repository, arguments, named);
    }
    repository.git(&["rm", "-r", "--quiet", "scenarios"]);
    refused(&repository, &["--base", "main"], "there is no scenarios/*.toml");
    repository.git(&["switch", "--quiet", "--orphan", "other"]);
    repository.write("scenarios/busy.toml", BUSY);
    repository.commit("nothing in common");
    refused(&repository, &["--base", "main"], "fetch-depth: 0");
    refused(&repository, &["--base", "other"], "there is neither a ScaledObject on a queue below eks/");
    let nowhere = Repository(tempfile::tempdir().expect("a folder"));
    refused(&nowhere, &["--base", "main"], "not a git repository");
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn the_action_comments_once_and_edits_that_comment() {
    let repository = Repository::new();
    let [file, from, to] = FEWER;
    repository.edit(file, from, to);
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    // A GitHub of one file: what is posted or patched is the comment that the next call lists.
    let gh = "#!/usr/bin/env bash\nset -eu\necho \"$*\" >>\"$GH_CALLS\"\n[[ ! -e $GH_BROKEN ]] || exit 1\n\
        for word; do case $word in body=@*) cp \"${word#body=@}\" \"$GH_COMMENT\" ;; esac; done\n\
        if [[ $* == *--paginate* && -e $GH_COMMENT ]]; then echo 77; fi\n";
    std::fs::create_dir(at("bin")).expect("made");
    executable(&at("bin/gh"), gh);
    executable(&at("bin/twinscale"), &format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_twinscale")));
    let judge = |goal: &str| {
        let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut script = Command::new(Path::new(ROOT).join(".github/gate/judge.sh"));
        let settings = [("BASE", "main"), ("GOAL", goal), ("MAX_COST_INCREASE", "10%"), ("COMMENT", "true")];
        script.envs(settings).env("ARGUMENTS", "--seeds=4\n\n--scenario\nscenarios/busy.toml\n").env("PATH", path);
        script.env("PULL_REQUEST", "5").env("GITHUB_REPOSITORY", "owner/name");
        let files = [
            ("GITHUB_STEP_SUMMARY", "summary"),
            ("GH_CALLS", "calls"),
            ("GH_COMMENT", "comment"),
            ("GH_BROKEN", "broken"),
        ];
        script.envs(files.map(|(name, file)| (name, at(file)))).current_dir(repository.0.path());
        script.output().expect("bash starts")
    };
    let read = |name: &str| std::fs::read_to_string(at(name)).expect(name);
    let failed = judge("p95<30s");
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
    assert!(read("comment").starts_with("<!-- twinscale gate -->\n**twinscale gate: failed: "), "{}", read("comment"));
    let passed = judge("p95<10m");
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed.stderr));
    assert!(read("comment").contains("gate: passed"), "{}", read("comment"));
    let unreadable = judge("fast");
    assert_eq!(unreadable.status.code(), Some(64));
    assert!(read("comment").contains("could not be judged") && read("comment").contains("'fast' is no target"));
    let calls = read("calls");
    assert_eq!((calls.matches("--method POST").count(), calls.matches("--method PATCH").count()), (1, 2), "{calls}");
    assert!(calls.contains("repos/owner/name/issues/5/comments") && calls.contains("issues/comments/77"), "{calls}");
    assert_eq!(read("summary").matches("<!-- twinscale gate -->").count(), 3);
    // A fork's token writes no comment: the verdict stays.
    std::fs::write(at("broken"), "").expect("written");
    let alone = judge("p95<10m");
    assert_eq!(alone.status.code(), Some(0));
    assert!(text(&alone.stdout).contains("::warning::the pull request has no comment"), "{}", text(&alone.stdout));
}

#[test]
fn the_action_installs_what_was_released_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let gh = "#!/usr/bin/env bash\nset -eu\necho \"$*\" >>\"$GH_CALLS\"\nwhile [[ $1 != --dir ]]; do shift; done\ncd \"$2\"\n\
        echo 'echo released' >twinscale\nchmod +x twinscale\ntar -czf twinscale-x86_64-unknown-linux-gnu.tar.gz twinscale\n\
        shasum -a 256 twinscale-x86_64-unknown-linux-gnu.tar.gz >twinscale-x86_64-unknown-linux-gnu.tar.gz.sha256\n\
        rm twinscale\nif [[ -e $GH_BROKEN ]]; then echo more >>twinscale-x86_64-unknown-linux-gnu.tar.gz; fi\n";
    std::fs::create_dir(at("bin")).expect("made");
    executable(&at("bin/gh"), gh);
    let install = |version: &str, arch: &str| {
        let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut script = Command::new(Path::new(ROOT).join(".github/gate/install.sh"));
        script.env("PATH", path).env("RUNNER_TEMP", folder.path()).env("VERSION", version).env("RUNNER_ARCH", arch);
        script.env("RUNNER_OS", "Linux").env("REPOSITORY", "twinscale/twinscale");
        let files = [("GITHUB_PATH", "path"), ("GH_CALLS", "calls"), ("GH_BROKEN", "broken")];
        script.envs(files.map(|(name, file)| (name, at(file)))).output().expect("bash starts")
    };
    for version in ["v1.2.3", "main", ""] {
        let done = install(version, "X64");
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert_eq!(text(&done.stdout).contains("is no release"), version == "main");
    }
    let read = |name: &str| std::fs::read_to_string(at(name)).expect(name);
    assert!(at("twinscale/twinscale").exists());
    assert_eq!(read("path").lines().next(), at("twinscale").to_str());
    let calls: Vec<String> = read("calls").lines().map(str::to_owned).collect();
    assert!(calls[0].starts_with("release download v1.2.3 --repo twinscale/twinscale "), "{calls:?}");
    assert!(calls[1..].iter().all(|call| call.starts_with("release download --repo ")), "{calls:?}");
    // What is not what was released is not run.
    std::fs::write(at("broken"), "").expect("written");
    assert!(!install("v1.2.3", "X64").status.success());
    assert!(text(&install("v1.2.3", "S390X").stdout).contains("no release of twinscale for Linux on S390X"));
}

fn executable(path: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn the_example_workflow_gives_the_action_what_it_takes() {
    let read = |path: &str| {
        let text = std::fs::read_to_string(Path::new(ROOT).join(path)).expect(path);
        twinscale_lab::manifests::documents(path, &text).expect("YAML").remove(0)
    };
    let action = read("action.yml");
    let workflow = read("docs/examples/gate.yml");
    let steps = workflow["jobs"]["gate"]["steps"].as_array().expect("steps");
    let used = steps.iter().find(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("twinscale/")));
    let given = used.expect("the action is used")["with"].as_object().expect("inputs");
    for (name, value) in given {
        assert!(action["inputs"][name].is_object(), "the action has no input {name}");
        // What the example says can be read.
        let value = value.as_str().expect("text");
        match name.as_str() {
            "goal" => assert!(value.parse::<twinscale_lab::advise::Goal>().is_ok()),
            _ => assert!(value.parse::<twinscale_lab::gate::CostIncrease>().is_ok()),
        }
    }
    assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read", "pull-requests": "write"}));
    let doc = std::fs::read_to_string(Path::new(ROOT).join("docs/gate.md")).expect("docs/gate.md");
    let example = std::fs::read_to_string(Path::new(ROOT).join("docs/examples/gate.yml")).expect("the example");
    assert!(doc.contains(example.trim_end()), "docs/gate.md shows another workflow than docs/examples/gate.yml");
}
