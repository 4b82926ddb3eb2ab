//! The answer of a view: a whole entry, some of its fields, or a body composed from several entries.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    compose, content,
    content::{Head, wanted},
    entry::{self, FoundEntry, Shown, listed},
    pick,
};
use crate::{
    error::Failure,
    http::{Out, Problem, RequestParts, Written, cut, decoded},
    release::ReleaseView,
    views::{LookupBy, View},
};

/// Views that pick fields are answered without being kept when so few locales were tried that their surrogate keys fit.
const PICKED_LOCALES_MAX: usize = 16;

/// Answers the view `shape` at position `at` for what a path names.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    at: usize,
    shape: &View,
    slug: &str,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let slug = decoded(slug);
    let (wanted, locale_named) = wanted(view, parts)?;
    let locales = wanted.as_slice();
    let not_found = || -> Failure {
        let by = shape.lookup.field().unwrap_or("id");
        let detail = format!("no {} has the {by} `{}` in {}", shape.source, cut(&slug), listed(locales));
        Problem::new(404, "entry-not-found", "Entry not found", detail)
            .help(format!("GET /v1/entries/{} lists all entries", shape.source))
            .into()
    };
    let names = pick::fields_of(shape);
    if shape.is_whole_entry() || names.is_some() {
        let id = match &shape.lookup {
            LookupBy::Id => Cow::Borrowed(slug.as_ref()),
            LookupBy::Field(field) => match view.id_with(&shape.source, field, &slug, locales)? {
                Some(id) => Cow::Owned(id.as_str().to_owned()),
                None => return Err(not_found()),
            },
        };
        let Some(found) = entry::find(view, shape.source.as_str(), &id, locales)? else {
            return Err(not_found());
        };
        if names.is_none() || may_be_picked(&found) {
            let shown = Shown {
                picked: names.map(|names| picked(view, &found, names)).transpose()?,
                cache_control: &shape.cache_control,
                of_view: &shape.head,
                found_by: shape.lookup.field().map(|field| (field, slug.as_ref())),
            };
            return entry::write(view, parts, &found, &shown, locale_named, out);
        }
    }
    let Some(composed) = compose::cached(view, at, shape, &slug, locales, &out.pace)? else {
        return Err(not_found());
    };
    let head = Head {
        contract: (shape.source.as_str(), composed.major),
        cache_control: &shape.cache_control,
        locale_named,
        of_view: &shape.head,
        ..Head::of(&composed)
    };
    content::composed(view, parts, &head, &composed, out)
}

/// Whether making the body again costs less than keeping it.
fn may_be_picked(entry: &FoundEntry<'_>) -> bool {
    entry.record.len <= pick::ENTRY_BYTES_MAX && entry.tried.len() <= PICKED_LOCALES_MAX
}

fn picked(view: &ReleaseView, entry: &FoundEntry<'_>, names: &[String]) -> Result<Bytes, Failure> {
    let FoundEntry { type_name, id, tried, record } = entry;
    view.caches.count_miss();
    let mut stored = Vec::with_capacity(record.len as usize);
    view.objects.read_into(&record.digest, &mut stored)?;
    let locale = tried.last().map_or("", |l| l.as_str());
    Ok(Bytes::from(pick::picked(&stored, &record.digest, names, (type_name, id, locale))?))
}
