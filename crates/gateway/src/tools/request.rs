//! A request over HTTP, from a path template and arguments.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::declared::Method;

/// Characters of an argument that stay as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');
/// The longest path with its query, in bytes.
const PATH_BYTES_MAX: usize = 8_192;

/// A request to a tool server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path with its query, below the address of the server.
    pub path: String,
    /// JSON, for methods that have a body.
    pub body: Option<String>,
}

/// An argument that cannot be part of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` {why}")]
pub struct ArgumentError {
    /// The argument.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// The arguments that a path template names, in their order; `None` when its braces do not match.
#[must_use]
pub fn path_names(template: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find(['{', '}']) {
        let inside = rest[open..].strip_prefix('{')?;
        let close = inside.find(['{', '}']).filter(|at| *at > 0 && inside[*at..].starts_with('}'))?;
        names.push(&inside[..close]);
        rest = &inside[close + 1..];
    }
    Some(names)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The text of a value that a path or a query can have.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A part of a path. It must stay one segment, whatever the server makes of it.
fn segment(name: &str, value: Option<&Value>) -> Result<String, ArgumentError> {
    let wrong = |why| Err(ArgumentError { name: name.to_owned(), why });
    let text = match value {
        Some(Value::String(_) | Value::Number(_) | Value::Bool(_)) => value.map(plain).unwrap_or_default(),
        Some(_) => return wrong("is part of a path and must be a text or a number"),
        None => return wrong("is part of a path and is missing"),
    };
    if text.is_empty() || text.chars().all(|c| c == '.') {
        return wrong("is part of a path and cannot be empty or dots alone");
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '%')) {
        return wrong("is part of a path and cannot have slashes, percent signs or control characters");
    }
    Ok(encoded(&text))
}

impl Request {
    /// The request of a tool with these arguments.
    ///
    /// # Errors
    /// When an argument cannot be where the template wants it.
    pub fn new(method: Method, template: &str, arguments: &Value) -> Result<Self, ArgumentError> {
        let none = Map::new();
        let arguments = arguments.as_object().unwrap_or(&none);
        let names = path_names(template).unwrap_or_default();
        let mut path = String::new();
        let mut rest = template;
        for name in &names {
            let (before, after) = rest.split_once(&format!("{{{name}}}")).unwrap_or((rest, ""));
            path.push_str(before);
            path.push_str(&segment(name, arguments.get(*name))?);
            rest = after;
        }
        path.push_str(rest);
        let others = arguments.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        let body = match method {
            Method::Get | Method::Delete => {
                for (number, (name, value)) in others.filter(|(_, value)| !value.is_null()).enumerate() {
                    path.push(if number == 0 { '?' } else { '&' });
                    path.push_str(&format!("{}={}", encoded(name), encoded(&plain(value))));
                }
                None
            }
            _ => {
                let all: Map<String, Value> =
                    others.map(|(name, value)| (name.clone(), value.clone())).collect();
                Some(Value::Object(all).to_string())
            }
        };
        if path.len() > PATH_BYTES_MAX {
            let name = names.first().copied().unwrap_or("arguments").to_owned();
            return Err(ArgumentError { name, why: "makes an address that is too long" });
        }
        Ok(Self { method, path, body })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_go_into_the_path_the_query_or_the_body() {
        let of = |method, template: &str, arguments: Value| Request::new(method, template, &arguments);
        let get = of(Method::Get, "/orders/{id}/lines", json!({"id": "a b", "q": "x&y=1", "n": 2})).unwrap();
        assert_eq!((get.path.as_str(), get.body), ("/orders/a%20b/lines?n=2&q=x%26y%3D1", None));
        let post = of(Method::Post, "/orders/{id}", json!({"id": 7, "sum": 1.5})).unwrap();
        assert_eq!((post.path.as_str(), post.body.as_deref()), ("/orders/7", Some("{\"sum\":1.5}")));
        for bad in [
            json!("../admin"),
            json!(".."),
            json!(""),
            json!("a%2fb"),
            json!([1]),
            json!("a\nb"),
            json!(null),
        ] {
            assert!(of(Method::Get, "/orders/{id}", json!({"id": bad})).is_err(), "{bad}");
        }
        assert!(of(Method::Get, "/o", json!({"q": "x".repeat(9_000)})).is_err());
    }

    #[test]
    fn templates_name_arguments() {
        assert_eq!(path_names("/a/{b}/{c}"), Some(vec!["b", "c"]));
        for wrong in ["/a/{", "/a}", "/{}", "/{a{b}}"] {
            assert_eq!(path_names(wrong), None, "{wrong}");
        }
    }
}
