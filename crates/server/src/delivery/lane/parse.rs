//! Which requests the lane answers itself.

use std::mem::MaybeUninit;

use httparse::{Request, Status};

use super::Caller;
use crate::front::{hides_letters, secret, split};

/// The most header lines of a request the lane reads; hyper allows as many.
const HEADERS_MAX: usize = 100;

/// Where the full server has something of its own, whatever a release says.
const OF_SERVER: [&str; 8] =
    ["api", "studio", "preview", "npm", "healthz", "readyz", "metrics", "openapi.json"];

/// A request for the lane.
pub(super) struct Plain<'b> {
    pub(super) method: &'b str,
    pub(super) path: &'b str,
    pub(super) query: Option<&'b str>,
    pub(super) caller: Caller<'b>,
    pub(super) accept_language: Option<&'b str>,
    pub(super) accept_encoding: Option<&'b str>,
    pub(super) accept: Option<&'b str>,
    pub(super) if_none_match: Option<&'b str>,
    pub(super) traceparent: Option<&'b str>,
    pub(super) close: bool,
}

/// What the bytes at hand are.
pub(super) enum Parsed<'b> {
    /// Not yet a whole head.
    Partial,
    /// A request for the lane, and how many bytes it has.
    Plain(Plain<'b>, usize),
    /// Something else: hyper decides what it is.
    Other,
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    // Filling room for all header lines costs more than reading the few that most requests have.
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Other,
    };
    match plain(&request) {
        Some(plain) => Parsed::Plain(plain, len),
        None => Parsed::Other,
    }
}

/// Whether the lane may have the answer: what a release says at a path, and nothing that the full server has there.
fn is_read(target: &str) -> bool {
    let Some(rest) = target.strip_prefix('/') else { return false };
    let first = rest.split(['/', '?']).next().unwrap_or_default();
    match first {
        "graphql" => rest.starts_with("graphql?"),
        _ => !first.is_empty() && !OF_SERVER.contains(&first) && target.is_ascii() && !hides_letters(target),
    }
}

fn plain<'b>(request: &Request<'_, 'b>) -> Option<Plain<'b>> {
    let method = request.method.filter(|m| matches!(*m, "GET" | "HEAD"))?;
    let target = request.path.filter(|p| is_read(p) && request.version == Some(1))?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    // Previews may have to load something first.
    let names_at = |p: &str| {
        let name = p.split('=').next().unwrap_or_default();
        name == "at" || name.contains('%') || (!path.starts_with("/g") && p.contains('%'))
    };
    if target.contains('#') || query.is_some_and(|q| q.split('&').any(names_at)) {
        return None;
    }
    let mut out = Plain {
        method,
        path,
        query,
        caller: Caller::default(),
        accept_language: None,
        accept_encoding: None,
        accept: None,
        if_none_match: None,
        traceparent: None,
        close: false,
    };
    for header in request.headers.iter() {
        let name = header.name;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // The length tells most headers apart before any byte is compared.
        let slot = match name.len() {
            4 if is("host") => &mut out.caller.host,
            13 if is("authorization") => {
                let secret = secret(text(header.value)?)?;
                once(&mut out.caller.key, secret)?;
                continue;
            }
            10 if is("connection") => {
                for token in text(header.value)?.split(',') {
                    match token.trim() {
                        t if t.eq_ignore_ascii_case("keep-alive") => {}
                        t if t.eq_ignore_ascii_case("close") => out.close = true,
                        _ => return None,
                    }
                }
                continue;
            }
            15 if is("accept-language") => &mut out.accept_language,
            15 if is("accept-encoding") => &mut out.accept_encoding,
            13 if is("if-none-match") => &mut out.if_none_match,
            11 if is("traceparent") => &mut out.traceparent,
            14 if is("content-length") && header.value == b"0" => continue,
            // A body, another protocol, a browser on another site: rare, and the full server's concern.
            14 if is("content-length") => return None,
            17 if is("transfer-encoding") => return None,
            7 if is("upgrade") => return None,
            6 if is("accept") => &mut out.accept,
            6 if is("expect") || is("origin") => return None,
            // A part of a file.
            5 if is("range") => return None,
            _ => continue,
        };
        once(slot, text(header.value)?)?;
    }
    // A host that is missing or malformed is refused by the full server.
    out.caller.host.and_then(split)?;
    Some(out)
}

/// A header that appears twice is not for the lane.
fn once<'b>(slot: &mut Option<&'b str>, value: &'b str) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|v| v.is_ascii())
}
