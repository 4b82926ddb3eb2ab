//! Grounding: whether an answer says only what its sources say, and cites them.
//!
//! An answer is cut into sentences. A sentence is compared with the sources that it cites, or with all when it cites none. It is
//! supported when one or two neighbouring sentences of a source have most of its words and all of its numbers with their units, know its
//! names, have names and numbers beside the same words, and agree on what is denied. The comparison is lexical: it cannot see that another
//! wording means the same, so it errs towards refusing.

mod cite;
mod source;
mod units;
mod words;

use std::ops::Range;

use ashlar_retrieval::answer::sentence_ranges;
use serde::Serialize;
use serde_json::Value;

use self::{
    cite::{Cited, citations},
    source::{Claim, Known},
    words::Reader,
};
use crate::prompts::Rule;

/// The longest answer that is compared with sources, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The most sources of an answer.
pub const SOURCES_MAX: usize = 50;
/// The most pairs of a sentence of the answer and one of a source that are compared. A pair takes a few microseconds, on a thread that serves.
pub const PAIRS_MAX: usize = 50_000;
/// The share of a sentence's words that a source must have.
pub const SUPPORT_MIN: f32 = 0.6;

/// A retrieved text. Its number is its place among the sources, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The id of the chunk.
    pub id: String,
    /// The content type of its entry; empty for what is no entry.
    pub type_name: String,
    /// The id of its entry within the type.
    pub entry: String,
    /// The title of its entry, with headings.
    pub title: String,
    /// Where people read it.
    pub path: String,
    /// The text.
    pub text: String,
}

/// What is asked of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// What happens to sentences that no source supports.
    pub rule: Rule,
    /// Whether an answer without a citation is refused.
    pub citations: bool,
    /// The locale of the answer.
    pub locale: &'a str,
}

/// What was found out about a sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sentence {
    /// The bytes of the answer that it is.
    pub range: Range<usize>,
    /// Whether it states something. Greetings, headings and questions do not.
    pub claims: bool,
    /// How far the best source supports it, from 0 to 1.
    pub support: f32,
    /// The number of that source, from 1; 0 for none.
    pub source: usize,
    /// The numbers of the sources that it cites.
    pub cited: Vec<usize>,
    /// How many words it has that count.
    #[serde(skip)]
    weight: usize,
}

impl Sentence {
    /// Whether it may be shown.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        !self.claims || self.support >= SUPPORT_MIN
    }
}

/// Why an answer is not shown. The codes are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// `not_grounded`, `no_citation`, `no_sources` or `answer_too_long`.
    pub code: &'static str,
    /// Why, as a sentence.
    pub message: String,
}

/// A judged answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grounded {
    /// The text that may be shown; empty in a refusal.
    pub text: String,
    /// The sentences of the answer as the model gave it.
    pub sentences: Vec<Sentence>,
    /// The numbers of the sources that the shown text cites, in order.
    pub cited: Vec<usize>,
    /// How many citations name no source. They are removed from the text.
    pub invalid_citations: usize,
    /// How much of what the model said the sources say, from 0 to 1: the mean support of its sentences, each weighted by its words. A
    /// sentence that is not supported counts 0. It is 1 when nothing is claimed.
    pub groundedness: f32,
    /// Why the answer is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

impl Grounded {
    fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            text: String::new(),
            sentences: Vec::new(),
            cited: Vec::new(),
            invalid_citations: 0,
            groundedness: 0.0,
            refusal: Some(Refusal { code, message: message.into() }),
        }
    }

    fn refuse(self, code: &'static str, message: impl Into<String>) -> Self {
        Self { text: String::new(), refusal: Some(Refusal { code, message: message.into() }), ..self }
    }
}

/// Compares an answer with its sources.
#[must_use]
pub fn check(answer: &str, sources: &[Source], demand: Demand<'_>) -> Grounded {
    if answer.len() > ANSWER_BYTES_MAX {
        let message = format!(
            "The answer has more than {ANSWER_BYTES_MAX} bytes, so it was not compared with its sources."
        );
        return Grounded::refused("answer_too_long", message);
    }
    if sources.is_empty() {
        return Grounded::refused("no_sources", "Nothing released matches the question.");
    }
    let sources = &sources[..sources.len().min(SOURCES_MAX)];
    let reader = Reader::new(demand.locale);
    let known: Vec<Known> = sources.iter().map(|source| Known::of(&reader, source)).collect();
    let all = citations(answer, sources);
    let ranges = attached(answer, sentence_ranges(answer), &all);
    let of_sources: usize = known.iter().map(Known::sentences).sum();
    if ranges.len().saturating_mul(of_sources) > PAIRS_MAX {
        let message = format!(
            "The answer has {} sentences and its sources have {of_sources}; that is too much to compare.",
            ranges.len()
        );
        return Grounded::refused("answer_too_long", message);
    }
    let sentences: Vec<Sentence> =
        ranges.into_iter().map(|range| judged(&reader, answer, range, &all, &known)).collect();
    let weight: usize = sentences.iter().filter(|s| s.claims).map(|s| s.weight).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    let groundedness = match weight {
        0 => 1.0,
        weight => {
            let supported = sentences.iter().filter(|s| s.claims && s.is_supported());
            supported.map(|s| s.weight as f32 * s.support).sum::<f32>() / weight as f32
        }
    };
    let unsupported = sentences.iter().filter(|sentence| !sentence.is_supported()).count();
    let claims = sentences.iter().filter(|sentence| sentence.claims).count();
    let text = shown(answer, &sentences, &all);
    let mut cited: Vec<usize> =
        sentences.iter().filter(|s| s.is_supported()).flat_map(|s| s.cited.iter().copied()).collect();
    cited.sort_unstable();
    cited.dedup();
    let invalid_citations = all.iter().map(|cited| cited.unknown).sum();
    let grounded = Grounded { text, sentences, cited, invalid_citations, groundedness, refusal: None };
    if unsupported > 0 && (demand.rule == Rule::Refuse || unsupported == claims) {
        let message =
            format!("The sources do not support {unsupported} of {claims} statements of the answer.");
        return grounded.refuse("not_grounded", message);
    }
    if demand.citations && grounded.cited.is_empty() {
        return grounded.refuse("no_citation", "The answer cites none of its sources.");
    }
    grounded
}

/// Texts of a JSON answer that are compared with sources.
const TEXTS_MAX: usize = 1_000;

/// Compares the texts of a JSON answer with its sources. Numbers in a list that is called `citations` cite as well. Nothing can be left out of
/// an answer that follows a contract, so it is refused when a sentence has no support, whatever the rule says.
#[must_use]
pub fn check_value(answer: &Value, sources: &[Source], demand: Demand<'_>) -> Grounded {
    let mut texts = Vec::new();
    let mut listed = Vec::new();
    gather(answer, &mut texts, &mut listed);
    if texts.len() > TEXTS_MAX {
        let message =
            format!("The answer has more than {TEXTS_MAX} texts, so it was not compared with its sources.");
        return Grounded::refused("answer_too_long", message);
    }
    // Each text is a paragraph, so no sentence goes on in the next one.
    let demand = Demand { rule: Rule::Refuse, ..demand };
    let grounded = check(&texts.join("\n\n"), sources, Demand { citations: false, ..demand });
    if grounded.refusal.is_some() {
        return grounded;
    }
    let valid = listed.iter().filter(|number| (1..=sources.len()).contains(*number)).copied();
    let mut cited: Vec<usize> = grounded.cited.iter().copied().chain(valid).collect();
    cited.sort_unstable();
    cited.dedup();
    let invalid = listed.iter().filter(|number| !(1..=sources.len()).contains(*number)).count();
    let invalid_citations = grounded.invalid_citations + invalid;
    let grounded = Grounded { text: answer.to_string(), cited, invalid_citations, ..grounded };
    if invalid > 0 {
        return grounded.refuse("no_citation", "The answer cites a source that was not retrieved.");
    }
    match demand.citations && grounded.cited.is_empty() {
        true => grounded.refuse("no_citation", "The answer cites none of its sources."),
        false => grounded,
    }
}

/// The texts of a value, and the numbers of lists that are called `citations`. Values of answers are bounded in depth.
fn gather<'a>(value: &'a Value, texts: &mut Vec<&'a str>, listed: &mut Vec<usize>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts, listed)),
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_array().filter(|_| name == "citations") {
                    Some(items) if items.iter().all(Value::is_u64) => {
                        let numbers = items.iter().filter_map(Value::as_u64);
                        listed.extend(numbers.map(|number| usize::try_from(number).unwrap_or(usize::MAX)));
                    }
                    _ => gather(value, texts, listed),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The shown text: sentences that are supported, without citations that name no source.
fn shown(answer: &str, sentences: &[Sentence], all: &[Cited]) -> String {
    let mut out = String::new();
    let mut between = "";
    let mut end = 0;
    for sentence in sentences {
        let gap = answer.get(end..sentence.range.start).unwrap_or_default();
        if gap.matches('\n').count() > between.matches('\n').count() || between.is_empty() {
            between = gap;
        }
        end = sentence.range.end;
        if !sentence.is_supported() {
            continue;
        }
        if !out.is_empty() {
            out.push_str(if between.is_empty() { " " } else { between });
        }
        between = "";
        let mut from = sentence.range.start;
        for cited in all.iter().filter(|cited| sentence.range.contains(&cited.range.start)) {
            if cited.unknown == 0 {
                continue;
            }
            out.push_str(answer.get(from..cited.range.start).unwrap_or_default().trim_end_matches(' '));
            for number in &cited.numbers {
                out.extend([" [", &number.to_string(), "]"]);
            }
            from = cited.range.end;
        }
        out.push_str(answer.get(from..sentence.range.end).unwrap_or_default());
    }
    out.trim().to_owned()
}

/// Sentences with the citations that follow their full stop: `It costs 39 EUR. [1] It is small.`
fn attached(answer: &str, ranges: Vec<Range<usize>>, all: &[Cited]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for mut range in ranges {
        if let Some(last) = out.last_mut()
            && !answer.get(last.end..range.start).unwrap_or_default().contains('\n')
        {
            let first = all.partition_point(|cited| cited.range.start < range.start);
            for cited in &all[first..] {
                if cited.range.start != range.start {
                    break;
                }
                last.end = cited.range.end;
                let rest = answer.get(cited.range.end..range.end).unwrap_or_default();
                range.start = range.end.max(cited.range.end) - rest.trim_start().len();
            }
        }
        if range.start < range.end {
            out.push(range);
        }
    }
    out
}

fn judged(reader: &Reader, answer: &str, range: Range<usize>, all: &[Cited], known: &[Known]) -> Sentence {
    let of_sentence: Vec<&Cited> = all.iter().filter(|cited| range.contains(&cited.range.start)).collect();
    let mut plain = String::new();
    let mut from = range.start;
    for cited in &of_sentence {
        plain.push_str(answer.get(from..cited.range.start).unwrap_or_default());
        from = cited.range.end;
    }
    plain.push_str(answer.get(from..range.end).unwrap_or_default());
    let claim = Claim::of(reader, &plain);
    let mut cited: Vec<usize> = of_sentence.iter().flat_map(|cited| cited.numbers.iter().copied()).collect();
    cited.sort_unstable();
    cited.dedup();
    let compared = known.iter().enumerate().filter(|(at, _)| cited.is_empty() || cited.contains(&(at + 1)));
    let (mut support, mut source) = (0.0, 0);
    for (at, known) in compared {
        let found = known.support(&claim);
        if found > support {
            (support, source) = (found, at + 1);
        }
    }
    Sentence { range, claims: claim.claims, support, source, cited, weight: claim.weight() }
}

#[cfg(test)]
mod tests;
