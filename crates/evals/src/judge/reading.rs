//! What a judge said. Whatever is not clearly one of the verdicts counts as no verdict.

use serde_json::Value;

/// The longest reply of a judge that is read, in bytes.
pub const REPLY_BYTES_MAX: usize = 64 << 10;
/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 1_000;

/// The object of a reply: the whole text, or all of one fenced block. Prose around it is not read: it may argue the other way.
fn object(text: &str) -> Option<Value> {
    if text.len() > REPLY_BYTES_MAX {
        return None;
    }
    let text = text.trim();
    let bare = match text.strip_prefix("```") {
        Some(fenced) => fenced.strip_prefix("json").unwrap_or(fenced).strip_suffix("```")?,
        None => text,
    };
    let value: Value = serde_json::from_str(bare.trim()).ok()?;
    value.is_object().then_some(value)
}

/// The verdict of a reply, if it is exactly one of the words.
pub(super) fn said<V: Copy>(text: &str, words: &[(&str, V)]) -> Option<V> {
    let value = object(text)?;
    // serde_json keeps the last of two equal keys; a reply with two verdicts has none.
    if text.matches("\"verdict\"").count() != 1 {
        return None;
    }
    let said = value["verdict"].as_str()?;
    words.iter().find(|(word, _)| said.trim().eq_ignore_ascii_case(word)).map(|(_, verdict)| *verdict)
}

/// The reason of a reply.
pub(super) fn reading(text: &str) -> String {
    let reason =
        object(text).and_then(|value| value["reason"].as_str().map(str::to_owned)).unwrap_or_default();
    reason.chars().take(REASON_CHARS_MAX).collect()
}
