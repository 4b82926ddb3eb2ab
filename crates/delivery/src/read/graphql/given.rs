//! The arguments of a field.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    error::Failure,
    graphql::plan::{Arguments, FIRST, FIRST_MAX},
    http::Problem,
};

/// A request with a wrong argument.
pub(super) fn bad(detail: String, help: impl Into<String>) -> Failure {
    Problem::new(400, "bad-argument", "Bad argument", detail).help(help).into()
}

/// A value as the parameter of a query.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The arguments of a field with the variables of the request.
pub(super) struct Given<'r> {
    pub(super) arguments: &'r Arguments,
    pub(super) variables: &'r Map<String, Value>,
}

impl Given<'_> {
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.arguments.get(name).and_then(|a| a.value(self.variables)).filter(|v| !v.is_null())
    }

    /// The arguments of a list as the parameters of the same list at `/v1/entries`.
    pub(super) fn list(&self, fields: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, Failure> {
        let first = match self.value("first") {
            None => FIRST,
            Some(n) => {
                n.as_u64().map(|n| n as usize).filter(|n| (1..=FIRST_MAX).contains(n)).ok_or_else(|| {
                    bad(format!("`first` is {n}"), format!("ask for 1 to {FIRST_MAX} items"))
                })?
            }
        };
        let mut pairs = vec![("limit".to_owned(), first.to_string())];
        if let Some(Value::String(after)) = self.value("after") {
            pairs.push(("cursor".to_owned(), after));
        }
        if let Some(Value::String(sort)) = self.value("sort") {
            let (name, minus) = match sort.strip_suffix("_DESC") {
                Some(name) => (name, "-"),
                None => (sort.trim_end_matches("_ASC"), ""),
            };
            let field = fields.get(name).map_or(name, String::as_str);
            pairs.push(("sort".to_owned(), format!("{minus}{field}")));
        }
        if let Some(Value::Object(conditions)) = self.value("where") {
            for (name, all) in &conditions {
                let field = fields.get(name).unwrap_or(name);
                for (op, value) in all.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null()) {
                    pairs.push((format!("{field}[{op}]"), plain(value)));
                }
            }
        }
        Ok(pairs)
    }
}
