use super::*;
use crate::scenario::{Nodes, Provisioner};

fn on_nodes(nodes: Nodes) -> Scenario {
    let mut scenario = article();
    scenario.eks.nodes = Some(nodes);
    scenario.checked().expect("a good scenario")
}

fn karpenter() -> Nodes {
    Nodes { provisioner: Provisioner::Karpenter, pods_per_node: 4, ..Nodes::default() }
}

fn drained(scenario: &Scenario) -> f64 {
    let eks = run_eks(scenario);
    assert_eq!((eks.messages.done, eks.messages.lost), (1000, Some(0)));
    eks.drain_seconds.expect("it drained")
}

#[test]
fn a_new_node_takes_longer_than_a_warm_one_and_the_cluster_autoscaler_longer_than_karpenter() {
    let warm = drained(&on_nodes(Nodes { initial: 4, ..karpenter() }));
    assert_eq!(warm, drained(&article()), "as many nodes as are needed, with the image: nothing is waited for");
    let by_karpenter = drained(&on_nodes(karpenter()));
    let by_autoscaler = drained(&on_nodes(Nodes { provisioner: Provisioner::ClusterAutoscaler, ..karpenter() }));
    assert!(warm + 20.0 < by_karpenter && by_karpenter + 20.0 < by_autoscaler, "{warm} {by_karpenter} {by_autoscaler}");
}

#[test]
fn pods_without_a_node_count_as_replicas_and_work_nothing() {
    let full = on_nodes(Nodes { pods_per_node: 2, ..Nodes::default() });
    let eks = run_eks(&full);
    assert_eq!(eks.peak_capacity, 15, "the HPA goes on: Pending pods are replicas");
    // Two pods of about 0.57 messages per second.
    assert!(eks.drain_seconds.is_some_and(|t| t > 700.0), "{:?}", eks.drain_seconds);
}

#[test]
fn the_image_is_pulled_once_a_node() {
    let pull = |wait: &str| Nodes { image_pull: wait.parse().expect("a wait"), ..karpenter() };
    let fast = drained(&on_nodes(pull("0s")));
    let slow = drained(&on_nodes(pull("40s")));
    assert!((10.0..=45.0).contains(&(slow - fast)), "{fast} {slow}: four pods of a node wait for one pull, not four");
}

#[test]
fn empty_nodes_are_removed_down_to_the_initial_number_and_nodes_are_counted_until_then() {
    let nodes = |empty_for| on_nodes(Nodes { empty_for: Duration::from_secs(empty_for), ..karpenter() });
    let seconds = |scenario: &Scenario| {
        let eks = run_eks(scenario);
        (eks.floor_seconds.expect("at the floor"), eks.usage.instance_seconds.expect("there are nodes"))
    };
    let soon = seconds(&nodes(30));
    let late = seconds(&nodes(600));
    assert!(late.0 >= soon.0 + 500.0, "{soon:?} {late:?}");
    assert!(late.1 >= soon.1 + 3.0 * 500.0, "three nodes more, each 570 s longer: {soon:?} {late:?}");
}

#[test]
fn spot_takes_nodes_and_no_message_is_lost() {
    let spot = |rate| on_nodes(Nodes { spot_interruptions_per_hour: rate, ..karpenter() });
    let eks = run_eks(&spot(40.0));
    assert_eq!((eks.messages.done, eks.messages.lost), (1000, Some(0)));
    assert!(eks.drain_seconds.is_some_and(|slower| slower > drained(&spot(0.0))), "{:?}", eks.drain_seconds);
}

#[test]
fn work_that_outlives_spots_two_minutes_is_redelivered_after_its_visibility() {
    let mut scenario = on_nodes(Nodes { spot_interruptions_per_hour: 8.0, ..karpenter() });
    scenario.work.wait = "constant:200s".parse().expect("a wait");
    (scenario.eks.pod.drain_budget, scenario.eks.pod.grace_period) =
        (Duration::from_secs(300), Duration::from_secs(310));
    (scenario.messages, scenario.limit) = (60, Duration::from_secs(6 * 3600));
    scenario.queue.max_receive_count = 1000;
    let eks = run_eks(&scenario);
    assert_eq!((eks.messages.done, eks.messages.lost), (60, Some(0)));
    assert!(eks.messages.duplicates.is_some_and(|n| n > 0), "killed pods give nothing back: {:?}", eks.messages);
}
