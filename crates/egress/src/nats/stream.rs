//! The stream: made when missing, else checked that it loses nothing, and asked how far it is.

use crate::{Last, OutletError, Prepared, Settings, message};
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use serde::Deserialize;
use std::time::Duration;

/// A repeat comes within seconds of the first try; a shorter window than this is a slip.
const WINDOW_MIN: Duration = Duration::from_secs(60);

pub(super) async fn prepare(
    context: &Context,
    settings: &Settings,
    topics: &[String],
) -> Result<Prepared, OutletError> {
    let name = &settings.stream;
    let stream = match context.get_stream(name).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                make(context, settings).await?
            }
            GetStreamErrorKind::JetStream(error) => {
                return Err(OutletError::Refused(format!("stream {name}: {error}")));
            }
            _ => return Err(OutletError::Passing(format!("stream {name}: {error}"))),
        },
    };
    let subjects: Vec<String> = topics.iter().map(|topic| message::subject(&settings.tenant, topic)).collect();
    let problems = problems(&stream.cached_info().config, &subjects);
    if !problems.is_empty() {
        return Err(OutletError::Refused(format!("stream {name} would lose events: {}", problems.join("; "))));
    }
    let mut prepared = Prepared::default();
    for (topic, subject) in topics.iter().zip(&subjects) {
        prepared.last.extend(last(&stream, settings, topic, subject).await?);
    }
    Ok(prepared)
}

async fn make(context: &Context, settings: &Settings) -> Result<Stream, OutletError> {
    let name = &settings.stream;
    let config = Config {
        name: name.clone(),
        description: Some("Events of weir, in order. Message ids are TENANT-TOPIC-NUMBER.".into()),
        subjects: vec![format!("weir.{}.*", settings.tenant)],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        // When the disk is full events wait in the store, and none is dropped here.
        discard: DiscardPolicy::New,
        num_replicas: settings.replicas,
        duplicate_window: settings.duplicate_window,
        ..Config::default()
    };
    context.create_stream(config).await.inspect(|_| tracing::info!(events.stream = name, "made the stream")).map_err(
        |error| {
            let text = format!("stream {name} cannot be made: {error}");
            match error.kind() {
                CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::Response => OutletError::Passing(text),
                _ => OutletError::Refused(text),
            }
        },
    )
}

/// Everything about a stream by which it would not keep each event.
fn problems(config: &Config, subjects: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |wrong: bool, text: &str| {
        if wrong {
            problems.push(text.to_owned());
        }
    };
    check(
        config.retention != RetentionPolicy::Limits,
        "retention must be limits: with others a message goes once it was consumed",
    );
    check(!config.max_age.is_zero(), "max_age must be 0: older events are deleted");
    let limited = config.max_bytes > 0 || config.max_messages > 0 || config.max_messages_per_subject > 0;
    check(
        limited && config.discard == DiscardPolicy::Old,
        "with max_bytes, max_msgs or max_msgs_per_subject discard must be new: with old the oldest events are deleted",
    );
    check(
        config.max_messages_per_subject > 0 && config.discard == DiscardPolicy::New && !config.discard_new_per_subject,
        "with max_msgs_per_subject discard_new_per_subject must be set: else the oldest events are deleted",
    );
    check(config.no_ack, "no_ack must not be set: nothing would be acknowledged");
    check(config.sealed, "it is sealed");
    check(config.mirror.is_some(), "it is a mirror");
    check(config.duplicate_window < WINDOW_MIN, "duplicate_window must be a minute or more: repeats are known by it");
    let missing = subjects.iter().filter(|subject| !config.subjects.iter().any(|pattern| covers(pattern, subject)));
    for subject in missing {
        problems.push(format!("its subjects lack {subject}"));
    }
    problems
}

/// Whether a subject is among those of a pattern with `*` and `>`.
fn covers(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for part in pattern.split('.') {
        match (part, words.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(word)) if part == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

async fn last(stream: &Stream, settings: &Settings, topic: &str, subject: &str) -> Result<Option<Last>, OutletError> {
    let name = &settings.stream;
    let message = match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => message,
        Err(error) => {
            return match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                    Ok(None)
                }
                _ => Err(OutletError::Passing(format!("stream {name}: {error}"))),
            };
        }
    };
    let foreign =
        || OutletError::Refused(format!("stream {name}: message {} on {subject} is not of weir", message.sequence));
    read(&message, settings, topic).ok_or_else(foreign).map(Some)
}

/// What is read of an event again.
#[derive(Deserialize)]
struct Head {
    at: String,
}

fn read(message: &StreamMessage, settings: &Settings, topic: &str) -> Option<Last> {
    let id = message.headers.get(async_nats::header::NATS_MESSAGE_ID)?;
    let no = message::number(id.as_str(), &settings.tenant, topic)?;
    let head: Head = serde_json::from_slice(&message.payload).ok()?;
    Some(Last { topic: topic.to_owned(), no, at: head.at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        Config {
            subjects: vec!["weir.default.*".into()],
            duplicate_window: Duration::from_secs(120),
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: -1,
            ..Config::default()
        }
    }

    fn found(change: impl FnOnce(&mut Config)) -> String {
        let mut config = good();
        change(&mut config);
        problems(&config, &["weir.default.vaccination".into()]).join("; ")
    }

    #[test]
    fn a_stream_that_keeps_everything_is_good() {
        assert_eq!(found(|_| ()), "");
        let full_is_refused = |config: &mut Config| (config.max_bytes, config.discard) = (1 << 30, DiscardPolicy::New);
        assert_eq!(found(full_is_refused), "");
        assert_eq!(found(|config| config.subjects = vec!["other".into(), "weir.>".into()]), "");
    }

    #[test]
    fn each_way_to_lose_an_event_is_named() {
        assert!(found(|config| config.retention = RetentionPolicy::WorkQueue).starts_with("retention must"));
        assert!(found(|config| config.retention = RetentionPolicy::Interest).starts_with("retention must"));
        assert!(found(|config| config.max_age = Duration::from_secs(1)).starts_with("max_age must"));
        assert!(found(|config| config.max_messages = 5).contains("discard must be new"));
        assert!(found(|config| config.max_bytes = 5).contains("discard must be new"));
        let per_subject =
            |config: &mut Config| (config.max_messages_per_subject, config.discard) = (5, DiscardPolicy::New);
        assert!(found(per_subject).contains("discard_new_per_subject"));
        assert!(found(|config| config.no_ack = true).starts_with("no_ack"));
        assert!(found(|config| config.sealed = true).contains("sealed"));
        assert!(found(|config| config.duplicate_window = Duration::ZERO).starts_with("duplicate_window"));
        assert_eq!(found(|config| config.subjects.clear()), "its subjects lack weir.default.vaccination");
    }

    #[test]
    fn patterns_cover_whole_words() {
        for (pattern, is) in [
            ("weir.a.b", true),
            ("weir.*.b", true),
            ("weir.>", true),
            ("weir.a", false),
            ("weir.a.b.>", false),
            ("weir.*", false),
        ] {
            assert_eq!(covers(pattern, "weir.a.b"), is, "{pattern}");
        }
    }
}
