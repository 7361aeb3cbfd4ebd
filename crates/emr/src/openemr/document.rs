//! What OpenEMR has no place for, such as an Immunization: a document in the patient's chart, and a message to the staff.
//!
//! The file name begins with our key, and the list of documents shows it. A document cannot be replaced: a change is a new one.

use super::answer::{failed, rows, scalar};
use super::outline::outline;
use super::push::{Looked, Push, Subject, Written, more, remote};
use super::site::{Failure, Who};
use crate::outcome::problem_of;
use ::fhir::json;
use ::fhir::json::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::{Outcome, Problem, Remote};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

/// The member of [`Remote::more`] that holds the name of the newest file.
pub(super) const FILE: &str = "file";
/// Of the hash of the content in a file name.
const HASH_CHARS: usize = 12;
/// Between the parts of the body; files that contain it are text of ours, or base64 of somebody else's.
const BOUNDARY: &str = "weir-5b1c7e0d94f24f0e8d3a";

/// A file on its way into the chart.
struct File {
    name: String,
    media_type: String,
    bytes: Vec<u8>,
}

pub(super) async fn write(push: &Push<'_>, body: &Value) -> Written<Remote> {
    let file = file(push, body)?;
    let subject = subject(push, body).await?;
    // A creation is looked for by its probe; a change, and one whose message failed, is looked for here.
    let names = names(push, &subject).await?;
    if !names.contains(&file.name) {
        upload(push, &subject, &file).await?;
    }
    tell(push, &subject, "was recorded").await?;
    // A record that was made there keeps its id.
    let id = push.item.remote.as_ref().map_or("", |there| there.id.as_str());
    Ok(remote(id, &[(FILE, &file.name)], &subject))
}

/// Nothing there can be deleted: a document and a message say that the record does not hold any more.
pub(super) async fn withdraw(push: &Push<'_>, there: &Remote) -> Written<Remote> {
    let subject = push.subject_of(there)?;
    let name = format!("{}.withdrawn.txt", push.key());
    let text = format!("{} {} was withdrawn: it does not hold any more.\n", push.item.name, push.key());
    let file = File { name, media_type: "text/plain".to_owned(), bytes: text.into_bytes() };
    if !names(push, &subject).await?.contains(&file.name) {
        upload(push, &subject, &file).await?;
    }
    tell(push, &subject, "was withdrawn").await?;
    Ok(there.clone())
}

pub(super) async fn look(push: &Push<'_>, body: Option<&Value>) -> Looked {
    let body = body.ok_or_else(|| Problem::new(0, "without its content it cannot be looked for"))?;
    let subject = subject(push, body).await.map_err(problem_of)?;
    let names = names(push, &subject).await.map_err(problem_of)?;
    let Some(name) = names.into_iter().rfind(|name| is_of(name, push.key())) else { return Ok(None) };
    // The message comes after the upload: one that broke off has sent none.
    tell(push, &subject, "was recorded").await.map_err(problem_of)?;
    Ok(Some(remote("", &[(FILE, &name)], &subject)))
}

async fn subject(push: &Push<'_>, body: &Value) -> Written<Subject> {
    match &push.item.remote {
        Some(there) if more(there, FILE).is_some() => push.subject_of(there),
        _ => push.subject(body).await,
    }
}

/// Whether a file is one of the record with this key: a hash and an extension follow. Ids may have points of their own.
fn is_of(name: &str, key: &str) -> bool {
    let rest = name.strip_prefix(key).and_then(|rest| rest.strip_prefix('.'));
    rest.is_some_and(|rest| rest.bytes().filter(|byte| *byte == b'.').count() == 1)
}

/// The key, `Type/id`, of a file that has the form of ours.
pub(super) fn key_of(name: &str) -> Option<String> {
    let key = name.rsplitn(3, '.').nth(2)?;
    let (ty, id) = key.split_once('-')?;
    let hash = name.rsplit('.').nth(1)?;
    let is_hash = hash == "withdrawn" || hash.len() == HASH_CHARS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && ::fhir::defs::r4().resource_by_name(ty).is_some()).then(|| format!("{ty}/{id}"))
}

/// The file names of the patient's documents in our category.
async fn names(push: &Push<'_>, subject: &Subject) -> Written<Vec<String>> {
    let request = push.emr.site.rest(Method::GET, &format!("/patient/{}/document", subject.pid), None);
    let request = request.query(&[("path", &push.emr.settings.document_path)]);
    let answer = push.emr.site.send(push.turns, Who::Writer, request).await.map_err(Failure::of_read)?;
    let rows = rows(&answer).ok_or_else(|| super::answer::unread(&answer))?;
    let names: Vec<String> =
        rows.iter().filter_map(|row| scalar(row, "filename").or_else(|| scalar(row, "name"))).collect();
    if names.len() < rows.len() {
        let problem = Problem::new(answer.status, "the list of documents shows no file names");
        return Err(Outcome::Retry { problem, after: None });
    }
    Ok(names)
}

async fn upload(push: &Push<'_>, subject: &Subject, file: &File) -> Written<()> {
    let request = push.emr.site.rest(Method::POST, &format!("/patient/{}/document", subject.pid), None);
    let request = request.query(&[("path", &push.emr.settings.document_path)]);
    let request =
        request.header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}")).body(multipart(file));
    let answer = push.emr.site.send(push.turns, Who::Writer, request).await.map_err(Failure::of_write)?;
    match answer.status {
        200 | 201 => Ok(()),
        _ => Err(failed(&answer)),
    }
}

fn multipart(file: &File) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
        file.name, file.media_type
    );
    [head.as_bytes(), &file.bytes, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

/// A message to the staff. No API shows messages, so that one of unknown fate is sent again: better twice than never.
async fn tell(push: &Push<'_>, subject: &Subject, what: &str) -> Written<()> {
    let settings = &push.emr.settings;
    let name = &push.item.name;
    let body = json!({
        "title": format!("{name} to enter"),
        "body": format!("{name} {} {what}. OpenEMR cannot take it as such: see the patient's documents.", push.key()),
        "to": settings.staff.as_str(),
        "from": settings.sender.as_str(),
        "groupname": settings.group.as_str(),
        "message_status": "New"
    });
    let answer = push.rest(Method::POST, &format!("/patient/{}/message", subject.pid), Some(&body)).await?;
    if matches!(answer.status, 200 | 201) { Ok(()) } else { Err(super::answer::unread(&answer)) }
}

/// The attachment of a DocumentReference, or the resource as a text. Equal content has an equal name.
fn file(push: &Push<'_>, body: &Value) -> Written<File> {
    let attachment = body.list("content").first().and_then(|content| content.get("attachment"));
    let data =
        attachment.and_then(|attachment| attachment.str("data")).filter(|_| push.item.name == "DocumentReference");
    let (media_type, bytes) = match data {
        Some(data) => {
            let media_type = attachment.and_then(|attachment| attachment.str("contentType")).unwrap_or_default();
            if media_type.is_empty() || !media_type.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(push.refuse("content.attachment.contentType is needed"));
            }
            let bytes = STANDARD.decode(data).map_err(|_| push.refuse("content.attachment.data is not base64"))?;
            (media_type, bytes)
        }
        None => ("text/plain", outline(body).into_bytes()),
    };
    let name = format!("{}.{}.{}", push.key(), &seal::fingerprint(&bytes)[..HASH_CHARS], extension(media_type));
    Ok(File { name, media_type: media_type.to_owned(), bytes })
}

fn extension(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default() {
        "text/plain" => "txt",
        "application/pdf" => "pdf",
        "text/xml" | "application/xml" | "application/hl7-sda+xml" => "xml",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/tiff" => "tif",
        "text/html" => "html",
        "application/json" | "application/fhir+json" => "json",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_one_key() {
        assert!(is_of("Immunization-a.0123456789ab.txt", "Immunization-a"));
        assert!(is_of("Immunization-a.b.0123456789ab.txt", "Immunization-a.b"));
        assert!(!is_of("Immunization-a.b.0123456789ab.txt", "Immunization-a"));
        assert!(!is_of("Immunization-ab.0123456789ab.txt", "Immunization-a"));
        assert_eq!(key_of("Immunization-a.b.0123456789ab.txt").as_deref(), Some("Immunization/a.b"));
        assert_eq!(key_of("Immunization-a.withdrawn.txt").as_deref(), Some("Immunization/a"));
        assert_eq!(key_of("Patient-7.2026.pdf"), None);
        assert_eq!(key_of("scan-1.0123456789ab.pdf"), None);
    }

    #[test]
    fn a_file_is_one_part_of_a_form() {
        let file = File { name: "k.1.txt".into(), media_type: "text/plain".into(), bytes: b"x\r\n".to_vec() };
        let expected = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"k.1.txt\"\r\nContent-Type: \
             text/plain\r\n\r\nx\r\n\r\n--{BOUNDARY}--\r\n"
        );
        assert_eq!(String::from_utf8(multipart(&file)).unwrap(), expected);
    }
}
