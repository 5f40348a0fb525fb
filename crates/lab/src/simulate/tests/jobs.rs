use super::*;
use twinscale_scaling::keda::Trigger;
use twinscale_scaling::scaled_job::{Settings, Strategy};

/// 100 messages at once, a job for each, 20 at most; a message takes 100 s, so that three polls see the same jobs.
fn jobs(strategy: Strategy, scale_on_in_flight: bool) -> Target {
    let mut scenario = article();
    scenario.messages = 100;
    scenario.work.wait = "constant:100s".parse().expect("a wait");
    (scenario.eks.pod.prefetch, scenario.eks.pod.receive_min_room) = (0, 1);
    scenario.eks.job = Some(Settings {
        max_replica_count: Some(20),
        strategy,
        messages_per_job: Some(1),
        triggers: vec![Trigger { queue_length: 1, scale_on_in_flight, ..Trigger::default() }],
        ..Settings::default()
    });
    run_eks(&scenario.checked().expect("a good scenario"))
}

#[test]
fn every_strategy_handles_every_message_within_the_maximum() {
    let custom = Strategy::Custom { deduction: 0, running_share: 1.0 };
    for (strategy, in_flight) in
        [(Strategy::Default, true), (custom, true), (Strategy::Accurate, false), (Strategy::Eager, false)]
    {
        let target = jobs(strategy, in_flight);
        let messages = &target.messages;
        assert_eq!((messages.done, messages.lost, messages.duplicates), (100, Some(0), Some(0)), "{strategy:?}");
        assert_eq!(target.peak_capacity, 20, "{strategy:?}");
        assert!(target.floor_seconds.is_some(), "{strategy:?}: jobs end by themselves");
        assert_eq!(target.decisions[0].reason.as_deref(), Some("KEDAJobsCreated"));
    }
}

#[test]
fn the_default_strategy_counts_running_jobs_twice_where_messages_in_flight_are_left_out() {
    // 20 jobs run, and their messages are no longer in the count: `default` takes them off once more.
    let few = |strategy| {
        let mut scenario = article();
        scenario.load = crate::scenario::load::Load::Steady { rate: 0.1 };
        scenario.messages = 60;
        scenario.work.wait = "constant:100s".parse().expect("a wait");
        (scenario.eks.pod.prefetch, scenario.eks.pod.receive_min_room) = (0, 1);
        let triggers = vec![Trigger { queue_length: 1, scale_on_in_flight: false, ..Trigger::default() }];
        scenario.eks.job = Some(Settings { strategy, triggers, messages_per_job: Some(1), ..Settings::default() });
        run_eks(&scenario).latency_seconds.expect("done").p95
    };
    let (default, accurate) = (few(Strategy::Default), few(Strategy::Accurate));
    assert!(accurate + 30.0 < default, "accurate {accurate}, default {default}");
}

#[test]
fn a_job_takes_its_share_and_ends_or_goes_on_until_nothing_comes() {
    let jobs = |messages_per_job| {
        let mut scenario = article();
        scenario.messages = 300;
        let triggers = vec![Trigger { queue_length: 10, ..Trigger::default() }];
        let max_replica_count = Some(10);
        scenario.eks.job = Some(Settings { max_replica_count, triggers, messages_per_job, ..Settings::default() });
        let target = run_eks(&scenario);
        assert_eq!((target.messages.done, target.peak_capacity), (300, 10));
        target.decisions.iter().filter(|decision| decision.from != decision.to).count()
    };
    assert!(jobs(Some(10)) >= 3, "thirty jobs, ten at a time");
    assert_eq!(jobs(None), 1, "ten jobs that go on");
}
