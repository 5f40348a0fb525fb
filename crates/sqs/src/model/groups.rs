//! The order of a FIFO queue: within a group as sent, and nothing more of a group while somebody holds one of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::slab::Place;

#[derive(Default)]
struct Group {
    name: Arc<str>,
    /// Visible and delayed messages by sequence. A delayed one holds up those behind it.
    waiting: BTreeMap<u64, u32>,
    in_flight: u32,
    /// It is in `ready`, or was when it last had its turn.
    queued: bool,
}

#[derive(Default)]
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
    pub(super) fn arrived(&mut self, place: Place, is_visible: impl Fn(u32) -> bool) {
        self.groups[place.group as usize].waiting.insert(place.sequence, place.slot);
        self.offer(place.group, is_visible);
    }

    /// A message became visible: `held` if it comes back from a receiver, else its delay has ended.
    pub(super) fn visible(&mut self, place: Place, held: bool, is_visible: impl Fn(u32) -> bool) {
        let group = &mut self.groups[place.group as usize];
        group.waiting.insert(place.sequence, place.slot);
        group.in_flight -= u32::from(held);
        self.offer(place.group, is_visible);
    }

    /// The next message that may be received. `opened` is the group that this receive has begun to take from: it may
    /// take more of it, though the group is locked for others.
    pub(super) fn next(&mut self, opened: &mut Option<u32>, is_visible: impl Fn(u32) -> bool) -> Option<u32> {
        loop {
            if let Some(group) = *opened {
                let first = self.groups[group as usize].waiting.first_key_value();
                if let Some((_, &slot)) = first.filter(|(_, slot)| is_visible(**slot)) {
                    return Some(slot);
                }
                self.offer(group, &is_visible);
                *opened = None;
            }
            let group = self.ready.pop_front()?;
            self.groups[group as usize].queued = false;
            if self.groups[group as usize].in_flight == 0 {
                *opened = Some(group);
            }
            self.forget_if_empty(group);
        }
    }

    /// The message that [`next`](Self::next) named was handed out: its group is locked.
    pub(super) fn taken(&mut self, place: Place) {
        let group = &mut self.groups[place.group as usize];
        group.waiting.remove(&place.sequence);
        group.in_flight += 1;
    }

    /// A message is gone, from a receiver (`held`) or from those that wait.
    pub(super) fn removed(&mut self, place: Place, held: bool, is_visible: impl Fn(u32) -> bool) {
        let group = &mut self.groups[place.group as usize];
        match held {
            true => group.in_flight -= 1,
            false => drop(group.waiting.remove(&place.sequence)),
        }
        self.offer(place.group, is_visible);
        self.forget_if_empty(place.group);
    }

    /// Puts the group among those that are ready, if it is and is not there yet.
    fn offer(&mut self, index: u32, is_visible: impl Fn(u32) -> bool) {
        let group = &mut self.groups[index as usize];
        let head_is_visible = group.waiting.first_key_value().is_some_and(|(_, &slot)| is_visible(slot));
        if group.in_flight == 0 && !group.queued && head_is_visible {
            group.queued = true;
            self.ready.push_back(index);
        }
    }

    fn forget_if_empty(&mut self, index: u32) {
        let group = &mut self.groups[index as usize];
        if group.waiting.is_empty()
            && group.in_flight == 0
            && !group.queued
            && self.by_name.remove(&group.name).is_some()
        {
            *group = Group::default();
            self.free.push(index);
        }
    }
}
