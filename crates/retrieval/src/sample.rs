//! Chunks that a corpus learns from, as terms.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    access::Attributes,
    segment::{BREAK, Segment},
    text::term_hash,
};

/// The end of a sentence among terms.
pub(crate) const END: u32 = u32::MAX;
/// Chunks that are learned from: enough to know which terms keep company.
const CHUNKS_MAX: usize = 20_000;

/// A chunk as terms by number, with [`END`] after each sentence.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub tokens: Vec<u32>,
    /// How many of the tokens are the title.
    pub title: usize,
    /// How many of them are title and headings.
    pub lead: usize,
    /// Whether other chunks have the same title.
    pub shared_title: bool,
}

/// Chunks that are learned from. They are chosen and ordered by their ids, so the same content gives the same sample however it is
/// cut into segments.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// The hash of each term.
    pub hashes: Vec<u64>,
    /// The length of each term, in bytes.
    pub lengths: Vec<usize>,
    pub texts: Vec<Text>,
    /// How many chunks there were to choose from.
    pub of: usize,
}

impl Sample {
    /// Takes a sample of the chunks that everybody may see.
    pub fn of(segments: &[Arc<Segment>], public: &dyn Fn(&Attributes) -> bool) -> Self {
        let mut chosen = Vec::new();
        for (number, segment) in segments.iter().enumerate() {
            let seen: Vec<bool> = segment.attributes().iter().map(public).collect();
            for (chunk, attributes) in segment.chunk_attributes().iter().enumerate() {
                if let (true, Some(id)) = (seen[usize::from(*attributes)], segment.id(chunk)) {
                    chosen.push((id, number, chunk));
                }
            }
        }
        let mut sample = Self { of: chosen.len(), ..Self::default() };
        if chosen.len() > CHUNKS_MAX {
            chosen.select_nth_unstable(CHUNKS_MAX);
            chosen.truncate(CHUNKS_MAX);
        }
        chosen.sort_unstable();
        let mut of_entry: FxHashMap<(usize, usize), usize> = FxHashMap::default();
        for (_, number, chunk) in &chosen {
            *of_entry.entry((*number, segments[*number].entry(*chunk))).or_default() += 1;
        }
        let mut numbers: FxHashMap<u64, u32> = FxHashMap::default();
        let mut local: Vec<Vec<u32>> = segments.iter().map(|segment| vec![END; segment.terms()]).collect();
        for (_, number, chunk) in chosen {
            let segment = &segments[number];
            let mut tokens = Vec::new();
            for token in segment.tokens(chunk) {
                if token == BREAK {
                    tokens.push(END);
                    continue;
                }
                let known = &mut local[number][usize::from(token)];
                if *known == END {
                    let term = segment.term(token);
                    let hash = term_hash(term);
                    *known = *numbers.entry(hash).or_insert_with(|| {
                        sample.hashes.push(hash);
                        sample.lengths.push(term.len());
                        u32::try_from(sample.hashes.len() - 1).unwrap_or(END)
                    });
                }
                tokens.push(*known);
            }
            let (title, lead) = segment.lead(chunk);
            let shared_title = of_entry[&(number, segment.entry(chunk))] > 1;
            sample.texts.push(Text { tokens, title, lead, shared_title });
        }
        sample
    }
}
