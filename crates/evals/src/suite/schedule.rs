//! When servers run a suite by themselves.

use jiff::Timestamp;

/// How often servers run a suite against what the public channel serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Never.
    Off,
    /// Once a day.
    Daily,
    /// Once in seven days.
    Weekly,
}

/// One turn of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its name: the schedule and when the turn began, `weekly:2026-11-22T10:00:00Z`. Two turns of a suite never have the same.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
}

impl Schedule {
    /// The names that a suite may use.
    pub const NAMES: [(&'static str, Self); 3] =
        [("weekly", Self::Weekly), ("daily", Self::Daily), ("off", Self::Off)];

    const fn seconds(self) -> Option<i64> {
        match self {
            Self::Off => None,
            Self::Daily => Some(24 * 3600),
            Self::Weekly => Some(7 * 24 * 3600),
        }
    }

    /// The turn that goes on at a time. Turns of different suites begin at different seconds, which follow from `key`, so that not all of
    /// them begin at once. It depends on nothing else: every node gets the same turn.
    #[must_use]
    pub fn turn(self, key: &str, now: Timestamp) -> Option<Turn> {
        let period = self.seconds()?;
        let hash = blake3::hash(key.as_bytes());
        let mut first = [0; 4];
        first.copy_from_slice(&hash.as_bytes()[..4]);
        let shift = i64::from(u32::from_le_bytes(first)) % period;
        let began = now.as_second().saturating_sub(shift).div_euclid(period) * period + shift;
        let began = Timestamp::from_second(began).ok()?;
        let (name, _) = Self::NAMES.into_iter().find(|(_, schedule)| *schedule == self)?;
        Some(Turn { name: format!("{name}:{began}"), began })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn turns_follow_one_another_without_gaps(key in "[a-z]{1,20}", at in 0_i64..4_000_000_000, daily: bool) {
            let schedule = if daily { Schedule::Daily } else { Schedule::Weekly };
            let period = schedule.seconds().unwrap();
            let of = |second: i64| schedule.turn(&key, Timestamp::from_second(second).unwrap()).unwrap();
            let turn = of(at);
            let began = turn.began.as_second();
            prop_assert!(began <= at && at < began + period);
            prop_assert_eq!(&of(began), &turn);
            prop_assert_eq!(&of(began + period - 1), &turn);
            prop_assert_eq!(of(began + period).began.as_second(), began + period);
            prop_assert!(of(began + period).name != turn.name);
        }
    }

    #[test]
    fn a_suite_that_is_off_has_no_turn() {
        assert_eq!(Schedule::Off.turn("main/support", Timestamp::UNIX_EPOCH), None);
    }
}
