//! Counts of tokens, as providers report them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The largest count of tokens of one answer that is believed. Sums of such counts fit every column of a database.
pub const TOKENS_REPORTED_MAX: u64 = 1_000_000_000;

/// A count of tokens. Providers send numbers, `null`, and sometimes nonsense; an answer is not worth less because of that.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// It is absent, or `null`.
    #[default]
    None,
    /// A count.
    Some(u64),
    /// Something that cannot be a count: negative, too large, or no whole number.
    Wrong,
}

impl Figure {
    /// The count, if there is one.
    pub fn known(self) -> Option<u64> {
        match self {
            Self::Some(count) => Some(count),
            Self::None | Self::Wrong => None,
        }
    }

    /// The count; 0 without one.
    pub fn or_zero(self) -> u64 {
        self.known().unwrap_or(0)
    }

    /// This count, or an earlier one when this is absent.
    pub fn or(self, earlier: Self) -> Self {
        if self == Self::None { earlier } else { self }
    }
}

struct Count;

impl<'de> Visitor<'de> for Count {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count of tokens")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Figure, E> {
        Ok(if count <= TOKENS_REPORTED_MAX { Figure::Some(count) } else { Figure::Wrong })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Figure, E> {
        Ok(Figure::Wrong)
    }

    fn visit_f64<E>(self, count: f64) -> Result<Figure, E> {
        let whole = count.fract() == 0.0 && (0.0..=TOKENS_REPORTED_MAX as f64).contains(&count);
        Ok(if whole { Figure::Some(count as u64) } else { Figure::Wrong })
    }

    fn visit_str<E>(self, _: &str) -> Result<Figure, E> {
        Ok(Figure::Wrong)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Figure, E> {
        Ok(Figure::Wrong)
    }

    fn visit_unit<E>(self) -> Result<Figure, E> {
        Ok(Figure::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Figure, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Figure::Wrong)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Figure, A::Error> {
        while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Figure::Wrong)
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Count)
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn counts_are_read_and_nonsense_is_no_count() {
        for (text, want) in [
            ("0", Figure::Some(0)),
            ("12", Figure::Some(12)),
            ("12.0", Figure::Some(12)),
            ("null", Figure::None),
            ("-1", Figure::Wrong),
            ("1.5", Figure::Wrong),
            ("18446744073709551615", Figure::Wrong),
            ("1e300", Figure::Wrong),
            ("99999999999999999999999999", Figure::Wrong),
            ("\"12\"", Figure::Wrong),
            ("[{}]", Figure::Wrong),
            ("{\"a\":[1]}", Figure::Wrong),
            ("true", Figure::Wrong),
        ] {
            assert_eq!(serde_json::from_str::<Figure>(text).ok(), Some(want), "{text}");
        }
    }
}
