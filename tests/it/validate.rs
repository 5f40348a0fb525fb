//! `twinscale validate`: the manifests of this project pass, and each mistake that one could make in them is named.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use twinscale::compare::validate::{Inputs, documents, resolve, validate};

#[test]
fn the_manifests_of_this_project_agree() {
    let found = validate(&rendered());
    assert!(found.is_empty(), "{}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_mistake_in_a_pod_is_named() {
    for (rule, path, value) in [
        ("grace-period", "Deployment/worker/spec/template/spec/terminationGracePeriodSeconds", json!(30)),
        ("grace-period", "Deployment/worker/spec/template/spec/containers/0/env/DRAIN_BUDGET_MS", json!("60000")),
        ("drain-budget", "Deployment/worker/spec/template/spec/containers/0/env/HANDLER_TIMEOUT_MS", json!("26000")),
        ("environment", "Deployment/worker/spec/template/spec/containers/0/env/CONCURRENCY", json!("many")),
        ("environment", "Deployment/sender/spec/template/spec/containers/0/env/SEND_TOKEN", json!("")),
        ("cpu-limit", "Deployment/worker/spec/template/spec/containers/0/resources/limits/cpu", json!("500m")),
        ("replicas", "Deployment/worker/spec/replicas", json!(3)),
        ("queue-length", "ScaledObject/worker/spec/triggers/0/metadata/queueLength", json!("11")),
        ("queue-length", "ScaledObject/worker/spec/triggers/0/metadata/queueLength", json!("4")),
        ("scaled-queue", "ScaledObject/worker/spec/triggers/0/metadata/queueURLFromEnv", json!("DLQ_URL")),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/ports/0/containerPort", json!(8081)),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/readinessProbe/httpGet/port", json!("metrics")),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/env/HTTP_ADDR", json!("0.0.0.0:9090")),
        ("service", "Service/sender/spec/ports/0/targetPort", json!("web")),
        ("service", "Service/sender/spec/selector/app.kubernetes.io~1component", json!("nobody")),
        ("twins", "ConfigMap/settings/data/WORK_WAIT", json!("constant:1s")),
        ("twins", "ConfigMap/target/data/QUEUE_URL", json!("https://sqs.us-east-1.amazonaws.com/123456789012/old")),
    ] {
        let mut inputs = rendered();
        set_in_cluster(&mut inputs, path, value);
        names(&inputs, rule, path);
    }
}

#[test]
fn prefetching_near_the_receive_limit_is_a_warning() {
    let mut inputs = rendered();
    set_in_cluster(&mut inputs, "Deployment/worker/spec/template/spec/containers/0/env/PREFETCH", json!("10"));
    assert_eq!(rules(&inputs), [] as [&str; 0], "ten receives leave room for two evictions");
    // One pod at a time: fourteen steps from 15 pods to 1, each of which may hit the same message.
    let down = "ScaledObject/worker/spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/policies/0";
    set_in_cluster(&mut inputs, &format!("{down}/type"), json!("Pods"));
    set_in_cluster(&mut inputs, &format!("{down}/value"), json!(1));
    names(&inputs, "prefetch-evictions", "PREFETCH");
}

#[test]
fn a_mistake_in_the_template_is_named() {
    for (rule, path, value) in [
        ("visibility-timeout", "/Resources/SqsFunction/Properties/Timeout", json!(31)),
        ("batch-window", "/Resources/SqsFunction/Properties/Events/Queue/Properties/BatchSize", json!(11)),
        ("partial-batch", "/Resources/SqsFunction/Properties/Events/Queue/Properties/FunctionResponseTypes", json!([])),
        ("maximum-concurrency", "/Resources/SqsFunction/Properties/Events/Queue/Properties/ScalingConfig", json!({})),
        ("environment", "/Resources/SqsFunction/Properties/Environment/Variables/FUNCTION_CONCURRENCY", json!("0")),
        ("cpu-limit", "/Resources/SqsFunction/Properties/MemorySize", json!(1769)),
        ("max-receive-count", "/Resources/Queue/Properties/RedrivePolicy/maxReceiveCount", json!(3)),
        ("dead-letter-retention", "/Resources/DeadLetterQueue/Properties/MessageRetentionPeriod", json!(345_600)),
        ("permission", "/Resources/SqsRole/Properties/Policies/0/PolicyDocument/Statement/0/Resource", json!("*")),
        ("permission", "/Resources/SqsRole/Properties/Policies/0/PolicyDocument/Statement/0/Action", json!("sqs:*")),
        (
            "permission",
            "/Resources/SqsRole/Properties/ManagedPolicyArns",
            json!(["arn:aws:iam::aws:policy/AmazonSQSFullAccess"]),
        ),
        ("permission", "/Resources/SqsFunction/Properties/Role", Value::Null),
        ("twins", "/Resources/Queue/Properties/VisibilityTimeout", json!(240)),
        ("twins", "/Resources/Queue/Properties/RedrivePolicy/maxReceiveCount", json!(7)),
        ("twins", "/Globals/Function/Environment/Variables/WORK_RETRY_SHARE", json!("0.1")),
    ] {
        let mut inputs = rendered();
        set(inputs.template.as_mut().expect("a template"), path, value);
        names(&inputs, rule, path);
    }
}

#[test]
fn a_mistake_in_terraform_is_named() {
    let policy = |action: &str, resource: &str| {
        let statement = json!({"Sid": "Count", "Effect": "Allow", "Action": [action], "Resource": resource});
        json!(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
    };
    let queue = "arn:aws:sqs:us-east-1:123456789012:twinscale";
    for (rule, path, value) in [
        (
            "keda-role",
            "/values/root_module/resources/2/values/policy",
            policy("sqs:GetQueueAttributes", &format!("{queue}-dead")),
        ),
        (
            "permission",
            "/values/root_module/resources/2/values/policy",
            policy("sqs:GetQueueAttributes", "arn:aws:sqs:*:*:*"),
        ),
        ("permission", "/values/root_module/resources/2/values/policy", policy("sqs:*", queue)),
        ("dead-letter-retention", "/values/root_module/resources/1/values/message_retention_seconds", json!(60)),
        ("twins", "/values/root_module/resources/0/values/visibility_timeout_seconds", json!(60)),
    ] {
        let mut inputs = rendered();
        set(inputs.terraform.as_mut().expect("a state"), path, value);
        names(&inputs, rule, path);
    }
}

#[test]
fn the_worker_s_role_does_not_count_as_keda_s() {
    let mut inputs = rendered();
    let state = inputs.terraform.as_mut().expect("a state");
    set(state, "/values/root_module/resources/2/values/role", json!("twinscale-consume"));
    set(
        state,
        "/values/root_module/resources/3/values/role_arn",
        json!("arn:aws:iam::123456789012:role/twinscale-consume"),
    );
    names(&inputs, "keda-role", "the role bound to the worker");
}

#[test]
fn a_parameter_given_to_the_deployment_is_what_is_checked() {
    let template = &read("sam/template.yaml")[0];
    let given = BTreeMap::from([("BatchSize".to_owned(), "100".to_owned())]);
    let inputs = Inputs { template: Some(resolve(template, &given)), ..Inputs::default() };
    assert_eq!(rules(&inputs), ["batch-window"]);
}

/// What would be deployed: the project's own files, with the ConfigMaps that kustomize generates and a small state.
fn rendered() -> Inputs {
    let mut kubernetes = Vec::new();
    for file in ["deployment", "scaledobject", "triggerauthentication", "serviceaccount"] {
        kubernetes.extend(read(&format!("eks/base/{file}.yaml")));
    }
    kubernetes.extend(read("eks/components/sender/sender.yaml"));
    for name in ["settings", "target"] {
        kubernetes.push(config_map(name));
    }
    let template = resolve(&read("sam/template.yaml")[0], &BTreeMap::new());
    let settings = read("deploy/settings.yaml").remove(0);
    Inputs { settings: Some(settings), kubernetes, terraform: Some(state()), template: Some(template) }
}

/// As `terraform show -json` prints it, cut to what is read.
fn state() -> Value {
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:123456789012:{name}");
    let may_count =
        json!({"Sid": "Count", "Effect": "Allow", "Action": ["sqs:GetQueueAttributes"], "Resource": arn("twinscale")});
    let resource = |kind: &str, name: &str, values: Value| json!({"address": format!("{kind}.{name}"), "type": kind, "values": values});
    json!({"values": {"root_module": {"resources": [
        resource("aws_sqs_queue", "work", json!({
            "arn": arn("twinscale"),
            "url": "https://sqs.us-east-1.amazonaws.com/123456789012/twinscale",
            "visibility_timeout_seconds": 180,
            "message_retention_seconds": 345_600,
            "redrive_policy": json!({"deadLetterTargetArn": arn("twinscale-dead"), "maxReceiveCount": 10}).to_string(),
        })),
        resource("aws_sqs_queue", "dead", json!({
            "arn": arn("twinscale-dead"),
            "url": "https://sqs.us-east-1.amazonaws.com/123456789012/twinscale-dead",
            "message_retention_seconds": 1_209_600,
        })),
        resource("aws_iam_role_policy", "scale", json!({
            "role": "twinscale-scale",
            "policy": json!({"Version": "2012-10-17", "Statement": [may_count]}).to_string(),
        })),
        resource("aws_eks_pod_identity_association", "consume", json!({
            "service_account": "worker",
            "role_arn": "arn:aws:iam::123456789012:role/twinscale-consume",
        })),
    ]}}})
}

fn read(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path);
    documents(path, &text).expect(path)
}

/// What kustomize makes of an `.env` file.
fn config_map(name: &str) -> Value {
    let path = format!("{}/eks/base/{name}.env", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).expect("an env file");
    let data: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    json!({"kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn rules(inputs: &Inputs) -> Vec<&'static str> {
    let mut rules: Vec<_> = validate(inputs).iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

fn names(inputs: &Inputs, rule: &str, mistake: &str) {
    let found = validate(inputs);
    assert!(found.iter().any(|finding| finding.rule == rule), "{mistake} must be named by {rule}: {found:?}");
}

/// `Kind/name/…`: the rest is a JSON pointer, but for `env/NAME`, which is that variable's value.
fn set_in_cluster(inputs: &mut Inputs, path: &str, value: Value) {
    let (kind, rest) = path.split_once('/').expect("a kind");
    let (name, rest) = rest.split_once('/').expect("a name");
    let object = inputs.kubernetes.iter_mut().find(|o| o["kind"] == kind && o["metadata"]["name"] == name).expect(path);
    match rest.split_once("/env/") {
        Some((container, variable)) => {
            let container = object.pointer_mut(&format!("/{container}")).expect(path);
            let variables = container["env"].as_array_mut().expect("variables");
            variables.retain(|existing| existing["name"] != variable);
            variables.push(json!({"name": variable, "value": value}));
        }
        None => set(object, &format!("/{rest}"), value),
    }
}

/// Sets what a JSON pointer names; the last part may be new.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent}"));
    let last = last.replace("~1", "/");
    match parent {
        Value::Array(items) => items[last.parse::<usize>().expect("an index")] = value,
        object => object[last] = value,
    }
}
