//! One entry: exactly as it is stored, or as the view shows it that picks some of its fields.

use ashlar_model::{Digest, EntryId, EntryRecord, Locale, TypeName, nearest_of};
use bytes::Bytes;

use super::content::{Content, Head, content, wanted};
use crate::{
    cache::keys,
    error::{DeliveryError, Failure},
    http::{CACHE_CONTROL, Out, Problem, RequestParts, Written, cut, decoded},
    release::ReleaseView,
};

/// The longest type, id and locale of an entry, with two separators.
const KEY_BYTES_MAX: usize = 64 + 200 + 35 + 2;

/// An entry that was found.
pub(crate) struct FoundEntry<'a> {
    pub(crate) type_name: &'a str,
    pub(crate) id: &'a str,
    /// The locales that were looked for; the last one is there.
    pub(crate) tried: &'a [Locale],
    pub(crate) record: EntryRecord,
}

/// How an entry is shown.
pub(crate) struct Shown<'a> {
    /// What is shown of it; `None` for all of it.
    pub(crate) picked: Option<Bytes>,
    pub(crate) cache_control: &'a str,
    /// Header lines of the view.
    pub(crate) of_view: &'a [u8],
    /// The field by which it was found, and its value.
    pub(crate) found_by: Option<(&'a str, &'a str)>,
}

/// Answers `/v1/entries/{type}/{id}`.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    type_name: &str,
    id: &str,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let (type_name, id) = (decoded(type_name), decoded(id));
    let (wanted, locale_named) = wanted(view, parts)?;
    let Some(entry) = find(view, &type_name, &id, wanted.as_slice())? else {
        return Err(missing(view, &type_name, &id, wanted.as_slice()));
    };
    let shown = Shown { picked: None, cache_control: CACHE_CONTROL, of_view: b"", found_by: None };
    write(view, parts, &entry, &shown, locale_named, out)
}

/// `type NUL id NUL locale` without allocation; `None` when it cannot be a key.
fn write_key<'k>(
    buf: &'k mut [u8; KEY_BYTES_MAX],
    type_name: &str,
    id: &str,
    locale: &str,
) -> Option<&'k [u8]> {
    let mut at = 0;
    for (n, part) in [type_name, id, locale].into_iter().enumerate() {
        if n > 0 {
            *buf.get_mut(at)? = 0;
            at += 1;
        }
        buf.get_mut(at..at + part.len())?.copy_from_slice(part.as_bytes());
        at += part.len();
    }
    Some(&buf[..at])
}

/// An entry in the first of `locales` that it has.
pub(crate) fn find<'a>(
    view: &ReleaseView,
    type_name: &'a str,
    id: &'a str,
    locales: &'a [Locale],
) -> Result<Option<FoundEntry<'a>>, DeliveryError> {
    let mut buf = [0; KEY_BYTES_MAX];
    for (at, locale) in locales.iter().enumerate() {
        let Some(key) = write_key(&mut buf, type_name, id, locale.as_str()) else { return Ok(None) };
        if let Some(record) = view.record_at(key)? {
            return Ok(Some(FoundEntry { type_name, id, tried: &locales[..=at], record }));
        }
    }
    Ok(None)
}

/// Writes what follows from one entry alone.
pub(crate) fn write(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    entry: &FoundEntry<'_>,
    shown: &Shown<'_>,
    locale_named: bool,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let FoundEntry { type_name, id, tried, record } = entry;
    let mut surrogate = Vec::with_capacity(tried.len() * (type_name.len() + id.len() + 8));
    keys::add_entry(&mut surrogate, type_name, id, tried);
    if let Some((field, value)) = shown.found_by {
        // Another entry may get this value and be found first.
        surrogate.push(b' ');
        surrogate.extend_from_slice(keys::of_value(type_name, field, value).as_bytes());
    }
    let (digest, body) = match &shown.picked {
        Some(body) => (Digest::of(body), Content::Kept(body)),
        None => (record.digest, Content::Stored(&record.digest, record.len as usize)),
    };
    let head = Head {
        contract: (type_name, record.major),
        cache_control: shown.cache_control,
        locale_named,
        of_view: shown.of_view,
        ..Head::new(tried.last().map(Locale::as_str).unwrap_or_default(), digest, &surrogate)
    };
    content(view, parts, &head, &body, out)
}

/// A content type of the release by its name.
pub(crate) fn type_named(view: &ReleaseView, type_name: &str) -> Result<TypeName, Failure> {
    let found = TypeName::new(type_name).ok().filter(|t| view.definitions.indexed.contains_key(t));
    found.ok_or_else(|| {
        let known: Vec<&str> = view.definitions.indexed.keys().take(50).map(TypeName::as_str).collect();
        let detail = format!("there is no content type `{}`", cut(type_name));
        let help = format!("this release has {}", known.join(", "));
        Problem::new(404, "unknown-type", "Unknown content type", detail)
            .help(nearest_of(type_name, known.iter().copied(), &help))
            .into()
    })
}

/// Locales as a list for people.
pub(crate) fn listed(locales: &[Locale]) -> String {
    locales.iter().map(Locale::as_str).collect::<Vec<_>>().join(", ")
}

fn missing(view: &ReleaseView, type_name: &str, id: &str, tried: &[Locale]) -> Failure {
    let named = match type_named(view, type_name) {
        Ok(named) => named,
        Err(e) => return e,
    };
    let others = match EntryId::new(id) {
        Ok(id) => match view.locales_of(&named, &id) {
            Ok(others) => others,
            Err(e) => return e.into(),
        },
        Err(_) => Vec::new(),
    };
    let detail = format!("there is no {named} `{}` in {}", cut(id), listed(tried));
    let p = Problem::new(404, "entry-not-found", "Entry not found", detail);
    match others.is_empty() {
        true => p.help(format!("GET /v1/entries/{named} lists all entries")).into(),
        false => p.help(format!("it exists in {}; ask for it with ?locale=", listed(&others))).into(),
    }
}
