//! What models wrote of the entries of a release, as a tree beside the snapshot.

use ashlar_model::EntryKey;
use ashlar_store::{Batch, TenantObjects, Tree};

use super::made::Made;
use crate::{
    Base, ChangeRecord, ReleaseError,
    artifacts::derived::{self, Built, Derived, Form, Names},
};

/// The tree: [`EntryKey`] bytes → [`Made`] as JSON, for entries that a model wrote something of. It follows from the changes of each candidate,
/// so it is built with it and never later; a release without such entries has none.
pub(crate) const ABOUT: Derived = Derived {
    name: "assisted",
    form: Form { format: 1, names: Names::Nothing },
    built: Built::WithCandidate,
    // The changes of an imported release say it, so a file cannot leave it out.
    imported: false,
};

pub(crate) fn read(key: &[u8], value: &[u8]) -> Result<Made, ReleaseError> {
    serde_json::from_slice(value).map_err(|e| ReleaseError::Corrupt {
        what: format!("the provenance of {}", String::from_utf8_lossy(key).replace('\0', "/")),
        why: e.to_string(),
    })
}

/// Builds the tree of a candidate from its entries and its changes. Its cost is that of what differs from the base.
pub(crate) fn build(
    objects: &TenantObjects,
    base: Option<&Base>,
    (snapshot, changes): (&Tree, &Tree),
    batch: &mut Batch,
) -> Result<Option<Tree>, ReleaseError> {
    let before = match base {
        Some(base) => derived::open(objects, &base.derived, &ABOUT)?,
        None => None,
    };
    let empty = Tree::empty();
    let earlier = base.map_or(&empty, |base| &base.snapshot);
    let mut edits = Vec::new();
    for change in earlier.diff(snapshot) {
        let change = change?;
        let was = match &before {
            Some(tree) => tree.get(&change.key)?.map(|value| read(&change.key, &value)).transpose()?,
            None => None,
        };
        let record = match change.new.is_some() {
            true => changes.get(&change.key)?,
            false => None,
        };
        let record: Option<ChangeRecord> =
            record.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(|e| {
                ReleaseError::Corrupt { what: "the changes of a candidate".to_owned(), why: e.to_string() }
            })?;
        let now = match (change.new.is_some(), record.and_then(|record| record.made), was) {
            (false, _, None) | (true, None, None) => continue,
            (false, ..) => None,
            (true, Some(made), Some(was)) => Some(made.after(was)),
            (true, Some(made), None) => Some(made),
            (true, None, Some(was)) => Some(Made { edited_by_person: true, ..was }),
        };
        let key = EntryKey::from_bytes(&change.key)?;
        let value = now.map(|made| serde_json::to_vec(&made)).transpose();
        let value = value.map_err(|e| ReleaseError::Corrupt { what: key.to_string(), why: e.to_string() })?;
        edits.push((change.key.to_vec(), value));
    }
    match before {
        None if edits.is_empty() => Ok(None),
        None => Ok(Some(Tree::empty().apply(&edits, batch)?)),
        Some(before) => Ok(Some(before.apply(&edits, batch)?)),
    }
}
