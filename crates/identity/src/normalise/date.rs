//! Days of birth.

/// A day that exists, or one whose month or day is a default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Date {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl Date {
    /// `YYYY-MM-DD`, `YYYYMMDD`, `MM/DD/YYYY`, or one of the first two cut after year or month (then the rest is 01).
    /// `None` for what is no date. A year of another century is kept: its digits may have changed places.
    pub(crate) fn parse(text: &str) -> Option<Date> {
        let text = text.trim();
        let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
        let (year, month, day) = match parts.as_slice() {
            [y, m, d] if y.len() == 4 => (*y, *m, *d),
            [m, d, y] if y.len() == 4 => (*y, *m, *d),
            [y, m] if y.len() == 4 => (*y, *m, "1"),
            [digits] if digits.len() >= 8 => (digits.get(..4)?, digits.get(4..6)?, digits.get(6..8)?),
            [digits] if digits.len() == 6 => (digits.get(..4)?, digits.get(4..)?, "1"),
            [digits] if digits.len() == 4 => (*digits, "1", "1"),
            _ => return None,
        };
        // FHIR dateTimes go on behind the day.
        let day = day.get(..2).unwrap_or(day);
        let date = Date { year: year.parse().ok()?, month: month.parse().ok()?, day: day.parse().ok()? };
        let placeholder = date.year == 1900 && date.is_default();
        ((1000..9999).contains(&date.year)
            && (1..=12).contains(&date.month)
            && (1..=31).contains(&date.day)
            && !placeholder)
            .then_some(date)
    }

    /// 1 January is what forms fill in when only the year is known.
    pub(crate) fn is_default(self) -> bool {
        self.month == 1 && self.day == 1
    }

    pub(crate) fn digits(self) -> [u8; 8] {
        let mut out = [b'0'; 8];
        let mut rest = u32::from(self.year) * 10_000 + u32::from(self.month) * 100 + u32::from(self.day);
        for place in out.iter_mut().rev() {
            *place += (rest % 10) as u8;
            rest /= 10;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_day() {
        for text in ["1987-03-05", "19870305", "03/05/1987", " 1987-3-5 ", "1987-03-05T08:00:00Z"] {
            assert_eq!(Date::parse(text), Some(Date { year: 1987, month: 3, day: 5 }), "{text}");
        }
        assert_eq!(Date::parse("1987-03-05").map(|date| date.digits()), Some(*b"19870305"));
    }

    #[test]
    fn defaults_and_nonsense() {
        assert_eq!(Date::parse("1987").map(Date::is_default), Some(true));
        for text in ["", "1900-01-01", "1987-13-05", "1987-00-05", "0000-00-00", "unknown", "9999-12-31"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}
