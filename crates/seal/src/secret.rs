//! Short secrets such as bearer tokens.

use aws_lc_rs::constant_time;
use zeroize::Zeroizing;

/// A secret that does not show in debug output and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The clear text, for the header of a request. Never for a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    pub fn is(&self, candidate: &str) -> bool {
        same(self.0.as_bytes(), candidate.as_bytes())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether two byte strings are equal, in time that depends only on their lengths.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_and_hides() {
        let secret = Secret::new("s3cret".into());
        assert!(secret.is("s3cret"));
        assert!(!secret.is("s3creT") && !secret.is("s3cret "));
        assert!(!format!("{secret:?}").contains("s3cret"));
    }
}
