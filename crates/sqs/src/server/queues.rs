//! The queues themselves: create, find, list, describe, change, purge, delete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{Code, Error};
use super::hosted::{Hosted, Inner};
use super::http::Call;
use super::settings::{self, COMPUTED, Settings};
use super::state::State;

/// Attributes or tags.
pub(super) type Map = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: Option<Map>,
    #[serde(default, rename = "tags", alias = "Tags")]
    tags: Option<Map>,
}

/// A request about one queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    queue_url: Option<String>,
    #[serde(default)]
    attributes: Option<Map>,
    #[serde(default, deserialize_with = "super::batch::list")]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    queue_url: Option<String>,
    #[serde(default)]
    queue_name_prefix: Option<String>,
    #[serde(default)]
    max_results: Option<i64>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    queue_name: Option<String>,
}

/// How long after a purge the next one is refused.
const PURGE_PAUSE: Duration = Duration::from_secs(60);

/// `CreateQueue`. A queue that exists with the same attributes is found; one that was just deleted can be made again at
/// once (AWS wants a minute in between).
pub(super) fn create(call: &Call<'_>) -> Result<Value, Error> {
    let request: Create = call.parse()?;
    let name = request.queue_name.ok_or_else(|| Error::missing("QueueName"))?;
    make(&call.state, call.region(), &name, request.attributes.unwrap_or_default(), request.tags.unwrap_or_default())?;
    Ok(json!({ "QueueUrl": call.url(&name) }))
}

/// Makes a queue, or finds the one that is just like it.
pub(super) fn make(state: &State, region: &str, name: &str, attributes: Map, tags: Map) -> Result<Arc<Hosted>, Error> {
    let attributes = &settings::normal(attributes);
    let bare = name.strip_suffix(".fifo").unwrap_or(name);
    let good = !bare.is_empty()
        && name.len() <= 80
        && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let named_fifo = name.ends_with(".fifo");
    if !good {
        let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(Error::new(Code::InvalidParameterValue, message));
    }
    match (attributes.get("FifoQueue").map(String::as_str), named_fifo) {
        (Some("true"), false) => {
            let message = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.";
            return Err(Error::new(Code::InvalidParameterValue, message));
        }
        (None | Some("false"), true) => {
            let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
            return Err(Error::new(Code::InvalidParameterValue, message));
        }
        _ => {}
    }
    super::tags::check(&tags)?;
    if let Some(existing) = state.named(region, name) {
        return match existing.lock().settings.difference(attributes) {
            None => Ok(existing.clone()),
            Some(name) => Err(Error::new(
                Code::QueueNameExists,
                format!("A queue already exists with the same name and a different value for attribute {name}"),
            )),
        };
    }
    let settings = Settings::new(named_fifo, attributes)?;
    if let Some(policy) = &settings.dead_letters {
        state.check_dead_letters(&state.arn(region, name), named_fifo, &policy.dead_letter_target_arn)?;
    }
    Ok(state.host(Hosted::new(state.arn(region, name), settings, tags, state)))
}

/// `DeleteQueue`: polls that wait for it end.
pub(super) fn delete(call: &Call<'_>) -> Result<Value, Error> {
    let hosted = call.find(call.parse::<About>()?.queue_url.as_deref())?;
    call.state.unhost(&hosted);
    Ok(json!({}))
}

/// `GetQueueUrl`.
pub(super) fn url(call: &Call<'_>) -> Result<Value, Error> {
    let name = call.parse::<Named>()?.queue_name.ok_or_else(|| Error::missing("QueueName"))?;
    let hosted = call.state.named(call.region(), &name).ok_or_else(Error::no_queue)?;
    Ok(json!({ "QueueUrl": call.url(&hosted.name) }))
}

/// `ListQueues`.
pub(super) fn list(call: &Call<'_>) -> Result<Value, Error> {
    let page: Page = call.parse()?;
    let prefix = page.queue_name_prefix.as_deref().unwrap_or_default();
    let queues = call.state.queues();
    let names = queues.get(call.region()).into_iter().flat_map(BTreeMap::keys);
    let names = names.filter(|name| name.starts_with(prefix)).cloned().collect();
    drop(queues);
    paged(call, &page, names, "QueueUrls")
}

/// `ListDeadLetterSourceQueues`.
pub(super) fn dead_letter_sources(call: &Call<'_>) -> Result<Value, Error> {
    let page: Page = call.parse()?;
    let target = call.find(page.queue_url.as_deref())?;
    let names = sources(&call.state, &target).iter().map(|source| source.name.clone()).collect();
    let mut answer = paged(call, &page, names, "queueUrls")?;
    if answer.get("queueUrls").is_none() {
        answer["queueUrls"] = json!([]);
    }
    Ok(answer)
}

/// The queues whose dead letters go to `target`.
pub(super) fn sources(state: &State, target: &Hosted) -> Vec<Arc<Hosted>> {
    let all: Vec<_> = state.queues().values().flat_map(BTreeMap::values).cloned().collect();
    let goes_there = |hosted: &Arc<Hosted>| {
        hosted.lock().settings.dead_letters.as_ref().is_some_and(|p| p.dead_letter_target_arn == *target.arn)
    };
    all.into_iter().filter(goes_there).collect()
}

/// Names after the token, at most as many as asked for; a token for the rest only if a number was asked for, as AWS.
fn paged(call: &Call<'_>, page: &Page, names: Vec<Arc<str>>, field: &str) -> Result<Value, Error> {
    let most = match page.max_results {
        Some(most) if !(1..=1000).contains(&most) => {
            return Err(Error::value(most, "MaxResults", "MaxResults must be an integer between 1 and 1000."));
        }
        Some(most) => most.unsigned_abs() as usize,
        None => 1000,
    };
    let after = page.next_token.as_deref().unwrap_or_default();
    let mut rest = names.into_iter().filter(|name| after.is_empty() || &**name > after);
    let shown: Vec<_> = rest.by_ref().take(most).collect();
    let mut answer = json!({});
    if let (Some(last), Some(_), Some(_)) = (shown.last(), page.max_results, rest.next()) {
        answer["NextToken"] = json!(last);
    }
    if !shown.is_empty() {
        answer[field] = shown.iter().map(|name| call.url(name)).collect();
    }
    Ok(answer)
}

/// `GetQueueAttributes`.
pub(super) fn attributes(call: &Call<'_>) -> Result<Value, Error> {
    let request: About = call.parse()?;
    let hosted = call.find(request.queue_url.as_deref())?;
    let shown = call.state.with(&hosted, |inner, now| -> Result<Map, Error> {
        let mut shown = Map::new();
        for name in &request.attribute_names {
            if name == "All" {
                shown.extend(inner.settings.all().map(|(name, value)| (name.clone(), value.clone())));
                shown.extend(COMPUTED.map(|name| (name.to_owned(), computed(call, &hosted, inner, now, name))));
            } else if COMPUTED.contains(&name.as_str()) {
                shown.insert(name.clone(), computed(call, &hosted, inner, now, name));
            } else if let Some(value) = inner.settings.get(name)? {
                shown.insert(name.clone(), value.to_owned());
            }
        }
        Ok(shown)
    })?;
    Ok(if shown.is_empty() { json!({}) } else { json!({ "Attributes": shown }) })
}

fn computed(call: &Call<'_>, hosted: &Hosted, inner: &mut Inner, now: Duration, name: &str) -> String {
    let counts = inner.queue.counts(now);
    let seconds = |at: Duration| (call.state.epoch + at).as_secs().to_string();
    match name {
        "ApproximateNumberOfMessages" => counts.visible.to_string(),
        "ApproximateNumberOfMessagesNotVisible" => counts.in_flight.to_string(),
        "ApproximateNumberOfMessagesDelayed" => counts.delayed.to_string(),
        "CreatedTimestamp" => seconds(inner.created),
        "LastModifiedTimestamp" => seconds(inner.modified),
        _ => hosted.arn.to_string(),
    }
}

/// `SetQueueAttributes`.
pub(super) fn set_attributes(call: &Call<'_>) -> Result<Value, Error> {
    let request: About = call.parse()?;
    let hosted = call.find(request.queue_url.as_deref())?;
    let given = request.attributes.filter(|given| !given.is_empty()).ok_or_else(|| Error::missing("Attributes"))?;
    change(&call.state, &hosted, &settings::normal(given))?;
    Ok(json!({}))
}

/// Sets attributes, all or none.
pub(super) fn change(state: &State, hosted: &Hosted, given: &Map) -> Result<(), Error> {
    let was_fifo = hosted.lock().settings.queue.fifo;
    let settings = hosted.lock().settings.changed(given)?;
    if let (Some(policy), true) = (&settings.dead_letters, given.contains_key("RedrivePolicy")) {
        state.check_dead_letters(&hosted.arn, was_fifo, &policy.dead_letter_target_arn)?;
    }
    state.with(hosted, |inner, now| {
        inner.queue.set_attributes(now, settings.queue.clone(), given);
        inner.settings = settings;
        inner.modified = now;
    });
    Ok(())
}

/// `PurgeQueue`.
pub(super) fn purge(call: &Call<'_>) -> Result<Value, Error> {
    let hosted = call.find(call.parse::<About>()?.queue_url.as_deref())?;
    call.state.with(&hosted, |inner, now| {
        if inner.purged.is_some_and(|at| at + PURGE_PAUSE > now) {
            let message = format!("Only one PurgeQueue operation on {} is allowed every 60 seconds.", hosted.name);
            return Err(Error::new(Code::PurgeQueueInProgress, message));
        }
        inner.purged = Some(now);
        inner.queue.purge(now);
        Ok(json!({}))
    })
}
