//! The messages, in slots that are used again, and the list that links them by age.
//!
//! A slot's generation goes up with every receive and with every removal. A receipt handle is a slot with the
//! generation of its receive, so it stops matching as soon as the message is received again or gone.

use std::time::Duration;

use super::types::Message;

/// What a receiver, a timer or the order of visible messages knows a message by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Handle {
    slot: u32,
    generation: u32,
}

impl Handle {
    /// As a number, for a receipt handle on the wire.
    pub fn to_bits(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// From the number on the wire; any number is a handle, but not every handle is one that the queue gave.
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, generation: bits as u32 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum MessageState {
    Free,
    Delayed,
    Visible,
    InFlight,
}

/// What a handle stands for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Its receiver holds the message.
    Held(u32),
    /// The visibility timeout is over, and nobody has received it since.
    Visible(u32),
    /// Received again since.
    Superseded(u32),
    /// Removed.
    Gone,
    /// Never given out.
    Never,
}

/// Where a message stands in the order of a FIFO queue.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub slot: u32,
    pub group: u32,
    pub sequence: u64,
}

const NONE: u32 = u32::MAX;

#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
struct Slot<P> {
    message: Option<Message<P>>,
    state: MessageState,
    generation: u32,
    /// The generation when the message came in: a handle at or below it belongs to an earlier one.
    came_at: u32,
    group: u32,
    sequence: u64,
    /// When the present state ends, for the states that end.
    until: Duration,
    older: u32,
    newer: u32,
}

#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Slab<P> {
    slots: Vec<Slot<P>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl<P> Default for Slab<P> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl<P> Slab<P> {
    pub(super) fn insert(&mut self, message: Message<P>, sequence: u64, group: u32) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                message: None,
                state: MessageState::Free,
                generation: 0,
                came_at: 0,
                group: 0,
                sequence: 0,
                until: Duration::ZERO,
                older: NONE,
                newer: NONE,
            });
            (self.slots.len() - 1) as u32
        });
        let sent_at = message.sent_at;
        let entry = &mut self.slots[slot as usize];
        (entry.message, entry.came_at, entry.group, entry.sequence) =
            (Some(message), entry.generation, group, sequence);
        self.link(slot, sent_at);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Message<P> {
        self.unlink(slot);
        self.free.push(slot);
        let entry = &mut self.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.state = MessageState::Free;
        entry.message.take().expect("a slot in use has a message")
    }

    /// Marks the message in flight until then, under a new generation.
    pub(super) fn receive(&mut self, slot: u32, until: Duration) -> Handle {
        let entry = &mut self.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        (entry.state, entry.until) = (MessageState::InFlight, until);
        self.handle(slot)
    }

    pub(super) fn set(&mut self, slot: u32, state: MessageState, until: Duration) {
        let entry = &mut self.slots[slot as usize];
        (entry.state, entry.until) = (state, until);
    }

    pub(super) fn look(&self, handle: Handle) -> Look {
        let Some(entry) = self.slots.get(handle.slot as usize) else { return Look::Never };
        let behind = entry.generation.wrapping_sub(handle.generation);
        let since_came = handle.generation.wrapping_sub(entry.came_at);
        match entry.state {
            _ if behind > u32::MAX / 2 || handle.generation == 0 => Look::Never,
            MessageState::Free => Look::Gone,
            _ if since_came == 0 || since_came > u32::MAX / 2 => Look::Gone,
            _ if behind > 0 => Look::Superseded(handle.slot),
            MessageState::InFlight => Look::Held(handle.slot),
            MessageState::Visible | MessageState::Delayed => Look::Visible(handle.slot),
        }
    }

    /// The slot, if the message that `handle` was made for is visible and unchanged.
    pub(super) fn visible(&self, handle: Handle) -> Option<u32> {
        let entry = &self.slots[handle.slot as usize];
        (entry.generation == handle.generation && entry.state == MessageState::Visible).then_some(handle.slot)
    }

    /// True when the message that `handle` was made for still waits for `at`.
    pub(super) fn waits_for(&self, handle: Handle, at: Duration) -> bool {
        let entry = &self.slots[handle.slot as usize];
        let waits = matches!(entry.state, MessageState::InFlight | MessageState::Delayed);
        waits && entry.generation == handle.generation && entry.until == at
    }

    pub(super) fn handle(&self, slot: u32) -> Handle {
        Handle { slot, generation: self.slots[slot as usize].generation }
    }

    pub(super) fn slot(handle: Handle) -> u32 {
        handle.slot
    }

    pub(super) fn turn(&self, slot: u32) -> Turn {
        let entry = &self.slots[slot as usize];
        Turn { slot, group: entry.group, sequence: entry.sequence }
    }

    pub(super) fn state(&self, slot: u32) -> MessageState {
        self.slots[slot as usize].state
    }

    /// When its present state ends, if that state does.
    pub(super) fn until(&self, slot: u32) -> Duration {
        self.slots[slot as usize].until
    }

    /// All messages, the one that was sent first first.
    pub(super) fn by_age(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.oldest(), |slot| Some(self.slots[*slot as usize].newer).filter(|next| *next != NONE))
    }

    pub(super) fn is_visible(&self, slot: u32) -> bool {
        self.state(slot) == MessageState::Visible
    }

    pub(super) fn message(&self, slot: u32) -> &Message<P> {
        self.slots[slot as usize].message.as_ref().expect("a slot in use has a message")
    }

    pub(super) fn message_mut(&mut self, slot: u32) -> &mut Message<P> {
        self.slots[slot as usize].message.as_mut().expect("a slot in use has a message")
    }

    /// The message that was sent first.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Puts the slot into the list by age. Messages mostly come in the order they were sent, so it looks from the end.
    fn link(&mut self, slot: u32, sent_at: Duration) {
        let mut older = self.newest;
        while older != NONE && self.message(older).sent_at > sent_at {
            older = self.slots[older as usize].older;
        }
        let newer = if older == NONE { self.oldest } else { self.slots[older as usize].newer };
        let entry = &mut self.slots[slot as usize];
        (entry.older, entry.newer) = (older, newer);
        self.join(older, slot);
        self.join(slot, newer);
    }

    fn unlink(&mut self, slot: u32) {
        let entry = &self.slots[slot as usize];
        self.join(entry.older, entry.newer);
    }

    /// Makes two neighbours; `NONE` stands for the end of the list.
    fn join(&mut self, older: u32, newer: u32) {
        match older {
            NONE => self.oldest = newer,
            _ => self.slots[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            _ => self.slots[newer as usize].older = older,
        }
    }
}
