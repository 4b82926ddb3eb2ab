use serde::Serialize;
use serde_json::Value;

/// How deep a JSON value that Ashlar stores may nest.
pub const JSON_DEPTH_MAX: usize = 64;

/// The largest integer that every JSON reader keeps exact (2^53 − 1, RFC 8259 §6 and RFC 7493).
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("{path}: nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep {
        /// JSON pointer to the place.
        path: String,
    },
    /// An integer that RFC 8785 (IEEE 754 doubles) cannot hold exactly.
    #[error("{path}: the integer {number} is beyond ±(2^53 − 1) and would lose digits; store it as a string")]
    Integer {
        /// JSON pointer to the place.
        path: String,
        /// The number as written.
        number: String,
    },
    /// The value could not be serialized at all.
    #[error("cannot be written as JSON: {0}")]
    Serialize(String),
}

/// Checks that `value` can be stored without loss: depth and integer range.
///
/// # Errors
/// The first place that cannot, as a JSON pointer.
pub fn check_json(value: &Value) -> Result<(), CanonicalError> {
    fn walk(value: &Value, path: &mut Vec<String>) -> Result<(), CanonicalError> {
        let pointer = |path: &[String]| match path.is_empty() {
            true => "/".to_owned(),
            false => path.iter().map(|p| format!("/{}", p.replace('~', "~0").replace('/', "~1"))).collect(),
        };
        if path.len() > JSON_DEPTH_MAX {
            return Err(CanonicalError::TooDeep { path: pointer(&path[..8]) });
        }
        match value {
            Value::Number(n) => {
                let too_large = n.as_u64().is_some_and(|u| u > INTEGER_MAX)
                    || n.as_i64().is_some_and(|i| i.unsigned_abs() > INTEGER_MAX);
                if too_large {
                    return Err(CanonicalError::Integer { path: pointer(path), number: n.to_string() });
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    path.push(i.to_string());
                    walk(item, path)?;
                    path.pop();
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    path.push(key.clone());
                    walk(item, path)?;
                    path.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
        Ok(())
    }
    walk(value, &mut Vec::new())
}

/// The RFC 8785 canonical JSON of `value`, as UTF-8 bytes.
///
/// # Errors
/// When the value cannot be serialized (a map with non-string keys, a NaN).
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(|e| CanonicalError::Serialize(e.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_numbers_are_shortest() {
        let bytes = canonical_json(&json!({"b": 1.0, "a": [1e21, 0.1, "é\u{7}"]})).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), r#"{"a":[1e+21,0.1,"é\u0007"],"b":1}"#);
    }

    #[test]
    fn integers_that_would_lose_digits_are_refused() {
        assert_eq!(
            check_json(&json!({"a": {"b/c": [9_007_199_254_740_993_u64]}})).unwrap_err().to_string(),
            "/a/b~1c/0: the integer 9007199254740993 is beyond ±(2^53 − 1) and would lose digits; store it as a string"
        );
        assert!(check_json(&json!(-9_007_199_254_740_991_i64)).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..80).fold(json!(1), |v, _| json!([v]));
        assert!(matches!(check_json(&deep), Err(CanonicalError::TooDeep { .. })));
    }

    proptest! {
        #[test]
        fn canonical_form_reads_back_and_is_stable(ints in prop::collection::btree_map("[a-zé]{0,6}", -1000_i64..1000, 0..8)) {
            let once = canonical_json(&ints).unwrap();
            let back: serde_json::Value = serde_json::from_slice(&once).unwrap();
            prop_assert_eq!(&canonical_json(&back).unwrap(), &once);
        }
    }
}
