use std::borrow::Cow;

use ashlar_model::{Digest, Locale, TypeName};
use bytes::Bytes;

use super::{
    query::Query,
    walk::{self, Selected},
};
use crate::{
    cache::keys::SURROGATE_BYTES_MAX,
    error::{DeliveryError, Failure},
    http::{Out, Pace, RequestParts, Written, decoded, query},
    read::{
        content::{Content, Head, content, wanted},
        entry::type_named,
    },
    release::ReleaseView,
};

/// A page ends before its entries have more bytes, unless it is one entry.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Answers `/v1/entries/{type}`.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    type_name: &str,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let type_name = type_named(view, &decoded(type_name))?;
    let (wanted, locale_named) = wanted(view, parts)?;
    let pairs = query::pairs(parts.query.unwrap_or_default());
    let mut query = Query::parse(view, &type_name, wanted.as_slice(), pairs)?;
    query.bytes_max = PAGE_BYTES_MAX;
    let (body, keys) = written(view, &walk::select(view, &query, &out.pace)?)?;
    let mut surrogate = type_name.as_str().as_bytes().to_vec();
    if keys.len() < SURROGATE_BYTES_MAX {
        surrogate.extend(&keys);
    }
    let locale = wanted.as_slice().first().map(Locale::as_str).unwrap_or_default();
    let head = Head { locale_named, ..Head::new(locale, Digest::of(&body), &surrogate) };
    content(view, parts, &head, &Content::Kept(&body), out)
}

/// The entries of one page, by the parameters of a query.
pub(crate) fn select<'q>(
    view: &ReleaseView,
    type_name: &TypeName,
    locales: &[Locale],
    pairs: impl Iterator<Item = (Cow<'q, str>, Cow<'q, str>)>,
    pace: &Pace,
) -> Result<Selected, Failure> {
    walk::select(view, &Query::parse(view, type_name, locales, pairs)?, pace)
}

/// A page as JSON, and the surrogate keys of its items, each after a space.
fn written(view: &ReleaseView, page: &Selected) -> Result<(Bytes, Vec<u8>), DeliveryError> {
    let mut body = Vec::with_capacity(64 + page.items.iter().map(|i| i.1.len as usize + 80).sum::<usize>());
    let mut keys = Vec::new();
    body.extend(b"{\"items\":[");
    for (n, (key, record)) in page.items.iter().enumerate() {
        body.extend(if n == 0 { &b"{\"fields\":"[..] } else { &b",{\"fields\":"[..] });
        view.objects.read_into(&record.digest, &mut body)?;
        body.extend(format!(",\"id\":\"{}\",\"locale\":\"{}\"}}", key.id, key.locale).into_bytes());
        keys.extend(format!(" {}:{}:{}", key.type_name, key.id, key.locale).into_bytes());
    }
    body.extend(b"],\"next_cursor\":");
    match &page.next_cursor {
        Some(cursor) => body.extend(format!("\"{cursor}\"}}").into_bytes()),
        None => body.extend(b"null}"),
    }
    Ok((Bytes::from(body), keys))
}
