//! From text to the terms that are indexed and searched.

mod sentences;
mod stop;

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

pub use self::sentences::sentences;

/// The longest term, in characters. What is longer is cut: nobody searches for it, and an index must not grow with it.
const TERM_CHARS_MAX: usize = 64;

/// A term of a text, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// The term as it is indexed.
    pub term: &'a str,
    /// The word as the text has it, in lower case.
    pub word: &'a str,
    /// The byte where it begins.
    pub from: usize,
    /// The byte after it.
    pub to: usize,
}

/// Splits text into terms: lower case, without the stop words of the language, stemmed. Text without spaces between words
/// (Chinese, Japanese, Korean, Thai, …) becomes overlapping pairs of characters.
pub struct Analyzer {
    stemmer: Option<Stemmer>,
    stop: &'static [&'static str],
    /// The lengths of the stop words, by how they begin: most words need not be compared with them.
    stop_lengths: [u16; 32],
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer")
            .field("stems", &self.stemmer.is_some())
            .field("stop", &self.stop.len())
            .finish()
    }
}

impl Analyzer {
    /// The analyzer of a locale such as `en` or `pt-BR`. A language that is not known is neither stemmed nor has stop words.
    #[must_use]
    pub fn for_locale(locale: &str) -> Self {
        let language = locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let algorithm = match language.as_str() {
            "ar" => Some(Algorithm::Arabic),
            "da" => Some(Algorithm::Danish),
            "nl" => Some(Algorithm::Dutch),
            "en" => Some(Algorithm::English),
            "fi" => Some(Algorithm::Finnish),
            "fr" => Some(Algorithm::French),
            "de" => Some(Algorithm::German),
            "el" => Some(Algorithm::Greek),
            "hu" => Some(Algorithm::Hungarian),
            "it" => Some(Algorithm::Italian),
            "nb" | "nn" | "no" => Some(Algorithm::Norwegian),
            "pt" => Some(Algorithm::Portuguese),
            "ro" => Some(Algorithm::Romanian),
            "ru" => Some(Algorithm::Russian),
            "es" => Some(Algorithm::Spanish),
            "sv" => Some(Algorithm::Swedish),
            "ta" => Some(Algorithm::Tamil),
            "tr" => Some(Algorithm::Turkish),
            _ => None,
        };
        let stop = stop::words(&language);
        let mut stop_lengths = [0; 32];
        for word in stop {
            stop_lengths[beginning(word)] |= length_bit(word);
        }
        Self { stemmer: algorithm.map(Stemmer::create), stop, stop_lengths }
    }

    fn is_stop(&self, word: &str) -> bool {
        self.stop_lengths[beginning(word)] & length_bit(word) != 0 && self.stop.contains(&word)
    }

    /// Calls `take` with each term of the text, in order.
    pub fn terms(&self, text: &str, mut take: impl FnMut(&str)) {
        self.tokens(text, |token| take(token.term));
    }

    /// Calls `take` with each term of the text and its place, in order.
    pub fn tokens(&self, text: &str, mut take: impl FnMut(Token<'_>)) {
        words(text, |word| {
            if word.dense {
                take(Token { term: word.text, word: word.text, from: word.from, to: word.to });
            } else if let Some(term) = self.term(word.text) {
                take(Token { term: &term, word: word.text, from: word.from, to: word.to });
            }
        });
    }

    /// The term of a word in lower case. Stop words have none.
    pub(crate) fn term<'w>(&self, word: &'w str) -> Option<Cow<'w, str>> {
        if self.is_stop(word) {
            return None;
        }
        Some(self.stemmer.as_ref().map_or(Cow::Borrowed(word), |stemmer| stemmer.stem(word)))
    }

    /// How many terms a text has. Counting them is several times as quick as making them.
    #[must_use]
    pub fn count(&self, text: &str) -> u32 {
        let mut count = 0_u32;
        words(text, |word| count += u32::from(word.dense || !self.is_stop(word.text)));
        count
    }

    /// The terms of a text as a list.
    #[must_use]
    pub fn list(&self, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        self.terms(text, |term| out.push(term.to_owned()));
        out
    }
}

fn beginning(word: &str) -> usize {
    word.bytes().next().map_or(0, |first| usize::from(first % 32))
}

fn length_bit(word: &str) -> u16 {
    1 << word.len().min(15)
}

/// A word as the text has it, in lower case; or a pair of characters of a script without spaces between words.
pub(crate) struct Word<'a> {
    pub text: &'a str,
    pub from: usize,
    pub to: usize,
    /// A pair of characters, which is a term as it is.
    pub dense: bool,
}

/// Calls `take` with each word of a text, in order.
pub(crate) fn words(text: &str, mut take: impl FnMut(Word<'_>)) {
    let mut word = String::new();
    let mut chars = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((from, first)) = chars.next() {
        let shortened = matches!(before, '\'' | '’');
        before = first;
        if !is_word(first) {
            continue;
        }
        word.clear();
        let mut length = 0;
        let dense = is_dense(first);
        let (mut next, mut to) = (Some((from, first)), from);
        while let Some((at, c)) = next {
            to = at + c.len_utf8();
            if c.is_ascii() {
                if length < TERM_CHARS_MAX {
                    word.push(c.to_ascii_lowercase());
                    length += 1;
                }
            } else if length < TERM_CHARS_MAX || dense {
                word.extend(c.to_lowercase());
                length += 1;
            }
            next = chars.next_if(|(_, c)| is_word(*c) && is_dense(*c) == dense);
        }
        // The letter of `it's` and `don't` is no word.
        if shortened && length == 1 {
            continue;
        }
        if dense {
            pairs(&word, |pair, at| {
                let from = from + at;
                take(Word { text: pair, from, to: from + pair.len(), dense });
            });
        } else {
            take(Word { text: &word, from, to, dense });
        }
    }
}

/// Overlapping pairs of characters and where each begins; one character is a term of its own.
fn pairs(run: &str, mut take: impl FnMut(&str, usize)) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    if let [from, to] = starts[..] {
        take(&run[from..to], from);
    }
    for window in starts.windows(3) {
        take(&run[window[0]..window[2]], window[0]);
    }
}

/// A hash of a term that is the same on every machine and in every version: FNV-1a with a finish that mixes all bits.
#[must_use]
pub fn term_hash(term: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in term.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_mark(c)
}

/// Combining marks belong to the letter before them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{0591}'..='\u{05bd}' | '\u{064b}'..='\u{065f}' | '\u{093a}'..='\u{094f}' | '\u{0e31}' | '\u{0e34}'..='\u{0e3a}' | '\u{0e47}'..='\u{0e4e}')
}

/// Scripts that are written without spaces between words, and Hangul, whose words carry their endings with them.
fn is_dense(c: char) -> bool {
    matches!(
        c,
        '\u{0e00}'..='\u{0eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3005}'..='\u{3007}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3134f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_stemmed() {
        let english = Analyzer::for_locale("en-GB");
        assert_eq!(
            english.list("The Tides are rising, tide-tables included, it's"),
            ["tide", "rise", "tide", "tabl", "includ"]
        );
        assert_eq!(Analyzer::for_locale("xx").list("The Tides"), ["the", "tides"]);
        assert_eq!(Analyzer::for_locale("de").list("Die Häfen"), ["haf"]);
    }

    #[test]
    fn text_without_spaces_becomes_pairs() {
        let any = Analyzer::for_locale("ja");
        assert_eq!(any.list("潮位表API"), ["潮位", "位表", "api"]);
        assert_eq!(any.list("潮"), ["潮"]);
    }

    #[test]
    fn places_are_those_of_the_source() {
        let text = "Straße, İzmir: 潮位表 it's the_end";
        for locale in ["en", "de", "xx"] {
            Analyzer::for_locale(locale).tokens(text, |token| {
                assert_eq!(text[token.from..token.to].to_lowercase(), token.word);
            });
        }
    }

    #[test]
    fn long_words_are_cut() {
        let term = &Analyzer::for_locale("xx").list(&"x".repeat(10_000))[0];
        assert_eq!(term.len(), TERM_CHARS_MAX);
    }
}
