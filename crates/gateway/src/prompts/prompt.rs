//! What a prompt is.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use ashlar_model::{ContractName, Digest};
use minijinja::Environment;
use serde::Serialize;
use serde_json::Value;

use super::Active;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The application.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant]
            .into_iter()
            .find(|role| text.eq_ignore_ascii_case(role.as_str()))
    }
}

/// What kind of value a variable has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list of texts.
    List,
}

impl VariableType {
    pub(crate) const ALL: [Self; 5] = [Self::String, Self::Integer, Self::Number, Self::Boolean, Self::List];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "list",
        }
    }
}

/// A variable of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    /// What kind of value it has.
    #[serde(rename = "type")]
    pub kind: VariableType,
    /// Whether a call has to give it.
    pub required: bool,
    /// Whether only the application's own code sets it. Other texts are rendered between marks.
    pub trusted: bool,
    /// Whether its values are personal (`sensitivity: pii`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
    /// The longest text, in characters.
    pub max_length: usize,
    /// The most items of a list.
    pub max_items: usize,
    /// The values that are allowed; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The value when a call gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Variable {
    /// Whether what it says is text that others may have written.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        let text = matches!(self.kind, VariableType::String | VariableType::List);
        text && !self.trusted && self.values.is_empty()
    }
}

/// What happens to sentences that no source supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// They are left out.
    Drop,
    /// The answer is refused.
    #[default]
    Refuse,
}

/// What a prompt retrieves before the model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grounding {
    /// Indexes that are searched; all that the caller may use when empty.
    pub indexes: Vec<String>,
    /// How many chunks.
    pub chunks: usize,
    /// What happens to sentences that no source supports.
    pub rule: Rule,
    /// Whether an answer without a citation is refused.
    pub citations: bool,
    /// The variable that is searched for; without it, the last message of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// How the model is to answer. What is absent is left to the call.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Params {
    /// From 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// From 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The most tokens of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts that end an answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The seed of what is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// From -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// From -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// `minimal`, `low`, `medium` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
}

/// A part of a prompt that becomes a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub role: Role,
    /// The name of its template in the environment.
    pub template: String,
    /// Its template.
    pub source: String,
    /// The line of the file on which the template starts.
    pub line: usize,
}

/// A version of a prompt.
#[derive(Clone)]
pub struct Prompt {
    /// The prompt.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its file.
    pub file: String,
    /// Who owns it.
    pub owner: String,
    /// What is new in this version.
    pub changelog: String,
    /// The route that answers it, when the call names none.
    pub route: Option<String>,
    /// How the model is to answer.
    pub params: Params,
    /// What a call has to give.
    pub variables: BTreeMap<String, Variable>,
    /// The contract that an answer follows.
    pub output: Option<ContractName>,
    /// What is retrieved.
    pub grounding: Option<Grounding>,
    /// Tools that the model may call.
    pub tools: Vec<String>,
    /// Whether providers are asked to keep its tools and its system message in their cache.
    pub provider_cache: bool,
    /// The digest of everything that decides what it renders to: the file and the partials that it includes.
    pub digest: Digest,
    /// The lines of its front matter by field.
    pub(crate) lines: BTreeMap<String, usize>,
    pub(crate) sections: Vec<Section>,
    pub(crate) env: Arc<Environment<'static>>,
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("name", &self.label())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Prompt {
    /// `support-answer@v2`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@v{}", self.name, self.version)
    }

    /// Where a field of its front matter is: `prompts/support-answer/v2.md:4`.
    #[must_use]
    pub fn place(&self, field: &str) -> String {
        format!("{}:{}", self.file, self.lines.get(field).copied().unwrap_or(1))
    }

    /// Whether its front matter has a field.
    #[must_use]
    pub fn says(&self, field: &str) -> bool {
        self.lines.contains_key(field)
    }

    /// Whether an answer can be judged only when all of it is there: it follows a contract, or is compared with sources.
    #[must_use]
    pub fn needs_whole_answer(&self) -> bool {
        self.output.is_some() || self.grounding.is_some()
    }
}

/// The prompts of a project.
#[derive(Debug, Clone, Default)]
pub struct Prompts {
    /// Prompt → version → the version.
    pub(crate) all: BTreeMap<String, BTreeMap<u32, Arc<Prompt>>>,
    /// What `prompts.toml` says.
    pub(crate) active: BTreeMap<String, Active>,
}

impl Prompts {
    /// Every version of every prompt, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Prompt>> {
        self.all.values().flat_map(BTreeMap::values)
    }

    /// The names of the prompts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// A version of a prompt.
    #[must_use]
    pub fn get(&self, name: &str, version: u32) -> Option<&Arc<Prompt>> {
        self.all.get(name)?.get(&version)
    }

    /// The versions of a prompt, oldest first.
    pub fn versions(&self, name: &str) -> impl Iterator<Item = u32> {
        self.all.get(name).into_iter().flat_map(|versions| versions.keys().copied())
    }

    /// Which version of a prompt answers: what `prompts.toml` says, else the highest. `None` when there is no such prompt.
    #[must_use]
    pub fn active(&self, name: &str) -> Option<Active> {
        let highest = *self.all.get(name)?.last_key_value()?.0;
        let said = self.active.get(name).cloned();
        Some(said.unwrap_or_else(|| Active { version: highest, flags: Vec::new(), line: 1 }))
    }

    /// How many prompts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// A prompt as people name it: `support-answer`, or `support-answer@v2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptName {
    /// The prompt.
    pub name: String,
    /// The version, when one is named.
    pub version: Option<u32>,
}

impl FromStr for PromptName {
    type Err = PromptError;

    fn from_str(text: &str) -> Result<Self, PromptError> {
        let wrong = || {
            PromptError::new(
                "prompt_name",
                format!("`{}` does not name a prompt.", text.chars().take(80).collect::<String>()),
                "write it like support-answer or support-answer@v2",
            )
        };
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => {
                let digits = version.strip_prefix('v').unwrap_or(version);
                (name, Some(digits.parse().ok().filter(|n: &u32| *n > 0).ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        match super::read::is_name(name) {
            true => Ok(Self { name: name.to_owned(), version }),
            false => Err(wrong()),
        }
    }
}

/// Why a prompt cannot be used. The codes are stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PromptError {
    /// What kind of error it is, such as `prompt_not_found`.
    pub code: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
    /// How to fix it.
    pub help: String,
    /// The variable that is wrong, when it is one.
    pub variable: Option<String>,
}

impl PromptError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into(), variable: None }
    }

    pub(crate) fn of_variable(
        code: &'static str,
        variable: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let variable = Some(variable.chars().take(64).collect());
        Self { variable, ..Self::new(code, message, help) }
    }
}
