//! Reading a query. Every text is one: what is not an operator is words.

use std::ops::Range;

use crate::text::{Analyzer, words};

/// Different words of a query that people type. What follows is left out.
const PEOPLE_WORDS_MAX: usize = 64;
/// Different words of any other query, which may be a whole text.
const WORDS_MAX: usize = 1_024;
/// The fewest letters of a last word that is also taken as the beginning of a word.
const PREFIX_CHARS_MIN: usize = 2;

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The term as it is indexed.
    pub term: String,
    /// The word as it was typed, in lower case.
    pub typed: String,
    /// Where it is the first time.
    pub range: Range<usize>,
    /// How often the query has it.
    pub count: u32,
}

/// A query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The different words, in their order.
    pub words: Vec<Word>,
    /// Terms that must follow each other in a sentence; one term must just be there.
    pub phrases: Vec<Vec<String>>,
    /// Terms that must not be there.
    pub excluded: Vec<String>,
    /// Whether the last of the words may go on.
    pub open: bool,
}

impl Query {
    /// Reads a text that is all words.
    #[must_use]
    pub fn plain(analyzer: &Analyzer, text: &str) -> Self {
        let mut query = Self::default();
        query.add(analyzer, text, 0, WORDS_MAX);
        query
    }

    /// Reads what people type: `"…"` is a phrase, `-word` must not be there, and the last word may go on. A quote that nothing closes
    /// lasts to the end.
    #[must_use]
    pub fn typed(analyzer: &Analyzer, text: &str) -> Self {
        let mut query = Self::default();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let first = rest.chars().next().unwrap_or(' ');
            let begins = text[..at].chars().next_back().is_none_or(char::is_whitespace);
            let next = rest[first.len_utf8()..].chars().next();
            if is_quote(first) {
                let from = at + first.len_utf8();
                let (to, after) = text[from..]
                    .char_indices()
                    .find(|(_, c)| is_quote(*c))
                    .map_or((text.len(), text.len()), |(end, c)| (from + end, from + end + c.len_utf8()));
                query.phrase(analyzer, &text[from..to], from);
                at = after;
            } else if first == '-' && begins && next.is_some_and(char::is_alphanumeric) {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let room = PEOPLE_WORDS_MAX.saturating_sub(query.excluded.len());
                query.excluded.extend(analyzer.list(&rest[1..end]).into_iter().take(room));
                at += end;
            } else {
                let stop = |(place, c): (usize, char)| {
                    is_quote(c) || (place > 0 && c == '-' && rest[..place].ends_with(char::is_whitespace))
                };
                let end =
                    rest.char_indices().find(|at| at.0 > 0 && stop(*at)).map_or(rest.len(), |(end, _)| end);
                query.add(analyzer, &rest[..end], at, PEOPLE_WORDS_MAX);
                query.open = at + end == text.len();
                at += end;
            }
        }
        let goes_on = query.words.last().is_some_and(|word| {
            word.range.end == text.len() && word.typed.chars().count() >= PREFIX_CHARS_MIN
        });
        query.open &= goes_on;
        query
    }

    fn phrase(&mut self, analyzer: &Analyzer, text: &str, from: usize) {
        let before = self.phrases.iter().map(Vec::len).sum::<usize>();
        let mut terms = analyzer.list(text);
        terms.truncate(PEOPLE_WORDS_MAX.saturating_sub(before));
        if !terms.is_empty() {
            self.add(analyzer, text, from, PEOPLE_WORDS_MAX);
            self.phrases.push(terms);
        }
        self.open = false;
    }

    fn add(&mut self, analyzer: &Analyzer, text: &str, from: usize, most: usize) {
        words(text, |word| {
            let term = if word.dense { Some(word.text.into()) } else { analyzer.term(word.text) };
            let Some(term) = term else { return };
            if let Some(known) = self.words.iter_mut().find(|known| known.term == term) {
                known.count += 1;
            } else if self.words.len() < most {
                let range = from + word.from..from + word.to;
                self.words.push(Word {
                    term: term.into_owned(),
                    typed: word.text.to_owned(),
                    range,
                    count: 1,
                });
            }
        });
    }
}

const fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '«' | '»')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> (Vec<String>, Vec<Vec<String>>, Vec<String>, bool) {
        let query = Query::typed(&Analyzer::for_locale("en"), text);
        (query.words.into_iter().map(|word| word.term).collect(), query.phrases, query.excluded, query.open)
    }

    fn list(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn operators_are_read_and_everything_else_is_words() {
        assert_eq!(typed("high tides"), (list("high tide"), vec![], vec![], true));
        assert_eq!(typed("tides "), (list("tide"), vec![], vec![], false));
        assert_eq!(
            typed("\"low water\" tide"),
            (list("low water tide"), vec![list("low water")], vec![], true)
        );
        assert_eq!(typed("\"low water"), (list("low water"), vec![list("low water")], vec![], false));
        assert_eq!(typed("tide -table well-known"), (list("tide well known"), vec![], list("tabl"), true));
        assert_eq!(typed("- -- \"\" -"), (vec![], vec![], vec![], false));
        assert_eq!(typed("title:tide AND (x OR y)~2^3 [a TO b]").2, Vec::<String>::new());
    }
}
