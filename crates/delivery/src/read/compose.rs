//! Bodies that are composed: selected fields, and references answered with what they refer to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, EntryRecord, Fields, Locale, TypeName, canonical_json,
};
use bytes::Bytes;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::{
    DeliveryError, Problem, ReleaseView,
    lookup::IndexKey,
    read::entry::{Failure, SURROGATE_BYTES_MAX, surrogate},
    release::purge::lookup_key,
    views::{LookupBy, Selection, View},
};

/// The most entries one body may be composed from.
pub(crate) const ENTRIES_MAX: usize = 1000;
/// The largest composed body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;

/// The key of an entry as trees have it: type, id and locale with NUL bytes between.
pub(crate) type Key = Box<[u8]>;

/// A look-up by a field that an answer depends on.
#[derive(Clone)]
pub(crate) struct Looked {
    pub(crate) source: TypeName,
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) locales: Vec<Locale>,
    pub(crate) found: Option<EntryId>,
}

/// A composed body with what it was composed from.
pub(crate) struct Composed {
    pub(crate) body: Bytes,
    pub(crate) digest: Digest,
    pub(crate) major: u32,
    pub(crate) locale: Locale,
    pub(crate) surrogate: Vec<u8>,
    /// What was looked for by a field.
    looked: Vec<Looked>,
    /// Everything that was looked for: what was there, and what was not.
    read: Vec<(Key, Option<EntryRecord>)>,
    /// Whether lists were read: then it is the answer of one release alone.
    lists: bool,
    /// An entry whose last change it names. Content that was reverted is the same with a later date.
    dated: Option<(EntryKey, Option<Timestamp>)>,
    /// The last release this was found to be the answer of.
    valid_for: AtomicU64,
}

impl Composed {
    /// A body that was made from a release.
    pub(crate) fn new(
        view: &ReleaseView,
        body: Vec<u8>,
        (locale, major): (Locale, u32),
        looked: Vec<Looked>,
        read: Vec<(Key, Option<EntryRecord>)>,
        lists: &BTreeSet<TypeName>,
    ) -> Self {
        let mut keys = surrogate(read.iter().map(|(k, _)| k.as_ref()));
        let mut add = |key: &[u8]| {
            if !keys.is_empty() {
                keys.push(b' ');
            }
            keys.extend_from_slice(key);
        };
        for list in lists {
            add(list.as_str().as_bytes());
        }
        for l in &looked {
            // Another entry may get this value and be found first.
            add(lookup_key(l.source.as_str(), &l.field, &l.value).as_bytes());
        }
        if keys.len() > SURROGATE_BYTES_MAX {
            // Keys of types stand for those of entries, and for what is found by their fields.
            let of_entry = |key: &Key| key.split(|b| *b == 0).next().unwrap_or_default().to_vec();
            let mut types: BTreeSet<Vec<u8>> = read.iter().map(|(key, _)| of_entry(key)).collect();
            types.extend(lists.iter().chain(looked.iter().map(|l| &l.source)).map(|t| t.as_str().into()));
            keys = types.into_iter().collect::<Vec<_>>().join(&b' ');
        }
        Self {
            digest: Digest::of(&body),
            body: Bytes::from(body),
            major,
            locale,
            surrogate: keys,
            looked,
            read,
            lists: !lists.is_empty(),
            dated: None,
            valid_for: AtomicU64::new(view.number),
        }
    }

    /// The body names when this entry was last changed.
    pub(crate) fn dated(self, entry: EntryKey, modified: Option<Timestamp>) -> Self {
        Self { dated: Some((entry, modified)), ..self }
    }

    /// What it was made from.
    pub(crate) fn sources(&self) -> (&[Looked], &[(Key, Option<EntryRecord>)]) {
        (&self.looked, &self.read)
    }

    pub(crate) fn weight(&self) -> usize {
        self.body.len() + self.surrogate.len() + (self.read.len() + self.looked.len()) * 200 + 200
    }

    /// Whether it was made from this release, or found before to be its answer.
    pub(crate) fn is_of(&self, view: &ReleaseView) -> bool {
        self.valid_for.load(Ordering::Relaxed) == view.number
    }

    /// Whether it is what another release answers too.
    pub(crate) fn holds_for(&self, view: &ReleaseView) -> Result<bool, DeliveryError> {
        if self.lists {
            return Ok(false);
        }
        for l in &self.looked {
            if by_field(view, &l.source, &l.field, &l.value, &l.locales)? != l.found {
                return Ok(false);
            }
        }
        for (key, record) in &self.read {
            if view.record_at(key)? != *record {
                return Ok(false);
            }
        }
        if let Some((entry, modified)) = &self.dated
            && view.modified(entry)? != *modified
        {
            return Ok(false);
        }
        self.valid_for.store(view.number, Ordering::Relaxed);
        Ok(true)
    }
}

/// The id of the entry of a type that has `text` in `field`, in the first of `locales` where one has.
pub(crate) fn by_field(
    view: &ReleaseView,
    type_name: &TypeName,
    field: &str,
    text: &str,
    locales: &[Locale],
) -> Result<Option<EntryId>, DeliveryError> {
    for locale in locales {
        let found = view.lookup.first_with_value(type_name, field, locale, &IndexKey::string(text))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The body of a view for one entry, from the cache when nothing it was composed from has changed.
pub(crate) fn cached(
    view: &ReleaseView,
    at: usize,
    shape: &View,
    slug: &str,
    locales: &[Locale],
) -> Result<Option<Arc<Composed>>, Failure> {
    let mut key = view.definitions.digest.as_bytes().to_vec();
    key.extend((at as u32).to_le_bytes());
    for locale in locales {
        key.extend(locale.as_str().as_bytes());
        key.push(b',');
    }
    key.push(0);
    key.extend(slug.as_bytes());
    if let Some(known) = view.caches.known(&key, view)? {
        return Ok(Some(known));
    }
    let mut looked = Vec::new();
    let id = match &shape.lookup {
        LookupBy::Id => EntryId::new(slug).ok(),
        LookupBy::Field(field) => {
            let found = by_field(view, &shape.source, field, slug, locales)?;
            looked.push(Looked {
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
    let Some(composed) = compose(view, shape, &id, locales, looked)? else { return Ok(None) };
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
) -> Result<Option<Composed>, Failure> {
    compose(view, shape, id, locales, Vec::new())
}

fn compose(
    view: &ReleaseView,
    shape: &View,
    id: &EntryId,
    locales: &[Locale],
    looked: Vec<Looked>,
) -> Result<Option<Composed>, Failure> {
    let mut work = Work { view, included: FxHashMap::default(), locales, read: Vec::new(), bytes: 0 };
    let Some((key, record)) = work.find(&shape.source, id)? else { return Ok(None) };
    let mut value = work.value(&key, &record, &shape.select)?;
    for (path, name) in &shape.rename {
        rename(&mut value, path, name);
    }
    let body = canonical_json(&value).map_err(|_| DeliveryError::Object(record.digest))?;
    let named = (key.locale, record.major);
    Ok(Some(Composed::new(view, body, named, looked, work.read, &BTreeSet::new())))
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

struct Work<'v> {
    view: &'v ReleaseView,
    /// What was included already, by content and selection: many entries may refer to the same one.
    included: FxHashMap<(Digest, usize), (EntryKey, Value)>,
    locales: &'v [Locale],
    read: Vec<(Key, Option<EntryRecord>)>,
    bytes: usize,
}

impl Work<'_> {
    fn find(
        &mut self,
        type_name: &TypeName,
        id: &EntryId,
    ) -> Result<Option<(EntryKey, EntryRecord)>, DeliveryError> {
        for locale in self.locales {
            let key = EntryKey { type_name: type_name.clone(), id: id.clone(), locale: locale.clone() };
            let bytes = key.to_bytes();
            let record = self.view.record_at(&bytes)?;
            self.read.push((bytes.into(), record));
            if let Some(record) = record {
                return Ok(Some((key, record)));
            }
        }
        Ok(None)
    }

    fn value(&mut self, key: &EntryKey, record: &EntryRecord, select: &Selection) -> Result<Value, Failure> {
        self.bytes += record.len as usize;
        if self.read.len() > ENTRIES_MAX * self.locales.len().max(1) || self.bytes > BODY_BYTES_MAX {
            return Err(Problem::new(
                422,
                "view-too-large",
                "View too large",
                format!("the view includes more than {ENTRIES_MAX} entries or {BODY_BYTES_MAX} bytes"),
            )
            .help("include less in the view; clients can list entries page by page")
            .into());
        }
        let bytes = self.view.caches.entry(&self.view.objects, &record.digest)?;
        let fields = read_fields(&bytes, select).map_err(|_| DeliveryError::Object(record.digest))?;
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
                    let included = match self.included.get(&id).filter(|(known, _)| *known == key) {
                        Some((_, known)) => known.clone(),
                        None => {
                            let made = self.value(&key, &record, &include.select)?;
                            self.included.insert(id, (key, made.clone()));
                            made
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
fn read_fields(bytes: &[u8], select: &Selection) -> serde_json::Result<Fields> {
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
