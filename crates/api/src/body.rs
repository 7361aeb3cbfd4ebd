//! Request bodies, read piece by piece so that a bound is kept before memory is used.

use crate::error::Failure;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::write::{GzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A claim in Content-Length reserves no more than this.
const RESERVED_MAX: usize = 1 << 20;

/// 8 MiB, the most that RFC 9659 allows for zstd over HTTP: the decoder takes as much memory as the sender's window.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The bytes that all request bodies may have together.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new(bytes_max: usize) -> Room {
        Room(Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))))
    }
}

/// A body and its part of the room, given back with it.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    part: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `bytes_max` bytes, counted after decompression. 503 when other bodies fill the room.
pub(crate) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize, room: &Room) -> Result<Held, Failure> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map_or("identity", |value| value.to_str().unwrap_or("?"));
    let mut sink = match encoding.to_ascii_lowercase().as_str() {
        "identity" | "" => Sink::Plain(Bounded::new(bytes_max, room, announced)),
        "gzip" | "x-gzip" => Sink::Gzip(GzDecoder::new(Bounded::new(bytes_max, room, None))),
        "deflate" => Sink::Deflate(ZlibDecoder::new(Bounded::new(bytes_max, room, None))),
        "zstd" => Sink::Zstd(zstd(bytes_max, room)?),
        _ => {
            let text = "unknown Content-Encoding: send gzip, deflate, zstd or none";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
        }
    };
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "incomplete", "the body broke off"))?;
        if let Some(bytes) = frame.data_ref() {
            sink.write(bytes).map_err(|error| unreadable(&error, bytes_max))?;
        }
    }
    sink.finish().map_err(|error| unreadable(&error, bytes_max))
}

fn zstd(bytes_max: usize, room: &Room) -> Result<Box<ZstdSink>, Failure> {
    let internal = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", "zstd cannot start");
    let mut decoder = zstd::stream::write::Decoder::new(Bounded::new(bytes_max, room, None)).map_err(internal)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(internal)?;
    Ok(Box::new(decoder))
}

type ZstdSink = zstd::stream::write::Decoder<'static, Bounded>;

enum Sink {
    Plain(Bounded),
    Gzip(GzDecoder<Bounded>),
    Deflate(ZlibDecoder<Bounded>),
    Zstd(Box<ZstdSink>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Sink::Plain(out) => out.write_all(bytes),
            Sink::Gzip(out) => out.write_all(bytes),
            Sink::Deflate(out) => out.write_all(bytes),
            Sink::Zstd(out) => out.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<Held> {
        Ok(match self {
            Sink::Plain(out) => out,
            Sink::Gzip(out) => out.finish()?,
            Sink::Deflate(out) => out.finish()?,
            Sink::Zstd(mut out) => {
                out.flush()?;
                out.into_inner()
            }
        }
        .held)
    }
}

/// A buffer that refuses to grow past its bound.
struct Bounded {
    held: Held,
    max: usize,
    room: Room,
}

impl Bounded {
    fn new(max: usize, room: &Room, announced: Option<usize>) -> Bounded {
        let bytes = Vec::with_capacity(announced.unwrap_or(0).min(RESERVED_MAX));
        Bounded { held: Held { bytes, part: None }, max, room: room.clone() }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.held.bytes.len() + bytes.len() > self.max {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let count = u32::try_from(bytes.len()).map_err(|_| ErrorKind::FileTooLarge)?;
        // Waiting would not do: bodies that each hold a half could wait for each other for ever.
        let more = self.room.0.clone().try_acquire_many_owned(count).map_err(|_| ErrorKind::QuotaExceeded)?;
        match &mut self.held.part {
            Some(part) => part.merge(more),
            none => *none = Some(more),
        }
        self.held.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn unreadable(error: &std::io::Error, bytes_max: usize) -> Failure {
    match error.kind() {
        ErrorKind::FileTooLarge => return too_large(bytes_max),
        ErrorKind::QuotaExceeded => {
            let text = "the bodies of other requests fill the memory set aside for them: repeat in a second";
            return Failure::new(StatusCode::SERVICE_UNAVAILABLE, "throttled", text).retry_after(1);
        }
        _ => {}
    }
    Failure::new(
        StatusCode::BAD_REQUEST,
        "invalid",
        "the body is not what its Content-Encoding says, or a zstd window above 8 MiB",
    )
}

fn too_large(bytes_max: usize) -> Failure {
    let text = format!("the body is larger than {bytes_max} bytes: send less at once, or raise server.body_bytes_max");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", text)
}
