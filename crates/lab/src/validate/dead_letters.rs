//! Checks that what fails ends in a dead-letter queue, in the right one, which takes it.
//!
//! Sources: SQS Developer Guide, "Using dead-letter queues in Amazon SQS" (of the same kind as its source; the redrive allow
//! policy) and the API's `SetQueueAttributes`.

use super::finding::Findings;
use super::kubernetes::Pod;
use super::queues::{PlacedQueue, dead_letter_of};
use super::rule::Rule;
use crate::manifests::{Function, Queue, RedriveAllow};

/// Checks the dead-letter queue of each queue, and of the consumed one that it has one.
pub(super) fn check(queues: &[PlacedQueue], consumed: Option<&PlacedQueue>, findings: &mut Findings) {
    for queue in queues {
        let Some(dead) = dead_letter_of(queue, queues) else { continue };
        if dead.key == queue.key {
            let what = "it is its own dead-letter queue: SQS refuses it";
            findings.add(Rule::DeadLetterQueue, queue.place.clone(), what, "name another queue");
        }
        if dead.fifo != queue.fifo {
            let kind = |queue: &Queue| if queue.fifo { "FIFO" } else { "standard" };
            findings.add(
                Rule::Fifo,
                dead.place.clone(),
                format!(
                    "it is a {} queue, and {}, whose dead letters it takes, a {} one: SQS refuses it",
                    kind(dead),
                    queue.name,
                    kind(queue)
                ),
                "make both of one kind",
            );
        }
        let shut = match &dead.redrive_allow {
            None | Some(RedriveAllow::All) => false,
            Some(RedriveAllow::Nobody) => true,
            Some(RedriveAllow::Queues(arns)) => !arns.iter().any(|arn| names(arn, queue)),
        };
        if shut {
            findings.add(
                Rule::RedriveAllow,
                dead.place.clone(),
                format!("its redrive allow policy does not let {} move messages into it: what fails would be received again", queue.name),
                "write redrivePermission: byQueue with the ARN of that queue",
            );
        }
    }
    if let Some(queue) = consumed.filter(|queue| queue.dead_letter.is_none() && queue.max_receive_count.is_none()) {
        findings.add(
            Rule::NoRedrive,
            queue.place.clone(),
            format!(
                "it has no redrive policy: a message that fails is received again for {} hours",
                queue.retention.as_secs() / 3600
            ),
            "write a RedrivePolicy with a dead-letter queue and maxReceiveCount: 10",
        );
    }
}

/// Whether an ARN is a queue's: by itself, by a reference, or by the name at its end.
fn names(arn: &str, queue: &Queue) -> bool {
    let plain = |text: &str| text.replace("${AWS::", "${AWS.");
    let by_reference = arn.strip_prefix("${").and_then(|rest| rest.split(['.', '}']).next()) == Some(&queue.name);
    let by_name = || {
        let arn = plain(arn);
        let name = queue.own_name.as_deref().map(plain);
        // Without a name of its own, CloudFormation makes one.
        name.is_none_or(|name| arn.rsplit(':').next() == Some(&name))
    };
    arn == queue.key || by_reference || !queue.key.starts_with("arn:") && by_name()
}

/// Checks what a pod takes for its queue and for its dead-letter queue.
pub(super) fn check_pod(pod: &Pod, queues: &[PlacedQueue], findings: &mut Findings) {
    let Some(work) = pod.known("QUEUE_URL") else { return };
    let by_url = |url: &String| queues.iter().find(|queue| queue.url.as_ref() == Some(url));
    let own = by_url(work);
    let mut wrong = |variable: &str, what: String, fix: String| {
        findings.add(Rule::DeadLetterQueue, pod.variable_place(variable), what, fix);
    };
    if let Some(source) = own.and_then(|own| queues.iter().find(|source| source.dead_letter.as_ref() == Some(&own.key)))
    {
        let what = format!(
            "QUEUE_URL is the dead-letter queue of {}: what failed would be worked on again, and nothing else",
            source.name
        );
        wrong("QUEUE_URL", what, "write the URL of its source".to_owned());
    }
    let Some(dead) = pod.known("DLQ_URL") else { return };
    if dead == work {
        let what = "DLQ_URL is QUEUE_URL: what is rejected would be received again, for ever".to_owned();
        return wrong("DLQ_URL", what, "write the URL of the dead-letter queue".to_owned());
    }
    if let Some(right) = own.and_then(|own| dead_letter_of(own, queues))
        && let Some(right_url) = right.url.as_ref().filter(|right| *right != dead)
    {
        let what = format!(
            "DLQ_URL is {dead}, and the queue's redrive policy names {}: dead letters would be in two places",
            right.name
        );
        wrong("DLQ_URL", what, format!("write {right_url}"));
    }
}

/// Checks the same of a function, whose variables name queues of the template.
pub(super) fn check_function(
    function: &Function,
    dlq_of_variable: Option<&str>,
    queues: &[PlacedQueue],
    place: super::Place,
    findings: &mut Findings,
) {
    let Some(own) = &function.queue else { return };
    let Some(named) = dlq_of_variable else { return };
    let right = dead_letter_of(own, queues);
    if named == own.name {
        let what =
            "DLQ_URL is the queue that the function consumes: what is rejected would be received again, for ever";
        findings.add(Rule::DeadLetterQueue, place, what, "write the dead-letter queue");
    } else if let Some(right) = right.filter(|right| right.name != named) {
        let what = format!(
            "DLQ_URL is {named}, and the redrive policy of {} names {}: dead letters would be in two places",
            own.name, right.name
        );
        findings.add(Rule::DeadLetterQueue, place, what, format!("write {}", right.name));
    }
}
