//! Whole runs: what the scenarios promise.

use std::time::Duration;

use twinscale_lab::run::Target;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::scenario::load::Load;
use twinscale_lab::simulate;
use twinscale_scaling::Scaler;
use twinscale_scaling::hpa::Behavior;
use twinscale_work::Fate;

use super::{on_eks, on_lambda, scenario, steps, the_machine};

fn assert_all_done(target: &Target, messages: u64) {
    assert_eq!(target.messages.sent, messages, "{:?}", target.messages);
    assert_eq!(target.messages.done + target.messages.rejected, messages, "{:?}", target.messages);
    assert_eq!(target.messages.lost, Some(0), "{:?}", target.messages);
}

/// Steps come every 15 s, as exactly as this machine's timers are.
fn assert_every_15_s(target: &Target, steps: usize) {
    let error = 1.0 + target.overhead_seconds.unwrap_or_default();
    for (index, decision) in target.changes().take(steps).enumerate() {
        let due = 15.0 * (index + 1) as f64;
        assert!((decision.t - due).abs() <= error, "step {index} at {} s instead of {due} s", decision.t);
    }
}

/// The article's, with the HPA's first sync a whole period after the load began.
fn article_in_phase() -> Scenario {
    let mut scenario = scenario("article");
    scenario.eks.keda.hpa.first_sync = Some(Duration::from_secs(15));
    scenario
}

#[tokio::test(flavor = "multi_thread")]
async fn the_article_s_workload_on_eks_goes_1_4_8_15_and_every_message_is_done() {
    let _machine = the_machine().await;
    let target = on_eks(article_in_phase(), 20.0).await;
    assert_all_done(&target, 1000);
    assert_eq!(steps(&target)[..3], [4, 8, 15]);
    assert_every_15_s(&target, 3);
    assert_eq!((target.peak_capacity, target.in_host_concurrency), (15, 1));
    let drain = target.drain_seconds.expect("it drained");
    assert!((100.0..400.0).contains(&drain), "15 pods take about 150 s on a quiet machine, not {drain}");
    assert!(target.floor_simulated);
    assert!(target.floor_seconds.expect("it came back") > drain + 250.0, "replicas stay high for 300 s");
    assert_eq!(target.samples.last().map(|sample| sample.capacity), Some(1));
    assert!(
        target.samples.is_sorted_by(|a, b| a.t <= b.t && b.t - a.t <= 1.0 + target.overhead_seconds.unwrap_or(0.0))
    );
    assert_eq!(target.latency_histogram.iter().map(|bucket| bucket.count).sum::<u64>(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_api_s_default_behavior_it_goes_1_5_10_15() {
    let _machine = the_machine().await;
    let mut scenario = article_in_phase();
    scenario.eks.keda.hpa.behavior = Some(Behavior::default());
    scenario.limit = Duration::from_secs(50);
    let target = on_eks(scenario, 20.0).await;
    assert_eq!(steps(&target), [5, 10, 15]);
    assert_every_15_s(&target, 3);
    assert_eq!(target.drain_seconds, None, "50 s are not enough");
    assert_eq!((target.messages.sent, target.messages.lost), (1000, Some(0)), "what is left is not lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_article_s_workload_on_lambda_starts_at_5_concurrent_batches() {
    let _machine = the_machine().await;
    let target = on_lambda(scenario("article"), 10.0).await;
    assert_all_done(&target, 1000);
    assert_eq!(steps(&target)[..2], [5, 10]);
    let first_second = target.samples.iter().filter(|sample| sample.t < 1.0);
    assert!(first_second.map(|sample| sample.capacity).max() <= Some(5), "{:?}", target.samples.first());
    assert!(target.usage.invocations >= Some(100), "{:?}", target.usage);
    assert!(target.usage.cold_starts >= Some(5), "{:?}", target.usage);
    assert_eq!(target.usage.pod_seconds, None);
    assert!(target.unavailable.contains_key("usage.pod_seconds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_scenario_drains_faster_with_fewer_pods() {
    let _machine = the_machine().await;
    let target = on_eks(scenario("default"), 4.0).await;
    assert_all_done(&target, 1000);
    assert!(target.peak_capacity < 15, "{} pods", target.peak_capacity);
    assert!(target.drain_seconds.expect("it drained") < 60.0, "{:?}", target.drain_seconds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_room_for_100_needs_no_more_than_0_35_requests_a_message() {
    let _machine = the_machine().await;
    let mut scenario = scenario("default");
    scenario.work.wait = "10ms".parse().expect("a wait");
    scenario.eks.pod.concurrency = 100;
    let target = on_eks(scenario, 1.0).await;
    assert_all_done(&target, 1000);
    let requests = target.requests.per_message(1000).expect("they are counted");
    assert!((0.30..=0.35).contains(&requests), "{requests}: {:?}", target.requests);
}

/// What the draws say: messages that end done, those rejected, and retries on the way.
fn drawn(work: &twinscale_work::Work, messages: u64) -> (u64, u64, u64) {
    let mut done = 0;
    let mut rejected = 0;
    let mut retried = 0;
    for number in 0..messages {
        for attempt in 1.. {
            match work.draw(number, attempt).fate {
                Fate::Done => done += 1,
                Fate::Reject => rejected += 1,
                Fate::Retry | Fate::Throw => {
                    retried += 1;
                    continue;
                }
            }
            break;
        }
    }
    (done, rejected, retried)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_targets_retry_and_reject_just_the_messages_that_were_drawn() {
    let _machine = the_machine().await;
    let mut scenario = scenario("default");
    scenario.messages = 200;
    scenario.seed = 7;
    // A loaded machine must not make invocations time out: ten times as fast, 30 s would be 3 s.
    scenario.lambda.timeout = Duration::from_secs(300);
    scenario.work.retry_share = 0.2;
    scenario.work.reject_share = 0.1;
    let work = scenario.clone().checked().expect("it can run").work;
    let (done, rejected, retried) = drawn(&work, 200);
    for target in [on_eks(scenario.clone(), 10.0).await, on_lambda(scenario, 10.0).await] {
        let messages = &target.messages;
        assert_all_done(&target, 200);
        assert_eq!(
            (messages.done, messages.rejected, messages.retried),
            (done, rejected, Some(retried)),
            "{messages:?}"
        );
        assert_eq!(messages.duplicates, Some(0), "{messages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_at_zero_wakes_for_the_load_and_goes_back_to_zero() {
    let _machine = the_machine().await;
    let mut scenario = scenario("default");
    scenario.messages = 20;
    scenario.eks.keda.min_replica_count = 0;
    scenario.load = Load::Burst;
    let target = on_eks(scenario, 20.0).await;
    assert_all_done(&target, 20);
    assert_eq!(target.samples.first().map(|sample| sample.capacity), Some(0));
    assert_eq!(target.changes().next().map(|d| (d.by, d.to)), Some((Scaler::Keda.into(), 1)));
    assert_eq!(target.changes().last().map(|d| (d.by, d.to)), Some((Scaler::Keda.into(), 0)));
    assert!(target.floor_seconds > Some(300.0), "the cooldown is 300 s: {:?}", target.floor_seconds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_queue_is_drained_by_both_targets() {
    let _machine = the_machine().await;
    let mut scenario = scenario("default");
    scenario.messages = 60;
    scenario.queue.fifo = true;
    scenario.queue.groups = 6;
    scenario.work.wait = "100ms".parse().expect("a wait");
    assert_all_done(&on_eks(scenario.clone(), 5.0).await, 60);
    assert_all_done(&on_lambda(scenario, 5.0).await, 60);
}

/// One group, three receives, and two of five attempts fail: only what fails three times is dead-lettered, and a message
/// behind it is not. Real processes, virtual time and the draws say the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_group_whose_messages_fail_ends_alike_in_both_engines() {
    let _machine = the_machine().await;
    for seed in [29, 6] {
        let mut scenario = scenario("default");
        (scenario.seed, scenario.messages, scenario.load) = (seed, 6, Load::Burst);
        scenario.work.wait = "100ms".parse().expect("a wait");
        scenario.work.retry_share = 0.4;
        (scenario.queue.fifo, scenario.queue.groups, scenario.queue.max_receive_count) = (true, 1, 3);
        // A loaded machine must not make invocations time out.
        scenario.lambda.timeout = Duration::from_secs(300);
        let scenario = scenario.checked().expect("it can run");
        let fails = |number| (1..=3).all(|attempt| scenario.work.draw(number, attempt).fate != Fate::Done);
        let hopeless = (0..6).filter(|number| fails(*number)).count() as u64;
        assert!(hopeless > 0, "seed {seed} draws no message that fails three times");
        for (local, simulated) in [
            (on_eks(scenario.clone(), 5.0).await, simulate::run_eks(&scenario)),
            (on_lambda(scenario.clone(), 5.0).await, simulate::run_lambda(&scenario)),
        ] {
            assert_eq!((local.messages.done, local.messages.rejected), (6 - hopeless, hopeless), "seed {seed}");
            assert_eq!(local.messages, simulated.messages, "seed {seed}");
        }
    }
}
