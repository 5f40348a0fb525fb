//! `twinscale validate`: the manifests of this project pass, and each mistake that one could make in them is named.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use twinscale_lab::manifests::{Given, Template, Terraform, documents};
use twinscale_lab::validate::{Inputs, Rule, validate};

/// What is about to be deployed, as values that a test changes.
#[derive(Clone, Default)]
struct Rendered {
    settings: Option<Value>,
    kubernetes: Vec<Value>,
    terraform: Option<Value>,
    template: Option<Template>,
}

impl Rendered {
    /// The same as files would be read.
    fn inputs(&self) -> Inputs {
        let mut inputs =
            Inputs { settings: self.settings.clone(), template: self.template.clone(), ..Inputs::default() };
        for (index, object) in self.kubernetes.iter().enumerate() {
            let file = format!("{index}.json");
            inputs.take_kubernetes(&file, &object.to_string(), &Given::default()).expect("an object");
        }
        let terraform = self.terraform.as_ref();
        inputs.terraform = terraform.map(|shown| Terraform::read("state.json", &shown.to_string()).expect("a state"));
        inputs
    }
}

#[test]
fn the_manifests_of_this_project_agree() {
    let found = validate(&rendered().inputs());
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
        ("memory-limit", "Deployment/worker/spec/template/spec/containers/0/resources/limits/memory", json!("143Mi")),
        ("memory-limit", "Deployment/worker/spec/template/spec/containers/0/env/MAX_IN_HAND_MIB", json!("140")),
        ("replicas", "Deployment/worker/spec/replicas", json!(3)),
        ("queue-length", "ScaledObject/worker/spec/triggers/0/metadata/queueLength", json!("11")),
        ("queue-length", "ScaledObject/worker/spec/triggers/0/metadata/queueLength", json!("4")),
        ("scaled-queue", "ScaledObject/worker/spec/triggers/0/metadata/queueURLFromEnv", json!("DLQ_URL")),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/ports/0/containerPort", json!(8080)),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/readinessProbe/httpGet/port", json!("metrics")),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/env/ADMIN_ADDR", json!("0.0.0.0:9090")),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/env/ADMIN_ADDR", json!("127.0.0.1:8081")),
        ("ports", "Deployment/sender/spec/template/spec/containers/0/env/HTTP_ADDR", json!("0.0.0.0:9090")),
        ("ports", "Deployment/sender/spec/template/spec/containers/0/readinessProbe/httpGet/port", json!("http")),
        ("ports", "Deployment/sender/spec/template/spec/containers/0/readinessProbe/httpGet/path", json!("/ready")),
        ("ports", "PodMonitor/twinscale/spec/podMetricsEndpoints/0/port", json!("http")),
        ("service", "Service/sender/spec/ports/0/targetPort", json!("web")),
        ("service", "Service/sender/spec/selector/app.kubernetes.io~1component", json!("nobody")),
        ("twins", "ConfigMap/settings/data/WORK_WAIT", json!("constant:1s")),
        ("twins", "ConfigMap/target/data/QUEUE_URL", json!("https://sqs.us-east-1.amazonaws.com/123456789012/old")),
        ("twins", "ConfigMap/settings/data/BACKOFF_BASE_SECS", json!("2")),
        ("twins", "Deployment/worker/spec/template/spec/containers/0/env/HANDLER_TIMEOUT_MS", json!("20000")),
        ("ports", "Deployment/worker/spec/template/spec/containers/0/livenessProbe/httpGet/port", json!(9090)),
        ("authentication", "ScaledObject/worker/spec/triggers/0/authenticationRef/name", json!("nobody")),
        ("namespace", "ServiceAccount/worker/metadata/namespace", json!("orders")),
        ("egress", "ConfigMap/settings/data/ORDERS_URL", json!("postgres://orders.db/orders")),
    ] {
        let mut inputs = rendered();
        set_in_cluster(&mut inputs, path, value);
        names(&inputs, rule, path);
    }
}

#[test]
fn a_table_is_accepted_whatever_this_command_was_built_with() {
    let mut inputs = rendered();
    set_in_cluster(&mut inputs, "ConfigMap/target/data/IDEMPOTENCY_TABLE", json!("twinscale-keys"));
    assert_eq!(rules(&inputs), ["missing-permission"], "terraform made none, and no role may use one");
    inputs.terraform = None;
    assert_eq!(rules(&inputs), [] as [&str; 0], "its image may have DynamoDB");
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
        ("refused", "/Resources/SqsFunction/Properties/Events/Queue/Properties/BatchSize", json!(11)),
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
        (
            "permission",
            "/Resources/SqsRole/Properties/Policies/0/PolicyDocument/Statement/0",
            json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        ),
        (
            "permission",
            "/Resources/TlsOnly/Properties/PolicyDocument/Statement/0",
            json!({"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}),
        ),
        ("twins", "/Resources/Queue/Properties/VisibilityTimeout", json!(240)),
        ("twins", "/Resources/Queue/Properties/RedrivePolicy/maxReceiveCount", json!(7)),
        ("twins", "/Globals/Function/Environment/Variables/WORK_RETRY_SHARE", json!("0.1")),
    ] {
        let mut inputs = rendered();
        edit_template(&mut inputs, |template| set(template, path, value));
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
    let attached =
        |kind: &str, field: &str, value: Value| json!({"address": "x.y", "type": kind, "values": {field: value}});
    for (rule, path, value) in
        [
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
            (
                "max-receive-count",
                "/values/root_module/resources/0/values/redrive_policy",
                json!(json!({"deadLetterTargetArn": format!("{queue}-dead"), "maxReceiveCount": 3}).to_string()),
            ),
            (
                "permission",
                "/values/root_module/resources/2",
                attached(
                    "aws_iam_role_policy_attachment",
                    "policy_arn",
                    json!("arn:aws:iam::aws:policy/AmazonSQSFullAccess"),
                ),
            ),
            (
                "permission",
                "/values/root_module/resources/2",
                attached("aws_iam_policy", "policy", policy("sqs:ReceiveMessage", "arn:aws:sqs:*:*:*")),
            ),
            (
                "permission",
                "/values/root_module/resources/2",
                attached(
                    "aws_sqs_queue_policy",
                    "policy",
                    json!(json!({"Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sqs:SendMessage", "Resource": queue},
            ]}).to_string()),
                ),
            ),
        ]
    {
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
fn nor_does_it_when_the_service_account_names_its_role() {
    let mut inputs = rendered();
    let state = inputs.terraform.as_mut().expect("a state");
    set(state, "/values/root_module/resources/2/values/role", json!("twinscale-consume"));
    set(state, "/values/root_module/resources/3/type", json!("something_else"));
    assert!(!rules(&inputs).contains(&"keda-role".to_owned()), "some role may count");
    let role = json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/twinscale-consume"});
    set_in_cluster(&mut inputs, "ServiceAccount/worker/metadata/annotations", role);
    names(&inputs, "keda-role", "the role that the worker's service account names");
}

#[test]
fn identities_of_another_namespace_are_named() {
    let mut inputs = rendered();
    for object in &mut inputs.kubernetes {
        object["metadata"]["namespace"] = json!("twinscale");
    }
    let state = inputs.terraform.as_mut().expect("a state");
    set(state, "/values/root_module/resources/3/values/namespace", json!("twinscale"));
    assert_eq!(rules(&inputs), [] as [&str; 0], "association and account are in one namespace");
    let state = inputs.terraform.as_mut().expect("a state");
    set(state, "/values/root_module/resources/3/values/namespace", json!("orders"));
    names(&inputs, "namespace", "an association in orders");

    let trust =
        json!({"Statement": [{"Condition": {"StringEquals": {"oidc:sub": "system:serviceaccount:orders:worker"}}}]});
    let role = json!({"address": "aws_iam_role.pod", "type": "aws_iam_role",
        "values": {"assume_role_policy": trust.to_string()}});
    set(inputs.terraform.as_mut().expect("a state"), "/values/root_module/resources/3", role);
    names(&inputs, "namespace", "a trust of orders");
}

#[test]
fn a_role_that_an_account_names_has_to_trust_it() {
    let subject = |account: &str| {
        let trust = json!({"Statement": [{"Effect": "Allow", "Principal": {"Federated": "oidc"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringLike": {"oidc:sub": format!("system:serviceaccount:twinscale:{account}")}}}]});
        let mut inputs = rendered();
        for object in &mut inputs.kubernetes {
            object["metadata"]["namespace"] = json!("twinscale");
        }
        let arn = "arn:aws:iam::123456789012:role/twinscale-consume";
        set_in_cluster(
            &mut inputs,
            "ServiceAccount/worker/metadata/annotations",
            json!({"eks.amazonaws.com/role-arn": arn}),
        );
        let values = json!({"arn": arn, "name": "twinscale-consume", "assume_role_policy": trust.to_string()});
        let role = json!({"address": "aws_iam_role.consume", "type": "aws_iam_role", "values": values});
        let state = inputs.terraform.as_mut().expect("a state");
        // Nobody has a role by an association.
        for association in [3, 4] {
            set(state, &format!("/values/root_module/resources/{association}"), role.clone());
        }
        rules(&inputs)
    };
    assert_eq!(subject("worker"), [""; 0]);
    assert_eq!(subject("work*"), [""; 0]);
    assert_eq!(subject("sender"), ["trust"]);
}

#[test]
fn a_pod_with_keys_of_its_own_needs_no_identity() {
    let mut inputs = rendered();
    inputs.terraform = None;
    set_in_cluster(&mut inputs, "Deployment/worker/spec/template/spec/serviceAccountName", Value::Null);
    assert_eq!(rules(&inputs), ["service-account"]);
    set_in_cluster(&mut inputs, "Deployment/worker/spec/template/spec/containers/0/env/AWS_ACCESS_KEY_ID", json!("k"));
    assert_eq!(rules(&inputs), [""; 0]);
}

#[test]
fn a_plan_is_checked_by_the_queues_that_refer_to_each_other() {
    let queue = |name: &str, values: Value| json!({"address": format!("aws_sqs_queue.{name}"), "type": "aws_sqs_queue", "values": values});
    // As `terraform show -json` prints a plan: what AWS computes is missing, and so is what contains it.
    let mut plan = json!({
        "planned_values": {"root_module": {"resources": [
            queue("work", json!({"visibility_timeout_seconds": 180, "message_retention_seconds": 345_600})),
            queue("dead", json!({"message_retention_seconds": 1_209_600})),
        ]}},
        "configuration": {"root_module": {"resources": [
            {"address": "aws_sqs_queue.work", "expressions": {"redrive_policy": {"references": ["aws_sqs_queue.dead.arn", "aws_sqs_queue.dead", "local.queue"]}}},
        ]}},
    });
    let mut inputs = Rendered { terraform: Some(plan.clone()), ..rendered() };
    assert_eq!(rules(&inputs), [] as [&str; 0]);
    set(&mut plan, "/planned_values/root_module/resources/0/values/visibility_timeout_seconds", json!(60));
    inputs.terraform = Some(plan.clone());
    names(&inputs, "twins", "visibility in the plan");
    set(&mut plan, "/planned_values/root_module/resources/1/values/message_retention_seconds", json!(60));
    inputs.terraform = Some(plan.clone());
    names(&inputs, "dead-letter-retention", "retention in the plan");

    // The same resources in a module that the root calls: there the configuration's addresses begin at the module.
    let mut resources = plan["planned_values"]["root_module"]["resources"].take();
    for resource in resources.as_array_mut().expect("resources") {
        resource["address"] = json!(format!("module.orders[0].{}", resource["address"].as_str().expect("an address")));
    }
    inputs.terraform = Some(json!({
        "planned_values": {"root_module": {"child_modules": [{"address": "module.orders[0]", "resources": resources}]}},
        "configuration": {"root_module": {"module_calls": {"orders": {"module": plan["configuration"]["root_module"]}}}},
    }));
    names(&inputs, "dead-letter-retention", "retention in a module's plan");
}

#[test]
fn outputs_alone_tell_which_queue_the_pod_has_to_name() {
    let output = |url: &str| json!({"queue_url": {"sensitive": false, "type": "string", "value": url}});
    let mut inputs = Rendered { terraform: Some(output("https://sqs.us-east-1.amazonaws.com/1/other")), ..rendered() };
    names(&inputs, "twins", "QUEUE_URL");
    let url = "https://sqs.us-east-1.amazonaws.com/1/right";
    inputs.terraform = Some(output(url));
    set_in_cluster(&mut inputs, "ConfigMap/target/data/QUEUE_URL", json!(url));
    assert_eq!(rules(&inputs), [] as [&str; 0]);
}

#[test]
fn what_sam_makes_of_the_template_is_checked_like_the_template() {
    let transformed = || {
        let mut inputs = rendered();
        edit_template(&mut inputs, |template| {
            let resources = template["Resources"].as_object_mut().expect("resources");
            let function = resources.get_mut("SqsFunction").expect("the consumer");
            let events = function["Properties"].as_object_mut().expect("an object").remove("Events").expect("events");
            function["Type"] = json!("AWS::Lambda::Function");
            let mut mapping = events["Queue"]["Properties"].clone();
            mapping["EventSourceArn"] = mapping["Queue"].take();
            mapping["FunctionName"] = json!({"Ref": "SqsFunction"});
            let mapping = json!({"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping});
            resources.insert("SqsFunctionQueue".to_owned(), mapping);
        });
        inputs
    };
    assert_eq!(rules(&transformed()), [] as [&str; 0]);
    let managed = json!(["arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"]);
    for (rule, path, value) in [
        ("visibility-timeout", "/Resources/SqsFunction/Properties/Timeout", json!(31)),
        ("refused", "/Resources/SqsFunctionQueue/Properties/BatchSize", json!(11)),
        ("partial-batch", "/Resources/SqsFunctionQueue/Properties/FunctionResponseTypes", json!([])),
        ("permission", "/Resources/SqsRole/Properties/ManagedPolicyArns", managed),
    ] {
        let mut inputs = transformed();
        edit_template(&mut inputs, |template| set(template, path, value));
        names(&inputs, rule, path);
    }
}

#[test]
fn jobs_of_a_scaled_job_are_checked_like_pods() {
    let jobs = || {
        let mut inputs = rendered();
        let find = |inputs: &Rendered, kind: &str| {
            inputs
                .kubernetes
                .iter()
                .position(|o| o["kind"] == kind && o["metadata"]["name"] == "worker")
                .expect("there")
        };
        let at = find(&inputs, "Deployment");
        let mut deployment = inputs.kubernetes.remove(at);
        let variables = &mut deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        variables.as_array_mut().expect("variables").push(json!({"name": "EXIT_WHEN_IDLE_SECS", "value": "30"}));
        let at = find(&inputs, "ScaledObject");
        let triggers = inputs.kubernetes.remove(at)["spec"]["triggers"].take();
        let template = &deployment["spec"]["template"];
        inputs.kubernetes.push(json!({
            "kind": "ScaledJob", "metadata": {"name": "worker"},
            "spec": {"jobTargetRef": {"template": template}, "triggers": triggers, "maxReplicaCount": 15},
        }));
        inputs
    };
    assert_eq!(rules(&jobs()), [] as [&str; 0]);
    let template = "ScaledJob/worker/spec/jobTargetRef/template/spec";
    for (rule, path, value) in [
        ("queue-length", "ScaledJob/worker/spec/triggers/0/metadata/queueLength".to_owned(), json!("11")),
        ("scaled-queue", "ScaledJob/worker/spec/triggers/0/metadata/queueURLFromEnv".to_owned(), json!("DLQ_URL")),
        ("grace-period", format!("{template}/terminationGracePeriodSeconds"), json!(30)),
        ("environment", format!("{template}/containers/0/env/CONCURRENCY"), json!("many")),
    ] {
        let mut inputs = jobs();
        set_in_cluster(&mut inputs, &path, value);
        names(&inputs, rule, &path);
    }
}

#[test]
fn what_cannot_be_read_exits_64_and_says_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
        folder.path().join(name).display().to_string()
    };
    let template = format!("{}/assets/sam/template.yaml", env!("CARGO_MANIFEST_DIR"));
    for (args, named) in [
        (vec!["--kubernetes", &file("tabs.yaml", "kind: Pod\nmetadata:\n\tname: x\n")], "line 3"),
        (
            vec!["--kubernetes", &file("no.yaml", "kind: Pod\nmetadata: {name: a}\n---\nhello: you\n")],
            "document 2 is no Kubernetes object",
        ),
        (vec!["--kubernetes", &file("empty.yaml", "# nothing\n")], "no Kubernetes object"),
        (vec!["--terraform", &file("no.json", "{\"a\": 1}")], "it is no output of 'terraform show -json'"),
        (vec!["--terraform", &file("cut.json", "{\"values\": {")], "cut.json"),
        (vec!["--template", &file("no_template.yaml", "a: 1")], "it is no SAM or CloudFormation template"),
        (vec!["--template", &template, "--settings", &file("other.yaml", "a: 1")], "it is no settings file"),
        (vec!["--template", &template, "--parameter", "BatchSiz=100"], "no such parameter"),
        (vec!["--template", &template, "--parameter", "BatchSize"], "NAME=VALUE"),
        (vec!["--template", "/nowhere.yaml"], "/nowhere.yaml"),
        (vec![], "there is nothing to check"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinscale"));
        let output = command.arg("validate").args(&args).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {error}");
        assert!(error.contains(named), "{args:?} should say {named}: {error}");
    }
}

/// What `validate` prints of this project's template with batches of 100 and no window, which Lambda refuses.
fn printed(more: &[&str]) -> std::process::Output {
    let template = format!("{}/assets/sam/template.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_twinscale"));
    let args = ["validate", "--template", &template, "--parameter", "BatchSize=100"];
    command.args(args).args(more).output().expect("it starts")
}

#[test]
fn machines_get_json_with_rule_file_line_and_what_to_write() {
    let output = printed(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let first = &found[0];
    assert_eq!([&first["severity"], &first["rule"]], ["error", "refused"]);
    assert!(first["file"].as_str().is_some_and(|file| file.ends_with("template.yaml")), "{first}");
    assert!(first["line"].as_u64().is_some_and(|line| line > 100), "{first}");
    assert!(first["what"].as_str().is_some_and(|what| what.contains("a BatchSize above 10 needs")), "{first}");
}

#[test]
fn pull_requests_get_annotations_and_code_scanning_gets_sarif() {
    let output = printed(&["--format", "github"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("::error file=") && text.contains(",title=refused::"), "{text}");
    let output = printed(&["--format", "sarif"]);
    assert_eq!(output.status.code(), Some(1));
    let log: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!([&result["ruleId"], &result["level"]], ["refused", "error"]);
    assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].is_u64(), "{result}");
}

#[test]
fn a_rule_that_is_ignored_fails_nothing_and_says_so() {
    let output = printed(&["--ignore", "refused"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 ignored, as asked by --ignore"), "{output:?}");
    let output = printed(&["--ignore", "grace-period"]);
    assert_eq!(output.status.code(), Some(1), "another rule");
    let output = printed(&["--ignore", "refuse"]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("'refused'"), "{output:?}");
}

#[test]
fn every_rule_has_its_section_in_the_page_and_every_section_its_rule() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/validate.md")).expect("the page");
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let rules: Vec<String> = Rule::all().iter().map(|rule| rule.id()).collect();
    assert_eq!(sections, rules, "docs/validate.md has other sections than the list of rules, or another order");
}

#[test]
fn a_parameter_given_to_the_deployment_is_what_is_checked() {
    let inputs = Rendered { template: Some(template(&[("BatchSize", "100")])), ..Rendered::default() };
    assert_eq!(rules(&inputs), ["refused"]);
}

#[test]
fn managed_instances_buy_processors_by_their_own_ratio() {
    let arn = "arn:aws:lambda:us-east-1:123456789012:capacity-provider:a";
    let template = template(&[("CapacityProviderArn", arn)]);
    let mut inputs = Rendered { template: Some(template), ..Rendered::default() };
    assert_eq!(rules(&inputs), [""; 0]);
    let settings = "/Resources/ManagedSqsFunction/Properties/CapacityProviderConfig";
    let ratio = format!("{settings}/ExecutionEnvironmentMemoryGiBPerVCpu");
    edit_template(&mut inputs, |template| set(template, &ratio, json!(4.0)));
    names(&inputs, "cpu-limit", "half a vCPU");
}

/// What would be deployed: the project's own files, with the ConfigMaps that kustomize generates and a small state.
fn rendered() -> Rendered {
    let mut kubernetes = Vec::new();
    for file in ["deployment", "scaledobject", "triggerauthentication", "serviceaccount", "networkpolicy"] {
        kubernetes.extend(read(&format!("eks/base/{file}.yaml")));
    }
    kubernetes.extend(read("eks/components/sender/sender.yaml"));
    kubernetes.extend(read("eks/components/pod-monitor/podmonitor.yaml"));
    for name in ["settings", "target"] {
        kubernetes.push(config_map(name));
    }
    for deployment in kubernetes.iter_mut().filter(|object| object["kind"] == "Deployment") {
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry/twinscale-worker:0.1.0");
    }
    let template = template(&[]);
    let settings = read("deploy/settings.yaml").remove(0);
    Rendered { settings: Some(settings), kubernetes, terraform: Some(state()), template: Some(template) }
}

/// As `terraform show -json` prints it, cut to what is read.
fn state() -> Value {
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:123456789012:{name}");
    let may = |actions: &[&str]| {
        let actions: Vec<String> = actions.iter().map(|action| format!("sqs:{action}")).collect();
        let statement = json!({"Effect": "Allow", "Action": actions, "Resource": arn("twinscale")});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
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
            "policy": may(&["GetQueueAttributes"]),
        })),
        resource("aws_eks_pod_identity_association", "consume", json!({
            "service_account": "worker",
            "role_arn": "arn:aws:iam::123456789012:role/twinscale-consume",
        })),
        resource("aws_eks_pod_identity_association", "send", json!({
            "service_account": "sender",
            "role_arn": "arn:aws:iam::123456789012:role/twinscale-send",
        })),
        resource("aws_iam_role_policy", "consume", json!({
            "role": "twinscale-consume",
            "policy": may(&["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"]),
        })),
        resource("aws_iam_role_policy", "send", json!({"role": "twinscale-send", "policy": may(&["SendMessage"])})),
    ]}}})
}

fn read(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{}/assets/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path);
    documents(path, &text).expect(path)
}

/// What kustomize makes of an `.env` file.
fn config_map(name: &str) -> Value {
    let path = format!("{}/assets/eks/base/{name}.env", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).expect("an env file");
    let data: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    json!({"kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// This project's template with these parameters.
fn template(parameters: &[(&str, &str)]) -> Template {
    let path = format!("{}/assets/sam/template.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).expect("a template");
    Template::read("template.yaml", &text, &Given::of_parameters(parameters.iter().copied())).expect("a template")
}

fn edit_template(inputs: &mut Rendered, edit: impl FnOnce(&mut Value)) {
    let mut template = inputs.template.as_ref().expect("a template").to_json();
    edit(&mut template);
    inputs.template = Some(Template::from_json(&template, &Given::default()));
}

fn rules(inputs: &Rendered) -> Vec<String> {
    let mut rules: Vec<_> = validate(&inputs.inputs()).iter().map(|finding| finding.rule.id()).collect();
    rules.dedup();
    rules
}

fn names(inputs: &Rendered, rule: &str, mistake: &str) {
    let found = validate(&inputs.inputs());
    assert!(found.iter().any(|finding| finding.rule.id() == rule), "{mistake} must be named by {rule}: {found:?}");
}

/// `Kind/name/…`: the rest is a JSON pointer, but for `env/NAME`, which is that variable's value.
fn set_in_cluster(inputs: &mut Rendered, path: &str, value: Value) {
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
