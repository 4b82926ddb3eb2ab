use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ashlar_model::{
    ContractName, Digest, EntryId, EntryKey, EntryRecord, Fields, Locale, TenantId, TypeName, read_modified,
};
use ashlar_project::Redirect;
use ashlar_store::{TenantObjects, Tree};
use jiff::Timestamp;

use super::definitions::Definitions;
use crate::{
    cache::{Caches, Composed},
    error::{DeliveryError, Failure},
    http::Pace,
    lookup::{IndexKey, Lookup},
    search::{SearchTrees, indexes},
};

/// What a release is made of, as far as delivery needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRoots {
    /// What `Ashlar-Release` says: `r42`, `c7`, `draft`.
    pub label: String,
    /// The root of the entries.
    pub snapshot: Digest,
    /// The root of the definitions.
    pub definitions: Digest,
    /// The root of the look-up tree.
    pub lookup: Digest,
    /// The root of the tree that says when entries were changed.
    pub modified: Option<Digest>,
    /// The root of the search tree.
    pub search: Option<Digest>,
    /// The root of the tree of meaning; a release may get it later.
    pub meaning: Option<Digest>,
}

/// An opened release. Immutable; share it in an [`Arc`] and replace it when the channel moves.
pub struct ReleaseView {
    /// Different for every opened release of this process.
    pub(crate) number: u64,
    pub(crate) label: String,
    pub(crate) objects: TenantObjects,
    pub(crate) snapshot: Tree,
    pub(crate) lookup: Lookup,
    pub(crate) modified: Option<Tree>,
    pub(crate) search: Option<SearchTrees>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) caches: Caches,
}

impl ReleaseView {
    /// Opens a release. `known` are definitions that are parsed already, such as those of the release served before:
    /// they are used when the digest is the same, so that a release that changes only entries opens at once.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn open(
        objects: &TenantObjects,
        roots: &ReleaseRoots,
        known: Option<&Arc<Definitions>>,
        caches: &Caches,
    ) -> Result<Arc<Self>, DeliveryError> {
        let definitions = match known.filter(|d| d.digest == roots.definitions) {
            Some(same) => same.clone(),
            None => Definitions::open(objects, &roots.definitions)?,
        };
        let snapshot = Tree::open(objects, &roots.snapshot)?;
        let lookup = Lookup::open(objects, &roots.lookup)?;
        let mut opened =
            Self::new(objects.clone(), roots.label.clone(), snapshot, lookup, definitions, caches.clone());
        let open = |root: &Option<Digest>| root.as_ref().map(|root| Tree::open(objects, root)).transpose();
        opened.modified = open(&roots.modified)?;
        // What cannot be searched can still be read.
        let searched = |what: &str, root: &Option<Digest>| {
            let label = &roots.label;
            open(root).unwrap_or_else(|error| {
                tracing::error!(release = label, %error, "the {what} tree cannot be opened");
                None
            })
        };
        opened.search = searched("search", &roots.search)
            .map(|search| SearchTrees { search, meaning: searched("meaning", &roots.meaning) });
        Ok(Arc::new(opened))
    }

    /// A release whose parts are at hand (drafts, a candidate that is judged).
    pub fn new(
        objects: TenantObjects,
        label: String,
        snapshot: Tree,
        lookup: Lookup,
        definitions: Arc<Definitions>,
        caches: Caches,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { number, label, objects, snapshot, lookup, modified: None, search: None, definitions, caches }
    }

    /// The same release without the tree nodes that were touched, whose memory goes with the last reader of this one.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn anew(&self) -> Result<Arc<Self>, DeliveryError> {
        Ok(Arc::new(Self {
            number: self.number,
            label: self.label.clone(),
            objects: self.objects.clone(),
            snapshot: self.snapshot.anew()?,
            lookup: Lookup::new(self.lookup.tree().anew()?),
            modified: self.modified.as_ref().map(Tree::anew).transpose()?,
            search: self.search.as_ref().map(SearchTrees::anew).transpose()?,
            definitions: self.definitions.clone(),
            caches: self.caches.clone(),
        }))
    }

    /// What `Ashlar-Release` says.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether it is searched by vectors as well as by words.
    pub fn has_vectors(&self) -> bool {
        self.search.as_ref().is_some_and(|trees| trees.meaning.is_some())
    }

    /// How soon after a release each index should be searchable.
    pub fn search_targets(&self) -> Vec<(String, Duration)> {
        let config = &self.definitions.retrieval;
        let names = indexes(&self.definitions.contracts, config).into_keys();
        names.map(|name| (name.clone(), config.index(&name).freshness)).collect()
    }

    /// For how many days searches are kept; `None` when they are not.
    pub fn log_days(&self) -> Option<u32> {
        self.definitions.retrieval.log.map(|log| log.days)
    }

    /// Whose release it is.
    pub fn tenant(&self) -> &TenantId {
        self.objects.tenant()
    }

    /// The definitions.
    pub fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// The entries.
    pub fn snapshot(&self) -> &Tree {
        &self.snapshot
    }

    /// The look-up tree.
    pub fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// The record of an entry in exactly this locale.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn record(&self, key: &EntryKey) -> Result<Option<EntryRecord>, DeliveryError> {
        self.record_at(&key.to_bytes())
    }

    pub(crate) fn record_at(&self, key: &[u8]) -> Result<Option<EntryRecord>, DeliveryError> {
        match self.snapshot.get_ref(key)? {
            Some(bytes) => Ok(Some(EntryRecord::from_bytes(bytes)?)),
            None => Ok(None),
        }
    }

    /// An entry in exactly this locale: its record and its fields.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn fields_at(&self, key: &EntryKey) -> Result<Option<(EntryRecord, Fields)>, DeliveryError> {
        let Some(record) = self.record(key)? else { return Ok(None) };
        let fields = self.fields_of(&record)?;
        Ok(Some((record, fields)))
    }

    /// The first of `locales` in which an entry exists.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn entry(
        &self,
        type_name: &TypeName,
        id: &EntryId,
        locales: &[Locale],
    ) -> Result<Option<(EntryKey, EntryRecord)>, DeliveryError> {
        for locale in locales {
            let key = EntryKey { type_name: type_name.clone(), id: id.clone(), locale: locale.clone() };
            if let Some(record) = self.record(&key)? {
                return Ok(Some((key, record)));
            }
        }
        Ok(None)
    }

    /// The locales in which an entry exists.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn locales_of(&self, type_name: &TypeName, id: &EntryId) -> Result<Vec<Locale>, DeliveryError> {
        self.snapshot
            .prefix(&EntryKey::entry_prefix(type_name, id))
            .map(|item| Ok(EntryKey::from_bytes(&item?.0)?.locale))
            .collect()
    }

    /// The id of the entry of a type that has `text` in `field`, in the first of `locales` where one has.
    pub(crate) fn id_with(
        &self,
        type_name: &TypeName,
        field: &str,
        text: &str,
        locales: &[Locale],
    ) -> Result<Option<EntryId>, DeliveryError> {
        for locale in locales {
            let found = self.lookup.first_with_value(type_name, field, locale, &IndexKey::string(text))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The composed body that is kept under a key, when it is what this release answers.
    pub(crate) fn known(&self, key: &[u8], pace: &Pace) -> Result<Option<Arc<Composed>>, Failure> {
        self.caches.known(key, self.number, |composed| self.still_answers(composed, pace))
    }

    /// Whether a body that was made from another release is what this one answers too.
    fn still_answers(&self, composed: &Composed, pace: &Pace) -> Result<bool, Failure> {
        let sources = &composed.sources;
        if !sources.lists.is_empty() {
            return Ok(false);
        }
        pace.look_up(sources.looked.len() + sources.read.len())?;
        for l in &sources.looked {
            if self.id_with(&l.source, &l.field, &l.value, &l.locales)? != l.found {
                return Ok(false);
            }
        }
        for (key, record) in &sources.read {
            if self.record_at(key)? != *record {
                return Ok(false);
            }
        }
        match &composed.dated {
            Some((entry, modified)) => Ok(self.modified(entry)? == *modified),
            None => Ok(true),
        }
    }

    /// When an entry was last changed, as far as the release knows.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn modified(&self, key: &EntryKey) -> Result<Option<Timestamp>, DeliveryError> {
        let Some(tree) = &self.modified else { return Ok(None) };
        let found = match tree.get(&key.to_bytes())? {
            Some(own) => Some(own),
            None => tree.get(ashlar_model::OTHERS)?,
        };
        Ok(found.and_then(|v| read_modified(&v)).and_then(|s| Timestamp::from_second(s).ok()))
    }

    /// The route of an entry in exactly this locale.
    pub(crate) fn route_of(&self, key: &EntryKey) -> Result<Option<String>, DeliveryError> {
        let Some(record) = self.record(key)? else { return Ok(None) };
        let name = ContractName { name: key.type_name.clone(), major: record.major };
        let Some(contract) = self.definitions.contracts.get(&name).filter(|c| c.route.is_some()) else {
            return Ok(None);
        };
        let bytes = self.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        Ok(contract.facts(key, &fields).route)
    }

    /// Every redirect: from, to, status. A page that was removed permanently has its own address as target.
    pub fn redirects(&self) -> impl Iterator<Item = (String, String, u16)> + '_ {
        self.definitions.redirects.iter().map(|(from, redirect)| {
            let end = self.redirect(from).map_or_else(|| redirect.to.clone(), |(_, end)| end);
            (from.to_string(), end, redirect.status)
        })
    }

    /// Where an old path leads.
    pub fn redirect(&self, path: &str) -> Option<(&Redirect, String)> {
        let found = self.definitions.redirects.get(path)?;
        // One step for the client, however many there are.
        let end = self.definitions.redirects.follow(path).unwrap_or(&found.to);
        Some((found, end.to_owned()))
    }
}
