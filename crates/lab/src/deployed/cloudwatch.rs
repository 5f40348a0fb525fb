//! What CloudWatch counts and the queues do not: empty receives, invocations, and from the function's log what is billed.
//!
//! Metrics are complete only minutes later. A count is taken once it explains what the journal saw and did not change
//! between two looks; what is not complete within the bound stays null.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::account::{Account, AccountAnswer};
use crate::run::Target;
use crate::target::TargetKind;

/// Pages of the log in one look: each holds up to 10,000 lines, or 1 MB.
const MAX_PAGES: usize = 1000;

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// At most.
    pub most: Duration,
    /// Between two looks.
    pub look_every: Duration,
}

/// What to ask for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Whose.
    pub target: TargetKind,
    /// The queue's name.
    pub queue: String,
    /// The function's name; `None` for the worker.
    pub function: Option<String>,
    /// The first send, in milliseconds since 1970.
    pub from: u64,
    /// The end of the run.
    pub to: u64,
}

/// What CloudWatch told, as far as it knew.
#[derive(Clone, Debug, Default, PartialEq)]
struct CloudWatchFigures {
    deleted: f64,
    empty_receives: f64,
    invocations: f64,
    concurrent: f64,
    throttles: f64,
    errors: f64,
    billed: Billed,
}

/// Sums over the function's `REPORT` lines, one per invocation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Billed {
    reports: u64,
    cold_starts: u64,
    gb_seconds: f64,
}

/// Waits until CloudWatch has counted the run, as long as `patience` allows, and fills in what it knows.
pub(super) async fn fill(
    target: &mut Target,
    question: &Question,
    account: &Account,
    patience: Patience,
    warnings: &mut Vec<String>,
) {
    let name = question.target;
    let until = Instant::now() + patience.most;
    let mut before = None;
    loop {
        let told = match ask(question, account).await {
            Ok(told) => told,
            Err(why) => return warnings.push(format!("{name}: CloudWatch was not read: {why}")),
        };
        if told.explains(target, question) && before.as_ref() == Some(&told) {
            return told.fill(target, question, warnings);
        }
        if Instant::now() + patience.look_every > until {
            let deleted = told.deleted;
            let done = target.messages.done;
            return warnings.push(format!(
                "{name}: CloudWatch was not read: after {} s it had counted {deleted} deletes of {done} messages, \
                 {} invocations and {} lines of the log about them",
                patience.most.as_secs(),
                told.invocations,
                told.billed.reports
            ));
        }
        before = Some(told);
        sleep(patience.look_every).await;
    }
}

async fn ask(question: &Question, account: &Account) -> Result<CloudWatchFigures, String> {
    let mut told = metrics(question, account).await?;
    if let Some(function) = &question.function {
        told.billed = billed(function, question, account).await?;
    }
    Ok(told)
}

async fn metrics(question: &Question, account: &Account) -> Result<CloudWatchFigures, String> {
    let metric = |id: &str, namespace: &str, name: &str, stat: &str, dimension: (&str, &str)| {
        let dimensions = json!([{ "Name": dimension.0, "Value": dimension.1 }]);
        let metric = json!({ "Namespace": namespace, "MetricName": name, "Dimensions": dimensions });
        json!({ "Id": id, "MetricStat": { "Metric": metric, "Period": 60, "Stat": stat }, "ReturnData": true })
    };
    let queue = ("QueueName", question.queue.as_str());
    let mut queries = vec![
        metric("deleted", "AWS/SQS", "NumberOfMessagesDeleted", "Sum", queue),
        metric("empty", "AWS/SQS", "NumberOfEmptyReceives", "Sum", queue),
    ];
    if let Some(function) = &question.function {
        let function = ("FunctionName", function.as_str());
        queries.push(metric("invocations", "AWS/Lambda", "Invocations", "Sum", function));
        queries.push(metric("concurrent", "AWS/Lambda", "ConcurrentExecutions", "Maximum", function));
        queries.push(metric("throttles", "AWS/Lambda", "Throttles", "Sum", function));
        queries.push(metric("errors", "AWS/Lambda", "Errors", "Sum", function));
    }
    // Whole minutes, since that is what is counted.
    let from = question.from / 60_000 * 60;
    let to = question.to.div_ceil(60_000) * 60;
    let request = json!({ "StartTime": from, "EndTime": to, "MetricDataQueries": queries });
    let headers = [
        ("x-amz-target", "GraniteServiceVersion20100801.GetMetricData"),
        ("content-type", "application/x-amz-json-1.0"),
    ];
    let answer = understood(account.call("monitoring", &headers, request.to_string()).await?, "GetMetricData")?;
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct MetricSeries {
        id: String,
        #[serde(default)]
        values: Vec<f64>,
    }
    let series: Vec<MetricSeries> = serde_json::from_value(answer["MetricDataResults"].clone())
        .map_err(|error| format!("GetMetricData answered something else: {error}"))?;
    let of =
        |id: &'static str| series.iter().filter(move |one| one.id == id).flat_map(|one| one.values.iter().copied());
    // Not `sum`: of nothing it is -0.
    let sum = |id| of(id).fold(0.0, |sum, value| sum + value);
    Ok(CloudWatchFigures {
        deleted: sum("deleted"),
        empty_receives: sum("empty"),
        invocations: sum("invocations"),
        concurrent: of("concurrent").fold(0.0, f64::max),
        throttles: sum("throttles"),
        errors: sum("errors"),
        billed: Billed::default(),
    })
}

async fn billed(function: &str, question: &Question, account: &Account) -> Result<Billed, String> {
    let mut billed = Billed::default();
    let mut next = Value::Null;
    for _ in 0..MAX_PAGES {
        let mut request = json!({
            "logGroupName": format!("/aws/lambda/{function}"),
            "startTime": question.from,
            // An invocation is reported when it ends.
            "endTime": question.to + 60_000,
            "filterPattern": "\"REPORT RequestId\"",
        });
        if !next.is_null() {
            request["nextToken"] = next;
        }
        let headers =
            [("x-amz-target", "Logs_20140328.FilterLogEvents"), ("content-type", "application/x-amz-json-1.1")];
        let answer = understood(account.call("logs", &headers, request.to_string()).await?, "FilterLogEvents")?;
        for event in answer["events"].as_array().into_iter().flatten() {
            let line = event["message"].as_str().ok_or("FilterLogEvents gave an event without a message")?;
            billed.add(line);
        }
        next = answer["nextToken"].clone();
        if next.is_null() {
            break;
        }
    }
    Ok(billed)
}

fn understood(answer: AccountAnswer, action: &str) -> Result<Value, String> {
    let told = || format!("{action} answered {}", answer.told());
    if !answer.status.is_success() {
        return Err(told());
    }
    serde_json::from_slice(&answer.body).map_err(|_| told())
}

impl Billed {
    /// Takes a line: `REPORT RequestId: … Duration: 12.30 ms Billed Duration: 33 ms Memory Size: 512 MB Max Memory
    /// Used: 30 MB Init Duration: 20.11 ms`, with tabs between the parts.
    fn add(&mut self, line: &str) {
        let number = |name: &str| {
            let part = line.split('\t').find_map(|part| part.trim().strip_prefix(name))?;
            part.trim().split(' ').next()?.parse::<f64>().ok()
        };
        let (Some(ms), Some(mb)) = (number("Billed Duration:"), number("Memory Size:")) else { return };
        self.reports += 1;
        self.cold_starts += u64::from(number("Init Duration:").is_some());
        self.gb_seconds += ms / 1000.0 * mb / 1024.0;
    }
}

impl CloudWatchFigures {
    /// Whether these counts can be the whole run's.
    fn explains(&self, target: &Target, question: &Question) -> bool {
        let done = target.messages.done as f64;
        let invoked =
            question.function.is_none() || (self.invocations > 0.0 && self.billed.reports as f64 >= self.invocations);
        self.deleted >= done && invoked
    }

    fn fill(self, target: &mut Target, question: &Question, warnings: &mut Vec<String>) {
        target.requests.empty_receive = Some(self.empty_receives as u64);
        target.unavailable.remove("requests.empty_receive");
        if question.function.is_none() {
            return;
        }
        target.usage.invocations = Some(self.billed.reports);
        target.usage.gb_seconds = Some(self.billed.gb_seconds);
        target.usage.cold_starts = Some(self.billed.cold_starts);
        target.peak_capacity = target.peak_capacity.max(self.concurrent as u32);
        for field in ["usage.invocations", "usage.gb_seconds"] {
            target.unavailable.remove(field);
        }
        for (what, count) in [("throttled", self.throttles), ("failed as a whole", self.errors)] {
            if count > 0.0 {
                warnings.push(format!("lambda: {count} invocations {what}: see the function's log"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_line_tells_what_is_billed() {
        let mut billed = Billed::default();
        let line = "REPORT RequestId: 7f\tDuration: 1500.20 ms\tBilled Duration: 1501 ms\tMemory Size: 512 MB\tMax Memory Used: 21 MB\t";
        billed.add(line);
        billed.add(&format!("{line}Init Duration: 14.10 ms\t\n"));
        billed.add("START RequestId: 7f Version: $LATEST");
        assert_eq!((billed.reports, billed.cold_starts), (2, 1));
        assert!((billed.gb_seconds - 1.501).abs() < 1e-9, "{billed:?}");
    }

    #[test]
    fn counts_that_cannot_be_the_whole_run_are_not_taken() {
        let question = Question {
            target: TargetKind::Lambda,
            queue: "q".to_owned(),
            function: Some("f".to_owned()),
            from: 0,
            to: 1,
        };
        let mut target = Target::default();
        target.messages.done = 100;
        let whole = CloudWatchFigures {
            deleted: 100.0,
            invocations: 10.0,
            billed: Billed { reports: 10, ..Billed::default() },
            ..CloudWatchFigures::default()
        };
        assert!(whole.explains(&target, &question));
        let few = [
            CloudWatchFigures { deleted: 99.0, ..whole.clone() },
            CloudWatchFigures { invocations: 0.0, ..whole.clone() },
            CloudWatchFigures { billed: Billed { reports: 9, ..Billed::default() }, ..whole },
        ];
        assert!(few.iter().all(|told| !told.explains(&target, &question)));
    }
}
