use super::*;
use twinscale_scaling::Reason;
use twinscale_scaling::keda::Trigger;
use twinscale_scaling::scaled_job::{ScaledJobSettings, Strategy};

/// 100 messages at once, a job for each, 20 at most; a message takes 100 s, so that three polls see the same jobs.
fn jobs(strategy: Strategy, scale_on_in_flight: bool) -> Target {
    let mut scenario = article();
    scenario.messages = 100;
    scenario.work.wait = "constant:100s".parse().expect("a wait");
    (scenario.eks.pod.prefetch, scenario.eks.pod.receive_min_room) = (0, 1);
    scenario.eks.job = Some(ScaledJobSettings {
        max_replica_count: Some(20),
        strategy,
        messages_per_job: Some(1),
        triggers: vec![Trigger { queue_length: 1, scale_on_in_flight, ..Trigger::default() }],
        ..ScaledJobSettings::default()
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
        assert_eq!(target.decisions[0].reason, Some(Reason::KEDAJobsCreated));
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
        scenario.eks.job =
            Some(ScaledJobSettings { strategy, triggers, messages_per_job: Some(1), ..ScaledJobSettings::default() });
        run_eks(&scenario).latency_seconds.expect("done").p95
    };
    let default = few(Strategy::Default);
    let accurate = few(Strategy::Accurate);
    assert!(accurate + 30.0 < default, "accurate {accurate}, default {default}");
}

#[test]
fn a_job_ends_at_the_first_empty_answer_after_exit_when_idle() {
    let lived = |exit_when_idle: u64| {
        let mut scenario = article();
        scenario.messages = 1;
        scenario.eks.pod.exit_when_idle = Duration::from_secs(exit_when_idle);
        (scenario.eks.pod.receive_min_room, scenario.eks.pod.delete_linger) = (1, Duration::ZERO);
        scenario.work.wait = "constant:1s".parse().expect("a wait");
        scenario.eks.pod.start_delay = "constant:2s".parse().expect("a wait");
        scenario.eks.job = Some(ScaledJobSettings { first_poll: Some(Duration::ZERO), ..ScaledJobSettings::default() });
        run_eks(&scenario).usage.pod_seconds.expect("pods")
    };
    // Polls end at 22 and 42 s (one message, received at 2 s); the first is too early for the 30 s that eks/ sets.
    assert_eq!((lived(20), lived(30)), (22.0, 42.0));
}

#[test]
fn a_job_takes_its_share_and_ends_or_goes_on_until_nothing_comes() {
    let jobs = |messages_per_job| {
        let mut scenario = article();
        scenario.messages = 300;
        let triggers = vec![Trigger { queue_length: 10, ..Trigger::default() }];
        let max_replica_count = Some(10);
        scenario.eks.job =
            Some(ScaledJobSettings { max_replica_count, triggers, messages_per_job, ..ScaledJobSettings::default() });
        let target = run_eks(&scenario);
        assert_eq!((target.messages.done, target.peak_capacity), (300, 10));
        target.decisions.iter().filter(|decision| decision.from != decision.to).count()
    };
    assert!(jobs(Some(10)) >= 3, "thirty jobs, ten at a time");
    assert_eq!(jobs(None), 1, "ten jobs that go on");
}
