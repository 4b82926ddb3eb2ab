//! Where a `$ref` leads: a place in a loaded file, or nowhere. Nothing is fetched.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The schemas of a project by file name (`page.v1.json`), with `$ref`s written in one way.
pub(crate) type Documents = BTreeMap<String, Value>;

/// A place: file and JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub file: String,
    pub pointer: String,
}

/// Writes a `$ref` as `file.json#/pointer` or `#/pointer`.
///
/// # Errors
/// Why it can lead nowhere, as a sentence.
pub(crate) fn normalize(reference: &str) -> Result<String, String> {
    if reference.contains("://") || reference.starts_with("urn:") {
        return Err(format!("`{reference}` is remote, and nothing is fetched"));
    }
    let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let mut file = file.trim_start_matches("./").to_owned();
    if file.contains('/') || file.contains("..") {
        return Err(format!("`{reference}` leads out of contracts/"));
    }
    if !file.is_empty() && !file.ends_with(".json") {
        file.push_str(".json");
    }
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return Err(format!("`{reference}` names an anchor; write a JSON pointer such as `#/$defs/name`"));
    }
    Ok(match fragment.is_empty() {
        true if file.is_empty() => "#".to_owned(),
        true => file,
        false => format!("{file}#{fragment}"),
    })
}

/// A copy of a schema with every `$ref` written as `to` says, and without `$schema`, so that it can stand elsewhere. Values
/// under `const`, `enum`, `examples` and `default` are no schemas and stay.
pub fn rewrite_refs(schema: &Value, to: &dyn Fn(&str) -> String) -> Value {
    match schema {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(word, _)| *word != "$schema")
                .map(|(word, value)| {
                    let value = match (word.as_str(), value) {
                        ("$ref", Value::String(text)) => Value::String(to(text)),
                        ("const" | "enum" | "examples" | "default", value) => value.clone(),
                        (_, value) => rewrite_refs(value, to),
                    };
                    (word.clone(), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|i| rewrite_refs(i, to)).collect()),
        other => other.clone(),
    }
}

/// The place a normalized `$ref` in `from` leads to.
pub(crate) fn target(from: &str, reference: &str) -> Place {
    let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    let file = if file.is_empty() { from } else { file };
    let pointer = percent_decode(pointer);
    Place { file: file.to_owned(), pointer }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while i < bytes.len() {
        let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
        match (bytes[i], hex(bytes.get(i + 1)), hex(bytes.get(i + 2))) {
            (b'%', Some(h), Some(l)) => {
                out.push((h * 16 + l) as u8);
                i += 3;
            }
            (b, ..) => {
                out.push(b);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// The schema at a place.
pub(crate) fn look_up<'a>(documents: &'a Documents, place: &Place) -> Option<&'a Value> {
    documents.get(&place.file)?.pointer(&place.pointer)
}

/// Visits every subschema: `each(pointer, schema)`.
pub(crate) fn walk(schema: &Value, pointer: &mut String, each: &mut dyn FnMut(&str, &Value)) {
    each(pointer, schema);
    let Value::Object(map) = schema else { return };
    let mut down = |steps: &[&str], schema: &Value, pointer: &mut String| {
        let len = pointer.len();
        for step in steps {
            pointer.push('/');
            pointer.push_str(&ashlar_model::pointer_step(step));
        }
        walk(schema, pointer, each);
        pointer.truncate(len);
    };
    for (key, value) in map {
        match key.as_str() {
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                let Value::Object(named) = value else { continue };
                for (name, schema) in named {
                    down(&[key, name], schema, pointer);
                }
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                for (i, schema) in value.as_array().into_iter().flatten().enumerate() {
                    down(&[key, &i.to_string()], schema, pointer);
                }
            }
            "items"
            | "contains"
            | "additionalProperties"
            | "propertyNames"
            | "not"
            | "if"
            | "then"
            | "else"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "contentSchema" => down(&[key], value, pointer),
            _ => {}
        }
    }
}

/// The files that a schema in `file` refers to directly.
pub(crate) fn referenced(schema: &Value, file: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    walk(schema, &mut String::new(), &mut |_, s| {
        if let Some(reference) = s.get("$ref").and_then(Value::as_str) {
            out.insert(target(file, reference).file);
        }
    });
    out
}

/// The files a file refers to, itself included.
pub(crate) fn closure(documents: &Documents, file: &str) -> BTreeSet<String> {
    let (mut out, mut waiting) = (BTreeSet::new(), vec![file.to_owned()]);
    while let Some(file) = waiting.pop() {
        let Some(schema) = documents.get(&file) else { continue };
        if !out.contains(&file) {
            waiting.extend(referenced(schema, &file));
            out.insert(file);
        }
    }
    out
}
