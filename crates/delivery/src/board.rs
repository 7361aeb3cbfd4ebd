//! The intents that are in work, in memory: who is next, who waits for whom.

use crate::intent::{Intent, State};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Intents by number, groups in order, and the heads of groups that may go.
#[derive(Debug, Default)]
pub(crate) struct Board {
    intents: HashMap<u64, Slot>,
    by_key: HashMap<String, u64>,
    groups: HashMap<String, VecDeque<u64>>,
    /// Heads that may be sent now: (priority, number).
    ready: BTreeSet<(u8, u64)>,
    /// Heads that may be sent from a time on.
    later: BTreeSet<(i64, u64)>,
    /// Numbers without a row of their own: the lowest holds the place in the change log.
    unwritten: BTreeSet<u64>,
    /// Who waits for the delivery of a key.
    waiting: HashMap<String, Vec<u64>>,
    states: BTreeMap<&'static str, usize>,
}

#[derive(Debug)]
struct Slot {
    intent: Intent,
    priority: u8,
    /// Waits for the delivery of another resource.
    blocked: bool,
    /// A change of its resource that came while it was in flight; holds the place in the log.
    held: Option<u64>,
}

fn name(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::InFlight => "in-flight",
        State::Retry => "retry",
        State::Probe => "probe",
        State::Dead => "dead",
    }
}

impl Board {
    pub(crate) fn len(&self) -> usize {
        self.intents.len()
    }

    pub(crate) fn count(&self, state: State) -> usize {
        self.states.get(name(state)).copied().unwrap_or(0)
    }

    pub(crate) fn get(&self, no: u64) -> Option<&Intent> {
        self.intents.get(&no).map(|slot| &slot.intent)
    }

    pub(crate) fn of_key(&self, key: &str) -> Option<&Intent> {
        self.by_key.get(key).and_then(|no| self.get(*no))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Intent> {
        self.intents.values().map(|slot| &slot.intent)
    }

    /// Adds an intent at the place in its group that its number gives it. `written`: it has a row.
    pub(crate) fn add(&mut self, intent: Intent, priority: u8, written: bool) {
        let (no, group) = (intent.no, intent.group.clone());
        if !written {
            self.unwritten.insert(no);
        }
        self.by_key.insert(intent.key.clone(), no);
        *self.states.entry(name(intent.state)).or_default() += 1;
        let line = self.groups.entry(group.clone()).or_default();
        let at = line.iter().position(|other| *other > no).unwrap_or(line.len());
        line.insert(at, no);
        let former = line.get(1).copied().filter(|_| at == 0);
        self.intents.insert(no, Slot { intent, priority, blocked: false, held: None });
        if let Some(former) = former {
            self.unschedule(former);
        }
        self.schedule_head(&group);
    }

    /// Its resource has changed again, with change `seq`, while it is in flight.
    pub(crate) fn hold(&mut self, no: u64, seq: u64) {
        if let Some(slot) = self.intents.get_mut(&no)
            && slot.held.is_none()
        {
            slot.held = Some(seq);
            self.unwritten.insert(seq);
        }
    }

    /// The change that came while it was in flight; its intent has to be taken care of now.
    pub(crate) fn unhold(&mut self, no: u64) -> Option<u64> {
        let seq = self.intents.get_mut(&no)?.held.take()?;
        self.unwritten.remove(&seq);
        Some(seq)
    }

    /// Changes an intent and puts it where it now belongs.
    pub(crate) fn update(&mut self, no: u64, change: impl FnOnce(&mut Intent)) {
        self.unschedule(no);
        let Some(slot) = self.intents.get_mut(&no) else { return };
        let before = name(slot.intent.state);
        change(&mut slot.intent);
        slot.blocked = false;
        let (after, group) = (name(slot.intent.state), slot.intent.group.clone());
        *self.states.entry(before).or_default() -= 1;
        *self.states.entry(after).or_default() += 1;
        self.schedule_head(&group);
    }

    /// Takes an intent that is done away, and answers it.
    pub(crate) fn remove(&mut self, no: u64) -> Option<Intent> {
        self.unschedule(no);
        let slot = self.intents.remove(&no)?;
        self.unwritten.remove(&no);
        *self.states.entry(name(slot.intent.state)).or_default() -= 1;
        if self.by_key.get(&slot.intent.key) == Some(&no) {
            self.by_key.remove(&slot.intent.key);
        }
        if let Some(line) = self.groups.get_mut(&slot.intent.group) {
            line.retain(|other| *other != no);
            if line.is_empty() {
                self.groups.remove(&slot.intent.group);
            }
        }
        self.schedule_head(&slot.intent.group);
        self.release(&slot.intent.key);
        Some(slot.intent)
    }

    /// Those that wait for `key` may look again.
    pub(crate) fn release(&mut self, key: &str) {
        for no in self.waiting.remove(key).unwrap_or_default() {
            if let Some(slot) = self.intents.get_mut(&no) {
                slot.blocked = false;
                let group = slot.intent.group.clone();
                self.schedule_head(&group);
            }
        }
    }

    /// `no` waits until `key` is delivered or gone.
    pub(crate) fn block(&mut self, no: u64, key: &str) {
        self.unschedule(no);
        if let Some(slot) = self.intents.get_mut(&no) {
            slot.blocked = true;
            self.waiting.entry(key.to_owned()).or_default().push(no);
        }
    }

    /// Whether `no` waits for `other`, directly or by way of further ones.
    pub(crate) fn waits_for(&self, no: u64, other: u64) -> bool {
        let mut seen = BTreeSet::new();
        let mut asked = vec![other];
        while let Some(one) = asked.pop() {
            if one == no {
                return true;
            }
            let Some(intent) = self.get(one) else { continue };
            if seen.insert(one) {
                asked.extend(self.waiting.get(&intent.key).into_iter().flatten());
            }
        }
        false
    }

    /// Moves `first` before all others of its group: they refer to it.
    pub(crate) fn hoist(&mut self, first: u64) {
        let Some(group) = self.get(first).map(|intent| intent.group.clone()) else { return };
        let Some(line) = self.groups.get_mut(&group) else { return };
        let former = line.front().copied();
        line.retain(|other| *other != first);
        line.push_front(first);
        former.into_iter().for_each(|former| self.unschedule(former));
        self.schedule_head(&group);
    }

    /// The next intent that may be sent at `now_us`.
    pub(crate) fn next(&mut self, now_us: i64) -> Option<u64> {
        while let Some((at, no)) = self.later.first().copied().filter(|(at, _)| *at <= now_us) {
            self.later.remove(&(at, no));
            if let Some(slot) = self.intents.get(&no) {
                self.ready.insert((slot.priority, no));
            }
        }
        self.ready.first().map(|(_, no)| *no)
    }

    /// When the next one becomes ready, if none is now.
    pub(crate) fn next_due_us(&self) -> Option<i64> {
        self.later.first().map(|(at, _)| *at)
    }

    /// All numbers up to this one are done or have rows.
    pub(crate) fn low_water(&self, planned: u64) -> u64 {
        self.unwritten.first().map_or(planned, |no| (no - 1).min(planned))
    }

    pub(crate) fn written(&mut self, no: u64) {
        self.unwritten.remove(&no);
    }

    /// The oldest intents without a row, below `below`, at most `limit`: those that hold the place back.
    pub(crate) fn overdue(&self, below: u64, limit: usize) -> Vec<u64> {
        self.unwritten.range(..below).take(limit).copied().collect()
    }

    pub(crate) fn oldest_since_us(&self) -> Option<i64> {
        self.intents.values().map(|slot| slot.intent.since_us).min()
    }

    fn schedule_head(&mut self, group: &str) {
        let Some(no) = self.groups.get(group).and_then(|line| line.front().copied()) else { return };
        let Some(slot) = self.intents.get(&no) else { return };
        if slot.blocked {
            return;
        }
        match slot.intent.state {
            State::Pending => drop(self.ready.insert((slot.priority, no))),
            State::Retry | State::Probe => drop(self.later.insert((slot.intent.not_before_us, no))),
            State::InFlight | State::Dead => {}
        }
    }

    fn unschedule(&mut self, no: u64) {
        if let Some(slot) = self.intents.get(&no) {
            self.ready.remove(&(slot.priority, no));
            self.later.remove(&(slot.intent.not_before_us, no));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(no: u64, key: &str, group: &str) -> Intent {
        Intent::new(no, key.into(), group.into(), 0)
    }

    fn board() -> Board {
        let mut board = Board::default();
        board.add(intent(1, "Patient/a", "Patient/a"), 5, false);
        board.add(intent(2, "Observation/x", "Patient/a"), 5, false);
        board.add(intent(3, "Patient/b", "Patient/b"), 5, false);
        board
    }

    #[test]
    fn one_of_a_group_at_a_time_and_a_dead_head_blocks_only_its_group() {
        let mut board = board();
        assert_eq!(board.next(0), Some(1));
        board.update(1, |intent| intent.state = State::InFlight);
        assert_eq!(board.next(0), Some(3), "the second of the group waits");
        board.update(1, |intent| intent.state = State::Dead);
        board.remove(3);
        assert_eq!(board.next(0), None);
        assert_eq!((board.count(State::Dead), board.count(State::Pending)), (1, 1));
        board.remove(1);
        assert_eq!(board.next(0), Some(2));
    }

    #[test]
    fn later_ones_come_when_they_are_due_and_priorities_go_first() {
        let mut board = board();
        board.update(1, |intent| {
            intent.state = State::Retry;
            intent.not_before_us = 50;
        });
        board.add(intent(9, "Appointment/y", "Patient/c"), 1, false);
        assert_eq!(board.next(0), Some(9));
        board.remove(9);
        assert_eq!((board.next(0), board.next_due_us()), (Some(3), Some(50)));
        board.remove(3);
        assert_eq!((board.next(49), board.next(50)), (None, Some(1)));
    }

    #[test]
    fn the_place_is_held_by_what_has_no_row() {
        let mut board = board();
        assert_eq!((board.low_water(3), board.overdue(3, 10)), (0, vec![1, 2]));
        board.written(1);
        assert_eq!(board.low_water(3), 1);
        board.remove(2);
        board.remove(3);
        assert_eq!(board.low_water(7), 7);
        board.hold(1, 5);
        board.hold(1, 6);
        assert_eq!(board.low_water(7), 4);
        assert_eq!((board.unhold(1), board.unhold(1), board.low_water(7)), (Some(5), None, 7));
    }

    #[test]
    fn who_refers_to_another_waits_for_it() {
        let mut board = board();
        board.block(3, "Observation/x");
        assert_eq!(board.next(0), Some(1));
        board.hoist(2);
        assert_eq!(board.next(0), Some(2));
        board.remove(2);
        assert_eq!(board.next(0), Some(1));
        board.update(1, |intent| intent.state = State::InFlight);
        assert_eq!(board.next(0), Some(3), "what it waited for is done");
    }

    #[test]
    fn an_older_intent_that_is_found_later_goes_first() {
        let mut board = Board::default();
        board.add(intent(5, "Observation/x", "Patient/a"), 5, false);
        board.add(intent(2, "Patient/a", "Patient/a"), 5, true);
        assert_eq!(board.next(0), Some(2));
        assert_eq!(board.of_key("Observation/x").map(|intent| intent.no), Some(5));
    }
}
