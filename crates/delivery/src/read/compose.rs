//! Bodies that are composed: selected fields, and references answered with what they refer to.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, EntryRecord, Fields, Locale, TypeName, canonical_json,
};
use rustc_hash::FxHashMap;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::{
    cache::{Composed, Looked, Sources},
    error::{DeliveryError, Failure},
    http::{Pace, Problem},
    release::ReleaseView,
    views::{LookupBy, Selection, View},
};

/// The most entries one body may be composed from.
pub(crate) const ENTRIES_MAX: usize = 1000;
/// The largest composed body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;

/// The body of a view for one entry, from the cache when nothing it was composed from has changed.
pub(crate) fn cached(
    view: &ReleaseView,
    at: usize,
    shape: &View,
    slug: &str,
    locales: &[Locale],
    pace: &Pace,
) -> Result<Option<Arc<Composed>>, Failure> {
    let mut key = view.definitions.digest.as_bytes().to_vec();
    key.extend((at as u32).to_le_bytes());
    for locale in locales {
        key.extend(locale.as_str().as_bytes());
        key.push(b',');
    }
    key.push(0);
    key.extend(slug.as_bytes());
    if let Some(known) = view.known(&key, pace)? {
        return Ok(Some(known));
    }
    let mut sources = Sources::default();
    let id = match &shape.lookup {
        LookupBy::Id => EntryId::new(slug).ok(),
        LookupBy::Field(field) => {
            let found = view.id_with(&shape.source, field, slug, locales)?;
            sources.looked.push(Looked {
                source: shape.source.clone(),
                field: field.clone(),
                value: slug.to_owned(),
                locales: locales.to_vec(),
                found: found.clone(),
            });
            found
        }
    };
    let Some(id) = id else { return Ok(None) };
    let Some(composed) = compose(view, shape, &id, locales, sources, pace)? else { return Ok(None) };
    let composed = Arc::new(composed);
    view.caches.keep(key, composed.clone());
    Ok(Some(composed))
}

/// The body of a view for one entry, for something that is kept itself.
pub(crate) fn of_entry(
    view: &ReleaseView,
    shape: &View,
    id: &EntryId,
    locales: &[Locale],
    pace: &Pace,
) -> Result<Option<Composed>, Failure> {
    compose(view, shape, id, locales, Sources::default(), pace)
}

fn compose(
    view: &ReleaseView,
    shape: &View,
    id: &EntryId,
    locales: &[Locale],
    sources: Sources,
    pace: &Pace,
) -> Result<Option<Composed>, Failure> {
    let mut work = Work { view, pace, included: FxHashMap::default(), locales, sources, bytes: 0 };
    let Some((key, record)) = work.find(&shape.source, id)? else { return Ok(None) };
    let mut value = work.value(&key, &record, &shape.select)?;
    for (path, name) in &shape.rename {
        rename(&mut value, path, name);
    }
    let body = canonical_json(&value).map_err(|_| DeliveryError::Object(record.digest))?;
    let named = (key.locale, record.major);
    Ok(Some(Composed::new(view.number, body, named, work.sources)))
}

/// Gives a field another name, in every item of arrays on the way.
fn rename(value: &mut Value, path: &[String], name: &str) {
    match (value, path) {
        (Value::Array(items), _) => items.iter_mut().for_each(|i| rename(i, path, name)),
        (Value::Object(map), [last]) => {
            if let Some(found) = map.remove(last) {
                map.entry(name).or_insert(found);
            }
        }
        (Value::Object(map), [first, rest @ ..]) => {
            if let Some(below) = map.get_mut(first) {
                rename(below, rest, name);
            }
        }
        _ => {}
    }
}

/// An entry that is part of the body already.
struct Included {
    key: EntryKey,
    value: Value,
    /// The bytes of it and of what it includes.
    bytes: usize,
}

struct Work<'v> {
    view: &'v ReleaseView,
    pace: &'v Pace,
    /// What was included already, by content and selection: many entries may refer to the same one.
    included: FxHashMap<(Digest, usize), Included>,
    locales: &'v [Locale],
    sources: Sources,
    bytes: usize,
}

impl Work<'_> {
    fn find(
        &mut self,
        type_name: &TypeName,
        id: &EntryId,
    ) -> Result<Option<(EntryKey, EntryRecord)>, Failure> {
        for locale in self.locales {
            let key = EntryKey { type_name: type_name.clone(), id: id.clone(), locale: locale.clone() };
            let bytes = key.to_bytes();
            self.pace.look_up(1)?;
            let record = self.view.record_at(&bytes)?;
            self.sources.read.push((bytes.into(), record));
            if let Some(record) = record {
                return Ok(Some((key, record)));
            }
        }
        Ok(None)
    }

    /// Counts the bytes of entries before they become part of the body.
    fn take(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes += bytes;
        if self.sources.read.len() > ENTRIES_MAX * self.locales.len().max(1) || self.bytes > BODY_BYTES_MAX {
            return Err(Problem::new(
                422,
                "view-too-large",
                "View too large",
                format!("the view includes more than {ENTRIES_MAX} entries or {BODY_BYTES_MAX} bytes"),
            )
            .help("include less in the view; clients can list entries page by page")
            .into());
        }
        Ok(self.pace.parse(bytes)?)
    }

    fn value(&mut self, key: &EntryKey, record: &EntryRecord, select: &Selection) -> Result<Value, Failure> {
        self.take(record.len as usize)?;
        let bytes = self.view.caches.entry(&self.view.objects, &record.digest)?;
        let fields = selected_fields(&bytes, select).map_err(|_| DeliveryError::Object(record.digest))?;
        let mut value = Value::Object(fields);
        if !select.include.is_empty() {
            self.include(key, record, select, &mut value)?;
        }
        let Some(names) = &select.fields else { return Ok(value) };
        let Value::Object(mut fields) = value else { return Ok(value) };
        let mut out = Fields::new();
        for name in names {
            let found = match name.as_str() {
                "$id" => Some(json!(key.id)),
                "$type" => Some(json!(key.type_name)),
                "$locale" => Some(json!(key.locale)),
                field => fields.remove(field),
            };
            if let Some(found) = found {
                out.insert(name.clone(), found);
            }
        }
        Ok(Value::Object(out))
    }

    /// Replaces references by what they refer to; a reference to nothing is left out.
    fn include(
        &mut self,
        key: &EntryKey,
        record: &EntryRecord,
        select: &Selection,
        value: &mut Value,
    ) -> Result<(), Failure> {
        let name = ContractName { name: key.type_name.clone(), major: record.major };
        let definitions = self.view.definitions.clone();
        let Some(contract) = definitions.contracts.get(&name) else { return Ok(()) };
        let facts = match value {
            Value::Object(fields) => contract.facts(key, fields),
            _ => return Ok(()),
        };
        let refs: Vec<_> = facts
            .refs
            .iter()
            .filter_map(|r| {
                let include = select.include.iter().find(|i| leads_to(&i.path, &r.path))?;
                Some((r.path.to_string(), r.target_type.clone(), r.target_id.clone(), include))
            })
            .collect();
        drop(facts);
        // Positions in arrays that are to be left out, by the array's pointer.
        let mut gone: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (pointer, target_type, target_id, include) in refs {
            match self.find(&target_type, &target_id)? {
                Some((key, record)) => {
                    let id = (record.digest, std::ptr::from_ref(&include.select) as usize);
                    let included = match self.included.get(&id).filter(|known| known.key == key) {
                        Some(known) => {
                            let bytes = known.bytes;
                            self.take(bytes)?;
                            self.included.get(&id).map(|known| known.value.clone()).unwrap_or_default()
                        }
                        None => {
                            let before = self.bytes;
                            let value = self.value(&key, &record, &include.select)?;
                            let bytes = self.bytes - before;
                            self.included.insert(id, Included { key, value: value.clone(), bytes });
                            value
                        }
                    };
                    if let Some(slot) = value.pointer_mut(&pointer) {
                        *slot = included;
                    }
                }
                None => {
                    let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
                    match value.pointer_mut(parent) {
                        Some(Value::Object(object)) => {
                            object.remove(&last.replace("~1", "/").replace("~0", "~"));
                        }
                        Some(Value::Array(_)) => {
                            gone.entry(parent.to_owned()).or_default().extend(last.parse::<usize>());
                        }
                        _ => {}
                    }
                }
            }
        }
        // The longest pointers first, and from the end of each array, so that positions stay true.
        let mut gone: Vec<_> = gone.into_iter().collect();
        gone.sort_by_key(|(parent, _)| std::cmp::Reverse(parent.len()));
        for (parent, mut positions) in gone {
            positions.sort_unstable();
            if let Some(Value::Array(items)) = value.pointer_mut(&parent) {
                for at in positions.into_iter().rev() {
                    if at < items.len() {
                        items.remove(at);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The fields of an entry that a selection shows or looks into; the others are passed over unread.
fn selected_fields(bytes: &[u8], select: &Selection) -> serde_json::Result<Fields> {
    struct Wanted<'s>(&'s Selection, &'s [String]);

    impl Wanted<'_> {
        fn wants(&self, name: &str) -> bool {
            let Self(select, names) = self;
            names.iter().any(|n| n == name)
                || select.include.iter().any(|i| i.path.first().is_some_and(|p| p == name))
        }
    }

    impl<'de> Visitor<'de> for Wanted<'_> {
        type Value = Fields;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the fields of an entry")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
            let mut out = Fields::new();
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                match self.wants(&name) {
                    true => drop(out.insert(name.into_owned(), map.next_value()?)),
                    false => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(out)
        }
    }

    match &select.fields {
        Some(names) => serde_json::Deserializer::from_slice(bytes).deserialize_map(Wanted(select, names)),
        None => serde_json::from_slice(bytes),
    }
}

/// Whether a JSON pointer leads to `path`, positions in arrays left out.
fn leads_to(path: &[String], pointer: &str) -> bool {
    let mut wanted = path.iter();
    let mut next = wanted.next();
    for part in pointer.split('/').skip(1) {
        match next {
            Some(name) if part.replace("~1", "/").replace("~0", "~") == *name => next = wanted.next(),
            _ if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) => {}
            _ => return false,
        }
    }
    next.is_none()
}
