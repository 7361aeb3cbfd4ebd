//! Numbers and times as people say them.

use jiff::Timestamp;

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate with as many digits as mean something.
pub fn rate(per_s: f64) -> String {
    match per_s {
        _ if per_s >= 100.0 => grouped(per_s.round() as u64),
        _ if per_s > 0.0 && per_s < 0.1 => format!("{:.1} a minute", per_s * 60.0),
        _ => format!("{per_s:.1}"),
    }
}

/// `3 hours`: one unit, never finer than what it is good for.
pub fn span(seconds: f64) -> String {
    let units = |count: f64, unit: &str| match count.round() as u64 {
        1 => format!("1 {unit}"),
        count => format!("{} {unit}s", grouped(count)),
    };
    match seconds {
        _ if seconds < 1.0 => "less than a second".into(),
        _ if seconds < 90.0 => units(seconds, "second"),
        _ if seconds < 2.0 * 3_600.0 => units(seconds / 60.0, "minute"),
        _ if seconds < 48.0 * 3_600.0 => units(seconds / 3_600.0, "hour"),
        _ => units(seconds / 86_400.0, "day"),
    }
}

/// `14:20 UTC`, with the day when that is not today.
pub fn moment(us: i64, now_us: i64) -> String {
    let same_day = us.div_euclid(86_400_000_000) == now_us.div_euclid(86_400_000_000);
    written(us, if same_day { "%H:%M UTC" } else { "%a %-d %b, %H:%M UTC" })
}

/// As [`moment`], with seconds.
pub fn instant(us: i64, now_us: i64) -> String {
    let same_day = us.div_euclid(86_400_000_000) == now_us.div_euclid(86_400_000_000);
    written(us, if same_day { "%H:%M:%S UTC" } else { "%a %-d %b, %H:%M:%S UTC" })
}

fn written(us: i64, format: &str) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| "at an unknown time".into(), |at| at.strftime(format).to_string())
}

/// What holds a delivery up, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    No,
    ByOperator,
    /// The destination fails: nobody knows for how long.
    ByFailure,
}

impl Held {
    pub fn new(paused: bool, breaker: &str) -> Held {
        match breaker {
            _ if paused => Held::ByOperator,
            "closed" => Held::No,
            _ => Held::ByFailure,
        }
    }
}

/// When a backlog of `depth` is delivered: `about 3 hours, until 14:20 UTC`.
pub fn eta(depth: u64, held: Held, eta_s: Option<f64>, now_us: i64) -> String {
    match (held, eta_s) {
        _ if depth == 0 => "nothing waits".into(),
        (Held::ByOperator, _) => "not before it is resumed".into(),
        (Held::ByFailure, Some(seconds)) => format!("about {} after the destination is well again", span(seconds)),
        (Held::ByFailure, None) => "not before the destination is well again".into(),
        (Held::No, None) => "cannot be told: nothing may be sent now".into(),
        (Held::No, Some(seconds)) => {
            format!("about {}, until {}", span(seconds), moment(now_us + (seconds * 1e6) as i64, now_us))
        }
    }
}

/// What a destination answered: `422: business-rule Patient.active`. Status 0: it did not answer.
pub fn answer(status: u16, text: &str) -> String {
    let meaning = match status {
        _ if !text.is_empty() => text,
        401 => "it does not accept the login",
        403 => "the login may not do this",
        404 | 410 => "not there",
        429 => "too many requests",
        500..=599 => "it failed",
        _ => "it does not say why",
    };
    if status == 0 { format!("no answer: {meaning}") } else { format!("{status}: {meaning}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.05, 4.17, 20.0, 1_234.4].map(rate), ["0.0", "3.0 a minute", "4.2", "20.0", "1,234"]);
        let spans = [0.2, 1.0, 89.0, 95.0, 5_400.0, 10_000.0, 200_000.0].map(span);
        assert_eq!(
            spans,
            ["less than a second", "1 second", "89 seconds", "2 minutes", "90 minutes", "3 hours", "2 days"]
        );
    }

    #[test]
    fn answers_are_told_also_when_they_say_nothing() {
        assert_eq!(answer(422, "value Patient.gender"), "422: value Patient.gender");
        assert_eq!([answer(502, ""), answer(0, "timed out")], ["502: it failed", "no answer: timed out"]);
    }

    #[test]
    fn the_end_is_told_in_words() {
        let noon = 1_795_521_600_000_000;
        assert_eq!(eta(5, Held::No, Some(8_400.0), noon), "about 2 hours, until 14:20 UTC");
        assert_eq!(eta(5, Held::No, Some(86_400.0), noon), "about 24 hours, until Wed 25 Nov, 12:00 UTC");
        assert_eq!(eta(5, Held::No, None, noon), "cannot be told: nothing may be sent now");
        assert_eq!(eta(5, Held::ByOperator, None, noon), "not before it is resumed");
        assert_eq!(eta(0, Held::ByOperator, Some(0.0), noon), "nothing waits");
        let held = Held::new(false, "open");
        assert_eq!(eta(5, held, Some(60.0), noon), "about 60 seconds after the destination is well again");
        assert_eq!([Held::new(true, "open"), Held::new(false, "closed")], [Held::ByOperator, Held::No]);
        assert_eq!(instant(noon + 1_000_000, noon), "12:00:01 UTC");
    }
}
