//! Fields that all locales of an entry share: files that give them different values contradict each other.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use ashlar_contracts::{Contract, ContractSet};
use ashlar_model::{Digest, EntryId, Fields, Finding, TypeName, canonical_json};
use ashlar_project::{ContentOptions, SeedEntry, content};

/// The shared fields that an entry has, with the digests of their values.
pub(crate) fn values(contract: &Contract, fields: &Fields) -> BTreeMap<String, Digest> {
    let shared = contract.shared_fields().iter();
    let there = shared.filter_map(|name| Some((name.clone(), canonical_json(fields.get(name)?).ok()?)));
    there.map(|(name, bytes)| (name, Digest::of(&bytes))).collect()
}

/// A shared field that differs. `place` and `other` name both.
pub(crate) fn differs(place: String, other: &str, field: &str, type_name: &TypeName) -> Finding {
    Finding::error(
        "shared-field",
        place,
        format!("All locales of a {type_name} share `{field}`, and it has another value in {other}."),
    )
    .help(format!(
        "write the same value in both files, leave it out of one of them, or mark `{field}` as localized in the contract"
    ))
}

/// What differs among the entries of one set of files: the first with a value, another with a different one, and the field.
pub(crate) fn conflicts<'e, E>(
    entries: impl Iterator<Item = (&'e TypeName, &'e EntryId, &'e BTreeMap<String, Digest>, E)>,
) -> Vec<(E, E, &'e str)>
where
    E: Clone,
{
    let mut first: HashMap<(&TypeName, &EntryId, &str), (&Digest, E)> = HashMap::new();
    let mut out = Vec::new();
    for (type_name, id, shared, entry) in entries {
        for (field, digest) in shared {
            match first.get(&(type_name, id, field.as_str())) {
                None => {
                    first.insert((type_name, id, field), (digest, entry.clone()));
                }
                Some((same, _)) if *same == digest => {}
                Some((_, other)) => out.push((other.clone(), entry.clone(), field.as_str())),
            }
        }
    }
    out
}

/// Shared fields that differ between locale files of a project, with both places.
pub fn shared_findings(
    dir: &Path,
    contracts: &ContractSet,
    options: &ContentOptions,
    entries: &[SeedEntry],
) -> Vec<Finding> {
    let contract = |entry: &SeedEntry| match &entry.contract {
        Some(name) => contracts.get(name),
        None => crate::definitions::newest(contracts, &entry.key.type_name),
    };
    let shared: Vec<BTreeMap<String, Digest>> = entries
        .iter()
        .map(|entry| contract(entry).map(|c| values(c, &entry.fields)).unwrap_or_default())
        .collect();
    let place = |entry: &SeedEntry, field: &str| {
        let body = options.body_fields.get(&entry.key.type_name).map_or("body", String::as_str);
        content::place_in(dir, &entry.source, &format!("/{field}"), body)
    };
    let all = entries.iter().zip(&shared).map(|(e, shared)| (&e.key.type_name, &e.key.id, shared, e));
    conflicts(all)
        .into_iter()
        .map(|(one, other, field)| {
            differs(place(other, field), &place(one, field), field, &one.key.type_name)
        })
        .collect()
}
