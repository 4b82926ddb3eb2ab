//! Samples of OpenAI evals (`samples.jsonl`).

use ashlar_model::{Finding, Level, read_json};
use serde_json::{Value, json};

use super::{Imported, scalar};
use crate::suite::{CASE_BYTES_MAX, CASES_MAX, PATTERN_BYTES_MAX};

/// How a reply is compared with `ideal`: the basic eval of the samples. It is in the registry of OpenAI evals, not in the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// `Match`: the reply begins with one of the ideals.
    #[default]
    Match,
    /// `Includes`: the reply contains one of the ideals.
    Includes,
    /// `Includes` with `ignore_case`.
    IncludesIgnoringCase,
    /// `FuzzyMatch`: the reply contains one of the ideals, without regard to case, punctuation and articles.
    Fuzzy,
}

/// Reads samples with `input` and `ideal`.
#[must_use]
pub fn openai(path: &str, text: &str, matching: Matching) -> Imported {
    let mut out = Imported::default();
    let mut named = None;
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text)) {
        if text.trim().is_empty() {
            continue;
        }
        if out.cases.len() >= CASES_MAX {
            let message = format!("The file has more than {CASES_MAX} samples.");
            out.note(
                Finding::error("import-openai", format!("{path}:{line}"), message).help("split the file"),
            );
            break;
        }
        match sample(path, line, text, matching) {
            Ok((case, has_names)) => {
                out.cases.push(case);
                named = named.or(has_names.then_some(line));
            }
            Err(finding) => out.note(finding),
        }
    }
    let mut warn = |line: Option<usize>, message: &str, help: &str| {
        let place = line.map_or(path.to_owned(), |line| format!("{path}:{line}"));
        let finding = Finding::error("import-openai", place, message).help(help);
        out.note(Finding { level: Level::Warning, ..finding });
    };
    if named.is_some() {
        let message = "Messages have a `name`, which is not imported.";
        warn(named, message, "give examples the roles user and assistant");
    }
    if matching == Matching::Fuzzy {
        let message =
            "A reply that is only a part of an ideal passes FuzzyMatch in OpenAI evals, and fails here.";
        warn(None, message, "shorten ideals to what a reply must say");
    }
    if out.cases.is_empty() {
        let help = "write one object with `input` and `ideal` on each line";
        out.note(
            Finding::error("import-empty", path, "The file has no sample that can be imported.").help(help),
        );
    }
    out
}

/// A case from one line, and whether its messages have names.
fn sample(path: &str, line: usize, text: &str, matching: Matching) -> Result<(Value, bool), Finding> {
    let wrong = |field: &str, message: &str, help: &str| {
        Finding::error("import-openai", format!("{path}:{line} {field}"), message).help(help)
    };
    if text.len() > CASE_BYTES_MAX {
        let message = format!("The sample has {} bytes; at most {CASE_BYTES_MAX} are read.", text.len());
        return Err(wrong("", &message, "shorten it"));
    }
    let value = read_json(path, line, text, CASE_BYTES_MAX * 2)?;
    let help = "write a text, or a list of {\"role\", \"content\"} with texts";
    let mut has_names = false;
    let (key, input) = match &value["input"] {
        Value::String(text) if !text.trim().is_empty() => ("input", json!(text)),
        Value::Array(items) if !items.is_empty() => {
            let mut list = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                let field = format!("/input/{at}");
                let role = match item["role"].as_str() {
                    Some(role @ ("system" | "user" | "assistant")) => role,
                    Some("developer") => "system",
                    _ => return Err(wrong(&field, "The role is not system, user or assistant.", help)),
                };
                let Some(content) = item["content"].as_str() else {
                    return Err(wrong(&field, "The message is not a text.", help));
                };
                has_names |= !item["name"].is_null();
                list.push(json!({"role": role, "content": content}));
            }
            ("messages", json!(list))
        }
        _ => return Err(wrong("/input", "The sample has no `input`.", help)),
    };
    let ideals: Vec<String> = match &value["ideal"] {
        Value::Array(items) => items.iter().filter_map(scalar).collect(),
        one => scalar(one).into_iter().collect(),
    };
    if ideals.is_empty() || ideals.iter().any(|ideal| ideal.trim().is_empty()) {
        let help = "write a text or a list of texts; evals that a model grades need a `rubric` here";
        return Err(wrong("/ideal", "The sample has no `ideal`.", help));
    }
    let pattern = pattern(&ideals, matching);
    if pattern.len() > PATTERN_BYTES_MAX {
        let message = format!("The expression for `ideal` would have more than {PATTERN_BYTES_MAX} bytes.");
        return Err(wrong("/ideal", &message, "shorten the ideals, or write a `rubric`"));
    }
    let case = json!({
        "id": format!("sample-{line}"),
        key: input,
        "expect": {"matches": [pattern]},
        "source": format!("{path}:{line}"),
    });
    Ok((case, has_names))
}

/// One expression that matches what the basic eval accepts.
fn pattern(ideals: &[String], matching: Matching) -> String {
    let plain = || ideals.iter().map(|ideal| regex::escape(ideal)).collect::<Vec<_>>().join("|");
    match matching {
        Matching::Match => format!(r"\A(?:{})", plain()),
        Matching::Includes => format!("(?:{})", plain()),
        Matching::IncludesIgnoringCase => format!("(?i)(?:{})", plain()),
        Matching::Fuzzy => {
            let ideals: Vec<String> = ideals.iter().map(|ideal| fuzzy(ideal)).collect();
            format!("(?i)(?:{})", ideals.join("|"))
        }
    }
}

/// Words in a row, with punctuation inside and articles between them.
fn fuzzy(ideal: &str) -> String {
    let bare: String = ideal.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let words: Vec<String> = without_articles(&bare)
        .split_whitespace()
        .map(|word| {
            let chars: Vec<String> = word.chars().map(|c| regex::escape(&c.to_string())).collect();
            chars.join("[[:punct:]]*")
        })
        .collect();
    match words.is_empty() {
        // Nothing but articles and punctuation matches replies with nothing else.
        true => r"\A(?:[[:punct:]\s]|\b(?:an?|the)\b)*\z".to_owned(),
        false => words.join(r"[[:punct:]]*(?:\s|\b(?:an?|the)\b)(?:[[:punct:]\s]|\b(?:an?|the)\b)*"),
    }
}

/// A text with a space for each article. Anything but letters, digits and `_` ends a word: `a、b` has an article.
fn without_articles(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        out.push_str(if matches!(part, "a" | "an" | "the") { " " } else { part });
        rest = after;
    }
    out
}
