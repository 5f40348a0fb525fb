//! Three days reckoned by hand, from prices as AWS lists them, and held against the bill: nothing of the bill's code is
//! used for what is expected.

use twinscale_lab::cost::{Bill, Hosting, Prices, bill, prices};
use twinscale_lab::run::Run;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::simulate;
use twinscale_lab::target::TargetKind;

/// USD of us-east-1.
const FARGATE_VCPU_HOUR: f64 = 0.04048;
const FARGATE_GB_HOUR: f64 = 0.004445;
const CONTROL_PLANE_HOUR: f64 = 0.10;
const M7G_LARGE_HOUR: f64 = 0.0816;
const SQS_REQUEST: f64 = 0.40 / 1e6;
const LAMBDA_REQUEST: f64 = 0.20 / 1e6;
const LAMBDA_ARM_GB_SECOND: f64 = 0.000_013_333_4;
const HOURS: f64 = 30.0 * 24.0;

fn run(text: &str) -> Run {
    let scenario: Scenario = toml::from_str(text).expect(text);
    simulate::run(&scenario.checked().expect(text))
}

fn billed(run: &Run, kind: TargetKind, prices: &Prices) -> Bill {
    assert_eq!(run.failure(kind), None);
    bill(kind, run, prices).expect("it ran")
}

/// The USD of the lines whose name begins so, within a hundredth of what was reckoned.
fn is(bill: &Bill, item: &str, expected: f64) {
    let lines: Vec<_> = bill.month.iter().filter(|line| line.item.starts_with(item)).collect();
    assert!(!lines.is_empty(), "no line {item}: {:?}", bill.month);
    let usd: f64 = lines.iter().map(|line| line.usd).sum();
    assert!((usd / expected - 1.0).abs() < 0.01, "{item}: {usd}, and by hand {expected}");
}

/// A message a second all day, 400 ms each, on two pods that are always there.
const EVEN: &str = "messages = 86400\nlimit = '26h'\nload = { shape = 'steady', rate = 1.0 }\nwork = { wait = '400ms' }\n\
     eks.keda = { minReplicaCount = 2, maxReplicaCount = 2 }\n\
     eks.pod = { cpu_request = 0.25, memory_request_mib = 64, delete_linger = '0s', receive_linger = '0s', \
     receive_min_room = 1 }\n\
     lambda.init = '0s'\nlambda.memory_mb = 512\n";

#[test]
fn an_even_day_on_fargate_and_on_lambda() {
    let run = run(EVEN);
    let prices = prices::read(None).expect("built in");
    let eks = billed(&run, TargetKind::Eks, &prices);
    // 0.25 vCPU; 64 MiB and Fargate's own 256 MiB are sold as half a GB.
    is(&eks, "Fargate vCPU", 2.0 * HOURS * 0.25 * FARGATE_VCPU_HOUR);
    is(&eks, "Fargate memory", 2.0 * HOURS * 0.5 * FARGATE_GB_HOUR);
    is(&eks, "EKS control plane", HOURS * CONTROL_PLANE_HOUR);
    // Each message is sent, received and deleted by itself, on both.
    let messages = 30.0 * 86_400.0;
    is(&eks, "SQS requests", 3.0 * messages * SQS_REQUEST);
    let lambda = billed(&run, TargetKind::Lambda, &prices);
    is(&lambda, "SQS requests", 3.0 * messages * SQS_REQUEST);
    is(&lambda, "Lambda requests", messages * LAMBDA_REQUEST);
    is(&lambda, "Lambda duration", messages * 0.4 * 0.5 * LAMBDA_ARM_GB_SECOND);
}

#[test]
fn pods_that_are_packed_on_nodes() {
    let mut prices = prices::read(None).expect("built in");
    prices.options.hosting = Hosting::Nodes { instance: "m7g.large".to_owned(), spot_discount: 0.0 };
    let ten = EVEN.replace("minReplicaCount = 2, maxReplicaCount = 2", "minReplicaCount = 10, maxReplicaCount = 10");
    let run = run(&ten);
    let eks = billed(&run, TargetKind::Eks, &prices);
    // A tenth of the 2 vCPUs is the node's own: seven pods of a quarter fit, ten need two nodes.
    is(&eks, "m7g.large", 2.0 * HOURS * M7G_LARGE_HOUR);
}

#[test]
fn a_burst_a_day_in_full_batches() {
    let burst = "messages = 10000\nwork = { wait = '1s' }\nlambda.init = '0s'\nlambda.memory_mb = 1024\n\
                 lambda.in_host_concurrency = 10\n\
                 lambda.mapping = { BatchSize = 10, ReportBatchItemFailures = true }\n";
    let run = run(burst);
    let prices = prices::read(None).expect("built in");
    let lambda = billed(&run, TargetKind::Lambda, &prices);
    // A thousand batches of ten, each a second long: one request in ten messages to send, to receive and to delete.
    let batches = 30.0 * 1000.0;
    is(&lambda, "SQS requests", 3.0 * batches * SQS_REQUEST);
    is(&lambda, "Lambda requests", batches * LAMBDA_REQUEST);
    is(&lambda, "Lambda duration", batches * 1.0 * 1.0 * LAMBDA_ARM_GB_SECOND);
}
