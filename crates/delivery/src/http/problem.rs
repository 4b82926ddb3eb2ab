use serde_json::{Value, json};

use super::{
    message::{EVERY_ORIGIN, Out, Written},
    request::{GRAPHQL, RequestParts},
};

/// An RFC 9457 problem: what was wrong, where, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable kebab-case code; the `type` of the body is `urn:ashlar:problem:` and this.
    pub code: &'static str,
    /// A short name of the kind of problem.
    pub title: &'static str,
    /// What was wrong this time.
    pub detail: String,
    /// The next thing to do; may be empty.
    pub help: String,
    /// For GraphQL: each thing that is wrong by itself, with its line and column in the document.
    pub places: Vec<(String, Option<(usize, usize)>)>,
}

impl Problem {
    /// A problem without help.
    pub fn new(status: u16, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), help: String::new(), places: Vec::new() }
    }

    /// Refuses methods that change something.
    pub(crate) fn unless_read(parts: &RequestParts<'_>) -> Result<(), Self> {
        if matches!(parts.method, "GET" | "HEAD") {
            return Ok(());
        }
        let method: String = parts.method.chars().take(20).collect();
        let detail = format!("{method} cannot be used here");
        let help = "delivery is read with GET or HEAD; content is changed through /api/v1";
        Err(Self::new(405, "method-not-allowed", "Method not allowed", detail).help(help))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds what is wrong in a GraphQL document, each with its line and column.
    #[must_use]
    pub fn places(mut self, places: impl IntoIterator<Item = (String, Option<(usize, usize)>)>) -> Self {
        self.places = places.into_iter().collect();
        self
    }

    /// The body, `application/problem+json`, with the trace it belongs to.
    pub fn body(&self, trace_id: &str) -> Vec<u8> {
        let mut value = json!({
            "type": format!("urn:ashlar:problem:{}", self.code),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "trace_id": trace_id,
        });
        if !self.help.is_empty() {
            value["help"] = json!(self.help);
        }
        value.to_string().into_bytes()
    }

    /// A problem as GraphQL clients read it: an error for each thing that is wrong, with its place in the document.
    fn graphql_body(&self, trace_id: &str) -> Vec<u8> {
        let mut extensions = json!({"code": self.code, "trace_id": trace_id});
        if !self.help.is_empty() {
            extensions["help"] = json!(self.help);
        }
        let one = |message: &str, at: Option<(usize, usize)>| match at {
            Some((line, column)) => {
                json!({"message": message, "locations": [{"line": line, "column": column}], "extensions": extensions})
            }
            None => json!({"message": message, "extensions": extensions}),
        };
        let errors: Vec<Value> = match self.places.as_slice() {
            [] => vec![one(&self.detail, None)],
            places => places.iter().map(|(message, at)| one(message, *at)).collect(),
        };
        json!({"errors": errors}).to_string().into_bytes()
    }

    /// Writes the answer that says so, as an HTTP/1.1 message.
    pub(crate) fn write(
        &self,
        release: Option<&str>,
        parts: &RequestParts<'_>,
        out: &mut Out<'_>,
    ) -> Written {
        let trace_id = parts.traceparent.trace_id();
        let graph = parts.path == GRAPHQL;
        let body = if graph { self.graphql_body(trace_id) } else { self.body(trace_id) };
        out.status(self.status);
        out.buf.extend_from_slice(parts.extra_head);
        let content_type = if graph { parts.graphql_media_type() } else { b"application/problem+json" };
        out.header("content-type", &[content_type]);
        if let Some(release) = release {
            out.header("ashlar-release", &[release.as_bytes()]);
        }
        if self.status == 405 {
            out.header("allow", &[if graph { b"GET, HEAD, POST" } else { b"GET, HEAD" }]);
        }
        if self.status == 401 {
            out.header("www-authenticate", &[b"Bearer"]);
        }
        if matches!(self.status, 429 | 503) {
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
        Written { status: self.status, head_len, body_len }
    }
}

/// What is said when there is no room for more work.
pub fn busy() -> Problem {
    Problem::new(503, "busy", "Too much to do", "the server has too much to do to make this answer now")
        .help("send the request again in a moment")
}
