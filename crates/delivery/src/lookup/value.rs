//! Field values as bytes that sort as the values do.

use ashlar_model::Digest;
use serde_json::Value;

/// Bytes of a string that take part in the order; what follows is represented by a hash.
pub const STRING_BYTES_MAX: usize = 120;

/// The most values of one array that are indexed.
pub const VALUES_MAX: usize = 1000;

const BOOL: u8 = 1;
const NUMBER: u8 = 2;
const STRING: u8 = 3;
/// Sorts behind everything, so that entries without the field come last.
const MISSING: u8 = 0xff;

/// A value of an indexed field as bytes: no encoding is a prefix of another, and their order is that of the values:
/// booleans, then numbers, then strings (by their UTF-8 bytes), then "no value".
///
/// Two strings that agree in their first [`STRING_BYTES_MAX`] bytes are distinguished by a hash, so equality is exact
/// while their order among each other is arbitrary but stable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey(Vec<u8>);

impl IndexKey {
    /// A string.
    pub fn string(text: &str) -> Self {
        let bytes = text.as_bytes();
        let cut = &bytes[..bytes.len().min(STRING_BYTES_MAX)];
        let mut out = Vec::with_capacity(cut.len() + 3);
        out.push(STRING);
        for b in cut {
            out.push(*b);
            if *b == 0 {
                out.push(0xff);
            }
        }
        if cut.len() == bytes.len() {
            out.extend([0, 1]);
        } else {
            out.extend([0, 2]);
            out.extend(&Digest::of(bytes).as_bytes()[..16]);
        }
        Self(out)
    }

    /// A number. `-0` is `0`.
    pub fn number(number: f64) -> Self {
        let number = if number == 0.0 { 0.0 } else { number };
        let bits = number.to_bits();
        // Positive numbers get the sign bit set, negative ones are inverted: then the bytes sort as the numbers.
        let sortable = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
        let mut out = vec![NUMBER];
        out.extend(sortable.to_be_bytes());
        Self(out)
    }

    /// A boolean.
    pub fn bool(value: bool) -> Self {
        Self(vec![BOOL, u8::from(value)])
    }

    /// The entry has no value in this field.
    pub fn missing() -> Self {
        Self(vec![MISSING])
    }

    /// The values of a field as JSON: one, or those of an array; [`IndexKey::missing`] when there is none that can be
    /// indexed (absent, `null`, an object, an empty array).
    pub fn of(value: Option<&Value>) -> Vec<Self> {
        let one = |value: &Value| match value {
            Value::String(s) => Some(Self::string(s)),
            Value::Number(n) => n.as_f64().map(Self::number),
            Value::Bool(b) => Some(Self::bool(*b)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let mut out: Vec<Self> = match value {
            Some(Value::Array(items)) => items.iter().take(VALUES_MAX).filter_map(one).collect(),
            Some(value) => one(value).into_iter().collect(),
            None => Vec::new(),
        };
        out.sort();
        out.dedup();
        if out.is_empty() {
            out.push(Self::missing());
        }
        out
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this stands for "no value".
    pub fn is_missing(&self) -> bool {
        self.0 == [MISSING]
    }

    /// How many bytes at the start of `bytes` are one encoded value; `None` when they are not.
    pub fn len_in(bytes: &[u8]) -> Option<usize> {
        match *bytes.first()? {
            MISSING => Some(1),
            BOOL => (bytes.len() >= 2).then_some(2),
            NUMBER => (bytes.len() >= 9).then_some(9),
            STRING => {
                let mut at = 1;
                loop {
                    at += 1 + bytes.get(at..)?.iter().position(|b| *b == 0)?;
                    match bytes.get(at)? {
                        0xff => at += 1,
                        1 => return Some(at + 1),
                        2 => return (bytes.len() >= at + 17).then_some(at + 17),
                        _ => return None,
                    }
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn numbers_sort_as_bytes(a: f64, b: f64) {
            prop_assume!(a.is_finite() && b.is_finite());
            prop_assert_eq!(IndexKey::number(a).cmp(&IndexKey::number(b)), (a + 0.0).partial_cmp(&(b + 0.0)).unwrap());
        }

        #[test]
        fn strings_sort_as_bytes(a in "[\0-\u{3}a\u{ff}]{0,5}", b in "[\0-\u{3}a\u{ff}]{0,5}") {
            prop_assert_eq!(IndexKey::string(&a).cmp(&IndexKey::string(&b)), a.as_bytes().cmp(b.as_bytes()));
        }

        #[test]
        fn long_strings_sort_by_their_start_and_stay_apart(a in "[ab]{110,130}", b in "[ab]{110,130}") {
            let (ka, kb) = (IndexKey::string(&a), IndexKey::string(&b));
            prop_assert_eq!(ka == kb, a == b);
            let cut = |s: &str| s.as_bytes()[..s.len().min(STRING_BYTES_MAX)].to_vec();
            if cut(&a) != cut(&b) {
                prop_assert_eq!(ka.cmp(&kb), a.cmp(&b));
            }
        }

        #[test]
        fn encodings_find_their_own_end(text in "[\0\u{1}a\u{ff}]{0,130}", n: f64, t: bool, tail: Vec<u8>) {
            for key in [IndexKey::string(&text), IndexKey::number(n), IndexKey::bool(t), IndexKey::missing()] {
                let mut bytes = key.as_bytes().to_vec();
                bytes.extend(&tail);
                prop_assert_eq!(IndexKey::len_in(&bytes), Some(key.as_bytes().len()));
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = IndexKey::len_in(&bytes);
        }
    }

    #[test]
    fn kinds_have_an_order_and_absence_is_last() {
        let keys = [IndexKey::bool(true), IndexKey::number(1e300), IndexKey::string(""), IndexKey::missing()];
        assert!(keys.is_sorted());
        for absent in [None, Some(&json!(null)), Some(&json!({})), Some(&json!([]))] {
            assert_eq!(IndexKey::of(absent), [IndexKey::missing()]);
        }
        assert_eq!(
            IndexKey::of(Some(&json!(["b", "a", "b"]))),
            [IndexKey::string("a"), IndexKey::string("b")]
        );
    }
}
