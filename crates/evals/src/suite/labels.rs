//! `NAME.labels.jsonl`: answers that people judged by a rubric. They show how far a judge can be trusted.

use ashlar_model::Finding;
use serde_json::Value;

use super::{
    bounds::LABELS_MAX,
    fields::{Fields, Wrong},
    lines::{Kind, read_lines},
};

/// An answer that a person judged by a rubric.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// Its name in the file.
    pub id: String,
    /// What was asked.
    pub question: String,
    /// What a good answer is.
    pub rubric: String,
    /// The answer.
    pub answer: String,
    /// Whether the person said that the answer meets the rubric.
    pub pass: bool,
    /// Who said it.
    pub by: String,
}

const KIND: Kind = Kind { code: "eval-label", file_code: "eval-labels", one: "label", most: LABELS_MAX };
const LABEL: &[&str] = &["id", "question", "rubric", "answer", "pass", "by"];

/// Reads the lines of a file. What is wrong comes with its line and its field.
pub fn read_labels(path: &str, bytes: &[u8]) -> (Vec<Label>, Vec<Finding>) {
    read_lines(path, bytes, &KIND, |value, line, wrong| {
        let label = label(value, line, wrong);
        (label.id.clone(), label)
    })
}

fn label(value: Value, line: usize, wrong: &mut Vec<Wrong>) -> Label {
    let mut fields = Fields::of("", value, LABEL, wrong);
    let id = fields.name("id").unwrap_or_else(|| {
        fields.wrong("id", "The label has no id.", "add \"id\": \"…\", a name that stays");
        format!("line {line}")
    });
    let mut text = |name: &str| {
        let text = fields.text(name).unwrap_or_default();
        if text.trim().is_empty() {
            fields.wrong(name, format!("The label has no {name}."), format!("add \"{name}\": \"…\""));
        }
        text
    };
    let (question, rubric, answer) = (text("question"), text("rubric"), text("answer"));
    let pass = match fields.take("pass") {
        Some(Value::Bool(pass)) => pass,
        _ => {
            fields.wrong(
                "pass",
                "The label does not say whether the answer passes.",
                "add \"pass\": true or false",
            );
            false
        }
    };
    Label { id, question, rubric, answer, pass, by: fields.text("by").unwrap_or_default() }
}
