//! Enrolment: registering the two clients, and the first refresh token of the service user.
//!
//! A registered client stays disabled until an administrator of the EMR enables it (Admin > System > API Clients).

use super::plan::Plan;
use super::site::{root, token_url};
use crate::http::{ANSWER_BYTES_MAX, Answer, Client, Lost};
use crate::turns::Turns;
use delivery::Problem;
use fhir::json;
use fhir::json::Value;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use seal::Secret;
use seal::jwt::SigningKey;

/// What the service user must be allowed, beside `user/TYPE.write` of the types written by FHIR.
const WRITER_SCOPES: [&str; 25] = [
    "openid",
    "offline_access",
    "api:oemr",
    "api:fhir",
    "user/Patient.write",
    "user/Practitioner.write",
    "user/Organization.write",
    "user/patient.read",
    "user/practitioner.read",
    "user/facility.read",
    "user/appointment.read",
    "user/appointment.write",
    "user/encounter.read",
    "user/encounter.write",
    "user/vital.read",
    "user/vital.write",
    "user/medical_problem.read",
    "user/medical_problem.write",
    "user/allergy.read",
    "user/allergy.write",
    "user/medication.read",
    "user/medication.write",
    "user/document.read",
    "user/document.write",
    "user/message.write",
];

/// Scopes of the service user. `fhir`: types that the plan writes by FHIR. One that the EMR does not know fails the registration.
fn writer_scopes<'a>(fhir: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scopes: Vec<String> = WRITER_SCOPES.map(str::to_owned).into();
    for name in fhir {
        let scope = format!("user/{name}.write");
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// Scopes of the backend service: it reads these types.
pub fn reader_scopes<'a>(types: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    types.into_iter().map(|name| format!("system/{name}.read")).collect()
}

/// A client as it was registered.
#[derive(Clone, Debug)]
pub struct Registered {
    pub client_id: String,
    pub client_secret: Secret,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnrollError {
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The code of an OAuth error.
    #[error("the EMR answers {status}: {code}")]
    Refused { status: u16, code: String },
    #[error("the answer lacks {0}")]
    Lacks(&'static str),
}

/// The authorization server of one site.
#[derive(Debug)]
pub struct Enrolment<'a> {
    pub client: &'a Client,
    /// As in [`super::Settings::base`].
    pub base: &'a str,
    pub site: &'a str,
    pub turns: &'a dyn Turns,
}

impl Enrolment<'_> {
    /// Scopes of a service user who may write whatever this OpenEMR says that it takes.
    pub async fn writer_scopes(&self) -> Result<Vec<String>, EnrollError> {
        let url = format!("{}/apis/{}/fhir/metadata", root(self.base), self.site);
        let answer = self.exchange(self.client.request(Method::GET, &url)).await?;
        let plan = Plan::read(&answer.body).map_err(|_| EnrollError::Lacks("a CapabilityStatement"))?;
        Ok(writer_scopes(plan.by_fhir()))
    }

    /// Registers a client. `key`: of a backend service; without, it is one that logs in as a user.
    pub async fn register(
        &self,
        name: &str,
        redirect_uri: &str,
        scopes: &[String],
        key: Option<&SigningKey>,
    ) -> Result<Registered, EnrollError> {
        let mut body = json!({
            "application_type": "private",
            "client_name": name,
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": if key.is_some() { "private_key_jwt" } else { "client_secret_post" },
            "scope": scopes.join(" ")
        });
        if let Some(key) = key {
            body.set("jwks", Value::parse(&key.public_keys()).unwrap_or_default());
        }
        let url = format!("{}/oauth2/{}/registration", root(self.base), self.site);
        let request =
            self.client.request(Method::POST, &url).header(CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = self.send(request).await?;
        let member = |name| answer.str(name).map(str::to_owned).ok_or(EnrollError::Lacks(name));
        // A client without a secret is no private one.
        Ok(Registered { client_id: member("client_id")?, client_secret: Secret::new(member("client_secret")?) })
    }

    /// Where the service user logs in and agrees; the browser comes back to `redirect_uri` with a code.
    pub fn authorize_url(&self, client_id: &str, redirect_uri: &str, scopes: &[String], state: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("response_type", "code").append_pair("client_id", client_id);
        query.append_pair("redirect_uri", redirect_uri).append_pair("scope", &scopes.join(" "));
        query.append_pair("state", state);
        format!("{}/oauth2/{}/authorize?{}", root(self.base), self.site, query.finish())
    }

    /// The first refresh token, for the code that the browser came back with.
    pub async fn by_code(&self, client: &Registered, code: &str, redirect_uri: &str) -> Result<Secret, EnrollError> {
        let pairs = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri)];
        self.refresh_token(client, &pairs).await
    }

    /// The first refresh token, for a password; OpenEMR has this switched off unless `oauth_password_grant` is on.
    pub async fn by_password(
        &self,
        client: &Registered,
        user: &str,
        password: &Secret,
        scopes: &[String],
    ) -> Result<Secret, EnrollError> {
        let scopes = scopes.join(" ");
        let pairs = [
            ("grant_type", "password"),
            ("user_role", "users"),
            ("username", user),
            ("password", password.expose()),
            ("scope", &scopes),
        ];
        self.refresh_token(client, &pairs).await
    }

    async fn refresh_token(&self, client: &Registered, pairs: &[(&str, &str)]) -> Result<Secret, EnrollError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(pairs).append_pair("client_id", &client.client_id);
        form.append_pair("client_secret", client.client_secret.expose());
        let request = self.client.request(Method::POST, &token_url(self.base, self.site));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish());
        let answer = self.send(request).await?;
        let token = answer.str("refresh_token").ok_or(EnrollError::Lacks("refresh_token"))?;
        Ok(Secret::new(token.to_owned()))
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, EnrollError> {
        let lost = |lost| match lost {
            Lost::NotSent(Problem { text, .. }) | Lost::Unknown(Problem { text, .. }) => EnrollError::NoAnswer(text),
            Lost::Ending => EnrollError::NoAnswer("stopped".to_owned()),
        };
        let turn = self.turns.next().await.ok_or_else(|| lost(Lost::Ending))?;
        let request = request.header(ACCEPT, "application/json");
        let answer = self.client.exchange(request, ANSWER_BYTES_MAX).await.map_err(lost)?;
        drop(turn);
        Ok(answer)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, EnrollError> {
        let answer = self.exchange(request).await?;
        let body = super::answer::body(&answer);
        match answer.status {
            200 | 201 => Ok(body),
            status => {
                let code = body.str("error").filter(|code| super::auth::is_code(code)).unwrap_or("no reason given");
                Err(EnrollError::Refused { status, code: code.to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::Spaced;
    use std::time::Duration;

    #[test]
    fn the_login_page_is_named_with_everything_it_asks_for() {
        let client = crate::client(Duration::from_secs(1)).unwrap();
        let turns = Spaced::new(Duration::ZERO);
        let enrolment = Enrolment { client: &client, base: "https://emr.example/", site: "default", turns: &turns };
        let scopes = ["openid".to_owned(), "user/Patient.write".to_owned()];
        assert_eq!(
            enrolment.authorize_url("c1", "http://localhost:1/back", &scopes, "s1"),
            "https://emr.example/oauth2/default/authorize?response_type=code&client_id=c1\
             &redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fback&scope=openid+user%2FPatient.write&state=s1"
        );
    }

    #[test]
    fn scopes_of_further_types_are_added_once() {
        let scopes = writer_scopes(["Patient", "Immunization"]);
        assert_eq!(scopes.iter().filter(|scope| *scope == "user/Patient.write").count(), 1);
        assert_eq!(scopes.last().map(String::as_str), Some("user/Immunization.write"));
        assert_eq!(reader_scopes(["Patient"]), ["system/Patient.read"]);
    }
}
