//! Suites of other tools, as cases of this one.
//!
//! Nothing is dropped silently: what has no counterpart here becomes a finding with its place. Assertions keep their meaning: substrings
//! become regular expressions that match the same replies, not facts, which match whole words.

mod assertion;
mod openai;
mod promptfoo;
mod suite;
mod template;

use std::collections::BTreeMap;

use ashlar_model::{Finding, Level};
use serde_json::{Map, Value, json};

pub use self::{
    openai::{Matching, openai},
    promptfoo::promptfoo,
    suite::{About, Files},
};

/// The most findings that are kept; the last one then says that there are more.
pub const FINDINGS_MAX: usize = 500;
/// The longest text that a template may become, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// What was read of another tool's suite.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// The cases, each as an object of a `.jsonl` file of a suite.
    pub cases: Vec<Value>,
    /// The greatest value that a figure may have, by the name of its metric: `latency_p95` and `cost`.
    pub thresholds: BTreeMap<&'static str, f64>,
    /// The least share of cases that must pass, when the other tool fails without it.
    pub least_passed: Option<f64>,
    /// How often each case is asked, when the file says so.
    pub samples: Option<u32>,
    /// What was not imported, or not exactly. An error means that an assertion or a case is missing.
    pub findings: Vec<Finding>,
}

impl Imported {
    /// The cases as a `.jsonl` file.
    #[must_use]
    pub fn lines(&self) -> String {
        self.cases.iter().map(|case| format!("{case}\n")).collect()
    }

    /// Whether anything is missing.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Error)
    }

    fn note(&mut self, finding: Finding) {
        match self.findings.len() {
            FINDINGS_MAX.. => {}
            n if n + 1 == FINDINGS_MAX => {
                let place = finding.place.split(' ').next().unwrap_or_default().to_owned();
                let message = "There are more findings than are shown.";
                self.findings.push(Finding::error("import-findings", place, message).help("fix these first"));
            }
            _ => self.findings.push(finding),
        }
    }
}

/// What a case expects, while it is put together.
#[derive(Debug, Clone, Default)]
struct Expected {
    matches: Vec<String>,
    not_matches: Vec<String>,
    rubrics: Vec<String>,
    answer: Option<&'static str>,
}

impl Expected {
    fn is_empty(&self) -> bool {
        self.matches.is_empty()
            && self.not_matches.is_empty()
            && self.rubrics.is_empty()
            && self.answer.is_none()
    }

    fn value(&self) -> Value {
        let mut out = Map::new();
        for (name, list) in [("matches", &self.matches), ("not_matches", &self.not_matches)] {
            if !list.is_empty() {
                out.insert(name.to_owned(), json!(list));
            }
        }
        if let Some(answer) = self.answer {
            out.insert("answer".to_owned(), json!(answer));
        }
        if !self.rubrics.is_empty() {
            out.insert("rubric".to_owned(), json!(self.rubrics.join("\n\n")));
        }
        Value::Object(out)
    }
}

/// A place inside a file, as a JSON pointer behind its path.
fn place(path: &str, pointer: &str) -> String {
    if pointer.is_empty() { path.to_owned() } else { format!("{path} {pointer}") }
}

/// A scalar as the text that templates and assertions compare.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
