//! Taking records out of a person.

use super::person::{self, Undone};
use super::refused::InPage;
use super::submitted::{Submitted, incomplete};
use super::{Shared, link};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use registry::PersonId;

pub(super) async fn unmerge(State(tracker): Shared, sent: Submitted) -> Result<Response, InPage> {
    let session = &sent.session;
    let person = PersonId::parse(sent.required("person")?).ok_or_else(incomplete)?;
    let records: Vec<String> = sent.form.all("record").map(str::to_owned).collect();
    let why = sent.text("why");
    let mut errors = Vec::new();
    if records.is_empty() {
        errors.push(("record", "choose the record that is of somebody else".to_owned()));
    }
    if why.is_empty() {
        errors.push(("why", "say why, for those who wonder later".to_owned()));
    }
    if errors.is_empty() {
        match tracker.registry.unmerge(&tracker.engine, session, person, &records, why).await {
            Ok(to) => {
                let pairs = [("id", person.to_string()), ("done", "unmerge".to_owned()), ("other", to.to_string())];
                let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
                return Ok(Redirect::to(&link("/tracker/person", &pairs)).into_response());
            }
            Err(error) if error.status < 500 => {
                let refused = InPage::from(error);
                errors.extend(refused.texts().iter().map(|text| ("record", text.clone())));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let undone = Undone { records: &records, why, errors: &errors };
    let page = person::person_page(&tracker, session, &person.to_string(), None, &undone).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}
