//! Short forms of given names. The table is that of the PyPI package `nicknames` (see `data/README.md`).

use std::collections::HashMap;
use std::sync::LazyLock;

/// Each line is a root and the names that stand for it.
const TABLE: &str = include_str!("../data/nicknames.txt");

/// A name with more roots keeps the first ones; only a handful of very common short forms have more.
pub(crate) const MAX_ROOTS: usize = 6;

static ROOTS: LazyLock<HashMap<&'static str, Vec<u16>>> = LazyLock::new(|| {
    let mut roots: HashMap<_, Vec<u16>> = HashMap::new();
    for (number, line) in (0..).zip(TABLE.lines()) {
        for (place, name) in line.split(' ').enumerate() {
            let of = roots.entry(name).or_default();
            // A name that is a root itself has that first.
            of.insert(if place == 0 { 0 } else { of.len() }, number);
        }
    }
    for of in roots.values_mut() {
        of.truncate(MAX_ROOTS);
    }
    roots
});

/// All roots, in the order of their numbers.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter_map(|line| line.split(' ').next())
}

/// The root of a number that [`roots`] gave.
pub(crate) fn root(number: u16) -> &'static str {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| all().collect());
    NAMES[usize::from(number)]
}

/// Numbers of the names that `first` may stand for, itself included. Two given names belong together when their roots
/// meet. None for a name that is in no line: it could meet nothing but itself.
pub(crate) fn roots(first: &str) -> &'static [u16] {
    ROOTS.get(first).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(one: &str, other: &str) -> bool {
        roots(one).iter().any(|root| roots(other).contains(root))
    }

    #[test]
    fn short_forms_meet_their_names_and_each_other() {
        assert!(meet("bill", "william"));
        assert!(meet("cindy", "cynthia"));
        assert!(meet("peggy", "maggie"), "both are Margaret");
        assert!(!meet("james", "mary"));
        assert!(roots("al").len() <= MAX_ROOTS);
        assert!(all().count() > 1_000);
    }
}
