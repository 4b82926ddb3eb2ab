//! The body of a question.

use std::collections::BTreeMap;

use ashlar_model::TypeName;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    error::Failure,
    http::{Problem, cut},
    search::{QUESTION_BYTES_MAX, Trace},
};

/// The largest body, in bytes.
pub const ASKED_BYTES_MAX: usize = 24 << 10;
/// The most indexes and the most attributes of a question.
const NAMES_MAX: usize = 16;
/// The most values of an attribute.
const VALUES_MAX: usize = 64;
/// The longest name and value, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// A question to a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: String,
    /// The locale, when one is named.
    pub locale: Option<String>,
    /// The indexes; empty when the release chooses.
    pub indexes: Vec<String>,
    /// Attribute → values of which an entry has one, or none at all. `version` asks for what applies to a version.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Answers only from entries of these types; empty for all.
    pub types: Vec<TypeName>,
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The reader whose rules apply; none for everybody.
    pub reader: Option<&'a str>,
    /// In seconds since 1970.
    pub at: i64,
    /// Whether only words are searched. It is so anyway while a release has no vectors.
    pub words: bool,
    /// Whether an earlier answer is made again.
    pub replays: bool,
}

impl<'a> Asker<'a> {
    /// Somebody who asks now.
    #[must_use]
    pub fn now(reader: Option<&'a str>) -> Self {
        Self { reader, at: Timestamp::now().as_second(), words: false, replays: false }
    }

    /// Whoever asked when a trace was made.
    #[must_use]
    pub fn of(trace: &'a Trace) -> Self {
        Self { reader: trace.reader.as_deref(), at: trace.at, words: trace.words, replays: true }
    }
}

/// A value, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<OneOrMany> for Vec<String> {
    fn from(values: OneOrMany) -> Self {
        match values {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// A question to the release.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Question")]
pub struct QuestionBody {
    /// The question.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    question: String,
    /// The trace of an earlier answer, instead of everything else: answers again as it was answered then. Needs `?at=` with the release of
    /// the trace.
    #[serde(default)]
    trace: Option<String>,
    /// The language; by `Accept-Language` when absent.
    #[serde(default)]
    locale: Option<String>,
    /// The indexes that are searched; the release chooses when absent.
    #[serde(default)]
    #[schemars(length(max = 16))]
    indexes: Vec<String>,
    /// Attribute of `retrieval.toml` → values; `version` asks for what applies to a version.
    #[serde(default)]
    filters: BTreeMap<String, OneOrMany>,
    /// Answers only from entries of these types.
    #[serde(default)]
    #[schemars(length(max = 16))]
    types: Vec<TypeName>,
}

const HELP: &str = "send {\"question\": \"…\"}, and if needed `locale`, `indexes`, `types` and `filters`";

fn bad(detail: impl Into<String>, help: impl Into<String>) -> Failure {
    Problem::new(400, "invalid-input", "Invalid input", detail).help(help).into()
}

impl Asked {
    /// What was asked when a trace was made.
    ///
    /// # Errors
    /// When the trace names a type that cannot exist.
    pub fn of(trace: &Trace) -> Result<Self, Problem> {
        let types: Result<Vec<TypeName>, _> = trace.types.iter().map(|name| TypeName::new(name)).collect();
        let types =
            types.map_err(|error| Problem::new(400, "invalid-input", "Invalid input", error.to_string()))?;
        Ok(Self {
            question: trace.question.clone(),
            locale: trace.locale.clone(),
            indexes: trace.indexes.clone(),
            filters: trace.filters.clone(),
            types,
        })
    }

    /// Reads a body: a question, or a trace.
    pub(super) fn of_body(body: &[u8]) -> Result<(Self, Option<Trace>), Failure> {
        if body.len() > ASKED_BYTES_MAX {
            let detail = format!("the body has {} bytes; at most {ASKED_BYTES_MAX} are read", body.len());
            return Err(Problem::new(413, "body-too-large", "Body too large", detail)
                .help(format!("a question has at most {QUESTION_BYTES_MAX} bytes"))
                .into());
        }
        // A list would do for serde as well.
        let read = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
        let body: QuestionBody = read
            .and_then(|members| serde_json::from_value(serde_json::Value::Object(members)))
            .map_err(|error| bad(format!("the body cannot be read: {}", cut(&error.to_string())), HELP))?;
        if let Some(trace) = &body.trace {
            let alone = body.question.is_empty() && body.locale.is_none() && body.indexes.is_empty();
            if !alone || !body.filters.is_empty() || !body.types.is_empty() {
                return Err(bad("`trace` contains the question and everything else", "send `trace` alone"));
            }
            let trace = Trace::decode(trace)
                .map_err(|error| bad(error.to_string(), "send the `trace` of an answer, unchanged"))?;
            let asked = Self::of(&trace)?;
            asked.bounded()?;
            return Ok((asked, Some(trace)));
        }
        let filters = body.filters.into_iter().map(|(name, values)| (name, values.into())).collect();
        let asked = Self {
            question: body.question.trim().to_owned(),
            locale: body.locale,
            indexes: body.indexes,
            filters,
            types: body.types,
        };
        asked.bounded()?;
        Ok((asked, None))
    }

    pub(crate) fn bounded(&self) -> Result<(), Failure> {
        if self.question.is_empty() {
            return Err(bad("`question` is empty", "ask something, such as \"What does it cost?\""));
        }
        if self.question.len() > QUESTION_BYTES_MAX {
            let detail = format!(
                "`question` has {} bytes; at most {QUESTION_BYTES_MAX} are read",
                self.question.len()
            );
            return Err(bad(detail, "ask a shorter question"));
        }
        let many = |what: &str, found: usize, most: usize| {
            bad(format!("`{what}` has {found} items; at most {most} are allowed"), "send fewer")
        };
        for (what, count) in
            [("indexes", self.indexes.len()), ("types", self.types.len()), ("filters", self.filters.len())]
        {
            if count > NAMES_MAX {
                return Err(many(what, count, NAMES_MAX));
            }
        }
        for (name, values) in &self.filters {
            if values.len() > VALUES_MAX {
                return Err(many(&format!("filters.{}", cut(name)), values.len(), VALUES_MAX));
            }
        }
        let names = self.indexes.iter().chain(&self.locale).chain(self.filters.keys());
        if let Some(long) =
            names.chain(self.filters.values().flatten()).find(|name| name.len() > NAME_BYTES_MAX)
        {
            let detail =
                format!("`{}` has {} bytes; at most {NAME_BYTES_MAX} are allowed", cut(long), long.len());
            return Err(bad(detail, "send a shorter name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Asked, String> {
        Asked::of_body(body.as_bytes()).map(|(asked, _)| asked).map_err(|failure| match failure {
            Failure::Problem(problem) => problem.detail,
            _ => "no problem".to_owned(),
        })
    }

    #[test]
    fn questions_are_read() {
        let asked = read(
            r#"{"question":" What? ","locale":"en","indexes":["product"],"filters":{"region":"eu","audience":["a","b"]}}"#,
        );
        let asked = asked.unwrap();
        assert_eq!((asked.question.as_str(), asked.locale.as_deref()), ("What?", Some("en")));
        assert_eq!(asked.filters["region"], ["eu"]);
        assert_eq!(asked.filters["audience"], ["a", "b"]);
    }

    #[test]
    fn what_is_wrong_with_a_question_is_named() {
        let long = format!(r#"{{"question":"{}"}}"#, "x".repeat(1_001));
        let many = format!(r#"{{"question":"x","indexes":{:?}}}"#, vec!["a"; 17]);
        for (body, says) in [
            (r#"{"trace":"x"}"#, "not a trace"),
            (r#"{"trace":"x","question":"y"}"#, "`trace` contains the question"),
            ("", "cannot be read"),
            ("[]", "cannot be read"),
            (r#"{"question":1}"#, "cannot be read"),
            (r#"{"question":" "}"#, "`question` is empty"),
            (r#"{"question":"x","limit":1}"#, "unknown field `limit`"),
            (long.as_str(), "`question` has 1001 bytes"),
            (many.as_str(), "`indexes` has 17 items"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
        assert!(read(&" ".repeat(ASKED_BYTES_MAX + 1)).unwrap_err().contains("at most"));
    }
}
