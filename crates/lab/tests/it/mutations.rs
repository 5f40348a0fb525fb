//! Ways to break the files that ship, each caught by the rule that it belongs to.
//!
//! A mutation replaces a text in one file. The Kubernetes files are the overlay's, put together as kustomize does;
//! `state.json` is what terraform makes of terraform/ (tests/deploy/terraform.sh holds it to that).

use std::collections::BTreeMap;
use std::fs;

use twinscale_lab::manifests::{Given, Template, Terraform, documents};
use twinscale_lab::validate::{Finding, Inputs, validate};

/// A file, what to replace by what in it, and the rule that has to catch it.
struct Mutation {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    rule: &'static str,
}

const fn breaks(file: &'static str, from: &'static str, to: &'static str, rule: &'static str) -> Mutation {
    Mutation { file, from, to, rule }
}

const WORKER: &str = "eks/base/deployment.yaml";
const SENDER: &str = "eks/components/sender/sender.yaml";
const SCALER: &str = "eks/base/scaledobject.yaml";
const POLICY: &str = "eks/base/networkpolicy.yaml";
const BUDGET: &str = "eks/base/poddisruptionbudget.yaml";
const ACCOUNT: &str = "eks/base/serviceaccount.yaml";
const KEDA: &str = "eks/base/triggerauthentication.yaml";
const MONITOR: &str = "eks/components/pod-monitor/podmonitor.yaml";
const SETTINGS: &str = "eks/base/settings.env";
const TARGET: &str = "eks/base/target.env";
const TEMPLATE: &str = "sam/template.yaml";
const STATE: &str = "state.json";
const SHARED: &str = "deploy/settings.yaml";

/// The Kubernetes files, in the order in which they are put together.
const OBJECTS: [&str; 10] = [ACCOUNT, WORKER, BUDGET, POLICY, KEDA, SCALER, SENDER, MONITOR, TARGET, SETTINGS];

#[rustfmt::skip]
const MUTATIONS: &[Mutation] = &[
    // The worker's pod.
    breaks(WORKER, "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30", "grace-period"),
    breaks(WORKER, "      terminationGracePeriodSeconds: 60\n", "", "grace-period"),
    breaks(WORKER, "value: \"25000\"", "value: \"60000\"", "grace-period"),
    breaks(WORKER, "value: \"10\"", "value: many", "environment"),
    breaks(WORKER, "value: \"20\"", "value: \"21\"", "environment"),
    breaks(WORKER, "name: PREFETCH\n              value: auto", "name: PREFETCH\n              value: lots", "environment"),
    breaks(WORKER, "value: \"10\"", "value: 10", "refused"),
    breaks(WORKER, "name: CONCURRENCY", "name: CONCURENCY", "setting-name"),
    breaks(WORKER, "name: DRAIN_BUDGET_MS", "name: DRAIN_BUDGET", "setting-name"),
    breaks(WORKER, "name: WAIT_TIME_SECS", "name: WAIT_TIME_SEC", "setting-name"),
    breaks(WORKER, "value: \"1\"", "value: \"2\"", "cpu-limit"),
    breaks(WORKER, "cpu: \"1\"", "cpu: 500m", "cpu-limit"),
    breaks(WORKER, "memory: 256Mi", "memory: 100Mi", "memory-limit"),
    breaks(WORKER, "name: PREFETCH\n              value: auto", "name: MAX_IN_HAND_MIB\n              value: \"512\"", "memory-limit"),
    breaks(WORKER, "              cpu: \"1\"\n", "", "resources"),
    breaks(WORKER, "              memory: 256Mi\n", "", "resources"),
    breaks(WORKER, "            requests:\n              cpu: 250m\n              memory: 64Mi\n              ephemeral-storage: 64Mi\n            limits:\n              cpu: \"1\"\n", "            limits:\n", "resources"),
    breaks(WORKER, "containerPort: 8081", "containerPort: 8080", "ports"),
    breaks(WORKER, "0.0.0.0:8081", "127.0.0.1:8081", "ports"),
    breaks(WORKER, "0.0.0.0:8081", "0.0.0.0:9090", "ports"),
    breaks(WORKER, "path: /readyz\n              port: admin", "path: /readyz\n              port: http", "ports"),
    breaks(WORKER, "path: /readyz", "path: /ready", "ports"),
    breaks(WORKER, "path: /readyz", "path: /healthz", "probe"),
    breaks(WORKER, "livenessProbe:\n            httpGet:\n              path: /healthz", "livenessProbe:\n            httpGet:\n              path: /readyz", "probe"),
    breaks(WORKER, "startupProbe:\n            httpGet:\n              path: /healthz", "startupProbe:\n            httpGet:\n              path: /readyz", "probe"),
    breaks(WORKER, "path: /readyz\n              port: admin", "path: /readyz\n              port: admin\n              scheme: HTTPS", "probe"),
    breaks(WORKER, "image: twinscale-worker", "image: twinscale-worker:latest", "image"),
    breaks(WORKER, "image: twinscale-worker", "image: registry.example.com:5000/worker", "image"),
    breaks(WORKER, "image: twinscale-worker", "image: <account>.dkr.ecr.us-east-1.amazonaws.com/worker:1", "placeholder"),
    breaks(WORKER, "serviceAccountName: worker", "serviceAccountName: workers", "service-account"),
    breaks(WORKER, "      serviceAccountName: worker\n", "", "service-account"),
    breaks(WORKER, "name: target #", "name: targets #", "config-map"),
    breaks(WORKER, "            - configMapRef:\n                name: settings", "            - configMapRef:\n                name: setting", "config-map"),
    breaks(WORKER, "spec:\n  # No", "spec:\n  replicas: 3\n  # No", "replicas"),
    breaks(WORKER, "name: SEND\n              value: \"off\"", "name: RECEIVE\n              value: \"off\"", "receive-off"),
    breaks(WORKER, "name: SEND\n              value: \"off\"", "name: EXIT_WHEN_IDLE_SECS\n              value: \"30\"", "exit-when-idle"),
    breaks(WORKER, "name: SEND\n              value: \"off\"", "name: HANDLER_TIMEOUT_MS\n              value: \"26000\"", "drain-budget"),
    breaks(WORKER, "value: \"10\"", "value: \"100\"", "queue-length"),
    breaks(WORKER, "name: PREFETCH\n              value: auto", "name: SEND_TOKENS\n              value: abc", "setting-name"),
    breaks(WORKER, "  template:\n    metadata:\n      labels:\n        app.kubernetes.io/component: worker", "  template:\n    metadata:\n      labels:\n        app.kubernetes.io/component: job", "selector"),
    // What scales it.
    breaks(SCALER, "queueLength: \"10\"", "queueLength: \"11\"", "queue-length"),
    breaks(SCALER, "queueLength: \"10\"", "queueLength: \"4\"", "queue-length"),
    breaks(SCALER, "queueLength: \"10\"", "queueLength: 10", "refused"),
    breaks(SCALER, "scaleOnInFlight: \"true\"", "scaleOnInFlight: \"yes\"", "refused"),
    breaks(SCALER, "maxReplicaCount: 15", "maxReplicaCount: 0", "refused"),
    breaks(SCALER, "        queueURLFromEnv: QUEUE_URL\n", "", "refused"),
    breaks(SCALER, "queueURLFromEnv: QUEUE_URL", "queueURLFromEnv: DLQ_URL", "scaled-queue"),
    breaks(SCALER, "queueURLFromEnv: QUEUE_URL", "queueURLFromEnv: SQS_URL", "scaled-queue"),
    breaks(SCALER, "type: aws-sqs-queue", "type: aws-cloudwatch", "no-trigger"),
    breaks(SCALER, "scaleTargetRef:\n    name: worker", "scaleTargetRef:\n    name: workers", "scale-target"),
    breaks(SCALER, "metadata:\n  name: worker", "metadata:\n  name: worker\n  namespace: elsewhere", "scale-target"),
    breaks(SCALER, "metadata:\n  name: worker", "metadata:\n  name: worker\n  annotations: {autoscaling.keda.sh/paused: \"true\"}", "paused"),
    breaks(SCALER, "metadata:\n  name: worker", "metadata:\n  name: worker\n  annotations: {autoscaling.keda.sh/paused-replicas: \"0\"}", "paused"),
    breaks(SCALER, "apiVersion: keda.sh/v1alpha1\n", "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: own\nspec: {scaleTargetRef: {kind: Deployment, name: worker}, maxReplicas: 3}\n---\napiVersion: keda.sh/v1alpha1\n", "two-scalers"),
    breaks(SCALER, "authenticationRef:\n        name: keda", "authenticationRef:\n        name: keda-aws", "authentication"),
    breaks(SCALER, "      authenticationRef:\n        name: keda\n", "", "authentication"),
    breaks(SCALER, "awsRegion: us-east-1", "awsRegion: eu-west-1", "region"),
    breaks(KEDA, "name: keda", "name: kedas", "authentication"),
    breaks(KEDA, "identityOwner: keda", "identityOwner: workload", "authentication"),
    // What else is beside it.
    breaks(BUDGET, "maxUnavailable: 50%", "maxUnavailable: 0", "disruption-budget"),
    breaks(BUDGET, "maxUnavailable: 50%", "minAvailable: 100%", "disruption-budget"),
    breaks(BUDGET, "maxUnavailable: 50%", "minAvailable: 1", "disruption-budget"),
    breaks(BUDGET, "app.kubernetes.io/component: worker", "app.kubernetes.io/component: workers", "selector"),
    breaks(POLICY, "  podSelector:\n    matchLabels:\n      app.kubernetes.io/component: worker", "  podSelector:\n    matchLabels:\n      app.kubernetes.io/component: workers", "selector"),
    breaks(POLICY, "{ port: 443, protocol: TCP }", "{ port: 8443, protocol: TCP }", "egress"),
    breaks(POLICY, "        - { port: 53, protocol: UDP }\n", "", "egress"),
    breaks(POLICY, "{ port: 80, protocol: TCP }", "{ port: 8080, protocol: TCP }", "egress"),
    breaks(POLICY, "    - to: # the agent of EKS Pod Identity, on the node; by its second address in clusters of IPv6\n        - ipBlock:\n            cidr: 169.254.170.23/32\n        - ipBlock:\n            cidr: fd00:ec2::23/128\n      ports:\n        - { port: 80, protocol: TCP }\n", "", "egress"),
    breaks(SETTINGS, "LOG_LEVEL=info", "LOG_LEVEL=info\nORDERS_URL=postgres://orders.db/orders", "egress"),
    breaks(ACCOUNT, "name: worker", "name: workers", "service-account"),
    breaks(MONITOR, "port: admin", "port: http", "ports"),
    breaks(MONITOR, "path: /metrics", "path: /prometheus", "ports"),
    breaks(MONITOR, "app.kubernetes.io/name: twinscale\n  podMetricsEndpoints", "app.kubernetes.io/name: other\n  podMetricsEndpoints", "selector"),
    breaks(SENDER, "targetPort: http", "targetPort: web", "service"),
    breaks(SENDER, "  selector:\n    app.kubernetes.io/name: twinscale\n    app.kubernetes.io/component: sender\n  ports", "  selector:\n    app.kubernetes.io/component: send\n  ports", "service"),
    breaks(SENDER, "- { port: 8080, protocol: TCP }", "- { port: 8443, protocol: TCP }", "ingress"),
    breaks(SENDER, "  ingress:\n    - ports:\n        - { port: 8080, protocol: TCP }\n", "  ingress: []\n", "ingress"),
    breaks(SENDER, "maxUnavailable: 1", "minAvailable: 2", "disruption-budget"),
    breaks(SENDER, "            - name: SEND_TOKEN\n              valueFrom:\n                secretKeyRef:\n                  name: sender\n                  key: SEND_TOKEN\n", "", "environment"),
    // Which queue.
    breaks(TARGET, "AWS_REGION=us-east-1", "AWS_REGION=eu-west-1", "region"),
    breaks(TARGET, "/twinscale-dead", "/twinscale", "dead-letter-queue"),
    breaks(TARGET, "/twinscale-dead", "/other-dead", "dead-letter-queue"),
    breaks(TARGET, "/123456789012/twinscale\n", "/123456789012/twinscale-dead\n", "dead-letter-queue"),
    breaks(TARGET, "/123456789012/twinscale\n", "/123456789012/old\n", "twins"),
    breaks(TARGET, "/123456789012/twinscale\n", "/<account>/twinscale\n", "placeholder"),
    breaks(TARGET, "/twinscale-dead", "/twinscale-dead.fifo", "environment"),
    breaks(TARGET, "sqs.us-east-1.amazonaws.com/123456789012/twinscale-dead", "sqs.eu-west-1.amazonaws.com/123456789012/twinscale-dead", "region"),
    breaks(TARGET, "QUEUE_URL=", "QUEUE_ULR=", "environment"),
    breaks(SETTINGS, "WORK_WAIT=uniform:1s-2.5s", "WORK_WAIT=constant:1s", "twins"),
    breaks(SETTINGS, "BACKOFF_MAX_SECS=900", "BACKOFF_MAX_SEC=900", "setting-name"),
    breaks(SETTINGS, "BACKOFF_BASE_SECS=1", "BACKOFF_BASE_SECS=901", "environment"),
    breaks(SHARED, "max_receive_count: 10", "max_receive_count: 7", "twins"),
    breaks(SHARED, "WORK_SEED: \"1\"", "WORK_SEED: \"2\"", "twins"),
    // The function and its mapping.
    breaks(TEMPLATE, "Default: 30\n    MinValue: 1\n    MaxValue: 900", "Default: 31\n    MinValue: 1\n    MaxValue: 900", "visibility-timeout"),
    breaks(TEMPLATE, "Default: 30\n    MinValue: 1\n    MaxValue: 900", "Default: 901\n    MinValue: 1\n    MaxValue: 900", "refused"),
    breaks(TEMPLATE, "            FunctionResponseTypes: [ReportBatchItemFailures]\n", "", "partial-batch"),
    breaks(TEMPLATE, "              - MaximumConcurrency: !Ref MaximumConcurrency\n", "              - !Ref AWS::NoValue\n", "maximum-concurrency"),
    breaks(TEMPLATE, "Default: 100\n    MinValue: 2\n    MaxValue: 1000", "Default: 1\n    MinValue: 1\n    MaxValue: 1000", "refused"),
    breaks(TEMPLATE, "Default: 10\n    MinValue: 1\n    MaxValue: 10000", "Default: 100\n    MinValue: 1\n    MaxValue: 10000", "refused"),
    breaks(TEMPLATE, "Default: 0\n    MinValue: 0\n    MaxValue: 200", "Default: 1\n    MinValue: 0\n    MaxValue: 200", "refused"),
    breaks(TEMPLATE, "Default: 512\n    MinValue: 128", "Default: 100\n    MinValue: 128", "refused"),
    breaks(TEMPLATE, "Default: 512\n    MinValue: 128", "Default: 1769\n    MinValue: 128", "cpu-limit"),
    breaks(TEMPLATE, "Default: arm64", "Default: arm", "refused"),
    breaks(TEMPLATE, "    Default: \"0.289\"\n", "    Default: \"0,289\"\n    AllowedPattern: \"[0-9.]+\"\n", "refused"),
    breaks(TEMPLATE, "    Default: \"\"\n    NoEcho: true\n", "    Default: \"\"\n    MinLength: 32\n    NoEcho: true\n", "refused"),
    breaks(TEMPLATE, "Default: 30\n    AllowedValues: [1", "Default: 31\n    AllowedValues: [1", "refused"),
    breaks(TEMPLATE, "Default: AWS_IAM", "Default: NONE", "refused"),
    breaks(TEMPLATE, "AuthType: !Ref HttpAuth", "AuthType: NONE", "open-send"),
    breaks(TEMPLATE, "SEND_AUTH: !If [OpenToAll, token, iam]", "SEND_AUTH: token", "environment"),
    breaks(TEMPLATE, "            BatchSize: !Ref BatchSize\n", "            BatchSize: !Ref BatchSize\n            Enabled: false\n", "mapping-disabled"),
    breaks(TEMPLATE, "      Role: !GetAtt SqsRole.Arn\n      Environment", "      Role: !GetAtt SqsRole.Arn\n      ReservedConcurrentExecutions: 0\n      Environment", "refused"),
    breaks(TEMPLATE, "      Role: !GetAtt SqsRole.Arn\n      Environment", "      Role: !GetAtt SqsRole.Arn\n      ReservedConcurrentExecutions: 50\n      Environment", "reserved-concurrency"),
    breaks(TEMPLATE, "      Role: !GetAtt SqsRole.Arn\n      Environment", "      Environment", "permission"),
    breaks(TEMPLATE, "      Role: !GetAtt SqsRole.Arn\n      Environment", "      Role: !GetAtt HttpRole.Arn\n      Environment", "missing-permission"),
    breaks(TEMPLATE, "FUNCTION_CONCURRENCY: !Ref FunctionConcurrency\n          WORK_CPU_LIMIT: !Ref", "FUNCTION_CONCURENCY: !Ref FunctionConcurrency\n          WORK_CPU_LIMIT: !Ref", "setting-name"),
    breaks(TEMPLATE, "Default: 10\n    MinValue: 1\n    Description: Messages of a batch", "Default: 0\n    MinValue: 0\n    Description: Messages of a batch", "environment"),
    breaks(TEMPLATE, "WORK_RETRY_SHARE: \"0\"", "WORK_RETRY_SHARE: \"0.1\"", "twins"),
    // Its queues.
    breaks(TEMPLATE, "Default: 180\n", "Default: 240\n", "twins"),
    breaks(TEMPLATE, "Default: 10\n    MinValue: 1\n    MaxValue: 1000\n    Description: 5", "Default: 3\n    MinValue: 1\n    MaxValue: 1000\n    Description: 5", "max-receive-count"),
    breaks(TEMPLATE, "Default: 1209600\n", "Default: 345600\n", "dead-letter-retention"),
    breaks(TEMPLATE, "      RedrivePolicy:\n        deadLetterTargetArn: !GetAtt DeadLetterQueue.Arn\n        maxReceiveCount: !Ref MaxReceiveCount\n", "", "no-redrive"),
    breaks(TEMPLATE, "deadLetterTargetArn: !GetAtt DeadLetterQueue.Arn", "deadLetterTargetArn: !GetAtt Queue.Arn", "dead-letter-queue"),
    breaks(TEMPLATE, "        redrivePermission: byQueue\n", "        redrivePermission: denyAll\n", "redrive-allow"),
    breaks(TEMPLATE, ":${AWS::AccountId}:${AWS::StackName}\"\n\n  JournalQueue", ":${AWS::AccountId}:other\"\n\n  JournalQueue", "redrive-allow"),
    breaks(TEMPLATE, "DLQ_URL: !Ref DeadLetterQueue\n          JOURNAL_QUEUE_URL: !If [WithJournal, !Ref JournalQueue, \"\"]\n          IDEMPOTENCY_TABLE: !If [WithIdempotency, !Ref KeysTable, \"\"]\n          FUNCTION_CONCURRENCY: !Ref FunctionConcurrency\n          WORK_CPU_LIMIT: !Ref", "DLQ_URL: !Ref Queue\n          FUNCTION_CONCURRENCY: !Ref FunctionConcurrency\n          WORK_CPU_LIMIT: !Ref", "dead-letter-queue"),
    breaks(TEMPLATE, "      QueueName: !Ref AWS::StackName\n", "      QueueName: jobs\n      FifoQueue: true\n", "refused"),
    breaks(TEMPLATE, "      QueueName: !Ref AWS::StackName\n", "      QueueName: jobs.fifo\n      FifoQueue: true\n", "fifo"),
    breaks(TEMPLATE, "            BatchSize: !Ref BatchSize\n            MaximumBatchingWindowInSeconds: !Ref BatchingWindow\n", "            BatchSize: 11\n            MaximumBatchingWindowInSeconds: 301\n", "refused"),
    // Its roles and policies.
    breaks(TEMPLATE, "[\"sqs:ReceiveMessage\", \"sqs:DeleteMessage\", ", "[\"sqs:ReceiveMessage\", ", "missing-permission"),
    breaks(TEMPLATE, "[\"sqs:ReceiveMessage\", \"sqs:DeleteMessage\", \"sqs:ChangeMessageVisibility\", ", "[\"sqs:ReceiveMessage\", \"sqs:DeleteMessage\", ", "missing-permission"),
    breaks(TEMPLATE, "                Action: [\"sqs:SendMessage\"]\n                Resource: !GetAtt DeadLetterQueue.Arn", "                Action: [\"sqs:SendMessage\"]\n                Resource: !GetAtt Queue.Arn", "missing-permission"),
    breaks(TEMPLATE, "Action: [\"sqs:SendMessage\", \"sqs:GetQueueAttributes\"]", "Action: [\"sqs:GetQueueAttributes\"]", "missing-permission"),
    breaks(TEMPLATE, "                Resource: !GetAtt Queue.Arn\n              - Sid: Reject", "                Resource: \"*\"\n              - Sid: Reject", "permission"),
    breaks(TEMPLATE, "[\"sqs:ReceiveMessage\", ", "[\"sqs:*\", ", "permission"),
    breaks(TEMPLATE, "      KmsMasterKeyId: !If [WithKey, !Ref KmsKeyArn, !Ref AWS::NoValue]\n      RedrivePolicy", "      KmsMasterKeyId: arn:aws:kms:us-east-1:123456789012:key/a\n      RedrivePolicy", "kms-permission"),
    breaks(TEMPLATE, "            Principal: { Service: lambda.amazonaws.com }", "            Principal: { Service: ec2.amazonaws.com }", "trust"),
    breaks(TEMPLATE, "            Action: sts:AssumeRole\n", "            Action: sts:TagSession\n", "trust"),
    breaks(TEMPLATE, "            Condition:\n              Bool: { \"aws:SecureTransport\": \"false\" }\n", "", "queue-policy"),
    breaks(TEMPLATE, "Bool: { \"aws:SecureTransport\": \"false\" }", "Bool: { \"aws:SecureTransport\": \"true\" }", "queue-policy"),
    breaks(TEMPLATE, "            Effect: Deny\n            Principal: \"*\"\n            Action: \"sqs:*\"\n            Resource: !GetAtt Queue.Arn\n            Condition:\n              Bool: { \"aws:SecureTransport\": \"false\" }\n", "            Effect: Allow\n            Principal: \"*\"\n            Action: \"sqs:SendMessage\"\n            Resource: !GetAtt Queue.Arn\n", "permission"),
    // What terraform made.
    breaks(STATE, r#"\"sqs:DeleteMessage\","#, "", "missing-permission"),
    breaks(STATE, r#"\"sqs:ChangeMessageVisibility\","#, "", "missing-permission"),
    breaks(STATE, r#",\"sqs:ReceiveMessage\""#, "", "missing-permission"),
    breaks(STATE, r#"\"Resource\":\"arn:aws:sqs:us-east-1:123456789012:twinscale-dead\",\"Sid\":\"Reject\""#, r#"\"Resource\":\"arn:aws:sqs:us-east-1:123456789012:twinscale\",\"Sid\":\"Reject\""#, "missing-permission"),
    breaks(STATE, r#",\"sqs:SendMessage\""#, "", "missing-permission"),
    breaks(STATE, r#"\"dynamodb:UpdateItem\""#, r#"\"dynamodb:GetItem\""#, "missing-permission"),
    breaks(STATE, r#"[\"sqs:GetQueueAttributes\"]"#, r#"[\"sqs:GetQueueUrl\"]"#, "keda-role"),
    breaks(STATE, r#"[\"sqs:GetQueueAttributes\"]"#, r#"[\"sqs:*\"]"#, "permission"),
    breaks(STATE, r#""sqs_managed_sse_enabled": true,"#, r#""kms_master_key_id": "arn:aws:kms:us-east-1:123456789012:key/a","#, "kms-permission"),
    breaks(STATE, r#"\"sts:AssumeRole\",\"sts:TagSession\""#, r#"\"sts:AssumeRole\""#, "trust"),
    breaks(STATE, "pods.eks.amazonaws.com", "ec2.amazonaws.com", "trust"),
    breaks(STATE, r#""service_account": "worker""#, r#""service_account": "workers""#, "pod-identity"),
    breaks(STATE, "\"namespace\": \"twinscale\",\n      \"region\": \"us-east-1\",\n      \"role_arn\": \"arn:aws:iam::123456789012:role/twinscale-consume\"", "\"namespace\": \"other\",\n      \"region\": \"us-east-1\",\n      \"role_arn\": \"arn:aws:iam::123456789012:role/twinscale-consume\"", "namespace"),
    breaks(STATE, r#""namespace": "keda""#, r#""namespace": "kube-system""#, "keda-account"),
    breaks(STATE, r#""service_account": "keda-operator""#, r#""service_account": "keda""#, "keda-account"),
    breaks(STATE, r#"\"redrivePermission\":\"byQueue\""#, r#"\"redrivePermission\":\"denyAll\""#, "redrive-allow"),
    breaks(STATE, r#"\"sourceQueueArns\":[\"arn:aws:sqs:us-east-1:123456789012:twinscale\"]"#, r#"\"sourceQueueArns\":[\"arn:aws:sqs:us-east-1:123456789012:other\"]"#, "redrive-allow"),
    breaks(STATE, r#"\"maxReceiveCount\":10"#, r#"\"maxReceiveCount\":3"#, "max-receive-count"),
    breaks(STATE, r#""visibility_timeout_seconds": 180"#, r#""visibility_timeout_seconds": 60"#, "twins"),
    breaks(STATE, r#""message_retention_seconds": 1209600"#, r#""message_retention_seconds": 345600"#, "dead-letter-retention"),
    breaks(STATE, r#"\"aws:SecureTransport\":\"false\""#, r#"\"aws:SecureTransport\":\"true\""#, "queue-policy"),
    breaks(STATE, r#"\"Effect\":\"Deny\""#, r#"\"Effect\":\"Deny\",\"Condition\":null"#, "queue-policy"),
    breaks(STATE, r#""redrive_policy": "{"#, r#""redrive": "{"#, "no-redrive"),
    breaks(STATE, r#""role": "twinscale-consume""#, r#""role": "another""#, "missing-permission"),
    breaks(STATE, r#"\"Effect\":\"Allow\",\"Resource\":\"arn:aws:sqs:us-east-1:123456789012:twinscale\",\"Sid\":\"Consume\""#, r#"\"Effect\":\"Deny\",\"Resource\":\"arn:aws:sqs:us-east-1:123456789012:twinscale\",\"Sid\":\"Consume\""#, "missing-permission"),
    breaks(STATE, r#""fifo_queue": false"#, r#""fifo_queue": true"#, "fifo"),
];

/// The files that ship, by their names.
fn files() -> BTreeMap<&'static str, String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |file: &'static str| {
        let path =
            if file == STATE { format!("{root}/tests/validate/{file}") } else { format!("{root}/assets/{file}") };
        (file, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
    };
    let others = [TEMPLATE, STATE, SHARED];
    let mut files: BTreeMap<_, _> = OBJECTS.into_iter().chain(others).map(read).collect();
    // What terraform writes into its output kustomize_target.
    let target = files.get_mut(TARGET).expect("it was read");
    for variable in ["DLQ_URL=dead", "JOURNAL_QUEUE_URL=journal"] {
        let line = variable.replace('=', "=https://sqs.us-east-1.amazonaws.com/123456789012/twinscale-");
        target.push_str(&format!("{line}\n"));
    }
    target.push_str("IDEMPOTENCY_TABLE=twinscale-keys\n");
    files
}

/// What is checked of these files.
fn inputs(files: &BTreeMap<&'static str, String>) -> Inputs {
    let mut inputs = Inputs::default();
    for file in [WORKER, STATE, TEMPLATE, SHARED] {
        take(file, files, &mut inputs);
    }
    inputs
}

/// Reads a file again, and what is read together with it.
fn take(file: &str, files: &BTreeMap<&'static str, String>, inputs: &mut Inputs) {
    match file {
        STATE => inputs.terraform = Some(Terraform::read(STATE, &files[STATE]).expect(STATE)),
        TEMPLATE => {
            inputs.template = Some(Template::read(TEMPLATE, &files[TEMPLATE], &Given::default()).expect(TEMPLATE));
        }
        SHARED => inputs.settings = Some(documents(SHARED, &files[SHARED]).expect(SHARED).remove(0)),
        _ => {
            (inputs.kubernetes, inputs.refused) = (Vec::new(), Vec::new());
            for file in OBJECTS {
                inputs.take_kubernetes(file, &rendered(file, &files[file]), &Given::default()).expect(file);
            }
        }
    }
}

/// A file of Kubernetes as kustomize makes it: an `.env` file is a ConfigMap, the image has a tag, and every object the
/// namespace and the label that the base gives them.
fn rendered(file: &str, text: &str) -> String {
    if let Some((_, name)) = file.strip_suffix(".env").and_then(|path| path.rsplit_once('/')) {
        let entries = text.lines().filter_map(|line| line.split_once('='));
        let data: String = entries.map(|(key, value)| format!("  {key}: \"{value}\"\n")).collect();
        return format!("kind: ConfigMap\nmetadata: {{name: {name}, namespace: twinscale}}\ndata:\n{data}");
    }
    let mut lines = Vec::new();
    let mut has_namespace = text.contains("\n  namespace: ");
    for line in text.lines() {
        let indentation = &line[..line.len() - line.trim_start().len()];
        // The sender's files have the label themselves.
        let is_label = line.trim_start().starts_with("app.kubernetes.io/component: ");
        if is_label && !text.contains("app.kubernetes.io/name: ") {
            lines.push(format!("{indentation}app.kubernetes.io/name: twinscale"));
        }
        lines.push(match line.trim() {
            "image: twinscale-worker" => {
                format!("{indentation}image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/twinscale-worker:0.1.0")
            }
            _ => line.to_owned(),
        });
        if line == "metadata:" && !has_namespace {
            lines.push("  namespace: twinscale".to_owned());
        }
        has_namespace &= line != "---";
    }
    lines.join("\n")
}

fn told(found: &[Finding]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_files_that_ship_raise_nothing() {
    let found = validate(&inputs(&files()));
    assert!(found.is_empty(), "{}", told(&found));
}

#[test]
fn every_way_to_break_them_is_caught_by_its_rule_with_file_and_line() {
    let whole = files();
    let unbroken = inputs(&whole);
    let mut wrong = Vec::new();
    for Mutation { file, from, to, rule } in MUTATIONS {
        let broken = whole[file].replacen(from, to, 1);
        assert_ne!(broken, whole[file], "nothing was replaced in {file}: {from}");
        let mut files = whole.clone();
        files.insert(file, broken);
        let mut inputs = unbroken.clone();
        take(file, &files, &mut inputs);
        let found = validate(&inputs);
        let of_rule: Vec<_> = found.iter().filter(|finding| finding.rule.id() == *rule).collect();
        if of_rule.is_empty() {
            wrong.push(format!("{file}: {from:?} → {to:?} is not caught by {rule}, but by:\n{}", told(&found)));
        }
        // Lines of terraform's JSON mean nothing.
        let placed = |finding: &&Finding| finding.place.line.is_some() || finding.place.file == STATE;
        if !of_rule.iter().all(placed) {
            wrong.push(format!("{file}: {from:?} has a finding without a line:\n{}", told(&found)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(MUTATIONS.len() >= 90, "{}", MUTATIONS.len());
}
