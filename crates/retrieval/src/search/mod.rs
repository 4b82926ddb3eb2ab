//! Searching the segments of one index in one locale.
//!
//! Everything that a search counts, compares or suggests comes from the chunks that the caller may see. So its results and scores are
//! those of a corpus in which the others do not exist.

mod choice;
mod lookup;
mod make;
pub mod query;
mod rank;
mod vocabulary;
mod words;

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

pub use self::make::Source;
use self::{
    choice::{Bits, Choice},
    query::Query,
    rank::{Legs, diversified},
    vocabulary::Vocabulary,
    words::{Group, Words, narrowed},
};
use crate::{
    access::{Allowed, Attributes},
    basis::{Basis, QueryVector, SegmentVectors},
    fusion::Scored,
    lexical::inverse_frequency,
    segment::{ChunkRef, Segment},
    synonyms::Synonyms,
    text::{Analyzer, term_hash},
};

/// Ways in which a beginning of a word goes on that are searched.
const ENDINGS_MAX: usize = 32;
/// What a word counts that only begins like the one in the query.
const ENDING_FACTOR: f32 = 0.5;
/// How many letters of a typed word a stem may lack, and how many are left at least, when the word is completed.
const STEM_CUT_MAX: usize = 4;
const STEM_CHARS_MIN: usize = 3;
/// What a synonym counts, where the word itself counts 1.
const SYNONYM_FACTOR: f32 = 0.7;
/// The most hits of one search.
const HITS_MAX: usize = 10_000;
/// Hits that are chosen to be unlike each other. The rest follows in its order.
const DIVERSE_MAX: usize = 200;
/// Hits that these are chosen from, for each of them.
const DIVERSE_FROM: usize = 3;

/// Which legs a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Words alone.
    Bm25,
    /// Meaning alone.
    Vector,
    /// Both, weighed by what was learned from the corpus. Without vectors words alone.
    Hybrid,
}

/// A segment with its vectors, which follow from it and the basis of the shelf.
#[derive(Debug, Clone)]
pub struct Part {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Its vectors. A shelf of which one part has none is searched by words alone.
    pub vectors: Option<Arc<SegmentVectors>>,
}

/// The segments of one index in one locale.
#[derive(Debug)]
pub struct Shelf {
    parts: Vec<Part>,
    basis: Option<Arc<Basis>>,
    analyzer: Arc<Analyzer>,
    /// The number of each part's first chunk; one more than there are parts.
    starts: Vec<u32>,
    /// The different attributes of all chunks, and those that chunks of earlier shelves had.
    attributes: Vec<Attributes>,
    /// How many of them there were when the list was last made.
    attributes_anew: usize,
    /// The tables of each part's terms.
    tables: Vec<Arc<[u32]>>,
    /// The numbers of each part's attributes among those, one part after the other.
    part_attributes: Vec<u32>,
    /// Where those of each part end.
    part_attributes_ends: Vec<u32>,
    vocabulary: OnceLock<Arc<Vocabulary>>,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The question, of a bounded length.
    pub text: &'a str,
    /// Which legs are used.
    pub mode: Mode,
    /// How many hits are wanted at most.
    pub limit: usize,
    /// Whether a person typed it: quotes are phrases, `-word` excludes, the last word may go on, and a word that nothing has is
    /// taken for a misspelt one.
    pub people: bool,
    /// What the caller may see.
    pub allowed: &'a Allowed,
    /// Entries that are left out, by key, such as those that exist in a preferred locale.
    pub skip: Option<&'a dyn Fn(&[u8]) -> bool>,
    /// The vector of the question, where an embedder made those of the chunks.
    pub vector: Option<&'a [f32]>,
    /// Words that also count.
    pub synonyms: Option<&'a Synonyms>,
    /// How much unlike hits are preferred, from 0 (not at all) to 1.
    pub diversity: f32,
    /// Whether [`Found::tallies`] are wanted.
    pub tally: bool,
}

impl<'a> Ask<'a> {
    /// Asks for the ten best by both legs.
    #[must_use]
    pub const fn new(text: &'a str, allowed: &'a Allowed) -> Self {
        Self {
            text,
            mode: Mode::Hybrid,
            limit: 10,
            people: false,
            allowed,
            skip: None,
            vector: None,
            synonyms: None,
            diversity: 0.0,
            tally: false,
        }
    }
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask")
            .field("text", &self.text)
            .field("mode", &self.mode)
            .field("limit", &self.limit)
            .field("people", &self.people)
            .field("allowed", &self.allowed)
            .field("skip", &self.skip.is_some())
            .field("diversity", &self.diversity)
            .finish_non_exhaustive()
    }
}

/// A chunk that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The number of the part.
    pub part: usize,
    /// The number of the chunk in its segment.
    pub chunk: usize,
    /// How well it answers. Scores of different queries or modes do not compare.
    pub score: f32,
    /// Whether it has a word of the query. Otherwise it was found by its meaning alone.
    pub worded: bool,
}

/// How many entries with some attributes have a word of the query in one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The number of the part.
    pub part: usize,
    /// The number of the attributes in the part's segment.
    pub attributes: usize,
    /// How many different entries.
    pub entries: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The best first.
    pub hits: Vec<Hit>,
    /// How many chunks have a word of the query. Hits by meaning alone may have none.
    pub matched: usize,
    /// Which share of the query's weight the chunk covers that has most of its words, from 0 to 1. Words that no chunk has count.
    pub covered: f32,
    /// The query as it was searched, when a word was misspelt.
    pub corrected: Option<String>,
    /// The entries that have a word of the query, if they were asked for.
    pub tallies: Vec<Tally>,
    /// Whether the search looked at meaning.
    pub vectors: bool,
}

impl Shelf {
    /// How many chunks it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.last().map_or(0, |end| *end as usize)
    }

    /// Whether it has no chunks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its basis, if all parts have vectors.
    #[must_use]
    pub const fn basis(&self) -> Option<&Arc<Basis>> {
        self.basis.as_ref()
    }

    /// How its texts become terms.
    #[must_use]
    pub fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    /// The chunk of a hit.
    #[must_use]
    pub fn chunk(&self, hit: &Hit) -> Option<ChunkRef<'_>> {
        self.parts.get(hit.part)?.segment.chunk(hit.chunk)
    }

    /// Makes what corrections of misspelt words need, so that the first of them does not wait for it.
    pub fn warm(&self) {
        self.vocabulary();
    }

    /// Searches.
    #[must_use]
    pub fn search(&self, ask: &Ask<'_>) -> Found {
        let limit = ask.limit.min(HITS_MAX);
        let allowed = self.choices(ask.allowed, ask.skip);
        let query = if ask.people {
            Query::typed(&self.analyzer, ask.text)
        } else {
            Query::plain(&self.analyzer, ask.text)
        };
        let (groups, corrected) = self.groups(&query, ask, &allowed);
        let words = Words::locate(self, &allowed, &groups);
        let basis = self.basis.as_ref().filter(|_| ask.mode != Mode::Bm25);
        let vector = basis.and_then(|basis| {
            let first = |group: &Group| group.alternatives.first().map(|a| (term_hash(&a.term), group.count));
            let vector = match ask.vector {
                Some(vector) => vector.to_vec(),
                None => basis.embed(groups.iter().filter_map(first)),
            };
            let vector = QueryVector::new(vector)?;
            self.parts
                .iter()
                .filter_map(|part| part.vectors.as_ref())
                .all(|v| vector.fits(v))
                .then_some(vector)
        });
        let found = Found { corrected, vectors: vector.is_some(), ..Found::default() };
        if (vector.is_none() && (words.is_empty() || ask.mode == Mode::Vector)) || limit == 0 {
            return found;
        }
        let eligible = self.eligible(&query, &allowed);
        let eligible = eligible.as_deref().unwrap_or(&allowed);
        let legs = Legs::of(self, &allowed, eligible, &words, vector.as_ref());
        let best = legs.covered(self, &words);
        let (known, all) = words.mass();
        let share = |of: f32| if of > 0.0 { best / of } else { 0.0 };
        let wanted =
            if ask.diversity > 0.0 { limit.max(limit.min(DIVERSE_MAX) * DIVERSE_FROM) } else { limit };
        let hits = match ask.mode {
            Mode::Bm25 => legs.by_words(self, eligible, wanted),
            Mode::Vector => {
                vector.as_ref().map_or_else(Vec::new, |v| legs.by_meaning(self, eligible, v, wanted))
            }
            Mode::Hybrid => {
                let meaning = vector.as_ref().zip(basis.map(|basis| basis.calibration()));
                legs.fused(self, eligible, &words, meaning, share(known), wanted)
            }
        };
        let hits = if ask.diversity > 0.0 {
            diversified(self, hits, ask.diversity.min(1.0), limit.min(DIVERSE_MAX), limit)
        } else {
            hits
        };
        let hit = |hit: Scored| {
            let (part, chunk) = self.place(hit.text);
            Hit { part, chunk, score: hit.score, worded: legs.has_word(hit.text as usize) }
        };
        Found {
            hits: hits.into_iter().map(hit).collect(),
            matched: legs.matched,
            covered: share(all),
            tallies: if ask.tally { self.tallies(eligible, &legs) } else { Vec::new() },
            ..found
        }
    }

    /// How rare terms are among the chunks that the caller may see: their inverse document frequency. Terms that none of those has have none.
    pub fn rarities(
        &self,
        allowed: &Allowed,
        skip: Option<&dyn Fn(&[u8]) -> bool>,
    ) -> impl Fn(&str) -> Option<f32> + use<'_> {
        let choices = self.choices(allowed, skip);
        let texts = choices.iter().map(|choice| choice.count).sum();
        move |term| {
            let found_in = self.found_in(&choices, term);
            (found_in > 0).then(|| inverse_frequency(texts, found_in))
        }
    }

    /// How the last word of a text may go on, the most frequent words first. Only words of chunks that the caller may see.
    #[must_use]
    pub fn suggest(
        &self,
        text: &str,
        allowed: &Allowed,
        skip: Option<&dyn Fn(&[u8]) -> bool>,
        limit: usize,
    ) -> Vec<String> {
        let query = Query::typed(&self.analyzer, text);
        let Some(last) = query.words.last().filter(|_| query.open) else { return Vec::new() };
        let choices = self.choices(allowed, skip);
        let before = text.get(..last.range.start).unwrap_or_default();
        let mut out: Vec<String> = Vec::new();
        // Terms are stems, which can be shorter than what was typed of a word.
        let ends = last.typed.char_indices().map(|(at, c)| at + c.len_utf8()).skip(STEM_CHARS_MIN - 1);
        let ends: Vec<usize> = ends.collect();
        let shorter = ends.iter().rev().skip(1).take(STEM_CUT_MAX).copied();
        for end in std::iter::once(last.typed.len()).chain(shorter) {
            let prefix = &last.typed[..end];
            for (term, _) in self.beginning_with(&choices, prefix, ENDINGS_MAX) {
                let written = self.written(&choices, &term);
                let whole = format!("{before}{written}");
                let fits = end == last.typed.len() || written.to_lowercase().starts_with(&last.typed);
                if fits && out.len() < limit && !out.contains(&whole) {
                    out.push(whole);
                }
            }
            if !out.is_empty() {
                break;
            }
        }
        out
    }

    /// The chunks that the caller may see.
    fn choices(&self, allowed: &Allowed, skip: Option<&dyn Fn(&[u8]) -> bool>) -> Vec<Choice> {
        let seen: Vec<bool> = self.attributes.iter().map(|attributes| allowed.allows(attributes)).collect();
        let choose = |(number, part): (usize, &Part)| {
            let (segment, numbers) = (&*part.segment, self.attributes_of(number));
            let sees = |number: &u32| seen[*number as usize];
            let mut bits = if numbers.iter().all(sees) {
                Bits::first(segment.len())
            } else {
                let mut bits = Bits::NONE;
                if let members @ [_, ..] = segment.members() {
                    let seen = numbers.iter().zip(members).filter(|(number, _)| sees(number));
                    seen.for_each(|(_, members)| bits.add(members));
                } else if numbers.iter().any(sees) {
                    for (chunk, attributes) in segment.chunk_attributes().iter().enumerate() {
                        if numbers.get(usize::from(*attributes)).is_some_and(sees) {
                            bits.insert(chunk);
                        }
                    }
                }
                bits
            };
            if let Some(skip) = skip.filter(|_| !bits.is_empty()) {
                let left_out: Vec<bool> = segment.entries().map(skip).collect();
                let mut out = Bits::NONE;
                bits.each(|chunk| {
                    if left_out.get(segment.entry(chunk)).copied().unwrap_or(false) {
                        out.insert(chunk);
                    }
                });
                bits = bits.without(&out);
            }
            Choice::of(bits, segment.len())
        };
        self.parts.iter().enumerate().map(choose).collect()
    }

    /// The words of a query with what else counts for them, and the query as it reads when misspelt words are corrected.
    fn groups(&self, query: &Query, ask: &Ask<'_>, allowed: &[Choice]) -> (Vec<Group>, Option<String>) {
        let mut groups: Vec<Group> =
            query.words.iter().map(|word| Group::new(&word.term, word.count)).collect();
        if let Some(synonyms) = ask.synonyms {
            add_synonyms(query, synonyms, &mut groups);
        }
        if let (true, Some(word), Some(group)) = (query.open, query.words.last(), groups.last_mut()) {
            for (term, _) in self.beginning_with(allowed, &word.typed, ENDINGS_MAX) {
                group.add(&term, ENDING_FACTOR);
            }
        }
        let mut text = ask.text.to_owned();
        let mut corrected = false;
        // From the last to the first, so that the places of those before stay right.
        for (word, group) in query.words.iter().zip(&mut groups).rev().filter(|_| ask.people) {
            let phrased = query.phrases.iter().any(|phrase| phrase.contains(&word.term));
            if phrased || group.alternatives.iter().any(|a| self.found_in(allowed, &a.term) > 0) {
                continue;
            }
            let Some(term) = self.correction(allowed, &word.term) else { continue };
            *group = Group::new(&term, word.count);
            if text.get(word.range.clone()).is_some() {
                text.replace_range(word.range.clone(), &self.written(allowed, &term));
                corrected = true;
            }
        }
        (groups, corrected.then_some(text))
    }

    /// The chunks that phrases and excluded words leave, if the query has such.
    fn eligible(&self, query: &Query, allowed: &[Choice]) -> Option<Vec<Choice>> {
        if query.phrases.is_empty() && query.excluded.is_empty() {
            return None;
        }
        let narrow = |(part, choice): (&Part, &Choice)| {
            narrowed(&part.segment, choice, &query.phrases, &query.excluded)
        };
        Some(self.parts.iter().zip(allowed).map(narrow).collect())
    }

    /// How many entries have a word of the query, by part and attributes. An entry whose chunks lie in several parts counts in the
    /// first.
    fn tallies(&self, eligible: &[Choice], legs: &Legs) -> Vec<Tally> {
        let mut out = Vec::new();
        // Parts are cut from entries in their order, so only the first and the last entry of one can go on in another.
        let mut counted: FxHashSet<&[u8]> = FxHashSet::default();
        for (number, (part, choice)) in self.parts.iter().zip(eligible).enumerate() {
            let start = self.range(number).start;
            let mut seen: Vec<(u16, usize)> = Vec::new();
            choice.each(|chunk| {
                if legs.has_word(start + chunk) {
                    let attributes = part.segment.chunk_attributes().get(chunk).copied().unwrap_or(0);
                    seen.push((attributes, part.segment.entry(chunk)));
                }
            });
            seen.sort_unstable();
            seen.dedup();
            seen.retain(|(_, entry)| part.segment.edge(*entry).is_none_or(|key| counted.insert(key)));
            for same in seen.chunk_by(|a, b| a.0 == b.0) {
                let attributes = usize::from(same[0].0);
                out.push(Tally { part: number, attributes, entries: same.len() });
            }
        }
        out
    }

    /// The numbers of a part's chunks.
    fn range(&self, part: usize) -> Range<usize> {
        self.starts[part] as usize..self.starts[part + 1] as usize
    }

    /// The part of a chunk, and its number there.
    fn place(&self, text: u32) -> (usize, usize) {
        let part = self.starts.partition_point(|start| *start <= text).saturating_sub(1);
        (part, (text - self.starts[part]) as usize)
    }

    /// What the score by meaning of a chunk lacks to be exact.
    fn rest(&self, text: u32, query: &QueryVector) -> f32 {
        let (part, chunk) = self.place(text);
        let vectors = self.parts.get(part).and_then(|part| part.vectors.as_ref());
        vectors.map_or(0.0, |vectors| vectors.rest(chunk, query))
    }

    fn vector(&self, text: u32) -> Option<QueryVector> {
        let (part, chunk) = self.place(text);
        Some(self.parts.get(part)?.vectors.as_ref()?.as_query(chunk))
    }

    /// The cosine of a chunk's vector and another.
    fn closeness(&self, text: u32, vector: &QueryVector) -> f32 {
        let (part, chunk) = self.place(text);
        let vectors = self.parts.get(part).and_then(|part| part.vectors.as_ref());
        vectors.map_or(0.0, |vectors| vectors.score(chunk, vector))
    }
}

/// Adds what words and phrases of a query can be replaced by. Each word of a phrase gets the replacement, so that a chunk with it
/// has all of them.
fn add_synonyms(query: &Query, synonyms: &Synonyms, groups: &mut [Group]) {
    let terms: Vec<String> = query.words.iter().map(|word| word.term.clone()).collect();
    let mut at = 0;
    while at < terms.len() {
        let Some((count, others)) = synonyms.at(&terms[at..]) else {
            at += 1;
            continue;
        };
        for group in &mut groups[at..at + count] {
            for other in others {
                let words = u16::try_from(other.len()).unwrap_or(u16::MAX).max(1);
                for term in other {
                    group.add(term, SYNONYM_FACTOR / f32::from(words));
                }
            }
        }
        at += count;
    }
}
