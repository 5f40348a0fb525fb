//! The function on Lambda: an event source mapping that polls, execution environments that it invokes.

use std::time::Duration;

use super::agenda::Event;
use super::environments::Environments;
use super::virtual_time::{Held, VirtualTime, draw};
use super::{Host, Used};
use crate::run::Usage;
use crate::scenario::{Lambda as Settings, Scenario};
use twinscale_scaling::Policy;
use twinscale_scaling::event_source::EventSource;
use twinscale_work::{Fate, Wait, Work, mix, unit};

/// A long poll of a poller that is idle.
const POLL: Duration = Duration::from_secs(20);
/// How long a throttled invocation is put off.
const THROTTLE_WAIT: Duration = Duration::from_secs(1);
/// What a standard mapping passes to a function on Managed Instances (Lambda developer guide, quotas).
const MANAGED_BYTES_A_SECOND: u64 = 5_000_000;
/// A payload of an invocation.
const PAYLOAD_BYTES: u64 = 6 * 1024 * 1024;

/// What a function does not have; the first on Managed Instances, the last in standard mode.
const NOT_HAD: [(&str, &str); 4] = [
    ("usage.gb_seconds", "Managed Instances are billed by the instance, not by duration"),
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
    /// When it was last given messages.
    filled: Duration,
    gathering: bool,
    /// Messages that it was invoked with.
    taken: usize,
    /// The deployment that its environment is of.
    version: u32,
    /// The function failed as a whole, by its timeout or an error: nothing was answered.
    failed: Option<BatchFailure>,
}

/// How an invocation fails as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchFailure {
    TimedOut,
    Thrown,
}

/// A function and its mapping.
pub(super) struct SimulatedLambda {
    settings: Settings,
    work: Work,
    mapping: EventSource,
    body_bytes: u64,
    fifo: bool,
    max_receives: u32,
    batches: Vec<Batch>,
    free: Vec<u32>,
    /// The batch that a window still gathers.
    gathering: Option<u32>,
    /// Batches that pollers have in hand, gathered ones included.
    in_hand: u32,
    /// Invocations under way.
    invoked: u32,
    environments: Environments,
    /// From a receive to the function's start.
    delivery: Wait,
    overhead: Duration,
    /// Batches so far: their luck is drawn from it.
    begun: u64,
    seed: u64,
    /// When a standard mapping of Managed Instances may move bytes again.
    moved_until: Duration,
    /// Batches beyond MaximumConcurrency, until then.
    overshoot: (u32, Duration),
    overshoot_share: f64,
    overlap: Duration,
    /// Idle pollers x time, and since when their number is what it is.
    polled: Duration,
    polled_until: Duration,
    invocations: u64,
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

impl SimulatedLambda {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let settings = scenario.lambda.clone();
        let cpu_limit =
            settings.managed.as_ref().map_or(f64::from(settings.memory_mb) / 1769.0, |managed| managed.vcpu);
        Self {
            work: Work { cpu_limit, seed: scenario.seed, ..scenario.work.clone() },
            mapping: EventSource::new(settings.mapping.clone(), scenario.queue.message_groups(), &scenario.estimates),
            body_bytes: scenario.body_bytes,
            fifo: scenario.queue.fifo,
            max_receives: scenario.queue.max_receive_count,
            batches: Vec::new(),
            free: Vec::new(),
            gathering: None,
            in_hand: 0,
            invoked: 0,
            environments: Environments::new(&settings, scenario.seed, &scenario.estimates),
            delivery: scenario.delivery(),
            overhead: Duration::from_secs_f64(scenario.estimates.batch_overhead_seconds),
            begun: 0,
            seed: scenario.seed,
            moved_until: Duration::ZERO,
            overshoot: (0, Duration::ZERO),
            overshoot_share: scenario.estimates.maximum_overshoot_share,
            overlap: Duration::from_secs_f64(scenario.estimates.deploy_overlap_seconds),
            polled: Duration::ZERO,
            polled_until: Duration::ZERO,
            invocations: 0,
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
        if let Some(pollers) = self.mapping.pollers() {
            self.poller_time += since * pollers;
        }
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
    fn fill(&mut self, index: u32, stage: &mut VirtualTime) -> bool {
        let size = self.batch_size() as usize;
        let Batch { held, filled, .. } = &mut self.batches[index as usize];
        let before = held.len();
        while held.len() < size {
            let room = (size - held.len()).min(10);
            if stage.receive(room as u32, |message| held.push(message)) < room {
                break;
            }
        }
        let came = held.len() > before;
        if came {
            *filled = stage.now;
        }
        came
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
    fn poll(&mut self, stage: &mut VirtualTime) -> bool {
        if self.moved_until > stage.now {
            return false;
        }
        let index = self.new_batch(stage.now);
        if !self.fill(index, stage) {
            self.free.push(index);
            return false;
        }
        self.reckon_polls(stage.now);
        self.in_hand += 1;
        self.move_bytes(index, stage);
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
    fn gather(&mut self, stage: &mut VirtualTime) {
        let Some(index) = self.gathering else { return };
        self.fill(index, stage);
        let batch = &self.batches[index as usize];
        // A batch that low traffic keeps beyond its window goes with the next message.
        let late = stage.now >= batch.since + self.settings.mapping.window;
        if late || batch.held.len() == self.batch_size() as usize {
            self.invoke(index, stage);
        }
    }

    /// A standard mapping passes so many bytes a second to a function on Managed Instances.
    fn move_bytes(&mut self, index: u32, stage: &mut VirtualTime) {
        if self.settings.managed.is_some() && self.mapping.pollers().is_none() {
            let bytes = self.batches[index as usize].held.len() as u64 * self.body_bytes;
            self.moved_until = stage.now + Duration::from_nanos(bytes * 1_000_000_000 / MANAGED_BYTES_A_SECOND);
            stage.agenda.plan(self.moved_until, Event::Offer);
        }
    }

    /// Batches that may be in hand at once.
    fn allowed(&self, now: Duration) -> u32 {
        let (beyond, until) = self.overshoot;
        self.mapping.limit() + if now < until { beyond } else { 0 }
    }

    /// A deployment. A mapping at its MaximumConcurrency exceeds it for moments, by a share that is drawn.
    fn deploy(&mut self, stage: &mut VirtualTime) {
        self.environments.deploy(stage);
        if self.settings.mapping.maximum_concurrency.is_some_and(|maximum| self.mapping.limit() >= maximum) {
            let luck = unit(mix(self.seed ^ mix(u64::from(self.environments.version) ^ 0x6f76_6572)));
            let share = -libm::log(1.0 - luck) * self.overshoot_share;
            let beyond = (f64::from(self.mapping.limit()) * share) as u32;
            self.overshoot = (beyond, stage.now + self.overlap);
        }
    }

    /// The batch leaves its poller, and reaches the function a little later.
    fn invoke(&mut self, index: u32, stage: &mut VirtualTime) {
        if self.gathering == Some(index) {
            self.gathering = None;
        }
        self.batches[index as usize].gathering = false;
        self.begun += 1;
        let after = self.delivery.drawn(mix(self.seed ^ mix(self.begun ^ 0x6465_6c69)));
        stage.agenda.plan(stage.now + after, Event::Delivered { batch: index });
    }

    /// Begins an invocation, or puts the batch off if there is no environment for it.
    fn delivered(&mut self, index: u32, stage: &mut VirtualTime) {
        let Some((cold, version)) = self.environments.take(stage.now, self.invoked) else {
            self.mapping.failed(true);
            stage.agenda.plan(stage.now + THROTTLE_WAIT, Event::TryAgain { batch: index });
            return;
        };
        self.batches[index as usize].version = version;
        let start = if cold { self.settings.placement + self.settings.init } else { Duration::ZERO };
        let took = self.run(index, start, stage);
        self.invoked += 1;
        stage.peak = stage.peak.max(self.invoked);
        self.invocations += 1;
        self.billed += whole_millis(took + if cold { self.settings.init } else { Duration::ZERO });
        stage.agenda.plan(stage.now + start + took, Event::Answered { batch: index });
    }

    /// Works on the batch from `start` from now on: draws every message's luck, settles retries in advance (their time
    /// is known), and says how long the function takes.
    fn run(&mut self, index: u32, start: Duration, stage: &mut VirtualTime) -> Duration {
        let mut held = std::mem::take(&mut self.batches[index as usize].held);
        self.environments.computes(self.work.cpu * held.len() as u32);
        let deadline = self.settings.timeout.saturating_sub(self.settings.deadline_margin);
        let places = (self.settings.in_host_concurrency as usize).clamp(1, held.len());
        self.ends.clear();
        self.ends.resize(places, Slot { free_at: Duration::ZERO, computes_until: Duration::ZERO });
        let mut groups: Vec<(u32, Duration)> = Vec::new();
        let mut blocked: Vec<u32> = Vec::new();
        let mut took = Duration::ZERO;
        let mut cut = false;
        let mut thrown = None;
        for message in &mut held {
            if blocked.contains(&message.group) {
                // Behind a message of its group that did not finish: never begun, and given back.
                message.fate = Fate::Retry;
                let at = groups.iter().find(|(group, _)| *group == message.group).map_or(Duration::ZERO, |(_, at)| *at);
                stage.give_back(std::slice::from_ref(message), start + at.min(deadline));
                continue;
            }
            let (_, end) = self.attempts(message, deadline, &mut groups, stage);
            if self.fifo && (end > deadline || matches!(message.fate, Fate::Retry | Fate::Throw)) {
                blocked.push(message.group);
            }
            if end > deadline {
                // Aborted when time is up, and given back; with no margin Lambda itself ends the function.
                cut = true;
                message.fate = Fate::Retry;
                if deadline == self.settings.timeout {
                    continue;
                }
                stage.give_back(std::slice::from_ref(message), start + deadline);
                continue;
            }
            took = took.max(end);
            match message.fate {
                Fate::Done => {}
                Fate::Retry => stage.retry(&self.work, self.settings.backoff(), message, start + end),
                Fate::Reject => stage.reject(),
                // It ends the invocation there and then.
                Fate::Throw => thrown = Some(thrown.map_or(end, |first: Duration| first.min(end))),
            }
        }
        let failed = match thrown {
            Some(_) => Some(BatchFailure::Thrown),
            None => (cut && deadline == self.settings.timeout).then_some(BatchFailure::TimedOut),
        };
        let batch = &mut self.batches[index as usize];
        (batch.held, batch.failed) = (held, failed);
        thrown.unwrap_or(if cut { deadline } else { took })
    }

    /// One attempt, and on a FIFO queue those in place that end before the deadline: when the last begins and ends.
    fn attempts(
        &mut self,
        message: &mut Held,
        deadline: Duration,
        groups: &mut Vec<(u32, Duration)>,
        stage: &mut VirtualTime,
    ) -> (Duration, Duration) {
        loop {
            let wait = draw(&self.work, message);
            let (begin, end) = self.schedule(message.group, wait, groups);
            stage.books.handled(end.min(deadline.max(begin)) - begin);
            if !self.fifo || message.fate != Fate::Retry || end > deadline {
                return (begin, end);
            }
            if message.attempt() >= self.max_receives {
                message.fate = Fate::Reject;
                return (begin, end);
            }
            let pause = message.pause(&self.work, self.settings.backoff());
            if end + pause + (end - begin) >= deadline {
                return (begin, end);
            }
            message.failures += 1;
            groups.iter_mut().filter(|(group, _)| *group == message.group).for_each(|(_, free)| *free = end + pause);
        }
    }

    /// When a message that waits for `wait` after its computing begins and ends, in the place that is free first; a message of a
    /// FIFO group after the one before it.
    fn schedule(&mut self, group: u32, wait: Duration, groups: &mut Vec<(u32, Duration)>) -> (Duration, Duration) {
        let behind = groups.iter().position(|(other, _)| *other == group).filter(|_| self.fifo);
        let place = (0..self.ends.len()).min_by_key(|place| self.ends[*place].free_at).unwrap_or(0);
        let begin = self.ends[place].free_at.max(behind.map_or(Duration::ZERO, |at| groups[at].1));
        let computes_until = if self.work.cpu.is_zero() {
            begin
        } else {
            let others = self.ends.iter().filter(|slot| slot.computes_until > begin).count();
            begin + self.work.stretched((others as u32 + 1) * self.environments.sharing(self.invoked))
        };
        let end = computes_until + wait;
        self.ends[place] = Slot { free_at: end, computes_until };
        match behind {
            Some(at) => groups[at].1 = end,
            None if self.fifo => groups.push((group, end)),
            None => {}
        }
        (begin, end)
    }

    /// The function has answered: the mapping deletes what the answer does not name as failed.
    fn answered(&mut self, index: u32, stage: &mut VirtualTime) {
        let idle_receives = self.empty_receives();
        let reports = self.settings.mapping.report_batch_item_failures;
        let batch = &mut self.batches[index as usize];
        batch.taken = batch.held.len();
        if batch.failed.is_some() {
            // An error of the whole batch: its messages stay hidden until their visibility ends.
            batch.held.clear();
            self.mapping.failed(false);
        }
        // Without ReportBatchItemFailures the answer is not read: a success deletes the failed ones too.
        batch.held.retain(|message| !reports || message.fate != Fate::Retry);
        for ten in batch.held.chunks(10) {
            stage.delete(ten, idle_receives);
        }
        batch.held.clear();
        stage.agenda.plan(stage.now + self.overhead, Event::Settled { batch: index });
    }

    /// The batch is off the poller's hands, and its environment is idle.
    fn settled(&mut self, index: u32, stage: &mut VirtualTime) {
        self.reckon_polls(stage.now);
        let batch = &self.batches[index as usize];
        self.environments.give(stage.now, batch.version, batch.failed == Some(BatchFailure::TimedOut));
        self.invoked -= 1;
        let pace = self.pace(batch.taken, stage.now - batch.since);
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
    fn pace(&self, messages: usize, took: Duration) -> Duration {
        if self.mapping.pollers().is_none() {
            return Duration::ZERO;
        }
        let polls = messages.div_ceil(10) as u64;
        let bytes = messages as u64 * self.body_bytes;
        let least = Duration::from_secs(polls).max(Duration::from_micros(bytes * 10));
        least.saturating_sub(took)
    }

    fn try_again(&mut self, index: u32, stage: &mut VirtualTime) {
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
            self.delivered(index, stage);
        }
    }

    fn look(&mut self, stage: &mut VirtualTime) {
        while self.mapping.due() <= stage.now {
            self.reckon_polls(stage.now);
            let seen = stage.observation(self.in_hand, self.invoked);
            let decision = self.mapping.tick(stage.now, &seen);
            stage.decided(decision);
        }
        stage.agenda.plan(self.mapping.due(), Event::Look);
    }

    /// The window of a batch is over: it goes, unless low traffic keeps it for longer.
    fn window_over(&mut self, index: u32, stage: &mut VirtualTime) {
        let batch = &self.batches[index as usize];
        if !batch.gathering || batch.since + self.settings.mapping.window > stage.now {
            return;
        }
        let until = batch.filled + self.settings.low_traffic_wait;
        if until > stage.now {
            stage.agenda.plan(until, Event::WindowOver { batch: index });
        } else {
            self.invoke(index, stage);
        }
    }
}

impl Host for SimulatedLambda {
    fn open(&mut self, stage: &mut VirtualTime) {
        stage.agenda.plan(self.mapping.due(), Event::Look);
        self.environments.open(stage);
    }

    fn offer(&mut self, stage: &mut VirtualTime) {
        while stage.counts().visible > 0 {
            if self.gathering.is_some() {
                let before = stage.counts().visible;
                self.gather(stage);
                if stage.counts().visible == before {
                    return;
                }
            } else if self.in_hand >= self.allowed(stage.now) || !self.poll(stage) {
                return;
            }
        }
    }

    fn fire(&mut self, event: Event, stage: &mut VirtualTime) {
        match event {
            Event::Answered { batch } => self.answered(batch, stage),
            Event::Look => self.look(stage),
            Event::WindowOver { batch } => self.window_over(batch, stage),
            Event::Deploy => self.deploy(stage),
            Event::Delivered { batch } => self.delivered(batch, stage),
            Event::Settled { batch } => self.settled(batch, stage),
            Event::Offer => {}
            Event::Environments => self.environments.look(stage),
            Event::EnvironmentReady => self.environments.ready(),
            Event::TryAgain { batch } => self.try_again(batch, stage),
            _ => return,
        }
        self.offer(stage);
    }

    fn capacity(&self) -> u32 {
        self.invoked
    }

    fn at_floor(&self) -> bool {
        self.in_hand == 0 && self.environments.at_floor()
    }

    fn used(&self, now: Duration) -> Used {
        let gb = f64::from(self.settings.memory_mb) / 1024.0;
        let instances = self.environments.instance_time(now);
        Used {
            usage: Usage {
                // Managed Instances are billed by the instance, not by duration.
                gb_seconds: instances.is_none().then_some(self.billed.as_secs_f64() * gb),
                invocations: Some(self.invocations),
                cold_starts: Some(self.environments.cold_starts),
                instance_seconds: instances.map(|time| time.as_secs_f64()),
                poller_seconds: self.mapping.pollers().map(|_| self.poller_time.as_secs_f64()),
                ..Usage::default()
            },
            in_host_concurrency: self.settings.in_host_concurrency,
            unavailable: match (self.mapping.pollers(), instances) {
                (Some(_), None) => &NOT_HAD[1..3],
                (None, None) => &NOT_HAD[1..],
                (Some(_), Some(_)) => &NOT_HAD[..3],
                (None, Some(_)) => &NOT_HAD,
            },
        }
    }
}

fn whole_millis(used: Duration) -> Duration {
    Duration::from_millis(used.as_nanos().div_ceil(1_000_000) as u64)
}
