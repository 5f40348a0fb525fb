use super::*;
use crate::run::Decision;
use crate::scenario::load::Load;
use twinscale_scaling::{event_source, hpa};

mod jobs;
mod lambda;
mod nodes;

fn article() -> Scenario {
    Scenario::read("article").and_then(Scenario::checked).expect("built in")
}

/// With the first poll at once, and the first sync a whole period later.
fn article_in_phase() -> Scenario {
    let mut scenario = article();
    scenario.eks.keda.first_poll = Some(Duration::ZERO);
    scenario.eks.keda.hpa.first_sync = Some(Duration::from_secs(15));
    scenario
}

fn steps(decisions: &[Decision]) -> Vec<(u64, u32)> {
    decisions.iter().filter(|d| d.from != d.to).map(|decision| (decision.t.round() as u64, decision.to)).collect()
}

#[test]
fn the_articles_trace_is_1_4_8_15_at_15_30_and_45_s() {
    let mut run = run(&article_in_phase());
    let eks = run.targets.remove(TargetKind::Eks).expect("it ran");
    assert_eq!(steps(&eks.decisions)[..3], [(15, 4), (30, 8), (45, 15)]);
    assert_eq!((eks.messages.done, eks.messages.lost, eks.messages.duplicates), (1000, Some(0), Some(0)));
    assert_eq!(steps(&eks.decisions).last().map(|step| step.1), Some(1), "back at the floor");
    assert_eq!(eks.peak_capacity, 15);
    let lambda = run.targets.remove(TargetKind::Lambda).expect("it ran");
    assert_eq!((lambda.messages.done, lambda.messages.lost), (1000, Some(0)));
    assert_eq!(lambda.decisions[0].from, 5);
    assert_eq!(run.warnings, Vec::<String>::new());
}

#[test]
fn with_the_apis_default_behavior_it_is_1_5_10_15() {
    let mut scenario = article_in_phase();
    scenario.eks.keda.hpa.behavior = Some(hpa::Behavior::default());
    assert_eq!(steps(&run_eks(&scenario).decisions)[..3], [(15, 5), (30, 10), (45, 15)]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| serde_json::to_string(&run(&Scenario { seed, ..article() })).expect("JSON");
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn no_message_is_lost_whatever_fails() {
    for fifo in [false, true] {
        let mut scenario = article();
        scenario.queue.fifo = fifo;
        (scenario.work.retry_share, scenario.work.reject_share) = (0.2, 0.05);
        let run = run(&scenario);
        for (name, target) in run.targets.iter() {
            let messages = &target.messages;
            assert_eq!(messages.done + messages.rejected, 1000, "{name}, fifo {fifo}: {messages:?}");
            assert_eq!((messages.lost, messages.duplicates), (Some(0), Some(0)), "{name}, fifo {fifo}");
            // The first of a FIFO group is tried again in place, which costs no receive.
            assert!(messages.rejected > 20 && messages.retried.is_some_and(|n| fifo || n > 100), "{name} {messages:?}");
        }
    }
}

#[test]
fn what_a_draining_pod_receives_last_is_no_dead_letter() {
    // A hundred pods end at once while messages come: each long poll under way may still bring one.
    for fifo in [false, true] {
        let mut scenario = article();
        (scenario.queue.max_receive_count, scenario.queue.fifo) = (1, fifo);
        (scenario.messages, scenario.load) = (40_000, Load::Poisson { rate: 50.0 });
        scenario.limit = Duration::from_secs(7200);
        scenario.eks.keda.max_replica_count = 1000;
        let eks = run_eks(&scenario);
        assert!(eks.decisions.iter().any(|decision| decision.from >= decision.to + 50), "{:?}", steps(&eks.decisions));
        assert_eq!((eks.messages.done, eks.messages.rejected), (40_000, 0), "fifo {fifo}");
    }
}

#[test]
fn a_fifo_message_that_fails_costs_its_neighbours_no_receive() {
    // One group, one receive allowed more than none: the head is tried in place, and only what fails for ever is rejected.
    for seed in 0..40 {
        let mut scenario = article();
        (scenario.seed, scenario.work.seed) = (seed, seed);
        (scenario.messages, scenario.queue.fifo, scenario.queue.groups) = (6, true, 1);
        (scenario.queue.max_receive_count, scenario.work.retry_share) = (3, 0.4);
        scenario.work.wait = "constant:100ms".parse().expect("a wait");
        (scenario.eks.pod.concurrency, scenario.eks.pod.prefetch, scenario.eks.pod.receive_linger) =
            (10, 0, Duration::ZERO);
        let fails =
            |number| (1..=3).all(|attempt| scenario.work.draw(number, attempt).fate != twinscale_work::Fate::Done);
        let hopeless = (0..6).filter(|number| fails(*number)).count() as u64;
        let run = run(&scenario);
        for (kind, target) in run.targets.iter() {
            let messages = &target.messages;
            assert_eq!(
                (messages.rejected, messages.done),
                (hopeless, 6 - hopeless),
                "{kind}, seed {seed}: {messages:?}"
            );
        }
    }
}

#[test]
fn what_a_retry_waits_follows_the_back_off_of_the_host() {
    let drained = |base: u64| {
        let mut scenario = article();
        (scenario.messages, scenario.work.retry_share) = (200, 0.3);
        let base = Duration::from_secs(base);
        (scenario.eks.pod.backoff_base, scenario.lambda.backoff_base) = (base, base);
        let run = run(&scenario.checked().expect("a good scenario"));
        [TargetKind::Eks, TargetKind::Lambda]
            .map(|kind| run.targets.get(kind).and_then(|target| target.drain_seconds).expect("it drained"))
    };
    let short = drained(1);
    let long = drained(600);
    assert!(short.iter().zip(&long).all(|(short, long)| short + 200.0 < *long), "{short:?} {long:?}");
}

#[test]
fn a_batch_that_runs_out_of_time_gives_the_rest_back() {
    let mut scenario = article();
    scenario.lambda.timeout = Duration::from_secs(10);
    let lambda = run_lambda(&scenario);
    assert_eq!((lambda.messages.done, lambda.messages.lost), (1000, Some(0)));
    assert!(lambda.messages.retried == Some(0) && lambda.messages.duplicates == Some(0));
    assert!(lambda.usage.invocations.is_some_and(|n| n > 150), "{:?}", lambda.usage);
}

#[test]
fn scaling_down_in_the_middle_of_work_gives_back_what_was_not_begun() {
    let mut scenario = article();
    // Straight down as soon as the queue is low, while pods are at work.
    scenario.eks.keda.hpa.downscale_stabilization = Duration::ZERO;
    scenario.eks.keda.triggers[0].queue_length = 40;
    let eks = run_eks(&scenario);
    assert_eq!((eks.messages.done, eks.messages.lost, eks.messages.duplicates), (1000, Some(0), Some(0)));
    assert!(eks.requests.change_visibility.is_some_and(|n| n > 0), "something was given back");
}

#[test]
fn long_messages_are_kept_by_heartbeats() {
    let mut scenario = article();
    scenario.work.wait = "constant:100s".parse().expect("a wait");
    scenario.messages = 30;
    let eks = run_eks(&scenario);
    assert_eq!((eks.messages.done, eks.messages.duplicates), (30, Some(0)));
    assert!(eks.requests.change_visibility.is_some_and(|n| n > 100));
}

#[test]
fn what_can_never_drain_ends_at_the_limit_and_says_so() {
    let mut scenario = article();
    scenario.limit = Duration::from_secs(60);
    let mut run = run(&scenario);
    let eks = run.targets.remove(TargetKind::Eks).expect("it ran");
    assert_eq!((eks.drain_seconds, eks.floor_seconds), (None, None));
    assert!(eks.unavailable.contains_key("drain_seconds"));
    assert!(run.warnings[0].starts_with("EKS had not drained after 1 min"), "{:?}", run.warnings);
}

#[test]
fn a_window_gathers_until_it_is_over() {
    let mut scenario = article();
    (scenario.messages, scenario.lambda.in_host_concurrency) = (25, 25);
    scenario.lambda.mapping =
        event_source::MappingSettings { batch_size: 100, window: Duration::from_secs(5), ..scenario.lambda.mapping };
    let lambda = run_lambda(&scenario);
    assert_eq!(lambda.usage.invocations, Some(1));
    assert!(lambda.latency_seconds.is_some_and(|latency| latency.p50 > 5.0));
}

#[test]
fn provisioned_pollers_start_with_ten_batches_each() {
    let mut scenario = article();
    scenario.lambda.mapping.provisioned = Some(event_source::Provisioned::default());
    assert_eq!(run_lambda(&scenario).decisions[0].from, 20);
}

#[test]
fn counts_that_are_stale_delay_the_scaling() {
    let mut scenario = article_in_phase();
    scenario.queue.counts_staleness = Duration::from_secs(20);
    assert_eq!(steps(&run_eks(&scenario).decisions)[0], (30, 4));
}

#[test]
fn an_outage_of_the_metric_makes_keda_fall_back_and_messages_go_on() {
    let mut scenario = article_in_phase();
    let hold = hpa::Rules { stabilization_window: Some(Duration::ZERO), ..hpa::Rules::default() };
    scenario.eks.keda.hpa.behavior = Some(hpa::Behavior { scale_down: hold, ..hpa::Behavior::default() });
    scenario.eks.keda.version = twinscale_scaling::keda::Version::V2_20;
    scenario.eks.keda.fallback = Some(twinscale_scaling::keda::Fallback {
        failure_threshold: 3,
        replicas: 6,
        behavior: twinscale_scaling::keda::FallbackBehavior::Static,
    });
    let from = Duration::from_secs(62);
    let until = Duration::from_secs(118);
    scenario.eks.metric_outages = vec![crate::scenario::Outage { from, until }];
    let eks = run_eks(&scenario.checked().expect("a good scenario"));
    let failed = |decision: &&Decision| decision.reason == Some(twinscale_scaling::Reason::FailedGetExternalMetric);
    let failed: Vec<u64> = eks.decisions.iter().filter(failed).map(|decision| decision.t as u64).collect();
    // Failures: syncs at 75 and 90 s, a poll at 90 s; the sync at 105 s is the fourth, and falls back.
    assert_eq!(failed, [75, 90]);
    assert!(steps(&eks.decisions).contains(&(105, 6)), "{:?}", steps(&eks.decisions));
    assert_eq!((eks.messages.done, eks.messages.lost), (1000, Some(0)));
}

#[test]
fn requests_of_a_worker_at_its_best_are_near_the_floor() {
    let mut scenario = article();
    scenario.work.wait = "constant:10ms".parse().expect("a wait");
    scenario.eks.pod = crate::scenario::Pod { concurrency: 100, ..scenario.eks.pod };
    (scenario.eks.pod.prefetch, scenario.eks.pod.delete_linger) = (0, Duration::from_millis(200));
    let per_message = run_eks(&scenario).requests.per_message(1000).expect("all counted");
    assert!((0.30..=0.35).contains(&per_message), "{per_message}");
}
