//! The floor: what the SDK itself costs, set up as its documentation says, with the HTTP client that the worker has.

use aws_config::BehaviorVersion;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::task::JoinSet;

/// Receives ten and deletes them, in this many loops at once, until it is killed.
pub async fn run(queue: &str, loops: usize) {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let shared = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let client = Client::new(&shared);
    let url = client.get_queue_url().queue_name(queue).send().await.expect("it answers").queue_url.expect("a URL");
    let mut running = JoinSet::new();
    for _ in 0..loops {
        let client = client.clone();
        let url = url.clone();
        running.spawn(async move {
            loop {
                receive_and_delete(&client, &url).await;
            }
        });
    }
    running.join_all().await;
}

async fn receive_and_delete(client: &Client, url: &str) {
    let receive = client.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(20);
    let received = receive.send().await.expect("it answers").messages.unwrap_or_default();
    let entries: Vec<_> = received
        .into_iter()
        .enumerate()
        .map(|(index, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.set_receipt_handle(message.receipt_handle).build().expect("complete")
        })
        .collect();
    if !entries.is_empty() {
        let delete = client.delete_message_batch().queue_url(url).set_entries(Some(entries));
        assert_eq!(delete.send().await.expect("it answers").failed, []);
    }
}
