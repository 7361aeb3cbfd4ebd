//! An event as it leaves.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use store::Happened;

/// An event with its place, as a JSON object.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Number of the event in its tenant.
    pub no: u64,
    pub topic: String,
    /// When it happened, in UTC with microseconds.
    pub at: String,
    /// `weir.TENANT.TOPIC`.
    pub subject: String,
    /// `TENANT-TOPIC-NUMBER`: the same each time the event is sent.
    pub id: String,
    /// `no`, `at`, `tenant` and `topic`, then the members of the event.
    pub body: Bytes,
}

/// Without the body, which is about a person.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

pub(crate) fn subject(tenant: &str, topic: &str) -> String {
    format!("weir.{tenant}.{topic}")
}

/// An instant in UTC with microseconds: `2026-11-28T18:00:00.000001Z`.
pub(crate) fn instant(at_us: i64) -> String {
    let at = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.6}")
}

/// The number in an id made by [`Message::of`] for this tenant and topic.
#[cfg(any(test, feature = "nats"))]
pub(crate) fn number(id: &str, tenant: &str, topic: &str) -> Option<u64> {
    id.strip_prefix(tenant)?.strip_prefix('-')?.strip_prefix(topic)?.strip_prefix('-')?.parse().ok()
}

impl Message {
    /// `None` when the event's payload is no JSON object.
    pub fn of(tenant: &str, topic: &str, event: &Happened) -> Option<Message> {
        let members = event.payload.strip_prefix(b"{").filter(|members| members.ends_with(b"}"))?;
        let at = instant(event.at_us);
        let head = json!({"no": event.no, "at": at, "tenant": tenant, "topic": topic}).to_string();
        let mut body = head.into_bytes();
        body.pop();
        if members != b"}" {
            body.push(b',');
        }
        body.extend_from_slice(members);
        Some(Message {
            no: event.no,
            topic: topic.to_owned(),
            at,
            subject: subject(tenant, topic),
            id: format!("{tenant}-{topic}-{}", event.no),
            body: body.into(),
        })
    }

    /// The day on which it happened, in UTC.
    pub fn day(&self) -> &str {
        self.at.split('T').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &str) -> Happened {
        Happened { no: 7, at_us: 1_000_001, payload: payload.into() }
    }

    #[test]
    fn the_place_comes_before_the_event() {
        let message = Message::of("east", "vaccination", &event(r#"{"type":"x"}"#)).unwrap();
        let body = std::str::from_utf8(&message.body).unwrap();
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(value["no"], 7);
        assert_eq!(value["at"], "1970-01-01T00:00:01.000001Z");
        assert_eq!((&value["tenant"], &value["type"]), (&json!("east"), &json!("x")));
        assert_eq!(message.subject, "weir.east.vaccination");
        assert_eq!(number(&message.id, "east", "vaccination"), Some(7));
        assert_eq!(number(&message.id, "east", "identity"), None);
        assert!(!format!("{message:?}").contains("type"));
    }

    #[test]
    fn what_is_no_object_is_no_message() {
        assert_eq!(Message::of("east", "x", &event("[1]")), None);
        let empty = Message::of("east", "x", &event("{}")).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&empty.body).is_ok());
    }
}
