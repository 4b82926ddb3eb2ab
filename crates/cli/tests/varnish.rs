//! A real Varnish in front: what is released shows at once, what has not changed stays cached.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
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

/// Whether there is a Varnish.
fn is_there() -> bool {
    if Command::new("varnishd").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        return true;
    }
    let required = std::env::var_os("ASHLAR_REQUIRE_ALL").is_some();
    assert!(!required, "varnishd is absent, and everything is required");
    println!("not run: varnishd is absent");
    false
}

/// A free address.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Running {
    /// A Varnish that listens on an address.
    fn varnish(rig: &Rig, front: &str, vcl: &str) -> Self {
        rig.write("front.vcl", vcl);
        let child = Command::new("varnishd")
            .args(["-F", "-a", front, "-s", "malloc,64m", "-f"])
            .arg(rig.path().join("front.vcl"))
            .arg("-n")
            .arg(rig.path().join("varnish"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let varnish = Self(child);
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(front).is_err() {
            assert!(Instant::now() < until, "varnishd does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        varnish
    }
}

/// A connection to a server whose answers take their time. Returns its address and the time, in milliseconds.
fn slow_wire(server: &str) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, delay) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicU64::new(0)));
    let (server, wait) = (server.to_owned(), delay.clone());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok((mut client, mut server)) = client.and_then(|c| Ok((c, TcpStream::connect(&server)?)))
            else {
                continue;
            };
            let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asks, &mut asked));
            let wait = wait.clone();
            std::thread::spawn(move || {
                let mut bytes = vec![0; 64 << 10];
                while let Ok(read @ 1..) = server.read(&mut bytes) {
                    std::thread::sleep(Duration::from_millis(wait.load(Ordering::Relaxed)));
                    if client.write_all(&bytes[..read]).is_err() {
                        return;
                    }
                }
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (address, delay)
}

/// A served demo project with a Varnish in front of it.
struct Front {
    rig: Rig,
    _server: common::Served,
    _varnish: Running,
    url: String,
    admin: String,
    through: String,
}

impl Front {
    /// `None` when there is no Varnish. `vcl`: the file for a server's address.
    fn start(vcl: impl Fn(&str) -> String) -> Option<Self> {
        if !is_there() {
            return None;
        }
        let rig = Rig::demo();
        let front = free();
        let purge = format!("varnish=http://{front}");
        let (server, ready) = start(&rig, &["demo", "--data", "demo", "--purge", &purge]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (url, admin) = (text(&ready["url"]), text(&ready["keys"]["admin"]));
        let varnish = Running::varnish(&rig, &front, &vcl(url.strip_prefix("http://").unwrap()));
        let through = format!("http://{front}");
        Some(Self { rig, _server: server, _varnish: varnish, url, admin, through })
    }

    /// The same with edges: Varnish is in front of the first of them, which purges it, and nobody else does.
    fn start_edge() -> Option<(Self, common::Served, String)> {
        if !is_there() {
            return None;
        }
        let rig = Rig::demo();
        let front = free();
        let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (url, admin) = (text(&ready["url"]), text(&ready["keys"]["admin"]));
        let (edge, at) = Self::edge(&rig, &front, "127.0.0.1:0");
        let varnish = Running::varnish(&rig, &front, &vcl(&at));
        let through = format!("http://{front}");
        Some((Self { rig, _server: server, _varnish: varnish, url, admin, through }, edge, at))
    }

    /// An edge with its address.
    fn edge(rig: &Rig, front: &str, listen: &str) -> (common::Served, String) {
        let objects = format!("file://{}", rig.path().join("demo/objects").display());
        let purge = format!("varnish=http://{front}");
        let args = ["serve", "--role", "edge", "--objects", &objects, "--cache", "edge", "--purge", &purge];
        let (edge, ready) = common::start_at(rig, &args, listen);
        (edge, ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned())
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/api/v1{path}");
        let (status, _, answer) = http(&self.url, method, &path, &self.admin, &body.to_string());
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// What the node knows of the cache.
    fn figures(&self) -> Value {
        self.api("GET", "/cache", &json!({}))["fronts"][0].clone()
    }

    /// Waits until the cache was purged for the first time; says for which release.
    fn first_purge(&self) -> Value {
        common::eventually("the first purge", || {
            Some(self.figures()).filter(|f| f["purges"].as_u64() > Some(0)).map(|f| f["release"].clone())
        })
    }

    /// Waits until the cache was purged for a release; says what the node knows then.
    fn purged_for(&self, release: &str) -> Value {
        common::eventually("the purge", || Some(self.figures()).filter(|f| f["release"] == release))
    }

    /// Asks twice, so that the answer comes from the cache.
    fn cached(&self, path: &str) -> String {
        assert_eq!(http(&self.through, "GET", path, "", "").0, 200, "{path}");
        let (_, head, body) = http(&self.through, "GET", path, "", "");
        assert!(age(&head) >= 1, "{path} is not cached");
        body
    }
}

/// The first address of an icon in a page.
fn icon(page: &str) -> String {
    let end = page.find("/favicon.svg").unwrap_or_else(|| panic!("no icon: {page}"));
    let from = page[..end].rfind('"').map_or(0, |quote| quote + 1);
    page[from..].chars().take_while(|c| *c != '"').collect()
}

#[test]
fn changed_definitions_show_through_varnish() {
    let Some(front) = Front::start(vcl) else { return };
    front.first_purge();
    // A ban that Varnish cannot read is no success.
    let address = front.through.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "BAN / HTTP/1.1\r\nhost: x\r\nx-ban-keys: [^ ]+\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 Regex compile error"), "{answer}");
    let post = "/v1/log/gauge?locale=en";
    assert!(!front.cached(post).contains("\"bio\""), "the demo project shows it already");
    let page = front.cached("/en/home");
    let old_icon = icon(&page);
    assert!(!front.cached(&old_icon).contains("#123456"));
    // A view.
    front.rig.edit("site/views/log.v1.toml", "\"role\"]", "\"role\", \"bio\"]");
    front.rig.push();
    let release = front.rig.release();
    let figures = front.purged_for(&release);
    assert!(http(&front.through, "GET", post, "", "").2.contains("\"bio\""), "stale: {figures}");
    // An asset: the page names it by its content.
    front.rig.edit("site/assets/favicon.svg", "#12263a", "#123456");
    front.rig.push();
    let release = front.rig.release();
    let figures = front.purged_for(&release);
    let page = http(&front.through, "GET", "/en/home", "", "").2;
    let new_icon = icon(&page);
    assert_ne!(new_icon, old_icon, "stale: {figures}");
    assert!(http(&front.through, "GET", &new_icon, "", "").2.contains("#123456"));
    // The node looked through the cache after each purge of everything.
    assert_eq!((&figures["everything"], &figures["stale_serves"]), (&json!(3), &json!(0)), "{figures}");
    assert!(figures["probes"].as_u64() >= Some(6), "{figures}");
}

#[test]
fn a_cache_that_acknowledges_and_forgets_nothing_is_reported() {
    let deaf = |backend: &str| vcl(backend).replace("std.ban(\"obj.", "std.ban(\"obj.http.x == y && obj.");
    let Some(front) = Front::start(deaf) else { return };
    let first = front.first_purge();
    let post = "/v1/log/gauge?locale=en";
    front.cached(post);
    front.rig.edit("site/views/log.v1.toml", "\"role\"]", "\"role\", \"bio\"]");
    front.rig.push();
    front.rig.release();
    let figures =
        common::eventually("a failure", || Some(front.figures()).filter(|f| f["stale_serves"] != 0));
    assert_eq!(figures["release"], first, "reported as purged: {figures}");
    let why = common::eventually("why", || front.figures()["last_error"].as_str().map(str::to_owned));
    assert!(why.contains("still serves") && why.contains("VCL"), "{why}");
}

#[test]
fn an_answer_that_was_on_its_way_during_the_purge_is_purged_too() {
    let (wire, delay) = (std::cell::OnceCell::new(), 1_000);
    let slow = |backend: &str| {
        let (address, wait) = slow_wire(backend);
        wire.set(wait).unwrap();
        vcl(&address)
    };
    let Some(front) = Front::start(slow) else { return };
    front.first_purge();
    let at = |id: &str| format!("/entries/category/{id}?locale=en");
    // The node reads three changed entries through the cache after a purge, and would find an old one there.
    let ids = ["getting-started", "harbour-office", "money", "planning"];
    let path = "/v1/entries/category/planning?locale=en";
    for round in 0..3 {
        let name = format!("Round {round}");
        for id in ids {
            let mut fields = front.api("GET", &at(id), &json!({}))["fields"].clone();
            fields["name"] = json!(name);
            front.api("PUT", &at(id), &json!({"fields": fields}));
        }
        let candidate = front.api("POST", "/candidates", &json!({}))["candidate"].clone();
        wire.get().unwrap().store(delay, Ordering::Relaxed);
        let through = front.through.clone();
        let asked = std::thread::spawn(move || http(&through, "GET", path, "", "").2);
        std::thread::sleep(Duration::from_millis(delay / 2));
        front.api("POST", &format!("/candidates/{}/promote", candidate.as_str().unwrap()), &json!({}));
        let old = asked.join().unwrap();
        assert!(!old.contains(&name), "it is asked too late: {old}");
        wire.get().unwrap().store(0, Ordering::Relaxed);
        common::eventually("the new body", || {
            http(&front.through, "GET", path, "", "").2.contains(&name).then_some(())
        });
        // The next round begins with an empty place in the cache.
        let address = front.through.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "BAN / HTTP/1.1\r\nhost: x\r\nx-ban-all: 1\r\nconnection: close\r\n\r\n").unwrap();
        let _ = stream.read_to_string(&mut String::new());
    }
}

#[test]
fn an_edge_purges_what_it_served_itself() {
    let Some((front, edge, at)) = Front::start_edge() else { return };
    let (path, other) = ("/v1/entries/category/planning?locale=en", "/v1/pages/about?locale=en");
    let id = "/entries/category/planning?locale=en";
    let mut fields = front.api("GET", id, &json!({}))["fields"].clone();
    let mut publish = |name: &str| {
        fields["name"] = json!(name);
        front.api("PUT", id, &json!({"fields": fields}));
        front.rig.release();
    };
    let shows = |name: &str| {
        common::eventually(name, || http(&front.through, "GET", path, "", "").2.contains(name).then_some(()));
    };
    // It begins with a purge of everything.
    common::eventually("the note of it", || {
        let notes = std::fs::read_dir(front.rig.path().join("edge/t/main/last/purged")).ok()?;
        let text = std::fs::read_to_string(notes.flatten().next()?.path()).ok()?;
        text.contains("\"unknown\":false").then_some(())
    });
    front.cached(other);
    for round in ["First", "Second"] {
        front.cached(path);
        publish(round);
        shows(round);
    }
    // What was served before a stop is purged after the next start.
    std::thread::sleep(Duration::from_secs(3));
    front.cached(path);
    drop(edge);
    publish("Third");
    assert!(front.cached(path).contains("Second"), "the cache was emptied by nobody");
    let _edge = Front::edge(&front.rig, front.through.strip_prefix("http://").unwrap(), &at);
    shows("Third");
    // Only what differs was forgotten, all the time.
    assert!(age(&http(&front.through, "GET", other, "", "").1) >= 2, "{other} was purged");
}

#[test]
fn a_release_shows_through_varnish_and_nothing_else_is_forgotten() {
    let Some(front) = Front::start(vcl) else { return };
    let (url, through) = (&front.url, &front.through);
    let api = |method: &str, path: &str, body: Value| front.api(method, path, &body);
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
            assert_eq!(http(through, "GET", path, "", "").0, 200, "{path}");
        }
        assert!(age(&http(through, "GET", path, "", "").1) >= 3, "{path} is not cached");
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
        let (_, _, body) = http(through, "GET", &article, "", "");
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
    assert!(age(&http(through, "GET", other, "", "").1) >= 4, "what had not changed was purged");
}
