//! Route templates: `/{locale}/pricing/{slug}`.

use ashlar_model::{EntryKey, Fields};
use serde_json::Value;

/// The most characters of a route.
const ROUTE_CHARS_MAX: usize = 1000;

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RouteTemplateError(String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

/// A route template of a content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTemplate {
    text: String,
    parts: Vec<Part>,
}

impl RouteTemplate {
    /// Reads a template: it begins with `/`; `{name}` stands for a top-level field, `{id}` and `{locale}` for those of the
    /// entry.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, RouteTemplateError> {
        let wrong = |why: &str| Err(RouteTemplateError(format!("the route `{text}` {why}")));
        if !text.starts_with('/') || text.len() > ROUTE_CHARS_MAX {
            return wrong("must begin with `/`");
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find('{') {
            let Some(len) = rest[open..].find('}') else { return wrong("has a `{` without `}`") };
            let name = &rest[open + 1..open + len];
            if name.is_empty() || name.contains(['{', '/']) {
                return wrong("has a placeholder without a name");
            }
            parts.push(Part::Text(rest[..open].to_owned()));
            parts.push(Part::Field(name.to_owned()));
            rest = &rest[open + len + 1..];
        }
        if rest.contains('}') {
            return wrong("has a `}` without `{`");
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The top-level fields it uses.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Field(name) if !matches!(name.as_str(), "id" | "locale") => Some(name.as_str()),
            _ => None,
        })
    }

    /// The route of an entry, without a trailing slash: routes and links are compared in this form.
    ///
    /// # Errors
    /// The fields it needs that are absent or cannot stand in a path.
    pub fn fill(&self, key: &EntryKey, fields: &Fields) -> Result<String, Vec<String>> {
        let (mut route, mut missing) = (String::new(), Vec::new());
        for part in &self.parts {
            match part {
                Part::Text(text) => route.push_str(text),
                Part::Field(name) => match (name.as_str(), fields.get(name)) {
                    (_, Some(Value::String(text))) if safe(text) => {
                        route.push_str(text.trim_start_matches('/'))
                    }
                    (_, Some(Value::Number(n))) => route.push_str(&n.to_string()),
                    ("id", None) => route.push_str(key.id.as_str()),
                    ("locale", None) => route.push_str(key.locale.as_str()),
                    _ => missing.push(name.clone()),
                },
            }
        }
        if route.len() > ROUTE_CHARS_MAX {
            missing = self.fields().map(str::to_owned).collect();
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        while route.contains("//") {
            route = route.replace("//", "/");
        }
        if route.len() > 1 && route.ends_with('/') {
            route.pop();
        }
        Ok(route)
    }
}

/// Text that can stand in a path as it is.
fn safe(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | '\\' | '"' | '<' | '>' | '%'))
        && !text.split('/').any(|s| s == ".." || s == ".")
}
