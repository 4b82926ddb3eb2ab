//! Weights learned from a corpus.

use super::{
    Calibration, DIMENSIONS, LOOKED_AT, PASS_ON, SENTENCE, Scored, best, best_of, passed_on, questions::ask,
    scaled,
};
use crate::{
    corpus::Corpus,
    lexical::Lexical,
    sample::Sample,
    vector::{Lsa, Vectors, vectors},
};

/// The fewest questions to learn from.
const QUESTIONS_MIN: usize = 20;
/// Ranks that count.
const RANKS: usize = 10;
/// Vectors whose quality is below this share of the words' are not trusted at all; those that equal the words are trusted fully.
const TRUST_FROM: f32 = 0.8;

/// The trust that is usual, and how far corpora differ from it. Few questions tell little, so both count together with them.
const TRUST_USUAL: f32 = 0.6;
const TRUST_SPREAD: f32 = 0.5;

/// A text that may answer a question.
struct Candidate {
    text: u32,
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
    /// The gain of the right text: 1 at the first rank, less below, 0 where it is not among the first ten.
    fn gain(&self, vectors: &Vectors, calibration: &Calibration) -> f32 {
        let weight = calibration.vector_weight(self.covered);
        let mut hits: Vec<Scored> = self
            .candidates
            .iter()
            .map(|c| {
                let score = (1.0 - weight) * c.words + weight * c.meaning + SENTENCE * c.sentence;
                Scored { text: c.text, score }
            })
            .collect();
        let weight = calibration.neighbour_weight(self.covered);
        if weight > 0.0 {
            let first = best_of(hits.clone(), PASS_ON);
            for hit in &mut hits {
                hit.score += weight * passed_on(&first, |n| vectors.closeness(first[n].text, hit.text));
            }
        }
        self.gain_of(&best_of(hits, RANKS))
    }

    fn gain_by(&self, score: impl Fn(&Candidate) -> f32) -> f32 {
        let hits = self.candidates.iter().map(|c| Scored { text: c.text, score: score(c) }).collect();
        self.gain_of(&best_of(hits, RANKS))
    }

    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    fn gain_of(&self, hits: &[Scored]) -> f32 {
        hits.iter()
            .position(|hit| hit.text == self.answer)
            .map_or(0.0, |rank| 1.0 / (rank as f32 + 2.0).log2())
    }
}

/// Learns how far to trust the vectors of a corpus from questions that it asks itself. The questions give one figure, the quality of
/// the vectors relative to that of the words, because finer settings that are fitted to them follow chance.
pub(crate) fn calibrate(sample: &Sample) -> Calibration {
    let exam = ask(sample);
    if exam.questions.len() < QUESTIONS_MIN {
        return Calibration::default();
    }
    let corpus = Corpus::of(sample.hashes.len(), exam.texts.iter().map(Vec::as_slice));
    let lsa = Lsa::learn(&corpus, DIMENSIONS);
    let questions = exam.questions.iter().map(|question| {
        let query = corpus.query(&question.terms);
        let vector = lsa.embed(query.iter().copied());
        (query, vector, question.answer)
    });
    learn(&corpus, &vectors(&corpus, &lsa), questions.collect())
}

/// A question: its terms with their counts, its vector, and the text that answers it.
pub(crate) type Asked = (Vec<(u32, u32)>, Vec<f32>, u32);

/// Learns from questions about a corpus with its vectors.
pub(crate) fn learn(corpus: &Corpus, vectors: &Vectors, questions: Vec<Asked>) -> Calibration {
    if questions.len() < QUESTIONS_MIN {
        return Calibration { dimensions: vectors.dimensions(), ..Calibration::default() };
    }
    let lexical = Lexical::of(corpus);
    let found: Vec<Found> = questions
        .into_iter()
        .map(|(query, vector, answer)| look(&lexical, &query, vectors.scores(&vector), answer))
        .collect();
    let by_words: Vec<f32> = found.iter().map(|f| f.gain_by(|c| c.words)).collect();
    let by_meaning: Vec<f32> = found.iter().map(|f| f.gain_by(|c| c.meaning)).collect();
    let (words, meaning) = (mean(&by_words), mean(&by_meaning));
    let trust = trust(&by_words, &by_meaning);
    let mut learned = Calibration {
        dimensions: vectors.dimensions(),
        trust,
        questions: found.len(),
        quality: [words, meaning, 0.0],
    };
    learned.quality[2] = mean(&found.iter().map(|f| f.gain(vectors, &learned)).collect::<Vec<_>>());
    learned
}

/// How far vectors are trusted that gain so much where words gain so much: what the questions say and what is usual, weighed by how
/// certain each is.
#[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
fn trust(words: &[f32], meaning: &[f32]) -> f32 {
    let average = mean(words).max(f32::MIN_POSITIVE);
    let ratio = mean(meaning) / average;
    let of = |ratio: f32| (ratio - TRUST_FROM) / (1.0 - TRUST_FROM);
    let errors: Vec<f32> = words.iter().zip(meaning).map(|(w, m)| (m - ratio * w).powi(2)).collect();
    let variance = mean(&errors) / words.len().max(1) as f32 / (average * (1.0 - TRUST_FROM)).powi(2);
    let certain = TRUST_SPREAD.powi(2) / (TRUST_SPREAD.powi(2) + variance);
    let measured = of(ratio).clamp(0.0, 1.0);
    if certain.is_finite() { TRUST_USUAL + certain * (measured - TRUST_USUAL) } else { TRUST_USUAL }
}

fn look(lexical: &Lexical, query: &[(u32, u32)], mut meaning: Vec<f32>, answer: u32) -> Found {
    let mut words = lexical.scores(query);
    let covered = best(&words, 1).first().map_or(0.0, |top| lexical.coverage(query, top.text).0);
    scaled(&mut words);
    scaled(&mut meaning);
    let both: Vec<f32> = words.iter().zip(&meaning).map(|(a, b)| a + b).collect();
    let mut numbers: Vec<u32> = [&words, &meaning, &both]
        .into_iter()
        .flat_map(|scores| best(scores, LOOKED_AT / 2))
        .map(|hit| hit.text)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let candidates = numbers
        .into_iter()
        .map(|text| Candidate {
            text,
            words: words[text as usize],
            meaning: meaning[text as usize],
            sentence: lexical.coverage(query, text).1,
        })
        .collect();
    Found { covered, candidates, answer }
}

#[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}
