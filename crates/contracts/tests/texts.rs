//! Which strings of an entry a search looks through.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_contracts::ContractSet;
use ashlar_model::{ContractName, Files};
use serde_json::{Value, json};

fn contracts(files: &[(&str, Value)]) -> ContractSet {
    let mut all = Files::new();
    for (path, schema) in files {
        all.insert(path, schema.to_string().into_bytes()).unwrap();
    }
    let (contracts, findings) = ContractSet::load(&all);
    assert!(findings.is_empty(), "{findings:?}");
    contracts
}

/// Path, text, heading and anchor of each text, one a line.
fn texts(contracts: &ContractSet, fields: &Value) -> String {
    let contract = contracts.get(&ContractName { name: "page".parse().unwrap(), major: 1 }).unwrap();
    let line = |t: &ashlar_contracts::TextFact<'_>| {
        let form = if t.markdown { "md" } else { "plain" };
        let (heading, anchor) = (t.heading.unwrap_or("-"), t.anchor.unwrap_or("-"));
        format!("{} {form} {} [{heading} #{anchor}] {}", t.path, t.boost, t.text)
    };
    contract.texts(fields.as_object().unwrap()).iter().map(line).collect::<Vec<_>>().join("\n")
}

fn words() -> Value {
    json!({"version": "1.0.0", "kind": "type", "title_field": "title", "owner": "web"})
}

#[test]
fn prose_is_text_and_values_for_programs_are_not() {
    let block = json!({
        "type": "object", "description": "A block.",
        "x-ashlar": {"version": "1.0.0", "kind": "block", "owner": "web"},
        "properties": {
            "intent": {"const": "text"},
            "anchor": {"type": "string"},
            "title": {"type": "string"},
            "body": {"type": "string", "contentMediaType": "text/markdown"},
        },
    });
    let page = json!({
        "type": "object", "description": "A page.", "x-ashlar": words(),
        "properties": {
            "title": {"type": "string"},
            "lead": {"type": "string", "x-ashlar": {"search": 2.5}},
            "slug": {"type": "string", "pattern": "^[a-z]+$"},
            "sku": {"type": "string", "pattern": "^[A-Z]+$", "x-ashlar": {"search": true}},
            "kind": {"enum": ["a", "b"]},
            "on": {"type": "string", "format": "date"},
            "author": {"type": "string", "x-ashlar": {"ref": "person"}},
            "related": {"type": "array", "items": {"type": "string"}, "x-ashlar": {"ref": ["page"]}},
            "note": {"type": "string", "x-ashlar": {"search": "off"}},
            "contact": {"type": "object", "x-ashlar": {"sensitivity": "pii"},
                "properties": {"name": {"type": "string"}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "sections": {"type": "array", "items": {"$ref": "text.v1.json"}},
            "price": {"type": "integer"},
        },
    });
    let contracts = contracts(&[("contracts/page.v1.json", page), ("contracts/text.v1.json", block)]);
    let fields = json!({
        "title": "Tides", "lead": "High water.", "slug": "tides", "sku": "TID", "kind": "a", "on": "2026-01-01",
        "author": "ada", "related": ["home"], "note": "Do not say.", "contact": {"name": "Ada"},
        "tags": ["sea", " "], "price": 7,
        "sections": [
            {"intent": "text", "anchor": "why", "title": "Why", "body": "The moon."},
            {"intent": "text", "title": "Alone"},
        ],
    });
    let expect = "/lead plain 2.5 [- #-] High water.\n\
        /sections/0/body md 1 [Why #why] The moon.\n\
        /sections/1/title plain 1 [- #-] Alone\n\
        /sku plain 1 [- #-] TID\n\
        /tags/0 plain 1 [- #-] sea";
    assert_eq!(texts(&contracts, &fields), expect);
    // A title is a text when there is no other.
    assert_eq!(texts(&contracts, &json!({"title": "Tides"})), "/title plain 1 [- #-] Tides");
}

#[test]
fn boosts_are_bounded() {
    let page = json!({
        "type": "object", "description": "A page.", "x-ashlar": words(),
        "properties": {"title": {"type": "string", "x-ashlar": {"search": 1e9}}},
    });
    let mut all = Files::new();
    all.insert("contracts/page.v1.json", page.to_string().into_bytes()).unwrap();
    let (_, findings) = ContractSet::load(&all);
    assert!(findings.iter().any(|f| f.message.contains("`search` is 1000000000.0")), "{findings:?}");
}

#[test]
fn personal_fields_are_named_at_any_depth() {
    let address = json!({
        "type": "object", "description": "An address.",
        "x-ashlar": {"version": "1.0.0", "kind": "block", "owner": "web", "sensitivity": "pii"},
        "properties": {"street": {"type": "string"}},
    });
    let page = json!({
        "type": "object", "description": "A page.", "x-ashlar": words(),
        "properties": {
            "title": {"type": "string"},
            "wage": {"type": "integer", "x-ashlar": {"sensitivity": ["pricing", "pii"]}},
            "price": {"type": "integer", "x-ashlar": {"sensitivity": "pricing"}},
            "home": {"$ref": "address.v1.json"},
            "crew": {"type": "array", "items": {"type": "object", "properties": {
                "rank": {"type": "string"},
                "calls": {"type": "array", "items": {"type": "string", "x-ashlar": {"sensitivity": "pii"}}},
            }}},
        },
    });
    let contracts = contracts(&[("contracts/page.v1.json", page), ("contracts/address.v1.json", address)]);
    let names: Vec<String> = contracts.personal_fields().into_iter().collect();
    assert_eq!(names, ["calls", "home", "street", "wage"]);
}
