//! What a client takes a field for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::validate::{is_pattern, pattern_checker};

/// A pattern that texts fit somewhere, as `pattern` of JSON Schema means it.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    checker: jsonschema::Validator,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// What a client takes a field for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    /// Any text.
    String,
    /// A text that is a full address or a path of the site.
    Url,
    /// A text of this format of JSON Schema.
    Format(&'static str),
    /// A text that fits a pattern.
    Pattern(Arc<Pattern>),
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl FieldType {
    /// Reads a type by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "string" | "text" | "markdown" => Self::String,
            "url" | "uri" | "uri-reference" => Self::Url,
            "date" => Self::Format("date"),
            "date-time" | "datetime" => Self::Format("date-time"),
            "email" => Self::Format("email"),
            "uuid" => Self::Format("uuid"),
            "number" => Self::Number,
            "integer" => Self::Integer,
            "boolean" | "bool" => Self::Boolean,
            "array" | "list" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    /// Texts that fit a pattern.
    pub(super) fn pattern(text: &str) -> Result<Self, String> {
        match pattern_checker(text).filter(|_| is_pattern(text)) {
            Some(checker) => Ok(Self::Pattern(Arc::new(Pattern { text: text.to_owned(), checker }))),
            None => {
                Err(format!("its pattern `{}` cannot be used", text.chars().take(80).collect::<String>()))
            }
        }
    }

    /// The schema that every such value fits. Whether a text is an address is seen in the bodies.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Pattern(pattern) => json!({"type": "string", "pattern": pattern.text}),
            Self::String | Self::Url => json!({"type": "string"}),
            Self::Format(format) => json!({"type": "string", "format": format}),
            Self::Number => json!({"type": "number"}),
            Self::Integer => json!({"type": "integer"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Array => json!({"type": "array"}),
            Self::Object => json!({"type": "object"}),
        }
    }

    /// Whether a value of a body is one.
    pub(super) fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Pattern(pattern) => value.is_string() && pattern.checker.is_valid(value),
            Self::Url => value.as_str().is_some_and(|t| {
                let address = ["https://", "http://", "mailto:", "tel:"]
                    .iter()
                    .any(|p| t.len() > p.len() && t.starts_with(p));
                (address || t.starts_with(['/', '#', '?', '.'])) && !t.chars().any(char::is_whitespace)
            }),
            Self::String | Self::Format(_) => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.as_f64().is_some_and(|f| f.fract() == 0.0),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// Its name for people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pattern(_) => "text of the wanted pattern",
            Self::String => "string",
            Self::Url => "url",
            Self::Format(format) => format,
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
