//! A contract as a JSON Schema that providers take.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_contracts::{Contract, ContractSet, rewrite_refs};
use ashlar_model::ContractName;
use serde_json::{Map, Value, json};

/// The most contracts that a schema brings along.
const CONTRACTS_MAX: usize = 64;
/// Words whose values are schemas by name.
const MAPS: [&str; 4] = ["properties", "$defs", "patternProperties", "dependentSchemas"];
/// Words whose values are data.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];
/// Words that OpenAI's strict mode takes.
const STRICT: [&str; 21] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "title",
    "description",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
];
/// Words that strict mode does not take and that only narrow what is accepted: the answer is validated afterwards anyway.
const NARROWING: [&str; 12] = [
    "minLength",
    "maxLength",
    "uniqueItems",
    "default",
    "examples",
    "$comment",
    "readOnly",
    "writeOnly",
    "deprecated",
    "contentMediaType",
    "contentEncoding",
    "minProperties",
];
/// Formats that strict mode takes.
const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// The contract as one schema: contracts that it refers to stand under `$defs`, and what only Ashlar reads is left out.
#[must_use]
pub fn json_schema(contract: &Contract, contracts: &ContractSet) -> Value {
    let root = contract.file();
    let mut defs: BTreeMap<String, Value> = BTreeMap::new();
    let mut open = files_of(&contract.schema);
    while let Some(file) = open.pop_first() {
        if file == root || defs.contains_key(&file) || defs.len() >= CONTRACTS_MAX {
            continue;
        }
        let name: Option<ContractName> = file.strip_suffix(".json").and_then(|name| name.parse().ok());
        let Some(other) = name.and_then(|name| contracts.get(&name)) else { continue };
        open.extend(files_of(&other.schema));
        defs.insert(file.clone(), plain(&rewrite_refs(&other.schema, &|r| moved(r, &file, &root))));
    }
    let mut schema = plain(&rewrite_refs(&contract.schema, &|r| moved(r, &root, &root)));
    if let (false, Some(map)) = (defs.is_empty(), schema.as_object_mut()) {
        let all = map.entry("$defs").or_insert_with(|| json!({}));
        if let Some(all) = all.as_object_mut() {
            all.extend(defs);
        }
    }
    schema
}

/// The files that references of a schema name.
fn files_of(schema: &Value) -> BTreeSet<String> {
    let found = std::cell::RefCell::new(BTreeSet::new());
    rewrite_refs(schema, &|reference| {
        let file = reference.split('#').next().unwrap_or_default();
        if !file.is_empty() {
            found.borrow_mut().insert(file.to_owned());
        }
        reference.to_owned()
    });
    found.into_inner()
}

/// A reference of `file` as it is in the schema of `root`.
fn moved(reference: &str, file: &str, root: &str) -> String {
    let (named, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    let named = if named.is_empty() { file } else { named };
    match named == root {
        true => format!("#{pointer}"),
        false => format!("#/$defs/{}{pointer}", ashlar_model::pointer_step(named)),
    }
}

/// Changes each schema within a schema, the innermost first.
fn each(schema: &Value, change: &dyn Fn(&mut Map<String, Value>)) -> Value {
    match schema {
        Value::Object(map) => {
            let inner = map.iter().map(|(word, value)| {
                let value = match value {
                    value if DATA.contains(&word.as_str()) => value.clone(),
                    Value::Object(named) if MAPS.contains(&word.as_str()) => {
                        Value::Object(named.iter().map(|(n, s)| (n.clone(), each(s, change))).collect())
                    }
                    value => each(value, change),
                };
                (word.clone(), value)
            });
            let mut map: Map<String, Value> = inner.collect();
            change(&mut map);
            Value::Object(map)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| each(item, change)).collect()),
        other => other.clone(),
    }
}

/// Without what only Ashlar reads.
fn plain(schema: &Value) -> Value {
    each(schema, &|map| map.retain(|word, _| !matches!(word.as_str(), "x-ashlar" | "$id" | "$schema")))
}

/// The schema without words that only narrow it, and whether strict mode takes it.
fn strict(schema: &Value) -> (Value, bool) {
    let fits = std::cell::Cell::new(schema.get("type").and_then(Value::as_str) == Some("object"));
    let schema = each(schema, &|map| {
        map.retain(|word, _| !NARROWING.contains(&word.as_str()));
        if map.get("format").and_then(Value::as_str).is_some_and(|format| !FORMATS.contains(&format)) {
            map.remove("format");
        }
        if map.keys().any(|word| !STRICT.contains(&word.as_str())) {
            fits.set(false);
        }
        let is_object =
            map.get("type").is_some_and(|kind| kind == "object") || map.contains_key("properties");
        let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
        let required = map.get("required").and_then(Value::as_array);
        let names = map.get("properties").and_then(Value::as_object);
        let all = names.is_none_or(|names| {
            names.keys().all(|name| required.is_some_and(|r| r.iter().any(|known| known == name.as_str())))
        });
        if is_object && !(closed && all) {
            fits.set(false);
        }
    });
    (schema, fits.get())
}

/// A name that providers take: `support-reply_v1`.
fn name_of(contract: &Contract) -> String {
    let name = contract.name.to_string().replace('.', "_");
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    name.chars().take(64).collect()
}

/// `response_format` of OpenAI's chat completions. It is strict when the contract allows that: every object is closed, and all of its
/// properties are required.
#[must_use]
pub fn openai_format(contract: &Contract, contracts: &ContractSet) -> Value {
    let schema = json_schema(contract, contracts);
    let (narrowed, fits) = strict(&schema);
    let schema = if fits { narrowed } else { schema };
    json!({
        "type": "json_schema",
        "json_schema": {"name": name_of(contract), "schema": schema, "strict": fits},
    })
}

/// A tool of Anthropic's messages whose input is the output: the call forces it with `tool_choice`.
#[must_use]
pub fn anthropic_tool(contract: &Contract, contracts: &ContractSet) -> Value {
    let described = contract.schema.get("description").and_then(Value::as_str);
    json!({
        "name": name_of(contract),
        "description": described.unwrap_or("The answer. Call this tool once with the whole answer."),
        "input_schema": json_schema(contract, contracts),
    })
}
