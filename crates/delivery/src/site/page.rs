use std::{collections::BTreeMap, sync::Arc};

use ashlar_model::{EntryKey, Locale, ReleaseId};
use ashlar_site::{Page, Site};
use serde_json::Value;

use crate::{
    cache::{Composed, Sources},
    error::{DeliveryError, Failure},
    http::{Pace, Problem, busy},
    read::compose,
    release::{ReleaseView, Wanted},
    views::View,
};

/// A page of the web with the bodies that every page gets.
pub(super) fn page<'p>(
    view: &'p ReleaseView,
    site: &Site,
    (layout, path): (&'p str, &'p str),
    locale: &'p Locale,
    sources: &mut Sources,
) -> Result<Page<'p>, Failure> {
    Ok(Page {
        layout,
        surface: "web",
        locale: locale.as_str(),
        path,
        data: data(view, site, locale, sources)?,
        base: view.definitions.config.site.base().unwrap_or_default(),
        ..Page::default()
    })
}

/// Renders a page that was made from `sources`. `major` is the version of what it shows.
pub(super) fn rendered(
    view: &ReleaseView,
    site: &Site,
    page: &Page<'_>,
    (locale, major): (&Locale, u32),
    sources: Sources,
) -> Result<Composed, Failure> {
    let html = site.render(page).map_err(|error| match error.passing {
        // What passes is no fault of the template.
        true => busy().into(),
        false => failed(view, error),
    })?;
    Ok(Composed::new(view.number, html.into_bytes(), (locale.clone(), major), sources))
}

/// The page that says that nothing is there, kept like other pages: anybody can ask for what does not exist.
pub(super) fn of_nothing(
    view: &ReleaseView,
    site: &Site,
    locale: &Locale,
    pace: &Pace,
) -> Result<Option<Arc<Composed>>, Failure> {
    let Some(layout) = &site.file.not_found else { return Ok(None) };
    let key = memo(view, "404", "/404", locale);
    if let Some(known) = view.known(&key, pace)? {
        return Ok(Some(known));
    }
    pace.heavy()?;
    let mut sources = Sources::default();
    let page = page(view, site, (layout, "/404"), locale, &mut sources)?;
    let composed = Arc::new(rendered(view, site, &page, (locale, 0), sources)?);
    view.caches.keep(key, composed.clone());
    Ok(Some(composed))
}

pub(super) fn view_named<'v>(view: &'v ReleaseView, name: &str) -> Option<(usize, &'v View)> {
    let (name, major) = name.rsplit_once(".v")?;
    let major: u32 = major.parse().ok()?;
    let wanted = view.definitions.views.get(name, major)?;
    view.definitions.views.iter().enumerate().find(|(_, v)| std::ptr::eq(*v, wanted))
}

pub(super) fn chain<'v>(view: &'v ReleaseView, locale: &Locale) -> Wanted<'v> {
    view.definitions
        .locales
        .named(locale.as_str())
        .unwrap_or_else(|| view.definitions.locales.default_chain())
}

/// A page that cannot be rendered. Of a release that is a fault of what is served; of drafts and candidates it is what
/// somebody wrote, and may still change.
pub(super) fn failed(view: &ReleaseView, what: impl std::fmt::Display) -> Failure {
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

/// The body of a view as a value.
pub(super) fn value_of(composed: &Composed) -> Result<Value, Failure> {
    serde_json::from_slice(&composed.body).map_err(|_| DeliveryError::Object(composed.digest).into())
}

/// The bodies that every page gets.
pub(super) fn data(
    view: &ReleaseView,
    site: &Site,
    locale: &Locale,
    sources: &mut Sources,
) -> Result<BTreeMap<String, Value>, Failure> {
    let wanted = chain(view, locale);
    let mut data = BTreeMap::new();
    for (name, rule) in &site.file.data {
        let Some((at, shape)) = view_named(view, &rule.view) else { continue };
        match compose::cached(view, at, shape, &rule.key, wanted.as_slice(), &Pace::Any)? {
            Some(composed) => {
                sources.add(&composed.sources);
                data.insert(name.clone(), value_of(&composed)?);
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

pub(super) fn memo(view: &ReleaseView, surface: &str, path: &str, locale: &Locale) -> Vec<u8> {
    let mut key = view.definitions.digest.as_bytes().to_vec();
    for part in ["page", surface, locale.as_str(), path] {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    key
}

pub(super) fn of_entry(
    view: &ReleaseView,
    site: &Site,
    path: &str,
    entry: &EntryKey,
    surface: &str,
    pace: &Pace,
) -> Result<Option<Arc<Composed>>, Failure> {
    let Some(rule) = site.page_rule(&entry.type_name) else { return Ok(None) };
    let key = memo(view, surface, path, &entry.locale);
    if let Some(known) = view.known(&key, pace)? {
        return Ok(Some(known));
    }
    pace.heavy()?;
    let Some((_, shape)) = view_named(view, &rule.view) else {
        return Err(failed(view, format_args!("there is no view `{}`", rule.view)));
    };
    let wanted = chain(view, &entry.locale);
    let Some(body) = compose::of_entry(view, shape, &entry.id, wanted.as_slice(), pace)? else {
        return Ok(None);
    };
    let mut sources = Sources::default();
    sources.add(&body.sources);
    let modified = view.modified(entry)?;
    let page = Page {
        surface,
        entry: (entry.type_name.as_str(), entry.id.as_str()),
        body: value_of(&body)?,
        alternates: alternates(view, entry, &mut sources)?,
        modified: modified.map(|t| t.to_string()),
        ..page(view, site, (&rule.layout, path), &entry.locale, &mut sources)?
    };
    let composed = rendered(view, site, &page, (&entry.locale, body.major), sources)?;
    let composed = Arc::new(composed.dated(entry.clone(), modified));
    view.caches.keep(key, composed.clone());
    Ok(Some(composed))
}

pub(super) fn for_app(
    view: &ReleaseView,
    site: &Site,
    entry: &EntryKey,
    pace: &Pace,
) -> Result<Option<Composed>, Failure> {
    pace.heavy()?;
    let rule = site.page_rule(&entry.type_name);
    let Some((_, shape)) = rule.and_then(|r| view_named(view, &r.view)) else { return Ok(None) };
    let wanted = chain(view, &entry.locale);
    let Some(body) = compose::of_entry(view, shape, &entry.id, wanted.as_slice(), pace)? else {
        return Ok(None);
    };
    let mut sources = Sources::default();
    sources.add(&body.sources);
    let drawn = site.for_app(&value_of(&body)?).to_string().into_bytes();
    Ok(Some(Composed::new(view.number, drawn, (entry.locale.clone(), body.major), sources)))
}
