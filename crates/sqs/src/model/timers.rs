//! One heap for the ends of delays and of visibility timeouts.
//!
//! A timer is never taken out early: when its message was deleted, or its visibility changed, the slot no longer waits
//! for that moment, and the timer is passed over when it comes up, or dropped when such timers are in the majority.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::slab::{Handle, Slab};

#[derive(Default)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Timers {
    /// Ordered by time, then by when they were set, so that equal times have one order.
    heap: BinaryHeap<Reverse<(Duration, u64, Handle)>>,
    set: u64,
}

impl Timers {
    pub(super) fn push(&mut self, at: Duration, handle: Handle) {
        self.set += 1;
        self.heap.push(Reverse((at, self.set, handle)));
    }

    /// The slot of the next message whose wait has ended by `now`.
    pub(super) fn pop_due<P>(&mut self, now: Duration, slab: &Slab<P>) -> Option<u32> {
        while let Some(&Reverse((at, _, handle))) = self.heap.peek() {
            if at > now {
                return None;
            }
            self.heap.pop();
            if slab.waits_for(handle, at) {
                return Some(Slab::<P>::slot(handle));
            }
        }
        None
    }

    /// When the next wait ends.
    pub(super) fn next<P>(&mut self, slab: &Slab<P>) -> Option<Duration> {
        while let Some(&Reverse((at, _, handle))) = self.heap.peek() {
            if slab.waits_for(handle, at) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// Drops timers that nothing waits for once they outnumber the `live` ones: constant work a timer, over time.
    pub(super) fn compact<P>(&mut self, live: u64, slab: &Slab<P>) {
        if self.heap.len() as u64 > 2 * live + 1024 {
            self.heap.retain(|&Reverse((at, _, handle))| slab.waits_for(handle, at));
        }
    }
}
