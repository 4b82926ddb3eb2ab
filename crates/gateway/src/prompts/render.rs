//! From variables and sources to messages.

use std::{collections::BTreeMap, sync::Arc};

use minijinja::value::Value as Cell;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    RENDERED_BYTES_MAX,
    lint::SOURCES,
    marks::{self, MARKED, Sources, Untrusted},
    prompt::{Prompt, PromptError, Role, Variable, VariableType},
    template,
};
use crate::ground::Source;

/// What the system message says when answers have to cite.
pub const CITE: &str = "Answer from the sources only. After each statement, write the number of its source in brackets, such as [1].";

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// A rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// The messages, in order. Those of the call follow them.
    pub messages: Vec<Message>,
    /// What is searched for, when the prompt names a variable for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

impl Prompt {
    /// What the prompt searches for with these variables; `None` when that is the last message of the user.
    #[must_use]
    pub fn query(&self, variables: &Map<String, Value>) -> Option<String> {
        let name = self.grounding.as_ref()?.query.as_ref()?;
        let given = variables.get(name).or_else(|| self.variables.get(name)?.default.as_ref());
        given.and_then(Value::as_str).map(str::to_owned)
    }

    /// Checks the variables of a call, without rendering.
    ///
    /// # Errors
    /// When one is missing, unknown, of another type or too long.
    pub fn check(&self, variables: &Map<String, Value>) -> Result<(), PromptError> {
        self.values(variables).map(drop)
    }

    /// Renders the messages of the prompt.
    ///
    /// # Errors
    /// When a variable is missing, unknown, of another type or too long, or the messages would be too long.
    pub fn render(
        &self,
        variables: &Map<String, Value>,
        sources: &[Source],
    ) -> Result<Rendered, PromptError> {
        let mut values = self.values(variables)?;
        if self.grounding.is_some() {
            values.insert(SOURCES.to_owned(), Cell::from_object(Sources(sources.to_vec())));
        }
        let values = Cell::from(values);
        let mut messages = Vec::with_capacity(self.sections.len());
        let (mut left, mut marked) = (RENDERED_BYTES_MAX, false);
        for section in &self.sections {
            let rendered = template::render(&self.env, &section.template, &values, left);
            let text = rendered.map_err(|failed| self.failed(&failed, section.line))?;
            left -= text.len();
            marked |= marks::is_marked(&text);
            let text = text.trim();
            if !text.is_empty() {
                messages.push(Message { role: section.role, text: text.to_owned() });
            }
        }
        let cites = self.grounding.as_ref().is_some_and(|grounding| grounding.citations);
        let says = [(marked, MARKED), (cites, CITE)];
        let says: Vec<&str> = says.into_iter().filter_map(|(wanted, text)| wanted.then_some(text)).collect();
        if !says.is_empty() {
            let says = says.join("\n");
            match messages.iter_mut().find(|message| message.role == Role::System) {
                Some(system) => system.text = format!("{}\n\n{says}", system.text),
                None => messages.insert(0, Message { role: Role::System, text: says }),
            }
        }
        Ok(Rendered { messages, query: self.query(variables) })
    }

    fn failed(&self, failed: &template::Failed, line: usize) -> PromptError {
        let place = match failed.template.split_once('#') {
            Some((file, _)) => format!("{file}:{}", line + failed.line.saturating_sub(1)),
            None => format!("{}/{}/{}:{}", super::FOLDER, super::PARTIALS, failed.template, failed.line),
        };
        let message = format!("{} cannot be rendered: {}.", self.label(), failed.message);
        PromptError::new("prompt_failed", message, format!("{place} is where it fails"))
    }

    fn values(&self, given: &Map<String, Value>) -> Result<BTreeMap<String, Cell>, PromptError> {
        if let Some(unknown) = given.keys().find(|name| !self.variables.contains_key(*name)) {
            let known = self.variables.keys().map(String::as_str);
            let all: Vec<&str> = known.clone().collect();
            let otherwise = match all.is_empty() {
                true => "the prompt has no variables".to_owned(),
                false => format!("variables are {}", all.join(", ")),
            };
            let shown: String = unknown.chars().take(64).collect();
            let message = format!("{} has no variable `{shown}`.", self.label());
            let help = ashlar_model::did_you_mean(unknown, known, otherwise);
            return Err(PromptError::of_variable("prompt_variable_unknown", unknown, message, help));
        }
        let mut out = BTreeMap::new();
        for (name, variable) in &self.variables {
            let value = given.get(name).filter(|value| !value.is_null()).or(variable.default.as_ref());
            let value = match value {
                Some(value) => value_of(name, variable, value)?,
                None if variable.required => {
                    let message = format!("{} needs the variable `{name}`.", self.label());
                    let help = format!("send it in \"ashlar\": {{\"variables\": {{\"{name}\": …}}}}");
                    return Err(PromptError::of_variable("prompt_variable_missing", name, message, help));
                }
                None => empty(variable.kind),
            };
            out.insert(name.clone(), value);
        }
        Ok(out)
    }
}

/// What stands for a variable that was not given.
fn empty(kind: VariableType) -> Cell {
    match kind {
        VariableType::String => Cell::from(""),
        VariableType::List => Cell::from(Vec::<String>::new()),
        VariableType::Boolean => Cell::from(false),
        // Prints nothing, and is no number in comparisons.
        VariableType::Integer | VariableType::Number => Cell::from(()),
    }
}

/// A value of a variable as templates get it.
pub(super) fn value_of(name: &str, variable: &Variable, value: &Value) -> Result<Cell, PromptError> {
    let wrong = |message: String, help: String| {
        Err(PromptError::of_variable("prompt_variable_invalid", name, message, help))
    };
    let kind = variable.kind;
    let is = match kind {
        VariableType::String => value.is_string(),
        VariableType::Integer => value.is_i64() || value.is_u64(),
        VariableType::Number => value.is_number(),
        VariableType::Boolean => value.is_boolean(),
        VariableType::List => value.is_array(),
    };
    if !is {
        let article = if kind == VariableType::Integer { "an" } else { "a" };
        let kind = kind.as_str();
        return wrong(
            format!("The variable `{name}` is not {article} {kind}."),
            format!("send {article} {kind}"),
        );
    }
    let shared: Arc<str> = name.into();
    let text = |text: &str| -> Result<Cell, PromptError> {
        let chars = text.chars().count();
        if chars > variable.max_length {
            let message = format!(
                "The variable `{name}` has {chars} characters; at most {} are possible.",
                variable.max_length
            );
            return wrong(message, "shorten it".to_owned());
        }
        if !variable.values.is_empty() && !variable.values.iter().any(|value| value == text) {
            let shown: String = text.chars().take(80).collect();
            let known = variable.values.iter().map(String::as_str);
            let few: Vec<&str> = known.clone().take(20).collect();
            let help = ashlar_model::did_you_mean(text, known, format!("send one of {}", few.join(", ")));
            return wrong(format!("The variable `{name}` cannot be `{shown}`."), help);
        }
        Ok(if variable.is_marked() { Untrusted::value(&shared, text) } else { Cell::from(text) })
    };
    match value {
        Value::String(value) => text(value),
        Value::Array(items) => {
            if items.len() > variable.max_items {
                let message = format!(
                    "The variable `{name}` has {} items; at most {} are possible.",
                    items.len(),
                    variable.max_items
                );
                return wrong(message, "send fewer".to_owned());
            }
            let cells: Result<Vec<Cell>, PromptError> = items
                .iter()
                .map(|item| match item.as_str() {
                    Some(item) => text(item),
                    None => wrong(
                        format!("An item of the variable `{name}` is not text."),
                        "send texts".to_owned(),
                    ),
                })
                .collect();
            cells.map(Cell::from)
        }
        other => Ok(Cell::from_serialize(other)),
    }
}
