//! What a server holds survives its end, however it came: by the file that `persist` names.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use twinscale_sqs::server::{Options, Restored, SqsServer};

/// A file in a folder of its own.
fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("queues.log");
    (folder, file)
}

async fn start(file: &Path) -> std::io::Result<SqsServer> {
    let options = Options { persist: Some(file.to_owned()), ..Options::default() };
    SqsServer::start_at(([127, 0, 0, 1], 0).into(), options).await
}

async fn call(server: &SqsServer, action: &str, body: Value) -> Value {
    let answer = server.call(action, body.to_string().as_bytes()).await.unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_slice(&answer).expect("JSON")
}

/// The program, with a file for its queues.
struct Program {
    child: Child,
    endpoint: String,
    said: String,
}

impl Program {
    async fn start(file: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_twinscale-sqs"))
            .args(["--port", "0", "--queue", "orders:dlq=dead,maxReceiveCount=3", "--queue", "steps.fifo", "--persist"])
            .arg(file)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next_line().await.expect("a line").expect("it listens");
        let said = lines.next_line().await.expect("a line").expect("what it kept");
        let endpoint = first.strip_prefix("listening on ").expect("where").to_owned();
        // Its queues are there once their URLs are printed.
        for _ in 0..3 {
            lines.next_line().await.expect("a line").expect("a URL");
        }
        Self { child, endpoint, said }
    }

    fn client(&self) -> aws_sdk_sqs::Client {
        super::client_at(&self.endpoint)
    }

    fn url(&self, queue: &str) -> String {
        format!("{}/000000000000/{queue}", self.endpoint)
    }
}

#[tokio::test]
async fn a_killed_program_has_lost_nothing_that_it_answered() {
    let (_folder, file) = file();
    let mut program = Program::start(&file).await;
    assert!(program.said.ends_with("kept 0 queues with 0 messages"), "{}", program.said);
    let client = program.client();
    let mut sent = Vec::new();
    for nth in 0..50 {
        let answer = client.send_message().queue_url(program.url("orders")).message_body(format!("{nth}")).send().await;
        sent.push(answer.expect("sent").message_id.expect("an id"));
    }
    for step in ["one", "two"] {
        let send = client.send_message().queue_url(program.url("steps.fifo")).message_body(step).message_group_id("g");
        send.send().await.expect("sent");
    }
    client.tag_queue().queue_url(program.url("orders")).tags("team", "a").send().await.expect("tagged");
    let held = client.receive_message().queue_url(program.url("steps.fifo")).send().await.expect("received");
    let held = held.messages.expect("one").remove(0);
    let gone = client.receive_message().queue_url(program.url("orders")).send().await.expect("received");
    let gone = gone.messages.expect("one").remove(0);
    let delete = client.delete_message().queue_url(program.url("orders"));
    delete.receipt_handle(gone.receipt_handle.expect("a handle")).send().await.expect("deleted");
    program.child.kill().await.expect("killed");

    let program = Program::start(&file).await;
    assert!(program.said.ends_with("kept 3 queues with 51 messages"), "{}", program.said);
    let client = program.client();
    let tags = client.list_queue_tags().queue_url(program.url("orders")).send().await.expect("tags").tags;
    assert_eq!(tags.expect("some").get("team").map(String::as_str), Some("a"));
    // The group is locked still, and the holder's handle is good.
    let receive = || client.receive_message().queue_url(program.url("steps.fifo")).send();
    assert_eq!(receive().await.expect("an answer").messages, None);
    let delete = client.delete_message().queue_url(program.url("steps.fifo"));
    delete.receipt_handle(held.receipt_handle.expect("a handle")).send().await.expect("deleted");
    assert_eq!(receive().await.expect("an answer").messages.expect("the next")[0].body.as_deref(), Some("two"));
    // Sent within five minutes, it is the same message.
    let send = client.send_message().queue_url(program.url("steps.fifo")).message_body("one").message_group_id("g");
    assert_eq!(send.send().await.expect("sent").message_id, held.message_id);
    let mut received = Vec::new();
    loop {
        let answer = client.receive_message().queue_url(program.url("orders")).max_number_of_messages(10).send().await;
        let Some(messages) = answer.expect("an answer").messages else { break };
        received.extend(messages.into_iter().map(|message| message.message_id.expect("an id")));
    }
    sent.retain(|id| Some(id) != gone.message_id.as_ref());
    received.sort();
    sent.sort();
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_torn_tail_is_told_and_dropped() {
    let (_folder, file) = file();
    let server = start(&file).await.expect("started");
    server.create_queue("q", &[]).expect("made");
    call(&server, "SendMessage", json!({ "QueueUrl": "q", "MessageBody": "whole" })).await;
    drop(server);
    let torn = br#"{"Called":{"queue":1,"at":{"se"#;
    fs::OpenOptions::new().append(true).open(&file).expect("there").write_all(torn).expect("written");
    let server = start(&file).await.expect("started");
    assert_eq!(server.restored(), Some(Restored { queues: 1, messages: 1, torn: torn.len() as u64 }));
    assert_eq!(server.messages("q").expect("there")[0].body, "whole");
    drop(server);
    assert_eq!(start(&file).await.expect("started").restored().map(|restored| restored.torn), Some(0));
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_left_as_it_is() {
    let (folder, file) = file();
    let refused = async |file: &Path| match start(file).await {
        Ok(_) => panic!("{} was taken", file.display()),
        Err(error) => error.to_string(),
    };
    // A line in the middle.
    let server = start(&file).await.expect("started");
    let said = refused(&file).await;
    assert!(said.contains("in use by another server"), "{said}");
    server.create_queue("q", &[]).expect("made");
    call(&server, "SendMessage", json!({ "QueueUrl": "q", "MessageBody": "x" })).await;
    call(&server, "ReceiveMessage", json!({ "QueueUrl": "q" })).await;
    drop(server);
    let text = fs::read_to_string(&file).expect("there");
    let broken = text.replace(r#"{"Queue":"#, r#"{"Queue:"#);
    fs::write(&file, &broken).expect("written");
    let said = refused(&file).await;
    assert!(said.contains("line 3: it is no record"), "{said}\n{text}");
    assert_eq!(fs::read_to_string(&file).expect("there"), broken);
    // A call that comes out otherwise, and one to a queue that is not there.
    for (from, to, why) in [
        (r#""brought":["#, r#""brought":[7,"#, "line 5: the call comes out otherwise than it did"),
        (r#""queue":1"#, r#""queue":7"#, "line 4: there is no queue 7"),
    ] {
        fs::write(&file, text.replace(from, to)).expect("written");
        let said = refused(&file).await;
        assert!(said.contains(why), "{said}\n{text}");
    }
    // Something else.
    let other = folder.path().join("other");
    fs::write(&other, "dear diary\n").expect("written");
    let said = refused(&other).await;
    assert!(said.contains("is no log of this queue's"), "{said}");
    assert_eq!(fs::read_to_string(&other).expect("there"), "dear diary\n");
    // No folder.
    let said = refused(Path::new("/nowhere/queues.log")).await;
    assert!(said.contains("/nowhere/queues.log: No such file or directory"), "{said}");
    // Another account.
    fs::write(&file, &text).expect("written");
    let options = Options { persist: Some(file.clone()), account: "111111111111".to_owned(), ..Options::default() };
    let said = SqsServer::start_at(([127, 0, 0, 1], 0).into(), options).await.err().expect("refused").to_string();
    assert!(said.contains("kept for account 000000000000"), "{said}");
}

#[tokio::test]
async fn time_goes_on_while_it_is_down_and_never_back() {
    let (_folder, file) = file();
    let server = start(&file).await.expect("started");
    server.create_queue("q", &[("VisibilityTimeout", "100")]).expect("made");
    call(&server, "SendMessage", json!({ "QueueUrl": "q", "MessageBody": "x" })).await;
    server.advance(Duration::from_secs(3600));
    call(&server, "ReceiveMessage", json!({ "QueueUrl": "q" })).await;
    drop(server);
    let server = start(&file).await.expect("started");
    let seen = server.messages("q").expect("there").remove(0);
    assert!(seen.age >= Duration::from_secs(3600), "{seen:?}");
    assert_eq!(server.counts("q").expect("there").in_flight, 1);
    server.advance(Duration::from_secs(101));
    assert_eq!(server.counts("q").expect("there").visible, 1);
}

/// What a history does.
#[derive(Clone, Debug)]
enum Step {
    Send {
        group: u8,
        body: u8,
        delay: u8,
    },
    Receive {
        max: u8,
    },
    /// By one of the handles so far.
    Delete {
        which: usize,
    },
    ChangeVisibility {
        which: usize,
        timeout: u8,
    },
    Retention {
        minutes: u8,
    },
    Pass {
        minutes: u8,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_u8, 0..20_u8, 0..2_u8).prop_map(|(group, body, delay)| Step::Send { group, body, delay }),
        6 => (1..4_u8).prop_map(|max| Step::Receive { max }),
        3 => (0..8_usize).prop_map(|which| Step::Delete { which }),
        3 => (0..8_usize, 0..3_u8).prop_map(|(which, timeout)| Step::ChangeVisibility { which, timeout }),
        1 => (1..9_u8).prop_map(|minutes| Step::Retention { minutes }),
        4 => (1..4_u8).prop_map(|minutes| Step::Pass { minutes }),
        2 => Just(Step::Restart),
    ]
}

/// Everything that both servers answer to the same call.
async fn same(servers: [&SqsServer; 2], action: &str, body: &Value) -> Value {
    let answer = async |server: &SqsServer| match server.call(action, body.to_string().as_bytes()).await {
        Ok(answer) => {
            let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
            // A duplicate that was not taken in has used up a number in the one that ran on.
            let messages = answer["Messages"].as_array_mut().into_iter().flatten();
            messages.for_each(|message| message["MessageId"] = json!(null));
            answer["MessageId"] = json!(null);
            answer
        }
        Err(error) => json!(error.to_string()),
    };
    let [one, other] = servers;
    let of_one = answer(one).await;
    assert_eq!(of_one, answer(other).await, "{action} {body}");
    of_one
}

/// Does a history on a server that is restarted in it, and on one that is not: they answer the same, handles included.
async fn history(fifo: bool, steps: &[Step]) {
    let (_folder, file) = file();
    let mut kept = start(&file).await.expect("started");
    let plain = SqsServer::start().await.expect("started");
    let queue = if fifo { "q.fifo:dlq=dead.fifo,maxReceiveCount=2" } else { "q:dlq=dead,maxReceiveCount=2" };
    let queue = format!("{queue},VisibilityTimeout=60").parse().expect("a queue");
    for server in [&kept, &plain] {
        server.make(&queue).expect("made");
    }
    let (url, dead) = if fifo { ("q.fifo", "dead.fifo") } else { ("q", "dead") };
    let mut handles: Vec<(String, &str)> = Vec::new();
    for step in steps {
        let servers = [&kept, &plain];
        match step {
            Step::Send { group, body, delay } => {
                let mut message = json!({ "QueueUrl": url, "MessageBody": format!("{body}") });
                match fifo {
                    true => message["MessageGroupId"] = json!(format!("g{group}")),
                    false => message["DelaySeconds"] = json!(60 * delay),
                }
                same(servers, "SendMessage", &message).await;
            }
            Step::Receive { max } => {
                for url in [url, dead] {
                    let names = json!(["ApproximateReceiveCount", "DeadLetterQueueSourceArn", "SequenceNumber"]);
                    let body = json!({ "QueueUrl": url, "MaxNumberOfMessages": max, "AttributeNames": names });
                    let answer = same(servers, "ReceiveMessage", &body).await;
                    let messages = answer["Messages"].as_array().map(Vec::as_slice).unwrap_or_default();
                    handles
                        .extend(messages.iter().map(|m| (m["ReceiptHandle"].as_str().expect("one").to_owned(), url)));
                }
            }
            Step::Delete { which } => {
                let Some((handle, url)) = handles.iter().rev().nth(*which) else { continue };
                same(servers, "DeleteMessage", &json!({ "QueueUrl": url, "ReceiptHandle": handle })).await;
            }
            Step::ChangeVisibility { which, timeout } => {
                let Some((handle, url)) = handles.iter().rev().nth(*which) else { continue };
                let body = json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 60 * timeout });
                same(servers, "ChangeMessageVisibility", &body).await;
            }
            Step::Retention { minutes } => {
                let attributes = json!({ "MessageRetentionPeriod": (60 * u32::from(*minutes)).to_string() });
                same(servers, "SetQueueAttributes", &json!({ "QueueUrl": url, "Attributes": attributes })).await;
            }
            Step::Pass { minutes } => {
                for server in servers {
                    server.advance(Duration::from_secs(60 * u64::from(*minutes)));
                }
            }
            Step::Restart => {
                // What tells the file how late it is.
                same(servers, "SetQueueAttributes", &json!({ "QueueUrl": url, "Attributes": { "DelaySeconds": "0" } }))
                    .await;
                drop(kept);
                kept = start(&file).await.expect("started again");
                assert_eq!(kept.restored().map(|restored| restored.queues), Some(2));
            }
        }
    }
}

#[test]
fn a_server_that_was_restarted_answers_as_one_that_was_not() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let histories = (any::<bool>(), prop::collection::vec(step(), 0..60));
    let result = TestRunner::new(Config { cases: 64, ..Config::default() }).run(&histories, |(fifo, steps)| {
        runtime.block_on(history(fifo, &steps));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
