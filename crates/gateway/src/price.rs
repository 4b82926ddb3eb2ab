//! Money in whole picounits of a currency, and the table of prices with their dates. Every sum is exact.

use std::{collections::BTreeMap, fmt, iter::Sum, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Picounits of a unit of a currency.
const PICO: u64 = 1_000_000_000_000;
/// Digits after the point of an amount of money.
const DIGITS: usize = 12;
/// Tokens that a price is for.
const TOKENS: u64 = 1_000_000;
/// The highest price per million tokens, in units of the currency.
pub const PRICE_UNITS_MAX: u64 = 10_000_000;

/// An amount of money in picounits (10⁻¹²) of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(u64);

/// A text that is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number without a sign.
    #[error("`{0}` is not an amount of money; write it like \"0.15\"")]
    Form(String),
    /// More digits after the point than are counted.
    #[error("`{text}` has more than {digits} digits after the point")]
    Digits {
        /// The text.
        text: String,
        /// The most digits.
        digits: usize,
    },
    /// Too large.
    #[error("`{text}` is too large; at most {most} is possible")]
    Large {
        /// The text.
        text: String,
        /// The most.
        most: u64,
    },
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount. It fits a signed column of a database.
    pub const MAX: Self = Self(i64::MAX as u64);
    /// The largest amount in whole units.
    pub const UNITS_MAX: u64 = i64::MAX as u64 / PICO;

    /// From picounits; what is larger than [`Money::MAX`] is that.
    #[must_use]
    pub const fn from_pico(pico: u64) -> Self {
        if pico > Self::MAX.0 { Self::MAX } else { Self(pico) }
    }

    /// Picounits.
    #[must_use]
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// The sum, at most [`Money::MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::from_pico(self.0.saturating_add(other.0))
    }

    /// The difference, at least nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Money {
    /// As a decimal number with at least two digits after the point and no further zeros at the end: `0.15`, `0.0000375`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(u128::from(self.0)))
    }
}

/// Picounits as a decimal number. Sums of many amounts may be larger than [`Money`].
#[must_use]
pub fn decimal(pico: u128) -> String {
    let (units, rest) = (pico / u128::from(PICO), pico % u128::from(PICO));
    let rest = format!("{rest:0DIGITS$}");
    let kept = rest.trim_end_matches('0').len().max(2);
    format!("{units}.{}", &rest[..kept])
}

/// Reads a decimal number with at most so many digits after the point, as a multiple of the last digit.
fn scaled(text: &str, digits: usize, units_max: u64) -> Result<u64, MoneyError> {
    let shown = || text.chars().take(40).collect::<String>();
    let (units, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let whole = !units.is_empty() && (rest.is_empty() != text.contains('.'));
    if !whole || !is_number(units) || !is_number(rest) {
        return Err(MoneyError::Form(shown()));
    }
    let rest = rest.trim_end_matches('0');
    if rest.len() > digits {
        return Err(MoneyError::Digits { text: shown(), digits });
    }
    let large = || MoneyError::Large { text: shown(), most: units_max };
    let units: u64 = units.parse().map_err(|_| large())?;
    let fraction: u64 = format!("{rest:0<digits$}").parse().unwrap_or(0);
    let scale = 10_u64.pow(digits as u32);
    let value = units.checked_mul(scale).and_then(|units| units.checked_add(fraction));
    let most = units_max.saturating_mul(scale);
    value.filter(|value| *value <= most).ok_or_else(large)
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        // The largest amount has a fraction.
        let pico = scaled(text, DIGITS, Self::UNITS_MAX + 1)?;
        let large = || MoneyError::Large { text: text.chars().take(40).collect(), most: Self::UNITS_MAX };
        if pico <= Self::MAX.0 { Ok(Self(pico)) } else { Err(large()) }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A price of a token: picounits, which is what millionths of a unit per million tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rate(u64);

impl Rate {
    /// For nothing.
    pub const FREE: Self = Self(0);

    /// What so many tokens cost.
    #[must_use]
    pub fn of(self, tokens: u64) -> Money {
        let pico = u128::from(self.0) * u128::from(tokens);
        Money::from_pico(u64::try_from(pico).unwrap_or(u64::MAX))
    }

    /// Picounits per token.
    #[must_use]
    pub const fn pico(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = MoneyError;

    /// Reads a price per million tokens, with at most six digits after the point.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        debug_assert_eq!(PICO / TOKENS, 1_000_000);
        scaled(text, 6, PRICE_UNITS_MAX).map(Self)
    }
}

/// How many tokens a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// All tokens of the input, those of a cache included.
    pub input: u64,
    /// Of these, tokens that the provider read from its cache.
    pub cached_input: u64,
    /// Of these, tokens that the provider wrote to its cache.
    pub cache_write: u64,
    /// Tokens of the output, hidden reasoning included.
    pub output: u64,
}

impl Tokens {
    /// Input and output.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// What a model costs from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// The first day (UTC).
    pub from: Date,
    /// Of a token of the input.
    pub input: Rate,
    /// Of a token that the provider reads from its cache.
    pub cached_input: Rate,
    /// Of a token that the provider writes to its cache.
    pub cache_write: Rate,
    /// Of a token of the output.
    pub output: Rate,
    /// The line in the file.
    pub line: usize,
}

impl Price {
    /// What a call with these tokens costs. Reads from a cache and writes to it are parts of the input: a count that says
    /// otherwise costs as if all of the input were such.
    #[must_use]
    pub fn cost(&self, tokens: Tokens) -> Money {
        let cached = tokens.cached_input.min(tokens.input);
        let written = tokens.cache_write.min(tokens.input - cached);
        let plain = tokens.input - cached - written;
        [
            self.input.of(plain),
            self.cached_input.of(cached),
            self.cache_write.of(written),
            self.output.of(tokens.output),
        ]
        .into_iter()
        .sum()
    }

    /// The most that a call with so many tokens can cost, whatever a cache does.
    #[must_use]
    pub fn most(&self, input: u64, output: u64) -> Money {
        let dearest = self.input.max(self.cached_input).max(self.cache_write);
        dearest.of(input).plus(self.output.of(output))
    }
}

/// What models cost, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    currency: String,
    /// `provider/model` → its prices by their first day.
    models: BTreeMap<String, Vec<Price>>,
}

impl Prices {
    /// No prices, in a currency.
    #[must_use]
    pub fn new(currency: impl Into<String>) -> Self {
        Self { currency: currency.into(), models: BTreeMap::new() }
    }

    /// Adds a price. Says whether the model had none from the same day.
    pub fn add(&mut self, model: &str, price: Price) -> bool {
        let prices = self.models.entry(model.to_owned()).or_default();
        match prices.binary_search_by_key(&price.from, |price| price.from) {
            Ok(_) => false,
            Err(at) => {
                prices.insert(at, price);
                true
            }
        }
    }

    /// The currency; empty without prices.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What a model costs on a day (UTC). `None` when no price says.
    #[must_use]
    pub fn on(&self, provider: &str, model: &str, day: Date) -> Option<&Price> {
        let prices = self.all(provider, model);
        let after = prices.partition_point(|price| price.from <= day);
        prices.get(after.checked_sub(1)?)
    }

    /// All prices of a model by their first day.
    #[must_use]
    pub fn all(&self, provider: &str, model: &str) -> &[Price] {
        self.models.get(&format!("{provider}/{model}")).map_or(&[], Vec::as_slice)
    }

    /// `provider/model` of everything that has a price.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, pico, shown) in [
            ("0.15", 150_000_000_000, "0.15"),
            ("5", 5 * PICO, "5.00"),
            ("500.00", 500 * PICO, "500.00"),
            ("0.000000000001", 1, "0.000000000001"),
            ("0.0000375000000000", 37_500_000, "0.0000375"),
            ("007.5", 7_500_000_000_000, "7.50"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.pico(), money.to_string().as_str()), (pico, shown), "{text}");
        }
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "0x1", "٣", "NaN"] {
            assert!(matches!(bad.parse::<Money>(), Err(MoneyError::Form(_))), "{bad}");
        }
        assert!(matches!("0.0000000000001".parse::<Money>(), Err(MoneyError::Digits { .. })));
        for large in ["9223373", "9223372.036854775808", "99999999999999999999999999"] {
            assert!(matches!(large.parse::<Money>(), Err(MoneyError::Large { .. })), "{large}");
        }
        assert!(matches!("0.0000001".parse::<Rate>(), Err(MoneyError::Digits { digits: 6, .. })));
        assert!(matches!("10000000.000001".parse::<Rate>(), Err(MoneyError::Large { .. })));
        assert_eq!(Money::MAX.to_string().parse(), Ok(Money::MAX));
        assert_eq!("0.075".parse::<Rate>().unwrap().of(1_000_000).to_string(), "0.075");
    }

    #[test]
    fn prices_have_dates() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let price = |from: &str, input: &str| Price {
            from: day(from),
            input: input.parse().unwrap(),
            cached_input: Rate::FREE,
            cache_write: Rate::FREE,
            output: Rate::FREE,
            line: 1,
        };
        let mut prices = Prices::new("USD");
        assert!(prices.add("a/m", price("2026-06-01", "2")));
        assert!(prices.add("a/m", price("2026-01-01", "1")));
        assert!(!prices.add("a/m", price("2026-01-01", "3")));
        let on = |when: &str| prices.on("a", "m", day(when)).map(|price| price.input.pico());
        assert_eq!(on("2025-12-31"), None);
        assert_eq!(on("2026-01-01"), Some(1_000_000));
        assert_eq!(on("2026-05-31"), Some(1_000_000));
        assert_eq!(on("2027-01-01"), Some(2_000_000));
        assert_eq!(prices.on("b", "m", day("2026-01-01")), None);
    }

    /// A price per million tokens with six digits, and the same as a number of millionths.
    fn rate() -> impl Strategy<Value = (u64, Rate)> {
        (0_u64..100_000_000).prop_map(|micro| {
            let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
            (micro, text.parse().unwrap())
        })
    }

    proptest! {
        /// A cost is the rational number tokens × price / 10⁶, with nothing rounded: compared over the common denominator 10¹².
        #[test]
        fn costs_are_exact(
            input in rate(), cached in rate(), written in rate(), output in rate(),
            counts in proptest::collection::vec((0_u64..100_000, 0_u64..100_000, 0_u64..100_000, 0_u64..100_000), 1..20),
        ) {
            let from = "2026-01-01".parse().unwrap();
            let price = Price { from, input: input.1, cached_input: cached.1, cache_write: written.1, output: output.1, line: 1 };
            let (mut sum, mut exact) = (Money::ZERO, 0_u128);
            for (plain, read, wrote, out) in counts {
                let tokens = Tokens { input: plain + read + wrote, cached_input: read, cache_write: wrote, output: out };
                sum = sum.plus(price.cost(tokens));
                for (count, rate) in [(plain, input.0), (read, cached.0), (wrote, written.0), (out, output.0)] {
                    exact += u128::from(count) * u128::from(rate);
                }
                prop_assert!(price.cost(tokens) <= price.most(tokens.input, tokens.output));
            }
            // micro-units per 10⁶ tokens × tokens = 10⁻¹² units.
            prop_assert_eq!(u128::from(sum.pico()), exact);
            prop_assert_eq!(sum.to_string().parse::<Money>().unwrap(), sum);
        }

        #[test]
        fn what_is_read_is_written_again(pico in 0..=Money::MAX.pico()) {
            let money = Money::from_pico(pico);
            let again = money.to_string().parse::<Money>();
            // The last fraction of a unit below the largest amount is beyond what a file may say.
            prop_assert!(again == Ok(money) || pico > Money::UNITS_MAX * PICO);
        }
    }
}
