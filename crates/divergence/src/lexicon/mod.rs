pub(crate) mod canon;
mod known;
pub(crate) mod paint;
pub(crate) mod property;
pub(crate) mod scale;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use crate::lexicon::paint::{Paint, PaintKey};
use crate::lexicon::property::{Domain, Role, Spec, Takes};
use crate::lexicon::scale::{Close, Scale};
use ashlar_tokens::delta_e_2000;

use crate::{options::Options, report::Nearest};
pub use known::{Kind, Known};

/// How many answers about colours and names are kept; enough for the distinct values of a large app.
const MEMO_ENTRIES_MAX: usize = 1 << 16;
/// How much further than the closest colour another may be and still be as good a suggestion: less than anyone sees.
const AS_CLOSE: f64 = 0.5;
/// `delta_e_2000` is at least the difference in lightness divided by this, which bounds the search.
const LIGHTNESS_WEIGHT_MAX: f64 = 1.75;
/// How many hops of `replaced_by` are followed.
const REPLACEMENTS_MAX: usize = 8;

/// The tokens of a design system, arranged so that raw values find the token they stand for.
///
/// It can be shared between threads; answers about colours are remembered for all of them.
#[derive(Debug)]
pub struct Lexicon {
    pub(crate) options: Options,
    tokens: Vec<Entry>,
    names: HashMap<String, u32>,
    color_tails: HashMap<String, u32>,
    allow: HashSet<String>,
    allow_on: Vec<(String, String)>,
    paints: HashMap<PaintKey, Vec<u32>>,
    by_lightness: Vec<(Paint, u32)>,
    lengths: Scale,
    other_lengths: HashMap<(i64, String), Vec<u32>>,
    times: Scale,
    weights: Scale,
    numbers: Scale,
    easings: HashMap<[i32; 4], Vec<u32>>,
    families: HashMap<Vec<String>, Vec<u32>>,
    shadows: HashMap<String, Vec<u32>>,
    takes: Takes,
    /// Whether there are tokens of the semantic layer.
    is_layered: bool,
    length_domains: Vec<Domain>,
    number_domains: Vec<Domain>,
    colors: Memo<Option<Arc<Close>>>,
    typos: Memo<Option<Nearest>>,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    domain: Domain,
    role: Role,
}

/// The best suggestion for a raw value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match<'l> {
    pub(crate) name: &'l str,
    pub(crate) distance: f64,
    pub(crate) exact: bool,
    /// How many tokens come as close and are for the same purpose.
    pub(crate) candidates: usize,
    /// Whether it can be written in the place of the value: no other token could have been meant, and apps may use it.
    pub(crate) sure: bool,
}

impl Match<'_> {
    pub(crate) fn nearest(self) -> Nearest {
        Nearest {
            name: self.name.to_owned(),
            distance: self.distance,
            exact: self.exact,
            candidates: self.candidates,
        }
    }
}

impl Lexicon {
    /// Builds the look-ups. Tokens whose value is not what their kind says are known by name only; of two tokens with
    /// one name the first counts.
    pub fn new(known: Vec<Known>, mut options: Options) -> Self {
        for prefix in &mut options.prefixes {
            prefix.drain(..prefix.len() - prefix.trim_start_matches('-').len());
        }
        options.prefixes.retain(|p| !p.is_empty());
        let mut names = HashMap::with_capacity(known.len());
        let mut tokens: Vec<Entry> = Vec::with_capacity(known.len());
        for mut k in known {
            if let Some(bare) = k.name.strip_prefix("--") {
                k.name = bare.to_owned();
            }
            let Ok(id) = u32::try_from(tokens.len()) else { break };
            if !names.contains_key(&k.name) {
                names.insert(k.name.clone(), id);
                let domain = Domain::of_name(&k.name);
                tokens.push(Entry { domain, role: Role::of_name(&k.name), known: k });
            }
        }
        let allow: Vec<_> = options.allow.iter().map(|a| a.trim().to_ascii_lowercase()).collect();
        let allow_on = allow.iter().filter_map(|a| a.split_once(':'));
        let allow_on = allow_on.map(|(p, v)| (p.to_owned(), v.to_owned())).collect();
        let mut lexicon = Self {
            names,
            color_tails: HashMap::new(),
            allow: allow.into_iter().collect(),
            allow_on,
            paints: HashMap::new(),
            by_lightness: vec![],
            lengths: Scale::default(),
            other_lengths: HashMap::new(),
            times: Scale::default(),
            weights: Scale::default(),
            numbers: Scale::default(),
            easings: HashMap::new(),
            families: HashMap::new(),
            shadows: HashMap::new(),
            takes: Takes::NONE,
            is_layered: tokens.iter().any(|e| e.known.rank == 0),
            length_domains: vec![],
            number_domains: vec![],
            colors: Memo::default(),
            typos: Memo::default(),
            tokens,
            options,
        };
        lexicon.arrange();
        lexicon
    }

    /// Puts each token where values of its kind look it up: one arm for each kind.
    fn arrange(&mut self) {
        let (mut lengths, mut times, mut weights, mut numbers) = (vec![], vec![], vec![], vec![]);
        for (entry, id) in self.tokens.iter().zip(0..) {
            if entry.known.kind == Kind::Color {
                for tail in tails(&entry.known.name, &self.options.prefixes) {
                    self.color_tails.entry(tail.to_owned()).or_insert(id);
                }
            }
            if entry.known.deprecated.is_some() {
                continue;
            }
            let value = entry.known.value.trim();
            match entry.known.kind {
                Kind::Color => {
                    let Some(paint) = Paint::parse(value) else { continue };
                    self.paints.entry(paint.key).or_default().push(id);
                    self.by_lightness.push((paint, id));
                    self.takes = self.takes.and(Takes::COLOR);
                }
                Kind::Dimension => {
                    let Some((number, unit)) = canon::quantity(value) else { continue };
                    match canon::pixels(&unit, self.options.root_font_px) {
                        Some(px) => lengths.push((number * px, id)),
                        None => self.other_lengths.entry(other_length(number, &unit)).or_default().push(id),
                    }
                    self.length_domains.push(entry.domain);
                    self.takes = self.takes.and(Takes::LENGTH);
                }
                Kind::Duration => {
                    let Some((number, unit)) = canon::quantity(value) else { continue };
                    let Some(ms) = canon::milliseconds(&unit) else { continue };
                    times.push((number * ms, id));
                    self.takes = self.takes.and(Takes::TIME);
                }
                Kind::FontWeight => {
                    let number = match value.to_ascii_lowercase().as_str() {
                        "normal" => Some(400.0),
                        "bold" => Some(700.0),
                        other => canon::quantity(other).filter(|q| q.1.is_empty()).map(|q| q.0),
                    };
                    let Some(number) = number else { continue };
                    weights.push((number, id));
                    self.takes = self.takes.and(Takes::WEIGHT);
                }
                Kind::Number => {
                    let Some((number, _)) = canon::quantity(value).filter(|q| q.1.is_empty()) else {
                        continue;
                    };
                    numbers.push((number, id));
                    self.number_domains.push(entry.domain);
                    self.takes = self.takes.and(Takes::NUMBER);
                }
                Kind::CubicBezier => {
                    let Some(easing) = canon::easing(value) else { continue };
                    self.easings.entry(easing).or_default().push(id);
                    self.takes = self.takes.and(Takes::EASING);
                }
                Kind::FontFamily => {
                    self.families.entry(canon::families(value)).or_default().push(id);
                    self.takes = self.takes.and(Takes::FAMILY);
                }
                Kind::Shadow => {
                    if let Some(shadow) = canon::shadow(value) {
                        self.shadows.entry(shadow).or_default().push(id);
                    }
                    self.takes = self.takes.and(Takes::SHADOW);
                }
                Kind::Other => {}
            }
        }
        self.by_lightness.sort_by(|a, b| a.0.lab[0].total_cmp(&b.0.lab[0]));
        self.lengths = Scale::new(lengths);
        self.times = Scale::new(times);
        self.weights = Scale::new(weights);
        self.numbers = Scale::new(numbers);
    }

    /// What is left of a property's values once those that the system has no tokens for are removed.
    pub(crate) fn judged(&self, spec: Spec) -> Spec {
        let mut takes = spec.takes.only(self.takes);
        if takes.has(Takes::LENGTH) && !self.length_domains.iter().any(|d| d.fits(spec.domain)) {
            takes = takes.without(Takes::LENGTH);
        }
        if takes.has(Takes::NUMBER) && !self.number_domains.iter().any(|d| d.fits(spec.domain)) {
            takes = takes.without(Takes::NUMBER);
        }
        Spec { takes, ..spec }
    }

    /// Whether a raw value is fine anywhere, or at least in `property`.
    pub(crate) fn allows(&self, property: &str, value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        let on = |(p, v): &(String, String)| *v == lower && property.starts_with(p.as_str());
        self.allow.contains(&lower) || self.allow_on.iter().any(on)
    }

    /// Whether any number with this unit is fine.
    pub(crate) fn allows_unit(&self, unit: &str) -> bool {
        self.allow.contains(unit) || unit.bytes().any(|b| b.is_ascii_uppercase()) && self.allows("", unit)
    }

    /// How many tokens it knows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it knows no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token with this name, without dashes before it.
    pub fn known(&self, name: &str) -> Option<&Known> {
        self.names.get(name).and_then(|id| self.tokens.get(*id as usize)).map(|e| &e.known)
    }

    /// The colour token that a Tailwind class such as `bg-surface` names by the end of its name.
    pub(crate) fn color_by_tail(&self, tail: &str) -> Option<&Known> {
        self.color_tails.get(tail).and_then(|id| self.tokens.get(*id as usize)).map(|e| &e.known)
    }

    /// Whether a variable of this name claims to belong to the system.
    pub(crate) fn claims(&self, name: &str) -> bool {
        self.options.prefixes.iter().any(|p| name.starts_with(p.as_str()))
    }

    /// The token to use instead of a deprecated one: the end of the chain of replacements.
    pub(crate) fn replacement(&self, deprecated: &Known) -> Option<Match<'_>> {
        let mut next = deprecated.replaced_by.as_deref();
        for _ in 0..REPLACEMENTS_MAX {
            let name = next?;
            let known = self.known(name.strip_prefix("--").unwrap_or(name))?;
            if known.deprecated.is_none() {
                return Some(Match {
                    name: &known.name,
                    distance: 0.0,
                    exact: known.value == deprecated.value,
                    candidates: 1,
                    sure: known.value == deprecated.value,
                });
            }
            next = known.replaced_by.as_deref();
        }
        None
    }

    /// The tokens closest to a colour: `None` for text that is no colour, empty when none is near.
    pub(crate) fn color(&self, text: &str) -> Option<Arc<Close>> {
        self.colors.get_or(text, || Paint::parse(text).map(|paint| Arc::new(self.closest_color(&paint))))
    }

    fn closest_color(&self, paint: &Paint) -> Close {
        if let Some(tokens) = self.paints.get(&paint.key) {
            return Close { distance: 0.0, tokens: tokens.clone() };
        }
        let near = self.options.near_color;
        let reach = near * LIGHTNESS_WEIGHT_MAX;
        let from = self.by_lightness.partition_point(|(p, _)| p.lab[0] < paint.lab[0] - reach);
        let window = self.by_lightness.get(from..).unwrap_or_default().iter();
        let window = window.take_while(|(p, _)| p.lab[0] <= paint.lab[0] + reach);
        let alike = window.filter(|(p, _)| (p.alpha - paint.alpha).abs() < 0.01);
        let near: Vec<_> = alike
            .map(|(p, id)| (delta_e_2000(paint.lab, p.lab), *id))
            .filter(|(distance, _)| *distance <= near)
            .collect();
        let distance = near.iter().map(|n| n.0).fold(f64::INFINITY, f64::min);
        let tokens = near.into_iter().filter(|n| n.0 <= distance + AS_CLOSE).map(|n| n.1).collect();
        Close { distance: distance.max(f64::MIN_POSITIVE), tokens }
    }

    /// The best of the closest colours for what the property paints.
    pub(crate) fn best_color(&self, text: &str, close: &Close, role: Role) -> Option<Match<'_>> {
        let mut best = self.best(close, role)?;
        if !best.exact {
            let (raw, token) = (Paint::parse(text)?, Paint::parse(&self.known(best.name)?.value)?);
            best.distance = delta_e_2000(raw.lab, token.lab);
        }
        Some(best)
    }

    /// The best among tokens that are equally close: for this role, or for any, before those for another; low ranks
    /// before high ones; short names before long ones.
    pub(crate) fn best(&self, close: &Close, role: Role) -> Option<Match<'_>> {
        let entries = || close.tokens.iter().filter_map(|id| self.tokens.get(*id as usize));
        let purpose = |e: &Entry| {
            let elsewhere = role != Role::Any && e.role != Role::Any && e.role != role;
            (elsewhere, e.known.rank, e.role != role)
        };
        let best = entries().min_by_key(|e| (purpose(e), e.known.name.len(), e.known.name.as_str()))?;
        let fits = purpose(best);
        let candidates = entries().filter(|e| purpose(e) == fits).count();
        let exact = close.distance == 0.0;
        // One that is for something else is not sure, nor is a raw value of a system that says what values are for.
        let sure = exact && candidates == 1 && !fits.0 && !(self.is_layered && best.known.rank == 2);
        Some(Match { name: &best.known.name, distance: close.distance, exact, candidates, sure })
    }

    fn quantity(&self, scale: &Scale, quantity: f64, spec: Spec, by_domain: bool) -> Option<Match<'_>> {
        let fits =
            |id: u32| !by_domain || self.tokens.get(id as usize).is_some_and(|e| e.domain.fits(spec.domain));
        let close = if spec.exact_only {
            scale.same(quantity, fits)
        } else {
            scale.closest(quantity, self.options.near_length, fits)
        };
        // Among equals, one that says what it is for comes before one that does not.
        let mut close = close?;
        let says = |id: &u32| self.tokens.get(*id as usize).is_some_and(|e| e.domain == spec.domain);
        if by_domain && close.tokens.iter().any(says) {
            close.tokens.retain(says);
        }
        self.best(&close, Role::Any)
    }

    /// The token closest to a length; units that are no fixed number of pixels are compared as they are written.
    pub(crate) fn length(&self, value: f64, unit: &str, spec: Spec) -> Option<Match<'_>> {
        if let Some(px) = canon::pixels(unit, self.options.root_font_px) {
            return self.quantity(&self.lengths, value * px, spec, true);
        }
        let tokens = self.other_lengths.get(&other_length(value, unit))?;
        let fits = |id: &u32| self.tokens.get(*id as usize).is_some_and(|e| e.domain.fits(spec.domain));
        let tokens: Vec<_> = tokens.iter().copied().filter(fits).collect();
        self.best(&Close { distance: 0.0, tokens }, Role::Any)
    }

    pub(crate) fn time(&self, ms: f64, spec: Spec) -> Option<Match<'_>> {
        self.quantity(&self.times, ms, spec, false)
    }

    pub(crate) fn weight(&self, weight: f64, spec: Spec) -> Option<Match<'_>> {
        self.quantity(&self.weights, weight, spec, false)
    }

    pub(crate) fn number(&self, number: f64, spec: Spec) -> Option<Match<'_>> {
        self.quantity(&self.numbers, number, spec, true)
    }

    pub(crate) fn easing(&self, text: &str) -> Option<Match<'_>> {
        self.same(&self.easings, &canon::easing(text)?)
    }

    pub(crate) fn shadow(&self, text: &str) -> Option<Match<'_>> {
        self.same(&self.shadows, &canon::shadow(text)?)
    }

    /// The token with these families, or else with the same first one.
    pub(crate) fn family(&self, text: &str) -> Option<Match<'_>> {
        let families = canon::families(text);
        self.same(&self.families, &families).or_else(|| {
            let first = families.first().filter(|f| !f.is_empty())?;
            let alike = self.families.iter().filter(|(f, _)| f.first() == Some(first));
            let share = |f: &[String]| {
                let common = f.iter().filter(|one| families.contains(one)).count();
                1.0 - common as f64 / (f.len() + families.len() - common).max(1) as f64
            };
            let scored = alike.map(|(f, ids)| Close { distance: share(f).max(0.01), tokens: ids.clone() });
            let matches = scored.filter_map(|close| self.best(&close, Role::Any));
            matches.min_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.name.cmp(b.name)))
        })
    }

    fn same<K: Eq + Hash>(&self, map: &HashMap<K, Vec<u32>>, key: &K) -> Option<Match<'_>> {
        self.best(&Close { distance: 0.0, tokens: map.get(key)?.clone() }, Role::Any)
    }

    /// The token whose name is closest to one that does not exist.
    pub(crate) fn typo(&self, name: &str) -> Option<Nearest> {
        self.typos.get_or(name, || {
            let limit = (name.len() / 4).clamp(2, 12);
            let current = self.tokens.iter().filter(|e| e.known.deprecated.is_none()).map(|e| &e.known.name);
            let alike = current.filter(|n| n.len().abs_diff(name.len()) <= limit && n.len() < 256);
            let scored = alike.map(|n| (edits(name.as_bytes(), n.as_bytes()), n)).filter(|s| s.0 <= limit);
            let (edits, name) = scored.min()?;
            Some(Nearest { name: name.clone(), distance: edits as f64, exact: false, candidates: 1 })
        })
    }
}

/// The shorter names under which a Tailwind theme may offer a colour.
fn tails<'n>(name: &'n str, prefixes: &[String]) -> impl Iterator<Item = &'n str> {
    let bare = prefixes.iter().filter_map(|p| name.strip_prefix(p.as_str()));
    std::iter::once(name).chain(bare).flat_map(|bare| {
        let short = bare.strip_prefix("color-").or_else(|| bare.strip_prefix("colors-")).unwrap_or(bare);
        [bare, short].into_iter().filter(|t| !t.is_empty())
    })
}

fn other_length(value: f64, unit: &str) -> (i64, String) {
    ((value * 10_000.0).round() as i64, unit.to_ascii_lowercase())
}

/// The Levenshtein distance.
fn edits(one: &[u8], two: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (b, cell) in two.iter().zip(row.iter_mut().skip(1)) {
            let up = *cell;
            left = (diagonal + usize::from(a != b)).min(up + 1).min(left + 1);
            (diagonal, *cell) = (up, left);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Answers that are costly to find, remembered up to a bound.
#[derive(Debug)]
struct Memo<V>(RwLock<HashMap<Box<str>, V>>);

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self(RwLock::new(HashMap::new()))
    }
}

impl<V: Clone> Memo<V> {
    fn get_or(&self, key: &str, find: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return known.clone();
        }
        let found = find();
        // Long keys are rare, and each would stay.
        if key.len() <= 128 {
            let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if map.len() < MEMO_ENTRIES_MAX {
                map.insert(key.into(), found.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        assert_eq!(edits(b"kitten", b"sitting"), 3);
        assert_eq!(edits(b"", b"abc"), 3);
        assert_eq!(edits(b"same", b"same"), 0);
    }
}
