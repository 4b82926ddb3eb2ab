use serde_json::json;

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
}
