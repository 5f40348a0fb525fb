//! The fault plan: what is promised to go wrong does, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use twinscale_sqs::clock::Clock;
use twinscale_sqs::server::{Bill, Event, Fault, FaultKind, Faults, Options, SqsServer, Watch};

async fn broken(action: &'static str, share: f64, kind: FaultKind) -> (SqsServer, String) {
    let server = super::server().await;
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    server.set_faults(Faults::new(7, vec![Fault { action: Some(action), share, kind }]));
    (server, url)
}

#[tokio::test]
async fn a_throttled_send_sends_nothing() {
    let (server, url) = broken("SendMessage", 1.0, FaultKind::Throttled).await;
    let error = super::client(&server).send_message().queue_url(&url).message_body("x").send().await;
    assert!(error.expect_err("throttled").into_service_error().is_request_throttled());
    assert_eq!(server.counts(&url).expect("exists").visible, 0);
}

#[tokio::test]
async fn a_server_error_is_a_500() {
    let (server, url) = broken("ReceiveMessage", 1.0, FaultKind::ServerError).await;
    let error = super::client(&server).receive_message().queue_url(&url).send().await.expect_err("fails");
    assert_eq!(error.raw_response().map(|response| response.status().as_u16()), Some(500));
}

#[tokio::test]
async fn a_cut_answer_has_done_its_work_and_is_no_answer() {
    let (server, url) = broken("SendMessage", 1.0, FaultKind::Cut).await;
    let error = super::client(&server).send_message().queue_url(&url).message_body("x").send().await;
    assert!(error.expect_err("cut").as_service_error().is_none(), "a broken connection is not SQS's answer");
    assert_eq!(server.counts(&url).expect("exists").visible, 1);
}

#[tokio::test]
async fn half_of_a_batch_fails_entry_by_entry() {
    let (server, url) = broken("SendMessageBatch", 0.5, FaultKind::Partial).await;
    let mut good = 0;
    let mut bad = 0;
    for _ in 0..20 {
        let entries = (0..10).map(|i| {
            SendMessageBatchRequestEntry::builder().id(i.to_string()).message_body("x").build().expect("complete")
        });
        let sent = super::client(&server).send_message_batch().queue_url(&url).set_entries(Some(entries.collect()));
        let sent = sent.send().await.expect("the batch itself succeeds");
        assert_eq!(sent.successful.len() + sent.failed.len(), 10);
        assert!(sent.failed.iter().all(|entry| !entry.sender_fault));
        good += sent.successful.len() as u64;
        bad += sent.failed.len();
    }
    assert!((60..=140).contains(&bad), "{bad} of 200 failed");
    assert_eq!(server.counts(&url).expect("exists").visible, good);
}

#[tokio::test]
async fn a_duplicate_delivery_has_two_holders_and_the_first_deletes_nothing() {
    let (server, url) = broken("ReceiveMessage", 1.0, FaultKind::Duplicate).await;
    let client = super::client(&server);
    client.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    let receive = async || {
        let got = client.receive_message().queue_url(&url).send().await.expect("received");
        got.messages.expect("a message")[0].receipt_handle.clone().expect("a handle")
    };
    let first = receive().await;
    server.set_faults(Faults::default());
    let second = receive().await;
    let delete = |handle: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id("a").receipt_handle(handle).build().expect("complete");
        client.delete_message_batch().queue_url(&url).entries(entry).send()
    };
    delete(&first).await.expect("a stale handle is no error");
    assert_eq!(server.counts(&url).expect("exists").in_flight, 1);
    delete(&second).await.expect("deleted");
    assert_eq!(server.counts(&url).expect("exists").in_flight, 0);
}

#[tokio::test]
async fn slow_is_slow_in_scenario_time() {
    let (server, url) = broken("SendMessage", 1.0, FaultKind::Slow(Duration::from_secs(5))).await;
    let began = std::time::Instant::now();
    super::client(&server).send_message().queue_url(&url).message_body("x").send().await.expect("sent at last");
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Watch for Diary {
    fn message(&self, _: Duration, _: &str, _: uuid::Uuid, body: &str, event: Event) {
        self.0.lock().expect("not poisoned").push(format!("{body} {event:?}"));
    }

    fn request(&self, _: Duration, _: &str, action: Bill, billed: u64) {
        self.0.lock().expect("not poisoned").push(format!("{action:?} {billed}"));
    }
}

#[tokio::test]
async fn a_watcher_hears_of_every_message_and_request_in_order() {
    let diary = Arc::new(Diary::default());
    let options = Options { clock: Clock::new(10.0), watch: Some(diary.clone()), ..Options::default() };
    let server = super::server_with(options).await;
    let dead = server.create_queue("dead", &[]).expect("a new queue");
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, server.arn("dead"));
    let url = server.create_queue("main", &[("RedrivePolicy", &policy)]).expect("a new queue");
    let client = super::client(&server);
    client.send_message().queue_url(&url).message_body("a").send().await.expect("sent");
    client.send_message().queue_url(&dead).message_body("z".repeat(200_000)).send().await.expect("sent");
    diary.0.lock().expect("not poisoned").retain(|line| !line.starts_with('z'));
    let got = client.receive_message().queue_url(&url).send().await.expect("received");
    let handle = got.messages.expect("a message")[0].receipt_handle.clone().expect("a handle");
    let back = client.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(0);
    back.send().await.expect("given back");
    client.receive_message().queue_url(&url).send().await.expect("empty");
    let expected = [
        "Send 1",
        "a Sent",
        "Send 4",
        "a Delivered { receive_count: 1 }",
        "Receive 1",
        "ChangeVisibility 1",
        "a Visibility(0ns)",
        "a Redriven",
        "EmptyReceive 1",
    ];
    assert_eq!(*diary.0.lock().expect("not poisoned"), expected);
    assert_eq!(server.requests("main").expect("exists").empty_receive, 1);
}
