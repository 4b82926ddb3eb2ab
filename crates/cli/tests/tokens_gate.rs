//! The gate `tokens`: what stands against a change of the design system is said with its place, and nothing of it is served.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Rig, eventually, fetch, found, start};
use serde_json::{Value, json};

/// What `check` says of the tokens of a copy of the demo, and its exit code.
fn check(rig: &Rig, args: &[&str]) -> (Option<i32>, Vec<(String, String, String, String)>) {
    let out = rig.run(&[&["check", "site", "--format", "json"], args].concat());
    let report: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code(), found(&report, "tokens"))
}

fn tokens(rig: &Rig, file: &str, change: impl FnOnce(&mut Value)) {
    let path = format!("site/tokens/{file}.tokens.json");
    let mut tokens: Value = serde_json::from_str(&rig.read(&path)).unwrap();
    change(&mut tokens);
    rig.write(&path, &serde_json::to_string_pretty(&tokens).unwrap());
}

/// The line that `file:line` means.
fn line_of(rig: &Rig, place: &str) -> String {
    let (file, line) = place.rsplit_once(':').unwrap();
    let line = line.parse::<usize>().unwrap() - 1;
    rig.read(&format!("site/{file}")).lines().nth(line).unwrap().to_owned()
}

/// A seventh blue: far enough from the others that only the cap stands against it.
fn seventh_blue(rig: &Rig) {
    tokens(rig, "base", |t| {
        t["base"]["color"]["sea"]["800"] =
            json!({ "$value": { "colorSpace": "oklch", "components": [0.3, 0.07, 238] } });
    });
    tokens(rig, "semantic", |t| {
        t["semantic"]["color"]["deep"] = json!({ "$value": "{base.color.sea.800}" });
    });
}

#[test]
fn a_seventh_blue_needs_an_agreement() {
    let rig = Rig::demo();
    assert_eq!(check(&rig, &[]), (Some(0), Vec::new()));
    seventh_blue(&rig);
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(1));
    let [(code, place, message, help)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(code, "token-cap");
    // The token that is one too many, where it stands.
    let (file, pointer) = place.split_once(' ').unwrap();
    assert_eq!(pointer, "/base/color/sea/800");
    assert!(line_of(&rig, file).contains("\"800\""), "{place}");
    assert!(message.contains('7') && message.contains('6'), "{message}");
    assert!(!help.is_empty());
    // Agreed upon, it is one more.
    rig.edit("site/tokens.toml", "\"base.color.sea\" = 6", "\"base.color.sea\" = 7");
    assert_eq!(check(&rig, &[]), (Some(0), Vec::new()));
}

#[test]
fn contrast_is_judged_in_every_theme() {
    let rig = Rig::demo();
    // Light on light, at dusk only.
    tokens(&rig, "theme-dusk", |t| {
        t["semantic"]["color"]["link"] = json!({ "$value": "{base.color.sea.300}" });
    });
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(1));
    assert!(!findings.is_empty());
    for (code, place, message, _) in &findings {
        assert_eq!(code, "token-contrast", "{findings:?}");
        let said = format!("{place} {message}");
        assert!(said.contains("theme=dusk") && said.contains("semantic.color.link"), "{said}");
        assert!(said.contains("4.5"), "{said}");
    }
    let backgrounds: Vec<_> = ["semantic.color.page", "semantic.color.surface"]
        .into_iter()
        .filter(|b| findings.iter().any(|(_, p, m, _)| p.contains(b) || m.contains(b)))
        .collect();
    assert_eq!(backgrounds.len(), 2, "{findings:?}");
}

#[test]
fn a_used_token_does_not_vanish() {
    let rig = Rig::demo();
    let before = Rig::demo();
    let against = before.path().join("site");
    let against = against.to_str().unwrap();
    assert_eq!(check(&rig, &["--against", against]).0, Some(0));
    tokens(&rig, "semantic", |t| {
        t["semantic"]["color"].as_object_mut().unwrap().remove("water").unwrap();
    });
    for theme in ["theme-dark", "theme-dusk", "theme-contrast"] {
        tokens(&rig, theme, |t| {
            t["semantic"]["color"].as_object_mut().unwrap().remove("water");
        });
    }
    // By the project alone: who uses it is named with file and line.
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(1));
    let unknown: Vec<_> = findings.iter().filter(|f| f.0 == "token-unknown").collect();
    assert!(!unknown.is_empty(), "{findings:?}");
    for (_, place, message, _) in &unknown {
        let line = line_of(&rig, place);
        assert!(line.contains("var(--semantic-color-water"), "{place}: {line}");
        assert!(message.contains("--semantic-color-water"), "{message}");
    }
    // Beside what is released: apps use it as well, whatever this project does.
    let (exit, findings) = check(&rig, &["--against", against]);
    assert_eq!(exit, Some(1));
    let removed: Vec<_> = findings.iter().filter(|f| f.0 == "token-removed").collect();
    let [(_, place, _, help)] = &removed[..] else { panic!("{findings:?}") };
    assert_eq!(place, "tokens semantic.color.water");
    assert!(help.contains("$deprecated") && help.contains("ashlar tokens change"), "{help}");
}

#[test]
fn a_name_that_is_no_token_is_reported_with_its_line() {
    let rig = Rig::demo();
    let path = "site/components/hero.v1/style.css";
    let text = rig.read(path);
    rig.write(path, &format!("{text}\n.hero em {{\n  color: var(--semantic-color-linc);\n}}\n"));
    let line = text.lines().count() + 3;
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(1));
    let [(code, place, message, help)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(code, "token-unknown");
    assert_eq!(*place, format!("components/hero.v1/style.css:{line}"));
    assert!(message.contains("var(--semantic-color-linc)"), "{message}");
    assert!(help.contains("var(--semantic-color-lin"), "{help}");
    // What the style sheet defines itself is its own affair.
    rig.write(path, &format!("{text}\n.hero em {{\n  --own: 1px;\n  margin: var(--own);\n}}\n"));
    assert_eq!(check(&rig, &[]), (Some(0), Vec::new()));
}

#[test]
fn aliases_lead_somewhere() {
    let rig = Rig::demo();
    let small = |rig: &Rig, to: &str| {
        tokens(rig, "semantic", |t| t["semantic"]["size"]["text-small"]["$value"] = json!(to));
    };
    tokens(&rig, "semantic", |t| {
        t["semantic"]["size"]["text-large"]["$value"] = json!("{semantic.size.text-small}");
    });
    assert_eq!(check(&rig, &[]).0, Some(0));
    // The cause is reported, and not that everything that uses them names no token.
    small(&rig, "{semantic.size.text-large}");
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(1));
    let [(code, place, message, _)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(code, "token-cycle");
    assert!(
        message.contains("semantic.size.text-large → semantic.size.text-small → semantic.size.text-large"),
        "{message}"
    );
    let (file, pointer) = place.split_once(' ').unwrap();
    assert!(file.starts_with("tokens/semantic.tokens.json:"), "{place}");
    // At the one that the files name first.
    assert_eq!(pointer, "/semantic/size/text-large/$value");
    assert!(line_of(&rig, file).contains("{semantic.size.text-small}"), "{place}");

    small(&rig, "{base.size.text-xs}");
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(1));
    let [(code, place, message, _)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(code, "token-alias");
    assert!(message.contains("base.size.text-xs"), "{message}");
    assert!(line_of(&rig, place.split_once(' ').unwrap().0).contains("{base.size.text-xs}"), "{place}");
}

#[test]
fn a_candidate_with_broken_tokens_is_not_served() {
    let rig = Rig::demo();
    let (_server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    let page = || {
        let answer = fetch(url, "/en/home", &[]);
        assert_eq!(answer.status, 200);
        (answer.header("ashlar-release").unwrap().to_owned(), answer.header("etag").unwrap().to_owned())
    };
    let before = page();
    seventh_blue(&rig);
    rig.push();
    let made = rig.candidate();
    assert_eq!(made["status"], "failed", "{made}");
    let findings = found(&made, "tokens");
    assert_eq!(findings.iter().map(|f| f.0.as_str()).collect::<Vec<_>>(), ["token-cap"]);
    let name = made["candidate"].as_str().unwrap();
    let out = rig.run(&["release", "promote", name, "--format", "json"]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("token-cap"), "{said}");
    assert_eq!(page(), before);
    let listed = || fetch(url, "/v1/tokens", &[]).json()["sets"][0]["tags"]["latest"].clone();
    assert_eq!(listed(), "1.0.0");
    // Mended, the next candidate goes through, and looks different.
    rig.edit("site/tokens.toml", "\"base.color.sea\" = 6", "\"base.color.sea\" = 7");
    rig.push();
    assert_eq!(rig.release(), "r4");
    eventually("1.1.0", || (listed() == "1.1.0").then_some(()));
}

#[test]
fn what_templates_and_the_site_use_is_used() {
    let rig = Rig::demo();
    tokens(&rig, "base", |t| {
        for (name, px) in [("of-site", 3), ("of-icon", 5), ("of-nobody", 7)] {
            t["base"]["size"][name] = json!({ "$value": { "value": px, "unit": "px" } });
        }
    });
    let css = rig.read("site/site/site.css");
    rig.write("site/site/site.css", &format!("{css}\nhr {{ margin: var(--base-size-of-site) }}\n"));
    rig.write(
        "site/site/icons/line.svg",
        "<svg viewBox=\"0 0 9 9\"><path d=\"M0 0h9\" style=\"stroke-width:var(--base-size-of-icon)\"/></svg>\n",
    );
    let unused = |findings: Vec<(String, String)>| -> Vec<String> {
        let unused = findings.into_iter().filter(|(code, _)| code == "token-unused");
        unused.map(|(_, place)| place.rsplit_once('/').unwrap().1.to_owned()).collect()
    };
    let (exit, findings) = check(&rig, &[]);
    assert_eq!(exit, Some(0));
    assert_eq!(unused(findings.into_iter().map(|f| (f.0, f.1)).collect()), ["of-nobody"]);
    // The command for tokens alone says the same.
    let report = rig.json(0, &["tokens", "check", "site", "--format", "json"]);
    let reported = report["findings"].as_array().unwrap().iter();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    assert_eq!(unused(reported.map(|f| (text(&f["code"]), text(&f["where"]))).collect()), ["of-nobody"]);
}
