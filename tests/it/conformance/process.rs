//! The process of a host: the worker, or the function behind the Runtime API, with a handler that does what the body of
//! the message says, and writes down when it began and ended. The same code as in `twinscale-worker` and `lambda-sqs`,
//! whose own handler can only be drawn by lot.
//!
//! A body is `name|step,step`: the first step for the first attempt, the last for all further ones. Steps: `done`,
//! `retry`, `later2` (seconds), `reject`, `panic`, `hang`, `wait50` (milliseconds, then done), `meet3` (done once three
//! messages are or were worked on), `kind` (done if the attribute of that name says new). With `HOST_TYPED` a body is
//! the JSON `["name","step,step"]`, which is decoded for the handler.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use twinscale::{AttributeValue, Context, HandleTyped, Handler, Message, Outcome, typed};

struct Obedient {
    /// Appended to by all processes of a run, a line with each write.
    log: File,
    path: PathBuf,
}

impl Obedient {
    fn note(&self, what: &str, message: &Message) {
        let name = name(&message.body);
        let line = format!("{what} {name} {}\n", message.attempt());
        (&self.log).write_all(line.as_bytes()).expect("the log takes it");
    }

    /// Waits until the handlers of this many messages have begun.
    async fn meet(&self, others: usize) {
        let begun = || {
            let log = std::fs::read_to_string(&self.path).unwrap_or_default();
            log.lines().filter(|line| line.starts_with("began ")).map(|line| name(line).to_owned()).collect()
        };
        let mut met: HashSet<String> = begun();
        while met.len() < others {
            tokio::time::sleep(Duration::from_millis(20)).await;
            met = begun();
        }
    }

    async fn obey(&self, steps: &str, message: &Message) -> Outcome {
        self.note("began", message);
        let steps: Vec<&str> = steps.split(',').collect();
        let step = steps[(message.attempt().max(1) as usize - 1).min(steps.len() - 1)];
        let number = |prefix| step.strip_prefix(prefix).and_then(|number: &str| number.parse::<u64>().ok());
        if let Some(millis) = number("wait") {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        if let Some(others) = number("meet") {
            self.meet(others as usize).await;
        }
        let outcome = match step {
            "hang" => std::future::pending().await,
            "panic" => {
                self.note("panic", message);
                panic!("told to");
            }
            "retry" => Outcome::retry("told to"),
            "reject" => Outcome::reject("told to"),
            "kind" => match message.attributes.get("kind").map(|kind| &kind.value) {
                Some(AttributeValue::Text(kind)) if kind == "new" => Outcome::Done,
                other => Outcome::reject(format!("the attribute `kind` is {other:?}")),
            },
            _ => match number("later") {
                Some(seconds) => Outcome::Retry { after: Some(Duration::from_secs(seconds)), reason: "told to".into() },
                None => Outcome::Done,
            },
        };
        let ended = match &outcome {
            Outcome::Done => "done",
            Outcome::Retry { .. } => "retry",
            Outcome::Reject { .. } => "reject",
        };
        self.note(ended, message);
        outcome
    }
}

/// The name of a message, which is the word of `m` and a number in its body, whatever surrounds it.
pub fn name(body: &str) -> &str {
    let is_name = |word: &&str| {
        word.strip_prefix('m').is_some_and(|n| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit()))
    };
    body.split(|letter: char| !letter.is_ascii_alphanumeric()).find(is_name).unwrap_or_default()
}

impl Handler for Obedient {
    async fn handle(&self, message: &Message) -> Outcome {
        self.obey(message.body.split('|').nth(1).unwrap_or("done"), message).await
    }
}

impl HandleTyped<(String, String)> for Obedient {
    async fn handle(&self, (_, steps): (String, String), message: &Message) -> Outcome {
        self.obey(&steps, message).await
    }
}

#[test]
#[ignore = "the process of a host, which the other tests start"]
fn the_process_of_a_host() {
    let Some(path) = std::env::var_os("HOST_LOG").map(PathBuf::from) else { return };
    let log = OpenOptions::new().append(true).create(true).open(&path).expect("the log of the run");
    std::thread::spawn(die_with_the_parent);
    let handler = Obedient { log, path };
    match std::env::var_os("HOST_TYPED") {
        Some(_) => host(typed(handler)),
        None => host(handler),
    }
}

fn host(handler: impl Handler) {
    let code = twinscale::main(async |_: &Context| Ok(handler));
    // A test cannot return an exit code, and one cannot be read: it can be compared with those that a host gives.
    let known = [0, 64, 69, 70, 75].into_iter().find(|known| code == ExitCode::from(*known));
    std::process::exit(known.map_or(1, i32::from));
}

/// A test that is killed leaves nobody behind.
fn die_with_the_parent() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        std::thread::sleep(Duration::from_millis(500));
    }
    std::process::exit(1);
}
