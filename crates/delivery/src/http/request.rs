use std::borrow::Cow;

use super::trace::Traceparent;

/// Where GraphQL is answered.
pub const GRAPHQL: &str = "/graphql";

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
    /// The reader of `retrieval.toml` that the caller's key names; `None` for everybody.
    pub reader: Option<&'a str>,
    /// Who asks, in whatever words tell askers apart, when what is searched for may be logged.
    pub asker: Option<&'a str>,
    /// Header lines the caller adds, each ending in CR LF (`date`, `connection`).
    pub extra_head: &'a [u8],
}

impl<'a> RequestParts<'a> {
    /// A public `GET` of a path, without headers.
    pub fn get(path: &'a str, traceparent: &'a Traceparent) -> Self {
        Self {
            method: "GET",
            path,
            query: None,
            accept_language: None,
            accept_encoding: None,
            accept: None,
            if_none_match: None,
            traceparent,
            private: false,
            developer: false,
            reader: None,
            asker: None,
            extra_head: b"",
        }
    }

    /// The media type of GraphQL answers: that of GraphQL when the client takes it, else JSON.
    pub(crate) fn graphql_media_type(&self) -> &'static [u8] {
        match self.accept {
            Some(accept) if accept.contains("application/graphql-response+json") => {
                b"application/graphql-response+json; charset=utf-8"
            }
            _ => b"application/json; charset=utf-8",
        }
    }
}

/// A part of a path without percent-encoding.
pub(crate) fn decoded(part: &str) -> Cow<'_, str> {
    if part.contains('%') {
        percent_encoding::percent_decode_str(part).decode_utf8_lossy()
    } else {
        Cow::Borrowed(part)
    }
}

/// What a client sent, short enough to repeat it in a problem.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
