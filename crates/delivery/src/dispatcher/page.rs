//! Between memory and the shelf: the backlog is on disk, and what cannot go now makes room for what can.

use super::{Dispatcher, ROWS};
use crate::attempt::BACKOFF_MAX_US;
use crate::book::Book;
use crate::intent::{Intent, State};
use crate::shelf::{Place, Why};
use engine::Error;

/// Intents of one patient in memory at most: they go one after the other.
const LINE_MAX: usize = 64;
/// Groups moved in one commit.
const MOVED_MAX: usize = 200;

impl<B: Book> Dispatcher<B> {
    fn line_max(&self) -> usize {
        (self.shared.spec.lookahead / 2).clamp(1, LINE_MAX)
    }

    pub(super) fn room(&self) -> usize {
        self.shared.spec.lookahead.saturating_sub(self.board.len())
    }

    /// Writes down what has been moved.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        self.shelf.counts = self.counts();
        let rows = self.shelf.take_rows(false);
        if rows.is_empty() {
            return Ok(());
        }
        let audit = std::mem::take(&mut self.superseded);
        self.shared.keep(rows, audit).await
    }

    /// Puts an intent into memory, or behind the others of its group on the shelf. `written`: it has a row.
    pub(super) async fn enter(&mut self, intent: Intent, written: bool) -> Result<(), Error> {
        let place = match self.board.line(&intent.group) {
            Some(line) if line.tail.is_some_and(|tail| intent.no < tail) => None,
            Some(line) if line.tail.is_some() => Some(None),
            Some(line) if intent.no < line.last || line.len < self.line_max() => None,
            Some(_) => Some(Some(Place::new(Why::Tail, &intent))),
            None => self.shelf.place(&intent.group).await?.map(|_| None),
        };
        let Some(place) = place else {
            self.board.add(intent, written);
            return Ok(());
        };
        if place.is_some() {
            self.shelf.set_place(&intent.group, place.as_ref()).await?;
            self.board.set_tail(&intent.group, Some(intent.no));
        }
        if written {
            self.shelf.unset_in_work(intent.no);
        }
        self.shelf.insert(&intent);
        Ok(())
    }

    /// Moves intents from memory to the shelf: those of a group, or only those behind its head.
    fn put_away(&mut self, group: &str, behind_head: bool) {
        for (intent, written) in self.board.take(group, behind_head) {
            if written {
                self.shelf.unset_in_work(intent.no);
            }
            self.shelf.insert(&intent);
        }
    }

    /// Takes the first intents of a group back. Nothing of the group may be unwritten. Only what has been planned: after a start
    /// earlier ones of the group may have to be read from the log first.
    async fn take_back(&mut self, group: &str) -> Result<(), Error> {
        let now = self.shared.gate.steady.now_us();
        let quiesce = i64::try_from(self.shared.destination.quiesce().as_micros()).unwrap_or(i64::MAX / 2);
        let count = self.room().clamp(1, self.line_max());
        let mut line = self.shelf.line(group, count + 1).await?;
        let planned = line.iter().take_while(|intent| intent.no <= self.planned).count().min(count);
        let rest = line.drain(planned..).next();
        let why = if planned == 0 { Why::Ready } else { Why::Tail };
        self.ready_on_shelf |= rest.is_some() && planned == 0;
        let rest = rest.map(|rest| Place::new(why, &rest));
        for mut intent in line {
            self.shelf.remove(&intent);
            // Times may be those of an earlier process, and the clock may have been set since.
            match intent.state {
                State::Retry => intent.not_before_us = intent.not_before_us.min(now + BACKOFF_MAX_US),
                State::Probe => intent.not_before_us = intent.not_before_us.min(now + quiesce),
                State::Pending | State::Dead | State::InFlight => {}
            }
            self.shelf.set_in_work(&intent);
            self.board.add(intent, true);
        }
        self.shelf.set_place(group, rest.as_ref()).await?;
        self.board.set_tail(group, rest.map(|rest| rest.no));
        Ok(())
    }

    /// Takes one intent of the group of `no` back, because `no` refers to it.
    pub(super) async fn take_one_back(&mut self, intent: Intent) -> Result<(), Error> {
        self.shelf.remove(&intent);
        self.shelf.set_in_work(&intent);
        self.board.add(intent, true);
        self.flush().await
    }

    /// Refused heads go to the shelf with what is behind them; what was behind others there comes back.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        for (group, no) in self.board.take_dead() {
            let Some(place) = self.board.get(no).map(|head| Place::new(Why::Dead, head)) else { continue };
            self.put_away(&group, false);
            self.shelf.set_place(&group, Some(&place)).await?;
        }
        self.flush().await?;
        for group in self.board.take_emptied() {
            // Unless it has come back meanwhile.
            if self.board.line(&group).is_none() {
                self.take_back(&group).await?;
            }
        }
        self.wake_waiting().await?;
        self.flush().await
    }

    /// What waits on the shelf for a key that is done or gone may go on.
    async fn wake_waiting(&mut self) -> Result<(), Error> {
        let mut moved = 0;
        while moved < MOVED_MAX
            && let Some(key) = self.to_wake.pop()
        {
            let groups = self.shelf.waiting(&key, MOVED_MAX).await?;
            moved += groups.len();
            if groups.len() == MOVED_MAX {
                self.to_wake.push(key);
            }
            for group in groups {
                self.make_ready(&group).await?;
            }
        }
        Ok(())
    }

    /// Notes the keys for which nobody has to wait any more.
    pub(super) fn note_released(&mut self) {
        let released = self.board.take_released();
        self.somebody_waits &= !self.shelf.is_empty();
        if self.somebody_waits {
            self.to_wake.extend(released);
        }
    }

    /// A group that is on the shelf comes back as soon as there is room.
    pub(super) async fn make_ready(&mut self, group: &str) -> Result<(), Error> {
        let Some(place) = self.shelf.place(group).await? else { return Ok(()) };
        if place.why == Why::Tail {
            return Ok(());
        }
        self.ready_on_shelf = true;
        let place = Place { why: Why::Ready, on: None, ..place };
        self.shelf.set_place(group, Some(&place)).await
    }

    /// Takes groups back that can go on, as many as there is room for.
    pub(super) async fn page_in(&mut self) -> Result<(), Error> {
        if !self.ready_on_shelf || self.room() == 0 {
            return Ok(());
        }
        let wanted = self.room().min(MOVED_MAX);
        let heads = self.shelf.heads(Why::Ready, wanted).await?;
        self.ready_on_shelf = heads.len() == wanted;
        for head in heads {
            if self.room() == 0 {
                self.ready_on_shelf = true;
                break;
            }
            self.take_back(&head.group).await?;
        }
        self.flush().await
    }

    /// When memory is full of what cannot go now: puts some of it away. `false`: there is nothing to put away.
    pub(super) async fn make_room(&mut self) -> Result<bool, Error> {
        let blocked = self.board.blocked_heads(MOVED_MAX);
        for (group, no, key) in &blocked {
            let Some(head) = self.board.get(*no) else { continue };
            let place = Place { on: Some(key.clone()), ..Place::new(Why::Waits, head) };
            self.somebody_waits = true;
            self.put_away(group, false);
            self.shelf.set_place(group, Some(&place)).await?;
        }
        let held_up = if blocked.is_empty() { self.board.held_up(MOVED_MAX) } else { Vec::new() };
        for (group, second) in &held_up {
            let Some(place) = self.board.get(*second).map(|second| Place::new(Why::Tail, second)) else { continue };
            let tail = self.board.line(group).and_then(|line| line.tail).map_or(*second, |tail| tail.min(*second));
            self.put_away(group, true);
            self.shelf.set_place(group, Some(&place)).await?;
            self.board.set_tail(group, Some(tail));
        }
        self.flush().await?;
        Ok(!blocked.is_empty() || !held_up.is_empty())
    }

    /// What an earlier process left on the shelf: who was behind intents that it had in memory, and who waited for keys that
    /// are done since.
    pub(super) async fn restore_shelf(&mut self) -> Result<(), Error> {
        (self.ready_on_shelf, self.somebody_waits) = (true, true);
        if self.shelf.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = self.board.groups().map(str::to_owned).collect();
        for group in groups {
            let tail = self.shelf.line(&group, 1).await?;
            self.board.set_tail(&group, tail.first().map(|first| first.no));
        }
        // At most as many as fitted into memory.
        for head in self.shelf.heads(Why::Tail, usize::MAX >> 1).await? {
            if self.board.line(&head.group).is_some() {
                continue;
            }
            let Some(place) = self.shelf.place(&head.group).await? else { continue };
            let place = Place { why: Why::Ready, ..place };
            self.shelf.set_place(&head.group, Some(&place)).await?;
        }
        self.flush().await?;
        let mut after = String::new();
        while let Some(key) = self.shelf.awaited(&after).await? {
            if self.board.of_key(&key).is_none() && self.shelf.of_key(&key).await?.is_none() {
                self.to_wake.push(key.clone());
            }
            after = key;
        }
        Ok(())
    }

    /// Sends refused intents on the shelf again: those with these numbers, or all. Answers how many.
    pub(super) async fn replay(&mut self, numbers: Option<Vec<u64>>) -> Result<usize, Error> {
        let mut count = 0;
        match numbers {
            Some(numbers) => {
                for no in numbers {
                    let Some(intent) = self.shelf.dead_one(no).await? else { continue };
                    self.revive(intent).await?;
                    count += 1;
                }
            }
            None => loop {
                let dead = self.shelf.dead(ROWS).await?;
                if dead.is_empty() {
                    break;
                }
                count += dead.len();
                for intent in dead {
                    self.revive(intent).await?;
                }
                self.flush().await?;
            },
        }
        self.flush().await?;
        Ok(count)
    }

    /// Sends a refused intent on the shelf again.
    pub(super) async fn revive(&mut self, mut intent: Intent) -> Result<(), Error> {
        self.shelf.remove(&intent);
        intent.revive();
        self.shelf.insert(&intent);
        self.make_ready(&intent.group).await
    }
}
