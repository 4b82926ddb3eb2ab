//! Answers with content: their head, and their body in the encoding the client wants.

use ashlar_model::{Digest, Locale, nearest_of};
use bytes::Bytes;

use crate::{
    cache::Composed,
    error::{DeliveryError, Failure},
    http::{
        CACHE_CONTROL, CACHE_CONTROL_PRIVATE, COMPRESS_BYTES_MIN, EVERY_ORIGIN, Encoding, Out, Problem,
        RequestParts, Written, matches_etag, query,
    },
    release::{ReleaseView, Wanted},
};

/// Bodies from this length on are compressed away from threads that serve, in bytes.
const QUICK_COMPRESS_BYTES: usize = 64 << 10;
/// The content type of entries, lists and views.
pub(crate) const JSON: &[u8] = b"application/json";

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
                let detail = format!("there is no locale `{named}`");
                let known = format!("this project has {}", all.join(", "));
                Err(Problem::new(400, "unknown-locale", "Unknown locale", detail)
                    .help(nearest_of(&named, all.iter().copied(), &known))
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

/// Where the body of an answer is.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    /// In memory, shared.
    Kept(&'a Bytes),
    /// In the store, with its length.
    Stored(&'a Digest, usize),
}

impl Content<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Kept(bytes) => bytes.len(),
            Self::Stored(_, len) => *len,
        }
    }

    fn write(&self, view: &ReleaseView, buf: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Kept(bytes) => buf.extend_from_slice(bytes),
            Self::Stored(digest, _) => {
                view.objects.read_into(digest, buf)?;
            }
        }
        Ok(())
    }
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

impl<'a> Head<'a> {
    /// The head of JSON without a contract, at an address that says the locale.
    pub(crate) fn new(locale: &'a str, digest: Digest, surrogate: &'a [u8]) -> Self {
        Self {
            contract: ("", 0),
            locale,
            digest,
            surrogate,
            cache_control: CACHE_CONTROL,
            locale_named: true,
            of_view: b"",
            content_type: JSON,
            by_accept: false,
        }
    }

    /// The head of a composed body.
    pub(crate) fn of(composed: &'a Composed) -> Self {
        Self::new(composed.locale.as_str(), composed.digest, &composed.surrogate)
    }

    /// Writes it up to where the headers of the body begin.
    fn write(
        &self,
        view: &ReleaseView,
        parts: &RequestParts<'_>,
        etag: &Etag,
        status: u16,
        out: &mut Out<'_>,
    ) {
        out.status(status);
        out.buf.extend_from_slice(parts.extra_head);
        out.buf.extend_from_slice(self.of_view);
        if status != 304 {
            out.header("content-type", &[self.content_type]);
        }
        out.header("ashlar-release", &[view.label.as_bytes()]);
        if !self.contract.0.is_empty() {
            let mut digits = itoa::Buffer::new();
            let major = digits.format(self.contract.1).as_bytes();
            out.header("ashlar-contract", &[self.contract.0.as_bytes(), b".v", major]);
        }
        out.header("content-language", &[self.locale.as_bytes()]);
        out.header("etag", &[etag.as_bytes()]);
        out.header("surrogate-key", &[self.surrogate]);
        let cache_control = if parts.private { CACHE_CONTROL_PRIVATE } else { self.cache_control };
        out.header("cache-control", &[cache_control.as_bytes()]);
        if !parts.private {
            out.buf.extend_from_slice(EVERY_ORIGIN);
        }
        let by_language = !self.locale_named && view.definitions.locales.all().len() > 1;
        // Who sends a key may get another release, or none: a cache must not answer them with what it kept for others.
        let vary: &[u8] = match by_language {
            false => b"accept-encoding, authorization",
            true => b"accept-encoding, accept-language, authorization",
        };
        out.header("vary", &[vary, if self.by_accept { b", accept" } else { b"" }]);
        out.header("traceparent", &[parts.traceparent.as_bytes()]);
    }
}

/// `"<digest>"`, with the encoding behind the digest when there is one.
struct Etag {
    text: [u8; 72],
    len: usize,
}

impl Etag {
    fn new(digest: &Digest, encoding: Option<Encoding>) -> Self {
        let suffix: &[u8] = match encoding {
            None => b"\"",
            Some(Encoding::Gzip) => b"-gzip\"",
            Some(Encoding::Brotli) => b"-br\"",
        };
        let mut text = [b'"'; 72];
        // It fits: 64 digits for 32 bytes.
        let _ = hex::encode_to_slice(digest.as_bytes(), &mut text[1..65]);
        text[65..65 + suffix.len()].copy_from_slice(suffix);
        Self { text, len: 65 + suffix.len() }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Whether the client has the content, in whatever encoding.
    fn is_known(&self, if_none_match: Option<&str>) -> bool {
        if_none_match.is_some_and(|known| matches_etag(known, &self.text[1..65]))
    }
}

/// Writes an answer with content; `body` is read only when its bytes are needed.
pub(crate) fn content(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    head: &Head<'_>,
    body: &Content<'_>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let compressed = compressed(view, parts, head.digest, body, out)?;
    let etag = Etag::new(&head.digest, compressed.as_ref().map(|(encoding, _)| *encoding));
    if etag.is_known(parts.if_none_match) {
        head.write(view, parts, &etag, 304, out);
        return Ok(Written { status: 304, head_len: out.end_head(), body_len: 0 });
    }
    head.write(view, parts, &etag, 200, out);
    let mut body = *body;
    if let Some((encoding, bytes)) = &compressed {
        out.header("content-encoding", &[encoding.name().as_bytes()]);
        body = Content::Kept(bytes);
    }
    out.number("content-length", body.len());
    let head_len = out.end_head();
    if parts.method == "HEAD" {
        return Ok(Written { status: 200, head_len, body_len: 0 });
    }
    let body_len = match (&body, &mut out.shared) {
        (Content::Kept(bytes), Some(shared)) => {
            **shared = Some(Bytes::clone(bytes));
            bytes.len()
        }
        _ => {
            body.write(view, out.buf)?;
            out.buf.len() - out.start - head_len
        }
    };
    if body_len != body.len() {
        return Err(DeliveryError::Object(head.digest).into());
    }
    Ok(Written { status: 200, head_len, body_len })
}

/// The body in the encoding that the client wants, when it is worth compressing.
fn compressed(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    digest: Digest,
    body: &Content<'_>,
    out: &Out<'_>,
) -> Result<Option<(Encoding, Bytes)>, Failure> {
    let len = body.len();
    if len < COMPRESS_BYTES_MIN {
        return Ok(None);
    }
    let Some(encoding) = parts.accept_encoding.and_then(Encoding::accepted) else { return Ok(None) };
    if len >= QUICK_COMPRESS_BYTES && !view.caches.has_compressed(digest, encoding) {
        out.pace.heavy()?;
    }
    let mut failure = None;
    let compressed = view.caches.compressed(digest, encoding, || {
        if let Content::Kept(bytes) = body {
            return Some(Bytes::clone(bytes));
        }
        let mut plain = Vec::with_capacity(len);
        body.write(view, &mut plain).map_err(|e| failure = Some(e)).ok()?;
        Some(Bytes::from(plain))
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(compressed.map(|bytes| (encoding, bytes))),
    }
}

/// Writes an answer with a composed body.
pub(crate) fn composed(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    head: &Head<'_>,
    composed: &Composed,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    content(view, parts, head, &Content::Kept(&composed.body), out)
}
