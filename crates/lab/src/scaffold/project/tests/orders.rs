//! The service as a process, against a queue and a warehouse that are served here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;
use twinscale_sqs::server::SqsServer;

/// A warehouse that is busy the first time it is asked for order 2.
struct Warehouse {
    url: String,
    asked: Arc<Mutex<Vec<u64>>>,
}

impl Warehouse {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, told.clone()));
            }
        });
        Self { url, asked }
    }
}

async fn answer(mut stream: TcpStream, asked: Arc<Mutex<Vec<u64>>>) {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        // Headers, an empty line, and a body that is JSON once all of it is here.
        if let Some(order) = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str::<Value>(body).ok()) {
            let id = order["id"].as_u64().expect("an order has an id");
            let busy = {
                let mut asked = asked.lock().expect("no panic");
                asked.push(id);
                id == 2 && asked.iter().filter(|other| **other == 2).count() == 1
            };
            let status = if busy { "503 Service Unavailable" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            request.clear();
        }
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&some[..read]),
        }
    }
}

#[tokio::test]
async fn orders_are_reserved_retried_and_rejected() {
    let sqs = SqsServer::start().await.expect("a free port");
    let dead = sqs.create_queue("orders-dead", &[]).expect("a new queue");
    let queue = sqs.create_queue("orders", &[]).expect("a new queue");
    let warehouse = Warehouse::open().await;
    for body in [r#"{"id":1,"item":"tea"}"#, r#"{"id":2,"item":"cups"}"#, "no order"] {
        let message = json!({ "QueueUrl": queue, "MessageBody": body }).to_string();
        sqs.call("SendMessage", message.as_bytes()).await.expect("sent");
    }

    let mut service = Command::new(env!("CARGO_BIN_EXE_{name}"));
    service.env_clear().kill_on_drop(true).envs([
        ("WAREHOUSE_URL", warehouse.url.as_str()),
        ("AWS_ENDPOINT_URL_SQS", &sqs.endpoint()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("QUEUE_URL", &queue),
        ("DLQ_URL", &dead),
        ("HTTP_ADDR", "127.0.0.1:0"),
        ("ADMIN_ADDR", "127.0.0.1:0"),
        ("BACKOFF_MAX_SECS", "1"),
        ("WAIT_TIME_SECS", "1"),
        // It ends when nothing has come for so long.
        ("EXIT_WHEN_IDLE_SECS", "3"),
    ]);
    let ended = timeout(Duration::from_secs(60), service.status()).await.expect("it ends by itself").expect("it starts");
    assert!(ended.success(), "{ended}");

    let mut asked = warehouse.asked.lock().expect("no panic").clone();
    asked.sort_unstable();
    assert_eq!(asked, [1, 2, 2], "order 2 was asked for again");
    let left = |queue| sqs.counts(queue).expect("a queue of ours");
    assert_eq!((left("orders").visible, left("orders").in_flight), (0, 0));
    assert_eq!(left("orders-dead").visible, 1, "what does not parse is a dead letter");
}
