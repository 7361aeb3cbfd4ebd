//! `$validate`, and the check that every write passes.

use crate::audit::{self, Access};
use crate::prepare;
use crate::{Engine, Error, Session, Validation};
use fhir::defs::{self, TypeId};
use fhir::json::{Document, Limits, Node};
use fhir::outcome::{Issue, Severity};
use fhir::validate::Level;

/// Said when a profile was asked for.
pub const PROFILES_UNCHECKED: &str = "profiles are not checked: only the rules of FHIR R4 itself were";

impl Engine {
    /// Never an error for an invalid resource: the issues say it. The body is the resource, or Parameters with it as `resource`.
    pub async fn validate(&self, session: &Session, ty: Option<TypeId>, body: &[u8]) -> Result<Vec<Issue>, Error> {
        let entity = ty.map_or_else(String::new, |ty| defs::r4().ty(ty).name.to_owned());
        let access = Access::new(session, "$validate", entity);
        let tenant = self.admit(&access, ty).await?;
        let result = self.validate_in(ty, body);
        self.note_result(&tenant, &access, &result).await;
        result
    }

    /// `$validate` of what is stored: the current version.
    pub async fn validate_stored(&self, session: &Session, ty: TypeId, id: &str) -> Result<Vec<Issue>, Error> {
        let mut access = Access::new(session, "$validate", audit::entity(ty, id));
        let tenant = self.admit(&access, Some(ty)).await?;
        let result = match self.read_live(&tenant, ty, id).await {
            Ok(stored) => {
                access.patient = audit::patient_in(ty, id, &stored.body);
                self.validate_in(Some(ty), &stored.json())
            }
            Err(error) => Err(error),
        };
        self.note_result(&tenant, &access, &result).await;
        result
    }

    fn validate_in(&self, ty: Option<TypeId>, body: &[u8]) -> Result<Vec<Issue>, Error> {
        let document = match Document::parse(body, &Limits::default()) {
            Ok(document) => document,
            Err(error) => return Ok(Error::from(error).issues),
        };
        let root = wrapped(document.root(), ty).unwrap_or(document.root());
        let name = root.str("resourceType").unwrap_or_default();
        let Some(ty) = ty.or_else(|| defs::r4().resource_by_name(&name)) else {
            let text = "resourceType is missing or no R4 resource type: set it to the type that is meant";
            return Ok(vec![Issue::error("structure", text)]);
        };
        if let Err(error) = prepare::check_type(root, ty) {
            return Ok(error.issues);
        }
        let mut issues = self.issues(root);
        if parameter(document.root(), "profile").is_some() && wrapped(document.root(), Some(ty)).is_some() {
            issues.push(Issue::warning("not-supported", PROFILES_UNCHECKED));
        }
        if issues.iter().all(|issue| issue.severity < Severity::Warning) {
            issues.push(Issue::information("informational", "no problems found"));
        }
        Ok(issues)
    }
}

impl Engine {
    /// Everything that is wrong with a resource, as far as the settings ask.
    pub(crate) fn issues(&self, resource: Node<'_>) -> Vec<Issue> {
        let level = match self.options().validation {
            Validation::Off => return Vec::new(),
            Validation::Structure => Level::Structure,
            Validation::Full => Level::Full,
        };
        fhir::validate::validate(defs::r4(), resource, level)
    }
}

/// The resource inside a Parameters wrapper.
fn wrapped(root: Node<'_>, ty: Option<TypeId>) -> Option<Node<'_>> {
    let is_wrapper = root.str("resourceType").as_deref() == Some("Parameters");
    let wants_wrapper = ty.is_some_and(|ty| defs::r4().ty(ty).name == "Parameters");
    if !is_wrapper || wants_wrapper {
        return None;
    }
    parameter(root, "resource")?.get("resource")
}

/// The first parameter of this name.
fn parameter<'a>(root: Node<'a>, name: &str) -> Option<Node<'a>> {
    root.get("parameter")?.items().find(|parameter| parameter.str("name").as_deref() == Some(name))
}
