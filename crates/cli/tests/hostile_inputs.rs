//! Files of a project that stand for a lot of work: `check` refuses them with their place.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::{Duration, Instant};

use common::Rig;
use serde_json::json;

#[test]
fn a_check_refuses_what_would_take_too_long() {
    let rig = Rig::new();
    let mut defs = serde_json::Map::new();
    for level in 0..22 {
        let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
        defs.insert(format!("d{level}"), json!({ "anyOf": [next, next] }));
    }
    defs.insert("d22".to_owned(), json!({ "type": "string" }));
    let contract = json!({ "type": "object", "x-ashlar": { "version": "1.0.0", "owner": "a", "kind": "type" },
        "$defs": defs, "properties": { "a": { "$ref": "#/$defs/d0" } } });
    rig.write("site/contracts/large.v1.json", &contract.to_string());
    std::fs::create_dir_all(rig.path().join("site/consumers")).unwrap();
    rig.write("site/consumers/app.yaml", &"[".repeat(400_000));
    std::fs::create_dir_all(rig.path().join("site/content/plan")).unwrap();
    rig.write("site/content/plan/small.en.md", &format!("---\nname: {}\n---\n", "{a: ".repeat(100_000)));
    let start = Instant::now();
    let out = rig.run(&["check", "site", "--format", "json"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said} {}", String::from_utf8_lossy(&out.stderr));
    for code in ["contract-expansion", "too-deep"] {
        assert!(said.contains(code), "{code}: {said}");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
