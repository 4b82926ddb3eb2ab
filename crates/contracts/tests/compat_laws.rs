//! The laws of compatibility, with the real validator as the judge: a yes is never wrong.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use ashlar_contracts::{Answer, Verdict, compare_documents};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAME: &str = "thing.v1.json";

fn instance() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        (-4_i64..8).prop_map(|n| json!(n)),
        (-8_i64..16).prop_map(|n| json!(n as f64 / 2.0)),
        prop::sample::select(vec![json!(0.1), json!(0.3), json!(0.25), json!(0.01), json!(1.1)]),
        (9_007_199_254_740_990_i64..9_007_199_254_740_996).prop_map(|n| json!(n)),
        prop::sample::select(vec!["", "a", "b", "ab", "abc", "2026-01-01", "x1", "é", "éa", "1", "٣"])
            .prop_map(|s| json!(s)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c", "xa", "zz"]), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![(-3_i64..6).prop_map(|n| json!(n)), (-3_i64..6).prop_map(|n| json!(n as f64 + 0.5))]
}

fn names() -> impl Strategy<Value = Value> {
    prop::collection::btree_set(prop::sample::select(vec!["a", "b", "c"]), 0..3).prop_map(|s| json!(s))
}

fn pair(word: &'static str, value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<(String, Value)> {
    value.prop_map(move |v| (word.to_owned(), v)).boxed()
}

fn object(map: BTreeMap<&'static str, Value>) -> Value {
    Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

fn small(max: i64) -> impl Strategy<Value = Value> {
    (0..max).prop_map(|n| json!(n))
}

/// Schemas over all keywords, with references to a recursive definition.
fn schema() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(vec![
        json!("null"),
        json!("boolean"),
        json!("integer"),
        json!("number"),
        json!("string"),
        json!("array"),
        json!("object"),
        json!(["string", "null"]),
        json!(["integer", "string"]),
        json!(["object", "array"]),
        json!(["number", "null", "array"]),
    ]);
    let words = prop_oneof![
        4 => pair("type", types.clone()),
        1 => pair("const", instance()),
        2 => pair("enum", prop::collection::vec(instance(), 1..4).prop_map(Value::Array)),
        1 => pair("minimum", number()),
        1 => pair("maximum", number()),
        1 => pair("exclusiveMinimum", number()),
        1 => pair("exclusiveMaximum", number()),
        1 => pair("multipleOf", prop::sample::select(vec![json!(1), json!(2), json!(0.5), json!(3), json!(0.1), json!(0.01), json!(0.25)])),
        1 => pair("minLength", small(4)),
        1 => pair("maxLength", small(4)),
        1 => pair("pattern", prop::sample::select(vec![json!("^a"), json!("b$"), json!("^[a-c]*$"), json!("^\\w+$"), json!("é"), json!("^\\d"), json!("^\\p{L}")])),
        1 => pair("format", prop::sample::select(vec![json!("date"), json!("email")])),
        1 => pair("minItems", small(3)),
        1 => pair("maxItems", small(3)),
        1 => pair("uniqueItems", any::<bool>().prop_map(|b| json!(b))),
        1 => pair("required", names()),
        1 => pair("minProperties", small(3)),
        1 => pair("maxProperties", small(3)),
        1 => pair("title", Just(json!("t"))),
    ];
    let leaf = prop_oneof![
        6 => prop::collection::vec(words, 0..3).prop_map(|words| Value::Object(words.into_iter().collect())),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(json!({"$ref": "#/$defs/d"})),
    ];
    leaf.prop_recursive(3, 40, 4, move |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..3).prop_map(Value::Array);
        let named = || {
            prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), inner.clone(), 0..3)
                .prop_map(object)
        };
        let patterned =
            prop::collection::btree_map(prop::sample::select(vec!["^x", "a$"]), inner.clone(), 0..2)
                .prop_map(object);
        prop::collection::vec(
            prop_oneof![
                3 => pair("properties", named()),
                3 => pair("type", types.clone()),
                2 => pair("required", names()),
                1 => pair("patternProperties", patterned),
                2 => pair("additionalProperties", prop_oneof![Just(json!(false)), inner.clone()]),
                1 => pair("unevaluatedProperties", prop_oneof![Just(json!(false)), inner.clone()]),
                1 => pair("propertyNames", inner.clone()),
                1 => pair("items", inner.clone()),
                1 => pair("prefixItems", some()),
                1 => pair("contains", inner.clone()),
                1 => pair("minContains", small(3)),
                1 => pair("maxContains", small(3)),
                1 => pair("unevaluatedItems", prop_oneof![Just(json!(false)), inner.clone()]),
                1 => pair("allOf", some()),
                2 => pair("anyOf", some()),
                2 => pair("oneOf", some()),
                1 => pair("not", inner.clone()),
                1 => pair("if", inner.clone()),
                1 => pair("then", inner.clone()),
                1 => pair("else", inner.clone()),
                1 => pair("dependentSchemas", named()),
                1 => pair("dependentRequired", names().prop_map(|n| json!({"a": n}))),
                1 => pair("minItems", small(3)),
                1 => pair("maxItems", small(3)),
                1 => pair("minimum", number()),
                1 => pair("enum", prop::collection::vec(instance(), 1..4).prop_map(Value::Array)),
            ],
            1..4,
        )
        .prop_map(|words| Value::Object(words.into_iter().collect()))
    })
}

/// A schema and another that differs from it in one place, or altogether.
fn schemas() -> impl Strategy<Value = (Value, Value)> {
    (schema(), schema(), schema(), prop::bool::weighted(0.7), any::<u64>(), schema()).prop_map(
        |(a, other, part, near, at, d)| {
            let b = if near { replace(&a, &part, at) } else { other };
            // The recursive schema takes a step into the value between two references.
            let node = json!({
                "type": ["object", "null"],
                "properties": {"a": {"$ref": "#/$defs/d"}, "b": without_refs(&d)},
            });
            let with_defs = |s: Value| match s {
                Value::Object(mut map) => {
                    map.insert("$defs".to_owned(), json!({"d": node}));
                    Value::Object(map)
                }
                other => json!({"allOf": [other], "$defs": {"d": node}}),
            };
            (with_defs(a), with_defs(b))
        },
    )
}

fn without_refs(schema: &Value) -> Value {
    match schema {
        Value::Object(map) if map.contains_key("$ref") => json!(true),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), without_refs(v))).collect()),
        Value::Array(items) => Value::Array(items.iter().map(without_refs).collect()),
        other => other.clone(),
    }
}

/// Puts `part` in the place of one subschema, or takes a keyword away.
fn replace(schema: &Value, part: &Value, at: u64) -> Value {
    let Value::Object(map) = schema else { return part.clone() };
    if map.is_empty() {
        return part.clone();
    }
    let (index, rest) = ((at % (map.len() as u64 + 1)) as usize, at / 7);
    let mut out = map.clone();
    match map.iter().nth(index) {
        Some((word, _)) if rest % 3 == 0 => drop(out.remove(word)),
        Some((word, Value::Object(inner))) => {
            let nested = matches!(word.as_str(), "properties" | "patternProperties" | "dependentSchemas");
            let new = match (nested, inner.iter().next()) {
                (true, Some((name, s))) => {
                    let mut inner = inner.clone();
                    inner.insert(name.clone(), replace(s, part, rest));
                    Value::Object(inner)
                }
                (true, None) => Value::Object(inner.clone()),
                (false, _) => replace(&Value::Object(inner.clone()), part, rest),
            };
            out.insert(word.clone(), new);
        }
        Some((word, Value::Array(items)))
            if matches!(word.as_str(), "allOf" | "anyOf" | "oneOf" | "prefixItems") =>
        {
            let mut items = items.clone();
            let i = (rest as usize) % items.len();
            items[i] = replace(&items[i], part, rest / 5);
            out.insert(word.clone(), Value::Array(items));
        }
        _ => {
            if let Value::Object(more) = part {
                out.extend(more.clone());
            }
        }
    }
    Value::Object(out)
}

fn compare(a: &Value, b: &Value) -> ashlar_contracts::Comparison {
    let docs = |s: &Value| BTreeMap::from([(NAME.to_owned(), s.clone())]);
    compare_documents((&docs(a), NAME), (&docs(b), NAME), false)
}

fn validator(schema: &Value) -> Option<jsonschema::Validator> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(true)
        .build(schema)
        .ok()
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(600)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_yes_is_never_wrong((a, b) in schemas(), values in prop::collection::vec(instance(), 1..40)) {
        let (Some(old), Some(new)) = (validator(&a), validator(&b)) else { return Ok(()) };
        let comparison = compare(&a, &b);
        for value in &values {
            let (was, is) = (old.is_valid(value), new.is_valid(value));
            if comparison.backward == Answer::Yes {
                prop_assert!(!was || is, "backward yes, but {value} was valid under {a} and is not under {b}");
            }
            if comparison.forward == Answer::Yes {
                prop_assert!(was || !is, "forward yes, but {value} is valid under {b} and was not under {a}");
            }
        }
    }

    #[test]
    fn the_two_directions_mirror_each_other((a, b) in schemas()) {
        let (there, back) = (compare(&a, &b), compare(&b, &a));
        prop_assert_eq!(there.backward, back.forward);
        prop_assert_eq!(there.forward, back.backward);
    }

    #[test]
    fn nothing_differs_from_itself((a, _) in schemas()) {
        let same = compare(&a, &a);
        prop_assert_eq!((same.verdict, same.backward, same.forward), (Verdict::None, Answer::Yes, Answer::Yes));
    }
}
