//! The lexicon of resolved tokens, against what is built of them.

mod common;

use ashlar_divergence::{Kind, Language, Lexicon, What, fix, scan};
use ashlar_tokens::{BuildOptions, Config, Output, Resolved, SourceFile, TokenSet, build};

const TOKENS: &str = r##"{
  "base": { "color": { "$type": "color",
      "ink": { "$value": { "colorSpace": "srgb", "components": [0.1, 0.2, 0.3] } },
      "sand": { "$value": { "colorSpace": "oklch", "components": [0.9, 0.02, 80] } } },
    "space": { "$type": "dimension", "4": { "$value": { "value": 1, "unit": "rem" } } } },
  "semantic": {
    "color": { "$type": "color",
      "textDefault": { "$value": "{base.color.ink}" },
      "old": { "$value": "{base.color.ink}", "$deprecated": "Renamed.",
               "$extensions": { "dev.ashlar": { "replaced_by": "semantic.color.textDefault" } } } },
    "space": { "$type": "dimension", "md": { "$value": "{base.space.4}" } },
    "type": { "body": { "$type": "typography", "$value": { "fontFamily": ["Inter", "sans-serif"], "fontWeight": 450,
      "fontSize": { "value": 18, "unit": "px" }, "lineHeight": 1.45, "letterSpacing": { "value": 0.3, "unit": "px" } } } },
    "ease": { "$type": "cubicBezier", "$value": [0.2, 0, 0, 1] },
    "fade": { "$type": "duration", "$value": { "value": 150, "unit": "ms" } },
    "line": { "$type": "border", "$value": { "color": "{base.color.ink}", "width": { "value": 2, "unit": "px" }, "style": "solid" } },
    "shadow": { "card": { "$type": "shadow", "$value": { "color": "{base.color.ink}", "offsetX": { "value": 0, "unit": "px" },
      "offsetY": { "value": 1, "unit": "px" }, "blur": { "value": 3, "unit": "px" }, "spread": { "value": 0, "unit": "px" } } } } },
  "component": { "card": { "padding": { "$type": "dimension", "$value": "{semantic.space.md}" } } }
}"##;

const RESOLVER: &str = r##"{ "version": "2025.10", "sets": { "all": { "sources": [{ "$ref": "all.tokens.json" }] } },
  "modifiers": { "theme": { "contexts": { "light": [], "dark": [{ "$ref": "dark.tokens.json" }] } } },
  "resolutionOrder": [{ "$ref": "#/sets/all" }, { "$ref": "#/modifiers/theme" }] }"##;
const DARK: &str = r##"{ "semantic": { "color": { "$type": "color", "glow": { "$value": { "colorSpace": "srgb", "components": [1, 1, 0] } } } } }"##;

fn resolved() -> (Resolved, TokenSet) {
    let fetch = |path: &str| match path {
        "all.tokens.json" => Ok(TOKENS.to_owned()),
        "dark.tokens.json" => Ok(DARK.to_owned()),
        _ => Err("there is no such file".to_owned()),
    };
    let file = SourceFile { path: "acme.resolver.json".to_owned(), text: RESOLVER.to_owned() };
    let (resolved, set, findings) = TokenSet::of_resolver(file, &fetch).resolve();
    assert!(findings.is_empty(), "{findings:?}");
    (resolved, set)
}

fn config(prefix: &str) -> Config {
    Config { prefix: prefix.to_owned(), ..Config::default() }
}

#[test]
fn every_custom_property_that_is_built_is_known_with_its_value() {
    let (resolved, set) = resolved();
    for prefix in ["", "acme"] {
        let config = config(prefix);
        let lexicon = Lexicon::of_tokens(&resolved, &config);
        let options = BuildOptions { prefix: prefix.to_owned(), ..BuildOptions::default() };
        let (files, _) =
            build(&resolved, &set, &[Output::Css, Output::Scss, Output::Tailwind, Output::Ts], &options);
        let css = &files.iter().find(|f| f.path == "tokens.css").unwrap().text;
        // What the root has by default, without the switches of contexts.
        let rules = css
            .split("}\n")
            .filter(|rule| rule.trim_start().starts_with(":root") || rule.contains("*/\n:root"));
        let mut count = 0;
        for line in rules.flat_map(str::lines).filter_map(|l| l.trim().strip_prefix("--")) {
            let (name, value) = line.strip_suffix(';').unwrap().split_once(": ").unwrap();
            if value == "initial" || name.contains("-is-") {
                continue;
            }
            assert_eq!(lexicon.known(name).map(|k| k.value.as_str()), Some(value), "{name}");
            count += 1;
        }
        // One is defined in the dark only: known by name, and never suggested.
        assert_eq!(lexicon.len(), count + 1);
        // What was built is told from what an app writes.
        for file in &files {
            let Some(language) = Language::of_path(file.path) else { continue };
            let report = scan(&lexicon, language, &file.text);
            let wanted = !matches!(language, Language::Jsx);
            assert_eq!(report.defines * 2 > lexicon.len(), wanted, "{} {}", file.path, report.defines);
        }
    }
}

#[test]
fn what_is_suggested() {
    let (resolved, _) = resolved();
    let lexicon = Lexicon::of_tokens(&resolved, &config("acme"));
    let text = "a { color: #1a334d; padding: 16px; font-size: 18px; line-height: 1.45; font-family: Inter, sans-serif;
  font-weight: 450; letter-spacing: .3px; transition: opacity .15s cubic-bezier(.2, 0, 0, 1); background: #ff0;
  box-shadow: 0 1px 3px #1a334d; fill: var(--acme-semantic-color-old); stroke: var(--acme-semantic-color-text-defalt);
  border: var(--acme-semantic-line); outline-color: var(--acme-semantic-color-glow); height: var(--acme-typo) }";
    let report = scan(&lexicon, Language::Css, text);
    let lines: Vec<String> = report.divergences.iter().map(common::line).collect();
    assert_eq!(
        lines,
        [
            "raw color: #1a334d =acme-semantic-color-text-default => var(--acme-semantic-color-text-default)",
            "raw padding: 16px =acme-semantic-space-md => var(--acme-semantic-space-md)",
            "raw font-size: 18px =acme-semantic-type-body-font-size => var(--acme-semantic-type-body-font-size)",
            "raw line-height: 1.45 =acme-semantic-type-body-line-height => var(--acme-semantic-type-body-line-height)",
            "raw font-family: Inter, sans-serif =acme-semantic-type-body-font-family => var(--acme-semantic-type-body-font-family)",
            "raw font-weight: 450 =acme-semantic-type-body-font-weight => var(--acme-semantic-type-body-font-weight)",
            "raw letter-spacing: .3px =acme-semantic-type-body-letter-spacing => var(--acme-semantic-type-body-letter-spacing)",
            "raw transition: .15s =acme-semantic-fade => var(--acme-semantic-fade)",
            "raw transition: cubic-bezier(.2, 0, 0, 1) =acme-semantic-ease => var(--acme-semantic-ease)",
            "raw background: #ff0",
            "raw box-shadow: 0 1px 3px #1a334d =acme-semantic-shadow-card => var(--acme-semantic-shadow-card)",
            "deprecated fill: --acme-semantic-color-old =acme-semantic-color-text-default => --acme-semantic-color-text-default",
            "unknown stroke: --acme-semantic-color-text-defalt ~acme-semantic-color-text-default",
            "unknown height: --acme-typo",
        ]
    );
    assert_eq!((report.declarations, report.tokens, report.overrides), (15, 3, 13));
    let again = scan(&lexicon, Language::Css, &fix(text, &report.divergences).0);
    assert_eq!((again.declarations, again.overrides), (15, 3));
}

#[test]
fn without_a_prefix_the_layers_are_the_systems() {
    let (resolved, _) = resolved();
    let lexicon = Lexicon::of_tokens(&resolved, &config(""));
    let text = "a { color: var(--semantic-color-textDefault); fill: var(--mine); --component-x: 1px }";
    let what: Vec<What> = scan(&lexicon, Language::Css, text).divergences.iter().map(|d| d.what).collect();
    assert_eq!(what, [What::UnknownToken, What::Override]);
    assert_eq!(lexicon.known("semantic-line").map(|k| (k.kind, k.rank)), Some((Kind::Other, 0)));
    assert_eq!(lexicon.known("component-card-padding").map(|k| (k.kind, k.rank)), Some((Kind::Dimension, 1)));
    // The colour of a class is found by the end of its name.
    let report = scan(&lexicon, Language::Html, "<p class='text-text-default bg-semantic-color-old'>");
    assert_eq!((report.declarations, report.tokens, report.overrides), (2, 2, 1));
}
