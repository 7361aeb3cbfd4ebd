//! Numbers over several tenants, of persons and not of records: who is known to two of them is counted once, with all doses.
//!
//! Tenants' own tokens cannot be compared, and stay where they are. For one count the Patients of all tenants get tokens under a
//! key that is drawn for it and forgotten with it. Two persons of different tenants are one when certain tokens agree: see
//! [`certain`]. Less than that leaves them apart: a count rather holds somebody twice than takes two for one.

use crate::pages::PersonPages;
use crate::patient::Demographics;
use crate::row::{PersonId, Row};
use crate::stats::{self, Count, Stats, StatsQuery, hide_small};
use crate::summary::cells;
use crate::tally::Tally;
use crate::{Census, Definitions, Registry, cell::Delta};
use engine::{Engine, Error, Feed, Session};
use identity::{PairKey, PartnerTokens, Rule, partner_tokens};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::TenantId;
use vaccines::Date;

/// A token that more persons share tells nobody apart.
const SHARED_MAX: usize = 16;

/// A count over several tenants, of one moment.
pub struct Network {
    about: Counted,
    today: Date,
    tally: Tally,
    definitions: Arc<Definitions>,
    census: Option<Arc<Census>>,
}

/// Who was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub tenants: Vec<CountedTenant>,
    /// Persons of the network, the dead too.
    pub persons: Count,
    /// Of them those who are known to several tenants.
    pub joined: Count,
    /// Groups of persons that agree, but among whom two are of one tenant, which takes them for two: left apart.
    pub contradicted: Count,
    /// When it was counted, in microseconds since 1970.
    pub at_us: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountedTenant {
    pub tenant: String,
    pub persons: Count,
    /// Patients.
    pub records: Count,
}

impl Counted {
    /// Without small counts.
    fn hidden(mut self) -> Counted {
        for count in [&mut self.persons, &mut self.joined, &mut self.contradicted] {
            *count = count.filter(|n| !stats::is_small(*n));
        }
        let mut persons: Vec<Count> = self.tenants.iter().map(|tenant| tenant.persons).collect();
        let mut records: Vec<Count> = self.tenants.iter().map(|tenant| tenant.records).collect();
        hide_small(&mut persons);
        hide_small(&mut records);
        for ((tenant, persons), records) in self.tenants.iter_mut().zip(persons).zip(records) {
            (tenant.persons, tenant.records) = (persons, records);
        }
        self
    }
}

/// The numbers of a [`Network`].
#[derive(Clone, Debug, Serialize)]
pub struct NetworkStats {
    pub network: Counted,
    #[serde(flatten)]
    pub stats: Stats,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.about.fmt(f)
    }
}

impl Network {
    pub fn counted(&self) -> &Counted {
        &self.about
    }

    /// The day as of which it holds.
    pub fn today(&self) -> Date {
        self.today
    }

    /// As [`Registry::stats`]. Clinics are `TENANT/Location/1`. A census table counts that is for all tenants.
    pub fn stats(&self, query: &StatsQuery) -> Result<NetworkStats, Error> {
        let census = |_: Date| self.census.clone();
        let at = (self.today, self.about.at_us);
        let stats = stats::reckon(&self.tally, &self.definitions, at, census, query)?;
        let network = self.about.clone();
        Ok(NetworkStats { network: if query.suppress { network.hidden() } else { network }, stats })
    }
}

/// What must agree for two persons to be one, as keys of which one in common is enough:
/// telephone number, given name and birth date; or street, postal code, given name and birth date; or an identifier of one
/// assigner and birth date together with both names, by themselves or by nickname. Names and birth date alone are not enough,
/// nor is an identifier alone, which twins may share.
fn certain(tokens: &PartnerTokens) -> Vec<u64> {
    let of = |rules: &[Rule]| -> Vec<u64> {
        tokens.iter().filter(|(rule, _)| rules.contains(rule)).map(|(_, token)| token).collect()
    };
    let mut keys = of(&[Rule::PhoneFirstBirth, Rule::AddressFirstBirth]);
    let names = of(&[Rule::NamesBirth, Rule::NicknameBirth]);
    for number in of(&[Rule::NumberBirth]) {
        // Both are keyed hashes of their own: so is what they make together.
        keys.extend(names.iter().map(|name| number.rotate_left(32) ^ name));
    }
    keys
}

/// A tenant as it is counted.
struct Part {
    session: Session,
    feed: Feed,
}

/// A person of one of the tenants.
type Node = (u16, PersonId);

impl Registry {
    /// The tenants that are open, by name.
    pub fn tenants(&self) -> Vec<TenantId> {
        let mut tenants: Vec<TenantId> = self.inner.tenancies.read().keys().cloned().collect();
        tenants.sort_by(|one, other| one.0.cmp(&other.0));
        tenants
    }

    /// Counts the persons of all open tenants anew. Reads every Patient; writes go on meanwhile, so that the numbers are of about
    /// this moment. Each tenant's audit trail says who asked.
    pub async fn network(&self, engine: &Engine, session: &Session) -> Result<Network, Error> {
        let mut parts = Vec::new();
        for tenant in self.tenants() {
            let session = Session { tenant, ..session.clone() };
            parts.push(Part { feed: engine.feed(&session).await?, session });
        }
        let mut secret = [0; 32];
        self.fill_random(&mut secret);
        let at_us = self.now_us();
        let (groups, tenants) = self.agreeing(&parts, &PairKey::new(&secret)).await?;
        let mut counting = Counting::new(self, &parts);
        for (at, part) in (0..).zip(&parts) {
            let mut persons = PersonPages::new(&part.feed);
            while let Some(page) = persons.next().await? {
                page.into_iter().for_each(|(person, row)| counting.add((at, person), row, &groups));
            }
        }
        let network = counting.finish(tenants, groups.contradicted, at_us);
        self.note_network(engine, session).await?;
        Ok(network)
    }

    /// Notes in each tenant that somebody was given the numbers, of this count or of an earlier one.
    pub async fn note_network(&self, engine: &Engine, session: &Session) -> Result<(), Error> {
        for tenant in self.tenants() {
            let session = Session { tenant, ..session.clone() };
            let record = engine.audit_record(&session, "network-count", String::new(), None, 200);
            engine.note_access(&session, vec![record]).await?;
        }
        Ok(())
    }

    /// Which persons of several tenants are one.
    async fn agreeing(&self, parts: &[Part], key: &PairKey) -> Result<(Groups, Vec<CountedTenant>), Error> {
        let (mut found, mut tenants) = (Found::default(), Vec::new());
        for (at, part) in (0..).zip(parts) {
            let (mut persons, mut records) = (0, 0);
            let mut pages = PersonPages::new(&part.feed);
            while let Some(page) = pages.next().await? {
                for (person, row) in page {
                    persons += u64::from(!row.records.is_empty());
                    records += row.records.len() as u64;
                    let mut keys = Vec::new();
                    for record in &row.records {
                        // One that was deleted just now has none.
                        let Some(demographics) = Demographics::current(&part.feed, &record.id).await? else { continue };
                        keys.extend(certain(&demographics.read(|person| partner_tokens(key, person))));
                    }
                    found.add((at, person), keys);
                }
            }
            let tenant = part.session.tenant.0.clone();
            tenants.push(CountedTenant { tenant, persons: Some(persons), records: Some(records) });
        }
        Ok((found.groups(), tenants))
    }
}

/// Persons with what is certain of them.
#[derive(Default)]
struct Found {
    nodes: Vec<Node>,
    /// Key and number of the node.
    keys: Vec<(u64, u32)>,
}

/// Persons who are one, by each of them.
#[derive(Default)]
struct Groups {
    of: HashMap<Node, u32>,
    /// How many persons of a tenant each group has.
    sizes: Vec<usize>,
    contradicted: u64,
}

impl Found {
    fn add(&mut self, node: Node, mut keys: Vec<u64>) {
        if keys.is_empty() {
            return;
        }
        keys.sort_unstable();
        keys.dedup();
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        self.keys.extend(keys.into_iter().map(|key| (key, number)));
    }

    fn groups(mut self) -> Groups {
        self.keys.sort_unstable();
        let mut parents: Vec<u32> = (0..self.nodes.len() as u32).collect();
        for shared in self.keys.chunk_by(|one, other| one.0 == other.0) {
            if (2..=SHARED_MAX).contains(&shared.len()) {
                for pair in shared.windows(2) {
                    let (one, other) = (root(&mut parents, pair[0].1), root(&mut parents, pair[1].1));
                    parents[one.max(other) as usize] = one.min(other);
                }
            }
        }
        let mut members: BTreeMap<u32, Vec<Node>> = BTreeMap::new();
        for number in 0..self.nodes.len() as u32 {
            let root = root(&mut parents, number);
            members.entry(root).or_default().push(self.nodes[number as usize]);
        }
        let mut groups = Groups::default();
        for mut nodes in members.into_values().filter(|nodes| nodes.len() > 1) {
            nodes.sort_unstable();
            // Who a tenant takes for two persons is not one because another tenant's agrees with both.
            if nodes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                groups.contradicted += 1;
                continue;
            }
            let group = groups.sizes.len() as u32;
            groups.sizes.push(nodes.len());
            groups.of.extend(nodes.into_iter().map(|node| (node, group)));
        }
        groups
    }
}

fn root(parents: &mut [u32], mut number: u32) -> u32 {
    while parents[number as usize] != number {
        let above = parents[parents[number as usize] as usize];
        parents[number as usize] = above;
        number = above;
    }
    number
}

/// Rows on their way into the tally.
struct Counting {
    today: Date,
    definitions: Arc<Definitions>,
    census: Option<Arc<Census>>,
    /// Names of the tenants.
    names: Vec<String>,
    tally: Tally,
    /// Of groups: the row so far, and how many of its persons it has.
    waiting: HashMap<u32, (Row, usize)>,
    persons: u64,
    joined: u64,
}

impl Counting {
    fn new(registry: &Registry, parts: &[Part]) -> Counting {
        let today = registry.today();
        Counting {
            today,
            definitions: registry.definitions(),
            census: registry.census(&TenantId(String::new()), today),
            names: parts.iter().map(|part| part.session.tenant.0.clone()).collect(),
            tally: Tally::default(),
            waiting: HashMap::new(),
            persons: 0,
            joined: 0,
        }
    }

    fn add(&mut self, node: Node, mut row: Row, groups: &Groups) {
        if row.records.is_empty() {
            return;
        }
        self.own(&mut row, &self.names[usize::from(node.0)].clone());
        let Some(group) = groups.of.get(&node).copied() else {
            let is_stale = row.is_stale(&self.definitions, self.today);
            return self.count(row, is_stale, false);
        };
        let (mut all, had) = self.waiting.remove(&group).unwrap_or_default();
        all.join(row);
        match had + 1 == groups.sizes[group as usize] {
            true => self.count(all, true, true),
            false => drop(self.waiting.insert(group, (all, had + 1))),
        }
    }

    /// Ids and clinics of one tenant mean nothing in another.
    fn own(&self, row: &mut Row, tenant: &str) {
        let name = |id: &mut String| *id = format!("{tenant}/{id}");
        row.records.iter_mut().for_each(|record| name(&mut record.id));
        for dose in &mut row.doses {
            name(&mut dose.id);
            name(&mut dose.record);
            dose.clinic.iter_mut().for_each(name);
        }
        for finding in &mut row.findings {
            name(&mut finding.of);
            name(&mut finding.record);
        }
        let summary = &mut row.summary;
        summary.counted.iter_mut().chain(&mut summary.duplicates).for_each(name);
        summary.void.iter_mut().for_each(|void| name(&mut void.dose));
    }

    fn count(&mut self, mut row: Row, assess: bool, joined: bool) {
        if assess {
            self.definitions.summarise(&mut row, self.today);
        }
        let mut delta = Delta::default();
        delta.add(cells(&row), 1);
        self.tally.apply(&delta);
        self.persons += 1;
        self.joined += u64::from(joined);
    }

    fn finish(mut self, tenants: Vec<CountedTenant>, contradicted: u64, at_us: i64) -> Network {
        // Some of their persons have gone meanwhile: merged with others, or deleted.
        for (row, had) in std::mem::take(&mut self.waiting).into_values() {
            self.count(row, true, had > 1);
        }
        let Counting { today, tally, definitions, census, persons, joined, .. } = self;
        Network {
            about: Counted {
                tenants,
                persons: Some(persons),
                joined: Some(joined),
                contradicted: Some(contradicted),
                at_us,
            },
            today,
            tally,
            definitions,
            census,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(tenant: u16, n: u128) -> Node {
        (tenant, PersonId::of(uuid::Uuid::from_u128(n)))
    }

    fn groups(all: &[(Node, &[u64])]) -> Groups {
        let mut found = Found::default();
        all.iter().for_each(|(node, keys)| found.add(*node, keys.to_vec()));
        found.groups()
    }

    #[test]
    fn persons_with_a_key_in_common_are_one_over_others_too() {
        let (a, b, c, d) = (node(0, 1), node(1, 1), node(2, 1), node(2, 2));
        let groups = groups(&[(a, &[1, 2]), (b, &[2, 3]), (c, &[3]), (d, &[9])]);
        assert_eq!((groups.sizes.as_slice(), groups.contradicted), (&[3][..], 0));
        assert!(groups.of[&a] == groups.of[&b] && groups.of[&b] == groups.of[&c] && !groups.of.contains_key(&d));
    }

    #[test]
    fn whom_a_tenant_takes_for_two_stays_two() {
        let groups = groups(&[
            (node(0, 1), &[1]),
            (node(1, 1), &[1, 2]),
            (node(0, 2), &[2]),
            (node(1, 9), &[7]),
            (node(0, 9), &[7]),
        ]);
        assert_eq!((groups.sizes.as_slice(), groups.contradicted, groups.of.len()), (&[2][..], 1, 2));
    }

    #[test]
    fn what_many_share_tells_nobody_apart() {
        let many: Vec<(Node, &[u64])> = (0..=SHARED_MAX as u16).map(|tenant| (node(tenant, 1), &[5][..])).collect();
        assert!(groups(&many).of.is_empty());
        assert_eq!(groups(&many[1..]).sizes, [SHARED_MAX]);
    }
}
