//! The texts of an entry.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::Value;

/// A text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// The top-level field that it is in.
    pub field: &'a str,
    /// What it says.
    pub text: Cow<'a, str>,
}

/// The texts of an entry in their order. `fields`: only of these fields. Entries are bounded in size and depth when they are written.
#[must_use]
pub fn texts<'a>(entry: &'a Value, fields: Option<&BTreeSet<String>>) -> Vec<Text<'a>> {
    gathered(entry, fields, false)
}

/// The texts of fields, and their numbers with the name of what they are: `price: 49`.
#[must_use]
pub fn statements<'a>(entry: &'a Value, fields: &BTreeSet<String>) -> Vec<Text<'a>> {
    gathered(entry, Some(fields), true)
}

fn gathered<'a>(entry: &'a Value, fields: Option<&BTreeSet<String>>, numbers: bool) -> Vec<Text<'a>> {
    let mut out = Vec::new();
    for (field, value) in entry.as_object().into_iter().flatten() {
        if fields.is_none_or(|fields| fields.contains(field)) {
            gather((field, field), value, numbers, &mut out);
        }
    }
    out
}

fn gather<'a>((field, name): (&'a str, &'a str), value: &'a Value, numbers: bool, out: &mut Vec<Text<'a>>) {
    match value {
        Value::String(text) => out.push(Text { field, text: Cow::Borrowed(text) }),
        Value::Number(number) if numbers => {
            out.push(Text { field, text: Cow::Owned(named(name, &number.to_string())) });
        }
        Value::Array(items) => items.iter().for_each(|item| gather((field, name), item, numbers, out)),
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| gather((field, name), value, numbers, out));
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

/// A short fact with the name of its field.
fn named(field: &str, what: &str) -> String {
    format!("{}: {what}", field.replace(['_', '-'], " "))
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
        match what.contains(' ') {
            true => out.push_str(what),
            false => out.push_str(&named(field, what)),
        }
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
