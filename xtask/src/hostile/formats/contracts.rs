//! Contracts: schemas that double, recurse or hold large patterns, alone, as a changed contract, and behind a consumer.

use serde_json::{Map, Value, json};

use super::text::nested;
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

/// The schema as a contract of its own, or in the field `extra` of the contract that is released.
fn contract(random: &mut Random, schema: &Value, defs: Value) -> Load {
    let consumer = "consumer: hostile\nprovider: content-api\nowner: o\nexpects:\n  - endpoint: /v1/entries/page/{id}\n    must_include: [slug, extra.a.b]\n";
    let own = |kind: &str| {
        let mut text = json!({
            "type": "object", "x-ashlar": {"version": "1.0.0", "owner": "web", "kind": kind},
            "properties": {"slug": {"type": "string"}, "extra": schema}, "required": ["slug"], "additionalProperties": false,
        });
        text["$defs"] = defs.clone();
        text
    };
    let page = || {
        let mut text: Value =
            serde_json::from_str(crate::hostile::rig::file("contracts/page.v1.json")).unwrap_or_default();
        text["properties"]["extra"] = schema.clone();
        text["$defs"] = defs.clone();
        text["x-ashlar"]["version"] = json!("1.1.0");
        text.to_string().into_bytes()
    };
    match random.below(4) {
        0 => Load::file("contracts/hostile.v1.json", own("type").to_string()),
        1 => Load::file("contracts/page.v1.json", page()),
        2 => Load::Definitions(vec![
            ("contracts/page.v1.json".to_owned(), page()),
            ("consumers/hostile.yaml".to_owned(), consumer.as_bytes().to_vec()),
        ]),
        _ => Load::file("components/notice.v1/props.json", own("props").to_string()),
    }
}

fn reference(to: &str) -> Value {
    json!({"$ref": format!("#/$defs/{to}")})
}

/// `n` levels, each naming the next one `times` times.
fn levels(n: usize, times: usize, shape: impl Fn(Vec<Value>, usize) -> Value, last: Value) -> (Value, Value) {
    let mut defs = Map::new();
    for i in 0..n {
        defs.insert(format!("l{i}"), shape(vec![reference(&format!("l{}", i + 1)); times], i));
    }
    defs.insert(format!("l{n}"), last);
    (reference("l0"), Value::Object(defs))
}

fn doubling(random: &mut Random, word: &str, n: usize) -> Load {
    let last = match random.below(3) {
        0 => json!({"type": "string"}),
        1 => {
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}})
        }
        _ => json!({"type": ["string", "integer"], "minLength": 1}),
    };
    let (schema, defs) = levels(n, 2, |two, _| json!({word: two}), last);
    contract(random, &schema, defs)
}

/// The deepest a schema is written inline.
fn inline(open: &str, inner: &str, close: &str, n: usize) -> Load {
    let head = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"web","kind":"type"},"properties":{"slug":{"type":"string"},"extra":"#;
    Load::file("contracts/hostile.v1.json", format!("{head}{}}}}}", nested(open, inner, close, n)))
}

fn pattern(random: &mut Random, text: &str) -> Load {
    contract(random, &json!({"type": "string", "pattern": text}), json!({}))
}

const DOUBLE: [usize; 4] = [6, 12, 22, 60];
const DEEP: [usize; 4] = [20, 100, 5_000, 50_000];
const MANY: [usize; 4] = [100, 1_000, 20_000, 50_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "contracts", name: $name, sizes: $sizes, make: $make }
    };
}

/// What a schema can say in few bytes.
pub const ALL: &[Generator] = &[
    generator!("any-of-doubling", DOUBLE, |r, n| doubling(r, "anyOf", n)),
    generator!("all-of-doubling", DOUBLE, |r, n| doubling(r, "allOf", n)),
    generator!("one-of-doubling", DOUBLE, |r, n| doubling(r, "oneOf", n)),
    generator!("mixed-doubling", DOUBLE, |r, n| {
        let words = ["anyOf", "allOf", "oneOf"];
        let (schema, defs) = levels(n, 2, |two, i| json!({words[i % 3]: two}), json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("any-of-differing", DOUBLE, |r, n| {
        let shape = |two: Vec<Value>, i: usize| json!({"anyOf": [{"allOf": [two[0], {"minLength": i}]}, {"allOf": [two[1], {"maxLength": 100 + i}]}]});
        let (schema, defs) = levels(n, 2, shape, json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("all-of-any-of", DOUBLE, |r, n| {
        // A product of sums: 3 to the n-th ways to be valid.
        let sums: Vec<Value> = (0..n)
            .map(|i| json!({"anyOf": [{"required": [format!("a{i}")]}, {"required": [format!("b{i}")]}, {"required": [format!("c{i}")]}]}))
            .collect();
        contract(r, &json!({"type": "object", "allOf": sums}), json!({}))
    }),
    generator!("not-doubling", DOUBLE, |r, n| {
        let (schema, defs) = levels(n, 2, |two, _| json!({"not": {"anyOf": two}}), json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("if-doubling", DOUBLE, |r, n| {
        let (schema, defs) =
            levels(n, 3, |t, _| json!({"if": t[0], "then": t[1], "else": t[2]}), json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("property-doubling", DOUBLE, |r, n| {
        let shape = |two: Vec<Value>, _| json!({"type": "object", "properties": {"a": two[0], "b": two[1]}, "required": ["a", "b"]});
        let (schema, defs) = levels(n, 2, shape, json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("item-doubling", DOUBLE, |r, n| {
        let shape = |two: Vec<Value>, _| json!({"type": "array", "prefixItems": two, "minItems": 2});
        let (schema, defs) = levels(n, 2, shape, json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("unevaluated", DOUBLE, |r, n| {
        let shape = |two: Vec<Value>, _| json!({"allOf": two, "unevaluatedProperties": false});
        let (schema, defs) = levels(n, 2, shape, json!({"properties": {"a": {"type": "object"}}}));
        contract(r, &schema, defs)
    }),
    generator!("itself", [1, 2, 3, 4], |r, n| {
        let word = ["anyOf", "allOf", "oneOf", "not"][n % 4];
        let body = if word == "not" {
            json!({"not": reference("a")})
        } else {
            json!({word: [reference("a"), reference("a")]})
        };
        contract(r, &reference("a"), json!({"a": body}))
    }),
    generator!("cycle", MANY, |r, n| {
        let defs: Map<String, Value> =
            (0..n).map(|i| (format!("c{i}"), reference(&format!("c{}", (i + 1) % n)))).collect();
        contract(r, &reference("c0"), Value::Object(defs))
    }),
    generator!("chain", MANY, |r, n| {
        let (schema, defs) = levels(n, 1, |one, _| one[0].clone(), json!({"type": "string"}));
        contract(r, &schema, defs)
    }),
    generator!("chain-of-properties", MANY, |r, n| {
        let (schema, defs) = levels(
            n,
            1,
            |one, _| json!({"type": "object", "properties": {"a": one[0]}, "required": ["a"]}),
            json!({"type": "string"}),
        );
        contract(r, &schema, defs)
    }),
    generator!("recursive-tree", DOUBLE, |r, n| {
        let props: Map<String, Value> = (0..n).map(|i| (format!("p{i}"), reference("t"))).collect();
        contract(r, &reference("t"), json!({"t": {"type": "object", "properties": props}}))
    }),
    generator!("files-chain", [5, 100, 1_000, 5_001], |_, n| {
        let one = |i: usize| {
            let next = if i + 1 < n {
                json!({"$ref": format!("h{}.v1.json", i + 1)})
            } else {
                json!({"type": "string"})
            };
            json!({"type": "object", "x-ashlar": {"version": "1.0.0", "owner": "web", "kind": "block"}, "properties": {"a": next, "b": next}}).to_string()
        };
        Load::Definitions((0..n).map(|i| (format!("contracts/h{i}.v1.json"), one(i).into_bytes())).collect())
    }),
    generator!("files-cycle", [2, 3, 50, 500], |_, n| {
        let one = |i: usize| {
            json!({"x-ashlar": {"version": "1.0.0", "owner": "web", "kind": "block"}, "allOf": [{"$ref": format!("h{}.v1.json", (i + 1) % n)}]}).to_string()
        };
        Load::Definitions((0..n).map(|i| (format!("contracts/h{i}.v1.json"), one(i).into_bytes())).collect())
    }),
    generator!("pattern-repeats", [10, 50, 1_000, 9_999], |r, n| pattern(r, &format!("(a{{{n}}}){{{n}}}"))),
    generator!("pattern-repeats-thrice", [3, 10, 100, 999], |r, n| pattern(
        r,
        &format!("((a{{{n}}}){{{n}}}){{{n}}}")
    )),
    generator!("pattern-unicode", [3, 10, 100, 999], |r, n| pattern(
        r,
        &format!("(\\w{{{n}}}\\p{{L}}{{{n}}}){{{n}}}")
    )),
    generator!("pattern-depth", DEEP, |r, n| pattern(r, &nested("(", "a", ")", n))),
    generator!("pattern-stars", DEEP, |r, n| pattern(r, &format!("{}b", nested("(", "a", ")*", n)))),
    generator!("pattern-choices", MANY, |r, n| pattern(r, &super::text::pieces(n, "|", |i| format!("w{i}")))),
    generator!("pattern-classes", MANY, |r, n| pattern(r, &"[^\\d\\s\\w]".repeat(n))),
    generator!("pattern-backtracking", [5, 20, 100, 1_000], |r, n| pattern(
        r,
        &format!("^(a?){{{n}}}(a+)+(a|aa)+$")
    )),
    generator!("pattern-on-entry", [5, 20, 100, 1_000], |_, n| {
        let mut page: Value =
            serde_json::from_str(crate::hostile::rig::file("contracts/page.v1.json")).unwrap_or_default();
        page["properties"]["slug"]["pattern"] = json!(format!("^(a?){{{n}}}.*(h|o|m|e)+.*$"));
        page["x-ashlar"]["version"] = json!("1.1.0");
        Load::file("contracts/page.v1.json", page.to_string())
    }),
    generator!("patterns", MANY, |r, n| {
        let all: Map<String, Value> =
            (0..n).map(|i| (format!("^a{i}(b|c)*$"), json!({"type": "string"}))).collect();
        contract(r, &json!({"type": "object", "patternProperties": all}), json!({}))
    }),
    generator!("properties", MANY, |r, n| {
        let all: Map<String, Value> = (0..n).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect();
        contract(r, &json!({"type": "object", "properties": all}), json!({}))
    }),
    generator!("enum", MANY, |r, n| contract(r, &json!({"enum": (0..n).collect::<Vec<_>>()}), json!({}))),
    generator!("enum-of-objects", MANY, |r, n| {
        contract(r, &json!({"enum": (0..n).map(|i| json!({"a": i})).collect::<Vec<_>>()}), json!({}))
    }),
    generator!("any-of-width", [10, 300, 3_000, 20_000], |r, n| {
        let all: Vec<Value> = (0..n)
            .map(|i| json!({"type": "object", "properties": {"k": {"const": i}}, "required": ["k"]}))
            .collect();
        contract(r, &json!({"anyOf": all}), json!({}))
    }),
    generator!("one-of-width", [10, 300, 3_000, 20_000], |r, n| {
        let all: Vec<Value> = (0..n).map(|i| json!({"type": "string", "minLength": i})).collect();
        contract(r, &json!({"oneOf": all}), json!({}))
    }),
    generator!("required", MANY, |r, n| {
        contract(
            r,
            &json!({"type": "object", "required": (0..n).map(|i| format!("r{i}")).collect::<Vec<_>>()}),
            json!({}),
        )
    }),
    generator!("dependent", MANY, |r, n| {
        let all: Map<String, Value> =
            (0..n).map(|i| (format!("d{i}"), json!({"required": [format!("d{}", i + 1)]}))).collect();
        contract(r, &json!({"type": "object", "dependentSchemas": all}), json!({}))
    }),
    generator!("lengths", [1, 2, 3, 4], |r, n| {
        let huge = [1_000_000_000_u64, 1 << 53, u64::MAX >> 1, u64::MAX][n % 4];
        contract(
            r,
            &json!({"type": "array", "minItems": huge, "items": {"type": "string", "minLength": huge}}),
            json!({}),
        )
    }),
    generator!("multiple-of", [1, 2, 3, 4], |r, n| {
        let step = [1e-300, 1e300, 0.1, 3.7e-17][n % 4];
        contract(
            r,
            &json!({"type": "number", "multipleOf": step, "minimum": -1e308, "maximum": 1e308}),
            json!({}),
        )
    }),
    generator!("min-length-example", [100, 100_000, 100_000_000, 4_000_000_000], |r, n| {
        contract(
            r,
            &json!({"type": "object", "properties": {"a": {"type": "string", "minLength": n}}, "required": ["a"]}),
            json!({}),
        )
    }),
    generator!("min-items-example", [100, 100_000, 100_000_000, 4_000_000_000], |r, n| {
        contract(r, &json!({"type": "array", "minItems": n, "items": {"type": "string"}}), json!({}))
    }),
    generator!("deep-properties", DEEP, |_, n| inline(
        "{\"type\":\"object\",\"properties\":{\"a\":",
        "{}",
        "}}",
        n
    )),
    generator!("deep-items", DEEP, |_, n| inline("{\"items\":", "{}", "}", n)),
    generator!("deep-not", DEEP, |_, n| inline("{\"not\":", "{}", "}", n)),
    generator!("deep-any-of", DEEP, |_, n| inline("{\"anyOf\":[", "{}", ",{\"type\":\"null\"}]}", n)),
    generator!("deep-const", DEEP, |_, n| inline("{\"const\":", &nested("[", "", "]", n), "}", 1)),
    generator!("pointer", MANY, |r, n| contract(
        r,
        &json!({"$ref": format!("#{}", "/$defs".repeat(n))}),
        json!({})
    )),
    generator!("route", [10, 100, 10_000, 400_000], |_, n| {
        let mut page: Value =
            serde_json::from_str(crate::hostile::rig::file("contracts/page.v1.json")).unwrap_or_default();
        page["x-ashlar"]["route"] = json!(format!("/{{locale}}/{}{{slug}}", "{title}/{id}/".repeat(n)));
        Load::file("contracts/page.v1.json", page.to_string())
    }),
];
