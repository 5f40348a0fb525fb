use std::time::Duration;

use super::*;
use crate::run::{Engine, Messages, Requests, Run, SCHEMA, Sample, Target, Usage};
use crate::scenario::{Managed, Scenario};
use crate::target::TargetKind;
use twinscale_scaling::event_source::Provisioned;

fn prices() -> Prices {
    crate::cost::prices::read(None).expect("the file that comes with the program")
}

fn with(options: Options) -> Prices {
    Prices { options, ..prices() }
}

fn run(eks: Option<Target>, lambda: Option<Target>) -> Run {
    let mut scenario = Scenario::default();
    let keda = &mut scenario.eks.keda;
    (keda.min_replica_count, keda.idle_replica_count) = (1, None);
    (keda.polling_interval, keda.hpa.sync_period) = (Duration::from_secs(30), Duration::from_secs(15));
    // What is requested is paid, and not the limits.
    (scenario.eks.pod.cpu_limit, scenario.eks.pod.memory_mib) = (4.0, 8192);
    (scenario.eks.pod.cpu_request, scenario.eks.pod.memory_request_mib) = (1.0, 1792);
    scenario.lambda.mapping.provisioned = None;
    let targets = [(TargetKind::Eks, eks), (TargetKind::Lambda, lambda)];
    let targets = targets.into_iter().filter_map(|(kind, target)| Some((kind, target?))).collect();
    Run {
        schema: SCHEMA.to_owned(),
        engine: Engine::Simulated,
        scenario,
        speed: None,
        targets,
        uncertainty: None,
        warnings: vec![],
    }
}

fn line<'a>(bill: &'a Bill, item: &str) -> &'a BillLine {
    bill.month.iter().find(|line| line.item == item).unwrap_or_else(|| panic!("no line {item} in {bill:?}"))
}

/// Known, and none.
fn nothing() -> Usage {
    Usage {
        pod_seconds: Some(0.0),
        queue_reads: Some(0),
        gb_seconds: Some(0.0),
        invocations: Some(0),
        ..Usage::default()
    }
}

/// A target that knows all that it did: nothing.
fn known() -> Target {
    Target {
        messages: Messages { retried: Some(0), ..Messages::default() },
        requests: Requests::none(),
        usage: nothing(),
        ..Target::default()
    }
}

fn cents(usd: f64) -> f64 {
    (usd * 100.0).round() / 100.0
}

#[test]
fn a_hundred_million_invocations_of_202_ms_and_512_mb_on_x86_cost_188_33() {
    let prices = prices();
    let invocations = 100e6;
    let gb_seconds = invocations * 0.202 * 0.5;
    let usd = prices.lambda_x86.of(gb_seconds, false) + prices.lambda_requests.of(invocations, false);
    assert_eq!(cents(usd), 188.33);
    // The same through a run: a thirtieth of it in a day.
    let usage = Usage { gb_seconds: Some(gb_seconds / 30.0), invocations: Some(3_333_333), ..Usage::default() };
    let target = Target { floor_seconds: Some(86_400.0), usage, ..known() };
    let bill = bill(TargetKind::Lambda, &run(None, Some(target)), &with(Options { arm: false, ..Options::default() }))
        .expect("there is a function");
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
    let idle = || Some(Target { floor_seconds: Some(0.0), usage: nothing(), ..known() });
    let run = run(idle(), idle());
    let eks = bill(TargetKind::Eks, &run, &prices()).expect("there are pods");
    // One replica, KEDA 2.21: 30 days of the HPA's syncs, every 15.037 s. One long poll every 20 s: 129,600 requests.
    assert_eq!(
        (
            line(&eks, "SQS GetQueueAttributes by KEDA").quantity.round(),
            cents(line(&eks, "SQS GetQueueAttributes by KEDA").usd)
        ),
        (172_375.0, 0.07)
    );
    assert_eq!(line(&eks, "SQS empty receives").quantity, 129_600.0);
    assert_eq!(cents(line(&eks, "EKS control plane").usd), 72.0);
    assert_eq!(cents(line(&eks, "Fargate vCPU").usd), cents(720.0 * 0.04048));
    let lambda = bill(TargetKind::Lambda, &run, &prices()).expect("there is a function");
    // The template sets MaximumConcurrency: 5 pollers wait, 15 polls a minute.
    assert_eq!((lambda.month_usd * 100.0).round(), 26.0, "648,000 empty receives");
}

#[test]
fn pods_are_packed_on_nodes_as_many_as_are_needed_at_each_moment() {
    let sample = |t, capacity| Sample { t, capacity, ..Sample::default() };
    let target = Target {
        floor_seconds: Some(86_400.0),
        samples: vec![sample(0.0, 1), sample(43_200.0, 3), sample(86_400.0, 3)],
        usage: nothing(),
        ..known()
    };
    let hosting = Hosting::Nodes { instance: "m7g.large".to_owned(), spot_discount: 0.5 };
    let options = Options { hosting, ..Options::default() };
    let bill = bill(TargetKind::Eks, &run(Some(target), None), &with(options)).expect("there are pods");
    // One pod of 1 vCPU on a node of 2, of which a tenth is not for pods: 12 h of one node, 12 h of three, 30 days.
    let nodes = line(&bill, "m7g.large, 1 pods a node");
    assert_eq!((nodes.quantity, cents(nodes.usd)), (1440.0, cents(1440.0 * 0.0816 / 2.0)));
}

#[test]
fn a_million_messages_have_a_price_and_every_line_a_source() {
    let target = Target {
        messages: Messages { sent: 1000, done: 1000, ..known().messages },
        requests: Requests { send: Some(100), receive: Some(100), delete: Some(100), ..known().requests },
        floor_seconds: Some(86_400.0),
        usage: nothing(),
        ..known()
    };
    let bill = bill(TargetKind::Lambda, &run(None, Some(target)), &prices()).expect("there is a function");
    assert_eq!(cents(bill.usd_per_million), 0.12, "0.3 requests per message");
    assert!(bill.month.iter().all(|line| !line.source.is_empty()));
}

#[test]
fn managed_instances_are_billed_by_the_hour_with_lambda_s_fee_and_never_fewer_than_three() {
    let target = Target {
        floor_seconds: Some(43_200.0),
        usage: Usage { instance_seconds: Some(5.0 * 43_200.0), invocations: Some(1_000_000), ..Usage::default() },
        ..known()
    };
    let mut run = run(None, Some(target));
    run.scenario.lambda.managed =
        Some(Managed { min_environments: 4, environments_per_instance: 2, ..Managed::default() });
    let bill = bill(TargetKind::Lambda, &run, &prices()).expect("there is a function");
    // Half a day of five instances, half a day of three, thirty days: 2,880 hours at 0.0816, and 15 % on it.
    let instances = line(&bill, "Managed Instances, m7g.large");
    assert_eq!((instances.quantity, cents(instances.usd)), (2880.0, 235.01));
    assert_eq!(cents(line(&bill, "Managed Instances fee").usd), 35.25);
    assert_eq!(cents(line(&bill, "Lambda requests").usd), 6.0, "30 million at 0.20 a million");
    assert!(bill.month.iter().all(|line| line.item != "Lambda duration"));
}

#[test]
fn pollers_fargate_logs_and_the_free_tier_have_their_lines() {
    let target = || Target {
        messages: Messages { sent: 1_000_000, done: 1_000_000, ..known().messages },
        requests: Requests {
            send: Some(100_000),
            receive: Some(100_000),
            empty_receive: Some(50_000),
            delete: Some(100_000),
            change_visibility: Some(10_000),
        },
        usage: Usage {
            pod_seconds: Some(5.0 * 86_400.0),
            queue_reads: Some(8640),
            poller_seconds: Some(4.0 * 86_400.0),
            gb_seconds: Some(10_000.0),
            invocations: Some(100_000),
            ..Usage::default()
        },
        floor_seconds: Some(86_400.0),
        ..known()
    };
    let mut run = run(Some(target()), Some(target()));
    run.scenario.lambda.mapping.provisioned = Some(Provisioned { minimum_pollers: 2, ..Provisioned::default() });
    let options = Options { log_bytes: 200.0, control_plane_share: 0.5, ..Options::default() };
    let eks = bill(TargetKind::Eks, &run, &with(options.clone())).expect("there are pods");
    let lambda = bill(TargetKind::Lambda, &run, &with(options.clone())).expect("there is a function");
    // Thirty days of five pods of 1 vCPU and 1,792 MiB, which Fargate sells as 2 GB: 3,600 vCPU-hours, 7,200 GB-hours.
    let usd = |bill: &Bill, item| cents(line(bill, item).usd);
    assert_eq!((usd(&eks, "Fargate vCPU"), usd(&eks, "Fargate memory")), (145.73, 32.0));
    assert_eq!(usd(&eks, "EKS control plane"), 36.0);
    assert_eq!((usd(&eks, "SQS requests"), usd(&eks, "SQS empty receives")), (3.72, 0.6));
    assert_eq!(usd(&eks, "CloudWatch Logs"), 3.0, "30 million messages of 200 bytes are 6 GB");
    // The same 6 GB, and for each of 3 million invocations what Lambda logs and a line of metrics of ten messages.
    let line_bytes = twinscale::unstable::function::log_bytes(10) as f64;
    assert_eq!(usd(&lambda, "CloudWatch Logs"), cents(3.0 + 3e6 * (480.0 + line_bytes) / 1e9 * 0.5));
    let quiet = with(Options { function_metrics: false, ..options.clone() });
    let quiet = bill(TargetKind::Lambda, &run, &quiet).expect("there is a function");
    assert_eq!(usd(&quiet, "CloudWatch Logs"), cents(3.0 + 3e6 * 480.0 / 1e9 * 0.5));
    let doubts: Vec<_> =
        lambda.month.iter().filter(|line| line.doubt.is_some()).map(|line| line.item.as_str()).collect();
    assert_eq!(doubts, ["Provisioned pollers", "CloudWatch Logs"]);
    // 2,880 poller-hours at 0.00925; 300,000 GB-seconds and 3 million requests.
    assert_eq!(usd(&lambda, "Provisioned pollers"), 26.64);
    assert_eq!((usd(&lambda, "Lambda duration"), usd(&lambda, "Lambda requests")), (4.0, 0.6));
    let free =
        bill(TargetKind::Lambda, &run, &with(Options { free_tier: true, ..options })).expect("there is a function");
    assert_eq!((usd(&free, "Lambda duration"), usd(&free, "Lambda requests")), (0.0, 0.4));
    assert_eq!(usd(&free, "SQS requests"), 3.32, "the first million is free");
}

#[test]
fn extended_support_auto_mode_fair_queues_dashboards_and_poller_units_have_their_price() {
    let target = || Target {
        requests: Requests { send: Some(1_000_000), receive: Some(0), empty_receive: Some(0), ..known().requests },
        floor_seconds: Some(86_400.0),
        samples: vec![Sample { capacity: 1, ..Sample::default() }, Sample { t: 86_400.0, ..Sample::default() }],
        usage: Usage { poller_seconds: Some(86_400.0), ..nothing() },
        ..known()
    };
    let mut run = run(Some(target()), Some(target()));
    run.scenario.lambda.mapping.provisioned = Some(Provisioned { minimum_pollers: 2, ..Provisioned::default() });
    let hosting = Hosting::Nodes { instance: "m7g.large".to_owned(), spot_discount: 0.0 };
    let options = Options {
        hosting,
        extended_support: true,
        auto_mode: true,
        fair_queue: true,
        dashboards: 2.0,
        poller_unit: 20.0,
        ..Options::default()
    };
    let eks = bill(TargetKind::Eks, &run, &with(options.clone())).expect("there are pods");
    let lambda = bill(TargetKind::Lambda, &run, &with(options)).expect("there is a function");
    assert_eq!(cents(line(&eks, "EKS control plane").usd), 432.0, "720 hours at 0.60");
    assert_eq!(cents(line(&eks, "EKS Auto Mode").usd), cents(720.0 * 0.0816 * 0.12));
    for bill in [&eks, &lambda] {
        assert_eq!(cents(line(bill, "CloudWatch dashboard").usd), 6.0);
        assert!(cents(line(bill, "SQS fair queue").usd) >= 3.0, "30 million requests at 0.10 a million");
    }
    assert_eq!(
        cents(line(&lambda, "Provisioned pollers").usd),
        cents(20.0 * 720.0 * 0.00925),
        "twenty of which one is used"
    );
}

#[test]
fn what_a_run_does_not_know_is_never_billed_as_nothing() {
    let has_bill = |kind, forget: fn(&mut Target)| {
        let mut target = Target { floor_seconds: Some(60.0), ..known() };
        target.usage.poller_seconds = Some(0.0);
        forget(&mut target);
        let mut run = run(Some(target.clone()), Some(target));
        run.scenario.lambda.mapping.provisioned = Some(Provisioned::default());
        bill(kind, &run, &prices()).is_some()
    };
    let of_both: [fn(&mut Target); 7] = [
        |t| t.requests.send = None,
        |t| t.requests.receive = None,
        |t| t.requests.empty_receive = None,
        |t| t.requests.delete = None,
        |t| t.requests.change_visibility = None,
        |t| t.messages.retried = None,
        |t| t.floor_seconds = None,
    ];
    let of_eks: [fn(&mut Target); 2] = [|t| t.usage.pod_seconds = None, |t| t.usage.queue_reads = None];
    let of_lambda: [fn(&mut Target); 3] =
        [|t| t.usage.gb_seconds = None, |t| t.usage.invocations = None, |t| t.usage.poller_seconds = None];
    for (kind, own) in [(TargetKind::Eks, &of_eks[..]), (TargetKind::Lambda, &of_lambda)] {
        assert!(has_bill(kind, |_| {}), "{kind}: all is known");
        for (n, forget) in of_both.iter().chain(own).enumerate() {
            assert!(!has_bill(kind, *forget), "{kind}: fact {n} is not known");
        }
    }
}
