use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::Value;

use super::shapes::{Definition, Member, Type, pascal, union};

const KEYWORDS: [&str; 38] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where",
    "while",
];

/// Types for `serde`. They need the crates `serde` (with `derive`) and `serde_json`.
pub(super) fn write_rust(definitions: &[Definition]) -> String {
    let mut writer = Writer { out: String::new(), used: BTreeSet::new(), circles: circles(definitions) };
    writer.out.push_str(
        "// Written by `ashlar contracts types --lang rust`. Changes belong into the contracts and views.\n\n\
         use serde::{Deserialize, Serialize};\n",
    );
    writer.used.extend(definitions.iter().map(|d| d.name.clone()));
    for definition in definitions {
        writer.define(&definition.name, &definition.doc, &definition.kind);
    }
    writer.out
}

/// Names that lead back to themselves: they are boxed.
fn circles(definitions: &[Definition]) -> BTreeSet<String> {
    fn named<'t>(kind: &'t Type, out: &mut BTreeSet<&'t str>) {
        match kind {
            Type::Named(name) => drop(out.insert(name)),
            // A list is a box already, but a name inside one may lead on.
            Type::List(of) | Type::Dictionary(of) => named(of, out),
            Type::Object(members) => members.iter().for_each(|m| named(&m.kind, out)),
            Type::Union(list) | Type::Both(list) => list.iter().for_each(|k| named(k, out)),
            _ => {}
        }
    }
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for definition in definitions {
        named(&definition.kind, next.entry(&definition.name).or_default());
    }
    let leads_back = |start: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut waiting: Vec<&str> = next.get(start).into_iter().flatten().copied().collect();
        while let Some(name) = waiting.pop() {
            if name == start {
                return true;
            }
            if seen.insert(name) {
                waiting.extend(next.get(name).into_iter().flatten());
            }
        }
        false
    };
    next.keys().filter(|n| leads_back(n)).map(|n| (*n).to_owned()).collect()
}

struct Writer {
    out: String,
    used: BTreeSet<String>,
    circles: BTreeSet<String>,
}

fn comment(text: &str, pad: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{pad}/// {text}\n") }
}

impl Writer {
    fn define(&mut self, name: &str, doc: &str, kind: &Type) {
        const DERIVE: &str = "#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]\n";
        match kind {
            Type::Object(members) => {
                let mut body = String::new();
                let mut names = BTreeSet::new();
                for member in members {
                    body.push_str(&self.member(name, member, &mut names));
                }
                let _ = write!(self.out, "\n{}{DERIVE}pub struct {name} {{\n{body}}}\n", comment(doc, ""));
            }
            Type::Union(list) if texts(list).is_some() => {
                let mut body = String::new();
                let mut names = BTreeSet::new();
                for text in texts(list).unwrap_or_default() {
                    let variant = unique(pascal(text), &mut names);
                    let _ =
                        write!(body, "    /// `{text}`\n    #[serde(rename = {text:?})]\n    {variant},\n");
                }
                let _ = write!(self.out, "\n{}{DERIVE}pub enum {name} {{\n{body}}}\n", comment(doc, ""));
            }
            Type::Literal(Value::String(_)) => {
                self.define(name, doc, &Type::Union(vec![kind.clone()]));
            }
            Type::Union(list) => {
                let mut body = String::new();
                let mut names = BTreeSet::new();
                for one in list {
                    let variant = unique(variant_of(one), &mut names);
                    let held = self.shown(one, &format!("{name}{variant}"));
                    let _ = write!(body, "    /// One of the forms.\n    {variant}({held}),\n");
                }
                let _ = write!(
                    self.out,
                    "\n{}{DERIVE}#[serde(untagged)]\npub enum {name} {{\n{body}}}\n",
                    comment(doc, "")
                );
            }
            kind => {
                let shown = self.shown(kind, &format!("{name}Value"));
                let _ = write!(self.out, "\n{}pub type {name} = {shown};\n", comment(doc, ""));
            }
        }
    }

    fn member(&mut self, parent: &str, member: &Member, names: &mut BTreeSet<String>) -> String {
        let mut snake = String::new();
        for c in member.name.chars() {
            if c.is_ascii_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            snake.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        }
        if snake.is_empty()
            || snake.starts_with(|c: char| c.is_ascii_digit())
            || KEYWORDS.contains(&snake.as_str())
        {
            snake.push('_');
        }
        if snake.starts_with(|c: char| c.is_ascii_digit()) {
            snake.insert(0, '_');
        }
        let snake = unique(snake, names);
        let (optional, kind) = match &member.kind {
            Type::Union(list) if list.contains(&Type::Null) => {
                (true, union(list.iter().filter(|k| **k != Type::Null).cloned().collect()))
            }
            kind => (!member.required, kind.clone()),
        };
        let shown = self.shown(&kind, &format!("{parent}{}", pascal(&member.name)));
        let mut out = comment(&member.doc, "    ");
        if member.doc.is_empty() {
            out.push_str(&format!("    /// `{}`\n", member.name));
        }
        if snake != member.name {
            let _ = writeln!(out, "    #[serde(rename = {:?})]", member.name);
        }
        match optional {
            true => {
                out.push_str("    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n");
                let _ = writeln!(out, "    pub {snake}: Option<{shown}>,");
            }
            false => {
                let _ = writeln!(out, "    pub {snake}: {shown},");
            }
        }
        out
    }

    /// A type where it is used; what has no name yet is defined under `name`.
    fn shown(&mut self, kind: &Type, name: &str) -> String {
        match kind {
            Type::Any | Type::Both(_) | Type::Literal(Value::Array(_) | Value::Object(_)) => {
                "serde_json::Value".to_owned()
            }
            Type::Null | Type::Literal(Value::Null) => "()".to_owned(),
            Type::Bool | Type::Literal(Value::Bool(_)) => "bool".to_owned(),
            Type::Number => "f64".to_owned(),
            Type::Literal(Value::Number(n)) if n.is_f64() => "f64".to_owned(),
            Type::Integer | Type::SmallInteger | Type::Literal(Value::Number(_)) => "i64".to_owned(),
            Type::Text | Type::Reference(_) => "String".to_owned(),
            Type::List(of) => format!("Vec<{}>", self.shown(of, &format!("{name}Item"))),
            Type::Dictionary(of) => {
                format!("std::collections::BTreeMap<String, {}>", self.shown(of, &format!("{name}Value")))
            }
            Type::Named(known) if self.circles.contains(known) => format!("Box<{known}>"),
            Type::Named(known) => known.clone(),
            Type::Object(_) | Type::Union(_) | Type::Literal(Value::String(_)) => {
                let name = unique(name.to_owned(), &mut self.used);
                self.define(&name, "", kind);
                name
            }
        }
    }
}

/// The texts of a union that has nothing else.
fn texts(list: &[Type]) -> Option<Vec<&str>> {
    list.iter()
        .map(|k| match k {
            Type::Literal(Value::String(text)) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn variant_of(kind: &Type) -> String {
    match kind {
        Type::Named(name) => name.clone(),
        Type::Text | Type::Reference(_) | Type::Literal(Value::String(_)) => "Text".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::Integer | Type::SmallInteger | Type::Literal(Value::Number(_)) => "Integer".to_owned(),
        Type::Bool | Type::Literal(Value::Bool(_)) => "Bool".to_owned(),
        // A member that says which form it is names it.
        Type::Object(members) => members
            .iter()
            .find_map(|m| match &m.kind {
                Type::Literal(Value::String(text)) if m.required => Some(pascal(text)),
                _ => None,
            })
            .unwrap_or_else(|| "Other".to_owned()),
        Type::List(_) => "List".to_owned(),
        Type::Null | Type::Literal(Value::Null) => "Null".to_owned(),
        _ => "Other".to_owned(),
    }
}

fn unique(name: String, used: &mut BTreeSet<String>) -> String {
    let mut free = name.clone();
    let mut number = 2;
    while !used.insert(free.clone()) {
        free = format!("{name}{number}");
        number += 1;
    }
    free
}
