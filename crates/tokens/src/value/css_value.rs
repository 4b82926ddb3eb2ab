use std::fmt::Write;

use crate::{
    Border, Dimension, Shadow, StrokeStyle, Transition, Value,
    value::number::{Number, number},
};

fn dimension(out: &mut String, d: &Dimension) {
    if d.value == 0.0 {
        out.push('0');
        out.push_str(d.unit.css());
    } else {
        let _ = write!(out, "{}{}", Number(d.value), d.unit.css());
    }
}

fn bezier(out: &mut String, [a, b, c, d]: &[f64; 4]) {
    let _ = write!(out, "cubic-bezier({}, {}, {}, {})", Number(*a), Number(*b), Number(*c), Number(*d));
}

/// Families as CSS: quoted, but for the generic ones.
pub(crate) fn family(out: &mut String, families: &[Box<str>]) {
    const GENERIC: [&str; 14] = [
        "serif",
        "sans-serif",
        "monospace",
        "cursive",
        "fantasy",
        "system-ui",
        "ui-serif",
        "ui-sans-serif",
        "ui-monospace",
        "ui-rounded",
        "math",
        "emoji",
        "fangsong",
        "-apple-system",
    ];
    for (at, name) in families.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        // A whole list in one text, as older sets have it, is CSS already when each of its names can be read.
        match css_list(name) {
            _ if GENERIC.contains(&&**name) => out.push_str(name),
            Some(names) => {
                for (at, (name, quoted)) in names.into_iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    let plain = name.split(' ').all(|word| {
                        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-')
                            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                    });
                    if plain && !quoted { out.push_str(name) } else { string(out, name) }
                }
            }
            None => string(out, name),
        }
    }
}

/// The names in a text that is a list of families, or one quoted family, and whether each was quoted. `None` for a text
/// that is one name, such as `Bob's Hand`.
fn css_list(text: &str) -> Option<Vec<(&str, bool)>> {
    let mut names = Vec::new();
    let mut rest = text;
    let mut any_quoted = false;
    loop {
        rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (name, after) = match quote {
            Some(quote) => {
                let (name, after) = rest[1..].split_once(quote)?;
                (name, after.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim(), &rest[end..])
            }
        };
        if name.is_empty() || (quote.is_none() && name.contains(['"', '\''])) {
            return None;
        }
        any_quoted |= quote.is_some();
        names.push((name, quote.is_some()));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return (any_quoted || names.len() > 1).then_some(names),
            None => return None,
        }
    }
}

/// A CSS string; what could end it or the style sheet is escaped.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("\\3c "),
            c if c.is_control() => {
                let _ = write!(out, "\\{:x} ", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn stroke(style: &StrokeStyle) -> &'static str {
    match style {
        StrokeStyle::Named(name) => name,
        StrokeStyle::Dashes(..) => "dashed",
    }
}

fn shadow(out: &mut String, s: &Shadow) {
    if s.inset {
        out.push_str("inset ");
    }
    for d in [&s.x, &s.y, &s.blur, &s.spread] {
        dimension(out, d);
        out.push(' ');
    }
    s.color.write_css(out);
}

/// Writes a value as CSS: what may stand behind the colon of a custom property.
pub(crate) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Color(color) => color.write_css(out),
        Value::Dimension(d) => dimension(out, d),
        Value::FontFamily(families) => family(out, families),
        Value::FontWeight(n) | Value::Number(n) => {
            let _ = write!(out, "{}", Number(*n));
        }
        Value::Duration(ms) => {
            let _ = write!(out, "{}ms", Number(*ms));
        }
        Value::CubicBezier(b) => bezier(out, b),
        Value::StrokeStyle(style) => out.push_str(stroke(style)),
        Value::Border(border) => {
            let Border { color, width, style, .. } = &**border;
            dimension(out, width);
            let _ = write!(out, " {} ", stroke(style));
            color.write_css(out);
        }
        Value::Transition(Transition { duration, delay, timing, .. }) => {
            let _ = write!(out, "{}ms ", Number(*duration));
            bezier(out, timing);
            let _ = write!(out, " {}ms", Number(*delay));
        }
        Value::Shadow(shadows) => {
            for (at, s) in shadows.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                shadow(out, s);
            }
        }
        Value::Gradient(stops) => {
            for (at, stop) in stops.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                stop.color.write_css(out);
                let _ = write!(out, " {}%", number(stop.position * 100.0));
            }
        }
        Value::Typography(t) => {
            let _ = write!(out, "{} ", number(t.weight));
            dimension(out, &t.size);
            if let Some(height) = t.line_height {
                let _ = write!(out, "/{}", number(height));
            }
            out.push(' ');
            family(out, &t.family);
        }
        Value::Text(text) => {
            // A word may stand as it is; anything else is a string.
            if !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '%' | '.'))
            {
                out.push_str(text);
            } else {
                string(out, text);
            }
        }
        Value::Boolean(value) => out.push_str(if *value { "1" } else { "0" }),
    }
}

/// The names of all parts, in the order in which they are written.
pub(crate) const PARTS: [&str; 5] =
    ["font-family", "font-size", "font-weight", "line-height", "letter-spacing"];

/// The parts of a composite value that CSS needs one by one: `font-size` and so on, each with its text.
pub(crate) fn parts(value: &Value) -> Vec<(&'static str, String)> {
    let text = |f: &dyn Fn(&mut String)| {
        let mut out = String::new();
        f(&mut out);
        out
    };
    match value {
        Value::Typography(t) => {
            let mut parts = vec![
                ("font-family", text(&|o| family(o, &t.family))),
                ("font-size", text(&|o| dimension(o, &t.size))),
                ("font-weight", number(t.weight)),
            ];
            if let Some(height) = t.line_height {
                parts.push(("line-height", number(height)));
            }
            if let Some(spacing) = &t.spacing {
                parts.push(("letter-spacing", text(&|o| dimension(o, spacing))));
            }
            parts
        }
        _ => Vec::new(),
    }
}

impl Value {
    /// The value as CSS.
    pub fn css(&self) -> String {
        let mut out = String::new();
        write(&mut out, self);
        out
    }
}
