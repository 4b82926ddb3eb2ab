//! Consumer contracts: judged by shape on files, by shape and bodies on candidates.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use ashlar_gates::{CheckOptions, check_project};
use serde_json::{Value, json};

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const PAGE: &str = r#"{"type":"object","x-ashlar":{"owner":"team"},"additionalProperties":false,"required":["slug","hero"],"properties":{"slug":{"type":"string"},
"note":{"type":"string"},"hero":{"$ref":"hero.v1.json"},
"sections":{"type":"array","items":{"oneOf":[{"$ref":"hero.v1.json"},{"$ref":"text.v1.json"}]}},
"author":{"type":"string","x-ashlar":{"ref":["person"]}}}}"#;
const HERO: &str = r#"{"x-ashlar":{"owner":"team","kind":"block"},"type":"object","additionalProperties":false,"required":["intent","title","cta"],"properties":{
"intent":{"const":"hero"},"title":{"type":"string"},"cta":{"type":"object","required":["href"],"properties":{"href":{"type":"string"}}}}}"#;
const TEXT: &str = r#"{"x-ashlar":{"owner":"team","kind":"block"},"type":"object","additionalProperties":false,"required":["intent"],"properties":{
"intent":{"const":"text"},"text":{"type":"string"}}}"#;
const PERSON: &str = r#"{"type":"object","x-ashlar":{"owner":"team"},"additionalProperties":false,"required":["name"],"properties":{"name":{"type":"string"}}}"#;

fn project(dir: &Path, consumer: &str) {
    for (path, text) in [
        ("ashlar.toml", "name = 'Test'\n"),
        ("contracts/page.v1.json", PAGE),
        ("contracts/hero.v1.json", HERO),
        ("contracts/text.v1.json", TEXT),
        ("contracts/person.v1.json", PERSON),
        (
            "views/pages.v1.toml",
            "source = 'page'\nlookup = 'slug'\nversion = '1.2.0'\n[include.author]\nfields = ['name']\n",
        ),
        ("consumers/web.yaml", consumer),
    ] {
        write(dir, path, text);
    }
}

/// What the gate says of a consumer, with changes to files.
fn reported(consumer: &str, edits: &[(&str, &str, &str)]) -> Vec<String> {
    let (base, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    project(base.path(), consumer);
    project(here.path(), consumer);
    for (path, from, to) in edits {
        let text = std::fs::read_to_string(here.path().join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        write(here.path(), path, &text.replacen(from, to, 1));
    }
    let options =
        CheckOptions { against: Some(base.path().to_owned()), cache: false, ..CheckOptions::default() };
    let report = check_project(here.path(), &options).unwrap();
    let gate = report.gates.iter().find(|g| g.gate == "consumers").unwrap();
    gate.findings.iter().map(|f| format!("{} {}: {}", f.code, f.place, f.message)).collect()
}

/// The form of the issue.
const WEB: &str = "consumer: marketing-web\nprovider: content-api\nowner: web-team\nexpects:\n  - endpoint: /v1/pages/{slug}\n    must_include: [hero.title, hero.cta.href]\n    types: { hero.cta.href: url }\n    version: 1.x\n";

#[test]
fn what_is_kept_passes() {
    assert_eq!(reported(WEB, &[]), Vec::<String>::new());
    let more = "consumer: app\nexpects:\n  - endpoint: /v1/pages/{slug}\n    must_include: ['sections[intent=hero].title']\n    version: 1.2\n  - endpoint: /v1/entries/person/{id}\n    must_include: [name]\n    types: {name: string}\n";
    let found = reported(more, &[]);
    // Sections are optional, so what is in them may be absent with them.
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("may be absent"), "{found:?}");
    let with =
        reported(more, &[("contracts/page.v1.json", r#"["slug","hero"]"#, r#"["slug","hero","sections"]"#)]);
    assert_eq!(with, Vec::<String>::new());
}

#[test]
fn a_breaking_change_names_the_consumer_its_owner_and_the_change() {
    let found =
        reported(WEB, &[("contracts/hero.v1.json", r#"["intent","title","cta"]"#, r#"["intent","cta"]"#)]);
    assert_eq!(found.len(), 1, "{found:?}");
    for part in [
        "consumer-broken consumers/web.yaml expects[0] hero.title",
        "The consumer `marketing-web` (owner web-team) relies on /v1/pages/{slug}: `hero.title` may be absent",
        "What changed: contracts/hero.v1.json",
    ] {
        assert!(found[0].contains(part), "{part}: {found:?}");
    }
    let hero = "contracts/hero.v1.json";
    let page = "contracts/page.v1.json";
    let view = "views/pages.v1.toml";
    let include = "fields = ['name']\n";
    for (edits, part) in [
        (
            vec![
                (hero, r#""title":{"type":"string"}"#, r#""headline":{"type":"string"}"#),
                (hero, r#"["intent","title","cta"]"#, r#"["intent","headline","cta"]"#),
            ],
            "hero.title",
        ),
        (
            vec![(hero, r#""href":{"type":"string"}"#, r#""href":{"type":"integer"}"#)],
            "something else than url",
        ),
        (
            vec![
                (page, r#""hero":{"$ref""#, r#""top":{"$ref""#),
                (page, r#"["slug","hero"]"#, r#"["slug","top"]"#),
            ],
            "hero.title",
        ),
        (vec![(view, "lookup = 'slug'", "lookup = 'slug'\nfields = ['slug', 'author']")], "hero.title"),
        (vec![(view, include, "fields = ['name']\n[rename]\nhero = 'top'\n")], "hero.title"),
    ] {
        let found = reported(WEB, &edits);
        assert!(found.iter().any(|f| f.contains(part)), "{edits:?}: {found:?}");
    }
    // The view goes, or another major version takes its path's name.
    let gone = reported(
        WEB,
        &[("views/pages.v1.toml", "lookup = 'slug'", "lookup = 'slug'\npath = '/v1/sites/{slug}'")],
    );
    assert!(gone[0].starts_with("consumer-endpoint-unknown"), "{gone:?}");
    let newer = WEB.replace("1.x", "1.3");
    assert!(reported(&newer, &[])[0].starts_with("consumer-version"));
}

#[test]
fn a_rename_keeps_the_old_shape() {
    let edits = [
        ("contracts/hero.v1.json", r#""title":{"type":"string"}"#, r#""headline":{"type":"string"}"#),
        ("contracts/hero.v1.json", r#"["intent","title","cta"]"#, r#"["intent","headline","cta"]"#),
        (
            "views/pages.v1.toml",
            "fields = ['name']\n",
            "fields = ['name']\n[rename]\n'hero.headline' = 'title'\n",
        ),
    ];
    assert_eq!(reported(WEB, &edits), Vec::<String>::new());
}

#[test]
fn files_that_are_no_consumer_contracts_are_reported_with_their_place() {
    for (text, part) in [
        (
            "consumer: a\nexpects:\n  - endpoint: /v1/pages/{slug}\n    must_includ: [a]\n",
            "consumer-form consumers/web.yaml:4:5: expects[0]: unknown field `must_includ`",
        ),
        ("consumer: [\n", "consumer-form consumers/web.yaml:"),
        ("consumer: a\nprovider: other\nexpects: []\n", "`other` is not provided here"),
        ("consumer: a\nexpects: []\n", "a consumer expects 1 to"),
        (
            "consumer: a\nexpects:\n  - endpoint: /v1/pages/{slug}\n    must_include: ['a..b']\n",
            "a name is missing",
        ),
        (
            "consumer: a\nexpects:\n  - endpoint: /v1/pages/{slug}\n    types: {a: colour}\n",
            "`colour` is not a field type",
        ),
        (
            "consumer: a\nexpects:\n  - endpoint: /v1/pages/{slug}\n    version: one\n",
            "`one` is not a version range",
        ),
        (
            "consumer: a\nexpects:\n  - endpoint: /v1/never/{slug}\n    must_include: [a]\n",
            "consumer-endpoint-unknown",
        ),
    ] {
        let found = reported(text, &[]);
        assert!(found.iter().any(|f| f.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn pact_files_are_consumer_contracts() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), WEB);
    let pact = |body: &str| {
        format!(
            r#"{{"consumer":{{"name":"shop"}},"provider":{{"name":"content-api"}},"interactions":[{{"description":"a page",
            "request":{{"method":"GET","path":"/v1/pages/home"}},"response":{{"status":200,"body":{body}}}}}],
            "metadata":{{"pactSpecification":{{"version":"3.0.0"}}}}}}"#
        )
    };
    let check = || {
        let report =
            check_project(dir.path(), &CheckOptions { cache: false, ..CheckOptions::default() }).unwrap();
        let gate = report.gates.iter().find(|g| g.gate == "consumers").unwrap().clone();
        gate.findings.iter().map(|f| format!("{} {}", f.code, f.place)).collect::<Vec<_>>()
    };
    write(dir.path(), "consumers/shop.json", &pact(r#"{"slug":"home","hero":{"title":"Hi"}}"#));
    assert_eq!(check(), Vec::<String>::new());
    // Version 4 wraps the body.
    let v4 = pact(r#"{"contentType":"application/json","content":{"note":"x","hero":{"title":1}}}"#);
    write(dir.path(), "consumers/shop.json", &v4);
    assert_eq!(
        check(),
        [
            "consumer-broken consumers/shop.json expects[0] hero.title",
            "consumer-broken consumers/shop.json expects[0] note"
        ]
    );
    write(dir.path(), "consumers/shop.json", "{\n \"consumer\": }");
    assert_eq!(check(), ["consumer-form consumers/shop.json:2:14"]);
}

#[test]
fn a_pact_file_gets_the_right_verdict_or_a_plain_word() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), WEB);
    write(
        dir.path(),
        "contracts/page.v1.json",
        &PAGE.replace(r#""note":"#, r#""count":{"type":"integer"},"rank":{"type":"number"},"code":{"type":"string","pattern":"^[A-Z]{3}$"},"note":"#)
            .replace(r#"["slug","hero"]"#, r#"["slug","hero","count","rank","code"]"#),
    );
    let check = |file: &Value| {
        write(dir.path(), "consumers/shop.json", &file.to_string());
        let report =
            check_project(dir.path(), &CheckOptions { cache: false, ..CheckOptions::default() }).unwrap();
        let gate = report.gates.iter().find(|g| g.gate == "consumers").unwrap().clone();
        let short = |place: &str| place.replace("consumers/shop.json", "").trim().to_owned();
        let reported: Vec<String> =
            gate.findings.iter().map(|f| format!("{} {}: {}", f.code, short(&f.place), f.message)).collect();
        reported
    };
    let get = |path: &str, body: Value, rules: Value| {
        json!({"description": "d", "request": {"method": "GET", "path": path},
            "response": {"status": 200, "body": body, "matchingRules": {"body": rules}}})
    };
    let pact = |interactions: Vec<Value>| json!({"consumer": {"name": "shop"}, "provider": {"name": "content-api"}, "interactions": interactions});
    let one = |path: &str, body: Value, rules: Value| pact(vec![get(path, body, rules)]);
    let none = || json!({});
    // What holds.
    for fine in [
        one(
            "/v1/pages/home",
            json!({"count": 3, "rank": 1.5, "code": "ABC", "hero": {"cta": {}}}),
            json!({
                "$.count": {"matchers": [{"match": "integer"}]},
                "$.rank": {"matchers": [{"match": "decimal"}]},
                "$['code']": {"matchers": [{"match": "regex", "regex": "^[A-Z]{3}$"}]},
            }),
        ),
        one(
            "/v1/entries/page",
            json!({"items": [{"fields": {"slug": "a"}, "id": "a", "locale": "en"}], "next_cursor": null}),
            none(),
        ),
        one("/v1/entries/page/home", json!({"slug": "home"}), none()),
        one("/v1/pages/home?locale=en", json!({"count": 3}), json!({"$.count": {"match": "type"}})),
    ] {
        assert_eq!(check(&fine), Vec::<String>::new(), "{fine}");
    }
    // What does not.
    let wrong = |file: Value, says: &[&str]| {
        let reported = check(&file).join("\n");
        assert!(says.iter().all(|s| reported.contains(s)), "{file}: {reported}");
    };
    wrong(
        one("/v1/pages/home", json!({"rank": 1}), json!({"$.rank": {"matchers": [{"match": "integer"}]}})),
        &["consumer-broken expects[0] rank", "something else than integer"],
    );
    wrong(
        one(
            "/v1/pages/home",
            json!({"slug": "x"}),
            json!({"$.slug": {"matchers": [{"match": "regex", "regex": "^[a-z]+$"}]}}),
        ),
        &["consumer-broken expects[0] slug", "wanted pattern"],
    );
    wrong(
        json!({"consumer": {"name": "shop"}, "interactions": [{"request": {"method": "get", "path": "/v1/pages/home"},
            "response": {"status": 200, "body": {"hero": {"title": 7}}, "matchingRules": {"$.body.hero.title": {"match": "integer"}}}}]}),
        &["consumer-broken expects[0] hero.title", "something else than integer"],
    );
    // Arrays against objects, at the top and inside, both ways.
    wrong(
        one("/v1/pages/home", json!([{"slug": "home"}]), none()),
        &["expects[0] $", "something else than array"],
    );
    wrong(
        one("/v1/entries/page", json!([{"slug": "a"}]), none()),
        &["expects[0] $", "something else than array"],
    );
    wrong(one("/v1/entries/page", json!({"slug": "a"}), none()), &["expects[0] slug: ", "may be absent"]);
    wrong(
        one("/v1/pages/home", json!({"hero": [{"title": "x"}]}), none()),
        &["expects[0] hero: ", "something else than array"],
    );
    wrong(
        one("/v1/pages/home", json!({"slug": {}}), none()),
        &["expects[0] slug: ", "something else than object"],
    );
    wrong(one("/v1/else/home", json!({}), none()), &["consumer-endpoint-unknown expects[0]"]);
    // What is not judged is said.
    let post = json!({"description": "a query", "request": {"method": "POST", "path": "/graphql"}, "response": {"status": 200}});
    wrong(pact(vec![post.clone()]), &["consumer-empty", "no `GET`"]);
    wrong(
        pact(vec![post, get("/v1/pages/home", json!({"slug": "x"}), none())]),
        &["consumer-not-judged", "interaction 0 (`a query`) is a POST answered with 200"],
    );
    let message = json!({"type": "Asynchronous/Messages", "description": "m", "contents": {}});
    wrong(pact(vec![message]), &["consumer-empty", "only messages"]);
    wrong(
        json!({"consumer": {"name": "shop"}, "provider": {"name": "content-api"}, "messages": [{}]}),
        &["consumer-empty", "only messages"],
    );
    wrong(
        json!({"consumer": {"name": "shop"}, "provider": {"name": "billing"}, "interactions": []}),
        &["consumer-provider", "for the provider `billing`"],
    );
}

#[test]
fn a_field_of_a_required_included_reference_can_be_relied_on() {
    let relies = "consumer: c\nexpects:\n  - endpoint: /v1/pages/{slug}\n    must_include: [author.name]\n    types: { author.name: string }\n";
    assert!(reported(relies, &[])[0].contains("`author.name` may be absent"));
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), relies);
    write(
        dir.path(),
        "contracts/page.v1.json",
        &PAGE.replace(r#"["slug","hero"]"#, r#"["slug","hero","author"]"#),
    );
    let report =
        check_project(dir.path(), &CheckOptions { cache: false, ..CheckOptions::default() }).unwrap();
    let gate = report.gates.iter().find(|g| g.gate == "consumers").unwrap();
    assert!(gate.findings.is_empty(), "{:?}", gate.findings);
}

#[test]
fn of_two_promises_that_contradict_each_other_one_is_broken() {
    let both = "consumer: c\nexpects:\n  - endpoint: /v1/pages/{slug}\n    types: { hero.title: string }\n  - endpoint: /v1/pages/{slug}\n    types: { hero.title: integer }\n    must_include: [hero.nothing.ever]\n";
    let found = reported(both, &[]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|f| f.contains("expects[1]")), "{found:?}");
    assert!(found.iter().any(|f| f.contains("hero.nothing.ever")), "what never existed: {found:?}");
    assert!(found.iter().any(|f| f.contains("something else than integer")), "{found:?}");
}
