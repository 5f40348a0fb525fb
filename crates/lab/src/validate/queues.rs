//! The queues of terraform and of the template, each with its place, and what is checked of each.

use std::ops::Deref;
use std::time::Duration;

use super::finding::{Findings, Place};
use super::rule::Rule;
use super::{Inputs, dead_letters};
use crate::manifests::Queue;

/// A queue, and where it stands.
pub(super) struct PlacedQueue {
    queue: Queue,
    /// Its resource.
    pub place: Place,
}

impl Deref for PlacedQueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.queue
    }
}

/// The longest retention: 14 days.
const LONGEST: Duration = Duration::from_secs(1_209_600);

/// The queues that terraform has.
pub(super) fn of_terraform(inputs: &Inputs) -> Vec<PlacedQueue> {
    let Some(terraform) = &inputs.terraform else { return Vec::new() };
    let placed = |queue: Queue| PlacedQueue { place: Place::of_terraform(terraform, &queue.name), queue };
    terraform.queues().into_iter().map(placed).collect()
}

/// The queues that the template has.
pub(super) fn of_template<'a>(inputs: &Inputs, queues: impl Iterator<Item = &'a Queue>) -> Vec<PlacedQueue> {
    let Some(template) = &inputs.template else { return Vec::new() };
    let place = |queue: &Queue| Place::of_resource(template, &queue.name, "Properties");
    queues.map(|queue| PlacedQueue { queue: queue.clone(), place: place(queue) }).collect()
}

/// The dead-letter queue of a queue, among these.
pub(super) fn dead_letter_of<'a>(queue: &Queue, queues: &'a [PlacedQueue]) -> Option<&'a PlacedQueue> {
    let key = queue.dead_letter.as_ref()?;
    queues.iter().find(|dead| dead.key == *key)
}

/// Checks each queue; `consumed` is the one that the worker, or the function, receives from.
pub(super) fn check(queues: &[PlacedQueue], consumed: Option<&PlacedQueue>, findings: &mut Findings) {
    dead_letters::check(queues, consumed, findings);
    for queue in queues {
        if let Some(count) = queue.max_receive_count.filter(|count| *count < 5) {
            findings.add(
                Rule::MaxReceiveCount,
                queue.place.clone(),
                format!(
                    "maxReceiveCount is {count}. A throttled batch, a deadline and a pod that is stopped count as receives \
                     too, and would fill the dead-letter queue with healthy messages"
                ),
                "write 5 or more",
            );
        }
        // A FIFO queue begins the time anew when it moves a message.
        let dead = dead_letter_of(queue, queues).filter(|dead| !queue.fifo && dead.retention <= queue.retention);
        if let Some(dead) = dead {
            let fix =
                if queue.retention < LONGEST { "write more" } else { "14 days is the most: shorten the source's" };
            findings.add(
                Rule::DeadLetterRetention,
                dead.place.clone(),
                format!(
                    "it keeps messages {} s and {} keeps them {} s: a moved message keeps the date of its first send, so it may \
                     expire as soon as it arrives",
                    dead.retention.as_secs(),
                    queue.name,
                    queue.retention.as_secs()
                ),
                fix,
            );
        }
    }
}
