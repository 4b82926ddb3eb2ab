//! Examples, made from schemas and from what members are usually called.

use serde_json::{Map, Value, json};

/// How deep an example nests, references and choices counted.
const DEPTH_MAX: usize = 32;
/// The most items of a list in an example.
const ITEMS_MAX: u64 = 4;

/// What a member of this name looks like.
fn named(name: &str) -> Option<Value> {
    Some(match name {
        "type" | "type_name" => json!("page"),
        "contract" => json!("page.v1"),
        "id" => json!("home"),
        "title" => json!("Home"),
        "state" => json!("live"),
        "status" => json!("passed"),
        "change" => json!("changed"),
        "fields" | "before" | "after" => json!({"slug": "home", "title": "Home"}),
        "locale" | "default_locale" => json!("en"),
        "channel" => json!("production"),
        "changeset" => json!("spring"),
        "tenant" => json!("main"),
        "hosts" => json!(["www.example.com"]),
        "candidate" => json!("c4"),
        "run" => json!("e7"),
        "suite" => json!("support"),
        "release" | "to" | "r" => json!("r3"),
        "from" | "base" | "parent" | "other" => json!("r2"),
        "url" => json!("https://www.example.com/hooks"),
        "scopes" => json!(["read", "preview"]),
        "scope" => json!("read"),
        "right" => json!("pricing"),
        "gate" => json!("links"),
        "created_at" | "updated_at" | "moved_at" | "made_at" | "tried_at" | "due_at" | "modified"
        | "reverted_at" => {
            json!("2026-01-05T09:00:00Z")
        }
        "publish_at" | "unpublish_at" | "expires_at" | "revoked_at" => json!("2026-03-01T08:00:00Z"),
        "created_by" | "updated_by" | "moved_by" | "author" | "by" | "actor" | "admin" | "owner" => {
            json!("olga")
        }
        "trace" | "trace_id" => json!("4bf92f3577b34da6a3ce929d0e0e4736"),
        "zone" => json!("Europe/Berlin"),
        "path" => json!("/en/home"),
        "files" => json!({"ashlar.toml": "name = \"Harbour\"\n"}),
        "paths" => json!(["ashlar.toml"]),
        "entries" => return None,
        "cursor" | "next_cursor" => json!("eyJhZnRlciI6ImhvbWUifQ"),
        "note" | "reason" | "why" => json!("Spring prices"),
        "mapping" => json!("contract = \"page.v1\"\n"),
        "events" => json!(["release.*"]),
        "types" => json!(["page"]),
        "channels" => json!(["production"]),
        _ => return None,
    })
}

/// What a text with this pattern looks like.
fn patterned(pattern: &str) -> &'static str {
    match pattern {
        "^[0-9a-f]{64}$" => "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "^[0-9a-f]{32}$" => "4bf92f3577b34da6a3ce929d0e0e4736",
        "^r[1-9][0-9]{0,8}$" => "r3",
        "^c[1-9][0-9]{0,8}$" => "c4",
        "^e[1-9][0-9]{0,8}$" => "e7",
        p if p.starts_with("^(draft|") => "c4",
        p if p.starts_with("^(read|") => "read",
        p if p.contains(r"\.v[1-9]") => "page.v1",
        p if p.starts_with("^[a-z]{2,3}") => "en",
        _ => "home",
    }
}

/// The type a schema names, `null` apart.
fn kind(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|k| *k != "null"),
        _ => None,
    }
}

/// Whether an example that goes by its name fits the schema, as far as kinds and patterns say.
fn fits(value: &Value, schema: &Value) -> bool {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return schema.as_object().is_none_or(|s| !s.contains_key("$ref") && !s.contains_key("anyOf")),
    };
    let kind = match value {
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => return false,
    };
    let form = schema["pattern"].as_str().map(patterned);
    let of_items = schema["items"]["$ref"].is_null();
    kinds.contains(&kind)
        && of_items
        && form.is_none_or(|f| f == "home" || Some(f) == value.as_str())
        && schema["enum"].is_null()
}

/// An example of what a schema describes. `named` is the member it is in; `schemas` are those with a name.
pub(super) fn sample(schema: &Value, member: &str, schemas: &Map<String, Value>, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(given) = schema.get("examples").and_then(|e| e.get(0)).or(schema.get("example")) {
        return given.clone();
    }
    if let Some(value) = schema.get("const").or(schema["enum"].get(0)) {
        return value.clone();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
        return schemas.get(name).map_or(Value::Null, |s| sample(s, member, schemas, depth + 1));
    }
    if let Some(value) = named(member).filter(|v| fits(v, schema)) {
        return value;
    }
    for many in ["anyOf", "oneOf", "allOf"] {
        let first = schema[many].as_array().and_then(|all| all.iter().find(|s| s["type"] != "null"));
        if let Some(first) = first {
            return sample(first, member, schemas, depth + 1);
        }
    }
    match kind(schema) {
        Some("object") => {
            let mut out = Map::new();
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                out.insert(name.clone(), sample(of, name, schemas, depth + 1));
            }
            if let Some(of) = schema.get("additionalProperties").filter(|a| a.is_object()) {
                out.insert("entries_checked".to_owned(), sample(of, "", schemas, depth + 1));
            }
            Value::Object(out)
        }
        Some("array") => match schema["prefixItems"].as_array() {
            Some(each) => each.iter().map(|s| sample(s, member, schemas, depth + 1)).collect(),
            None => {
                let one = sample(&schema["items"], member.trim_end_matches('s'), schemas, depth + 1);
                let least = schema["minItems"].as_u64().unwrap_or(1).clamp(1, ITEMS_MAX);
                (0..least).map(|_| one.clone()).collect()
            }
        },
        Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(0).max(1)),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("string") => match schema["pattern"].as_str() {
            Some(pattern) => json!(patterned(pattern)),
            None => json!("text"),
        },
        _ => json!({}),
    }
}
