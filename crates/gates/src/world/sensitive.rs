//! Changes of sensitive fields, which need approvals.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Digest, EntryKey, Fields, canonical_json};
use serde_json::Value;

/// Sensitivities whose change needs an approval. Others (`pii`) ask for care, not for approval.
const APPROVED: [&str; 3] = ["claim", "legal", "pricing"];

/// What needs approvals.
pub(crate) struct Sensitive {
    /// Fields that change.
    pub(crate) changes: Vec<SensitiveChange>,
    /// Fields that go when the changeset ends.
    pub(crate) ending: Vec<SensitiveChange>,
}

/// A changed field that needs an approval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SensitiveChange {
    pub(crate) right: String,
    pub(crate) key: EntryKey,
    pub(crate) field: String,
    pub(crate) old: Option<Digest>,
    pub(crate) new: Option<Digest>,
}

/// The digests of an entry's sensitive fields: `(field, right) → digest`.
pub(crate) fn sensitive_values(
    sensitive: &BTreeMap<String, BTreeSet<String>>,
    fields: &Fields,
) -> BTreeMap<(String, String), Digest> {
    let mut out = BTreeMap::new();
    for (field, kinds) in sensitive {
        let Some(value) = fields.get(field) else { continue };
        for right in kinds.iter().filter(|k| APPROVED.contains(&k.as_str())) {
            out.insert((field.clone(), right.clone()), digest(value));
        }
    }
    out
}

fn digest(value: &Value) -> Digest {
    Digest::of(&canonical_json(value).unwrap_or_default())
}

/// How sensitive fields of one entry differ.
pub(crate) fn sensitive_changes(
    key: &EntryKey,
    old: &BTreeMap<(String, String), Digest>,
    new: &BTreeMap<(String, String), Digest>,
) -> Vec<SensitiveChange> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| SensitiveChange {
            right: name.1.clone(),
            key: key.clone(),
            field: name.0.clone(),
            old: old.get(name).copied(),
            new: new.get(name).copied(),
        })
        .collect()
}
