use std::fmt::Write;

use super::{
    plan::Plan,
    sink::{Out, comment, push},
};
use crate::json::{quote, quoted};

fn entries(plan: &Plan<'_>, out: &mut Out<'_>, tokens: impl Iterator<Item = (usize, u32)>) {
    for (at, value) in tokens {
        out.push_str("  ");
        quote(out, &plan.resolved.tokens[at].name);
        out.push_str(": ");
        quote(out, plan.css(value));
        out.push_str(",\n");
        out.step();
    }
}

/// An ES module: values, references to custom properties, and what differs in each combination.
pub(super) fn module(plan: &Plan<'_>, out: &mut Out<'_>) {
    out.push_str(
        "/** CSS values by token, in the default contexts. */\nexport const tokens = Object.freeze({\n",
    );
    entries(plan, out, plan.defaults().map(|(at, _, value)| (at, value)));
    out.push_str("});\n\n/** References to custom properties by token: they follow themes. */\nexport const vars = Object.freeze({\n");
    for (at, name, _) in plan.defaults() {
        out.push_str("  ");
        quote(out, &plan.resolved.tokens[at].name);
        push(out, &[": \"var(--", name, ")\",\n"]);
        out.step();
    }
    out.push_str("});\n\n/** The modifiers with their contexts, the default one first. */\nexport const modifiers = Object.freeze({\n");
    for modifier in &plan.resolved.modifiers {
        let contexts: Vec<String> = modifier.contexts.iter().map(|c| quoted(c)).collect();
        let _ = writeln!(out, "  {}: [{}],", quoted(&modifier.name), contexts.join(", "));
    }
    out.push_str("});\n\n/** What differs from the defaults, by combination of contexts. */\nexport const contexts = Object.freeze({\n");
    for (combination, differing) in &plan.differing {
        let _ = writeln!(out, "  {}: Object.freeze({{", quoted(&plan.resolved.shown(*combination)));
        entries(plan, out, differing.iter().map(|(at, value)| (*at as usize, *value)));
        out.push_str("  }),\n");
    }
    out.push_str(
        "});\n\n/** The CSS value of a token in contexts such as `{ theme: \"dark\" }`: the most specific one counts. */\n\
         export function token(name, chosen = {}) {\n  let value = tokens[name];\n  for (const [shown, differing] of Object.entries(contexts)) {\n    \
         if (!(name in differing)) continue;\n    const applies = shown.split(\", \").every((one) => {\n      const at = one.indexOf(\"=\");\n      \
         return chosen[one.slice(0, at)] === one.slice(at + 1);\n    });\n    if (applies) value = differing[name];\n  }\n  return value;\n}\n",
    );
}

/// The types of the module.
pub(super) fn types(plan: &Plan<'_>, out: &mut Out<'_>) {
    out.push_str("/** CSS values by token, in the default contexts. */\nexport declare const tokens: {\n");
    for (at, _, value) in plan.defaults() {
        let token = &plan.resolved.tokens[at];
        let mut note = token.description.as_deref().map(comment).unwrap_or_default();
        if let Some(d) = &token.deprecated {
            if !note.is_empty() {
                note.push(' ');
            }
            let instead = d.replaced_by.as_ref().map(|r| format!("use {r}")).unwrap_or_default();
            let gap = if d.reason.is_empty() || instead.is_empty() { "" } else { " " };
            let _ = write!(note, "@deprecated {}{gap}{}", comment(&d.reason), comment(&instead));
        }
        if !note.is_empty() {
            let _ = writeln!(out, "  /** {} */", note.trim());
        }
        out.push_str("  readonly ");
        quote(out, &token.name);
        out.push_str(": ");
        quote(out, plan.css(value));
        out.push_str(";\n");
        out.step();
    }
    out.push_str("};\n\n/** The name of a token. */\nexport type TokenName = keyof typeof tokens;\n\n");
    out.push_str("/** References to custom properties by token: they follow themes. */\nexport declare const vars: { readonly [name in TokenName]: string };\n\n");
    out.push_str("/** The modifiers with their contexts, the default one first. */\nexport declare const modifiers: {\n");
    for modifier in &plan.resolved.modifiers {
        let contexts: Vec<String> = modifier.contexts.iter().map(|c| quoted(c)).collect();
        let _ = writeln!(out, "  readonly {}: readonly [{}];", quoted(&modifier.name), contexts.join(", "));
    }
    out.push_str("};\n\n/** A context for each modifier. */\nexport type Contexts = { [name in keyof typeof modifiers]?: (typeof modifiers)[name][number] };\n\n");
    out.push_str("/** What differs from the defaults, by combination of contexts. */\nexport declare const contexts: { readonly [combination: string]: { readonly [name in TokenName]?: string } };\n\n");
    out.push_str("/** The CSS value of a token in contexts: the most specific one counts. */\nexport declare function token(name: TokenName, chosen?: Contexts): string;\n");
}

/// Variables, a map of all, and a map for each combination.
pub(super) fn scss(plan: &Plan<'_>, out: &mut Out<'_>) {
    for (_, name, value) in plan.defaults() {
        plan.declarations(value, |part, css| {
            let dash = if part.is_empty() { "" } else { "-" };
            let _ = writeln!(out, "${name}{dash}{part}: {css};");
        });
        out.step();
    }
    out.push_str("\n$tokens: (\n");
    for (_, name, value) in plan.defaults() {
        push(out, &["  \"", name, "\": (", plan.css(value), "),\n"]);
        out.step();
    }
    out.push_str(");\n");
    for (combination, differing) in &plan.differing {
        let suffix: String = plan
            .resolved
            .shown(*combination)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        let _ = writeln!(out, "\n$tokens-{suffix}: (");
        for (at, value) in differing {
            if let Some(name) = plan.name(*at as usize) {
                push(out, &["  \"", name, "\": (", plan.css(*value), "),\n"]);
                out.step();
            }
        }
        out.push_str(");\n");
    }
}
