//! From method and path to an interaction. The CapabilityStatement and OpenAPI list the same table.

use axum::http::Method;
use fhir::defs::{Definitions, TypeId};

/// What a request asks for. `Cow`-free: ids and versions are checked where they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interaction {
    Capabilities,
    SearchSystem,
    HistorySystem,
    Bundle,
    SearchType(TypeId),
    Create(TypeId),
    UpdateConditional(TypeId),
    PatchConditional(TypeId),
    DeleteConditional(TypeId),
    HistoryType(TypeId),
    ValidateType(TypeId),
    EverythingType(TypeId),
    Read(TypeId, String),
    Update(TypeId, String),
    Patch(TypeId, String),
    Delete(TypeId, String),
    HistoryInstance(TypeId, String),
    Vread(TypeId, String, String),
    Everything(TypeId, String),
    ValidateInstance(TypeId, String),
    Meta(TypeId, String),
    MetaAdd(TypeId, String),
    MetaDelete(TypeId, String),
    /// `Patient/$match`.
    Match,
    /// `Patient/{id}/$immunization-status`.
    ImmunizationStatus(String),
    /// `$immds-forecast`: stores and reads nothing.
    ImmunizationForecast,
    /// Labels in use in a type, or in all.
    Labels(Option<TypeId>),
    /// Owner type and id, searched type (`None` for `*`).
    SearchCompartment(TypeId, String, Option<TypeId>),
}

impl Interaction {
    /// The name in metrics: the code of the specification.
    pub(crate) fn code(&self) -> &'static str {
        use Interaction::*;
        match self {
            Capabilities => "capabilities",
            SearchSystem => "search-system",
            HistorySystem => "history-system",
            Bundle => "batch",
            SearchType(_) | SearchCompartment(..) => "search-type",
            Create(_) => "create",
            UpdateConditional(_) | Update(..) => "update",
            PatchConditional(_) | Patch(..) => "patch",
            DeleteConditional(_) | Delete(..) => "delete",
            HistoryType(_) => "history-type",
            HistoryInstance(..) => "history-instance",
            Read(..) => "read",
            Vread(..) => "vread",
            ValidateType(_)
            | ValidateInstance(..)
            | EverythingType(_)
            | Everything(..)
            | Meta(..)
            | MetaAdd(..)
            | MetaDelete(..)
            | Labels(_)
            | Match
            | ImmunizationStatus(_)
            | ImmunizationForecast => "operation",
        }
    }

    /// Whether it may change what is stored.
    pub(crate) fn writes(&self) -> bool {
        use Interaction::*;
        match self {
            Bundle | Create(_) | UpdateConditional(_) | Update(..) | PatchConditional(_) | Patch(..)
            | DeleteConditional(_) | Delete(..) | MetaAdd(..) | MetaDelete(..) => true,
            Capabilities
            | SearchSystem
            | HistorySystem
            | SearchType(_)
            | HistoryType(_)
            | ValidateType(_)
            | EverythingType(_)
            | Read(..)
            | HistoryInstance(..)
            | Vread(..)
            | Everything(..)
            | ValidateInstance(..)
            | Meta(..)
            | Labels(_)
            | Match
            | ImmunizationStatus(_)
            | ImmunizationForecast
            | SearchCompartment(..) => false,
        }
    }
}

/// Why a path has no interaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    UnknownType(String),
    UnknownPath,
    /// The path exists, with these methods.
    Method(&'static str),
}

/// A row of the table: what the path looks like after the base, and its methods.
pub(crate) struct Row {
    pub(crate) path: &'static str,
    pub(crate) methods: &'static [(&'static str, &'static str)],
}

/// Every path of the API, with the method and a sentence each. Used for OpenAPI; [`route`] follows it.
pub(crate) const ROWS: &[Row] = &[
    Row { path: "/", methods: &[("get", "Search all types"), ("post", "Batch or transaction")] },
    Row { path: "/metadata", methods: &[("get", "CapabilityStatement")] },
    Row { path: "/_history", methods: &[("get", "History of all resources")] },
    Row { path: "/_search", methods: &[("post", "Search all types")] },
    Row { path: "/$meta", methods: &[("get", "Tags, profiles and labels in use")] },
    Row {
        path: "/$immds-forecast",
        methods: &[("post", "Evaluate doses and forecast the next ones, from the request alone")],
    },
    Row { path: "/Patient/$match", methods: &[("post", "Find the records of the person that a Patient describes")] },
    Row {
        path: "/Patient/{id}/$immunization-status",
        methods: &[("get", "Where a person stands in vaccination programmes"), ("post", "The same with Parameters")],
    },
    Row {
        path: "/{type}",
        methods: &[
            ("get", "Search"),
            ("post", "Create, conditional with If-None-Exist or search parameters"),
            ("put", "Conditional update"),
            ("patch", "Conditional patch"),
            ("delete", "Conditional delete"),
        ],
    },
    Row { path: "/{type}/_search", methods: &[("post", "Search")] },
    Row { path: "/{type}/_history", methods: &[("get", "History of a type")] },
    Row {
        path: "/{type}/$everything",
        methods: &[("get", "Everything about all Patients or Encounters"), ("post", "The same with Parameters")],
    },
    Row { path: "/{type}/$meta", methods: &[("get", "Tags, profiles and labels in use in a type")] },
    Row { path: "/{type}/$validate", methods: &[("post", "Validate a resource without storing it")] },
    Row {
        path: "/{type}/{id}",
        methods: &[
            ("get", "Read"),
            ("put", "Update, or create with this id"),
            ("patch", "JSON Patch or FHIRPath Patch"),
            ("delete", "Delete"),
        ],
    },
    Row { path: "/{type}/{id}/_history", methods: &[("get", "History of a resource")] },
    Row { path: "/{type}/{id}/_history/{version}", methods: &[("get", "Read a version")] },
    Row {
        path: "/{type}/{id}/$everything",
        methods: &[("get", "Everything about a Patient or an Encounter"), ("post", "The same with Parameters")],
    },
    Row {
        path: "/{type}/{id}/$validate",
        methods: &[("get", "Validate the current version"), ("post", "Validate as an update")],
    },
    Row { path: "/{type}/{id}/$meta", methods: &[("get", "Tags, profiles and labels")] },
    Row { path: "/{type}/{id}/$meta-add", methods: &[("post", "Add to them")] },
    Row { path: "/{type}/{id}/$meta-delete", methods: &[("post", "Take from them")] },
    Row { path: "/{type}/{id}/{other}", methods: &[("get", "Search in a compartment, * for all types")] },
    Row { path: "/{type}/{id}/{other}/_search", methods: &[("post", "Search in a compartment")] },
];

/// The row that a routed path belongs to: a name for logs that has no ids in it.
pub(crate) fn template(rows: &'static [Row], path: &str) -> Option<&'static str> {
    let segments = || path.split('/').filter(|segment| !segment.is_empty());
    let fits = |row: &&Row| {
        let mut pattern = row.path.split('/').filter(|segment| !segment.is_empty());
        let same =
            segments().all(|segment| pattern.next().is_some_and(|wanted| wanted.starts_with('{') || wanted == segment));
        same && pattern.next().is_none()
    };
    // Fixed names stand before placeholders in the table.
    rows.iter().find(fits).map(|row| row.path)
}

/// `path` is what follows the base, without a leading slash.
pub(crate) fn route(defs: &Definitions, method: &Method, path: &str) -> Result<Interaction, NoRoute> {
    use Interaction::*;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let get = matches!(*method, Method::GET | Method::HEAD);
    let post = *method == Method::POST;
    let only = |allowed: bool, interaction: Interaction, methods| {
        if allowed { Ok(interaction) } else { Err(NoRoute::Method(methods)) }
    };
    let ty = |name: &str| defs.resource_by_name(name).ok_or_else(|| NoRoute::UnknownType(name.to_owned()));
    match segments.as_slice() {
        [] if get => Ok(SearchSystem),
        [] => only(post, Bundle, "GET, HEAD, POST"),
        ["metadata"] => only(get, Capabilities, "GET, HEAD"),
        ["_history"] => only(get, HistorySystem, "GET, HEAD"),
        ["_search"] => only(post, SearchSystem, "POST"),
        ["$meta"] => only(get, Labels(None), "GET, HEAD"),
        ["$immds-forecast"] => only(post, ImmunizationForecast, "POST"),
        [name] if name.starts_with(['$', '_']) => Err(NoRoute::UnknownPath),
        [name] => match *method {
            _ if get => Ok(SearchType(ty(name)?)),
            Method::POST => Ok(Create(ty(name)?)),
            Method::PUT => Ok(UpdateConditional(ty(name)?)),
            Method::PATCH => Ok(PatchConditional(ty(name)?)),
            Method::DELETE => Ok(DeleteConditional(ty(name)?)),
            _ => Err(NoRoute::Method("GET, HEAD, POST, PUT, PATCH, DELETE")),
        },
        ["Patient", "$match"] => only(post, Match, "POST"),
        ["Patient", id, "$immunization-status"] => {
            only(get || post, ImmunizationStatus((*id).to_owned()), "GET, HEAD, POST")
        }
        [name, "_search"] => only(post, SearchType(ty(name)?), "POST"),
        [name, "_history"] => only(get, HistoryType(ty(name)?), "GET, HEAD"),
        [name, "$meta"] => only(get, Labels(Some(ty(name)?)), "GET, HEAD"),
        [name, "$validate"] => only(post, ValidateType(ty(name)?), "POST"),
        [name, "$everything"] => only(get || post, EverythingType(ty(name)?), "GET, HEAD, POST"),
        [_, id] if id.starts_with(['$', '_']) => Err(NoRoute::UnknownPath),
        [name, id] => match *method {
            _ if get => Ok(Read(ty(name)?, (*id).to_owned())),
            Method::PUT => Ok(Update(ty(name)?, (*id).to_owned())),
            Method::PATCH => Ok(Patch(ty(name)?, (*id).to_owned())),
            Method::DELETE => Ok(Delete(ty(name)?, (*id).to_owned())),
            _ => Err(NoRoute::Method("GET, HEAD, PUT, PATCH, DELETE")),
        },
        [name, id, rest @ ..] => instance(defs, ty(name)?, (*id).to_owned(), rest, get, post),
    }
}

fn instance(
    defs: &Definitions,
    ty: TypeId,
    id: String,
    rest: &[&str],
    get: bool,
    post: bool,
) -> Result<Interaction, NoRoute> {
    use Interaction::*;
    let only = |allowed: bool, interaction: Interaction, methods| {
        if allowed { Ok(interaction) } else { Err(NoRoute::Method(methods)) }
    };
    let searched = |name: &str| match name {
        "*" => Ok(None),
        name => defs.resource_by_name(name).map(Some).ok_or_else(|| NoRoute::UnknownType(name.to_owned())),
    };
    match rest {
        ["_history"] => only(get, HistoryInstance(ty, id), "GET, HEAD"),
        ["_history", version] => only(get, Vread(ty, id, (*version).to_owned()), "GET, HEAD"),
        ["$everything"] => only(get || post, Everything(ty, id), "GET, HEAD, POST"),
        ["$validate"] => only(get || post, ValidateInstance(ty, id), "GET, HEAD, POST"),
        ["$meta"] => only(get, Meta(ty, id), "GET, HEAD"),
        ["$meta-add"] => only(post, MetaAdd(ty, id), "POST"),
        ["$meta-delete"] => only(post, MetaDelete(ty, id), "POST"),
        [other] if !other.starts_with(['$', '_']) => {
            only(get, SearchCompartment(ty, id, searched(other)?), "GET, HEAD")
        }
        [other, "_search"] => only(post, SearchCompartment(ty, id, searched(other)?), "POST"),
        _ => Err(NoRoute::UnknownPath),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir::defs::r4;

    #[test]
    fn paths_lead_to_interactions() {
        let patient = r4().resource_by_name("Patient").unwrap();
        let go = |method: &Method, path: &str| route(r4(), method, path);
        assert_eq!(go(&Method::GET, ""), Ok(Interaction::SearchSystem));
        assert_eq!(go(&Method::POST, "/"), Ok(Interaction::Bundle));
        assert_eq!(go(&Method::HEAD, "Patient/1"), Ok(Interaction::Read(patient, "1".into())));
        assert_eq!(go(&Method::GET, "Patient/1/_history/2"), Ok(Interaction::Vread(patient, "1".into(), "2".into())));
        assert_eq!(go(&Method::GET, "Patient/1/*"), Ok(Interaction::SearchCompartment(patient, "1".into(), None)));
        assert_eq!(go(&Method::DELETE, "Patient/_search"), Err(NoRoute::Method("POST")));
        assert_eq!(go(&Method::POST, "Patient/1"), Err(NoRoute::Method("GET, HEAD, PUT, PATCH, DELETE")));
        assert_eq!(go(&Method::GET, "Patint"), Err(NoRoute::UnknownType("Patint".into())));
        for unknown in ["$x", "Patient/$x", "Patient/1/$x", "Patient/1/_history/2/3", "_x"] {
            assert_eq!(go(&Method::GET, unknown), Err(NoRoute::UnknownPath), "{unknown}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_routed() {
        for row in ROWS {
            let path = row.path.replace("{type}", "Patient").replace("{id}", "1").replace("{version}", "2");
            let path = path.replace("{other}", "Observation");
            for (method, _) in row.methods {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                assert!(route(r4(), &method, path.trim_start_matches('/')).is_ok(), "{method} {path}");
                assert_eq!(template(ROWS, &path), Some(row.path));
            }
            assert!(
                matches!(route(r4(), &Method::TRACE, path.trim_start_matches('/')), Err(NoRoute::Method(_))),
                "{path}"
            );
        }
    }
}
