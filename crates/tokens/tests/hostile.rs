//! Small token files that stand for a lot of work: each is refused with its reason, within a bound.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::{Duration, Instant};

use ashlar_model::Finding;
use ashlar_tokens::{BuildOptions, Output, Resolved, SourceFile, TokenSet, build};
use serde_json::{Map, Value, json};

/// What none of these may take, also on a busy machine. The work before there were bounds took minutes, gigabytes or the
/// stack.
const LONG: Duration = Duration::from_secs(120);

fn read(value: &Value) -> (Resolved, TokenSet, Vec<Finding>) {
    let start = Instant::now();
    let file = SourceFile { path: "a.tokens.json".to_owned(), text: value.to_string() };
    let read = TokenSet::of_files("", vec![file]).resolve();
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    read
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.code.as_str()).collect()
}

fn object(members: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(members.collect::<Map<_, _>>())
}

#[test]
fn circles_through_composite_values_are_findings_with_their_path() {
    for (set, path) in [
        (json!({ "a": { "$type": "shadow", "$value": ["{a}"] } }), "a → a"),
        (
            json!({ "a": { "$type": "shadow", "$value": ["{b}"] }, "b": { "$type": "shadow", "$value": ["{a}"] } }),
            "a → b → a",
        ),
        (
            json!({ "a": { "$type": "gradient", "$value": ["{b}"] }, "b": { "$type": "gradient", "$value": ["{a}"] } }),
            "a → b → a",
        ),
        (json!({ "a": { "$type": "gradient", "$value": [["{a}"]] } }), "a → a"),
        (json!({ "a": { "$type": "fontFamily", "$value": ["{a}"] } }), "a → a"),
        (
            json!({ "a": { "$type": "fontFamily", "$value": ["{b}"] }, "b": { "$type": "fontFamily", "$value": ["{a}", "serif"] } }),
            "a → b → a",
        ),
        (
            json!({ "a": { "$type": "dimension", "$value": { "value": { "$ref": "#/a/$value/value" }, "unit": "px" } } }),
            "a → a",
        ),
        (json!({ "a": { "$type": "color", "$ref": "#/a/$value/x" } }), "a → a"),
        (json!({ "a": { "$type": "fontFamily", "$value": [{ "$ref": "#/a/$value/0" }] } }), "a → a"),
        (
            json!({ "a": { "$type": "number", "$value": { "$ref": "#/b/$value/x" } }, "b": { "$type": "number", "$value": { "$ref": "#/a/$value/x" } } }),
            "→",
        ),
    ] {
        let (_, _, findings) = read(&set);
        let found = findings.iter().find(|f| f.code == "token-cycle");
        let found = found.unwrap_or_else(|| panic!("{set}: {findings:?}"));
        assert_eq!(codes(&findings).iter().filter(|c| **c == "token-cycle").count(), 1, "{findings:?}");
        assert!(found.message.contains(path), "{set}: {}", found.message);
        assert!(found.place.starts_with("a.tokens.json:1 /"), "{}", found.place);
    }
}

#[test]
fn composite_values_of_composite_values_do_not_multiply_without_bound() {
    let zero = json!({ "value": 0, "unit": "px" });
    let shadow = json!({ "color": "#000", "offsetX": zero, "offsetY": zero, "blur": zero });
    for kind in ["shadow", "gradient"] {
        let last = match kind {
            "shadow" => json!([shadow]),
            _ => json!([{ "color": "#000", "position": 0 }]),
        };
        let levels = 24;
        let mut set: Map<String, Value> = (0..levels)
            .map(|n| {
                (format!("t{n}"), json!({ "$type": kind, "$value": vec![format!("{{t{}}}", n + 1); 3] }))
            })
            .collect();
        set.insert(format!("t{levels}"), json!({ "$type": kind, "$value": last }));
        let (_, _, findings) = read(&Value::Object(set));
        assert!(codes(&findings).contains(&"token-expansion"), "{findings:?}");
    }
}

#[test]
fn chains_and_groups_that_extend_each_other_end() {
    let chain =
        object((0..30_000).map(|n| (format!("g{n}"), json!({ "$extends": format!("{{g{}}}", n + 1) }))));
    let (_, _, findings) = read(&chain);
    assert!(codes(&findings).contains(&"token-extends"), "{findings:?}");
    // Each group has the one before it twice.
    let mut doubling: Map<String, Value> = (1..40)
        .map(|n| {
            let before = json!({ "$extends": format!("{{g{}}}", n - 1) });
            (format!("g{n}"), json!({ "a": before, "b": before }))
        })
        .collect();
    doubling.insert("g0".to_owned(), json!({ "x": { "$type": "number", "$value": 1 } }));
    let (_, _, findings) = read(&Value::Object(doubling));
    assert!(!findings.is_empty());
    // Many groups that extend a small one, in a set of many tokens.
    let tokens = object((0..20_000).map(|n| (format!("t{n}"), json!({ "$type": "number", "$value": n }))));
    let mut many: Map<String, Value> =
        (0..2_000).map(|n| (format!("g{n}"), json!({ "$extends": "{small}" }))).collect();
    many.insert("small".to_owned(), json!({ "x": { "$type": "number", "$value": 1 } }));
    many.insert("large".to_owned(), tokens);
    let (resolved, _, findings) = read(&Value::Object(many));
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(resolved.tokens.len(), 22_001);
    // References in a row, and in an order in which each pass over them would settle one.
    let row = 20_000;
    let at = |n: usize| if n.is_multiple_of(2) { n / 2 } else { row - n / 2 };
    let names: std::collections::BTreeMap<usize, usize> = (0..row).map(|n| (at(n), n)).collect();
    let zigzag =
        object(names.values().map(|n| {
            (format!("t{n:05}"), json!({ "$type": "number", "$value": format!("{{t{:05}}}", n + 1) }))
        }));
    let (_, _, findings) = read(&zigzag);
    assert!(codes(&findings).contains(&"token-alias"), "{findings:?}");
}

#[test]
fn long_names_and_many_references_to_nothing_stay_cheap() {
    let inside = object((0..20_000).map(|n| (format!("t{n}"), json!({ "$type": "number", "$value": 1 }))));
    let (resolved, _, findings) = read(&json!({ "x".repeat(1 << 20): inside }));
    assert!(resolved.tokens.is_empty());
    assert_eq!(codes(&findings), ["token-name"]);
    let nothing =
        object((0..20_000).map(|n| {
            (format!("token-{n}"), json!({ "$type": "number", "$value": format!("{{taken-{n}}}") }))
        }));
    let (_, _, findings) = read(&nothing);
    assert_eq!(findings[0].help, "did you mean `{token-0}`?");
    assert!(findings.iter().any(|f| f.help.contains("correct the reference")));
    let near =
        json!({ "grey": { "$type": "number", "$value": 1 }, "a": { "$type": "number", "$value": "{gray}" } });
    assert_eq!(read(&near).2[0].help, "did you mean `{grey}`?");
}

fn resolver(document: &Value, file: &str) -> (Resolved, TokenSet, Vec<Finding>) {
    let start = Instant::now();
    let source = SourceFile { path: "a.resolver.json".to_owned(), text: document.to_string() };
    let read = TokenSet::of_resolver(source, &|_| Ok(file.to_owned())).resolve();
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    read
}

#[test]
fn contexts_and_sources_that_multiply_are_refused() {
    // Sixteen modifiers of sixteen contexts that all change one token: 2^64 combinations.
    let context = |m: usize, c: usize| {
        (format!("c{c}"), json!([{ format!("m{m}"): { "$type": "number", "$value": c } }]))
    };
    let modifiers = object(
        (0..16).map(|m| (format!("m{m}"), json!({ "contexts": object((0..16).map(|c| context(m, c))) }))),
    );
    let zero = json!({ "value": 1, "unit": "px" });
    let layer = |m: usize| json!({ "color": "#000", "offsetX": { "value": format!("{{m{m}}}"), "unit": "px" }, "offsetY": zero, "blur": zero });
    let all = json!({ "all": { "$type": "shadow", "$value": (0..16).map(layer).collect::<Vec<_>>() } });
    let order: Vec<Value> = std::iter::once(json!({ "$ref": "#/sets/base" }))
        .chain((0..16).map(|m| json!({ "$ref": format!("#/modifiers/m{m}") })))
        .collect();
    let document = json!({ "version": "2025.10", "sets": { "base": { "sources": [all] } }, "modifiers": modifiers, "resolutionOrder": order });
    let (resolved, set, findings) = resolver(&document, "{}");
    assert!(codes(&findings).contains(&"token-contexts"), "{findings:?}");
    let all = Output::ALL.map(|(output, _)| output);
    build(&resolved, &set, &all, &BuildOptions::default());

    let fan: Vec<Value> = vec![json!({ "$ref": "#/sets/s1" }); 30];
    let sets = object((0..8).map(|n| {
        let next: Vec<Value> = vec![json!({ "$ref": format!("#/sets/s{}", n + 1) }); 30];
        (format!("s{n}"), json!({ "sources": next }))
    }));
    let document =
        json!({ "version": "2025.10", "sets": sets, "resolutionOrder": [{ "$ref": "#/sets/s0" }], "x": fan });
    let (_, _, findings) = resolver(&document, "{}");
    assert!(findings.iter().any(|f| f.message.contains("more than 4096 sources")), "{findings:?}");
}

#[test]
fn outputs_that_would_be_too_large_are_refused_with_their_size() {
    let text = "x".repeat(40_000);
    let names: Vec<String> = (0..2_000).map(|n| format!("f{n}")).collect();
    let mut set: Map<String, Value> =
        names.iter().map(|n| (n.clone(), json!({ "$type": "fontFamily", "$value": "{base}" }))).collect();
    set.insert("base".to_owned(), json!({ "$type": "fontFamily", "$value": text }));
    let (resolved, tokens, findings) = read(&Value::Object(set));
    assert!(findings.is_empty(), "{findings:?}");
    let all = Output::ALL.map(|(output, _)| output);
    let (files, findings) = build(&resolved, &tokens, &all, &BuildOptions::default());
    assert!(files.is_empty());
    assert_eq!(codes(&findings), ["token-output-size"]);
    assert!(findings[0].message.contains("about 56"), "{}", findings[0].message);
}

#[test]
fn values_that_multiply_over_a_set_are_refused_with_their_number() {
    let px = |n: usize| json!({ "value": n, "unit": "px" });
    let mut base: Map<String, Value> =
        (0..5).map(|m| (format!("k{m}"), json!({ "$type": "dimension", "$value": px(m) }))).collect();
    for n in 0..5_000 {
        let shadow = json!({ "color": "#000", "offsetX": "{k0}", "offsetY": "{k1}", "blur": "{k2}", "spread": "{k3}" });
        let two =
            json!({ "color": "#000", "offsetX": "{k4}", "offsetY": px(1), "blur": px(n), "spread": px(0) });
        base.insert(format!("s{n}"), json!({ "$type": "shadow", "$value": [shadow, two] }));
    }
    let context = |m: usize, c: usize| {
        (format!("c{c}"), json!([{ format!("k{m}"): { "$type": "dimension", "$value": px(c) } }]))
    };
    let modifiers = object(
        (0..5).map(|m| (format!("m{m}"), json!({ "contexts": object((0..4).map(|c| context(m, c))) }))),
    );
    let order: Vec<Value> = (0..5).map(|m| json!({ "$ref": format!("#/modifiers/m{m}") })).collect();
    let mut all = vec![json!({ "$ref": "#/sets/base" })];
    all.extend(order);
    let document = json!({
        "version": "2025.10", "sets": { "base": { "sources": [base] } }, "modifiers": modifiers, "resolutionOrder": all,
    });
    let (resolved, _, findings) = resolver(&document, "");
    assert!(resolved.tokens.is_empty());
    assert_eq!(codes(&findings), ["token-contexts"]);
    assert!(findings[0].message.contains("5005 tokens have 5120020 values"), "{}", findings[0].message);
}
