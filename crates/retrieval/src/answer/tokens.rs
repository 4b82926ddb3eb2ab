//! Texts as words with their places, for looking closely at a few passages.

use std::ops::Range;

use super::words;
use crate::text::{Analyzer, sentences};

/// A word of a text.
#[derive(Debug, Clone)]
pub struct Word {
    /// Where it is in its text.
    pub range: Range<usize>,
    /// In lower case; a number without the signs that group its digits.
    pub lower: String,
    /// Whether it begins with a capital letter.
    pub capital: bool,
    /// Whether it is made of digits.
    pub digits: bool,
}

/// The words of a text, in order. `don't` is two words, of which the second is `not`.
#[must_use]
pub fn words_of(text: &str) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if !is_word(first) {
            continue;
        }
        let mut end = start + first.len_utf8();
        let mut digits = first.is_ascii_digit();
        while let Some((at, c)) = chars.peek().copied() {
            let inner = matches!(c, '.' | ',')
                && digits
                && text[at + c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
            if !is_word(c) && !inner {
                break;
            }
            digits &= c.is_ascii_digit() || inner;
            end = at + c.len_utf8();
            chars.next();
        }
        let raw = &text[start..end];
        let shortened = text[..start].ends_with(['\'', '’']);
        if shortened && raw.chars().count() == 1 {
            if raw.eq_ignore_ascii_case("t") && out.last().is_some_and(|w| w.lower.ends_with('n')) {
                out.push(Word { range: start..end, lower: "not".to_owned(), capital: false, digits: false });
            }
            continue;
        }
        let lower = if digits { number(raw) } else { raw.to_lowercase() };
        out.push(Word { range: start..end, lower, capital: first.is_uppercase(), digits });
    }
    out
}

/// A number without the signs that group its digits: `1,500` becomes `1500`, `4,50` becomes `4.50`.
fn number(raw: &str) -> String {
    let Some((whole, part)) = raw.rsplit_once(['.', ',']) else { return raw.to_owned() };
    let whole = whole.replace(['.', ','], "");
    if part.len() == 3 { format!("{whole}{part}") } else { format!("{whole}.{part}") }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{0300}'..='\u{036f}' | '\u{0e31}' | '\u{0e34}'..='\u{0e4e}')
}

/// The term that a word is compared by; none for words without content.
#[must_use]
pub fn terms_of(analyzer: &Analyzer, word: &Word) -> Vec<String> {
    if word.digits {
        return vec![word.lower.clone()];
    }
    analyzer.list(words::representative(&word.lower))
}

/// The sentences of a text as ranges. What was cut after an abbreviation (`St.`, `U.S.`) is joined again.
#[must_use]
pub fn sentence_ranges(text: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    for sentence in sentences(text) {
        let Some(start) = text[from..].find(sentence).map(|at| at + from) else { continue };
        let end = start + sentence.len();
        from = end;
        match out.last_mut() {
            Some(last) if joins(&text[last.clone()], &text[last.end..start], sentence) => last.end = end,
            _ => out.push(start..end),
        }
    }
    out
}

fn joins(before: &str, between: &str, after: &str) -> bool {
    if between.contains('\n') || !before.ends_with('.') {
        return false;
    }
    let last = before.trim_end_matches('.').rsplit([' ', '(', '\n']).next().unwrap_or_default();
    let initial = last.rsplit('.').next().unwrap_or_default();
    let abbreviated = initial.chars().count() == 1 && initial.chars().all(char::is_uppercase);
    let known = matches!(
        last.to_lowercase().as_str(),
        "st" | "dr"
            | "mr"
            | "mrs"
            | "ms"
            | "prof"
            | "no"
            | "vs"
            | "c"
            | "ca"
            | "cf"
            | "e.g"
            | "i.e"
            | "etc"
            | "jr"
            | "sr"
            | "vol"
            | "art"
            | "gen"
            | "col"
            | "lt"
            | "ed"
            | "est"
            | "z.b"
            | "bzw"
            | "p"
            | "pp"
            | "nr"
    );
    abbreviated || known || after.chars().next().is_some_and(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_and_denials_are_seen() {
        let of = |text| words_of(text).into_iter().map(|w| w.lower).collect::<Vec<_>>();
        assert_eq!(
            of("It didn't cost 1,500.50 EUR, it's 1,500."),
            ["it", "didn", "not", "cost", "1500.50", "eur", "it", "1500"].map(str::to_owned)
        );
    }

    #[test]
    fn abbreviations_do_not_end_sentences() {
        let text = "St. Mary lies in the U.S. Virgin Islands. It is small.";
        let found: Vec<&str> = sentence_ranges(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["St. Mary lies in the U.S. Virgin Islands.", "It is small."]);
    }
}
