//! Virtual time: the same scenario, policies and queue as in real time, with a heap of (time, sequence, event) in place
//! of processes, network and clock.
//!
//! Time is in whole nanoseconds, equal times have one order, and chance is drawn from the scenario's seed, so one
//! scenario gives the same bytes on every machine. Memory holds what is queued and in flight, and a sample a second;
//! never what has passed.

mod agenda;
mod books;
mod eks;
mod environments;
mod lambda;
mod nodes;
mod pod;
mod virtual_time;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agenda::Event;
use rayon::prelude::*;
use virtual_time::VirtualTime;

use crate::run::{self, Run, Target, Targets, Usage};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use crate::written::seconds;

/// Runs the scenario on every target, at once on several processors.
pub fn run(scenario: &Scenario) -> Run {
    run_until(scenario, &AtomicBool::new(false))
}

/// The same, but it ends early once `stop` is true, with what there is.
pub fn run_until(scenario: &Scenario, stop: &AtomicBool) -> Run {
    let one = |kind: &TargetKind| (*kind, target_until(*kind, scenario, stop));
    let all: Vec<_> = TargetKind::all().par_iter().map(one).collect();
    let targets: Targets = all.into_iter().collect();
    let mut warnings = Vec::new();
    for (kind, target) in targets.iter() {
        let name = kind.service();
        let open = target.messages.open();
        let stopped = stop.load(Ordering::Relaxed) && target.drain_seconds.is_none();
        if open > 0 || stopped {
            let open = format!("{open} of the messages sent by then were open");
            warnings.push(match target.unavailable.get("drain_seconds").filter(|why| *why == STUCK) {
                Some(stuck) => format!("{name} can never drain: {stuck}, and {open}"),
                None if stopped => format!("{name} was told to stop: {open}"),
                None => format!("{name} had not drained after {}: {open}", seconds(scenario.limit.as_secs_f64())),
            });
        }
    }
    Run { warnings, ..Run::simulated(scenario, targets) }
}

/// Runs the scenario on one target.
pub fn run_target(kind: TargetKind, scenario: &Scenario) -> Target {
    target_until(kind, scenario, &AtomicBool::new(false))
}

/// What `reckon` comes to; `None` where `stop` was true before or after it: it was left out, or cut.
pub fn unless_stopped<T>(stop: &AtomicBool, reckon: impl FnOnce() -> T) -> Option<T> {
    let goes_on = || !stop.load(Ordering::Relaxed);
    goes_on().then(reckon).filter(|_| goes_on())
}

/// Runs the scenario on EKS alone.
pub fn run_eks(scenario: &Scenario) -> Target {
    run_target(TargetKind::Eks, scenario)
}

/// Runs the scenario on Lambda alone.
pub fn run_lambda(scenario: &Scenario) -> Target {
    run_target(TargetKind::Lambda, scenario)
}

/// The same on one target.
pub fn target_until(kind: TargetKind, scenario: &Scenario, stop: &AtomicBool) -> Target {
    match kind {
        TargetKind::Eks => {
            let stage = VirtualTime::new(scenario, scenario.queue.visibility_timeout);
            play(scenario, stage, eks::SimulatedEks::new(scenario), stop)
        }
        TargetKind::Lambda => {
            let stage = VirtualTime::new(scenario, scenario.lambda.visibility_timeout);
            play(scenario, stage, lambda::SimulatedLambda::new(scenario), stop)
        }
    }
}

/// What consumes the queue: pods, or a function.
trait Host {
    /// Starts what runs before the load.
    fn open(&mut self, stage: &mut VirtualTime);
    /// Messages may have become visible: whoever waits takes them.
    fn offer(&mut self, stage: &mut VirtualTime);
    /// One of the host's own events has come.
    fn fire(&mut self, event: Event, stage: &mut VirtualTime);
    /// Pods that exist, or invocations under way.
    fn capacity(&self) -> u32;
    /// Capacity is back where it was before the load.
    fn at_floor(&self) -> bool;
    /// What is billed.
    fn used(&self, now: Duration) -> Used;
}

/// What a host has used, and what it cannot know.
struct Used {
    usage: Usage,
    in_host_concurrency: u32,
    unavailable: &'static [(&'static str, &'static str)],
}

/// Why a run ended before its limit.
const STUCK: &str = "for 13 hours nothing was sent, received, deleted or given back";

fn play(scenario: &Scenario, mut stage: VirtualTime, mut host: impl Host, stop: &AtomicBool) -> Target {
    host.open(&mut stage);
    let mut ended = None;
    while let Some(next) = stage.agenda.next_at() {
        let due = stage.queue_due().filter(|due| *due < next);
        if due.unwrap_or(next) > scenario.limit {
            stage.now = scenario.limit;
            break;
        }
        step(&mut stage, &mut host, due);
        if stage.is_over() && host.at_floor() {
            ended = Some(stage.now);
            stage.sample(host.capacity());
            break;
        }
        if stage.is_stuck() || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    story(stage, &host, ended)
}

/// One event: of the queue by itself, or the next that was planned.
fn step(stage: &mut VirtualTime, host: &mut impl Host, due: Option<Duration>) {
    if let Some(due) = due {
        stage.now = due;
        // Lets it happen, also when nobody waits for it.
        stage.counts();
        host.offer(stage);
        stage.note_departures();
        return;
    }
    let Some((now, event)) = stage.agenda.pop() else { return };
    stage.now = now;
    match event {
        Event::Sample => {
            stage.sample(host.capacity());
            stage.note_departures();
        }
        Event::Arrive => {
            stage.arrive();
            host.offer(stage);
        }
        _ => host.fire(event, stage),
    }
    stage.peak = stage.peak.max(host.capacity());
}

fn story(mut stage: VirtualTime, host: &impl Host, ended: Option<Duration>) -> Target {
    let used = host.used(stage.now);
    let first = stage.books.first_send.unwrap_or_default();
    let over = stage.is_over();
    let since_first = |at: Duration| at.saturating_sub(first).as_secs_f64();
    let mut unavailable: BTreeMap<String, String> =
        used.unavailable.iter().map(|(field, why)| ((*field).to_owned(), (*why).to_owned())).collect();
    if !over {
        let why = if stage.is_stuck() { STUCK } else { "the queue had not drained at the scenario's limit" };
        unavailable.insert("drain_seconds".to_owned(), why.to_owned());
    }
    let drained = over && stage.books.done > 0;
    if over && !drained {
        unavailable.insert("drain_seconds".to_owned(), run::NOTHING_DONE.to_owned());
    }
    if ended.is_none() {
        unavailable.insert("floor_seconds".to_owned(), "capacity was not back at the scenario's limit".to_owned());
    }
    Target {
        messages: stage.books.messages(),
        drain_seconds: stage.books.last_delete.filter(|_| drained).map(since_first),
        floor_seconds: ended.map(since_first),
        floor_simulated: true,
        latency_seconds: stage.books.latency(),
        latency_histogram: stage.books.histogram(),
        handler_seconds_histogram: stage.books.handler_times(),
        flow: Some(stage.books.flow()),
        samples: stage.samples,
        decisions: stage.decisions,
        peak_capacity: stage.peak,
        in_host_concurrency: used.in_host_concurrency,
        requests: stage.books.requests(),
        usage: Usage { handler_seconds: Some(stage.books.handler_seconds()), ..used.usage },
        overhead_seconds: None,
        attempts: None,
        seeds: None,
        capacity_seconds: None,
        unavailable,
    }
}

#[cfg(test)]
mod tests;
