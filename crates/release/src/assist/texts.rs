//! Texts that are known again: digests of paragraphs, whatever their case, spaces and punctuation.

use std::collections::BTreeSet;

use ashlar_model::{Digest, Fields};
use serde_json::Value;

/// Paragraphs with fewer letters and digits are not known again: people write them as well.
const LETTERS_MIN: usize = 40;
/// The most paragraphs of an entry that are looked at.
const PARAGRAPHS_MAX: usize = 500;

/// Digests of the paragraphs of `new` that are not in `old`, as hexadecimal text. Bounded by 500.
pub(crate) fn new_texts(old: &Fields, new: &Fields) -> Vec<String> {
    let before = digests(old);
    digests(new).into_iter().filter(|digest| !before.contains(digest)).collect()
}

fn digests(fields: &Fields) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    fields.values().for_each(|value| gather(value, &mut out));
    out
}

/// Fields are bounded in depth before they are read.
fn gather(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for paragraph in text.split("\n\n") {
                if out.len() >= PARAGRAPHS_MAX {
                    return;
                }
                out.extend(digest(paragraph));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, out)),
        Value::Object(map) => map.values().for_each(|value| gather(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn digest(paragraph: &str) -> Option<String> {
    let letters: String =
        paragraph.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    (letters.chars().nth(LETTERS_MIN - 1).is_some()).then(|| Digest::of(letters.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_paragraph_is_known_again_in_another_place_and_spelling() {
        let made = fields(json!({"body": "The Basin plan has twelve berths and one quay crane."}));
        let put = fields(
            json!({"blocks": [{"text": "Ours.\n\nthe basin plan has twelve  berths, and one quay crane"}]}),
        );
        assert_eq!(new_texts(&Fields::new(), &made), new_texts(&Fields::new(), &put));
        // What was there before is not new, and short texts are nobody's.
        assert!(new_texts(&made, &put).is_empty());
        assert!(new_texts(&Fields::new(), &fields(json!({"title": "Pricing"}))).is_empty());
    }
}
