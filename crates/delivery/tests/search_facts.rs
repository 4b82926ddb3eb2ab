//! Prices and dates become statements that can be cited.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_contracts::ContractSet;
use ashlar_delivery::search::{FACTS_MAX, facts};
use ashlar_model::Files;
use serde_json::{Value, json};

fn lines(properties: Value, fields: &Value) -> Vec<String> {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pricing plan", "type": "object",
        "x-ashlar": {"version": "1.0.0", "kind": "type", "owner": "web"},
        "properties": properties,
        "$defs": {"day": {"type": "string", "format": "date", "description": "A day."}}
    });
    let mut files = Files::new();
    files.insert("contracts/plan.v1.json", schema.to_string().into_bytes()).unwrap();
    let (contracts, _) = ContractSet::load(&files);
    let contract = contracts.iter().next().unwrap();
    let found = facts(contract, fields.as_object().unwrap());
    found.into_iter().map(|fact| format!("{} {} {}", fact.field, fact.bytes, fact.statement)).collect()
}

#[test]
fn numbers_and_dates_say_what_they_mean() {
    let properties = json!({
        "price_minor": {
            "type": "integer", "description": "Price per month, before tax.",
            "x-ashlar": {"semantics": "Price per month.", "unit": "minor currency units per month"}
        },
        "currency": {"type": "string", "enum": ["EUR"], "description": "The currency."},
        "berths": {"type": "integer", "title": "Berths", "x-ashlar": {"unit": "berths"}},
        "since": {"$ref": "#/$defs/day"},
        "steps": {"type": "array", "items": {
            "type": "object", "properties": {"minutes": {"type": "number", "description": "How long it takes."}}
        }},
        "name": {"type": "string", "description": "The name."}
    });
    let fields = json!({
        "price_minor": 14900, "currency": "EUR", "berths": 250, "since": "2024-05-01",
        "steps": [{"minutes": 2.5}], "name": "Basin"
    });
    let mut found = lines(properties, &fields);
    found.sort();
    assert_eq!(
        found,
        [
            "/berths 3 Berths: 250 berths",
            "/price_minor 5 Price per month, before tax: 149.00 EUR",
            "/since 10 A day: 2024-05-01",
            "/steps/0/minutes 3 How long it takes: 2.5",
        ]
    );
}

#[test]
fn what_must_not_be_found_is_no_fact() {
    let properties = json!({
        "salary": {"type": "integer", "description": "Salary.", "x-ashlar": {"sensitivity": "pii"}},
        "order": {"type": "integer", "description": "Order.", "x-ashlar": {"search": "off"}},
        "nothing": {"type": "integer"}
    });
    assert!(lines(properties, &json!({"salary": 1, "order": 2, "nothing": 3, "unknown": 4})).is_empty());
}

#[test]
fn facts_are_bounded() {
    let properties = json!({"rows": {"type": "array", "items": {"type": "array", "items": {
        "type": "integer", "description": "A number."
    }}}});
    let rows = vec![vec![1; 100]; 100];
    assert_eq!(lines(properties, &json!({"rows": rows})).len(), FACTS_MAX);
}
