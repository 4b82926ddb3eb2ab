use ashlar_model::{EntryId, EntryKey, Locale, TypeName, nearest};
use ashlar_project::content;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{entries::Row, loaded::Loaded};
use crate::{GateError, Site, world::Vanished};

/// Entries that one page can include, as far as they are looked at to find a cause.
const INCLUDED_MAX: usize = 300;

/// All content in memory.
pub(super) struct MemorySite<'a> {
    entries: FxHashMap<&'a TypeName, FxHashSet<&'a EntryId>>,
    pub(super) routes: FxHashMap<&'a Locale, FxHashMap<&'a str, Vec<&'a Row>>>,
    pub(super) rows: Vec<&'a Row>,
    pub(super) by_key: FxHashMap<&'a EntryKey, &'a Row>,
    pub(super) duplicates: Vec<(&'a Row, &'a Row)>,
    /// What files that cannot be read would hold, as far as their names say it. What refers to them is not wrong.
    unread: FxHashSet<(TypeName, EntryId)>,
    /// Where the pages of such entries may be: the route of the type up to its first field, and the id.
    unread_routes: Vec<(&'a str, EntryId)>,
}

impl<'a> MemorySite<'a> {
    pub(super) fn new(loaded: &'a Loaded<'_>) -> Self {
        let mut site = Self {
            entries: FxHashMap::default(),
            routes: FxHashMap::default(),
            rows: Vec::new(),
            by_key: FxHashMap::default(),
            duplicates: Vec::new(),
            unread: FxHashSet::default(),
            unread_routes: Vec::new(),
        };
        for (file, facts) in loaded.files.iter().zip(&loaded.facts) {
            if facts.findings.is_empty() || !facts.rows.is_empty() {
                continue;
            }
            let Some(key) = content::key_of(&file.path, &loaded.options) else { continue };
            let contract = loaded.definitions.newest(&key.type_name);
            if let Some(route) = contract.and_then(|c| c.route.as_ref()) {
                let start = route.as_str().split('{').next().unwrap_or_default();
                site.unread_routes.push((start, key.id.clone()));
            }
            site.unread.insert((key.type_name, key.id));
        }
        let mut meant: FxHashMap<&TypeName, Option<&str>> = FxHashMap::default();
        for row in loaded.rows() {
            if let Some(first) = site.by_key.get(&row.key) {
                site.duplicates.push((first, row));
                continue;
            }
            site.by_key.insert(&row.key, row);
            site.entries.entry(&row.key.type_name).or_default().insert(&row.key.id);
            if row.contract.is_none() {
                // What refers to the type that was probably meant is not wrong as well.
                let types = loaded.definitions.contracts.iter().filter(|c| c.is_type());
                let near = *meant.entry(&row.key.type_name).or_insert_with(|| {
                    nearest(row.key.type_name.as_str(), types.map(|c| c.name.name.as_str()))
                });
                if let Some(type_name) = near.and_then(|near| TypeName::new(near).ok()) {
                    site.unread.insert((type_name, row.key.id.clone()));
                }
            }
            if let Some(route) = &row.route {
                site.routes.entry(&row.key.locale).or_default().entry(route).or_default().push(row);
            }
            site.rows.push(row);
        }
        site
    }

    /// Why nothing answers an entry's route any more; `None` when that only follows from what `content-validity` reports.
    pub(super) fn vanished(&self, key: &EntryKey) -> Option<Vanished> {
        match self.by_key.get(key) {
            None if self.is_unread(&key.type_name, &key.id) => None,
            None => Some(Vanished::Gone),
            Some(row) if row.route.is_some() => Some(Vanished::Moved),
            Some(row) if row.findings.is_empty() && row.contract.is_some() => Some(Vanished::Without),
            Some(_) => None,
        }
    }

    /// Whether content itself is wrong somewhere.
    pub(super) fn is_unsound(&self) -> bool {
        let broken = |row: &&Row| !row.findings.is_empty() || row.contract.is_none();
        !self.unread.is_empty() || self.rows.iter().any(broken)
    }

    /// Whether another gate already says why the page of an entry is wrong: the entry, or one that it includes, is not valid,
    /// cannot be read or does not exist.
    pub(super) fn reported_elsewhere(&self, key: &EntryKey, locales: &[Locale]) -> bool {
        let first = (&key.type_name, &key.id);
        let (mut seen, mut open) = (FxHashSet::from_iter([first]), vec![first]);
        for _ in 0..=ashlar_delivery::views::INCLUDE_DEPTH_MAX {
            let mut next = Vec::new();
            for (type_name, id) in open {
                if !self.entries.get(type_name).is_some_and(|ids| ids.contains(id)) {
                    return true;
                }
                let of = |locale: &Locale| EntryKey {
                    type_name: type_name.clone(),
                    id: id.clone(),
                    locale: locale.clone(),
                };
                for row in locales.iter().filter_map(|l| self.by_key.get(&of(l))) {
                    if !row.findings.is_empty() || row.contract.is_none() {
                        return true;
                    }
                    next.extend(row.refs.iter().map(|r| (&r.type_name, &r.id)));
                }
            }
            open = next.into_iter().filter(|n| seen.len() < INCLUDED_MAX && seen.insert(*n)).collect();
        }
        false
    }

    pub(super) fn is_unread(&self, type_name: &TypeName, id: &EntryId) -> bool {
        !self.unread.is_empty() && self.unread.contains(&(type_name.clone(), id.clone()))
    }

    /// Whether a path may be that of an entry whose file cannot be read.
    pub(super) fn may_be_unread(&self, path: &str) -> bool {
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let of_id = |id: &EntryId| id.as_str() == last || id.as_str().rsplit('.').next() == Some(last);
        self.unread_routes.iter().any(|(start, id)| path.starts_with(start) && of_id(id))
    }
}

impl Site for MemorySite<'_> {
    fn has_entry(&self, type_name: &TypeName, id: &EntryId) -> Result<bool, GateError> {
        Ok(self.entries.get(type_name).is_some_and(|ids| ids.contains(id)))
    }

    fn has_route(&self, locale: &Locale, route: &str) -> Result<bool, GateError> {
        Ok(self.routes.get(locale).is_some_and(|routes| routes.contains_key(route)))
    }

    fn ids(&self, type_name: &TypeName, start: &str, limit: usize) -> Result<Vec<String>, GateError> {
        let all = self.entries.get(type_name).into_iter().flatten();
        // Which of too many are taken must not depend on the order of a hash table.
        let mut ids: Vec<&str> = all.map(|id| id.as_str()).filter(|id| id.starts_with(start)).collect();
        ids.sort_unstable();
        Ok(ids.into_iter().take(limit).map(str::to_owned).collect())
    }

    fn routes(&self, locale: &Locale, limit: usize) -> Result<Vec<String>, GateError> {
        let all = self.routes.get(locale).into_iter().flatten();
        let mut routes: Vec<&str> = all.map(|(route, _)| *route).collect();
        routes.sort_unstable();
        Ok(routes.into_iter().take(limit).map(str::to_owned).collect())
    }
}
