//! Custom properties that are right on every element, however contexts lie around one another.
//!
//! An element has one context of each modifier: that of its own attribute, or else the one it inherits. So
//! - what no modifier changes is declared on the root;
//! - what one modifier changes is declared wherever that modifier's attribute is, for every context, the default one too;
//! - what several modifiers change is declared wherever any of their attributes is, as a choice between its values
//!   that is made there, from switches which each attribute sets and which are inherited.
//!
//! A switch is `initial` when it is on and empty when it is off: `var(--theme-is-dark, X)` is `X` or nothing.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    names::attribute,
    plan::{BuildOptions, Plan},
    sink::{Out, comment, push},
};
use crate::{Modifier, Token, Type, Value, value::css_value};

/// A modifier as the style sheet knows it.
struct Switch {
    attribute: String,
    /// What matches each context, the default one first.
    chosen: Vec<String>,
    /// The names of the switches that are on in a context, and of those that are on outside it, without dashes before.
    is: Vec<String>,
    not: Vec<String>,
    /// Those that a declaration reads: a bit for each context.
    is_used: u32,
    not_used: u32,
    /// Contexts that a media query chooses, by growing strength.
    media: Vec<(usize, String)>,
}

impl Switch {
    /// The lines that switch to a context.
    fn lines(&self, context: usize, indent: &str) -> String {
        let mut out = String::new();
        let both = [(&self.is, self.is_used, true), (&self.not, self.not_used, false)];
        for (names, used, on_there) in both {
            for (at, name) in names.iter().enumerate().filter(|(at, _)| used & (1 << at) != 0) {
                let on = (at == context) == on_there;
                let _ = writeln!(out, "{indent}--{name}: {};", if on { "initial" } else { "" });
            }
        }
        out
    }
}

/// The context with more contrast wins where two are asked for at once: who needs it cannot do without.
fn strength(query: &str) -> u8 {
    u8::from(query.contains("prefers-contrast") || query.contains("forced-colors"))
}

struct Sheet<'p> {
    plan: &'p Plan<'p>,
    switches: Vec<Switch>,
    /// A variable nobody defines, without dashes before it: what refers to it is not defined either.
    nothing: String,
    constant: String,
    /// By modifier and set of contexts: what has one value in all of these. Sets with the default context come first.
    single: BTreeMap<(usize, bool, u32), String>,
    /// By modifier and the position of a media query.
    media: BTreeMap<(usize, usize), String>,
    /// By the set of modifiers.
    several: BTreeMap<u32, String>,
}

/// The value of a variable in one combination; `None` where it has none.
type Text<'a> = Option<&'a str>;

impl<'p> Sheet<'p> {
    fn new(plan: &'p Plan<'p>, options: &BuildOptions) -> Self {
        let dash = if options.prefix.is_empty() { "" } else { "-" };
        let prefix = format!("{}{dash}", options.prefix);
        let free = |mut name: String| {
            while plan.names.iter().any(|n| n.starts_with(&name)) {
                name.push('-');
            }
            name
        };
        let switch = |modifier: &Modifier| {
            let attribute = attribute(&modifier.name);
            let chosen = |context: &String| {
                let mut out = format!("[{attribute}=");
                css_value::string(&mut out, context);
                out.push(']');
                out
            };
            let mut words: Vec<String> = Vec::with_capacity(modifier.contexts.len());
            for (at, context) in modifier.contexts.iter().enumerate() {
                let word = attribute_word(context);
                words.push(if word.is_empty() || words.contains(&word) { at.to_string() } else { word });
            }
            let word = &attribute["data-".len()..];
            let names = |kind: &str| {
                let stem = free(format!("{prefix}{word}-{kind}-"));
                words.iter().map(|w| format!("{stem}{w}")).collect()
            };
            let mut media: Vec<(usize, String)> = modifier
                .contexts
                .iter()
                .enumerate()
                .filter_map(|(at, c)| {
                    Some((at, options.media.get(&format!("{}={c}", modifier.name))?.clone()))
                })
                .collect();
            media.sort_by_key(|(at, query)| (strength(query), *at));
            Switch {
                chosen: modifier.contexts.iter().map(chosen).collect(),
                is: names("is"),
                not: names("not"),
                is_used: 0,
                not_used: 0,
                media,
                attribute,
            }
        };
        Self {
            plan,
            switches: plan.resolved.modifiers.iter().map(switch).collect(),
            nothing: free(format!("{prefix}undefined")),
            constant: String::new(),
            single: BTreeMap::new(),
            media: BTreeMap::new(),
            several: BTreeMap::new(),
        }
    }

    /// Places every custom property of a token: its own, and those of its parts.
    fn token(&mut self, at: usize) {
        let plan = self.plan;
        let token = &plan.resolved.tokens[at];
        let Some(name) = plan.name(at) else { return };
        let note = note(token);
        if token.modifiers == 0 {
            if let Some((_, value)) = token.variants.first() {
                self.constant.push_str(&note);
                plan.declarations(*value, |part, text| line(&mut self.constant, "  ", name, part, text));
            }
            return;
        }
        let modifiers: Vec<usize> =
            (0..self.switches.len()).filter(|m| token.modifiers & (1 << m) != 0).collect();
        let counts: Vec<usize> = modifiers.iter().map(|m| self.switches[*m].chosen.len()).collect();
        let mut values: Vec<Option<u32>> = vec![None; counts.iter().product()];
        for (combination, value) in &token.variants {
            let mut index = 0;
            for (m, count) in modifiers.iter().zip(&counts).rev() {
                index = index * count + plan.resolved.digit(*combination, *m);
            }
            values[index] = Some(*value);
        }
        let texts: Vec<Text<'_>> = values.iter().map(|v| v.map(|v| plan.css(v))).collect();
        self.variable((name, ""), &note, &modifiers, &counts, &texts);
        // A part that only some contexts have must not be left over from another one.
        let mut parts: BTreeMap<u32, Vec<(&'static str, String)>> = BTreeMap::new();
        for value in values.iter().flatten() {
            if matches!(plan.value(*value), Value::Typography(_)) {
                parts.entry(*value).or_insert_with(|| css_value::parts(plan.value(*value)));
            }
        }
        for part in css_value::PARTS.into_iter().filter(|_| !parts.is_empty()) {
            let text = |value: &Option<u32>| -> Text<'_> {
                let parts = parts.get(&(*value)?)?;
                parts.iter().find(|(p, _)| *p == part).map(|(_, text)| text.as_str())
            };
            let texts: Vec<Text<'_>> = values.iter().map(text).collect();
            if texts.iter().any(Option::is_some) {
                self.variable((name, part), "", &modifiers, &counts, &texts);
            }
        }
    }

    /// Places one custom property with its text in every combination of its modifiers, the first changing fastest.
    fn variable(
        &mut self,
        (name, part): (&str, &str),
        note: &str,
        modifiers: &[usize],
        counts: &[usize],
        texts: &[Text<'_>],
    ) {
        let mut stride = 1;
        let mut changing = Vec::new();
        for (m, count) in modifiers.iter().zip(counts) {
            if (0..texts.len()).any(|i| texts[i] != texts[i - (i / stride % count) * stride]) {
                changing.push((*m, *count, stride));
            }
            stride *= count;
        }
        match changing[..] {
            [] => {
                self.constant.push_str(note);
                line(&mut self.constant, "  ", name, part, texts[0].unwrap_or("initial"));
            }
            [(m, count, stride)] => {
                let text = |context: usize| texts[context * stride].unwrap_or("initial");
                let mut left: u32 = (1 << count) - 1;
                while left != 0 {
                    let first = left.trailing_zeros() as usize;
                    let same = (first..count)
                        .filter(|c| texts[c * stride] == texts[first * stride])
                        .fold(0, |set, c| set | 1 << c);
                    left &= !same;
                    let rule = self.single.entry((m, same & 1 == 0, same)).or_default();
                    if first == 0 {
                        rule.push_str(note);
                    }
                    line(rule, "  ", name, part, text(first));
                }
                let mut changed = false;
                for (at, (context, _)) in self.switches[m].media.iter().enumerate() {
                    changed |= texts[context * stride] != texts[0];
                    if changed {
                        let rule = self.media.entry((m, at)).or_default();
                        line(rule, "    ", name, part, text(*context));
                    }
                }
            }
            _ => {
                let mask = changing.iter().fold(0, |mask, (m, ..)| mask | 1 << m);
                // Only what the changing modifiers choose between.
                let count: usize = changing.iter().map(|(_, count, _)| count).product();
                let own: Vec<Text<'_>> = (0..count)
                    .map(|mut i| {
                        let mut at = 0;
                        for (_, count, stride) in &changing {
                            at += i % count * stride;
                            i /= count;
                        }
                        texts[at]
                    })
                    .collect();
                let modifiers: Vec<usize> = changing.iter().map(|(m, ..)| *m).collect();
                let mut choice = String::new();
                self.choice(&mut choice, &modifiers, &own);
                let rule = self.several.entry(mask).or_default();
                rule.push_str(note);
                line(rule, "  ", name, part, &choice);
            }
        }
    }

    /// Writes the choice between texts: the last modifier outermost, contexts with the same values once.
    fn choice(&mut self, out: &mut String, modifiers: &[usize], texts: &[Text<'_>]) {
        let same = texts.iter().all(|t| *t == texts[0]);
        let Some((m, inner)) = modifiers.split_last().filter(|_| !same) else {
            match texts[0] {
                Some(text) => out.push_str(text),
                None => {
                    let _ = write!(out, "var(--{})", self.nothing);
                }
            }
            return;
        };
        let count = self.switches[*m].chosen.len();
        let chunks: Vec<&[Text<'_>]> = texts.chunks(texts.len() / count).collect();
        let mut left: u32 = (1 << count) - 1;
        let mut before = "";
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let same =
                (first..count).filter(|c| chunks[*c] == chunks[first]).fold(0_u32, |set, c| set | 1 << c);
            left &= !same;
            let mut value = String::new();
            self.choice(&mut value, inner, chunks[first]);
            if same.count_ones() as usize == count {
                return out.push_str(&value);
            }
            let switch = &mut self.switches[*m];
            let others = ((1 << count) - 1) & !same;
            // In each of these contexts once, or once outside all the others, whichever is shorter.
            let name = switch.is[first].len() + 8;
            let outside = others.count_ones() as usize * name + value.len();
            if same.count_ones() == 1 || same.count_ones() as usize * (name + value.len()) <= outside {
                for context in (0..count).filter(|c| same & (1 << c) != 0) {
                    switch.is_used |= 1 << context;
                    let _ = write!(out, "{before}var(--{}, {value})", switch.is[context]);
                    before = " ";
                }
            } else {
                out.push_str(before);
                before = " ";
                for context in (0..count).filter(|c| others & (1 << c) != 0) {
                    switch.not_used |= 1 << context;
                    let _ = write!(out, "var(--{}, ", switch.not[context]);
                }
                out.push_str(&value);
                out.extend(std::iter::repeat_n(')', others.count_ones() as usize));
            }
        }
    }

    fn write(self, out: &mut Out<'_>) {
        let Self { switches, constant, single, media, several, .. } = self;
        if !constant.is_empty() {
            out.push_str(":root {\n");
            out.long(&constant);
            out.push_str("}\n");
        }
        for (m, switch) in switches.iter().enumerate() {
            for context in 0..switch.chosen.len() {
                let lines = switch.lines(context, "  ");
                if !lines.is_empty() {
                    let root = if context == 0 { ":root,\n" } else { "" };
                    let _ = write!(out, "\n{root}{} {{\n{lines}}}\n", switch.chosen[context]);
                }
            }
            for ((_, without_default, contexts), lines) in single.range((m, false, 0)..(m + 1, false, 0)) {
                let root = if *without_default { "" } else { ":root,\n" };
                let chosen: Vec<&str> = (0..switch.chosen.len())
                    .filter(|c| contexts & (1 << c) != 0)
                    .map(|c| switch.chosen[c].as_str())
                    .collect();
                push(out, &["\n", root, &chosen.join(",\n"), " {\n"]);
                out.long(lines);
                out.push_str("}\n");
            }
        }
        for (mask, lines) in &several {
            let any: String = switches
                .iter()
                .enumerate()
                .filter(|(m, _)| mask & (1 << m) != 0)
                .map(|(_, s)| format!(",\n[{}]", s.attribute))
                .collect();
            push(out, &["\n:root", &any, " {\n"]);
            out.long(lines);
            out.push_str("}\n");
        }
        // For those whose browser asks for a context, as long as no attribute on the root says otherwise. `:where` keeps
        // the rule at the weight of those it stands beside.
        for (m, switch) in switches.iter().enumerate() {
            for (at, (context, query)) in switch.media.iter().enumerate() {
                let lines = media.get(&(m, at)).map_or("", String::as_str);
                let switched = switch.lines(*context, "    ");
                if lines.is_empty() && switched.is_empty() {
                    continue;
                }
                let root = format!("  :root:where(:not([{}])) {{\n", switch.attribute);
                push(out, &["\n@media ", query, " {\n", &root, &switched]);
                out.long(lines);
                out.push_str("  }\n}\n");
            }
        }
    }
}

fn line(out: &mut String, indent: &str, name: &str, part: &str, value: &str) {
    let dash = if part.is_empty() { "" } else { "-" };
    push(out, &[indent, "--", name, dash, part, ": ", value, ";\n"]);
}

/// Says that a token is deprecated, before the declaration of its default value.
fn note(token: &Token) -> String {
    let Some(deprecated) = &token.deprecated else { return String::new() };
    let instead = deprecated.replaced_by.as_ref().map(|r| format!("; use {r}")).unwrap_or_default();
    let why = if deprecated.reason.is_empty() { String::new() } else { format!(": {}", deprecated.reason) };
    format!("  /* deprecated{}{} */\n", comment(&why), comment(&instead))
}

fn attribute_word(context: &str) -> String {
    attribute(context)["data-".len()..].trim_matches('-').to_owned()
}

/// The style sheet; see the head of this file. Values are written out rather than referred to, because a property that
/// refers to another is computed where it is declared and would not follow an attribute further down.
pub(super) fn css(plan: &Plan<'_>, options: &BuildOptions, out: &mut Out<'_>) {
    if !plan.resolved.name.is_empty() {
        let _ = writeln!(out, "/* {} */", comment(&plan.resolved.name));
    }
    let mut sheet = Sheet::new(plan, options);
    for at in 0..plan.resolved.tokens.len() {
        sheet.token(at);
    }
    sheet.write(out);
}

/// A theme for Tailwind 4: its namespaces refer to the custom properties, so that contexts go on working.
pub(super) fn tailwind(plan: &Plan<'_>) -> String {
    let mut out = String::from("@import \"./tokens.css\";\n\n@theme inline {\n");
    for (at, name, value) in plan.defaults() {
        let namespace = match plan.resolved.tokens[at].ty {
            Type::Color => "color",
            Type::Dimension => {
                let last_is = |words: &[&str]| words.iter().any(|w| name.contains(w));
                if last_is(&["radius", "rounded", "corner"]) {
                    "radius"
                } else if last_is(&["font-size", "text-size"]) {
                    "text"
                } else {
                    "spacing"
                }
            }
            Type::FontFamily => "font",
            Type::FontWeight => "font-weight",
            Type::Shadow => "shadow",
            Type::CubicBezier => "ease",
            Type::Typography => {
                let _ = writeln!(out, "  --text-{name}: var(--{name}-font-size);");
                if css_value::parts(plan.value(value)).iter().any(|(p, _)| *p == "line-height") {
                    let _ = writeln!(out, "  --text-{name}--line-height: var(--{name}-line-height);");
                }
                continue;
            }
            _ => continue,
        };
        let _ = writeln!(out, "  --{namespace}-{name}: var(--{name});");
    }
    out.push_str("}\n");
    out
}
