//! The JSON that clients see: the stored body with its version and time put in.

use crate::{Splice, Stored};
use fhir::json::Node;

impl Splice {
    /// Where a body's version and time go. `resource` is the root of the minified body.
    pub fn find(resource: Node<'_>) -> Splice {
        if let Some(meta) = resource.get("meta").filter(|meta| meta.is_object()) {
            let inside = meta.span().start as u32 + 1;
            return if meta.is_empty() { Splice::EmptyMeta(inside) } else { Splice::Meta(inside) };
        }
        // After `id`, where readers expect it, else after `resourceType`, else at the start.
        let before = resource.get("id").or_else(|| resource.get("resourceType"));
        match before {
            Some(node) => Splice::NoMeta(node.span().end as u32),
            None => Splice::None,
        }
    }
}

impl Stored {
    /// Full JSON with `meta.versionId` and `meta.lastUpdated`; empty for a deletion.
    pub fn json(&self) -> Vec<u8> {
        let members = || format!("\"versionId\":\"{}\",\"lastUpdated\":\"{}\"", self.version, instant(self.at_us));
        let (at, text) = match self.splice {
            Splice::None => return self.body.clone(),
            Splice::NoMeta(at) => (at, format!(",\"meta\":{{{}}}", members())),
            Splice::EmptyMeta(at) => (at, members()),
            Splice::Meta(at) => (at, members() + ","),
        };
        let Some((head, tail)) = self.body.split_at_checked(at as usize) else { return self.body.clone() };
        [head, text.as_bytes(), tail].concat()
    }
}

/// A FHIR instant in UTC with microseconds: `2026-11-24T10:00:00.123456Z`.
pub fn instant(at_us: i64) -> String {
    const DAY_US: i64 = 86_400_000_000;
    let (year, month, day) = fhir::temporal::civil(at_us.div_euclid(DAY_US)).unwrap_or((1, 1, 1));
    let us = at_us.rem_euclid(DAY_US);
    let (s, micros) = (us / 1_000_000, us % 1_000_000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z", s / 3600, s / 60 % 60, s % 60)
}
