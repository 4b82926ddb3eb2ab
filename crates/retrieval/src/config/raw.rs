//! `retrieval.toml` as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::chunk::ChunkRules;

pub(super) type Named<T> = BTreeMap<Spanned<String>, T>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub indexes: Named<RawIndex>,
    pub chunks: Option<Spanned<ChunkRules>>,
    pub attributes: Named<Spanned<String>>,
    pub readers: Named<Named<Vec<String>>>,
    pub routes: Vec<Spanned<RawRoute>>,
    pub examples: Vec<Spanned<RawExample>>,
    pub synonyms: Named<Named<Vec<String>>>,
    pub pins: Vec<Spanned<RawPin>>,
    pub embedder: RawEmbedder,
    pub rerank: Option<Spanned<RawRerank>>,
    pub log: Option<RawLog>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIndex {
    pub title: String,
    pub freshness: Option<Spanned<String>>,
    pub default: Option<bool>,
    pub public: Option<bool>,
    pub alone: bool,
    pub embedder: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub when: Option<Spanned<String>>,
    #[serde(default)]
    pub words: Vec<String>,
    pub locale: Option<String>,
    pub indexes: Named<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExample {
    pub text: String,
    pub index: Spanned<String>,
    pub locale: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPin {
    pub query: String,
    pub entry: Spanned<String>,
    pub locale: Option<String>,
    pub until: Option<Spanned<Day>>,
}

/// A day, with or without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Day {
    Date(toml::value::Datetime),
    Text(String),
}

impl Day {
    pub fn text(&self) -> String {
        match self {
            Self::Date(date) => date.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub days: Spanned<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEmbedder {
    #[serde(default)]
    pub kind: Option<Spanned<String>>,
    #[serde(default)]
    pub model: Option<Spanned<String>>,
    #[serde(default)]
    pub restricted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRerank {
    pub model: Spanned<String>,
    #[serde(default)]
    pub top: Option<usize>,
    #[serde(default)]
    pub restricted: bool,
}
