//! Records and usage of model calls, over HTTP and on the command line.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Demo, Rig, eventually, http, start};
use serde_json::{Value, json};

/// The demo, with its key for calls.
fn demo() -> (Demo, String) {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let llm = text(&ready["keys"]["llm"]);
    (Demo { rig, server, url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]) }, llm)
}

fn chat(url: &str, key: &str, user: &str) -> u16 {
    let body = json!({"model": "extractive", "user": user, "messages": [{"role": "user", "content": "How much does the Basin plan cost each month?"}]});
    http(url, "POST", "/llm/v1/chat/completions", key, &body.to_string()).0
}

fn get(demo: &Demo, path: &str) -> Value {
    let (status, _, body) = http(&demo.url, "GET", path, &demo.admin, "");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn count(usage: &Value) -> u64 {
    usage["items"].as_array().unwrap().iter().map(|item| item["calls"].as_u64().unwrap()).sum()
}

#[test]
fn calls_are_listed_summed_exported_and_erased() {
    let (demo, key) = demo();
    for user in ["jo@example.com", "jo@example.com", "ed", ""] {
        assert_eq!(chat(&demo.url, &key, user), 200);
    }
    let refused =
        json!({"model": "no-such-route", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    assert_ne!(http(&demo.url, "POST", "/llm/v1/chat/completions", &key, &refused).0, 200);
    let all = eventually("records", || {
        let page = get(&demo, "/api/v1/llm/calls");
        (page["items"].as_array().unwrap().len() == 5).then_some(page)
    });
    let text = all.to_string();
    assert!(!text.contains("jo@example.com") && !text.contains("Basin"), "{text}");
    let first = &all["items"][4];
    assert_eq!(
        (&first["feature"], &first["outcome"], &first["cost"]),
        (&json!("default"), &json!("ok"), &json!("0.00"))
    );
    assert_eq!((&first["provider"], &first["operation"]), (&json!("ashlar"), &json!("chat")));
    assert!(
        first["release"].as_str().unwrap().starts_with('r') && first["trace"].as_str().unwrap().len() == 32,
        "{first}"
    );
    let of_jo = get(&demo, "/api/v1/llm/calls?user=jo@example.com&outcome=ok");
    assert_eq!(of_jo["items"].as_array().unwrap().len(), 2);
    assert_eq!(get(&demo, "/api/v1/llm/calls?limit=2")["items"].as_array().unwrap().len(), 2);

    let usage = get(&demo, "/api/v1/llm/usage?by=feature,model");
    assert_eq!((count(&usage), &usage["dropped"]), (5, &json!(0)));
    let here = demo.rig.json(0, &["llm", "usage", "--data", "demo", "--format", "json"]);
    assert_eq!(count(&here), 5);
    let listed = demo.rig.json(0, &["llm", "calls", "--user", "ed", "--data", "demo", "--format", "json"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    let (status, head, body) = http(&demo.url, "GET", "/api/v1/llm/calls/export", &demo.admin, "");
    assert!(status == 200 && head.contains("application/x-ndjson"), "{head}");
    let spans: Vec<Value> = body
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(spans.len(), 5);
    assert_eq!(spans[4]["attributes"]["gen_ai.provider.name"], "ashlar");

    let (status, _, body) = http(&demo.url, "DELETE", "/api/v1/llm/users/jo@example.com", &demo.admin, "");
    assert_eq!((status, body.trim()), (200, r#"{"calls":2,"reviews":0}"#));
    assert_eq!(get(&demo, "/api/v1/llm/calls?user=jo@example.com")["items"], json!([]));
    assert_eq!(count(&get(&demo, "/api/v1/llm/usage")), 5);
    for path in ["/api/v1/llm/calls", "/api/v1/llm/calls/export", "/api/v1/llm/usage"] {
        assert_eq!(http(&demo.url, "GET", path, &key, "").0, 403, "{path}");
    }
    assert_eq!(http(&demo.url, "GET", "/api/v1/llm/calls?from=yesterday", &demo.admin, "").0, 400);
    assert_eq!(http(&demo.url, "GET", "/api/v1/llm/usage?by=colour", &demo.admin, "").0, 400);
}

#[test]
fn an_orderly_stop_loses_no_record_and_a_kill_loses_little() {
    let (mut demo, key) = demo();
    for _ in 0..20 {
        assert_eq!(chat(&demo.url, &key, ""), 200);
    }
    // Stopped at once: nothing of it was stored by the clock alone.
    let pid = demo.server.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    demo.server.0.wait().unwrap();
    let usage =
        |demo: &Demo| count(&demo.rig.json(0, &["llm", "usage", "--data", "demo", "--format", "json"]));
    assert_eq!(usage(&demo), 20);

    let (server, ready) = start(&demo.rig, &["demo", "--data", "demo"]);
    (demo.server, demo.url) = (server, ready["url"].as_str().unwrap().to_owned());
    for _ in 0..10 {
        assert_eq!(chat(&demo.url, &key, ""), 200);
    }
    eventually("records of the second run", || (usage(&demo) == 30).then_some(()));
    for _ in 0..10 {
        assert_eq!(chat(&demo.url, &key, ""), 200);
    }
    demo.server.0.kill().unwrap();
    demo.server.0.wait().unwrap();
    // What was stored is there, and what waited may be lost.
    assert!((30..=40).contains(&usage(&demo)));
}
