use std::fmt::Write;

use rustc_hash::FxHashMap;

use super::{Plan, quoted};
use crate::{Color, Dimension, Resolved, Shadow, StrokeStyle, Token, Value};

/// A number as JSON has it; what JSON cannot hold is 0.
fn num(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { "0".to_owned() }
}

fn color(out: &mut String, c: &Color) {
    let _ = write!(out, "{{\"colorSpace\":\"{}\",\"components\":[", c.space.word());
    for (at, component) in c.components.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match component {
            Some(value) => out.push_str(&num(*value)),
            None => out.push_str("\"none\""),
        }
    }
    let opaque = Color { alpha: 1.0, ..*c };
    let _ = write!(out, "],\"alpha\":{},\"hex\":\"{}\"}}", num(c.alpha), opaque.hex());
}

fn dimension(out: &mut String, d: &Dimension) {
    let _ = write!(out, "{{\"value\":{},\"unit\":\"{}\"}}", num(d.value), d.unit.word());
}

fn duration(out: &mut String, ms: f64) {
    let _ = write!(out, "{{\"value\":{},\"unit\":\"ms\"}}", num(ms));
}

fn list<T>(out: &mut String, items: &[T], mut one: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        one(out, item);
    }
    out.push(']');
}

fn stroke(out: &mut String, style: &StrokeStyle) {
    match style {
        StrokeStyle::Named(name) => {
            let _ = write!(out, "\"{name}\"");
        }
        StrokeStyle::Dashes(dashes, cap) => {
            out.push_str("{\"dashArray\":");
            list(out, dashes, dimension);
            let _ = write!(out, ",\"lineCap\":\"{cap}\"}}");
        }
    }
}

fn shadow(out: &mut String, s: &Shadow) {
    out.push_str("{\"color\":");
    color(out, &s.color);
    for (name, d) in [("offsetX", &s.x), ("offsetY", &s.y), ("blur", &s.blur), ("spread", &s.spread)] {
        let _ = write!(out, ",\"{name}\":");
        dimension(out, d);
    }
    if s.inset {
        out.push_str(",\"inset\":true");
    }
    out.push('}');
}

/// A value in the format, as JSON.
pub(crate) fn dtcg_value(out: &mut String, value: &Value) {
    match value {
        Value::Color(c) => color(out, c),
        Value::Dimension(d) => dimension(out, d),
        Value::FontFamily(families) => list(out, families, |o, f| o.push_str(&quoted(f))),
        Value::FontWeight(n) | Value::Number(n) => out.push_str(&num(*n)),
        Value::Duration(ms) => duration(out, *ms),
        Value::CubicBezier(b) => list(out, b, |o, n| o.push_str(&num(*n))),
        Value::StrokeStyle(style) => stroke(out, style),
        Value::Border(b) => {
            out.push_str("{\"color\":");
            color(out, &b.color);
            out.push_str(",\"width\":");
            dimension(out, &b.width);
            out.push_str(",\"style\":");
            stroke(out, &b.style);
            out.push('}');
        }
        Value::Transition(t) => {
            out.push_str("{\"duration\":");
            duration(out, t.duration);
            out.push_str(",\"delay\":");
            duration(out, t.delay);
            out.push_str(",\"timingFunction\":");
            list(out, &t.timing, |o, n| o.push_str(&num(*n)));
            out.push('}');
        }
        Value::Shadow(shadows) => match shadows.as_slice() {
            [one] => shadow(out, one),
            many => list(out, many, shadow),
        },
        Value::Gradient(stops) => list(out, stops, |o, stop| {
            o.push_str("{\"color\":");
            color(o, &stop.color);
            let _ = write!(o, ",\"position\":{}}}", num(stop.position));
        }),
        Value::Typography(t) => {
            out.push_str("{\"fontFamily\":");
            list(out, &t.family, |o, f| o.push_str(&quoted(f)));
            out.push_str(",\"fontSize\":");
            dimension(out, &t.size);
            let _ = write!(out, ",\"fontWeight\":{}", num(t.weight));
            if let Some(spacing) = &t.spacing {
                out.push_str(",\"letterSpacing\":");
                dimension(out, spacing);
            }
            if let Some(height) = t.line_height {
                let _ = write!(out, ",\"lineHeight\":{}", num(height));
            }
            out.push('}');
        }
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
    }
}

fn pair(out: &mut String, plan: &Plan<'_>, value: u32) {
    let _ = write!(out, "\"css\":{},\"value\":", quoted(&plan.css[value as usize]));
    dtcg_value(out, plan.value(value));
}

fn notes(out: &mut String, token: &Token) {
    if let Some(description) = &token.description {
        let _ = write!(out, ",\"description\":{}", quoted(description));
    }
    if let Some(d) = &token.deprecated {
        let _ = write!(out, ",\"deprecated\":{{\"reason\":{}", quoted(&d.reason));
        for (name, text) in [("replaced_by", &d.replaced_by), ("sunset", &d.sunset)] {
            if let Some(text) = text {
                let _ = write!(out, ",\"{name}\":{}", quoted(text));
            }
        }
        out.push('}');
    }
}

/// Every token by name with its type, its CSS and its value, and what differs in each combination of contexts.
pub(super) fn resolved(plan: &Plan<'_>) -> String {
    let mut out = String::with_capacity(plan.resolved.tokens.len() * 160);
    let _ = write!(out, "{{\n\"name\": {},\n\"modifiers\": ", quoted(&plan.resolved.name));
    list(&mut out, &plan.resolved.modifiers, |o, m| {
        let _ = write!(o, "{{\"name\":{},\"contexts\":", quoted(&m.name));
        list(o, &m.contexts, |o, c| o.push_str(&quoted(c)));
        o.push('}');
    });
    let mut by_token: FxHashMap<u32, Vec<(String, u32)>> = FxHashMap::default();
    for (combination, tokens) in &plan.differing {
        let shown = plan.resolved.shown(*combination);
        for (token, value) in tokens {
            by_token.entry(*token).or_default().push((shown.clone(), *value));
        }
    }
    out.push_str(",\n\"tokens\": {");
    let mut first = true;
    for (at, token) in plan.resolved.tokens.iter().enumerate() {
        out.push_str(if first { "\n" } else { ",\n" });
        first = false;
        let _ = write!(out, "{}: {{\"type\":\"{}\"", quoted(&token.name), token.ty);
        if let Some(name) = &plan.names[at] {
            let _ = write!(out, ",\"variable\":\"--{name}\"");
        }
        if let Some((0, value)) = token.variants.first() {
            out.push(',');
            pair(&mut out, plan, *value);
        }
        if let Some(alias) = token.alias_of {
            let _ = write!(out, ",\"alias\":{}", quoted(&plan.resolved.tokens[alias as usize].name));
        }
        notes(&mut out, token);
        if let Some(contexts) = by_token.get(&(at as u32)) {
            out.push_str(",\"contexts\":{");
            for (n, (shown, value)) in contexts.iter().enumerate() {
                let _ = write!(out, "{}{}:{{", if n > 0 { "," } else { "" }, quoted(shown));
                pair(&mut out, plan, *value);
                out.push('}');
            }
            out.push('}');
        }
        out.push('}');
    }
    out.push_str("\n}\n}\n");
    out
}

#[derive(Default)]
struct Tree<'a> {
    children: Vec<(&'a str, Tree<'a>)>,
    by_name: FxHashMap<&'a str, usize>,
    token: Option<(usize, u32)>,
}

/// The format itself, in the default contexts, without references: for tools that follow none.
pub(super) fn dtcg(plan: &Plan<'_>) -> String {
    let mut root = Tree::default();
    for (at, token) in plan.resolved.tokens.iter().enumerate() {
        let Some((0, value)) = token.variants.first() else { continue };
        let mut here = &mut root;
        for step in token.name.split('.') {
            let next = match here.by_name.get(step) {
                Some(next) => *next,
                None => {
                    here.children.push((step, Tree::default()));
                    here.by_name.insert(step, here.children.len() - 1);
                    here.children.len() - 1
                }
            };
            here = &mut here.children[next].1;
        }
        here.token = Some((at, *value));
    }
    let mut out = String::with_capacity(plan.resolved.tokens.len() * 120);
    tree(&mut out, plan.resolved, &root, 0);
    out.push('\n');
    out
}

fn tree(out: &mut String, resolved: &Resolved, here: &Tree<'_>, depth: usize) {
    if let Some((at, value)) = here.token {
        let token = &resolved.tokens[at];
        let _ = write!(out, "{{\"$type\":\"{}\",\"$value\":", token.ty);
        dtcg_value(out, &resolved.values[value as usize]);
        if let Some(description) = &token.description {
            let _ = write!(out, ",\"$description\":{}", quoted(description));
        }
        if let Some(d) = &token.deprecated {
            let shown = if d.reason.is_empty() { "true".to_owned() } else { quoted(&d.reason) };
            let _ = write!(out, ",\"$deprecated\":{shown}");
        }
        out.push('}');
        return;
    }
    out.push_str("{\n");
    for (at, (name, child)) in here.children.iter().enumerate() {
        for _ in 0..=depth {
            out.push_str("  ");
        }
        let _ = write!(out, "{}: ", quoted(name));
        tree(out, resolved, child, depth + 1);
        out.push_str(if at + 1 < here.children.len() { ",\n" } else { "\n" });
    }
    for _ in 0..depth {
        out.push_str("  ");
    }
    out.push('}');
}
