//! One cause is reported by one gate: what only follows from what another gate tells is found out here, and left out.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use ashlar_model::{EntryKey, EntryRecord};

use crate::{
    GateError,
    candidate::Candidate,
    gate::{Gate, references::References, validity},
    world::Vanished,
};

/// Entries that one body can include, as far as they are looked at to find a cause.
const INCLUDED_MAX: usize = 300;

impl Candidate<'_> {
    /// Whether a gate may be left to tell something: it is not waived.
    fn waits_for(&self, gate: &str) -> bool {
        !self.waived.contains(gate)
    }

    /// Whether another gate already says why the body or page of an entry is wrong: the entry, or one that it includes, is not
    /// valid or refers to what does not exist. A page without an entry shows any of them.
    pub(crate) fn reported_elsewhere(&self, key: Option<&EntryKey>) -> Result<bool, GateError> {
        if !self.unsound.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let Some(key) = key else { return Ok(true) };
        let first = (key.type_name.clone(), key.id.clone());
        let (mut seen, mut open) = (BTreeSet::from([first.clone()]), vec![first]);
        for _ in 0..=ashlar_delivery::views::INCLUDE_DEPTH_MAX {
            let mut next = Vec::new();
            for (type_name, id) in open {
                let mut exists = false;
                for item in self.input.snapshot.prefix(&EntryKey::entry_prefix(&type_name, &id)) {
                    exists = true;
                    let (key, record) = item?;
                    let (key, record) = (EntryKey::from_bytes(&key)?, EntryRecord::from_bytes(&record)?);
                    let value = self.fields(&key, &record)?;
                    let contract = self.definitions.contract(&type_name, record.major);
                    let wrong = contract.is_none_or(|c| !validity::fields(c, &key, &value).is_empty());
                    if wrong && self.waits_for(validity::NAME) {
                        return Ok(true);
                    }
                    let (Some(contract), Some(fields)) = (contract, value.as_object()) else { continue };
                    let refs = contract.facts(&key, fields).refs;
                    next.extend(refs.into_iter().map(|r| (r.target_type, r.target_id)));
                }
                if !exists && self.waits_for(References.about().name) {
                    return Ok(true);
                }
            }
            open = next.into_iter().filter(|n| seen.len() < INCLUDED_MAX && seen.insert(n.clone())).collect();
        }
        Ok(false)
    }

    /// Why nothing answers an entry's route any more; `None` when that only follows from what `content-validity` reports of
    /// the entry.
    pub(crate) fn lost(&self, key: &EntryKey) -> Result<Option<Vanished>, GateError> {
        let Some(record) = self.input.snapshot.get(&key.to_bytes())? else { return Ok(Some(Vanished::Gone)) };
        let record = EntryRecord::from_bytes(&record)?;
        let Some(contract) = self.definitions.contract(&key.type_name, record.major) else { return Ok(None) };
        let value = self.fields(key, &record)?;
        let route = value.as_object().and_then(|fields| contract.facts(key, fields).route);
        Ok(match route {
            Some(_) => Some(Vanished::Moved),
            None if !self.waits_for(validity::NAME) => Some(Vanished::Without),
            None if validity::fields(contract, key, &value).is_empty() => Some(Vanished::Without),
            None => None,
        })
    }
}
