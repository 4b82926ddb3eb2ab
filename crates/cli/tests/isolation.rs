//! What a tenant's templates and definitions cost is bounded, and none of it ends or stalls the server.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod common;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use common::{Rig, fetch, found, http, start};
use serde_json::{Value, json};

const PROPS: &str = r#"{"title":"Note","type":"object","x-ashlar":{"version":"1.0.0","owner":"design","kind":"props"},
"properties":{"intent":{"type":"string"},"text":{"type":"string"}},"required":["text"]}"#;
const TEMPLATE: &str = "site/components/note.v1/template.html";

/// A small project with a page and a component.
fn site() -> Rig {
    let rig = Rig::new();
    rig.place("site/site/site.toml", "title = 'S'\nhome = '/{locale}'\n");
    rig.place("site/site/layouts/page.html", "<!doctype html><title>x</title><p>{{ page.title }}</p>");
    rig.place("site/components/note.v1/props.json", PROPS);
    rig.place("site/components/note.v1/examples/default.json", r#"{"intent":"note","text":"A note"}"#);
    rig.place("site/intents.toml", "surfaces = ['web']\n[intent.note]\nweb = 'note.v1'\n");
    rig.place(TEMPLATE, "<p>{{ props.text }}</p>");
    rig
}

/// Templates that each need too much of something, and what.
fn hostile() -> Vec<(&'static str, String)> {
    let n = 100_000;
    let doubled = "{% set x = x ~ x %}".repeat(60);
    let captured = "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(60);
    vec![
        ("minus", format!("{{{{ {}1 }}}}", "-".repeat(n))),
        ("not", format!("{{{{ {}1 }}}}", "not ".repeat(n))),
        ("concatenations", format!("{{{{ 1{} }}}}", "~1".repeat(n))),
        ("sums", format!("{{{{ 1{} }}}}", "+1".repeat(n))),
        ("attributes", format!("{{{{ a{} }}}}", ".b".repeat(n))),
        ("items", format!("{{{{ a{} }}}}", "[0]".repeat(n))),
        ("filters", format!("{{{{ 'a'{} }}}}", "|upper".repeat(n / 2))),
        ("elif", format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(n / 4))),
        ("indent", "{{ 'a\nb'|indent(9999999999) }}".to_owned()),
        ("format", "{{ '%999999999999s'|format('a') }}".to_owned()),
        ("batch", "{{ [1]|batch(9999999999, 'x')|list }}".to_owned()),
        ("doubling", format!("{{% set x = 'abcdefgh' %}}{doubled}{{{{ x|length }}}}")),
        ("captures", format!("{{% set x = 'abcdefgh' %}}{captured}{{{{ x|length }}}}")),
        (
            "nesting",
            "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% for j in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{% endfor %}".to_owned(),
        ),
    ]
}

fn push(url: &str, key: &str, rig: &Rig) -> (u16, Value) {
    let mut files = BTreeMap::new();
    let root = rig.path().join("site");
    let mut open = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for item in std::fs::read_dir(dir).unwrap().flatten() {
            let path = item.path();
            if path.is_dir() {
                open.push(path);
            } else if !path.to_string_lossy().contains("/.ashlar/") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                files.insert(name, String::from_utf8(std::fs::read(&path).unwrap()).unwrap());
            }
        }
    }
    let (status, _, body) =
        http(url, "POST", "/api/v1/definitions", key, &json!({ "files": files }).to_string());
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[test]
fn templates_that_need_too_much_are_findings_with_their_place() {
    let rig = site();
    assert_eq!(rig.run(&["check", "site"]).status.code(), Some(0));
    for (name, template) in hostile() {
        rig.write(TEMPLATE, &template);
        let began = Instant::now();
        let out = rig.run(&["check", "site", "--format", "json"]);
        assert!(began.elapsed() < Duration::from_secs(30), "{name}");
        // Some come out in a bounded way on a machine with enough of everything; none may end the program.
        let code = out.status.code();
        assert!(matches!(code, Some(0 | 1)), "{name}: {code:?} {}", String::from_utf8_lossy(&out.stderr));
        if code == Some(1) {
            let report: Value = serde_json::from_slice(&out.stdout).unwrap();
            let findings = found(&report, "components");
            let at =
                findings.iter().find(|f| f.0 == "template").unwrap_or_else(|| panic!("{name}: {findings:?}"));
            assert!(at.1.starts_with("components/note.v1/template.html"), "{name}: {at:?}");
        }
    }
}

#[test]
fn a_server_outlives_what_its_tenants_push() {
    let rig = site();
    rig.push();
    let (server, ready) = start(&rig, &["serve", "--data", "data"]);
    let (url, key) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    assert_eq!(push(url, key, &rig).0, 200);
    for (name, template) in hostile() {
        rig.write(TEMPLATE, &template);
        let (status, said) = push(url, key, &rig);
        assert!(matches!(status, 200 | 400), "{name}: {status} {said}");
        if status == 400 {
            assert_eq!(said["findings"][0]["code"], "definitions-too-costly", "{name}: {said}");
        }
        assert_eq!(fetch(url, "/healthz", &[]).status, 200, "{name}");
    }
    // The same process, with memory like before.
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = rss.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 400 << 10, "{kib} KiB");
    rig.write(TEMPLATE, "<p>{{ props.text }}</p>");
    assert_eq!(push(url, key, &rig).0, 200);
}

#[test]
fn children_end_with_their_parent() {
    let rig = site();
    rig.push();
    let (server, ready) = start(&rig, &["serve", "--data", "data"]);
    let (url, key) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    rig.write(TEMPLATE, "<p>{{ props.text }}!</p>");
    assert_eq!(push(url, key, &rig).0, 200);
    let parent = server.0.id();
    let children = || -> Vec<String> {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        all.filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok())
            .filter(|stat| {
                stat.rsplit(')').next().unwrap().split_whitespace().nth(1) == Some(&parent.to_string())
            })
            .map(|stat| stat.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let known = children();
    assert!(!known.is_empty());
    drop(server);
    common::eventually("the children end", || {
        known.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(())
    });
}
