//! The parts of an HTTP/1.1 message, written into a buffer.

use bytes::Bytes;

use super::{pace::Pace, request::RequestParts};

/// Pages of every origin may read what needs no key. Said always, because a cache answers requests of other origins with it.
pub(crate) const EVERY_ORIGIN: &[u8] = b"access-control-allow-origin: *\r\naccess-control-expose-headers: ETag, Link, Deprecation, Sunset, Ashlar-Release, Ashlar-Contract\r\n";
/// What clients and caches may do with an answer when nothing else is said.
pub(crate) const CACHE_CONTROL: &str = "public, max-age=60, stale-while-revalidate=600";
/// Answers that are not for shared caches: other channels, drafts, candidates.
pub(crate) const CACHE_CONTROL_PRIVATE: &str = "private, no-cache";

/// What [`write_quick`](crate::write_quick) wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The status.
    pub status: u16,
    /// The length of status line and headers with the empty line, in bytes.
    pub head_len: usize,
    /// The length of the body behind them, in bytes; 0 for HEAD and 304.
    pub body_len: usize,
}

/// One answer in the making, at the end of a buffer that may hold earlier ones.
pub(crate) struct Out<'b> {
    pub(crate) buf: &'b mut Vec<u8>,
    pub(crate) start: usize,
    pub(crate) pace: Pace,
    /// Takes a body that is kept in memory, for callers that can send it from there.
    pub(crate) shared: Option<&'b mut Option<Bytes>>,
}

impl Out<'_> {
    /// Drops what was written of this answer and starts it with a status.
    pub(crate) fn status(&mut self, status: u16) {
        self.buf.truncate(self.start);
        if let Some(shared) = &mut self.shared {
            **shared = None;
        }
        // Whole lines: formatting them from a table of reasons would cost more than the rest of a head.
        let line: &[u8] = match status {
            200 => b"HTTP/1.1 200 OK\r\n",
            204 => b"HTTP/1.1 204 No Content\r\n",
            301 => b"HTTP/1.1 301 Moved Permanently\r\n",
            302 => b"HTTP/1.1 302 Found\r\n",
            307 => b"HTTP/1.1 307 Temporary Redirect\r\n",
            308 => b"HTTP/1.1 308 Permanent Redirect\r\n",
            304 => b"HTTP/1.1 304 Not Modified\r\n",
            400 => b"HTTP/1.1 400 Bad Request\r\n",
            401 => b"HTTP/1.1 401 Unauthorized\r\n",
            403 => b"HTTP/1.1 403 Forbidden\r\n",
            404 => b"HTTP/1.1 404 Not Found\r\n",
            405 => b"HTTP/1.1 405 Method Not Allowed\r\n",
            406 => b"HTTP/1.1 406 Not Acceptable\r\n",
            410 => b"HTTP/1.1 410 Gone\r\n",
            413 => b"HTTP/1.1 413 Content Too Large\r\n",
            415 => b"HTTP/1.1 415 Unsupported Media Type\r\n",
            421 => b"HTTP/1.1 421 Misdirected Request\r\n",
            422 => b"HTTP/1.1 422 Unprocessable Content\r\n",
            429 => b"HTTP/1.1 429 Too Many Requests\r\n",
            503 => b"HTTP/1.1 503 Service Unavailable\r\n",
            _ => b"HTTP/1.1 500 Internal Server Error\r\n",
        };
        self.buf.extend_from_slice(line);
    }

    pub(crate) fn header(&mut self, name: &str, values: &[&[u8]]) {
        self.buf.extend_from_slice(name.as_bytes());
        self.buf.extend_from_slice(b": ");
        for value in values {
            self.buf.extend_from_slice(value);
        }
        self.buf.extend_from_slice(b"\r\n");
    }

    pub(crate) fn number(&mut self, name: &str, number: usize) {
        self.header(name, &[itoa::Buffer::new().format(number).as_bytes()]);
    }

    /// Sends the client to another address.
    pub(crate) fn redirect(
        &mut self,
        release: &str,
        parts: &RequestParts<'_>,
        status: u16,
        to: &str,
    ) -> Written {
        const KEPT: &percent_encoding::AsciiSet =
            &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'\\');
        let to: String = percent_encoding::utf8_percent_encode(to, KEPT).collect();
        self.status(status);
        self.buf.extend_from_slice(parts.extra_head);
        self.header("location", &[to.as_bytes()]);
        self.header("ashlar-release", &[release.as_bytes()]);
        self.header("surrogate-key", &[b"definitions"]);
        let cache_control = if parts.private { CACHE_CONTROL_PRIVATE } else { CACHE_CONTROL };
        self.header("cache-control", &[cache_control.as_bytes()]);
        if !parts.private {
            self.buf.extend_from_slice(EVERY_ORIGIN);
        }
        self.header("vary", &[b"authorization"]);
        self.header("traceparent", &[parts.traceparent.as_bytes()]);
        self.number("content-length", 0);
        Written { status, head_len: self.end_head(), body_len: 0 }
    }

    /// Ends the head; returns its length.
    pub(crate) fn end_head(&mut self) -> usize {
        self.buf.extend_from_slice(b"\r\n");
        self.buf.len() - self.start
    }
}

/// Whether an `If-None-Match` value names the content with this hexadecimal digest, in whatever encoding.
pub(crate) fn matches_etag(header: &str, digest: &[u8]) -> bool {
    header.split(',').take(50).any(|tag| {
        let tag = tag.trim();
        let bare = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        let bare = bare.strip_suffix("-gzip").or(bare.strip_suffix("-br")).unwrap_or(bare);
        tag == "*" || bare.as_bytes() == digest
    })
}
