//! The name somebody probably meant.

/// Longer than any name; it bounds the work that a stranger's text can cause.
const WORD_BYTES_MAX: usize = 64;

/// The candidate with the smallest edit distance to `word`, if that is small enough to be a slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let limit = 1 + word.len() / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean X?)`, or nothing.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or(String::new(), |name| format!(" (did you mean {name}?)"))
}

/// Edits between two texts, where a swap of neighbours counts as one (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut next = vec![i];
        for j in 1..=other.len() {
            let same = one[i - 1] == other[j - 1];
            let mut best = (row[j] + 1).min(next[j - 1] + 1).min(row[j - 1] + usize::from(!same));
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let names = ["birthdate", "name", "family", "gender"];
        assert_eq!(nearest("birthDate", names), Some("birthdate"));
        assert_eq!(nearest("brithdate", names), Some("birthdate"));
        assert_eq!(nearest("nmae", names), Some("name"));
        assert_eq!(nearest("zzzzzz", names), None);
        let long = "x".repeat(WORD_BYTES_MAX + 1);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(hint("genders", names), " (did you mean gender?)");
        assert_eq!(distance("abc", "acb"), 1);
    }
}
