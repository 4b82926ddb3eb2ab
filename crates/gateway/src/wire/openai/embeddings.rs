//! Requests for embeddings. Answers are passed on as they come.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::super::{Fault, FaultKind, Fields, Usage};

/// A request for embeddings.
#[derive(Debug, Clone)]
pub struct Embeddings {
    /// The route that it names.
    pub model: String,
    /// The person at the other end.
    pub user: Option<String>,
    /// About how many tokens are sent.
    pub tokens_in: u64,
    body: Bytes,
}

impl Embeddings {
    /// Reads a request.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn read(body: Bytes) -> Result<Self, Fault> {
        let mut fields = Fields::read(&body)?;
        let model = fields
            .take("model")?
            .ok_or_else(|| Fault::invalid("model", "`model` is missing: name a route of gateway.toml"))?;
        let input = fields
            .take_raw("input")
            .ok_or_else(|| Fault::invalid("input", "`input` is missing: send a text, or a list of texts"))?;
        let tokens_in = (input.get().len() as u64).div_ceil(4);
        let user = fields.take("user")?;
        Ok(Self { model, user, tokens_in, body })
    }

    /// The texts of the request; `None` when it has tokens instead.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<String>> {
        let mut fields = Fields::read(&self.body).ok()?;
        let raw = fields.take_raw("input")?;
        let one: Result<String, _> = serde_json::from_str(raw.get());
        one.map(|one| vec![one]).or_else(|_| serde_json::from_str(raw.get())).ok()
    }

    /// The request with other texts; `None` when it has tokens instead.
    #[must_use]
    pub fn with_texts(&self, mut other: impl FnMut(&str) -> String) -> Option<Self> {
        let mut texts: Vec<String> = self.texts()?.iter().map(|text| other(text)).collect();
        let mut fields = Fields::read(&self.body).ok()?;
        let one = fields.take_raw("input")?.get().starts_with('"');
        let input = match texts.pop() {
            Some(text) if one => json!(text),
            last => {
                texts.extend(last);
                json!(texts)
            }
        };
        let mut out = format!("{{\"input\":{input}").into_bytes();
        for (name, raw) in &fields.0 {
            out.extend_from_slice(format!(",{}:{}", json!(name), raw.get()).as_bytes());
        }
        out.push(b'}');
        Some(Self { body: out.into(), ..self.clone() })
    }
}

/// The body of a request to a provider.
#[must_use]
pub fn embeddings_body(request: &Embeddings, model: &str) -> Vec<u8> {
    let mut out = format!("{{\"model\":{}", json!(model)).into_bytes();
    let fields = Fields::read(&request.body).map(|fields| fields.0).unwrap_or_default();
    for (name, raw) in fields.iter().filter(|(name, _)| !matches!(name.as_str(), "model" | "ashlar" | "user"))
    {
        out.extend_from_slice(format!(",{}:{}", json!(name), raw.get()).as_bytes());
    }
    out.push(b'}');
    out
}

#[derive(Deserialize)]
struct ReplyIn<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    usage: Option<super::UsageIn>,
}

/// The tokens of an answer, if it says how many.
///
/// # Errors
/// When it is no answer.
pub fn embeddings_usage(body: &[u8]) -> Result<Option<Usage>, Fault> {
    let read: ReplyIn<'_> = serde_json::from_slice(body).map_err(|error| {
        let why = super::super::fields::cut(&error.to_string());
        let message = format!("the provider's answer cannot be read: {why}");
        Fault::new(FaultKind::Upstream, "upstream_malformed", message)
    })?;
    if read.data.is_empty() {
        let message = "the provider's answer has no vectors";
        return Err(Fault::new(FaultKind::Upstream, "upstream_malformed", message));
    }
    Ok(read.usage.and_then(super::UsageIn::read))
}
