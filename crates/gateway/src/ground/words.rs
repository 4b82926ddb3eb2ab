//! A sentence as words that are compared: their order, names, numbers with units, and what is denied.

use ashlar_retrieval::{
    answer::{denies, terms_of, words_of},
    text::Analyzer,
};

use super::units::{digits_of, plain, unit_of};

/// How many words that count a denial reaches.
const DENIED: usize = 3;

/// How texts of a locale are read.
#[derive(Debug)]
pub(super) struct Reader {
    analyzer: Analyzer,
    /// Whether a capital letter inside a sentence marks a name. In German it marks every noun.
    names: bool,
}

impl Reader {
    pub(super) fn new(locale: &str) -> Self {
        let language = locale.split(['-', '_']).next().unwrap_or_default();
        let nouns = language.eq_ignore_ascii_case("de") || language.eq_ignore_ascii_case("lb");
        Self { analyzer: Analyzer::for_locale(locale), names: !nouns }
    }
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A word with content.
    Term,
    /// A word with a capital letter inside a sentence.
    Name,
    /// A number with its unit.
    Number(Option<usize>),
}

/// A word that counts.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub term: String,
    pub sort: Sort,
    /// Whether it is denied: `not included`.
    pub denied: bool,
}

/// The words of a sentence that count, in order.
#[derive(Debug, Default, Clone)]
pub(super) struct Parts {
    pub list: Vec<Part>,
    /// Whether it denies anything.
    pub denies: bool,
    /// Whether it names an agent after its verb: `was written by`.
    pub passive: bool,
}

impl Parts {
    pub(super) fn of(reader: &Reader, text: &str) -> Self {
        let mut out = Self::default();
        // Words since the last denial in the same clause; and where the clause begins.
        let (mut reach, mut clause) = (0, 0);
        let mut end = 0;
        let mut dangling = false;
        for word in words_of(text) {
            if text[end..word.range.start].contains([',', ';', ':', '(', ')', '—', '–', '.']) {
                out.close(dangling, clause);
                (reach, clause, dangling) = (0, out.list.len(), false);
            }
            let (before, after) = (&text[..word.range.start], &text[word.range.end..]);
            end = word.range.end;
            out.passive |= matches!(word.lower.as_str(), "by" | "von" | "durch" | "par");
            if denies(&word.lower) {
                (out.denies, dangling, reach) = (true, true, DENIED);
                continue;
            }
            let number = if word.digits { Some(word.lower.as_str()) } else { digits_of(&word.lower) };
            let (terms, sort) = match number {
                Some(number) => (vec![plain(number).to_owned()], Sort::Number(unit_of(before, after))),
                None if word.capital && reader.names && !begins(before) => {
                    (terms_of(&reader.analyzer, &word), Sort::Name)
                }
                None => (terms_of(&reader.analyzer, &word), Sort::Term),
            };
            for term in terms {
                out.list.push(Part { term, sort, denied: reach > 0 });
                reach = reach.saturating_sub(1);
                dangling = false;
            }
        }
        out.close(dangling, clause);
        out
    }

    /// Ends a clause. A denial at its end denies what is before it: `enthält sie nicht`.
    fn close(&mut self, dangling: bool, clause: usize) {
        if dangling {
            let from = clause.max(self.list.len().saturating_sub(DENIED));
            self.list[from..].iter_mut().for_each(|part| part.denied = true);
        }
    }
}

/// Whether a sentence, a heading or a quotation begins behind this text, so that a capital letter means nothing.
fn begins(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '*', '_', '\u{a0}']);
    before.is_empty()
        || before.ends_with(['.', '!', '?', ':', '"', '“', '”', '«', '\n', '-', '•', '#', '|', '(', '['])
}
