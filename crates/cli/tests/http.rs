//! What a server owes to those who do not wish it well, and to those who come at a bad moment.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use common::{Rig, Served, http, start};
use serde_json::{Value, json};

/// A server with one contract without demands of approval, and its admin key.
struct Site {
    server: Served,
    url: String,
    admin: String,
    rig: Rig,
}

const NOTE: &str = r#"{"type":"object","x-ashlar":{"owner":"team","version":"1.0.0"},"properties":{"slug":{"type":"string"},"text":{"type":"string"}},
 "required":["slug","text"],"additionalProperties":false}"#;

impl Site {
    fn new() -> Self {
        let rig = Rig::new();
        std::fs::remove_file(rig.path().join("site/contracts/plan.v1.json")).unwrap();
        rig.write("site/contracts/note.v1.json", NOTE);
        assert!(rig.run(&["push", "site"]).status.success());
        Self::serve(rig)
    }

    fn serve(rig: Rig) -> Self {
        let (server, ready) = start(&rig, &["serve", "--data", "data"]);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        Self { server, url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]), rig }
    }

    fn call(&self, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let (status, _, body) = http(&self.url, method, path, key, &body.to_string());
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn api(&self, method: &str, path: &str, key: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, &format!("/api/v1{path}"), key, body);
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        answer
    }

    fn key(&self, by: &str, scopes: &[&str], more: &Value) -> (String, String) {
        let mut body = json!({"name": "test", "scopes": scopes});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let made = self.api("POST", "/keys", by, &body);
        (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
    }

    fn note(&self, key: &str, id: &str, text: &str) {
        let fields = json!({"fields": {"slug": id, "text": text}});
        self.api("PUT", &format!("/entries/note/{id}?locale=en"), key, &fields);
    }

    fn publish(&self, key: &str) -> Value {
        let made = self.api("POST", "/candidates", key, &json!({}));
        let name = made["candidate"].as_str().unwrap();
        self.api("POST", &format!("/candidates/{name}/promote"), key, &json!({}))
    }
}

/// The same request with another host name.
fn get_from(url: &str, host: &str, path: &str, key: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let auth = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\n{auth}connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn tenants_see_nothing_of_each_other() {
    let site = Site::new();
    let main = site.admin.clone();
    site.note(&main, "ours", "of main");
    site.publish(&main);
    let made = site.api(
        "POST",
        "/tenants",
        &main,
        &json!({"tenant": "other", "hosts": ["other.example"], "admin": "olga"}),
    );
    let other = made["key"]["key"].as_str().unwrap().to_owned();
    // Nothing of `main` is there, whatever is asked for.
    assert_eq!(site.call("GET", "/v1/entries/note/ours", &other, &json!({})).0, 404);
    assert_eq!(site.api("GET", "/entries", &other, &json!({}))["items"], json!([]));
    for path in ["/releases/r1", "/candidates/c1", "/entries/note/ours?locale=en"] {
        assert_eq!(site.call("GET", &format!("/api/v1{path}"), &other, &json!({})).0, 404, "{path}");
    }
    assert_eq!(site.call("GET", "/v1/entries/note/ours?at=r1", &other, &json!({})).0, 404);
    for path in
        ["/candidates/c1/promote", "/candidates/c1/gates", "/releases/r1/rollback", "/releases/r1/verify"]
    {
        let (status, problem) = site.call("POST", &format!("/api/v1{path}"), &other, &json!({}));
        assert!(matches!(status, 404 | 409) && !problem.to_string().contains("ours"), "{path}: {problem}");
    }
    for path in ["/releases", "/candidates", "/channels", "/events", "/audit", "/schedules", "/changesets"] {
        let text = site.api("GET", path, &other, &json!({})).to_string();
        assert!(!text.contains("ours") && !text.contains("r1"), "{path}: {text}");
    }
    let keys = site.api("GET", "/keys", &other, &json!({}));
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
    assert_eq!(site.api("GET", "/tenants", &other, &json!({})).as_array().unwrap().len(), 1);
    assert_eq!(site.call("POST", "/api/v1/tenants", &other, &json!({"tenant": "third"})).0, 409);
    let main_key = site.api("GET", "/keys", &main, &json!({}))[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(site.call("DELETE", &format!("/api/v1/keys/{main_key}"), &other, &json!({})).0, 404);

    // The same ids mean other things in another tenant.
    let files = json!({"files": {
        "ashlar.toml": "name = 'Other'", "contracts/note.v1.json": NOTE,
    }});
    site.api("POST", "/definitions", &other, &files);
    site.note(&other, "ours", "of other");
    assert_eq!(site.publish(&other)["release"], "r1");
    let text = |key: &str| site.call("GET", "/v1/entries/note/ours", key, &json!({})).1["text"].clone();
    assert_eq!(
        (text(&main), text(&other), text("")),
        (json!("of main"), json!("of other"), json!("of main"))
    );
    assert!(get_from(&site.url, "other.example", "/v1/entries/note/ours", "").1.contains("of other"));
    // A key does not read its own tenant at the name of another: a cache would keep that for those without a key.
    let (status, problem) = get_from(&site.url, "other.example:81", "/v1/entries/note/ours", &main);
    assert!(status == 421 && !problem.contains("of main"), "{problem}");

    // Figures for operators name nobody to those who may not know.
    for key in ["", &other] {
        let (_, _, metrics) = http(&site.url, "GET", "/metrics", key, "");
        assert!(!metrics.contains("tenant=\"main\""), "{metrics}");
    }
    let (_, _, ready) = http(&site.url, "GET", "/readyz", "", "");
    assert!(!ready.contains("main") && !ready.contains("other"), "{ready}");
    assert!(site.rig.run(&["audit", "verify"]).status.success());
}

#[test]
fn every_operation_wants_its_scope() {
    let site = Site::new();
    site.note(&site.admin, "a", "one");
    site.publish(&site.admin);
    let document = site.call("GET", "/api/openapi.json", "", &json!({})).1;
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap().clone() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(scope) = operation["security"][0]["key"][0].as_str() else { continue };
            // A key with every scope but those that could do it.
            let others: Vec<&str> = ["read", "preview", "write", "define", "release"]
                .into_iter()
                .filter(|s| match scope {
                    "read" => false,
                    "preview" => *s == "read",
                    scope => *s != scope,
                })
                .collect();
            if others.is_empty() {
                continue;
            }
            let key = site.key(&site.admin, &others, &json!({})).0;
            let mut path = path.clone();
            for (name, value) in [
                ("{type}", "note"),
                ("{id}", "a"),
                ("{name}", "x"),
                ("{candidate}", "c1"),
                ("{release}", "r1"),
                ("{other}", "r1"),
                ("{number}", "1"),
            ] {
                path = path.replace(name, value);
            }
            if path.starts_with("/api/v1/entries/") {
                path.push_str("?locale=en");
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let named = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
            let schema = named.and_then(|r| document.pointer(r)).unwrap_or(schema);
            let mut body = json!({});
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                body[name] = match (name, schema["properties"][name]["type"].as_str().unwrap_or_default()) {
                    ("right" | "rights", _) => json!("pricing"),
                    ("drafts", _) => json!([]),
                    (_, "object") => json!({}),
                    (_, "array") => json!([]),
                    (_, "integer") => json!(1),
                    _ => json!("x"),
                };
            }
            let method = method.to_uppercase();
            let (status, problem) = site.call(&method, &path, &key, &body);
            assert_eq!(status, 403, "{method} {path} with {others:?}: {problem}");
            let (status, problem) = site.call(&method, &path, "", &body);
            assert_eq!(status, 401, "{method} {path}: {problem}");
            seen += 1;
        }
    }
    assert!(seen > 35, "{seen}");
}

#[test]
fn a_key_ends_when_it_is_revoked_or_its_time_is_over() {
    let site = Site::new();
    site.note(&site.admin, "a", "one");
    site.publish(&site.admin);
    let (key, id) = site.key(&site.admin, &["read", "preview"], &json!({"channel": "production"}));
    let read = |key: &str| site.call("GET", "/v1/entries/note/a", key, &json!({})).0;
    assert_eq!((read(&key), site.call("GET", "/api/v1/entries", &key, &json!({})).0), (200, 200));
    site.api("DELETE", &format!("/keys/{id}"), &site.admin, &json!({}));
    assert_eq!((read(&key), site.call("GET", "/api/v1/entries", &key, &json!({})).0), (401, 401));
    let soon = std::time::SystemTime::now() + Duration::from_secs(2);
    let seconds = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ends = String::from_utf8(
        std::process::Command::new("date")
            .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    let (short, _) = site.key(&site.admin, &["read"], &json!({"expires_at": ends.trim()}));
    assert_eq!(read(&short), 200);
    let until = Instant::now() + Duration::from_secs(10);
    while read(&short) != 401 {
        assert!(Instant::now() < until, "the key does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Wrong secrets of a key that exists, and things that are no keys.
    let wrong = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    for bad in [wrong.as_str(), "x", "ash_0_0", "ash_0000000000000000_00"] {
        assert_eq!(read(bad), 401, "{bad}");
    }
    // A key made by another process works at once, and one that it revokes soon does not.
    let out = site.rig.json(0, &["key", "create", "--name", "cli", "--scope", "read", "--format", "json"]);
    let made = out["key"].as_str().unwrap();
    assert_eq!(read(made), 200);
    assert!(site.rig.run(&["key", "revoke", out["id"].as_str().unwrap()]).status.success());
    let until = Instant::now() + Duration::from_secs(6);
    while read(made) != 401 {
        assert!(Instant::now() < until, "the revoked key goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Guessing has an end.
    let guesses = (0..400).map(|n| read(&format!("ash_{n:016x}_{}", "0".repeat(64))));
    assert!(guesses.into_iter().any(|status| status == 429));
    assert_eq!(read(&site.key(&site.admin, &["read"], &json!({})).0), 200);
}

#[test]
fn problems_say_where_and_carry_the_trace() {
    let site = Site::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let send = |text: String| {
        let mut stream = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").map(|(h, b)| (h.to_owned(), b.to_owned())).unwrap()
    };
    let head = format!(
        "host: a\r\nconnection: close\r\nauthorization: Bearer {}\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n",
        site.admin
    );
    let body = "{\"fields\":\n  oops}";
    let (answer, problem) = send(format!(
        "PUT /api/v1/entries/note/a?locale=en HTTP/1.1\r\n{head}content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.contains(&format!("traceparent: 00-{trace}-")), "{answer}");
    let problem: Value = serde_json::from_str(&problem).unwrap();
    assert_eq!((&problem["trace_id"], &problem["status"]), (&json!(trace), &json!(400)));
    assert!(problem["detail"].as_str().unwrap().contains("line 2 column 3"), "{problem}");
    let (_, problem) = send(format!("GET /v1/entries/nothing/a HTTP/1.1\r\n{head}\r\n"));
    assert!(problem.contains(trace), "{problem}");
    let (answer, problem) = send(format!("GET /api/v1/nowhere HTTP/1.1\r\n{head}\r\n"));
    assert!(answer.contains("404") && problem.contains(trace), "{answer} {problem}");
    // A trace can be followed into the events.
    let body = json!({"fields": {"slug": "a", "text": "b"}}).to_string();
    send(format!(
        "PUT /api/v1/entries/note/a?locale=en HTTP/1.1\r\n{head}content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let events = site.api("GET", "/events", &site.admin, &json!({})).to_string();
    assert!(events.contains(trace), "{events}");
}

#[test]
fn a_slow_or_large_body_is_refused() {
    let site = {
        let rig = Rig::new();
        assert!(rig.run(&["push", "site"]).status.success());
        rig.write(
            "site/ashlar.toml",
            "name = 'Slow'\n[server]\nrequest_seconds_max = 1\nupload_bytes_max = 1000\n",
        );
        assert!(rig.run(&["push", "site"]).status.success());
        Site::serve(rig)
    };
    let mut stream = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).unwrap();
    write!(
        stream,
        "POST /api/v1/candidates HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        site.admin
    )
    .unwrap();
    let mut answer = [0; 2000];
    let n = stream.read(&mut answer).unwrap();
    assert!(answer[..n].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer[..n]));
    let big = "x".repeat(5000);
    let (status, _, body) = http(&site.url, "POST", "/api/v1/releases/import", &site.admin, &big);
    assert_eq!(status, 413, "{body}");
    // Whoever may not import is told so before anything is taken in.
    let key = site.key(&site.admin, &["read"], &json!({})).0;
    assert_eq!(http(&site.url, "POST", "/api/v1/releases/import", &key, &big).0, 403);
}

#[test]
fn drafts_are_read_as_they_are_now() {
    let site = Site::new();
    let (key, _) = site.key(&site.admin, &["preview"], &json!({}));
    let at_draft = |key: &str| {
        let (status, answer) = site.call("GET", "/v1/entries/note/a?at=draft", key, &json!({}));
        (status, answer["text"].clone())
    };
    for text in ["one", "two", "three"] {
        site.note(&site.admin, "a", text);
        for _ in 0..3 {
            assert_eq!(at_draft(&key), (200, json!(text)));
        }
    }
    assert_eq!(at_draft("").0, 401);
    assert_eq!(at_draft(&site.key(&site.admin, &["read"], &json!({})).0).0, 403);
    assert_eq!(site.call("GET", "/v1/entries/note/a", "", &json!({})).0, 404);
}

#[test]
fn of_two_promotes_at_once_one_wins() {
    let site = Site::new();
    for round in 0..8 {
        let names: Vec<String> = ["a", "b"]
            .into_iter()
            .map(|id| {
                site.note(&site.admin, id, &format!("round {round}"));
                let made = site.api("POST", "/candidates", &site.admin, &json!({}));
                made["candidate"].as_str().unwrap().to_owned()
            })
            .collect();
        let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
            let promote = |name: &String| {
                let path = format!("/api/v1/candidates/{name}/promote");
                site.call("POST", &path, &site.admin, &json!({}))
            };
            let running: Vec<_> = names.iter().map(|name| scope.spawn(move || promote(name))).collect();
            running.into_iter().map(|r| r.join().unwrap()).collect()
        });
        // The second candidate holds both notes, so whichever is first, what it was made of must not be undone.
        let won = answers.iter().filter(|(status, _)| *status == 201).count();
        assert!(won >= 1, "{answers:?}");
        for (status, answer) in &answers {
            assert!(matches!(status, 201 | 409), "{answer}");
        }
        if answers[1].0 == 201 {
            let (_, b) = site.call("GET", "/v1/entries/note/b", "", &json!({}));
            assert_eq!(b["text"], format!("round {round}"));
        }
    }
    let releases = site.api("GET", "/releases", &site.admin, &json!({}));
    let numbers: Vec<_> =
        releases["items"].as_array().unwrap().iter().map(|r| r["release"].clone()).collect();
    let expected: Vec<_> = (1..=numbers.len()).rev().map(|n| json!(format!("r{n}"))).collect();
    assert_eq!(numbers, expected);
    assert!(site.rig.run(&["audit", "verify"]).status.success());
}

#[test]
fn a_server_that_is_reported_to_stop_finishes_what_it_began() {
    let mut site = Site::new();
    site.note(&site.admin, "a", &"text ".repeat(2000));
    site.publish(&site.admin);
    let (stop, cut, whole) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let address = site.url.strip_prefix("http://").unwrap().to_owned();
    let (code, took) = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(&address) else { break };
                    while !stop.load(Ordering::Relaxed) {
                        if stream.write_all(b"GET /v1/entries/note/a HTTP/1.1\r\nhost: a\r\n\r\n").is_err() {
                            break;
                        }
                        let mut head = Vec::new();
                        let mut byte = [0];
                        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                            head.push(byte[0]);
                        }
                        if head.is_empty() {
                            // Closed between two requests: the client asks again elsewhere.
                            break;
                        }
                        let head = String::from_utf8_lossy(&head);
                        let len = head.split("content-length: ").nth(1).and_then(|l| l.split('\r').next());
                        let mut body = vec![0; len.and_then(|l| l.parse().ok()).unwrap_or(0)];
                        let good = !body.is_empty() && stream.read_exact(&mut body).is_ok();
                        (if good { &whole } else { &cut }).fetch_add(1, Ordering::Relaxed);
                        if head.contains("connection: close") {
                            break;
                        }
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        let started = Instant::now();
        let pid = site.server.0.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let code = site.server.0.wait().unwrap();
        stop.store(true, Ordering::Relaxed);
        (code, started.elapsed())
    });
    assert!(code.success(), "{code}");
    assert_eq!(cut.load(Ordering::Relaxed), 0, "answers that were cut off");
    assert!(whole.load(Ordering::Relaxed) > 100);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// Reads events of a stream until there are as many as wanted: kind, id, data.
fn events(address: &str, last: &str, key: &str, wanted: usize) -> Vec<(String, String, Value)> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let last = if last.is_empty() { String::new() } else { format!("last-event-id: {last}\r\n") };
    let auth = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    write!(stream, "GET /v1/changes HTTP/1.1\r\nhost: a\r\n{last}{auth}\r\n").unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while text.matches("data: ").count() < wanted {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "the stream ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    assert!(text.to_lowercase().contains("content-type: text/event-stream"), "{text}");
    let field = |block: &str, name: &str| {
        block.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default().to_owned()
    };
    text.split("event: ")
        .skip(1)
        .map(|block| {
            let kind = block.lines().next().unwrap_or_default().to_owned();
            (kind, field(block, "id"), serde_json::from_str(&field(block, "data")).unwrap())
        })
        .collect()
}

#[test]
fn changes_are_followed_and_gone_on_with() {
    let site = Site::new();
    site.note(&site.admin, "a", "one");
    site.note(&site.admin, "b", "one");
    site.publish(&site.admin);
    let address = site.url.strip_prefix("http://").unwrap();
    let first = events(address, "", "", 1);
    assert_eq!((first[0].0.as_str(), &first[0].2), ("current", &json!({"release": "r1"})));
    let started = first[0].1.clone();
    let listening = std::thread::scope(|scope| {
        let listener = scope.spawn(|| events(address, "", "", 3));
        std::thread::sleep(Duration::from_millis(300));
        site.note(&site.admin, "a", "two");
        site.api("DELETE", "/entries/note/b?locale=en", &site.admin, &json!({}));
        site.publish(&site.admin);
        site.api("POST", "/releases/r1/rollback", &site.admin, &json!({}));
        listener.join().unwrap()
    });
    let kinds: Vec<&str> = listening.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(kinds, ["current", "release.promoted", "release.rolled_back"]);
    let reported = &listening[1].2;
    assert_eq!(
        (&reported["release"], &reported["from"], &reported["entries_total"]),
        (&json!("r2"), &json!("r1"), &json!(2))
    );
    let entries: Vec<_> =
        reported["entries"].as_array().unwrap().iter().map(|e| (&e["surrogate_key"], &e["change"])).collect();
    assert_eq!(entries, [(&json!("note:a:en"), &json!("changed")), (&json!("note:b:en"), &json!("removed"))]);
    // Who knows the first move gets the two after it, and nothing twice.
    let resumed = events(address, &started, "", 2);
    assert_eq!(resumed, listening[1..]);
    assert_eq!(events(address, &resumed[0].1, "", 1), resumed[1..]);
    // What this node cannot go on from is reported, so that the client reads again.
    let unknown = events(address, "999999", "", 1);
    assert_eq!((unknown[0].0.as_str(), &unknown[0].2), ("reset", &json!({"release": "r1"})));
    assert_eq!(events(address, "nonsense", "", 1)[0].0, "reset");
    // A channel with nothing on it, and a key that is none.
    let (key, _) = site.key(&site.admin, &["preview"], &json!({"channel": "preview"}));
    assert_eq!(site.call("GET", "/v1/changes", &key, &json!({})).0, 404);
    assert_eq!(site.call("GET", "/v1/changes", "ash_x", &json!({})).0, 401);
}

#[test]
fn a_stop_ends_streams() {
    let mut site = Site::new();
    site.note(&site.admin, "a", "one");
    site.publish(&site.admin);
    let mut stream = TcpStream::connect(site.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /v1/changes HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut buffer = [0; 1024];
    assert!(stream.read(&mut buffer).unwrap() > 0);
    let started = Instant::now();
    let pid = site.server.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(site.server.0.wait().unwrap().success());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn an_edge_starts_again_without_its_object_store() {
    let site = Site::new();
    site.note(&site.admin, "a", "kept");
    site.publish(&site.admin);
    let (key, _) = site.key(&site.admin, &["read"], &json!({}));
    let args = ["serve", "--role", "edge", "--objects", "file://remote", "--cache", "cache"];
    let objects = site.rig.path().join("data/objects");
    let remote = site.rig.path().join("remote");
    assert!(
        std::process::Command::new("cp").arg("-r").arg(&objects).arg(&remote).status().unwrap().success()
    );
    let file = format!("file://{}", remote.display());
    let args: Vec<&str> =
        args.iter().map(|a| if *a == "file://remote" { file.as_str() } else { a }).collect();
    for there in [true, false] {
        if !there {
            // A store that answers no request: what should be its folder is a file.
            std::fs::remove_dir_all(remote.join("t")).unwrap();
            std::fs::write(remote.join("t"), "not a directory").unwrap();
        }
        let (edge, ready) = start(&site.rig, &args);
        let url = ready["url"].as_str().unwrap();
        for key in ["", &key] {
            let (status, _, body) = http(url, "GET", "/v1/entries/note/a", key, "");
            assert!(status == 200 && body.contains("kept"), "{there} {status} {body}");
        }
        drop(edge);
    }
}
