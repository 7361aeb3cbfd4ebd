//! Operations that answer from the request alone.

use crate::audit::Access;
use crate::{Engine, Error, Session};
use fhir::outcome::Issue;

impl Engine {
    /// Runs what touches nothing that is stored: the door and the audit see it like any other access. Its issues become a 400.
    pub async fn operation<T>(
        &self,
        session: &Session,
        name: &'static str,
        run: impl FnOnce() -> Result<T, Vec<Issue>>,
    ) -> Result<T, Error> {
        let access = Access::new(session, name, String::new());
        let tenant = self.admit(&access, None).await?;
        let result = run().map_err(|issues| Error::from_issues(400, issues));
        self.note_result(&tenant, &access, &result).await;
        result
    }
}
