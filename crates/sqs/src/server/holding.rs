//! What a holder does with a message: `DeleteMessage`, `ChangeMessageVisibility`, and their batches.

use std::time::Duration;

use serde::Deserialize;

use super::batch::{self, Batch, Done, Entry, Failed, Outcome, Text};
use super::error::{Code, Error};
use super::hosted::{Bill, Hosted, Inner};
use super::http::Call;
use super::state::Event;
use crate::model::Handle;

/// A delete, or a change of visibility; the shape of a batch entry, and of a request with its own `QueueUrl`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HandleEntry<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    queue_url: Option<Text<'a>>,
    #[serde(borrow, default)]
    receipt_handle: Option<Text<'a>>,
    #[serde(default)]
    visibility_timeout: Option<i64>,
}

impl Entry for HandleEntry<'_> {
    fn id(&self) -> &str {
        self.id.as_ref().map_or("", |id| &id.0)
    }
}

type Act = fn(&Call<'_>, &Hosted, &mut Inner, Duration, &HandleEntry<'_>) -> Result<(), Error>;

/// `DeleteMessage`.
pub(super) fn delete(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    one(call, Bill::Delete, delete_one)
}

/// `DeleteMessageBatch`.
pub(super) fn delete_batch(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    many(call, Bill::Delete, delete_one)
}

/// `ChangeMessageVisibility`.
pub(super) fn change_visibility(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    one(call, Bill::ChangeVisibility, change_one)
}

/// `ChangeMessageVisibilityBatch`.
pub(super) fn change_visibility_batch(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    many(call, Bill::ChangeVisibility, change_one)
}

fn one(call: &Call<'_>, bill: Bill, act: Act) -> Result<Vec<u8>, Error> {
    let held: HandleEntry<'_> = call.parse()?;
    let hosted = call.find(batch::text(&held.queue_url))?;
    call.state.bill(call.state.clock.now(), &hosted, bill, 0);
    call.state.with(&hosted, |inner, now| act(call, &hosted, inner, now, &held))?;
    call.write(&serde_json::json!({}))
}

fn many(call: &Call<'_>, bill: Bill, act: Act) -> Result<Vec<u8>, Error> {
    let request: Batch<'_, HandleEntry<'_>> = call.parse()?;
    let hosted = call.find(batch::text(&request.queue_url))?;
    let entries = batch::check(request.entries)?;
    call.state.bill(call.state.clock.now(), &hosted, bill, 0);
    let results: Vec<_> = call.state.with(&hosted, |inner, now| {
        entries.iter().map(|entry| call.spared().and_then(|()| act(call, &hosted, inner, now, entry))).collect()
    });
    let mut successful = Vec::with_capacity(entries.len());
    let mut failed = Vec::new();
    for (entry, result) in entries.iter().zip(results) {
        match result {
            Ok(()) => successful.push(Done { id: entry.id() }),
            Err(error) => failed.push(Failed::new(entry.id().to_owned(), error)),
        }
    }
    call.write(&Outcome { successful, failed })
}

fn handle<'a>(call: &Call<'_>, hosted: &Hosted, held: &'a HandleEntry<'_>) -> Result<(&'a str, Handle), Error> {
    let text = batch::text(&held.receipt_handle).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Error::missing("ReceiptHandle"))?;
    let handle = call.state.tickets.handle(hosted.number, text).ok_or_else(|| Error::bad_handle(text))?;
    Ok((text, handle))
}

fn delete_one(
    call: &Call<'_>,
    hosted: &Hosted,
    inner: &mut Inner,
    now: Duration,
    held: &HandleEntry<'_>,
) -> Result<(), Error> {
    let (text, handle) = handle(call, hosted, held)?;
    match inner.queue.delete(now, handle) {
        Ok(Some(message)) => call.state.tell(now, hosted, message.id, &message.payload, Event::Deleted),
        Ok(None) => {}
        Err(error) => return Err(Error::handle(error, text, None)),
    }
    Ok(())
}

fn change_one(
    call: &Call<'_>,
    hosted: &Hosted,
    inner: &mut Inner,
    now: Duration,
    held: &HandleEntry<'_>,
) -> Result<(), Error> {
    let (text, handle) = handle(call, hosted, held)?;
    let timeout = held.visibility_timeout.ok_or_else(|| Error::missing("VisibilityTimeout"))?;
    if !(0..=43_200).contains(&timeout) {
        let reason = "VisibilityTimeout must be an integer between 0 and 43200.";
        return Err(Error::new(
            Code::InvalidParameterValue,
            format!("Value {timeout} for parameter VisibilityTimeout is invalid. Reason: {reason}"),
        ));
    }
    let seconds = timeout.unsigned_abs();
    let timeout = Duration::from_secs(seconds);
    let changed = inner.queue.change_visibility(now, handle, timeout);
    let message = changed.map_err(|error| Error::handle(error, text, Some(seconds)))?;
    call.state.tell(now, hosted, message.id, &message.payload, Event::Visibility(timeout));
    Ok(())
}
