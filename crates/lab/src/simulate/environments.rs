//! The execution environments of a function in virtual time: one invocation in each, or, on Managed Instances, several.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::Event;
use super::virtual_time::VirtualTime;
use crate::scenario::{Lambda, Managed};
use twinscale_scaling::estimates::Estimates;
use twinscale_scaling::managed_instances::ManagedInstances;
use twinscale_scaling::{Observation, Policy};
use twinscale_work::{mix, unit};

/// New environments a function may start in 10 s, refilled continuously.
const NEW_ENVIRONMENTS: f64 = 1000.0;
/// Invocations a second that each unit of concurrency may begin (AWS Lambda quotas).
const REQUESTS_A_SECOND: f64 = 10.0;

/// The environments of one function.
pub(super) struct Environments {
    /// Invocations at once, beyond which the function is throttled: its reserved concurrency, or the account's.
    most: u32,
    idle_reclaim: Duration,
    deploy_every: Duration,
    /// Deployments so far: environments of an earlier one are not used again.
    pub version: u32,
    pub cold_starts: u64,
    /// Idle environments by when they became idle; the most recent last.
    idle: VecDeque<Duration>,
    /// Those of the deployment before, which still takes invocations.
    old: VecDeque<Duration>,
    /// When the last deployment began, and how long both run beside each other.
    deployed: Duration,
    overlap: Duration,
    seed: u64,
    /// Invocations so far, and those that may begin now with the time at which that was reckoned.
    taken: u64,
    requests: (f64, Duration),
    /// New environments that may start now, and when that was reckoned.
    burst: (f64, Duration),
    managed: Option<Fleet>,
}

/// Environments on Managed Instances.
struct Fleet {
    settings: Managed,
    policy: ManagedInstances,
    seed: u64,
    ready: u32,
    /// Asked for and not ready yet, and how many of them are no longer wanted.
    coming: u32,
    unwanted: u32,
    started: u64,
    /// The peak of invocations since the last look.
    peak: u32,
    /// Instances x time until `reckoned`.
    time: Duration,
    reckoned: Duration,
}

impl Environments {
    pub(super) fn new(settings: &Lambda, seed: u64, estimates: &Estimates) -> Self {
        let fleet = |managed: &Managed| Fleet {
            policy: ManagedInstances::new(
                managed.min_environments,
                managed.max_environments,
                managed.slots(),
                managed.vcpu,
            ),
            settings: managed.clone(),
            seed,
            ready: managed.min_environments,
            coming: 0,
            unwanted: 0,
            started: 0,
            peak: 0,
            time: Duration::ZERO,
            reckoned: Duration::ZERO,
        };
        let most = settings.reserved_concurrency.unwrap_or(settings.account_concurrency);
        Self {
            most,
            old: VecDeque::new(),
            deployed: Duration::ZERO,
            overlap: Duration::from_secs_f64(estimates.deploy_overlap_seconds),
            seed,
            taken: 0,
            requests: (REQUESTS_A_SECOND * f64::from(most), Duration::ZERO),
            idle_reclaim: settings.idle_reclaim,
            deploy_every: settings.deploy_every,
            version: 0,
            cold_starts: 0,
            idle: VecDeque::new(),
            burst: (NEW_ENVIRONMENTS, Duration::ZERO),
            managed: settings.managed.as_ref().map(fleet),
        }
    }

    pub(super) fn open(&self, stage: &mut VirtualTime) {
        if !self.deploy_every.is_zero() {
            stage.agenda.plan(self.deploy_every, Event::Deploy);
        }
        if let Some(fleet) = &self.managed {
            stage.agenda.plan(fleet.policy.due(), Event::Environments);
        }
    }

    /// An environment for one invocation beside `invoked` others: false for one that runs, true for a cold start, with
    /// the deployment that it is of; `None` if throttled.
    pub(super) fn take(&mut self, now: Duration, invoked: u32) -> Option<(bool, u32)> {
        if invoked >= self.most || !self.may_begin(now) {
            return None;
        }
        self.taken += 1;
        if self.goes_to_the_old(now) {
            if self.old.pop_back().is_some_and(|since| since + self.idle_reclaim > now) {
                return Some((false, self.version - 1));
            }
            self.old.clear();
        }
        self.take_new(now, invoked).map(|cold| (cold, self.version))
    }

    /// The quota of requests a second, refilled continuously; a second's worth may come at once.
    fn may_begin(&mut self, now: Duration) -> bool {
        let rate = REQUESTS_A_SECOND * f64::from(self.most);
        let (left, at) = self.requests;
        let refilled = (left + (now - at).as_secs_f64() * rate).min(rate);
        self.requests = if refilled < 1.0 { (refilled, now) } else { (refilled - 1.0, now) };
        refilled >= 1.0
    }

    /// While a deployment goes on, a share of the invocations that shrinks evenly still goes to the version before.
    fn goes_to_the_old(&self, now: Duration) -> bool {
        let since = now - self.deployed;
        let replaced = since.as_secs_f64() / self.overlap.as_secs_f64().max(f64::MIN_POSITIVE);
        self.version > 0 && since < self.overlap && unit(mix(self.seed ^ mix(self.taken ^ 0x6f6c_6400))) >= replaced
    }

    fn take_new(&mut self, now: Duration, invoked: u32) -> Option<bool> {
        if let Some(fleet) = &mut self.managed {
            let free = u64::from(invoked) < u64::from(fleet.ready) * u64::from(fleet.settings.slots());
            fleet.peak = fleet.peak.max(invoked + u32::from(free));
            return free.then_some(false);
        }
        if let Some(since) = self.idle.pop_back() {
            if since + self.idle_reclaim > now {
                return Some(false);
            }
            // The most recent has been idle for too long, and so has every other.
            self.idle.clear();
        }
        let (left, at) = self.burst;
        let refilled = (left + (now - at).as_secs_f64() * NEW_ENVIRONMENTS / 10.0).min(NEW_ENVIRONMENTS);
        self.burst = (refilled, now);
        if refilled < 1.0 {
            return None;
        }
        self.burst.0 -= 1.0;
        self.cold_starts += 1;
        Some(true)
    }

    /// An invocation has ended: its environment waits for the next, unless it is of an earlier deployment or was ended.
    pub(super) fn give(&mut self, now: Duration, version: u32, ended: bool) {
        if ended || self.managed.is_some() {
            return;
        }
        if version == self.version {
            self.idle.push_back(now);
        } else if version + 1 == self.version && now < self.deployed + self.overlap {
            self.old.push_back(now);
        }
    }

    /// Invocations that share an environment's processors, this one included.
    pub(super) fn sharing(&self, invoked: u32) -> u32 {
        self.managed.as_ref().map_or(1, |fleet| (invoked + 1).div_ceil(fleet.ready.max(1)))
    }

    /// An invocation begins that will compute for so long on one vCPU: Managed Instances scale on that too.
    pub(super) fn computes(&mut self, time: Duration) {
        if let Some(fleet) = &mut self.managed {
            fleet.policy.computes(time);
        }
    }

    /// A deployment: every environment is replaced, over the overlap. Managed Instances replace theirs before
    /// they take the old ones away.
    pub(super) fn deploy(&mut self, stage: &mut VirtualTime) {
        self.version += 1;
        self.deployed = stage.now;
        self.old = std::mem::take(&mut self.idle);
        stage.agenda.plan(stage.now + self.deploy_every, Event::Deploy);
    }

    /// The fleet's policy looks.
    pub(super) fn look(&mut self, stage: &mut VirtualTime) {
        let Some(fleet) = &mut self.managed else { return };
        fleet.reckon(stage.now);
        let seen = Observation { queue: None, replicas: fleet.peak, ready: fleet.ready };
        let decision = fleet.policy.tick(stage.now, &seen);
        fleet.peak = 0;
        let existing = fleet.ready + fleet.coming - fleet.unwanted;
        let to = decision.to;
        stage.decided(decision);
        for _ in existing..to {
            if fleet.unwanted > 0 {
                fleet.unwanted -= 1;
                continue;
            }
            fleet.started += 1;
            fleet.coming += 1;
            let start = fleet.settings.start.drawn(mix(fleet.seed ^ mix(fleet.started ^ 0x6c6d_6900)));
            stage.agenda.plan(stage.now + start, Event::EnvironmentReady);
        }
        let surplus = existing.saturating_sub(to);
        let from_ready = surplus.min(fleet.ready);
        let from_coming = surplus.saturating_sub(fleet.ready);
        fleet.ready -= from_ready;
        fleet.unwanted += from_coming;
        stage.agenda.plan(fleet.policy.due(), Event::Environments);
    }

    /// An environment of the fleet is up.
    pub(super) fn ready(&mut self) {
        let Some(fleet) = &mut self.managed else { return };
        fleet.coming -= 1;
        if fleet.unwanted > 0 {
            fleet.unwanted -= 1;
        } else {
            fleet.ready += 1;
        }
    }

    /// The fleet is back at its minimum.
    pub(super) fn at_floor(&self) -> bool {
        self.managed.as_ref().is_none_or(|fleet| fleet.policy.wanted() <= fleet.settings.min_environments)
    }

    /// Lifetimes of the fleet's instances, summed.
    pub(super) fn instance_time(&self, now: Duration) -> Option<Duration> {
        self.managed.as_ref().map(|fleet| fleet.time + (now - fleet.reckoned) * fleet.instances())
    }
}

impl Fleet {
    fn instances(&self) -> u32 {
        // Three at least, one a zone.
        (self.ready + self.coming).div_ceil(self.settings.environments_per_instance).max(3)
    }

    fn reckon(&mut self, now: Duration) {
        self.time += (now - self.reckoned) * self.instances();
        self.reckoned = now;
    }
}
