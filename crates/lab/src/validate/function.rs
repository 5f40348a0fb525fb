//! Checks of the function and of the event source mapping that invokes it.

use twinscale::{Config, Host};

use super::finding::{Findings, Place};
use super::http::check_front;
use super::permissions::resource_of;
use super::queues::PlacedQueue;
use super::rule::Rule;
use super::{cpu_told, lookup};
use super::{dead_letters, settings};
use crate::manifests::{Function, MEMORY_SIZE, Template};

/// Memory that buys one vCPU on Lambda's own, in MB.
const MB_PER_VCPU: f64 = 1769.0;

/// vCPUs that the function has: on Managed Instances by their own ratio.
fn share(function: &Function) -> f64 {
    let on_lambda = f64::from(function.memory_mb) / MB_PER_VCPU;
    function.managed.as_ref().map_or(on_lambda, |managed| managed.vcpu)
}

/// Checks the function that a queue invokes, and those that send.
pub(super) fn check_all(
    template: &Template,
    consumer: Option<&Function>,
    queues: &[PlacedQueue],
    findings: &mut Findings,
) {
    let resolved = template.to_json();
    if let Some(function) = consumer {
        check(template, function, findings);
        let place = |name: &str| Place::of_function(template, function, &format!("Environment/Variables/{name}"));
        settings::check(&function.environment, &place, findings);
        let variables = &resolved["Resources"][&function.name]["Properties"]["Environment"]["Variables"];
        let dead = resource_of(&variables["DLQ_URL"]);
        dead_letters::check_function(function, dead, queues, place("DLQ_URL"), findings);
    }
    check_front(template, &resolved, findings);
}

fn check(template: &Template, function: &Function, findings: &mut Findings) {
    let at = |field: &str| Place::of_function(template, function, field);
    check_mapping(function, &at, findings);
    check_concurrency(function, &at, findings);
    if !function.enabled {
        let what = "the mapping is switched off (Enabled: false): nothing polls, and the queue fills up";
        findings.add(Rule::MappingDisabled, at("Enabled"), what, "leave Enabled out");
    }
    let six_times = 6 * function.timeout;
    if let Some(queue) = function.queue.as_ref().filter(|queue| queue.visibility < six_times) {
        findings.add(
            Rule::VisibilityTimeout,
            Place::of_resource(template, &queue.name, "Properties/VisibilityTimeout"),
            format!(
                "VisibilityTimeout is {} s and the function's timeout {} s. Lambda retries a throttled batch until its \
                 visibility ends, and then its messages are received again elsewhere",
                queue.visibility.as_secs(),
                function.timeout.as_secs(),
            ),
            format!("write {} or more (six times)", six_times.as_secs()),
        );
    }
    match Config::default().read(Host::Function, &lookup(&function.environment)) {
        Err(errors) => {
            for error in errors.0 {
                let place = at(&format!("Environment/Variables/{}", error.variable));
                findings.setting(place, &error);
            }
        }
        Ok(_) => {
            let share = share(function);
            let told = cpu_told(&function.environment).filter(|told| (told - share).abs() > 0.05 * share);
            if let Some(told) = told {
                findings.add(
                    Rule::CpuLimit,
                    at("Environment/Variables/WORK_CPU_LIMIT"),
                    format!(
                        "its {MEMORY_SIZE} of {} MB buys {share:.3} vCPUs, and WORK_CPU_LIMIT says {told}: the handler that \
                         ships would compute as if it had them",
                        function.memory_mb
                    ),
                    format!("write {share:.3}"),
                );
            }
        }
    }
}

fn check_mapping(function: &Function, at: &dyn Fn(&str) -> Place, findings: &mut Findings) {
    if !function.mapping.report_batch_item_failures {
        findings.add(
            Rule::PartialBatch,
            at("FunctionResponseTypes"),
            "FunctionResponseTypes lacks ReportBatchItemFailures: Lambda would delete the whole batch, failed messages too",
            "write FunctionResponseTypes: [ReportBatchItemFailures]",
        );
    }
    if function.mapping.maximum_concurrency.is_none() && function.mapping.provisioned.is_none() {
        findings.add(
            Rule::MaximumConcurrency,
            at("ScalingConfig"),
            "a burst may take the account's whole concurrency, and throttled batches raise their messages' receive counts",
            "write ScalingConfig.MaximumConcurrency",
        );
    }
}

/// Reserved concurrency below what the mapping invokes with: the rest is throttled.
fn check_concurrency(function: &Function, at: &dyn Fn(&str) -> Place, findings: &mut Findings) {
    // A mapping without a maximum begins with five batches at once.
    let needed = function.mapping.maximum_concurrency.unwrap_or(5);
    if let Some(reserved) = function.reserved_concurrency.filter(|reserved| *reserved < needed) {
        findings.add(
            Rule::ReservedConcurrency,
            at("ReservedConcurrentExecutions"),
            format!(
                "ReservedConcurrentExecutions is {reserved}, and its mapping invokes it up to {needed} times at once: Lambda \
                 throttles the rest, and each throttled batch counts as a receive"
            ),
            format!("write {needed} or more, or lower ScalingConfig.MaximumConcurrency"),
        );
    }
}
