//! What a task shows a model: the values of its prompt's variables.

use std::collections::BTreeMap;

use ashlar_gateway::prompts::{Prompt, VariableType};
use ashlar_model::Fields;
use serde_json::{Value, json};

use crate::config::Kind;

/// A variable that tasks give, with what it contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a list of texts.
    pub list: bool,
}

const fn text(name: &'static str) -> Given {
    Given { name, list: false }
}

/// What tasks of a kind give to their prompts.
#[must_use]
pub fn given(kind: Kind) -> &'static [Given] {
    const PASSAGES: Given = Given { name: "passages", list: true };
    match kind {
        Kind::Draft => const { &[text("brief"), text("type"), text("id"), text("locale"), PASSAGES] },
        Kind::Summarise | Kind::Classify => {
            const { &[text("entry"), text("type"), text("id"), text("locale")] }
        }
        Kind::SuggestLinks => {
            const {
                &[
                    text("entry"),
                    text("type"),
                    text("id"),
                    text("locale"),
                    Given { name: "targets", list: true },
                ]
            }
        }
        Kind::Translate => const { &[text("entry"), text("type"), text("id"), text("from"), text("to")] },
        Kind::SummariseAuditLog => const { &[Given { name: "events", list: true }] },
    }
}

/// The variables of a prompt from what a task has. What the prompt does not declare is left out; texts that are longer than it takes are
/// cut at a character.
#[must_use]
pub fn variables(prompt: &Prompt, have: BTreeMap<&'static str, Value>) -> Fields {
    let mut out = Fields::new();
    for (name, value) in have {
        let Some(variable) = prompt.variables.get(name) else { continue };
        let cut = |text: &str| text.chars().take(variable.max_length).collect::<String>();
        let value = match (value, variable.kind) {
            (Value::String(text), _) => json!(cut(&text)),
            (Value::Array(items), VariableType::List) => {
                let texts = items.iter().filter_map(Value::as_str).take(variable.max_items);
                texts.map(cut).collect()
            }
            (Value::Array(items), _) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                json!(cut(&texts.join("\n\n")))
            }
            (other, _) => other,
        };
        out.insert(name.to_owned(), value);
    }
    out
}
