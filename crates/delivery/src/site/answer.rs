use std::sync::Arc;

use ashlar_model::Locale;
use ashlar_project::normal_path;
use ashlar_site::Site;

use super::{
    lists::{of_list, of_search},
    page::{for_app, of_entry, of_nothing},
};
use crate::{
    cache::Composed,
    error::Failure,
    http::{CACHE_CONTROL, Out, Pace, RequestParts, Written, decoded, query},
    read::content::{self, Content, Head, JSON, content},
    release::ReleaseView,
};

const HTML: &[u8] = b"text/html; charset=utf-8";
/// Files whose address names their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// What a page may load and do: its own files, and nothing from elsewhere. For pages that are files, as the content of a
/// `meta` element: who may frame a page can only be said by a header.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'";
/// The same and more as headers.
const HEAD_OF_PAGES: &[u8] = b"content-security-policy: default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; script-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'\r\nx-content-type-options: nosniff\r\nreferrer-policy: strict-origin-when-cross-origin\r\n";

/// Answers with a page, a file of the site, or the page that says that nothing is there; `None` when the project has no
/// site, or the path is not one of its.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Option<Result<Written, Failure>> {
    // Reading the site renders its examples.
    if !view.definitions.has_site()
        && let Err(heavy) = out.pace.heavy()
    {
        return Some(Err(heavy.into()));
    }
    let site = view.definitions.site()?;
    if let Some(name) = parts.path.strip_prefix("/assets/") {
        return asset(view, site, parts, name, out).transpose();
    }
    let whole = decoded(parts.path);
    if whole == "/" {
        let wanted = match parts.accept_language {
            Some(header) => view.definitions.locales.accepted(header),
            None => view.definitions.locales.default_chain(),
        };
        let locale = wanted.as_slice().first().unwrap_or(&view.definitions.locales.all()[0]);
        let home = site.file.home.replace("{locale}", locale.as_str());
        // Another reader gets another language.
        let mut own = *parts;
        own.private = true;
        return Some(Ok(out.redirect(&view.label, &own, 302, &home)));
    }
    let path = normal_path(&whole);
    match found(view, site, parts, path, &out.pace) {
        // A page has one address.
        Ok(Some(_)) if path != whole => {
            let query = parts.query.map(|q| format!("?{q}")).unwrap_or_default();
            Some(Ok(out.redirect(&view.label, parts, 308, &format!("{path}{query}"))))
        }
        Ok(Some((composed, content_type, cache_control))) => {
            let of_view: &[u8] = if content_type == HTML { HEAD_OF_PAGES } else { b"" };
            let head = Head { of_view, content_type, cache_control, ..Head::of(&composed) };
            Some(content::composed(view, parts, &head, &composed, out))
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
            Some(Ok(out.redirect(&view.label, &own, 302, &to)))
        }
        Err(failure) => Some(Err(failure)),
    }
}

/// Answers with a file of the site.
fn asset(
    view: &ReleaseView,
    site: &Site,
    parts: &RequestParts<'_>,
    name: &str,
    out: &mut Out<'_>,
) -> Result<Option<Written>, Failure> {
    let address = format!("/assets/{}", decoded(name));
    if !site.has_asset_at_hand(&address) {
        out.pace.heavy()?;
    }
    let Some(asset) = site.asset(&address) else { return Ok(None) };
    let head = Head {
        cache_control: FOREVER,
        of_view: b"x-content-type-options: nosniff\r\naccept-ranges: bytes\r\n",
        content_type: asset.media_type.as_bytes(),
        ..Head::new(view.definitions.locales.all()[0].as_str(), asset.digest, b"definitions")
    };
    content(view, parts, &head, &Content::Kept(&asset.bytes), out).map(Some)
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

/// A page with its content type and how long it may be kept.
type Found = Option<(Arc<Composed>, &'static [u8], &'static str)>;

fn found(
    view: &ReleaseView,
    site: &Site,
    parts: &RequestParts<'_>,
    path: &str,
    pace: &Pace,
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
            Some("app") => for_app(view, site, &entry, pace)
                .map(|found| found.map(|c| (Arc::new(c), JSON, CACHE_CONTROL))),
            Some("email") => {
                Ok(of_entry(view, site, path, &entry, "email", pace)?.map(|c| (c, HTML, CACHE_CONTROL)))
            }
            _ => Ok(of_entry(view, site, path, &entry, "web", pace)?.map(|c| (c, HTML, CACHE_CONTROL))),
        };
    }
    if let Some((list, locale)) = site.list_at(path, locales.iter().map(Locale::as_str)) {
        let locale = locales.iter().find(|l| l.as_str() == locale).unwrap_or(&locales[0]);
        return Ok(Some((of_list(view, site, list, path, locale, pace)?, HTML, CACHE_CONTROL)));
    }
    if let Some(search) = &site.file.search {
        let at = locales.iter().find(|l| search.route.replace("{locale}", l.as_str()) == path);
        if let Some(locale) = at {
            let asked = parts.query.and_then(|q| query::get(q, "q")).unwrap_or_default();
            pace.heavy()?;
            let page = (search.layout.as_str(), path);
            let (found, cache_control) = of_search(view, site, page, locale, &asked, parts)?;
            return Ok(Some((Arc::new(found), HTML, cache_control)));
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
    let html = match of_nothing(view, site, locale, &out.pace) {
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
