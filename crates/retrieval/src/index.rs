//! An index over documents, in memory.

use serde::{Deserialize, Serialize};

use crate::{
    corpus::Corpus,
    fusion::{self, Calibration, calibrate},
    lexical::Lexical,
    text::Analyzer,
    vector::{Lsa, Vectors},
};

/// A text with its title, which may be empty.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// What it is called.
    pub title: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl Document<'_> {
    /// Title and text as they are indexed.
    #[must_use]
    pub fn whole(&self) -> String {
        if self.title.is_empty() { self.text.to_owned() } else { format!("{}\n\n{}", self.title, self.text) }
    }
}

/// Which legs a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Words alone.
    Bm25,
    /// Meaning alone.
    Vector,
    /// Both, weighed by what was learned from the corpus.
    Hybrid,
}

/// A document that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The number of the document.
    pub document: u32,
    /// How well it answers the query. Scores of different queries or modes do not compare.
    pub score: f32,
}

/// An index.
#[derive(Debug)]
pub struct Index {
    analyzer: Analyzer,
    corpus: Corpus,
    lexical: Lexical,
    lsa: Lsa,
    vectors: Vectors,
    calibration: Calibration,
}

impl Index {
    /// Indexes documents in the language of a locale, and learns how to weigh the legs.
    #[must_use]
    pub fn build(locale: &str, documents: &[Document<'_>]) -> Self {
        let analyzer = Analyzer::for_locale(locale);
        let calibration = calibrate(&analyzer, documents);
        let whole: Vec<String> = documents.iter().map(Document::whole).collect();
        let corpus = Corpus::read(&analyzer, whole.iter().map(String::as_str));
        let lexical = Lexical::of(&corpus);
        let lsa = Lsa::learn(&corpus, calibration.dimensions);
        let vectors = vectors(&corpus, &lsa, lsa.dimensions());
        Self { analyzer, corpus, lexical, lsa, vectors, calibration }
    }

    /// What was learned from the corpus.
    #[must_use]
    pub const fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// The best documents for a query, the best first. A query without a known term finds nothing; with [`Mode::Vector`] neither does
    /// one whose terms are in one document each, because nothing is known of their company.
    #[must_use]
    pub fn search(&self, query: &str, mode: Mode, limit: usize) -> Vec<Hit> {
        let query = self.corpus.query(&self.analyzer, query);
        if query.is_empty() {
            return Vec::new();
        }
        let vector = self.lsa.embed(query.iter().copied());
        let meaning = || self.vectors.scores(&vector);
        match mode {
            Mode::Bm25 => {
                let mut hits = fusion::best(&self.lexical.scores(&query), limit);
                hits.retain(|hit| hit.score > 0.0);
                hits
            }
            Mode::Vector if vector.iter().all(|value| *value == 0.0) => Vec::new(),
            Mode::Vector => fusion::best(&meaning(), limit),
            Mode::Hybrid => {
                let words = self.lexical.scores(&query);
                let legs = (&self.lexical, &self.vectors);
                fusion::fuse(legs, &query, words, meaning(), &self.calibration, limit)
            }
        }
    }
}

/// The vectors of all texts of a corpus.
pub(crate) fn vectors(corpus: &Corpus, lsa: &Lsa, dimensions: usize) -> Vectors {
    let mut vectors = Vectors::new(dimensions);
    for text in 0..corpus.len() {
        vectors.push(&lsa.embed(corpus.text(text).iter().map(|found| (found.term, found.count))));
    }
    vectors
}
