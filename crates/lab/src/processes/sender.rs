//! Sends a scenario's load when its time has come: through `POST /send` of a real process, or, where a service of one's
//! own has its own bodies, straight into the queue.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::queues::Queues;
use super::service::Bodies;
use super::timeline::Timeline;
use crate::scenario::Scenario;
use twinscale_work::body;

/// Messages in one request at most.
const CHUNK: u64 = 1000;
/// Bytes of bodies in one request at most: Lambda takes 6 MB of event, in which every body is escaped JSON in JSON.
const CHUNK_BYTES: u64 = 4 << 20;

/// How messages come into the queue.
pub enum Way<'a> {
    /// Through a process that serves `/send`.
    Http(&'a Client),
    /// By the queue itself: these bodies.
    Queue(&'a Queues, &'a Bodies),
}

/// Sends the whole load, each arrival at its time, and returns what went wrong.
pub async fn send(scenario: &Scenario, way: &Way<'_>, timeline: &Timeline) -> Vec<String> {
    let mut next = 0;
    let mut warnings = Vec::new();
    for arrival in scenario.arrivals() {
        timeline.sleep_until(arrival.at).await;
        let numbers: Vec<u64> = (next..next + arrival.count).collect();
        next += arrival.count;
        for (group, numbers) in groups(scenario, numbers) {
            for chunk in numbers.chunks(chunk(scenario.body_bytes)) {
                let sent = match way {
                    Way::Http(client) => post(scenario, client, group.as_deref(), chunk).await,
                    Way::Queue(queues, bodies) => {
                        let bodies: Vec<_> = chunk.iter().map(|number| bodies.body(scenario.seed, *number)).collect();
                        queues.send(&bodies, group.as_deref()).await
                    }
                };
                if let Err(warning) = sent {
                    warnings.push(warning);
                }
            }
        }
        timeline.was_late(timeline.now().saturating_sub(arrival.at));
    }
    warnings
}

/// The message groups of a FIFO queue, each with its messages in order; one nameless group on a standard queue.
fn groups(scenario: &Scenario, numbers: Vec<u64>) -> Vec<(Option<String>, Vec<u64>)> {
    if !scenario.queue.fifo {
        return vec![(None, numbers)];
    }
    let groups = u64::from(scenario.queue.groups);
    let of_group = |group| numbers.iter().copied().filter(|number| number % groups == group).collect::<Vec<_>>();
    let all = (0..groups).map(|group| (Some(format!("group-{group}")), of_group(group)));
    all.filter(|(_, numbers)| !numbers.is_empty()).collect()
}

fn chunk(body_bytes: u64) -> usize {
    // Neither is 0: a body has at most 1 MiB.
    (CHUNK_BYTES / body_bytes.max(1)).clamp(1, CHUNK) as usize
}

async fn post(scenario: &Scenario, client: &Client, group: Option<&str>, numbers: &[u64]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct SendReply {
        accepted: u64,
        #[serde(default)]
        failed: Vec<serde_json::Value>,
    }
    let bodies: Vec<String> = numbers.iter().map(|number| padded(scenario, *number)).collect();
    let mut request = json!({ "bodies": bodies });
    if let Some(group) = group {
        request["group_id"] = group.into();
    }
    let (status, answer) = client.post("/send", request.to_string()).await.map_err(|error| error.to_string())?;
    let text = || String::from_utf8_lossy(&answer).into_owned();
    if status != StatusCode::OK {
        return Err(format!("POST /send answered {status}: {}", text()));
    }
    let report: SendReply = serde_json::from_slice(&answer).map_err(|error| format!("{error}: {}", text()))?;
    match report.failed.first() {
        None => Ok(()),
        Some(first) => {
            Err(format!("/send took {} of {} messages; first failure: {first}", report.accepted, numbers.len()))
        }
    }
}

/// The body of message `number`: a UUID, followed by what is missing to the scenario's length.
fn padded(scenario: &Scenario, number: u64) -> String {
    // Not by a format's width, which is 65,535 at most.
    let mut body = body(scenario.seed, number);
    let missing = usize::try_from(scenario.body_bytes).unwrap_or(usize::MAX).saturating_sub(body.len());
    body.extend(std::iter::repeat_n('.', missing));
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_body_has_the_length_asked_for_and_still_carries_its_number() {
        let scenario = Scenario { body_bytes: 100, ..Scenario::default() };
        let body = padded(&scenario, 41);
        assert_eq!(body.len(), 100);
        assert_eq!(twinscale_work::number(&body), 41);
        assert_eq!(padded(&Scenario::default(), 41).len(), 36);
        let largest = Scenario { body_bytes: 1 << 20, ..Scenario::default() };
        assert_eq!(padded(&largest, 41).len(), 1 << 20);
    }

    #[test]
    fn every_message_of_a_fifo_load_is_in_one_group_and_order_is_kept() {
        let mut scenario = Scenario::default();
        scenario.queue.fifo = true;
        scenario.queue.groups = 3;
        let groups = groups(&scenario, (0..8).collect());
        assert_eq!(groups[1], (Some("group-1".to_owned()), vec![1, 4, 7]));
        assert_eq!(groups.iter().map(|(_, numbers)| numbers.len()).sum::<usize>(), 8);
    }
}
