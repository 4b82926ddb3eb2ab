//! The content of a candidate, as gates ask of it.

use ashlar_delivery::lookup::Lookup;
use ashlar_model::{EntryId, EntryKey, Locale, TypeName};
use ashlar_store::Tree;

use crate::{GateError, Site};

/// A snapshot with its look-up tree.
pub(crate) struct CandidateSite<'a> {
    pub(crate) snapshot: &'a Tree,
    /// Without it no route is known.
    pub(crate) lookup: Option<&'a Lookup>,
}

impl Site for CandidateSite<'_> {
    fn has_entry(&self, type_name: &TypeName, id: &EntryId) -> Result<bool, GateError> {
        Ok(self.snapshot.prefix(&EntryKey::entry_prefix(type_name, id)).next().transpose()?.is_some())
    }

    fn has_route(&self, locale: &Locale, route: &str) -> Result<bool, GateError> {
        self.lookup.map_or(Ok(false), |lookup| Ok(lookup.has_route([locale], route)?))
    }

    fn ids(&self, type_name: &TypeName, start: &str, limit: usize) -> Result<Vec<String>, GateError> {
        let mut prefix = EntryKey::type_prefix(type_name);
        prefix.extend_from_slice(start.as_bytes());
        let mut ids: Vec<String> = Vec::new();
        for item in self.snapshot.prefix(&prefix).take(limit) {
            let id = EntryKey::from_bytes(&item?.0)?.id;
            if ids.last().is_none_or(|last| last != id.as_str()) {
                ids.push(id.to_string());
            }
        }
        Ok(ids)
    }

    fn routes(&self, locale: &Locale, limit: usize) -> Result<Vec<String>, GateError> {
        let all = self.lookup.into_iter().flat_map(|lookup| lookup.routes_of(locale));
        all.take(limit).map(|routed| Ok(routed?.route)).collect()
    }
}
