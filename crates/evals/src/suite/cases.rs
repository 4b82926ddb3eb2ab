//! Cases: one JSON object on each line.

use ashlar_model::{Finding, Locale};
use regex::RegexBuilder;
use serde_json::Value;

use super::{
    bounds::{CASES_MAX, ITEMS_MAX, MESSAGES_MAX, PATTERN_BYTES_MAX, PATTERN_MEMORY_MAX},
    fields::{Fields, Wrong},
    lines::{Kind, read_lines},
    types::{Answer, Case, Expect, Input, KnownFailure, Message},
};

/// The most that a case may count.
const WEIGHT_MAX: f64 = 1_000.0;

const KIND: Kind = Kind { code: "eval-case", file_code: "eval-cases", one: "case", most: CASES_MAX };

/// Reads the lines of a file. Empty lines and lines that begin with `//` are skipped. What is wrong comes with its line and its field, and a
/// file without a case is wrong.
pub fn read_cases(path: &str, bytes: &[u8]) -> (Vec<Case>, Vec<Finding>) {
    let (cases, mut findings) = read_lines(path, bytes, &KIND, |value, line, wrong| {
        let case = case_of(value, line, wrong);
        (case.id.clone(), case)
    });
    if cases.is_empty() && findings.is_empty() {
        let help = "write a case on each line: {\"id\": \"…\", \"input\": \"…\", \"expect\": {…}}";
        findings.push(Finding::error("eval-cases", path, "The file has no cases.").help(help));
    }
    (cases, findings)
}

const CASE: &[&str] = &[
    "id",
    "input",
    "messages",
    "variables",
    "locale",
    "context",
    "expect",
    "tags",
    "weight",
    "critical",
    "owner",
    "source",
    "known_failure",
];

fn case_of(value: Value, line: usize, wrong: &mut Vec<Wrong>) -> Case {
    let mut fields = Fields::of("", value, CASE, wrong);
    let id = fields.name("id").unwrap_or_else(|| {
        fields.wrong("id", "The case has no id.", "add \"id\": \"…\", a name that stays");
        format!("line {line}")
    });
    let input = input(&mut fields);
    let weight = match fields.take("weight") {
        None => 1.0,
        Some(weight) => weight.as_f64().filter(|w| *w > 0.0 && *w <= WEIGHT_MAX).unwrap_or_else(|| {
            let help = format!("write a number above 0, at most {WEIGHT_MAX}");
            fields.wrong("weight", format!("`weight` cannot be {weight}."), help);
            1.0
        }),
    };
    let known_failure = fields.take("known_failure").and_then(|value| {
        serde_json::from_value::<KnownFailure>(value)
            .map_err(|error| {
                let help = "write {\"until\": \"2027-01-31\", \"why\": \"…\"}";
                fields.wrong("known_failure", ashlar_model::sentence(&error.to_string()), help);
            })
            .ok()
    });
    let locale = fields.name("locale");
    if let Some(locale) = locale.as_ref().filter(|locale| Locale::new(locale.as_str()).is_err()) {
        let shown: String = locale.chars().take(40).collect();
        fields.wrong(
            "locale",
            format!("`locale` cannot be `{shown}`."),
            "write a locale such as en or de-AT",
        );
    }
    let case = Case {
        id,
        input,
        locale,
        context: fields.texts("context"),
        tags: fields.texts("tags"),
        weight,
        critical: fields.flag("critical"),
        owner: fields.text("owner").unwrap_or_default(),
        source: fields.text("source").unwrap_or_default(),
        known_failure,
        line,
        expect: Expect::default(),
    };
    match fields.take("expect") {
        Some(value) => Case { expect: expect(value, wrong), ..case },
        None => {
            let help = "add \"expect\": {\"facts\": […]}, {\"answer\": \"must_not\"}, or another expectation";
            fields.wrong("expect", "The case expects nothing, so it could not fail.", help);
            case
        }
    }
}

fn input(fields: &mut Fields<'_>) -> Input {
    let given: Vec<Input> = [
        fields.text("input").map(Input::Input),
        messages(fields).map(Input::Messages),
        fields.take("variables").and_then(|value| match value {
            Value::Object(values) => Some(Input::Variables(values)),
            _ => {
                fields.wrong("variables", "`variables` is not an object.", "write {\"question\": \"…\"}");
                None
            }
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    let help = "write one of `input`, `messages` and `variables`";
    if given.len() > 1 {
        fields.wrong("input", "The case has more than one input.", help);
    }
    let input = given.into_iter().next().unwrap_or_default();
    let is_empty = match &input {
        Input::Input(text) => text.trim().is_empty(),
        Input::Messages(messages) => messages.is_empty(),
        Input::Variables(values) => values.is_empty(),
    };
    if is_empty {
        fields.wrong("input", "The case asks nothing.", help);
    }
    input
}

fn messages(fields: &mut Fields<'_>) -> Option<Vec<Message>> {
    let items = fields.list("messages", MESSAGES_MAX);
    if items.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let help = "write {\"role\": \"user\", \"content\": \"…\"}; roles are system, user and assistant";
        match serde_json::from_value::<Message>(item) {
            Ok(message) if ["system", "user", "assistant"].contains(&message.role.as_str()) => {
                out.push(message)
            }
            Ok(message) => {
                let role: String = message.role.chars().take(40).collect();
                fields.wrong(&format!("messages/{at}/role"), format!("There is no role `{role}`."), help);
            }
            Err(error) => {
                fields.wrong(&format!("messages/{at}"), ashlar_model::sentence(&error.to_string()), help);
            }
        }
    }
    Some(out)
}

const EXPECT: &[&str] = &["facts", "not", "cites", "answer", "json", "matches", "not_matches", "rubric"];

fn expect(value: Value, wrong: &mut Vec<Wrong>) -> Expect {
    let mut fields = Fields::of("/expect", value, EXPECT, wrong);
    let answer = fields.text("answer").and_then(|text| match text.as_str() {
        "must" => Some(Answer::Must),
        "must_not" => Some(Answer::MustNot),
        _ => {
            let shown: String = text.chars().take(40).collect();
            let help = ashlar_model::did_you_mean(&text, ["must", "must_not"], "write must or must_not");
            fields.wrong("answer", format!("`answer` cannot be `{shown}`."), help);
            None
        }
    });
    let [matches, not_matches] = ["matches", "not_matches"].map(|name| patterns(&mut fields, name));
    let expect = Expect {
        facts: facts(&mut fields),
        not: fields.texts("not"),
        cites: fields.texts("cites"),
        answer,
        json: fields.name("json"),
        matches,
        not_matches,
        rubric: fields.text("rubric"),
    };
    if expect == Expect::default() {
        let help = "add facts, not, cites, answer, json, matches, not_matches or rubric";
        fields.wrong("", "The case expects nothing, so it could not fail.", help);
    }
    if expect.answer == Some(Answer::MustNot) && !(expect.facts.is_empty() && expect.cites.is_empty()) {
        let help = "remove `facts` and `cites`, or write \"answer\": \"must\"";
        fields.wrong("answer", "A refusal has neither facts nor citations.", help);
    }
    expect
}

/// Regular expressions, each of which can be compiled.
fn patterns(fields: &mut Fields<'_>, name: &str) -> Vec<String> {
    let patterns = fields.texts(name);
    for (at, pattern) in patterns.iter().enumerate() {
        let place = format!("{name}/{at}");
        if pattern.len() > PATTERN_BYTES_MAX {
            let help = format!("write at most {PATTERN_BYTES_MAX} bytes");
            fields.wrong(&place, "The regular expression is too long.", help);
        } else if let Err(error) = RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_MAX).build() {
            let said = error.to_string();
            let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            fields.wrong(&place, format!("The regular expression cannot be read: {why}."), "correct it");
        }
    }
    patterns
}

/// Facts: a text, or a list of wordings of which one is enough.
fn facts(fields: &mut Fields<'_>) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for (at, item) in fields.list("facts", ITEMS_MAX).into_iter().enumerate() {
        let wordings = match item {
            Value::String(text) => vec![text],
            Value::Array(items) if items.len() <= ITEMS_MAX => {
                items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        };
        if wordings.is_empty() || wordings.iter().any(|text| text.trim().is_empty()) {
            let help = "write words in quotes, or a list of wordings such as [\"39 EUR\", \"€39\"]";
            fields.wrong(&format!("facts/{at}"), "This is no fact.", help);
        } else {
            out.push(wordings);
        }
    }
    out
}
