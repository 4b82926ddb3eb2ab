//! `retrieval.toml`: indexes, chunks, attributes, readers, routes, synonyms and pins.

mod prepared;
mod raw;
mod read;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::civil::Date;
use serde::Serialize;

use crate::{
    access::{Reader, Readers},
    chunk::ChunkRules,
    models::ModelKind,
    routing::Routes,
    synonyms::Synonyms,
    text::Analyzer,
};

/// The file's name.
pub const FILE: &str = "retrieval.toml";
/// The index of types that have a route and name no index.
pub const MAIN: &str = "main";
/// The most indexes of a project.
pub const INDEXES_MAX: usize = 32;
/// The most readers of a project.
pub const READERS_MAX: usize = 100;
/// The most routes of a project.
pub const ROUTES_MAX: usize = 200;
/// The most examples of a project.
pub const EXAMPLES_MAX: usize = 2_000;
/// The most words with synonyms of a locale.
pub const SYNONYMS_MAX: usize = 5_000;
/// The most pins of a project.
pub const PINS_MAX: usize = 1_000;
/// The longest query, example, synonym or pattern in the file, in bytes.
pub const TEXT_BYTES_MAX: usize = 500;
/// For how many days searches are kept at most.
pub const LOG_DAYS_MAX: u32 = 365;
/// The most terms of a chunk.
pub const CHUNK_TERMS_MAX: u32 = 2_000;
/// What `search` calls its own parameters: attributes cannot have these names.
pub const PARAMETERS: [&str; 12] = [
    "q",
    "locale",
    "index",
    "type",
    "limit",
    "offset",
    "mode",
    "facets",
    "version",
    "cursor",
    "indexes",
    "diversity",
];

/// What `retrieval.toml` says. The default is that of a project without the file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Index → its rules. An index that is not declared has the usual ones.
    pub indexes: BTreeMap<String, IndexRules>,
    /// How long chunks are.
    pub chunks: ChunkRules,
    /// Where entries say who they are for.
    pub attributes: AttributeFields,
    /// Who may see what.
    pub readers: Readers,
    /// Which indexes a query uses.
    pub routes: Routes,
    /// Locale or language → groups of words that mean the same.
    pub synonyms: BTreeMap<String, Vec<Vec<String>>>,
    /// Entries that some queries always find.
    pub pins: Vec<Pin>,
    /// What makes vectors.
    pub embedder: Embedder,
    /// What ranks the best hits again.
    pub rerank: Option<Rerank>,
    /// For how long searches are kept; `None` when they are not.
    pub log: Option<Log>,
    prepared: prepared::Locales,
}

/// The rules of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRules {
    /// What people call it.
    pub title: String,
    /// How soon after a release it should be searchable.
    pub freshness: Duration,
    /// Whether a query that says nothing of indexes uses it.
    pub default: bool,
    /// Whether readers may use it that do not list it.
    pub public: bool,
    /// Whether its hits are never mixed with those of others, unless a route says so.
    pub alone: bool,
    /// Whether its vectors are learned from its own content, whatever makes those of the others.
    pub lsa: bool,
    /// Its line in the file.
    pub line: usize,
}

impl IndexRules {
    /// The rules of an index that is not declared.
    #[must_use]
    pub fn usual() -> Self {
        let title = String::new();
        let freshness = Duration::from_secs(5);
        Self { title, freshness, default: true, public: true, alone: false, lsa: false, line: 1 }
    }
}

/// A field of entries: the name of a top-level field, or a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldPath(String);

impl FieldPath {
    /// The field with this name, or at this pointer.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The names on the way to the field.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        let (pointer, plain) = match self.0.strip_prefix('/') {
            Some(rest) => (Some(rest), None),
            None => (None, Some(self.0.clone())),
        };
        let steps = pointer.into_iter().flat_map(|rest| rest.split('/'));
        plain.into_iter().chain(steps.map(|step| step.replace("~1", "/").replace("~0", "~")))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where entries say who they are for. The same attributes apply to all types that have the fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AttributeFields {
    /// Attribute → the field with its values.
    pub values: BTreeMap<String, FieldPath>,
    /// The field with a range of versions.
    pub versions: Option<FieldPath>,
    /// The field with the time from which an entry is found.
    pub from: Option<FieldPath>,
    /// The field with the time until which an entry is found.
    pub until: Option<FieldPath>,
    /// The line of each in the file.
    #[serde(skip)]
    pub lines: BTreeMap<String, usize>,
}

/// An entry that a query always finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The query, as somebody may type it.
    pub query: String,
    /// The type of the entry.
    pub type_name: String,
    /// The id of the entry.
    pub id: String,
    /// The locale in which it applies; without one, all.
    pub locale: Option<String>,
    /// The last day (UTC) on which it applies.
    pub until: Option<Date>,
    /// Its line in the file.
    pub line: usize,
}

/// The log of searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// For how many days searches are kept.
    pub days: u32,
}

/// What makes vectors of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Embedder {
    /// Latent semantic analysis, learned from the content itself.
    #[default]
    Lsa,
    /// A model that learned elsewhere.
    Model(ModelRef),
}

/// A model that nodes offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// What kind of model it is.
    pub kind: ModelKind,
    /// What nodes call it.
    pub name: String,
    /// Whether an endpoint gets texts that not everybody may see.
    pub restricted: bool,
}

/// What ranks the best hits again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerank {
    /// What nodes call the model.
    pub model: String,
    /// How many of the best hits are ranked again.
    pub top: usize,
    /// Whether it gets texts that not everybody may see.
    pub restricted: bool,
}

impl Config {
    /// The rules of an index.
    #[must_use]
    pub fn index(&self, name: &str) -> IndexRules {
        self.indexes.get(name).cloned().unwrap_or_else(IndexRules::usual)
    }

    /// The index of a type: the one its contract names, else [`MAIN`] when it has a route. `None` when its entries are not
    /// searched.
    #[must_use]
    pub fn index_of<'a>(&self, named: Option<&'a str>, has_route: bool) -> Option<&'a str> {
        let main = has_route && (self.indexes.is_empty() || self.indexes.contains_key(MAIN));
        named.or(main.then_some(MAIN))
    }

    /// The model that makes the vectors of an index; `None` when they are learned from its content.
    #[must_use]
    pub fn model_of(&self, index: &str) -> Option<&ModelRef> {
        match &self.embedder {
            Embedder::Model(model) if !self.indexes.get(index).is_some_and(|rules| rules.lsa) => Some(model),
            _ => None,
        }
    }

    /// Whether a reader may use an index.
    #[must_use]
    pub fn may_use(&self, reader: &Reader, index: &str) -> bool {
        match reader.indexes() {
            Some(listed) => listed.contains(index),
            None => self.index(index).public,
        }
    }

    /// Words that mean the same, for queries in a locale. Those of the locale and of its language apply. They are prepared once for
    /// each locale, whose analyzer is given.
    #[must_use]
    pub fn synonyms(&self, locale: &str, analyzer: &Analyzer) -> Arc<Synonyms> {
        self.prepared.get(self, locale, analyzer).synonyms.clone()
    }

    /// The entries that a query in a locale always finds on a day, in the order of the file. Queries are compared by their
    /// terms. Whoever may not see an entry does not find it by a pin either; that is for the caller to check.
    #[must_use]
    pub fn pinned(&self, analyzer: &Analyzer, locale: &str, query: &str, today: Date) -> Vec<&Pin> {
        if self.pins.is_empty() {
            return Vec::new();
        }
        let numbers = self.prepared.get(self, locale, analyzer).pins_of(&analyzer.list(query));
        let pins = numbers.into_iter().filter_map(|number| self.pins.get(number));
        pins.filter(|pin| pin.until.is_none_or(|until| today <= until)).collect()
    }

    /// Everything that decides which chunks with which attributes the entries of a release have, as text: another text needs
    /// another build.
    #[must_use]
    pub fn indexing(&self) -> String {
        let names: Vec<&String> = self.indexes.keys().collect();
        let parts = (names, &self.chunks, &self.attributes);
        serde_json::to_string(&parts).unwrap_or_default()
    }
}
