//! Answers in pieces.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{Delta, Event, Fault, FaultKind, Finish, Usage, fields::cut},
    UsageIn, annotations, finish_name, finish_of, now, usage_json,
};

/// The event that ends a stream.
const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Deserialize)]
struct ChunkIn<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    choices: Option<Vec<ChoiceIn<'a>>>,
    #[serde(default)]
    usage: Option<UsageIn>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChoiceIn<'a> {
    #[serde(default)]
    index: u32,
    #[serde(default, borrow)]
    delta: Option<DeltaIn<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct DeltaIn<'a> {
    #[serde(default, borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<CallIn<'a>>>,
    // What vLLM, Ollama and others send before the answer.
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallIn<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    function: Option<FunctionIn<'a>>,
}

#[derive(Deserialize)]
struct FunctionIn<'a> {
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
}

/// Reads the pieces of a provider.
#[derive(Debug, Default)]
pub struct Reader {
    begun: bool,
    finished: bool,
    done: bool,
    /// The provider's name for the answer.
    id: String,
    /// The calls of tools that have begun.
    tools: Vec<Begun>,
}

/// A call of a tool that has begun.
#[derive(Debug)]
struct Begun {
    /// The answer that it belongs to.
    at: u32,
    /// The provider's number for it.
    index: u32,
    /// Its id; empty when the provider sends none.
    id: String,
    /// Its number among the calls of the answer.
    number: u32,
}

/// Bytes of reasoning. Only how many they are is known of them.
fn hidden(raw: Option<&RawValue>) -> usize {
    raw.map(RawValue::get).filter(|raw| !matches!(*raw, "null" | "\"\"" | "[]")).map_or(0, str::len)
}

/// A fault that a provider reports within a stream.
pub(crate) fn reported(error: &RawValue) -> Fault {
    let value: Value = serde_json::from_str(error.get()).unwrap_or_default();
    let said = value["message"].as_str().or(value.as_str()).unwrap_or("it gave no reason");
    let message = format!("the provider ended the stream with an error: {}", cut(said));
    Fault::new(FaultKind::Upstream, "upstream_error", message)
}

/// More of the arguments of a call.
fn more(at: u32, number: u32, arguments: Option<Cow<'_, str>>, out: &mut Vec<Delta>) {
    if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
        out.push(Delta::Arguments(at, number, arguments.into_owned()));
    }
}

impl Reader {
    /// Reads an event. Says whether it says nothing but figures of tokens.
    ///
    /// # Errors
    /// When it is no piece of an answer, or the provider reports an error.
    pub fn read(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<bool, Fault> {
        if event.data.as_ref() == b"[DONE]" {
            self.done = true;
            return Ok(false);
        }
        let chunk: ChunkIn<'_> = serde_json::from_slice(&event.data).map_err(|error| {
            let message =
                format!("a piece of the provider's answer cannot be read: {}", cut(&error.to_string()));
            Fault::new(FaultKind::Upstream, "upstream_malformed", message)
        })?;
        if let Some(error) = chunk.error.filter(|error| error.get() != "null") {
            return Err(reported(error));
        }
        let choices = chunk.choices.unwrap_or_default();
        let figures = choices.is_empty() && chunk.usage.is_some();
        if !self.begun && !choices.is_empty() {
            self.begun = true;
            self.id = chunk.id.unwrap_or_default().into_owned();
            out.push(Delta::Begin {
                id: self.id.clone(),
                model: chunk.model.unwrap_or_default().into_owned(),
            });
        }
        for choice in choices {
            let at = choice.index;
            if let Some(delta) = choice.delta {
                let bytes = hidden(delta.reasoning_content).max(hidden(delta.reasoning));
                if bytes > 0 {
                    out.push(Delta::Hidden(bytes));
                }
                if let Some(text) = delta.content.filter(|text| !text.is_empty()) {
                    out.push(Delta::Text(at, text.into_owned()));
                }
                if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
                    out.push(Delta::Refusal(at, text.into_owned()));
                }
                for call in delta.tool_calls.unwrap_or_default() {
                    self.tool(at, call, out)?;
                }
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finished = true;
                out.push(Delta::Finish(at, finish_of(&reason)));
            }
        }
        if let Some(usage) = chunk.usage.and_then(UsageIn::read) {
            out.push(Delta::Usage(usage));
        }
        Ok(figures)
    }

    fn tool(&mut self, at: u32, call: CallIn<'_>, out: &mut Vec<Delta>) -> Result<(), Fault> {
        let id = call.id.filter(|id| !id.is_empty()).map(Cow::into_owned);
        let count = self.tools.iter().filter(|begun| begun.at == at).count() as u32;
        // Some providers send each call whole, without a number.
        let index = call.index.unwrap_or(match &id {
            Some(_) => count,
            None => count.saturating_sub(1),
        });
        let function = call.function;
        let (name, arguments) = function.map_or((None, None), |f| (f.name, f.arguments));
        let name = name.filter(|name| !name.is_empty());
        let known = self.tools.iter().rev().find(|begun| (begun.at, begun.index) == (at, index));
        // Others give every call the same number; then a name with another id is another call.
        let same = |begun: &&Begun| name.is_none() || id.as_ref().is_none_or(|id| *id == begun.id);
        let number = known.filter(same).map(|begun| begun.number);
        let Some(number) = number else {
            let name = name.ok_or_else(|| {
                let message = "the provider's answer calls a tool without a name";
                Fault::new(FaultKind::Upstream, "upstream_malformed", message)
            })?;
            if self.tools.len() >= 4 * super::super::TOOLS_MAX {
                let message = "the provider's answer calls too many tools";
                return Err(Fault::new(FaultKind::Upstream, "upstream_malformed", message));
            }
            let begun = Begun { at, index, id: id.clone().unwrap_or_default(), number: count };
            self.tools.push(begun);
            let id = super::given_id(id.unwrap_or_default(), &self.id, count as usize);
            out.push(Delta::Tool(at, count, id, name.into_owned()));
            more(at, count, arguments, out);
            return Ok(());
        };
        more(at, number, arguments, out);
        Ok(())
    }

    /// Whether the answer is complete: the provider may close the connection now.
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
#[derive(Debug)]
pub struct Writer {
    id: String,
    model: String,
    created: u64,
    /// Whether the client wants figures of tokens.
    usage: bool,
    figures: Option<Usage>,
    began: Vec<u32>,
    /// Beside the fields of the format, in the last piece.
    more: Option<Value>,
}

impl Writer {
    /// A writer. `usage`: the client wants figures of tokens.
    #[must_use]
    pub fn new(usage: bool) -> Self {
        Self {
            id: String::new(),
            model: String::new(),
            created: now(),
            usage,
            figures: None,
            began: Vec::new(),
            more: None,
        }
    }

    /// Adds what is sent beside the fields of the format, in the piece that ends the answer.
    pub fn more(&mut self, more: Value) {
        self.more = Some(more);
    }

    fn chunk(&mut self, choices: Value, usage: Option<&Usage>, out: &mut Vec<u8>) {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage_json(usage);
        }
        if choices_end(&chunk)
            && let Some(more) = self.more.take()
        {
            chunk["ashlar"] = more;
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(chunk.to_string().as_bytes());
        out.extend_from_slice(b"\n\n");
    }

    fn one(&mut self, at: u32, mut delta: Value, finish: Option<Finish>, out: &mut Vec<u8>) {
        if !self.began.contains(&at) {
            self.began.push(at);
            delta["role"] = json!("assistant");
        }
        let choice = json!({"index": at, "delta": delta, "finish_reason": finish.map(finish_name)});
        self.chunk(json!([choice]), None, out);
    }

    /// Writes a piece.
    pub fn write(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Begin { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
                self.one(0, json!({"content": ""}), None, out);
            }
            Delta::Text(at, text) => self.one(*at, json!({"content": text}), None, out),
            Delta::Refusal(at, text) => self.one(*at, json!({"refusal": text}), None, out),
            Delta::Tool(at, index, id, name) => {
                let call = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
                self.one(*at, json!({"tool_calls": [call]}), None, out);
            }
            Delta::Arguments(at, index, text) => {
                let call = json!({"index": index, "function": {"arguments": text}});
                self.one(*at, json!({"tool_calls": [call]}), None, out);
            }
            Delta::Sources(at, sources) => {
                self.one(*at, json!({"annotations": annotations(sources)}), None, out)
            }
            Delta::Finish(at, finish) => self.one(*at, json!({}), Some(*finish), out),
            Delta::Usage(usage) => self.figures = Some(*usage),
            Delta::Hidden(_) => {}
        }
    }

    /// Ends the stream.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.usage
            && let Some(figures) = self.figures.take()
        {
            self.chunk(json!([]), Some(&figures), out);
        }
        out.extend_from_slice(DONE);
    }
}

fn choices_end(chunk: &Value) -> bool {
    chunk["choices"][0]["finish_reason"].is_string()
}
