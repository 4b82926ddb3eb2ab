use std::collections::BTreeMap;

use ashlar_delivery::lookup::Lookup;
use ashlar_model::{EntryId, EntryKey, Locale, TypeName, nearest};
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

    /// Ids of a type that begin with `start`, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn ids(&self, type_name: &TypeName, start: &str, limit: usize) -> Result<Vec<String>, GateError>;

    /// Routes of a locale, at most `limit`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn routes(&self, locale: &Locale, limit: usize) -> Result<Vec<String>, GateError>;
}

/// What may be meant by a target that does not exist. Its cost is bounded: only the first targets of a judgement are looked
/// at, each among a bounded number of names.
pub(crate) struct Near<'a> {
    site: &'a dyn Site,
    left: usize,
    routes: BTreeMap<Locale, Vec<String>>,
    ids: BTreeMap<TypeName, Vec<String>>,
}

impl<'a> Near<'a> {
    /// Targets for which something near is looked for.
    const TARGETS_MAX: usize = 50;
    /// Names that are compared with one target.
    const NAMES_MAX: usize = 4_000;

    pub(crate) fn new(site: &'a dyn Site) -> Self {
        Self { site, left: Self::TARGETS_MAX, routes: BTreeMap::new(), ids: BTreeMap::new() }
    }

    fn may_look(&mut self) -> bool {
        let may = self.left > 0;
        self.left -= usize::from(may);
        may
    }

    /// An id of the type that is like `id`.
    pub(crate) fn entry(&mut self, type_name: &TypeName, id: &EntryId) -> Result<Option<String>, GateError> {
        if !self.may_look() {
            return Ok(None);
        }
        if !self.ids.contains_key(type_name) {
            let ids = self.site.ids(type_name, "", Self::NAMES_MAX)?;
            self.ids.insert(type_name.clone(), ids);
        }
        let all = self.ids.get(type_name).map_or(&[][..], Vec::as_slice);
        if let Some(found) = nearest(id.as_str(), all.iter().map(String::as_str)) {
            return Ok(Some(found.to_owned()));
        }
        if all.len() < Self::NAMES_MAX {
            return Ok(None);
        }
        // There are more: those that begin alike are the likeliest.
        let start: String = id.as_str().chars().take(2).collect();
        let more = self.site.ids(type_name, &start, Self::NAMES_MAX)?;
        Ok(nearest(id.as_str(), more.iter().map(String::as_str)).map(str::to_owned))
    }

    /// A route of the locale that is like `path`.
    pub(crate) fn route(&mut self, locale: &Locale, path: &str) -> Result<Option<String>, GateError> {
        if !self.may_look() {
            return Ok(None);
        }
        if !self.routes.contains_key(locale) {
            let routes = self.site.routes(locale, Self::NAMES_MAX)?;
            self.routes.insert(locale.clone(), routes);
        }
        let routes = self.routes.get(locale).map_or(&[][..], Vec::as_slice);
        Ok(nearest(path, routes.iter().map(String::as_str)).map(str::to_owned))
    }
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
        self.lookup.routes_of(locale).take(limit).map(|routed| Ok(routed?.route)).collect()
    }
}
