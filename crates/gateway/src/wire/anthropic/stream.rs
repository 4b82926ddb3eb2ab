//! Answers in pieces.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{Delta, Event, Fault, FaultKind, Finish, Usage, fields::cut, openai},
    UsageIn, finish_name, finish_of,
    reply::citations,
    usage_json,
};

#[derive(Deserialize)]
struct EventIn<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: Option<MessageIn>,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    content_block: Option<BlockIn>,
    #[serde(default)]
    delta: Option<DeltaIn>,
    #[serde(default)]
    usage: Option<UsageIn>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MessageIn {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
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
}

#[derive(Deserialize)]
struct DeltaIn {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    partial_json: String,
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Reads the pieces of a provider.
#[derive(Debug, Default)]
pub struct Reader {
    usage: UsageIn,
    finished: bool,
    done: bool,
    /// The block of each tool that has begun; its place is the number of the call.
    tools: Vec<u32>,
}

fn malformed(message: String) -> Fault {
    Fault::new(FaultKind::Upstream, "upstream_malformed", message)
}

impl Reader {
    /// Reads an event.
    ///
    /// # Errors
    /// When it is no piece of an answer, or the provider reports an error.
    pub fn read(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let read: EventIn<'_> = serde_json::from_slice(&event.data).map_err(|error| {
            malformed(format!("a piece of the provider's answer cannot be read: {}", cut(&error.to_string())))
        })?;
        match read.kind.as_str() {
            "message_start" => {
                let message = read
                    .message
                    .ok_or_else(|| malformed("the provider's answer begins without a message".to_owned()))?;
                self.usage = message.usage.unwrap_or_default();
                out.push(Delta::Begin { id: message.id, model: message.model });
                out.extend(self.usage.read().map(Delta::Usage));
            }
            "content_block_start" => {
                if let Some(block) = read.content_block {
                    match block.kind.as_str() {
                        "tool_use" => {
                            let number = self.tools.len() as u32;
                            if self.tools.len() >= super::super::TOOLS_MAX {
                                return Err(malformed(
                                    "the provider's answer calls too many tools".to_owned(),
                                ));
                            }
                            self.tools.push(read.index);
                            out.push(Delta::Tool(0, number, block.id, block.name));
                        }
                        "text" if !block.text.is_empty() => out.push(Delta::Text(0, block.text)),
                        _ => {}
                    }
                }
            }
            "content_block_delta" => {
                if let Some(delta) = read.delta {
                    match delta.kind.as_str() {
                        "text_delta" => out.push(Delta::Text(0, delta.text)),
                        "thinking_delta" => out.push(Delta::Hidden(delta.thinking.len())),
                        "input_json_delta" => {
                            let number = self.tools.iter().position(|block| *block == read.index);
                            let number = number.ok_or_else(|| {
                                malformed("the provider's answer has arguments without a tool".to_owned())
                            })?;
                            if !delta.partial_json.is_empty() {
                                out.push(Delta::Arguments(0, number as u32, delta.partial_json));
                            }
                        }
                        _ => {}
                    }
                }
            }
            "message_delta" => {
                if let Some(usage) = read.usage {
                    self.usage = usage.over(self.usage);
                    out.extend(self.usage.read().map(Delta::Usage));
                }
                if let Some(reason) = read.delta.and_then(|delta| delta.stop_reason) {
                    self.finished = true;
                    out.push(Delta::Finish(0, finish_of(&reason)));
                }
            }
            "message_stop" => self.done = true,
            "error" => {
                let none = || malformed("the provider ended the stream with an error".to_owned());
                return Err(read.error.map_or_else(none, openai::reported));
            }
            // Pings, and what later versions of the format add.
            _ => {}
        }
        Ok(())
    }

    /// Whether the answer is complete.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.done || self.finished
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn done(&self) -> bool {
        self.done
    }
}

/// Writes pieces for a client.
#[derive(Debug, Default)]
pub struct Writer {
    /// How many blocks have begun, and what is open.
    blocks: u32,
    open: Option<Open>,
    usage: Usage,
    finish: Option<Finish>,
    begun: bool,
    /// The model when the provider names none.
    model: String,
    more: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Tool(u32),
}

fn event(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

impl Writer {
    /// A writer. `model`: what is named when the provider names nothing.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self { model: model.to_owned(), ..Self::default() }
    }

    /// Adds what is sent beside the fields of the format, in the event that ends the answer.
    pub fn more(&mut self, more: Value) {
        self.more = Some(more);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            event(
                "content_block_stop",
                &json!({"type": "content_block_stop", "index": self.blocks - 1}),
                out,
            );
        }
    }

    fn block(&mut self, open: Open, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some(open);
        event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": index, "content_block": block}),
            out,
        );
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let index = self.blocks.saturating_sub(1);
        event(
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": index, "delta": delta}),
            out,
        );
    }

    fn begin(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let model = if model.is_empty() { &self.model } else { model };
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage_json(&self.usage),
        });
        event("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.begin("", "", out);
        if self.open != Some(Open::Text) {
            self.block(Open::Text, &json!({"type": "text", "text": ""}), out);
        }
        self.delta(&json!({"type": "text_delta", "text": text}), out);
    }

    /// Writes a piece. Only the first answer is written: the format has one.
    pub fn write(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Begin { id, model } => self.begin(id, model, out),
            Delta::Text(0, text) | Delta::Refusal(0, text) => self.text(text, out),
            Delta::Tool(0, number, id, name) => {
                self.begin("", "", out);
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                self.block(Open::Tool(*number), &block, out);
            }
            // Blocks follow each other here. Arguments of a call that was closed cannot be written any more.
            Delta::Arguments(0, number, text) if self.open == Some(Open::Tool(*number)) => {
                self.delta(&json!({"type": "input_json_delta", "partial_json": text}), out);
            }
            Delta::Sources(0, sources) => {
                if let Value::Array(each) = citations(sources) {
                    for citation in each {
                        self.delta(&json!({"type": "citations_delta", "citation": citation}), out);
                    }
                }
            }
            Delta::Finish(0, finish) => self.finish = Some(*finish),
            Delta::Usage(usage) => self.usage = *usage,
            _ => {}
        }
    }

    /// Ends the stream.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.begin("", "", out);
        self.close(out);
        let finish = finish_name(self.finish.unwrap_or(Finish::Stop));
        let mut last = json!({
            "type": "message_delta", "delta": {"stop_reason": finish, "stop_sequence": null},
            "usage": usage_json(&self.usage),
        });
        if let Some(more) = self.more.take() {
            last["ashlar"] = more;
        }
        event("message_delta", &last, out);
        event("message_stop", &json!({"type": "message_stop"}), out);
    }
}
