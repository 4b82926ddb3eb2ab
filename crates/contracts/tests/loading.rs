//! Contracts that cannot be used: each mistake with its file, line and place, as a person reads it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_contracts::ContractSet;
use ashlar_model::Files;

fn reported(files: &[(&str, String)]) -> String {
    let mut all = Files::new();
    for (path, text) in files {
        all.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let (_, findings) = ContractSet::load(&all);
    let one = |f: &ashlar_model::Finding| {
        let message: String = f.message.chars().take(230).collect();
        format!("{} [{}] {message}\n  → {}", f.place, f.code, f.help)
    };
    findings.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(text: &str) -> String {
    reported(&[("contracts/page.v1.json", text.to_owned())])
}

#[test]
fn references_that_lead_nowhere_or_outside() {
    let all = [
        one("{\n \"properties\": {\"a\": {\"$ref\": \"#/$defs/none\"}}\n}"),
        one("{\n \"properties\": {\n  \"a\": {\"$ref\": \"https://example.com/a.json\"}}\n}"),
        one(r#"{"$ref": "other.v1.json"}"#),
        one(r##"{"$ref": "#"}"##),
        one(r#"{"$id": "https://example.com/x", "type": "object"}"#),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn files_that_are_no_contracts() {
    let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(200), "}".repeat(200));
    let all = [
        one("{\n  \"type\": \"object\",\n}"),
        one("[]"),
        one(""),
        one(r#"{"type": "nothing"}"#),
        one(r#"{"required": "a"}"#),
        reported(&[("contracts/Page.json", "{}".to_owned())]),
        one(&deep),
        one(&format!("{{\"description\": \"{}\"}}", "x".repeat(2 << 20))),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn patterns_that_cannot_be_used() {
    let explodes = r#"{"properties": {"a": {"type": "string", "pattern": "((((a{100}){100}){100}){100})"}}}"#;
    let all = [
        one(r#"{"properties": {"a": {"type": "string", "pattern": "("}}}"#),
        one(r#"{"properties": {"a": {"type": "string", "pattern": "(?=x)y"}}}"#),
        one(explodes),
        one(r#"{"patternProperties": {"[": {}}}"#),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn the_vocabulary_is_checked() {
    let all = [
        one(r#"{"x-ashlar": {"version": "one", "kind": "thing", "colour": "red"}}"#),
        one(
            "{\"properties\": {\n \"a\": {\"x-ashlar\": {\"sensitivity\": \"secret\", \"localized\": \"yes\"}},\n \"b\": {\"x-ashlar\": {\"ref\": [\"none\"]}}}}",
        ),
        one(r#"{"x-ashlar": {"route": "pricing/{slug}"}, "properties": {}}"#),
        one(r#"{"x-ashlar": {"route": "/{nothing}"}, "properties": {"slug": {}}}"#),
        one(r#"{"x-ashlar": {"title_field": "nothing"}, "properties": {}}"#),
        one(r#"{"properties": {"a": {"x-ashlar": {"presentation": true}}}}"#),
        one(r#"{"x-ashlar": {"version": "2.0.0"}}"#),
    ];
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn contracts_may_refer_to_each_other_in_a_circle() {
    let list = [
        ("contracts/a.v1.json", r#"{"properties": {"b": {"$ref": "b.v1.json"}}}"#.to_owned()),
        ("contracts/b.v1.json", r#"{"properties": {"a": {"$ref": "a.v1.json"}}}"#.to_owned()),
    ];
    assert_eq!(reported(&list), "");
}
