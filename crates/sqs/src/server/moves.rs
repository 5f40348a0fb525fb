//! Message move tasks: dead letters go back to where they came from, or elsewhere, at a bounded rate.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Code, Error};
use super::hosted::Hosted;
use super::http::Call;
use super::queues::sources;
use super::state::State;
use crate::model::Message;

/// Messages moved a second unless the task says otherwise; AWS decides by itself, and allows 500 at most.
const RATE_MAX: i64 = 500;
/// Moves happen so often.
const STEP: Duration = Duration::from_millis(100);

/// One task.
pub(super) struct MoveTask {
    handle: String,
    source: Arc<str>,
    destination: Option<String>,
    rate: Option<i64>,
    started_ms: u128,
    to_move: u64,
    moved: AtomicU64,
    cancelled: AtomicBool,
    /// `RUNNING`, then `COMPLETED`, `CANCELLED` or `FAILED` with the reason.
    status: Mutex<(&'static str, Option<String>)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MoveRequest {
    #[serde(default)]
    source_arn: Option<String>,
    #[serde(default)]
    destination_arn: Option<String>,
    #[serde(default)]
    max_number_of_messages_per_second: Option<i64>,
    #[serde(default)]
    task_handle: Option<String>,
    #[serde(default)]
    max_results: Option<i64>,
}

impl MoveTask {
    fn is_running(&self) -> bool {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).0 == "RUNNING"
    }

    fn end(&self, status: &'static str, reason: Option<String>) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = (status, reason);
    }

    fn show(&self) -> Value {
        let (status, reason) = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = if status == "RUNNING" && self.cancelled.load(Ordering::Relaxed) { "CANCELLING" } else { status };
        let mut shown = json!({
            "Status": status,
            "SourceArn": &*self.source,
            "ApproximateNumberOfMessagesMoved": self.moved.load(Ordering::Relaxed),
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_ms as u64,
        });
        if status == "RUNNING" {
            shown["TaskHandle"] = json!(self.handle);
        }
        if let Some(destination) = &self.destination {
            shown["DestinationArn"] = json!(destination);
        }
        if let Some(rate) = self.rate {
            shown["MaxNumberOfMessagesPerSecond"] = json!(rate);
        }
        if let Some(reason) = reason {
            shown["FailureReason"] = json!(reason);
        }
        shown
    }
}

fn not_found() -> Error {
    Error::new(Code::ResourceNotFound, "The resource that you specified for the SourceArn parameter doesn't exist.")
}

fn source(call: &Call<'_>, arn: Option<&String>) -> Result<Arc<Hosted>, Error> {
    let arn = arn.ok_or_else(|| Error::missing("SourceArn"))?;
    if !arn.starts_with("arn:") {
        return Err(Error::value(arn, "SourceArn", "The ARN is not valid."));
    }
    call.state.find_arn(arn).ok_or_else(not_found)
}

/// `StartMessageMoveTask`.
pub(super) fn start(call: &Call<'_>) -> Result<Value, Error> {
    let request: MoveRequest = call.parse()?;
    let hosted = source(call, request.source_arn.as_ref())?;
    if let Some(rate) = request.max_number_of_messages_per_second.filter(|rate| !(1..=RATE_MAX).contains(rate)) {
        return Err(Error::value(rate, "MaxNumberOfMessagesPerSecond", "Must be between 1 and 500, if provided."));
    }
    if sources(&call.state, &hosted).is_empty() {
        return Err(Error::new(Code::InvalidParameterValue, "Source queue must be configured as a Dead Letter Queue."));
    }
    if let Some(arn) = &request.destination_arn {
        let exists = call.state.find_arn(arn).is_some();
        let message = "The resource that you specified for the DestinationArn parameter doesn't exist.";
        exists.then_some(()).ok_or_else(|| Error::new(Code::ResourceNotFound, message))?;
    }
    let mut inner = hosted.lock();
    if inner.moves.iter().any(|task| task.is_running()) {
        let message =
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.";
        return Err(Error::new(Code::InvalidParameterValue, message));
    }
    let now = call.state.clock.now();
    let id = call.state.tickets.message_id(call.state.number());
    let task = Arc::new(MoveTask {
        handle: BASE64.encode(json!({ "taskId": id, "sourceArn": &*hosted.arn }).to_string()),
        source: hosted.arn.clone(),
        destination: request.destination_arn,
        rate: request.max_number_of_messages_per_second,
        started_ms: call.state.epoch_ms(now),
        to_move: inner.queue.counts(now).visible,
        moved: AtomicU64::new(0),
        cancelled: AtomicBool::new(false),
        status: Mutex::new(("RUNNING", None)),
    });
    inner.moves.push(task.clone());
    drop(inner);
    let answer = json!({ "TaskHandle": task.handle });
    tokio::spawn(run(call.state.clone(), hosted, task));
    Ok(answer)
}

/// `ListMessageMoveTasks`: the newest first, one unless told otherwise.
pub(super) fn list(call: &Call<'_>) -> Result<Value, Error> {
    let request: MoveRequest = call.parse()?;
    let hosted = source(call, request.source_arn.as_ref())?;
    let most = match request.max_results {
        Some(most) if !(1..=10).contains(&most) => {
            return Err(Error::value(most, "MaxResults", "Must be between 1 and 10, if provided."));
        }
        most => most.map_or(1, |most| most.unsigned_abs() as usize),
    };
    let results: Vec<Value> = hosted.lock().moves.iter().rev().take(most).map(|task| task.show()).collect();
    Ok(json!({ "Results": results }))
}

/// `CancelMessageMoveTask`: what was moved stays moved.
pub(super) fn cancel(call: &Call<'_>) -> Result<Value, Error> {
    let handle = call.parse::<MoveRequest>()?.task_handle.ok_or_else(|| Error::missing("TaskHandle"))?;
    let decoded: Option<Value> = BASE64.decode(&handle).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let arn = decoded.as_ref().and_then(|task| task["sourceArn"].as_str());
    let arn =
        arn.ok_or_else(|| Error::new(Code::InvalidParameterValue, "Value for parameter TaskHandle is invalid."))?;
    let hosted = call.state.find_arn(arn).ok_or_else(not_found)?;
    let task = hosted.lock().moves.iter().find(|task| task.handle == handle && task.is_running()).cloned();
    let task = task.ok_or_else(|| Error::new(Code::ResourceNotFound, "Task does not exist."))?;
    task.cancelled.store(true, Ordering::Relaxed);
    Ok(json!({ "ApproximateNumberOfMessagesMoved": task.moved.load(Ordering::Relaxed) }))
}

async fn run(state: Arc<State>, from: Arc<Hosted>, task: Arc<MoveTask>) {
    let began = state.clock.now();
    let rate = task.rate.unwrap_or(RATE_MAX) as f64;
    loop {
        let moved = task.moved.load(Ordering::Relaxed);
        if task.cancelled.load(Ordering::Relaxed) {
            return task.end("CANCELLED", None);
        }
        if moved >= task.to_move {
            return task.end("COMPLETED", None);
        }
        let allowed = ((state.clock.now() - began + STEP).as_secs_f64() * rate) as u64;
        let batch = allowed.min(task.to_move).saturating_sub(moved);
        let mut messages = Vec::new();
        state.with(&from, |inner, now| inner.queue.withdraw(now, batch as usize, &mut messages));
        if batch > 0 && messages.is_empty() {
            return task.end("COMPLETED", None);
        }
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            let arn = task.destination.as_deref().or(message.payload.origin.as_deref());
            let target = arn.ok_or("CouldNotDetermineMessageSource");
            let target = target.and_then(|arn| state.find_arn(arn).ok_or("AWS.SimpleQueueService.NonExistentQueue"));
            let target = match target {
                Ok(target) => target,
                Err(reason) => {
                    // All that was taken out goes back.
                    for message in std::iter::once(message).chain(messages) {
                        let origin = message.payload.origin.clone();
                        state.carry(&from, message, origin);
                    }
                    return task.end("FAILED", Some(reason.to_owned()));
                }
            };
            let moved_at = state.clock.now();
            state.tell(moved_at, &target, message.id, &message.payload, super::state::Event::Sent);
            // A message that is moved is a new one: its retention and its receives begin anew.
            let message =
                Message { sent_at: moved_at, receives: 0, first_received_at: None, received_at: None, ..message };
            state.carry(&target, message, None);
            task.moved.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(error) = state.flush() {
            return task.end("FAILED", Some(error.message));
        }
        state.clock.sleep(STEP).await;
    }
}
