//! The wire formats of hosted caches, spoken to a stand-in, because the real ones are out of reach; and one that fails.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use common::{Rig, start};
use serde_json::Value;

/// A stand-in for a cache: remembers requests, and answers the first ones with an error.
struct StandIn {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    fn new(errors: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let remembered = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let mut reader = BufReader::new(&stream);
                let (mut text, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                        length = n.trim().parse().unwrap_or(0);
                    }
                    text.push_str(&line);
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                text.push_str(&String::from_utf8_lossy(&body));
                let mut seen = remembered.lock().unwrap();
                seen.push(text);
                let status = if seen.len() <= errors { "500 Oops" } else { "200 OK" };
                let _ =
                    write!(&stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            }
        });
        Self { address, seen }
    }

    /// The request with this number, from 0, in lower case.
    fn request(&self, number: usize) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(text) = self.seen.lock().unwrap().get(number) {
                return text.to_ascii_lowercase();
            }
            assert!(Instant::now() < until, "no request {number}: {:?}", self.seen.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Changes one entry and promotes it, on the command line.
fn publish(rig: &Rig, name: &str) {
    let list = rig.json(0, &["entry", "list", "category", "--format", "json"]);
    let id = list["items"][0]["id"].as_str().unwrap().to_owned();
    let mut fields: Value = rig.json(0, &["entry", "get", "category", &id, "--locale", "en"]);
    fields["name"] = name.into();
    rig.write("category.json", &fields.to_string());
    rig.json(0, &["entry", "put", "category", &id, "--locale", "en", "--file", "category.json"]);
    let made = rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["release", "promote", made["candidate"].as_str().unwrap(), "--format", "json"]);
}

#[test]
fn hosted_caches_are_reported_in_their_own_words() {
    for (kind, everything, keys) in [
        (
            "fastly",
            &["post /purge_all ", "fastly-key: "][..],
            &["post /purge ", "surrogate-key: category category:"][..],
        ),
        (
            "cloudflare",
            &["post /purge_cache ", r#"{"purge_everything":true}"#],
            &["post /purge_cache ", r#"{"tags":["category","category:"#, "authorization: bearer"],
        ),
        ("http", &["purge / ", "surrogate-key: *"], &["purge / ", "surrogate-key: category category:"]),
    ] {
        let cache = StandIn::new(0);
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
        let target = format!("{kind}=http://{}", cache.address);
        let (server, _) = start(&rig, &["demo", "--data", "demo", "--purge", &target]);
        let first = cache.request(0);
        everything.iter().for_each(|part| assert!(first.contains(part), "{kind}: {part}: {first}"));
        publish(&rig, "Renamed");
        let second = cache.request(1);
        keys.iter().for_each(|part| assert!(second.contains(part), "{kind}: {part}: {second}"));
        assert!(second.contains("traceparent: 00-"), "{second}");
        drop(server);
    }
}

#[test]
fn a_cache_that_was_away_is_reported_everything_it_missed() {
    // It answers with errors twice, and is tried again.
    let cache = StandIn::new(2);
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let target = format!("http=http://{}", cache.address);
    let args = ["demo", "--data", "demo", "--purge", target.as_str()];
    let (server, _) = start(&rig, &args);
    assert!(cache.request(2).contains("surrogate-key: *"));
    // Killed before the purge is on record, it would purge once more; that is the promise, but not what is looked at here.
    let until = Instant::now() + Duration::from_secs(10);
    while !rig.path().join("demo/objects/t/main/purged").is_dir() {
        assert!(Instant::now() < until, "what the cache was told is not kept");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    // Two releases while no server runs: one purge of what differs, when it is back.
    drop(server);
    publish(&rig, "Once");
    publish(&rig, "Twice");
    let (server, _) = start(&rig, &args);
    let missed = cache.request(3);
    assert!(missed.contains("surrogate-key: category category:"), "{missed}");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(cache.seen.lock().unwrap().len(), 4, "told more than once");
    drop(server);
    // What is no cache is refused at once.
    let out = rig.run(&["serve", "--data", "demo", "--purge", "smoke=signals"]);
    assert_eq!(out.status.code(), Some(2));
}
