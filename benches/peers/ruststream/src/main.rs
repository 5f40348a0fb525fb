//! `ruststream-sqs-sns` with a handler that does nothing, until it is killed. A subscription has one receive at a time,
//! so there are sixteen of them; each handles the ten messages of a receive at once, since each is deleted on its own.

use ruststream_sqs_sns::prelude::*;

const SUBSCRIPTIONS: usize = 16;

#[derive(Deserialized)]
struct Job<'a>(#[expect(dead_code, reason = "nothing is done")] &'a [u8]);

#[subscriber(SqsQueue::new("jobs"), workers(10))]
async fn nothing(_job: &Job<'_>) -> HandlerOutcome {
    HandlerOutcome::ack()
}

#[app]
fn consumer() -> impl App {
    RustStream::new(AppInfo::new("consumer", "0.0.0")).with_broker(SqsBroker::new(), |broker| {
        for _ in 0..SUBSCRIPTIONS {
            broker.include(nothing);
        }
    })
}
