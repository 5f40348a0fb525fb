//! The suite: every case once, for both hosts and both kinds of queue.

use std::time::Duration;

use serde_json::json;
use twinscale_sqs::server::FaultKind;

use super::case::Case;
use super::rig::Kind;
use crate::fault_proxy::Fault;

const BIT: Duration = Duration::from_millis(400);

pub fn cases() -> Vec<Case> {
    [outcomes(), bodies(), ends_of_time(), deliveries(), faults()].into_iter().flatten().collect()
}

/// What a handler can say, or fail to say.
fn outcomes() -> Vec<Case> {
    vec![
        Case::new("done", "deleted, handled once").message("done").message("done").message("done").group("h"),
        Case::new("retry", "comes again after the host's backoff")
            .message("retry,done")
            .handled(2..=2)
            .hidden(0..=1)
            .message("done")
            .group("h"),
        Case::new("retry with a delay", "comes again after the handler's own delay")
            .message("later2,done")
            .handled(2..=2)
            .hidden(2..=2)
            .message("done")
            .group("h"),
        Case::new("reject", "in the dead-letter queue with its reason, handled once")
            .message("reject")
            .dead()
            .message("done"),
        Case::new("reject, and the dead-letter queue fails", "kept, retried, then in the dead-letter queue")
            .message("reject")
            .dead()
            .handled(2..=2)
            .message("done")
            .order(&[0, 0, 1])
            .first(1, "SendMessageBatch", Fault::Error(400, "AccessDenied")),
        Case::new("reject, and the answer names nobody", "kept, retried, then in the dead-letter queue")
            .message("reject")
            .dead()
            .handled(1..=2)
            .message("done")
            .first(1, "SendMessageBatch", Fault::Answer("{}")),
        Case::new("rejects with one deduplication id", "each in the dead-letter queue")
            .message("reject|same")
            .dead()
            .message("reject|same")
            .group("h")
            .dead()
            .message("reject|same")
            .group("i")
            .dead(),
        Case::new("panic", "a retry; the others go on")
            .message("panic,done")
            .handled(2..=2)
            .hidden(0..=1)
            .message("done")
            .group("h"),
        Case::new("handler timeout", "aborted, then a retry; the others go on")
            .with("HANDLER_TIMEOUT_MS", "300")
            .message("hang,done")
            .handled(2..=2)
            .hidden(0..=1)
            .message("done")
            .group("h"),
        Case::new("FIFO stop", "the rest of the group waits for its first, in order; another group goes on")
            .message("retry,done")
            .handled(2..=2)
            .message("done")
            .message("done")
            .message("done")
            .group("h")
            .order(&[0, 0, 1, 2])
            .not_on(Kind::Standard, "it has no order to keep"),
        Case::new("FIFO poison", "its group waits for its last attempt, and then goes on; it is the only dead letter")
            .max_receives(4)
            .message("retry")
            .exhausted("attempt 4 failed")
            .handled(4..=4)
            .message("done")
            .message("done")
            .message("panic")
            .exhausted("attempt 4 failed")
            .handled(4..=4)
            .message("done")
            .message("done")
            .message("done")
            .message("done")
            .message("done")
            .message("done")
            .order(&[0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9])
            .not_on(Kind::Standard, "no message waits for another there"),
        Case::new("message groups without an order", "handled side by side, each settled by itself")
            .with("HANDLER_TIMEOUT_MS", "8000")
            .fair()
            .message("meet4")
            .message("meet4")
            .message("reject")
            .dead()
            .message("retry,done")
            .handled(2..=2)
            .not_on(Kind::Fifo, "its groups have one"),
    ]
}

/// What a body may be before the handler sees it.
fn bodies() -> Vec<Case> {
    const WRONG: &str = "the body does not decode: invalid type: integer `7`, expected a string at line 1";
    let typed = |name, expected| Case::new(name, expected).with("HOST_TYPED", "on");
    vec![
        typed("undecodable body", "in the dead-letter queue with what is wrong and where, unhandled and alone")
            .message("done")
            .body(json)
            .message("done")
            .body(undecodable)
            .unhandled(WRONG)
            .message("retry,done")
            .body(json)
            .handled(2..=2),
        typed("SNS envelope", "the handler sees the notification and its attributes; a reject keeps the envelope")
            .with("UNWRAP_SNS", "on")
            .message("kind")
            .body(|name, steps| envelope(&json(name, steps)))
            .message("done")
            .body(json)
            .message("reject")
            .body(|name, steps| envelope(&json(name, steps)))
            .dead()
            .message("done")
            .body(|name, steps| envelope(&undecodable(name, steps)))
            .unhandled(WRONG),
        typed("SNS envelope, UNWRAP_SNS off", "the envelope is the body")
            .message("done")
            .body(|name, steps| envelope(&json(name, steps)))
            .unhandled("the body does not decode: invalid type: map")
            .message("done")
            .body(json),
    ]
}

fn json(name: &str, steps: &str) -> String {
    json!([name, steps]).to_string()
}

fn undecodable(name: &str, _: &str) -> String {
    json!([name, 7]).to_string()
}

fn envelope(message: &str) -> String {
    let attributes = json!({ "kind": { "Type": "String", "Value": "new" } });
    let topic = "arn:aws:sns:us-east-1:000000000000:orders";
    json!({ "Type": "Notification", "TopicArn": topic, "Message": message, "MessageAttributes": attributes })
        .to_string()
}

/// SIGTERM for the worker, the deadline for the function.
fn ends_of_time() -> Vec<Case> {
    vec![
        Case::new("time is up mid-batch", "aborted and given back at once; what was done stays done")
            .with("DRAIN_BUDGET_MS", "300")
            .time_is_up()
            .message("hang,done")
            .handled(2..=2)
            .hidden(0..=0)
            .message("done")
            .group("h"),
        Case::new("late", "what has not begun when time is up is given back at once, unhandled")
            .with("DRAIN_BUDGET_MS", "300")
            .with("CONCURRENCY", "1")
            .with("PREFETCH", "4")
            .with("FUNCTION_CONCURRENCY", "1")
            .time_is_up()
            .message("hang,done")
            .handled(1..=2)
            .hidden(0..=0)
            .message("hang,done")
            .handled(1..=2)
            .hidden(0..=0)
            .message("hang,done")
            .handled(1..=2)
            .hidden(0..=0)
            .total(4),
    ]
}

/// At least once: what SQS may do to a message.
fn deliveries() -> Vec<Case> {
    vec![
        Case::new("duplicate delivery", "handled twice, deleted once")
            .message("wait300")
            .handled(2..=2)
            .message("wait300")
            .handled(2..=2)
            .first(usize::MAX, "ReceiveMessage", Fault::Replay),
        Case::new("expired lease", "handled again by the next owner, and deleted by that one")
            .with("HEARTBEAT", "off")
            .visibility(1)
            .message("wait2500,done")
            .handled(2..=3)
            .message("done")
            .group("h")
            // Lambda deletes a batch when all of it has ended: the lease of this one expires too.
            .on_function(1..=3),
        Case::new("undecodable record", "kept, and handled once when it can be read")
            .visibility(2)
            .message("done|attribute")
            .message("done")
            .first(usize::MAX, "ReceiveMessage", Fault::Garble),
        Case::new("given out again, IDEMPOTENCY=memory", "settled as done, not handled again")
            .with("IDEMPOTENCY", "memory")
            .visibility(3)
            // One alone, so that it comes back to the process that knows it.
            .message("retry,done")
            .handled(2..=2)
            .given_out(3)
            .first(2, "DeleteMessageBatch", Fault::Error(400, "InvalidParameterValue")),
        Case::new("partial delete failure", "deleted later; the worker does not handle it again")
            .visibility(2)
            .message("done")
            .on_function(1..=3)
            .message("done")
            .on_function(1..=3)
            .first(2, "DeleteMessageBatch", Fault::Entry(0, "InternalError")),
    ]
}

/// Three of ten calls fail.
fn faults() -> Vec<Case> {
    const LOST: &str = "all are done, none is lost";
    vec![
        Case::new("throttled calls", LOST).visibility(2).many(6).inside(FaultKind::Throttled),
        Case::new("500s", LOST).visibility(2).many(6).inside(FaultKind::ServerError),
        Case::new("failed entries of batches", LOST).visibility(2).many(6).inside(FaultKind::Partial),
        Case::new("messages visible to two", LOST).visibility(2).many(9).inside(FaultKind::Duplicate),
        Case::new("answers that name nobody", LOST).visibility(2).many(6).on_the_way(&[Fault::Answer("{}")]),
        Case::new("connections closed or reset", LOST).visibility(2).many(6).on_the_way(&[Fault::Drop, Fault::Reset]),
        Case::new("answers lost or cut", LOST).visibility(2).many(6).on_the_way(&[Fault::Lost, Fault::Cut]),
        Case::new("slow answers", LOST).visibility(6).many(3).on_the_way(&[Fault::Slow(BIT), Fault::Trickle(BIT)]),
        Case::new("give-backs that are never answered", LOST).visibility(6).many(3).first(
            2,
            "ChangeMessageVisibilityBatch",
            Fault::Hang,
        ),
        Case::new("calls made twice", LOST).visibility(2).many(6).on_the_way(&[Fault::Twice]),
    ]
}
