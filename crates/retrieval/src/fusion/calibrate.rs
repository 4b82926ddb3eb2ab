//! Weights learned from a corpus.

use super::{
    Calibration, DIMENSIONS, LOOKED_AT, PASS_ON, SENTENCE, best, best_of, passed_on, questions::ask, scaled,
};
use crate::{
    corpus::Corpus,
    index::{Document, Hit, vectors},
    lexical::Lexical,
    text::Analyzer,
    vector::{Lsa, Vectors},
};

/// The fewest questions to learn from.
const QUESTIONS_MIN: usize = 20;
/// Ranks that count.
const RANKS: usize = 10;
/// Vectors whose quality is below this share of the words' are not trusted at all; those that equal the words are trusted fully.
const TRUST_FROM: f32 = 0.8;

/// A document that may answer a question.
struct Candidate {
    document: u32,
    words: f32,
    meaning: f32,
    sentence: f32,
}

/// What both legs found for a question.
struct Found {
    covered: f32,
    candidates: Vec<Candidate>,
    answer: u32,
}

impl Found {
    /// The gain of the right document: 1 at the first rank, less below, 0 where it is not among the first ten.
    fn gain(&self, vectors: &Vectors, calibration: &Calibration) -> f32 {
        let weight = calibration.vector_weight(self.covered);
        let mut hits: Vec<Hit> = self
            .candidates
            .iter()
            .map(|c| {
                let score = (1.0 - weight) * c.words + weight * c.meaning + SENTENCE * c.sentence;
                Hit { document: c.document, score }
            })
            .collect();
        let weight = calibration.neighbour_weight(self.covered);
        if weight > 0.0 {
            let first = best_of(hits.clone(), PASS_ON);
            for hit in &mut hits {
                hit.score += weight * passed_on(vectors, &first, hit.document);
            }
        }
        self.gain_of(&best_of(hits, RANKS))
    }

    fn gain_by(&self, score: impl Fn(&Candidate) -> f32) -> f32 {
        let hits = self.candidates.iter().map(|c| Hit { document: c.document, score: score(c) }).collect();
        self.gain_of(&best_of(hits, RANKS))
    }

    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    fn gain_of(&self, hits: &[Hit]) -> f32 {
        hits.iter()
            .position(|hit| hit.document == self.answer)
            .map_or(0.0, |rank| 1.0 / (rank as f32 + 2.0).log2())
    }
}

/// Learns how far to trust the vectors of a corpus from questions that it asks itself. The questions give one figure, the quality of
/// the vectors relative to that of the words, because finer settings that are fitted to them follow chance.
#[must_use]
pub fn calibrate(analyzer: &Analyzer, documents: &[Document<'_>]) -> Calibration {
    let exam = ask(analyzer, documents);
    if exam.questions.len() < QUESTIONS_MIN {
        return Calibration::default();
    }
    let corpus = Corpus::read(analyzer, exam.texts.iter().map(String::as_str));
    let lexical = Lexical::of(&corpus);
    let lsa = Lsa::learn(&corpus, DIMENSIONS);
    let vectors = vectors(&corpus, &lsa, lsa.dimensions());
    let found: Vec<Found> = exam
        .questions
        .iter()
        .map(|question| {
            let query = corpus.query(analyzer, &question.text);
            let meaning = vectors.scores(&lsa.embed(query.iter().copied()));
            look(&lexical, &query, meaning, question.answer)
        })
        .collect();
    let words = mean(&found.iter().map(|f| f.gain_by(|c| c.words)).collect::<Vec<_>>());
    let meaning = mean(&found.iter().map(|f| f.gain_by(|c| c.meaning)).collect::<Vec<_>>());
    let trust = ((meaning / words.max(f32::MIN_POSITIVE) - TRUST_FROM) / (1.0 - TRUST_FROM)).clamp(0.0, 1.0);
    let mut learned = Calibration {
        dimensions: lsa.dimensions(),
        trust,
        questions: found.len(),
        quality: [words, meaning, 0.0],
    };
    learned.quality[2] = mean(&found.iter().map(|f| f.gain(&vectors, &learned)).collect::<Vec<_>>());
    learned
}

fn look(lexical: &Lexical, query: &[(u32, u32)], mut meaning: Vec<f32>, answer: u32) -> Found {
    let mut words = lexical.scores(query);
    let covered = best(&words, 1).first().map_or(0.0, |top| lexical.coverage(query, top.document).0);
    scaled(&mut words);
    scaled(&mut meaning);
    let both: Vec<f32> = words.iter().zip(&meaning).map(|(a, b)| a + b).collect();
    let mut numbers: Vec<u32> = [&words, &meaning, &both]
        .into_iter()
        .flat_map(|scores| best(scores, LOOKED_AT / 2))
        .map(|hit| hit.document)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let candidates = numbers
        .into_iter()
        .map(|document| Candidate {
            document,
            words: words[document as usize],
            meaning: meaning[document as usize],
            sentence: lexical.coverage(query, document).1,
        })
        .collect();
    Found { covered, candidates, answer }
}

#[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}
