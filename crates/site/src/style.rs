use std::{collections::BTreeSet, fmt::Write};

use ashlar_model::Files;
use ashlar_tokens::{BuildOptions, Config, Modifier, Output, Resolved, TokenSet, build};

use crate::components::Components;

/// One style sheet for a site: the tokens it uses, its own rules, those of its components. Layers keep the order of
/// strength apart from the order of files.
pub(crate) fn style(files: &Files, components: &Components) -> (String, Vec<Modifier>) {
    let mut rules = String::from("@layer tokens, site, components;\n");
    let mut own = String::new();
    for (path, bytes) in files.iter().filter(|(p, _)| p.starts_with("site/") && p.ends_with(".css")) {
        let _ = writeln!(own, "/* {path} */\n{}", String::from_utf8_lossy(bytes));
    }
    let mut of_components = String::new();
    for component in components.iter() {
        if let Some(style) = &component.style {
            let _ = writeln!(of_components, "/* {} */\n{style}", component.name);
        }
    }
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (path, bytes) in files.iter().filter(|(p, _)| p.starts_with("site/") || p.starts_with("components/"))
    {
        if path.ends_with(".css") || path.ends_with(".html") || path.ends_with(".svg") {
            let text = String::from_utf8_lossy(bytes);
            used.extend(ashlar_tokens::variables(&text).map(|(_, name)| name.to_owned()));
        }
    }
    let (tokens, modifiers) = tokens(files, &used);
    let _ = write!(
        rules,
        "@layer tokens {{\n{tokens}}}\n@layer site {{\n{own}}}\n@layer components {{\n{of_components}}}\n"
    );
    (squeeze(&rules), modifiers)
}

fn tokens(files: &Files, used: &BTreeSet<String>) -> (String, Vec<Modifier>) {
    let Some(set) = TokenSet::of_project(files) else { return Default::default() };
    let config = Config::of_project(files).unwrap_or_default();
    let (mut resolved, set, _) = set.resolve();
    let options: BuildOptions = config.options(&resolved);
    keep(&mut resolved, used, &config);
    let (files, _) = build(&resolved, &set, &[Output::Css], &options);
    (files.into_iter().next().map(|f| f.text).unwrap_or_default(), resolved.modifiers)
}

/// Leaves only the tokens that are used: what nobody reads is not sent.
fn keep(resolved: &mut Resolved, used: &BTreeSet<String>, config: &Config) {
    resolved.retain(|token| {
        let name = ashlar_tokens::css_name(&config.prefix, &token.name);
        used.iter().any(|u| *u == name || u.strip_prefix(&name).is_some_and(|rest| rest.starts_with('-')))
    });
}

/// Without comments and indentation; strings stay as they are.
fn squeeze(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    let mut quote: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        if let Some(q) = quote {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            if c == '\\' {
                if let Some(next) = rest.chars().next() {
                    out.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            } else if c == q {
                quote = None;
            }
            continue;
        }
        if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |at| &rest[at + 2..]);
            continue;
        }
        if c.is_whitespace() {
            let trimmed = rest.trim_start();
            let after_punctuation = out.ends_with(['{', '}', ';', ',']) || out.is_empty();
            // Older readers want a blank as the value of a custom property that has none.
            let empty_value = out.ends_with(':') && trimmed.starts_with([';', '}']);
            let needless =
                after_punctuation || trimmed.starts_with(['{', '}', ';', ',']) || trimmed.is_empty();
            if !needless || empty_value {
                out.push(' ');
            }
            rest = trimmed;
            continue;
        }
        if matches!(c, '"' | '\'') {
            quote = Some(c);
        }
        if c == '}' && out.ends_with(';') {
            out.pop();
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::squeeze;

    #[test]
    fn style_sheets_lose_nothing_that_counts() {
        for (css, expected) in [
            ("a {\n  color: red;\n}\n", "a{color: red}"),
            ("a > b, c  d { x: 1 ; }", "a > b,c d{x: 1}"),
            (
                "/* note */ a::before { content: \"/* ; } */ \\\"  \"; }",
                "a::before{content: \"/* ; } */ \\\"  \"}",
            ),
            (":root { --off: ; --on: initial; }", ":root{--off: ;--on: initial}"),
            ("a { width: calc(1px + 2px) }", "a{width: calc(1px + 2px)}"),
            (
                "@media (min-width: 1px) and (max-width: 2px) { a { b: c } }",
                "@media (min-width: 1px) and (max-width: 2px){a{b: c}}",
            ),
            ("a { /* open", "a{"),
        ] {
            assert_eq!(squeeze(css), expected);
        }
    }
}
