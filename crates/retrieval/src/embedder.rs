//! Vectors from elsewhere: a model that has learned from other texts than those of the corpus.

use std::{fmt, num::NonZero, thread};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{
    corpus::Corpus,
    fusion::{self, Calibration},
    index::Document,
    sample::END,
    text::{Analyzer, sentences},
    vector::{Random, Vectors},
};

/// Documents that are looked at to see how far an embedder is to be trusted.
const SAMPLE_MAX: usize = 10_000;
/// Documents that are asked about.
const ASKED_MAX: usize = 300;
/// The fewest terms of a sentence that is asked.
const TERMS_MIN: usize = 4;
/// The fewest sentences of a document that one is taken from.
const SENTENCES_MIN: usize = 3;

/// What kind of model makes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// A table of token vectors in a directory.
    Static,
    /// A sentence transformer in a directory.
    Transformer,
    /// An endpoint that speaks the embeddings format of OpenAI.
    Endpoint,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Transformer => "transformer",
            Self::Endpoint => "endpoint",
        })
    }
}

/// Why a model cannot be used now. The text names no file and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The node does not offer it.
    #[error("this node has no model `{0}`; add it to models.toml")]
    Unknown(String),
    /// It is of another kind.
    #[error("retrieval.toml names `{name}` as {wanted}, but models.toml says {found}")]
    Kind {
        /// Its name.
        name: String,
        /// What `retrieval.toml` says.
        wanted: ModelKind,
        /// What the node offers.
        found: ModelKind,
    },
    /// It was asked and failed.
    #[error("the model `{name}` failed: {why}")]
    Failed {
        /// Its name.
        name: String,
        /// What happened.
        why: String,
    },
}

/// Turns texts into vectors of one length, so that texts that mean the same come close.
pub trait Embedder: Sync {
    /// The length of its vectors.
    fn dimensions(&self) -> usize;

    /// The vector of a text; zeros when nothing is known of it.
    fn embed(&self, text: &str) -> Vec<f32>;

    /// The vectors of texts, in their order. What computes them here uses all cores.
    ///
    /// # Errors
    /// When what makes them does not answer as it should.
    fn embed_all(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = texts.len().div_ceil(threads).max(1);
        Ok(thread::scope(|scope| {
            let one = |texts: &'_ [String]| texts.iter().map(|text| self.embed(text)).collect::<Vec<_>>();
            let running: Vec<_> = texts.chunks(share).map(|texts| scope.spawn(move || one(texts))).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        }))
    }
}

/// A question, and the place of the text that answers it.
struct Question {
    text: String,
    answer: u32,
}

/// Learns how far an embedder is trusted in a corpus, from questions that the corpus asks itself: a sentence is taken out of a document,
/// and what is left is what it, some of its words, and the title should find. `vectors` are those of the documents.
///
/// # Errors
/// When the embedder fails.
pub fn trust(
    embedder: &dyn Embedder,
    analyzer: &Analyzer,
    documents: &[Document<'_>],
    vectors: &[Vec<f32>],
) -> Result<Calibration, ModelError> {
    let mut random = Random(documents.len() as u64);
    let mut order: Vec<usize> = (0..documents.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    order.truncate(SAMPLE_MAX);
    let (mut texts, mut questions) = (Vec::with_capacity(order.len()), Vec::new());
    let mut changed: Vec<usize> = Vec::new();
    for (place, number) in order.iter().enumerate() {
        let document = documents[*number];
        let may = place < order.len() / 2 && changed.len() < ASKED_MAX;
        let Some(asked) = may.then(|| sentence(analyzer, document.text, &mut random)).flatten() else {
            texts.push(document.whole());
            continue;
        };
        let from = asked.as_ptr() as usize - document.text.as_ptr() as usize;
        changed.push(place);
        texts.push(format!("{}\n\n{}", &document.text[..from], &document.text[from + asked.len()..]));
        let answer = u32::try_from(place).unwrap_or(u32::MAX);
        let title = Some(document.title).filter(|title| !title.is_empty() && *title != asked);
        let asked = [Some(asked.to_owned()), Some(keywords(asked, &mut random)), title.map(str::to_owned)];
        questions.extend(asked.into_iter().flatten().map(|text| Question { text, answer }));
    }
    let rewritten: Vec<String> = changed.iter().map(|place| texts[*place].clone()).collect();
    let mut fresh = changed.into_iter().zip(embedder.embed_all(&rewritten)?).peekable();
    let mut own = Vectors::new(embedder.dimensions());
    for (place, number) in order.iter().enumerate() {
        match fresh.next_if(|(changed, _)| *changed == place) {
            Some((_, vector)) => own.push(&vector),
            None => own.push(&vectors[*number]),
        }
    }
    let asked: Vec<String> = questions.iter().map(|question| question.text.clone()).collect();
    let asked = embedder.embed_all(&asked)?;

    let mut numbers: FxHashMap<String, u32> = FxHashMap::default();
    let texts: Vec<Vec<u32>> = texts.iter().map(|text| terms(analyzer, text, &mut numbers)).collect();
    let queries: Vec<Vec<u32>> =
        questions.iter().map(|question| terms(analyzer, &question.text, &mut numbers)).collect();
    let corpus = Corpus::of(numbers.len(), texts.iter().map(Vec::as_slice));
    let questions = questions
        .iter()
        .zip(queries)
        .zip(asked)
        .map(|((question, terms), vector)| (corpus.query(&terms), vector, question.answer));
    Ok(fusion::learn(&corpus, &own, questions.collect()))
}

/// The terms of a text by number, with [`END`] after each sentence.
fn terms(analyzer: &Analyzer, text: &str, numbers: &mut FxHashMap<String, u32>) -> Vec<u32> {
    let mut out = Vec::new();
    for sentence in sentences(text) {
        analyzer.terms(sentence, |term| {
            let fresh = u32::try_from(numbers.len()).unwrap_or(END);
            out.push(match numbers.get(term) {
                Some(number) => *number,
                None => *numbers.entry(term.to_owned()).or_insert(fresh),
            });
        });
        out.push(END);
    }
    out
}

/// A sentence that is worth asking.
fn sentence<'a>(analyzer: &Analyzer, text: &'a str, random: &mut Random) -> Option<&'a str> {
    let all: Vec<&str> = sentences(text).collect();
    if all.len() < SENTENCES_MIN {
        return None;
    }
    // A few tries find one, or there are few.
    (0..4).map(|_| all[random.below(all.len())]).find(|one| {
        let mut terms = analyzer.list(one);
        terms.sort_unstable();
        terms.dedup();
        terms.len() >= TERMS_MIN
    })
}

/// Some words of a sentence, as people type them into a search box.
fn keywords(sentence: &str, random: &mut Random) -> String {
    let mut words: Vec<&str> = sentence.split_whitespace().collect();
    let wanted = 2 + random.below(5);
    while words.len() > wanted {
        // Long words say more: of two, the shorter goes.
        let (a, b) = (random.below(words.len()), random.below(words.len()));
        words.remove(if words[a].len() < words[b].len() { a } else { b });
    }
    words.join(" ")
}
