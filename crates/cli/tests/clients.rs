//! Clients that other people's generators make of the OpenAPI document, and a tester that tries the document on the server.
//! `cargo xtask test` installs them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/installed.rs"]
mod installed;

use std::path::Path;

use common::{Demo, http};
use installed::{installed, run};

/// The demo, with its documents as files.
fn demo() -> Demo {
    let demo = Demo::new();
    for (path, name) in [("/api/openapi.json", "openapi.json"), ("/openapi.json", "delivery.json")] {
        let (status, _, document) = http(&demo.url, "GET", path, "", "");
        assert_eq!(status, 200);
        demo.rig.write(name, &document);
    }
    demo
}

const PYTHON: &str = r#"
import sys
from ashlar_client import AuthenticatedClient
from ashlar_client.api.changesets import create_changeset
from ashlar_client.api.drafts import get_draft, put_draft
from ashlar_client.models import ChangesetInput, DraftInput, Problem

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
draft = get_draft.sync("pricing-plan", "port", client=client, locale="en")
assert draft.id == "port" and draft.version >= 1, draft
fields = draft.fields.to_dict()
fields["name"] = "From Python"
body = DraftInput.from_dict({"fields": fields, "version": draft.version})
written = put_draft.sync("pricing-plan", "port", client=client, locale="en", body=body)
assert written.version == draft.version + 1, written
stale = put_draft.sync("pricing-plan", "port", client=client, locale="en", body=body)
assert isinstance(stale, Problem) and stale.status == 409, stale
made = create_changeset.sync(client=client, body=ChangesetInput(name="from-python"))
assert made.changeset == "from-python", made
print("called")
"#;

#[test]
fn a_python_client_compiles_and_calls() {
    let Some(tools) = installed("generators of clients") else { return };
    let demo = demo();
    let bin = tools.join("python/bin");
    // What it makes is not formatted: nobody reads it.
    // The generator does not know NDJSON by itself.
    let overrides = "content_type_overrides:\n  application/x-ndjson: application/octet-stream\n";
    demo.rig.write("generate.yml", &format!("post_hooks: []\n{overrides}"));
    // Contracts may say what the generator has no types for; the API itself says nothing like that.
    for (document, out, strict) in
        [("delivery.json", "delivery", None), ("openapi.json", "ashlar_client", Some("--fail-on-warning"))]
    {
        let mut args = vec![
            "generate",
            "--path",
            document,
            "--output-path",
            out,
            "--meta",
            "none",
            "--config",
            "generate.yml",
        ];
        args.extend(strict);
        run(demo.rig.path(), &bin.join("openapi-python-client"), &args);
        run(demo.rig.path(), &bin.join("python"), &["-m", "compileall", "-q", out]);
    }
    demo.rig.write("call.py", PYTHON);
    let said = run(demo.rig.path(), &bin.join("python"), &["call.py", &demo.url, &demo.admin]);
    assert!(said.contains("called"), "{said}");
}

const TYPESCRIPT: &str = r#"
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [url, key] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${key}` } });
const params = { path: { type: "pricing-plan", id: "port" }, query: { locale: "en" } };
const read = await client.GET("/api/v1/entries/{type}/{id}", { params });
if (read.data === undefined) throw new Error(JSON.stringify(read.error));
const version: number = read.data.version;
const body = { fields: { ...read.data.fields, name: "From TypeScript" }, version };
const written = await client.PUT("/api/v1/entries/{type}/{id}", { params, body });
if (written.data?.version !== version + 1) throw new Error(JSON.stringify(written));
const stale = await client.PUT("/api/v1/entries/{type}/{id}", { params, body });
if (stale.error?.status !== 409) throw new Error(JSON.stringify(stale));
console.log("called");
"#;

#[test]
fn a_typescript_client_compiles_and_calls() {
    let Some(tools) = installed("generators of clients") else { return };
    let demo = demo();
    let dir = demo.rig.path();
    let node = |program: &str, args: &[&str]| run(dir, &tools.join("node_modules/.bin").join(program), args);
    std::os::unix::fs::symlink(tools.join("node_modules"), dir.join("node_modules")).unwrap();
    demo.rig.write("package.json", "{\"type\":\"module\",\"private\":true}");
    demo.rig.write("call.ts", TYPESCRIPT);
    node("openapi-typescript", &["delivery.json", "--output", "delivery.ts", "--alphabetize"]);
    node("openapi-typescript", &["openapi.json", "--output", "schema.ts", "--alphabetize"]);
    let strict = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--skipLibCheck"];
    let modules = ["--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"];
    node("tsc", &[&["call.ts", "delivery.ts"][..], &strict, &modules].concat());
    let said = run(dir, Path::new("node"), &["call.js", &demo.url, &demo.admin]);
    assert!(said.contains("called"), "{said}");
}

/// What a tester that makes requests of the document finds: no fault of the server, and no answer that is not described.
#[test]
fn a_tester_finds_what_is_described() {
    let Some(tools) = installed("generators of clients") else { return };
    let demo = demo();
    let key = format!("Authorization: Bearer {}", demo.admin);
    let document = format!("{}/api/openapi.json", demo.url);
    let args = [
        "run",
        &document,
        "--header",
        &key,
        "--phases",
        "examples,fuzzing",
        "--max-examples",
        "3",
        "--seed",
        "1",
        "--workers",
        "2",
        "--request-timeout",
        "10",
        "--suppress-health-check",
        "all",
        "--generation-database",
        "none",
        "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance",
        // A stream does not end.
        "--exclude-operation-id",
        "followChanges",
    ];
    run(demo.rig.path(), &tools.join("python/bin/st"), &args);
}
