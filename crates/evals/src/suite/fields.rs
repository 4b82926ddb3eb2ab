//! The members of a JSON object, taken one by one, with everything that is wrong about them.

use ashlar_model::did_you_mean;
use serde_json::{Map, Value};

use super::bounds::{ITEMS_MAX, NAME_BYTES_MAX};

/// What is wrong with a member: its pointer, what, and how to fix it.
pub(super) type Wrong = (String, String, String);

/// An object whose members are taken.
pub(super) struct Fields<'w> {
    /// The JSON pointer of the object.
    at: String,
    members: Map<String, Value>,
    known: &'static [&'static str],
    wrong: &'w mut Vec<Wrong>,
}

impl<'w> Fields<'w> {
    /// An object with the names that it may have. Other values count as an empty one.
    pub fn of(at: &str, value: Value, known: &'static [&'static str], wrong: &'w mut Vec<Wrong>) -> Self {
        let members = match value {
            Value::Object(members) => members,
            _ => {
                wrong.push((at.to_owned(), "This is not an object.".to_owned(), "write { … }".to_owned()));
                Map::new()
            }
        };
        let fields = Self { at: at.to_owned(), members, known, wrong };
        for name in fields.members.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("There is no field `{}`.", name.chars().take(80).collect::<String>());
            let all = format!("the fields are {}", known.join(", "));
            let help = did_you_mean(name, known.iter().copied(), all);
            fields.wrong.push((fields.at.clone(), message, help));
        }
        fields
    }

    /// Reports what is wrong with a member.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>, help: impl Into<String>) {
        self.wrong.push((format!("{}/{name}", self.at), message.into(), help.into()));
    }

    /// A member.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        debug_assert!(self.known.contains(&name), "{name}");
        self.members.remove(name)
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => {
                self.wrong(name, format!("`{name}` is not a text."), "write it in quotes");
                None
            }
        }
    }

    /// A text that names something.
    pub fn name(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        if text.trim().is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            let help = format!("write 1 to {NAME_BYTES_MAX} bytes without control characters");
            self.wrong(name, format!("`{name}` is empty, too long, or has control characters."), help);
        }
        Some(text)
    }

    /// Whether something is so.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.take(name) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.wrong(name, format!("`{name}` is neither true nor false."), "write true or false");
                false
            }
        }
    }

    /// A list with at most so many items.
    pub fn list(&mut self, name: &str, most: usize) -> Vec<Value> {
        match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() <= most => items,
            Some(Value::Array(items)) => {
                let message = format!("`{name}` has {} items; at most {most} are possible.", items.len());
                self.wrong(name, message, "remove some, or split the case");
                Vec::new()
            }
            Some(_) => {
                self.wrong(name, format!("`{name}` is not a list."), "write [ … ]");
                Vec::new()
            }
        }
    }

    /// A list of texts, none of them empty.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        let mut out = Vec::new();
        for (at, item) in self.list(name, ITEMS_MAX).into_iter().enumerate() {
            match item {
                Value::String(text) if !text.trim().is_empty() => out.push(text),
                _ => {
                    let place = format!("{name}/{at}");
                    self.wrong(&place, "This is not a text, or an empty one.", "write words in quotes");
                }
            }
        }
        out
    }
}
