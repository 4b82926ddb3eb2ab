//! Unstable cases that do not count for a while.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

/// The longest quarantine, in days from today.
pub const DAYS_MAX: i32 = 90;
/// The most cases in quarantine. A suite with more has another problem.
pub const QUARANTINED_MAX: usize = 1_000;

/// A case that is reported and does not count until a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantined {
    /// The id of the case.
    pub case: String,
    /// Why it does not count.
    pub reason: String,
    /// The last day on which it does not count.
    pub until: Date,
}

/// Which cases do not count today.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Quarantine {
    /// Cases that do not count today, with the last such day.
    pub in_force: BTreeMap<String, Date>,
    /// Cases whose quarantine has ended; they count again.
    pub expired: Vec<String>,
    /// Entries that are ignored: without a reason, longer than [`DAYS_MAX`], or past the first [`QUARANTINED_MAX`]. Their cases count.
    pub refused: Vec<String>,
}

/// Which cases do not count on a day. The longest valid entry of a case decides.
#[must_use]
pub fn in_force(today: Date, list: &[Quarantined]) -> Quarantine {
    let last = today.saturating_add(DAYS_MAX.days());
    let mut out = Quarantine::default();
    for (at, entry) in list.iter().enumerate() {
        if at >= QUARANTINED_MAX || entry.reason.trim().is_empty() || entry.until > last {
            out.refused.push(entry.case.clone());
        } else if entry.until < today {
            out.expired.push(entry.case.clone());
        } else {
            let until = out.in_force.entry(entry.case.clone()).or_insert(entry.until);
            *until = entry.until.max(*until);
        }
    }
    let Quarantine { in_force, expired, .. } = &mut out;
    expired.retain(|case| !in_force.contains_key(case));
    out
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn entry(case: &str, until: Date) -> Quarantined {
        Quarantined { case: case.to_owned(), reason: "two right answers".to_owned(), until }
    }

    #[test]
    fn quarantine_ends_by_itself() {
        let list = [
            entry("a", date(2026, 3, 1)),
            entry("b", date(2026, 2, 28)),
            entry("b", date(2026, 3, 9)),
            entry("c", date(2026, 2, 28)),
            entry("d", date(2027, 1, 1)),
            Quarantined { reason: " ".to_owned(), ..entry("e", date(2026, 3, 9)) },
        ];
        let found = in_force(date(2026, 3, 1), &list);
        let kept: Vec<(&str, Date)> = found.in_force.iter().map(|(c, d)| (c.as_str(), *d)).collect();
        assert_eq!(kept, [("a", date(2026, 3, 1)), ("b", date(2026, 3, 9))]);
        assert_eq!(
            (found.expired, found.refused),
            (vec!["c".to_owned()], vec!["d".to_owned(), "e".to_owned()])
        );
        assert!(in_force(date(2026, 3, 10), &list).in_force.is_empty());
        let many = vec![entry("x", date(2026, 3, 1)); QUARANTINED_MAX + 1];
        assert_eq!(in_force(date(2026, 3, 1), &many).refused, ["x"]);
        assert!(in_force(Date::MAX, &list).in_force.is_empty());
    }
}
