//! BM25.
//!
//! Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), in the variant of Lucene: the inverse
//! document frequency is `ln(1 + (N - n + 0.5) / (n + 0.5))`, and the factor `k1 + 1` is left out.

use crate::corpus::Corpus;

/// How soon a repeated term stops to count.
const K1: f32 = 1.5;
/// How much long texts are held back.
const B: f32 = 0.75;

/// Where a term is.
#[derive(Debug, Clone, Copy)]
struct Posting {
    text: u32,
    /// What the term adds to the score of the text, without its inverse document frequency.
    weight: f32,
    sentences: u64,
}

/// An inverted index.
#[derive(Debug)]
pub(crate) struct Lexical {
    /// Where the postings of each term begin; one more than there are terms.
    starts: Vec<usize>,
    postings: Vec<Posting>,
    idf: Vec<f32>,
    texts: usize,
}

impl Lexical {
    /// The index of a corpus.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of texts and terms are far below 2^24, or need no more digits"
    )]
    pub fn of(corpus: &Corpus) -> Self {
        let texts = corpus.len();
        let average = average((0..texts).map(|text| u64::from(corpus.length(text))).sum(), texts);
        let mut starts = vec![0_usize; corpus.terms() + 1];
        for term in 0..corpus.terms() {
            starts[term + 1] =
                starts[term] + corpus.found_in(u32::try_from(term).unwrap_or(u32::MAX)) as usize;
        }
        let mut next = starts.clone();
        let nothing = Posting { text: 0, weight: 0.0, sentences: 0 };
        let mut postings = vec![nothing; starts[corpus.terms()]];
        for text in 0..texts {
            let norm = norm(corpus.length(text), average);
            for occurrence in corpus.text(text) {
                let slot = &mut next[occurrence.term as usize];
                let count = occurrence.count as f32;
                postings[*slot] = Posting {
                    text: u32::try_from(text).unwrap_or(u32::MAX),
                    weight: count / (count + norm),
                    sentences: occurrence.sentences,
                };
                *slot += 1;
            }
        }
        let idf = starts.windows(2).map(|range| inverse_frequency(texts, range[1] - range[0])).collect();
        Self { starts, postings, idf, texts }
    }

    /// The inverse document frequency of a term.
    pub fn idf(&self, term: u32) -> f32 {
        self.idf[term as usize]
    }

    /// The sum of what the terms of a query weigh, each counted once.
    pub fn mass(&self, query: &[(u32, u32)]) -> f32 {
        query.iter().map(|(term, _)| self.idf(*term)).sum()
    }

    fn postings(&self, term: u32) -> &[Posting] {
        &self.postings[self.starts[term as usize]..self.starts[term as usize + 1]]
    }

    /// The score of every text, 0 where no term of the query is in it.
    #[expect(clippy::cast_precision_loss, reason = "a term is not in a query a million times")]
    pub fn scores(&self, query: &[(u32, u32)]) -> Vec<f32> {
        let mut scores = vec![0.0; self.texts];
        for (term, count) in query {
            let idf = self.idf(*term) * *count as f32;
            for posting in self.postings(*term) {
                scores[posting.text as usize] += idf * posting.weight;
            }
        }
        scores
    }

    /// What share of the query's weight a text has, and what share its best sentence has.
    pub fn coverage(&self, query: &[(u32, u32)], text: u32) -> (f32, f32) {
        let mass = self.mass(query);
        let mut whole = 0.0;
        let mut by_sentence = [0.0_f32; 64];
        for (term, _) in query {
            let postings = self.postings(*term);
            let Ok(at) = postings.binary_search_by_key(&text, |posting| posting.text) else { continue };
            let idf = self.idf(*term);
            whole += idf;
            let mut bits = postings[at].sentences;
            while bits != 0 {
                by_sentence[bits.trailing_zeros() as usize] += idf;
                bits &= bits - 1;
            }
        }
        let best = by_sentence.into_iter().fold(0.0, f32::max);
        if mass > 0.0 { (whole / mass, best / mass) } else { (0.0, 0.0) }
    }
}

/// The inverse document frequency of a term that is in so many of the texts.
#[expect(clippy::cast_precision_loss, reason = "counts of texts need no more digits")]
pub(crate) fn inverse_frequency(texts: usize, found_in: usize) -> f32 {
    let (texts, found_in) = (texts as f32, found_in as f32);
    (1.0 + (texts - found_in + 0.5) / (found_in + 0.5)).ln()
}

/// The average length of texts that have so many terms together; at least 1.
#[expect(clippy::cast_precision_loss, reason = "an average needs few digits")]
pub(crate) fn average(total: u64, texts: usize) -> f32 {
    (total as f32 / texts.max(1) as f32).max(1.0)
}

/// How much a term counts less in a text of some length: it adds `count / (count + norm)`.
#[expect(clippy::cast_precision_loss, reason = "lengths of texts need few digits")]
pub(crate) fn norm(length: u32, average: f32) -> f32 {
    K1 * (1.0 - B + B * length as f32 / average)
}
