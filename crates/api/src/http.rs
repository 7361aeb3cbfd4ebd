//! The pieces of a request and of an answer that the handlers share.

use crate::body::Held;
use crate::serve::Stopping;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use engine::Session;

/// A request after authentication and negotiation.
pub(crate) struct Request {
    pub(crate) session: Session,
    pub(crate) headers: HeaderMap,
    /// Raw query string: the criteria of conditional interactions.
    pub(crate) query: String,
    /// The same, decoded.
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) body: Held,
    pub(crate) is_post: bool,
    /// Says when the server stops; absent where nobody serves.
    pub(crate) stopping: Option<Stopping>,
}

impl Request {
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer before compression. The body is JSON unless it is empty or a Content-Type says otherwise.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Instead of `body`: what is sent as it comes.
    pub(crate) stream: Option<Body>,
}

impl Answer {
    pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Answer {
        Answer { status, headers: HeaderMap::new(), body, stream: None }
    }

    pub(crate) fn stream(status: StatusCode, stream: Body) -> Answer {
        Answer { stream: Some(stream), ..Answer::empty(status) }
    }

    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer::json(status, Vec::new())
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// ETag and Last-Modified of a version.
    pub(crate) fn versioned(self, version: u64, last_updated_us: i64) -> Answer {
        self.with(header::ETAG, &format!("W/\"{version}\"")).with(header::LAST_MODIFIED, &http_date(last_updated_us))
    }
}

/// `Tue, 24 Nov 2026 10:00:00 GMT`
pub(crate) fn http_date(us: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = us.div_euclid(1_000_000);
    let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = fhir::temporal::civil(days).unwrap_or((1970, 1, 1));
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[usize::from(month) - 1],
        in_day / 3_600,
        in_day / 60 % 60,
        in_day % 60
    )
}

/// Seconds since 1970 of an HTTP date in the one form that clients send today.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: u8 = parts.next()?.parse().ok()?;
    let month = MONTHS.find(parts.next()?)? / 3 + 1;
    let year: i32 = parts.next()?.parse().ok()?;
    let mut time = parts.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let days = fhir::temporal::days_since_epoch(year, u8::try_from(month).ok()?, day);
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_written_and_read() {
        assert_eq!(http_date(784_111_777_000_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("yesterday"), None);
    }
}
