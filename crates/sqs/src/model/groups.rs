//! The order of a FIFO queue: a group is open up to its first message that somebody holds.
//!
//! With m1 and m2 in flight, m1 that is given back can be received while m2 is still held; m3 cannot. Recorded on AWS by
//! LocalStack's validated tests (`test_fifo_message_group_visibility*`).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::slab::Turn;

#[derive(Default)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
struct Group {
    name: Arc<str>,
    /// Visible and delayed messages by sequence. A delayed one holds up those behind it.
    waiting: BTreeMap<u64, u32>,
    /// Held messages by sequence.
    in_flight: BTreeSet<u64>,
    /// It is in `ready`, or was when it last had its turn.
    queued: bool,
}

impl Group {
    /// Only messages before this sequence can be received.
    fn open_before(&self) -> u64 {
        self.in_flight.first().copied().unwrap_or(u64::MAX)
    }

    /// The first message that waits, if it is visible and before that sequence.
    fn head(&self, before: u64, is_visible: impl Fn(u32) -> bool) -> Option<u32> {
        let (&sequence, &slot) = self.waiting.first_key_value()?;
        (sequence < before && is_visible(slot)).then_some(slot)
    }
}

/// The group that a receive takes from: up to what others held when it began, though its own messages are held by now.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    group: u32,
    before: u64,
}

#[derive(Default)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Groups {
    groups: Vec<Group>,
    by_name: HashMap<Arc<str>, u32>,
    free: Vec<u32>,
    /// Groups that may have a message to give, each once, in the order in which they got one.
    ready: VecDeque<u32>,
}

impl Groups {
    /// The group of that name, made if there is none.
    pub(super) fn find(&mut self, name: Arc<str>) -> u32 {
        if let Some(&group) = self.by_name.get(&name) {
            return group;
        }
        let group = self.free.pop().unwrap_or_else(|| {
            self.groups.push(Group::default());
            (self.groups.len() - 1) as u32
        });
        self.groups[group as usize].name = name.clone();
        self.by_name.insert(name, group);
        group
    }

    /// A message came in.
    pub(super) fn arrived(&mut self, turn: Turn, is_visible: impl Fn(u32) -> bool) {
        self.groups[turn.group as usize].waiting.insert(turn.sequence, turn.slot);
        self.offer(turn.group, is_visible);
    }

    /// A message became visible: `held` if it comes back from a receiver, else its delay has ended.
    pub(super) fn visible(&mut self, turn: Turn, held: bool, is_visible: impl Fn(u32) -> bool) {
        let group = &mut self.groups[turn.group as usize];
        group.waiting.insert(turn.sequence, turn.slot);
        if held {
            group.in_flight.remove(&turn.sequence);
        }
        self.offer(turn.group, is_visible);
    }

    /// True when [`next`](Self::next) has no group to look at.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// The next message that may be received. `opened` is the group that this receive has begun to take from.
    pub(super) fn next(&mut self, opened: &mut Option<Opened>, is_visible: impl Fn(u32) -> bool) -> Option<u32> {
        loop {
            if let Some(Opened { group, before }) = *opened {
                if let Some(slot) = self.groups[group as usize].head(before, &is_visible) {
                    return Some(slot);
                }
                self.offer(group, &is_visible);
                *opened = None;
            }
            let group = self.ready.pop_front()?;
            self.groups[group as usize].queued = false;
            *opened = Some(Opened { group, before: self.groups[group as usize].open_before() });
            self.forget_if_empty(group);
        }
    }

    /// The message that [`next`](Self::next) named was handed out: it locks those behind it.
    pub(super) fn taken(&mut self, turn: Turn) {
        let group = &mut self.groups[turn.group as usize];
        group.waiting.remove(&turn.sequence);
        group.in_flight.insert(turn.sequence);
    }

    /// A message is gone, from a receiver (`held`) or from those that wait.
    pub(super) fn removed(&mut self, turn: Turn, held: bool, is_visible: impl Fn(u32) -> bool) {
        let group = &mut self.groups[turn.group as usize];
        match held {
            true => drop(group.in_flight.remove(&turn.sequence)),
            false => drop(group.waiting.remove(&turn.sequence)),
        }
        self.offer(turn.group, is_visible);
        self.forget_if_empty(turn.group);
    }

    /// Puts the group among those that are ready, if it is and is not there yet.
    fn offer(&mut self, index: u32, is_visible: impl Fn(u32) -> bool) {
        let group = &mut self.groups[index as usize];
        if !group.queued && group.head(group.open_before(), is_visible).is_some() {
            group.queued = true;
            self.ready.push_back(index);
        }
    }

    fn forget_if_empty(&mut self, index: u32) {
        let group = &mut self.groups[index as usize];
        if group.waiting.is_empty()
            && group.in_flight.is_empty()
            && !group.queued
            && self.by_name.remove(&group.name).is_some()
        {
            *group = Group::default();
            self.free.push(index);
        }
    }
}
