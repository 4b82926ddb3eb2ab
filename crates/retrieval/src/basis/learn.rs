//! Learning a basis from a corpus.

use std::sync::Arc;

use super::{Basis, TERMS_MAX, quantized};
use crate::{
    access::Attributes, corpus::Corpus, fusion::calibrate, sample::Sample, segment::Segment, vector::Lsa,
};

impl Basis {
    /// Learns from the chunks of segments whose attributes are public. What other chunks say is learned from nowhere, because a
    /// basis serves all readers. Of many chunks 20,000 are taken. The same chunks give the same basis, however they are cut into
    /// segments.
    #[must_use]
    pub fn learn(segments: &[Arc<Segment>], public: &dyn Fn(&Attributes) -> bool) -> Self {
        let sample = Sample::of(segments, public);
        let calibration = calibrate(&sample);
        let texts = sample.texts.iter().map(|text| text.tokens.as_slice());
        let corpus = Corpus::of(sample.hashes.len(), texts);
        let lsa = Lsa::learn(&corpus, calibration.dimensions);
        let mut terms: Vec<(u32, u32)> = (0_u32..)
            .take(corpus.terms())
            .map(|term| (corpus.found_in(term), term))
            .filter(|(_, term)| lsa.weight(*term) > 0.0)
            .collect();
        // The most frequent, because the others add to few vectors.
        terms.sort_unstable_by_key(|(found_in, term)| {
            (std::cmp::Reverse(*found_in), sample.hashes[*term as usize])
        });
        terms.truncate(TERMS_MAX);
        terms.sort_unstable_by_key(|(_, term)| sample.hashes[*term as usize]);
        let mut basis = Self {
            dimensions: lsa.dimensions(),
            terms: Vec::with_capacity(terms.len()),
            weights: Vec::with_capacity(terms.len()),
            rows: Vec::with_capacity(terms.len() * lsa.dimensions()),
            scales: Vec::with_capacity(terms.len()),
            taught: u32::try_from(sample.of).unwrap_or(u32::MAX),
            calibration,
            model: String::new(),
        };
        for (_, term) in terms {
            basis.terms.push(sample.hashes[term as usize]);
            basis.weights.push(lsa.weight(term));
            let scale = quantized(lsa.row(term), &mut basis.rows);
            basis.scales.push(scale);
        }
        basis
    }
}
