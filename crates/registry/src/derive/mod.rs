//! What a commit means to persons, status and counts.

mod apply;
mod change;
mod place;

pub(crate) use apply::{Own, Work};
pub(crate) use place::{Review, drift};

use crate::Registry;
use crate::row::PersonId;
use apply::Applied;
use change::Change;
use engine::{Boxed, Derived, Deriver, Error, Feed, Session};
use fhir::defs::TypeId;
use place::Pending;
use store::Write;

impl Deriver for Registry {
    fn follows(&self, ty: TypeId) -> bool {
        change::follows(ty)
    }

    fn derive<'a>(
        &'a self,
        session: &'a Session,
        feed: &'a Feed,
        writes: &'a [Write],
    ) -> Boxed<'a, Result<Derived, Error>> {
        Box::pin(async move {
            let tenancy = self.tenancy(&session.tenant)?;
            let mut changes = change::of(self, &tenancy, feed, writes).await?;
            if changes.is_empty() {
                return Ok(Derived::default());
            }
            let pending = Pending::plan(&tenancy, &mut changes, || self.new_person()).await?;
            self.written(feed, &changes, pending).await
        })
    }

    fn same_person(&self, session: &Session, id: &str) -> Vec<String> {
        let Ok(tenancy) = self.tenancy(&session.tenant) else { return Vec::new() };
        let live = tenancy.live.read();
        let person = live.records.get(id).map(|known| known.person).or_else(|| PersonId::parse(id));
        person.into_iter().flat_map(|person| live.records_of(person)).map(str::to_owned).collect()
    }
}

impl Registry {
    /// Ids grow with time: the rows of persons who come together lie together, and a burst writes few pages of the store.
    pub(crate) fn new_person(&self) -> PersonId {
        PersonId::of(engine::new_uuid(self.now_us(), &self.inner.random))
    }

    async fn written(&self, feed: &Feed, changes: &[Change<'_>], pending: Pending) -> Result<Derived, Error> {
        let mut work = Work::new(self, feed, pending.tenancy().clone());
        for change in changes {
            work.change(&pending, change).await?;
        }
        let patients = || {
            changes.iter().filter_map(|change| match change {
                Change::Patient { id, new: Some(new) } => Some((*id, new)),
                _ => None,
            })
        };
        let (mut derived, learned) = work.finish(&patients().map(|(id, new)| (id, new.body)).collect()).await?;
        let encoded = patients().map(|(id, new)| (id.to_owned(), new.encoded.clone())).collect();
        derived.ticket = Some(Box::new(Applied::of_commit(learned, pending, encoded)));
        Ok(derived)
    }
}
