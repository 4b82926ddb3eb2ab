//! Patterns of all contracts: they run in linear time, and all of them together are bounded.

use regex_syntax::hir::{Class, Hir, HirKind};
use rustc_hash::FxHashMap;

use crate::validate::PATTERN_CHARS_MAX;

/// The most characters of all different patterns of a project, and what they may be compiled to, in states of a matcher.
const PATTERNS_CHARS_MAX: usize = 200_000;
const PATTERNS_WEIGHT_MAX: u64 = 10_000_000;
/// What one pattern counts for at most: a larger one is not compiled to its end.
const PATTERN_WEIGHT_MAX: u64 = 100_000;

/// The patterns of a project: each is looked at once, and all of them together are bounded.
pub(super) struct Patterns {
    known: FxHashMap<String, Option<(String, &'static str)>>,
    /// Characters that may still be read.
    chars_left: usize,
    /// What may still be compiled.
    weight_left: u64,
}

impl Patterns {
    pub(super) fn new() -> Self {
        Self { known: FxHashMap::default(), chars_left: PATTERNS_CHARS_MAX, weight_left: PATTERNS_WEIGHT_MAX }
    }

    /// Patterns run in linear time, so what needs backtracking is refused.
    pub(super) fn check(&mut self, pattern: &str) -> Option<(String, &'static str)> {
        if let Some(known) = self.known.get(pattern) {
            return known.clone();
        }
        let wrong = self.judge(pattern);
        self.known.insert(pattern.to_owned(), wrong.clone());
        wrong
    }

    fn judge(&mut self, pattern: &str) -> Option<(String, &'static str)> {
        if pattern.len() > PATTERN_CHARS_MAX {
            return Some(("the pattern is longer than 2,000 characters".to_owned(), "shorten it"));
        }
        let too_much = Some((
            "the patterns of all contracts together are too large to compile".to_owned(),
            "use shorter patterns, smaller repetitions, or `maxLength`",
        ));
        let Some(left) = self.chars_left.checked_sub(pattern.len()) else { return too_much };
        self.chars_left = left;
        match regex_syntax::ParserBuilder::new().nest_limit(60).build().parse(pattern) {
            Ok(hir) => match self.weight_left.checked_sub(weight(&hir).min(PATTERN_WEIGHT_MAX)) {
                Some(left) => {
                    self.weight_left = left;
                    None
                }
                None => too_much,
            },
            Err(e) => {
                let text = e.to_string();
                let why =
                    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                Some((
                    format!("the pattern `{pattern}` cannot be used: {why}"),
                    "patterns run in linear time: look-around and back-references are not available",
                ))
            }
        }
    }
}

/// About how many states a pattern has when it is compiled.
fn weight(hir: &Hir) -> u64 {
    let all = |parts: &[Hir]| parts.iter().map(weight).fold(1_u64, u64::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Repetition(r) => {
            weight(&r.sub).saturating_mul(u64::from(r.max.unwrap_or(r.min).max(1))).saturating_add(1)
        }
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => all(parts),
    }
}
