use serde_json::{Value, json};

use super::*;
use crate::cost::prices;

/// One product of an offer file, with its price on demand.
struct Sold {
    sku: &'static str,
    family: &'static str,
    attributes: Value,
    ranges: &'static [(&'static str, &'static str, &'static str)],
}

const ALL: &str = "Inf";

/// An offer file in the form in which AWS publishes it.
fn offer(code: &str, region: &str, sold: &[Sold]) -> String {
    let mut products = serde_json::Map::new();
    let mut terms = serde_json::Map::new();
    for Sold { sku, family, attributes, ranges } in sold {
        let mut all = json!({"servicecode": code, "location": "EU (Ireland)", "locationType": "AWS Region", "regionCode": region,
            "operation": ""});
        all.as_object_mut().expect("it is one").extend(attributes.as_object().expect("it is one").clone());
        products.insert((*sku).into(), json!({"sku": sku, "productFamily": family, "attributes": all}));
        let dimension = |(n, (begin, end, usd)): (usize, &(&str, &str, &str))| {
            let code = format!("{sku}.JRTCKXETXF.{n}");
            let price = json!({"rateCode": code, "description": "so much", "beginRange": begin, "endRange": end, "unit": "Hrs",
                "pricePerUnit": {"USD": usd}, "appliesTo": []});
            (code, price)
        };
        let dimensions: serde_json::Map<_, _> = ranges.iter().enumerate().map(dimension).collect();
        terms.insert(
            (*sku).into(),
            json!({format!("{sku}.JRTCKXETXF"): {"offerTermCode": "JRTCKXETXF", "sku": sku,
                "effectiveDate": "2026-09-01T00:00:00Z", "priceDimensions": dimensions, "termAttributes": {}}}),
        );
    }
    // Products stand before terms, as text: a map of serde_json orders its keys.
    format!(
        r#"{{"formatVersion":"v1.0","disclaimer":"…","offerCode":"{code}","version":"20260918","publicationDate":"2026-09-18T10:00:00Z",
            "products":{},"terms":{{"OnDemand":{},"Reserved":{{"X":{{"X.Y":{{"priceDimensions":{{}}}}}}}}}},"attributesList":{{}}}}"#,
        Value::Object(products),
        Value::Object(terms)
    )
}

fn usage(name: &str) -> Value {
    json!({ "usagetype": name })
}

fn node(name: &str, memory: &str) -> Value {
    json!({"usagetype": format!("EU-BoxUsage:{name}"), "instanceType": name, "operatingSystem": "Linux", "tenancy": "Shared",
        "preInstalledSw": "NA", "capacitystatus": "Used", "vcpu": "2", "memory": memory, "operation": "RunInstances"})
}

/// Files with every line, as a folder.
fn folder(region: &str) -> tempfile::TempDir {
    let once = |sku, family, attributes, usd: &'static [(&'static str, &'static str, &'static str)]| Sold {
        sku,
        family,
        attributes,
        ranges: usd,
    };
    let queue =
        |kind: &str| json!({"group": "SQS-APIRequest-Tier1", "queueType": kind, "usagetype": "EU-Requests-Tier1"});
    let group = |name: &str| json!({"group": name, "usagetype": "EU-x"});
    let files = [
        (
            "AWSQueueService",
            vec![
                once(
                    "Q1",
                    "API Request",
                    queue("Standard"),
                    &[
                        ("200000000000", ALL, "0.00000024"),
                        ("0", "100000000000", "0.0000004"),
                        ("100000000000", "200000000000", "0.0000003"),
                    ],
                ),
                once("Q2", "API Request", queue("FIFO (first-in, first-out)"), &[("0", ALL, "0.0000005")]),
                once("Q3", "API Request", queue("Fair"), &[("0", ALL, "0.0000001")]),
            ],
        ),
        (
            "AWSLambda",
            vec![
                once(
                    "L1",
                    "Serverless",
                    group("AWS-Lambda-Duration"),
                    &[("0", "6000000000", "0.0000166667"), ("6000000000", ALL, "0.0000150000")],
                ),
                once("L2", "Serverless", group("AWS-Lambda-Duration-ARM"), &[("0", ALL, "0.0000133334")]),
                once("L3", "Serverless", group("AWS-Lambda-Requests"), &[("0", ALL, "0.0000002")]),
                once("L4", "Serverless", group("AWS-Lambda-SQS-Event-Poller-Unit-Duration"), &[("0", ALL, "0.01")]),
                once("L5", "Serverless", group("AWS-Lambda-Edge-Duration"), &[("0", ALL, "9")]),
            ],
        ),
        (
            "AmazonEKS",
            vec![
                once("E1", "Compute", usage("EU-AmazonEKS-Hours:perCluster"), &[("0", ALL, "0.11")]),
                once("E2", "Compute", usage("EU-AmazonEKS-Hours:extendedSupport"), &[("0", ALL, "0.50")]),
                once("E3", "Compute", usage("EU-Fargate-vCPU-Hours:perCPU"), &[("0", ALL, "0.04048")]),
                once("E4", "Compute", usage("EU-Fargate-GB-Hours"), &[("0", ALL, "0.004445")]),
                once("E5", "Compute", usage("EU-Fargate-ARM-GB-Hours"), &[("0", ALL, "0.003")]),
                once("E6", "Compute", usage("EU-EKS-Auto:m7g.large-management-hours"), &[("0", ALL, "0.01092")]),
            ],
        ),
        (
            "AmazonCloudWatch",
            vec![
                once("C1", "Data Payload", usage("EU-DataProcessing-Bytes"), &[("0", ALL, "0.57")]),
                once(
                    "C2",
                    "Data Payload",
                    usage("EU-VendedLog-Bytes"),
                    &[("0", "10240", "0.57"), ("10240", ALL, "0.285")],
                ),
                once(
                    "C3",
                    "Dashboard",
                    json!({"usagetype": "DashboardsUsageHour", "regionCode": "", "location": "Any"}),
                    &[("0", "3", "0"), ("3", ALL, "3")],
                ),
            ],
        ),
        (
            "AmazonEC2",
            vec![
                once("N1", "Compute Instance", node("m7g.large", "8 GiB"), &[("0", ALL, "0.091")]),
                once("N2", "Compute Instance", node("m5.metal", "384 GiB"), &[("0", ALL, "5")]),
                once("N3", "Compute Instance", json!({"usagetype": "EU-DedicatedUsage:m7g.large"}), &[("0", ALL, "9")]),
            ],
        ),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (code, sold) in files {
        std::fs::write(folder.path().join(format!("{code}.json")), offer(code, region, &sold)).expect("written");
    }
    folder
}

#[test]
fn every_line_is_found_by_what_the_offers_call_it_or_named_as_missing() {
    let base = prices::read(None).expect("built in");
    let found = priced(folder("eu-west-1").path(), "eu-west-1", &base).expect("offer files");
    let mut expected: Vec<_> = base.instances.keys().filter(|name| *name != "m7g.large").collect();
    expected.sort();
    let expected: Vec<String> = std::iter::once("managed_instances_fee".to_owned())
        .chain(expected.into_iter().map(|name| format!("instances.{name}")))
        .collect();
    assert_eq!(found.missing, expected);
    assert_eq!(found.read.len(), 5);
    let prices = found.prices;
    assert_eq!((prices.region.as_str(), prices.date.as_str()), ("eu-west-1", "2026-09-18"));
    let usd = |price: &Price| price.tiers.iter().map(|tier| (tier.up_to, tier.usd)).collect::<Vec<_>>();
    assert_eq!(usd(&prices.sqs_standard), [(Some(100e9), 0.4e-6), (Some(200e9), 0.3e-6), (None, 0.24e-6)]);
    assert_eq!((usd(&prices.sqs_fifo), usd(&prices.sqs_fair)), (vec![(None, 0.5e-6)], vec![(None, 0.1e-6)]));
    assert_eq!(usd(&prices.lambda_x86), [(Some(6e9), 0.000_016_666_7), (None, 0.000_015)]);
    assert_eq!((usd(&prices.lambda_arm), usd(&prices.poller)), (vec![(None, 0.000_013_333_4)], vec![(None, 0.01)]));
    // What AWS adds for extended support, and the hour itself.
    assert_eq!(
        (usd(&prices.eks_control_plane), usd(&prices.eks_extended_support)),
        (vec![(None, 0.11)], vec![(None, 0.61)])
    );
    assert_eq!((usd(&prices.fargate_memory), usd(&prices.lambda_logs)[1]), (vec![(None, 0.004_445)], (None, 0.285)));
    assert_eq!((usd(&prices.dashboard), prices.dashboard.free), (vec![(None, 3.0)], 3.0));
    assert_eq!(usd(&prices.eks_auto_mode), [(None, 0.12)]);
    assert_eq!(prices.instances["m7g.large"], Instance { usd_per_hour: 0.091, vcpu: 2.0, memory_gib: 8.0 });
    assert_eq!(prices.instances.len(), 1);
    // Units and free tiers are the same everywhere.
    assert_eq!((prices.sqs_standard.unit.as_str(), prices.sqs_standard.free), ("request", 1e6));
    assert!(prices.logs.source.contains("AmazonCloudWatch, 2026-09-18, SKU C1"), "{}", prices.logs.source);
    assert!(prices.managed_instances_fee.doubt.as_deref().is_some_and(|doubt| doubt.contains("us-east-1")));
    // The file that is made of it is read as what it is.
    let text = toml::to_string(&prices).expect("TOML");
    assert_eq!(toml::from_str::<Prices>(&text).expect("reads"), prices);
}

#[test]
fn another_region_has_none_of_it_and_contradictions_and_other_files_are_refused() {
    let base = prices::read(None).expect("built in");
    let found = priced(folder("eu-west-1").path(), "ap-south-1", &base).expect("offer files");
    assert_eq!(found.missing.len(), 15 + base.instances.len(), "{:?}", found.missing);
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(priced(folder.path(), "eu-west-1", &base), Err(OffersError::Empty(_))));
    let twice = ["A", "B"].map(|sku| Sold {
        sku,
        family: "Compute",
        attributes: usage("EU-AmazonEKS-Hours:perCluster"),
        ranges: if sku == "A" { &[("0", ALL, "0.1")] } else { &[("0", ALL, "0.2")] },
    });
    let write = |text: &str| std::fs::write(folder.path().join("a.json"), text).expect("written");
    write(&offer("AmazonEKS", "eu-west-1", &twice));
    let error = priced(folder.path(), "eu-west-1", &base).expect_err("two prices").to_string();
    assert!(error.contains("eks_control_plane has more than one price in eu-west-1: A and B"), "{error}");
    for text in ["{\"offerCode\": \"AmazonEKS\", \"terms\": {}, \"products\": {}}", "{\"Datapoints\": []}", "[", "{"] {
        write(text);
        let error = priced(folder.path(), "eu-west-1", &base).expect_err(text).to_string();
        assert!(error.contains("a.json: it is no offer file"), "{text}: {error}");
    }
}
