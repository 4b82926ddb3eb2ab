use ashlar_delivery::lookup::Lookup;
use ashlar_model::{EntryId, EntryKey, Locale, TypeName};
use ashlar_store::Tree;

use crate::GateError;

/// What gates ask of all content at once.
pub trait Site: Sync {
    /// Whether an entry exists, in any locale.
    ///
    /// # Errors
    /// When it cannot be read.
    fn has_entry(&self, type_name: &TypeName, id: &EntryId) -> Result<bool, GateError>;

    /// Whether an entry of exactly this locale has the route (without trailing slash).
    ///
    /// # Errors
    /// When it cannot be read.
    fn has_route(&self, locale: &Locale, route: &str) -> Result<bool, GateError>;
}

/// A candidate: its snapshot and look-up tree.
pub(crate) struct CandidateSite<'a> {
    pub(crate) snapshot: &'a Tree,
    pub(crate) lookup: &'a Lookup,
}

impl Site for CandidateSite<'_> {
    fn has_entry(&self, type_name: &TypeName, id: &EntryId) -> Result<bool, GateError> {
        Ok(self.snapshot.prefix(&EntryKey::entry_prefix(type_name, id)).next().transpose()?.is_some())
    }

    fn has_route(&self, locale: &Locale, route: &str) -> Result<bool, GateError> {
        Ok(self.lookup.has_route([locale], route)?)
    }
}
