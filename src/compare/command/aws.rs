//! `twinscale compare --engine aws`: the deployed targets.

use clap::Args;

use super::CommandError;
use crate::compare::aws;
use crate::compare::run::Run;
use crate::compare::scenario::Scenario;

/// Where the deployed targets' queues are. terraform's outputs and the stack's outputs name them.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --engine aws")]
pub struct Deployed {
    /// The worker's queue (terraform output queue_url)
    #[arg(long, value_name = "URL")]
    eks_queue_url: Option<String>,
    /// The function's queue (stack output QueueUrl)
    #[arg(long, value_name = "URL")]
    lambda_queue_url: Option<String>,
    /// The journal's queue (terraform output journal_queue_url)
    #[arg(long, value_name = "URL")]
    journal_queue_url: Option<String>,
    /// The function's journal, where it has its own (stack output JournalQueueUrl)
    #[arg(long, value_name = "URL")]
    lambda_journal_queue_url: Option<String>,
    /// Where SQS is, for a cluster with the embedded queue: http://127.0.0.1:9324 [default: AWS, or AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// Go on although a queue holds messages already
    #[arg(long)]
    not_empty: bool,
}

impl Deployed {
    /// Runs the scenario there. What stops it early leaves a run of what there is.
    pub fn run(
        &self,
        scenario: &Scenario,
        (eks, lambda): (bool, bool),
        stop: impl Future<Output = ()>,
    ) -> Result<Run, CommandError> {
        let options = aws::Options {
            eks_queue: self.eks_queue_url.clone().filter(|_| eks),
            lambda_queue: self.lambda_queue_url.clone().filter(|_| lambda),
            eks_journal: self.journal_queue_url.clone(),
            lambda_journal: self.lambda_journal_queue_url.clone().or_else(|| self.journal_queue_url.clone()),
            endpoint: self.endpoint_url.clone(),
            not_empty: self.not_empty,
        };
        let usd = aws::estimate(scenario, &options);
        eprintln!("twinscale: about {usd:.4} USD of SQS requests, besides what pods and functions cost");
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| CommandError::Write { what: "to a runtime".to_owned(), error })?;
        let mut told = None;
        let run = runtime.block_on(aws::run(scenario, &options, stop, &mut |progress: aws::Progress| {
            let tenth = (progress.target, progress.ended * 10 / progress.sent.max(1));
            if told.replace(tenth) != Some(tenth) {
                eprintln!("twinscale: {}: {} of {} messages ended", progress.target, progress.ended, progress.sent);
            }
        }));
        Ok(run?)
    }
}
