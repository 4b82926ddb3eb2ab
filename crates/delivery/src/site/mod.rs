//! The site: pages of a release, rendered when something they show has changed, and kept until then.

mod lists;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{Digest, EntryId, EntryKey, EntryRecord, Locale, ReleaseId, TypeName};
use ashlar_project::normal_path;
use ashlar_site::{Page, Site};
use serde_json::Value;

use crate::{
    DeliveryError, Problem, ReleaseView, RequestParts,
    http::{
        message::{Content, Out, Pace},
        query,
    },
    read::{
        compose::{self, Composed, Key, Looked},
        entry::{Failure, Head, Written, content},
    },
    views::{CACHE_CONTROL, INCLUDE_DEPTH_MAX, View},
};
use lists::{of_list, of_search};

/// Entries that refer to a changed one and whose pages are rendered with it; more are rendered when they are read.
const REFERRERS_MAX: usize = 10_000;
const HTML: &[u8] = b"text/html; charset=utf-8";
const JSON: &[u8] = b"application/json";
/// Files whose address names their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// What a page may load and do: its own files, and nothing from elsewhere. For pages that are files, as the content of a
/// `meta` element: who may frame a page can only be said by a header.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'";
/// The same and more as headers.
const HEAD_OF_PAGES: &[u8] = b"content-security-policy: default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'\r\nx-content-type-options: nosniff\r\nreferrer-policy: strict-origin-when-cross-origin\r\n";

/// Everything a page was made from.
#[derive(Default)]
struct Sources {
    looked: Vec<Looked>,
    read: Vec<(Key, Option<EntryRecord>)>,
    lists: BTreeSet<TypeName>,
}

impl Sources {
    fn add(&mut self, composed: &Composed) {
        let (looked, read) = composed.sources();
        self.looked.extend_from_slice(looked);
        self.read.extend_from_slice(read);
    }
}

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
        data(self, site, locale, &mut Sources::default()).map_err(told)
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
            Some(entry) => of_entry(self, site, &page.path, entry, "web", Pace::Any).map_err(told)?,
            None => {
                let locales = self.definitions.locales.all().iter().map(Locale::as_str);
                let Some((list, _)) = site.list_at(&page.path, locales) else { return Ok(None) };
                Some(of_list(self, site, list, &page.path, &page.locale, Pace::Any).map_err(told)?)
            }
        };
        Ok(composed.map(|c| Rendered {
            html: c.body.clone(),
            read: c.sources().1.iter().map(|(key, _)| key.clone()).collect(),
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
        let body = compose::of_entry(self, shape, &entry.id, wanted.as_slice())
            .and_then(|c| c.as_ref().map(read).transpose());
        body.map_err(told)
    }

    /// The page that says that nothing is there, in a language.
    ///
    /// # Errors
    /// When a template fails.
    pub fn not_found(&self, locale: &Locale) -> Result<Option<bytes::Bytes>, String> {
        let Some(site) = self.definitions.site() else { return Ok(None) };
        let found = of_nothing(self, site, locale, Pace::Any).map_err(told)?;
        Ok(found.map(|composed| composed.body.clone()))
    }
}

/// Answers with a page, a file of the site, or the page that says that nothing is there; `None` when the project has no
/// site, or the path is not one of its.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Option<Result<Written, Failure>> {
    let site = view.definitions.site()?;
    if let Some(rest) = parts.path.strip_prefix("/assets/") {
        let decoded = percent_encoding::percent_decode_str(rest).decode_utf8_lossy();
        let address = format!("/assets/{decoded}");
        if !site.has_asset_at_hand(&address)
            && let Err(heavy) = out.pace.heavy()
        {
            return Some(Err(heavy));
        }
        let asset = site.asset(&address)?;
        let head = Head {
            contract: ("", 0),
            locale: view.definitions.locales.all()[0].as_str(),
            digest: Digest::of(&asset.bytes),
            surrogate: b"definitions",
            cache_control: FOREVER,
            locale_named: true,
            of_view: b"x-content-type-options: nosniff\r\naccept-ranges: bytes\r\n",
            content_type: asset.media_type.as_bytes(),
            by_accept: false,
        };
        return Some(content(view, parts, &head, asset.bytes.len(), &Content::Kept(&asset.bytes), out));
    }
    let decoded = percent_encoding::percent_decode_str(parts.path).decode_utf8_lossy();
    if decoded == "/" {
        let wanted = match parts.accept_language {
            Some(header) => view.definitions.locales.accepted(header),
            None => view.definitions.locales.default_chain(),
        };
        let locale = wanted.as_slice().first().unwrap_or(&view.definitions.locales.all()[0]);
        let home = site.file.home.replace("{locale}", locale.as_str());
        // Another reader gets another language.
        let mut own = *parts;
        own.private = true;
        return Some(Ok(out.redirect(view, &own, 302, &home)));
    }
    let path = normal_path(&decoded);
    match found(view, site, parts, path, out.pace) {
        // A page has one address.
        Ok(Some(_)) if path != decoded => {
            let query = parts.query.map(|q| format!("?{q}")).unwrap_or_default();
            Some(Ok(out.redirect(view, parts, 308, &format!("{path}{query}"))))
        }
        Ok(Some((composed, content_type))) => {
            let head = Head {
                contract: ("", 0),
                locale: composed.locale.as_str(),
                digest: composed.digest,
                surrogate: &composed.surrogate,
                cache_control: CACHE_CONTROL,
                locale_named: true,
                of_view: if content_type == HTML { HEAD_OF_PAGES } else { b"" },
                content_type,
                by_accept: false,
            };
            Some(content(view, parts, &head, composed.body.len(), &Content::Kept(&composed.body), out))
        }
        Ok(None) => {
            // What somebody wrote on where a path leads comes before what follows from languages.
            if view.redirect(path).is_some() {
                return None;
            }
            // A page that is not translated yet is read in the language its own falls back to.
            let to = falls_back(view, site, path)?;
            // It ends with the translation, and no surrogate key names an entry that is not there yet.
            let mut own = *parts;
            own.private = true;
            Some(Ok(out.redirect(view, &own, 302, &to)))
        }
        Err(failure) => Some(Err(failure)),
    }
}

/// The route of `/de/x` in the languages that `de` falls back to.
fn falls_back(view: &ReleaseView, site: &Site, path: &str) -> Option<String> {
    let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
    let wanted = view.definitions.locales.named(first)?;
    wanted.as_slice().iter().filter(|l| l.as_str() != first).find_map(|locale| {
        let route = format!("/{locale}/{rest}");
        let entry = view.lookup.routed(locale, &route, 1).ok()?.into_iter().next()?;
        site.page_rule(&entry.type_name).map(|_| route)
    })
}

type Found = Option<(Arc<Composed>, &'static [u8])>;

fn found(
    view: &ReleaseView,
    site: &Site,
    parts: &RequestParts<'_>,
    path: &str,
    pace: Pace,
) -> Result<Found, Failure> {
    let locales = view.definitions.locales.all();
    for locale in locales {
        let Some(entry) = view.lookup.routed(locale, path, 1)?.into_iter().next() else { continue };
        if site.page_rule(&entry.type_name).is_none() {
            return Ok(None);
        }
        // A surface that the project does not have is none; a page without one is that of the web.
        let asked = parts.query.and_then(|q| query::get(q, "surface"));
        return match asked.as_deref().filter(|s| site.intents().surfaces.iter().any(|known| known == s)) {
            Some("app") => for_app(view, site, &entry, pace).map(|found| found.map(|c| (Arc::new(c), JSON))),
            Some("email") => Ok(of_entry(view, site, path, &entry, "email", pace)?.map(|c| (c, HTML))),
            _ => Ok(of_entry(view, site, path, &entry, "web", pace)?.map(|c| (c, HTML))),
        };
    }
    if let Some((list, locale)) = site.list_at(path, locales.iter().map(Locale::as_str)) {
        let locale = locales.iter().find(|l| l.as_str() == locale).unwrap_or(&locales[0]);
        return Ok(Some((of_list(view, site, list, path, locale, pace)?, HTML)));
    }
    if let Some(search) = &site.file.search {
        let at = locales.iter().find(|l| search.route.replace("{locale}", l.as_str()) == path);
        if let Some(locale) = at {
            let asked = parts.query.and_then(|q| query::get(q, "q")).unwrap_or_default();
            pace.heavy()?;
            return Ok(Some((Arc::new(of_search(view, site, &search.layout, path, locale, &asked)?), HTML)));
        }
    }
    Ok(None)
}

/// The page that says that nothing is there, for readers of pages.
pub(crate) fn missing(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Result<Option<Written>, Failure> {
    let Some(site) = view.definitions.site() else { return Ok(None) };
    let locales = view.definitions.locales.all();
    let first = parts.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let Some(locale) = locales.iter().find(|l| l.as_str() == first) else { return Ok(None) };
    let html = match of_nothing(view, site, locale, out.pace) {
        Ok(Some(composed)) => composed.body.clone(),
        Err(Failure::Heavy) => return Err(Failure::Heavy),
        // A page that cannot be rendered is no reason not to say that nothing is here.
        Ok(None) | Err(_) => return Ok(None),
    };
    out.status(404);
    out.buf.extend_from_slice(parts.extra_head);
    out.buf.extend_from_slice(HEAD_OF_PAGES);
    out.header("content-type", &[HTML]);
    out.header("content-language", &[locale.as_str().as_bytes()]);
    out.header("ashlar-release", &[view.label.as_bytes()]);
    out.header("cache-control", &[b"no-store"]);
    out.header("traceparent", &[parts.traceparent.as_bytes()]);
    out.number("content-length", html.len());
    let head_len = out.end_head();
    let body_len = if parts.method == "HEAD" { 0 } else { html.len() };
    out.buf.extend_from_slice(&html[..body_len]);
    Ok(Some(Written { status: 404, head_len, body_len }))
}

/// The page that says that nothing is there, kept like other pages: anybody can ask for what does not exist.
fn of_nothing(
    view: &ReleaseView,
    site: &Site,
    locale: &Locale,
    pace: Pace,
) -> Result<Option<Arc<Composed>>, Failure> {
    let Some(layout) = &site.file.not_found else { return Ok(None) };
    let key = memo(view, "404", "/404", locale);
    if let Some(known) = view.caches.known(&key, view)? {
        return Ok(Some(known));
    }
    pace.heavy()?;
    let mut sources = Sources::default();
    let page = Page {
        layout,
        surface: "web",
        locale: locale.as_str(),
        path: "/404",
        data: data(view, site, locale, &mut sources)?,
        base: view.definitions.config.site.base().unwrap_or_default(),
        ..Page::default()
    };
    let html = site.render(&page).map_err(|e| unrendered(view, e))?;
    let Sources { looked, read, lists } = sources;
    let composed =
        Arc::new(Composed::new(view, html.into_bytes(), (locale.clone(), 0), looked, read, &lists));
    view.caches.keep(key, composed.clone());
    Ok(Some(composed))
}

fn view_named<'v>(view: &'v ReleaseView, name: &str) -> Option<(usize, &'v View)> {
    let (name, major) = name.rsplit_once(".v")?;
    let major: u32 = major.parse().ok()?;
    let wanted = view.definitions.views.get(name, major)?;
    view.definitions.views.iter().enumerate().find(|(_, v)| std::ptr::eq(*v, wanted))
}

fn chain<'v>(view: &'v ReleaseView, locale: &Locale) -> crate::release::locales::Wanted<'v> {
    view.definitions
        .locales
        .named(locale.as_str())
        .unwrap_or_else(|| view.definitions.locales.default_chain())
}

/// A page that cannot be rendered. Of a release that is a fault of what is served; of drafts and candidates it is what
/// somebody wrote, and may still change.
fn failed(view: &ReleaseView, what: impl std::fmt::Display) -> Failure {
    let title = "The page cannot be rendered";
    match view.label.parse::<ReleaseId>() {
        Ok(_) => Problem::new(500, "page-failed", title, what.to_string()).help(
            "correct the template; the release before this one can be served again with `ashlar release rollback`",
        ),
        Err(_) => Problem::new(422, "preview-invalid", title, format!("{}: {what}", view.label))
            .help("fix the fields of the entry or the template; the gates of a candidate list everything that is invalid"),
    }
    .into()
}

/// Why a page has no HTML. What passes is no fault of its template.
fn unrendered(view: &ReleaseView, error: ashlar_site::RenderError) -> Failure {
    match error.passing {
        true => crate::busy().into(),
        false => failed(view, error),
    }
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::Problem(p) => p.detail,
        Failure::Broken(e) => e.to_string(),
        Failure::Heavy => crate::busy().detail,
    }
}

fn read(composed: &Composed) -> Result<Value, Failure> {
    serde_json::from_slice(&composed.body).map_err(|_| DeliveryError::Object(composed.digest).into())
}

/// The bodies that every page gets.
fn data(
    view: &ReleaseView,
    site: &Site,
    locale: &Locale,
    sources: &mut Sources,
) -> Result<BTreeMap<String, Value>, Failure> {
    let wanted = chain(view, locale);
    let mut data = BTreeMap::new();
    for (name, rule) in &site.file.data {
        let Some((at, shape)) = view_named(view, &rule.view) else { continue };
        match compose::cached(view, at, shape, &rule.key, wanted.as_slice())? {
            Some(composed) => {
                sources.add(&composed);
                data.insert(name.clone(), read(&composed)?);
            }
            None => {
                // It may come to be.
                sources.lists.insert(shape.source.clone());
            }
        }
    }
    Ok(data)
}

/// The same entry in every language that has it.
fn alternates(
    view: &ReleaseView,
    entry: &EntryKey,
    sources: &mut Sources,
) -> Result<Vec<(String, String)>, Failure> {
    let mut out = Vec::new();
    for locale in view.definitions.locales.all() {
        let key = EntryKey { locale: locale.clone(), ..entry.clone() };
        sources.read.push((key.to_bytes().into(), view.record(&key)?));
        if let Some(route) = view.route_of(&key)? {
            out.push((locale.to_string(), route));
        }
    }
    Ok(out)
}

fn memo(view: &ReleaseView, surface: &str, path: &str, locale: &Locale) -> Vec<u8> {
    let mut key = view.definitions.digest.as_bytes().to_vec();
    for part in ["page", surface, locale.as_str(), path] {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    key
}

fn of_entry(
    view: &ReleaseView,
    site: &Site,
    path: &str,
    entry: &EntryKey,
    surface: &str,
    pace: Pace,
) -> Result<Option<Arc<Composed>>, Failure> {
    let Some(rule) = site.page_rule(&entry.type_name) else { return Ok(None) };
    let key = memo(view, surface, path, &entry.locale);
    if let Some(known) = view.caches.known(&key, view)? {
        return Ok(Some(known));
    }
    pace.heavy()?;
    let Some((_, shape)) = view_named(view, &rule.view) else {
        return Err(failed(view, format_args!("there is no view `{}`", rule.view)));
    };
    let wanted = chain(view, &entry.locale);
    let Some(body) = compose::of_entry(view, shape, &entry.id, wanted.as_slice())? else { return Ok(None) };
    let mut sources = Sources::default();
    sources.add(&body);
    let modified = view.modified(entry)?;
    let page = Page {
        layout: &rule.layout,
        surface,
        locale: entry.locale.as_str(),
        path,
        entry: (entry.type_name.as_str(), entry.id.as_str()),
        body: read(&body)?,
        data: data(view, site, &entry.locale, &mut sources)?,
        alternates: alternates(view, entry, &mut sources)?,
        base: view.definitions.config.site.base().unwrap_or_default(),
        modified: modified.map(|t| t.to_string()),
        ..Page::default()
    };
    let html = site.render(&page).map_err(|e| unrendered(view, e))?;
    let named = (entry.locale.clone(), body.major);
    let Sources { looked, read, lists } = sources;
    let composed = Composed::new(view, html.into_bytes(), named, looked, read, &lists);
    let composed = Arc::new(composed.dated(entry.clone(), modified));
    view.caches.keep(key, composed.clone());
    Ok(Some(composed))
}

fn for_app(
    view: &ReleaseView,
    site: &Site,
    entry: &EntryKey,
    pace: Pace,
) -> Result<Option<Composed>, Failure> {
    pace.heavy()?;
    let rule = site.page_rule(&entry.type_name);
    let Some((_, shape)) = rule.and_then(|r| view_named(view, &r.view)) else { return Ok(None) };
    let wanted = chain(view, &entry.locale);
    let Some(body) = compose::of_entry(view, shape, &entry.id, wanted.as_slice())? else { return Ok(None) };
    let mut sources = Sources::default();
    sources.add(&body);
    let drawn = site.for_app(&read(&body)?).to_string().into_bytes();
    let Sources { looked, read, lists } = sources;
    Ok(Some(Composed::new(view, drawn, (entry.locale.clone(), body.major), looked, read, &lists)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_policy_of_pages() {
        let head = String::from_utf8_lossy(HEAD_OF_PAGES);
        let policy = head.strip_prefix("content-security-policy: ").and_then(|h| h.split("\r\n").next());
        assert_eq!(policy, Some(format!("{PAGE_POLICY}; frame-ancestors 'self'").as_str()));
    }
}
