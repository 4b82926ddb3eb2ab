use std::fmt::Write;

use super::{BuildOptions, Plan, comment};
use crate::{Combination, Type};

fn declare(plan: &Plan<'_>, out: &mut String, indent: &str, token: usize, value: u32) {
    let Some(name) = plan.name(token) else { return };
    plan.declarations(value, |part, css| {
        out.push_str(indent);
        out.push_str("--");
        out.push_str(name);
        if !part.is_empty() {
            out.push('-');
            out.push_str(part);
        }
        out.push_str(": ");
        out.push_str(css);
        out.push_str(";\n");
    });
}

/// `theme` → `data-theme`; what cannot stand in an attribute's name becomes a dash.
fn attribute(modifier: &str) -> String {
    let name: String = modifier
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("data-{name}")
}

fn chosen(modifier: &str, context: &str) -> String {
    format!("[{}=\"{}\"]", attribute(modifier), context.replace(['"', '\\', '\n'], ""))
}

/// Elements to which a combination applies: all attributes on one element, or each on one around the next.
fn selector(plan: &Plan<'_>, combination: Combination) -> String {
    let parts: Vec<String> = plan.resolved.contexts(combination).map(|(m, c)| chosen(m, c)).collect();
    match parts.as_slice() {
        [one, two] => format!("{one}{two},\n{one} {two},\n{two} {one}"),
        parts => parts.concat(),
    }
}

/// Custom properties: the defaults on the root, then what differs for each combination. Values are written out rather
/// than referred to, because a property that refers to another is computed where it is defined and would not follow an
/// attribute further down.
pub(super) fn css(plan: &Plan<'_>, options: &BuildOptions) -> String {
    let mut out = String::with_capacity(plan.resolved.tokens.len() * 64);
    if !plan.resolved.name.is_empty() {
        let _ = writeln!(out, "/* {} */", comment(&plan.resolved.name));
    }
    out.push_str(":root {\n");
    for (at, _, value) in plan.defaults() {
        if let Some(deprecated) = &plan.resolved.tokens[at].deprecated {
            let instead = deprecated.replaced_by.as_ref().map(|r| format!("; use {r}")).unwrap_or_default();
            let why =
                if deprecated.reason.is_empty() { String::new() } else { format!(": {}", deprecated.reason) };
            let _ = writeln!(out, "  /* deprecated{}{} */", comment(&why), comment(&instead));
        }
        declare(plan, &mut out, "  ", at, value);
    }
    out.push_str("}\n");
    // The default context inside another one: light inside dark.
    for (m, modifier) in plan.resolved.modifiers.iter().enumerate() {
        let own: Vec<_> =
            plan.defaults().filter(|(at, ..)| plan.resolved.tokens[*at].modifiers == 1 << m).collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{} {{", chosen(&modifier.name, &modifier.contexts[0]));
        for (at, _, value) in own {
            declare(plan, &mut out, "  ", at, value);
        }
        out.push_str("}\n");
    }
    for (combination, tokens) in &plan.differing {
        let _ = writeln!(out, "\n{} {{", selector(plan, *combination));
        for (at, value) in tokens {
            declare(plan, &mut out, "  ", *at as usize, *value);
        }
        out.push_str("}\n");
        media(plan, &mut out, options, *combination, tokens);
    }
    out
}

/// The same for those whose browser asks for a context, as long as no attribute says otherwise. `:where` keeps the rule
/// at the weight of the one it stands for.
fn media(
    plan: &Plan<'_>,
    out: &mut String,
    options: &BuildOptions,
    combination: Combination,
    tokens: &[(u32, u32)],
) {
    let contexts: Vec<(&str, &str)> = plan.resolved.contexts(combination).collect();
    let by_media: Vec<_> = contexts
        .iter()
        .filter_map(|(m, c)| Some((*m, options.media.get(&format!("{m}={c}"))?.as_str())))
        .collect();
    for subset in 1_u32..1 << by_media.len().min(4) {
        let picked: Vec<_> =
            by_media.iter().enumerate().filter(|(i, _)| subset & (1 << i) != 0).map(|(_, m)| *m).collect();
        let query = picked.iter().map(|(_, q)| *q).collect::<Vec<_>>().join(" and ");
        let unset: String = picked.iter().map(|(m, _)| format!(":not([{}])", attribute(m))).collect();
        let rest: String = contexts
            .iter()
            .filter(|(m, _)| !picked.iter().any(|(p, _)| p == m))
            .map(|(m, c)| chosen(m, c))
            .collect();
        let weight = ":root".repeat(picked.len());
        let _ = writeln!(out, "\n@media {query} {{\n  {weight}{rest}:where({unset}) {{");
        for (at, value) in tokens {
            declare(plan, out, "    ", *at as usize, *value);
        }
        out.push_str("  }\n}\n");
    }
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
                if crate::css_value::parts(plan.value(value)).iter().any(|(p, _)| *p == "line-height") {
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
