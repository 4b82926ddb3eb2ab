//! The schema of a view's bodies, derived from the contracts: what clients may rely on, and what `/openapi.json` says.

use std::collections::BTreeSet;

use ashlar_contracts::{Contract, ContractSet, rewrite_refs};
use ashlar_model::TypeName;
use serde_json::{Map, Value, json};

use super::view::{Selection, View};

/// References that are followed inside one another.
const DEPTH_MAX: usize = 16;

impl View {
    /// The JSON Schema of its bodies. It refers to contracts by file name (`hero.v1.json`).
    ///
    /// An included reference counts as there where the contract requires it: the gate `references` refuses what leads
    /// nowhere. An entry that exists in another locale only is seen when bodies are judged.
    pub fn response_schema(&self, contracts: &ContractSet) -> Value {
        let mut schema = of_types(contracts, std::slice::from_ref(&self.source), &self.select, 0);
        for (path, name) in &self.rename {
            let Some((last, parents)) = path.split_last() else { continue };
            schema = at(contracts, &schema, parents, last, 0, &|object| rename(object, last, name));
        }
        schema
    }
}

fn of_types(contracts: &ContractSet, types: &[TypeName], select: &Selection, depth: usize) -> Value {
    let shapes: Vec<Value> = contracts
        .iter()
        .filter(|c| c.is_type() && types.contains(&c.name.name))
        .map(|c| of_contract(contracts, c, select, depth))
        .collect();
    match shapes.len() {
        0 => json!(true),
        1 => shapes.into_iter().next().unwrap_or_default(),
        _ => json!({ "anyOf": shapes }),
    }
}

fn of_contract(contracts: &ContractSet, contract: &Contract, select: &Selection, depth: usize) -> Value {
    let file = contract.file();
    if select.fields.is_none() && select.include.is_empty() {
        return json!({ "$ref": file });
    }
    let mut schema = absolute(&contract.schema, &file);
    for include in &select.include {
        let Some((last, parents)) = include.path.split_last() else { continue };
        schema = at(contracts, &schema, parents, last, 0, &|object| {
            if let Some(field) = object.get_mut("properties").and_then(|p| p.get_mut(last)) {
                *field = included(contracts, field, &include.select, depth, 0);
            }
        });
    }
    let Some(names) = &select.fields else { return schema };
    let mut all = Members::default();
    all.collect(contracts, &schema, 0);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for name in names {
        let (shape, always) = match name.as_str() {
            "$id" | "$type" | "$locale" => (json!({"type": "string"}), true),
            name => match all.schemas(name) {
                Some(shape) => (shape, all.required.contains(name)),
                None => (json!(true), false),
            },
        };
        properties.insert(name.clone(), shape);
        if always {
            required.push(name.clone());
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// What a schema and everything that applies beside it say of the members of an object.
#[derive(Default)]
struct Members {
    properties: Vec<(String, Value)>,
    required: BTreeSet<String>,
}

impl Members {
    fn collect(&mut self, contracts: &ContractSet, schema: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.properties.push((name.clone(), below.clone()));
        }
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        self.required.extend(names.filter_map(Value::as_str).map(str::to_owned));
        if let Some(next) = referred(contracts, schema) {
            self.collect(contracts, &next, depth + 1);
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.collect(contracts, part, depth + 1);
        }
    }

    fn schemas(&self, name: &str) -> Option<Value> {
        let mut found: Vec<Value> =
            self.properties.iter().filter(|(n, _)| n == name).map(|(_, s)| s.clone()).collect();
        match found.len() {
            0 => None,
            1 => found.pop(),
            _ => Some(json!({ "allOf": found })),
        }
    }
}

/// A schema with its local references written as those of its file, so that it can stand elsewhere.
fn absolute(schema: &Value, file: &str) -> Value {
    rewrite_refs(schema, &|to| if to.starts_with('#') { format!("{file}{to}") } else { to.to_owned() })
}

/// Where a `$ref` leads, made absolute.
fn referred(contracts: &ContractSet, schema: &Value) -> Option<Value> {
    let to = schema.get("$ref")?.as_str()?;
    let (file, pointer) = to.split_once('#').unwrap_or((to, ""));
    let name = file.strip_suffix(".json")?.parse().ok()?;
    let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
    contracts.get(&name)?.schema.pointer(&pointer).map(|s| absolute(s, file))
}

/// Changes the objects at a place that have a member `last`: through references, alternatives and arrays. What does not
/// change stays a reference.
fn at(
    contracts: &ContractSet,
    schema: &Value,
    steps: &[String],
    last: &str,
    depth: usize,
    change: &dyn Fn(&mut Map<String, Value>),
) -> Value {
    let Some(map) = schema.as_object().filter(|_| depth <= DEPTH_MAX) else { return schema.clone() };
    let mut out = map.clone();
    if let Some(next) = referred(contracts, schema) {
        let changed = at(contracts, &next, steps, last, depth + 1, change);
        if changed != next {
            out.remove("$ref");
            if out.is_empty() {
                return changed;
            }
            let mut all = vec![changed];
            all.extend(out.remove("allOf").and_then(|a| a.as_array().cloned()).into_iter().flatten());
            out.insert("allOf".to_owned(), Value::Array(all));
            return Value::Object(out);
        }
    }
    for word in ["allOf", "anyOf", "oneOf", "prefixItems"] {
        if let Some(Value::Array(parts)) = out.get_mut(word) {
            for part in parts {
                *part = at(contracts, part, steps, last, depth + 1, change);
            }
        }
    }
    for word in ["items", "then", "else"] {
        if let Some(part) = out.get_mut(word) {
            *part = at(contracts, part, steps, last, depth + 1, change);
        }
    }
    match steps.split_first() {
        Some((first, rest)) => {
            if let Some(below) = out.get_mut("properties").and_then(|p| p.get_mut(first)) {
                *below = at(contracts, below, rest, last, depth + 1, change);
            }
        }
        None if map.get("properties").is_some_and(|p| p.get(last).is_some()) => change(&mut out),
        None => {}
    }
    Value::Object(out)
}

/// A reference field with what it refers to in its place.
fn included(contracts: &ContractSet, field: &Value, select: &Selection, depth: usize, inner: usize) -> Value {
    let Some(map) = field.as_object().filter(|_| depth <= DEPTH_MAX && inner <= DEPTH_MAX) else {
        return json!(true);
    };
    let types = map.get("x-ashlar").and_then(|x| x.get("ref")).and_then(Value::as_array);
    if let Some(types) = types {
        let types: Vec<TypeName> =
            types.iter().filter_map(Value::as_str).filter_map(|t| TypeName::new(t).ok()).collect();
        let is_list = map.get("items").is_some();
        let target = of_types(contracts, &types, select, depth + 1);
        return if is_list { json!({"type": "array", "items": target}) } else { target };
    }
    if let Some(next) = referred(contracts, field) {
        return included(contracts, &next, select, depth, inner + 1);
    }
    let mut out = map.clone();
    if let Some(items) = map.get("items") {
        out.insert("items".to_owned(), included(contracts, items, select, depth, inner + 1));
        // A reference to nothing is left out of the list.
        for word in ["minItems", "uniqueItems", "contains", "minContains", "maxContains"] {
            out.remove(word);
        }
    }
    for word in ["allOf", "anyOf", "oneOf"] {
        if let Some(parts) = map.get(word).and_then(Value::as_array) {
            let parts = parts.iter().map(|p| included(contracts, p, select, depth, inner + 1)).collect();
            out.insert(word.to_owned(), Value::Array(parts));
        }
    }
    Value::Object(out)
}

fn rename(object: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(Value::Object(properties)) = object.get_mut("properties")
        && let Some(shape) = properties.remove(from)
    {
        let shape = match properties.remove(to) {
            Some(other) => json!({ "anyOf": [other, shape] }),
            None => shape,
        };
        properties.insert(to.to_owned(), shape);
    }
    if let Some(Value::Array(required)) = object.get_mut("required") {
        for name in required.iter_mut().filter(|n| n.as_str() == Some(from)) {
            *name = json!(to);
        }
        let mut seen = BTreeSet::new();
        required.retain(|n| seen.insert(n.to_string()));
    }
}
