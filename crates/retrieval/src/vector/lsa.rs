//! Latent semantic analysis: terms that keep the same company come close.
//!
//! Deerwester et al., "Indexing by Latent Semantic Analysis" (1990). The decomposition is the randomised one of Halko, Martinsson
//! and Tropp, "Finding Structure with Randomness" (2011), with two power iterations.

use super::linear::{Random, add, eigen, gram, orthonormal};
use crate::corpus::Corpus;

/// Columns beyond those wanted, for accuracy.
const OVERSAMPLING: usize = 16;
/// Power iterations.
const ITERATIONS: usize = 2;
/// Where the random start comes from. It is fixed: the same texts give the same basis.
const SEED: u64 = 0x0a51_1a12;

/// A basis learned from a corpus.
#[derive(Debug)]
pub(crate) struct Lsa {
    dimensions: usize,
    /// What each term weighs; 0 for terms that only one text has, which say nothing about company.
    weights: Vec<f32>,
    /// A row for each term.
    basis: Vec<f32>,
}

impl Lsa {
    /// Learns a basis of at most `dimensions` dimensions, the most important first.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "weights need few digits"
    )]
    pub fn learn(corpus: &Corpus, dimensions: usize) -> Self {
        let (texts, terms) = (corpus.len(), corpus.terms());
        let weights: Vec<f32> = (0..terms)
            .map(|term| match corpus.found_in(u32::try_from(term).unwrap_or(u32::MAX)) {
                0 | 1 => 0.0,
                found_in => ((texts as f32 + 1.0) / (found_in as f32 + 0.5)).ln().max(0.0),
            })
            .collect();
        let wanted = dimensions.min(texts.saturating_sub(1)).min(terms);
        let columns = (wanted + OVERSAMPLING).min(texts).min(terms).max(1);
        let rows: Vec<Vec<(u32, f32)>> = (0..texts).map(|text| row(corpus, &weights, text)).collect();
        let mut random = Random(SEED);
        let mut by_term: Vec<f32> =
            (0..terms * columns).map(|_| if random.next() & 1 == 0 { 1.0 } else { -1.0 }).collect();
        let mut by_text = vec![0.0_f32; texts * columns];
        for turn in 0..=ITERATIONS {
            times(&rows, &by_term, &mut by_text, columns);
            orthonormal(&mut by_text, columns);
            transposed_times(&rows, &by_text, &mut by_term, columns);
            if turn < ITERATIONS {
                orthonormal(&mut by_term, columns);
            }
        }
        let (values, vectors) = eigen(gram(&by_term, columns), columns);
        let kept = values.iter().take(wanted).take_while(|value| **value > values[0] * 1e-10).count();
        let turn: Vec<f32> = (0..columns)
            .flat_map(|column| {
                let (values, vectors) = (&values, &vectors);
                (0..kept).map(move |k| (vectors[k][column] / values[k].sqrt()) as f32)
            })
            .collect();
        let mut basis = vec![0.0_f32; terms * kept];
        for (from, to) in by_term.chunks_exact(columns).zip(basis.chunks_exact_mut(kept.max(1))) {
            for (value, turn) in from.iter().zip(turn.chunks_exact(kept.max(1))) {
                add(to, *value, turn);
            }
        }
        Self { dimensions: kept, weights, basis }
    }

    /// How many dimensions it has: fewer than were asked for when the corpus has less to tell.
    pub const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// What a term weighs.
    pub fn weight(&self, term: u32) -> f32 {
        self.weights[term as usize]
    }

    /// The vector of a term.
    pub fn row(&self, term: u32) -> &[f32] {
        &self.basis[term as usize * self.dimensions..(term as usize + 1) * self.dimensions]
    }

    /// The vector of terms with their counts.
    #[expect(clippy::cast_precision_loss, reason = "counts need few digits")]
    pub fn embed(&self, terms: impl IntoIterator<Item = (u32, u32)>) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        for (term, count) in terms {
            let weight = self.weight(term) * (1.0 + (count as f32).ln());
            if weight > 0.0 {
                add(&mut vector, weight, self.row(term));
            }
        }
        vector
    }
}

/// The weighted terms of a text, as a vector of length 1.
#[expect(clippy::cast_precision_loss, reason = "counts need few digits")]
fn row(corpus: &Corpus, weights: &[f32], text: usize) -> Vec<(u32, f32)> {
    let mut row: Vec<(u32, f32)> = corpus
        .text(text)
        .iter()
        .map(|found| (found.term, weights[found.term as usize] * (1.0 + (found.count as f32).ln())))
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    let length = row.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    row.iter_mut().for_each(|(_, weight)| *weight /= length);
    row
}

fn times(rows: &[Vec<(u32, f32)>], by_term: &[f32], by_text: &mut [f32], columns: usize) {
    for (row, out) in rows.iter().zip(by_text.chunks_exact_mut(columns)) {
        out.fill(0.0);
        for (term, weight) in row {
            add(out, *weight, &by_term[*term as usize * columns..(*term as usize + 1) * columns]);
        }
    }
}

fn transposed_times(rows: &[Vec<(u32, f32)>], by_text: &[f32], by_term: &mut [f32], columns: usize) {
    by_term.fill(0.0);
    for (row, from) in rows.iter().zip(by_text.chunks_exact(columns)) {
        for (term, weight) in row {
            add(&mut by_term[*term as usize * columns..(*term as usize + 1) * columns], *weight, from);
        }
    }
}
