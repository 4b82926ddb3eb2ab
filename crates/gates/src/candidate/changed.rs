//! What changed in a candidate: sensitive fields, who changed them, and what is still used.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use ashlar_model::{ContractName, EntryKey, EntryRecord, Fields, TypeName};
use ashlar_release::ChangeRecord;
use ashlar_store::Tree;
use serde_json::Value;

use crate::{
    GateError,
    candidate::Candidate,
    world::{
        World,
        followers::Followers,
        sensitive::{Sensitive, SensitiveChange, sensitive_changes, sensitive_values},
    },
};

/// Entries of a type that are looked at for those that follow a contract which ends.
const LOOKED_MAX: usize = 10_000;

impl Candidate<'_> {
    /// Changed fields that need an approval.
    fn changed_fields(&self) -> Result<Vec<SensitiveChange>, GateError> {
        let mut sensitive: BTreeMap<(bool, ContractName), &BTreeMap<String, BTreeSet<String>>> =
            BTreeMap::new();
        let mut types: BTreeSet<String> = BTreeSet::new();
        for (is_old, definitions) in [(false, Some(&*self.definitions)), (true, self.base())] {
            let Some(definitions) = definitions else { continue };
            for contract in definitions.contracts.iter().filter(|c| c.is_type()) {
                let fields = contract.sensitive_fields();
                if !fields.is_empty() {
                    types.insert(contract.name.name.to_string());
                    sensitive.insert((is_old, contract.name.clone()), fields);
                }
            }
        }
        if types.is_empty() {
            return Ok(Vec::new());
        }
        let empty = Tree::empty();
        let before = self.input.base.as_ref().map_or(&empty, |b| &b.snapshot);
        let mut out = Vec::new();
        for change in before.diff(self.input.snapshot) {
            let change = change?;
            let key = EntryKey::from_bytes(&change.key)?;
            if !types.contains(key.type_name.as_str()) {
                continue;
            }
            // A field is judged by what it is under either contract, so that moving to a version in which it is no
            // longer sensitive does not slip past.
            let mut marks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            let mut values: [Option<Fields>; 2] = [None, None];
            for (at, (is_old, record)) in [(true, &change.old), (false, &change.new)].into_iter().enumerate()
            {
                let Some(record) = record else { continue };
                let record = EntryRecord::from_bytes(record)?;
                let name = ContractName { name: key.type_name.clone(), major: record.major };
                for (field, kinds) in sensitive.get(&(is_old, name)).copied().into_iter().flatten() {
                    marks.entry(field.clone()).or_default().extend(kinds.iter().cloned());
                }
                if let Value::Object(fields) = self.fields(&key, &record)? {
                    values[at] = Some(fields);
                }
            }
            let of = |fields: &Option<Fields>| {
                fields.as_ref().map(|f| sensitive_values(&marks, f)).unwrap_or_default()
            };
            out.extend(sensitive_changes(&key, &of(&values[0]), &of(&values[1])));
        }
        Ok(out)
    }

    /// Changed fields that need an approval, and apart from them those that end with the changeset: at its end what it takes
    /// down, before that what it is going to take down.
    pub(crate) fn sensitive_fields(&self) -> Result<Sensitive, GateError> {
        let (mut changes, mut ending) = (self.changed_fields()?, Vec::new());
        let Some(end) = self.input.end else { return Ok(Sensitive { changes, ending }) };
        if end.due {
            let mut others = Vec::new();
            for change in changes {
                let ends = change.new.is_none()
                    && end.keys.contains(&change.key)
                    && self.input.snapshot.get(&change.key.to_bytes())?.is_none();
                if ends { ending.push(change) } else { others.push(change) }
            }
            changes = others;
        }
        for key in &end.keys {
            let Some(record) = self.input.snapshot.get(&key.to_bytes())? else { continue };
            let record = EntryRecord::from_bytes(&record)?;
            let Some(contract) = self.definitions.contract(&key.type_name, record.major) else { continue };
            let marks = contract.sensitive_fields();
            if marks.is_empty() {
                continue;
            }
            if let Value::Object(fields) = self.fields(key, &record)? {
                let now = sensitive_values(marks, &fields);
                ending.extend(sensitive_changes(key, &now, &BTreeMap::new()));
            }
        }
        Ok(Sensitive { changes, ending })
    }

    /// Who changed an entry since the base.
    ///
    /// # Errors
    /// When that cannot be read: whoever changed it must not pass for somebody else.
    pub(crate) fn changed_by(&self, key: &EntryKey) -> Result<BTreeSet<String>, GateError> {
        let Some(bytes) = self.input.changes.get(&key.to_bytes())? else { return Ok(BTreeSet::new()) };
        let record: Result<ChangeRecord, _> = serde_json::from_slice(&bytes);
        Ok(record.map_err(|_| GateError::Change(Box::new(key.clone())))?.authors)
    }

    /// For each removed contract an entry that still follows it.
    pub(crate) fn still_used(
        &self,
        types: &BTreeSet<&TypeName>,
    ) -> Result<BTreeMap<ContractName, String>, GateError> {
        let mut used = BTreeMap::new();
        for type_name in types {
            for item in self.input.snapshot.prefix(&EntryKey::type_prefix(type_name)) {
                let (key, record) = item?;
                let name = ContractName {
                    name: (*type_name).clone(),
                    major: EntryRecord::from_bytes(&record)?.major,
                };
                if let Entry::Vacant(first) = used.entry(name) {
                    first.insert(EntryKey::from_bytes(&key)?.to_string());
                }
            }
        }
        Ok(used)
    }

    /// Entries that follow contracts which end.
    pub(crate) fn followed(
        &self,
        names: &BTreeSet<ContractName>,
    ) -> Result<BTreeMap<ContractName, Followers>, GateError> {
        let mut out: BTreeMap<ContractName, Followers> = BTreeMap::new();
        if names.is_empty() {
            return Ok(out);
        }
        let followed = |key: &[u8], record: &[u8]| -> Result<Option<(EntryKey, ContractName)>, GateError> {
            let key = EntryKey::from_bytes(key)?;
            let major = EntryRecord::from_bytes(record)?.major;
            let name = ContractName { name: key.type_name.clone(), major };
            Ok(names.contains(&name).then_some((key, name)))
        };
        let types: BTreeSet<&TypeName> = names.iter().map(|n| &n.name).collect();
        for type_name in types {
            for (n, item) in self.input.snapshot.prefix(&EntryKey::type_prefix(type_name)).enumerate() {
                let (key, record) = item?;
                if n >= LOOKED_MAX {
                    let of_type = names.iter().filter(|name| name.name == *type_name);
                    of_type.for_each(|name| out.entry(name.clone()).or_default().more = true);
                    break;
                }
                if let Some((key, name)) = followed(&key, &record)? {
                    out.entry(name).or_default().add(key.to_string());
                }
            }
        }
        if let Some(base) = &self.input.base {
            for change in base.snapshot.diff(self.input.snapshot) {
                let change = change?;
                let (None, Some(record)) = (&change.old, &change.new) else { continue };
                if let Some((key, name)) = followed(&change.key, record)? {
                    out.entry(name).or_default().add_new(key.to_string());
                }
            }
        }
        Ok(out)
    }
}
