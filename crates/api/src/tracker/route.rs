//! Paths of the tracker. OpenAPI and the request log use the same table.

use super::resources::Kind;
use crate::route::{NoRoute, Row};
use axum::http::Method;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Patients,
    CreatePatient,
    Patient(String),
    Status(String),
    Merge(String),
    Unmerge(String),
    Vaccinate,
    Import,
    Programmes,
    Stats,
    StatsStream,
    Reviews,
    Apart,
    Assign,
    Dismiss,
    List(Kind),
    Make(Kind),
    Get(Kind, String),
    Put(Kind, String),
    Delete(Kind, String),
}

/// The first segments of paths.
pub(crate) const ROOTS: [&str; 8] =
    ["patients", "vaccines", "vaccine-products", "providers", "clinics", "programmes", "stats", "reviews"];

pub(crate) const ROWS: &[Row] = &[
    Row {
        path: "/patients",
        methods: &[("get", "Persons, paged and filtered"), ("post", "Create a Patient from phi")],
    },
    Row { path: "/patients/{id}", methods: &[("get", "A person with records, doses and programmes")] },
    Row { path: "/patients/{id}/status", methods: &[("get", "Where a person stands in each programme")] },
    Row { path: "/patients/{id}/merge", methods: &[("post", "Make the records of another person this one's")] },
    Row { path: "/patients/{id}/unmerge", methods: &[("post", "Take records out of a person")] },
    Row { path: "/programmes", methods: &[("get", "Definitions of vaccinated")] },
    Row { path: "/stats", methods: &[("get", "Who is vaccinated, and doses: the population's numbers")] },
    Row {
        path: "/stats/stream",
        methods: &[("get", "The numbers now and whenever they change, as server-sent events")],
    },
    Row { path: "/reviews", methods: &[("get", "Pairs of records that wait for a decision")] },
    Row { path: "/reviews/apart", methods: &[("post", "Say that two records are of two persons")] },
    Row { path: "/reviews/assign", methods: &[("post", "Say who is to decide about a pair, and until when")] },
    Row { path: "/reviews/dismiss", methods: &[("post", "Take a pair out of the queue, changing nothing")] },
    Row { path: "/vaccines", methods: &[("get", "Vaccine products"), ("post", "Record a vaccination")] },
    Row { path: "/vaccines/import", methods: &[("post", "Record vaccinations from CSV or NDJSON, one a row")] },
    Row {
        path: "/vaccines/{id}",
        methods: &[
            ("get", "A vaccine product"),
            ("put", "Create or change a vaccine product"),
            ("delete", "Delete a vaccine product"),
        ],
    },
    Row { path: "/vaccine-products", methods: &[("get", "Vaccine products"), ("post", "Create a vaccine product")] },
    Row {
        path: "/vaccine-products/{id}",
        methods: &[
            ("get", "A vaccine product"),
            ("put", "Create or change a vaccine product"),
            ("delete", "Delete a vaccine product"),
        ],
    },
    Row { path: "/providers", methods: &[("get", "Who vaccinates"), ("post", "Create a provider")] },
    Row {
        path: "/providers/{id}",
        methods: &[("get", "A provider"), ("put", "Create or change a provider"), ("delete", "Delete a provider")],
    },
    Row { path: "/clinics", methods: &[("get", "Where is vaccinated"), ("post", "Create a clinic")] },
    Row {
        path: "/clinics/{id}",
        methods: &[("get", "A clinic"), ("put", "Create or change a clinic"), ("delete", "Delete a clinic")],
    },
];

impl Ask {
    /// The name in metrics.
    pub(crate) fn code(&self) -> &'static str {
        use Ask::*;
        match self {
            Patients => "tracker-patients",
            CreatePatient => "tracker-create-patient",
            Patient(_) | Status(_) => "tracker-patient",
            Merge(_) | Unmerge(_) | Reviews | Apart | Assign | Dismiss => "tracker-identity",
            Vaccinate => "tracker-vaccinate",
            Import => "tracker-import",
            Programmes | Stats | StatsStream => "tracker-stats",
            List(_) | Make(_) | Get(..) | Put(..) | Delete(..) => "tracker-resource",
        }
    }

    /// Whether it may change what is stored.
    pub(crate) fn writes(&self) -> bool {
        use Ask::*;
        match self {
            CreatePatient | Merge(_) | Unmerge(_) | Vaccinate | Import | Apart | Assign | Dismiss | Make(_)
            | Put(..) | Delete(..) => true,
            Patients | Patient(_) | Status(_) | Programmes | Stats | StatsStream | Reviews | List(_) | Get(..) => false,
        }
    }
}

/// `path` without a leading slash.
pub(crate) fn route(method: &Method, path: &str) -> Result<Ask, NoRoute> {
    use Ask::*;
    let get = matches!(*method, Method::GET | Method::HEAD);
    let post = *method == Method::POST;
    let only_get = |ask: Ask| if get { Ok(ask) } else { Err(NoRoute::Method("GET, HEAD")) };
    let only_post = |ask: Ask| if post { Ok(ask) } else { Err(NoRoute::Method("POST")) };
    let both = |one: Ask, other: Ask| match (get, post) {
        (true, _) => Ok(one),
        (_, true) => Ok(other),
        _ => Err(NoRoute::Method("GET, HEAD, POST")),
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["patients"] => both(Patients, CreatePatient),
        ["patients", id] => only_get(Patient((*id).to_owned())),
        ["patients", id, "status"] => only_get(Status((*id).to_owned())),
        ["patients", id, "merge"] => only_post(Merge((*id).to_owned())),
        ["patients", id, "unmerge"] => only_post(Unmerge((*id).to_owned())),
        ["programmes"] => only_get(Programmes),
        ["stats"] => only_get(Stats),
        ["stats", "stream"] => only_get(StatsStream),
        ["reviews"] => only_get(Reviews),
        ["reviews", "apart"] => only_post(Apart),
        ["reviews", "assign"] => only_post(Assign),
        ["reviews", "dismiss"] => only_post(Dismiss),
        ["vaccines"] => both(List(Kind::Product), Vaccinate),
        ["vaccines", "import"] => only_post(Import),
        [root] => {
            let kind = Kind::of_root(root).ok_or(NoRoute::UnknownPath)?;
            both(List(kind), Make(kind))
        }
        [root, id] => {
            let (kind, id) = (Kind::of_root(root).ok_or(NoRoute::UnknownPath)?, (*id).to_owned());
            match *method {
                _ if get => Ok(Get(kind, id)),
                Method::PUT => Ok(Put(kind, id)),
                Method::DELETE => Ok(Delete(kind, id)),
                _ => Err(NoRoute::Method("GET, HEAD, PUT, DELETE")),
            }
        }
        _ => Err(NoRoute::UnknownPath),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::template;

    #[test]
    fn every_row_of_the_table_is_routed() {
        for row in ROWS {
            let path = row.path.replace("{id}", "1");
            for (method, _) in row.methods {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                assert!(route(&method, &path).is_ok(), "{method} {path}");
            }
            assert!(matches!(route(&Method::TRACE, &path), Err(NoRoute::Method(_))), "{path}");
            assert_eq!(template(ROWS, &path), Some(row.path));
            assert!(ROOTS.iter().any(|root| path[1..].split('/').next() == Some(*root)));
        }
        assert_eq!(route(&Method::GET, "patients/1/nothing"), Err(NoRoute::UnknownPath));
    }
}
