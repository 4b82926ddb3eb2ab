//! Design tokens: aliases that multiply, cycles, many contexts, resolver documents.

use serde_json::{Map, Value, json};

use super::text::nested;
use crate::hostile::corpus::{Generator, Load};

const FILE: &str = "tokens/hostile.tokens.json";

fn tokens(group: Value) -> Load {
    Load::file(FILE, json!({"hostile": group}).to_string())
}

fn alias(name: &str) -> Value {
    json!(format!("{{hostile.{name}}}"))
}

/// A chain of composite tokens, each with `width` aliases to the next.
fn multiplied(n: usize, width: usize, kind: &str, last: Value) -> Load {
    let mut group = Map::new();
    for i in 0..n {
        let next = alias(&format!("t{}", i + 1));
        group.insert(format!("t{i}"), json!({"$type": kind, "$value": vec![next; width]}));
    }
    group.insert(format!("t{n}"), json!({"$type": kind, "$value": last}));
    tokens(Value::Object(group))
}

fn px(value: f64) -> Value {
    json!({"value": value, "unit": "px"})
}

fn shadow() -> Value {
    json!([{"color": "{base.color.ink}", "offsetX": px(0.0), "offsetY": px(1.0), "blur": px(2.0), "spread": px(0.0)}])
}

fn resolver(sets: Value, modifiers: Value, order: Value) -> Vec<(String, Vec<u8>)> {
    let text = json!({"version": "2025.10", "name": "x", "sets": sets, "modifiers": modifiers, "resolutionOrder": order});
    vec![("tokens/hostile.resolver.json".to_owned(), text.to_string().into_bytes())]
}

/// `n` modifiers with `contexts` contexts each, all of which set one token.
fn modified(n: usize, contexts: usize) -> Load {
    let mut files = Vec::new();
    let mut modifiers = Map::new();
    let mut order = vec![json!({"$ref": "#/sets/all"})];
    for m in 0..n {
        let mut all = Map::new();
        for c in 0..contexts {
            all.insert(
                format!("c{c}"),
                if c == 0 { json!([]) } else { json!([{"$ref": format!("m{m}c{c}.tokens.json")}]) },
            );
            if c > 0 {
                let value = json!({"hostile": {"$type": "number", format!("m{m}"): {"$value": c}, "all": {"$value": format!("{{hostile.m{m}}}")}}});
                files.push((format!("tokens/m{m}c{c}.tokens.json"), value.to_string().into_bytes()));
            }
        }
        modifiers.insert(format!("m{m}"), json!({"contexts": all, "default": "c0"}));
        order.push(json!({"$ref": format!("#/modifiers/m{m}")}));
    }
    let base: Map<String, Value> =
        (0..n).map(|m| (format!("m{m}"), json!({"$type": "number", "$value": 0}))).collect();
    let mut base = json!({"hostile": base});
    base["hostile"]["all"] = json!({"$type": "number", "$value": 0});
    let mut use_all = Map::new();
    for m in 0..n {
        use_all.insert(format!("u{m}"), json!({"$type": "number", "$value": if m == 0 { "{hostile.all}".to_owned() } else { format!("{{hostile.u{}}}", m - 1) }}));
    }
    base["hostile"]["use"] = Value::Object(use_all);
    files.push((FILE.to_owned(), base.to_string().into_bytes()));
    files.extend(resolver(
        json!({"all": {"sources": [{"$ref": "base.tokens.json"}, {"$ref": "hostile.tokens.json"}]}}),
        Value::Object(modifiers),
        Value::Array(order),
    ));
    Load::Definitions(files)
}

const TIMES: [usize; 4] = [3, 7, 14, 40];
const MANY: [usize; 4] = [100, 5_000, 50_000, 150_000];
const DEEP: [usize; 4] = [20, 100, 5_000, 100_000];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "tokens", name: $name, sizes: $sizes, make: $make }
    };
}

/// References in every place that takes one.
pub const ALL: &[Generator] = &[
    generator!("alias-shadow", TIMES, |_, n| multiplied(n, 3, "shadow", shadow())),
    generator!("alias-font", TIMES, |_, n| multiplied(n, 3, "fontFamily", json!(["a"]))),
    generator!("alias-gradient", TIMES, |_, n| {
        multiplied(n, 3, "gradient", json!([{"color": "{base.color.ink}", "position": 0}]))
    }),
    generator!("alias-dash", TIMES, |_, n| {
        let mut group = Map::new();
        for i in 0..n {
            let next = alias(&format!("t{}", i + 1));
            group.insert(
                format!("t{i}"),
                json!({"$type": "strokeStyle", "$value": {"dashArray": vec![next; 3], "lineCap": "round"}}),
            );
        }
        tokens(Value::Object(group))
    }),
    generator!("alias-border", TIMES, |_, n| {
        let mut group = Map::new();
        for i in 0..n {
            let next = alias(&format!("t{}", i + 1));
            group.insert(
                format!("t{i}"),
                json!({"$type": "border", "$value": {"color": next, "width": next, "style": next}}),
            );
        }
        tokens(Value::Object(group))
    }),
    generator!("chain", MANY, |_, n| {
        let mut group: Map<String, Value> = (0..n)
            .map(|i| (format!("t{i}"), json!({"$type": "number", "$value": alias(&format!("t{}", i + 1))})))
            .collect();
        group.insert(format!("t{n}"), json!({"$type": "number", "$value": 1}));
        tokens(Value::Object(group))
    }),
    generator!("untyped-chain", MANY, |_, n| {
        let mut group: Map<String, Value> =
            (0..n).map(|i| (format!("t{i}"), json!({"$value": alias(&format!("t{}", i + 1))}))).collect();
        group.insert(format!("t{n}"), json!({"$type": "number", "$value": 1}));
        tokens(Value::Object(group))
    }),
    generator!("cycle", MANY, |_, n| {
        tokens(Value::Object(
            (0..n)
                .map(|i| {
                    (
                        format!("t{i}"),
                        json!({"$type": "number", "$value": alias(&format!("t{}", (i + 1) % n))}),
                    )
                })
                .collect(),
        ))
    }),
    generator!("cycle-in-shadow", [1, 2, 3, 4], |_, n| {
        tokens(
            json!({"a": {"$type": "shadow", "$value": vec![alias("b"); n]}, "b": {"$type": "shadow", "$value": vec![alias("a"); n]}}),
        )
    }),
    generator!("cycle-in-gradient", [1, 2, 3, 4], |_, n| {
        tokens(json!({"a": {"$type": "gradient", "$value": vec![alias("a"); n]}}))
    }),
    generator!("cycle-in-font", [1, 2, 3, 4], |_, n| {
        tokens(
            json!({"a": {"$type": "fontFamily", "$value": vec![alias("b"); n]}, "b": {"$type": "fontFamily", "$value": [alias("a"), "x"]}}),
        )
    }),
    generator!("cycle-in-typography", [1, 2, 3, 4], |_, _| {
        tokens(
            json!({"a": {"$type": "typography", "$value": {"fontFamily": "{hostile.a}", "fontSize": "{hostile.a}", "fontWeight": "{hostile.a}", "letterSpacing": "{hostile.a}", "lineHeight": "{hostile.a}"}}}),
        )
    }),
    generator!("pointer-cycle", [2, 3, 50, 5_000], |_, n| {
        tokens(Value::Object((0..n).map(|i| (format!("t{i}"), json!({"$type": "number", "$value": {"$ref": format!("#/hostile/t{}/$value", (i + 1) % n)}}))).collect()))
    }),
    generator!("pointer-doubling", TIMES, |_, n| {
        let mut group = Map::new();
        for i in 0..n {
            let next = json!({"$ref": format!("#/hostile/t{}/$value", i + 1)});
            group.insert(format!("t{i}"), json!({"$type": "shadow", "$value": [next, next, next]}));
        }
        group.insert(format!("t{n}"), json!({"$type": "shadow", "$value": shadow()}));
        tokens(Value::Object(group))
    }),
    generator!("pointer-into-itself", [1, 2, 3, 4], |_, n| {
        tokens(
            json!({"a": {"$type": "color", "$value": {"colorSpace": "srgb", "components": {"$ref": format!("#/hostile/a/$value{}", "/components".repeat(n))}}}}),
        )
    }),
    generator!("extends-chain", [5, 50, 500, 5_000], |_, n| {
        let mut group: Map<String, Value> = (0..n)
            .map(|i| (format!("g{i}"), json!({"$extends": format!("{{hostile.g{}}}", i + 1), format!("t{i}"): {"$type": "number", "$value": i}})))
            .collect();
        group.insert(format!("g{n}"), json!({"t": {"$type": "number", "$value": 1}}));
        tokens(Value::Object(group))
    }),
    generator!("extends-doubling", TIMES, |_, n| {
        let mut group = Map::new();
        for i in 0..n {
            let next = format!("{{hostile.g{}}}", i + 1);
            group.insert(
                format!("g{i}"),
                json!({"a": {"$extends": next}, "b": {"$extends": next}, "c": {"$extends": next}}),
            );
        }
        group.insert(format!("g{n}"), json!({"t": {"$type": "number", "$value": 1}}));
        tokens(Value::Object(group))
    }),
    generator!("extends-cycle", [1, 2, 3, 500], |_, n| {
        tokens(Value::Object(
            (0..n)
                .map(|i| (format!("g{i}"), json!({"$extends": format!("{{hostile.g{}}}", (i + 1) % n)})))
                .collect(),
        ))
    }),
    generator!("extends-parent", [1, 2, 3, 4], |_, n| {
        Load::file(
            FILE,
            json!({"hostile": {"a": nested_group(n), "t": {"$type": "number", "$value": 1}}}).to_string(),
        )
    }),
    generator!("groups", DEEP, |_, n| {
        Load::file(FILE, nested("{\"g\":", "{\"$type\":\"number\",\"$value\":1}", "}", n))
    }),
    generator!("width", MANY, |_, n| {
        tokens(Value::Object(
            (0..n).map(|i| (format!("t{i}"), json!({"$type": "number", "$value": i}))).collect(),
        ))
    }),
    generator!("near-colours", [50, 500, 5_000, 30_000], |_, n| {
        let all: Map<String, Value> = (0..n)
            .map(|i| {
                (
                    format!("c{i}"),
                    json!({"$value": {"colorSpace": "srgb", "components": [i as f64 / n as f64, 0.5, 0.5]}}),
                )
            })
            .collect();
        Load::file(FILE, json!({"base": {"hostile": {"$type": "color", "x": all}}}).to_string())
    }),
    generator!("long-name", MANY, |_, n| tokens(json!({"n".repeat(n): {"$type": "number", "$value": 1}}))),
    generator!("gradient-stops", MANY, |_, n| {
        tokens(
            json!({"a": {"$type": "gradient", "$value": vec![json!({"color": "{base.color.ink}", "position": 0.5}); n]}}),
        )
    }),
    generator!("bezier", [1, 2, 3, 4], |_, n| {
        let value = [f64::MAX, f64::MIN, 1e-320, -0.0][n % 4];
        tokens(
            json!({"a": {"$type": "cubicBezier", "$value": [value, value, value, value]}, "b": {"$type": "dimension", "$value": px(value)}}),
        )
    }),
    generator!("colour-texts", MANY, |_, n| tokens(
        json!({"a": {"$type": "color", "$value": "#".repeat(n)}})
    )),
    generator!("colour-functions", DEEP, |_, n| tokens(
        json!({"a": {"$type": "color", "$value": nested("color-mix(in srgb, ", "red", ", blue)", n)}})
    )),
    generator!("modifiers", [2, 8, 20, 60], |_, n| modified(n, 2)),
    generator!("contexts", [2, 20, 300, 3_000], |_, n| modified(2, n)),
    generator!("modifiers-and-contexts", [2, 4, 8, 16], |_, n| modified(n, n)),
    generator!("resolver-cycle", [1, 2, 3, 4], |_, n| {
        let sets = json!({"a": {"sources": vec![json!({"$ref": "#/sets/b"}); n]}, "b": {"sources": vec![json!({"$ref": "#/sets/a"}); n]}});
        Load::Definitions(resolver(sets, json!({}), json!([{"$ref": "#/sets/a"}])))
    }),
    generator!("resolver-doubling", TIMES, |_, n| {
        let mut sets = Map::new();
        for i in 0..n {
            sets.insert(
                format!("s{i}"),
                json!({"sources": vec![json!({"$ref": format!("#/sets/s{}", i + 1)}); 3]}),
            );
        }
        sets.insert(format!("s{n}"), json!({"sources": [{"$ref": "base.tokens.json"}]}));
        Load::Definitions(resolver(Value::Object(sets), json!({}), json!([{"$ref": "#/sets/s0"}])))
    }),
    generator!("resolver-sources", MANY, |_, n| {
        let sets = json!({"all": {"sources": vec![json!({"$ref": "base.tokens.json"}); n]}});
        Load::Definitions(resolver(sets, json!({}), json!([{"$ref": "#/sets/all"}])))
    }),
    generator!("resolver-outside", [1, 2, 3, 4], |_, n| {
        let to =
            ["../../../etc/passwd", "http://127.0.0.1:1/x", "file:///etc/passwd", "hostile.resolver.json"]
                [n % 4];
        Load::Definitions(resolver(
            json!({"all": {"sources": [{"$ref": to}]}}),
            json!({}),
            json!([{"$ref": "#/sets/all"}]),
        ))
    }),
    generator!("contrast-rules", [5, 50, 500, 5_000], |_, n| {
        let all: Map<String, Value> = (0..n)
            .map(|i| {
                (
                    format!("c{i}"),
                    json!({"$value": {"colorSpace": "oklch", "components": [0.5, 0.1, i % 360]}}),
                )
            })
            .collect();
        let rule = "[[contrast]]\nforeground = [\"semantic.x.*\"]\nbackground = [\"semantic.x.*\"]\n";
        Load::Definitions(vec![
            (
                FILE.to_owned(),
                json!({"semantic": {"x": {"$type": "color", "g": all}}}).to_string().into_bytes(),
            ),
            ("tokens.toml".to_owned(), format!("name = \"@alpha/tokens\"\n{rule}").into_bytes()),
        ])
    }),
    generator!("naming-pattern", [10, 50, 1_000, 9_999], |_, n| {
        Load::file("tokens.toml", format!("name = \"@alpha/tokens\"\nnaming = \"(a{{{n}}}){{{n}}}\"\n"))
    }),
];

fn nested_group(n: usize) -> Value {
    let mut inner = json!({"$extends": "{hostile}"});
    for _ in 0..n {
        inner = json!({"g": inner, "$extends": "{hostile}"});
    }
    inner
}
