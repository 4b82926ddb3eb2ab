//! `ashlar check` on small projects: what it finds, and where.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::Path};

use ashlar_gates::{CheckOptions, CheckReport, check_project, junit, sarif, text};
use tempfile::TempDir;

const CONFIG: &str = "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en', 'de']\n[gates]\nlinks_ignored = ['/assets/']\n";

const PAGE: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "x-ashlar": {"version": "1.0.0", "owner": "web", "kind": "type", "status": "active", "route": "/{slug}", "title_field": "title"},
  "properties": {
    "slug": {"type": "string", "pattern": "^[a-z0-9/-]+$"},
    "title": {"type": "string", "minLength": 1},
    "plans": {"type": "array", "items": {"type": "string", "x-ashlar": {"ref": ["plan"]}}},
    "body": {"type": "string", "contentMediaType": "text/markdown"}
  },
  "required": ["title"],
  "additionalProperties": false
}"#;

const PLAN: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "x-ashlar": {"version": "1.0.0", "owner": "sales", "kind": "type", "status": "active"},
  "properties": {
    "name": {"type": "string"},
    "price": {"type": "number", "x-ashlar": {"sensitivity": "pricing"}},
    "next": {"type": "string", "x-ashlar": {"ref": ["plan"]}}
  },
  "required": ["name"],
  "additionalProperties": false
}"#;

fn write(dir: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = [("ashlar.toml", CONFIG), ("contracts/page.v1.json", PAGE), ("contracts/plan.v1.json", PLAN)];
    for (path, content) in all.iter().chain(files) {
        write(dir.path(), path, content);
    }
    dir
}

fn options() -> CheckOptions {
    CheckOptions { against: None, cache: false, now: "2026-06-01T12:00:00Z".parse().unwrap() }
}

fn check(files: &[(&str, &str)]) -> String {
    let dir = project(files);
    findings(&check_project(dir.path(), &options()).unwrap())
}

fn against(base: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let (base, dir) = (project(base), project(files));
    let options = CheckOptions { against: Some(base.path().to_owned()), ..options() };
    findings(&check_project(dir.path(), &options).unwrap())
}

/// Gates that say something, digests of changes made readable.
fn findings(report: &CheckReport) -> String {
    let gates: Vec<_> = report.gates.iter().filter(|g| !g.findings.is_empty()).cloned().collect();
    let text = text(&gates);
    let hex = |w: &str| w.len() >= 64 && w.bytes().filter(u8::is_ascii_hexdigit).count() >= 64;
    let line =
        |l: &str| l.split('"').map(|w| if hex(w) { "<digest>" } else { w }).collect::<Vec<_>>().join("\"");
    text.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn an_empty_project_and_a_new_one_pass() {
    assert_eq!(check(&[]), "");
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in ashlar_project::init::files("x").unwrap().iter() {
        write(dir.path(), path, bytes);
    }
    let report = check_project(dir.path(), &options()).unwrap();
    assert_eq!(findings(&report), "");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["status"], "pass");
    assert_eq!(json["gates"].as_array().unwrap().len(), 7);
    assert_eq!(report.metrics["entries"], 1.0);
}

#[test]
fn entries_are_validated_and_their_lines_named() {
    let report = check(&[
        ("content/page/a.en.json", "{\n  \"title\": \"\",\n  \"slug\": \"a\"\n}"),
        ("content/page/b.en.json", "{ \"slug\": \"b\",\n}"),
        ("content/page/c.fr.json", "{\"title\": \"C\"}"),
        ("content/page/d.en.json", "{\"title\": \"D\", \"$contract\": \"page.v7\"}"),
        ("content/page/e.en.md", "---\ntitle: E\nextra: 1\n---\nText"),
        ("content/page/f.en.md", "---\ntitle: [\n---\n"),
        ("content/post/a.en.json", "{}"),
        (
            "content/more.ndjson",
            "{\"type\":\"page\",\"id\":\"n\",\"fields\":{\"title\":7}}\n{\"type\":\"page\",\"id\":\"a\",\"fields\":{\"title\":\"twice\"}}\n",
        ),
    ]);
    insta::assert_snapshot!(report, @"");
}

#[test]
fn references_and_links_lead_somewhere() {
    let report = check(&[
        ("content/plan/basic.en.json", r#"{"name": "Basic", "next": "pro"}"#),
        ("content/plan/pro.en.json", r#"{"name": "Pro", "next": "basic"}"#),
        (
            "content/page/home.en.json",
            "{\"title\": \"Home\", \"slug\": \"home\",\n \"plans\": [\"basic\",\n \"gold\"]}",
        ),
        (
            "content/page/about.en.md",
            "---\ntitle: About\nslug: about\n---\n\n[ok](/home) [de](/de/home/) [asset](/assets/x.pdf) [old](/old)\n\n[no](/nowhere) [rel](nothing) [fr](/fr/home)\n",
        ),
        (
            "content/page/about.de.md",
            "---\ntitle: Über\nslug: ueber\n---\n[fallback](/home#x) [en only](/about) [weg](../weg)",
        ),
        ("redirects.toml", "[[redirect]]\nfrom = '/old'\nto = '/home'\n"),
    ]);
    insta::assert_snapshot!(report, @"");
}

#[test]
fn routes_are_unique_and_redirects_end() {
    let report = check(&[
        ("content/page/a.en.json", r#"{"title": "A", "slug": "same"}"#),
        ("content/page/b.en.json", r#"{"title": "B", "slug": "same"}"#),
        ("content/page/a.de.json", r#"{"title": "A", "slug": "same"}"#),
        (
            "redirects.toml",
            "[[redirect]]\nfrom = '/x'\nto = '/y'\n[[redirect]]\nfrom = '/y'\nto = '/x'\n[[redirect]]\nfrom = '/z'\nto = '/gone'\n[[redirect]]\nfrom = '/q'\nto = '/same'\n",
        ),
    ]);
    insta::assert_snapshot!(report, @"");
}

#[test]
fn a_base_makes_routes_contracts_and_sensitive_fields_stable() {
    let base = [
        ("content/page/a.en.json", r#"{"title": "A", "slug": "a"}"#),
        ("content/page/b.en.json", r#"{"title": "B", "slug": "b"}"#),
        ("content/page/c.en.json", r#"{"title": "C", "slug": "c"}"#),
        ("content/plan/basic.en.json", r#"{"name": "Basic", "price": 10}"#),
    ];
    let stricter = PAGE.replace(r#""required": ["title"]"#, r#""required": ["title", "slug"]"#);
    let report = against(
        &base,
        &[
            ("contracts/page.v1.json", &stricter),
            ("content/page/a.en.json", r#"{"title": "A", "slug": "new-a"}"#),
            ("content/page/b.en.json", r#"{"title": "B", "slug": "new-b"}"#),
            ("content/plan/basic.en.json", r#"{"name": "Basic", "price": 12}"#),
            ("redirects.toml", "[[redirect]]\nfrom = '/b'\nto = '/new-b'\n"),
        ],
    );
    insta::assert_snapshot!(report, @"");
}

#[test]
fn deleting_what_is_referred_to_says_by_whom() {
    let page = ("content/page/a.en.json", r#"{"title": "A", "plans": ["basic"]}"#);
    let report = against(&[page, ("content/plan/basic.en.json", r#"{"name": "Basic"}"#)], &[page]);
    insta::assert_snapshot!(report, @"");
}

#[test]
fn a_semantic_change_needs_the_owner_until_it_is_accepted() {
    let means = PLAN
        .replace(r#""sensitivity": "pricing""#, r#""sensitivity": "pricing", "semantics": "EUR per month""#);
    let changed = means.replace("EUR per month", "EUR per year").replace("1.0.0", "1.1.0");
    let base = project(&[("contracts/plan.v1.json", &means)]);
    let dir = project(&[("contracts/plan.v1.json", &changed)]);
    let options = CheckOptions { against: Some(base.path().to_owned()), ..options() };
    let report = check_project(dir.path(), &options).unwrap();
    let shown = findings(&report);
    insta::assert_snapshot!(shown, @"");
    let help = &report.gates[0].findings[0].help;
    let digest = help.split('"').find(|w| w.len() == 64).unwrap();
    write(
        dir.path(),
        "governance.toml",
        format!("[[accept]]\nchange = '{digest}'\nby = 'ana'\nreason = 'agreed with sales'\n"),
    );
    assert_eq!(findings(&check_project(dir.path(), &options).unwrap()), "");
}

#[test]
fn a_waiver_is_told_and_ends() {
    let broken = ("content/page/a.en.md", "---\ntitle: A\nslug: a\n---\n[x](/nowhere)");
    let waiver = |until: &str| {
        format!(
            "[[waiver]]\ngate = 'links'\nby = 'ana'\nreason = 'the page comes tomorrow'\nuntil = {until}\n"
        )
    };
    let report = check(&[broken, ("governance.toml", &waiver("2026-06-01"))]);
    insta::assert_snapshot!(report, @"");
    assert!(check(&[broken, ("governance.toml", &waiver("2026-05-31"))]).starts_with("FAIL"));
}

#[test]
fn bad_definitions_are_found() {
    let deep = format!("{{\"properties\": {}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let explode = PAGE.replace("^[a-z0-9/-]+$", "^(a+)+$");
    let report = [
        check(&[("contracts/broken.v1.json", "{\n \"type\": \n}")]),
        check(&[("contracts/Bad Name.json", "{}")]),
        check(&[("contracts/remote.v1.json", r#"{"$ref": "https://example.com/x.json"}"#)]),
        check(&[("contracts/missing.v1.json", r#"{"properties": {"a": {"$ref": "nowhere.v1.json"}}}"#)]),
        check(&[("contracts/deep.v1.json", &deep)]),
        check(&[
            ("contracts/page.v1.json", &explode),
            ("content/page/a.en.json", &format!("{{\"title\": \"A\", \"slug\": \"{}!\"}}", "a".repeat(60))),
        ]),
        check(&[("views/pages.v1.toml", "source = 'nothing'\nlookup = 'slug'\n")]),
        check(&[("governance.toml", "[approvals.pricing]\npeeple = []\n")]),
        check(&[("redirects.toml", "[[redirect]]\nfrom = 'x'\nto = '/y'\n")]),
        check(&[("ashlar.toml", "name = 'x'\n[locales]\ndefault = 'english'\n")]),
    ]
    .join("--\n");
    insta::assert_snapshot!(report, @"");
}

#[test]
fn other_formats() {
    let dir = project(&[
        ("content/page/a.en.json", "{\n  \"title\": \"\",\n  \"slug\": \"a\"\n}"),
        ("content/plan/a.en.json", "{\"name\": \"<&>\", \"next\": \"no\"}"),
    ]);
    let report = check_project(dir.path(), &options()).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&sarif(&report)).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "content/page/a.en.json");
    assert_eq!(place["region"]["startLine"], 2);
    let junit = junit(&report);
    assert!(junit.contains("tests=\"7\" failures=\"2\""), "{junit}");
    assert!(!junit.contains("\"\"") || junit.contains("&quot;"));
}

#[test]
fn no_project_is_an_error_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let error = check_project(dir.path(), &options()).unwrap_err().to_string();
    assert!(error.contains("ashlar init"), "{error}");
}
