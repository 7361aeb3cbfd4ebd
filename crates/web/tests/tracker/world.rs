//! The tracker's router over a real engine and registry.

use crate::support::{Stand, Who, covid, patient, stand};
use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tower::ServiceExt;

/// A name that would be markup if it were not text.
pub(crate) const HOSTILE: Who = Who {
    given: "<script>alert(1)</script>",
    family: "O'Brien & <b>Sons</b>",
    birth: "1985-07-01",
    gender: "female",
    phone: "617-555-0199",
    zip: "02139",
};

/// One of many, like no other; all are men of one region.
pub(crate) fn somebody(n: usize, year: usize) -> Who {
    const GIVEN: [&str; 8] = ["Albert", "Wendell", "Ignatius", "Cuthbert", "Zebulon", "Humphrey", "Octavio", "Kristof"];
    const FAMILY: [&str; 8] =
        ["Ashdown", "Birchall", "Coppard", "Dunnett", "Eckhart", "Farthing", "Gatward", "Haddock"];
    let kept = |text: String| -> &'static str { Box::leak(text.into()) };
    Who {
        given: GIVEN[n % 8],
        family: FAMILY[(n / 8 + n * 3) % 8],
        birth: kept(format!("{}-{:02}-{:02}", year + n % 7, n * 5 % 12 + 1, n * 11 % 26 + 2)),
        gender: "male",
        phone: kept(format!("413-{:03}-{:04}", 200 + n * 7 % 700, 1000 + n * 131)),
        zip: kept(format!("010{:02}", n * 13 % 90 + 10)),
    }
}

pub(crate) struct World {
    pub(crate) stand: Stand,
    pub(crate) router: Router,
    pub(crate) stop: watch::Sender<()>,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Reply {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> &Reply {
        assert!(self.text.contains(text), "{text} is not in {}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn hides(&self, text: &str) -> &Reply {
        assert!(!self.text.contains(text), "{text} is in {}", self.text);
        self
    }

    /// The value of the first hidden field with this name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\" value=\"")).expect(name);
        rest.split_once('"').unwrap().0.to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> World {
        let stand = stand().await;
        let (stop, stopped) = watch::channel(());
        let router = web::tracker::router(stand.engine.clone(), stand.registry.clone(), stopped);
        let router = router.layer(Extension(stand.session.clone()));
        World { stand, router, stop }
    }

    pub(crate) async fn patient(&self, who: Who) -> String {
        self.stand.create("Patient", &patient(who)).await
    }

    pub(crate) async fn dose(&self, patient: &str, cvx: &str, day: &str) -> String {
        self.stand.create("Immunization", &covid(patient, cvx, day)).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "host");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes).unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    /// Sends a form as a browser does, with the token of `page`.
    pub(crate) async fn submit(&self, page: &Reply, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &page.field("token")).extend_pairs(fields);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        self.ask("POST", path, &headers, &form.finish()).await
    }

    /// How often somebody's access to something was noted.
    pub(crate) async fn audited(&self, interaction: &str) -> usize {
        let pairs = [("subtype".to_owned(), interaction.to_owned()), ("_count".to_owned(), "1000".to_owned())];
        let ty = Some(crate::support::ty("AuditEvent"));
        let search = engine::Search { ty, compartment: None, pairs: &pairs, lenient: false, cursor: None };
        self.stand.engine.search(&self.stand.session, &search).await.unwrap().matches.len()
    }
}
