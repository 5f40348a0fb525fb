//! `twinscale compare --engine aws`: the deployed targets.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::CommandError;
use super::progress::Bars;
use crate::cost::Prices;
use crate::deployed::{self, Account, AwsError, ClusterAccess, DeployedOptions, DeployedPlace, Outputs, Patience};
use crate::processes;
use crate::processes::ledger::Tally;
use crate::run::{Flow, Run};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale_work::parse_duration;

/// Between two looks into CloudWatch, which counts by the minute.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Where the deployed targets are. terraform's outputs and the stack's outputs name them; what is given here wins.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --engine aws")]
pub(super) struct DeployedFlags {
    /// Take the worker's queues from terraform's outputs: a folder that it was applied in [default: terraform], or a file
    /// with what 'terraform output -json' printed
    #[arg(long, value_name = "DIR|FILE", num_args = 0..=1, default_missing_value = "terraform")]
    from_terraform: Option<PathBuf>,
    /// Take the function's queues, URL and name from this CloudFormation stack's outputs
    #[arg(long, value_name = "NAME")]
    from_stack: Option<String>,
    /// The worker's queue (terraform output queue_url)
    #[arg(long, value_name = "URL")]
    eks_queue_url: Option<String>,
    /// The function's queue (stack output QueueUrl)
    #[arg(long, value_name = "URL")]
    lambda_queue_url: Option<String>,
    /// The worker's journal (terraform output journal_queue_url), and the function's where it has none of its own
    #[arg(long, value_name = "URL")]
    journal_queue_url: Option<String>,
    /// The function's journal (stack output JournalQueueUrl)
    #[arg(long, value_name = "URL")]
    lambda_journal_queue_url: Option<String>,
    /// Send the worker's load through its /send, such as a port-forward to the sender [default: straight to the queue]
    #[arg(long, value_name = "URL")]
    eks_url: Option<String>,
    /// Send the function's load through its /send (stack output HttpUrl); a function URL is signed for
    #[arg(long, value_name = "URL")]
    lambda_url: Option<String>,
    /// Bearer token of the worker's /send
    #[arg(long, value_name = "TOKEN", env = "SEND_TOKEN", hide_env_values = true)]
    send_token: Option<String>,
    /// Bearer token of the function's /send, deployed with HttpAuth=NONE
    #[arg(long, value_name = "TOKEN", env = "LAMBDA_SEND_TOKEN", hide_env_values = true)]
    lambda_send_token: Option<String>,
    /// Send straight to the queues, whatever URLs the outputs name
    #[arg(long, conflicts_with_all = ["eks_url", "lambda_url"])]
    past_send: bool,
    /// Where AWS is, for a cluster with the embedded queue: http://127.0.0.1:9324 [default: AWS, or AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Go on although a queue holds messages already
    #[arg(long)]
    not_empty: bool,
    /// Wait for CloudWatch's counts, so long at most, and fill in what is billed and polled [default time: 15m, since SQS
    /// takes so long to count a queue that was idle]
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "15m", value_parser = time)]
    cloudwatch: Option<Duration>,
    /// The function's name, for --cloudwatch (stack output FunctionName)
    #[arg(long, value_name = "NAME")]
    function_name: Option<String>,
    /// Watch the worker's scaling through kubectl with this file, and wait until its pods are back at their first number
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The worker's Deployment, for --kubeconfig
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "twinscale/worker", value_parser = namespaced)]
    eks_deployment: (String, String),
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number with its unit: 90s, 15m".to_owned())
}

fn namespaced(text: &str) -> Result<(String, String), String> {
    let (namespace, name) = text.split_once('/').ok_or("write NAMESPACE/NAME")?;
    let valid = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    if valid(namespace) && valid(name) {
        Ok((namespace.to_owned(), name.to_owned()))
    } else {
        Err("write NAMESPACE/NAME".to_owned())
    }
}

impl DeployedFlags {
    /// The first flag that was given: none has a meaning with another engine.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--from-terraform", self.from_terraform.is_some()),
            ("--from-stack", self.from_stack.is_some()),
            ("--eks-queue-url", self.eks_queue_url.is_some()),
            ("--lambda-queue-url", self.lambda_queue_url.is_some()),
            ("--journal-queue-url", self.journal_queue_url.is_some()),
            ("--lambda-journal-queue-url", self.lambda_journal_queue_url.is_some()),
            ("--eks-url", self.eks_url.is_some()),
            ("--lambda-url", self.lambda_url.is_some()),
            ("--past-send", self.past_send),
            ("--endpoint-url", self.endpoint_url.is_some()),
            ("--not-empty", self.not_empty),
            ("--cloudwatch", self.cloudwatch.is_some()),
            ("--function-name", self.function_name.is_some()),
            ("--kubeconfig", self.kubeconfig.is_some()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }

    /// Runs the scenario there. What stops it early leaves a run of what there is.
    pub(super) fn run(
        &self,
        scenario: &Scenario,
        prices: &Prices,
        targets: &BTreeSet<TargetKind>,
        stop: impl Future<Output = ()>,
    ) -> Result<Run, CommandError> {
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| CommandError::Write { what: "to a runtime".to_owned(), error })?;
        runtime.block_on(async {
            let account = Arc::new(Account::load(self.endpoint_url.clone()).await.map_err(AwsError::Tls)?);
            let options = self.options(&account, targets).await.map_err(AwsError::from)?;
            let usd = deployed::estimate(scenario, prices, options.places.keys().copied());
            let usd = usd.map_or_else(|| "an unknown number of".to_owned(), |usd| format!("{usd:.4}"));
            eprintln!(
                "twinscale: about {usd} USD of SQS requests and Lambda at the prices of {} in {}, besides pods and nodes",
                prices.date, prices.region
            );
            let mut bars = Bars::default();
            let mut show = |progress: deployed::DeployedProgress| bars.show(&as_shown(progress));
            Ok(deployed::run(scenario, &options, account, stop, &mut show).await?)
        })
    }

    async fn options(
        &self,
        account: &Account,
        targets: &BTreeSet<TargetKind>,
    ) -> Result<DeployedOptions, deployed::OutputsError> {
        let terraform = match self.from_terraform.as_deref().filter(|_| targets.contains(&TargetKind::Eks)) {
            Some(path) => Some(Outputs::of_terraform(path).await?),
            None => None,
        };
        let stack = match self.from_stack.as_deref().filter(|_| targets.contains(&TargetKind::Lambda)) {
            Some(name) => Some(Outputs::of_stack(name, account).await?),
            None => None,
        };
        let mut places = BTreeMap::new();
        for kind in targets {
            let place = match kind {
                TargetKind::Eks => self.worker(terraform.as_ref())?,
                TargetKind::Lambda => self.function(stack.as_ref(), terraform.as_ref())?,
            };
            places.extend(place.map(|place| (*kind, place)));
        }
        let kubectl = PathBuf::from("kubectl");
        Ok(DeployedOptions {
            places,
            endpoint: self.endpoint_url.clone(),
            not_empty: self.not_empty,
            cloudwatch: self.cloudwatch.map(|most| Patience { most, look_every: LOOK_EVERY }),
            function: self.function_name.clone().or_else(|| output(stack.as_ref(), "FunctionName")),
            cluster: self.kubeconfig.clone().map(|kubeconfig| {
                let (namespace, deployment) = self.eks_deployment.clone();
                ClusterAccess { kubectl, kubeconfig, namespace, deployment }
            }),
        })
    }

    /// Where the worker is; `None` if nothing tells.
    fn worker(&self, terraform: Option<&Outputs>) -> Result<Option<DeployedPlace>, deployed::OutputsError> {
        let queue = needed(&self.eks_queue_url, terraform, "queue_url", "run 'terraform apply' there first")?;
        let Some(queue) = queue else { return Ok(None) };
        let advice = "apply with -var journal=true: without a journal nobody knows which messages are done";
        let journal = needed(&self.journal_queue_url, terraform, "journal_queue_url", advice)?;
        Ok(Some(DeployedPlace { queue, journal, url: self.eks_url.clone(), token: self.send_token.clone() }))
    }

    /// Where the function is; `None` if nothing tells. The worker's journal serves a function that has none of its own.
    fn function(
        &self,
        stack: Option<&Outputs>,
        terraform: Option<&Outputs>,
    ) -> Result<Option<DeployedPlace>, deployed::OutputsError> {
        let queue = needed(&self.lambda_queue_url, stack, "QueueUrl", "is it the stack of sam/template.yaml?")?;
        let Some(queue) = queue else { return Ok(None) };
        let own = self.lambda_journal_queue_url.clone().or_else(|| output(stack, "JournalQueueUrl"));
        let own = own.or_else(|| self.journal_queue_url.clone());
        let advice =
            "deploy with --parameter-overrides Journal=on: without a journal nobody knows which messages are done";
        let journal = needed(&own, stack, "JournalQueueUrl", advice)?;
        let journal = journal.or_else(|| output(terraform, "journal_queue_url"));
        let of_stack = output(stack, "HttpUrl").filter(|_| !self.past_send);
        let url = self.lambda_url.clone().or(of_stack);
        Ok(Some(DeployedPlace { queue, journal, url, token: self.lambda_send_token.clone() }))
    }
}

fn output(outputs: Option<&Outputs>, name: &str) -> Option<String> {
    outputs.and_then(|outputs| outputs.get(name))
}

/// What was given, or else what the outputs must have.
fn needed(
    given: &Option<String>,
    outputs: Option<&Outputs>,
    name: &'static str,
    advice: &'static str,
) -> Result<Option<String>, deployed::OutputsError> {
    match (given, outputs) {
        (None, Some(outputs)) => outputs.need(name, advice).map(Some),
        _ => Ok(given.clone()),
    }
}

/// As the bars show every engine's progress.
fn as_shown(progress: deployed::DeployedProgress) -> processes::Progress {
    let deployed::DeployedProgress { target, messages, sent, done, rejected, capacity, now } = progress;
    let tally = Tally { sent, done, rejected, redriven: 0, expired: 0 };
    processes::Progress {
        target,
        messages,
        tally,
        capacity,
        now,
        flow: Flow::default(),
        samples: Vec::new(),
        decisions: Vec::new(),
    }
}
