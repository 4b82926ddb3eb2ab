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

fn against(base: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
    let (base, dir) = (project(base), project(files));
    let options = CheckOptions { against: Some(base.path().to_owned()), ..options() };
    codes(&check_project(dir.path(), &options).unwrap())
}

/// Gates that say something.
fn findings(report: &CheckReport) -> String {
    let gates: Vec<_> = report.gates.iter().filter(|g| !g.findings.is_empty()).cloned().collect();
    text(&gates)
}

/// Only codes and places: what contracts say of their changes is tested there.
fn codes(report: &CheckReport) -> Vec<String> {
    let findings = report.gates.iter().flat_map(|g| &g.findings);
    findings.map(|f| format!("{} {}", f.code, f.place)).collect()
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
    assert_eq!(json["gates"].as_array().unwrap().len(), ashlar_gates::gates().len());
    assert_eq!(report.metrics["entries"], 1.0);
}

#[test]
fn a_field_that_the_contract_does_not_have_is_placed_at_its_line() {
    let dir = project(&[
        ("content/page/a.en.json", "{\n  \"title\": \"A\",\n  \"slug\": \"a\",\n  \"a/b\": 1\n}"),
        ("content/page/b.en.md", "---\ntitle: B\nslug: b\nextra: 1\n---\nText"),
        ("content/page/c.en.md", "+++\ntitle = 'C'\nslug = 'c'\nextra = 1\n+++\nText"),
        ("content/more.ndjson", "\n{\"type\":\"page\",\"id\":\"n\",\"fields\":{\"title\":\"N\",\"x\":1}}\n"),
    ]);
    assert_eq!(
        codes(&check_project(dir.path(), &options()).unwrap()),
        [
            "invalid-additional-properties content/more.ndjson:2 /x",
            "invalid-additional-properties content/page/a.en.json:4 /a~1b",
            "invalid-additional-properties content/page/b.en.md:4 /extra",
            "invalid-additional-properties content/page/c.en.md:4 /extra",
        ]
    );
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
    insta::assert_snapshot!(report, @r#"
FAIL   content-validity  6 entries: 9 errors
         content/more.ndjson:1 /title: 7 is not of type "string". [invalid-type] (give a value of the type the contract asks for)
         content/page/a.en.json:1: page/a (en) is already in content/more.ndjson:2. [duplicate-entry] (remove one of the two, or give it another id)
         content/page/a.en.json:2 /title: It has fewer than 1 character. [invalid-min-length] (write more)
         content/page/b.en.json:2:1: Trailing comma. [json-malformed] (remove the comma)
         content/page/c.fr.json:1: `fr` is not a locale of the project; there are en, de. [locale-unknown] (add it to [locales] supported in ashlar.toml, or remove the entry)
         content/page/d.en.json:1: It follows page.v7, which the project does not have. [contract-unknown] (bring the contract back, or migrate the entry to page.v1)
         content/page/e.en.md:3 /extra: There is no field `extra` in the contract. [invalid-additional-properties] (remove it, correct its name, or add it to the contract)
         content/page/f.en.md:3:1: Did not find expected node content. [yaml-malformed] (quote values that contain `: `, `#`, `@` or start with a bracket)
         content/post/a.en.json:1: There is no content type `post`. [type-unknown] (add contracts/post.v1.json, or move the entry to another type)
"#);
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
    insta::assert_snapshot!(report, @r#"
FAIL   references  4 references: 1 error
         content/page/home.en.json:3 /plans/1: It refers to plan/gold, which does not exist. [reference-missing] (add plan/gold, or change the reference)
FAIL   links       9 links: 3 errors
         content/page/about.en.md:8 /body: The link to /fr/home leads nowhere: no entry has this route in `en` or its fallbacks. [link-broken] (correct the link, add a redirect for it to redirects.toml, or list its prefix in [gates] links_ignored of ashlar.toml)
         content/page/about.en.md:8 /body: The link to /nothing leads nowhere: no entry has this route in `en` or its fallbacks. [link-broken] (correct the link, add a redirect for it to redirects.toml, or list its prefix in [gates] links_ignored of ashlar.toml)
         content/page/about.en.md:8 /body: The link to /nowhere leads nowhere: no entry has this route in `en` or its fallbacks. [link-broken] (correct the link, add a redirect for it to redirects.toml, or list its prefix in [gates] links_ignored of ashlar.toml)
"#);
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
    insta::assert_snapshot!(report, @r#"
FAIL   routes  2 routes: 3 errors
         content/page/a.en.json:1: The route /same (en) is also that of content/page/b.en.json:1. [route-duplicate] (give one of them another route, for example another slug)
         redirects.toml:1: The redirects run in a circle: /x → /y → /x. [redirect-loop] (let one of them lead to a page)
         redirects.toml:7: The redirect from /z leads to /gone, which no entry has as its route. [redirect-target] (correct `to`, or remove the redirect)
"#);
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
    assert_eq!(
        report,
        [
            "contract-incompatible contracts/page.v1.json",
            "contract-version contracts/page.v1.json",
            "route-vanished page/a (en)",
            "route-vanished page/c (en)",
            "approval-needed content/plan/basic.en.json:1 /price",
        ]
    );
}

#[test]
fn deleting_what_is_referred_to_says_by_whom() {
    let page = ("content/page/a.en.json", r#"{"title": "A", "plans": ["basic"]}"#);
    let report = against(&[page, ("content/plan/basic.en.json", r#"{"name": "Basic"}"#)], &[page]);
    assert_eq!(report, ["reference-deleted content/page/a.en.json:1 /plans/0"]);
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
    let shown = codes(&report);
    assert_eq!(shown, ["contract-semantic-change contracts/plan.v1.json"]);
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
fn a_waiver_is_reported_and_ends() {
    let broken = ("content/page/a.en.md", "---\ntitle: A\nslug: a\n---\n[x](/nowhere)");
    let waiver = |until: &str| {
        format!(
            "[[waiver]]\ngate = 'links'\nby = 'ana'\nreason = 'the page comes tomorrow'\nuntil = {until}\n"
        )
    };
    let report = check(&[broken, ("governance.toml", &waiver("2026-06-01"))]);
    insta::assert_snapshot!(report, @r#"
waived links  1 link: 1 error (waived by ana: the page comes tomorrow)
         content/page/a.en.md:5 /body: The link to /nowhere leads nowhere: no entry has this route in `en` or its fallbacks. [link-broken] (correct the link, add a redirect for it to redirects.toml, or list its prefix in [gates] links_ignored of ashlar.toml)
"#);
    assert!(check(&[broken, ("governance.toml", &waiver("2026-05-31"))]).starts_with("FAIL"));
}

#[test]
fn bad_definitions_are_found() {
    let deep = format!("{{\"properties\": {}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let explode = PAGE.replace("^[a-z0-9/-]+$", "^(a+)+$");
    let check = |files: &[(&str, &str)]| {
        let dir = project(files);
        codes(&check_project(dir.path(), &options()).unwrap()).join("\n")
    };
    let report = [
        check(&[("contracts/broken.v1.json", "{\n \"type\": \n}")]),
        check(&[("contracts/Bad Name.json", "{}")]),
        check(&[(
            "contracts/remote.v1.json",
            r#"{"x-ashlar": {"owner": "a"}, "$ref": "https://example.com/x.json"}"#,
        )]),
        check(&[(
            "contracts/missing.v1.json",
            r#"{"x-ashlar": {"owner": "a"}, "properties": {"a": {"$ref": "nowhere.v1.json"}}}"#,
        )]),
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
    .join("\n--\n");
    insta::assert_snapshot!(report, @r#"
contract-json contracts/broken.v1.json:3:1
--
contract-name contracts/Bad Name.json
--
contract-schema contracts/remote.v1.json:1 /
contract-ref contracts/remote.v1.json:1 /$ref
--
contract-ref contracts/missing.v1.json:1 /properties/a/$ref
--
contract-json contracts/deep.v1.json:1:646
--
invalid-pattern content/page/a.en.json:1 /slug
--
view-type-unknown views/pages.v1.toml
--
toml-malformed governance.toml:2:1
--
redirect redirects.toml:1
--
config ashlar.toml:3
"#);
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
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().all(|r| r["help"]["text"].is_string()), "{rules:?}");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "content/page/a.en.json");
    assert_eq!(place["region"]["startLine"], 2);
    let junit = junit(&report);
    let tests = format!("tests=\"{}\" failures=\"2\"", ashlar_gates::gates().len());
    assert!(junit.contains(&tests), "{junit}");
    assert!(!junit.contains("\"\"") || junit.contains("&quot;"));
}

#[test]
fn no_project_is_an_error_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let error = check_project(dir.path(), &options()).unwrap_err().to_string();
    assert!(error.contains("ashlar init"), "{error}");
}

/// Codes and messages of findings with these codes.
fn reported(report: &CheckReport, wanted: &str) -> Vec<String> {
    let findings = report.gates.iter().flat_map(|g| &g.findings).filter(|f| f.code.starts_with(wanted));
    findings.map(|f| format!("{:?} {} {}: {}", f.level, f.code, f.place, f.message)).collect()
}

#[test]
fn contracts_have_an_owner_unless_governance_says_otherwise() {
    let nobodys = PLAN.replace(r#""owner": "sales", "#, "");
    let plan = [("contracts/plan.v1.json", nobodys.as_str())];
    let message =
        "contract-owner contracts/plan.v1.json: It names no owner, so nobody answers for its changes.";
    let dir = project(&plan);
    assert_eq!(
        reported(&check_project(dir.path(), &options()).unwrap(), "contract-owner"),
        [format!("Error {message}")]
    );
    // What is there already keeps nothing else from being released.
    let here = project(&[plan[0], ("content/plan/a.en.json", r#"{"name": "A"}"#)]);
    let against = CheckOptions { against: Some(dir.path().to_owned()), ..options() };
    let report = check_project(here.path(), &against).unwrap();
    assert_eq!(reported(&report, "contract-owner"), [format!("Warning {message}")]);
    let governance = ("governance.toml", "[contracts]\nowner_optional = true\n");
    let free = project(&[plan[0], governance]);
    assert_eq!(check_project(free.path(), &options()).unwrap().status, ashlar_gates::CheckStatus::Pass);
}

#[test]
fn a_sunset_is_reported_as_it_nears_and_refuses_new_entries_after_it() {
    // The first of June is today.
    let ending = |day: &str, more: &str| {
        PLAN.replace(r#""status": "active""#, &format!(r#""status": "deprecated", "sunset": "{day}"{more}"#))
    };
    let view = ("views/plans.v1.toml", "source = 'plan'\nlookup = 'id'\npath = '/v1/plans/{id}'\n");
    let old = ("content/plan/a.en.json", r#"{"name": "A"}"#);
    let report = |plan: &str, files: &[(&str, &str)]| {
        let base = project(&[view, old, ("contracts/plan.v1.json", plan)]);
        let here = project(&[&[view, old, ("contracts/plan.v1.json", plan)], files].concat());
        let options = CheckOptions { against: Some(base.path().to_owned()), ..options() };
        check_project(here.path(), &options).unwrap()
    };
    assert_eq!(
        reported(&report(&ending("2027-12-01", r#", "replaced_by": "page.v1""#), &[]), "contract-"),
        Vec::<String>::new()
    );
    let near = reported(&report(&ending("2026-06-13", ""), &[]), "contract-");
    assert_eq!(near.len(), 2, "{near:?}");
    assert!(
        near[0].starts_with("Warning contract-replacement") && near[0].contains("what replaces it"),
        "{near:?}"
    );
    assert!(
        near[1].starts_with("Warning contract-sunset-near") && near[1].contains("in 12 days"),
        "{near:?}"
    );
    assert!(
        near[1].contains("1 entry (content/plan/a.en.json:1) and the view plans.v1 still follow it"),
        "{near:?}"
    );
    let past = ending("2026-05-31", r#", "replaced_by": "page.v1""#);
    let reported_past = reported(&report(&past, &[]), "contract-");
    assert!(
        reported_past.len() == 1 && reported_past[0].starts_with("Warning contract-sunset-past"),
        "{reported_past:?}"
    );
    let new = report(&past, &[("content/plan/b.en.json", r#"{"name": "B"}"#)]);
    let refused = reported(&new, "contract-sunset-new");
    assert!(refused.len() == 1 && refused[0].starts_with("Error"), "{refused:?}");
    assert!(refused[0].contains("content/plan/b.en.json:1: The new entry follows plan.v1"), "{refused:?}");
}

#[test]
fn a_route_needs_a_page_where_there_is_a_site() {
    let site = |list: &str| format!("title = 'S'\nhome = '/home'\n{list}");
    let list = "[[list]]\nroute = '/{locale}/all'\ntype = 'page'\nview = 'pages.v1'\nsort = 'slug'\nlayout = 'list.html'\n";
    let project = |text: &str| {
        project(&[
            ("site/site.toml", text),
            ("site/layouts/list.html", "<ul></ul>"),
            ("views/pages.v1.toml", "source = 'page'\nlookup = 'id'\npath = '/v1/pages/{id}'\n"),
        ])
    };
    let code = "route-without-page";
    let alone = project(&site(""));
    let found = reported(&check_project(alone.path(), &options()).unwrap(), code);
    assert!(
        found.len() == 1 && found[0].starts_with("Warning") && found[0].contains("/{slug} and no page"),
        "{found:?}"
    );
    let listed = project(&site(list));
    let found = reported(&check_project(listed.path(), &options()).unwrap(), code);
    assert!(found.len() == 1 && found[0].starts_with("Error"), "{found:?}");
    assert!(found[0].contains("and /{locale}/all links to them"), "{found:?}");
}
