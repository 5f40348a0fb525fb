//! Decisions as marks. Every look of KEDA, the HPA and the mapping has one; where they are too many for a page, looks of
//! one owner in a row that came to the same are told as one, and what is still too much is thinned out evenly.

use super::super::figures::{count, printable, seconds};
use super::picture::{Color, DecisionMark};
use crate::run::{DecidedBy, Decision, Target};

/// Looks in a row that came to the same.
pub(super) struct Group<'a> {
    /// The first of them.
    pub first: &'a Decision,
    /// The last of them; the same where there is one only.
    pub last: &'a Decision,
    /// How many.
    pub looks: usize,
}

/// The decisions of a target in at most `most` groups, in the order of time, and how many looks these stand for.
pub(super) fn groups(target: &Target, most: usize) -> (Vec<Group<'_>>, usize) {
    let alone = |decision| Group { first: decision, last: decision, looks: 1 };
    let mut groups: Vec<Group<'_>> = target.decisions.iter().map(alone).collect();
    if groups.len() > most {
        groups = merged(&target.decisions);
    }
    if groups.len() > most {
        groups = thinned(groups, most);
    }
    let looks = groups.iter().map(|group| group.looks).sum();
    (groups, looks)
}

fn merged(decisions: &[Decision]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut open: Vec<(DecidedBy, usize)> = Vec::new();
    for decision in decisions {
        let place = open.iter().position(|(by, _)| *by == decision.by);
        let last = place.map(|place| &mut groups[open[place].1]).filter(|group| same(group.last, decision));
        if let Some(group) = last {
            (group.last, group.looks) = (decision, group.looks + 1);
            continue;
        }
        match place {
            Some(place) => open[place].1 = groups.len(),
            None => open.push((decision.by, groups.len())),
        }
        groups.push(Group { first: decision, last: decision, looks: 1 });
    }
    groups
}

/// Whether two looks of one owner came to the same: the same reason, and the same direction.
fn same(a: &Decision, b: &Decision) -> bool {
    a.reason == b.reason && a.to.cmp(&a.from) == b.to.cmp(&b.from)
}

/// Changes come before looks that changed nothing; of those that are too many, every so-manieth stays.
fn thinned(groups: Vec<Group<'_>>, most: usize) -> Vec<Group<'_>> {
    let changes = groups.iter().filter(|group| group.changed()).count();
    let keep_changes = changes.min(most);
    let keep_looks = most.saturating_sub(changes);
    let looks = groups.len() - changes;
    let mut change = 0;
    let mut look = 0;
    let stays = |nth: &mut usize, of: usize, keep: usize| {
        *nth += 1;
        // Evenly: the running share of those kept passes a whole number.
        *nth * keep / of.max(1) > (*nth - 1) * keep / of.max(1)
    };
    let keep = |group: &Group<'_>| match group.changed() {
        true => stays(&mut change, changes, keep_changes),
        false => stays(&mut look, looks, keep_looks),
    };
    groups.into_iter().filter(keep).collect()
}

impl Group<'_> {
    /// Whether it asked for another capacity.
    pub(super) fn changed(&self) -> bool {
        self.first.from != self.last.to || self.first.from != self.first.to
    }

    /// When, and between which capacities.
    pub(super) fn when(&self) -> (String, u32, u32) {
        let at = match self.looks {
            1 => seconds(self.first.t),
            looks => format!("{} to {}, {} looks", seconds(self.first.t), seconds(self.last.t), count(looks as u64)),
        };
        (at, self.first.from, self.last.to)
    }

    /// The owner's word, and what was seen.
    pub(super) fn why(&self) -> (String, String) {
        (self.last.word(), printable(&self.last.detail))
    }

    /// Its mark.
    pub(super) fn decided(&self, label: &str, color: Color) -> DecisionMark {
        let (_, from, to) = self.when();
        let why = self.last.word();
        DecisionMark { x: self.first.t, from, to, looks: self.looks, color, why, tip: self.tip(label) }
    }

    /// What its mark says: when, what was decided, by whom and why, and what was seen.
    pub(super) fn tip(&self, label: &str) -> String {
        let ((at, from, to), (reason, detail)) = (self.when(), self.why());
        let change = if from == to { format!("stays at {to}") } else { format!("{from} → {to}") };
        let detail = if detail.is_empty() { String::new() } else { format!("\n{detail}") };
        format!("{label}, {at}: {change}\n{}: {reason}{detail}", self.last.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinscale_scaling::{Reason, Scaler};

    fn look(t: u32, by: Scaler, from: u32, to: u32) -> Decision {
        let reason = Some(if from == to { Reason::DesiredWithinRange } else { Reason::ScaleUpLimit });
        Decision { t: t.into(), from, to, by: by.into(), reason, detail: format!("{t} messages wait") }
    }

    #[test]
    fn every_look_has_its_own_mark_while_there_is_room() {
        let decisions = (0..50).map(|t| look(t, Scaler::Hpa, 1, 1)).collect();
        let target = Target { decisions, ..Target::default() };
        assert_eq!(groups(&target, 50).0.len(), 50);
    }

    #[test]
    fn looks_that_came_to_the_same_are_told_as_one_even_if_two_owners_take_turns() {
        let mut decisions: Vec<_> =
            (0..100).map(|t| look(t, [Scaler::Hpa, Scaler::Keda][t as usize % 2], 1, 1)).collect();
        decisions.push(look(100, Scaler::Hpa, 1, 4));
        let target = Target { decisions, ..Target::default() };
        let (groups, looks) = groups(&target, 10);
        assert_eq!((groups.len(), looks), (3, 101));
        assert_eq!(
            groups[0].tip("EKS"),
            "EKS, 0 ms to 1 min 38 s, 50 looks: stays at 1\nhpa: DesiredWithinRange\n98 messages wait"
        );
        assert!(groups[2].changed());
    }

    #[test]
    fn a_page_never_gets_more_marks_than_it_has_room_for_and_changes_come_first() {
        let swing = |t: u32| look(t, Scaler::EventSourceMapping, t % 2, (t + 1) % 2);
        let decisions =
            (0..5000).map(|t| if t % 5 == 0 { look(t, Scaler::EventSourceMapping, 1, 1) } else { swing(t) }).collect();
        let target = Target { decisions, ..Target::default() };
        let (groups, looks) = groups(&target, 100);
        assert!(groups.len() <= 100 && groups.iter().all(Group::changed), "{}", groups.len());
        assert!(looks < 5000, "and it says that some are left out");
    }
}
