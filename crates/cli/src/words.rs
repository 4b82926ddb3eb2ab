//! Counts and times as people read them.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// `1 entry`, `12 entries`.
pub fn count(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", if number == 1 { one } else { many })
}

/// [`count`] of a figure among metrics.
pub fn figure(number: f64, one: &str, many: &str) -> String {
    format!("{number:.0} {}", if (number - 1.0).abs() < 0.5 { one } else { many })
}

/// [`count`] of a number in a JSON object; an absent one counts as 0.
pub fn count_in(value: &Value, member: &str, one: &str, many: &str) -> String {
    count(value[member].as_u64().unwrap_or(0), one, many)
}

/// How far away a time is: `3 minutes ago`, `in 2 hours`.
pub fn relative(time: Timestamp, now: Timestamp) -> String {
    let distance = time.duration_since(now);
    let far = span(distance.abs());
    match (far, distance.is_negative()) {
        (None, _) => "just now".to_owned(),
        (Some(far), true) => format!("{far} ago"),
        (Some(far), false) => format!("in {far}"),
    }
}

/// The largest unit of a duration; `None` below five seconds.
fn span(duration: SignedDuration) -> Option<String> {
    let seconds = duration.as_secs().unsigned_abs();
    Some(match seconds {
        0..5 => return None,
        5..60 => count(seconds, "second", "seconds"),
        60..3_600 => count(seconds / 60, "minute", "minutes"),
        3_600..86_400 => count(seconds / 3_600, "hour", "hours"),
        86_400..2_592_000 => count(seconds / 86_400, "day", "days"),
        2_592_000..31_536_000 => count(seconds / 2_592_000, "month", "months"),
        _ => count(seconds / 31_536_000, "year", "years"),
    })
}

/// A time in RFC 3339 as people read it; other text stays as it is.
pub fn time(text: &str) -> String {
    time_from(text, Timestamp::now())
}

/// What is to happen also has its exact time, because people plan with it.
fn time_from(text: &str, now: Timestamp) -> String {
    let looks = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    match text.parse::<Timestamp>() {
        Ok(time) if looks && time.duration_since(now).as_secs() >= 5 => {
            format!("{} ({})", relative(time, now), time.strftime("%Y-%m-%d %H:%MZ"))
        }
        Ok(time) if looks => relative(time, now),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_unit() {
        let now: Timestamp = "2027-03-01T12:00:00Z".parse().unwrap_or_default();
        for (at, said) in [
            ("2027-03-01T11:59:58Z", "just now"),
            ("2027-03-01T11:59:59Z", "just now"),
            ("2027-03-01T11:59:00Z", "1 minute ago"),
            ("2027-03-01T11:57:00Z", "3 minutes ago"),
            ("2027-03-01T14:00:00Z", "in 2 hours"),
            ("2027-02-28T12:00:00Z", "1 day ago"),
            ("2026-12-01T12:00:00Z", "3 months ago"),
            ("2025-01-01T12:00:00Z", "2 years ago"),
        ] {
            assert_eq!(at.parse().map(|t| relative(t, now)).unwrap_or_default(), said, "{at}");
        }
        assert_eq!(time("r1"), "r1");
        assert_eq!(time_from("2027-03-01T11:57:00Z", now), "3 minutes ago");
        assert_eq!(time_from("2027-03-04T12:00:00Z", now), "in 3 days (2027-03-04 12:00Z)");
        assert_eq!(count(1_u64, "entry", "entries"), "1 entry");
        assert_eq!(count(0_usize, "entry", "entries"), "0 entries");
    }
}
