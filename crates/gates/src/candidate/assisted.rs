//! What a candidate has of models, and what is released beside it.

use ashlar_model::{EntryKey, EntryRecord, Locale, TypeName};
use ashlar_release::ChangeRecord;
use serde_json::Value;

use crate::{
    GateError,
    candidate::Candidate,
    world::{World, assisted::Assisted, link_rules},
};

/// What the record of a change has when a model wrote something of it. Other records are not read.
const MADE: &[u8] = b"\"made\":";

impl Candidate<'_> {
    /// Entries that a model wrote something of since the base.
    pub(crate) fn made(&self) -> Result<&[Assisted], GateError> {
        if let Some(known) = self.assisted.get() {
            return Ok(known);
        }
        let mut all = Vec::new();
        for item in self.input.changes.prefix(b"") {
            let (bytes, value) = item?;
            if !value.windows(MADE.len()).any(|window| window == MADE) {
                continue;
            }
            let key = EntryKey::from_bytes(&bytes)?;
            let record: ChangeRecord =
                serde_json::from_slice(&value).map_err(|_| GateError::Change(Box::new(key.clone())))?;
            let (Some(made), Some(record)) = (record.made, self.input.snapshot.get(&bytes)?) else {
                continue;
            };
            let record = EntryRecord::from_bytes(&record)?;
            let is_new = match &self.input.base {
                Some(base) => base.snapshot.get(&bytes)?.is_none(),
                None => true,
            };
            let fields = self.fields(&key, &record)?;
            all.push(Assisted { key, digest: record.digest, is_new, made, fields });
        }
        Ok(self.assisted.get_or_init(|| all))
    }

    /// The fields of an entry of the base.
    pub(crate) fn released_fields(&self, key: &EntryKey) -> Result<Option<Value>, GateError> {
        let Some(base) = &self.input.base else { return Ok(None) };
        let Some(record) = base.snapshot.get(&key.to_bytes())? else { return Ok(None) };
        self.fields(key, &EntryRecord::from_bytes(&record)?).map(Some)
    }

    /// Entries of a type of the base in a language, until `each` wants no more.
    pub(crate) fn released_of(
        &self,
        (type_name, locale): (&TypeName, &Locale),
        each: &mut dyn FnMut(&EntryKey, Value) -> bool,
    ) -> Result<(), GateError> {
        let Some(base) = &self.input.base else { return Ok(()) };
        for item in base.snapshot.prefix(&EntryKey::type_prefix(type_name)) {
            let (key, record) = item?;
            let key = EntryKey::from_bytes(&key)?;
            if key.locale != *locale {
                continue;
            }
            let fields = self.fields(&key, &EntryRecord::from_bytes(&record)?)?;
            if !each(&key, fields) {
                break;
            }
        }
        Ok(())
    }

    /// Whether a list, a reference or a link leads to the page of an entry.
    pub(crate) fn has_way(&self, key: &EntryKey) -> Result<bool, GateError> {
        let Some(record) = self.input.snapshot.get(&key.to_bytes())? else { return Ok(true) };
        let record = EntryRecord::from_bytes(&record)?;
        let Some(contract) = self.definitions.contract(&key.type_name, record.major) else { return Ok(true) };
        let value = self.fields(key, &record)?;
        let route = value.as_object().and_then(|fields| contract.facts(key, fields).route);
        let Some(path) = route else { return Ok(true) };
        let site = self.definitions.site.site.as_ref();
        if site.is_some_and(|site| site.file.lists.iter().any(|list| list.type_name == key.type_name)) {
            return Ok(true);
        }
        let others = |found: Vec<ashlar_delivery::lookup::Source>| {
            found.iter().any(|source| source.entry.type_name != key.type_name || source.entry.id != key.id)
        };
        // An entry may refer to itself once in each language.
        let most = self.config.locales.all().len() + 1;
        if others(self.lookup.referrers(&key.type_name, &key.id, most)?) {
            return Ok(true);
        }
        let rules = link_rules(World::config(self), &self.definitions);
        for path in rules.spellings(&path) {
            if others(self.lookup.linkers(&path, most)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
