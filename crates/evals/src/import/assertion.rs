//! Assertions of promptfoo as expectations of a case.

use ashlar_model::Finding;
use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::{Expected, Imported, place, scalar, template::render};
use crate::suite::{PATTERN_BYTES_MAX, PATTERN_MEMORY_MAX};

/// Assertions in one list.
const ASSERTIONS_MAX: usize = 200;
/// Texts in one assertion.
const TEXTS_MAX: usize = 200;
/// How deep sets of assertions and references nest.
const DEPTH_MAX: usize = 4;
/// Assertions that a judge decides by a text.
const JUDGED: [&str; 6] = [
    "llm-rubric",
    "g-eval",
    "factuality",
    "model-graded-closedqa",
    "model-graded-factuality",
    "search-rubric",
];

/// Where assertions are read, and what they may refer to.
pub(super) struct Reading<'a> {
    pub path: &'a str,
    pub variables: &'a Map<String, Value>,
    pub templates: &'a Map<String, Value>,
    pub out: &'a mut Imported,
}

impl Reading<'_> {
    fn unsupported(&mut self, pointer: &str, message: impl Into<String>, help: &str) {
        self.out.note(Finding::error("import-assertion", place(self.path, pointer), message).help(help));
    }

    /// Reads a list of assertions.
    pub(super) fn list(&mut self, value: &Value, pointer: &str, expected: &mut Expected) {
        self.nested(value, pointer, expected, DEPTH_MAX);
    }

    fn nested(&mut self, value: &Value, pointer: &str, expected: &mut Expected, depth: usize) {
        let Some(items) = value.as_array() else {
            return self.unsupported(pointer, "The assertions are not a list.", "write a list of assertions");
        };
        for (at, item) in items.iter().take(ASSERTIONS_MAX).enumerate() {
            self.one(item, &format!("{pointer}/{at}"), expected, depth);
        }
        if items.len() > ASSERTIONS_MAX {
            let message =
                format!("There are {} assertions; the first {ASSERTIONS_MAX} were read.", items.len());
            self.unsupported(pointer, message, "split the test");
        }
    }

    fn one(&mut self, item: &Value, pointer: &str, expected: &mut Expected, depth: usize) {
        if depth == 0 {
            return self.unsupported(pointer, "Assertions are nested too deep.", "flatten them");
        }
        if let Some(name) = item["$ref"].as_str() {
            let found = name.strip_prefix("#/assertionTemplates/").and_then(|name| self.templates.get(name));
            return match found.cloned() {
                Some(found) => self.one(&found, pointer, expected, depth - 1),
                None => {
                    let message = format!("The reference `{name}` leads nowhere.");
                    self.unsupported(pointer, message, "refer to `#/assertionTemplates/NAME`");
                }
            };
        }
        let Some(kind) = item["type"].as_str() else {
            return self.unsupported(pointer, "The assertion has no `type`.", "add a `type`");
        };
        for key in ["transform", "contextTransform", "config"] {
            if !item[key].is_null() {
                let message = format!("The assertion `{kind}` has `{key}`, which is not supported.");
                return self.unsupported(&format!("{pointer}/{key}"), message, "write a case by hand");
            }
        }
        if item["weight"].as_f64() == Some(0.0) {
            return self.unsupported(
                pointer,
                "The assertion has the weight 0, so it never fails.",
                "remove it",
            );
        }
        if kind == "assert-set" {
            return match item["threshold"].is_null() {
                true => self.nested(&item["assert"], &format!("{pointer}/assert"), expected, depth - 1),
                false => {
                    let message = "A set of assertions with a `threshold` is not supported: all must pass.";
                    self.unsupported(pointer, message, "remove the threshold, or split the set");
                }
            };
        }
        match self.expectation(kind, item, expected) {
            Ok(()) => {}
            Err((message, help)) => self.unsupported(pointer, message, help),
        }
    }

    fn expectation(
        &mut self,
        kind: &str,
        item: &Value,
        expected: &mut Expected,
    ) -> Result<(), (String, &'static str)> {
        let (bare, negated) = kind.strip_prefix("not-").map_or((kind, false), |bare| (bare, true));
        match bare {
            "cost" | "latency" if !negated => return self.figure(bare, item),
            "is-refusal" => {
                expected.answer = Some(if negated { "must" } else { "must_not" });
                return Ok(());
            }
            judged if JUDGED.contains(&judged) && !negated => {
                let texts = self.texts(&item["value"])?;
                expected.rubrics.extend(texts);
                return Ok(());
            }
            _ => {}
        }
        let ignores = bare.starts_with('i') && bare[1..].starts_with("contains");
        let bare = if ignores { &bare[1..] } else { bare };
        let case = if ignores { "(?i)" } else { "" };
        let of = |texts: &[String]| {
            let escaped: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
            escaped.join("|")
        };
        let patterns: Vec<String> = match bare {
            "equals" => vec![format!(r"\A(?:{})\z", of(&[self.text(&item["value"])?]))],
            "contains" => vec![format!("{case}{}", of(&[self.text(&item["value"])?]))],
            "starts-with" => vec![format!(r"\A(?:{})", of(&[self.text(&item["value"])?]))],
            "regex" => vec![self.text(&item["value"])?],
            "contains-any" => vec![format!("{case}(?:{})", of(&self.listed(&item["value"])?))],
            "contains-all" => {
                let texts = self.listed(&item["value"])?;
                if negated && texts.len() > 1 {
                    let message = format!("`{kind}` of several texts is not supported.");
                    return Err((message, "write one `not-contains` for each text that must not occur"));
                }
                texts.iter().map(|text| format!("{case}{}", of(std::slice::from_ref(text)))).collect()
            }
            _ => return Err(unknown(kind, bare)),
        };
        for pattern in patterns {
            if pattern.len() > PATTERN_BYTES_MAX {
                let message =
                    format!("The regular expression would have more than {PATTERN_BYTES_MAX} bytes.");
                return Err((message, "shorten the text"));
            }
            if let Err(error) = RegexBuilder::new(&pattern).size_limit(PATTERN_MEMORY_MAX).build() {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                return Err((
                    format!("The regular expression cannot be used: {why}."),
                    "write it without look-around and back-references",
                ));
            }
            if negated { &mut expected.not_matches } else { &mut expected.matches }.push(pattern);
        }
        Ok(())
    }

    /// `cost` and `latency`: a figure of the whole suite here.
    fn figure(&mut self, kind: &str, item: &Value) -> Result<(), (String, &'static str)> {
        let Some(most) = item["threshold"].as_f64().filter(|most| *most >= 0.0) else {
            return Err((format!("`{kind}` has no `threshold`."), "add a `threshold`"));
        };
        let name = if kind == "cost" { "cost" } else { "latency_p95" };
        let known = self.out.thresholds.entry(name).or_insert(most);
        *known = known.max(most);
        Ok(())
    }

    fn text(&self, value: &Value) -> Result<String, (String, &'static str)> {
        let help = "write a text or a number";
        let text = scalar(value).ok_or(("The assertion has no text as its `value`.".to_owned(), help))?;
        if text.starts_with("file://") || text.starts_with("package:") {
            return Err((
                format!("The value `{text}` is a file, which is not read."),
                "write the value itself",
            ));
        }
        let text = render(&text, self.variables).map_err(|message| (message, help))?;
        match text.is_empty() {
            true => Err(("The `value` of the assertion is empty.".to_owned(), help)),
            false => Ok(text),
        }
    }

    fn texts(&self, value: &Value) -> Result<Vec<String>, (String, &'static str)> {
        match value.as_array() {
            Some(items) if items.len() > TEXTS_MAX => {
                Err((format!("The `value` has more than {TEXTS_MAX} texts."), "split the assertion"))
            }
            Some(items) if !items.is_empty() => items.iter().map(|item| self.text(item)).collect(),
            _ => Ok(vec![self.text(value)?]),
        }
    }

    /// A list of texts, or one text with commas between.
    fn listed(&self, value: &Value) -> Result<Vec<String>, (String, &'static str)> {
        if value.is_array() {
            return self.texts(value);
        }
        let text = self.text(value)?;
        let texts: Vec<String> = commas(&text);
        match texts.is_empty() || texts.len() > TEXTS_MAX {
            true => Err(("The `value` has no texts, or too many.".to_owned(), "write a list of texts")),
            false => Ok(texts),
        }
    }
}

/// Texts between commas. Quotes keep commas: `a,"b, c"`.
fn commas(text: &str) -> Vec<String> {
    let (mut out, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
    }
    out.push(part);
    out.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn unknown(kind: &str, bare: &str) -> (String, &'static str) {
    let help = match bare {
        "is-json" | "contains-json" => "name a contract of the project in `expect.json`",
        "javascript" | "python" | "ruby" | "webhook" => {
            "code is not run; write `matches`, `facts` or a `rubric`"
        }
        "similar" | "answer-relevance" | "context-recall" | "context-relevance" | "context-faithfulness" => {
            "the metrics `groundedness` and `answer_relevance` measure every case"
        }
        "moderation" | "pi" | "guardrails" => "the metrics `pii_leakage` and `toxicity` measure every case",
        _ => "write `facts`, `matches` or a `rubric`",
    };
    (format!("The assertion `{kind}` has no counterpart."), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_commas() {
        assert_eq!(commas(r#"a, "b, c" ,,d"#), ["a", "b, c", "d"]);
    }
}
