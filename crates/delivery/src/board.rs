//! The intents that are in memory: who is next, who waits for whom. A bounded window; the rest is in the change log or on the
//! [`Shelf`](crate::shelf::Shelf).

use crate::intent::{Intent, State};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Intents by number, groups in order, and the heads of groups that may go.
#[derive(Debug, Default)]
pub(crate) struct Board {
    intents: HashMap<u64, Slot>,
    by_key: HashMap<String, u64>,
    groups: HashMap<String, Line>,
    /// Heads that may be sent now: (priority, number).
    ready: BTreeSet<(u8, u64)>,
    /// Heads that may be sent from a time on.
    later: BTreeSet<(i64, u64)>,
    /// Numbers without a row of their own: the lowest holds the place in the change log.
    unwritten: BTreeSet<u64>,
    /// Who waits for the delivery of a key.
    waiting: HashMap<String, BTreeSet<u64>>,
    states: BTreeMap<&'static str, usize>,
    /// Groups whose head is, or was a moment ago, refused.
    dead: BTreeSet<String>,
    /// Groups that have nothing left here and more on the shelf.
    emptied: Vec<String>,
    /// Keys that are done or gone, since they were asked for last.
    released: Vec<String>,
}

/// The intents of one group, in order.
#[derive(Debug, Default)]
struct Line {
    nos: VecDeque<u64>,
    /// The first of the group's intents on the shelf.
    tail: Option<u64>,
}

/// What is known of the intents of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) len: usize,
    pub(crate) last: u64,
    /// The first of the group's intents on the shelf.
    pub(crate) tail: Option<u64>,
}

#[derive(Debug)]
struct Slot {
    intent: Intent,
    /// The key of the resource for whose delivery it waits.
    waits_on: Option<String>,
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
    pub(crate) fn add(&mut self, intent: Intent, written: bool) {
        let (no, group) = (intent.no, intent.group.clone());
        if !written {
            self.unwritten.insert(no);
        }
        self.by_key.insert(intent.key.clone(), no);
        *self.states.entry(name(intent.state)).or_default() += 1;
        let line = &mut self.groups.entry(group.clone()).or_default().nos;
        let at = line.iter().position(|other| *other > no).unwrap_or(line.len());
        let head = line.front().and_then(|head| self.intents.get(head));
        // What is on its way already cannot be overtaken.
        let at = at.max(usize::from(head.is_some_and(|head| head.intent.state == State::InFlight)));
        line.insert(at, no);
        let former = line.get(1).copied().filter(|_| at == 0);
        self.intents.insert(no, Slot { intent, waits_on: None, held: None });
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
        let waited_on = slot.waits_on.take();
        let (after, group) = (name(slot.intent.state), slot.intent.group.clone());
        *self.states.entry(before).or_default() -= 1;
        *self.states.entry(after).or_default() += 1;
        self.waits_no_more(no, waited_on);
        self.schedule_head(&group);
    }

    fn waits_no_more(&mut self, no: u64, key: Option<String>) {
        let Some(key) = key else { return };
        let Some(waiting) = self.waiting.get_mut(&key) else { return };
        waiting.remove(&no);
        if waiting.is_empty() {
            self.waiting.remove(&key);
        }
    }

    pub(crate) fn line(&self, group: &str) -> Option<Length> {
        let line = self.groups.get(group)?;
        Some(Length { len: line.nos.len(), last: line.nos.back().copied()?, tail: line.tail })
    }

    pub(crate) fn set_tail(&mut self, group: &str, tail: Option<u64>) {
        if let Some(line) = self.groups.get_mut(group) {
            line.tail = tail;
        }
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// The resource for which `no` waits.
    pub(crate) fn waits_on(&self, no: u64) -> Option<&str> {
        self.intents.get(&no)?.waits_on.as_deref()
    }

    /// Groups whose head is refused, with its number: each is told once.
    pub(crate) fn take_dead(&mut self) -> Vec<(String, u64)> {
        let groups = std::mem::take(&mut self.dead).into_iter();
        let heads = groups.filter_map(|group| Some((*self.groups.get(&group)?.nos.front()?, group)));
        heads.filter(|(no, _)| self.state(*no) == Some(State::Dead)).map(|(no, group)| (group, no)).collect()
    }

    pub(crate) fn take_emptied(&mut self) -> Vec<String> {
        std::mem::take(&mut self.emptied)
    }

    pub(crate) fn take_released(&mut self) -> Vec<String> {
        std::mem::take(&mut self.released)
    }

    fn state(&self, no: u64) -> Option<State> {
        self.intents.get(&no).map(|slot| slot.intent.state)
    }

    /// Groups whose head waits for a resource, at most `limit`: group, head and the resource's key.
    pub(crate) fn blocked_heads(&self, limit: usize) -> Vec<(String, u64, String)> {
        let heads = self.groups.iter().filter_map(|(group, line)| Some((group, *line.nos.front()?)));
        let blocked = heads.filter_map(|(group, no)| Some((group.clone(), no, self.waits_on(no)?.to_owned())));
        blocked.take(limit).collect()
    }

    /// Groups with intents behind a head that is on its way or waits for its time, and the second of each, at most `limit`.
    pub(crate) fn held_up(&self, limit: usize) -> Vec<(String, u64)> {
        let behind = self.groups.iter().filter_map(|(group, line)| Some((group, line.nos[0], *line.nos.get(1)?)));
        let held_up = behind
            .filter(|(_, head, _)| matches!(self.state(*head), Some(State::InFlight | State::Retry | State::Probe)));
        held_up.take(limit).map(|(group, _, second)| (group.clone(), second)).collect()
    }

    /// Whether something is in memory that may wait on disk: [`Board::blocked_heads`] or [`Board::held_up`].
    pub(crate) fn may_make_room(&self) -> bool {
        !self.blocked_heads(1).is_empty() || !self.held_up(1).is_empty()
    }

    /// Takes the intents of a group away, those behind its head or all, with whether they have rows. They are not done: who
    /// waits for them goes on waiting.
    pub(crate) fn take(&mut self, group: &str, behind_head: bool) -> Vec<(Intent, bool)> {
        let Some(line) = self.groups.get_mut(group) else { return Vec::new() };
        let nos = if behind_head { line.nos.split_off(1) } else { std::mem::take(&mut line.nos) };
        if line.nos.is_empty() {
            self.groups.remove(group);
        }
        let mut taken = Vec::with_capacity(nos.len());
        for no in nos {
            self.unschedule(no);
            let Some(slot) = self.intents.remove(&no) else { continue };
            *self.states.entry(name(slot.intent.state)).or_default() -= 1;
            if self.by_key.get(&slot.intent.key) == Some(&no) {
                self.by_key.remove(&slot.intent.key);
            }
            self.waits_no_more(no, slot.waits_on);
            taken.push((slot.intent, !self.unwritten.remove(&no)));
        }
        taken
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
        self.waits_no_more(no, slot.waits_on);
        if let Some(line) = self.groups.get_mut(&slot.intent.group) {
            line.nos.retain(|other| *other != no);
            if line.nos.is_empty() {
                if line.tail.is_some() {
                    self.emptied.push(slot.intent.group.clone());
                }
                self.groups.remove(&slot.intent.group);
            }
        }
        self.schedule_head(&slot.intent.group);
        self.release(&slot.intent.key);
        self.released.push(slot.intent.key.clone());
        Some(slot.intent)
    }

    /// Those that wait for `key` may look again.
    fn release(&mut self, key: &str) {
        for no in self.waiting.remove(key).unwrap_or_default() {
            if let Some(slot) = self.intents.get_mut(&no) {
                slot.waits_on = None;
                let group = slot.intent.group.clone();
                self.schedule_head(&group);
            }
        }
    }

    /// `no` waits until `key` is delivered or gone.
    pub(crate) fn block(&mut self, no: u64, key: &str) {
        self.unschedule(no);
        if let Some(slot) = self.intents.get_mut(&no) {
            slot.waits_on = Some(key.to_owned());
            self.waiting.entry(key.to_owned()).or_default().insert(no);
        }
    }

    /// Moves `first` before all others of its group: they refer to it.
    pub(crate) fn hoist(&mut self, first: u64) {
        let Some(group) = self.get(first).map(|intent| intent.group.clone()) else { return };
        let Some(Line { nos, .. }) = self.groups.get_mut(&group) else { return };
        let former = nos.front().copied();
        nos.retain(|other| *other != first);
        nos.push_front(first);
        former.into_iter().for_each(|former| self.unschedule(former));
        self.schedule_head(&group);
    }

    /// The next intent that may be sent at `now_us`.
    pub(crate) fn next(&mut self, now_us: i64) -> Option<u64> {
        while let Some((at, no)) = self.later.first().copied().filter(|(at, _)| *at <= now_us) {
            self.later.remove(&(at, no));
            if let Some(slot) = self.intents.get(&no) {
                self.ready.insert((slot.intent.priority, no));
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
        let Some(no) = self.groups.get(group).and_then(|line| line.nos.front().copied()) else { return };
        let Some(slot) = self.intents.get(&no) else { return };
        if slot.waits_on.is_some() {
            return;
        }
        match slot.intent.state {
            State::Pending => drop(self.ready.insert((slot.intent.priority, no))),
            State::Retry | State::Probe => drop(self.later.insert((slot.intent.not_before_us, no))),
            State::Dead => drop(self.dead.insert(group.to_owned())),
            State::InFlight => {}
        }
    }

    fn unschedule(&mut self, no: u64) {
        if let Some(slot) = self.intents.get(&no) {
            self.ready.remove(&(slot.intent.priority, no));
            self.later.remove(&(slot.intent.not_before_us, no));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(no: u64, key: &str, group: &str) -> Intent {
        Intent::new(no, key.into(), group.into(), 0, 5)
    }

    fn board() -> Board {
        let mut board = Board::default();
        board.add(intent(1, "Patient/a", "Patient/a"), false);
        board.add(intent(2, "Observation/x", "Patient/a"), false);
        board.add(intent(3, "Patient/b", "Patient/b"), false);
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
        board.add(Intent { priority: 1, ..intent(9, "Appointment/y", "Patient/c") }, false);
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
        board.add(intent(5, "Observation/x", "Patient/a"), false);
        board.add(intent(2, "Patient/a", "Patient/a"), true);
        assert_eq!(board.next(0), Some(2));
        assert_eq!(board.of_key("Observation/x").map(|intent| intent.no), Some(5));
    }

    #[test]
    fn what_is_taken_away_is_not_done() {
        let mut board = board();
        board.block(3, "Patient/a");
        assert_eq!(board.blocked_heads(9), [("Patient/b".into(), 3, "Patient/a".into())]);
        board.update(1, |intent| intent.state = State::Dead);
        assert_eq!(board.take_dead(), [("Patient/a".to_owned(), 1)]);
        assert!(board.take_dead().is_empty(), "told once");
        board.written(1);
        let taken: Vec<(u64, bool)> =
            board.take("Patient/a", false).into_iter().map(|(intent, written)| (intent.no, written)).collect();
        assert_eq!(taken, [(1, true), (2, false)]);
        assert_eq!((board.next(0), board.waits_on(3), board.len()), (None, Some("Patient/a"), 1));
        assert!(board.take_released().is_empty());
    }

    #[test]
    fn what_waits_behind_a_head_on_its_way_can_be_taken_and_is_asked_for_when_the_head_is_done() {
        let mut board = board();
        board.update(1, |intent| intent.state = State::InFlight);
        assert_eq!(board.held_up(9), [("Patient/a".into(), 2)]);
        assert_eq!(board.take("Patient/a", true).len(), 1);
        board.set_tail("Patient/a", Some(2));
        assert_eq!(board.line("Patient/a"), Some(Length { len: 1, last: 1, tail: Some(2) }));
        board.remove(1);
        assert_eq!((board.take_emptied(), board.take_released()), (vec!["Patient/a".into()], vec!["Patient/a".into()]));
    }
}
