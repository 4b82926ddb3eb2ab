//! The texts of an entry.

use std::collections::BTreeSet;

use serde_json::Value;

/// The most texts of an entry that are looked at.
pub const TEXTS_MAX: usize = 2_000;

/// A text with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The top-level field that it is in.
    pub field: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// The texts of an entry in their order, at most [`TEXTS_MAX`]. `fields`: only of these fields.
#[must_use]
pub fn texts<'a>(entry: &'a Value, fields: Option<&BTreeSet<String>>) -> Vec<Text<'a>> {
    let mut out = Vec::new();
    for (field, value) in entry.as_object().into_iter().flatten() {
        if fields.is_none_or(|fields| fields.contains(field)) {
            gather(field, value, &mut out);
        }
    }
    out
}

/// Entries are bounded in depth when they are written.
fn gather<'a>(field: &'a str, value: &'a Value, out: &mut Vec<Text<'a>>) {
    match value {
        Value::String(text) if out.len() < TEXTS_MAX => out.push(Text { field, text }),
        Value::Array(items) => items.iter().for_each(|item| gather(field, item, out)),
        Value::Object(map) => map.values().for_each(|value| gather(field, value, out)),
        _ => {}
    }
}

/// What an entry says, as a text: its texts as paragraphs, and short facts with the name of their field.
#[must_use]
pub fn said(entry: &Value) -> String {
    let mut out = String::new();
    for (field, value) in entry.as_object().into_iter().flatten() {
        say(field, value, &mut out);
    }
    out
}

fn say(field: &str, value: &Value, out: &mut String) {
    let line = |out: &mut String, what: &str| {
        if !what.contains(' ') {
            out.push_str(&field.replace(['_', '-'], " "));
            out.push_str(": ");
        }
        out.push_str(what);
        out.push_str("\n\n");
    };
    match value {
        Value::String(text) => line(out, text),
        Value::Number(number) => line(out, &number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| say(field, item, out)),
        Value::Object(map) => map.iter().for_each(|(name, value)| say(name, value, out)),
        Value::Bool(_) | Value::Null => {}
    }
}
