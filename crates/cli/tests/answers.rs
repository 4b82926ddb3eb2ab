//! Answers that were wrong: a move that was not served yet, a rollback told as a promotion, defaults in place of what cannot be
//! read, one language overwriting another.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use common::{Rig, fetch, found, http, start};
use serde_json::{Value, json};

/// Two releases of one plan whose price needs no approval.
fn two_releases() -> Rig {
    let rig = Rig::new();
    let price = ",\"x-ashlar\":{\"sensitivity\":\"pricing\",\"semantics\":\"cents\"}";
    rig.edit("site/contracts/plan.v1.json", price, "");
    rig.push();
    for name in ["One", "Two"] {
        rig.put("pro", &json!({"slug": "pro", "name": name, "price": 900}), "ann");
        rig.release();
    }
    rig
}

/// The kinds of the next events of a stream.
fn kinds(url: &str, count: usize) -> std::thread::JoinHandle<Vec<String>> {
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET /v1/changes HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    // The stream is open when it has said what is current.
    assert!(lines.by_ref().any(|l| l == "event: current"));
    std::thread::spawn(move || {
        lines.filter_map(|l| l.strip_prefix("event: ").map(str::to_owned)).take(count).collect()
    })
}

#[test]
fn a_move_on_the_command_line_is_served_when_it_returns() {
    let rig = two_releases();
    let (_server, ready) = start(&rig, &["serve", "--data", "data"]);
    let (_edge, edge) = start(&rig, &["serve", "--data", "data", "--role", "edge"]);
    let urls = [ready["url"].as_str().unwrap(), edge["url"].as_str().unwrap()];
    let reported = kinds(urls[0], 4);
    for round in 0..8 {
        for (release, name) in [("r1", "One"), ("r2", "Two")] {
            rig.json(0, &["release", "rollback", release, "--format", "json"]);
            for url in urls {
                let (_, _, body) = http(url, "GET", "/v1/entries/plan/pro", "", "");
                assert!(body.contains(name), "round {round}: {release} is live, and {url} says {body}");
            }
        }
    }
    // Whether the number grows says nothing about how the channel moved.
    assert_eq!(reported.join().unwrap(), ["release.rolled_back"; 4]);
}

#[test]
fn a_process_that_is_gone_keeps_nobody_waiting() {
    let rig = two_releases();
    // Killed, so that it removes nothing.
    drop(start(&rig, &["serve", "--data", "data"]));
    let out = rig.run(&["release", "rollback", "r1"]);
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(0), ""));
    assert_eq!(std::fs::read_dir(rig.path().join("data/objects/nodes")).unwrap().count(), 0);
}

#[test]
fn completions_end_quietly_when_their_reader_does() {
    let script = "set -o pipefail; \"$0\" completions bash | head -3";
    let out = Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_ashlar")]).output().unwrap();
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(0), ""));
    assert_eq!(String::from_utf8_lossy(&out.stdout).lines().count(), 3);
}

#[test]
fn permanent_redirects_are_not_kept_for_ever() {
    let rig = Rig::demo();
    let (_server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    for path in ["/en/tour", "/en/tour?from=mail"] {
        for headers in [&[][..], &[("accept-encoding", "br"), ("accept", "text/html")][..]] {
            let answer = fetch(url, path, headers);
            assert_eq!(answer.status, 301, "{path}: {}", answer.head);
            let kept = answer.header("cache-control").unwrap_or_default();
            assert!(kept.contains("max-age=60"), "a browser keeps it past a rollback: {}", answer.head);
        }
    }
}

#[test]
fn configuration_that_cannot_be_read_is_refused() {
    let rig = Rig::demo();
    for (path, from, to, place) in [
        ("site/site/site.toml", "[[list]]", "[[lists]]", "site/site.toml:"),
        ("site/redirects.toml", "status = 301", "state = 301", "redirects.toml:"),
        ("site/tokens.toml", "\n", "\nunknown_rule = 1\n", "tokens.toml:"),
    ] {
        let before = rig.read(path);
        rig.edit(path, from, to);
        let said = rig.json(2, &["push", "site", "--format", "json"]);
        let reported = said["error"]["findings"][0]["where"].as_str().unwrap_or_default().to_owned();
        assert!(reported.starts_with(place), "{path}: {said}");
        rig.write(path, &before);
    }
    rig.push();
}

const SHARED: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"commerce","kind":"type"},
 "properties":{"name":{"type":"string","x-ashlar":{"localized":true}},"price":{"type":"integer"}},"required":["name"],"additionalProperties":false}"#;

#[test]
fn locale_files_must_agree_on_what_they_share() {
    let rig = Rig::new();
    rig.edit("site/ashlar.toml", "supported = [\"en\"]", "supported = [\"en\", \"de\"]");
    rig.write("site/contracts/plan.v1.json", SHARED);
    rig.place("site/content/plan/pro.de.json", "{\n \"name\": \"Profi\",\n \"price\": 9\n}");
    rig.place("site/content/plan/pro.en.json", "{\n \"name\": \"Pro\",\n\n \"price\": 7\n}");
    // Before anything is written, with both places.
    let report = rig.json(1, &["check", "site", "--format", "json"]);
    let reported = found(&report, "content-validity");
    assert_eq!(
        (reported[0].0.as_str(), reported[0].1.as_str()),
        ("shared-field", "content/plan/pro.en.json:4 /price")
    );
    assert!(reported[0].2.contains("content/plan/pro.de.json:3 /price"), "{reported:?}");
    let said = rig.json(2, &["push", "site", "--content", "--format", "json"]);
    assert_eq!(said["error"]["findings"][0]["where"], "content/plan/pro.en.json:4 /price", "{said}");
    assert!(!rig.run(&["entry", "get", "plan", "pro"]).status.success(), "something was written");
    // A file that leaves the field out takes the value of the other, however often and in whatever order they are read.
    rig.write("site/content/plan/pro.en.json", "{\"name\": \"Pro\"}");
    rig.json(0, &["check", "site", "--format", "json"]);
    for _ in 0..2 {
        rig.json(0, &["push", "site", "--content", "--format", "json"]);
        for locale in ["en", "de"] {
            let entry = rig.json(0, &["entry", "get", "plan", "pro", "--locale", locale]);
            assert_eq!(entry["price"], 9, "{locale}: {entry}");
        }
    }
    // The same through an import of another form.
    let line = |locale: &str, price: u32| {
        json!({"type": "plan", "id": "basic", "locale": locale, "fields": {"name": "B", "price": price}})
            .to_string()
    };
    rig.write("basic.ndjson", &format!("{}\n{}\n", line("en", 1), line("de", 2)));
    let said = rig.json(2, &["import", "json", "basic.ndjson", "--format", "json"]);
    let reported: &Value = &said["error"]["findings"][0];
    assert_eq!(reported["where"], "plan/basic (de) /price", "{said}");
    assert!(reported["message"].as_str().unwrap().contains("plan/basic (en)"), "{said}");
}

#[test]
fn reads_go_on_when_the_memory_of_trees_is_given_back() {
    let rig = two_releases();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json", "--log", "info"])
        .env("ASHLAR_TREE_BYTES_MAX", "1")
        .current_dir(rig.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (out, log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let server = common::Served(child);
    let mut ready = String::new();
    BufReader::new(out).read_line(&mut ready).unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("memory of tree nodes is given back")));
    // Nobody reads the log from here on, but it has to go somewhere.
    let log = std::thread::spawn(move || lines.count());
    let (status, _, body) = http(ready["url"].as_str().unwrap(), "GET", "/v1/entries/plan/pro", "", "");
    assert!(status == 200 && body.contains("Two"), "{status} {body}");
    drop(server);
    log.join().unwrap();
}
