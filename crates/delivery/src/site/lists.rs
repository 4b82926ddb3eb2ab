//! Pages that show many entries: the lists of a type, and what a search finds.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use ashlar_model::Locale;
use ashlar_site::{ListRule, Page, Site};
use serde_json::Value;

use super::page::{chain, failed, memo, page, rendered, value_of, view_named};
use crate::{
    cache::{Composed, Sources},
    error::{DeliveryError, Failure},
    http::Pace,
    read::{compose, list},
    release::ReleaseView,
};

/// Entries of a list page.
const ITEMS_MAX: usize = 100;
/// Pages that a search looks through.
const SEARCHED_MAX: usize = 20_000;
/// What a search shows.
const HITS_MAX: usize = 30;

pub(super) fn of_list(
    view: &ReleaseView,
    site: &Site,
    list: &ListRule,
    path: &str,
    locale: &Locale,
    pace: &Pace,
) -> Result<Arc<Composed>, Failure> {
    let key = memo(view, "web", path, locale);
    if let Some(known) = view.known(&key, pace)? {
        return Ok(known);
    }
    pace.heavy()?;
    let mut sources = Sources { lists: BTreeSet::from([list.type_name.clone()]), ..Sources::default() };
    let wanted = chain(view, locale);
    let pairs = [("sort", list.sort.clone()), ("limit", ITEMS_MAX.to_string())];
    let pairs = pairs.into_iter().map(|(n, v)| (Cow::Borrowed(n), Cow::Owned(v)));
    let Some((_, shape)) = view_named(view, &list.view) else {
        return Err(failed(view, format_args!("there is no view `{}`", list.view)));
    };
    let mut items = Vec::new();
    for (key, _) in &list::select(view, &list.type_name, wanted.as_slice(), pairs, pace)?.items {
        let Some(route) = view.route_of(key)? else { continue };
        if let Some(body) = compose::of_entry(view, shape, &key.id, wanted.as_slice(), pace)? {
            sources.add(&body.sources);
            items.push((route, value_of(&body)?));
        }
    }
    let routes = view
        .definitions
        .locales
        .all()
        .iter()
        .map(|l| (l.to_string(), list.route.replace("{locale}", l.as_str())));
    let page = Page {
        alternates: routes.collect(),
        items,
        ..page(view, site, (&list.layout, path), locale, &mut sources)?
    };
    let composed = Arc::new(rendered(view, site, &page, (locale, 0), sources)?);
    view.caches.keep(key, composed.clone());
    Ok(composed)
}

/// Pages whose title or summary contains every word. The release's own index answers this once there is one.
pub(super) fn of_search(
    view: &ReleaseView,
    site: &Site,
    layout: &str,
    path: &str,
    locale: &Locale,
    asked: &str,
) -> Result<Composed, Failure> {
    let asked: String = asked.chars().filter(|c| !c.is_control()).take(100).collect();
    let words: Vec<String> = asked.to_lowercase().split_whitespace().take(8).map(str::to_owned).collect();
    let mut sources = Sources::default();
    let mut items = Vec::new();
    if !words.is_empty() {
        for routed in view.lookup.routes_of(locale).take(SEARCHED_MAX) {
            let routed = routed?;
            if site.page_rule(&routed.entry.type_name).is_none() {
                continue;
            }
            let Some(record) = view.record(&routed.entry)? else { continue };
            let bytes = view.caches.entry(&view.objects, &record.digest)?;
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            if words.iter().all(|w| text.contains(w.as_str())) {
                let fields: Value =
                    serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
                items.push((routed.route, fields));
                if items.len() == HITS_MAX {
                    break;
                }
            }
        }
        // What is named by its title comes first.
        let titled = |fields: &Value| {
            let title = fields
                .get("title")
                .or_else(|| fields.get("name"))
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_lowercase();
            words.iter().all(|w| title.contains(w.as_str()))
        };
        items.sort_by_key(|(_, fields)| !titled(fields));
    }
    sources.lists.extend(site.file.pages.iter().map(|p| p.type_name.clone()));
    let page = Page { items, query: Some(&asked), ..page(view, site, (layout, path), locale, &mut sources)? };
    rendered(view, site, &page, (locale, 0), sources)
}
