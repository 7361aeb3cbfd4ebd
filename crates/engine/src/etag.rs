//! Entity tags: `W/"3"` is version 3.

/// What `If-Match` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any current version.
    Any,
    /// One of these versions must be current.
    Versions(Vec<u64>),
}

impl IfMatch {
    /// `*`, or versions with commas between them. `None` when it is neither.
    pub fn parse(text: &str) -> Option<IfMatch> {
        match text.trim() {
            "*" => Some(IfMatch::Any),
            text => text.split(',').map(version_of).collect::<Option<_>>().map(IfMatch::Versions),
        }
    }

    pub(crate) fn allows(&self, version: u64) -> bool {
        match self {
            IfMatch::Any => true,
            IfMatch::Versions(versions) => versions.contains(&version),
        }
    }
}

/// The version in `W/"3"`, `"3"` or `3`.
pub fn version_of(tag: &str) -> Option<u64> {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read() {
        assert_eq!(IfMatch::parse(" * "), Some(IfMatch::Any));
        assert_eq!(IfMatch::parse("W/\"3\""), Some(IfMatch::Versions(vec![3])));
        assert_eq!(IfMatch::parse("\"3\", W/\"4\",5"), Some(IfMatch::Versions(vec![3, 4, 5])));
        for wrong in ["", "x", "W/\"3\",", "*, \"3\""] {
            assert_eq!(IfMatch::parse(wrong), None, "{wrong}");
        }
    }
}
