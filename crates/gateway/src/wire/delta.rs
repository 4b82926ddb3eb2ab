//! What a model answers: in pieces, and as a whole.

use super::ToolCall;

/// Tokens that a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request, those from a cache included.
    pub input: u64,
    /// Of these, tokens that the provider had in a cache.
    pub cached_input: u64,
    /// Of these, tokens that the provider wrote into its cache.
    pub cache_write: u64,
    /// Tokens of the answer, hidden ones included.
    pub output: u64,
    /// Of these, tokens of reasoning.
    pub reasoning: u64,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// There were too many tokens.
    Length,
    /// It wants tools called.
    Tools,
    /// A filter of the provider ended it, or the model refused.
    Refused,
}

/// Something that an answer quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The title.
    pub title: String,
    /// Where it is, absolute or a path.
    pub url: String,
    /// The words that it supports.
    pub words: String,
    /// Where the text it supports begins, in characters of the answer.
    pub from: usize,
    /// Where that ends.
    pub to: usize,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// The answer begins.
    Begin {
        /// The provider's name for it.
        id: String,
        /// The model that answers.
        model: String,
    },
    /// Text of the answer with this number.
    Text(u32, String),
    /// A reason for refusing.
    Refusal(u32, String),
    /// The model reasons: so many bytes that are not part of the answer.
    Hidden(usize),
    /// A call of a tool begins: the answer, the number of the call, its id, the tool.
    Tool(u32, u32, String, String),
    /// More of the arguments of a call.
    Arguments(u32, u32, String),
    /// What the answer quotes.
    Sources(u32, Vec<Source>),
    /// An answer ends.
    Finish(u32, Finish),
    /// Tokens so far. Later figures replace earlier ones.
    Usage(Usage),
}

impl Delta {
    /// The bytes of its text.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(_, text) | Self::Refusal(_, text) | Self::Arguments(_, _, text) => text.len(),
            _ => 0,
        }
    }
}

/// One of the answers of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Its text.
    pub text: String,
    /// The reason for refusing.
    pub refusal: Option<String>,
    /// Tools that the model wants called.
    pub calls: Vec<ToolCall>,
    /// What it quotes.
    pub sources: Vec<Source>,
    /// Why it ended.
    pub finish: Finish,
}

impl Default for Picked {
    fn default() -> Self {
        Self {
            text: String::new(),
            refusal: None,
            calls: Vec::new(),
            sources: Vec::new(),
            finish: Finish::Stop,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// The provider's name for it.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// The answers; one, unless more were asked for.
    pub picked: Vec<Picked>,
    /// Tokens.
    pub usage: Usage,
}
