use std::{collections::hash_map::Entry, fmt::Write};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    plan::{Plan, Texts},
    sink::{Out, push},
};
use crate::{
    Color, Dimension, Shadow, StrokeStyle, Token, Value,
    json::{quote, quoted},
};

/// A number as JSON has it; what JSON cannot hold is 0.
fn num(value: f64) -> impl std::fmt::Display {
    if value.is_finite() { value } else { 0.0 }
}

fn write_num(out: &mut String, value: f64) {
    let _ = write!(out, "{}", num(value));
}

fn color(out: &mut String, c: &Color) {
    let _ = write!(out, "{{\"colorSpace\":\"{}\",\"components\":[", c.space.word());
    for (at, component) in c.components.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match component {
            Some(value) => write_num(out, *value),
            None => out.push_str("\"none\""),
        }
    }
    let _ = write!(out, "],\"alpha\":{},\"hex\":\"", num(c.alpha));
    match c.fallback {
        Some([r, g, b]) => {
            let _ = write!(out, "#{r:02x}{g:02x}{b:02x}");
        }
        None => Color { alpha: 1.0, ..*c }.write_hex(out),
    }
    out.push_str("\"}");
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

/// What the format does not know of a value, behind what it knows.
fn rest(out: &mut String, rest: Option<&str>) {
    if let Some(rest) = rest {
        push(out, &[",", rest]);
    }
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
    rest(out, s.rest.as_deref());
    out.push('}');
}

/// A value in the format, as JSON.
pub(crate) fn dtcg_value(out: &mut String, value: &Value) {
    match value {
        Value::Color(c) => color(out, c),
        Value::Dimension(d) => dimension(out, d),
        Value::FontFamily(families) => list(out, families, |o, f| quote(o, f)),
        Value::FontWeight(n) | Value::Number(n) => write_num(out, *n),
        Value::Duration(ms) => duration(out, *ms),
        Value::CubicBezier(b) => list(out, b, |o, n| write_num(o, *n)),
        Value::StrokeStyle(style) => stroke(out, style),
        Value::Border(b) => {
            out.push_str("{\"color\":");
            color(out, &b.color);
            out.push_str(",\"width\":");
            dimension(out, &b.width);
            out.push_str(",\"style\":");
            stroke(out, &b.style);
            rest(out, b.rest.as_deref());
            out.push('}');
        }
        Value::Transition(t) => {
            out.push_str("{\"duration\":");
            duration(out, t.duration);
            out.push_str(",\"delay\":");
            duration(out, t.delay);
            out.push_str(",\"timingFunction\":");
            list(out, &t.timing, |o, n| write_num(o, *n));
            rest(out, t.rest.as_deref());
            out.push('}');
        }
        Value::Shadow(shadows) => match shadows.as_slice() {
            [one] => shadow(out, one),
            many => list(out, many, shadow),
        },
        Value::Gradient(stops) => list(out, stops, |o, stop| {
            o.push_str("{\"color\":");
            color(o, &stop.color);
            let _ = write!(o, ",\"position\":{}", num(stop.position));
            rest(o, stop.rest.as_deref());
            o.push('}');
        }),
        Value::Typography(t) => {
            out.push_str("{\"fontFamily\":");
            list(out, &t.family, |o, f| quote(o, f));
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
            rest(out, t.rest.as_deref());
            out.push('}');
        }
        Value::Text(text) => quote(out, text),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
    }
}

/// Every value in the format, written once for all tokens that have it.
pub(super) fn values(plan: &Plan<'_>) -> Texts {
    Texts::of(plan.resolved.values.iter(), dtcg_value)
}

fn pair(out: &mut String, plan: &Plan<'_>, values: &Texts, value: u32) {
    out.push_str("\"css\":");
    quote(out, plan.css(value));
    push(out, &[",\"value\":", values.get(value as usize)]);
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
pub(super) fn resolved(plan: &Plan<'_>, values: &Texts, out: &mut Out<'_>) {
    let _ = write!(out, "{{\n\"name\": {},\n\"modifiers\": ", quoted(&plan.resolved.name));
    list(out, &plan.resolved.modifiers, |o, m| {
        let _ = write!(o, "{{\"name\":{},\"contexts\":", quoted(&m.name));
        list(o, &m.contexts, |o, c| quote(o, c));
        o.push('}');
    });
    let shown: Vec<String> = plan.differing.iter().map(|(c, _)| quoted(&plan.resolved.shown(*c))).collect();
    // Token, combination, value; combinations stay in their order.
    let mut differing: Vec<(u32, usize, u32)> = plan
        .differing
        .iter()
        .enumerate()
        .flat_map(|(at, (_, tokens))| tokens.iter().map(move |(token, value)| (*token, at, *value)))
        .collect();
    differing.sort_unstable();
    let mut differing = differing.into_iter().peekable();
    out.push_str(",\n\"tokens\": {");
    let mut first = true;
    for (at, token) in plan.resolved.tokens.iter().enumerate() {
        out.push_str(if first { "\n" } else { ",\n" });
        first = false;
        quote(out, &token.name);
        push(out, &[": {\"type\":\"", token.ty.word(), "\""]);
        if let Some(name) = plan.name(at) {
            push(out, &[",\"variable\":\"--", name, "\""]);
        }
        if let Some((0, value)) = token.variants.first() {
            out.push(',');
            pair(out, plan, values, *value);
        }
        if let Some(alias) = token.alias_of {
            out.push_str(",\"alias\":");
            quote(out, &plan.resolved.tokens[alias as usize].name);
        }
        notes(out, token);
        for (name, value) in plan.set.extras(&token.name) {
            // `$extensions` is `extensions` here; what stands beside it has its own name.
            out.push(',');
            quote(out, name.trim_start_matches('$'));
            out.push(':');
            value.write(out);
        }
        let mut before = ",\"contexts\":{";
        while let Some((_, combination, value)) = differing.next_if(|d| d.0 == at as u32) {
            push(out, &[before, &shown[combination], ":{"]);
            pair(out, plan, values, value);
            out.push('}');
            before = ",";
        }
        out.push_str(if before == "," { "}}" } else { "}" });
        out.step();
    }
    out.push_str("\n}\n}\n");
}

/// A group, or a token, in the tree of names.
struct Node<'a> {
    name: &'a str,
    token: Option<(usize, u32)>,
    first: Option<u32>,
    last: u32,
    next: Option<u32>,
}

/// The tree of names; children in the order in which they came.
struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    /// The groups, and tokens that are groups too. Any other token has its place once, and is never looked for.
    by_name: FxHashMap<(u32, &'a str), u32>,
}

impl<'a> Tree<'a> {
    fn child(&mut self, parent: u32, name: &'a str) -> u32 {
        match self.by_name.entry((parent, name)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                free.insert(self.nodes.len() as u32);
                self.add(parent, name)
            }
        }
    }

    fn add(&mut self, parent: u32, name: &'a str) -> u32 {
        let new = self.nodes.len() as u32;
        self.nodes.push(Node { name, token: None, first: None, last: new, next: None });
        let Node { first, last, .. } = &mut self.nodes[parent as usize];
        let before = std::mem::replace(last, new);
        match first {
            None => *first = Some(new),
            Some(_) => self.nodes[before as usize].next = Some(new),
        }
        new
    }
}

/// The group of a token, and its name there.
fn split(token: &Token) -> (&str, &str) {
    token.name.rsplit_once('.').unwrap_or(("", &token.name))
}

/// The format itself, in the default contexts, without references: for tools that follow none.
pub(super) fn dtcg(plan: &Plan<'_>, values: &Texts, out: &mut Out<'_>) {
    let tokens = &plan.resolved.tokens;
    // Most tokens lie in the group of the one before.
    let mut groups: FxHashSet<&str> = FxHashSet::default();
    let mut group = "";
    for token in tokens {
        let (mut path, _) = split(token);
        if path != group {
            group = path;
            while groups.insert(path) {
                let Some((outer, _)) = path.rsplit_once('.') else { break };
                path = outer;
            }
        }
    }
    let root = Node { name: "", token: None, first: None, last: 0, next: None };
    let mut all = Tree { nodes: Vec::with_capacity(tokens.len()), by_name: FxHashMap::default() };
    all.nodes.push(root);
    let (mut group, mut within) = ("", 0);
    for (at, token) in tokens.iter().enumerate() {
        let Some((0, value)) = token.variants.first() else { continue };
        let (path, name) = split(token);
        if path != group {
            group = path;
            within = path.split('.').filter(|_| !path.is_empty()).fold(0, |node, step| all.child(node, step));
        }
        let node =
            if groups.contains(&*token.name) { all.child(within, name) } else { all.add(within, name) };
        all.nodes[node as usize].token = Some((at, *value));
    }
    let mut written = Written { plan, values, nodes: &all.nodes, path: String::new() };
    written.tree(out, 0, 0);
    out.push('\n');
}

struct Written<'a> {
    plan: &'a Plan<'a>,
    values: &'a Texts,
    nodes: &'a [Node<'a>],
    /// The group that is written.
    path: String,
}

impl Written<'_> {
    fn tree(&mut self, out: &mut Out<'_>, here: u32, depth: usize) {
        let here = &self.nodes[here as usize];
        if let Some((at, value)) = here.token {
            let token = &self.plan.resolved.tokens[at];
            push(out, &["{\"$type\":\"", token.ty.word(), "\",\"$value\":", self.values.get(value as usize)]);
            if let Some(description) = &token.description {
                out.push_str(",\"$description\":");
                quote(out, description);
            }
            if let Some(d) = &token.deprecated {
                let shown = if d.reason.is_empty() { "true".to_owned() } else { quoted(&d.reason) };
                let _ = write!(out, ",\"$deprecated\":{shown}");
            }
            for (name, value) in self.plan.set.extras(&token.name) {
                out.push(',');
                quote(out, name);
                out.push(':');
                value.write(out);
            }
            out.push('}');
            out.step();
            return;
        }
        out.push('{');
        let mut before = "\n";
        let indent = |out: &mut String, depth: usize| {
            for _ in 0..depth {
                out.push_str("  ");
            }
        };
        for (name, value) in self.plan.set.group_extras(&self.path) {
            out.push_str(before);
            before = ",\n";
            indent(out, depth + 1);
            quote(out, name);
            out.push_str(": ");
            value.write(out);
        }
        let mut next = here.first;
        while let Some(at) = next {
            out.push_str(before);
            before = ",\n";
            indent(out, depth + 1);
            let node = &self.nodes[at as usize];
            quote(out, node.name);
            out.push_str(": ");
            let outer = self.path.len();
            if outer > 0 {
                self.path.push('.');
            }
            self.path.push_str(node.name);
            self.tree(out, at, depth + 1);
            self.path.truncate(outer);
            next = node.next;
        }
        out.push('\n');
        indent(out, depth);
        out.push('}');
    }
}
