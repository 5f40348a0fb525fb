//! Sends the scenario's load: each arrival at its time, straight to the queue or through the target's `/send`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::account::{Account, Auth};
use crate::scenario::Scenario;
use twinscale::unstable::queue::{Outgoing, Queue};
use twinscale_work::body;

/// Messages of one request: a tenth of the default `SEND_LIMIT`; halved where a target allows fewer.
const AT_ONCE: u64 = 1000;
/// Bytes of bodies in one request. Lambda takes 6 MB of event, in which the body's quotes are escaped again.
const MAX_BYTES: u64 = 2 << 20;
/// A request whose messages were not taken, and could be, is made so often.
const ATTEMPTS: u32 = 4;
/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where messages go in.
#[derive(Debug)]
pub(super) enum SendWay {
    /// `SendMessageBatch`.
    Queue(Queue),
    /// The target's own `POST /send`.
    Front(SendEndpoint),
}

/// A target's `/send`.
#[derive(Debug)]
pub(super) struct SendEndpoint {
    /// With its path.
    url: String,
    auth: Auth,
    account: std::sync::Arc<Account>,
}

/// What `/send` answers.
#[derive(Debug, Default, Deserialize)]
struct SendAnswer {
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    failed: Vec<Failed>,
    #[serde(default)]
    unknown: Vec<Failed>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Failed {
    index: usize,
    reason: String,
    retryable: bool,
}

/// What became of the messages that were not accepted.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    first: Option<String>,
}

impl Refused {
    fn add(&mut self, count: u64, why: impl Into<String>) {
        self.count += count;
        self.first.get_or_insert_with(|| why.into());
    }

    fn told(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(format!("{} messages were not accepted; the first: {first}", self.count))
    }
}

/// Sends all of it, or what it has begun when told to halt, and counts in `accepted` as it goes. Returns what the reader
/// should know.
pub(super) async fn send(
    scenario: &Scenario,
    way: &SendWay,
    accepted: &AtomicU64,
    halt: &CancellationToken,
) -> Option<String> {
    let began = Instant::now();
    let mut next = 0_u64;
    let mut refused = Refused::default();
    let mut at_once = (MAX_BYTES / scenario.body_bytes.max(1)).clamp(1, AT_ONCE);
    for arrival in scenario.arrivals() {
        let _ = halt.run_until_cancelled(sleep_until(began + arrival.at)).await;
        let end = next + arrival.count;
        while next < end {
            if halt.is_cancelled() {
                return refused.told();
            }
            let numbers = next..end.min(next + at_once);
            next = numbers.end;
            match way {
                SendWay::Queue(queue) => {
                    let report = queue.send(outgoing(scenario, numbers)).await;
                    accepted.fetch_add(report.accepted as u64, Ordering::Relaxed);
                    report.failed.iter().for_each(|failure| refused.add(1, failure.error.to_string()));
                }
                SendWay::Front(front) => {
                    for (group, bodies) in requests(scenario, numbers) {
                        front.send(group, bodies, accepted, &mut at_once, &mut refused).await;
                    }
                }
            }
        }
    }
    refused.told()
}

fn text(scenario: &Scenario, number: u64) -> String {
    format!("{:.<length$}", body(scenario.seed, number), length = scenario.body_bytes as usize)
}

fn group(scenario: &Scenario, number: u64) -> Option<String> {
    scenario.queue.fifo.then(|| format!("group-{}", number % u64::from(scenario.queue.groups)))
}

fn outgoing(scenario: &Scenario, numbers: Range<u64>) -> Vec<Outgoing> {
    let one = |number| Outgoing {
        body: text(scenario, number),
        group_id: group(scenario, number),
        deduplication_id: scenario.queue.fifo.then(|| body(scenario.seed, number)),
        ..Outgoing::default()
    };
    numbers.map(one).collect()
}

/// The bodies of each request: a request names one group, so a FIFO queue's take one for each.
fn requests(scenario: &Scenario, numbers: Range<u64>) -> BTreeMap<Option<String>, Vec<String>> {
    let mut requests: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for number in numbers {
        requests.entry(group(scenario, number)).or_default().push(text(scenario, number));
    }
    requests
}

impl SendEndpoint {
    /// The front at `url`, with or without `/send`. A function URL is signed for unless there is a token.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn new(url: &str, token: Option<&str>, account: std::sync::Arc<Account>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("it is no URL ({error})"))?;
        let (Some(host), Some("http" | "https")) = (uri.host(), uri.scheme_str()) else {
            return Err("write https:// (or http://) and a host".to_owned());
        };
        let auth = match (token, host.split_once(".lambda-url.")) {
            (Some(token), _) => Auth::Token(token.to_owned()),
            (None, Some((_, rest))) => {
                let region = rest.split('.').next().unwrap_or_default().to_owned();
                Auth::Signature { service: "lambda", region }
            }
            (None, None) => Auth::None,
        };
        let base = url.trim_end_matches('/').trim_end_matches("/send");
        Ok(Self { url: format!("{base}/send"), auth, account })
    }

    /// Asks for nothing, which `/send` refuses in its own words: it is there, and lets us in. Sends nothing.
    ///
    /// # Errors
    /// What to change.
    pub(super) async fn check(&self) -> Result<(), String> {
        let answer = self.post("{}".to_owned()).await?;
        let told = serde_json::from_slice::<SendAnswer>(&answer.body).ok().and_then(|told| told.error);
        match (answer.status, told) {
            (StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST, Some(_)) => Ok(()),
            (StatusCode::UNAUTHORIZED, _) => {
                Err(format!("it wants its SEND_TOKEN, and not this one ({})", answer.told()))
            }
            (StatusCode::FORBIDDEN, _) => Err(format!(
                "it refuses these credentials: they need lambda:InvokeFunctionUrl and lambda:InvokeFunction, or the token of \
                 HttpAuth=NONE ({})",
                answer.told()
            )),
            (StatusCode::NOT_FOUND, Some(_)) => {
                Err("its /send is off (SEND=off): leave the URL out to send straight to the queue".to_owned())
            }
            _ => Err(format!("this is no /send of ours: it answered {}", answer.told())),
        }
    }

    async fn post(&self, body: String) -> Result<super::account::AccountAnswer, String> {
        self.account.post(&self.url, &self.auth, &[("content-type", "application/json")], body).await
    }

    /// Sends bodies of one group: again what may be sent again, in halves what is too much at once.
    async fn send(
        &self,
        group: Option<String>,
        bodies: Vec<String>,
        accepted: &AtomicU64,
        at_once: &mut u64,
        refused: &mut Refused,
    ) {
        let mut parts = vec![(bodies, ATTEMPTS)];
        while let Some((mut bodies, attempts)) = parts.pop() {
            let mut request = json!({ "bodies": &bodies });
            if let Some(group) = &group {
                request["group_id"] = json!(group);
            }
            let answer = match self.post(request.to_string()).await {
                Ok(answer) => answer,
                // It may have been taken: sent again, it might be there twice.
                Err(why) => {
                    refused.add(bodies.len() as u64, why);
                    continue;
                }
            };
            let told = serde_json::from_slice::<SendAnswer>(&answer.body).ok();
            let of_limit = |told: &SendAnswer| told.error.as_ref().is_some_and(|error| error.contains("SEND_LIMIT"));
            let too_much = answer.status == StatusCode::PAYLOAD_TOO_LARGE || told.as_ref().is_some_and(of_limit);
            if too_much && bodies.len() > 1 {
                *at_once = (bodies.len() as u64 / 2).min(*at_once);
                let rest = bodies.split_off(bodies.len() / 2);
                parts.extend([(rest, attempts), (bodies, attempts)]);
                continue;
            }
            let again = match told {
                Some(told)
                    if told.accepted + (told.failed.len() + told.unknown.len()) as u64 == bodies.len() as u64 =>
                {
                    accepted.fetch_add(told.accepted, Ordering::Relaxed);
                    // It may have been taken: sent again, it might be there twice.
                    told.unknown.into_iter().for_each(|unknown| refused.add(1, unknown.reason));
                    let (again, never) = told.failed.into_iter().partition::<Vec<_>, _>(|failed| failed.retryable);
                    never.into_iter().for_each(|failed| refused.add(1, failed.reason));
                    let taken = |failed: &Failed| bodies.get_mut(failed.index).map(std::mem::take);
                    again.iter().filter_map(taken).collect()
                }
                // Throttled: nothing of it was looked at.
                _ if answer.status == StatusCode::TOO_MANY_REQUESTS => bodies,
                _ => {
                    refused.add(bodies.len() as u64, format!("/send answered {}", answer.told()));
                    continue;
                }
            };
            if again.is_empty() {
                continue;
            }
            if attempts == 1 {
                refused.add(again.len() as u64, format!("still refused after {ATTEMPTS} attempts: {}", answer.told()));
                continue;
            }
            sleep(AGAIN_AFTER).await;
            parts.push((again, attempts - 1));
        }
    }
}
