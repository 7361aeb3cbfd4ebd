//! Decimals: exact, and with the precision they were written with.

use rust_decimal::Decimal;

/// Reads a JSON number. Trailing zeros are kept; digits beyond 28 significant ones are rounded; too large is `None`.
pub fn parse(text: &str) -> Option<Decimal> {
    if text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        Decimal::from_scientific(text).ok()
    } else {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_kept() {
        assert_eq!(parse("1.10").unwrap().to_string(), "1.10");
        assert_eq!(parse("-0.5").unwrap(), Decimal::new(-5, 1));
        assert_eq!(parse("1.5e2").unwrap(), Decimal::new(150, 0));
        assert_eq!(parse("1e400"), None);
        assert_eq!(parse("x"), None);
    }
}
