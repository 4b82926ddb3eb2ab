//! Rules with teeth, and what a change asks of those who use the tokens.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

use std::{collections::BTreeSet, fmt::Write};

use ashlar_model::Files;
use ashlar_tokens::{
    Config, Note, Output, TokenSet, Tolerance, Version, build, changelog, check, diff, pack,
};

const RULES: &str = r##"
name = "@acme/tokens"
naming = "^[a-z0-9-]+$"
unused = "error"
[caps]
"base.color.blue" = 2
color = 4
[near]
delta_e = 2.0
[[contrast]]
foreground = "semantic.text"
background = ["semantic.page", "semantic.card"]
over = "semantic.page"
[[target]]
tokens = "semantic.target"
[[motion]]
tokens = "semantic.motion.*"
context = "motion=reduced"
"##;

const RESOLVER: &str = r##"{ "version": "2025.10", "sets": { "all": { "sources": [{ "$ref": "all.tokens.json" }] } },
  "modifiers": { "theme": { "contexts": { "light": [], "dark": [{ "$ref": "dark.tokens.json" }] } },
                 "motion": { "contexts": { "full": [], "reduced": [{ "$ref": "still.tokens.json" }] } } },
  "resolutionOrder": [{ "$ref": "#/sets/all" }, { "$ref": "#/modifiers/theme" }, { "$ref": "#/modifiers/motion" }] }"##;

const ALL: &str = r##"{
  "base": {
    "color": { "$type": "color",
      "white": { "$value": { "colorSpace": "srgb", "components": [1, 1, 1] } },
      "black": { "$value": { "colorSpace": "srgb", "components": [0, 0, 0] } },
      "blue": { "5": { "$value": { "colorSpace": "srgb", "components": [0, 0.2, 0.6] } } } },
    "size": { "$type": "dimension", "finger": { "$value": { "value": 44, "unit": "px" } } },
    "time": { "$type": "duration", "quick": { "$value": { "value": 150, "unit": "ms" } }, "none": { "$value": { "value": 0, "unit": "ms" } } } },
  "semantic": {
    "page": { "$type": "color", "$value": "{base.color.white}" },
    "card": { "$type": "color", "$value": "{base.color.white}" },
    "text": { "$type": "color", "$value": "{base.color.blue.5}" },
    "target": { "$type": "dimension", "$value": "{base.size.finger}" },
    "motion": { "fade": { "$type": "duration", "$value": "{base.time.quick}" } } } }"##;
const DARK: &str = r##"{ "semantic": { "page": { "$type": "color", "$value": "{base.color.black}" }, "card": { "$type": "color", "$value": "{base.color.black}" }, "text": { "$type": "color", "$value": "{base.color.white}" } } }"##;
const STILL: &str =
    r##"{ "semantic": { "motion": { "fade": { "$type": "duration", "$value": "{base.time.none}" } } } }"##;

fn project(edits: &[(&str, &str)]) -> Files {
    let mut files = Files::new();
    for (path, text) in [
        ("tokens.toml", RULES),
        ("tokens/acme.resolver.json", RESOLVER),
        ("tokens/all.tokens.json", ALL),
        ("tokens/dark.tokens.json", DARK),
        ("tokens/still.tokens.json", STILL),
    ] {
        let mut text = text.to_owned();
        for (from, to) in edits {
            text = text.replace(from, to);
        }
        files.insert(path, text.into_bytes()).unwrap();
    }
    files
}

fn judged(edits: &[(&str, &str)]) -> String {
    let files = project(edits);
    let config = Config::of_project(&files).unwrap();
    let (resolved, set, mut findings) = TokenSet::of_project(&files).unwrap().resolve();
    findings.extend(check(&set, &resolved, &config, Some(&BTreeSet::new())).findings);
    let mut out = String::new();
    for f in findings {
        let _ = writeln!(out, "{} [{}] {}\n    → {}", f.place, f.code, f.message, f.help);
    }
    out
}

#[test]
fn tokens_that_keep_to_the_rules_pass() {
    assert_eq!(judged(&[]), "");
}

#[test]
fn each_rule_has_teeth() {
    let blue = "\"5\": { \"$value\": { \"colorSpace\": \"srgb\", \"components\": [0, 0.2, 0.6] } }";
    let two = format!(
        "{blue}, \"6\": {{ \"$value\": {{ \"colorSpace\": \"srgb\", \"components\": [0, 0.2, 0.61] }} }}"
    );
    let three = format!(
        "{two}, \"7\": {{ \"$value\": {{ \"colorSpace\": \"srgb\", \"components\": [0.3, 0.5, 0.9] }} }}"
    );
    let mut all = String::new();
    for (what, edits) in [
        ("one more blue than the cap, and almost the same", vec![(blue, three.as_str())]),
        ("a pair that cannot be read", vec![("[0, 0.2, 0.6]", "[0.6, 0.7, 0.9]")]),
        (
            "a ground that is not opaque",
            vec![("over = \"semantic.page\"", ""), ("[1, 1, 1] }", "[1, 1, 1], \"alpha\": 0.5 }")],
        ),
        (
            "a raw value in a semantic token",
            vec![(
                "\"card\": { \"$type\": \"color\", \"$value\": \"{base.color.white}\" }",
                "\"card\": { \"$type\": \"color\", \"$value\": { \"colorSpace\": \"srgb\", \"components\": [1, 1, 1] } }",
            )],
        ),
        (
            "an alias in a base token",
            vec![(
                "\"none\": { \"$value\": { \"value\": 0, \"unit\": \"ms\" } }",
                "\"none\": { \"$value\": \"{base.time.quick}\" }",
            )],
        ),
        ("a name", vec![("\"finger\"", "\"fingerTip\""), ("base.size.finger", "base.size.fingerTip")]),
        ("a small target", vec![("\"value\": 44", "\"value\": 20")]),
        ("motion that stays", vec![("{base.time.none}", "{base.time.quick}")]),
        ("a rule about nothing", vec![("\"semantic.target\"", "\"semantic.targets\"")]),
    ] {
        let said = judged(&edits);
        assert_ne!(said, "", "{what}");
        let _ = writeln!(all, "# {what}\n{said}");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn rules_that_cannot_be_used_are_reported_with_their_line() {
    for (text, place) in [
        ("name = 1", "tokens.toml:1"),
        ("\nnaming = \"(\"", "tokens.toml:2"),
        ("colour = 1", "tokens.toml:1"),
        ("outputs = [\"pdf\"]", "tokens.toml:1"),
        ("name = \"Acme Tokens\"", "tokens.toml:1"),
        ("version = \"one\"", "tokens.toml:1"),
    ] {
        let finding = Config::parse(Some(text)).unwrap_err();
        assert_eq!(finding.place, place, "{finding:?}");
    }
}

#[test]
fn what_a_change_asks() {
    let resolve = |edits: &[(&str, &str)]| TokenSet::of_project(&project(edits)).unwrap().resolve().0;
    let old = resolve(&[]);
    let mut all = String::new();
    for edits in [
        vec![],
        vec![("[0, 0.2, 0.6]", "[0, 0.2, 0.601]")],
        vec![("[0, 0.2, 0.6]", "[0, 0.3, 0.6]")],
        vec![("\"card\": { \"$type\": \"color\", \"$value\": \"{base.color.white}\" },", "")],
        vec![("\"finger\"", "\"thumb\""), ("base.size.finger", "base.size.thumb")],
        vec![(
            "\"text\": { \"$type\": \"color\",",
            "\"text\": { \"$deprecated\": \"use ink\", \"$type\": \"color\",",
        )],
        vec![("\"value\": 44, \"unit\": \"px\"", "\"value\": 2.75, \"unit\": \"rem\"")],
        vec![("\"dark\":", "\"night\":")],
    ] {
        let difference = diff(&old, &resolve(&edits), &Tolerance::default());
        let _ = writeln!(all, "{edits:?}\n{}\n", serde_json::to_string_pretty(&difference).unwrap());
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_package_is_the_same_byte_for_byte() {
    let files = project(&[]);
    let config = Config::of_project(&files).unwrap();
    let made = || {
        let (resolved, set, _) = TokenSet::of_project(&files).unwrap().resolve();
        let (built, _) =
            build(&resolved, &set, &[Output::Css, Output::Ts, Output::Json], &config.options(&resolved));
        pack(&config, Version(1, 2, 0), &built, "# Changelog\n").unwrap()
    };
    let (one, two) = (made(), made());
    assert_eq!(one.tarball, two.tarball);
    assert_eq!(one.file_name(), "tokens-1.2.0.tgz");
    // The package of this set, so that a change of the packer itself shows.
    insta::assert_snapshot!(one.integrity());
    assert_eq!(one.shasum().len(), 40);
    // Programs take the first condition they know: `default` is the last one.
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(one.tarball.as_slice()));
    let manifest =
        archive.entries().unwrap().map(Result::unwrap).find(|e| e.path().unwrap().ends_with("package.json"));
    let manifest = std::io::read_to_string(manifest.unwrap()).unwrap();
    insta::assert_snapshot!(manifest);
}

#[test]
fn notes_and_changelog() {
    let note =
        Note::parse("tokens/changes/a.md", "---\nbump: minor\n---\nLinks are darker.\nFor contrast.\n")
            .unwrap();
    assert_eq!(Note::parse("tokens/changes/a.md", &note.render()).unwrap(), note);
    for bad in ["", "bump: minor", "---\nbump: huge\n---\nx", "---\nbump: minor\n---\n"] {
        assert!(Note::parse("a.md", bad).is_err(), "{bad}");
    }
    let resolve = |edits: &[(&str, &str)]| TokenSet::of_project(&project(edits)).unwrap().resolve().0;
    let difference =
        diff(&resolve(&[]), &resolve(&[("[0, 0.2, 0.6]", "[0, 0.3, 0.6]")]), &Tolerance::default());
    insta::assert_snapshot!(changelog(Version(1, 1, 0), &[note], &difference));
}
