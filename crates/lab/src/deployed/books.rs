//! Makes a target's run out of the journal's records and the looks at its queue. Times are milliseconds since 1970.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::Deserialize;

use crate::run::{
    DecidedBy, Decision, FlowBooks, Messages, NOTHING_DONE, Requests, Sample, Target, Usage, histogram, latencies,
};
use crate::target::TargetKind;
use twinscale::unstable::queue::Depth;

/// A record as the journal writes it.
#[derive(Debug, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum JournalLine {
    Ready { at: u64, host: String, who: String },
    Stopped { at: u64, host: String, who: String },
    Message(EndedAttempt),
}

/// A message's attempt that ended.
#[derive(Debug, Deserialize)]
struct EndedAttempt {
    id: String,
    receive_count: u32,
    sent: Option<u64>,
    received: u64,
    started: Option<u64>,
    finished: u64,
    outcome: String,
    host: String,
    who: String,
}

/// From when to when a process was there; `None` where no record says.
#[derive(Clone, Copy, Debug, Default)]
struct Lifespan {
    born: Option<u64>,
    stopped: Option<u64>,
}

/// What is known of one target.
#[derive(Debug)]
pub(super) struct DeployedBooks {
    target: TargetKind,
    began: u64,
    /// Messages that the queue accepted.
    pub sent: u64,
    /// The attempts, once each: the journal's queue may deliver a record twice.
    attempts: BTreeMap<(String, u32), EndedAttempt>,
    done: BTreeSet<String>,
    rejected: BTreeSet<String>,
    lives: BTreeMap<String, Lifespan>,
    looks: Vec<(u64, Depth)>,
}

impl DeployedBooks {
    /// Books of a target's hosts, for a load that begins at `began`.
    pub(super) fn new(target: TargetKind, began: u64) -> Self {
        Self {
            target,
            began,
            sent: 0,
            attempts: BTreeMap::new(),
            done: BTreeSet::new(),
            rejected: BTreeSet::new(),
            lives: BTreeMap::new(),
            looks: Vec::new(),
        }
    }

    /// Takes one record; what is none of ours is passed over.
    pub(super) fn record(&mut self, text: &str) {
        match serde_json::from_str(text) {
            Ok(JournalLine::Ready { at, host, who }) if host == self.target.journal_host() => {
                self.lives.entry(who).or_default().born = Some(at)
            }
            Ok(JournalLine::Stopped { at, host, who }) if host == self.target.journal_host() => {
                self.lives.entry(who).or_default().stopped = Some(at);
            }
            // A message of an earlier run that the journal still held is not ours.
            Ok(JournalLine::Message(ended))
                if ended.host == self.target.journal_host()
                    && ended.sent.is_none_or(|sent| sent + 60_000 >= self.began) =>
            {
                let life = self.lives.entry(ended.who.clone()).or_default();
                life.born = Some(life.born.map_or(ended.received, |born| born.min(ended.received)));
                match ended.outcome.as_str() {
                    // A duplicate's effect has happened, by this message or by another with its key: it was deleted.
                    "done" | "duplicate" => self.done.insert(ended.id.clone()),
                    "reject" => self.rejected.insert(ended.id.clone()),
                    _ => false,
                };
                self.attempts.insert((ended.id.clone(), ended.receive_count), ended);
            }
            _ => {}
        }
    }

    /// Takes one look at the queue.
    pub(super) fn look(&mut self, at: u64, depth: Depth) {
        self.looks.push((at, depth));
    }

    /// Messages that the queue held at the last look.
    pub(super) fn left(&self) -> u64 {
        self.looks.last().map_or(0, |(_, depth)| super::all(*depth))
    }

    /// Messages that ended, each once.
    pub(super) fn ended(&self) -> u64 {
        self.done.union(&self.rejected).count() as u64
    }

    /// Done, and rejected without ever being done.
    pub(super) fn tally(&self) -> (u64, u64) {
        (self.done.len() as u64, self.rejected.difference(&self.done).count() as u64)
    }

    /// The first send, as far as anybody knows.
    pub(super) fn origin(&self) -> u64 {
        self.attempts.values().filter_map(|attempt| attempt.sent).min().unwrap_or(self.began)
    }

    /// Sums up. `left`: messages that the queue still holds.
    pub(super) fn close(&self, drained: bool, left: u64, in_host_concurrency: u32) -> Target {
        let origin = self.origin();
        let since = |at: u64| Duration::from_millis(at.saturating_sub(origin));
        let mut first_done = HashMap::new();
        let mut unexplained = BTreeMap::<&str, u64>::new();
        for attempt in self.attempts.values() {
            if matches!(attempt.outcome.as_str(), "done" | "duplicate") {
                let (_, at) = first_done.entry(&attempt.id).or_insert((attempt.sent, attempt.finished));
                *at = attempt.finished.min(*at);
            }
            // Settled for good, or with another owner by now: neither explains a further receive.
            if matches!(attempt.outcome.as_str(), "done" | "duplicate" | "reject" | "lost") {
                *unexplained.entry(&attempt.id).or_default() += 1;
            }
        }
        let duplicates = unexplained.values().map(|attempts| attempts - 1).sum();
        let all =
            first_done.values().filter_map(|(sent, done)| Some(Duration::from_millis(done.saturating_sub((*sent)?))));
        let (latency, latency_histogram) = latencies(all.collect());
        let mut flow = FlowBooks::default();
        let sends: HashMap<_, _> = self.attempts.values().filter_map(|a| Some((&a.id, a.sent?))).collect();
        sends.values().for_each(|sent| flow.sent(since(*sent), 1));
        for (sent, done) in first_done.values().filter_map(|(sent, done)| Some(((*sent)?, *done))) {
            flow.done(since(done), Duration::from_millis(done.saturating_sub(sent)));
        }
        let rejects = self.attempts.values().filter(|attempt| attempt.outcome == "reject");
        let deletes = first_done.values().map(|(_, done)| *done).chain(rejects.map(|attempt| attempt.finished));
        let last_delete = deletes.max();
        let last = match self.target {
            TargetKind::Eks => None,
            // A function's floor is that nothing is under way.
            TargetKind::Lambda => self.attempts.values().map(|attempt| attempt.finished).max(),
        };
        let handled = self.attempts.values().filter_map(|attempt| attempt.finished.checked_sub(attempt.started?));
        let handler_seconds = handled.clone().sum::<u64>() as f64 / 1000.0;
        let samples: Vec<Sample> = self.looks.iter().map(|(at, depth)| self.sample(*at, since(*at), *depth)).collect();
        let peak_in_journal =
            self.attempts.values().map(|attempt| self.capacity(attempt.received)).max().unwrap_or_default();
        let decisions = changes(&samples);
        let unaccounted = self.sent.saturating_sub(self.ended() + left);
        let retried =
            self.attempts.values().filter(|a| matches!(a.outcome.as_str(), "retry" | "panic" | "timeout")).count();
        Target {
            messages: Messages {
                sent: self.sent,
                done: self.done.len() as u64,
                retried: Some(retried as u64),
                rejected: self.tally().1,
                duplicates: Some(duplicates),
                lost: (unaccounted == 0).then_some(0),
                unaccounted: Some(unaccounted),
            },
            drain_seconds: last_delete.filter(|_| drained && !self.done.is_empty()).map(|at| since(at).as_secs_f64()),
            floor_seconds: last.filter(|_| drained).map(|at| since(at).as_secs_f64()),
            latency_seconds: latency,
            latency_histogram,
            handler_seconds_histogram: histogram(handled.map(|took| (Duration::from_millis(took), 1))),
            peak_capacity: samples.iter().map(|sample| sample.capacity).max().unwrap_or_default().max(peak_in_journal),
            flow: latency.is_some().then(|| flow.so_far()),
            samples,
            decisions,
            in_host_concurrency,
            requests: Requests::default(),
            usage: Usage {
                handler_seconds: Some(handler_seconds),
                cold_starts: self.started_since(),
                ..Usage::default()
            },
            unavailable: self.unavailable(unaccounted, drained),
            ..Target::default()
        }
    }

    fn sample(&self, at: u64, t: Duration, depth: Depth) -> Sample {
        let capacity = self.capacity(at);
        Sample { t: t.as_secs_f64(), visible: depth.visible, in_flight: depth.in_flight, capacity }
    }

    /// Pods that were there, or invocations under way: hosts with a message in hand.
    pub(super) fn capacity(&self, at: u64) -> u32 {
        let there =
            |life: &&Lifespan| life.born.is_some_and(|born| born <= at) && life.stopped.is_none_or(|end| at < end);
        let busy = |attempt: &&EndedAttempt| attempt.received <= at && at < attempt.finished;
        let count = match self.target {
            TargetKind::Eks => self.lives.values().filter(there).count(),
            TargetKind::Lambda => {
                self.attempts.values().filter(busy).map(|attempt| attempt.who.as_str()).collect::<BTreeSet<_>>().len()
            }
        };
        count as u32
    }

    /// Execution environments that started during the run.
    fn started_since(&self) -> Option<u64> {
        let started = self.lives.values().filter(|life| life.born.is_some_and(|born| born >= self.began));
        match self.target {
            TargetKind::Eks => None,
            TargetKind::Lambda => Some(started.count() as u64),
        }
    }

    /// What is null, and where it could be read.
    fn unavailable(&self, unaccounted: u64, drained: bool) -> BTreeMap<String, String> {
        let requests = "CloudWatch counts messages, and nobody counts these requests";
        let mut fields = vec![
            ("requests.send", requests),
            ("requests.receive", requests),
            ("requests.delete", requests),
            ("requests.change_visibility", requests),
            ("requests.empty_receive", "CloudWatch counts them, minutes later: --cloudwatch"),
            ("usage.poller_seconds", "the mapping does not tell how many pollers it has"),
            ("usage.queue_reads", "nobody counts KEDA's GetQueueAttributes"),
        ];
        match self.target {
            TargetKind::Eks => fields.extend([
                ("decisions.reason", "the reasons are in the Kubernetes API: --kubeconfig"),
                ("floor_seconds", "the journal does not tell how many pods stand idle: --kubeconfig"),
                ("usage.pod_seconds", "pods that stand idle leave no record: --kubeconfig"),
                ("usage.cold_starts", "pods have none"),
                ("usage.gb_seconds", "pods are billed by their time"),
                ("usage.invocations", "pods are not invoked"),
            ]),
            TargetKind::Lambda => fields.extend([
                ("decisions.reason", "Lambda does not tell why the mapping scales"),
                ("usage.pod_seconds", "a function has no pods"),
                ("usage.gb_seconds", "the billed duration is in the function's log: --cloudwatch"),
                ("usage.invocations", "a batch leaves one record per message, not one per invocation: --cloudwatch"),
            ]),
        }
        if !drained {
            let undrained = "the queue had not drained when the run was ended";
            fields.extend([("drain_seconds", undrained), ("floor_seconds", undrained)]);
        }
        if self.done.is_empty() {
            fields.push(("latency_seconds", NOTHING_DONE));
            if drained {
                fields.push(("drain_seconds", NOTHING_DONE));
            }
        }
        if unaccounted > 0 {
            fields.push((
                "messages.lost",
                "messages without a record may have been redriven, or still be on their way to the journal",
            ));
        }
        fields.into_iter().map(|(field, why)| (field.to_owned(), why.to_owned())).collect()
    }
}

/// Changes of capacity between looks: who decided is known, why is not.
fn changes(samples: &[Sample]) -> Vec<Decision> {
    let pairs = samples.windows(2).filter(|pair| pair[0].capacity != pair[1].capacity);
    pairs
        .map(|pair| Decision {
            t: pair[1].t,
            from: pair[0].capacity,
            to: pair[1].capacity,
            by: DecidedBy::Observed,
            reason: None,
            detail: String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: u64 = 1_000_000;

    fn attempt(id: &str, receive_count: u32, who: &str, (received, finished): (u64, u64), outcome: &str) -> String {
        serde_json::json!({
            "record": "message", "id": id, "receive_count": receive_count, "sent": BEGAN, "received": BEGAN + received,
            "started": null, "finished": BEGAN + finished, "outcome": outcome, "host": "worker", "who": who,
        })
        .to_string()
    }

    fn lived(what: &str, who: &str, at: u64) -> String {
        serde_json::json!({"record": what, "at": BEGAN + at, "host": "worker", "who": who}).to_string()
    }

    fn books(records: &[String]) -> DeployedBooks {
        let mut books = DeployedBooks::new(TargetKind::Eks, BEGAN);
        books.sent = 3;
        records.iter().for_each(|record| books.record(record));
        books
    }

    #[test]
    fn handlers_took_from_started_to_finished() {
        let started = attempt("a", 1, "p", (10, 2000), "done").replace("\"started\":null", "\"started\":1000500");
        let target = books(&[started, attempt("b", 1, "p", (10, 20), "retry")]).close(false, 2, 10);
        let handled: Vec<_> = target.handler_seconds_histogram.iter().map(|bucket| (bucket.le, bucket.count)).collect();
        assert_eq!(handled, [(1.5, 1)], "what never started took no time");
    }

    #[test]
    fn a_message_is_counted_once_however_often_its_record_comes() {
        let done = attempt("a", 1, "p", (10, 2000), "done");
        let books = books(&[
            done.clone(),
            done,
            attempt("b", 1, "p", (10, 20), "retry"),
            attempt("b", 2, "p", (30, 500), "done"),
        ]);
        let target = books.close(false, 1, 10);
        assert_eq!((target.messages.done, target.messages.retried, target.messages.duplicates), (2, Some(1), Some(0)));
        assert_eq!(
            (target.messages.lost, target.messages.unaccounted),
            (Some(0), Some(0)),
            "one is still in the queue"
        );
        assert_eq!(target.drain_seconds, None);
        assert_eq!(target.latency_seconds.map(|latency| latency.max), Some(2.0));
    }

    #[test]
    fn a_message_that_two_attempts_finished_is_a_duplicate() {
        let books = books(&[attempt("a", 1, "p", (0, 100), "done"), attempt("a", 2, "q", (0, 900), "done")]);
        let target = books.close(true, 0, 10);
        assert_eq!((target.messages.done, target.messages.duplicates), (1, Some(1)));
        assert_eq!(target.drain_seconds, Some(0.1), "done when first done");
        assert_eq!(target.messages.lost, None, "two have no record: nobody knows");
        assert_eq!(target.messages.unaccounted, Some(2));
        assert!(target.unavailable.contains_key("messages.lost"));
    }

    #[test]
    fn what_was_not_handled_again_is_done_and_what_another_owner_took_is_a_duplicate_and_no_retry() {
        let books = books(&[
            attempt("a", 1, "p", (0, 100), "done"),
            attempt("a", 2, "q", (500, 501), "duplicate"),
            attempt("b", 1, "p", (0, 400), "lost"),
            attempt("b", 2, "q", (300, 600), "done"),
            attempt("c", 1, "q", (0, 200), "duplicate"),
        ]);
        let target = books.close(true, 0, 10);
        let Messages { done, retried, duplicates, unaccounted, .. } = target.messages;
        assert_eq!((done, retried), (3, Some(0)), "c has the key of another message");
        assert_eq!(duplicates, Some(2), "a and b were received once more");
        assert_eq!(unaccounted, Some(0));
        assert_eq!(target.drain_seconds, Some(0.6));
    }

    #[test]
    fn pods_are_there_from_ready_to_stopped() {
        let mut books = books(&[lived("ready", "p", 0), lived("ready", "q", 1500), lived("stopped", "q", 2500)]);
        for at in 0..4 {
            books.look(BEGAN + at * 1000, Depth { visible: 5, ..Depth::default() });
        }
        let target = books.close(false, 3, 10);
        assert_eq!(target.samples.iter().map(|sample| sample.capacity).collect::<Vec<_>>(), [1, 1, 2, 1]);
        let steps: Vec<(f64, u32, u32)> = target.decisions.iter().map(|d| (d.t, d.from, d.to)).collect();
        assert_eq!(steps, [(2.0, 1, 2), (3.0, 2, 1)]);
        assert!(target.decisions.iter().all(|decision| decision.reason.is_none()));
    }

    #[test]
    fn records_of_others_are_passed_over() {
        let other = attempt("x", 1, "p", (0, 1), "done").replace("worker", "function");
        let old = attempt("y", 1, "p", (0, 1), "done").replace(&format!("\"sent\":{BEGAN}"), "\"sent\":1");
        assert_eq!(books(&[other, old, "no record".to_owned()]).ended(), 0);
    }
}
