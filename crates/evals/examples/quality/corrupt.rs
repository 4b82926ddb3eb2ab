//! Statements made wrong, with names and numbers of the same corpus.

use std::ops::Range;

use ashlar_evals::stats::Random;
use ashlar_retrieval::answer::words_of;

use crate::statements::Statement;

/// How a statement is made wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name becomes another name of the same paragraph.
    NameNear,
    /// A name becomes a name of another paragraph of the article.
    NameFar,
    /// Two names change places.
    Swap,
    /// A number becomes another number of the same paragraph.
    NumberNear,
    /// A digit of a number changes.
    NumberFar,
    /// A unit becomes another one.
    Unit,
    /// `not` is added or removed.
    Negation,
}

/// Units that stand for another one. Each is followed by what it becomes.
const UNITS: [[&str; 2]; 16] = [
    ["million", "billion"],
    ["billion", "million"],
    ["years", "months"],
    ["months", "years"],
    ["days", "hours"],
    ["hours", "days"],
    ["minutes", "hours"],
    ["km", "mi"],
    ["miles", "meters"],
    ["kilometres", "miles"],
    ["kilometers", "miles"],
    ["metres", "feet"],
    ["meters", "feet"],
    ["feet", "metres"],
    ["percent", "million"],
    ["mi", "m"],
];
const HELPERS: [&str; 15] = [
    "is", "was", "are", "were", "has", "have", "had", "can", "could", "will", "would", "did", "does", "may",
    "must",
];

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NameNear,
        Self::NameFar,
        Self::Swap,
        Self::NumberNear,
        Self::NumberFar,
        Self::Unit,
        Self::Negation,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::NameNear => "name of the same paragraph",
            Self::NameFar => "name of another paragraph",
            Self::Swap => "two names swapped",
            Self::NumberNear => "number of the same paragraph",
            Self::NumberFar => "number with another digit",
            Self::Unit => "unit",
            Self::Negation => "negation",
        }
    }
}

/// A statement made wrong. `None` when it has nothing to corrupt in this way.
pub fn corrupt(kind: Kind, statement: &Statement, random: &mut Random) -> Option<String> {
    let text = &statement.text;
    match kind {
        Kind::NameNear => renamed(text, &[&statement.paragraph], statement, random),
        Kind::NameFar => {
            let others: Vec<&str> = statement.others.iter().map(String::as_str).collect();
            renamed(text, &others, statement, random)
        }
        Kind::Swap => swapped(text, random),
        Kind::NumberNear => {
            let (range, found) = number(text, random)?;
            let others = numbers(&statement.paragraph);
            let others: Vec<&String> = others
                .iter()
                .map(|(_, number)| number)
                .filter(|number| !text.contains(number.as_str()) && number.len() == found.len())
                .collect();
            let other = pick(&others, random)?;
            Some(replaced(text, &range, other))
        }
        Kind::NumberFar => {
            let (range, found) = number(text, random)?;
            let digits: Vec<usize> =
                found.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at).collect();
            let at = *pick(&digits, random)?;
            let digit = found.as_bytes()[at] - b'0';
            let other = (usize::from(digit) + 1 + random.below(9)) % 10;
            let other = if at == 0 && other == 0 { usize::from(digit % 9 + 1) } else { other };
            Some(replaced(text, &(range.start + at..range.start + at + 1), &other.to_string()))
        }
        Kind::Unit => {
            let words = words_of(text);
            let pair = words.windows(2).find_map(|pair| {
                let unit = UNITS.iter().find(|unit| unit[0] == pair[1].lower)?;
                pair[0].digits.then(|| (pair[1].range.clone(), unit[1]))
            })?;
            Some(replaced(text, &pair.0, pair.1))
        }
        Kind::Negation => negated(text),
    }
}

fn replaced(text: &str, range: &Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

fn pick<'a, T>(list: &'a [T], random: &mut Random) -> Option<&'a T> {
    if list.is_empty() { None } else { list.get(random.below(list.len())) }
}

/// Runs of words with capital letters that are not the first word of a sentence.
fn names(text: &str) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for word in words_of(text) {
        let before = text[..word.range.start].trim_end();
        let begins = before.is_empty() || before.ends_with(['.', '!', '?', ':', '"', '“', '(']);
        let name = word.capital && !begins && word.lower.len() > 2;
        if !name {
            continue;
        }
        match out.last_mut() {
            Some(last) if &text[last.end..word.range.start] == " " => last.end = word.range.end,
            _ => out.push(word.range),
        }
    }
    out
}

fn renamed(text: &str, from: &[&str], statement: &Statement, random: &mut Random) -> Option<String> {
    let own = names(text);
    // The answer, if it is a name: that is what people get wrong.
    let answer = own.iter().find(|range| statement.answer.contains(&text[(*range).clone()]));
    let range = match answer {
        Some(range) => range.clone(),
        None => pick(&own, random)?.clone(),
    };
    let near = from.len() == 1;
    let mut others: Vec<&str> =
        from.iter().flat_map(|from| names(from).into_iter().map(|r| &from[r])).collect();
    others.retain(|name| {
        let (name, text) = (name.to_lowercase(), text.to_lowercase());
        let old = text[range.clone().start.min(text.len())..range.end.min(text.len())].to_owned();
        let apart = !text.contains(&name) && !name.split(' ').any(|word| old.contains(word));
        apart && (near || !statement.paragraph.to_lowercase().contains(&name))
    });
    others.sort_unstable();
    others.dedup();
    pick(&others, random).map(|name| replaced(text, &range, name))
}

fn swapped(text: &str, random: &mut Random) -> Option<String> {
    let own = names(text);
    if own.len() < 2 {
        return None;
    }
    let first = random.below(own.len() - 1);
    let (a, b) = (&own[first], &own[first + 1]);
    let (one, other) = (&text[a.clone()], &text[b.clone()]);
    // Members of a list may change places, and so may what `and` joins.
    let between = text[a.end..b.start].trim();
    let lists = between.is_empty()
        || between.split([' ', ',']).all(|w| matches!(w, "" | "and" | "or" | "&" | "-" | "–"));
    let differ = !one.contains(other) && !other.contains(one);
    (differ && !lists)
        .then(|| format!("{}{other}{}{one}{}", &text[..a.start], &text[a.end..b.start], &text[b.end..]))
}

fn numbers(text: &str) -> Vec<(Range<usize>, String)> {
    let words = words_of(text).into_iter().filter(|word| word.digits);
    words.map(|word| (word.range.clone(), text[word.range].to_owned())).collect()
}

fn number(text: &str, random: &mut Random) -> Option<(Range<usize>, String)> {
    pick(&numbers(text), random).cloned()
}

fn negated(text: &str) -> Option<String> {
    if let Some(at) = text.find(" not ") {
        return Some(format!("{}{}", &text[..at], &text[at + 4..]));
    }
    let helper = words_of(text).into_iter().find(|word| HELPERS.contains(&word.lower.as_str()))?;
    Some(format!("{} not{}", &text[..helper.range.end], &text[helper.range.end..]))
}
