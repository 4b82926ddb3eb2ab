//! Citations: `[1]`, `[1, 3]`, `[id-of-a-chunk]`.

use std::ops::Range;

use super::Source;

/// The longest text between the brackets of a citation, in bytes.
const CITATION_BYTES_MAX: usize = 200;
/// The most citations of an answer that are looked at.
const CITATIONS_MAX: usize = 2_000;

/// A citation in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cited {
    /// Its bytes, brackets included.
    pub range: Range<usize>,
    /// The numbers of the sources that it names, from 1.
    pub numbers: Vec<usize>,
    /// How many of its names are no source.
    pub unknown: usize,
}

/// The citations of an answer, in order.
pub(super) fn citations(answer: &str, sources: &[Source]) -> Vec<Cited> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = answer[at..].find('[').map(|found| at + found) {
        at = open + 1;
        let Some(close) = answer[at..].find(['[', ']']).map(|found| at + found) else { break };
        if !answer[close..].starts_with(']') || close - at > CITATION_BYTES_MAX {
            continue;
        }
        if let Some((numbers, unknown)) = named(&answer[at..close], sources) {
            out.push(Cited { range: open..close + 1, numbers, unknown });
            if out.len() == CITATIONS_MAX {
                break;
            }
        }
        at = close + 1;
    }
    out
}

/// The sources that the text between brackets names, and how many of its names are unknown. `None` when it is no citation.
fn named(text: &str, sources: &[Source]) -> Option<(Vec<usize>, usize)> {
    let (mut numbers, mut unknown) = (Vec::new(), 0);
    for part in text.split([',', ';']).map(str::trim) {
        let bare = part.strip_prefix("source").or_else(|| part.strip_prefix("Source")).unwrap_or(part);
        let bare = bare.trim_start_matches([' ', ':', '#']);
        if let Some(at) = sources.iter().position(|source| !source.id.is_empty() && source.id == part) {
            numbers.push(at + 1);
        } else if (1..=3).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            match bare.parse::<usize>().ok().filter(|number| (1..=sources.len()).contains(number)) {
                Some(number) => numbers.push(number),
                None => unknown += 1,
            }
        } else {
            return None;
        }
    }
    Some((numbers, unknown))
}
