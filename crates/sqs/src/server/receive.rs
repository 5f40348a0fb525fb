//! `ReceiveMessage`, short and long polls.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::batch::{self, Text, sequence_number};
use super::content::{Attribute, Payload, attributes_md5};
use super::error::{Code, Error};
use super::faults::FaultKind;
use super::hosted::{Bill, Hosted, Inner};
use super::http::Call;
use super::state::{Event, State};
use crate::model::Received;

/// How long a `ReceiveRequestAttemptId` counts.
const ATTEMPT_WINDOW: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveRequest<'a> {
    #[serde(borrow, default)]
    queue_url: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "batch::list")]
    attribute_names: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "batch::list")]
    message_system_attribute_names: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "batch::list")]
    message_attribute_names: Vec<Text<'a>>,
    #[serde(default)]
    max_number_of_messages: Option<i64>,
    #[serde(default)]
    visibility_timeout: Option<i64>,
    #[serde(default)]
    wait_time_seconds: Option<i64>,
    #[serde(borrow, default)]
    receive_request_attempt_id: Option<Text<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveAnswer<'a> {
    messages: Vec<ReceivedMessage<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ReceivedMessage<'a> {
    message_id: uuid::Uuid,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a String, &'a Attribute>,
}

/// What a receive asks of the queue.
pub(super) struct Poll<'a> {
    /// Messages at most.
    pub max: usize,
    /// Hidden for; the queue's own, if `None`.
    pub visibility: Option<Duration>,
    /// Waits for so long.
    pub wait: Duration,
    /// FIFO: the same id within five minutes brings the same messages.
    pub attempt: Option<&'a str>,
}

/// `ReceiveMessage`.
pub(super) async fn receive(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: ReceiveRequest<'_> = call.parse()?;
    let hosted = call.find(batch::text(&request.queue_url))?;
    let in_range = |value: Option<i64>, most: i64, least: i64, name: &str, reason: &str| match value {
        Some(value) if !(least..=most).contains(&value) => Err(Error::value(value, name, reason)),
        value => Ok(value.map(i64::unsigned_abs)),
    };
    let reason = "Must be between 1 and 10, if provided.";
    let max = in_range(request.max_number_of_messages, 10, 1, "MaxNumberOfMessages", reason)?.unwrap_or(1);
    let reason = "Must be >= 0 and <= 20, if provided.";
    let wait = in_range(request.wait_time_seconds, 20, 0, "WaitTimeSeconds", reason)?.map(Duration::from_secs);
    let reason = "Must be >= 0 and <= 43200, if provided.";
    let visibility = in_range(request.visibility_timeout, 43_200, 0, "VisibilityTimeout", reason)?;
    let asked: Vec<&str> =
        request.attribute_names.iter().chain(&request.message_system_attribute_names).map(|name| &*name.0).collect();
    if let Some(unknown) = asked.iter().find(|name| **name != "All" && !SYSTEM_ATTRIBUTES.contains(name)) {
        return Err(Error::new(Code::InvalidAttributeName, format!("Unknown Attribute {unknown}.")));
    }
    let (fifo, own_wait) = {
        let inner = hosted.lock();
        (inner.settings.queue.fifo, inner.settings.receive_wait)
    };
    let attempt = batch::text(&request.receive_request_attempt_id);
    if let Some(id) = attempt.filter(|_| !fifo) {
        let reason = "The request include parameter that is not valid for this queue type.";
        return Err(Error::value(id, "ReceiveRequestAttemptId", reason));
    }
    let visibility = visibility.map(Duration::from_secs);
    let poll = Poll { max: max as usize, visibility, wait: wait.unwrap_or(own_wait), attempt };
    let mut received = take(&call.state, &hosted, &poll).await?;
    duplicate(call, &hosted, &mut received);
    let bytes = received.iter().map(|one| one.message.payload.content.bytes).sum();
    let bill = if received.is_empty() { Bill::EmptyReceive } else { Bill::Receive };
    call.state.bill(call.state.clock.now(), &hosted, bill, bytes);
    if received.is_empty() {
        return call.write(&serde_json::json!({}));
    }
    let wanted: Vec<&str> = request.message_attribute_names.iter().map(|name| &*name.0).collect();
    let messages = received.iter().map(|one| show(&call.state, &hosted, fifo, one, &asked, &wanted)).collect();
    call.write(&ReceiveAnswer { messages })
}

/// Takes messages, and waits for them if there are none. Dropped while it waits, it has taken none.
pub(super) async fn take(state: &State, hosted: &Hosted, poll: &Poll<'_>) -> Result<Vec<Received<Payload>>, Error> {
    let long = !poll.wait.is_zero();
    let until = state.clock.now() + poll.wait;
    let mut out = Vec::new();
    let now = state.clock.now();
    {
        let mut inner = hosted.lock();
        take_now(state, hosted, &mut inner, now, poll, long, &mut out)?;
        state.depart(hosted, inner, now);
    }
    if !out.is_empty() || !long {
        return Ok(out);
    }
    let mut deadline = pin!(state.clock.sleep_until(until));
    let mut waiting = None;
    let mut over = false;
    loop {
        let mut woken = pin!(hosted.arrived.notified());
        woken.as_mut().enable();
        let now = state.clock.now();
        {
            // Counted among those that wait before it looks, so that nothing arrives unheard in between.
            let mut inner = hosted.lock();
            waiting.get_or_insert_with(|| hosted.wait(&mut inner));
            take_now(state, hosted, &mut inner, now, poll, long, &mut out)?;
            state.depart(hosted, inner, now);
        }
        if !out.is_empty() {
            return Ok(out);
        }
        if over {
            return Ok(out);
        }
        tokio::select! {
            () = woken => {}
            // It looks once more: the clock may have been advanced past what it waits for.
            () = &mut deadline => over = true,
        }
    }
}

/// One look at the queue, under its lock.
fn take_now(
    state: &State,
    hosted: &Hosted,
    inner: &mut Inner,
    now: Duration,
    poll: &Poll<'_>,
    long: bool,
    out: &mut Vec<Received<Payload>>,
) -> Result<(), Error> {
    if inner.deleted {
        return Err(Error::no_queue());
    }
    if !again(inner, now, poll, out) {
        match inner.queue.receive(now, poll.max, poll.visibility, out) {
            Ok(_) => {}
            Err(_) if long => return Ok(()),
            Err(error) => return Err(Error::new(Code::OverLimit, error.to_string())),
        }
        if let Some(id) = poll.attempt.filter(|_| !out.is_empty()) {
            inner.attempts.insert(id.to_owned(), (now, out.iter().map(|one| one.handle).collect()));
        }
    }
    if state.watch.is_some() {
        for one in out.iter() {
            state.tell(
                now,
                hosted,
                one.message.id,
                &one.message.payload,
                Event::Delivered { receive_count: one.message.receives },
            );
        }
    }
    // A poll that found nothing leaves nothing for others: telling them would go round in circles while groups are locked.
    if !out.is_empty() {
        hosted.settle(inner, now);
    }
    Ok(())
}

/// Brings what the same attempt brought before, if its messages are still held.
fn again(inner: &mut Inner, now: Duration, poll: &Poll<'_>, out: &mut Vec<Received<Payload>>) -> bool {
    let Some(id) = poll.attempt else { return false };
    inner.attempts.retain(|_, (at, _)| *at + ATTEMPT_WINDOW > now);
    let Some((_, handles)) = inner.attempts.get(id) else { return false };
    for handle in handles {
        out.extend(inner.queue.renew(now, *handle, poll.visibility));
    }
    !out.is_empty()
}

/// Fault plan: some messages become visible to others at once.
fn duplicate(call: &Call<'_>, hosted: &Hosted, received: &mut [Received<Payload>]) {
    for one in received {
        if call.faults.draw("ReceiveMessage", |kind| kind == FaultKind::Duplicate).is_some() {
            call.state
                .with(hosted, |inner, now| inner.queue.change_visibility(now, one.handle, Duration::ZERO).is_ok());
        }
    }
}

const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

fn show<'a>(
    state: &State,
    hosted: &Hosted,
    fifo: bool,
    one: &'a Received<Payload>,
    asked: &[&str],
    wanted: &[&str],
) -> ReceivedMessage<'a> {
    let content = &one.message.payload.content;
    let all = asked.contains(&"All");
    let attributes = match asked.is_empty() {
        true => BTreeMap::new(),
        false => SYSTEM_ATTRIBUTES
            .into_iter()
            .filter(|name| all || asked.contains(name))
            .filter_map(|name| Some((name, system_attribute(state, fifo, one, name)?)))
            .collect(),
    };
    let message_attributes: BTreeMap<_, _> = match wanted.is_empty() {
        true => BTreeMap::new(),
        false => content.attributes.iter().filter(|(name, _)| wanted.iter().any(|want| matches(want, name))).collect(),
    };
    ReceivedMessage {
        message_id: state.tickets.message_id(one.message.id),
        receipt_handle: state.tickets.receipt(hosted.number, one.handle),
        md5_of_body: content.body_md5.as_str(),
        body: &content.body,
        attributes,
        md5_of_message_attributes: attributes_md5(message_attributes.iter().map(|(name, value)| (*name, *value)))
            .map(|md5| md5.as_str().to_owned()),
        message_attributes,
    }
}

fn system_attribute(state: &State, fifo: bool, one: &Received<Payload>, name: &str) -> Option<String> {
    let message = &one.message;
    match name {
        "SenderId" => Some(state.account.clone()),
        "SentTimestamp" => Some(state.epoch_ms(message.sent_at).to_string()),
        "ApproximateReceiveCount" => Some(message.receives.to_string()),
        "ApproximateFirstReceiveTimestamp" => Some(state.epoch_ms(message.first_received_at?).to_string()),
        "SequenceNumber" => fifo.then(|| sequence_number(one.sequence)),
        "MessageDeduplicationId" => message.deduplication.as_deref().map(str::to_owned),
        "MessageGroupId" => message.group.as_deref().map(str::to_owned),
        "AWSTraceHeader" => message.payload.content.trace.as_deref().map(str::to_owned),
        "DeadLetterQueueSourceArn" => message.payload.origin.as_deref().map(str::to_owned),
        _ => None,
    }
}

/// `All`, `*`, `.*`, a prefix followed by `.*`, or the name itself.
fn matches(want: &str, name: &str) -> bool {
    match want.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => want == "All" || want == "*" || want == name,
    }
}
