//! Words that mean the same.

use rustc_hash::FxHashMap;

use crate::text::Analyzer;

/// What a synonym counts, where the word itself counts 1.
pub(super) const FACTOR: f32 = 0.7;
/// Synonyms of one word.
const SYNONYMS_MAX: usize = 16;

/// Words that also count, by the term that has them.
#[derive(Debug, Clone, Default)]
pub struct Synonyms(FxHashMap<String, Vec<String>>);

impl Synonyms {
    /// Reads words with their synonyms. What is not one word (`front desk`) has no synonyms, and is none.
    pub fn new<'a, W: AsRef<str> + 'a>(
        analyzer: &Analyzer,
        words: impl IntoIterator<Item = (&'a str, &'a [W])>,
    ) -> Self {
        let one = |text: &str| match analyzer.list(text) {
            mut list if list.len() == 1 => list.pop(),
            _ => None,
        };
        let mut out: FxHashMap<String, Vec<String>> = FxHashMap::default();
        for (word, synonyms) in words {
            let Some(term) = one(word) else { continue };
            let list = out.entry(term.clone()).or_default();
            for synonym in synonyms.iter().filter_map(|synonym| one(synonym.as_ref())) {
                if synonym != term && !list.contains(&synonym) && list.len() < SYNONYMS_MAX {
                    list.push(synonym);
                }
            }
        }
        Self(out)
    }

    /// The synonyms of a term.
    pub(super) fn of(&self, term: &str) -> &[String] {
        self.0.get(term).map_or(&[], Vec::as_slice)
    }
}
