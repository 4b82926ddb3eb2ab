//! Whole answers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{Call, Fault, FaultKind, Finish, Picked, ToolCall, Whole},
    UsageIn, annotations, finish_name, finish_of, given_id, now, usage_json,
};

#[derive(Deserialize)]
struct ReplyIn<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
    choices: Vec<ChoiceIn<'a>>,
    #[serde(default)]
    usage: Option<UsageIn>,
}

#[derive(Deserialize)]
struct ChoiceIn<'a> {
    // Filters leave it out.
    #[serde(default, borrow)]
    message: Option<MessageIn<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct MessageIn<'a> {
    #[serde(default, borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<CallIn<'a>>>,
}

#[derive(Deserialize)]
struct CallIn<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    function: FunctionIn<'a>,
}

#[derive(Deserialize)]
struct FunctionIn<'a> {
    name: String,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

/// Arguments as text. They should be JSON in a string; some providers send the JSON itself.
fn arguments(raw: Option<&RawValue>) -> String {
    let raw = raw.map_or("null", RawValue::get);
    match raw {
        "null" => String::new(),
        _ => serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()),
    }
}

/// Reads a whole answer of a provider.
///
/// # Errors
/// When it is no answer.
pub fn read_whole(body: &[u8]) -> Result<Whole, Fault> {
    let malformed = |why: String| {
        Fault::new(
            FaultKind::Upstream,
            "upstream_malformed",
            format!("the provider's answer cannot be read: {why}"),
        )
    };
    let read: ReplyIn<'_> = serde_json::from_slice(body)
        .map_err(|error| malformed(super::super::fields::cut(&error.to_string())))?;
    if read.choices.is_empty() {
        return Err(malformed("it has no choices".to_owned()));
    }
    let id = read.id.unwrap_or_default().into_owned();
    let picked = read.choices.into_iter().map(|choice| {
        let message = choice.message.unwrap_or_default();
        let calls = message.tool_calls.unwrap_or_default().into_iter().enumerate();
        let calls: Vec<ToolCall> = calls
            .map(|(number, call)| ToolCall {
                id: given_id(call.id.unwrap_or_default(), &id, number),
                name: call.function.name,
                arguments: arguments(call.function.arguments),
            })
            .collect();
        let finish = match choice.finish_reason.filter(|reason| !reason.is_empty()) {
            Some(reason) => finish_of(&reason),
            None if calls.is_empty() => Finish::Stop,
            None => Finish::Tools,
        };
        Picked {
            text: message.content.unwrap_or_default().into_owned(),
            refusal: message.refusal.map(Cow::into_owned),
            calls,
            sources: Vec::new(),
            finish,
        }
    });
    Ok(Whole {
        picked: picked.collect(),
        id,
        model: read.model.unwrap_or_default().into_owned(),
        usage: read.usage.and_then(UsageIn::read).unwrap_or_default(),
    })
}

/// Writes a whole answer. `more` is added beside the fields of the format.
#[must_use]
pub fn write_whole(call: &Call, whole: &Whole, more: Option<Value>) -> Vec<u8> {
    let choices = whole.picked.iter().enumerate().map(|(index, picked)| {
        let empty = picked.text.is_empty() && (!picked.calls.is_empty() || picked.refusal.is_some());
        let mut message = json!({
            "role": "assistant",
            "content": if empty { Value::Null } else { json!(picked.text) },
            "refusal": picked.refusal,
        });
        if !picked.calls.is_empty() {
            let calls = picked.calls.iter().map(|call| {
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
            });
            message["tool_calls"] = calls.collect();
        }
        if !picked.sources.is_empty() {
            message["annotations"] = annotations(&picked.sources);
        }
        json!({"index": index, "message": message, "finish_reason": finish_name(picked.finish), "logprobs": null})
    });
    let mut out = json!({
        "id": whole.id, "object": "chat.completion", "created": now(),
        "model": if whole.model.is_empty() { &call.model } else { &whole.model },
        "choices": choices.collect::<Vec<_>>(), "usage": usage_json(&whole.usage),
    });
    if let Some(more) = more {
        out["ashlar"] = more;
    }
    out.to_string().into_bytes()
}
