//! Telephone numbers.

const DIGITS: usize = 10;

/// The last ten digits of each number that is one, without repetitions.
pub(super) fn all(phones: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = phones.iter().filter_map(|text| one(text)).collect();
    all.sort();
    all.dedup();
    all
}

fn one(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = &digits[digits.len().saturating_sub(DIGITS)..];
    let first = number.chars().next()?;
    let placeholder = number.chars().all(|digit| digit == first) || matches!(number, "1234567890" | "5555555555");
    (number.len() >= 7 && !placeholder).then(|| number.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_digits_or_nothing() {
        assert_eq!(all(&["+1 (503) 555-0117", "5035550117"]), ["5035550117"]);
        assert!(all(&["0000000000", "none", "911", "123-456-7890"]).is_empty());
    }
}
