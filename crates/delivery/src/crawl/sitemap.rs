use std::collections::{BTreeSet, HashMap};

use ashlar_model::{EntryId, Locale, TypeName};

use super::document::{Made, Xml, address, default_locale, routed_types, unknown};
use crate::{error::Failure, lookup::Routed, release::ReleaseView};

/// Addresses of one sitemap; the protocol allows 50,000.
const URLS_MAX: usize = 25_000;
const NAMESPACE: (&str, &str) = ("xmlns", "http://www.sitemaps.org/schemas/sitemap/0.9");
const XHTML: (&str, &str) = ("xmlns:xhtml", "http://www.w3.org/1999/xhtml");

/// `/robots.txt`
pub(super) fn robots(view: &ReleaseView, base: &str) -> Made {
    let text = format!("User-agent: *\nAllow: /\n\nSitemap: {base}/sitemap.xml\n");
    Made { body: text.into_bytes(), locale: default_locale(view), lists: BTreeSet::new() }
}

/// The list of sitemaps: one per locale and [`URLS_MAX`] routes.
pub(super) fn index(view: &ReleaseView, base: &str) -> Result<Made, Failure> {
    let body = Xml::document("sitemapindex", &[NAMESPACE], |xml| {
        for locale in view.definitions.locales.all() {
            let routes = view.lookup.routes_of(locale).count();
            for number in 1..=routes.div_ceil(URLS_MAX) {
                xml.inside("sitemap", &[], |xml| {
                    xml.text("loc", &format!("{base}/sitemap-{locale}-{number}.xml"));
                    Ok(())
                })?;
                xml.line();
            }
        }
        Ok(())
    })?;
    Ok(Made { body, locale: default_locale(view), lists: routed_types(view) })
}

/// The routes of one locale, each with its other languages.
pub(super) fn sitemap(view: &ReleaseView, base: &str, name: &str) -> Result<Made, Failure> {
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
    let others = others(view, locale, &mine)?;
    let body = Xml::document("urlset", &[NAMESPACE, XHTML], |xml| {
        for routed in &mine {
            xml.inside("url", &[], |xml| {
                xml.text("loc", &address(base, &routed.route));
                if let Some(at) = view.modified(&routed.entry)? {
                    xml.text("lastmod", &at.to_string());
                }
                let others = &others[&(routed.entry.type_name.clone(), routed.entry.id.clone())];
                let own = (!others.is_empty()).then_some((locale, &routed.route));
                for (locale, route) in own.into_iter().chain(others.iter().map(|(l, r)| (*l, r))) {
                    let (language, href) = (locale.as_str(), address(base, route));
                    let link = [("rel", "alternate"), ("hreflang", language), ("href", href.as_str())];
                    xml.empty("xhtml:link", &link);
                }
                Ok(())
            })?;
            xml.line();
        }
        Ok(())
    })?;
    Ok(Made { body, locale: locale.clone(), lists: routed_types(view) })
}

/// An entry, in all of its languages.
type Id = (TypeName, EntryId);

/// The routes of these entries in other languages, by one walk over the routes of each.
fn others<'v>(
    view: &'v ReleaseView,
    locale: &Locale,
    mine: &[Routed],
) -> Result<HashMap<Id, Vec<(&'v Locale, String)>>, Failure> {
    let mut others: HashMap<Id, Vec<_>> =
        mine.iter().map(|r| ((r.entry.type_name.clone(), r.entry.id.clone()), Vec::new())).collect();
    for other in view.definitions.locales.all().iter().filter(|l| *l != locale) {
        for routed in view.lookup.routes_of(other) {
            let routed = routed?;
            if let Some(known) = others.get_mut(&(routed.entry.type_name, routed.entry.id)) {
                known.push((other, routed.route));
            }
        }
    }
    Ok(others)
}
