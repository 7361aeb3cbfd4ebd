//! Short forms of given names. The table is that of the PyPI package `nicknames` (see `data/README.md`).

use std::collections::HashMap;
use std::sync::LazyLock;

/// A name with more roots keeps the first ones; only a handful of very common short forms have more.
const MAX_ROOTS: usize = 6;

static ROOTS: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut roots: HashMap<_, Vec<_>> = HashMap::new();
    for line in include_str!("../data/nicknames.txt").lines() {
        let mut words = line.split(' ');
        let Some(root) = words.next() else { continue };
        for nickname in words {
            roots.entry(nickname).or_default().push(root);
        }
    }
    roots
});

/// The names that `first` may stand for, itself first. Two given names belong together when their roots meet.
pub(crate) fn roots(first: &str) -> impl Iterator<Item = &str> {
    let others = ROOTS.get(first).map_or(&[][..], Vec::as_slice);
    std::iter::once(first).chain(others.iter().copied()).take(MAX_ROOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(one: &str, other: &str) -> bool {
        roots(one).any(|root| roots(other).any(|another| another == root))
    }

    #[test]
    fn short_forms_meet_their_names_and_each_other() {
        assert!(meet("bill", "william"));
        assert!(meet("cindy", "cynthia"));
        assert!(meet("peggy", "maggie"), "both are Margaret");
        assert!(!meet("james", "mary"));
        assert!(roots("al").count() <= MAX_ROOTS);
    }
}
