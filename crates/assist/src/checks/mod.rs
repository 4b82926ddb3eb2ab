//! What is checked of an entry that a model wrote.

mod claims;
mod near;
mod terms;

pub use self::{
    claims::{Passage, claims},
    near::{NEAR_ENTRIES_MAX, Neighbours},
    terms::terms,
};

/// Something that is wrong in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// The kind of finding.
    pub code: &'static str,
    /// The top-level field; empty for the whole entry.
    pub field: String,
    /// What is wrong, as a sentence.
    pub message: String,
    /// How to fix it.
    pub help: String,
}

impl Issue {
    pub(crate) fn new(code: &'static str, field: &str, message: String, help: impl Into<String>) -> Self {
        Self { code, field: field.to_owned(), message, help: help.into() }
    }
}

/// A text for a message: one line, not too long.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SHOWN_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
