//! Weights learned from a corpus.

use super::{
    CURVE_MAX, Calibration, DIMENSIONS, LOOKED_AT, PASS_ON, QUALITY_MAX, STANDS_OUT_AT, Scored, Signs, USUAL,
    best, best_of, between, passed_on, questions::ask, scaled,
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
/// How far corpora differ from what is usual. Few questions tell little, so what they say counts together with what is usual.
const SPREAD: f32 = 0.25;

/// A text that may answer a question.
struct Candidate {
    text: u32,
    words: f32,
    meaning: f32,
    sentence: f32,
}

/// What both legs found for a question.
struct Found {
    signs: Signs,
    candidates: Vec<Candidate>,
    answer: u32,
}

impl Found {
    /// The gain of the right text: 1 at the first rank, less below, 0 where it is not among the first ten.
    fn gain(&self, vectors: &Vectors, calibration: &Calibration) -> f32 {
        let weights = calibration.weights(self.signs);
        let mut hits: Vec<Scored> = self
            .candidates
            .iter()
            .map(|c| {
                let score = (1.0 - weights.vector) * c.words
                    + weights.vector * c.meaning
                    + weights.sentence * c.sentence;
                Scored { text: c.text, score }
            })
            .collect();
        if weights.neighbours > 0.0 {
            let first = best_of(hits.clone(), PASS_ON);
            for hit in &mut hits {
                hit.score +=
                    weights.neighbours * passed_on(&first, |n| vectors.closeness(first[n].text, hit.text));
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

/// Learns how far to trust the vectors of a corpus from questions that it asks itself. The questions give one curve, the quality of
/// the vectors relative to that of the words by how far the first vectors stand out, because finer settings that are fitted to
/// them follow chance.
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
    let stands_out: Vec<f32> = found.iter().map(|f| f.signs.stands_out).collect();
    let mut learned = Calibration {
        dimensions: vectors.dimensions(),
        trust: 0.0,
        questions: found.len(),
        quality: [words, meaning, 0.0],
        curve: curve(&stands_out, &by_words, &by_meaning),
    };
    learned.trust = mean(&stands_out.iter().map(|far| learned.trust_in(*far)).collect::<Vec<_>>());
    learned.quality[2] = mean(&found.iter().map(|f| f.gain(vectors, &learned)).collect::<Vec<_>>());
    learned
}

/// The quality of vectors as a share of that of words, by how far the first vectors stand out: what the questions say and what is usual,
/// weighed by how certain each is. Vectors that stand out further are never taken for worse.
#[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
fn curve(stands_out: &[f32], words: &[f32], meaning: &[f32]) -> Vec<[f32; 2]> {
    let mut order: Vec<usize> = (0..stands_out.len()).collect();
    order.sort_by(|a, b| stands_out[*a].total_cmp(&stands_out[*b]).then(a.cmp(b)));
    // Points that would fall are averaged: where, how good, and of how many.
    let mut points: Vec<(Vec<f32>, f32)> = Vec::new();
    for same in order.chunks(order.len().div_ceil(CURVE_MAX).max(1)) {
        let of = |values: &[f32]| mean(&same.iter().map(|n| values[*n]).collect::<Vec<_>>());
        let at = of(stands_out);
        let mut quality = between(&USUAL, at);
        let gained = of(words);
        if gained > 0.0 {
            let ratio = of(meaning) / gained;
            let errors: Vec<f32> = same.iter().map(|n| (meaning[*n] - ratio * words[*n]).powi(2)).collect();
            let variance = mean(&errors) / same.len() as f32 / gained.powi(2);
            let certain = SPREAD.powi(2) / (SPREAD.powi(2) + variance);
            quality += certain * (ratio.min(QUALITY_MAX) - quality);
        }
        points.push((vec![at], quality));
        while let [.., (_, before), (_, last)] = points.as_slice()
            && before > last
        {
            let (Some((more, last)), Some((places, before))) = (points.pop(), points.last_mut()) else {
                break;
            };
            let (a, b) = (places.len() as f32, more.len() as f32);
            *before = (*before * a + last * b) / (a + b);
            places.extend(more);
        }
    }
    points.into_iter().flat_map(|(places, quality)| places.into_iter().map(move |at| [at, quality])).collect()
}

fn look(lexical: &Lexical, query: &[(u32, u32)], mut meaning: Vec<f32>, answer: u32) -> Found {
    let mut words = lexical.scores(query);
    let covered = best(&words, 1).first().map_or(0.0, |top| lexical.coverage(query, top.text).0);
    scaled(&mut words);
    scaled(&mut meaning);
    let first = best(&meaning, STANDS_OUT_AT);
    let stands_out = match (first.first(), first.last()) {
        (Some(first), Some(last)) => first.score - last.score,
        _ => 0.0,
    };
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
    Found { signs: Signs { covered, stands_out }, candidates, answer }
}

#[expect(clippy::cast_precision_loss, reason = "there are a few hundred")]
fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The questions decide where there are many; few of them leave what is usual. What would fall is level.
    #[test]
    fn a_curve_follows_many_questions() {
        let far: Vec<f32> = (0..500_u16).map(|n| f32::from(n) / 1_000.0).collect();
        let words = vec![0.5; 500];
        let meaning: Vec<f32> = far.iter().map(|far| if *far < 0.3 { 0.1 } else { 0.6 }).collect();
        let learned = curve(&far, &words, &meaning);
        assert_eq!(learned.len(), CURVE_MAX);
        assert!(
            (between(&learned, 0.05) - 0.2).abs() < 0.02 && (between(&learned, 0.45) - 1.2).abs() < 0.02,
            "{learned:?}"
        );
        let falling: Vec<f32> = far.iter().map(|far| 0.6 - far).collect();
        let level = curve(&far, &words, &falling);
        assert!(level.iter().all(|point| (point[1] - level[0][1]).abs() < 1e-5), "{level:?}");
        let noisy: Vec<f32> = (0..5_u8).map(|n| f32::from(n % 2)).collect();
        let usual = curve(&[0.2; 5], &[0.2; 5], &noisy);
        assert!(usual.iter().all(|point| point[1] < 1.1), "{usual:?}");
        let none = curve(&[0.2, 0.3], &[0.0, 0.0], &[1.0, 0.0]);
        assert!(none.iter().all(|[at, quality]| (quality - between(&USUAL, *at)).abs() < 1e-6), "{none:?}");
    }
}
