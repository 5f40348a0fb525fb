//! Makes one target's part of a run out of its books, its timeline and its idle tail.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::Ledger;
use super::tail::Tail;
use super::timeline::Timeline;
use crate::run::{NOTHING_DONE, Target, Usage};
use twinscale_scaling::Counts;

/// How a target's run ended.
pub struct Ending {
    /// Whether every message was done with before the scenario's limit.
    pub drained: bool,
    /// What the queue held then.
    pub left: Counts,
    /// From there to the floor.
    pub tail: Tail,
    /// Whether the tail was computed rather than lived through.
    pub tail_simulated: bool,
    /// What is billed.
    pub usage: Usage,
    /// Messages worked on at once by one unit of capacity.
    pub in_host_concurrency: u32,
    /// What is null, and why.
    pub unavailable: &'static [(&'static str, &'static str)],
}

/// Sums a target up.
pub fn target(ledger: &Ledger, timeline: &Timeline, ending: Ending) -> (Target, Vec<String>) {
    let left = ending.left;
    let closed = ledger.close(left.visible + left.in_flight + left.delayed);
    let told = timeline.told();
    // The first send and the last delete by the timeline, whose zero is the moment before the load.
    let on_timeline = |at: Duration| at.saturating_sub(timeline.origin());
    let first_send = closed.first_send.map(on_timeline).unwrap_or_default();
    let since_first_send = |at: Duration| at.saturating_sub(first_send).as_secs_f64();
    let last_delete = closed.last_delete.map(on_timeline).filter(|_| ending.drained);
    let mut samples = told.samples.clone();
    let mut decisions = told.decisions.clone();
    samples.extend(ending.tail.samples);
    decisions.extend(ending.tail.decisions);
    let any_done = closed.messages.done > 0;
    let nothing = (ending.drained && !any_done).then_some(("drain_seconds", NOTHING_DONE));
    let target = Target {
        messages: closed.messages,
        drain_seconds: last_delete.filter(|_| any_done).map(since_first_send),
        floor_seconds: ending.tail.floor.filter(|_| ending.drained).map(since_first_send),
        floor_simulated: ending.tail_simulated,
        latency_seconds: closed.latency,
        latency_histogram: closed.histogram,
        handler_seconds_histogram: closed.handler_times,
        attempts: closed.attempts,
        flow: Some(closed.flow),
        peak_capacity: samples.iter().map(|sample| sample.capacity).max().unwrap_or_default(),
        samples,
        decisions,
        in_host_concurrency: ending.in_host_concurrency,
        requests: closed.requests,
        usage: Usage { handler_seconds: Some(closed.handler_time.as_secs_f64()), ..ending.usage },
        overhead_seconds: Some(told.late.as_secs_f64()),
        seeds: None,
        capacity_seconds: None,
        unavailable: ending
            .unavailable
            .iter()
            .chain(&nothing)
            .map(|(field, why)| ((*field).to_owned(), (*why).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    };
    (target, closed.warnings)
}
