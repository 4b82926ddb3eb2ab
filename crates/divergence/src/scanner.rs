use std::{borrow::Cow, collections::HashSet, ops::Range};

use crate::{
    lexicon::{Lexicon, Match},
    position,
    report::{Divergence, Nearest, Report, What},
};

/// Gathers what is found in one file.
pub(crate) struct Scanner<'a> {
    pub(crate) lexicon: &'a Lexicon,
    text: &'a str,
    report: Report,
    /// Ranges of bytes in which divergences are accepted.
    accepted: Vec<Range<usize>>,
    /// The tokens of the system that are defined here.
    defined: HashSet<&'a str>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(lexicon: &'a Lexicon, text: &'a str) -> Self {
        let mut report = Report::default();
        let accepted = accepted(text, &mut report.without_reason);
        Self { lexicon, text, report, accepted, defined: HashSet::new() }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.report.note.get_or_insert_with(|| note.into());
    }

    /// How many divergences there are so far: what comes later is at this index.
    pub(crate) fn mark(&self) -> usize {
        self.report.divergences.len()
    }

    /// The divergences since a mark, to be amended by who knows more of the place.
    pub(crate) fn since(&mut self, mark: usize) -> &mut [Divergence] {
        self.report.divergences.get_mut(mark..).unwrap_or_default()
    }

    /// Counts a declaration that the system has tokens for; what diverges in it was recorded since `mark`.
    pub(crate) fn count(&mut self, token: bool, mark: usize) {
        self.report.declarations += 1;
        self.report.tokens += usize::from(token);
        self.report.overrides += usize::from(self.mark() > mark);
    }

    /// Remembers that a variable of this name is defined, if it is a token's: by itself, or behind the namespace of a
    /// theme as in `--color-acme-ink`.
    pub(crate) fn defines(&mut self, name: &str) {
        let lexicon = self.lexicon;
        let ends = name.match_indices('-').filter_map(|(dash, _)| name.get(dash + 1..));
        if let Some(known) = std::iter::once(name).chain(ends).find_map(|n| lexicon.known(n)) {
            self.defined.insert(&known.name);
        }
    }

    /// Records a divergence at a place of the file; an invalid place is left out.
    pub(crate) fn add(
        &mut self,
        what: What,
        range: Range<usize>,
        property: &str,
        nearest: Option<Nearest>,
        fix: Option<String>,
    ) {
        let Some(text) = self.text.get(range.clone()).filter(|t| !t.is_empty()) else { return };
        // The last one that begins before the place is the only one that can reach it.
        let before = self.accepted.partition_point(|a| a.start <= range.start);
        if before > 0 && self.accepted.get(before - 1).is_some_and(|a| a.contains(&range.start)) {
            self.report.suppressed += 1;
            return;
        }
        // Behind a name without a space, as in `#fff#1a2b3c`, the fix would become part of that name.
        let before = self.text.get(..range.start).and_then(|t| t.chars().next_back());
        let joins = |fix: &String| before.is_some_and(in_name) && fix.starts_with(in_name);
        let fix = fix.filter(|fix| !joins(fix));
        self.report.divergences.push(Divergence {
            what,
            line: 0,
            column: 0,
            offset: range.start,
            len: range.len(),
            property: property.to_owned(),
            text: text.to_owned(),
            nearest,
            fix,
        });
    }

    /// Judges the use of a variable, named without its dashes, whose `--name` is at `range`; returns whether it is
    /// one of the system's.
    pub(crate) fn refer(&mut self, name: &str, range: Range<usize>, property: &str) -> bool {
        let lexicon = self.lexicon;
        let Some(known) = lexicon.known(name) else {
            if lexicon.claims(name) {
                self.add(What::UnknownToken, range, property, lexicon.typo(name), None);
            }
            return false;
        };
        if known.deprecated.is_some() {
            let replacement = lexicon.replacement(known);
            let fix = replacement.filter(|r| r.sure).map(|r| format!("--{}", r.name));
            self.add(What::DeprecatedToken, range, property, replacement.map(Match::nearest), fix);
        }
        true
    }

    /// What was found, in the order of the file.
    pub(crate) fn finish(mut self) -> Report {
        self.report.defines = self.defined.len();
        self.report.divergences.sort_by_key(|d| (d.offset, d.what, d.len));
        position::place(self.text, &mut self.report.divergences);
        self.report
    }
}

/// What a comment says to accept what diverges on its own line and on the next one; a reason has to follow.
const ACCEPT: &str = "diverge-ok:";

/// The ranges in which divergences are accepted, in order; lines without a reason go to `without`.
fn accepted(text: &str, without: &mut Vec<usize>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(ACCEPT) {
        let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let line = text[at + ACCEPT.len()..].lines().next().unwrap_or_default();
        let reason = line.split("*/").next().and_then(|r| r.split("-->").next()).unwrap_or_default();
        if reason.trim().len() < 3 {
            without.push(1 + text[..at].matches('\n').count());
            continue;
        }
        let rest = &text[at..];
        let end = rest.match_indices('\n').nth(1).map_or(text.len(), |(n, _)| at + n);
        ranges.push(start..end);
    }
    ranges
}

/// The text in lower case, copied only when it is not.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a character may be in a name of CSS.
fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii()
}
