//! Both legs together, over the chunks that are looked at; see [`crate::fusion`] for what the weights mean.

use super::{Shelf, choice::Choice, words::Words};
use crate::{
    basis::{QueryVector, range},
    fusion::{
        Calibration, LOOKED_AT, PASS_ON, STANDS_OUT_AT, Scored, Signs, Weights, best_of, in_order, passed_on,
    },
    segment::CHUNKS_MAX,
};

/// Parts whose postings are read before the first of them is needed.
const TOUCHED: usize = 16;

/// The scores of all chunks of a shelf. Those that are not looked at have none that counts.
pub(super) struct Legs {
    words: Vec<f32>,
    meaning: Vec<f32>,
    words_range: Span,
    meaning_range: Span,
    /// The meaning of the tenth chunk, or of the last when there are fewer.
    tenth: f32,
    /// The chunk whose words answer best.
    top: Option<u32>,
    /// The highest scores of each part, by words and by meaning.
    highest: Vec<[f32; 2]>,
    /// How many chunks have a word of the query.
    pub matched: usize,
}

/// The lowest and the highest of some scores.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: f32,
    high: f32,
}

impl Span {
    const EMPTY: Self = Self { low: f32::MAX, high: f32::MIN };

    const fn add(&mut self, score: f32) {
        self.low = self.low.min(score);
        self.high = self.high.max(score);
    }

    /// The range of many scores.
    fn of(scores: &[f32]) -> Self {
        range(scores).map_or(Self::EMPTY, |(low, high)| Self { low, high })
    }

    /// The range of the scores of both.
    const fn and(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// What a score must be multiplied with so that the range has some length.
    fn factor(self, length: f32) -> f32 {
        let range = self.high - self.low;
        if range > 0.0 && range.is_finite() { length / range } else { 0.0 }
    }

    /// Brings a score to the range from 0 to 1.
    fn scaled(self, score: f32) -> f32 {
        let range = self.high - self.low;
        if range > 0.0 { (score - self.low) / range } else { 0.0 }
    }
}

impl Legs {
    /// Scores the chunks of a choice.
    pub fn of(
        shelf: &Shelf,
        counted: &[Choice],
        eligible: &[Choice],
        words: &Words,
        query: Option<&QueryVector>,
    ) -> Self {
        let total = shelf.len();
        let mut legs = Self {
            words: vec![0.0; total],
            meaning: if query.is_some() { vec![0.0; total] } else { Vec::new() },
            words_range: Span::EMPTY,
            meaning_range: Span::EMPTY,
            tenth: 0.0,
            top: None,
            highest: vec![[f32::MIN; 2]; shelf.parts.len()],
            matched: 0,
        };
        let mut best = 0.0;
        let mut first = Top::new(STANDS_OUT_AT, f32::NEG_INFINITY);
        let mut numbers: Vec<u16> = Vec::new();
        for (number, part) in shelf.parts.iter().enumerate() {
            if number % TOUCHED == 0 {
                words.touch(shelf, number..(number + TOUCHED).min(shelf.parts.len()));
            }
            let (choice, range) = (&eligible[number], shelf.range(number));
            if choice.count == 0 {
                continue;
            }
            let scores = &mut legs.words[range.clone()];
            words.score(&part.segment, number, &counted[number], scores);
            let span = if choice.whole {
                legs.matched += scores.iter().map(|score| usize::from(*score > 0.0)).sum::<usize>();
                Span::of(scores)
            } else {
                let (mut span, matched) = (Span::EMPTY, &mut legs.matched);
                choice.each(|chunk| {
                    span.add(scores[chunk]);
                    *matched += usize::from(scores[chunk] > 0.0);
                });
                span
            };
            legs.words_range = legs.words_range.and(span);
            let high = span.high;
            legs.highest[number][0] = high;
            if high > best {
                best = high;
                let mut first = None;
                choice.each(|chunk| {
                    if scores[chunk] >= high && first.is_none() {
                        first = u32::try_from(range.start + chunk).ok();
                    }
                });
                legs.top = first;
            }
            if let (Some(query), Some(vectors)) = (query, &part.vectors) {
                let scores = &mut legs.meaning[range];
                let span = if choice.whole {
                    vectors.scores(query, scores);
                    Span::of(scores)
                } else {
                    numbers.clear();
                    choice.each(|chunk| numbers.push(u16::try_from(chunk).unwrap_or(u16::MAX)));
                    vectors.scores_of(&numbers, query, scores);
                    let mut span = Span::EMPTY;
                    choice.each(|chunk| span.add(scores[chunk]));
                    span
                };
                legs.meaning_range = legs.meaning_range.and(span);
                legs.highest[number][1] = span.high;
                if span.high > first.floor {
                    choice.each(|chunk| first.add(chunk, scores[chunk]));
                }
            }
        }
        legs.tenth = first.finish().last().map_or(0.0, |tenth| tenth.score);
        legs
    }

    /// Whether a chunk has a word of the query.
    pub fn has_word(&self, text: usize) -> bool {
        self.words.get(text).is_some_and(|score| *score > 0.0)
    }

    /// What the words that the best chunk has weigh together.
    pub fn covered(&self, shelf: &Shelf, words: &Words) -> f32 {
        self.top.map_or(0.0, |top| {
            let (part, chunk) = shelf.place(top);
            words.coverage(&shelf.parts[part].segment, part, chunk).0
        })
    }

    /// The best by words alone.
    pub fn by_words(&self, shelf: &Shelf, eligible: &[Choice], limit: usize) -> Vec<Scored> {
        let mut top = Top::new(limit, 0.0);
        for (number, choice) in eligible.iter().enumerate() {
            if self.highest[number][0] > top.floor {
                let start = shelf.range(number).start;
                choice.each(|chunk| top.add(start + chunk, self.words[start + chunk]));
            }
        }
        top.finish()
    }

    /// The best by meaning alone.
    pub fn by_meaning(
        &self,
        shelf: &Shelf,
        eligible: &[Choice],
        query: &QueryVector,
        limit: usize,
    ) -> Vec<Scored> {
        let mut top = Top::new(limit.max(LOOKED_AT), f32::NEG_INFINITY);
        for (number, choice) in eligible.iter().enumerate() {
            if self.highest[number][1] > top.floor {
                let start = shelf.range(number).start;
                let score = |chunk: usize| self.meaning.get(start + chunk).copied().unwrap_or(0.0);
                choice.each(|chunk| top.add(start + chunk, score(chunk)));
            }
        }
        let mut hits = top.finish();
        for hit in &mut hits {
            hit.score += shelf.rest(hit.text, query);
        }
        hits.sort_unstable_by(in_order);
        hits.truncate(limit);
        hits
    }

    /// The best by both. `covered` is the share of the query's weight that the best chunk covers.
    pub fn fused(
        &self,
        shelf: &Shelf,
        eligible: &[Choice],
        words: &Words,
        meaning: Option<(&QueryVector, &Calibration)>,
        covered: f32,
        limit: usize,
    ) -> Vec<Scored> {
        let calibration = meaning.map(|(_, calibration)| calibration);
        let stands_out = if meaning.is_some() { 1.0 - self.meaning_range.scaled(self.tenth) } else { 0.0 };
        let weights = calibration
            .map_or(Weights::WORDS, |calibration| calibration.weights(Signs { covered, stands_out }));
        let weight = weights.vector;
        let floor = if calibration.is_some() { f32::NEG_INFINITY } else { 0.0 };
        let mut top = Top::new(limit.max(LOOKED_AT), floor);
        // Without vectors only chunks that have a word are found, so nothing is taken off the lowest score.
        let span =
            if calibration.is_some() { self.words_range } else { Span { low: 0.0, ..self.words_range } };
        let (by_words, by_meaning) = (span.factor(1.0 - weight), self.meaning_range.factor(weight));
        let base = -span.low.min(f32::MAX) * by_words - self.meaning_range.low * by_meaning;
        let mut scores = [0.0_f32; CHUNKS_MAX];
        for (number, choice) in eligible.iter().enumerate().filter(|(_, choice)| choice.count > 0) {
            // No chunk of the part has more: factors are not negative, and rounding keeps the order.
            let [highest_words, highest_meaning] = self.highest[number];
            let most = if self.meaning.is_empty() {
                highest_words * by_words + base
            } else {
                highest_words * by_words + highest_meaning * by_meaning + base
            };
            if most <= top.floor {
                continue;
            }
            let range = shelf.range(number);
            let scores = &mut scores[..range.len().min(CHUNKS_MAX)];
            let words = &self.words[range.clone()];
            match self.meaning.get(range.clone()) {
                Some(meaning) => {
                    for ((score, words), meaning) in scores.iter_mut().zip(words).zip(meaning) {
                        *score = words * by_words + meaning * by_meaning + base;
                    }
                }
                None => {
                    for (score, words) in scores.iter_mut().zip(words) {
                        *score = words * by_words + base;
                    }
                }
            }
            choice.each(|chunk| top.add(range.start + chunk, scores[chunk]));
        }
        let mut hits = top.finish();
        let looked_at = hits.len().min(LOOKED_AT);
        self.look_closely(shelf, words, meaning, &weights, &mut hits[..looked_at]);
        hits.truncate(limit);
        hits
    }

    /// Looks closely at the best: at exact vectors, at single sentences, and at which chunks are close to each other.
    fn look_closely(
        &self,
        shelf: &Shelf,
        words: &Words,
        meaning: Option<(&QueryVector, &Calibration)>,
        weights: &Weights,
        near: &mut [Scored],
    ) {
        let range = self.meaning_range.high - self.meaning_range.low;
        if let Some((query, _)) = meaning.filter(|_| range > 0.0) {
            for hit in &mut *near {
                hit.score += weights.vector * shelf.rest(hit.text, query) / range;
            }
            near.sort_unstable_by(in_order);
        }
        let mass = words.mass().0;
        if mass > 0.0 {
            for hit in &mut *near {
                let (part, chunk) = shelf.place(hit.text);
                hit.score +=
                    weights.sentence * words.coverage(&shelf.parts[part].segment, part, chunk).1 / mass;
            }
            near.sort_unstable_by(in_order);
        }
        if weights.neighbours > 0.0 {
            let first: Vec<Scored> = near.iter().take(PASS_ON).copied().collect();
            let vectors: Vec<Option<QueryVector>> = first.iter().map(|hit| shelf.vector(hit.text)).collect();
            for hit in &mut *near {
                let close = |n: usize| vectors[n].as_ref().map_or(0.0, |v| shelf.closeness(hit.text, v));
                hit.score += weights.neighbours * passed_on(&first, close);
            }
            near.sort_unstable_by(in_order);
        }
    }
}

/// The best of many scores that come by in the order of their numbers.
struct Top {
    limit: usize,
    /// Only what is above counts.
    floor: f32,
    found: Vec<Scored>,
}

impl Top {
    fn new(limit: usize, floor: f32) -> Self {
        Self { limit, floor, found: Vec::new() }
    }

    #[inline]
    fn add(&mut self, text: usize, score: f32) {
        if score > self.floor {
            self.take(text, score);
        }
    }

    #[inline(never)]
    fn take(&mut self, text: usize, score: f32) {
        let text = u32::try_from(text).unwrap_or(u32::MAX);
        self.found.push(Scored { text, score });
        if self.found.len() >= self.limit.saturating_mul(2).max(64) {
            self.found = best_of(std::mem::take(&mut self.found), self.limit);
            if let Some(last) = self.found.last().filter(|_| self.found.len() == self.limit) {
                self.floor = last.score;
            }
        }
    }

    fn finish(self) -> Vec<Scored> {
        best_of(self.found, self.limit)
    }
}

/// The best of some hits, each time one that is good and unlike those before it: maximal marginal relevance (Carbonell and
/// Goldstein 1998). `diversity` is what likeness weighs, from 0 to 1. So many are chosen from the best; the others follow as they are.
/// No hit has a higher score than the one before it, so scores still say the order.
pub(super) fn diversified(
    shelf: &Shelf,
    mut hits: Vec<Scored>,
    diversity: f32,
    chosen: usize,
    limit: usize,
) -> Vec<Scored> {
    let others = hits.split_off(hits.len().min(chosen * super::DIVERSE_FROM));
    let mut span = Span::EMPTY;
    hits.iter().for_each(|hit| span.add(hit.score));
    let mut likeness = vec![0.0_f32; hits.len()];
    let mut out = Vec::with_capacity(limit.min(hits.len()));
    while out.len() < chosen && !hits.is_empty() {
        let value = |at: usize| (1.0 - diversity) * span.scaled(hits[at].score) - diversity * likeness[at];
        let best = (1..hits.len()).fold(0, |best, at| if value(at) > value(best) { at } else { best });
        let hit = hits.remove(best);
        likeness.remove(best);
        if let Some(vector) = shelf.vector(hit.text) {
            for (like, other) in likeness.iter_mut().zip(&hits) {
                *like = like.max(shelf.closeness(other.text, &vector));
            }
        }
        out.push(hit);
    }
    out.extend(hits);
    out.extend(others);
    out.truncate(limit);
    let mut most = f32::INFINITY;
    for hit in &mut out {
        most = most.min(hit.score);
        hit.score = most;
    }
    out
}
