//! Consumer contracts as people meet them: on files, on a candidate, before a change, and over HTTP.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::process::Command;

use common::{Rig, http, start};
use serde_json::{Value, json};

fn demo() -> Rig {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo");
    let copy = |to: &str| {
        assert!(
            Command::new("cp").args(["-r", from, to]).current_dir(rig.path()).status().unwrap().success()
        );
    };
    copy("site");
    copy("before");
    rig
}

fn edit(rig: &Rig, path: &str, change: impl Fn(&mut Value)) {
    let file = rig.path().join(path);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(&file, value.to_string()).unwrap();
}

/// The hero block calls its title a headline.
fn break_hero(rig: &Rig) {
    edit(rig, "site/contracts/hero.v1.json", |hero| {
        let title = hero["properties"].as_object_mut().unwrap().remove("title").unwrap();
        hero["properties"]["headline"] = title;
        let required = hero["required"].as_array_mut().unwrap();
        required.iter_mut().filter(|n| *n == "title").for_each(|n| *n = json!("headline"));
    });
}

fn gate(report: &Value, name: &str) -> Value {
    report["gates"].as_array().unwrap().iter().find(|g| g["gate"] == name).unwrap().clone()
}

#[test]
fn a_breaking_change_to_the_hero_is_refused_on_files_and_on_a_candidate() {
    let rig = demo();
    let passes = rig.json(0, &["check", "site", "--against", "before", "--format", "json"]);
    assert_eq!(gate(&passes, "consumers")["findings"], json!([]));
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap().to_owned();
    break_hero(&rig);
    let impact = rig.json(1, &["contracts", "impact", "site", "--against", "before", "--format", "json"]);
    assert_eq!(impact["contracts"][0]["contract"], "hero.v1");
    assert!(impact["contracts"][0]["used_by"].as_array().unwrap().contains(&json!("page.v1")));
    assert_eq!(
        impact["views"],
        json!([{"view": "pages.v1", "path": "/v1/pages/{slug}", "change": "contract"}])
    );
    assert_eq!(impact["consumers"][0]["consumer"], "marketing-web");
    assert!(impact["entries"]["page"].as_u64().unwrap() > 5);
    let refused = rig.json(1, &["check", "site", "--against", "before", "--format", "json"]);
    let named = "The consumer `marketing-web` (owner web) relies on /v1/pages/{slug}: `sections[intent=hero].title` may be absent";
    assert!(gate(&refused, "consumers").to_string().contains(named), "{refused}");
    // The same on a candidate, which a server judges.
    assert!(rig.run(&["push", "site"]).status.success());
    let candidate = rig.json(0, &["candidate", "create", "--format", "json"]);
    assert_eq!(
        (&candidate["status"], &gate(&candidate, "consumers")["status"]),
        (&json!("failed"), &json!("fail"))
    );
    let reported = gate(&candidate, "consumers").to_string();
    assert!(
        reported.contains(named) && reported.contains("What changed: contracts/hero.v1.json"),
        "{reported}"
    );
    let name = candidate["candidate"].as_str().unwrap();
    assert_eq!(
        rig.json(1, &["release", "promote", name, "--format", "json"])["error"]["code"],
        "gates-failed"
    );
    let (status, _, page) = http(&url, "GET", "/v1/pages/home", "", "");
    assert!(status == 200 && page.contains("\"title\""), "{page}");
    drop(server);
}

#[test]
fn a_body_that_breaks_a_promise_is_refused_with_its_entry() {
    let rig = demo();
    let (server, _) = start(&rig, &["demo", "--data", "demo"]);
    let mut page = rig.json(0, &["entry", "get", "page", "home", "--locale", "de"]);
    let hero = page["sections"].as_array_mut().unwrap().iter_mut().find(|s| s["intent"] == "hero").unwrap();
    // Valid by the contract, and no address.
    hero["cta"]["href"] = json!("/preise und mehr");
    rig.write("home.json", &page.to_string());
    rig.json(0, &["entry", "put", "page", "home", "--locale", "de", "--file", "home.json"]);
    let candidate = rig.json(0, &["candidate", "create", "--format", "json"]);
    let found = gate(&candidate, "consumers");
    assert_eq!(found["findings"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found["findings"][0]["code"], &found["findings"][0]["where"]),
        (&json!("consumer-body"), &json!("page/home (de) sections[intent=hero].cta.href"))
    );
    // Only bodies that the change can have touched were composed again.
    assert!(found["metrics"]["checked"].as_f64().unwrap() <= 3.0, "{found}");
    assert!(found["findings"][0]["message"].as_str().unwrap().contains("`marketing-web` (owner web)"));
    drop(server);
}

#[test]
fn the_broker_says_who_may_be_deployed() {
    let rig = demo();
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let (url, admin) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    let (_, _, list) = http(url, "GET", "/api/v1/consumers", admin, "");
    let list: Value = serde_json::from_str(&list).unwrap();
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|c| (&c["consumer"], &c["may_deploy"])).collect();
    assert_eq!(names, [(&json!("billing"), &json!(true)), (&json!("marketing-web"), &json!(true))], "{list}");
    let ask = |contract: &str| {
        let body = json!({"contract": contract}).to_string();
        let (status, _, answer) = http(url, "POST", "/api/v1/consumers/verify", admin, &body);
        (status, serde_json::from_str::<Value>(&answer).unwrap())
    };
    let new =
        "consumer: app\nversion: 2.1.0\nexpects:\n  - endpoint: /v1/plans/{slug}\n    must_include: [name]\n";
    let (status, answer) = ask(new);
    assert_eq!(
        (status, &answer["may_deploy"], &answer["version"]),
        (200, &json!(true), &json!("2.1.0")),
        "{answer}"
    );
    // Brackets that took the parser minutes are refused before it sees them, and other requests are answered meanwhile.
    let began = std::time::Instant::now();
    let hostile = "[".repeat(400_000);
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(|| ask(&hostile))));
        assert_eq!(http(url, "GET", "/healthz", "", "").0, 200);
        let (status, answer) = ask(&hostile);
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains("nest deeper than 64 levels"), "{answer}");
    });
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    let (status, answer) = ask(&new.replace("[name]", "[name, colour]"));
    assert_eq!((status, &answer["may_deploy"]), (200, &json!(false)));
    assert!(
        answer["findings"][0]["message"].as_str().unwrap().contains("`colour` may be absent"),
        "{answer}"
    );
    assert_eq!(ask("consumer: [").0, 400);
    // The shapes that clients may rely on are published.
    let (_, _, document) = http(url, "GET", "/openapi.json", "", "");
    let document: Value = serde_json::from_str(&document).unwrap();
    let shape = &document["paths"]["/v1/plans/{slug}"]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    assert_eq!(shape["properties"]["price_minor"]["type"], "integer", "{shape}");
    assert_eq!(
        shape["properties"]["features"]["items"]["properties"]["category"]["required"],
        json!(["name"])
    );
    drop(server);
}

#[test]
fn a_second_version_beside_the_first_is_the_safe_way() {
    let rig = demo();
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    // 1. The block says `headline` from now on; the old view goes on saying `title`.
    break_hero(&rig);
    edit(&rig, "site/contracts/hero.v1.json", |hero| {
        let words = hero["properties"].as_object_mut().unwrap();
        words.insert("title".to_owned(), json!({"type": "string", "minLength": 1, "maxLength": 90}));
        let required = hero["required"].as_array_mut().unwrap();
        required.retain(|n| n != "headline");
        hero["anyOf"] = json!([{"required": ["title"]}, {"required": ["headline"]}]);
        hero["x-ashlar"]["version"] = json!("1.1.0");
    });
    edit(&rig, "site/contracts/page.v1.json", |page| page["x-ashlar"]["version"] = json!("1.1.0"));
    let old = std::fs::read_to_string(rig.path().join("site/views/pages.v1.toml")).unwrap();
    let second = old.replace("source =", "path = \"/v2/pages/{slug}\"\nversion = \"2.0.0\"\nsource =")
        + "\n[rename]\n\"sections.title\" = \"headline\"\n";
    let first = old.replace(
        "source =",
        "deprecated = \"2026-12-01\"\nsunset = \"2027-06-01\"\nreplaced_by = \"pages.v2\"\nsource =",
    ) + "\n[rename]\n\"sections.headline\" = \"title\"\n";
    rig.write("site/views/pages.v1.toml", &first);
    rig.write("site/views/pages.v2.toml", &second);
    let report = rig.json(0, &["check", "site", "--against", "before", "--format", "json"]);
    assert_eq!(gate(&report, "consumers")["status"], "pass", "{report}");
    // 2. It is released, and an entry moves.
    assert!(rig.run(&["push", "site"]).status.success());
    let mut page = rig.json(0, &["entry", "get", "page", "home", "--locale", "en"]);
    let hero = page["sections"].as_array_mut().unwrap().iter_mut().find(|s| s["intent"] == "hero").unwrap();
    let title = hero.as_object_mut().unwrap().remove("title").unwrap();
    hero["headline"] = title.clone();
    rig.write("home.json", &page.to_string());
    rig.json(0, &["entry", "put", "page", "home", "--locale", "en", "--file", "home.json"]);
    let made = rig.json(0, &["candidate", "create", "--format", "json"]);
    assert_eq!(made["status"], "passed", "{made}");
    rig.json(0, &["release", "promote", made["candidate"].as_str().unwrap(), "--format", "json"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
    let (status, second) = loop {
        let (status, _, body) = http(url, "GET", "/v2/pages/home", "", "");
        if status == 200 || std::time::Instant::now() > until {
            break (status, body);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    // 3. Both versions answer, each in its own words; the old one says that it goes.
    let hero = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["sections"].as_array().unwrap().iter().find(|s| s["intent"] == "hero").unwrap().clone()
    };
    assert_eq!((status, &hero(&second)["headline"], &hero(&second)["title"]), (200, &title, &Value::Null));
    let (_, head, first) = http(url, "GET", "/v1/pages/home", "", "");
    assert_eq!((&hero(&first)["title"], &hero(&first)["headline"]), (&title, &Value::Null));
    assert!(
        head.contains("deprecation: @1796083200") && head.contains("sunset: tue, 01 jun 2027 00:00:00 gmt"),
        "{head}"
    );
    // 4. Owners see who still reads the old one.
    let admin = ready["keys"]["admin"].as_str().unwrap();
    let key = |name: &str| {
        let made = rig.json(0, &["key", "create", "--name", name, "--scope", "read", "--format", "json"]);
        made["key"].as_str().unwrap().to_owned()
    };
    let app = key("old app");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for _ in 0..3 {
        assert_eq!(http(url, "GET", "/v1/pages/home", &app, "").0, 200);
    }
    let (_, _, metrics) = http(url, "GET", "/metrics", admin, "");
    assert!(
        metrics.contains("ashlar_view_reads_total{key=\"old app\",tenant=\"main\",view=\"pages.v1\"} 3"),
        "{metrics}"
    );
    assert!(!http(url, "GET", "/metrics", "", "").2.contains("old app"));
    assert!(head.contains("link: </v2/pages>; rel=\"successor-version\""), "{head}");
    drop(server);
}
