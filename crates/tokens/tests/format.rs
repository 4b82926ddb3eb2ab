//! The format as it is written: what is read, and what is said about what cannot be.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fmt::Write;

use ashlar_model::Finding;
use ashlar_tokens::{BuildOptions, Output, Resolved, SourceFile, TokenSet, build};

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

fn read(text: &str) -> (Resolved, TokenSet, Vec<Finding>) {
    TokenSet::of_files("", vec![file("a.tokens.json", text)]).resolve()
}

fn resolver(document: &str, files: &[(&str, &str)]) -> (Resolved, TokenSet, Vec<Finding>) {
    let fetch = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".to_owned())
    };
    TokenSet::of_resolver(file("acme.resolver.json", document), &fetch).resolve()
}

fn shown(findings: &[Finding]) -> String {
    let mut out = String::new();
    for f in findings {
        let _ = writeln!(out, "{:?} {} [{}] {}\n    → {}", f.level, f.place, f.code, f.message, f.help);
    }
    out
}

fn css(resolved: &Resolved, name: &str) -> String {
    resolved.get(name).and_then(|t| resolved.default_value(t)).map_or_else(|| "-".to_owned(), |v| v.css())
}

const EVERYTHING: &str = r##"{
  "$schema": "https://www.designtokens.org/schemas/2025.10/format.json",
  "color": {
    "$type": "color",
    "ink": { "$value": { "colorSpace": "srgb", "components": [0.1, 0.2, 0.3] } },
    "p3": { "$value": { "colorSpace": "display-p3", "components": [1, 0.5, 0], "alpha": 0.5 } },
    "sea": { "$value": { "colorSpace": "oklch", "components": [0.6, 0.1, "none"], "hex": "#6f8796" } },
    "alias": { "$value": "{color.ink}" },
    "pointer": { "$ref": "#/color/p3/$value" },
    "mixed": { "$value": { "colorSpace": "srgb", "components": [{ "$ref": "#/color/ink/$value/components/2" }, 0, 0] } }
  },
  "space": {
    "$type": "dimension",
    "$root": { "$value": { "value": 1, "unit": "rem" } },
    "small": { "$value": { "value": 0.5, "unit": "rem" }, "$description": "between words" },
    "hair": { "$value": { "value": 1, "unit": "px" } }
  },
  "wide": { "$extends": "{space}", "small": { "$value": { "value": 0.75, "unit": "rem" } } },
  "font": { "$type": "fontFamily", "body": { "$value": ["Source Serif", "Georgia", "serif"] }, "one": { "$value": "Inter" } },
  "weight": { "$type": "fontWeight", "strong": { "$value": "semi-bold" }, "thin": { "$value": 150 } },
  "time": { "$type": "duration", "quick": { "$value": { "value": 0.2, "unit": "s" } } },
  "ease": { "out": { "$type": "cubicBezier", "$value": [0.2, 0, 0, 1] } },
  "ratio": { "$type": "number", "$value": 1.618 },
  "stroke": { "$type": "strokeStyle", "named": { "$value": "dashed" },
    "own": { "$value": { "dashArray": [{ "value": 2, "unit": "px" }, "{space.hair}"], "lineCap": "round" } } },
  "border": { "$type": "border", "$value": { "color": "{color.ink}", "width": "{space.hair}", "style": "{stroke.named}" } },
  "fade": { "$type": "transition", "$value": { "duration": "{time.quick}", "delay": { "value": 0, "unit": "ms" }, "timingFunction": "{ease.out}" } },
  "shadow": { "$type": "shadow",
    "one": { "$value": { "color": "{color.p3}", "offsetX": "{space.hair}", "offsetY": { "value": 2, "unit": "px" }, "blur": { "value": 4, "unit": "px" }, "spread": { "value": 0, "unit": "px" } } },
    "two": { "$value": ["{shadow.one}", { "color": "{color.ink}", "offsetX": { "value": 0, "unit": "px" }, "offsetY": { "value": 0, "unit": "px" }, "blur": { "value": 1, "unit": "px" }, "spread": { "value": 0, "unit": "px" }, "inset": true }] } },
  "dusk": { "$type": "gradient", "$value": [{ "color": "{color.ink}", "position": 0 }, { "color": "{color.sea}", "position": 1 }] },
  "text": { "$type": "typography", "$deprecated": "use body.text", "$value": { "fontFamily": "{font.body}", "fontSize": "{space.$root}", "fontWeight": "{weight.strong}", "letterSpacing": { "value": 0, "unit": "px" }, "lineHeight": "{ratio}" } }
}"##;

#[test]
fn every_type_in_every_output() {
    let (resolved, set, findings) = read(EVERYTHING);
    assert_eq!(shown(&findings), "");
    let all = Output::ALL.map(|(output, _)| output);
    let (files, findings) = build(&resolved, &set, &all, &BuildOptions::default());
    assert_eq!(shown(&findings), "");
    let mut text = String::new();
    for file in files {
        let _ = writeln!(text, "==== {}\n{}", file.path, file.text);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_built_is_read_again_as_the_same() {
    let (resolved, set, _) = read(EVERYTHING);
    let (files, _) = build(&resolved, &set, &[Output::Json], &BuildOptions::default());
    let dtcg = files.iter().find(|f| f.path == "tokens.dtcg.json").unwrap();
    let (again, _, findings) = read(&dtcg.text);
    assert_eq!(shown(&findings), "");
    assert_eq!(again.tokens.len(), resolved.tokens.len());
    for token in &resolved.tokens {
        assert_eq!(css(&again, &token.name), css(&resolved, &token.name), "{}", token.name);
        assert_eq!(again.get(&token.name).unwrap().ty, token.ty);
    }
}

#[test]
fn the_older_style_is_read_with_a_warning() {
    let (resolved, _, findings) = read(
        r##"{ "c": { "$type": "color", "$value": "#1a2b3c" }, "d": { "$type": "dimension", "$value": "16px" }, "t": { "$type": "duration", "$value": "200ms" },
        "w": { "$type": "fontWeight", "$value": "700" }, "l": { "$type": "typography", "$value": { "fontFamily": "A, serif", "fontSize": "20px", "lineHeight": "30px" } } }"##,
    );
    let values: Vec<String> = ["c", "d", "t", "w", "l"].map(|n| css(&resolved, n)).to_vec();
    assert_eq!(values.join(" | "), "#1a2b3c | 16px | 200ms | 700 | 400 20px/1.5 A, serif");
    insta::assert_snapshot!(shown(&findings), @r#"
    Warning a.tokens.json [token-old-style] 6 values in the older style, such as `#1a2b3c`.
        → write objects, such as { "value": 16, "unit": "px" }, or colours with `colorSpace` and `components`
    "#);
}

#[test]
fn what_cannot_be_read_is_reported_with_its_place() {
    let mut all = String::new();
    for text in [
        "{ \"a\": }",
        "[]",
        "{ \"a\": { \"$value\": 1, \"$type\": \"number\" }, \"a\": { \"$value\": 2 } }",
        "{\n \"a\": {\n  \"$type\": \"colour\", \"$value\": 1 } }",
        "{ \"a\": { \"$value\": 1 } }",
        "{ \"a\": { \"$type\": \"number\", \"$value\": \"{b}\" } }",
        "{ \"blue\": { \"$type\": \"number\", \"$value\": 1 }, \"a\": { \"$value\": \"{bleu}\" }, \"g\": { \"$value\": \"{h}\" }, \"h\": { \"i\": { \"$type\": \"number\", \"$value\": 1 } } }",
        "{ \"$type\": \"number\",\n \"a\": { \"$value\": \"{b}\" },\n \"b\": { \"$value\": \"{c}\" },\n \"c\": { \"$value\": \"{a}\" }, \"d\": { \"$value\": \"{d}\" } }",
        "{ \"a\": { \"$type\": \"dimension\", \"$value\": { \"value\": 1, \"unit\": \"px\" } },\n \"b\": { \"$type\": \"color\", \"$value\": \"{a}\" } }",
        "{ \"a\": { \"$type\": \"color\", \"$value\": { \"colorSpace\": \"cmyk\", \"components\": [0, 0, 0] } } }",
        "{ \"a\": { \"$type\": \"color\", \"$value\": { \"colorSpace\": \"srgb\", \"components\": [0, 0] } } }",
        "{ \"a\": { \"$type\": \"color\", \"$value\": { \"colorSpace\": \"srgb\", \"components\": [0, 0, 2], \"alpha\": 3 } } }",
        "{ \"a\": { \"$type\": \"dimension\", \"$value\": { \"value\": 1, \"unit\": \"furlong\" } } }",
        "{ \"a\": { \"$type\": \"border\",\n \"$value\": { \"color\": \"#fff\",\n \"width\": true, \"style\": \"solid\" } } }",
        "{ \"a\": { \"$type\": \"shadow\", \"$value\": [{ \"color\": \"#fff\" }] } }",
        "{ \"a\": { \"$type\": \"cubicBezier\", \"$value\": [2, 0, 0, 1] } }",
        "{ \"a\": { \"$type\": \"fontWeight\", \"$value\": \"heavyish\" } }",
        "{ \"a\": { \"$type\": \"number\", \"$value\": { \"$ref\": \"#/b/$value\" } } }",
        "{ \"a\": { \"$type\": \"number\", \"$value\": 1, \"b\": { \"$value\": 1 } } }",
        "{ \"a\": { \"$type\": \"number\", \"$value\": 1, \"$ref\": \"#/b\" } }",
        "{ \"a.b\": { \"$type\": \"number\", \"$value\": 1 }, \"$root\": {}, \"x\": 3 }",
        "{ \"a\": { \"$extends\": \"{b}\" }, \"b\": { \"$extends\": \"{a}\" }, \"c\": { \"$extends\": \"{none}\" }, \"d\": { \"$extends\": 1 } }",
        "{ \"a\": { \"$colour\": 1, \"b\": { \"$type\": \"number\", \"$value\": 1, \"$note\": \"\" } } }",
    ] {
        let (_, _, findings) = read(text);
        assert!(!findings.is_empty(), "{text}");
        let _ = writeln!(all, "{text}\n{}", shown(&findings));
    }
    insta::assert_snapshot!(all);
}

const RESOLVER: &str = r##"{ "name": "Acme", "version": "2025.10",
  "sets": { "base": { "sources": [{ "$ref": "base.tokens.json" }] } },
  "modifiers": {
    "theme": { "contexts": { "light": [], "dark": [{ "$ref": "dark.tokens.json" }] }, "default": "light" },
    "density": { "contexts": { "regular": [], "compact": [{ "space": { "gap": { "$type": "dimension", "$value": { "value": 4, "unit": "px" } } } }] } } },
  "resolutionOrder": [{ "$ref": "#/sets/base" }, { "$ref": "#/modifiers/theme" }, { "$ref": "#/modifiers/density" }] }"##;
const BASE: &str = r##"{ "space": { "gap": { "$type": "dimension", "$value": { "value": 8, "unit": "px" } } },
  "color": { "$type": "color", "page": { "$value": { "colorSpace": "srgb", "components": [1, 1, 1] } }, "card": { "$value": "{color.page}" } },
  "edge": { "$type": "shadow", "$value": { "color": "{color.card}", "offsetX": "{space.gap}", "offsetY": "{space.gap}", "blur": { "value": 1, "unit": "px" } } } }"##;
const DARK: &str = r##"{ "color": { "page": { "$type": "color", "$value": { "colorSpace": "srgb", "components": [0, 0, 0] } } } }"##;

#[test]
fn contexts_change_what_depends_on_them_and_nothing_else() {
    let (resolved, set, findings) =
        resolver(RESOLVER, &[("base.tokens.json", BASE), ("dark.tokens.json", DARK)]);
    assert_eq!(shown(&findings), "");
    let options = BuildOptions { prefix: "x".into(), media: BuildOptions::usual_media(&resolved) };
    let (files, _) = build(&resolved, &set, &[Output::Css], &options);
    insta::assert_snapshot!(files[0].text);
}

#[test]
fn resolver_documents_that_cannot_be_used() {
    let mut all = String::new();
    for (from, to) in [
        ("\"version\": \"2025.10\",", ""),
        ("2025.10", "2026.01"),
        ("\"resolutionOrder\"", "\"order\""),
        ("#/modifiers/theme", "#/modifiers/themes"),
        ("base.tokens.json", "none.tokens.json"),
        ("\"default\": \"light\"", "\"default\": \"noon\""),
        ("\"$ref\": \"dark.tokens.json\"", "\"$ref\": \"https://example.com/dark.json\""),
        ("#/modifiers/density", "#/modifiers/theme"),
    ] {
        let document = RESOLVER.replacen(from, to, 1);
        let (_, _, findings) = resolver(&document, &[("base.tokens.json", BASE), ("dark.tokens.json", DARK)]);
        assert!(findings.iter().any(|f| f.code == "token-resolver"), "{from} {findings:?}");
        let _ = writeln!(all, "{from} → {to}\n{}", shown(&findings));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn names_that_meet_in_css_are_reported() {
    let (resolved, set, _) = read(
        "{ \"a-b\": { \"$type\": \"number\", \"$value\": 1 }, \"a\": { \"b\": { \"$type\": \"number\", \"$value\": 2 } } }",
    );
    let (_, findings) = build(&resolved, &set, &[Output::Css], &BuildOptions::default());
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].code, "token-clash");
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let text = " ".repeat(ashlar_tokens::FILE_BYTES_MAX + 1);
    let (_, _, findings) = read(&text);
    assert_eq!(findings[0].code, "token-too-large");
}

/// A document with a base and a dark theme, each as JSON.
fn themed(base: &str, dark: &str) -> (Resolved, TokenSet, Vec<Finding>) {
    let document = format!(
        r##"{{ "version": "2025.10", "sets": {{ "base": {{ "sources": [{base}] }} }},
        "modifiers": {{ "theme": {{ "contexts": {{ "light": [], "dark": [{dark}], "dusk": [] }} }} }},
        "resolutionOrder": [{{ "$ref": "#/sets/base" }}, {{ "$ref": "#/modifiers/theme" }}] }}"##
    );
    resolver(&document, &[])
}

#[test]
fn what_is_wrong_in_one_context_alone_is_an_error_that_names_it() {
    let mut all = String::new();
    for (base, dark) in [
        // An alias to what only the dark theme has, and a part of a value.
        (
            r##"{ "a": { "$type": "color", "$value": "{night}" } }"##,
            r##"{ "night": { "$type": "color", "$value": "#000" } }"##,
        ),
        (
            r##"{ "a": { "$type": "border", "$value": { "color": "{night}", "width": "1px", "style": "solid" } } }"##,
            r##"{ "night": { "$type": "color", "$value": "#000" } }"##,
        ),
        // One that leads nowhere in the dark theme.
        (
            r##"{ "a": { "$type": "color", "$value": "#fff" } }"##,
            r##"{ "a": { "$type": "color", "$value": "{none}" } }"##,
        ),
        // Another type in the dark theme, said and followed.
        (
            r##"{ "a": { "$type": "color", "$value": "#fff" }, "b": { "$value": "{a}" } }"##,
            r##"{ "a": { "$type": "number", "$value": 1 } }"##,
        ),
        (
            r##"{ "a": { "$type": "color", "$value": "#fff" }, "n": { "$type": "number", "$value": 1 }, "b": { "$type": "color", "$value": "{a}" } }"##,
            r##"{ "b": { "$type": "color", "$value": "{n}" } }"##,
        ),
    ] {
        let (_, _, findings) = themed(base, dark);
        let errors: Vec<Finding> =
            findings.into_iter().filter(|f| f.level == ashlar_model::Level::Error).collect();
        assert_eq!(errors.len(), 1, "{}", shown(&errors));
        let _ = writeln!(all, "{}", shown(&errors));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_other_tools_write_is_read_and_kept() {
    let (resolved, set, findings) = read(
        r##"{ "$extensions": { "org.example": { "mode": 1 } },
        "hero": { "$type": "dimension", "$value": { "value": 60, "unit": "vw" }, "$extensions": { "org.example": ["x", null] } },
        "line": { "$type": "dimension", "$value": "12pt" },
        "shade": { "$description": "Greys.", "ink": { "$type": "color", "$value": "#123456", "alpha": 0.5 },
          "faint": { "$type": "color", "$value": { "colorSpace": "oklch", "components": [0.5, 0.4, 150], "hex": "#0A7" } } },
        "body": { "$type": "typography", "$value": { "fontFamily": "Inter", "fontSize": "16px", "textCase": "upper", "tracking": "{line}" } } }"##,
    );
    insta::assert_snapshot!(shown(&findings));
    let (files, clashes) = build(&resolved, &set, &[Output::Json, Output::Css], &BuildOptions::default());
    assert_eq!(shown(&clashes), "");
    let file = |name: &str| &files.iter().find(|f| f.path == name).unwrap().text;
    for kept in [
        r##""$extensions": {"org.example":{"mode":1}}"##,
        r##""$extensions":{"org.example":["x",null]}"##,
        r##""alpha":0.5}"##,
        r##""hex":"#00aa77""##,
        r##""textCase":"upper","tracking":"12pt""##,
        r##""$description": "Greys.""##,
    ] {
        assert!(file("tokens.dtcg.json").contains(kept), "{kept}\n{}", file("tokens.dtcg.json"));
    }
    assert!(file("tokens.json").contains(r##""extensions":{"org.example":["x",null]}"##));
    assert!(file("tokens.css").contains("--hero: 60vw;"));
    let (again, _, _) = read(file("tokens.dtcg.json"));
    assert_eq!(css(&again, "hero"), "60vw");
}

#[test]
fn one_cause_is_one_finding() {
    // What depends on a token that is wrong is not told again, whether it refers to all of it or to a part.
    let users: String = (0..28)
        .map(|n| match n % 2 {
            0 => format!(r##""u{n}": {{ "$type": "color", "$value": "{{ink}}" }}, "##),
            _ => format!(r##""u{n}": {{ "$type": "border", "$value": {{ "color": "{{ink}}", "width": "1px", "style": "solid" }} }}, "##),
        })
        .collect();
    for wrong in [
        r##""ink": { "$type": "color", "$value": "{inc}" }"##,
        r##""ink": { "$type": "color", "$value": "blueish" }"##,
        r##""ink": { "$type": "color", "$value": "#000", "soft": { "$value": "#111" } }, "v": { "$type": "color", "$value": "{ink.soft}" }"##,
    ] {
        let (_, _, findings) = read(&format!("{{ {users} {wrong} }}"));
        let errors: Vec<Finding> =
            findings.into_iter().filter(|f| f.level == ashlar_model::Level::Error).collect();
        assert_eq!(errors.len(), 1, "{}", shown(&errors));
    }
}

#[test]
fn names_and_texts_that_mean_something_to_a_language_are_escaped() {
    let (resolved, set, findings) = read(
        r##"{ "default": { "$type": "number", "$value": 1 }, "in": { "$type": "number", "$value": 2 }, "typealias": { "$type": "number", "$value": 3 },
        "font": { "$type": "fontFamily", "hand": { "$value": "Bob's \"Hand\"" }, "list": { "$value": "'Open Sans', Arial, sans-serif" },
          "odd": { "$value": ["A$B", "C\\(x)", "D\u0007"] } } }"##,
    );
    assert_eq!(shown(&findings), "");
    let outputs = [Output::Css, Output::Swift, Output::Kotlin];
    let (files, _) = build(&resolved, &set, &outputs, &BuildOptions::default());
    let text: Vec<String> = files.iter().map(|f| format!("==== {}\n{}", f.path, f.text)).collect();
    insta::assert_snapshot!(text.join("\n"));
}
