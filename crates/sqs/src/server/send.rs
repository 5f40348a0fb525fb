//! `SendMessage` and `SendMessageBatch`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::batch::{self, Batch, Entry, Text};
use super::content::{Attribute, Content, MAX_BYTES, Payload, attributes_md5};
use super::error::{Code, Error};
use super::hosted::{Bill, Hosted};
use super::http::Call;
use super::settings::Settings;
use super::state::Event;
use crate::model::{Send, Sent};

/// One message to send; the shape of a batch entry, and of a request with its own `QueueUrl`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outgoing<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    queue_url: Option<Text<'a>>,
    #[serde(borrow, default)]
    message_body: Option<Text<'a>>,
    #[serde(default)]
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: Option<BTreeMap<String, Attribute>>,
    #[serde(default)]
    message_system_attributes: Option<BTreeMap<String, Attribute>>,
    #[serde(borrow, default)]
    message_deduplication_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    message_group_id: Option<Text<'a>>,
}

impl Entry for Outgoing<'_> {
    fn id(&self) -> &str {
        self.id.as_ref().map_or("", |id| &id.0)
    }
}

/// The answer for one message.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Accepted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    message_id: uuid::Uuid,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_message_body: Cow<'a, str>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_system_attributes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
}

/// A message that passed all checks.
struct Checked {
    content: Arc<Content>,
    send: Send<Payload>,
    md5_of_attributes: Option<String>,
    md5_of_system_attributes: Option<String>,
}

/// `SendMessage`.
pub(super) fn send(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Outgoing<'_> = call.parse()?;
    let hosted = call.find(batch::text(&request.queue_url))?;
    let settings = hosted.lock().settings.clone();
    let checked = check(call, &settings, request)?;
    call.state.bill(call.state.clock.now(), &hosted, Bill::Send, checked.content.bytes);
    let accepted = accept(call, &hosted, vec![checked]);
    call.write(&accepted[0].1.answer(None, call, settings.queue.fifo, accepted[0].0))
}

/// `SendMessageBatch`.
pub(super) fn send_batch(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let request: Batch<'_, Outgoing<'_>> = call.parse()?;
    let hosted = call.find(batch::text(&request.queue_url))?;
    let settings = hosted.lock().settings.clone();
    let entries = batch::check(request.entries)?;
    if settings.queue.fifo {
        entries.iter().try_for_each(|entry| named(&settings, entry))?;
    }
    let mut good = Vec::new();
    let mut failed = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let id = entry.id().to_owned();
        let size = entry.message_body.as_ref().map_or(0, |body| body.0.len());
        match call.spared().and_then(|()| check(call, &settings, entry)) {
            Ok(checked) => {
                bytes += checked.content.bytes;
                good.push((id, checked));
            }
            Err(error) => {
                bytes += size;
                failed.push(batch::Failed::new(id, error));
            }
        }
    }
    if bytes > MAX_BYTES {
        let message = format!("Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {bytes} bytes.");
        return Err(Error::new(Code::BatchRequestTooLong, message));
    }
    call.state.bill(call.state.clock.now(), &hosted, Bill::Send, bytes);
    let (ids, checked): (Vec<_>, Vec<_>) = good.into_iter().unzip();
    let accepted = accept(call, &hosted, checked);
    let successful = ids
        .iter()
        .zip(&accepted)
        .map(|(id, (sent, receipt))| receipt.answer(Some(id), call, settings.queue.fifo, *sent))
        .collect();
    call.write(&batch::Outcome { successful, failed })
}

/// What the answer needs once the message is in the queue.
struct Receipt {
    content: Arc<Content>,
    md5_of_attributes: Option<String>,
    md5_of_system_attributes: Option<String>,
}

impl Receipt {
    fn answer<'a>(&'a self, id: Option<&'a str>, call: &Call<'_>, fifo: bool, sent: Sent) -> Accepted<'a> {
        Accepted {
            id,
            message_id: call.state.tickets.message_id(sent.id),
            md5_of_message_body: self.content.body_md5.as_str().into(),
            md5_of_message_attributes: self.md5_of_attributes.clone(),
            md5_of_message_system_attributes: self.md5_of_system_attributes.clone(),
            sequence_number: fifo.then(|| batch::sequence_number(sent.sequence)),
        }
    }
}

/// Puts messages into the queue under one lock.
fn accept(call: &Call<'_>, hosted: &Hosted, checked: Vec<Checked>) -> Vec<(Sent, Receipt)> {
    call.state.with(hosted, |inner, now| {
        let mut accepted = Vec::with_capacity(checked.len());
        for Checked { content, mut send, md5_of_attributes, md5_of_system_attributes } in checked {
            let id = call.state.number();
            send.id = id;
            // Told before it can be received, so that books never see a delivery first.
            let payload = send.payload.clone();
            let sent = inner.queue.send(now, send);
            if !sent.duplicate {
                call.state.tell(now, hosted, id, &payload, Event::Sent);
            }
            accepted.push((sent, Receipt { content, md5_of_attributes, md5_of_system_attributes }));
        }
        accepted
    })
}

fn check(call: &Call<'_>, settings: &Settings, outgoing: Outgoing<'_>) -> Result<Checked, Error> {
    let fifo = settings.queue.fifo;
    let wrong_type = |value: &dyn std::fmt::Display, parameter: &str| {
        Error::value(value, parameter, "The request include parameter that is not valid for this queue type.")
    };
    let delay = match outgoing.delay_seconds {
        Some(delay) if !(0..=900).contains(&delay) => {
            return Err(Error::value(delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900."));
        }
        Some(delay) if fifo && delay != 0 => return Err(wrong_type(&delay, "DelaySeconds")),
        Some(_) if fifo => None,
        delay => delay.map(|delay| Duration::from_secs(delay.unsigned_abs())),
    };
    let body = outgoing.message_body.as_ref().map_or("", |body| &body.0);
    let attributes = outgoing.message_attributes.unwrap_or_default();
    let system = outgoing.message_system_attributes.unwrap_or_default();
    let mut content = Content::new(body, attributes, &system)?;
    content.trace = content.trace.or_else(|| call.trace.map(Into::into));
    if content.bytes > settings.maximum_message_size {
        let what = if outgoing.id.is_some() { "cannot be validated" } else { "are invalid" };
        let most = settings.maximum_message_size;
        let message = format!("One or more parameters {what}. Reason: Message must be shorter than {most} bytes.");
        return Err(Error::new(Code::InvalidParameterValue, message));
    }
    let group = outgoing.message_group_id.map(|id| token(&id.0, "MessageGroupId")).transpose()?;
    let mut deduplication =
        outgoing.message_deduplication_id.map(|id| token(&id.0, "MessageDeduplicationId")).transpose()?;
    if fifo {
        if group.is_none() {
            return Err(Error::missing("MessageGroupId"));
        }
        if deduplication.is_none() && settings.content_based_deduplication {
            deduplication = Some(sha256(body).into());
        }
        if deduplication.is_none() {
            return Err(no_deduplication());
        }
    } else if let Some(id) = &deduplication {
        return Err(wrong_type(&id, "MessageDeduplicationId"));
    }
    let md5_of_attributes = attributes_md5(content.attributes.iter()).map(|md5| md5.as_str().to_owned());
    let md5_of_system_attributes = attributes_md5(system.iter()).map(|md5| md5.as_str().to_owned());
    let content = Arc::new(content);
    let payload = Payload { content: content.clone(), origin: None };
    let send = Send { id: 0, payload, delay, group, deduplication };
    Ok(Checked { content, send, md5_of_attributes, md5_of_system_attributes })
}

/// Refuses an entry without the ids that a FIFO queue needs, and the batch with it.
fn named(settings: &Settings, entry: &Outgoing<'_>) -> Result<(), Error> {
    if entry.message_group_id.is_none() {
        return Err(Error { code: Code::InvalidParameterValue, ..Error::missing("MessageGroupId") });
    }
    match entry.message_deduplication_id.is_some() || settings.content_based_deduplication {
        true => Ok(()),
        false => Err(no_deduplication()),
    }
}

fn no_deduplication() -> Error {
    Error::new(
        Code::InvalidParameterValue,
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    )
}

/// A group or deduplication id: 1 to 128 printable ASCII characters without spaces.
fn token(id: &str, parameter: &str) -> Result<Arc<str>, Error> {
    let good = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    match good {
        true => Ok(id.into()),
        false => Err(Error::value(
            id,
            parameter,
            &format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."),
        )),
    }
}

fn sha256(body: &str) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}
