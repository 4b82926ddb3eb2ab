//! `ashlar check` of 500 contracts and 100,000 entries: cold, when nothing changed, when one entry changed, and against a
//! base. `ENTRIES` and `CONTRACTS` in the environment make it smaller.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::{fs, path::Path, time::Instant};

use ashlar_gates::{CheckOptions, check_project};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn generate(dir: &Path, contracts: usize, entries: usize) {
    fs::write(dir.join("ashlar.toml"), "name = 'bench'\n").unwrap();
    fs::create_dir_all(dir.join("contracts")).unwrap();
    let text = "Stone after stone, each with its place and its number, so that the wall can be taken down and built again. ".repeat(8);
    for c in 0..contracts {
        let next = (c + 1) % contracts;
        let contract = format!(
            r#"{{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
  "x-ashlar": {{"version": "1.0.0", "owner": "web", "kind": "type", "status": "active", "route": "/t{c}/{{slug}}", "title_field": "title"}},
  "properties": {{
    "slug": {{"type": "string", "pattern": "^[a-z0-9-]+$"}},
    "title": {{"type": "string", "minLength": 1, "maxLength": 120}},
    "price": {{"type": "number", "minimum": 0, "x-ashlar": {{"sensitivity": "pricing"}}}},
    "kind": {{"enum": ["a", "b", "c"]}},
    "related": {{"type": "array", "items": {{"type": "string", "x-ashlar": {{"ref": ["type-{next}"]}}}}, "maxItems": 10}},
    "seo": {{"type": "object", "properties": {{"description": {{"type": "string", "maxLength": 300}}, "noindex": {{"type": "boolean"}}}}, "additionalProperties": false}},
    "body": {{"type": "string", "contentMediaType": "text/markdown"}}
  }},
  "required": ["slug", "title"], "additionalProperties": false}}"#
        );
        fs::write(dir.join(format!("contracts/type-{c}.v1.json")), contract).unwrap();
        let folder = dir.join(format!("content/type-{c}"));
        fs::create_dir_all(&folder).unwrap();
        for e in 0..entries / contracts {
            let entry = format!(
                r##"{{"slug": "e{e}", "title": "Entry {e} of {c}", "price": {e}.5, "kind": "b", "related": ["e0", "e{e}"],
 "seo": {{"description": "About {e}", "noindex": false}},
 "body": "# Heading {e}\n\n{text}\n\nSee [the next](/t{next}/e{e}) and [the first](/t{c}/e0).\n"}}"##
            );
            fs::write(folder.join(format!("e{e}.en.json")), entry).unwrap();
        }
    }
}

fn main() {
    let (contracts, entries) = (number("CONTRACTS", 500), number("ENTRIES", 100_000));
    let dir = tempfile::tempdir().unwrap();
    generate(dir.path(), contracts, entries);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let run = |name: &str, options: &CheckOptions| {
        let started = Instant::now();
        let report = check_project(dir.path(), options).unwrap();
        let failed: Vec<_> =
            report.gates.iter().filter(|g| !g.status.lets_through()).map(|g| &g.gate).collect();
        println!(
            "{name:<24} {:>6.0} ms  {} entries, {} reused, failed: {failed:?}",
            started.elapsed().as_secs_f64() * 1e3,
            report.metrics["entries"],
            report.metrics["reused"],
        );
    };
    let cached = CheckOptions::default();
    run("without a cache", &CheckOptions { cache: false, ..cached.clone() });
    run("cold", &cached);
    run("nothing changed", &cached);
    fs::write(dir.path().join("content/type-0/e1.en.json"), r#"{"slug": "e1", "title": "Changed"}"#).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    run("one entry changed", &cached);
    run("nothing changed", &cached);
    let base = Some(dir.path().to_owned());
    run("against itself", &CheckOptions { against: base, ..cached });
}
