//! What an answer was made from, as one line of text that can be kept and answered again.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest trace, in bytes.
pub const TRACE_BYTES_MAX: usize = 16 * 1024;
/// The form of traces.
const FORM: u32 = 1;
/// The longest question, in bytes.
pub const QUESTION_BYTES_MAX: usize = 1_000;
/// The longest name of a release, locale, index, reader, attribute or value, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// The most indexes and the most attributes.
const NAMES_MAX: usize = 16;
/// The most values of an attribute.
const VALUES_MAX: usize = 64;

/// Everything an answer depends on, and the digest of the answer. Whoever has the releases can answer again and compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The form of this trace.
    v: u32,
    /// The release that answered.
    pub release: String,
    /// The question.
    pub question: String,
    /// The locale that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The indexes that were asked for; empty when the release chose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<String>,
    /// The types that were asked for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The filters: attribute → values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<String, Vec<String>>,
    /// The reader whose rules applied; none for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
    /// When it was answered, in seconds since 1970: what is valid from or until some time depends on it.
    pub at: i64,
    /// Whether only words were searched, because the release had no vectors yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub words: bool,
    /// The version of the rules that made the answer.
    pub engine: u32,
    /// The BLAKE3 digest of the answer, its citations and its refusal.
    pub answer: String,
}

/// Text that is no trace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TraceError {
    /// Longer than any trace.
    #[error("a trace has at most {TRACE_BYTES_MAX} bytes, this text has {0}")]
    Long(usize),
    /// Not a trace.
    #[error("this is not a trace: {0}")]
    Broken(String),
    /// From another version.
    #[error("this trace has form {0}, this version reads form {FORM}")]
    Form(u64),
    /// A part exceeds its bound.
    #[error("`{0}` of the trace exceeds its bound")]
    Bound(&'static str),
}

impl Trace {
    /// A trace of a question to a release. Whoever makes one fills in the rest.
    #[must_use]
    pub fn new(release: impl Into<String>, question: impl Into<String>, at: i64) -> Self {
        Self {
            v: FORM,
            release: release.into(),
            question: question.into(),
            locale: None,
            indexes: Vec::new(),
            types: Vec::new(),
            filters: BTreeMap::new(),
            reader: None,
            at,
            words: false,
            engine: 0,
            answer: String::new(),
        }
    }

    /// The trace as text: base64url of JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads what [`Trace::encode`] wrote. White space around it is ignored.
    ///
    /// # Errors
    /// When the text is no trace, is of another version, or exceeds a bound.
    pub fn decode(text: &str) -> Result<Self, TraceError> {
        let text = text.trim();
        if text.len() > TRACE_BYTES_MAX {
            return Err(TraceError::Long(text.len()));
        }
        let broken = |why: &str| TraceError::Broken(why.to_owned());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| broken("it is not base64url text"))?;
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| broken("it contains no JSON"))?;
        match value.get("v").and_then(serde_json::Value::as_u64) {
            Some(form) if form == u64::from(FORM) => {}
            Some(form) => return Err(TraceError::Form(form)),
            None => return Err(broken("it does not say its form")),
        }
        let trace: Self =
            serde_json::from_value(value).map_err(|error| TraceError::Broken(error.to_string()))?;
        trace.bounded()?;
        Ok(trace)
    }

    fn bounded(&self) -> Result<(), TraceError> {
        let name = |part: &'static str, text: &str| match text.len() <= NAME_BYTES_MAX {
            true => Ok(()),
            false => Err(TraceError::Bound(part)),
        };
        if self.question.len() > QUESTION_BYTES_MAX {
            return Err(TraceError::Bound("question"));
        }
        name("release", &self.release)?;
        name("answer", &self.answer)?;
        name("locale", self.locale.as_deref().unwrap_or_default())?;
        name("reader", self.reader.as_deref().unwrap_or_default())?;
        for (part, names) in [("indexes", &self.indexes), ("types", &self.types)] {
            if names.len() > NAMES_MAX {
                return Err(TraceError::Bound(part));
            }
            names.iter().try_for_each(|one| name(part, one))?;
        }
        if self.filters.len() > NAMES_MAX || self.filters.values().any(|values| values.len() > VALUES_MAX) {
            return Err(TraceError::Bound("filters"));
        }
        self.filters.iter().try_for_each(|(attribute, values)| {
            name("filters", attribute)?;
            values.iter().try_for_each(|value| name("filters", value))
        })
    }
}
