//! Request bodies, read piece by piece so that a bound is kept before memory is used.

use crate::error::Failure;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::write::{GzDecoder, ZlibDecoder};
use http_body_util::BodyExt;
use std::io::Write;

/// A claim in Content-Length reserves no more than this.
const RESERVED_MAX: usize = 1 << 20;

/// Reads a body of at most `bytes_max` bytes, counted after decompression.
pub(crate) async fn read(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large(bytes_max));
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map_or("identity", |value| value.to_str().unwrap_or("?"));
    let mut sink = match encoding.to_ascii_lowercase().as_str() {
        "identity" | "" => Sink::Plain(Bounded::new(bytes_max, announced)),
        "gzip" | "x-gzip" => Sink::Gzip(GzDecoder::new(Bounded::new(bytes_max, None))),
        "deflate" => Sink::Deflate(ZlibDecoder::new(Bounded::new(bytes_max, None))),
        "zstd" => Sink::Zstd(zstd(bytes_max)?),
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

fn zstd(bytes_max: usize) -> Result<Box<ZstdSink>, Failure> {
    let decoder = zstd::stream::write::Decoder::new(Bounded::new(bytes_max, None));
    let internal = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "exception", "zstd cannot start");
    Ok(Box::new(decoder.map_err(internal)?))
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

    fn finish(self) -> std::io::Result<Vec<u8>> {
        Ok(match self {
            Sink::Plain(out) => out,
            Sink::Gzip(out) => out.finish()?,
            Sink::Deflate(out) => out.finish()?,
            Sink::Zstd(mut out) => {
                out.flush()?;
                out.into_inner()
            }
        }
        .bytes)
    }
}

/// A buffer that refuses to grow past its bound.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl Bounded {
    fn new(max: usize, announced: Option<usize>) -> Bounded {
        Bounded { bytes: Vec::with_capacity(announced.unwrap_or(0).min(RESERVED_MAX)), max }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn unreadable(error: &std::io::Error, bytes_max: usize) -> Failure {
    if error.kind() == std::io::ErrorKind::FileTooLarge {
        return too_large(bytes_max);
    }
    Failure::new(StatusCode::BAD_REQUEST, "invalid", "the body is not what its Content-Encoding says")
}

fn too_large(bytes_max: usize) -> Failure {
    let text = format!("the body is larger than {bytes_max} bytes: send less at once, or raise server.body_bytes_max");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", text)
}
