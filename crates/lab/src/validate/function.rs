//! Checks of the function and of the event source mapping that invokes it.

use serde_json::{Map, Value};

use twinscale::{Config, Host};

use super::queues::{Queue, resource_of};
use super::{Environment, Findings, cpu_told, lookup, number, text};

/// Memory that buys one vCPU on Lambda's own, in MB.
const MB_PER_VCPU: f64 = 1769.0;

/// The function that consumes a queue.
pub(super) struct Function<'a> {
    /// Its logical name.
    pub at: String,
    /// Seconds.
    pub timeout: u64,
    /// MB.
    pub memory: u64,
    /// vCPUs that this memory buys, where that is known.
    pub share: Option<f64>,
    /// Its environment; references to resources are left out.
    pub environment: Environment,
    /// The properties of its mapping.
    pub mapping: &'a Value,
    /// The queue's logical name.
    pub queue: Option<String>,
}

/// The first function with an SQS event, in a SAM template or in what SAM makes of it.
pub(super) fn consumer(template: &Value) -> Option<Function<'_>> {
    let resources = template["Resources"].as_object()?;
    resources.iter().find_map(|(name, resource)| match resource["Type"].as_str()? {
        "AWS::Serverless::Function" => {
            let events = resource["Properties"]["Events"].as_object()?;
            let event = events.values().find(|event| event["Type"] == "SQS")?;
            Some(function(name, template, &resource["Properties"], &event["Properties"], "Queue"))
        }
        "AWS::Lambda::EventSourceMapping" => {
            let function_name = resource_of(&resource["Properties"]["FunctionName"])?;
            let properties = &resources.get(function_name)?["Properties"];
            Some(function(function_name, template, properties, &resource["Properties"], "EventSourceArn"))
        }
        _ => None,
    })
}

fn function<'a>(name: &str, template: &Value, properties: &Value, mapping: &'a Value, queue: &str) -> Function<'a> {
    let globals = &template["Globals"]["Function"];
    let of = |field: &str| number(&properties[field]).or_else(|| number(&globals[field]));
    let variables = |from: &Value| from["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
    let both: Map<String, Value> = variables(globals).into_iter().chain(variables(properties)).collect();
    let memory = of("MemorySize").unwrap_or(128);
    Function {
        at: name.to_owned(),
        timeout: of("Timeout").unwrap_or(3),
        memory,
        share: share(memory as f64, &properties["CapacityProviderConfig"]),
        environment: both.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
        mapping,
        queue: resource_of(&mapping[queue]).map(str::to_owned),
    }
}

/// On Managed Instances as SAM takes them, or as CloudFormation does, one level down.
fn share(memory_mb: f64, instances: &Value) -> Option<f64> {
    if instances.is_null() {
        return Some(memory_mb / MB_PER_VCPU);
    }
    let settings = [instances, &instances["LambdaManagedInstancesCapacityProviderConfig"]];
    let gib = settings.iter().find_map(|settings| settings["ExecutionEnvironmentMemoryGiBPerVCpu"].as_f64())?;
    Some(memory_mb / 1024.0 / gib)
}

pub(super) fn check(function: &Function, queues: &[Queue], findings: &mut Findings) {
    check_mapping(function, findings);
    let queue = queues.iter().find(|queue| Some(&queue.key) == function.queue.as_ref());
    if let Some(queue) = queue.filter(|queue| queue.visibility < 6 * function.timeout) {
        findings.error(
            "visibility-timeout",
            &queue.at,
            format!(
                "VisibilityTimeout is {} s and the function's timeout {} s: write {} or more (six times). Lambda retries a \
                 throttled batch until its visibility ends, and then its messages are received again elsewhere",
                queue.visibility,
                function.timeout,
                6 * function.timeout
            ),
        );
    }
    match Config::default().read(Host::Function, &lookup(&function.environment)) {
        Err(errors) => errors.0.iter().for_each(|e| findings.error("environment", &function.at, e.to_string())),
        Ok(_) => {
            let told = cpu_told(&function.environment);
            if let Some((told, share)) =
                told.zip(function.share).filter(|(told, share)| (told - share).abs() > 0.05 * share)
            {
                findings.error(
                    "cpu-limit",
                    &function.at,
                    format!(
                        "MemorySize {} MB buys {share:.3} vCPUs, and WORK_CPU_LIMIT says {told}: write {share:.3}",
                        function.memory
                    ),
                );
            }
        }
    }
}

fn check_mapping(function: &Function, findings: &mut Findings) {
    let mapping = function.mapping;
    let batch = number(&mapping["BatchSize"]).unwrap_or(10);
    if batch > 10 && number(&mapping["MaximumBatchingWindowInSeconds"]).unwrap_or(0) == 0 {
        findings.error(
            "batch-window",
            &function.at,
            format!("BatchSize is {batch}: above 10, Lambda wants MaximumBatchingWindowInSeconds of 1 or more"),
        );
    }
    let types = mapping["FunctionResponseTypes"].as_array().into_iter().flatten();
    if !types.into_iter().any(|kind| kind == "ReportBatchItemFailures") {
        findings.error(
            "partial-batch",
            &function.at,
            "FunctionResponseTypes lacks ReportBatchItemFailures: Lambda would delete the whole batch, failed messages too",
        );
    }
    let capped = mapping["ScalingConfig"]["MaximumConcurrency"].is_number();
    if !capped
        && text(&mapping["ScalingConfig"]["MaximumConcurrency"]).is_none()
        && mapping["ProvisionedPollerConfig"].is_null()
    {
        findings.warning(
            "maximum-concurrency",
            &function.at,
            "ScalingConfig.MaximumConcurrency is not set: a burst may take the account's whole concurrency, and throttled \
             batches raise their messages' receive counts",
        );
    }
}
