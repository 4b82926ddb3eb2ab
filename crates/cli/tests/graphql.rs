//! Persisted operations over HTTP: both doors, who may send what, and an edit that reaches the answer.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use common::{Rig, http, start};
use serde_json::{Value, json};

/// A POST with a content type; status and body.
fn post(url: &str, key: &str, content_type: &str, body: &str) -> (u16, Value) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let auth = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: a\r\n{auth}content-type: {content_type}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn percent(value: &Value) -> String {
    value.to_string().bytes().map(|b| format!("%{b:02X}")).collect()
}

#[test]
fn persisted_operations_are_run_for_everybody_and_others_for_developers() {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let (_server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo");
    let listed = rig.json(0, &["contracts", "queries", demo, "--format", "json"]);
    let id = |name: &str| -> String {
        let all = listed["operations"].as_array().unwrap();
        all.iter().find(|o| o["name"] == name).unwrap()["document_id"].as_str().unwrap().to_owned()
    };
    let offer = json!({"slug": "home", "locale": "de"});
    let path = format!("/graphql?documentId={}&variables={}", id("Offer"), percent(&offer));
    let (status, head, body) = http(url, "GET", &path, "", "");
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("content-language: de") && head.contains("surrogate-key: page:home:de"), "{head}");
    // The same operation by POST gives the same bytes of data.
    let asked = json!({"documentId": id("Offer"), "variables": offer});
    let (status, posted) = post(url, "", "application/json", &asked.to_string());
    assert_eq!(
        (status, posted.to_string()),
        (200, serde_json::from_str::<Value>(&body).unwrap().to_string())
    );

    let made = |scope: &str| -> String {
        let key = rig.json(0, &["key", "create", "--name", scope, "--scope", scope, "--format", "json"]);
        key["key"].as_str().unwrap().to_owned()
    };
    let (reader, developer) = (made("read"), made("define"));
    std::thread::sleep(Duration::from_millis(1_500));
    let free = json!({"query": "query ($id: ID!) { person(id: $id) { name } }", "variables": {"id": "mara"}});
    for key in ["", reader.as_str()] {
        let (status, refused) = post(url, key, "application/json", &free.to_string());
        assert_eq!((status, &refused["errors"][0]["extensions"]["code"]), (403, &json!("persisted-only")));
    }
    let (status, answer) = post(url, &developer, "application/json", &free.to_string());
    assert_eq!((status, &answer["data"]["person"]["name"]), (200, &json!("Mara Olsen")), "{answer}");
    assert_eq!(post(url, &developer, "text/plain", &free.to_string()).0, 415);
    let large = json!({"query": "x".repeat(300_000)});
    assert_eq!(post(url, &developer, "application/json", &large.to_string()).0, 413);
    assert_eq!(http(url, "DELETE", "/graphql", "", "").0, 405);
    assert_eq!(http(url, "GET", "/graphql?documentId=sha256:00", "", "").0, 400);

    // Owners see who still sends which document.
    assert_eq!(http(url, "GET", &path, &reader, "").0, 200);
    let admin = ready["keys"]["admin"].as_str().unwrap();
    let (_, _, metrics) = http(url, "GET", "/metrics", admin, "");
    for key in ["(no key)", "read"] {
        let line = format!(
            "ashlar_view_reads_total{{key=\"{key}\",tenant=\"main\",view=\"queries/offer.graphql\"}} 1"
        );
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }

    // What an editor publishes is answered at once.
    let mut page = rig.json(0, &["entry", "get", "page", "home", "--locale", "de"]);
    page["title"] = json!("Neu");
    rig.write("home.json", &page.to_string());
    rig.json(0, &["entry", "put", "page", "home", "--locale", "de", "--file", "home.json"]);
    let candidate = rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["release", "promote", candidate["candidate"].as_str().unwrap(), "--format", "json"]);
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let (_, _, body) = http(url, "GET", &path, "", "");
        if serde_json::from_str::<Value>(&body).unwrap()["data"]["page"]["title"] == "Neu" {
            break;
        }
        assert!(Instant::now() < until, "{body}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
