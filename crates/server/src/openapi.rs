//! The description of the HTTP surface, OpenAPI 3.1, made from one table.

use serde_json::{Map, Value, json};

/// Method, path, scope, what it does, and the members of its body.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const API: &[Row] = &[
    (
        "get",
        "/api/v1/definitions",
        "preview",
        "The working definitions; `files=true` adds their content.",
        &[],
    ),
    (
        "post",
        "/api/v1/definitions",
        "define",
        "Makes files the working definitions.",
        &[("files", "object: path → text or {\"base64\"}")],
    ),
    (
        "get",
        "/api/v1/entries",
        "preview",
        "Drafts in key order; `type`, `pending`, `changeset`, `cursor`, `limit`.",
        &[],
    ),
    (
        "post",
        "/api/v1/entries",
        "write",
        "Writes a batch of up to 5,000 drafts in one transaction.",
        &[("source", "string"), ("entries", "array of {type, id, locale, major?, fields}")],
    ),
    ("get", "/api/v1/entries/{type}/{id}", "preview", "A draft with its fields; `locale`.", &[]),
    (
        "put",
        "/api/v1/entries/{type}/{id}",
        "write",
        "Writes a draft; 409 with both versions when `version` is stale.",
        &[("fields", "object"), ("version", "integer?"), ("major", "integer?")],
    ),
    ("delete", "/api/v1/entries/{type}/{id}", "write", "Marks a draft as deleted; `locale`, `version`.", &[]),
    ("get", "/api/v1/entries/{type}/{id}/history", "preview", "The versions of a draft, newest first.", &[]),
    (
        "post",
        "/api/v1/entries/{type}/{id}/unpublish",
        "write",
        "Takes an entry out of what is served with the next release.",
        &[("unpublished", "boolean?")],
    ),
    ("get", "/api/v1/changesets", "preview", "Changesets, newest first.", &[]),
    (
        "post",
        "/api/v1/changesets",
        "write",
        "Makes a changeset.",
        &[("name", "string"), ("title", "string?")],
    ),
    ("get", "/api/v1/changesets/{name}", "preview", "A changeset with its drafts.", &[]),
    (
        "post",
        "/api/v1/changesets/{name}/drafts",
        "write",
        "Puts drafts into a changeset.",
        &[("drafts", "array of {type, id, locale}")],
    ),
    (
        "delete",
        "/api/v1/changesets/{name}/drafts",
        "write",
        "Takes drafts out of a changeset.",
        &[("drafts", "array of {type, id, locale}")],
    ),
    (
        "post",
        "/api/v1/changesets/{name}/schedule",
        "release",
        "Says when a changeset is published and taken down.",
        &[("publish_at", "string"), ("unpublish_at", "string?"), ("zone", "string?")],
    ),
    ("delete", "/api/v1/changesets/{name}/schedule", "release", "Takes a changeset off the schedule.", &[]),
    ("get", "/api/v1/schedules", "preview", "Planned and failed changesets; overdue ones say so.", &[]),
    ("post", "/api/v1/schedules/run", "release", "Runs every schedule that is due.", &[]),
    (
        "post",
        "/api/v1/previews",
        "preview",
        "Makes a link that shows the pages of a draft, changeset or candidate until it ends.",
        &[("at", "string"), ("hours", "integer?")],
    ),
    ("get", "/api/v1/candidates", "preview", "Candidates, newest first.", &[]),
    (
        "post",
        "/api/v1/candidates",
        "write",
        "Freezes drafts and definitions, and runs the gates.",
        &[("changeset", "string?"), ("note", "string?")],
    ),
    ("get", "/api/v1/candidates/{candidate}", "preview", "A candidate with its gates.", &[]),
    ("delete", "/api/v1/candidates/{candidate}", "write", "Discards a candidate.", &[]),
    ("post", "/api/v1/candidates/{candidate}/gates", "write", "Runs the gates again.", &[]),
    (
        "post",
        "/api/v1/candidates/{candidate}/approve",
        "approve:RIGHT",
        "Approves exactly these changes.",
        &[("right", "string")],
    ),
    (
        "post",
        "/api/v1/candidates/{candidate}/waive",
        "waive",
        "Lets a failed gate through, with a reason.",
        &[("gate", "string"), ("reason", "string")],
    ),
    (
        "post",
        "/api/v1/candidates/{candidate}/promote",
        "release",
        "Makes a release and points a channel at it; 422 with findings when a gate stands against it.",
        &[("channel", "string?"), ("note", "string?")],
    ),
    ("get", "/api/v1/releases", "preview", "Releases, newest first.", &[]),
    (
        "post",
        "/api/v1/releases/import",
        "release",
        "Makes a candidate of an exported release; the body is the file.",
        &[],
    ),
    ("get", "/api/v1/releases/{release}", "preview", "A release.", &[]),
    (
        "post",
        "/api/v1/releases/{release}/rollback",
        "release",
        "Points a channel at an earlier release.",
        &[("channel", "string?"), ("note", "string?")],
    ),
    (
        "get",
        "/api/v1/releases/{release}/diff/{other}",
        "preview",
        "How two releases differ: entries, fields, definitions.",
        &[],
    ),
    ("post", "/api/v1/releases/{release}/verify", "preview", "Checks every digest of a release.", &[]),
    ("get", "/api/v1/releases/{release}/export", "preview", "A release as one verifiable file.", &[]),
    ("get", "/api/v1/channels", "preview", "What every channel serves.", &[]),
    (
        "get",
        "/api/v1/cache",
        "preview",
        "Hit ratio, over-purge, purge latency and stale serves, of this node since it started.",
        &[],
    ),
    ("get", "/api/v1/webhooks", "admin", "Webhooks, oldest first, without their secrets.", &[]),
    (
        "post",
        "/api/v1/webhooks",
        "admin",
        "Makes a webhook; its secret is shown once.",
        &[("url", "string"), ("events", "array of kinds?"), ("types", "array?"), ("channels", "array?")],
    ),
    (
        "get",
        "/api/v1/webhooks/{id}",
        "admin",
        "A webhook with how many deliveries wait, arrived and failed.",
        &[],
    ),
    (
        "patch",
        "/api/v1/webhooks/{id}",
        "admin",
        "Changes a webhook, or switches it off and on.",
        &[
            ("url", "string?"),
            ("filter", "{events, types, channels}?"),
            ("enabled", "boolean?"),
            ("why", "string?"),
        ],
    ),
    ("delete", "/api/v1/webhooks/{id}", "admin", "Removes a webhook with its deliveries.", &[]),
    (
        "post",
        "/api/v1/webhooks/{id}/rotate",
        "admin",
        "Makes a new secret; the one before signs beside it for 24 hours.",
        &[],
    ),
    ("post", "/api/v1/webhooks/{id}/test", "admin", "Sends an event of the kind webhook.test.", &[]),
    (
        "get",
        "/api/v1/webhooks/{id}/deliveries",
        "admin",
        "The delivery log, newest first; `state` is pending, done or dead; `cursor`.",
        &[],
    ),
    (
        "post",
        "/api/v1/webhooks/{id}/replay",
        "admin",
        "Sends one delivery again, or all that were given up.",
        &[("delivery", "integer?")],
    ),
    ("get", "/api/v1/events", "preview", "Events after `after`, oldest first.", &[]),
    ("get", "/api/v1/audit", "admin", "The audit log, newest first.", &[]),
    ("get", "/api/v1/audit/verify", "preview", "Whether the audit chain holds.", &[]),
    ("get", "/api/v1/keys", "admin", "Keys, without secrets.", &[]),
    (
        "post",
        "/api/v1/keys",
        "admin",
        "Makes a key; its secret is in this answer only.",
        &[
            ("name", "string"),
            ("scopes", "array of strings"),
            ("channel", "string?"),
            ("expires_at", "string?"),
        ],
    ),
    ("delete", "/api/v1/keys/{id}", "admin", "Ends a key at once.", &[]),
    (
        "get",
        "/api/v1/consumers",
        "preview",
        "Consumers and whether what is live keeps what they rely on.",
        &[],
    ),
    (
        "post",
        "/api/v1/consumers/verify",
        "preview",
        "Says whether a client with this contract may be deployed beside what is live.",
        &[("contract", "string"), ("name", "string?")],
    ),
    ("get", "/api/v1/tenants", "admin", "Tenants.", &[]),
    (
        "post",
        "/api/v1/tenants",
        "admin",
        "Makes a tenant, or sets its host names; `admin` names whom a first key is made for.",
        &[("tenant", "string"), ("hosts", "array of strings?"), ("admin", "string?")],
    ),
    ("get", "/api/v1/migrations", "preview", "Content migrations that were run.", &[]),
    (
        "post",
        "/api/v1/migrations",
        "define",
        "Runs a mapping over every draft of its contract; `dry_run` only says what would happen.",
        &[("mapping", "string"), ("dry_run", "boolean?")],
    ),
    ("delete", "/api/v1/migrations/{number}", "define", "Takes a migration back.", &[]),
    ("post", "/api/v1/gc", "admin", "Takes away objects that nothing needs.", &[]),
    (
        "get",
        "/v1/entries/{type}/{id}",
        "",
        "An entry's fields, valid under the contract in `Ashlar-Contract`; `locale`, `at`.",
        &[],
    ),
    (
        "get",
        "/v1/entries/{type}",
        "",
        "Entries: filter by indexed fields, `sort`, `limit`, `cursor`, `locale`.",
        &[],
    ),
    ("get", "/v1/{view}/{slug}", "", "A view; `locale`, `at`.", &[]),
    ("get", "/healthz", "", "Whether the process runs.", &[]),
    ("get", "/readyz", "", "Whether it can answer.", &[]),
    ("get", "/metrics", "", "Figures in the Prometheus text format.", &[]),
];

fn schema(form: &str) -> Value {
    let kind = form.trim_end_matches('?').split([' ', ':']).next().unwrap_or("string");
    match kind {
        "array" => json!({"type": "array", "items": {}, "description": form}),
        "object" => json!({"type": "object", "description": form}),
        kind => json!({"type": kind}),
    }
}

/// The document at `/api/openapi.json`.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (method, path, scope, summary, body) in API {
        let parameters: Vec<Value> = path
            .split('/')
            .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let problem = json!({"$ref": "#/components/responses/Problem"});
        let mut operation = json!({
            "summary": summary, "parameters": parameters,
            "responses": {"200": {"description": "Done"}, "default": problem},
        });
        if !scope.is_empty() {
            operation["security"] = json!([{"key": [scope]}]);
            operation["description"] = json!(format!("Needs the scope `{scope}`."));
        }
        if !body.is_empty() {
            let required: Vec<&str> =
                body.iter().filter(|(_, f)| !f.ends_with('?')).map(|(n, _)| *n).collect();
            let properties: Map<String, Value> =
                body.iter().map(|(n, f)| ((*n).to_owned(), schema(f))).collect();
            operation["requestBody"] = json!({
                "content": {"application/json": {"schema": {"type": "object", "required": required, "properties": properties}}},
            });
        }
        let item = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        item[*method] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Ashlar", "version": env!("CARGO_PKG_VERSION"), "description": "Management and delivery of releases."},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "responses": {"Problem": {
                "description": "RFC 9457: what was wrong, where, how to mend it.",
                "content": {"application/problem+json": {"schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                        "detail": {"type": "string"}, "help": {"type": "string"}, "trace_id": {"type": "string"},
                        "findings": {"type": "array", "items": {"type": "object"}},
                    },
                }}},
            }},
        },
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_has_a_summary_and_problems() {
        let document = super::document();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() > 30);
        for operation in paths.values().flat_map(|p| p.as_object().unwrap().values()) {
            assert!(operation["summary"].as_str().is_some_and(|s| s.ends_with('.')), "{operation}");
            assert!(operation["responses"]["default"].is_object());
        }
    }
}
