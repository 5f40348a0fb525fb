use super::*;
use crate::compare::run::{Messages, Requests, Run, SCHEMA, Sample, Target, Targets, Usage};

fn prices() -> Prices {
    crate::compare::prices::read(None).expect("the file that comes with the program")
}

fn run(eks: Option<Target>, lambda: Option<Target>) -> Run {
    let scenario = serde_json::json!({
        "queue": { "fifo": false },
        "eks": {
            "keda": { "minReplicaCount": 1, "pollingInterval": 30, "hpa": { "syncPeriodSeconds": 15 } },
            "pod": { "cpu_limit": 1.0, "memory_mib": 1792 },
        },
        "lambda": { "mapping": {} },
    });
    let targets = Targets { eks, lambda };
    Run { schema: SCHEMA.to_owned(), engine: "simulated".to_owned(), scenario, speed: None, targets, warnings: vec![] }
}

fn line<'a>(bill: &'a Bill, item: &str) -> &'a Line {
    bill.month.iter().find(|line| line.item == item).unwrap_or_else(|| panic!("no line {item} in {bill:?}"))
}

fn cents(usd: f64) -> f64 {
    (usd * 100.0).round() / 100.0
}

#[test]
fn a_hundred_million_invocations_of_202_ms_and_512_mb_on_x86_cost_188_33() {
    let (prices, invocations) = (prices(), 100e6);
    let gb_seconds = invocations * 0.202 * 0.5;
    let usd = prices.lambda_x86.of(gb_seconds, false) + prices.lambda_requests.of(invocations, false);
    assert_eq!(cents(usd), 188.33);
    // The same through a run: a thirtieth of it in a day.
    let usage = Usage { gb_seconds: Some(gb_seconds / 30.0), invocations: Some(3_333_333), ..Usage::default() };
    let target = Target { floor_seconds: Some(86_400.0), usage, ..Target::default() };
    let options = Options { arm: false, ..Options::default() };
    let bill = bill_lambda(&run(None, Some(target)), &prices, &options).expect("there is a function");
    assert_eq!(cents(line(&bill, "Lambda duration").usd + line(&bill, "Lambda requests").usd), 188.33);
}

#[test]
fn tiers_and_free_tiers_are_taken_in_order() {
    let prices = prices();
    assert_eq!(cents(prices.sqs_standard.of(1e6, true)), 0.0);
    assert_eq!(cents(prices.sqs_standard.of(2e6, true)), 0.4);
    assert_eq!(cents(prices.sqs_standard.of(250e9, false)), 100e3 * 0.4 + 100e3 * 0.3 + 50e3 * 0.24);
    assert_eq!(cents(prices.lambda_x86.of(7e9, false)), cents(6e9 * 0.0000166667 + 1e9 * 0.000015));
}

#[test]
fn an_idle_month_costs_what_waiting_costs() {
    let idle = || Some(Target { floor_seconds: Some(0.0), ..Target::default() });
    let run = run(idle(), idle());
    let eks = bill_eks(&run, &prices(), &Options::default()).expect("there are pods");
    // 8,640 reads a day with one replica: 0.10 USD in 30 days. One long poll every 20 s: 129,600 requests.
    assert_eq!(
        (
            line(&eks, "SQS GetQueueAttributes by KEDA").quantity,
            cents(line(&eks, "SQS GetQueueAttributes by KEDA").usd)
        ),
        (259_200.0, 0.10)
    );
    assert_eq!(line(&eks, "SQS empty receives").quantity, 129_600.0);
    assert_eq!(cents(line(&eks, "EKS control plane").usd), 72.0);
    assert_eq!(cents(line(&eks, "Fargate vCPU").usd), cents(720.0 * 0.04048));
    let lambda = bill_lambda(&run, &prices(), &Options::default()).expect("there is a function");
    assert_eq!((lambda.month_usd * 100.0).round(), 10.0, "two pollers: 259,200 empty receives");
}

#[test]
fn pods_are_packed_on_nodes_as_many_as_are_needed_at_each_moment() {
    let sample = |t, capacity| Sample { t, capacity, ..Sample::default() };
    let target = Target {
        floor_seconds: Some(86_400.0),
        samples: vec![sample(0.0, 1), sample(43_200.0, 3), sample(86_400.0, 3)],
        ..Target::default()
    };
    let hosting = Hosting::Nodes { instance: "m7g.large".to_owned(), spot_discount: 0.5 };
    let options = Options { hosting, ..Options::default() };
    let bill = bill_eks(&run(Some(target), None), &prices(), &options).expect("there are pods");
    // One pod of 1 vCPU on a node of 2, of which a tenth is not for pods: 12 h of one node, 12 h of three, 30 days.
    let nodes = line(&bill, "m7g.large, 1 pods a node");
    assert_eq!((nodes.quantity, cents(nodes.usd)), (1440.0, cents(1440.0 * 0.0816 / 2.0)));
}

#[test]
fn a_million_messages_have_a_price_and_every_line_a_source() {
    let target = Target {
        messages: Messages { sent: 1000, done: 1000, ..Messages::default() },
        requests: Requests { send: Some(100), receive: Some(100), delete: Some(100), ..Requests::default() },
        floor_seconds: Some(86_400.0),
        ..Target::default()
    };
    let bill = bill_lambda(&run(None, Some(target)), &prices(), &Options::default()).expect("there is a function");
    assert_eq!(cents(bill.usd_per_million), 0.12, "0.3 requests a message");
    assert!(bill.month.iter().all(|line| !line.source.is_empty()));
}
