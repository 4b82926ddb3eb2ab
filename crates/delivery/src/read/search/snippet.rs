//! A few words around what was found, with marks.

use ashlar_retrieval::{search::query::Query, text::Analyzer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a snippet is, in bytes, about.
const SNIPPET_BYTES: usize = 240;
/// What stands for text that is left out.
const CUT: &str = "…";

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Snippet {
    /// Words of the field, without markup.
    pub text: String,
    /// Where words of the query are: from and to, in UTF-16 code units as JavaScript counts them.
    pub marks: Vec<[u32; 2]>,
}

impl Snippet {
    /// Its pieces in order, each with whether it is marked.
    pub fn pieces(&self) -> Vec<(String, bool)> {
        let units: Vec<u16> = self.text.encode_utf16().collect();
        let piece = |from: usize, to: usize| {
            String::from_utf16_lossy(units.get(from..to.min(units.len())).unwrap_or_default())
        };
        let (mut out, mut at) = (Vec::new(), 0);
        for [from, to] in &self.marks {
            let (from, to) = (*from as usize, *to as usize);
            if from > at {
                out.push((piece(at, from), false));
            }
            out.push((piece(from, to), true));
            at = to;
        }
        if at < units.len() {
            out.push((piece(at, units.len()), false));
        }
        out
    }
}

/// A word of a text.
struct Found {
    from: usize,
    to: usize,
    /// The number of the word in the query that it is.
    word: Option<usize>,
}

/// Where a text has words of a query, in UTF-16 code units.
pub(super) fn marks(text: &str, query: &Query, analyzer: &Analyzer) -> Vec<[u32; 2]> {
    marked(text, (0, text.len()), 0, &found(text, query, analyzer))
}

/// The words of a text.
fn found(text: &str, query: &Query, analyzer: &Analyzer) -> Vec<Found> {
    let open = query.words.last().filter(|_| query.open).map(|last| last.typed.as_str());
    let mut words: Vec<Found> = Vec::new();
    analyzer.tokens(text, |token| {
        let same = query.words.iter().position(|word| word.term == token.term);
        let begun = || open.filter(|open| token.word.starts_with(*open)).map(|_| query.words.len());
        words.push(Found { from: token.from, to: token.to, word: same.or_else(begun) });
    });
    words
}

/// A text on one line. Removed markup leaves spaces, which are dropped before a full stop and inside brackets.
fn joined(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let closes = word.starts_with([')', ']']) || word.chars().all(|c| matches!(c, '.' | ','));
        let opened = out.ends_with(['(', '[']);
        if !out.is_empty() && !closes && !opened {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The part of a text that has most of a query. `text` has no markup.
pub(super) fn snippet(text: &str, query: &Query, analyzer: &Analyzer) -> Snippet {
    let text = joined(text);
    let words = found(&text, query, analyzer);
    let (from, to) = window(&text, &words);
    let (before, after) = (from > 0, to < text.len());
    let mut out = String::new();
    if before {
        out.push_str(CUT);
    }
    let marks = marked(&text, (from, to), out.encode_utf16().count(), &words);
    out.push_str(&text[from..to]);
    if after {
        out.push_str(CUT);
    }
    Snippet { text: out, marks }
}

/// Where the words of the query are in a part of a text that begins with so many units.
fn marked(text: &str, (from, to): (usize, usize), shift: usize, words: &[Found]) -> Vec<[u32; 2]> {
    let inner = &text[from..to];
    let units = |at: usize| {
        let count = shift + inner[..at - from].encode_utf16().count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut marks: Vec<[u32; 2]> = Vec::new();
    for found in words.iter().filter(|w| w.word.is_some() && w.from >= from && w.to <= to) {
        let mark = [units(found.from), units(found.to)];
        match marks.last_mut() {
            // Pairs of characters overlap.
            Some(last) if mark[0] <= last[1] => last[1] = last[1].max(mark[1]),
            _ => marks.push(mark),
        }
    }
    marks
}

/// The bytes that have the most different words of the query; where several have as many, the first.
fn window(text: &str, words: &[Found]) -> (usize, usize) {
    if text.len() <= SNIPPET_BYTES {
        return (0, text.len());
    }
    let mut best = (0, 0, 0);
    for (number, first) in words.iter().enumerate().filter(|(_, w)| w.word.is_some()) {
        let mut seen: Vec<usize> = Vec::new();
        let mut all = 0;
        for found in words[number..].iter().take_while(|w| w.to <= first.from + SNIPPET_BYTES * 3 / 4) {
            if let Some(word) = found.word {
                all += 1;
                if !seen.contains(&word) {
                    seen.push(word);
                }
            }
        }
        if (seen.len(), all) > (best.0, best.1) {
            best = (seen.len(), all, first.from);
        }
    }
    // A little before it, from the begin of a sentence if that is near, else of a word.
    let begin = text.floor_char_boundary(best.2.saturating_sub(SNIPPET_BYTES / 4));
    let lead = &text[begin..best.2];
    let from = match (lead.rfind(". "), begin) {
        (_, 0) => 0,
        (Some(at), _) => begin + at + 2,
        (None, _) => lead.find(' ').map_or(best.2, |at| begin + at + 1),
    };
    let end = text.floor_char_boundary(from + SNIPPET_BYTES);
    let to = match end < text.len() {
        true => text[from..end].rfind(' ').filter(|at| *at > SNIPPET_BYTES / 2).map_or(end, |at| from + at),
        false => text.len(),
    };
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, query: &str) -> String {
        let analyzer = Analyzer::for_locale("en");
        let made = snippet(text, &Query::typed(&analyzer, query), &analyzer);
        made.pieces()
            .into_iter()
            .map(|(text, marked)| if marked { format!("[{text}]") } else { text })
            .collect()
    }

    #[test]
    fn words_of_the_query_are_marked() {
        assert_eq!(shown("High  tides come\ntwice.", "tide "), "High [tides] come twice.");
        assert_eq!(shown("Berths and berthing", "ber"), "[Berths] and [berthing]");
        assert_eq!(shown("😀 tide", "tide"), "😀 [tide]");
        assert_eq!(shown("潮位表", "潮位"), "[潮位]表");
        assert_eq!(shown("", "x"), "");
        // What markup leaves behind is not shown.
        assert_eq!(shown("( A  tide ) , see   ./x  .", "tide"), "(A [tide]), see ./x.");
    }

    #[test]
    fn the_part_that_has_most_is_shown() {
        let text = format!(
            "Tide. {} A berth at high tide is free. {}",
            "Filler words. ".repeat(40),
            "More. ".repeat(90)
        );
        let found = shown(&text, "berth tide");
        assert!(found.starts_with("…"), "{found}");
        assert!(found.contains("A [berth] at high [tide] is free."), "{found}");
        assert!(found.ends_with('…') && found.len() < 300, "{found}");
        assert!(shown(&"é".repeat(1_000), "x").len() <= SNIPPET_BYTES + 3);
    }
}
