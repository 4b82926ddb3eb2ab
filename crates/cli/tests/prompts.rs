//! Prompts as releases: a version is promoted and rolled back without touching content, drafts or other prompts.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Rig, http, start};
use serde_json::{Value, json};

fn prompt(says: &str) -> String {
    format!("---\nowner: web\nchangelog: {says}.\noutput: none\n---\n## system\nSay {says}.\n")
}

/// An installation with one entry and two prompts, released as r1, and a draft that is pending.
fn released() -> Rig {
    let rig = Rig::new();
    for dir in ["prompts/greet", "prompts/part"] {
        std::fs::create_dir_all(rig.path().join("site").join(dir)).unwrap();
    }
    for name in ["greet", "part"] {
        for version in [1, 2] {
            rig.write(&format!("site/prompts/{name}/v{version}.md"), &prompt(&format!("{name} {version}")));
        }
    }
    rig.write("site/prompts.toml", "# Who answers.\n[prompts.greet]\nactive = 1\n");
    json(&rig, 0, &["push", "site"]);
    rig.put("team", &json!({"slug": "team", "name": "Team", "price": 1}), "mara");
    json(&rig, 0, &["candidate", "create"]);
    let approved = ["candidate", "approve", "c1", "--right", "pricing", "--as", "ines"];
    rig.run(&approved);
    json(&rig, 0, &["release", "promote", "c1"]);
    rig.put("team", &json!({"slug": "team", "name": "Team of many", "price": 1}), "mara");
    rig
}

fn json(rig: &Rig, exit: i32, args: &[&str]) -> Value {
    rig.json(exit, &[args, &["--format", "json"]].concat())
}

/// Active version and flags of a prompt that is live.
fn state(rig: &Rig, name: &str) -> (u64, Vec<(u64, f64)>) {
    let list = json(rig, 0, &["prompt", "list"]);
    let item = list["items"].as_array().unwrap().iter().find(|item| item["prompt"] == name).unwrap().clone();
    let flags = item["flags"].as_array().unwrap().iter();
    let flags = flags.map(|f| (f["version"].as_u64().unwrap(), f["percent"].as_f64().unwrap()));
    (item["active"].as_u64().unwrap(), flags.collect())
}

fn pending(rig: &Rig) -> Vec<String> {
    let list = json(rig, 0, &["entry", "list", "--pending"]);
    let items = list.as_array().or(list["items"].as_array()).unwrap().clone();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// The paths of definitions that differ between two releases, which have the same content.
fn changed(rig: &Rig, from: &str, to: &str) -> Vec<String> {
    let diff = json(rig, 0, &["release", "diff", from, to]);
    assert_eq!(diff["entries"], json!([]), "content stays");
    let files = diff["definitions"].as_array().unwrap();
    files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_prompt_is_promoted_and_rolled_back_alone() {
    let rig = released();
    assert_eq!((state(&rig, "greet"), state(&rig, "part")), ((1, vec![]), (2, vec![])));
    let tenth = json(&rig, 0, &["prompt", "promote", "greet@v2", "--percent", "10", "--note", "try it"]);
    assert_eq!((&tenth["release"], &tenth["from"]), (&json!("r2"), &json!("r1")));
    assert_eq!(state(&rig, "greet"), (1, vec![(2, 10.0)]));
    assert_eq!(changed(&rig, "r1", "r2"), ["prompts.toml"]);
    assert_eq!(pending(&rig), ["team"], "drafts stay pending");
    json(&rig, 0, &["prompt", "promote", "greet@v2"]);
    json(&rig, 0, &["prompt", "promote", "part@v1"]);
    assert_eq!((state(&rig, "greet"), state(&rig, "part")), ((2, vec![]), (1, vec![])));

    // The other prompt was promoted later and stays.
    let back = json(&rig, 0, &["prompt", "rollback", "greet"]);
    assert_eq!(back["release"], "r5");
    assert_eq!((state(&rig, "greet"), state(&rig, "part")), ((1, vec![(2, 10.0)]), (1, vec![])));
    assert_eq!(pending(&rig), ["team"]);
    assert_eq!(json(&rig, 1, &["prompt", "promote", "part@v1"])["error"]["code"], "prompt-active");

    // A rollback of the channel takes it back like everything else.
    json(&rig, 0, &["release", "rollback", "r4"]);
    assert_eq!(state(&rig, "greet"), (2, vec![]));
    assert_eq!(json(&rig, 0, &["release", "show", "r2"])["note"], "try it");
    json(&rig, 0, &["audit", "verify"]);
    json(&rig, 0, &["release", "verify", "r5"]);
    let shown = String::from_utf8(rig.run(&["prompt", "show", "greet@v1"]).stdout).unwrap();
    assert!(shown.starts_with("greet@v1 (not active)") && shown.contains("Say greet 1."), "{shown}");
}

#[test]
fn what_was_pushed_and_not_released_waits() {
    let rig = released();
    rig.write("site/prompts/greet/v3.md", &prompt("greet 3"));
    rig.write("site/redirects.toml", "[[redirect]]\nfrom = '/old'\nto = '/pricing/team'\n");
    rig.run(&["push", "site", "--as", "jonas"]);
    json(&rig, 0, &["prompt", "promote", "greet@v3", "--as", "mara"]);
    assert_eq!(changed(&rig, "r1", "r2"), ["prompts.toml", "prompts/greet/v3.md"]);
    assert_eq!(state(&rig, "greet").0, 3);
    // The next candidate has the pushed file, the draft, and the promoted version.
    let candidate = json(&rig, 0, &["candidate", "create"]);
    let gates = candidate["gates"].as_array().unwrap();
    let prompts = gates.iter().find(|gate| gate["gate"] == "prompts").unwrap();
    assert_eq!((&prompts["status"], &prompts["findings"]), (&json!("pass"), &json!([])));
    let id = candidate["candidate"].as_str().unwrap();
    json(&rig, 0, &["release", "promote", id]);
    assert_eq!(state(&rig, "greet").0, 3);
    assert_eq!(pending(&rig), [""; 0]);
    let diff = json(&rig, 0, &["release", "diff", "r2", "r3"]);
    assert_eq!(diff["definitions"][0]["path"], "redirects.toml");
    assert_eq!(diff["definitions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_prompt_that_a_gate_refuses_is_not_released() {
    let rig = released();
    let wrong = prompt("hello").replace("output: none", "output: none\nvariables: { unused: string }");
    rig.write("site/prompts/greet/v3.md", &wrong);
    json(&rig, 0, &["push", "site"]);
    let refused = json(&rig, 1, &["prompt", "promote", "greet@v3"]);
    assert!(refused.to_string().contains("prompt-variable-unused"), "{refused}");
    assert_eq!(state(&rig, "greet"), (1, vec![]));
    for (args, exit, said) in [
        (["prompt", "promote", "greet@v9"], 2, "versions are 1, 2, 3"),
        (["prompt", "promote", "greet"], 2, "names no version"),
        (["prompt", "promote", "gret@v1"], 2, "did you mean `greet`?"),
        (["prompt", "rollback", "greet"], 1, "nothing to go back to"),
        (["prompt", "show", "greet@v3"], 2, "versions are 1, 2"),
        (["prompt", "show", "../greet"], 2, "does not name a prompt"),
    ] {
        let out = rig.run(&args);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(exit), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[test]
fn a_server_does_the_same() {
    let rig = released();
    let (_server, ready) = start(&rig, &["serve", "--data", "data"]);
    let url = ready["url"].as_str().unwrap();
    let admin = ready["keys"]["admin"].as_str().unwrap();
    let api = |method: &str, path: &str, body: &str| -> (u16, Value) {
        let (status, _, text) = http(url, method, &format!("/api/v1/prompts{path}"), admin, body);
        (status, serde_json::from_str(&text).unwrap_or_default())
    };
    let (status, done) = api("POST", "/greet/promote", "{\"version\": 2, \"percent\": 25}");
    assert_eq!((status, &done["release"]), (201, &json!("r2")));
    let (status, list) = api("GET", "", "");
    assert_eq!((status, &list["release"]), (200, &json!("r2")));
    assert_eq!(list["items"][0]["flags"][0]["percent"], 25.0);
    let (status, shown) = api("GET", "/greet?version=2", "");
    assert_eq!((status, &shown["is_active"], &shown["owner"]), (200, &json!(false), &json!("web")));
    assert_eq!(api("POST", "/greet/rollback", "{}").0, 201);
    assert_eq!(api("GET", "", "").1["items"][0]["flags"], json!([]));
    assert_eq!(api("GET", "/nothing", "").0, 404);
    assert_eq!(api("POST", "/greet/promote", "{\"version\": 1}").0, 409);
    assert_eq!(api("POST", "/greet/promote", "{\"version\": 2, \"percent\": 0}").0, 400);
    let (status, _, _) = http(url, "POST", "/api/v1/prompts/greet/promote", "", "{\"version\": 2}");
    assert_eq!(status, 401);
}
