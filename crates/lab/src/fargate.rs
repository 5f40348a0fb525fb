//! Fargate's start of a pod: where the bill is Fargate's, pods start as its pods do.

use std::time::Duration;

use crate::cost::Prices;
use crate::scenario::{Draft, Scenario};
use twinscale_work::Wait;

/// What Fargate takes from the decision to a pod that is Ready, at least and mostly: 30 to 45 s and more are reported (re:Post).
const FARGATE_START: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(60)];

/// Pods start as Fargate's do where the bill is Fargate's, and nothing says how they start or on which nodes; and a sentence
/// that says so.
pub(crate) fn start_as_priced(draft: &mut Draft, prices: &Prices) -> Option<String> {
    if draft.says_start || !is_fargate(&draft.scenario, prices) {
        return None;
    }
    let [min, max] = FARGATE_START;
    draft.scenario.eks.pod.start_delay = Wait::Uniform { min, max };
    Some(format!(
        "the bill is Fargate's, and so are the pods, which start within {} to {} s: write eks.pod.start_delay for another \
         time, or price nodes with --nodes m7g.large",
        min.as_secs(),
        max.as_secs()
    ))
}

/// Whether the pods are paid to Fargate, and no nodes are named that they stand on.
fn is_fargate(scenario: &Scenario, prices: &Prices) -> bool {
    prices.options.node().is_none() && scenario.eks.nodes.is_none()
}

/// The bill may be Fargate's where pods start as fast as on a node that is there.
pub(crate) fn slower_on_fargate(scenario: &Scenario, prices: &Prices) -> Option<String> {
    let mean = scenario.eks.pod.start_delay.mean();
    let [min, max] = FARGATE_START;
    (is_fargate(scenario, prices) && mean < min).then(|| {
        format!(
            "the bill is Fargate's, which takes {} s or more to start a pod, and here one starts within {:.1} s: write \
             eks.pod.start_delay = \"{}\" for Fargate, or price nodes with --nodes m7g.large",
            min.as_secs(),
            mean.as_secs_f64(),
            String::from(Wait::Uniform { min, max })
        )
    })
}
