use std::{collections::BTreeSet, fmt::Write};

use super::plan::Plan;
use crate::{Color, Value};

/// `semantic-color-text` as an identifier: `semanticColorText`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    for (at, word) in name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if at > 0 => out.extend(first.to_uppercase()),
            Some(first) => out.push(first),
            None => {}
        }
        out.push_str(letters.as_str());
    }
    if out.is_empty() || out.starts_with(|c: char| c.is_numeric()) {
        out.insert(0, '_');
    }
    out
}

/// Words that Swift does not take as a name without backticks.
const SWIFT_WORDS: &str = " Any Protocol Self Type actor as associatedtype await break case catch class continue default defer deinit do dynamic else enum \
    extension fallthrough false fileprivate final for func get guard if import in indirect infix init inout internal is lazy let mutating nil \
    nonisolated nonmutating open operator optional override package postfix precedencegroup prefix private protocol public repeat required rethrows \
    return self set some static struct subscript super switch throw throws true try typealias unowned var weak where while willSet didSet ";
/// The same for Kotlin: its hard keywords.
const KOTLIN_WORDS: &str = " as break class continue do else false for fun if in interface is null object package return super this throw true try \
    typealias typeof val var when while ";

/// A name as it is written: a keyword between backticks.
fn escaped(name: &str, words: &str) -> String {
    if words.split(' ').any(|word| word == name) { format!("`{name}`") } else { name.to_owned() }
}

/// A text between quotes; what its language would read as something else is escaped, with `control` for control characters.
fn text(value: &str, interpolation: Option<char>, control: impl Fn(u32) -> String) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if Some(c) == interpolation => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&control(c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn swift_text(value: &str) -> String {
    text(value, None, |c| format!("\\u{{{c:x}}}"))
}

fn kotlin_text(value: &str) -> String {
    text(value, Some('$'), |c| format!("\\u{c:04x}"))
}

fn pascal(name: &str) -> String {
    let name = camel(name);
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// At least one decimal, so that a number is not taken for an integer.
fn float(value: f64) -> String {
    let rounded = (value * 1e5).round() / 1e5;
    if rounded.fract() == 0.0 { format!("{rounded:.1}") } else { rounded.to_string() }
}

struct Dialect {
    words: &'static str,
    open: fn(&str) -> String,
    line: fn(&str, &Value) -> Option<String>,
}

/// One object with the defaults, and one for each combination with what differs there.
fn objects(plan: &Plan<'_>, out: &mut String, dialect: &Dialect) {
    let defaults: Vec<_> = plan.defaults().map(|(at, _, value)| (at as u32, value)).collect();
    let mut objects = vec![("Tokens".to_owned(), &defaults)];
    for (combination, tokens) in &plan.differing {
        objects.push((format!("Tokens{}", pascal(&plan.resolved.shown(*combination))), tokens));
    }
    let mut names = BTreeSet::new();
    for (mut name, tokens) in objects {
        while !names.insert(name.clone()) {
            name.push('_');
        }
        let mut taken = BTreeSet::new();
        let _ = writeln!(out, "\n{} {{", (dialect.open)(&name));
        for (at, value) in tokens {
            let Some(css) = plan.name(*at as usize) else { continue };
            let mut identifier = camel(css);
            // Dashes go, so that names which differ in them alone meet here.
            while !taken.insert(identifier.clone()) {
                identifier.push('_');
            }
            let identifier = escaped(&identifier, dialect.words);
            if let Some(line) = (dialect.line)(&identifier, plan.value(*value)) {
                let _ = writeln!(out, "    {line}");
            }
        }
        out.push_str("}\n");
    }
}

pub(super) fn swift(plan: &Plan<'_>) -> String {
    let mut out = String::from("import SwiftUI\n");
    let dialect = Dialect {
        words: SWIFT_WORDS,
        open: |name| format!("public enum {name}"),
        line: |name, value| {
            let (ty, text) = match value {
                Value::Color(c) => {
                    let [r, g, b] = c.srgb().map(float);
                    let alpha = float(c.alpha);
                    ("Color", format!("Color(.sRGB, red: {r}, green: {g}, blue: {b}, opacity: {alpha})"))
                }
                Value::Dimension(d) => ("CGFloat", float(d.px()?)),
                Value::Duration(ms) => ("TimeInterval", float(ms / 1000.0)),
                Value::Number(n) | Value::FontWeight(n) => ("Double", float(*n)),
                Value::FontFamily(families) => {
                    let families: Vec<String> = families.iter().map(|f| swift_text(f)).collect();
                    ("[String]", format!("[{}]", families.join(", ")))
                }
                Value::CubicBezier([a, b, c, d]) => (
                    "UnitCurve",
                    format!(
                        "UnitCurve.bezier(startControlPoint: UnitPoint(x: {}, y: {}), endControlPoint: UnitPoint(x: {}, y: {}))",
                        float(*a),
                        float(*b),
                        float(*c),
                        float(*d)
                    ),
                ),
                Value::Text(text) => ("String", swift_text(text)),
                Value::Boolean(b) => ("Bool", b.to_string()),
                _ => return None,
            };
            Some(format!("public static let {name}: {ty} = {text}"))
        },
    };
    objects(plan, &mut out, &dialect);
    out
}

pub(super) fn kotlin(plan: &Plan<'_>) -> String {
    let mut out = String::from(
        "package design.tokens\n\nimport androidx.compose.animation.core.CubicBezierEasing\nimport androidx.compose.ui.graphics.Color\n\
         import androidx.compose.ui.text.font.FontWeight\nimport androidx.compose.ui.unit.dp\n",
    );
    let dialect = Dialect {
        words: KOTLIN_WORDS,
        open: |name| format!("object {name}"),
        line: |name, value| {
            let argb = |c: &Color| {
                let [r, g, b] = c.srgb().map(|c| (c * 255.0).round() as u8);
                format!("Color(0x{:02X}{r:02X}{g:02X}{b:02X})", (c.alpha * 255.0).round() as u8)
            };
            let text = match value {
                Value::Color(c) => argb(c),
                Value::Dimension(d) => format!("{}.dp", float(d.px()?)),
                Value::Duration(ms) => format!("{}L", ms.round()),
                Value::Number(n) => float(*n),
                Value::FontWeight(n) => format!("FontWeight({})", n.round()),
                Value::FontFamily(families) => {
                    let families: Vec<String> = families.iter().map(|f| kotlin_text(f)).collect();
                    format!("listOf({})", families.join(", "))
                }
                Value::CubicBezier(b) => {
                    let [a, b, c, d] = b.map(float);
                    format!("CubicBezierEasing({a}f, {b}f, {c}f, {d}f)")
                }
                Value::Text(text) => kotlin_text(text),
                Value::Boolean(b) => b.to_string(),
                _ => return None,
            };
            Some(format!("val {name} = {text}"))
        },
    };
    objects(plan, &mut out, &dialect);
    out
}
