use std::borrow::Cow;

use ashlar_model::{Digest, EntryId, EntryRecord, Locale, TypeName, nearest_of};
use bytes::Bytes;
use rustc_hash::FxHashSet;

use crate::{
    DeliveryError, Encoding, Problem, ReleaseView, Traceparent,
    cache::COMPRESS_BYTES_MIN,
    http::{
        message::{Content, Out, decimal, hex, matches_etag},
        query,
    },
    read::{compose, graphql, list, pick},
    release::{locales::Wanted, purge::lookup_key},
    views::{CACHE_CONTROL, LookupBy, View},
};

/// Where GraphQL is answered.
pub const GRAPHQL: &str = "/graphql";

/// Pages of every origin may read what needs no key. Said always, because a cache answers requests of other origins with it.
pub(crate) const EVERY_ORIGIN: &[u8] = b"access-control-allow-origin: *\r\naccess-control-expose-headers: ETag, Link, Deprecation, Sunset, Ashlar-Release, Ashlar-Contract\r\n";

/// Answers that are not for shared caches: other channels, drafts, candidates.
pub(crate) const CACHE_CONTROL_PRIVATE: &str = "private, no-cache";
/// Views that pick fields are answered without being kept when so few locales were tried that their surrogate keys fit.
const PICKED_LOCALES_MAX: usize = 16;
/// The longest type, id and locale of an entry, with two separators.
const KEY_BYTES_MAX: usize = 64 + 200 + 35 + 2;
/// Bodies from this length on are compressed away from threads that serve, in bytes.
const QUICK_COMPRESS_BYTES: usize = 64 << 10;
/// The longest `Surrogate-Key` header, in bytes; beyond it the keys of types stand for those of entries. Caches refuse
/// header lines of more than 8 KiB.
pub(crate) const SURROGATE_BYTES_MAX: usize = 7 << 10;

/// What of a request an answer depends on.
#[derive(Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it was sent (percent-encoded), without the query.
    pub path: &'a str,
    /// The query as it was sent, without the question mark.
    pub query: Option<&'a str>,
    /// `Accept-Language`
    pub accept_language: Option<&'a str>,
    /// `Accept-Encoding`
    pub accept_encoding: Option<&'a str>,
    /// `Accept`
    pub accept: Option<&'a str>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a str>,
    /// The trace to name in the answer.
    pub traceparent: &'a Traceparent,
    /// Whether the answer depends on who asks: then shared caches must not keep it.
    pub private: bool,
    /// Whether the caller may run GraphQL documents that are not persisted.
    pub developer: bool,
    /// Header lines the caller adds, each ending in CR LF (`date`, `connection`).
    pub extra_head: &'a [u8],
}

/// What [`write_answer`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The status.
    pub status: u16,
    /// The length of status line and headers with the empty line, in bytes.
    pub head_len: usize,
    /// The length of the body behind them, in bytes; 0 for HEAD and 304.
    pub body_len: usize,
}

/// An answer taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case with values, in the order they are sent.
    pub headers: Vec<(String, String)>,
    /// The body; empty for HEAD and 304.
    pub body: Bytes,
}

/// Why something is not answered with content.
pub(crate) enum Failure {
    Problem(Box<Problem>),
    Broken(DeliveryError),
    /// It takes more work than may be done here.
    Heavy,
}

/// What [`write_quick`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quick {
    /// The answer is written.
    Written(Written),
    /// The path is that of nothing; nothing is written.
    Nothing,
    /// The answer takes rendering, compressing or much reading; nothing is written. [`write_answer`] does it, away from
    /// threads that serve.
    Heavy,
}

impl From<Problem> for Failure {
    fn from(p: Problem) -> Self {
        Self::Problem(Box::new(p))
    }
}

impl From<DeliveryError> for Failure {
    fn from(e: DeliveryError) -> Self {
        Self::Broken(e)
    }
}

impl From<ashlar_store::StoreError> for Failure {
    fn from(e: ashlar_store::StoreError) -> Self {
        Self::Broken(e.into())
    }
}

impl From<ashlar_model::RecordError> for Failure {
    fn from(e: ashlar_model::RecordError) -> Self {
        Self::Broken(e.into())
    }
}

pub(crate) fn method(parts: &RequestParts<'_>) -> Result<(), Failure> {
    match parts.method {
        "GET" | "HEAD" => Ok(()),
        other => Err(Problem::new(
            405,
            "method-not-allowed",
            "Method not allowed",
            format!("{} cannot be used here", other.chars().take(20).collect::<String>()),
        )
        .help("delivery is read with GET or HEAD; content is changed through /api/v1")
        .into()),
    }
}

pub(crate) fn problem(
    p: &Problem,
    release: Option<&str>,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Written {
    let trace_id = parts.traceparent.trace_id();
    let graph = parts.path == GRAPHQL;
    let body = if graph { graphql::problem_body(p, trace_id) } else { p.body(trace_id) };
    out.status(p.status);
    out.buf.extend_from_slice(parts.extra_head);
    let content_type = if graph { graphql::content_type(parts) } else { b"application/problem+json" };
    out.header("content-type", &[content_type]);
    if let Some(release) = release {
        out.header("ashlar-release", &[release.as_bytes()]);
    }
    if p.status == 405 {
        out.header("allow", &[if graph { b"GET, HEAD, POST" } else { b"GET, HEAD" }]);
    }
    if p.status == 401 {
        out.header("www-authenticate", &[b"Bearer"]);
    }
    if matches!(p.status, 429 | 503) {
        out.header("retry-after", &[b"1"]);
    }
    out.header("cache-control", &[b"no-store"]);
    if !parts.private {
        out.buf.extend_from_slice(EVERY_ORIGIN);
    }
    out.header("traceparent", &[parts.traceparent.as_bytes()]);
    out.number("content-length", body.len());
    let head_len = out.end_head();
    let body_len = if parts.method == "HEAD" { 0 } else { body.len() };
    out.buf.extend_from_slice(&body[..body_len]);
    Written { status: p.status, head_len, body_len }
}

/// The locales a request wants, and whether it named one itself.
pub(crate) fn wanted<'v>(
    view: &'v ReleaseView,
    parts: &RequestParts<'_>,
) -> Result<(Wanted<'v>, bool), Failure> {
    let locales = &view.definitions.locales;
    if let Some(query) = parts.query
        && let Some(named) = query::get(query, "locale")
    {
        return match locales.named(&named) {
            Some(wanted) => Ok((wanted, true)),
            None => {
                let all: Vec<&str> = locales.all().iter().map(Locale::as_str).collect();
                let named: String = named.chars().take(40).collect();
                Err(Problem::new(
                    400,
                    "unknown-locale",
                    "Unknown locale",
                    format!("there is no locale `{named}`"),
                )
                .help(nearest_of(
                    &named,
                    all.iter().copied(),
                    &format!("this project has {}", all.join(", ")),
                ))
                .into())
            }
        };
    }
    let wanted = match parts.accept_language {
        Some(header) => locales.accepted(header),
        None => locales.default_chain(),
    };
    Ok((wanted, false))
}

/// The head of an answer with content.
pub(crate) struct Head<'a> {
    /// `type.vN`, empty for lists.
    pub(crate) contract: (&'a str, u32),
    pub(crate) locale: &'a str,
    pub(crate) digest: Digest,
    pub(crate) surrogate: &'a [u8],
    pub(crate) cache_control: &'a str,
    pub(crate) locale_named: bool,
    /// Header lines of the view.
    pub(crate) of_view: &'a [u8],
    pub(crate) content_type: &'static [u8],
    /// Whether the content type depends on `Accept`.
    pub(crate) by_accept: bool,
}

/// The content type of entries, lists and views.
const JSON: &[u8] = b"application/json";

/// Writes an answer with content; `body` is read only when its bytes are needed.
pub(crate) fn content(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    head: &Head<'_>,
    len: usize,
    body: &Content<'_>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let mut encoded = None;
    if len >= COMPRESS_BYTES_MIN
        && let Some(encoding) = parts.accept_encoding.and_then(Encoding::accepted)
    {
        if len >= QUICK_COMPRESS_BYTES && !view.caches.has_compressed(head.digest, encoding) {
            out.pace.heavy()?;
        }
        let mut failure = None;
        let compressed = view.caches.compressed(head.digest, encoding, || {
            if let Content::Kept(bytes) = body {
                return Some(Bytes::clone(bytes));
            }
            let mut plain = Vec::with_capacity(len);
            body.write(view, &mut plain).map_err(|e| failure = Some(e)).ok()?;
            Some(Bytes::from(plain))
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        encoded = compressed.map(|bytes| (encoding, bytes));
    }
    let mut etag = [b'"'; 72];
    hex(head.digest.as_bytes(), &mut etag[1..65]);
    let etag_len = match &encoded {
        None => 66,
        Some((encoding, _)) => {
            let suffix: &[u8] = match encoding {
                Encoding::Gzip => b"-gzip\"",
                Encoding::Brotli => b"-br\"",
            };
            etag[65..65 + suffix.len()].copy_from_slice(suffix);
            65 + suffix.len()
        }
    };
    let unchanged = parts.if_none_match.is_some_and(|known| matches_etag(known, &etag[1..65]));
    let status = if unchanged { 304 } else { 200 };
    out.status(status);
    out.buf.extend_from_slice(parts.extra_head);
    out.buf.extend_from_slice(head.of_view);
    if !unchanged {
        out.header("content-type", &[head.content_type]);
    }
    out.header("ashlar-release", &[view.label.as_bytes()]);
    if !head.contract.0.is_empty() {
        let mut digits = [0_u8; 10];
        out.header(
            "ashlar-contract",
            &[head.contract.0.as_bytes(), b".v", decimal(head.contract.1, &mut digits)],
        );
    }
    out.header("content-language", &[head.locale.as_bytes()]);
    out.header("etag", &[&etag[..etag_len]]);
    out.header("surrogate-key", &[head.surrogate]);
    let cache_control = if parts.private { CACHE_CONTROL_PRIVATE } else { head.cache_control };
    out.header("cache-control", &[cache_control.as_bytes()]);
    if !parts.private {
        out.buf.extend_from_slice(EVERY_ORIGIN);
    }
    let by_language = !head.locale_named && view.definitions.locales.all().len() > 1;
    // Who sends a key may get another release, or none: a cache must not answer them with what it kept for others.
    let vary: &[u8] = match by_language {
        false => b"accept-encoding, authorization",
        true => b"accept-encoding, accept-language, authorization",
    };
    out.header("vary", &[vary, if head.by_accept { b", accept" } else { b"" }]);
    out.header("traceparent", &[parts.traceparent.as_bytes()]);
    if unchanged {
        return Ok(Written { status, head_len: out.end_head(), body_len: 0 });
    }
    let sent_len = encoded.as_ref().map_or(len, |(_, bytes)| bytes.len());
    if let Some((encoding, _)) = &encoded {
        out.header("content-encoding", &[encoding.name().as_bytes()]);
    }
    out.number("content-length", sent_len);
    let head_len = out.end_head();
    if parts.method == "HEAD" {
        return Ok(Written { status, head_len, body_len: 0 });
    }
    let kept = match (&encoded, body) {
        (Some((_, bytes)), _) => Some(bytes),
        (None, Content::Kept(bytes)) => Some(*bytes),
        (None, Content::Stored(_)) => None,
    };
    let body_len = match (kept, &mut out.shared) {
        (Some(bytes), Some(shared)) => {
            **shared = Some(Bytes::clone(bytes));
            bytes.len()
        }
        (Some(bytes), None) => {
            out.buf.extend_from_slice(bytes);
            bytes.len()
        }
        (None, _) => {
            body.write(view, out.buf)?;
            out.buf.len() - out.start - head_len
        }
    };
    if body_len != sent_len {
        return Err(DeliveryError::Object(head.digest).into());
    }
    Ok(Written { status, head_len, body_len })
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

pub(crate) fn entry(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    type_name: &str,
    id: &str,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let (type_name, id) = (decode(type_name), decode(id));
    let (wanted, locale_named) = wanted(view, parts)?;
    let found = find(view, &type_name, &id, wanted.as_slice())?;
    let Some((at, record)) = found else { return Err(missing(view, &type_name, &id, wanted.as_slice())) };
    let tried = &wanted.as_slice()[..=at];
    of_one(view, parts, &type_name, &id, tried, &record, None, (CACHE_CONTROL, b""), None, locale_named, out)
}

/// The first of `locales` that an entry has, by position, with its record.
fn find(
    view: &ReleaseView,
    type_name: &str,
    id: &str,
    locales: &[Locale],
) -> Result<Option<(usize, EntryRecord)>, DeliveryError> {
    let mut buf = [0; KEY_BYTES_MAX];
    for (at, locale) in locales.iter().enumerate() {
        let Some(key) = write_key(&mut buf, type_name, id, locale.as_str()) else { return Ok(None) };
        if let Some(record) = view.record_at(key)? {
            return Ok(Some((at, record)));
        }
    }
    Ok(None)
}

/// What follows from one entry alone: the entry exactly as it is stored, or `picked` from it.
#[allow(clippy::too_many_arguments, reason = "the hot path; a struct would only be taken apart again")]
fn of_one(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    type_name: &str,
    id: &str,
    tried: &[Locale],
    record: &EntryRecord,
    picked: Option<Bytes>,
    (cache_control, of_view): (&str, &[u8]),
    found_by: Option<(&str, &str)>,
    locale_named: bool,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let mut surrogate = Vec::with_capacity(tried.len() * (type_name.len() + id.len() + 8));
    for locale in tried {
        if !surrogate.is_empty() {
            surrogate.push(b' ');
        }
        for part in [type_name, ":", id, ":", locale.as_str()] {
            surrogate.extend_from_slice(part.as_bytes());
        }
    }
    if let Some((field, value)) = found_by {
        // Another entry may get this value and be found first.
        surrogate.push(b' ');
        surrogate.extend_from_slice(lookup_key(type_name, field, value).as_bytes());
    }
    let head = Head {
        contract: (type_name, record.major),
        locale: tried.last().map(Locale::as_str).unwrap_or_default(),
        digest: picked.as_ref().map_or(record.digest, |body| Digest::of(body)),
        surrogate: &surrogate,
        cache_control,
        locale_named,
        of_view,
        content_type: JSON,
        by_accept: false,
    };
    let (len, body) = match &picked {
        Some(body) => (body.len(), Content::Kept(body)),
        None => (record.len as usize, Content::Stored(&record.digest)),
    };
    content(view, parts, &head, len, &body, out)
}

fn decode(part: &str) -> Cow<'_, str> {
    if part.contains('%') {
        percent_encoding::percent_decode_str(part).decode_utf8_lossy()
    } else {
        Cow::Borrowed(part)
    }
}

pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn type_named(view: &ReleaseView, type_name: &str) -> Result<TypeName, Failure> {
    let found = TypeName::new(type_name).ok().filter(|t| view.definitions.indexed.contains_key(t));
    found.ok_or_else(|| {
        let known: Vec<&str> = view.definitions.indexed.keys().take(50).map(TypeName::as_str).collect();
        let detail = format!("there is no content type `{}`", cut(type_name));
        Problem::new(404, "unknown-type", "Unknown content type", detail)
            .help(nearest_of(
                type_name,
                known.iter().copied(),
                &format!("this release has {}", known.join(", ")),
            ))
            .into()
    })
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
    let list = |l: &[Locale]| l.iter().map(Locale::as_str).collect::<Vec<_>>().join(", ");
    let p = Problem::new(
        404,
        "entry-not-found",
        "Entry not found",
        format!("there is no {named} `{}` in {}", cut(id), list(tried)),
    );
    match others.is_empty() {
        true => p.help(format!("GET /v1/entries/{named} lists all entries")).into(),
        false => p.help(format!("it exists in {}; ask for it with ?locale=", list(&others))).into(),
    }
}

pub(crate) fn entries(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    type_name: &str,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let type_name = type_named(view, &decode(type_name))?;
    let (wanted, locale_named) = wanted(view, parts)?;
    let page = list::page(view, &type_name, wanted.as_slice(), parts.query.unwrap_or_default(), out.pace)?;
    let mut surrogate = type_name.as_str().as_bytes().to_vec();
    if page.keys.len() < SURROGATE_BYTES_MAX {
        surrogate.extend(&page.keys);
    }
    let body = Bytes::from(page.body);
    let head = Head {
        contract: ("", 0),
        locale: wanted.as_slice().first().map(Locale::as_str).unwrap_or_default(),
        digest: Digest::of(&body),
        surrogate: &surrogate,
        cache_control: CACHE_CONTROL,
        locale_named,
        of_view: b"",
        content_type: JSON,
        by_accept: false,
    };
    content(view, parts, &head, body.len(), &Content::Kept(&body), out)
}

pub(crate) fn shaped(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    at: usize,
    shape: &View,
    slug: &str,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let slug = decode(slug);
    let (wanted, locale_named) = wanted(view, parts)?;
    let locales = wanted.as_slice();
    let not_found = || -> Failure {
        let list = locales.iter().map(Locale::as_str).collect::<Vec<_>>().join(", ");
        let by = shape.lookup.field().unwrap_or("id");
        let detail = format!("no {} has the {by} `{}` in {list}", shape.source, cut(&slug));
        Problem::new(404, "entry-not-found", "Entry not found", detail)
            .help(format!("GET /v1/entries/{} lists all entries", shape.source))
            .into()
    };
    let names = pick::fields_of(shape);
    if shape.is_whole_entry() || names.is_some() {
        let id = match &shape.lookup {
            LookupBy::Id => Cow::Borrowed(slug.as_ref()),
            LookupBy::Field(field) => match compose::by_field(view, &shape.source, field, &slug, locales)? {
                Some(id) => Cow::Owned(id.as_str().to_owned()),
                None => return Err(not_found()),
            },
        };
        let source = shape.source.as_str();
        let Some((n, record)) = find(view, source, &id, locales)? else { return Err(not_found()) };
        let tried = &locales[..=n];
        if names.is_none() || (record.len <= pick::ENTRY_BYTES_MAX && tried.len() <= PICKED_LOCALES_MAX) {
            let body = match names {
                None => None,
                Some(names) => {
                    view.caches.count_miss();
                    let mut stored = Vec::with_capacity(record.len as usize);
                    view.objects.read_into(&record.digest, &mut stored)?;
                    let entry = (source, id.as_ref(), locales[n].as_str());
                    Some(Bytes::from(pick::picked(&stored, &record.digest, names, entry)?))
                }
            };
            let of_view = (shape.cache_control.as_str(), shape.head.as_slice());
            let found_by = shape.lookup.field().map(|field| (field, slug.as_ref()));
            return of_one(
                view,
                parts,
                source,
                &id,
                tried,
                &record,
                body,
                of_view,
                found_by,
                locale_named,
                out,
            );
        }
    }
    let Some(composed) = compose::cached(view, at, shape, &slug, locales)? else { return Err(not_found()) };
    let head = Head {
        contract: (shape.source.as_str(), composed.major),
        locale: composed.locale.as_str(),
        digest: composed.digest,
        surrogate: &composed.surrogate,
        cache_control: &shape.cache_control,
        locale_named,
        of_view: &shape.head,
        content_type: JSON,
        by_accept: false,
    };
    content(view, parts, &head, composed.body.len(), &Content::Kept(&composed.body), out)
}

/// The surrogate keys of everything that was read, or those of their types when the header would be too long.
pub(crate) fn surrogate<'a>(keys: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen = FxHashSet::default();
    for key in keys.clone() {
        if seen.insert(key) {
            if !out.is_empty() {
                out.push(b' ');
            }
            // Types, ids and locales hold neither NUL bytes nor colons.
            out.extend(key.iter().map(|b| if *b == 0 { b':' } else { *b }));
        }
    }
    if out.len() > SURROGATE_BYTES_MAX {
        let types: std::collections::BTreeSet<&[u8]> =
            keys.filter_map(|k| k.split(|b| *b == 0).next()).collect();
        return types.into_iter().collect::<Vec<_>>().join(&b' ');
    }
    out
}
