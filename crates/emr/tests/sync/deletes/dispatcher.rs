//! What a dispatcher would do, in an order that the seed decides.

use super::*;

impl History<'_> {
    pub(super) async fn push(&mut self, fate: Fate) {
        self.story.push(format!("push {fate:?}"));
        for key in self.keys.clone() {
            self.site.0.lock().unwrap().fate = fate;
            let before = (self.versions().await, self.site.0.lock().unwrap().records.clone());
            self.deliver(&key).await;
            self.count(&before.0).await;
            let after = self.site.0.lock().unwrap().records.clone();
            for place in before.1.keys().filter(|place| !after.contains_key(*place)) {
                let seen = self.unseen.get(place).unwrap_or(&before.1[place]);
                assert!(content(seen) == content(&before.1[place]), "an edit of {place} is lost");
            }
        }
    }

    /// What the dispatcher does with the newest change of a resource.
    pub(super) async fn deliver(&mut self, key: &str) {
        let Some(current) = self.current(key).await else { return };
        if self.handled.get(key).is_some_and(|seq| *seq >= current.seq) {
            return;
        }
        let known = self.delivered(key).await;
        let remote = known.as_ref().filter(|known| !known.deleted).map(|known| known.remote.clone());
        let is_delete = current.resource.op == Op::Delete;
        let is_there = known.as_ref().is_some_and(|known| known.seq >= current.seq);
        if is_there || is_delete && remote.is_none() && !self.attempted.contains(key) {
            self.handled.insert(key.to_owned(), current.seq);
            return;
        }
        let body = match is_delete {
            true => None,
            false => Some(stripped(&current)),
        };
        let hash = body.as_ref().map_or(0, hash_of);
        let item = Item {
            key: key.to_owned(),
            name: "Patient".into(),
            body,
            remote,
            related: Vec::new(),
            identifier: delivery::Identifier { system: "urn:weir".into(), value: key.replace('/', "-") },
            version: current.resource.version,
        };
        let is_echo = !is_delete && known.is_some_and(|known| known.hash == hash && !known.deleted);
        if is_echo || self.check.check(&item).await.unwrap() == Verdict::Nothing {
            self.story.push(format!("  {key}: nothing"));
            self.handled.insert(key.to_owned(), current.seq);
            self.unsent.remove(key);
            return;
        }
        let calls = &self.house.calls;
        let probes = item.remote.is_none() && item.body.is_some();
        if let Some(seq) = self.uncertain.get(key).copied().filter(|_| probes)
            && let Found::Yes(remote) = self.synced.probe(&item, calls).await
        {
            self.story.push(format!("  {key}: found {}", remote.id));
            let hash = if seq == current.seq { hash } else { 0 };
            self.arrived(key, Delivered { remote, seq, hash, ..Delivered::default() }).await;
            return;
        }
        self.attempted.insert(key.to_owned());
        let outcome = self.synced.deliver(&item, calls).await;
        self.story.push(format!("  {key}: {outcome:?}"));
        if let (Some(remote), Some(_)) = (&item.remote, &item.body) {
            // It was read, and merged into ours, or a Task holds it.
            self.unseen.remove(&remote.id);
            self.compare(&remote.id).await;
        }
        match outcome {
            Outcome::Done(remote) => {
                let there = Delivered { remote, seq: current.seq, deleted: is_delete, hash, ..Delivered::default() };
                self.unsent.remove(key);
                self.arrived(key, there).await;
            }
            Outcome::Unknown(_) => {
                self.repeated += 1;
                if probes {
                    self.uncertain.insert(key.to_owned(), current.seq);
                }
            }
            Outcome::Refused(_) => {
                self.refused.insert(key.to_owned());
                self.handled.insert(key.to_owned(), current.seq);
                self.attempted.remove(key);
                self.unsent.remove(key);
            }
            Outcome::Gone(_) => {
                let known = self.delivered(key).await.unwrap();
                self.keep(key, &Delivered { deleted: true, hash: 0, ..known }).await;
            }
            Outcome::Retry { .. } => {}
        }
    }

    pub(super) async fn arrived(&mut self, key: &str, there: Delivered) {
        self.uncertain.remove(key);
        self.attempted.remove(key);
        self.handled.insert(key.to_owned(), there.seq);
        self.keep(key, &Delivered { group: key.to_owned(), ..there }).await;
    }

    pub(super) fn idmap(&self) -> String {
        format!("delivery/{}/idmap", self.name())
    }

    pub(super) fn marks(&self) -> String {
        format!("sync/{}/mark/Patient", self.name())
    }

    pub(super) fn name(&self) -> String {
        format!("emr{}", id_of(&self.keys[0]).trim_start_matches('h'))
    }

    pub(super) async fn delivered(&self, key: &str) -> Option<Delivered> {
        let row = self.house.feed.state(&self.idmap(), key).await.unwrap()?;
        Some(serde_json::from_slice(&row).unwrap())
    }

    pub(super) async fn keep(&self, key: &str, there: &Delivered) {
        let value = Some(serde_json::to_vec(there).unwrap());
        let state = vec![StateChange { space: self.idmap(), key: key.to_owned(), value }];
        self.house.feed.keep(Keep { state, ..Keep::default() }).await.unwrap();
    }
}
