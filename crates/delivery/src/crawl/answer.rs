use std::sync::Arc;

use super::{document::Made, feed, routes, sitemap};
use crate::{
    cache::{Composed, Sources},
    error::Failure,
    http::{Out, Pace, Problem, RequestParts, Written, cut, decoded},
    read::content::{self, Head, JSON},
    release::ReleaseView,
};

const XML: &[u8] = b"application/xml; charset=utf-8";
const ATOM: &[u8] = b"application/atom+xml; charset=utf-8";
const TEXT: &[u8] = b"text/plain; charset=utf-8";

/// Answers paths that are no content but follow from it; `None` when the path is not one of them.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Option<Result<Written, Failure>> {
    let path = parts.path;
    let made: Result<(Arc<Composed>, &'static [u8]), Failure> = if path == "/v1/routes" {
        routes::route(view, parts, &out.pace).map(|c| (Arc::new(c), JSON))
    } else if path == "/robots.txt" {
        kept(view, path, &out.pace, &|base| Ok(sitemap::robots(view, base))).map(|c| (c, TEXT))
    } else if path == "/sitemap.xml" {
        kept(view, path, &out.pace, &|base| sitemap::index(view, base)).map(|c| (c, XML))
    } else if let Some(name) = path.strip_prefix("/sitemap-").and_then(|p| p.strip_suffix(".xml")) {
        kept(view, path, &out.pace, &|base| sitemap::sitemap(view, base, name)).map(|c| (c, XML))
    } else if let Some(name) = path.strip_prefix("/feeds/").and_then(|p| p.strip_suffix(".xml")) {
        kept(view, path, &out.pace, &|base| feed::feed(view, base, name)).map(|c| (c, ATOM))
    } else {
        let (redirect, end) = view.redirect(&decoded(path))?;
        return Some(match redirect.is_gone() {
            true => Err(Problem::new(410, "gone", "Gone", format!("{} was removed permanently", cut(path)))
                .help("remove links to it")
                .into()),
            false => Ok(out.redirect(&view.label, parts, redirect.status, &end)),
        });
    };
    Some(made.and_then(|(composed, content_type)| {
        let head = Head::of(&composed);
        // What follows from definitions alone is forgotten with everything.
        let surrogate = if head.surrogate.is_empty() { b"definitions" } else { head.surrogate };
        content::composed(view, parts, &Head { surrogate, content_type, ..head }, &composed, out)
    }))
}

/// A document that is made once for a release.
fn kept(
    view: &ReleaseView,
    path: &str,
    pace: &Pace,
    make: &dyn Fn(&str) -> Result<Made, Failure>,
) -> Result<Arc<Composed>, Failure> {
    let mut key = view.definitions.digest.as_bytes().to_vec();
    key.extend_from_slice(b"site");
    key.extend_from_slice(path.as_bytes());
    if let Some(known) = view.known(&key, pace)? {
        return Ok(known);
    }
    let Some(base) = view.definitions.config.site.base() else {
        return Err(Problem::new(
            404,
            "no-site-url",
            "No address",
            "the project does not say where its pages are",
        )
        .help("set `url` under [site] in ashlar.toml")
        .into());
    };
    pace.heavy()?;
    let Made { body, locale, lists } = make(base)?;
    let sources = Sources { lists, ..Sources::default() };
    let composed = Arc::new(Composed::new(view.number, body, (locale, 0), sources));
    view.caches.keep(key, composed.clone());
    Ok(composed)
}
