//! What the engines make of each setting of the service: nothing of it is dropped without a word.

use twinscale::unstable::config::{Host, SETTINGS};

/// What a setting means to the engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// The simulator and the processes follow it.
    Modelled,
    /// It says where something is, or what is told of it, and changes no figure.
    NoBearing,
    /// It would change figures, and no engine follows it: what they assume instead.
    LeftOut(&'static str),
}

/// What a variable of `host` means; `None` where it is no setting of the service, but the handler's own.
pub(super) fn coverage(host: Host, variable: &str) -> Option<Coverage> {
    let setting = SETTINGS.iter().find(|setting| setting.variables.contains(&variable))?;
    if !setting.hosts.contains(&host) {
        return Some(Coverage::NoBearing);
    }
    Some(match variable {
        "CONCURRENCY"
        | "PREFETCH"
        | "RECEIVE_MIN_ROOM"
        | "RECEIVE_LINGER_MS"
        | "WAIT_TIME_SECS"
        | "DELETE_LINGER_MS"
        | "DRAIN_BUDGET_MS"
        | "EXIT_WHEN_IDLE_SECS"
        | "BACKOFF_BASE_SECS"
        | "BACKOFF_MAX_SECS"
        | "FUNCTION_CONCURRENCY"
        | "DEADLINE_MARGIN_MS" => Coverage::Modelled,
        "ADMIN_ADDR"
        | "ADMIN_ADDR_FILE"
        | "HTTP_CLOSE_DELAY_MS"
        | "SEND_AUTH"
        | "QUEUE_URL"
        | "DLQ_URL"
        | "ATTEMPT_TIMEOUT_MS"
        | "UNWRAP_SNS"
        | "HTTP_ADDR"
        | "HTTP_ADDR_FILE"
        | "SEND"
        | "SEND_TOKEN"
        | "SEND_LIMIT"
        | "LOG_FORMAT"
        | "LOG_LEVEL"
        | "RUST_LOG"
        | "OTEL_EXPORTER_OTLP_ENDPOINT"
        | "OTEL_SERVICE_NAME" => Coverage::NoBearing,
        "JOURNAL_QUEUE_URL" => Coverage::LeftOut("its records are no requests here"),
        "FUNCTION_METRICS" => Coverage::LeftOut("logs are priced as the price file says"),
        "MAX_IN_HAND_MIB" => Coverage::LeftOut("bodies take no room in a worker"),
        "VISIBILITY_TIMEOUT_SECS" => Coverage::LeftOut("the queue's visibility timeout holds"),
        "HEARTBEAT" | "HEARTBEAT_MS" => Coverage::LeftOut("what is held is extended at half the visibility timeout"),
        "HANDLER_TIMEOUT_MS" => Coverage::LeftOut("no handler is aborted before the host's own time is up"),
        "IDEMPOTENCY" | "IDEMPOTENCY_TABLE" | "IDEMPOTENCY_LEASE_SECS" | "IDEMPOTENCY_TTL_SECS" => {
            Coverage::LeftOut("claims take no time and cost nothing")
        }
        "ADAPTIVE_CONCURRENCY" | "CONCURRENCY_FLOOR" => Coverage::LeftOut("CONCURRENCY holds, whatever handlers take"),
        "RECEIVE" => Coverage::LeftOut("every pod receives"),
        // A new setting, until somebody has said above what it means: the test below fails.
        _ => Coverage::LeftOut("the engines do not know it"),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::Manifest;
    use super::*;
    use crate::processes::hosts::{self, Address, Place};
    use crate::scenario::Scenario;
    use twinscale_sqs::clock::Clock;

    /// A value of each setting that is modelled, other than its default.
    fn another(variable: &str) -> &'static str {
        match variable {
            "CONCURRENCY" | "FUNCTION_CONCURRENCY" => "7",
            "PREFETCH" | "RECEIVE_MIN_ROOM" => "3",
            "WAIT_TIME_SECS" => "11",
            "BACKOFF_BASE_SECS" | "BACKOFF_MAX_SECS" => "600",
            _ => "1234",
        }
    }

    fn read(host: Host, variable: &str) -> (Scenario, Vec<String>) {
        let value = another(variable);
        let (kind, text) = match host {
            Host::Worker => (
                Manifest::Deployment,
                format!(
                    "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n        - name: w\n          \
                     env: [{{name: {variable}, value: \"{value}\"}}]\n          \
                     resources: {{limits: {{cpu: 1, memory: 256Mi}}, requests: {{cpu: 1, memory: 256Mi}}}}\n"
                ),
            ),
            Host::Function | Host::HttpFunction => (
                Manifest::Template,
                format!(
                    "Resources:\n  Queue: {{Type: AWS::SQS::Queue, Properties: {{VisibilityTimeout: 180}}}}\n  \
                     F:\n    Type: AWS::Serverless::Function\n    Properties:\n      MemorySize: 512\n      \
                     Timeout: 30\n      Environment: {{Variables: {{{variable}: \"{value}\"}}}}\n      \
                     Events: {{M: {{Type: SQS, Properties: {{Queue: !GetAtt Queue.Arn}}}}}}\n"
                ),
            ),
        };
        let mut scenario = Scenario::default();
        let warnings = scenario
            .take_manifest(kind, "f.yaml", &text, &crate::manifests::Given::default())
            .unwrap_or_else(|e| panic!("{variable}: {e}"));
        (scenario, warnings)
    }

    #[test]
    fn every_setting_of_the_service_is_modelled_or_named_or_has_no_bearing() {
        for host in [Host::Worker, Host::Function] {
            let (without, _) = read(host, "A_HANDLERS_OWN");
            for variable in SETTINGS.iter().flat_map(|setting| setting.variables) {
                let covered = coverage(host, variable).expect("it is on the list");
                assert_ne!(covered, Coverage::LeftOut("the engines do not know it"), "{variable}");
                let (scenario, warnings) = read(host, variable);
                let named = warnings.iter().any(|warning| warning.contains(variable));
                match covered {
                    Coverage::Modelled => assert!(scenario != without && !named, "{host:?} {variable}: {warnings:?}"),
                    Coverage::NoBearing => assert!(scenario == without && !named, "{host:?} {variable}: {warnings:?}"),
                    Coverage::LeftOut(_) => assert!(scenario == without && named, "{host:?} {variable}: {warnings:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_modelled_is_told_to_the_processes_too() {
        let text = || "x".to_owned();
        let endpoint = text();
        let queue_url = text();
        let queue_arn = text();
        let dlq_url = text();
        let journal_url = text();
        let at = Address { endpoint, queue_url, queue_arn, dlq_url, journal_url };
        let bin_dir = PathBuf::new();
        let folder = PathBuf::new();
        let clock = Clock::new(1.0);
        let place = Place { bin_dir, folder, keep_logs: false, clock, service: None };
        let names = |variables: Vec<(String, String)>| variables.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let scenario = Scenario::default();
        let worker = names(hosts::pod(&scenario, &at, &place).expect("a pod").variables);
        let function = names(hosts::function(&scenario, &at, &place).expect("a function").variables);
        for (host, told) in [(Host::Worker, worker), (Host::Function, function)] {
            let modelled = |variable: &&&str| coverage(host, variable) == Some(Coverage::Modelled);
            for variable in SETTINGS.iter().flat_map(|setting| setting.variables).filter(modelled) {
                // The processes run no jobs, as `Scenario::only_simulated` says.
                assert!(
                    *variable == "EXIT_WHEN_IDLE_SECS" || told.iter().any(|name| name == *variable),
                    "{host:?} {variable}"
                );
            }
        }
    }
}
