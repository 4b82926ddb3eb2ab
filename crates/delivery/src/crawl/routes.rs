use ashlar_model::EntryKey;
use ashlar_project::normal_path;
use serde_json::{Value, json};

use super::document::{default_locale, routed_types};
use crate::{
    cache::{Composed, Sources},
    error::Failure,
    http::{Pace, Problem, RequestParts, cut, query},
    read::content::wanted,
    release::ReleaseView,
};

/// `/v1/routes?path=`: what a path shows.
pub(super) fn route(view: &ReleaseView, parts: &RequestParts<'_>, pace: &Pace) -> Result<Composed, Failure> {
    let (wanted, _) = wanted(view, parts)?;
    let Some(path) = parts.query.and_then(|q| query::get(q, "path")).filter(|p| p.starts_with('/')) else {
        return Err(Problem::new(
            400,
            "bad-path",
            "Bad path",
            "the request does not say which path is meant",
        )
        .help("ask for /v1/routes?path=/en/product")
        .into());
    };
    let path = normal_path(&path).to_owned();
    let body = |body: Value| body.to_string().into_bytes();
    let locales = wanted.as_slice().iter();
    let all = view.definitions.locales.all();
    for locale in locales.chain(all.iter().filter(|l| !wanted.as_slice().contains(l))) {
        let Some(key) = view.lookup.routed(locale, &path, 1)?.into_iter().next() else { continue };
        let mut alternates = serde_json::Map::new();
        let mut sources = Sources::default();
        for other in all {
            let other_key = EntryKey { locale: other.clone(), ..key.clone() };
            let record = view.record(&other_key)?;
            // The route follows from the fields.
            pace.parse(record.map_or(0, |r| r.len as usize))?;
            sources.read.push((other_key.to_bytes().into(), record));
            if let Some(route) = view.route_of(&other_key)? {
                alternates.insert(other.to_string(), json!(route));
            }
        }
        let mut found = json!({
            "path": path, "status": 200, "type": key.type_name, "id": key.id, "locale": key.locale,
            "modified": view.modified(&key)?, "alternates": alternates,
        });
        if view.definitions.site().is_some_and(|site| site.page_rule(&key.type_name).is_none()) {
            // Another application may show it; the site of the project answers 404.
            found["page"] = json!(false);
        }
        let locale = key.locale.clone();
        return Ok(Composed::new(view.number, body(found), (locale, 0), sources));
    }
    let Some((redirect, end)) = view.redirect(&path) else {
        return Err(Problem::new(
            404,
            "route-not-found",
            "Route not found",
            format!("nothing is at {}", cut(&path)),
        )
        .help("/sitemap.xml lists all pages")
        .into());
    };
    let found = match redirect.is_gone() {
        true => json!({"path": path, "status": redirect.status}),
        false => json!({"path": path, "status": redirect.status, "to": end}),
    };
    // An entry may get this route.
    let sources = Sources { lists: routed_types(view), ..Sources::default() };
    Ok(Composed::new(view.number, body(found), (default_locale(view), 0), sources))
}
