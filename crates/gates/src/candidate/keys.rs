//! Keys and values of a look-up tree, as gates read them.

use ashlar_model::{EntryId, EntryKey, TypeName};

use crate::{GateError, gate::validity};

/// The parts of a key of a look-up tree.
pub(super) fn parts(key: &[u8]) -> Result<Vec<&str>, GateError> {
    let text = std::str::from_utf8(key.get(1..).unwrap_or_default()).map_err(|_| GateError::LookupKey)?;
    Ok(text.split('\0').collect())
}

/// The entry that parts of a key name.
pub(super) fn entry(type_name: &str, id: &str, locale: &str) -> Result<EntryKey, GateError> {
    EntryKey::from_bytes(format!("{type_name}\0{id}\0{locale}").as_bytes()).map_err(|_| GateError::LookupKey)
}

/// The type and the id that parts of a key name.
pub(super) fn target(type_name: &str, id: &str) -> Result<(TypeName, EntryId), GateError> {
    let bad = |_| GateError::LookupKey;
    Ok((TypeName::new(type_name).map_err(bad)?, EntryId::new(id).map_err(bad)?))
}

/// The fields that a value of a look-up tree names.
pub(super) fn pointers(value: &[u8]) -> impl Iterator<Item = &str> {
    std::str::from_utf8(value).unwrap_or_default().lines()
}

/// Where the fields of an entry stand that a value of a look-up tree names.
pub(super) fn places<'v>(
    source: &'v EntryKey,
    value: &'v [u8],
) -> impl Iterator<Item = Result<String, GateError>> + 'v {
    pointers(value).map(move |pointer| Ok(validity::place(source, pointer)))
}
