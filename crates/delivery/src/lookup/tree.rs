use ashlar_model::{Digest, EntryId, EntryKey, Locale, TypeName};
use ashlar_store::{TenantObjects, Tree};

use super::value::IndexKey;
use crate::error::DeliveryError;

pub(crate) const FIELD: u8 = b'f';
pub(super) const REFERENCE: u8 = b'r';
pub(super) const ROUTE: u8 = b'p';
pub(super) const LINK: u8 = b'l';
pub(super) const RULES: &[u8] = b"v";

/// An opened look-up tree. Cheap to clone.
#[derive(Clone)]
pub struct Lookup {
    tree: Tree,
}

/// Who refers or links to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The entry that refers.
    pub entry: EntryKey,
    /// JSON pointers of the fields that do.
    pub paths: Vec<String>,
}

/// An entry with a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The path.
    pub route: String,
    /// The entry.
    pub entry: EntryKey,
}

/// `byte` and then `parts`, each followed by NUL.
pub(super) fn key(kind: u8, parts: &[&str]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + parts.iter().map(|p| p.len() + 1).sum::<usize>());
    out.push(kind);
    for part in parts {
        out.extend(part.as_bytes());
        out.push(0);
    }
    out
}

/// The parts of a key behind its kind.
fn split(key: &[u8]) -> Result<Vec<&str>, DeliveryError> {
    let text = std::str::from_utf8(key.get(1..).unwrap_or_default()).map_err(|_| DeliveryError::LookupKey)?;
    Ok(text.split('\0').collect())
}

fn entry_key(type_name: &str, id: &str, locale: &str) -> Result<EntryKey, DeliveryError> {
    let bad = |_| DeliveryError::LookupKey;
    Ok(EntryKey {
        type_name: TypeName::new(type_name).map_err(bad)?,
        id: EntryId::new(id).map_err(bad)?,
        locale: Locale::new(locale).map_err(bad)?,
    })
}

fn lines(value: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(value).lines().map(str::to_owned).collect()
}

/// The prefix of the index of a field in one locale.
pub(crate) fn field_prefix(type_name: &TypeName, field: &str, locale: &Locale) -> Vec<u8> {
    key(FIELD, &[type_name.as_str(), field, locale.as_str()])
}

impl Lookup {
    /// The look-up tree with this root.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn open(objects: &TenantObjects, root: &Digest) -> Result<Self, DeliveryError> {
        Ok(Self { tree: Tree::open(objects, root)? })
    }

    /// A look-up tree that is already at hand.
    pub fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Entries that refer to `type_name`/`id`, in any locale, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn referrers(
        &self,
        type_name: &TypeName,
        id: &EntryId,
        limit: usize,
    ) -> Result<Vec<Source>, DeliveryError> {
        let prefix = key(REFERENCE, &[type_name.as_str(), id.as_str()]);
        self.sources(&prefix, limit, |parts| match parts {
            [_, _, t, i, l] => entry_key(t, i, l),
            _ => Err(DeliveryError::LookupKey),
        })
    }

    /// Entries with a Markdown link to `path`, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn linkers(&self, path: &str, limit: usize) -> Result<Vec<Source>, DeliveryError> {
        self.sources(&key(LINK, &[path]), limit, |parts| match parts {
            [_, t, i, l] => entry_key(t, i, l),
            _ => Err(DeliveryError::LookupKey),
        })
    }

    fn sources(
        &self,
        prefix: &[u8],
        limit: usize,
        read: impl Fn(&[&str]) -> Result<EntryKey, DeliveryError>,
    ) -> Result<Vec<Source>, DeliveryError> {
        let mut out = Vec::new();
        for item in self.tree.prefix(prefix).take(limit) {
            let (key, value) = item?;
            out.push(Source { entry: read(&split(&key)?)?, paths: lines(&value) });
        }
        Ok(out)
    }

    /// All links: target path and who links there, in path order.
    pub fn links(&self) -> impl Iterator<Item = Result<(String, Source), DeliveryError>> + '_ {
        self.tree.prefix(&[LINK]).map(|item| {
            let (key, value) = item?;
            match split(&key)?.as_slice() {
                [path, t, i, l] => {
                    Ok(((*path).to_owned(), Source { entry: entry_key(t, i, l)?, paths: lines(&value) }))
                }
                _ => Err(DeliveryError::LookupKey),
            }
        })
    }

    /// Entries whose route in `locale` is `route`: more than one is a clash.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn routed(&self, locale: &Locale, route: &str, limit: usize) -> Result<Vec<EntryKey>, DeliveryError> {
        let mut out = Vec::new();
        for item in self.tree.prefix(&key(ROUTE, &[locale.as_str(), route])).take(limit) {
            out.push(read_route(&item?.0)?.entry);
        }
        Ok(out)
    }

    /// Whether an entry has this route in any of `locales`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn has_route<'a>(
        &self,
        locales: impl IntoIterator<Item = &'a Locale>,
        route: &str,
    ) -> Result<bool, DeliveryError> {
        for locale in locales {
            if self.tree.prefix(&key(ROUTE, &[locale.as_str(), route])).next().transpose()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All routes, by locale and path; entries with the same route follow one another.
    pub fn routes(&self) -> impl Iterator<Item = Result<Routed, DeliveryError>> + '_ {
        self.tree.prefix(&[ROUTE]).map(|item| read_route(&item?.0))
    }

    /// The routes of one locale, by path.
    pub fn routes_of(&self, locale: &Locale) -> impl Iterator<Item = Result<Routed, DeliveryError>> + '_ {
        self.tree.prefix(&key(ROUTE, &[locale.as_str()])).map(|item| read_route(&item?.0))
    }

    /// Routes that more than one entry has in the same locale, with all of them; at most `limit` routes.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn route_clashes(&self, limit: usize) -> Result<Vec<Vec<Routed>>, DeliveryError> {
        let mut out: Vec<Vec<Routed>> = Vec::new();
        let mut group: Vec<Routed> = Vec::new();
        for routed in self.routes() {
            let routed = routed?;
            let same = |r: &Routed| r.route == routed.route && r.entry.locale == routed.entry.locale;
            if !group.last().is_some_and(same) {
                let done = std::mem::take(&mut group);
                if done.len() > 1 {
                    out.push(done);
                    if out.len() == limit {
                        return Ok(out);
                    }
                }
            }
            group.push(routed);
        }
        if group.len() > 1 {
            out.push(group);
        }
        Ok(out)
    }

    /// How the routes differ from those of `newer`: `(route, true)` was added, `(route, false)` disappeared. The cost is
    /// that of the changes.
    pub fn route_changes<'a>(
        &'a self,
        newer: &'a Self,
    ) -> impl Iterator<Item = Result<(Routed, bool), DeliveryError>> + 'a {
        self.tree.diff(&newer.tree).filter_map(|change| match change {
            Err(e) => Some(Err(e.into())),
            Ok(c) if c.key.first() != Some(&ROUTE) => None,
            Ok(c) if c.old.is_some() == c.new.is_some() => None,
            Ok(c) => Some(read_route(&c.key).map(|r| (r, c.new.is_some()))),
        })
    }

    /// The id of the first entry of a type, in id order, whose indexed field has this value in `locale`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn first_with_value(
        &self,
        type_name: &TypeName,
        field: &str,
        locale: &Locale,
        value: &IndexKey,
    ) -> Result<Option<EntryId>, DeliveryError> {
        let mut prefix = field_prefix(type_name, field, locale);
        prefix.extend(value.as_bytes());
        let found = self.tree.first_from(&prefix)?;
        found.and_then(|(key, _)| key.strip_prefix(prefix.as_slice())).map(read_id).transpose()
    }
}

pub(crate) fn read_id(bytes: &[u8]) -> Result<EntryId, DeliveryError> {
    std::str::from_utf8(bytes).ok().and_then(|text| EntryId::new(text).ok()).ok_or(DeliveryError::LookupKey)
}

fn read_route(key: &[u8]) -> Result<Routed, DeliveryError> {
    match split(key)?.as_slice() {
        [locale, route, t, i] => Ok(Routed { route: (*route).to_owned(), entry: entry_key(t, i, locale)? }),
        _ => Err(DeliveryError::LookupKey),
    }
}
