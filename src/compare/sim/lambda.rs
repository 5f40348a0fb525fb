//! The function on Lambda: an event source mapping that polls, execution environments that it invokes.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::Event;
use super::stage::{Fate, Held, Stage, draw};
use super::{Host, Used};
use crate::compare::run::Usage;
use crate::compare::scaling::Policy;
use crate::compare::scaling::event_source::EventSource;
use crate::compare::scenario::{Lambda as Settings, Scenario};
use crate::workload::Work;

/// A long poll of a poller that is idle.
const POLL: Duration = Duration::from_secs(20);
/// New environments a function may start in 10 s, refilled continuously.
const NEW_ENVIRONMENTS: f64 = 1000.0;
/// How long a throttled invocation is put off.
const THROTTLE_WAIT: Duration = Duration::from_secs(1);
/// Concurrent executions of an account, unless it has asked for more.
const ACCOUNT: u32 = 1000;
/// A payload of an invocation.
const PAYLOAD_BYTES: u64 = 6 * 1024 * 1024;

/// What a function does not have; the last only in standard mode.
const NO_PODS: [(&str, &str); 3] = [
    ("usage.pod_seconds", "a function has no pods"),
    ("usage.queue_reads", "a mapping polls the queue and reads no counts"),
    ("usage.poller_seconds", "pollers of standard mode are not billed"),
];

/// A batch on its way: gathered, invoked or put off.
#[derive(Default)]
struct Batch {
    held: Vec<Held>,
    /// When gathering began.
    since: Duration,
    gathering: bool,
}

/// A function and its mapping.
pub(super) struct Lambda {
    settings: Settings,
    work: Work,
    mapping: EventSource,
    body_bytes: u64,
    fifo: bool,
    batches: Vec<Batch>,
    free: Vec<u32>,
    /// The batch that a window still gathers.
    gathering: Option<u32>,
    /// Batches that pollers have in hand, gathered ones included.
    in_hand: u32,
    /// Invocations under way.
    invoked: u32,
    /// Idle environments by when they became idle; the most recent last.
    idle: VecDeque<Duration>,
    /// New environments that may start now, and when that was reckoned.
    burst: (f64, Duration),
    /// Idle pollers x time, and since when there are so many.
    polled: Duration,
    polled_until: Duration,
    invocations: u64,
    cold_starts: u64,
    billed: Duration,
    poller_time: Duration,
    ends: Vec<Slot>,
}

/// One of the places in which a batch is worked on.
#[derive(Clone, Copy)]
struct Slot {
    free_at: Duration,
    computes_until: Duration,
}

impl Lambda {
    pub fn new(scenario: &Scenario) -> Self {
        let settings = scenario.lambda.clone();
        let cpu_limit = f64::from(settings.memory_mb) / 1769.0;
        Self {
            work: Work { cpu_limit, seed: scenario.seed, ..scenario.work.clone() },
            mapping: EventSource::new(settings.mapping.clone()),
            body_bytes: scenario.body_bytes,
            fifo: scenario.queue.fifo,
            batches: Vec::new(),
            free: Vec::new(),
            gathering: None,
            in_hand: 0,
            invoked: 0,
            idle: VecDeque::new(),
            burst: (NEW_ENVIRONMENTS, Duration::ZERO),
            polled: Duration::ZERO,
            polled_until: Duration::ZERO,
            invocations: 0,
            cold_starts: 0,
            billed: Duration::ZERO,
            poller_time: Duration::ZERO,
            ends: Vec::new(),
            settings,
        }
    }

    /// Reckons the long polls of idle pollers up to now; to be called before their number changes.
    fn reckon_polls(&mut self, now: Duration) {
        let since = now.saturating_sub(self.polled_until);
        self.polled_until = now;
        self.polled += since * self.mapping.limit().saturating_sub(self.in_hand);
        self.poller_time += since * self.mapping.pollers().unwrap_or(0);
    }

    fn empty_receives(&self) -> u64 {
        (self.polled.as_nanos() / POLL.as_nanos()) as u64
    }

    /// Messages that one batch takes at most: as many as were asked for, and as fit into a payload.
    fn batch_size(&self) -> u32 {
        let fitting = (PAYLOAD_BYTES / self.body_bytes.max(1)).clamp(1, 10_000) as u32;
        self.settings.mapping.batch_size.min(fitting)
    }

    /// Fills a batch as far as messages go. False if there were none at all.
    fn fill(&mut self, index: u32, stage: &mut Stage) -> bool {
        let size = self.batch_size() as usize;
        let held = &mut self.batches[index as usize].held;
        let before = held.len();
        while held.len() < size {
            let room = (size - held.len()).min(10);
            if stage.receive(room as u32, |message| held.push(message)) < room {
                break;
            }
        }
        held.len() > before
    }

    fn new_batch(&mut self, now: Duration) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.batches.push(Batch::default());
            (self.batches.len() - 1) as u32
        });
        let batch = &mut self.batches[index as usize];
        (batch.since, batch.gathering) = (now, false);
        index
    }

    /// A poller takes a batch. False if there was nothing to take.
    fn poll(&mut self, stage: &mut Stage) -> bool {
        let index = self.new_batch(stage.now);
        if !self.fill(index, stage) {
            self.free.push(index);
            return false;
        }
        self.reckon_polls(stage.now);
        self.in_hand += 1;
        let full = self.batches[index as usize].held.len() == self.batch_size() as usize;
        if full || self.settings.mapping.window.is_zero() {
            self.invoke(index, stage);
        } else {
            self.batches[index as usize].gathering = true;
            self.gathering = Some(index);
            stage.agenda.plan(stage.now + self.settings.mapping.window, Event::WindowOver { batch: index });
        }
        true
    }

    /// Gives more messages to the batch that is being gathered.
    fn gather(&mut self, stage: &mut Stage) {
        let Some(index) = self.gathering else { return };
        self.fill(index, stage);
        if self.batches[index as usize].held.len() == self.batch_size() as usize {
            self.invoke(index, stage);
        }
    }

    /// Invokes the function, or puts the batch off if there is no environment for it.
    fn invoke(&mut self, index: u32, stage: &mut Stage) {
        if self.gathering == Some(index) {
            self.gathering = None;
        }
        self.batches[index as usize].gathering = false;
        let Some(cold) = self.environment(stage.now) else {
            self.mapping.failed(true);
            stage.agenda.plan(stage.now + THROTTLE_WAIT, Event::TryAgain { batch: index });
            return;
        };
        let start = if cold { self.settings.placement + self.settings.init } else { Duration::ZERO };
        let took = self.run(index, start, stage);
        self.invoked += 1;
        stage.peak = stage.peak.max(self.invoked);
        self.invocations += 1;
        self.billed += whole_millis(took + if cold { self.settings.init } else { Duration::ZERO });
        stage.agenda.plan(stage.now + start + took, Event::Answered { batch: index });
    }

    /// An environment for one invocation: false for an idle one, true for a new one, `None` if throttled.
    fn environment(&mut self, now: Duration) -> Option<bool> {
        if let Some(since) = self.idle.pop_back() {
            if since + self.settings.idle_reclaim > now {
                return Some(false);
            }
            // The most recent has been idle for too long, and so has every other.
            self.idle.clear();
        }
        let (left, at) = self.burst;
        let refilled = (left + (now - at).as_secs_f64() * NEW_ENVIRONMENTS / 10.0).min(NEW_ENVIRONMENTS);
        self.burst = (refilled, now);
        if refilled < 1.0 || self.invoked >= ACCOUNT {
            return None;
        }
        self.burst.0 -= 1.0;
        self.cold_starts += 1;
        Some(true)
    }

    /// Works on the batch from `start` from now on: draws every message's luck, settles retries in advance (their time
    /// is known), and says how long the function takes.
    fn run(&mut self, index: u32, start: Duration, stage: &mut Stage) -> Duration {
        let mut held = std::mem::take(&mut self.batches[index as usize].held);
        let deadline = self.settings.timeout.saturating_sub(self.settings.deadline_margin);
        let places = (self.settings.in_host_concurrency as usize).clamp(1, held.len());
        self.ends.clear();
        self.ends.resize(places, Slot { free_at: Duration::ZERO, computes_until: Duration::ZERO });
        let mut groups: Vec<(u32, Duration)> = Vec::new();
        let (mut took, mut cut) = (Duration::ZERO, false);
        for message in &mut held {
            let wait = draw(&self.work, message);
            let end = self.schedule(message.group, wait, &mut groups);
            if end > deadline {
                // Aborted when time is up, and given back.
                cut = true;
                message.fate = Fate::Retry;
                stage.give_back(std::slice::from_ref(message), start + deadline);
                continue;
            }
            took = took.max(end);
            match message.fate {
                Fate::Done => {}
                Fate::Retry => stage.retry(&self.work, message, start + end),
                Fate::Reject => stage.reject(),
            }
        }
        self.batches[index as usize].held = held;
        if cut { deadline } else { took }
    }

    /// When a message that waits for `wait` after its computing ends, in the place that is free first; a message of a
    /// FIFO group after the one before it.
    fn schedule(&mut self, group: u32, wait: Duration, groups: &mut Vec<(u32, Duration)>) -> Duration {
        let behind = groups.iter().position(|(other, _)| *other == group).filter(|_| self.fifo);
        let place = (0..self.ends.len()).min_by_key(|place| self.ends[*place].free_at).unwrap_or(0);
        let begin = self.ends[place].free_at.max(behind.map_or(Duration::ZERO, |at| groups[at].1));
        let computes_until = if self.work.cpu.is_zero() {
            begin
        } else {
            let others = self.ends.iter().filter(|slot| slot.computes_until > begin).count();
            begin + self.work.stretched(others as u32 + 1)
        };
        let end = computes_until + wait;
        self.ends[place] = Slot { free_at: end, computes_until };
        match behind {
            Some(at) => groups[at].1 = end,
            None if self.fifo => groups.push((group, end)),
            None => {}
        }
        end
    }

    /// The function has answered: the mapping deletes what the answer does not name as failed.
    fn answered(&mut self, index: u32, stage: &mut Stage) {
        self.invoked -= 1;
        self.idle.push_back(stage.now);
        self.reckon_polls(stage.now);
        let idle_receives = self.empty_receives();
        let reports = self.settings.mapping.report_batch_item_failures;
        let batch = &mut self.batches[index as usize];
        // Without ReportBatchItemFailures the answer is not read: a success deletes the failed ones too.
        batch.held.retain(|message| !reports || message.fate != Fate::Retry);
        for ten in batch.held.chunks(10) {
            stage.delete(ten, idle_receives);
        }
        let polls = batch.held.len().div_ceil(10) as u32;
        batch.held.clear();
        let pace = self.pace(polls, stage.now - self.batches[index as usize].since);
        if pace.is_zero() {
            self.release(index);
        } else {
            stage.agenda.plan(stage.now + pace, Event::TryAgain { batch: index });
        }
    }

    fn release(&mut self, index: u32) {
        self.in_hand -= 1;
        self.free.push(index);
    }

    /// A provisioned poller polls 10 times and moves 1 MB a second at most; each of its 10 batches a tenth of that.
    fn pace(&self, polls: u32, took: Duration) -> Duration {
        if self.mapping.pollers().is_none() {
            return Duration::ZERO;
        }
        let bytes = u64::from(self.batch_size()) * self.body_bytes;
        let least = Duration::from_secs(u64::from(polls)).max(Duration::from_micros(bytes * 10));
        least.saturating_sub(took)
    }

    fn try_again(&mut self, index: u32, stage: &mut Stage) {
        let batch = &mut self.batches[index as usize];
        if batch.held.is_empty() {
            self.reckon_polls(stage.now);
            self.release(index);
        } else if stage.now >= batch.since + self.settings.visibility_timeout {
            // Lambda lets go: the messages have become visible by themselves.
            batch.held.clear();
            self.reckon_polls(stage.now);
            self.release(index);
        } else {
            self.invoke(index, stage);
        }
    }

    fn look(&mut self, stage: &mut Stage) {
        while self.mapping.due() <= stage.now {
            self.reckon_polls(stage.now);
            let seen = stage.observation(self.in_hand, self.invoked);
            let decision = self.mapping.tick(stage.now, &seen);
            stage.decided(decision);
        }
        stage.agenda.plan(self.mapping.due(), Event::Look);
    }
}

impl Host for Lambda {
    fn open(&mut self, stage: &mut Stage) {
        stage.agenda.plan(self.mapping.due(), Event::Look);
    }

    fn offer(&mut self, stage: &mut Stage) {
        while stage.counts().visible > 0 {
            if self.gathering.is_some() {
                let before = stage.counts().visible;
                self.gather(stage);
                if stage.counts().visible == before {
                    return;
                }
            } else if self.in_hand >= self.mapping.limit() || !self.poll(stage) {
                return;
            }
        }
    }

    fn fire(&mut self, event: Event, stage: &mut Stage) {
        match event {
            Event::Answered { batch } => self.answered(batch, stage),
            Event::Look => self.look(stage),
            Event::WindowOver { batch } => {
                let waited = &self.batches[batch as usize];
                if waited.gathering && waited.since + self.settings.mapping.window <= stage.now {
                    self.invoke(batch, stage);
                }
            }
            Event::TryAgain { batch } => self.try_again(batch, stage),
            _ => return,
        }
        self.offer(stage);
    }

    fn capacity(&self) -> u32 {
        self.invoked
    }

    fn at_floor(&self) -> bool {
        self.in_hand == 0
    }

    fn used(&self, _now: Duration) -> Used {
        let gb = f64::from(self.settings.memory_mb) / 1024.0;
        Used {
            usage: Usage {
                gb_seconds: Some(self.billed.as_secs_f64() * gb),
                invocations: Some(self.invocations),
                cold_starts: Some(self.cold_starts),
                poller_seconds: self.mapping.pollers().map(|_| self.poller_time.as_secs_f64()),
                ..Usage::default()
            },
            in_host_concurrency: self.settings.in_host_concurrency,
            unavailable: match self.mapping.pollers() {
                Some(_) => &NO_PODS[..2],
                None => &NO_PODS,
            },
        }
    }
}

fn whole_millis(used: Duration) -> Duration {
    Duration::from_millis(used.as_nanos().div_ceil(1_000_000) as u64)
}
