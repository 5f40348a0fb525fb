//! The one list of settings: what `--help` tells, and the table of docs/settings.md. What reads them is `read`; tests compare.

use super::Host;

const ALL: &[Host] = &[Host::Worker, Host::Function, Host::HttpFunction];
const HANDLING: &[Host] = &[Host::Worker, Host::Function];
const FRONT: &[Host] = &[Host::HttpFunction];
const SENDING: &[Host] = &[Host::Worker, Host::HttpFunction];
const WORKER: &[Host] = &[Host::Worker];
const FUNCTION: &[Host] = &[Host::Function];

/// A setting, or some that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Hosts that it means something to.
    pub hosts: &'static [Host],
    /// The variables.
    pub variables: &'static [&'static str],
    /// What each is where it is not set, in the same order.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Where more of it stands.
    pub more: Option<&'static str>,
}

const fn setting(
    hosts: &'static [Host],
    variables: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
    more: Option<&'static str>,
) -> Setting {
    Setting { hosts, variables, default, meaning, more }
}

/// All settings of the hosts. Those of a handler are its own.
pub const SETTINGS: &[Setting] = &[
    setting(ALL, &["QUEUE_URL"], "(needed)", "the queue, by URL or by name; `lambda-sqs` needs none", None),
    setting(HANDLING, &["DLQ_URL"], "from the queue's redrive policy", "where rejected messages go", None),
    setting(
        HANDLING,
        &["JOURNAL_QUEUE_URL"],
        "none",
        "one record per message, and one when a process is ready and when it stops",
        None,
    ),
    setting(WORKER, &["CONCURRENCY"], "10", "handlers that run at once in a worker", None),
    setting(
        WORKER,
        &["PREFETCH"],
        "auto",
        "messages held beyond that; small, because a give-back counts as a receive. `auto`: what the handlers get done while a receive is under way, at most 100 in hand in all; none where they take longer than that, on FIFO queues, and with `ADAPTIVE_CONCURRENCY`",
        None,
    ),
    setting(
        WORKER,
        &["MAX_IN_HAND_MIB"],
        "64",
        "nothing more is received while the messages in hand hold this many MiB; the worker itself comes on top",
        None,
    ),
    setting(
        WORKER,
        &["RECEIVE_MIN_ROOM"],
        "10",
        "ask when there is room for this many: a receive costs one request for 1 message as for 10",
        None,
    ),
    setting(
        WORKER,
        &["RECEIVE_LINGER_MS"],
        "250",
        "after this long, ask for what room there is; higher saves requests, lower keeps handlers busy",
        None,
    ),
    setting(WORKER, &["WAIT_TIME_SECS"], "20", "long poll", None),
    setting(ALL, &["ATTEMPT_TIMEOUT_MS"], "25000", "one call to SQS; above the long poll", None),
    setting(WORKER, &["DELETE_LINGER_MS"], "1000", "a delete waits this long for nine others", None),
    setting(WORKER, &["VISIBILITY_TIMEOUT_SECS"], "the queue's", "visibility timeout of a receive", None),
    setting(
        WORKER,
        &["HEARTBEAT", "HEARTBEAT_MS"],
        "on, half the timeout",
        "extend the visibility of what is held",
        None,
    ),
    setting(
        HANDLING,
        &["HANDLER_TIMEOUT_MS"],
        "none",
        "a handler that takes longer is aborted, its message retried",
        None,
    ),
    setting(
        HANDLING,
        &["BACKOFF_BASE_SECS", "BACKOFF_MAX_SECS"],
        "1, 900",
        "a retry waits between 0 and min(max, base × 2^(receive count − 1))",
        None,
    ),
    setting(
        HANDLING,
        &["UNWRAP_SNS"],
        "off",
        "the handler sees the notification inside an SNS envelope, and its attributes; raw delivery is left alone",
        None,
    ),
    setting(
        HANDLING,
        &["IDEMPOTENCY_TABLE", "IDEMPOTENCY"],
        "none, off",
        "a redelivered message has its effect once: a DynamoDB table (the image and the SAM build have the feature `dynamodb`), or `memory` for tests and local runs",
        Some("docs/handlers.md"),
    ),
    setting(
        HANDLING,
        &["IDEMPOTENCY_LEASE_SECS", "IDEMPOTENCY_TTL_SECS"],
        "60, 86400",
        "how long a claim holds unless it is renewed, and how long a message that is done is remembered",
        None,
    ),
    setting(WORKER, &["DRAIN_BUDGET_MS"], "25000", "time that work in hand has after SIGTERM", None),
    setting(
        WORKER,
        &["ADAPTIVE_CONCURRENCY", "CONCURRENCY_FLOOR"],
        "off, 1",
        "let the limit follow latency and errors, between the floor and `CONCURRENCY`",
        None,
    ),
    setting(
        WORKER,
        &["EXIT_WHEN_IDLE_SECS"],
        "never",
        "drain and exit with 0 once nothing has come for so long and nothing is in hand, with 69 once the queue has answered nothing for so long: for a job of KEDA's ScaledJob",
        None,
    ),
    setting(WORKER, &["RECEIVE"], "on", "off: the worker only serves HTTP, a sender that KEDA need not scale", None),
    setting(
        WORKER,
        &["HTTP_ADDR", "HTTP_ADDR_FILE"],
        "127.0.0.1:8080, none",
        "where `/send` listens (port 0 takes a free one), and a file to write the address to",
        None,
    ),
    setting(
        WORKER,
        &["ADMIN_ADDR", "ADMIN_ADDR_FILE"],
        "127.0.0.1:8081, none",
        "where the worker answers for its health and metrics, on a port of their own: `0.0.0.0:8081` where the kubelet asks",
        None,
    ),
    setting(
        WORKER,
        &["HTTP_CLOSE_DELAY_MS"],
        "0",
        "from SIGTERM on, `/readyz` says 503 for this long before `HTTP_ADDR` closes, so that load balancers look elsewhere first; requests under way have the drain budget",
        None,
    ),
    setting(SENDING, &["SEND"], "on", "off takes `POST /send` away", None),
    setting(SENDING, &["SEND_TOKEN"], "none", "bearer token for `/send`; needed on any address but loopback", None),
    setting(
        FRONT,
        &["SEND_AUTH"],
        "token",
        "`iam`: whoever calls the HTTP function has been authorized by IAM before (SAM writes it); without it, and without `SEND_TOKEN`, it does not start",
        None,
    ),
    setting(SENDING, &["SEND_LIMIT"], "10000", "most messages of one `/send`", None),
    setting(
        FUNCTION,
        &["FUNCTION_CONCURRENCY"],
        "10",
        "handlers that run at once within a batch of the function; 1 = one after the other",
        None,
    ),
    setting(
        FUNCTION,
        &["FUNCTION_METRICS"],
        "on",
        "write the metrics of each invocation to the log, where CloudWatch finds them (embedded metric format)",
        None,
    ),
    setting(
        FUNCTION,
        &["DEADLINE_MARGIN_MS"],
        "500",
        "what is kept of the Lambda deadline for settling and answering",
        None,
    ),
    setting(ALL, &["LOG_FORMAT", "LOG_LEVEL", "RUST_LOG"], "json, info, none", "logs", None),
    setting(
        ALL,
        &["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"],
        "none, twinscale",
        "export spans to this collector (build with `--features otlp`)",
        Some("docs/handlers.md#telemetry"),
    ),
];

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_list_has_every_variable_that_is_read_and_no_other() {
        let asked = RefCell::new(BTreeSet::new());
        // A collector has a name, which nobody asks for without one.
        let lookup = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://127.0.0.1:4318".to_owned())
        };
        let _ = Config::default().read(Host::Worker, &lookup);
        let listed: BTreeSet<_> =
            SETTINGS.iter().flat_map(|setting| setting.variables).map(|name| (*name).to_owned()).collect();
        assert_eq!(asked.into_inner(), listed);
    }

    #[test]
    fn a_default_that_is_written_out_is_the_one_that_holds() {
        const WORDS: [&str; 6] =
            ["(needed)", "none", "never", "the queue's", "half the timeout", "from the queue's redrive policy"];
        let read = |set: Option<(&str, &str)>| {
            let lookup = |name: &str| match set {
                Some((variable, value)) if variable == name => Some(value.to_owned()),
                _ => (name == "QUEUE_URL").then(|| "jobs".to_owned()),
            };
            format!("{:?}", Config::default().read(Host::Worker, &lookup))
        };
        let mut compared = 0;
        for setting in SETTINGS {
            let defaults: Vec<_> = setting.default.split(", ").collect();
            assert_eq!(defaults.len(), setting.variables.len(), "{:?}", setting.variables);
            for (variable, default) in setting.variables.iter().zip(defaults) {
                if !WORDS.contains(&default) {
                    assert_eq!(read(Some((variable, default))), read(None), "{variable}={default}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 25, "{compared}");
    }
}
