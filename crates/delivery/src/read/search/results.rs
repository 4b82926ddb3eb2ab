//! What a search answers.

use std::collections::BTreeMap;

use ashlar_model::{EntryId, Locale, TypeName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::snippet::Snippet;

/// How many entries were found, by facet and value.
pub type Facets = BTreeMap<String, BTreeMap<String, usize>>;

/// An entry that was found, with the part of it that answers best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SearchHit")]
pub struct ResultHit {
    /// The content type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The id within the type.
    pub id: EntryId,
    /// The language.
    pub locale: Locale,
    /// The title of the entry.
    pub title: String,
    /// Where words of the query are in the title, in UTF-16 code units.
    pub title_marks: Vec<[u32; 2]>,
    /// The path of its page; null when it has none.
    pub path: Option<String>,
    /// The index it was found in.
    pub index: String,
    /// Words around the match.
    pub snippet: Snippet,
    /// The headings above the match, the outermost first.
    pub headings: Vec<String>,
    /// The fragment of the nearest heading on the page, or null.
    pub anchor: Option<String>,
    /// How well it answers, from 0 to 1. Scores of different queries do not compare.
    pub score: f32,
    /// The id of the part of the entry that was found. It stays the same while its text does.
    pub chunk: String,
    /// The field of that part, as a JSON pointer.
    pub field: String,
    /// Where in the field it begins, in bytes.
    pub from: u32,
    /// Where in the field it ends, in bytes.
    pub to: u32,
    /// Whether `retrieval.toml` puts it first for this query.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
}

impl ResultHit {
    /// The title in pieces, each with whether it is marked.
    pub fn title_pieces(&self) -> Vec<(String, bool)> {
        Snippet { text: self.title.clone(), marks: self.title_marks.clone() }.pieces()
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SearchResults")]
pub struct Results {
    /// The query.
    pub query: String,
    /// The preferred language.
    pub locale: String,
    /// The indexes that were searched.
    pub indexes: Vec<String>,
    /// `hybrid`, `words` or `meaning`.
    pub mode: String,
    /// Whether meaning was looked at. A new release is searched by words alone until its vectors are ready.
    pub vectors: bool,
    /// Whether the best hits were ranked again by the model that `retrieval.toml` names; absent when it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reranked: Option<bool>,
    /// Entries, the best first.
    pub hits: Vec<ResultHit>,
    /// How many entries have a word of the query.
    pub total: usize,
    /// How many of them there are, by facet and value.
    pub facets: Facets,
    /// The query that was searched instead, when a word was misspelt; otherwise null.
    pub did_you_mean: Option<String>,
    /// `offset` of the next hits; null at the end.
    pub next_offset: Option<usize>,
}

/// How the last word of a query may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SearchSuggestions")]
pub struct Suggestions {
    /// The query.
    pub query: String,
    /// The preferred language.
    pub locale: String,
    /// The indexes that were looked through.
    pub indexes: Vec<String>,
    /// Whole queries, the most frequent words first.
    pub suggestions: Vec<String>,
}
