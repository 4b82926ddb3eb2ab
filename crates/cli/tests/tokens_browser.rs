//! The style sheet of tokens in a real browser: every element has the values of one combination of contexts, the one its
//! attributes and its reader's wishes say, however elements are nested.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

#[path = "common/browser.rs"]
mod browser;

use std::{collections::BTreeMap, path::Path};

use ashlar_tokens::{BuildOptions, Output, Resolved, SourceFile, TokenSet, Value, attribute, build};
use serde_json::{Map, json};

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn often(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const WISHES: [(&str, &str, &str); 3] = [
    ("prefers-color-scheme", "dark", "light"),
    ("prefers-contrast", "more", "no-preference"),
    ("prefers-reduced-motion", "reduce", "no-preference"),
];
/// Modifiers that sets of tokens have. Several contexts of one can be asked for at once.
const MODIFIERS: [(&str, &[&str]); 5] = [
    ("theme", &["light", "dark", "dusk", "high-contrast"]),
    ("density", &["regular", "compact", "comfortable"]),
    ("motion", &["full", "reduced"]),
    ("Brand Line", &["harbour", "it's \"north\"", "south-west"]),
    ("contrast", &["high-contrast", "standard", "dark"]),
];

/// What browsers compute for a token, by custom property; an absent one is empty.
fn expected(resolved: &Resolved, combination: u64) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for token in &resolved.tokens {
        let name = format!("--{}", ashlar_tokens::css_name("x", &token.name));
        let value = resolved.value(token, combination);
        all.insert(name.clone(), value.map(Value::css).unwrap_or_default());
        if token.ty == ashlar_tokens::Type::Typography {
            let Some(Value::Typography(t)) = value else { continue };
            all.insert(format!("{name}-font-size"), Value::Dimension(t.size).css());
            all.insert(format!("{name}-font-family"), Value::FontFamily(t.family.clone()).css());
            all.insert(format!("{name}-font-weight"), t.weight.to_string());
            all.insert(
                format!("{name}-line-height"),
                t.line_height.map(|h| h.to_string()).unwrap_or_default(),
            );
            let spacing = t.spacing.map(|s| Value::Dimension(s).css());
            all.insert(format!("{name}-letter-spacing"), spacing.unwrap_or_default());
        }
    }
    all
}

fn px(n: usize) -> serde_json::Value {
    json!({ "value": n, "unit": "px" })
}

/// A token of a type; it can refer to tokens of smaller number. `number` is different for each.
fn token(chance: &mut Chance, at: usize, kind: usize, number: usize) -> serde_json::Value {
    let earlier = |chance: &mut Chance, kind: usize| {
        let same: Vec<usize> = (0..at).filter(|n| n % 6 == kind).collect();
        (!same.is_empty() && chance.often(60))
            .then(|| json!(format!("{{t{}}}", same[chance.below(same.len())])))
    };
    if let Some(alias) = earlier(chance, kind) {
        return alias;
    }
    match kind {
        0 => json!({ "colorSpace": "oklch", "components": [number as f64 / 1e4, 0.1, 200] }),
        1 => px(number),
        2 => {
            let color = earlier(chance, 0).unwrap_or_else(|| json!("#123456"));
            let offset = earlier(chance, 1).unwrap_or_else(|| px(number));
            let one = json!({ "color": color, "offsetX": offset, "offsetY": px(1), "blur": px(2), "spread": px(0) });
            if chance.often(50) { json!([one, one]) } else { one }
        }
        3 => {
            let mut text = json!({ "fontFamily": ["Bob's Hand", "A \"quoted\" one", "serif"], "fontSize": px(number), "fontWeight": 400 });
            if chance.often(50) {
                text["lineHeight"] = json!(1.5);
            }
            if chance.often(50) {
                text["letterSpacing"] = earlier(chance, 1).unwrap_or_else(|| px(2));
            }
            text
        }
        4 => json!(number),
        _ => json!({ "value": number, "unit": "ms" }),
    }
}

const KINDS: [&str; 6] = ["color", "dimension", "shadow", "typography", "number", "duration"];
const TOKENS: usize = 18;

/// A set with some of the modifiers; each context sets some tokens anew, mostly the same ones.
fn random_set(chance: &mut Chance) -> (Resolved, TokenSet) {
    let mut number = 0;
    let mut layer = |chance: &mut Chance, often: usize, only: usize| {
        let mut tokens = Map::new();
        for at in 0..TOKENS {
            // One is defined in some contexts only; nothing refers to it.
            if (often == 100 && at + 1 < TOKENS) || (often < 100 && at % 3 >= only && chance.often(often)) {
                number += 1;
                tokens.insert(format!("t{at}"), json!({ "$type": KINDS[at % 6], "$value": token(chance, at.min(TOKENS - 2), at % 6, number) }));
            }
        }
        json!([tokens])
    };
    let base = layer(chance, 100, 0);
    let mut modifiers = Map::new();
    let mut order = vec![json!({ "$ref": "#/sets/base" })];
    for (name, contexts) in MODIFIERS {
        if chance.often(60) || modifiers.is_empty() {
            let only = chance.below(3);
            let all: Map<String, serde_json::Value> = contexts
                .iter()
                .map(|c| {
                    ((*c).to_owned(), if chance.often(25) { json!([]) } else { layer(chance, 40, only) })
                })
                .collect();
            modifiers.insert(
                name.to_owned(),
                json!({ "contexts": all, "default": contexts[chance.below(contexts.len())] }),
            );
            order.push(json!({ "$ref": format!("#/modifiers/{name}") }));
        }
    }
    let document = json!({ "version": "2025.10", "sets": { "base": { "sources": base } }, "modifiers": modifiers, "resolutionOrder": order });
    let file = SourceFile { path: "a.resolver.json".to_owned(), text: document.to_string() };
    let (resolved, set, findings) = TokenSet::of_resolver(file, &|_| Err("none".to_owned())).resolve();
    assert!(findings.iter().all(|f| f.level != ashlar_model::Level::Error), "{findings:?}");
    (resolved, set)
}

/// The context that a root without an attribute has: of those whose query holds, the one with more contrast, or else the last.
fn wished(resolved: &Resolved, options: &BuildOptions, modifier: usize, wishes: &[bool; 3]) -> usize {
    let holds = |query: &str| {
        WISHES.iter().zip(wishes).any(|((name, value, _), on)| *on && query == format!("({name}: {value})"))
    };
    let m = &resolved.modifiers[modifier];
    let asked = m.contexts.iter().enumerate().filter_map(|(at, context)| {
        let query = options.media.get(&format!("{}={context}", m.name))?;
        holds(query).then_some((query.contains("contrast"), at))
    });
    asked.max().map_or(0, |(_, at)| at)
}

/// A sheet with random nestings of elements under every wish, and what the resolver says for each element.
fn sheet(
    chance: &mut Chance,
    name: &str,
    resolved: &Resolved,
    options: &BuildOptions,
    css: &str,
) -> serde_json::Value {
    let variables: Vec<String> = (resolved.combinations(u32::MAX).into_iter())
        .flat_map(|c| expected(resolved, c).into_keys())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut states = Vec::new();
    for state in 0..8 {
        let wishes = [state & 1 != 0, state & 2 != 0, state & 4 != 0];
        let features: Vec<_> = (WISHES.iter().zip(wishes))
            .map(|((name, on, off), wish)| json!({ "name": name, "value": if wish { on } else { off } }))
            .collect();
        let nestings: Vec<_> = (0..8)
            .map(|_| {
                let mut chosen: Vec<usize> =
                    (0..resolved.modifiers.len()).map(|m| wished(resolved, options, m, &wishes)).collect();
                let element = |depth: usize, chance: &mut Chance, chosen: &mut Vec<usize>| {
                    let mut attributes = Map::new();
                    for (m, modifier) in resolved.modifiers.iter().enumerate() {
                        if chance.often(if depth == 0 { 30 } else { 45 }) {
                            let context = chance.below(modifier.contexts.len());
                            chosen[m] = context;
                            attributes.insert(attribute(&modifier.name), json!(modifier.contexts[context]));
                        }
                    }
                    let contexts = chosen.iter().enumerate().map(|(m, c)| {
                        let modifier = &resolved.modifiers[m];
                        (modifier.name.as_str(), modifier.contexts[*c].as_str())
                    });
                    let values = expected(resolved, resolved.combination(contexts).unwrap());
                    let values: Vec<_> =
                        variables.iter().map(|v| values.get(v).cloned().unwrap_or_default()).collect();
                    json!({ "attributes": attributes, "expected": values })
                };
                let depth = 2 + chance.below(4);
                (0..depth).map(|d| element(d, chance, &mut chosen)).collect::<Vec<_>>()
            })
            .collect();
        states.push(json!({ "features": features, "nestings": nestings }));
    }
    json!({ "name": name, "css": css, "variables": variables, "states": states })
}

fn demo() -> (Resolved, TokenSet) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo/tokens");
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).map_err(|e| e.to_string());
    let name = "mooring.resolver.json";
    let file = SourceFile { path: name.to_owned(), text: read(name).unwrap() };
    let (resolved, set, _) = TokenSet::of_resolver(file, &read).resolve();
    (resolved, set)
}

#[test]
fn nested_contexts_and_wishes_are_what_the_resolver_says() {
    let seed = std::env::var("ASHLAR_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(11);
    let count: usize = std::env::var("ASHLAR_SETS").ok().and_then(|s| s.parse().ok()).unwrap_or(6);
    let mut chance = Chance(seed);
    let mut sheets = Vec::new();
    let mut sets: Vec<_> = (0..count).map(|n| (format!("set {n}"), random_set(&mut chance))).collect();
    sets.push(("demo".to_owned(), demo()));
    for (name, (resolved, set)) in &sets {
        let options = BuildOptions { prefix: "x".to_owned(), media: BuildOptions::usual_media(resolved) };
        let (files, clashes) = build(resolved, set, &[Output::Css], &options);
        assert!(clashes.is_empty(), "{clashes:?}");
        sheets.push(sheet(&mut chance, name, resolved, &options, &files[0].text));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sheets.json");
    std::fs::write(&path, serde_json::to_string(&sheets).unwrap()).unwrap();
    let Some(report) = browser::run("tokens.mjs", path.to_str().unwrap()) else { return };
    println!("{} values", report["checked"]);
    assert_eq!(report["wrong_total"], 0, "{report:#}");
    assert!(report["checked"].as_u64().unwrap() > 10_000);
}
