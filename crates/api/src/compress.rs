//! Compressed answers.

use axum::http::{HeaderMap, HeaderValue, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Smaller bodies fit in a packet as they are.
const BYTES_MIN: usize = 1_024;
const ZSTD_LEVEL: i32 = 1;

/// The best form of compression that a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads Accept-Encoding.
pub(crate) fn accepted(headers: &HeaderMap) -> Encoding {
    let accepts = |name: &str| {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next().is_some_and(|first| first.eq_ignore_ascii_case(name))
                && !parts.any(|q| matches!(q, "q=0" | "q=0.0"))
        })
    };
    if accepts("zstd") {
        Encoding::Zstd
    } else if accepts("gzip") {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

/// Compresses `body`, and says so in `headers`.
pub(crate) fn compress(encoding: Encoding, headers: &mut HeaderMap, body: Vec<u8>) -> Vec<u8> {
    if body.len() < BYTES_MIN {
        return body;
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let (name, packed) = match encoding {
        Encoding::Zstd => ("zstd", zstd::bulk::compress(&body, ZSTD_LEVEL).ok()),
        Encoding::Gzip => ("gzip", gzip(&body)),
        Encoding::Identity => return body,
    };
    match packed {
        Some(packed) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
            packed
        }
        None => body,
    }
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
