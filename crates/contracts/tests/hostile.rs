//! Small contracts that stand for a lot of work: each is refused, or answered within a bound.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use ashlar_contracts::{Answer, ContractSet, compare};
use ashlar_model::{Files, Finding};
use serde_json::{Value, json};

/// What none of these may take, also on a busy machine. The work before there were bounds took minutes, gigabytes or the
/// stack.
const LONG: Duration = Duration::from_secs(120);

fn load(files: &[(&str, String)]) -> (ContractSet, Vec<Finding>) {
    let mut all = Files::new();
    for (path, text) in files {
        all.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    ContractSet::load(&all)
}

fn one(schema: &Value) -> (ContractSet, Vec<Finding>) {
    load(&[("contracts/a.v1.json", schema.to_string())])
}

/// Schemas that each name the next one as `made` says.
fn levels(count: usize, made: impl Fn(Value) -> Value) -> Value {
    let mut defs = serde_json::Map::new();
    for at in 0..count {
        defs.insert(format!("d{at}"), made(json!({ "$ref": format!("#/$defs/d{}", at + 1) })));
    }
    defs.insert(format!("d{count}"), json!({ "type": "string" }));
    json!({ "$ref": "#/$defs/d0", "$defs": defs })
}

/// Uses a contract in every way; nothing may take long.
fn used(schema: &Value, value: &Value) -> (Vec<Finding>, Vec<String>) {
    let start = Instant::now();
    let (set, findings) = one(schema);
    let (other, _) = one(&json!({ "type": "integer" }));
    let contract = set.iter().next().unwrap();
    let reported = contract.validate(value).into_iter().map(|v| v.message).collect();
    let _ = contract.is_valid(value);
    compare(contract, other.iter().next().unwrap(), true);
    compare(contract, contract, false);
    ashlar_contracts::codegen::generate(&set, &[], &[], &[], ashlar_contracts::codegen::Language::TypeScript);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    (findings, reported)
}

#[test]
fn references_that_double_are_counted_before_they_are_followed() {
    let doubling: [fn(Value) -> Value; 6] = [
        |r| json!({ "anyOf": [r, r] }),
        |r| json!({ "allOf": [r, r] }),
        |r| json!({ "oneOf": [r, r] }),
        |r| json!({ "if": r, "then": r, "else": r }),
        |r| json!({ "not": { "allOf": [r, r] } }),
        |r| json!({ "dependentSchemas": { "a": r, "b": r } }),
    ];
    for made in doubling {
        let (findings, _) = used(&levels(30, made), &json!("a"));
        assert_eq!(findings[0].code, "contract-expansion", "{findings:?}");
        assert!(findings[0].place.starts_with("contracts/a.v1.json:1 /$defs/d"), "{findings:?}");
    }
    for made in [
        (|r| json!({ "properties": { "a": r, "b": r } })) as fn(Value) -> Value,
        |r| json!({ "prefixItems": [r, r] }),
        |r| json!({ "items": { "allOf": [{ "items": r }, { "items": r }] } }),
    ] {
        let deep = (0..60).fold(json!(1), |v, _| json!([v]));
        used(&levels(30, made), &deep);
    }
}

#[test]
fn schemas_that_lead_back_to_themselves_do_not_end_the_process() {
    for schema in [
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "not": { "$ref": "#" } }),
        json!({ "if": { "$ref": "#" }, "then": true }),
        json!({ "$defs": { "a": { "anyOf": [{ "$ref": "#/$defs/b" }] }, "b": { "oneOf": [{ "$ref": "#/$defs/a" }] } }, "$ref": "#/$defs/a" }),
    ] {
        let (findings, _) = used(&schema, &json!({ "a": 1 }));
        assert!(findings.iter().any(|f| f.message.contains("itself")), "{findings:?}");
    }
    // A long way without a circle: as deep for the stack.
    let chain = levels(15_000, |r| json!({ "properties": { "a": r } }));
    used(&chain, &json!({ "a": { "a": 1 } }));
    let chain = levels(15_000, |r| r);
    assert_eq!(used(&chain, &json!(1)).0[0].code, "contract-expansion");
}

#[test]
fn a_value_that_branches_at_every_level_is_refused() {
    let schema = json!({
        "$defs": { "a": { "properties": { "a": { "$ref": "#" } } } },
        "anyOf": [{ "$ref": "#/$defs/a" }, { "$ref": "#/$defs/a" }], "required": ["b"],
    });
    let (findings, reported) = used(&schema, &(0..50).fold(json!(1), |v, _| json!({ "a": v })));
    assert!(findings.is_empty(), "{findings:?}");
    assert!(reported[0].contains("more than 5000000 steps"), "{reported:?}");
    // Blocks inside blocks, as sites have them, are checked and explained.
    let block = |n: usize| json!({ "properties": { "kind": { "const": format!("k{n}") }, "inner": { "items": { "$ref": "#/$defs/block" } } }, "required": ["kind"] });
    let schema = json!({
        "$defs": { "block": { "oneOf": (0..12).map(block).collect::<Vec<_>>() } },
        "properties": { "sections": { "items": { "$ref": "#/$defs/block" } } },
    });
    let mut value = json!({ "kind": "k3" });
    for _ in 0..3 {
        value = json!({ "kind": "k3", "inner": [value, { "kind": "k1" }] });
    }
    let (findings, reported) = used(&schema, &json!({ "sections": [value, { "kind": "none" }] }));
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(reported.len(), 1);
    assert!(!reported[0].contains("too many"), "{reported:?}");
}

#[test]
fn alternatives_do_not_copy_a_large_value_for_each_of_them() {
    let schema = json!({ "anyOf": (0..4_000).map(|n| json!({ "type": "array", "maxItems": 1, "title": n.to_string() })).collect::<Vec<_>>() });
    let value = Value::Array((0..3_000).map(|n| json!("x".repeat(200 + n % 7))).collect());
    let (set, findings) = one(&schema);
    let reported = set.iter().next().unwrap().validate(&value);
    assert!(findings.is_empty(), "{findings:?}");
    assert!(reported[0].message.contains("too many alternatives to say where"), "{reported:?}");
}

#[test]
fn comparing_ends_with_unknown_and_always_with_the_same_answer() {
    let wide = |limit: usize| {
        let branch = |n: usize| json!({ "properties": (0..8).map(|m| (format!("p{}", (n * m) % 97), json!({ "anyOf": [{ "minimum": n }, { "maxLength": limit }, { "$ref": "#/$defs/x" }] }))).collect::<serde_json::Map<_, _>>() });
        json!({ "$defs": { "x": { "items": { "$ref": "#" } } }, "oneOf": (0..60).map(branch).collect::<Vec<_>>() })
    };
    let (old, _) = one(&wide(3));
    let (new, _) = one(&wide(4));
    let start = Instant::now();
    let reported = || compare(old.iter().next().unwrap(), new.iter().next().unwrap(), true);
    let (first, second) = (reported(), reported());
    assert_eq!(first, second);
    assert_ne!(first.backward, Answer::Yes);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn patterns_and_names_of_types_stay_cheap() {
    let many: Vec<Value> = (0..900).map(|n| json!({ "pattern": format!("\\w{{900}}{n}") })).collect();
    let start = Instant::now();
    let (_, findings) = one(&json!({ "prefixItems": many }));
    assert!(findings.iter().any(|f| f.message.contains("too large to compile")), "{findings:?}");
    let same: serde_json::Map<String, Value> =
        (0..6_000).map(|n| ("-".repeat(1 + n), json!({ "type": "object" }))).take(900).collect();
    let refs: Vec<Value> = same.keys().map(|k| json!({ "$ref": format!("#/$defs/{k}") })).collect();
    used(&json!({ "$defs": same, "properties": { "a": { "prefixItems": refs } } }), &json!({}));
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn many_contracts_that_all_refer_to_the_next_are_refused() {
    let names: Vec<String> = (0..3_000).map(|n| format!("contracts/c{n}.v1.json")).collect();
    let files: Vec<(&str, String)> = names
        .iter()
        .enumerate()
        .map(|(n, path)| {
            (
                path.as_str(),
                json!({ "properties": { "a": { "$ref": format!("c{}.v1.json", (n + 1) % 3_000) } } })
                    .to_string(),
            )
        })
        .collect();
    let start = Instant::now();
    let (_, findings) = load(&files);
    assert!(findings.iter().any(|f| f.message.contains("too often")), "{:?}", findings.first());
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn many_addresses_and_dynamic_names_are_refused() {
    let load = |schema: serde_json::Value| {
        let mut files = Files::new();
        files.insert("contracts/a.v1.json", schema.to_string().into_bytes()).unwrap();
        let (_, findings) = ContractSet::load(&files);
        findings.into_iter().map(|f| f.message).collect::<Vec<_>>()
    };
    let many = |count: usize, one: &dyn Fn(usize) -> serde_json::Value| {
        let all: serde_json::Map<_, _> = (0..count).map(|n| (format!("d{n}"), one(n))).collect();
        serde_json::json!({ "$defs": all })
    };
    let ids =
        load(many(600, &|n| serde_json::json!({ "$id": format!("x{n}"), "$ref": format!("x{}", n / 2) })));
    assert!(ids[0].contains("schemas with an `$id`"), "{:?}", &ids[..1]);
    let names = load(many(
        150,
        &|n| serde_json::json!({ "$dynamicAnchor": format!("n{n}"), "items": { "$dynamicRef": format!("#n{n}") } }),
    ));
    assert!(names[0].contains("names of dynamic references"), "{:?}", &names[..1]);
    // Each of these means something else in each scope that leads to it.
    let scopes = load(many(190, &|n| {
        serde_json::json!({ "$id": format!("x{n}"), "$dynamicAnchor": "t", "items": { "$dynamicRef": "#t" },
            "prefixItems": [{ "$ref": format!("x{}", (n * 7 + 1) % 190) }, { "$ref": format!("x{}", (n * 5 + 2) % 190) }] })
    }));
    assert!(scopes.len() == 1 && scopes[0].contains("different schemas"), "{scopes:?}");
}

#[test]
fn dynamic_names_that_many_schemas_have_are_not_paired_with_each_other() {
    // 8 files of 190 schemas that each refer to 16 names and have an anchor for each: 37 million pairs.
    let names = 16;
    let schema = |file: usize, n: usize| {
        let refs: Vec<_> = (0..names)
            .map(|t| serde_json::json!({ "$dynamicAnchor": format!("t{t}"), "items": { "$dynamicRef": format!("#t{t}") } }))
            .collect();
        serde_json::json!({ "$id": format!("f{file}x{n}"), "prefixItems": refs })
    };
    let mut files = Files::new();
    for file in 0..8 {
        let all: serde_json::Map<_, _> = (0..190).map(|n| (format!("d{n}"), schema(file, n))).collect();
        let text = serde_json::json!({ "$defs": all }).to_string();
        files.insert(&format!("contracts/c{file}.v1.json"), text.into_bytes()).unwrap();
    }
    let start = Instant::now();
    let (_, findings) = ContractSet::load(&files);
    assert!(findings.is_empty(), "{:?}", findings.first());
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn references_that_share_a_chain_are_all_judged() {
    let chain = |last: Value| {
        let mut defs = serde_json::Map::new();
        for n in 0..40 {
            defs.insert(format!("d{n:02}"), json!({ "$ref": format!("#/$defs/d{:02}", n + 1) }));
        }
        defs.insert("d40".to_owned(), last);
        let properties = ["a", "b", "c"].map(|name| (name.to_owned(), json!({ "$ref": "#/$defs/d00" })));
        one(&json!({ "$defs": defs, "properties": serde_json::Map::from_iter(properties) })).1
    };
    assert_eq!(chain(json!({ "type": "string" })), []);
    let circle = chain(json!({ "$ref": "#/$defs/d00" }));
    assert_eq!(circle.iter().filter(|f| f.message.contains("leads back to itself")).count(), 44);
}
