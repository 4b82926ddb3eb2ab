//! Whole answers.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{Call, Fault, FaultKind, Picked, Source, ToolCall, Whole, fields::cut},
    UsageIn, finish_name, finish_of, usage_json,
};

#[derive(Deserialize)]
struct ReplyIn {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    content: Vec<BlockIn>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<UsageIn>,
}

#[derive(Deserialize)]
struct BlockIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    input: Option<Box<RawValue>>,
}

/// Reads a whole answer of a provider.
///
/// # Errors
/// When it is no answer.
pub fn read_whole(body: &[u8]) -> Result<Whole, Fault> {
    let read: ReplyIn = serde_json::from_slice(body).map_err(|error| {
        let message = format!("the provider's answer cannot be read: {}", cut(&error.to_string()));
        Fault::new(FaultKind::Upstream, "upstream_malformed", message)
    })?;
    let mut picked =
        Picked { finish: finish_of(read.stop_reason.as_deref().unwrap_or_default()), ..Picked::default() };
    for block in read.content {
        match block.kind.as_str() {
            "text" => picked.text.push_str(&block.text),
            "tool_use" => picked.calls.push(ToolCall {
                id: block.id,
                name: block.name,
                arguments: block.input.map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned()),
            }),
            // Thinking and what providers do on their own side has no place in the neutral form.
            _ => {}
        }
    }
    Ok(Whole {
        id: read.id,
        model: read.model,
        picked: vec![picked],
        usage: read.usage.and_then(UsageIn::read).unwrap_or_default(),
    })
}

pub(super) fn citations(sources: &[Source]) -> Value {
    let each = sources.iter().map(|source| {
        json!({
            "type": "web_search_result_location", "url": source.url, "title": source.title,
            "cited_text": source.words, "encrypted_index": "",
        })
    });
    each.collect()
}

/// Writes a whole answer. `more` is added beside the fields of the format.
#[must_use]
pub fn write_whole(call: &Call, whole: &Whole, more: Option<Value>) -> Vec<u8> {
    let empty = Picked::default();
    let picked = whole.picked.first().unwrap_or(&empty);
    let mut content = Vec::new();
    let text = match (&picked.refusal, picked.text.is_empty()) {
        (Some(refusal), true) => refusal.as_str(),
        _ => picked.text.as_str(),
    };
    if !text.is_empty() || picked.calls.is_empty() {
        // Clients that check answers strictly take no citations as null.
        let mut block = json!({"type": "text", "text": text});
        if !picked.sources.is_empty() {
            block["citations"] = citations(&picked.sources);
        }
        content.push(block);
    }
    content.extend(picked.calls.iter().map(|call| {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
    }));
    let mut out = json!({
        "id": whole.id, "type": "message", "role": "assistant",
        "model": if whole.model.is_empty() { &call.model } else { &whole.model },
        "content": content, "stop_reason": finish_name(picked.finish), "stop_sequence": null,
        "usage": usage_json(&whole.usage),
    });
    if let Some(more) = more {
        out["ashlar"] = more;
    }
    out.to_string().into_bytes()
}
