//! Words that questions are made of, in the languages that are known. Other languages do without: every word counts as content.

mod lists;

use lists::{
    ASKING, ASKS_NAME, ASKS_NUMBER, ASKS_PLACE, ASKS_TIME, CONDITION, COPULA, DENYING, MEASURED, NUMBERS,
    OPPOSITE, PLACE_BEFORE, PRONOUNS, REASONS, SAME, SPANS, TIMES, WHETHER,
};

/// What kind of answer a question expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expects {
    /// Nothing in particular.
    Anything,
    /// A number or an amount.
    Number,
    /// A date or a time.
    Time,
    /// A person or an organisation.
    Name,
    /// A place.
    Place,
    /// A reason.
    Reason,
}

/// The groups of words that mean nearly the same, in lower case: the word that stands for all of them.
pub(super) fn representative(word: &str) -> &str {
    SAME.iter().find(|group| group.contains(&word)).map_or(word, |group| group[0])
}

/// Whether a word is about what something costs.
pub(super) fn is_price(word: &str) -> bool {
    representative(word) == SAME[0][0]
}

/// Whether a text has an amount of money: a sign or a code of a currency.
pub(super) fn has_amount(text: &str) -> bool {
    text.contains(['€', '$', '£', '¥'])
        || text.split(|c: char| !c.is_alphanumeric()).any(|word| {
            word.len() == 3
                && word.bytes().all(|byte| byte.is_ascii_uppercase())
                && !matches!(word, "API" | "URL" | "PDF")
        }) && text.bytes().any(|byte| byte.is_ascii_digit())
}

pub(super) fn asks(word: &str) -> bool {
    ASKING.contains(&word)
}

/// Whether a word begins a question whether something is so.
pub(super) fn asks_whether(word: &str) -> bool {
    WHETHER.contains(&word)
}

pub(super) fn is_copula(word: &str) -> bool {
    COPULA.contains(&word)
}

pub(super) fn is_condition(word: &str) -> bool {
    CONDITION.contains(&word)
}

pub(super) fn is_pronoun(word: &str) -> bool {
    PRONOUNS.contains(&word)
}

pub(super) fn is_span(word: &str) -> bool {
    SPANS.contains(&word)
}

/// Whether `how` and this word ask for a number.
pub(super) fn is_measure(word: &str) -> bool {
    MEASURED.contains(&word) || matches!(word, "many" | "much") || word.starts_with("viel")
}

/// Whether a word asks for one of several things, which the next word names.
pub(super) fn asks_which(word: &str) -> bool {
    matches!(
        word,
        "what"
            | "which"
            | "welche"
            | "welcher"
            | "welches"
            | "welchen"
            | "quel"
            | "quelle"
            | "quels"
            | "quelles"
    )
}

pub(super) fn is_article(word: &str) -> bool {
    matches!(
        word,
        "a" | "an"
            | "the"
            | "one"
            | "any"
            | "every"
            | "ein"
            | "eine"
            | "einen"
            | "der"
            | "die"
            | "das"
            | "un"
            | "une"
            | "le"
            | "la"
            | "les"
    )
}

/// Whether a word stands for the one who asks.
pub(super) fn is_asker(word: &str) -> bool {
    matches!(word, "i" | "we" | "you" | "one" | "ich" | "wir" | "man")
}

/// Whether a word begins a purpose, at the beginning of a sentence.
pub(super) fn is_purpose(word: &str) -> bool {
    matches!(word, "to" | "um" | "pour")
}

/// Whether a word says what is measured, as `long` in `how long`.
pub(super) fn is_measured(before: &str, word: &str) -> bool {
    matches!(before, "how" | "wie" | "combien" | "de") && MEASURED.contains(&word)
}

/// Whether a word in lower case denies something: `not`, `never`, `kein`.
#[must_use]
pub fn denies(word: &str) -> bool {
    DENYING.contains(&word)
}

pub(super) fn opposites(word: &str) -> impl Iterator<Item = &'static str> {
    OPPOSITE.iter().filter_map(move |(a, b)| {
        if *a == word {
            Some(*b)
        } else if *b == word {
            Some(*a)
        } else {
            None
        }
    })
}

/// Whether a word is another with a prefix that denies it, as `unconnected` is `connected`.
pub(super) fn is_prefixed(word: &str, plain: &str) -> bool {
    plain.len() > 3
        && ["un", "in", "im", "ir", "non", "dis"]
            .iter()
            .any(|prefix| word.strip_prefix(prefix) == Some(plain))
}

pub(super) fn is_time(word: &str) -> bool {
    TIMES.contains(&word)
}

pub(super) fn is_number(word: &str) -> bool {
    NUMBERS.contains(&word)
}

pub(super) fn is_reason(word: &str) -> bool {
    REASONS.contains(&word)
}

pub(super) fn is_before_place(word: &str) -> bool {
    PLACE_BEFORE.contains(&word)
}

/// What a question expects, from its words in lower case, and which word names the kind of the answer (the `year` of `what year`).
pub(super) fn expects(words: &[&str]) -> (Expects, Option<usize>) {
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let kind = |near: &[&str]| {
            let of = |list: &[&str]| near.iter().position(|word| list.contains(word));
            [
                (Expects::Time, of(ASKS_TIME)),
                (Expects::Number, of(ASKS_NUMBER)),
                (Expects::Place, of(ASKS_PLACE)),
                (Expects::Name, of(ASKS_NAME)),
            ]
            .into_iter()
            .find_map(|(kind, place)| Some((kind, place? + at + 1)))
        };
        match *word {
            "when" | "wann" | "quand" => return (Expects::Time, None),
            "where" | "wo" | "où" => return (Expects::Place, None),
            "who" | "whom" | "whose" | "wer" | "wen" | "wem" => return (Expects::Name, None),
            "why" | "warum" | "wieso" | "weshalb" | "pourquoi" => return (Expects::Reason, None),
            "how"
                if matches!(
                    next,
                    "many" | "much" | "long" | "old" | "far" | "large" | "tall" | "big" | "often"
                ) =>
            {
                return (Expects::Number, None);
            }
            "wie" if next.starts_with("viel") || matches!(next, "lange" | "groß" | "hoch" | "oft") => {
                return (Expects::Number, None);
            }
            "kostet" | "kosten" | "coûte" | "coûtent" => return (Expects::Number, None),
            "combien" => return (Expects::Number, None),
            "what" | "which" | "welche" | "welcher" | "welches" | "welchen" | "quel" | "quelle" | "quels"
            | "quelles" => {
                let near = &words[(at + 1).min(words.len())..(at + 5).min(words.len())];
                if let Some((kind, place)) = kind(near) {
                    return (kind, Some(place));
                }
                return (Expects::Anything, None);
            }
            _ => {}
        }
    }
    (Expects::Anything, None)
}
