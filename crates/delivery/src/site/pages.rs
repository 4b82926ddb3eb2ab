use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{EntryId, EntryKey, Locale, TypeName};
use serde_json::Value;

use super::{
    lists::of_list,
    page::{chain, data, of_entry, of_nothing, value_of, view_named},
};
use crate::{
    cache::Sources,
    error::{DeliveryError, Failure},
    http::{Pace, busy},
    read::compose,
    release::ReleaseView,
    views::INCLUDE_DEPTH_MAX,
};

/// Entries that refer to a changed one and whose pages are rendered with it; more are rendered when they are read.
const REFERRERS_MAX: usize = 10_000;

/// A page of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAt {
    /// Its path.
    pub path: String,
    /// Its language.
    pub locale: Locale,
    /// The entry it shows; `None` for lists.
    pub entry: Option<EntryKey>,
}

/// A page as it is sent.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The HTML.
    pub html: bytes::Bytes,
    /// The entries it was made from, as keys of the snapshot.
    pub read: Vec<Box<[u8]>>,
    /// The types whose lists it was made from.
    pub lists: BTreeSet<TypeName>,
}

impl ReleaseView {
    /// Every page, entries first.
    pub fn pages(&self) -> impl Iterator<Item = Result<PageAt, DeliveryError>> + '_ {
        let site = self.definitions.site();
        let routed = site.into_iter().flat_map(|site| {
            self.lookup.routes().filter_map(|routed| match routed {
                Err(e) => Some(Err(e)),
                Ok(r) => {
                    let shown = site.page_rule(&r.entry.type_name).is_some();
                    shown.then(|| {
                        Ok(PageAt { path: r.route, locale: r.entry.locale.clone(), entry: Some(r.entry) })
                    })
                }
            })
        });
        routed.chain(self.lists().map(|(_, list)| Ok(list)))
    }

    /// The lists of the site in every language, each with the type of its entries.
    pub fn lists(&self) -> impl Iterator<Item = (&TypeName, PageAt)> + '_ {
        let lists = self.definitions.site().into_iter().flat_map(|site| &site.file.lists);
        lists.flat_map(|list| {
            self.definitions.locales.all().iter().map(|locale| {
                let path = list.route.replace("{locale}", locale.as_str());
                (&list.type_name, PageAt { path, locale: locale.clone(), entry: None })
            })
        })
    }

    /// The bodies that every page in a language gets, by name.
    ///
    /// # Errors
    /// When the store cannot answer; the message says why.
    pub fn data(&self, locale: &Locale) -> Result<BTreeMap<String, Value>, String> {
        let Some(site) = self.definitions.site() else { return Ok(BTreeMap::new()) };
        data(self, site, locale, &mut Sources::default()).map_err(message_of)
    }

    /// The pages that can differ from those of `before`: of what changed, of what refers to it, and lists of its type. All
    /// pages when the definitions differ, or when a body that every page gets has changed. The cost is that of the changes.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn pages_touched(&self, before: &Self) -> Result<Vec<PageAt>, DeliveryError> {
        let Some(site) = self.definitions.site() else { return Ok(Vec::new()) };
        if before.definitions.digest != self.definitions.digest {
            return self.pages().collect();
        }
        let everywhere: BTreeSet<&TypeName> = site
            .file
            .data
            .values()
            .filter_map(|rule| Some(&view_named(self, &rule.view)?.1.source))
            .collect();
        let mut changed: BTreeSet<(TypeName, EntryId)> = BTreeSet::new();
        for change in before.snapshot.diff(&self.snapshot) {
            let key = EntryKey::from_bytes(&change?.key)?;
            if everywhere.contains(&key.type_name) {
                return self.pages().collect();
            }
            changed.insert((key.type_name, key.id));
        }
        let types: BTreeSet<TypeName> = changed.iter().map(|(t, _)| t.clone()).collect();
        let mut edge: Vec<_> = changed.iter().cloned().collect();
        for _ in 0..INCLUDE_DEPTH_MAX {
            let mut next = Vec::new();
            for (type_name, id) in &edge {
                for source in self.lookup.referrers(type_name, id, REFERRERS_MAX)? {
                    let found = (source.entry.type_name, source.entry.id);
                    if changed.insert(found.clone()) {
                        next.push(found);
                    }
                }
            }
            edge = next;
        }
        let mut pages = Vec::new();
        for (type_name, id) in changed.iter().filter(|(t, _)| site.page_rule(t).is_some()) {
            for locale in self.locales_of(type_name, id)? {
                let entry = EntryKey { type_name: type_name.clone(), id: id.clone(), locale: locale.clone() };
                if let Some(path) = self.route_of(&entry)? {
                    pages.push(PageAt { path, locale, entry: Some(entry) });
                }
            }
        }
        pages.extend(self.lists().filter(|(of, _)| types.contains(*of)).map(|(_, list)| list));
        Ok(pages)
    }

    /// Renders a page, or answers it from memory.
    ///
    /// # Errors
    /// When the store cannot answer or a template fails; the message says where.
    pub fn page(&self, page: &PageAt) -> Result<Option<Rendered>, String> {
        let Some(site) = self.definitions.site() else { return Ok(None) };
        let composed = match &page.entry {
            Some(entry) => of_entry(self, site, &page.path, entry, "web", &Pace::Any).map_err(message_of)?,
            None => {
                let locales = self.definitions.locales.all().iter().map(Locale::as_str);
                let Some((list, _)) = site.list_at(&page.path, locales) else { return Ok(None) };
                Some(of_list(self, site, list, &page.path, &page.locale, &Pace::Any).map_err(message_of)?)
            }
        };
        Ok(composed.map(|c| Rendered {
            html: c.body.clone(),
            read: c.sources.read.iter().map(|(key, _)| key.clone()).collect(),
            lists: match &page.entry {
                Some(_) => BTreeSet::new(),
                None => site.file.lists.iter().map(|l| l.type_name.clone()).collect(),
            },
        }))
    }

    /// Where the page of an entry is; `None` when it has no page.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn path_of(&self, entry: &EntryKey) -> Result<Option<String>, DeliveryError> {
        let shown = self.definitions.site().is_some_and(|s| s.page_rule(&entry.type_name).is_some());
        if shown { self.route_of(entry) } else { Ok(None) }
    }

    /// What the page of an entry shows: the body of its view. `None` for lists, and for entries without a page.
    ///
    /// # Errors
    /// When the store cannot answer; the message says why.
    pub fn page_body(&self, page: &PageAt) -> Result<Option<Value>, String> {
        let rule = page.entry.as_ref().and_then(|e| self.definitions.site()?.page_rule(&e.type_name));
        let (Some(rule), Some(entry)) = (rule, &page.entry) else { return Ok(None) };
        let Some((_, shape)) = view_named(self, &rule.view) else {
            return Err(format!("there is no view `{}`", rule.view));
        };
        let wanted = chain(self, &entry.locale);
        let body = compose::of_entry(self, shape, &entry.id, wanted.as_slice(), &Pace::Any)
            .and_then(|c| c.as_ref().map(value_of).transpose());
        body.map_err(message_of)
    }

    /// The page that says that nothing is there, in a language.
    ///
    /// # Errors
    /// When a template fails.
    pub fn not_found(&self, locale: &Locale) -> Result<Option<bytes::Bytes>, String> {
        let Some(site) = self.definitions.site() else { return Ok(None) };
        let found = of_nothing(self, site, locale, &Pace::Any).map_err(message_of)?;
        Ok(found.map(|composed| composed.body.clone()))
    }
}

/// What is wrong, for people.
fn message_of(failure: Failure) -> String {
    match failure {
        Failure::Problem(p) => p.detail,
        Failure::Broken(e) => e.to_string(),
        Failure::Heavy => busy().detail,
    }
}
