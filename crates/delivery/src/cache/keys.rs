//! Surrogate keys: `type:id:locale` of an entry, `type` of a list, `type/field/value` of what is found by a field.

use std::collections::BTreeSet;

use ashlar_model::{Digest, Locale};
use rustc_hash::FxHashSet;

use super::sources::Sources;

/// The longest `Surrogate-Key` header, in bytes; beyond it the keys of types stand for those of entries. Caches refuse
/// header lines of more than 8 KiB.
pub(crate) const SURROGATE_BYTES_MAX: usize = 7 << 10;

/// Values up to this length stand in surrogate keys themselves, in bytes; caches refuse long headers.
const VALUE_BYTES_MAX: usize = 200;

/// The surrogate key of what is found by a field: it changes when another entry gets the value.
pub(crate) fn of_value(type_name: &str, field: &str, value: &str) -> String {
    let mut out = format!("{type_name}/{field}/");
    if value.len() > VALUE_BYTES_MAX {
        out.push('~');
        out.push_str(&Digest::of(value.as_bytes()).short());
        return out;
    }
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The keys of one entry in each of these locales, after what `keys` has.
pub(crate) fn add_entry(keys: &mut Vec<u8>, type_name: &str, id: &str, locales: &[Locale]) {
    for locale in locales {
        if !keys.is_empty() {
            keys.push(b' ');
        }
        for part in [type_name, ":", id, ":", locale.as_str()] {
            keys.extend_from_slice(part.as_bytes());
        }
    }
}

/// The keys of everything a body was made from, or those of the types when the header would be too long.
pub(crate) fn of_sources(sources: &Sources) -> Vec<u8> {
    let mut keys = Vec::new();
    let mut seen = FxHashSet::default();
    for (key, _) in &sources.read {
        if seen.insert(key) {
            if !keys.is_empty() {
                keys.push(b' ');
            }
            // Types, ids and locales hold neither NUL bytes nor colons.
            keys.extend(key.iter().map(|b| if *b == 0 { b':' } else { *b }));
        }
    }
    let mut add = |key: &[u8]| {
        if !keys.is_empty() {
            keys.push(b' ');
        }
        keys.extend_from_slice(key);
    };
    for list in &sources.lists {
        add(list.as_str().as_bytes());
    }
    for l in &sources.looked {
        // Another entry may get this value and be found first.
        add(of_value(l.source.as_str(), &l.field, &l.value).as_bytes());
    }
    if keys.len() <= SURROGATE_BYTES_MAX {
        return keys;
    }
    let of_entries = sources.read.iter().filter_map(|(key, _)| key.split(|b| *b == 0).next());
    let of_types = sources.lists.iter().chain(sources.looked.iter().map(|l| &l.source));
    let types: BTreeSet<&[u8]> = of_entries.chain(of_types.map(|t| t.as_str().as_bytes())).collect();
    types.into_iter().collect::<Vec<_>>().join(&b' ')
}
