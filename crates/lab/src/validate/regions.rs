//! Checks that everybody looks for the queue in its region: SQS of another answers that it does not exist.

use super::Inputs;
use super::finding::{Findings, Place};
use super::kubernetes::Pod;
use super::rule::Rule;
use crate::manifests::region_of;

pub(super) fn check(inputs: &Inputs, pods: &[Pod], findings: &mut Findings) {
    for pod in pods {
        let Some(own) = pod.known("QUEUE_URL").and_then(|url| region_of(url)) else { continue };
        let mut compare = |what: &str, region: &str, place: Place| {
            if region != own {
                findings.add(
                    Rule::Region,
                    place,
                    format!("{what} is {region}, and the queue is in {own}: SQS would answer that it does not exist"),
                    format!("write {own}"),
                );
            }
        };
        for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if let Some(region) = pod.known(variable) {
                compare(variable, region, pod.variable_place(variable));
            }
        }
        for variable in ["DLQ_URL", "JOURNAL_QUEUE_URL"] {
            if let Some(region) = pod.known(variable).and_then(|url| region_of(url)) {
                compare(&format!("the region of {variable}"), region, pod.variable_place(variable));
            }
        }
        // Where the trigger has a URL of its own, its reader compares the two.
        if let Some((index, trigger)) = pod.trigger().filter(|(_, trigger)| trigger["metadata"]["queueURL"].is_null())
            && let Some(region) = trigger["metadata"]["awsRegion"].as_str()
        {
            let path = format!("spec/triggers/{index}/metadata/awsRegion");
            compare("awsRegion of KEDA's trigger", region, pod.scaler_place(&path));
        }
        if let Some(shown) = &inputs.terraform {
            // `arn:aws:sqs:REGION:ACCOUNT:NAME`
            let queues = shown.queues();
            let of_pod = queues.iter().find(|queue| queue.url.as_ref() == pod.known("QUEUE_URL"));
            if let Some(region) = of_pod.and_then(|queue| queue.key.split(':').nth(3)) {
                compare("the region of terraform's queue", region, pod.variable_place("QUEUE_URL"));
            }
        }
    }
}
