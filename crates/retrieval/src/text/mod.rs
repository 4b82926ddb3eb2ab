//! From text to the terms that are indexed and searched.

mod sentences;
mod stop;

use rust_stemmers::{Algorithm, Stemmer};

pub use self::sentences::sentences;

/// The longest term, in characters. What is longer is cut: nobody searches for it, and an index must not grow with it.
const TERM_CHARS_MAX: usize = 64;

/// Splits text into terms: lower case, without the stop words of the language, stemmed. Text without spaces between words
/// (Chinese, Japanese, Korean, Thai, …) becomes overlapping pairs of characters.
pub struct Analyzer {
    stemmer: Option<Stemmer>,
    stop: &'static [&'static str],
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
        Self { stemmer: algorithm.map(Stemmer::create), stop: stop::words(&language) }
    }

    /// Calls `take` with each term of the text, in order.
    pub fn terms(&self, text: &str, mut take: impl FnMut(&str)) {
        let mut word = String::new();
        let mut chars = text.chars().peekable();
        let mut before = ' ';
        while let Some(first) = chars.next() {
            let shortened = matches!(before, '\'' | '’');
            before = first;
            if !is_word(first) {
                continue;
            }
            word.clear();
            let mut length = 0;
            let dense = is_dense(first);
            let mut next = Some(first);
            while let Some(c) = next {
                if length < TERM_CHARS_MAX || dense {
                    word.extend(c.to_lowercase());
                    length += 1;
                }
                next = chars.next_if(|c| is_word(*c) && is_dense(*c) == dense);
            }
            if shortened && length == 1 {
                // The letter of `it's` and `don't` is no word.
                continue;
            }
            if dense {
                pairs(&word, &mut take);
            } else if !self.stop.contains(&word.as_str()) {
                match &self.stemmer {
                    Some(stemmer) => take(&stemmer.stem(&word)),
                    None => take(&word),
                }
            }
        }
    }

    /// The terms of a text as a list.
    #[must_use]
    pub fn list(&self, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        self.terms(text, |term| out.push(term.to_owned()));
        out
    }
}

/// Overlapping pairs of characters; one character is a term of its own.
fn pairs(run: &str, take: &mut impl FnMut(&str)) {
    let starts: Vec<usize> = run.char_indices().map(|(at, _)| at).chain([run.len()]).collect();
    if let [from, to] = starts[..] {
        take(&run[from..to]);
    }
    for window in starts.windows(3) {
        take(&run[window[0]..window[2]]);
    }
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
    fn long_words_are_cut() {
        let term = &Analyzer::for_locale("xx").list(&"x".repeat(10_000))[0];
        assert_eq!(term.len(), TERM_CHARS_MAX);
    }
}
