//! JSON Schema's own test suite for draft 2020-12 (MIT licence, Copyright Julian Berman), as far as no network is needed.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::PathBuf, process::Command};

use ashlar_contracts::ContractSet;
use ashlar_model::Files;
use serde_json::Value;

/// The package that carries the suite in its sources.
const PACKAGE: &str = "jsonschema==4.23.0";

/// The folder of the mandatory cases, kept beside the build; `None` when it cannot be had and need not.
fn suite() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("json-schema-suite");
    let tests = dir.join("jsonschema-4.23.0/json/tests/draft2020-12");
    if !tests.is_dir() {
        std::fs::create_dir_all(&dir).unwrap();
        let args = ["download", "--quiet", "--no-deps", "--no-binary", "jsonschema", "-d", ".", PACKAGE];
        let _ = Command::new("pip").args(args).current_dir(&dir).output();
        let _ = Command::new("tar").args(["xzf", "jsonschema-4.23.0.tar.gz"]).current_dir(&dir).output();
    }
    if tests.is_dir() {
        return Some(tests);
    }
    assert!(
        std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
        "JSON Schema's test suite is absent, and everything is required"
    );
    println!("not run: JSON Schema's test suite cannot be installed");
    None
}

/// Cases whose schemas name what only a network has, by the group's description.
fn needs_network(schema: &Value) -> bool {
    let text = schema.to_string();
    text.contains("localhost:1234")
        || text.contains("json-schema.org/draft/2020-12/schema\"}")
        || text.contains("metaschema")
}

#[test]
fn the_official_suite_agrees() {
    let Some(dir) = suite() else { return };
    let (mut agree, mut refused, mut differ) = (0, Vec::new(), Vec::new());
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().flatten().map(|f| f.path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let groups: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for group in groups.as_array().unwrap() {
            let what = format!("{name}: {}", group["description"].as_str().unwrap());
            let cases = group["tests"].as_array().unwrap();
            let mut project = Files::new();
            project.insert("contracts/case.v1.json", group["schema"].to_string().into_bytes()).unwrap();
            let (contracts, findings) = ContractSet::load(&project);
            if !findings.is_empty() {
                refused.push((
                    what,
                    cases.len(),
                    needs_network(&group["schema"]),
                    findings[0].message.clone(),
                ));
                continue;
            }
            let contract = contracts.iter().next().unwrap();
            for case in cases {
                match contract.is_valid(&case["data"]) == (case["valid"] == true) {
                    true => agree += 1,
                    false => differ.push(format!("{what}: {}", case["description"].as_str().unwrap())),
                }
            }
        }
    }
    let total = |network: bool| refused.iter().filter(|r| r.2 == network).map(|r| r.1).sum::<usize>();
    println!(
        "{agree} agree, {} differ, {} refused, {} of them need a network",
        differ.len(),
        total(true) + total(false),
        total(true)
    );
    refused.iter().for_each(|r| println!("refused ({} cases, network: {}): {}: {}", r.1, r.2, r.0, r.3));
    differ.iter().for_each(|d| println!("differs: {d}"));
    // Formats are asserted here; the suite takes them for annotations.
    assert!(differ.iter().all(|d| d.starts_with("format: ")), "{differ:#?}");
    assert!(refused.iter().all(|r| r.2), "{refused:#?}");
    assert!(agree > 1_100, "{agree}");
}
