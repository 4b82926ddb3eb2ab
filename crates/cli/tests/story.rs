//! The main job, end to end, as a person or program would do it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use common::{Rig, Served, http, start};
use serde_json::{Value, json};

fn plan(price: u32) -> Value {
    json!({"slug": "pro", "name": "Pro", "price": price})
}

fn gate<'a>(candidate: &'a Value, name: &str) -> &'a Value {
    candidate["gates"].as_array().unwrap().iter().find(|g| g["gate"] == name).unwrap()
}

fn story(rig: &Rig) {
    assert_eq!(rig.json(0, &["check", "site", "--format", "json"])["status"], "pass");
    assert!(rig.run(&["push", "site", "--content"]).status.success());
    let put = rig.put("pro", &plan(1000), "mara");
    assert_eq!(
        (&put["type"], &put["id"], &put["locale"], &put["version"]),
        (&json!("plan"), &json!("pro"), &json!("en"), &json!(1))
    );

    // A price needs an approval, and not by its author.
    let c1 = rig.json(0, &["candidate", "create", "--as", "mara", "--format", "json"]);
    assert_eq!((&c1["candidate"], &c1["status"]), (&json!("c1"), &json!("failed")));
    assert_eq!(gate(&c1, "approvals")["status"], "fail");
    assert_eq!(
        rig.json(1, &["release", "promote", "c1", "--channel", "production", "--format", "json"])["error"]["code"],
        "gates-failed"
    );
    let own = rig
        .json(1, &["candidate", "approve", "c1", "--right", "pricing", "--as", "mara", "--format", "json"]);
    assert_eq!(own["error"]["code"], "own-change");
    let approved = rig
        .json(0, &["candidate", "approve", "c1", "--right", "pricing", "--as", "ines", "--format", "json"]);
    assert_eq!(approved["status"], "passed");
    let r1 = rig.json(0, &["release", "promote", "c1", "--channel", "production", "--format", "json"]);
    assert_eq!((&r1["release"], &r1["channel"]), (&json!("r1"), &json!("production")));

    // A broken reference is refused, and deleting what is referred to says by whom.
    rig.put("old", &json!({"slug": "old", "name": "Old", "price": 5}), "mara");
    let mut related = plan(2000);
    related["related"] = json!(["old", "nowhere"]);
    rig.put("pro", &related, "mara");
    let c2 = rig.json(0, &["candidate", "create", "--format", "json"]);
    assert_eq!(gate(&c2, "references")["findings"][0]["where"], "plan/pro (en) /related/1");
    related["related"] = json!(["old"]);
    rig.put("pro", &related, "mara");
    rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["candidate", "approve", "c3", "--right", "pricing", "--as", "ines", "--format", "json"]);
    rig.json(0, &["release", "promote", "c3", "--format", "json"]);
    // An approval is for exactly the changes it was given to.
    assert_eq!(rig.json(1, &["release", "promote", "c2", "--format", "json"])["error"]["code"], "superseded");
    rig.json(0, &["entry", "rm", "plan", "old", "--format", "json"]);
    let c4 = rig.json(0, &["candidate", "create", "--format", "json"]);
    let finding = &gate(&c4, "references")["findings"][0];
    assert_eq!(
        (&finding["code"], &finding["where"]),
        (&json!("reference-deleted"), &json!("plan/pro (en) /related/0"))
    );

    // Compare, roll back, verify.
    let diff = rig.json(0, &["release", "diff", "r1", "r2", "--format", "json"]);
    let changed: Vec<_> =
        diff["entries"].as_array().unwrap().iter().map(|e| (e["id"].clone(), e["change"].clone())).collect();
    assert_eq!(changed, [(json!("old"), json!("added")), (json!("pro"), json!("changed"))]);
    assert_eq!(diff["entries"][1]["fields"], json!(["price", "related"]));
    let back = rig.json(0, &["release", "rollback", "r1", "--channel", "production", "--format", "json"]);
    assert_eq!((&back["release"], &back["from"]), (&json!("r1"), &json!("r2")));
    assert!(back["took_ms"].as_f64().is_some());
    for release in ["r1", "r2"] {
        assert!(rig.run(&["release", "verify", release]).status.success());
    }
    assert!(rig.run(&["audit", "verify"]).status.success());
    // What was taken back is pending again.
    let pending = rig.json(0, &["entry", "list", "plan", "--pending", "--format", "json"]);
    assert!(pending["items"].as_array().unwrap().iter().any(|d| d["id"] == "pro"), "{pending}");

    // A release moves to another installation as one file, and through its gates.
    assert!(rig.run(&["release", "export", "r2", "--out", "r2.ashlar"]).status.success());
    let other = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
    std::fs::copy(rig.path().join("r2.ashlar"), other.path().join("r2.ashlar")).unwrap();
    let imported = other.json(0, &["release", "import", "r2.ashlar", "--as", "mara", "--format", "json"]);
    assert_eq!(imported["snapshot"], rig.json(0, &["release", "show", "r2", "--format", "json"])["snapshot"]);
    other.json(0, &["candidate", "approve", "c1", "--right", "pricing", "--as", "ines", "--format", "json"]);
    other.json(0, &["release", "promote", "c1", "--format", "json"]);
    assert_eq!(other.json(0, &["entry", "get", "plan", "pro"])["price"], 2000);
    assert!(other.run(&["gc"]).status.success());
    assert!(other.run(&["release", "verify", "r1"]).status.success());
}

#[test]
fn the_story_on_a_directory() {
    story(&Rig::new());
}

#[test]
fn the_story_on_postgresql() {
    let Ok(address) = std::env::var("ASHLAR_TEST_POSTGRES") else {
        assert!(
            std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
            "ASHLAR_TEST_POSTGRES is not set, and everything is required"
        );
        println!("not run on PostgreSQL: ASHLAR_TEST_POSTGRES is not set");
        return;
    };
    let name = format!("story_{}", std::process::id());
    let made =
        Command::new("psql").args([&address, "-c", &format!("CREATE DATABASE {name}")]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut rig = Rig::new();
    rig.data = format!("{}/{name}", address.rsplit_once('/').unwrap().0);
    story(&rig);
}

#[test]
fn bad_input_is_reported_with_its_place_and_loses_nothing() {
    let rig = Rig::new();
    let refused = |args: &[&str], code: &str, part: &str| {
        let error = rig.json(2, args)["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    rig.write("f.json", "{\"slug\":\n  oops}");
    rig.write("ok.json", &plan(1).to_string());
    let put = |file, locale| {
        ["entry", "put", "plan", "pro", "--file", file, "--locale", locale, "--format", "json"]
    };
    assert_eq!(rig.json(1, &put("ok.json", "en"))["error"]["code"], "no-definitions");
    assert!(rig.run(&["push", "site"]).status.success());
    refused(&put("f.json", "en"), "json", "f.json:2:3");
    refused(&put("ok.json", "xx"), "not-found", "en");
    refused(&["entry", "put", "nope", "a", "--file", "ok.json", "--format", "json"], "not-found", "plan.v1");
    rig.write("big.json", "{\"n\": 9007199254740993}");
    refused(&put("big.json", "en"), "invalid-input", "lose digits");
    rig.write("deep.json", &format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100)));
    refused(&put("deep.json", "en"), "invalid-input", "nested");
    rig.put("pro", &plan(1), "mara");
    let stale = rig
        .json(1, &["entry", "put", "plan", "pro", "--file", "ok.json", "--version", "7", "--format", "json"]);
    assert_eq!(
        (&stale["error"]["code"], &stale["error"]["current"]["version"]),
        (&json!("stale-write"), &json!(1))
    );
    rig.write("site/contracts/remote.v1.json", r#"{"$ref": "https://example.com/x.json"}"#);
    let check = rig.json(1, &["check", "site", "--format", "json"]);
    assert!(check.to_string().contains("remote.v1.json:1"), "{check}");
    assert_eq!(rig.run(&["nonsense"]).status.code(), Some(2));
    assert_eq!(rig.run(&["release", "verify", "r9"]).status.code(), Some(2));
}

#[test]
fn contracts_are_compared_and_values_validated() {
    let rig = Rig::new();
    let diff = |old: &str, new: &str| {
        rig.write("old.json", old);
        rig.write("new.json", new);
        rig.json(0, &["contracts", "diff", "old.json", "new.json", "--format", "json"])
    };
    let summary = |d: &Value| {
        format!("{} {} {} {}", d["verdict"], d["semantic"], d["backward"], d["forward"]).replace('"', "")
    };
    let closed = r#"{"type":"object","properties":{"a":{"type":"string","enum":["x","y"]}},"required":["a"],"additionalProperties":false}"#;
    assert_eq!(summary(&diff(closed, closed)), "none false yes yes");
    for (from, to, expected) in [
        (r#""required":["a"]"#, r#""required":[]"#, "minor false yes no"),
        (r#"["x","y"]"#, r#"["x","y","z"]"#, "minor false yes no"),
        (r#"["x","y"]"#, r#"["x"]"#, "major false no yes"),
        (r#""additionalProperties":false"#, r#""additionalProperties":true"#, "minor false yes no"),
        (r#"{"type":"object""#, r#"{"title":"T","type":"object""#, "patch false yes yes"),
        (r#"{"a":"#, r#"{"b":{"type":"integer"},"a":"#, "minor false yes no"),
        (
            r#"{"type":"string","#,
            r#"{"x-ashlar":{"semantics":"other"},"type":"string","#,
            "minor true yes yes",
        ),
    ] {
        assert_eq!(summary(&diff(closed, &closed.replace(from, to))), expected, "{from} -> {to}");
    }
    let required = diff(
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
    );
    assert_eq!(required["changes"][0]["kind"], "required-added");
    assert_eq!(summary(&required), "major false no yes");

    rig.write("s.json", closed);
    rig.write("v.json", "{\n  \"a\": \"q\"\n}");
    let invalid = rig.json(1, &["contracts", "validate", "s.json", "v.json", "--format", "json"]);
    assert_eq!(invalid["findings"][0]["where"], "v.json:2 /a");
    rig.write("v.json", r#"{"a":"x"}"#);
    assert_eq!(
        rig.json(0, &["contracts", "validate", "s.json", "v.json", "--format", "json"])["valid"],
        true
    );
}

#[test]
fn the_demo_serves_the_story_over_http() {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    assert_eq!(ready["ready"], true);
    let (url, admin) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    let price = || {
        let (status, head, body) = http(url, "GET", "/v1/plans/port?locale=de", "", "");
        assert_eq!(status, 200, "{body}");
        assert!(
            head.contains("ashlar-contract: pricing-plan.v1")
                && head.contains("surrogate-key: pricing-plan:port:de"),
            "{head}"
        );
        serde_json::from_str::<Value>(&body).unwrap()["price_minor"].clone()
    };
    assert_eq!(price(), 39900);
    let api = |method: &str, path: &str, key: &str, body: Value| -> (u16, Value) {
        let (status, _, body) = http(url, method, &format!("/api/v1{path}"), key, &body.to_string());
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    };
    assert_eq!(api("GET", "/releases", "", json!({})).0, 401);
    let (_, draft) = api("GET", "/entries/pricing-plan/port?locale=en", admin, json!({}));
    let mut fields = draft["fields"].clone();
    fields["price_minor"] = json!(42900);
    let put = json!({"fields": fields, "version": draft["version"]});
    assert_eq!(api("PUT", "/entries/pricing-plan/port?locale=en", admin, put.clone()).0, 200);
    let (status, stale) = api("PUT", "/entries/pricing-plan/port?locale=en", admin, put);
    assert_eq!((status, &stale["current"]["version"]), (409, &json!(2)));
    let (_, candidate) = api("POST", "/candidates", admin, json!({}));
    let name = candidate["candidate"].as_str().unwrap();
    assert_eq!(candidate["status"], "failed");
    let (status, refused) = api("POST", &format!("/candidates/{name}/promote"), admin, json!({}));
    assert_eq!((status, &refused["type"]), (422, &json!("urn:ashlar:problem:gates-failed")));
    // The admin key may not approve: that takes a key that says so.
    assert_eq!(
        api("POST", &format!("/candidates/{name}/approve"), admin, json!({"right": "pricing"})).0,
        403
    );
    let (_, key) = api("POST", "/keys", admin, json!({"name": "ines", "scopes": ["approve:pricing"]}));
    let ines = key["key"].as_str().unwrap();
    assert_eq!(api("POST", &format!("/candidates/{name}/approve"), ines, json!({"right": "pricing"})).0, 200);
    assert_eq!(api("POST", &format!("/candidates/{name}/promote"), ines, json!({})).0, 403);
    let (status, promoted) =
        api("POST", &format!("/candidates/{name}/promote"), admin, json!({"channel": "production"}));
    assert_eq!((status, &promoted["release"]), (201, &json!("r4")));
    assert_eq!(price(), 42900);
    // An old release answers the same queries, for those who may see it.
    assert_eq!(http(url, "GET", "/v1/plans/port?at=r3", "", "").0, 401);
    let (status, _, old) = http(url, "GET", "/v1/plans/port?at=r3", admin, "");
    assert!(status == 200 && old.contains("39900"), "{status} {old}");
    assert_eq!(api("POST", "/releases/r3/rollback", admin, json!({})).1["from"], "r4");
    assert_eq!(price(), 39900);
    // A promotion by another process on the same directory shows up by itself.
    assert!(rig.run(&["release", "rollback", "r4"]).status.success());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while price() != 42900 {
        assert!(std::time::Instant::now() < until, "the server does not follow");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let (_, _, metrics) = http(url, "GET", "/metrics", admin, "");
    assert!(
        metrics.contains("ashlar_channel_release{channel=\"production\",tenant=\"main\"} 4"),
        "{metrics}"
    );
    let (status, problem) = api("POST", "/candidates", admin, Value::String("x".repeat(17 << 20)));
    assert_eq!((status, &problem["type"]), (413, &json!("urn:ashlar:problem:too-large")));

    // An edge serves from the objects alone, also when everything else is gone.
    let (edge, ready) = start(&rig, &["serve", "--role", "edge", "--objects", "demo/objects"]);
    drop(server);
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = std::fs::rename(rig.path().join("demo").join(file), rig.path().join(format!("gone-{file}")));
    }
    let edge_url = ready["url"].as_str().unwrap();
    let (status, _, body) = http(edge_url, "GET", "/v1/plans/port", "", "");
    assert!(status == 200 && body.contains("42900"), "{status} {body}");
    assert_eq!(http(edge_url, "GET", "/api/v1/releases", admin, "").0, 404);
    drop(edge);
}

#[test]
fn the_documentation_corpus_is_imported_released_and_verified() {
    let Some(data) = std::env::var_os("ASHLAR_TEST_DATA") else {
        assert!(
            std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
            "ASHLAR_TEST_DATA is not set, and everything is required"
        );
        println!("not run on the corpus: ASHLAR_TEST_DATA is not set");
        return;
    };
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
    std::fs::create_dir_all(rig.path().join("docs/contracts")).unwrap();
    rig.write("docs/ashlar.toml", "name = 'Docs'\n[locales]\ndefault = 'en'\nsupported = ['en', 'fr', 'de', 'ja']\n[gates]\nlinks_ignored = ['/about', '/blog', '/']\n");
    rig.write(
        "docs/contracts/doc.v1.json",
        r#"{"type":"object","x-ashlar":{"owner":"docs","route":"/{locale}/{slug}/","title_field":"title"},"properties":{"title":{"type":"string"},
           "slug":{"type":"string"},"body":{"type":"string","contentMediaType":"text/markdown"}},"required":["title"]}"#,
    );
    rig.write("map.toml", "type = 'doc'\nlocale_segment = 0\npath_field = 'slug'\n");
    assert!(rig.run(&["push", "docs"]).status.success());
    let docs = Path::new(&data).join("docs");
    let args = ["import", "markdown", docs.to_str().unwrap(), "--mapping", "map.toml", "--format", "json"];
    assert_eq!(rig.json(0, &args)["written"], 1044);
    assert_eq!(rig.json(0, &args)["unchanged"], 1044);
    let candidate = rig.json(0, &["candidate", "create", "--format", "json"]);
    assert_eq!(
        (&candidate["status"], &candidate["entries"]),
        (&json!("passed"), &json!(1044)),
        "{}",
        gate(&candidate, "links")
    );
    rig.json(0, &["release", "promote", "c1", "--format", "json"]);
    assert_eq!(rig.json(0, &["release", "verify", "r1", "--format", "json"])["entries"], 1044);
}

#[test]
fn the_steps_that_the_demo_prints_lead_to_a_release_and_back() {
    let rig = Rig::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_ashlar"));
    let mut demo = Command::new(binary)
        .args(["demo", "--data", "demo", "--listen", "127.0.0.1:0"])
        .current_dir(rig.path())
        .env_remove("ASHLAR_DATA")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let _served = Served(demo);
    let printed: Vec<String> =
        lines.map(Result::unwrap).take_while(|line| !line.contains("Stop with Ctrl-C")).collect();
    let steps: Vec<&str> = printed
        .iter()
        .skip_while(|line| !line.starts_with("Change a price"))
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        .collect();
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let (export, rest) = steps.split_first().unwrap();
    assert!(export.starts_with("export ASHLAR_DATA=") && rest.len() > 8, "{printed:#?}");
    let mut answers = Vec::new();
    for step in rest {
        let out = Command::new("sh")
            .args(["-c", &format!("{export}; {step}")])
            .current_dir(rig.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let refused = step.contains("# refused");
        assert_eq!(out.status.success(), !refused, "{step}: {out:?}");
        if step.starts_with("ashlar ask") {
            answers.push(String::from_utf8(out.stdout).unwrap());
        }
    }
    assert!(answers[0].contains("429.00 EUR"), "{answers:?}");
    assert_eq!(http(&url_in(&printed), "GET", "/v1/plans/port", "", "").0, 200);
}

/// The address that is printed first.
fn url_in(printed: &[String]) -> String {
    let line = printed.iter().find(|line| line.contains("http://")).unwrap();
    line[line.find("http://").unwrap()..].trim().to_owned()
}
