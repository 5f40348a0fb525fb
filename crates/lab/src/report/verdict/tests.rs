use super::verdict;
use crate::cost::prices;
use crate::run::{Band, Engine, Latency, Messages, Requests, Run, SCHEMA, Seeds, Target, Usage};
use crate::scenario::Scenario;
use crate::target::TargetKind;

fn target(drain: f64, p95: f64, pod_seconds: Option<f64>, gb_seconds: Option<f64>) -> Target {
    Target {
        messages: Messages { sent: 1000, done: 1000, lost: Some(0), retried: Some(0), ..Messages::default() },
        requests: Requests::none(),
        drain_seconds: Some(drain),
        floor_seconds: Some(drain),
        latency_seconds: Some(Latency { p95, ..Latency::default() }),
        peak_capacity: 15,
        in_host_concurrency: 1,
        usage: Usage {
            pod_seconds,
            queue_reads: pod_seconds.map(|_| 0),
            gb_seconds,
            invocations: gb_seconds.map(|_| 0),
            ..Usage::default()
        },
        ..Target::default()
    }
}

fn eks() -> Target {
    target(160.0, 149.0, Some(6405.0), None)
}

fn lambda() -> Target {
    target(40.0, 35.0, None, Some(900.0))
}

fn told(eks: Option<Target>, lambda: Option<Target>) -> String {
    let mut scenario = Scenario::default();
    (scenario.eks.pod.cpu_request, scenario.eks.pod.memory_request_mib) = (1.0, 512);
    scenario.work.reject_share = 0.01;
    let targets = [(TargetKind::Eks, eks), (TargetKind::Lambda, lambda)];
    let targets = targets.into_iter().filter_map(|(kind, target)| Some((kind, target?))).collect();
    let run = Run {
        schema: SCHEMA.to_owned(),
        engine: Engine::Local,
        scenario,
        speed: None,
        targets,
        uncertainty: None,
        warnings: vec![],
    };
    verdict(&run, &prices::read(None).expect("built in")).join(" ")
}

#[test]
fn it_says_who_won_on_what_and_by_how_much() {
    let told = told(Some(eks()), Some(lambda()));
    for part in [
        "Lambda won on time to drain, latency and cost.",
        "Lambda drained after 40.0 s; EKS (KEDA) took 2 min 40 s, 4.0 times as long.",
        "95 were done within 2 min 29 s on EKS (KEDA) and within 35.0 s on Lambda.",
        "of which $72.00 are for EKS control plane.",
        "EKS (KEDA) peaked at 15 pods, each with one message at a time.",
        "No message was lost.",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn both_may_win_on_something() {
    let fast = target(20.0, 19.0, Some(6405.0), None);
    let told = told(Some(fast), Some(lambda()));
    assert!(told.starts_with("EKS (KEDA) won on time to drain and latency, Lambda on cost."), "{told}");
}

#[test]
fn figures_that_are_nearly_the_same_are_a_tie() {
    let near = target(41.0, 35.5, Some(0.0), None);
    let told = told(Some(near), Some(lambda()));
    assert!(told.starts_with("Lambda won on cost."), "{told}");
    assert!(
        told.contains("Both drained at about the same time: Lambda after 40.0 s, EKS (KEDA) after 41.0 s."),
        "{told}"
    );
    let equal = Target { usage: Usage::default(), ..lambda() };
    let told = self::told(Some(equal.clone()), Some(equal));
    assert!(told.starts_with("Neither target beat the other."), "{told}");
    assert!(told.contains("What EKS (KEDA) costs is not known. What Lambda costs is not known."), "{told}");
}

#[test]
fn a_target_that_did_not_drain_ends_the_contest_and_lost_messages_are_named() {
    let mut stuck = eks();
    stuck.drain_seconds = None;
    (stuck.messages.done, stuck.messages.lost) = (900, Some(3));
    let told_one = told(Some(stuck.clone()), Some(lambda()));
    assert!(told_one.contains("EKS (KEDA) failed: 900 of 1000 messages were done when the run ended"), "{told_one}");
    assert!(told_one.starts_with("There is no winner."), "{told_one}");
    assert!(!told_one.contains("won"), "{told_one}");
    assert!(told_one.ends_with("Mind: EKS (KEDA) lost 3."), "{told_one}");
    let mut other = lambda();
    (other.drain_seconds, other.messages.lost) = (None, None);
    let told_both = told(Some(stuck), Some(other));
    assert!(told_both.matches("failed: ").count() == 2, "{told_both}");
    assert!(told_both.contains("whether Lambda lost any is not known"), "{told_both}");
}

#[test]
fn one_target_alone_and_none_at_all_have_a_verdict() {
    let alone = told(None, Some(lambda()));
    assert!(alone.starts_with("Lambda was done with 1,000 messages after 40.0 s. Of a hundred messages"), "{alone}");
    assert!(alone.contains("A month of such days costs $"), "{alone}");
    assert_eq!(told(None, None), "Nothing ran.");
}

#[test]
fn what_is_not_known_is_left_out_or_said() {
    let mut unknown = eks();
    (unknown.latency_seconds, unknown.usage) = (None, Usage::default());
    unknown.requests.send = None;
    let told = told(Some(unknown), Some(lambda()));
    assert!(told.starts_with("Lambda won on time to drain."), "{told}");
    assert!(told.contains("What EKS (KEDA) costs is not known."), "{told}");
    assert!(!told.contains("NaN") && !told.contains("requests per message"), "{told}");
}

#[test]
fn with_several_seeds_it_says_how_far_they_are_apart() {
    let mut lucky = eks();
    let band = Band { median: 158.0, low: 150.0, high: 170.0, of: 20 };
    lucky.seeds =
        Some(Seeds { count: 20, figures: [(crate::run::SeedFigure::DrainSeconds, band)].into(), ..Seeds::default() });
    let told = told(Some(lucky), Some(lambda()));
    assert!(told.contains("Of 20 seeds, 95 % drained: EKS (KEDA) in 2 min 30 s to 2 min 50 s."), "{told}");
}

#[test]
fn dead_letters_are_not_called_done() {
    let mut some = eks();
    (some.messages.done, some.messages.rejected) = (990, 10);
    let alone = told(Some(some.clone()), None);
    assert!(
        alone.contains("drained after 2 min 40 s: 990 of 1,000 messages were done, 10 are dead letters."),
        "{alone}"
    );
    assert!(alone.contains("Of a hundred messages that were done, 95 were done within"), "{alone}");
    let both = told(Some(some), Some(lambda()));
    assert!(!both.contains("was done with 1,000 messages"), "{both}");
}
