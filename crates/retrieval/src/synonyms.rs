//! Words that mean the same.

use std::collections::BTreeMap;

use crate::text::Analyzer;

/// Words and phrases that mean the same, as terms of an analyzer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synonyms {
    /// The terms of a word or phrase → the terms of each other of its group.
    others: BTreeMap<Vec<String>, Vec<Vec<String>>>,
    /// The most terms of a phrase.
    longest: usize,
}

impl Synonyms {
    /// Groups of words or phrases. Each stands for all others of its group.
    pub fn new<'a>(analyzer: &Analyzer, groups: impl IntoIterator<Item = &'a Vec<String>>) -> Self {
        let mut out = Self::default();
        for group in groups {
            let mut phrases: Vec<Vec<String>> = group.iter().map(|phrase| analyzer.list(phrase)).collect();
            phrases.sort_unstable();
            phrases.dedup();
            phrases.retain(|phrase| !phrase.is_empty());
            for phrase in &phrases {
                let others = out.others.entry(phrase.clone()).or_default();
                others.extend(phrases.iter().filter(|other| *other != phrase).cloned());
                others.sort_unstable();
                others.dedup();
                out.longest = out.longest.max(phrase.len());
            }
        }
        out.others.retain(|_, others| !others.is_empty());
        out
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    /// What the beginning of these terms can be replaced by: how many of them belong to the longest known phrase, and the terms
    /// of each alternative.
    #[must_use]
    pub fn at(&self, terms: &[String]) -> Option<(usize, &[Vec<String>])> {
        (1..=self.longest.min(terms.len()))
            .rev()
            .find_map(|length| Some((length, self.others.get(&terms[..length])?.as_slice())))
    }
}
