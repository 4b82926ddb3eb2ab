//! JSON in the text of a model.

use ashlar_model::check_json;
use serde_json::Value;

use super::TEXT_BYTES_MAX;

/// Places where a value may begin that are tried.
const TRIES_MAX: usize = 20;

/// The JSON value that a text is, or that it has in a fenced block or among prose.
///
/// # Errors
/// Why a text has no JSON, as the end of a sentence.
pub fn json_of(text: &str) -> Result<Value, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("it has more than {TEXT_BYTES_MAX} bytes"));
    }
    let text = text.trim().trim_start_matches('\u{feff}');
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let whole = match serde_json::from_str::<Value>(text) {
        Ok(value) => return bounded(value),
        Err(error) => error,
    };
    if let Some(value) = fenced(text) {
        return bounded(value);
    }
    for (at, _) in text.match_indices(['{', '[']).take(TRIES_MAX) {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value))
                if value.is_object() || value.as_array().is_some_and(|items| !items.is_empty()) =>
            {
                return bounded(value);
            }
            // The text was cut off: what is inside is not the answer.
            Some(Err(error)) if error.is_eof() => break,
            _ => {}
        }
    }
    Err(whole.to_string())
}

/// The value in the first fenced block that has one.
fn fenced(text: &str) -> Option<Value> {
    let mut parts = text.split("```").skip(1);
    while let Some(block) = parts.next() {
        let inside = block.split_once('\n').map_or(block, |(_, inside)| inside);
        if let Ok(value) = serde_json::from_str(inside.trim()) {
            return Some(value);
        }
        parts.next()?;
    }
    None
}

fn bounded(value: Value) -> Result<Value, String> {
    check_json(&value).map_err(|error| error.to_string())?;
    Ok(value)
}
