//! The members of a body that is written.

use serde_json::{Value, json};

/// The members of a body in the order in which they are set. Writers set first what stays the same from call to call, and last the
/// conversation: caches of providers find what two requests have in common at their beginning. The order depends on nothing but the call.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(String, Value)>);

impl Members {
    /// Adds a member, or replaces its value at its place.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The body.
    pub fn written(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_024);
        for (name, value) in &self.0 {
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(json!(name).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(value.to_string().as_bytes());
        }
        out.extend_from_slice(if out.is_empty() { b"{}" } else { b"}" });
        out
    }
}
