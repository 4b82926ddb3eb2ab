//! What crawlers and front ends ask of a release besides content: which entry a path shows, where old paths lead, the
//! sitemap, feeds.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use ashlar_contracts::ContractSet;
use ashlar_model::{EntryKey, FeedConfig, Fields, Locale, ProjectConfig, TypeName, read_modified};
use ashlar_project::{Redirect, normal_path};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    DeliveryError, Problem, ReleaseView, RequestParts,
    http::{
        message::{Content, Out, Pace},
        query,
    },
    read::{
        compose::Composed,
        entry::{Failure, Head, Written, content, cut, wanted},
        list,
    },
    release::definitions::indexed,
    views::{CACHE_CONTROL, Views},
};

/// Addresses of one sitemap; the protocol allows 50,000.
const URLS_MAX: usize = 25_000;
/// Entries of a feed.
const FEED_ENTRIES: usize = 30;
const XML: &[u8] = b"application/xml; charset=utf-8";
const ATOM: &[u8] = b"application/atom+xml; charset=utf-8";
const TEXT: &[u8] = b"text/plain; charset=utf-8";
const JSON: &[u8] = b"application/json";

/// Text inside XML; characters that XML cannot hold are left out.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// A route as it appears in an address.
fn address(base: &str, route: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    format!("{base}{}", percent_encoding::utf8_percent_encode(route, KEPT))
}

impl ReleaseView {
    /// When an entry was last changed, as far as the release knows.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub fn modified(&self, key: &EntryKey) -> Result<Option<Timestamp>, DeliveryError> {
        let Some(tree) = &self.modified else { return Ok(None) };
        let found = match tree.get(&key.to_bytes())? {
            Some(own) => Some(own),
            None => tree.get(ashlar_model::OTHERS)?,
        };
        Ok(found.and_then(|v| read_modified(&v)).and_then(|s| Timestamp::from_second(s).ok()))
    }

    /// The route of an entry in exactly this locale.
    pub(crate) fn route_of(&self, key: &EntryKey) -> Result<Option<String>, DeliveryError> {
        let Some(record) = self.record(key)? else { return Ok(None) };
        let name = ashlar_model::ContractName { name: key.type_name.clone(), major: record.major };
        let Some(contract) = self.definitions.contracts.get(&name).filter(|c| c.route.is_some()) else {
            return Ok(None);
        };
        let bytes = self.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        Ok(contract.facts(key, &fields).route)
    }

    /// Every redirect: from, to, status. A page that was removed permanently has its own address as target.
    pub fn redirects(&self) -> impl Iterator<Item = (String, String, u16)> + '_ {
        self.definitions.redirects.iter().map(|(from, redirect)| {
            let end = self.redirect(from).map_or_else(|| redirect.to.clone(), |(_, end)| end);
            (from.to_string(), end, redirect.status)
        })
    }

    /// Where an old path leads.
    pub fn redirect(&self, path: &str) -> Option<(&Redirect, String)> {
        let found = self.definitions.redirects.get(path)?;
        // One step for the client, however many there are.
        let end = self.definitions.redirects.follow(path).unwrap_or(&found.to);
        Some((found, end.to_owned()))
    }
}

/// Answers paths that are no content but follow from it; `None` when the path is not one of them.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Option<Result<Written, Failure>> {
    let path = parts.path;
    let made: Result<(Arc<Composed>, &'static [u8]), Failure> = if path == "/v1/routes" {
        route(view, parts).map(|c| (Arc::new(c), JSON))
    } else if path == "/robots.txt" {
        kept(view, path, out.pace, &|base| robots(view, base)).map(|c| (c, TEXT))
    } else if path == "/sitemap.xml" {
        kept(view, path, out.pace, &|base| index(view, base)).map(|c| (c, XML))
    } else if let Some(name) = path.strip_prefix("/sitemap-").and_then(|p| p.strip_suffix(".xml")) {
        kept(view, path, out.pace, &|base| sitemap(view, base, name)).map(|c| (c, XML))
    } else if let Some(name) = path.strip_prefix("/feeds/").and_then(|p| p.strip_suffix(".xml")) {
        kept(view, path, out.pace, &|base| feed(view, base, name)).map(|c| (c, ATOM))
    } else {
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let (redirect, end) = view.redirect(&decoded)?;
        return Some(match redirect.is_gone() {
            true => Err(Problem::new(410, "gone", "Gone", format!("{} was removed permanently", cut(path)))
                .help("remove links to it")
                .into()),
            false => Ok(out.redirect(view, parts, redirect.status, &end)),
        });
    };
    Some(made.and_then(|(composed, content_type)| write(view, parts, &composed, content_type, out)))
}

fn write(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    composed: &Composed,
    content_type: &'static [u8],
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let head = Head {
        contract: ("", 0),
        locale: composed.locale.as_str(),
        digest: composed.digest,
        // What follows from definitions alone is forgotten with everything.
        surrogate: if composed.surrogate.is_empty() { b"definitions" } else { &composed.surrogate },
        cache_control: CACHE_CONTROL,
        locale_named: true,
        of_view: b"",
        content_type,
        by_accept: false,
    };
    content(view, parts, &head, composed.body.len(), &Content::Kept(&composed.body), out)
}

type Made = (String, Locale, BTreeSet<TypeName>);

/// A document that is made once for a release.
fn kept(
    view: &ReleaseView,
    path: &str,
    pace: Pace,
    make: &dyn Fn(&str) -> Result<Made, Failure>,
) -> Result<Arc<Composed>, Failure> {
    let mut key = view.definitions.digest.as_bytes().to_vec();
    key.extend_from_slice(b"site");
    key.extend_from_slice(path.as_bytes());
    if let Some(known) = view.caches.known(&key, view)? {
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
    let (body, locale, types) = make(base)?;
    let composed =
        Arc::new(Composed::new(view, body.into_bytes(), (locale, 0), Vec::new(), Vec::new(), &types));
    view.caches.keep(key, composed.clone());
    Ok(composed)
}

fn default_locale(view: &ReleaseView) -> Locale {
    view.definitions.locales.all()[0].clone()
}

/// Types whose entries have routes.
fn routed(view: &ReleaseView) -> BTreeSet<TypeName> {
    view.definitions.contracts.iter().filter(|c| c.route.is_some()).map(|c| c.name.name.clone()).collect()
}

fn robots(view: &ReleaseView, base: &str) -> Result<Made, Failure> {
    let text = format!("User-agent: *\nAllow: /\n\nSitemap: {base}/sitemap.xml\n");
    Ok((text, default_locale(view), BTreeSet::new()))
}

/// The list of sitemaps: one per locale and [`URLS_MAX`] routes.
fn index(view: &ReleaseView, base: &str) -> Result<Made, Failure> {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for locale in view.definitions.locales.all() {
        let routes = view.lookup.routes_of(locale).count();
        for number in 1..=routes.div_ceil(URLS_MAX) {
            let _ = writeln!(
                out,
                "<sitemap><loc>{}</loc></sitemap>",
                xml(&format!("{base}/sitemap-{locale}-{number}.xml"))
            );
        }
    }
    out.push_str("</sitemapindex>\n");
    Ok((out, default_locale(view), routed(view)))
}

fn unknown(what: &str, name: &str, help: String) -> Failure {
    Problem::new(404, "not-found", "Not found", format!("there is no {what} `{}`", cut(name)))
        .help(help)
        .into()
}

/// The routes of one locale, each with its other languages.
fn sitemap(view: &ReleaseView, base: &str, name: &str) -> Result<Made, Failure> {
    let none = || unknown("sitemap", name, "/sitemap.xml lists all pages".to_owned());
    let (locale, number) = name.rsplit_once('-').ok_or_else(none)?;
    let number: usize = number.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(none)?;
    let all = view.definitions.locales.all();
    let locale = all.iter().find(|l| l.as_str() == locale).ok_or_else(none)?;
    let skipped = view.lookup.routes_of(locale).skip((number - 1) * URLS_MAX).take(URLS_MAX);
    let mine = skipped.collect::<Result<Vec<_>, _>>()?;
    if mine.is_empty() {
        return Err(none());
    }
    // The other languages of these entries, by one walk over their routes.
    let mut others: HashMap<(TypeName, String), Vec<(&Locale, String)>> =
        mine.iter().map(|r| ((r.entry.type_name.clone(), r.entry.id.to_string()), Vec::new())).collect();
    for other in all.iter().filter(|l| *l != locale) {
        for routed in view.lookup.routes_of(other) {
            let routed = routed?;
            if let Some(known) = others.get_mut(&(routed.entry.type_name, routed.entry.id.to_string())) {
                known.push((other, routed.route));
            }
        }
    }
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" xmlns:xhtml=\"http://www.w3.org/1999/xhtml\">\n",
    );
    for routed in &mine {
        let _ = write!(out, "<url><loc>{}</loc>", xml(&address(base, &routed.route)));
        if let Some(at) = view.modified(&routed.entry)? {
            let _ = write!(out, "<lastmod>{at}</lastmod>");
        }
        let languages = &others[&(routed.entry.type_name.clone(), routed.entry.id.to_string())];
        if !languages.is_empty() {
            for (language, route) in
                [(locale, &routed.route)].into_iter().chain(languages.iter().map(|(l, r)| (*l, r)))
            {
                let _ = write!(
                    out,
                    "<xhtml:link rel=\"alternate\" hreflang=\"{language}\" href=\"{}\"/>",
                    xml(&address(base, route))
                );
            }
        }
        out.push_str("</url>\n");
    }
    out.push_str("</urlset>\n");
    Ok((out, locale.clone(), routed(view)))
}

/// A feed: Atom, RFC 4287.
fn feed(view: &ReleaseView, base: &str, name: &str) -> Result<Made, Failure> {
    let feeds = &view.definitions.config.site.feeds;
    let all = view.definitions.locales.all();
    let found = name.rsplit_once('.').and_then(|(feed, locale)| {
        Some((feeds.iter().find(|f| f.name == feed)?, all.iter().find(|l| l.as_str() == locale)?))
    });
    let Some((feed, locale)) = found else {
        let names: Vec<String> = feeds.iter().map(|f| format!("/feeds/{}.{}.xml", f.name, all[0])).collect();
        let help = match names.is_empty() {
            true => "the project has no feeds; write [[site.feeds]] in ashlar.toml".to_owned(),
            false => format!("there are {}", names.join(", ")),
        };
        return Err(unknown("feed", name, help));
    };
    let mut entries = String::new();
    let mut updated: Option<String> = None;
    let pairs = [("sort", format!("-{}", feed.date)), ("limit", FEED_ENTRIES.to_string())];
    let pairs = pairs.into_iter().map(|(n, v)| (Cow::Borrowed(n), Cow::Owned(v)));
    let page = list::select(view, &feed.type_name, std::slice::from_ref(locale), pairs, Pace::Any)?;
    let host = base.split("://").nth(1).unwrap_or(base).split('/').next().unwrap_or_default();
    for (key, record) in &page.items {
        let Some(route) = view.route_of(key)? else { continue };
        let bytes = view.objects.get(&record.digest)?;
        let fields: Fields =
            serde_json::from_slice(&bytes).map_err(|_| DeliveryError::Object(record.digest))?;
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        let published = text(&feed.date).and_then(moment);
        let changed = view.modified(key)?.map(|t| t.to_string());
        let changed = changed.or(published.clone()).unwrap_or_else(|| Timestamp::UNIX_EPOCH.to_string());
        let name = ashlar_model::ContractName { name: key.type_name.clone(), major: record.major };
        let title_field = view.definitions.contracts.get(&name).and_then(|c| c.title_field.as_deref());
        let title = title_field.and_then(text).unwrap_or(key.id.as_str());
        let _ = write!(
            entries,
            "<entry><id>tag:{},2005:{}/{}/{}</id><title>{}</title><link href=\"{}\"/><updated>{changed}</updated>",
            xml(host),
            key.type_name,
            key.id,
            key.locale,
            xml(title),
            xml(&address(base, &route))
        );
        if let Some(published) = published {
            let _ = write!(entries, "<published>{published}</published>");
        }
        if let Some(summary) = feed.summary.as_deref().and_then(text) {
            let _ = write!(entries, "<summary>{}</summary>", xml(summary));
        }
        entries.push_str("</entry>\n");
        updated = updated.max(Some(changed));
    }
    let own = format!("{base}/feeds/{}.{locale}.xml", feed.name);
    let title = feed.title.as_deref().unwrap_or(&view.definitions.config.name);
    let updated = updated.unwrap_or_else(|| Timestamp::UNIX_EPOCH.to_string());
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{locale}\">\n\
         <id>{own}</id><title>{}</title><link rel=\"self\" href=\"{own}\"/><link href=\"{}/\"/><updated>{updated}</updated>\
         <author><name>{}</name></author>\n{entries}</feed>\n",
        xml(title),
        xml(base),
        xml(&view.definitions.config.name),
        own = xml(&own),
    );
    Ok((body, locale.clone(), BTreeSet::from([feed.type_name.clone()])))
}

/// A date or a time as RFC 3339.
fn moment(text: &str) -> Option<String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.to_string());
    }
    text.parse::<jiff::civil::Date>().ok().map(|day| format!("{day}T00:00:00Z"))
}

/// What is wrong with the feeds of a project: types and fields that are not there.
pub fn feed_findings(
    config: &ProjectConfig,
    contracts: &ContractSet,
    views: &Views,
) -> Vec<(String, String)> {
    let indexed = indexed(contracts, views);
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    for FeedConfig { name, type_name, date, summary, .. } in &config.site.feeds {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 60 || !name.chars().all(plain) || !seen.insert(name) {
            out.push((
                format!("`{name}` cannot be the name of a feed, or is a duplicate"),
                "use lower-case letters, digits and `-`".to_owned(),
            ));
        }
        let Some(fields) = indexed.get(type_name) else {
            out.push((
                format!("the feed `{name}` is of `{type_name}`, which is not a content type"),
                "name a content type".to_owned(),
            ));
            continue;
        };
        if !fields.contains_key(date) {
            out.push((
                format!(
                    "the feed `{name}` is ordered by `{date}`, which is not an indexed field of {type_name}"
                ),
                "mark the field with `indexed` in its x-ashlar".to_owned(),
            ));
        }
        let of_type = || contracts.iter().filter(|c| c.is_type() && c.name.name == *type_name);
        if of_type().all(|c| c.route.is_none()) {
            out.push((
                format!("the feed `{name}` is of `{type_name}`, whose entries have no route"),
                "give the contract a `route`".to_owned(),
            ));
        }
        if let Some(summary) = summary
            && !of_type().any(|c| c.schema.pointer(&format!("/properties/{summary}")).is_some())
        {
            out.push((
                format!("the feed `{name}` shows `{summary}`, which {type_name} does not have"),
                "name a field of the type".to_owned(),
            ));
        }
    }
    out
}

/// `/v1/routes?path=`: what a path shows.
fn route(view: &ReleaseView, parts: &RequestParts<'_>) -> Result<Composed, Failure> {
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
        let mut read = Vec::new();
        for other in all {
            let other_key = EntryKey { locale: other.clone(), ..key.clone() };
            if let Some(route) = view.route_of(&other_key)? {
                alternates.insert(other.to_string(), json!(route));
            }
            read.push((other_key.to_bytes().into(), view.record(&other_key)?));
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
        return Ok(Composed::new(view, body(found), (locale, 0), Vec::new(), read, &BTreeSet::new()));
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
    Ok(Composed::new(view, body(found), (default_locale(view), 0), Vec::new(), Vec::new(), &routed(view)))
}
