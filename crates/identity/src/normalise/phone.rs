//! Telephone numbers.

use crate::person::MAX_PHONES;

const DIGITS: usize = 10;

/// The last ten digits of the first numbers that are one, ascending, without repetitions.
pub(super) fn all(phones: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for phone in phones.iter().filter_map(|text| one(text)) {
        if all.len() < MAX_PHONES && !all.contains(&phone) {
            all.push(phone);
        }
    }
    all.sort();
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
        let four = ["5035550119", "5035550118", "503-555-0119", "5035550117", "5035550116"];
        assert_eq!(all(&four), ["5035550117", "5035550118", "5035550119"], "the first three");
        assert!(all(&["0000000000", "none", "911", "123-456-7890"]).is_empty());
    }
}
