//! The OpenAPI 3.1 document of all rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    operation::{Operation, Scope},
    sample::sample,
    signature::{About, Reply, SCHEMAS, Schemas},
    table::Row,
};
use crate::front::Problem;

/// The document at `/api/openapi.json`.
pub(crate) fn document(rows: &[Row]) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.answered.subschema_for::<Problem>().to_value();
    let documented: Vec<(&Operation, About)> = rows
        .iter()
        .map(|row| {
            let mut about = About::default();
            (row.about)(&mut about, &mut schemas);
            (row.operation, about)
        })
        .collect();
    let answered = schemas.answered.take_definitions(true);
    let mut components: Map<String, Value> =
        answered.into_iter().map(|(n, s)| (n, without_defaults(tidied(s)))).collect();
    // What is sent and what is answered can differ; then what is sent gets a name of its own.
    let mut renamed = BTreeMap::new();
    let sent: Vec<(String, Value)> = schemas
        .sent
        .take_definitions(true)
        .into_iter()
        .map(|(n, s)| (n, without_defaults(tidied(s))))
        .collect();
    for (name, schema) in &sent {
        if components.get(name).is_some_and(|other| other != schema) {
            renamed.insert(format!("#{SCHEMAS}/{name}"), format!("#{SCHEMAS}/{name}Input"));
        }
    }
    for (name, schema) in sent {
        let name =
            if renamed.contains_key(&format!("#{SCHEMAS}/{name}")) { format!("{name}Input") } else { name };
        components.entry(name).or_insert_with(|| retarget(schema, &renamed));
    }
    let mut paths: Map<String, Value> = Map::new();
    for (operation, about) in documented {
        let path = operation.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[operation.method.name().to_ascii_lowercase()] =
            described(operation, &about, &renamed, &components);
    }
    let mut tags: Vec<&str> = Vec::new();
    for row in rows {
        if !tags.contains(&row.operation.area) {
            tags.push(row.operation.area);
        }
    }
    let example = sample(&tidied(problem.clone()), "", &components, 0);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ashlar", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Management and delivery of releases. Errors are RFC 9457 problems with a stable `type`.",
        },
        "servers": [{"url": "/"}],
        "tags": tags.iter().map(|t| json!({"name": t})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "responses": {"Problem": {
                "description": "What was wrong, where, and how to fix it (RFC 9457).",
                "content": {"application/problem+json": {"schema": tidied(problem), "example": example}},
            }, "ModelProblem": {
                "description": "What was wrong, in the format of the provider that the client was made for.",
                "content": {"application/json": {"schema": {"type": "object", "additionalProperties": true}}},
            }},
        },
    })
}

fn described(
    operation: &Operation,
    about: &About,
    renamed: &BTreeMap<String, String>,
    components: &Map<String, Value>,
) -> Value {
    let mut parameters = path_parameters(operation, about);
    parameters.extend(query_parameters(about));
    parameters.extend(about.headers.iter().map(|(name, says)| {
        json!({"name": name, "in": "header", "required": false, "description": says, "schema": {"type": "string"}})
    }));
    let mut responses = Map::new();
    for reply in &about.replies {
        responses.insert(reply.status.to_string(), response(reply, components));
    }
    let has_input = !parameters.is_empty() || about.body.is_some();
    for (status, says) in problems(operation, has_input, about.body.is_some()) {
        let (media, schema) = match says_otherwise(operation) {
            true => ("application/json", json!({"type": "object", "additionalProperties": true})),
            false => ("application/problem+json", json!({"$ref": "#/components/schemas/Problem"})),
        };
        responses
            .entry(status.to_string())
            .or_insert_with(|| json!({"description": says, "content": {media: {"schema": schema}}}));
    }
    let other = if operation.area == "llm" { "ModelProblem" } else { "Problem" };
    responses.insert("default".to_owned(), json!({"$ref": format!("#/components/responses/{other}")}));
    let mut out = json!({
        "operationId": operation.id, "summary": operation.summary, "tags": [operation.area],
        "parameters": parameters, "responses": responses,
    });
    match (&operation.scope, operation.scope.name()) {
        (_, Some(scope)) => {
            out["security"] = json!([{"key": [scope]}]);
            out["description"] = json!(format!("Needs the scope `{scope}`."));
        }
        (Scope::Reads, _) => {
            out["security"] = json!([{}, {"key": ["read"]}]);
            out["description"] =
                json!("Everybody may read the public channel. A key chooses its own channel.");
        }
        _ => out["security"] = json!([]),
    }
    if let Some((media, schema)) = &about.body {
        let schema = retarget(without_defaults(tidied(schema.clone())), renamed);
        let mut content = json!({"schema": schema});
        if *media == "application/json" {
            content["example"] = sample(&content["schema"], "", components, 0);
            // The example of the whole has them.
            without_examples(&mut content["schema"]);
        }
        let of =
            schema["$ref"].as_str().and_then(|r| components.get(r.rsplit('/').next()?)).unwrap_or(&schema);
        let required =
            *media != "application/json" || of["required"].as_array().is_some_and(|r| !r.is_empty());
        out["requestBody"] = json!({"required": required, "content": {*media: content}});
    }
    out
}

/// Removes the examples of members, which the example of the whole has.
fn without_examples(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("example");
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("properties", Value::Object(members)) => members.values_mut().for_each(without_examples),
            ("items", items) => without_examples(items),
            _ => {}
        }
    }
}

/// Whether problems have another form than elsewhere: GraphQL and the formats of model providers have their own.
fn says_otherwise(operation: &Operation) -> bool {
    operation.path == "/graphql" || operation.area == "llm"
}

fn response(reply: &Reply, components: &Map<String, Value>) -> Value {
    let mut out = json!({"description": reply.says});
    for (media, schema) in &reply.content {
        let schema = tidied(schema.clone());
        let mut content = json!({"schema": schema});
        if media.ends_with("json") {
            content["example"] = sample(&content["schema"], "", components, 0);
        }
        out["content"][*media] = content;
    }
    for (name, says) in &reply.headers {
        out["headers"][*name] = json!({"description": says, "schema": {"type": "string"}});
    }
    out
}

/// The problems every operation of its kind can have, and its own.
fn problems(operation: &Operation, has_input: bool, has_body: bool) -> Vec<(u16, &'static str)> {
    let mut out: Vec<(u16, &str)> = operation.problems.to_vec();
    if has_input {
        out.push((400, "The request cannot be used; `detail` says what is wrong."));
    }
    if has_body {
        out.push((413, "The body is too large."));
    }
    match operation.scope {
        Scope::Open => {}
        Scope::Reads => out.extend([
            (401, "The key is unknown, revoked or expired."),
            (403, "The key may not read this."),
            (421, "The host name belongs to another tenant than the key."),
            (429, "There were too many requests. `Retry-After` says how long to wait."),
        ]),
        Scope::Needs(_) | Scope::Approval | Scope::Calls => out.extend([
            (401, "No key was sent, or it is unknown, revoked or expired."),
            (403, "The key does not have the scope."),
            (421, "The host name belongs to another tenant than the key."),
            (429, "There were too many requests. `Retry-After` says how long to wait."),
            (
                503,
                "The server is busy, or a part of it cannot be reached. `Retry-After` says how long to wait.",
            ),
        ]),
    }
    out
}

fn path_parameters(operation: &Operation, about: &About) -> Vec<Value> {
    let schema = about.path.clone().map(tidied).unwrap_or_default();
    let each = schema["prefixItems"].as_array();
    let parameter = |(at, name): (usize, &str)| {
        let mut of = match (schema["properties"].get(name), each) {
            (Some(of), _) => of.clone(),
            (None, Some(each)) => each.get(at).cloned().unwrap_or_default(),
            (None, None) if schema["type"].is_string() && schema["type"] != "object" => schema.clone(),
            (None, None) => json!({"type": "string"}),
        };
        if of["type"] == "string" && of.get("pattern").is_none() {
            of["minLength"] = json!(1);
        }
        let example = sample(&of, name, &Map::new(), 0);
        let description = of.as_object_mut().and_then(|o| o.remove("description")).unwrap_or_default();
        let mut out = json!({"name": name, "in": "path", "required": true, "schema": of, "example": example});
        if description.is_string() {
            out["description"] = description;
        }
        out
    };
    operation.parameters().enumerate().map(parameter).collect()
}

fn query_parameters(about: &About) -> Vec<Value> {
    let schema = about.query.clone().map(tidied).unwrap_or_default();
    let required = |name: &str| schema["required"].as_array().is_some_and(|r| r.iter().any(|n| n == name));
    let parameters = schema["properties"].as_object().into_iter().flatten().map(|(name, of)| {
        let mut of = of.clone();
        // A parameter is there or not; it is never null.
        if let Some(kinds) = of["type"].as_array() {
            let kinds: Vec<Value> = kinds.iter().filter(|k| *k != "null").cloned().collect();
            if let [one] = kinds.as_slice() {
                of["type"] = one.clone();
            }
        }
        if let Some(one) =
            of["anyOf"].as_array().and_then(|a| a.iter().find(|s| s["type"] != "null")).cloned()
        {
            let description = of["description"].clone();
            of = one;
            if description.is_string() {
                of["description"] = description;
            }
        }
        let description = of.as_object_mut().and_then(|o| o.remove("description")).unwrap_or_default();
        if let Some(o) = of.as_object_mut() {
            o.retain(|name, value| name != "default" || !value.is_null());
        }
        let mut out = json!({"name": name, "in": "query", "required": required(name), "schema": of});
        if description.is_string() {
            out["description"] = description;
        }
        out
    });
    parameters.collect()
}

/// A schema as generators of clients like it: bounds instead of formats they do not know, enumerations instead of many
/// constants, and nothing that is only `true`.
fn tidied(schema: Value) -> Value {
    let Value::Object(mut map) = schema else {
        return if schema == Value::Bool(true) { json!({}) } else { schema };
    };
    for name in ["items", "additionalProperties", "not"] {
        if let Some(of) = map.get_mut(name)
            && (of.is_object() || name == "items")
        {
            *of = tidied(of.take());
        }
    }
    for name in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for of in map.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            *of = tidied(of.take());
        }
    }
    for (_, of) in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        *of = tidied(of.take());
    }
    let format = map.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
    match format.as_str() {
        "uint32" | "uint64" | "uint" | "uint16" | "uint8" => {
            map.remove("format");
            let most = match format.as_str() {
                "uint8" => u64::from(u8::MAX),
                "uint16" => u64::from(u16::MAX),
                "uint32" => u64::from(u32::MAX),
                _ => u64::MAX,
            };
            map.entry("maximum").or_insert_with(|| json!(most));
        }
        _ => {}
    }
    let words: Option<Vec<Value>> = map.get("oneOf").and_then(Value::as_array).and_then(|all| {
        all.iter().map(|s| s.get("const").or(s["enum"].get(0)).filter(|c| c.is_string()).cloned()).collect()
    });
    if let Some(words) = words {
        map.remove("oneOf");
        map.insert("type".to_owned(), json!("string"));
        map.insert("enum".to_owned(), Value::Array(words));
    }
    Value::Object(map)
}

/// The schema of a body without defaults: generators of clients ask for every member that has one.
fn without_defaults(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut() {
        map.remove("default");
        for (name, of) in map {
            match name.as_str() {
                "properties" => of
                    .as_object_mut()
                    .into_iter()
                    .flatten()
                    .for_each(|(_, of)| *of = without_defaults(of.take())),
                "items" | "additionalProperties" => *of = without_defaults(of.take()),
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                    of.as_array_mut().into_iter().flatten().for_each(|of| *of = without_defaults(of.take()));
                }
                _ => {}
            }
        }
    }
    schema
}

/// The schema with references to other names.
fn retarget(schema: Value, renamed: &BTreeMap<String, String>) -> Value {
    match schema {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| match (name.as_str(), value.as_str().and_then(|to| renamed.get(to))) {
                    ("$ref", Some(to)) => (name, json!(to)),
                    _ => (name, retarget(value, renamed)),
                })
                .collect(),
        ),
        Value::Array(all) => all.into_iter().map(|v| retarget(v, renamed)).collect(),
        other => other,
    }
}
