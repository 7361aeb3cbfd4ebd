//! History of an instance, a type or everything.

use crate::audit::{self, Access};
use crate::{Engine, Error, History, HistoryPage, Resource, Session, trail};
use fhir::defs;
use store::{HistoryRequest, HistoryScope, Tenant};

impl Engine {
    /// Versions newest first, deletions included. 404 when an instance never existed.
    pub async fn history(&self, session: &Session, history: &History) -> Result<HistoryPage, Error> {
        let mut ty = None;
        let mut access = match &history.scope {
            HistoryScope::Instance(of, id) => {
                ty = Some(*of);
                Access::new(session, "history-instance", audit::entity(*of, id))
            }
            HistoryScope::Type(of) => {
                ty = Some(*of);
                Access::new(session, "history-type", defs::r4().ty(*of).name.to_owned())
            }
            HistoryScope::System => Access::new(session, "history-system", String::new()),
        };
        let tenant = self.admit(&access, ty).await?;
        let result = self.history_in(&tenant, &mut access, history).await;
        self.note_result(&tenant, &access, &result).await;
        result
    }

    async fn history_in(
        &self,
        tenant: &Tenant,
        access: &mut Access<'_>,
        history: &History,
    ) -> Result<HistoryPage, Error> {
        if let HistoryScope::Instance(ty, id) = &history.scope {
            if let Some(no) = trail::number(*ty, id) {
                let versions = vec![self.read_trail(tenant, *ty, no).await?];
                return Ok(HistoryPage { versions, total: Some(1), next: None });
            }
            let Some(current) = tenant.read(*ty, id).await? else {
                return Err(Error::not_found(defs::r4().ty(*ty).name));
            };
            access.patient = audit::patient_in(*ty, id, &current.body);
        }
        let request = HistoryRequest {
            scope: history.scope.clone(),
            since_us: history.since_us,
            at_us: history.at_us,
            cursor: history.cursor.clone(),
            limit: self.page_size(history.count).max(1),
        };
        let page = tenant.history(&request).await?;
        Ok(HistoryPage {
            versions: page.versions.into_iter().map(Resource::from).collect(),
            total: page.total,
            next: page.next,
        })
    }
}
