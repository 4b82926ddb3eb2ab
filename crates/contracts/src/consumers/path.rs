//! Ways into a body.

use serde_json::{Value, json};

/// The deepest path.
pub(super) const STEPS_MAX: usize = 32;

/// A way into a body: `hero.cta.href`, `sections[].title`, `sections[intent=hero].title`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath {
    pub(super) text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A member of an object.
    Name(String),
    /// Every item of an array.
    Each,
    /// Every item of an array that has this member with this text.
    Where(String, String),
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not a field path: {why}"));
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            if name.is_empty() && (rest.is_empty() || !steps.is_empty()) {
                return wrong("a name is missing");
            }
            if !name.is_empty() {
                steps.push(Step::Name(name.to_owned()));
            }
            while let Some(inner) = rest.strip_prefix('[') {
                let Some((inside, after)) = inner.split_once(']') else { return wrong("a `]` is missing") };
                steps.push(match inside.split_once('=') {
                    None if inside.is_empty() => Step::Each,
                    Some((key, value)) if !key.is_empty() => {
                        Step::Where(key.trim().to_owned(), value.trim().trim_matches('"').to_owned())
                    }
                    _ => return wrong("brackets are `[]` or `[member=text]`"),
                });
                rest = after;
            }
            if !rest.is_empty() {
                return wrong("after a `]` comes a dot");
            }
        }
        if steps.len() > STEPS_MAX {
            return wrong("it is too deep");
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The body itself.
    pub(super) fn whole() -> Self {
        Self { text: "$".to_owned(), steps: Vec::new() }
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names on the way.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|s| match s {
            Step::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The schema of bodies in which the field is as `leaf` says; with `present`, it and everything on the way is there.
    pub(super) fn schema(&self, leaf: &Value, present: bool) -> Value {
        let mut schema = leaf.clone();
        for step in self.steps.iter().rev() {
            schema = match step {
                Step::Name(name) => {
                    let mut object = json!({ "properties": { (name.as_str()): schema } });
                    if present {
                        object["type"] = json!("object");
                        object["required"] = json!([name]);
                    }
                    object
                }
                Step::Each => {
                    let mut array = json!({ "items": schema });
                    if present {
                        array["type"] = json!("array");
                    }
                    array
                }
                Step::Where(key, value) => {
                    let condition = json!({
                        "type": "object", "required": [key], "properties": { (key.as_str()): { "const": value } },
                    });
                    let mut array = json!({ "items": { "if": condition, "then": schema } });
                    if present {
                        array["type"] = json!("array");
                    }
                    array
                }
            };
        }
        schema
    }

    /// Visits what a body has at the path: `None` where something on the way is missing.
    pub(super) fn visit<'v>(&self, body: &'v Value, seen: &mut dyn FnMut(Option<&'v Value>)) {
        Step::visit(&self.steps, body, seen);
    }
}

impl Step {
    fn visit<'v>(steps: &[Self], value: &'v Value, seen: &mut dyn FnMut(Option<&'v Value>)) {
        let Some((step, rest)) = steps.split_first() else { return seen(Some(value)) };
        match (step, value) {
            (Self::Name(name), Value::Object(map)) => match map.get(name) {
                Some(below) => Self::visit(rest, below, seen),
                None => seen(None),
            },
            (Self::Each, Value::Array(items)) => items.iter().for_each(|i| Self::visit(rest, i, seen)),
            (Self::Where(key, text), Value::Array(items)) => items
                .iter()
                .filter(|i| i.get(key).and_then(Value::as_str) == Some(text))
                .for_each(|i| Self::visit(rest, i, seen)),
            _ => seen(None),
        }
    }
}
