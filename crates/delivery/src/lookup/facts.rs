use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::ContractSet;
use ashlar_model::{ContractName, Digest, EntryKey, EntryRecord, Fields, TypeName};
use ashlar_project::markdown;

use super::{
    tree::{FIELD, LINK, REFERENCE, ROUTE, key},
    value::IndexKey,
};
use crate::views::Views;

/// The form of the keys; part of what a look-up tree is bound to.
const FORMAT: &str = "lookup 1";
/// The most references or links of one entry that are recorded.
const POINTERS_MAX: usize = 10_000;
/// The most JSON pointers that are named for one target.
const POINTERS_PER_TARGET_MAX: usize = 8;
/// The longest route or link target, in bytes; longer ones cannot be addresses.
const PATH_BYTES_MAX: usize = 2000;

/// What of the definitions a look-up tree depends on.
pub struct LookupRules<'a> {
    contracts: &'a ContractSet,
    /// Indexed fields by contract: those of the contract and those that a view uses as look-up.
    indexed: BTreeMap<ContractName, BTreeSet<String>>,
    digest: Digest,
}

/// Keys and values of one entry in the look-up tree.
pub(super) type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

impl<'a> LookupRules<'a> {
    /// The rules of a project.
    pub fn new(contracts: &'a ContractSet, views: &Views) -> Self {
        let mut by_view: BTreeMap<&TypeName, BTreeSet<&str>> = BTreeMap::new();
        for view in views.iter() {
            if let Some(field) = view.lookup.field() {
                by_view.entry(&view.source).or_default().insert(field);
            }
        }
        let mut indexed = BTreeMap::new();
        let mut hash = blake3::Hasher::new();
        let mut add = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(FORMAT);
        for contract in contracts.iter() {
            let mut fields: BTreeSet<String> =
                contract.indexed_fields().iter().map(|f| f.name.clone()).collect();
            if let Some(more) = by_view.get(&contract.name.name) {
                fields.extend(more.iter().map(|f| (*f).to_owned()));
            }
            fields.retain(|f| !f.contains('\0'));
            add(&contract.name.to_string());
            add(&contract.digest.to_string());
            fields.iter().for_each(|f| add(f));
            indexed.insert(contract.name.clone(), fields);
        }
        let digest = Digest::from_bytes(*hash.finalize().as_bytes());
        Self { contracts, indexed, digest }
    }

    /// The same rules give the same digest, and the same look-up tree for the same snapshot.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Adds what the look-up tree contains of one entry to `out`. An entry without a contract has nothing.
    pub(super) fn keys(&self, entry: &EntryKey, record: &EntryRecord, fields: &Fields, out: &mut Keys) {
        let name = ContractName { name: entry.type_name.clone(), major: record.major };
        let Some(contract) = self.contracts.get(&name) else { return };
        let (t, i, l) = (entry.type_name.as_str(), entry.id.as_str(), entry.locale.as_str());
        for field in self.indexed.get(&name).into_iter().flatten() {
            for value in IndexKey::of(fields.get(field)) {
                let mut k = key(FIELD, &[t, field, l]);
                k.extend(value.as_bytes());
                k.extend(i.as_bytes());
                out.insert(k, Vec::new());
            }
        }
        let facts = contract.facts(entry, fields);
        let mut note = |k: Vec<u8>, path: &str| {
            let value = out.entry(k).or_default();
            if value.iter().filter(|b| **b == b'\n').count() < POINTERS_PER_TARGET_MAX {
                value.extend(path.as_bytes());
                value.push(b'\n');
            }
        };
        for r in facts.refs.iter().take(POINTERS_MAX) {
            note(tail(key(REFERENCE, &[r.target_type.as_str(), r.target_id.as_str(), t, i]), l), &r.path);
        }
        let route = facts.route.as_deref().filter(|r| r.len() <= PATH_BYTES_MAX && !r.contains('\0'));
        for (path, text) in &facts.markdown {
            for link in markdown::links(text).into_iter().take(POINTERS_MAX) {
                let base = route.or(link.target.starts_with('/').then_some("/"));
                let Some(target) = base.and_then(|b| markdown::resolve(b, &link.target)) else { continue };
                if target.len() <= PATH_BYTES_MAX && !target.contains('\0') {
                    note(tail(key(LINK, &[&target, t, i]), l), path);
                }
            }
        }
        if let Some(route) = route {
            out.insert(tail(key(ROUTE, &[l, route, t]), i), Vec::new());
        }
    }
}

fn tail(mut key: Vec<u8>, last: &str) -> Vec<u8> {
    key.extend(last.as_bytes());
    key
}
