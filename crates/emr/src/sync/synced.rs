//! A connector that looks before it writes: what the EMR has changed is merged here first, so that no write covers an edit.

use super::apply::{Sync, parse};
use super::overlay::overlay;
use super::pair::{Outgoing, Pair, seen};
use super::project::project;
use super::pulled::{Applied, Pulled};
use super::quality::Quality;
use super::references;
use delivery::{Async, Calls, Check, Destination, Found, Item, Outcome, Problem, Remote, Verdict};
use engine::Keep;
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Reads one record of an EMR. Waits for [`Calls::next`] before each request.
pub trait Reader: Send + std::marker::Sync + std::fmt::Debug {
    /// `None`: it is not there.
    fn read<'a>(
        &'a self,
        name: &'a str,
        remote: &'a Remote,
        calls: &'a Calls,
    ) -> Async<'a, Result<Option<Value>, Outcome>>;
}

/// A connector with synchronisation around it.
#[derive(Debug)]
pub struct Synced<D> {
    inner: Arc<D>,
    sync: Arc<Sync>,
}

impl<D: Destination + Reader> Synced<D> {
    pub fn new(inner: Arc<D>, sync: Arc<Sync>) -> Synced<D> {
        Synced { inner, sync }
    }

    async fn write(&self, item: &Item, calls: &Calls) -> Result<Outcome, Outcome> {
        let Some((ty, id)) = split(&item.key) else { return Ok(self.inner.deliver(item, calls).await) };
        let found;
        let remote = match (&item.remote, &item.body) {
            (Some(remote), _) => remote,
            (None, Some(_)) => return self.create(item, ty, id, calls).await,
            // It may have been written once: what was changed there since is not removed unseen.
            (None, None) => match self.probe(item, calls).await {
                Found::Yes(remote) => {
                    found = remote;
                    &found
                }
                Found::No | Found::Unknown(_) => return Ok(self.inner.deliver(item, calls).await),
            },
        };
        let item = &Item { remote: Some(remote.clone()), ..item.clone() };
        if remote.id.is_empty() {
            // A form or a document: there is no resource to look at.
            return Ok(self.inner.deliver(item, calls).await);
        }
        let read = self.inner.read(&item.name, remote, calls).await?;
        let _lock = self.sync.lock(id).await;
        let Some(theirs) = read else {
            if item.body.is_some() {
                self.sync.gone(ty, &item.key, id).await.map_err(ours)?;
                return Err(Outcome::Refused(Problem::new(410, "it was removed there: a Task asks what is right")));
            }
            return Ok(Outcome::Done(remote.clone()));
        };
        let pair = self.sync.pair(ty, &item.key, remote).await.map_err(ours)?;
        if pair.seen != seen(&theirs) || pair.sent.is_some() {
            let pulled = Pulled { ty, remote: remote.clone(), resource: Some(theirs.clone()) };
            self.keep(&item.key, &Pair { remote: remote.clone(), ..pair }).await?;
            match self.sync.known(&pulled, id, &theirs).await.map_err(ours)? {
                Applied::Waits(_) => return Err(again("it refers to a record that is still to be pulled")),
                Applied::Refused => {
                    return Err(Outcome::Refused(Problem::new(422, "theirs is not valid here: see its Task")));
                }
                Applied::Merged { conflicts, .. } if conflicts > 0 && item.body.is_none() => {
                    return Err(Outcome::Refused(Problem::new(409, "changed there since: a Task asks what is right")));
                }
                _ => {}
            }
        }
        if item.body.is_none() {
            let pair = self.sync.pair(ty, &item.key, remote).await.map_err(ours)?;
            self.keep(&item.key, &pair.removing()).await?;
            return Ok(self.inner.deliver(item, calls).await);
        }
        self.update(item, ty, id, calls).await
    }

    /// Theirs is what the base says.
    async fn update(&self, item: &Item, ty: TypeId, id: &str, calls: &Calls) -> Result<Outcome, Outcome> {
        let remote = item.remote.clone().unwrap_or_default();
        let current = self.sync.rows.feed.current(ty, id).await.map_err(ours)?;
        let current = current.filter(|current| current.resource.version == item.version);
        let local = current.and_then(|current| parse(&current.resource.json));
        let local = local.ok_or_else(|| again("ours has changed meanwhile"))?;
        let pair = self.sync.pair(ty, &item.key, &remote).await.map_err(ours)?;
        let Some(outgoing) = pair.outgoing(self.sync.settings.kind, ty, &local) else {
            return Ok(Outcome::Done(remote));
        };
        self.keep(&item.key, &pair.sending(&outgoing)).await?;
        let item = match outgoing.differs {
            true => &Item { body: Some(self.body(item, ty, &outgoing).await?), ..item.clone() },
            false => item,
        };
        let outcome = self.inner.deliver(item, calls).await;
        if let Outcome::Done(remote) = &outcome {
            let arrived = Pair { seen: 0, version: item.version, ..pair.sending(&outgoing).arrived(remote.clone()) };
            self.keep(&item.key, &arrived).await?;
        }
        Ok(outcome)
    }

    /// The body with theirs where a conflict is open.
    async fn body(&self, item: &Item, ty: TypeId, outgoing: &Outgoing) -> Result<Value, Outcome> {
        let Some(body) = &item.body else { return Ok(Value::Null) };
        let local = match self.sync.localize(ty, body).await.map_err(ours)? {
            Ok(local) => local,
            Err(_) => return Err(again("it refers to a record that is still to be pulled")),
        };
        let kind = self.sync.settings.kind;
        let mut body = overlay(kind, ty, &local, &project(kind, ty, &local, &outgoing.theirs), &outgoing.theirs);
        let mut keys = Vec::new();
        references::walk(&body, &mut |reference| keys.extend(references::plain("", reference).map(str::to_owned)));
        let mut places = Vec::new();
        for key in keys {
            let there = self.sync.rows.delivered(&key).await.map_err(ours)?;
            if let (Some(there), Some((name, _))) = (there, key.split_once('/')) {
                places.push((format!("{name}/{}", there.remote.id), key));
            }
        }
        references::replace(&mut body, &|key| {
            places.iter().find(|(_, ours)| ours == key).map(|(place, _)| place.clone())
        });
        Ok(body)
    }

    async fn create(&self, item: &Item, ty: TypeId, id: &str, calls: &Calls) -> Result<Outcome, Outcome> {
        let linked = {
            let _lock = self.sync.lock(id).await;
            self.sync.rows.delivered(&item.key).await.map_err(ours)?
        };
        if linked.is_some_and(|there| !there.deleted) {
            return Err(again("it has been found there meanwhile"));
        }
        let current = self.sync.rows.feed.current(ty, id).await.map_err(ours)?;
        let current = current.filter(|current| current.resource.version == item.version);
        let content = current.and_then(|current| parse(&current.resource.json));
        let content = content.ok_or_else(|| again("ours has changed meanwhile"))?;
        let Pair { base, .. } = Pair::twins(Remote::default(), self.sync.settings.kind, ty, &content);
        // Should its outcome stay unknown, ours may have changed again before it is found there.
        let sending = Pair { sent: Some(base), version: item.version, ..Pair::strangers(Remote::default()) };
        self.keep(&item.key, &sending).await?;
        let outcome = self.inner.deliver(item, calls).await;
        if let Outcome::Done(remote) = &outcome {
            self.keep(&item.key, &sending.arrived(remote.clone())).await?;
        }
        Ok(outcome)
    }

    /// The pull looks at it anew: what it met last may come back after what was seen or written here.
    async fn keep(&self, key: &str, pair: &Pair) -> Result<(), Outcome> {
        let mut state = self.sync.rows.pair_rows(key, pair);
        state.extend(self.sync.rows.mark_row(key, &pair.remote));
        self.sync.rows.feed.keep(Keep { state, ..Keep::default() }).await.map_err(ours)
    }
}

impl<D: Destination + Reader> Destination for Synced<D> {
    fn deliver<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Outcome> {
        Box::pin(async move { self.write(item, calls).await.unwrap_or_else(|outcome| outcome) })
    }

    fn probe<'a>(&'a self, item: &'a Item, calls: &'a Calls) -> Async<'a, Found> {
        Box::pin(async move {
            let found = self.inner.probe(item, calls).await;
            let Found::Yes(remote) = &found else { return found };
            // The way back is there before delivery is done with it: a pull must not take it for a new one.
            let rows = [self.sync.rows.remote_row(&item.key, remote), self.sync.rows.mark_row(&item.key, remote)];
            let state = rows.into_iter().flatten().collect();
            match self.sync.rows.feed.keep(Keep { state, ..Keep::default() }).await {
                Ok(()) => found,
                Err(error) => Found::Unknown(Problem::new(error.status, "what was found cannot be noted")),
            }
        })
    }

    fn quiesce(&self) -> Duration {
        self.inner.quiesce()
    }

    fn probes(&self) -> u32 {
        self.inner.probes()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}

/// What is not sent: what the EMR would refuse, and echoes of what it has sent itself. Goes into the `Spec`.
#[derive(Debug)]
pub struct SyncCheck {
    sync: Option<Arc<Sync>>,
    quality: Quality,
}

impl SyncCheck {
    /// Without `sync` there are no echoes.
    pub fn new(sync: Option<Arc<Sync>>, quality: Quality) -> SyncCheck {
        SyncCheck { sync, quality }
    }

    async fn is_echo(&self, item: &Item) -> Result<bool, engine::Error> {
        let (Some(sync), Some((ty, id))) = (&self.sync, split(&item.key)) else { return Ok(false) };
        let Some(pair) = sync.rows.pair(&item.key).await? else { return Ok(false) };
        if item.remote.is_none() && !pair.gone {
            // We have deleted it there and created it here again: it is not there, whatever it had.
            return Ok(false);
        }
        let current = sync.rows.feed.current(ty, id).await?;
        let local = current.and_then(|current| parse(&current.resource.json));
        Ok(local.is_some_and(|local| pair.outgoing(sync.settings.kind, ty, &local).is_none()))
    }
}

impl Check for SyncCheck {
    fn check<'a>(&'a self, item: &'a Item) -> Async<'a, Result<Verdict, engine::Error>> {
        Box::pin(async move {
            let Some(body) = &item.body else { return Ok(Verdict::Send) };
            if self.is_echo(item).await? {
                return Ok(Verdict::Nothing);
            }
            let findings = self.quality.findings(body).await?;
            Ok(match findings.is_empty() {
                true => Verdict::Send,
                false => Verdict::Refuse(Problem::new(422, super::quality::text(&findings))),
            })
        })
    }
}

fn split(key: &str) -> Option<(TypeId, &str)> {
    let (name, id) = key.split_once('/')?;
    Some((r4().resource_by_name(name)?, id))
}

/// The reason is on our side: tried again, and no sign of the EMR's health.
fn again(text: &str) -> Outcome {
    Outcome::Retry { problem: Problem::new(409, text), after: Some(Duration::from_millis(200)) }
}

fn ours(error: engine::Error) -> Outcome {
    Outcome::Retry { problem: Problem::new(409, format!("our own store failed ({})", error.status)), after: None }
}
