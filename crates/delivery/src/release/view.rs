use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ashlar_model::{Digest, EntryId, EntryKey, EntryRecord, Locale, TenantId, TypeName};
use ashlar_store::{TenantObjects, Tree};

use crate::{Caches, Definitions, DeliveryError, lookup::Lookup};

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
        opened.modified = roots.modified.as_ref().map(|root| Tree::open(objects, root)).transpose()?;
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
        Self { number, label, objects, snapshot, lookup, modified: None, definitions, caches }
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
            definitions: self.definitions.clone(),
            caches: self.caches.clone(),
        }))
    }

    /// What `Ashlar-Release` says.
    pub fn label(&self) -> &str {
        &self.label
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
}
