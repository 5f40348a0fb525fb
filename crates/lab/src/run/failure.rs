//! Why a target has neither a bill nor a win: it did not do what it was asked to.

use std::fmt;

use twinscale_work::{Wait, Work, format_duration};

use super::{Engine, Run, Target};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// What went wrong with one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The run ended, at its limit or since nothing moved, before every message had met its fate.
    Cut {
        /// Messages that were done.
        done: u64,
        /// Messages of the scenario.
        of: u64,
    },
    /// Not one message was done.
    NothingDone {
        /// Messages that were sent.
        of: u64,
        /// What the settings say of it.
        cause: Option<Cause>,
    },
    /// Messages are gone that were not done.
    Lost {
        /// How many.
        messages: u64,
        /// What the settings say of it.
        cause: Option<Cause>,
    },
    /// More messages became dead letters than the scenario's shares tell.
    DeadLetters {
        /// How many did.
        messages: u64,
        /// As many as the shares and four standard deviations of their luck allow.
        told: u64,
        /// What the settings say of it.
        cause: Option<Cause>,
    },
}

/// The setting that explains a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No message can be handled before the function is ended.
    Timeout {
        /// The function's timeout, as it is written.
        timeout: String,
        /// The shortest time that the handler takes.
        handler: String,
    },
    /// Lambda does not read which messages of a batch failed.
    NoItemFailures,
    /// The workload rejects every message.
    RejectsAll,
    /// The workload retries every message.
    RetriesAll,
}

impl Run {
    /// Why a target has no bill and cannot win; `None` if it did its work, or did not run.
    pub fn failure(&self, kind: TargetKind) -> Option<Failure> {
        // What is deployed has shares of its own, which the scenario does not tell.
        let shares_told = match self.engine {
            Engine::Local | Engine::Simulated => true,
            Engine::Aws => false,
        };
        failure(self.targets.get(kind)?, &self.scenario, kind, shares_told)
    }

    /// One entry for each target that ran, in the order of [`Run::targets`].
    pub fn failures(&self) -> Vec<Option<Failure>> {
        self.targets.iter().map(|(kind, _)| self.failure(kind)).collect()
    }
}

fn failure(target: &Target, scenario: &Scenario, kind: TargetKind, shares_told: bool) -> Option<Failure> {
    let messages = &target.messages;
    let cause = || if shares_told { cause(scenario, kind) } else { None };
    if messages.sent > 0 && messages.done == 0 {
        return Some(Failure::NothingDone { of: messages.sent, cause: cause() });
    }
    if target.drain_seconds.is_none() {
        let of = scenario.messages.max(messages.sent);
        return Some(Failure::Cut { done: messages.done, of });
    }
    if let Some(lost) = messages.lost.filter(|lost| *lost > 0) {
        return Some(Failure::Lost { messages: lost, cause: cause() });
    }
    // What a service of one's own rejects is its answer, and no file tells how many that should be.
    if !shares_told || scenario.service.is_some() {
        return None;
    }
    let told = dead_letters_told(&scenario.work, scenario.queue.max_receive_count, messages.sent);
    (messages.rejected > told).then(|| Failure::DeadLetters { messages: messages.rejected, told, cause: cause() })
}

/// The dead letters that the shares of the work explain: their mean and four standard deviations. None without shares.
fn dead_letters_told(work: &Work, max_receives: u32, sent: u64) -> u64 {
    let retried_to_the_end = work.retry_share.powf(f64::from(max_receives));
    let rejected = match work.retry_share {
        all if all >= 1.0 => 0.0,
        retry => work.reject_share * (1.0 - retried_to_the_end) / (1.0 - retry),
    };
    let share = (rejected + retried_to_the_end).min(1.0);
    let mean = sent as f64 * share;
    (mean + 4.0 * (mean * (1.0 - share)).sqrt()).ceil() as u64
}

fn cause(scenario: &Scenario, kind: TargetKind) -> Option<Cause> {
    let work = &scenario.work;
    let lambda = &scenario.lambda;
    let least = work.cpu + shortest(&work.wait);
    match kind {
        TargetKind::Lambda if scenario.service.is_none() && least > lambda.timeout => {
            Some(Cause::Timeout { timeout: format_duration(lambda.timeout), handler: format_duration(least) })
        }
        TargetKind::Lambda if work.retry_share > 0.0 && !lambda.mapping.report_batch_item_failures => {
            Some(Cause::NoItemFailures)
        }
        TargetKind::Eks | TargetKind::Lambda if work.reject_share >= 1.0 => Some(Cause::RejectsAll),
        TargetKind::Eks | TargetKind::Lambda if work.retry_share >= 1.0 => Some(Cause::RetriesAll),
        TargetKind::Eks | TargetKind::Lambda => None,
    }
}

/// The least that a message waits, as far as the distribution has a least.
fn shortest(wait: &Wait) -> std::time::Duration {
    match wait {
        Wait::Constant(wait) => *wait,
        Wait::Uniform { min, .. } => *min,
        Wait::Lognormal { .. } | Wait::Empirical(_) => std::time::Duration::ZERO,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self {
            Self::Cut { done, of } => {
                write!(
                    to,
                    "{done} of {of} messages were done when the run ended: raise the limit, or give it more capacity"
                )?;
                &None
            }
            Self::NothingDone { of, cause } => {
                write!(to, "not one of {of} messages was done")?;
                cause
            }
            Self::Lost { messages, cause } => {
                write!(to, "{messages} messages were lost")?;
                cause
            }
            Self::DeadLetters { messages, told, cause } => {
                write!(to, "{messages} messages became dead letters where the scenario tells at most {told}")?;
                cause
            }
        };
        cause.as_ref().map_or(Ok(()), |cause| write!(to, ": {cause}"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { timeout, handler } => {
                write!(to, "the function's timeout of {timeout} is shorter than the handler's {handler}")
            }
            Self::NoItemFailures => {
                to.write_str("without ReportBatchItemFailures Lambda deletes the messages that failed")
            }
            Self::RejectsAll => to.write_str("reject_share = 1 rejects every message"),
            Self::RetriesAll => to.write_str("retry_share = 1 retries every message until it is a dead letter"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_told_by_the_shares_and_by_nothing_else() {
        let told = |retry_share, reject_share, receives| {
            dead_letters_told(&Work { retry_share, reject_share, ..Work::default() }, receives, 10_000)
        };
        assert_eq!(told(0.0, 0.0, 10), 0);
        // 1 %, and 4 x sqrt(99).
        assert_eq!(told(0.0, 0.01, 10), 140);
        assert_eq!(told(1.0, 0.0, 10), 10_000);
        // A quarter fails twice: 2,500, and 4 x sqrt(1875).
        assert_eq!(told(0.5, 0.0, 2), 2674);
    }
}
