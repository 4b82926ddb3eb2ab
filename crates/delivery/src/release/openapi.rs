//! The description of what clients read: views and entries with the schemas of their bodies, OpenAPI 3.1.

use ashlar_contracts::rewrite_refs;
use serde_json::{Map, Value, json};

use super::definitions::Definitions;
use crate::views::View;

/// The document at `/openapi.json`. `label` names the release.
pub fn openapi(definitions: &Definitions, label: &str) -> Value {
    let mut paths = Map::new();
    let problem = json!({"$ref": "#/components/responses/Problem"});
    let locales: Vec<&str> = definitions.locales.all().iter().map(ashlar_model::Locale::as_str).collect();
    let locale = json!({"name": "locale", "in": "query", "schema": {"type": "string", "enum": locales},
        "description": "The locale; by Accept-Language when absent."});
    let parameter =
        |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let body = |schema: Value| {
        json!({"description": "The fields of the view or entry.",
        "content": {"application/json": {"schema": schema}}})
    };
    let unchanged = json!({"description": "Not modified: the ETag is the hash of the content."});
    for view in definitions.views.iter() {
        let mut operation = json!({
            "operationId": format!("{}.v{}", view.name, view.major),
            "summary": format!("The view {} of {}, version {}.", view.name, view.source, view.version),
            "parameters": [parameter(view.lookup.field().unwrap_or("id")), locale],
            "responses": {
                "200": body(components(&view.response_schema(&definitions.contracts))),
                "304": unchanged, "default": problem,
            },
        });
        life(view, &mut operation);
        paths.insert(view.path(), json!({ "get": operation }));
    }
    for (name, contracts) in definitions.contracts.types() {
        let files: Vec<Value> = contracts.iter().map(|c| json!({"$ref": c.file()})).collect();
        let fields = components(&if files.len() == 1 { files[0].clone() } else { json!({ "anyOf": files }) });
        let list = json!({
            "type": "object", "required": ["items"],
            "properties": {
                "items": {"type": "array", "items": {"type": "object", "required": ["id", "locale", "fields"],
                    "properties": {"id": {"type": "string"}, "locale": {"type": "string"}, "fields": fields}}},
                "next_cursor": {"type": ["string", "null"]},
            },
        });
        let query = |name: &str, text: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}, "description": text});
        paths.insert(
            format!("/v1/entries/{name}/{{id}}"),
            json!({"get": {
                "operationId": format!("entries.{name}.get"), "summary": format!("One {name}."),
                "parameters": [parameter("id"), locale],
                "responses": {"200": body(fields.clone()), "304": unchanged, "default": problem},
            }}),
        );
        paths.insert(
            format!("/v1/entries/{name}"),
            json!({"get": {
                "operationId": format!("entries.{name}.list"),
                "summary": format!("Entries of {name}, a page at a time; indexed fields filter."),
                "parameters": [query("sort", "An indexed field; `-` before it turns the order."), query("cursor", "`next_cursor` of the page before."), locale],
                "responses": {"200": body(list), "304": unchanged, "default": problem},
            }}),
        );
    }
    let schemas: Map<String, Value> = definitions
        .contracts
        .iter()
        .map(|c| (c.name.to_string(), components(&absolute(&c.schema, &c.file()))))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {"title": definitions.config.name, "version": label, "description": "What clients read."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "RFC 9457: what is wrong, where, and how to fix it.",
                "content": {"application/problem+json": {"schema": {
                    "type": "object", "required": ["type", "title", "status", "detail"],
                    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                        "detail": {"type": "string"}, "help": {"type": "string"}, "trace_id": {"type": "string"}},
                }}},
            }},
        },
    })
}

fn life(view: &View, operation: &mut Value) {
    if view.deprecated.is_none() {
        return;
    }
    operation["deprecated"] = json!(true);
    let mut text = String::from("Deprecated.");
    if let Some(sunset) = view.sunset {
        text.push_str(&format!(" It ends on {sunset}."));
    }
    if let Some((name, major)) = &view.replaced_by {
        text.push_str(&format!(" {name}.v{major} takes its place."));
    }
    operation["description"] = json!(text);
}

/// Local references with their file.
fn absolute(schema: &Value, file: &str) -> Value {
    rewrite_refs(schema, &|to| if to.starts_with('#') { format!("{file}{to}") } else { to.to_owned() })
}

/// References to files as references to components.
fn components(schema: &Value) -> Value {
    rewrite_refs(schema, &|to| match to.split_once(".json") {
        Some((name, rest)) => format!("#/components/schemas/{name}{}", rest.trim_start_matches('#')),
        None => to.to_owned(),
    })
}
