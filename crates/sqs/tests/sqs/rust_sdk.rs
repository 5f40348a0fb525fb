//! The Rust SDK against the embedded queue.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};

#[tokio::test]
async fn a_message_comes_back_with_its_attributes() {
    let server = super::server().await;
    let client = super::client(&server);
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    let text = MessageAttributeValue::builder().data_type("String").string_value("v").build().expect("complete");
    let sent = client.send_message().queue_url(&url).message_body("hé 🚀").message_attributes("a", text.clone());
    let sent = sent.send().await.expect("sent");
    let got = client
        .receive_message()
        .queue_url(&url)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .expect("received");
    let message = &got.messages.as_ref().expect("a message")[0];
    assert_eq!((message.body(), message.message_id()), (Some("hé 🚀"), sent.message_id()));
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(message.message_attributes.as_ref().and_then(|all| all.get("a")), Some(&text));
    let attributes = message.attributes.as_ref().expect("system attributes");
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
}

/// AWS: recorded by LocalStack, test_aws_trace_header_propagation.
#[tokio::test]
async fn the_trace_header_of_a_send_is_the_messages() {
    const TRACE: &str = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1";
    let server = super::server().await;
    let client = super::client(&server);
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    let send = client.send_message().queue_url(&url).message_body("test").customize();
    let send = send.mutate_request(|request| drop(request.headers_mut().insert("X-Amzn-Trace-Id", TRACE)));
    send.send().await.expect("sent");
    let trace = MessageSystemAttributeName::AwsTraceHeader;
    let receive = client.receive_message().queue_url(&url).message_system_attribute_names(trace.clone());
    let got = receive.send().await.expect("received");
    let attributes = got.messages()[0].attributes.as_ref().expect("system attributes");
    assert_eq!(attributes.get(&trace).map(String::as_str), Some(TRACE));
}

#[tokio::test]
async fn errors_are_typed() {
    let server = super::server().await;
    let client = super::client(&server);
    let missing = client.get_queue_url().queue_name("no-such").send().await.expect_err("there is none");
    assert!(missing.into_service_error().is_queue_does_not_exist());
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    let empty = client.send_message_batch().queue_url(&url).set_entries(Some(Vec::new())).send().await;
    assert!(empty.expect_err("empty").into_service_error().is_empty_batch_request());
    let bad = client.delete_message().queue_url(&url).receipt_handle("x").send().await.expect_err("no handle");
    assert!(bad.into_service_error().is_receipt_handle_is_invalid());
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_visibility_timeout_ends() {
    let server = super::server().await;
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    let client = super::client(&server);
    client.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    client.receive_message().queue_url(&url).visibility_timeout(5).send().await.expect("received");
    let began = Instant::now();
    let again = client.receive_message().queue_url(&url).wait_time_seconds(20).send().await.expect("received");
    assert_eq!(again.messages.expect("the same message").len(), 1);
    assert!(began.elapsed() < Duration::from_millis(1900), "it waited for the poll's end: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_poll_that_is_waiting_hears_of_a_timeout_that_begins_later() {
    let server = super::server().await;
    let name = super::name();
    let url = server.create_queue(&name, &[("VisibilityTimeout", "5")]).expect("a new queue");
    let client = super::client(&server);
    let polls: Vec<_> =
        (0..2).map(|_| tokio::spawn(client.receive_message().queue_url(&url).wait_time_seconds(20).send())).collect();
    client.send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    for poll in polls {
        let got = poll.await.expect("no panic").expect("received");
        assert_eq!(got.messages.map_or(0, |messages| messages.len()), 1, "each poll gets it, one after the other");
    }
}

#[tokio::test]
async fn a_poll_dropped_in_the_process_takes_nothing() {
    let server = super::server().await;
    let name = super::name();
    let url = server.create_queue(&name, &[]).expect("a new queue");
    let dropped = tokio::time::timeout(Duration::from_millis(50), server.receive(&name, 10, Duration::from_secs(20)));
    assert!(dropped.await.is_err(), "nothing was there");
    super::client(&server).send_message().queue_url(&url).message_body("x").send().await.expect("sent");
    let got = server.receive(&name, 10, Duration::from_secs(20)).await.expect("exists");
    assert_eq!(got.len(), 1);
    assert_eq!(&*got[0].message.payload.content.body, "x");
}

#[tokio::test]
async fn polls_of_a_deleted_queue_end() {
    let server = super::server().await;
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    let client = super::client(&server);
    let poll = tokio::spawn(client.receive_message().queue_url(&url).wait_time_seconds(20).send());
    client.delete_queue().queue_url(&url).send().await.expect("deleted");
    let ended = tokio::time::timeout(Duration::from_secs(1), poll).await.expect("before the poll's own end");
    assert!(ended.expect("no panic").is_err());
}

#[tokio::test]
async fn counts_are_live() {
    let server = super::server().await;
    let url = server.create_queue(&super::name(), &[]).expect("a new queue");
    let client = super::client(&server);
    for delay in [0, 0, 900] {
        client.send_message().queue_url(&url).message_body("x").delay_seconds(delay).send().await.expect("sent");
    }
    client.receive_message().queue_url(&url).send().await.expect("received");
    let got = client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send().await;
    let got = got.expect("attributes").attributes.expect("some");
    for name in [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ] {
        assert_eq!(got[&name], "1", "{name}");
    }
}
