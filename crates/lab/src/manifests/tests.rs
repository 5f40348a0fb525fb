//! Files as people have them: what is read of each, and that nothing is dropped without a word.

use std::time::Duration;

use super::Given;
use super::Manifest::{self, Deployment, ScaledObject, Template};
use crate::scenario::Scenario;
use twinscale_scaling::event_source::Provisioned;
use twinscale_scaling::hpa::MetricType;
use twinscale_scaling::scaled_job::Strategy;

/// Reads a file that must be good, and must give just these warnings, each known by its line and a part of it.
fn read(kind: Manifest, text: &str, warnings: &[(u64, &str)]) -> Scenario {
    let mut scenario = Scenario::default();
    let seen = scenario
        .take_manifest(kind, "f.yaml", text, &Given::default())
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(seen.len(), warnings.len(), "{seen:#?}");
    for (line, part) in warnings {
        let start = format!("f.yaml, line {line}: ");
        assert!(seen.iter().any(|w| w.starts_with(&start) && w.contains(part)), "line {line}, {part}: {seen:#?}");
    }
    scenario.checked().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refused(kind: Manifest, text: &str) -> String {
    let mut scenario = Scenario::default();
    scenario.take_manifest(kind, "f.yaml", text, &Given::default()).expect_err(text).to_string()
}

const SQS: &str =
    "aws-sqs-queue, metadata: {queueURL: https://sqs.us-east-1.amazonaws.com/1/jobs, awsRegion: us-east-1";

fn scaled_object(spec: &str) -> String {
    format!("apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: w}}\nspec:\n{spec}")
}

#[test]
fn the_article_s_scaled_object() {
    let text = scaled_object(
        "  scaleTargetRef: {name: keda-sqs}\n  minReplicaCount: 1\n  maxReplicaCount: 15\n  triggers:\n  - type: aws-sqs-queue\n    \
         authenticationRef: {name: aws}\n    metadata:\n      queueURL: https://sqs.us-east-1.amazonaws.com/1/jobs\n      \
         queueLength: \"5\"\n      awsRegion: us-east-1\n      identityOwner: operator\n",
    );
    let keda = read(ScaledObject, &text, &[]).eks.keda;
    assert_eq!((keda.min_replica_count, keda.max_replica_count, keda.triggers[0].queue_length), (1, 15, 5));
    assert_eq!(keda.hpa.behavior, None);
}

#[test]
fn triggers_of_other_kinds_are_named() {
    let text = scaled_object(&format!(
        "  triggers:\n  - {{type: {SQS}}}}}\n  - type: cron\n    metadata: {{timezone: UTC, start: 0 8 * * *}}\n  - {{type: cpu, metricType: Utilization}}\n"
    ));
    read(ScaledObject, &text, &[(7, "spec.triggers[1] is 'cron'"), (9, "spec.triggers[2] is 'cpu'")]);
}

#[test]
fn of_two_queues_the_first_is_read() {
    let other = SQS.replace("/1/jobs", "/1/mails");
    let text = scaled_object(&format!("  triggers:\n  - {{type: {SQS}}}}}\n  - {{type: {other}}}}}\n"));
    let what = "counts https://sqs.us-east-1.amazonaws.com/1/mails, another queue: it was left out, and only \
                https://sqs.us-east-1.amazonaws.com/1/jobs is compared";
    let scenario = read(ScaledObject, &text, &[(7, what)]);
    assert_eq!(scenario.eks.keda.triggers.len(), 1);
}

#[test]
fn metric_type_value_cached_metrics_and_switches_in_quotes() {
    let text = scaled_object(&format!(
        "  triggers:\n  - type: {}\n    metricType: Value\n    useCachedMetrics: true\n",
        SQS.replace(
            ", metadata: {",
            "\n    metadata: {scaleOnInFlight: \"false\", scaleOnDelayed: 'true', activationQueueLength: '20', "
        ) + "}"
    ));
    let trigger = read(ScaledObject, &text, &[]).eks.keda.triggers.remove(0);
    assert_eq!((trigger.metric_type, trigger.use_cached_metrics), (MetricType::Value, true));
    assert_eq!(
        (trigger.scale_on_in_flight, trigger.scale_on_delayed, trigger.activation_queue_length),
        (false, true, 20)
    );
}

#[test]
fn metric_type_utilization_is_refused_as_keda_does() {
    let text = scaled_object(&format!("  triggers:\n  - {{type: {SQS}}}, metricType: Utilization}}\n"));
    assert!(
        refused(ScaledObject, &text).contains("line 6: spec.triggers[0].metricType"),
        "{}",
        refused(ScaledObject, &text)
    );
}

#[test]
fn a_formula_over_named_triggers_is_read() {
    let text = scaled_object(&format!(
        "  advanced:\n    scalingModifiers: {{formula: \"max(a, b) * 2\", target: \"10\", activationTarget: \"3\"}}\n  triggers:\n  \
         - {{name: a, type: {SQS}}}}}\n  - {{name: b, type: {SQS}, scaleOnInFlight: \"false\"}}}}\n"
    ));
    let modifiers = read(ScaledObject, &text, &[]).eks.keda.scaling_modifiers.expect("a formula");
    assert_eq!((modifiers.target, modifiers.activation_target), (10.0, 3.0));
}

#[test]
fn a_formula_that_needs_another_trigger_is_left_out_with_a_warning_and_a_wrong_one_is_refused() {
    let with = |formula: &str, more: &str| {
        scaled_object(&format!(
            "  advanced:\n    scalingModifiers: {{formula: {formula}, target: '5'}}\n  triggers:\n  - {{name: a, type: {SQS}}}}}\n{more}"
        ))
    };
    let cron = "  - {name: c, type: cron}\n";
    let text = with("a + c", cron);
    let scenario = read(ScaledObject, &text, &[(9, "is 'cron'"), (6, "scalingModifiers was left out")]);
    assert_eq!(scenario.eks.keda.scaling_modifiers, None);
    let error = refused(ScaledObject, &with("a + c", ""));
    assert!(error.contains("line 6: formula: 'a + c'"), "{error}");
}

#[test]
fn behavior_and_fallback_of_a_production_object() {
    let text = scaled_object(&format!(
        "  pollingInterval: 5\n  cooldownPeriod: 60\n  idleReplicaCount: 0\n  minReplicaCount: 2\n  maxReplicaCount: 50\n  fallback: {{failureThreshold: 3, replicas: 6, behavior: currentReplicasIfHigher}}\n  \
         advanced:\n    restoreToOriginalReplicaCount: true\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleDown:\n          \
         stabilizationWindowSeconds: 60\n          policies: [{{type: Percent, value: 50, periodSeconds: 30}}]\n        scaleUp: {{tolerance: 0.05}}\n  triggers:\n  - {{type: {SQS}}}}}\n"
    ));
    let keda = read(ScaledObject, &text, &[]).eks.keda;
    assert_eq!((keda.idle_replica_count, keda.fallback.map(|f| f.replicas)), (Some(0), Some(6)));
    let behavior = keda.hpa.behavior.expect("set");
    assert_eq!(
        (behavior.scale_down.stabilization_window, behavior.scale_up.tolerance),
        (Some(Duration::from_secs(60)), Some(0.05))
    );
}

#[test]
fn several_documents_a_list_and_annotations() {
    let object = scaled_object(&format!("  triggers:\n  - {{type: {SQS}}}}}\n"))
        .replace("metadata: {name: w}", "metadata:\n  annotations:\n    autoscaling.keda.sh/paused-replicas: \"0\"");
    let text = format!("kind: Namespace\n---\n{object}---\n{}", scaled_object("  triggers: []\n"));
    read(ScaledObject, &text, &[(7, "autoscaling.keda.sh/paused-replicas"), (12, "only the first ScaledObject")]);
    let list = format!(
        "kind: List\nitems:\n- kind: ScaledObject\n  spec: {{minReplicaCount: 4, triggers: [{{type: {SQS}}}}}]}}\n"
    );
    assert_eq!(read(ScaledObject, &list, &[]).eks.keda.min_replica_count, 4);
}

#[test]
fn a_scaled_job_with_its_pod() {
    let text = format!(
        "kind: ScaledJob\nspec:\n  jobTargetRef:\n    backoffLimit: 4\n    parallelism: 2\n    template:\n      spec:\n        restartPolicy: Never\n        \
         containers: [{{name: w, env: [{{name: CONCURRENCY, value: \"3\"}}, {{name: EXIT_WHEN_IDLE_SECS, value: \"60\"}}], \
         resources: {{requests: {{cpu: 500m, memory: 128Mi}}, limits: {{cpu: 500m, memory: 128Mi}}}}}}]\n  \
         pollingInterval: 10\n  maxReplicaCount: 40\n  successfulJobsHistoryLimit: 2\n  rollout: {{strategy: gradual}}\n  \
         scalingStrategy: {{strategy: custom, customScalingQueueLengthDeduction: 1, customScalingRunningJobPercentage: \"0.5\"}}\n  \
         triggers:\n  - {{type: {SQS}, queueLength: \"2\"}}}}\n"
    );
    let eks = read(ScaledObject, &text, &[(5, "jobTargetRef.parallelism is not covered")]).eks;
    let job = eks.job.expect("a job");
    assert_eq!(
        (job.polling_interval.as_secs(), job.max_replica_count, job.triggers[0].queue_length),
        (10, Some(40), 2)
    );
    assert_eq!(job.strategy, Strategy::Custom { deduction: 1, running_share: 0.5 });
    assert_eq!((eks.pod.concurrency, eks.pod.cpu_limit, eks.pod.exit_when_idle.as_secs()), (3, 0.5, 60));
    let endless = text.replace("EXIT_WHEN_IDLE_SECS", "LATER");
    read(ScaledObject, &endless, &[(5, "parallelism"), (8, "EXIT_WHEN_IDLE_SECS is not set")]);
    let unparsable = text.replace("\"0.5\"", "half");
    assert_eq!(
        read(ScaledObject, &unparsable, &[(5, "parallelism")]).eks.job.expect("a job").strategy,
        Strategy::Default
    );
}

#[test]
fn a_rendered_kustomization_with_its_config_map() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-8f2k}\ndata: {CONCURRENCY: \"7\", PREFETCH: \"2\", LOG_LEVEL: info}\n---\n\
         kind: Deployment\nspec:\n  replicas: 1\n  selector: {}\n  template:\n    spec:\n      initContainers: [{name: migrate}]\n      containers:\n      - name: worker\n        \
         envFrom:\n        - configMapRef: {name: settings-8f2k}\n        - secretRef: {name: keys}\n        env:\n        - {name: PREFETCH, value: \"0\"}\n        \
         - name: WAIT_TIME_SECS\n          valueFrom: {configMapKeyRef: {name: other, key: wait}}\n        lifecycle: {preStop: {exec: {command: [sleep, \"5\"]}}}\n        \
         readinessProbe: {initialDelaySeconds: 15}\n        resources: {requests: {cpu: 2, memory: 512Mi}, limits: {cpu: 2, memory: 512Mi}}\n";
    let pod = read(
        Deployment,
        text,
        &[
            (12, "initContainers is not covered"),
            (17, "only a configMapRef is read"),
            (20, "WAIT_TIME_SECS has no value here"),
            (22, "lifecycle is not covered"),
            (23, "readinessProbe.initialDelaySeconds"),
        ],
    )
    .eks
    .pod;
    assert_eq!((pod.concurrency, pod.prefetch, pod.cpu_limit, pod.memory_mib), (7, 0, 2.0, 512));
}

#[test]
fn of_several_deployments_the_one_with_the_worker_s_settings_is_read() {
    let pod = |env: &str| {
        format!(
            "kind: Deployment\nspec:\n  template:\n    spec:\n      containers: [{{name: c, env: [{env}], resources: {{requests: {{cpu: 1, memory: 1Gi}}, limits: {{cpu: 1, memory: 1Gi}}}}}}]\n"
        )
    };
    let text = format!("{}---\n{}", pod("{name: PORT, value: \"80\"}"), pod("{name: CONCURRENCY, value: \"33\"}"));
    assert_eq!(read(Deployment, &text, &[(1, "only one Deployment")]).eks.pod.concurrency, 33);
}

fn sam(properties: &str, mapping: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Jobs:\n    Type: AWS::SQS::Queue\n    Properties: {{VisibilityTimeout: 180, RedrivePolicy: {{maxReceiveCount: 5}}}}\n  \
         F:\n    Type: AWS::Serverless::Function\n    Properties:\n      Timeout: 30\n      Handler: bootstrap\n      Runtime: provided.al2023\n      CodeUri: .\n      \
         Events: {{Q: {{Type: SQS, Properties: {{Queue: !GetAtt Jobs.Arn, {mapping}}}}}}}\n{properties}"
    )
}

#[test]
fn scaling_config_and_reserved_concurrency() {
    let text = sam("      ReservedConcurrentExecutions: 50\n", "ScalingConfig: {MaximumConcurrency: 20}");
    let lambda = read(Template, &text, &[]).lambda;
    assert_eq!((lambda.reserved_concurrency, lambda.mapping.maximum_concurrency), (Some(50), Some(20)));
    let off = refused(Template, &text.replace("Executions: 50", "Executions: 0"));
    assert!(off.contains("0 switches the function off"), "{off}");
}

#[test]
fn filters_snap_start_and_a_vpc_are_named() {
    let text = sam(
        "      SnapStart: {ApplyOn: PublishedVersions}\n      VpcConfig: {SubnetIds: [a]}\n      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 5}\n      Tracing: Active\n",
        "FilterCriteria: {Filters: [{Pattern: x}]}, Enabled: false",
    );
    let warnings = [
        (13, "FilterCriteria"),
        (13, "Enabled is false"),
        (14, "SnapStart"),
        (15, "VpcConfig"),
        (16, "ProvisionedConcurrency"),
    ];
    read(Template, &text, &warnings);
}

#[test]
fn provisioned_pollers_and_both_modes_at_once() {
    let pollers = "ProvisionedPollerConfig: {MinimumPollers: 5, MaximumPollers: 2500}";
    let provisioned = read(Template, &sam("", pollers), &[]).lambda.mapping.provisioned;
    assert_eq!(provisioned, Some(Provisioned { minimum_pollers: 5, maximum_pollers: 2500 }));
    let both = refused(Template, &sam("", &format!("{pollers}, ScalingConfig: {{MaximumConcurrency: 9}}")));
    assert!(both.contains("line 13: F.Events.Q.MaximumConcurrency"), "{both}");
}

#[test]
fn managed_instances_in_sam_and_in_cloudformation() {
    let config = "PerExecutionEnvironmentMaxConcurrency: 16, ExecutionEnvironmentMemoryGiBPerVCpu: 4.0";
    for capacity in [
        format!("      MemorySize: 8192\n      CapacityProviderConfig: {{Arn: !Ref P, {config}}}\n"),
        format!(
            "      MemorySize: 8192\n      CapacityProviderConfig: {{LambdaManagedInstancesCapacityProviderConfig: {{CapacityProviderArn: p, {config}}}}}\n"
        ),
    ] {
        let scaling = "      FunctionScalingConfig: {MinExecutionEnvironments: 4, MaxExecutionEnvironments: 40}\n";
        let managed =
            read(Template, &sam(&(capacity + scaling), "BatchSize: 10"), &[]).lambda.managed.expect("managed");
        assert_eq!((managed.slots(), managed.vcpu), (16, 2.0));
        assert_eq!((managed.min_environments, managed.max_environments), (4, 40));
    }
}

#[test]
fn globals_parameters_and_a_batching_window() {
    let text = sam("", "BatchSize: !Ref Size, MaximumBatchingWindowInSeconds: \"5\"").replace(
        "Resources:",
        "Parameters: {Size: {Type: Number, Default: 500}}\nGlobals:\n  Function: {MemorySize: 1769, Tracing: Active, Environment: {Variables: {FUNCTION_CONCURRENCY: \"50\"}}}\nResources:",
    );
    let lambda = read(Template, &text, &[]).lambda;
    assert_eq!((lambda.memory_mb, lambda.in_host_concurrency, lambda.mapping.batch_size), (1769, 50, 500));
    assert_eq!(lambda.mapping.window, Duration::from_secs(5));
}

#[test]
fn cloudformation_in_json_as_cdk_writes_it() {
    let text = r#"{
 "Resources": {
  "Jobs9F2": { "Type": "AWS::SQS::Queue", "Properties": { "FifoQueue": true, "VisibilityTimeout": 360, "DelaySeconds": 5,
   "RedrivePolicy": { "deadLetterTargetArn": { "Fn::GetAtt": ["Dead", "Arn"] }, "maxReceiveCount": 3 } } },
  "Handler7": { "Type": "AWS::Lambda::Function", "Properties": { "Handler": "bootstrap", "MemorySize": 256, "Timeout": 60, "Role": "r",
   "Code": { "S3Bucket": { "Fn::Sub": "b-${AWS::Region}" } } }, "DependsOn": ["Role"] },
  "Stream": { "Type": "AWS::Kinesis::Stream" },
  "OfStream": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
   "EventSourceArn": { "Fn::GetAtt": ["Stream", "Arn"] }, "FunctionName": { "Ref": "Handler7" } } },
  "OfQueue": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": { "BatchSize": 5, "Tags": [],
   "EventSourceArn": { "Fn::GetAtt": ["Jobs9F2", "Arn"] }, "FunctionName": { "Fn::Sub": "${Handler7.Arn}" },
   "FunctionResponseTypes": ["ReportBatchItemFailures"] } }
 }
}"#;
    let scenario = read(Template, text, &[(3, "Jobs9F2.DelaySeconds is not covered")]);
    assert!(scenario.queue.fifo && scenario.lambda.mapping.report_batch_item_failures);
    assert_eq!(
        (scenario.lambda.memory_mb, scenario.lambda.mapping.batch_size, scenario.queue.max_receive_count),
        (256, 5, 3)
    );
}

#[test]
fn a_queue_of_another_stack_is_said_to_be_missing() {
    let text = sam("", "BatchSize: 1").replace("!GetAtt Jobs.Arn", "!ImportValue jobs-arn");
    read(Template, &text, &[(13, "the queue is in no resource of this template")]);
}

#[test]
fn bad_files_are_refused_with_their_line() {
    for (kind, text, named) in [
        (ScaledObject, "kind: ScaledObject\nspec: {triggers: [\n", "f.yaml is no YAML"),
        (ScaledObject, "kind: ScaledObject\nspec: 5\n", "line 2: spec is no mapping"),
        (ScaledObject, "kind: ScaledObject\nspec: {pollingInterval: 1.5}\n", "line 2: spec.pollingInterval: '1.5'"),
        (ScaledObject, "kind: ScaledObject\nspec: {maxReplicaCount: -1}\n", "line 2: spec.maxReplicaCount: '-1'"),
        (
            ScaledObject,
            "kind: ScaledJob\nspec:\n  scalingStrategy: {strategy: greedy}\n",
            "line 3: scalingStrategy.strategy: 'greedy'",
        ),
        (ScaledObject, "", "there is no object of kind ScaledObject or ScaledJob"),
        (Deployment, "kind: Deployment\nspec: {template: {}}\n", "line 1: the Deployment has no spec.template.spec"),
        (Template, "Resources: []\n", "no function in it"),
        (Template, "\u{0}", "f.yaml is no YAML"),
    ] {
        let error = refused(kind, text);
        assert!(error.contains(named), "{text}: {error}");
    }
}
