//! Pages that show many entries: the lists of a type, and what a search finds.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use ashlar_model::Locale;
use ashlar_site::{ListRule, Page, Site};
use serde_json::{Value, json};

use super::page::{chain, failed, memo, page, rendered, value_of, view_named};
use crate::{
    cache::{Composed, Sources},
    error::Failure,
    http::{CACHE_CONTROL, Pace, RequestParts},
    read::{
        compose, list,
        search::{Question, cache_control},
    },
    release::ReleaseView,
};

/// Entries of a list page.
const ITEMS_MAX: usize = 100;
/// What a search shows.
const HITS_MAX: usize = 30;
/// The longest query of a page, in characters.
const QUERY_CHARS_MAX: usize = 100;

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

/// Pieces of a text as templates get them.
fn pieces(pieces: Vec<(String, bool)>) -> Vec<Value> {
    pieces.into_iter().map(|(text, marked)| json!({"text": text, "marked": marked})).collect()
}

/// What a search finds among the pages of the site, and how long that may be kept.
pub(super) fn of_search(
    view: &ReleaseView,
    site: &Site,
    (layout, path): (&str, &str),
    locale: &Locale,
    asked: &str,
    parts: &RequestParts<'_>,
) -> Result<(Composed, &'static str), Failure> {
    let asked: String = asked.chars().filter(|c| !c.is_control()).take(QUERY_CHARS_MAX).collect();
    let asked = asked.trim();
    let mut sources = Sources::default();
    let (mut items, mut body, mut kept) = (Vec::new(), Value::Null, CACHE_CONTROL);
    let types: BTreeSet<_> = site.file.pages.iter().map(|page| page.type_name.clone()).collect();
    if !asked.is_empty() && !types.is_empty() {
        let question = Question {
            types: types.clone(),
            limit: HITS_MAX,
            reader: parts.reader.map(str::to_owned),
            ..Question::new(asked, vec![locale.clone()])
        };
        let question = question.checked()?;
        let (found, search) = view.results(&question)?;
        view.log_search(parts.asker, &question, search.total);
        kept = cache_control(&search);
        for hit in &found.hits {
            // Without a path there is no page.
            let Some(route) = &hit.path else { continue };
            let shown = json!({
                "title": hit.title, "type": hit.type_name, "id": hit.id, "locale": hit.locale,
                "headings": hit.headings, "anchor": hit.anchor,
                "name": pieces(hit.title_pieces()), "snippet": pieces(hit.snippet.pieces()),
                "summary": hit.snippet.text,
            });
            items.push((route.clone(), shown));
        }
        body = json!({
            "total": found.total, "did_you_mean": found.did_you_mean, "more": found.next_offset.is_some(),
        });
    }
    sources.lists.extend(types);
    let page =
        Page { items, body, query: Some(asked), ..page(view, site, (layout, path), locale, &mut sources)? };
    Ok((rendered(view, site, &page, (locale, 0), sources)?, kept))
}
