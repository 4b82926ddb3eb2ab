//! Texts that are known again: fingerprints of paragraphs, whatever their case, spaces and punctuation.

use std::collections::BTreeSet;

use ashlar_model::{Digest, Fields};
use serde_json::Value;

/// Letters and digits of a part that is compared. Shorter texts are not known again: people write them as well.
const LETTERS: usize = 40;
/// Of so many parts in a row, one is kept. A run of `LETTERS + WINDOW - 1` letters that two texts share is always found.
const WINDOW: usize = 16;

/// A part of a text with the top-level field that it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fingerprint {
    /// Its digest as hexadecimal text.
    pub digest: String,
    pub field: String,
}

/// Fingerprints of `new` that `old` does not have in the same field. Entries are bounded, and so is this.
pub(crate) fn new_texts(old: &Fields, new: &Fields) -> Vec<Fingerprint> {
    let before = fingerprints(old);
    fingerprints(new).into_iter().filter(|found| !before.contains(found)).collect()
}

/// All fingerprints of an entry.
pub(crate) fn fingerprints(fields: &Fields) -> BTreeSet<Fingerprint> {
    let mut out = BTreeSet::new();
    for (field, value) in fields {
        gather(value, &mut |digest| {
            out.insert(Fingerprint { digest, field: field.clone() });
        });
    }
    out
}

/// Fields are bounded in depth before they are read.
fn gather(value: &Value, take: &mut dyn FnMut(String)) {
    match value {
        Value::String(text) => {
            let text = text.replace("\r\n", "\n");
            let lines: Vec<&str> = text.split(['\n', '\r', '\u{2028}', '\u{2029}']).collect();
            // Empty lines part paragraphs, whichever way lines end.
            for lines in lines.split(|line| line.trim().is_empty()) {
                paragraph(lines, take);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, take)),
        Value::Object(map) => map.values().for_each(|value| gather(value, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The fingerprints of a paragraph: the whole, so that it is found wherever it is a paragraph again, and some of its parts, so that it is found with
/// other words around it. Parts are chosen by winnowing (Schleimer, Wilkerson and Aiken 2003).
fn paragraph(lines: &[&str], take: &mut dyn FnMut(String)) {
    let letters = lines.iter().flat_map(|line| line.chars());
    let letters: String = letters.filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let starts: Vec<usize> = letters.char_indices().map(|(at, _)| at).chain([letters.len()]).collect();
    if starts.len() <= LETTERS {
        return;
    }
    take(Digest::of(letters.as_bytes()).to_string());
    let part = |at: usize| Digest::of(&letters.as_bytes()[starts[at]..starts[at + LETTERS]]);
    let parts: Vec<Digest> = (0..starts.len() - LETTERS).map(part).collect();
    let mut last = None;
    for window in parts.windows(WINDOW.min(parts.len())) {
        let least = window.iter().min();
        if least != last {
            // Half of a digest is enough to tell texts apart.
            take(least.map(ToString::to_string).unwrap_or_default().chars().take(32).collect());
            last = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAID: &str = "The Basin plan has twelve berths, one quay crane and a pilot at any hour.";

    fn fields(value: Value) -> Fields {
        value.as_object().cloned().unwrap()
    }

    /// Fields in which something of `made` is found.
    fn found(made: &Fields, put: &Fields) -> BTreeSet<String> {
        let known: BTreeSet<String> = fingerprints(made).into_iter().map(|known| known.digest).collect();
        let new = fingerprints(put);
        new.into_iter().filter(|new| known.contains(&new.digest)).map(|new| new.field).collect()
    }

    #[test]
    fn a_text_is_known_again_in_another_place_and_spelling() {
        let made = fields(json!({"body": format!("Intro.\n\n{SAID} It costs 159 EUR.")}));
        for text in [
            SAID.to_uppercase(),
            format!("Note: {SAID}"),
            format!("Ours is better. {} Ours", SAID.to_lowercase().replace(',', " –")),
            format!("Ours.\r\n\r\n{}\r\n \r\nOurs.", SAID.replace(" one", "\r\none")),
        ] {
            let put = fields(
                json!({"blocks": [{"text": text}], "other": "Something of people, and of people alone, at any hour."}),
            );
            assert_eq!(found(&made, &put), ["blocks".to_owned()].into(), "{text}");
        }
        let other = fields(
            json!({"body": "The Jetty plan has a berth, no quay crane and no pilot in winter, but a lantern."}),
        );
        assert!(found(&made, &other).is_empty());
    }

    #[test]
    fn what_was_there_before_is_not_new() {
        let (none, made) = (Fields::new(), fields(json!({"body": SAID})));
        assert!(new_texts(&made, &made).is_empty());
        assert!(
            !new_texts(&made, &fields(json!({"body": SAID, "answer": SAID}))).is_empty(),
            "another field"
        );
        assert!(new_texts(&none, &fields(json!({"title": "Pricing, with all that it has"}))).is_empty());
    }

    #[test]
    fn every_paragraph_of_a_long_entry_is_looked_at() {
        let filler = |n: u32| format!("Paragraph number {n} of a text that says nothing new to anybody.");
        let filler: Vec<String> = (0..600).map(filler).collect();
        let put = fields(json!({"a": filler.join("\n\n"), "b": SAID}));
        assert_eq!(found(&fields(json!({"body": SAID})), &put), ["b".to_owned()].into());
    }
}
