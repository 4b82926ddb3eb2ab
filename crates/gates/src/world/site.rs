use std::collections::BTreeMap;

use ashlar_model::{EntryId, Locale, TypeName, nearest};

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
    routes: BTreeMap<Locale, Vec<String>>,
    ids: BTreeMap<TypeName, Vec<String>>,
    /// What was found for targets that were looked at; others have none.
    known: BTreeMap<(String, String), Option<String>>,
}

impl<'a> Near<'a> {
    /// Targets for which something near is looked for.
    const TARGETS_MAX: usize = 50;
    /// Names that are compared with one target.
    const NAMES_MAX: usize = 4_000;

    pub(crate) fn new(site: &'a dyn Site) -> Self {
        Self { site, routes: BTreeMap::new(), ids: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// What is near a target of a kind; `find` looks for it when it may.
    fn once(
        &mut self,
        kind: &str,
        target: &str,
        find: impl FnOnce(&mut Self) -> Result<Option<String>, GateError>,
    ) -> Result<Option<String>, GateError> {
        let target = (kind.to_owned(), target.to_owned());
        if let Some(known) = self.known.get(&target) {
            return Ok(known.clone());
        }
        if self.known.len() >= Self::TARGETS_MAX {
            return Ok(None);
        }
        let found = find(self)?;
        self.known.insert(target, found.clone());
        Ok(found)
    }

    /// An id of the type that is like `id`.
    pub(crate) fn entry(&mut self, type_name: &TypeName, id: &EntryId) -> Result<Option<String>, GateError> {
        self.once(type_name.as_str(), id.as_str(), |near| near.like_id(type_name, id))
    }

    /// A route of the locale that is like `path`.
    pub(crate) fn route(&mut self, locale: &Locale, path: &str) -> Result<Option<String>, GateError> {
        self.once(locale.as_str(), path, |near| near.like_route(locale, path))
    }

    fn like_id(&mut self, type_name: &TypeName, id: &EntryId) -> Result<Option<String>, GateError> {
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

    fn like_route(&mut self, locale: &Locale, path: &str) -> Result<Option<String>, GateError> {
        if !self.routes.contains_key(locale) {
            let routes = self.site.routes(locale, Self::NAMES_MAX)?;
            self.routes.insert(locale.clone(), routes);
        }
        let routes = self.routes.get(locale).map_or(&[][..], Vec::as_slice);
        Ok(nearest(path, routes.iter().map(String::as_str)).map(str::to_owned))
    }
}
