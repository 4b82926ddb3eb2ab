//! A call of a model, whatever format it came in.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// The most messages of a call.
pub const MESSAGES_MAX: usize = 4_096;
/// The most tools of a call.
pub const TOOLS_MAX: usize = 256;

/// The format that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Chat completions of OpenAI.
    OpenAi,
    /// Messages of Anthropic.
    Anthropic,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The application.
    System,
    /// The application, in newer models of OpenAI.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// At an address that the provider fetches.
    Url(String),
    /// In the request.
    Data {
        /// The media type.
        media: String,
        /// The bytes in Base64.
        base64: String,
    },
}

/// A part of a message.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image(Image),
    /// Something that only providers of the same kind understand, as it was sent.
    Other(Box<RawValue>),
}

/// A call of a tool that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// What its answer names.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments, as JSON.
    pub arguments: String,
}

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub parts: Vec<Part>,
    /// Tools that the model wants called.
    pub calls: Vec<ToolCall>,
    /// For a tool: the call that it answers.
    pub answers: Option<String>,
    /// For a tool: the call failed.
    pub failed: bool,
    /// Fields that only providers of the same kind understand.
    pub rest: Vec<(String, Box<RawValue>)>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text(text.into())],
            calls: Vec::new(),
            answers: None,
            failed: false,
            rest: Vec::new(),
        }
    }

    /// Its text parts, joined by line breaks.
    #[must_use]
    pub fn joined(&self) -> String {
        let texts: Vec<&str> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        texts.join("\n")
    }
}

/// A tool that the model may ask for.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    pub parameters: Option<Box<RawValue>>,
    /// Whether arguments must follow the schema.
    pub strict: Option<bool>,
}

/// Whether and which tools are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// At least one.
    Any,
    /// This one.
    Tool(String),
}

/// What the answer must look like.
#[derive(Debug, Clone)]
pub enum Output {
    /// Any JSON object.
    Json,
    /// JSON that follows a schema.
    Schema {
        /// The name of the schema.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether the provider must enforce it.
        strict: bool,
    },
}

/// The field `ashlar` of a request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// The prompt to use.
    pub prompt: Option<String>,
    /// The version of it; the release decides when absent.
    pub version: Option<u32>,
    /// The values of its variables.
    pub variables: Map<String, Value>,
    /// What requests of one session share: they get the same target and the same version.
    pub session: Option<String>,
    /// The language of built-in answers.
    pub locale: Option<String>,
    /// `false`: the answer does not come from a cache, and is not put into one.
    pub cache: Option<bool>,
    /// Tools of the gateway that the model may call.
    pub tools: Vec<String>,
    /// Requests for approval that a person has answered.
    pub approvals: Vec<String>,
}

/// A call of a model.
#[derive(Debug, Clone)]
pub struct Call {
    /// The format it came in.
    pub surface: Surface,
    /// The route that it names.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Tools that the model may ask for.
    pub tools: Vec<Tool>,
    /// Tools that only providers of the same kind understand.
    pub other_tools: Vec<Box<RawValue>>,
    /// Which tools are called.
    pub choice: Option<Choice>,
    /// Whether several tools may be called at once.
    pub parallel: Option<bool>,
    /// The most tokens of an answer.
    pub tokens_max: Option<u64>,
    /// How much chance decides.
    pub temperature: Option<f64>,
    /// The share of likely tokens that are chosen from.
    pub top_p: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// What the answer must look like.
    pub output: Option<Output>,
    /// How many answers are made.
    pub choices: u64,
    /// Whether the answer is sent as it is made.
    pub stream: bool,
    /// Whether the stream ends with figures of tokens.
    pub stream_usage: bool,
    /// The person at the other end, in the client's words.
    pub user: Option<String>,
    /// The field `ashlar`.
    pub ashlar: Ask,
    /// Fields that only providers of the same kind understand.
    pub rest: Vec<(String, Box<RawValue>)>,
    /// The body as it was sent. Providers of the same kind get it, with the model replaced, as long as nothing is changed.
    pub body: Bytes,
    /// Whether messages, tools or parameters differ from `body`.
    pub changed: bool,
    /// How many messages at the beginning a provider is asked to keep in its cache, with the tools; 0 when it is not asked.
    pub kept: usize,
}

impl Call {
    /// The last thing that the person said.
    #[must_use]
    pub fn question(&self) -> Option<String> {
        let last = self.messages.iter().rev().find(|message| message.role == Role::User)?;
        Some(last.joined().trim().to_owned())
    }

    /// About how many tokens the request has: four bytes of text are one token, a picture is a thousand.
    #[must_use]
    pub fn tokens_in(&self) -> u64 {
        let part = |part: &Part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Image(_) => 4_000,
            Part::Other(raw) => raw.get().len() as u64,
        };
        let messages = self.messages.iter().map(|message| {
            let calls = message.calls.iter().map(|call| (call.name.len() + call.arguments.len()) as u64);
            16 + message.parts.iter().map(part).sum::<u64>() + calls.sum::<u64>()
        });
        let tools = self.tools.iter().map(|tool| {
            let schema = tool.parameters.as_ref().map_or(0, |raw| raw.get().len());
            (tool.name.len() + tool.description.as_ref().map_or(0, String::len) + schema) as u64
        });
        messages.sum::<u64>().saturating_add(tools.sum()).div_ceil(4)
    }

    /// The most tokens that the answers may have, when the request bounds them.
    #[must_use]
    pub fn tokens_out_max(&self) -> Option<u64> {
        self.tokens_max.map(|most| most.saturating_mul(self.choices.max(1)))
    }
}
