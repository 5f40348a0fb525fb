//! What happens next: a heap of (time, sequence, event). Events of one time happen in the order they were planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Something that will happen. Pods and batches are named by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The next messages of the load are sent.
    Arrive,
    /// A sample is taken.
    Sample,
    /// The scaling policy looks.
    Look,
    /// A pod is ready.
    Ready { pod: u32 },
    /// The message in one of a pod's places has been handled.
    Finished { pod: u32, place: u32 },
    /// A pod has waited long enough for more room; void if the epoch has passed.
    Linger { pod: u32, epoch: u32 },
    /// A pod's deletes have waited long enough for more of them; void if the epoch has passed.
    Flush { pod: u32, epoch: u32 },
    /// The oldest message of a pod may need its visibility extended.
    Heartbeat { pod: u32 },
    /// A long poll of a pod may be over.
    PollOver { pod: u32 },
    /// The drain budget of a pod is spent.
    DrainOver { pod: u32 },
    /// A node is Ready.
    NodeReady { node: u32 },
    /// A node has been empty for long enough; void if another pod came.
    NodeEmpty { node: u32, came: u32 },
    /// Spot gives notice that it takes a node.
    NodeNotice { node: u32 },
    /// Spot takes a node.
    NodeGone { node: u32 },
    /// The pause of a message that is tried again in place is over.
    Again { pod: u32 },
    /// A batch that a poller has received reaches the function.
    Delivered { batch: u32 },
    /// What a batch costs beyond its handler is spent: its poller and its environment are free.
    Settled { batch: u32 },
    /// Bytes may move again: messages are offered anew.
    Offer,
    /// A batch has been answered.
    Answered { batch: u32 },
    /// A poller has waited long enough to be given more records.
    WindowOver { batch: u32 },
    /// The function is deployed anew.
    Deploy,
    /// The policy of the function's Managed Instances looks.
    Environments,
    /// An environment on Managed Instances is up.
    EnvironmentReady,
    /// A throttled batch is tried again, or a paced poller may poll again.
    TryAgain { batch: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    at: Duration,
    sequence: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Planned>>,
    planned: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at, sequence: self.planned, event }));
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(planned)| planned.at)
    }

    pub(super) fn pop(&mut self) -> Option<(Duration, Event)> {
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_those_of_one_time_in_the_order_they_were_planned() {
        let mut agenda = Agenda::default();
        for (secs, event) in [(2, Event::Look), (1, Event::Sample), (2, Event::Arrive), (1, Event::Ready { pod: 0 })] {
            agenda.plan(Duration::from_secs(secs), event);
        }
        let order: Vec<Event> = std::iter::from_fn(|| agenda.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, [Event::Sample, Event::Ready { pod: 0 }, Event::Look, Event::Arrive]);
    }
}
