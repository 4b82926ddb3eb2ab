//! A real Varnish in front: what is released shows at once, what has not changed stays cached.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Rig, http, start};
use serde_json::{Value, json};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// The VCL of `docs/caches.md`, with the server's address.
fn vcl(backend: &str) -> String {
    let text = include_str!("../../../docs/caches.md");
    let block: Vec<&str> = text
        .lines()
        .skip_while(|l| !l.starts_with("    vcl 4.1;"))
        .take_while(|l| l.is_empty() || l.starts_with("    "))
        .collect();
    let (host, port) = backend.split_once(':').unwrap();
    block.join("\n").replace("\"127.0.0.1\"; .port = \"8080\"", &format!("\"{host}\"; .port = \"{port}\""))
}

fn age(head: &str) -> u32 {
    head.lines().find_map(|l| l.strip_prefix("x-hits: ")).and_then(|h| h.parse().ok()).unwrap_or(0)
}

#[test]
fn a_release_shows_through_varnish_and_nothing_else_is_forgotten() {
    if Command::new("varnishd").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("not run: varnishd is absent");
        return;
    }
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let front = free();
    let purge = format!("varnish=http://{front}");
    let (server, ready) = start(&rig, &["demo", "--data", "demo", "--purge", &purge]);
    let (url, admin) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    rig.write("front.vcl", &vcl(url.strip_prefix("http://").unwrap()));
    let child = Command::new("varnishd")
        .args(["-F", "-a", &front, "-s", "malloc,64m", "-f"])
        .arg(rig.path().join("front.vcl"))
        .arg("-n")
        .arg(rig.path().join("varnish"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _varnish = Running(child);
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(&front).is_err() {
        assert!(Instant::now() < until, "varnishd does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    let through = format!("http://{front}");
    let api = |method: &str, path: &str, body: Value| -> Value {
        let (status, _, answer) = http(url, method, &format!("/api/v1{path}"), admin, &body.to_string());
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    };
    let mut seen = 0;
    // The next purge on record, and the events since the one before it.
    let mut purged = || -> (Value, Vec<Value>) {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let events = api("GET", &format!("/events?limit=100&after={seen}"), json!({}));
            let events = events["items"].as_array().unwrap().clone();
            if let Some(at) = events.iter().position(|e| e["kind"] == "cache.purged") {
                seen = events[at]["sequence"].as_u64().unwrap();
                return (events[at].clone(), events[..at].to_vec());
            }
            if events.len() == 100 {
                seen = events[99]["sequence"].as_u64().unwrap();
            }
            assert!(Instant::now() < until, "no purge since {seen}");
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    // At first nobody knows what the cache holds: it is emptied once, and tried again until it answers.
    assert_eq!(purged().0["data"]["everything"], true);
    let (article, other) = ("/v1/entries/category/planning?locale=en", "/v1/pages/about?locale=en");
    let list: Value = serde_json::from_str(&http(url, "GET", "/v1/entries/category", "", "").2).unwrap();
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    let article = article.replace("planning", &id);
    for path in [article.as_str(), other] {
        for _ in 0..3 {
            assert_eq!(http(&through, "GET", path, "", "").0, 200, "{path}");
        }
        assert!(age(&http(&through, "GET", path, "", "").1) >= 3, "{path} is not cached");
    }
    let rounds = std::env::var("ASHLAR_PUBLISHES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_usize);
    let mut took = Vec::new();
    for round in 0..rounds {
        let path = format!("/entries/category/{id}?locale=en");
        let mut fields = api("GET", &path, json!({}))["fields"].clone();
        fields["name"] = json!(format!("Round {round}"));
        api("PUT", &path, json!({"fields": fields}));
        let made = api("POST", "/candidates", json!({}));
        assert_eq!(made["status"], "passed", "{made}");
        let started = Instant::now();
        api("POST", &format!("/candidates/{}/promote", made["candidate"].as_str().unwrap()), json!({}));
        // After the purge is on record, no stale body comes through.
        let (purge, before) = purged();
        let (_, _, body) = http(&through, "GET", &article, "", "");
        assert!(body.contains(&format!("Round {round}")), "stale after the purge: {body}");
        took.push(started.elapsed());
        // The category itself and lists of its type, and nothing else.
        assert_eq!(
            (&purge["data"]["everything"], &purge["data"]["keys"]),
            (&json!(false), &json!(2)),
            "{purge}"
        );
        // The purge belongs to the trace of the request that moved the channel.
        let promoted = before.iter().rev().find(|e| e["kind"] == "release.promoted").unwrap();
        assert_eq!(purge["trace"], promoted["trace"]);
    }
    took.sort();
    println!(
        "{rounds} publishes, from promote until the new body came through Varnish: p50 {:?}, p99 {:?}, slowest {:?}, none stale",
        took[rounds / 2],
        took[rounds * 99 / 100],
        took[rounds - 1]
    );
    // The node looked through the cache itself, and says what it saw.
    let report = api("GET", "/cache", json!({}));
    let front = &report["fronts"][0];
    assert_eq!(
        (&front["stale_serves"], &front["failures"]),
        (&json!(0), &report["fronts"][0]["failures"]),
        "{report}"
    );
    assert!(
        front["probes"].as_u64() >= Some(rounds as u64 - 1) && front["purge_ms"]["p99"].is_number(),
        "{report}"
    );
    assert!(report["composed"]["hit_ratio"].is_number() || report["composed"]["hits"] == 0, "{report}");
    // What no release touched was never asked for again.
    assert!(age(&http(&through, "GET", other, "", "").1) >= 4, "what had not changed was purged");
    drop(server);
}
