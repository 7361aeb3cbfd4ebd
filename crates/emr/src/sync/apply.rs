//! Takes one record of the EMR into the house.

use super::book::Rows;
use super::pair::{Incoming, Pair, is_withdrawn, seen};
use super::project::Kind;
use super::pulled::{Applied, Finder, Match, Pulled, Tombstone};
use super::{references, task};
use delivery::{Delivered, Intent, Remote};
use engine::{Engine, Error, Followed, IfMatch, Keep, Page, Precondition, Search, Session};
use fhir::defs::{TypeId, r4};
use fhir::json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use store::{AuditRecord, Op};
use tokio::sync::{Mutex, MutexGuard};

/// Times a merge is tried again when others write the same resource.
const ATTEMPTS_MAX: usize = 8;
/// Records of different keys seldom share a lock.
const LOCKS: usize = 64;

#[derive(Clone, Debug)]
pub struct Settings {
    /// That of the destination.
    pub name: String,
    pub kind: Kind,
    /// The FHIR base of the EMR: of its absolute references, and the `meta.source` of what comes from it.
    pub base: String,
    /// That of the destination's `Spec`.
    pub identifier_system: String,
    /// Types that are pulled: references to others become logical ones.
    pub types: Vec<TypeId>,
    pub tombstone: Tombstone,
}

/// Synchronisation with one EMR. One per destination and process, shared by its pull and its [`super::Synced`] connector.
#[derive(Debug)]
pub struct Sync {
    pub(super) engine: Engine,
    pub(super) session: Session,
    pub(super) settings: Settings,
    pub(crate) rows: Rows,
    finder: Arc<dyn Finder>,
    locks: Vec<Mutex<()>>,
    /// What was looked for there in vain: references to it keep their address.
    absent: std::sync::Mutex<BTreeSet<String>>,
}

impl Sync {
    pub async fn new(
        engine: Engine,
        session: Session,
        settings: Settings,
        finder: Arc<dyn Finder>,
    ) -> Result<Sync, Error> {
        let feed = engine.feed(&session).await?;
        let rows = Rows { feed, name: settings.name.clone() };
        rows.index_delivered().await?;
        let locks = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Ok(Sync { engine, session, settings, rows, finder, locks, absent: Default::default() })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether references to `Type/id there` wait for it.
    pub(crate) fn set_absent(&self, place: &str, is_absent: bool) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        match is_absent {
            true => drop(absent.insert(place.to_owned())),
            false => drop(absent.remove(place)),
        }
    }

    fn is_absent(&self, place: &str) -> bool {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner).contains(place)
    }

    /// Our creations that may be there without our knowing their ids. To be asked after the EMR was read and before what was read
    /// is applied.
    pub(crate) async fn doubtful(&self) -> Result<Vec<Intent>, Error> {
        self.rows.doubtful().await
    }

    /// Whether a record that is not known may be one of these: it is looked at again later.
    pub(crate) async fn is_in_doubt(&self, pulled: &Pulled, doubtful: &[Intent]) -> Result<bool, Error> {
        let name = r4().ty(pulled.ty).name;
        let Some(theirs) = pulled.resource.as_ref().filter(|_| !doubtful.is_empty()) else { return Ok(false) };
        if self.rows.local(&format!("{name}/{}", pulled.remote.id)).await?.is_some() {
            return Ok(false);
        }
        let key_of = |one: &Value| one.str("value").map(|value| value.replacen('-', "/", 1));
        let keys: Vec<String> = theirs.list("identifier").iter().filter_map(key_of).collect();
        let of_type = |intent: &&Intent| intent.key.split('/').next() == Some(name);
        let mut same_type = doubtful.iter().filter(of_type).peekable();
        if same_type.peek().is_none() || matches!(name, "Patient" | "Practitioner" | "Organization") {
            // They carry our identifier.
            return Ok(same_type.any(|intent| keys.contains(&intent.key)));
        }
        let mut patient = None;
        references::walk(theirs, &mut |reference| {
            let place = references::plain(&self.settings.base, reference);
            patient = patient.take().or(place.filter(|place| place.starts_with("Patient/")).map(str::to_owned));
        });
        let group = match patient {
            Some(place) => self.rows.local(&place).await?.map(|id| format!("Patient/{id}")),
            None => None,
        };
        Ok(same_type
            .any(|intent| group.as_ref().is_none_or(|group| *group == intent.group) || keys.contains(&intent.key)))
    }

    /// May be repeated: what is applied already is an echo.
    pub async fn apply(&self, pulled: &Pulled) -> Result<Applied, Error> {
        let name = r4().ty(pulled.ty).name;
        let place = format!("{name}/{}", pulled.remote.id);
        let known = self.rows.local(&place).await?;
        let (theirs, id) = match (&pulled.resource, known) {
            (None, None) => return Ok(Applied::Echo),
            (None, Some(id)) => {
                let _lock = self.lock(&id).await;
                let key = format!("{name}/{id}");
                // Otherwise that is known, and ours may be on its way to another record.
                let is_its = match self.rows.delivered(&key).await? {
                    Some(there) => !there.deleted && there.remote.id == pulled.remote.id,
                    None => self.rows.pair(&key).await?.is_some_and(|pair| pair.remote.id == pulled.remote.id),
                };
                if !is_its {
                    return Ok(Applied::Gone);
                }
                return self.gone(pulled.ty, &key, &id).await;
            }
            (Some(theirs), Some(id)) => (theirs, Some(id)),
            (Some(theirs), None) => (theirs, self.written_by_us(name, &pulled.remote, theirs).await?),
        };
        match id {
            Some(id) => {
                let _lock = self.lock(&id).await;
                match self.has_another(&format!("{name}/{id}"), &pulled.remote).await? {
                    true => self.unsure(&place).await,
                    false => self.known(pulled, &id, theirs).await,
                }
            }
            None => self.unknown(pulled, &place, theirs).await,
        }
    }

    /// Whether ours is another record there by now, or may be: this one was removed, or given up, before ours was written again.
    async fn has_another(&self, key: &str, remote: &Remote) -> Result<bool, Error> {
        match self.rows.delivered(key).await?.filter(|there| !there.deleted) {
            Some(there) => Ok(!there.remote.id.is_empty() && there.remote.id != remote.id),
            // A creation whose outcome nobody knows.
            None => {
                let pair = self.rows.pair(key).await?;
                Ok(pair.is_some_and(|pair| pair.sent.is_some() && pair.remote.id.is_empty()))
            }
        }
    }

    pub(super) async fn lock(&self, id: &str) -> MutexGuard<'_, ()> {
        let hash = id.bytes().fold(7_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.locks[hash % LOCKS].lock().await
    }

    /// A record that carries our identifier, and that delivery knows: its answer was lost before it could be noted.
    async fn written_by_us(&self, name: &str, remote: &Remote, theirs: &Value) -> Result<Option<String>, Error> {
        for identifier in theirs.list("identifier") {
            let id = identifier.str("value").and_then(|value| value.strip_prefix(name)?.strip_prefix('-'));
            let Some(id) = id else { continue };
            let there = self.rows.delivered(&format!("{name}/{id}")).await?;
            if there.is_some_and(|there| there.remote.id == remote.id) {
                return Ok(Some(id.to_owned()));
            }
        }
        Ok(None)
    }

    /// Their resource with our references and without our identifier; or a record that must come first.
    pub(super) async fn localize(&self, ty: TypeId, theirs: &Value) -> Result<Result<Value, String>, Error> {
        let mut places = Vec::new();
        let base = self.settings.base.as_str();
        references::walk(theirs, &mut |reference| places.extend(references::plain(base, reference).map(str::to_owned)));
        let mut ours = Vec::new();
        for place in places {
            let (name, _) = place.split_once('/').unwrap_or_default();
            match self.rows.local(&place).await? {
                Some(id) => ours.push((place.clone(), format!("{name}/{id}"))),
                None if !self.is_absent(&place) && self.pulls(name) => return Ok(Err(place)),
                // Nothing here will ever have it: it stays theirs, with its full address.
                None => ours.push((place.clone(), format!("{base}/{place}"))),
            }
        }
        let system = self.settings.identifier_system.as_str();
        let mut value = theirs.clone();
        references::replace(&mut value, &|key| {
            if let Some(ours) = key.strip_prefix(system).and_then(|rest| rest.strip_prefix('|')) {
                return ours.split_once('-').map(|(name, id)| format!("{name}/{id}"));
            }
            let place = references::plain(base, key)?;
            ours.iter().find(|(other, _)| other == place).map(|(_, ours)| ours.clone())
        });
        self.without_our_identifier(r4().ty(ty).name, &mut value);
        Ok(Ok(value))
    }

    /// Applies it anew next time, though nothing has changed there.
    pub(crate) async fn forget_seen(&self, pulled: &Pulled) -> Result<(), Error> {
        let name = r4().ty(pulled.ty).name;
        let Some(id) = self.rows.local(&format!("{name}/{}", pulled.remote.id)).await? else { return Ok(()) };
        let _lock = self.lock(&id).await;
        let key = format!("{name}/{id}");
        let Some(pair) = self.rows.pair(&key).await? else { return Ok(()) };
        let state = self.rows.pair_rows(&key, &Pair { seen: 0, ..pair });
        self.rows.feed.keep(Keep { state, ..Keep::default() }).await
    }

    /// A search in the house as the one who synchronises.
    pub(crate) async fn search(&self, search: &Search<'_>) -> Result<Page, Error> {
        self.engine.search(&self.session, search).await
    }

    fn pulls(&self, name: &str) -> bool {
        self.settings.types.iter().any(|ty| r4().ty(*ty).name == name)
    }

    fn without_our_identifier(&self, name: &str, value: &mut Value) {
        let Value::Object(members) = value else { return };
        let prefix = format!("{name}-");
        let is_ours = |one: &Value| {
            one.str("system") == Some(&self.settings.identifier_system)
                || self.settings.kind == Kind::OpenEmr
                    && one.str("value").is_some_and(|value| value.starts_with(&prefix))
        };
        for (_, member) in members.iter_mut().filter(|(member, _)| member == "identifier") {
            if let Value::Array(list) = member {
                list.retain(|one| !is_ours(one));
            }
        }
        members.retain(|(name, member)| !(name == "identifier" && super::canonical::is_empty(member)));
    }

    /// What both had last, as far as it is known: the row, or what delivery has written.
    pub(super) async fn pair(&self, ty: TypeId, key: &str, remote: &Remote) -> Result<Pair, Error> {
        if let Some(pair) = self.rows.pair(key).await? {
            return Ok(pair);
        }
        let Some(there) = self.rows.delivered(key).await? else { return Ok(Pair::strangers(remote.clone())) };
        if there.hash == 0 || there.seq == 0 {
            return Ok(Pair::strangers(there.remote));
        }
        let versions = self.rows.feed.changes(there.seq - 1, 1).await?;
        let written = versions.first().filter(|version| {
            version.seq == there.seq
                && key.strip_prefix(r4().ty(version.resource.ty).name) == Some(&format!("/{}", version.resource.id))
        });
        match written.and_then(|version| parse(&version.resource.json)) {
            Some(content) => Ok(Pair::twins(there.remote, self.settings.kind, ty, &content)),
            None => Ok(Pair::strangers(there.remote)),
        }
    }

    /// The caller holds the lock of `id`.
    pub(super) async fn known(&self, pulled: &Pulled, id: &str, theirs: &Value) -> Result<Applied, Error> {
        let key = format!("{}/{id}", r4().ty(pulled.ty).name);
        let pair = self.pair(pulled.ty, &key, &pulled.remote).await?;
        if pair.seen == seen(theirs) && pair.sent.is_none() && !pair.gone {
            return Ok(Applied::Echo);
        }
        let local = match self.localize(pulled.ty, theirs).await? {
            Ok(local) => local,
            Err(place) => return Ok(Applied::Waits(place)),
        };
        let was_removed = self.rows.delivered(&key).await?.is_some_and(|there| there.deleted);
        for _ in 0..ATTEMPTS_MAX {
            match self.rows.feed.current(pulled.ty, id).await? {
                // What we have taken back there: ours was created again since, and goes there as a new one.
                Some(current)
                    if was_removed && !pair.gone && current.resource.op != Op::Delete && is_withdrawn(&local) =>
                {
                    return Ok(Applied::Merged { wrote: false, conflicts: 0 });
                }
                None => return self.create(pulled, id, theirs, &local).await,
                Some(current) if current.resource.op == Op::Delete => {
                    return self.deleted_here(pulled, &key, &pair, theirs, &local).await;
                }
                Some(current) => {
                    if let Some(applied) = self.merge(pulled, &key, &pair, &current, theirs, &local).await? {
                        return Ok(applied);
                    }
                }
            }
        }
        Err(Error { status: 503, issues: Vec::new(), version: None })
    }

    /// `None`: somebody has written ours meanwhile.
    async fn merge(
        &self,
        pulled: &Pulled,
        key: &str,
        pair: &Pair,
        current: &Followed,
        theirs: &Value,
        local: &Value,
    ) -> Result<Option<Applied>, Error> {
        let Some(ours) = parse(&current.resource.json) else { return Ok(Some(Applied::Refused)) };
        let Incoming { ours: new, mut next, conflicts, overruled } =
            pair.incoming(self.settings.kind, pulled.ty, &ours, local);
        if !conflicts.is_empty() {
            task::conflict(&self.engine, &self.session, &self.settings.name, key, &conflicts).await?;
        }
        let wrote = new.is_some();
        next.version = current.resource.version;
        if let Some(new) = new {
            let if_match = Some(IfMatch::Versions(vec![current.resource.version]));
            let precondition = Precondition { if_match, ..Precondition::default() };
            let body = new.to_string();
            let id = current.resource.id.as_str();
            match self.engine.update(&self.session, pulled.ty, Some(id), body.as_bytes(), &precondition).await {
                Ok(written) => next.version = written.resource.map_or(next.version, |resource| resource.version),
                Err(error) if matches!(error.status, 409 | 412) => return Ok(None),
                Err(error) if error.status < 500 => return self.refused(pulled).await.map(Some),
                Err(error) => return Err(error),
            }
        }
        next.seen = seen(theirs);
        next.remote = remote(&pair.remote, &pulled.remote);
        let audit = overruled.into_iter().map(|one| {
            let query = format!("{}={}", one.path, if one.was_ours { "ours" } else { "theirs" });
            self.record("sync-overrule", key, Some(query))
        });
        let audit = audit.chain(wrote.then(|| self.pulled_from(pulled, key)));
        let mut state = self.rows.pair_rows(key, &next);
        let there = self.rows.delivered(key).await?;
        if there.as_ref().is_some_and(|there| there.deleted) {
            // It is back: ours goes to it, and not to a second one.
            state.push(self.rows.idmap_row(key, &linked(&next.remote, key, local)));
        } else if let Some(there) = there.filter(|there| there.hash != 0) {
            // What was written last is not there any more: written here again, it is no echo.
            state.push(self.rows.idmap_row(key, &Delivered { hash: 0, ..there }));
        }
        self.rows.feed.keep(Keep { state, audit: audit.collect(), ..Keep::default() }).await?;
        Ok(Some(Applied::Merged { wrote, conflicts: conflicts.len() }))
    }

    async fn unknown(&self, pulled: &Pulled, place: &str, theirs: &Value) -> Result<Applied, Error> {
        let local = match self.localize(pulled.ty, theirs).await? {
            Ok(local) => local,
            Err(place) => return Ok(Applied::Waits(place)),
        };
        let found = self.finder.find(&self.engine, &self.session, pulled.ty, &local).await?;
        let found = match found {
            Match::One(id) => {
                let key = format!("{}/{id}", r4().ty(pulled.ty).name);
                // Two of them are one, or may be: a creation of ours may have arrived.
                let in_doubt = |pair: Pair| pair.sent.is_some() && pair.remote.id.is_empty();
                let is_other =
                    self.has_another(&key, &pulled.remote).await? || self.rows.pair(&key).await?.is_some_and(in_doubt);
                if is_other { Match::Unsure } else { Match::One(id) }
            }
            found => found,
        };
        match found {
            Match::No => self.create(pulled, &new_id(&self.engine), theirs, &local).await,
            Match::One(id) => {
                let _lock = self.lock(&id).await;
                let key = format!("{}/{id}", r4().ty(pulled.ty).name);
                let pair = Pair::strangers(pulled.remote.clone());
                let mut state = self.rows.pair_rows(&key, &pair);
                if self.rows.delivered(&key).await?.is_none_or(|there| there.deleted) {
                    state.push(self.rows.idmap_row(&key, &linked(&pulled.remote, &key, &local)));
                }
                self.rows
                    .feed
                    .keep(Keep { state, audit: vec![self.record("sync-link", &key, None)], ..Keep::default() })
                    .await?;
                self.known(pulled, &id, theirs).await
            }
            Match::Unsure => self.unsure(place).await,
        }
    }

    async fn unsure(&self, place: &str) -> Result<Applied, Error> {
        let reason = format!("a record of {} may be here already: link or merge them", self.settings.name);
        let place = format!("{}/{place}", self.settings.name);
        task::remote(&self.engine, &self.session, "sync-duplicate", &reason, &place).await?;
        Ok(Applied::Unsure)
    }

    /// The rows come first: delivery must know that it is there before it sees it here.
    async fn create(&self, pulled: &Pulled, id: &str, theirs: &Value, local: &Value) -> Result<Applied, Error> {
        let key = format!("{}/{id}", r4().ty(pulled.ty).name);
        let mut pair = Pair::twins(pulled.remote.clone(), self.settings.kind, pulled.ty, local);
        pair.seen = seen(theirs);
        pair.version = 1;
        let mut state = self.rows.pair_rows(&key, &pair);
        state.push(self.rows.idmap_row(&key, &linked(&pulled.remote, &key, local)));
        let audit = vec![self.pulled_from(pulled, &key)];
        self.rows.feed.keep(Keep { state, audit, ..Keep::default() }).await?;
        let mut body = local.clone();
        body.set("id", id);
        let mut meta = Value::Object(Vec::new());
        meta.set("source", format!("{}/{}/{}", self.settings.base, r4().ty(pulled.ty).name, pulled.remote.id));
        body.set("meta", meta);
        let precondition = Precondition { must_not_exist: true, ..Precondition::default() };
        match self.engine.update(&self.session, pulled.ty, Some(id), body.to_string().as_bytes(), &precondition).await {
            Ok(_) => Ok(Applied::Created(key)),
            Err(error) if error.status < 500 => self.refused(pulled).await,
            Err(error) => Err(error),
        }
    }

    async fn refused(&self, pulled: &Pulled) -> Result<Applied, Error> {
        let place = format!("{}/{}/{}", self.settings.name, r4().ty(pulled.ty).name, pulled.remote.id);
        let reason = format!("a record of {} is not valid as it would be here: correct it there", self.settings.name);
        task::remote(&self.engine, &self.session, "sync-invalid", &reason, &place).await?;
        Ok(Applied::Refused)
    }

    /// Says where the content of ours came from.
    fn pulled_from(&self, pulled: &Pulled, key: &str) -> AuditRecord {
        let from = format!("{}/{}/{}", self.settings.base, r4().ty(pulled.ty).name, pulled.remote.id);
        self.record("sync-pull", key, Some(format!("from={from}")))
    }

    pub(super) fn record(&self, interaction: &str, key: &str, query: Option<String>) -> AuditRecord {
        AuditRecord {
            at_us: self.engine.now_us(),
            interaction: interaction.into(),
            outcome: 0,
            status: 200,
            who: format!("sync/{}", self.settings.name),
            request_id: String::new(),
            entity: key.to_owned(),
            patient: key.starts_with("Patient/").then(|| key.to_owned()),
            query,
        }
    }
}

pub(super) fn parse(json: &[u8]) -> Option<Value> {
    Value::parse(std::str::from_utf8(json).ok()?).ok()
}

/// Delivery's row of a record that it has not written itself.
fn linked(remote: &Remote, key: &str, local: &Value) -> Delivered {
    let subject = ["subject", "patient"].iter().find_map(|name| local.path(&[name, "reference"])?.as_str());
    let group = subject.filter(|subject| subject.starts_with("Patient/")).unwrap_or(key).to_owned();
    Delivered { remote: remote.clone(), group, ..Delivered::default() }
}

/// What a pull knows of a record is less than what a write has learned.
fn remote(known: &Remote, pulled: &Remote) -> Remote {
    if known.id == pulled.id && pulled.more.is_empty() { known.clone() } else { pulled.clone() }
}

/// 128 random bits.
fn new_id(engine: &Engine) -> String {
    let mut random = [0; 16];
    engine.fill_random(&mut random);
    let mut id = format!("{:032x}", u128::from_be_bytes(random));
    for at in [20, 16, 12, 8] {
        id.insert(at, '-');
    }
    id
}
