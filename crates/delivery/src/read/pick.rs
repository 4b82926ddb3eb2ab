//! Views that show some fields of one entry and nothing else: their bodies are pieces of the stored entry, copied, and no values
//! are built. Making one again costs about as much as finding out whether a kept one is still valid, so they are not kept here.

use ashlar_model::{Digest, canonical_json};
use serde_json::value::RawValue;

use super::members::pick;
use crate::{
    error::DeliveryError,
    views::{Selection, View},
};

/// Longer entries are composed once and kept.
pub(crate) const ENTRY_BYTES_MAX: u32 = 32 << 10;

/// The fields that such a view shows; `None` when it does more than that.
pub(crate) fn fields_of(shape: &View) -> Option<&[String]> {
    let Selection { fields: Some(fields), include } = &shape.select else { return None };
    (include.is_empty() && shape.rename.is_empty()).then_some(fields.as_slice())
}

/// The canonical JSON of the members `names` of a stored entry. `$id`, `$type` and `$locale` name the entry itself.
pub(crate) fn picked(
    stored: &[u8],
    digest: &Digest,
    names: &[String],
    entry: (&str, &str, &str),
) -> Result<Vec<u8>, DeliveryError> {
    let broken = || DeliveryError::Object(*digest);
    let text = std::str::from_utf8(stored).map_err(|_| broken())?;
    let mut found: Vec<Option<&RawValue>> = vec![None; names.len()];
    pick(text, names, &mut found).ok_or_else(broken)?;
    let mut members: Vec<(&str, Option<&str>)> =
        names.iter().zip(&found).map(|(name, raw)| (name.as_str(), raw.map(|r| r.get()))).collect();
    // A name that stands twice is found once.
    members.sort_unstable_by(|(a, raw_a), (b, raw_b)| {
        let by_name = a.encode_utf16().cmp(b.encode_utf16());
        by_name.then_with(|| raw_b.is_some().cmp(&raw_a.is_some()))
    });
    members.dedup_by_key(|(name, _)| *name);
    let mut out = Vec::with_capacity(stored.len() + 64);
    let mut separator = b'{';
    for (name, raw) in members {
        let of_entry = match name {
            "$type" => Some(entry.0),
            "$id" => Some(entry.1),
            "$locale" => Some(entry.2),
            _ => None,
        };
        if of_entry.is_none() && raw.is_none() {
            continue;
        }
        out.push(separator);
        separator = b',';
        string(name, &mut out).ok_or_else(broken)?;
        out.push(b':');
        match (of_entry, raw) {
            (Some(text), _) => string(text, &mut out).ok_or_else(broken)?,
            (None, raw) => out.extend_from_slice(raw.unwrap_or_default().as_bytes()),
        }
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(out)
}

/// A text as JSON.
fn string(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(&canonical_json(&text).ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    proptest! {
        #[test]
        fn picked_is_the_canonical_json_of_the_members(
            entry in prop::collection::btree_map("[a-c$é\"\u{10000}\u{e000}]{0,2}", prop_oneof![
                any::<bool>().prop_map(Value::from),
                (-1000_i64..1000).prop_map(Value::from),
                "[a\"\\\\é\u{1}]{0,4}".prop_map(Value::from),
                prop::collection::vec(0..9_u8, 0..3).prop_map(|v| json!({"b": v, "a": null})),
            ], 0..8),
            others in prop::collection::vec(prop_oneof!["[a-c\u{10000}\u{e000}]{0,2}", Just("$id".to_owned()), Just("$locale".to_owned())], 0..6),
        ) {
            let stored = canonical_json(&entry).unwrap();
            let mut names: Vec<String> = entry.keys().step_by(2).cloned().collect();
            names.extend(others);
            let mut expect = Map::new();
            for name in &names {
                let value = match name.as_str() {
                    "$id" => Some(json!("i\u{7}")),
                    "$locale" => Some(json!("de")),
                    other => entry.get(other).cloned(),
                };
                expect.extend(value.map(|v| (name.clone(), v)));
            }
            let got = picked(&stored, &Digest::of(&stored), &names, ("t", "i\u{7}", "de")).unwrap();
            prop_assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(canonical_json(&expect).unwrap()).unwrap());
        }
    }

    #[test]
    fn what_is_no_object_is_reported() {
        for bad in ["", "[]", "{\"a\":", "\u{7}"] {
            assert!(
                picked(bad.as_bytes(), &Digest::of(b""), &["a".to_owned()], ("t", "i", "en")).is_err(),
                "{bad}"
            );
        }
    }
}
