//! A token set of any size: half raw values of mixed types, half aliases, three themes of which two override a fifth.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use super::site::Result;

/// The themes, the default one first.
pub const THEMES: [&str; 3] = ["light", "dark", "contrast"];

/// The type of the raw value at `i`, and the value. Of twenty, nine are colours and five lengths.
fn raw(i: usize) -> (&'static str, Value) {
    let part = |step: usize| json!(((i * step + step) % 256) as f64 / 255.0);
    let px = |n: usize| json!({"value": n, "unit": "px"});
    let ms = |n: usize| json!({"value": n, "unit": "ms"});
    let color = |alpha: f64| json!({"colorSpace": "srgb", "components": [part(7), part(31), part(101)], "alpha": alpha});
    let curve = || json!([0.2, 0, (i % 10) as f64 / 10.0, 1]);
    match i % 20 {
        0..=8 => ("color", color(1.0)),
        9..=13 if i.is_multiple_of(3) => {
            ("dimension", json!({"value": (i % 64) as f64 / 16.0, "unit": "rem"}))
        }
        9..=13 => ("dimension", px(i % 96)),
        14 => ("duration", ms(50 + i % 400)),
        15 => ("fontWeight", json!(100 + i % 9 * 100)),
        16 => ("number", json!((i % 40) as f64 / 10.0)),
        17 => ("cubicBezier", curve()),
        18 => (
            "shadow",
            json!({"color": color(0.25), "offsetX": px(0), "offsetY": px(i % 9), "blur": px(i % 24), "spread": px(0)}),
        ),
        _ => match i / 20 % 4 {
            0 => ("fontFamily", json!(["Inter", "Helvetica Neue", "sans-serif"])),
            1 => ("border", json!({"color": color(1.0), "width": px(1 + i % 4), "style": "solid"})),
            2 => (
                "transition",
                json!({"duration": ms(100 + i % 200), "delay": ms(0), "timingFunction": curve()}),
            ),
            _ => (
                "typography",
                json!({"fontFamily": ["Inter", "sans-serif"], "fontSize": px(12 + i % 30), "fontWeight": 400, "letterSpacing": px(0),
                       "lineHeight": 1.5}),
            ),
        },
    }
}

/// Names as people give them: steps of a family, in a group per type.
fn base_name(i: usize) -> [String; 4] {
    ["base".into(), raw(i).0.into(), format!("family-{}", i / 200), format!("step-{}", i % 200)]
}

fn semantic_name(i: usize) -> [String; 4] {
    let role = ["surface", "text", "border", "action", "feedback"][i % 5];
    ["semantic".into(), role.into(), format!("area-{}", i / 100), format!("role-{}", i % 100)]
}

fn component_name(i: usize) -> [String; 4] {
    let part = ["default", "hover", "active", "disabled"][i % 4];
    ["component".into(), format!("component-{}", i / 40), part.into(), format!("part-{}", i % 40)]
}

fn put(tree: &mut Map<String, Value>, name: &[String; 4], token: Value) {
    let mut here = tree;
    for step in &name[..3] {
        let next = here.entry(step.clone()).or_insert_with(|| json!({}));
        let Value::Object(next) = next else { return };
        here = next;
    }
    here.insert(name[3].clone(), token);
}

fn alias(ty: &str, to: &[String; 4]) -> Value {
    json!({"$type": ty, "$value": format!("{{{}}}", to.join("."))})
}

fn write(path: &Path, value: &Value) -> Result<u64> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(path, &text)?;
    Ok(text.len() as u64)
}

/// Writes `count` tokens into a directory: `base`, `semantic`, `component` and a file per theme, and `set.resolver.json`. Returns
/// the bytes of all.
///
/// # Errors
/// When a file cannot be written.
pub fn write_set(dir: &Path, count: usize) -> Result<u64> {
    let (bases, semantics) = (count / 2, count / 4);
    let components = count - bases - semantics;
    // Every raw value is used; the same step further on is of the same type.
    let target = |i: usize| i * bases / semantics.max(1);
    let moved = |at: usize, by: usize| if at + by < bases { at + by } else { at.saturating_sub(by) };
    let (mut base, mut semantic, mut component) = (Map::new(), Map::new(), Map::new());
    for i in 0..bases {
        let (ty, value) = raw(i);
        put(&mut base, &base_name(i), json!({"$type": ty, "$value": value}));
    }
    for i in 0..semantics {
        put(&mut semantic, &semantic_name(i), alias(raw(target(i)).0, &base_name(target(i))));
    }
    for i in 0..components {
        let to = i % semantics;
        put(&mut component, &component_name(i), alias(raw(target(to)).0, &semantic_name(to)));
    }
    let mut bytes = 0;
    for (name, tree) in [("base", base), ("semantic", semantic), ("component", component)] {
        bytes += write(&dir.join(format!("{name}.tokens.json")), &Value::Object(tree))?;
    }
    for (at, theme) in THEMES.iter().enumerate() {
        let mut tree = Map::new();
        // Four of five semantic tokens: a fifth of all.
        for i in (0..semantics).filter(|i| at > 0 && i / 7 % 5 != 0) {
            let to = moved(target(i), at * 80);
            put(&mut tree, &semantic_name(i), alias(raw(to).0, &base_name(to)));
        }
        bytes += write(&dir.join(format!("theme-{theme}.tokens.json")), &Value::Object(tree))?;
    }
    let file = |name: &str| json!({"$ref": format!("{name}.tokens.json")});
    let contexts: Map<String, Value> =
        THEMES.iter().map(|t| ((*t).to_owned(), json!([file(&format!("theme-{t}"))]))).collect();
    let resolver = json!({
        "version": "2025.10",
        "name": "Benchmark",
        "sets": {"all": {"sources": [file("base"), file("semantic"), file("component")]}},
        "modifiers": {"theme": {"default": THEMES[0], "contexts": contexts}},
        "resolutionOrder": [{"$ref": "#/sets/all"}, {"$ref": "#/modifiers/theme"}],
    });
    Ok(bytes + write(&dir.join("set.resolver.json"), &resolver)?)
}
