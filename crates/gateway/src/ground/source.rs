//! What a source says, and whether that supports a claim.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_retrieval::answer::sentence_ranges;

use super::{
    Source,
    words::{Part, Parts, Reader, Sort},
};

/// A claim needs so many words that count; shorter ones say nothing that could be checked.
const TERMS_MIN: usize = 2;
/// How much a name counts beside a word.
const NAME: f32 = 2.0;
/// The most support of a claim with a name that its source never has.
const STRANGE: f32 = 0.3;
/// What is left of the support for each name that only other sentences of the source have.
const ELSEWHERE: f32 = 0.65;
/// How much of the support depends on whether names and numbers are beside the same words as in the source.
const COMPANY: f32 = 0.4;
/// How many words on each side of a name or number are its company.
const BESIDE: usize = 2;
/// Places of a word in a sentence that are looked at.
const PLACES_MAX: usize = 8;
/// Names and numbers of a claim whose company is looked at.
const ANCHORS_MAX: usize = 64;

/// A text without the addresses of its links, and without the number of a list that it begins with.
fn without_targets(text: &str) -> String {
    let text = text.trim_start();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = (1..=3).contains(&digits) && text[digits..].starts_with(['.', ')']);
    let mut rest = if numbered && text[digits + 1..].starts_with(' ') { &text[digits + 1..] } else { text };
    let mut out = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once("](") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// A word of a claim.
#[derive(Debug, Clone, Copy)]
struct Said {
    sort: Sort,
    denied: bool,
}

impl Said {
    fn weight(self) -> f32 {
        if self.sort == Sort::Name { NAME } else { 1.0 }
    }
}

/// A sentence of an answer.
#[derive(Debug)]
pub(super) struct Claim {
    parts: Parts,
    /// Each different word.
    said: BTreeMap<String, Said>,
    /// The different numbers.
    numbers: Vec<Part>,
    /// How many of its words are names.
    names: usize,
    /// The weight of all different words.
    whole: f32,
    /// Whether it states something.
    pub claims: bool,
}

impl Claim {
    pub(super) fn of(reader: &Reader, sentence: &str) -> Self {
        let text = without_targets(sentence);
        let parts = Parts::of(reader, &text);
        let mut said: BTreeMap<String, Said> = BTreeMap::new();
        let mut numbers = Vec::new();
        for part in &parts.list {
            if let Some(known) = said.get_mut(&part.term) {
                known.denied |= part.denied;
                continue;
            }
            said.insert(part.term.clone(), Said { sort: part.sort, denied: part.denied });
            if matches!(part.sort, Sort::Number(_)) {
                numbers.push(part.clone());
            }
        }
        let terms = said.len() - numbers.len();
        let text = text.trim();
        let introduces = text.starts_with('#') || text.ends_with([':', '?', '？', '：']);
        let says = terms >= TERMS_MIN || !numbers.is_empty() && terms > 0;
        let whole = said.values().map(|said| said.weight()).sum();
        let names = said.values().filter(|said| said.sort == Sort::Name).count();
        Self { parts, said, numbers, names, whole, claims: says && !introduces }
    }

    /// How many words it has that count.
    pub(super) fn weight(&self) -> usize {
        self.said.len()
    }
}

/// Where a sentence has a word.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    denied: bool,
    unit: Option<usize>,
}

/// A sentence of a source.
#[derive(Debug, Default)]
struct Sentence {
    places: BTreeMap<String, Vec<Place>>,
    length: usize,
    denies: bool,
    passive: bool,
}

impl Sentence {
    fn of(reader: &Reader, text: &str) -> Self {
        let parts = Parts::of(reader, text);
        let mut out = Self { denies: parts.denies, passive: parts.passive, ..Self::default() };
        out.length = parts.list.len();
        for (at, Part { term, sort, denied }) in parts.list.into_iter().enumerate() {
            let unit = if let Sort::Number(unit) = sort { unit } else { None };
            let places = out.places.entry(term).or_default();
            if places.len() < PLACES_MAX {
                places.push(Place { at, denied, unit });
            }
        }
        out
    }
}

/// What a source says.
#[derive(Debug)]
pub(super) struct Known {
    /// The words of its title.
    context: Sentence,
    sentences: Vec<Sentence>,
    /// All its words.
    words: BTreeSet<String>,
}

impl Known {
    /// How many sentences it has.
    pub(super) fn sentences(&self) -> usize {
        self.sentences.len()
    }

    pub(super) fn of(reader: &Reader, source: &Source) -> Self {
        let sentences = sentence_ranges(&source.text).into_iter();
        let sentences: Vec<Sentence> =
            sentences.map(|range| Sentence::of(reader, &source.text[range])).collect();
        let context = Sentence::of(reader, &source.title);
        let all = sentences.iter().chain([&context]);
        let words = all.flat_map(|sentence| sentence.places.keys().cloned()).collect();
        Self { context, sentences, words }
    }

    /// How far one or two neighbouring sentences of the source, together with its title, support a claim: the share of its words that they
    /// have, lowered when its names are elsewhere in the source or its names and numbers not beside the same words. 0 when a number is missing or has another unit, or one of
    /// both denies what the other states. Low when the source never has one of its names.
    pub(super) fn support(&self, claim: &Claim) -> f32 {
        let one = (0..self.sentences.len()).map(|at| &self.sentences[at..=at]);
        let best = one.chain(self.sentences.windows(2)).fold(0.0, |best, sentences| {
            let shares =
                |sentence: &&Sentence| sentence.places.keys().any(|term| claim.said.contains_key(term));
            let sentences = sentences.iter().filter(shares).collect();
            Window { context: &self.context, sentences }.support(claim, best)
        });
        let strange = |(term, said): (&String, &Said)| said.sort == Sort::Name && !self.words.contains(term);
        if best > STRANGE && claim.said.iter().any(strange) { STRANGE } else { best }
    }
}

/// The sentences of a source that a claim is compared with, and the title of the source.
struct Window<'a> {
    context: &'a Sentence,
    sentences: Vec<&'a Sentence>,
}

impl Window<'_> {
    /// The support of a claim; `best` when it is not more.
    fn support(&self, claim: &Claim, best: f32) -> f32 {
        if self.sentences.is_empty() || claim.whole == 0.0 {
            return best;
        }
        let (mut has, mut names) = (0.0, 0);
        for (_, said) in self.shared(claim) {
            has += said.weight();
            names += usize::from(said.sort == Sort::Name);
        }
        let share = has / claim.whole;
        if share <= best || self.contradicts(claim) || !claim.numbers.iter().all(|part| self.has(part)) {
            return best;
        }
        let elsewhere = match claim.names.saturating_sub(names) {
            0 => 1.0,
            1 => ELSEWHERE,
            _ => ELSEWHERE * ELSEWHERE,
        };
        best.max(share * elsewhere * (1.0 - COMPANY * (1.0 - self.company(claim))))
    }

    /// The words that the claim has as well, each once.
    fn shared(&self, claim: &Claim) -> impl Iterator<Item = (&String, Said)> {
        let all: Vec<&Sentence> = self.sentences.iter().copied().chain([self.context]).collect();
        let terms = (0..all.len()).flat_map(move |at| {
            let earlier = all[..at].to_vec();
            let terms = all[at].places.keys();
            terms.filter(move |term| !earlier.iter().any(|sentence| sentence.places.contains_key(*term)))
        });
        terms.filter_map(move |term| Some((term, *claim.said.get(term)?)))
    }

    /// The places of a word, counted through all sentences.
    fn places(&self, term: &str) -> impl Iterator<Item = Place> {
        let mut from = 0;
        let counted = self.sentences.iter().map(move |sentence| {
            let first = from;
            from += sentence.length;
            (first, *sentence)
        });
        counted.flat_map(move |(first, sentence)| {
            let places = sentence.places.get(term).map(Vec::as_slice).unwrap_or_default();
            places.iter().map(move |place| Place { at: place.at + first, ..*place })
        })
    }

    fn has(&self, part: &Part) -> bool {
        let titled = self.context.places.get(&part.term).map(Vec::as_slice).unwrap_or_default();
        self.places(&part.term).chain(titled.iter().copied()).any(|place| match part.sort {
            // A unit that only one of both names is no contradiction.
            Sort::Number(Some(unit)) => place.unit.is_none_or(|found| found == unit),
            _ => true,
        })
    }

    /// Whether one of both denies what the other states.
    fn contradicts(&self, claim: &Claim) -> bool {
        if !claim.parts.denies && !self.sentences.iter().any(|sentence| sentence.denies) {
            return false;
        }
        let (mut agrees, mut denied_only) = (false, false);
        for (term, said) in self.shared(claim) {
            let (mut some, mut all) = (false, true);
            for place in self.places(term) {
                (some, all) = (some | place.denied, all & place.denied);
            }
            agrees |= some && said.denied;
            denied_only |= some && all && !said.denied;
        }
        if claim.parts.denies { !agrees } else { denied_only }
    }

    /// Which of a claim's names and numbers is least beside the same words as in the claim: how far it is, from 0 to 1. 1 without names and
    /// numbers. The least decides, because one wrong name makes a claim wrong.
    fn company(&self, claim: &Claim) -> f32 {
        let list = &claim.parts.list;
        let passive = claim.parts.passive != self.sentences.iter().any(|sentence| sentence.passive);
        let is_name = |at: usize| list[at].sort == Sort::Name;
        let (mut least, mut anchors, mut at) = (1.0_f32, 0, 0);
        while at < list.len() && anchors < ANCHORS_MAX {
            let first = at;
            at += 1;
            if list[first].sort == Sort::Term {
                continue;
            }
            // A name of several words is one.
            while is_name(first) && at < list.len() && is_name(at) {
                at += 1;
            }
            least = self.kept(list, first..at, passive).map_or(least, |kept| least.min(kept));
            anchors += 1;
        }
        least
    }

    /// How much of its company a name or number has in the source. A word on the other side of a name counts half, unless the voice differs.
    /// `None` when the source has nothing of it.
    fn kept(&self, list: &[Part], anchor: std::ops::Range<usize>, passive: bool) -> Option<f32> {
        let places: Vec<Place> =
            list[anchor.clone()].iter().take(PLACES_MAX).flat_map(|part| self.places(&part.term)).collect();
        let turns = passive || matches!(list[anchor.start].sort, Sort::Number(_));
        let before = anchor.start.saturating_sub(BESIDE)..anchor.start;
        let after = anchor.end..(anchor.end + BESIDE).min(list.len());
        let (mut sum, mut found) = (0.0, 0_u8);
        for (part, follows) in before.map(|at| (at, false)).chain(after.map(|at| (at, true))) {
            let others: Vec<Place> = self.places(&list[part].term).collect();
            if others.is_empty() || places.is_empty() {
                continue;
            }
            found += 1;
            let mut best: f32 = 0.0;
            for place in &places {
                for other in &others {
                    let near = match other.at.abs_diff(place.at) {
                        0..=3 => 1.0,
                        4..=6 => 0.9,
                        7..=12 => 0.5,
                        _ => 0.25,
                    };
                    let same = turns || (other.at > place.at) == follows;
                    best = best.max(if same { near } else { near / 2.0 });
                }
            }
            sum += best;
        }
        (found > 0).then(|| sum / f32::from(found))
    }
}
