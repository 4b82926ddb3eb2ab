//! Webhooks, to a receiver that behaves as badly as receivers do.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Rig, Served, start};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

/// A request that a receiver got: its head in lower case, and its body.
#[derive(Clone)]
struct Got {
    head: BTreeMap<String, String>,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A receiver of webhooks. `answer` is called with the number of the request, from 0; what it returns is written as it is.
struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<Got>>>,
    up: Arc<AtomicBool>,
}

const FINE: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy";

fn read(stream: &TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream);
    let mut head = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(head.insert(name.to_ascii_lowercase(), value.to_owned())),
            None if line == "\r\n" => break,
            None => drop(head.insert("request".to_owned(), line.trim_end().to_owned())),
        }
    }
    let mut body = vec![0; head.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Got { head, body: String::from_utf8(body).ok()? })
}

impl Receiver {
    fn new(answer: impl Fn(usize) -> &'static str + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let up = Arc::new(AtomicBool::new(true));
        let (remembered, is_up, answer) = (got.clone(), up.clone(), Arc::new(answer));
        let number = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let (remembered, is_up) = (remembered.clone(), is_up.clone());
                let (answer, number) = (answer.clone(), number.clone());
                std::thread::spawn(move || {
                    if !is_up.load(Ordering::Relaxed) {
                        return;
                    }
                    let Some(got) = read(&stream) else { return };
                    let said = answer(number.fetch_add(1, Ordering::Relaxed));
                    if said == FINE {
                        remembered.lock().unwrap().push(got);
                    }
                    let _ = stream.write_all(said.as_bytes());
                });
            }
        });
        Self { address, got, up }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits until what was received fulfils something.
    fn until(&self, what: &str, seconds: u64, fulfilled: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            let got = self.got.lock().unwrap().clone();
            if fulfilled(&got) {
                return got;
            }
            assert!(Instant::now() < until, "not in time: {what}; {} requests", got.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Notes that need no approval, and a category; webhooks may go to this machine.
fn site() -> Rig {
    let rig = Rig::new();
    std::fs::remove_file(rig.path().join("site/contracts/plan.v1.json")).unwrap();
    rig.write(
        "site/contracts/note.v1.json",
        r#"{"type":"object","x-ashlar":{"owner":"team","version":"1.0.0"},"properties":{"text":{"type":"string"},"more":{"type":"string"}},"additionalProperties":false}"#,
    );
    rig.write(
        "site/contracts/topic.v1.json",
        r#"{"type":"object","x-ashlar":{"owner":"team","version":"1.0.0","taxonomy":true},"properties":{"name":{"type":"string"}},"additionalProperties":false}"#,
    );
    let config = std::fs::read_to_string(rig.path().join("site/ashlar.toml")).unwrap();
    let private = match config.contains("[server]") {
        true => config.replace("[server]", "[server]\nwebhooks_to_private = true"),
        false => format!("{config}\n[server]\nwebhooks_to_private = true\n"),
    };
    rig.write("site/ashlar.toml", &private);
    assert!(rig.run(&["push", "site"]).status.success());
    rig
}

fn put(rig: &Rig, type_name: &str, id: &str, locale: &str, fields: &Value) {
    rig.write("put.json", &fields.to_string());
    rig.json(0, &["entry", "put", type_name, id, "--locale", locale, "--file", "put.json"]);
}

/// Many notes at once, as files.
fn import(rig: &Rig, notes: usize, text: &str) {
    let dir = rig.path().join("notes");
    std::fs::create_dir_all(&dir).unwrap();
    let lines: Vec<String> = (0..notes)
        .map(|n| {
            json!({"type": "note", "id": format!("n{n}"), "locale": "en", "fields": {"text": text}})
                .to_string()
        })
        .collect();
    std::fs::write(dir.join("notes.jsonl"), lines.join("\n")).unwrap();
    let out = rig.run(&["import", "json", "notes/notes.jsonl"]);
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

fn publish(rig: &Rig) -> Value {
    let made = rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["release", "promote", made["candidate"].as_str().unwrap(), "--format", "json"])
}

fn add(rig: &Rig, url: &str, more: &[&str]) -> (String, String) {
    let made = rig.json(0, &[&["webhook", "add", url, "--format", "json"], more].concat());
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

/// Whether one of the signatures is that of the secret.
fn signed(got: &Got, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(
        format!("{}.{}.{}", got.head["webhook-id"], got.head["webhook-timestamp"], got.body).as_bytes(),
    );
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    got.head["webhook-signature"].split(' ').any(|s| s == expected)
}

fn about(got: &Got) -> String {
    let body = got.json();
    let entry = &body["data"]["entry"];
    format!(
        "{} {}/{}",
        body["type"].as_str().unwrap(),
        entry["type"].as_str().unwrap_or(""),
        entry["id"].as_str().unwrap_or("")
    )
    .trim_end_matches(" /")
    .to_owned()
}

#[test]
fn what_is_served_is_reported_signed_and_traced() {
    let rig = site();
    put(&rig, "note", "a", "en", &json!({"text": "one"}));
    publish(&rig);
    let receiver = Receiver::new(|_| FINE);
    let (id, secret) = add(&rig, &receiver.url(), &[]);
    let (_server, ready) = start(&rig, &["serve", "--data", "data"]);
    put(&rig, "note", "a", "en", &json!({"text": "two", "more": "x"}));
    put(&rig, "note", "b", "en", &json!({"text": "new"}));
    put(&rig, "topic", "t", "en", &json!({"name": "T"}));
    let second = publish(&rig);
    // The first release happened before the webhook was made, and is no news to it.
    let got = receiver.until("the second release", 20, |g| g.len() >= 5);
    let mut sent: Vec<String> = got.iter().map(about).collect();
    sent.sort();
    assert_eq!(
        sent,
        [
            "entry.published note/a",
            "entry.published note/b",
            "entry.published topic/t",
            "release.promoted",
            "taxonomy.changed"
        ]
    );
    let find = |got: &[Got], what: &str| got.iter().find(|g| about(g) == what).unwrap().clone();
    let changed = find(&got, "entry.published note/a");
    let body = changed.json();
    assert_eq!(body["data"]["entry"]["changed_fields"], json!(["more", "text"]));
    assert_eq!(
        (&body["data"]["entry"]["change"], &body["data"]["entry"]["locales"]),
        (&json!("changed"), &json!(["en"]))
    );
    assert_eq!((&body["data"]["release"], &body["data"]["previous_release"]), (&json!("r2"), &json!("r1")));
    assert!(got.iter().all(|g| signed(g, &secret)));
    let admin = ready["keys"]["admin"].as_str().unwrap();
    let url = ready["url"].as_str().unwrap();
    let (_, _, events) = common::http(url, "GET", "/api/v1/events?after=0", admin, "");
    let events: Value = serde_json::from_str(&events).unwrap();
    let promoted =
        events["items"].as_array().unwrap().iter().rfind(|e| e["kind"] == "release.promoted").unwrap();
    assert_eq!(promoted["trace"], body["data"]["trace_id"]);
    assert!(changed.head["traceparent"].contains(promoted["trace"].as_str().unwrap()));
    // Each body is what the contract of events says.
    let (status, _, schema) = common::http(url, "GET", "/api/event.v1.json", "", "");
    assert_eq!(status, 200);
    rig.write("event.v1.json", &schema);
    for one in &got {
        rig.write("event.json", &one.body);
        let valid =
            rig.json(0, &["contracts", "validate", "event.v1.json", "event.json", "--format", "json"]);
        assert_eq!(valid["valid"], true, "{valid}");
    }
    // A secret that is rotated signs on beside the new one.
    let rotated = rig.json(0, &["webhook", "rotate", &id, "--format", "json"]);
    rig.json(0, &["webhook", "test", &id, "--format", "json"]);
    let got = receiver.until("the test", 20, |g| g.len() >= 6);
    let test = find(&got, "webhook.test");
    assert!(signed(&test, &secret) && signed(&test, rotated["secret"].as_str().unwrap()));
    // What a rollback takes back is reported.
    rig.json(0, &["release", "rollback", "r1", "--format", "json"]);
    let got = receiver.until("the rollback", 20, |g| g.iter().any(|g| about(g) == "release.rolled_back"));
    assert!(
        got.iter().any(|g| about(g) == "entry.unpublished note/b"),
        "{:?}",
        got.iter().map(about).collect::<Vec<_>>()
    );
    assert_eq!(second["release"], "r2");
    // The log shows it, and neither lists nor logs show a secret.
    let log = rig.json(0, &["webhook", "deliveries", &id, "--format", "json"]);
    let log = log["items"].as_array().unwrap();
    assert!(log.iter().all(|d| d["state"] == "done" && d["status"] == 204 && d["attempts"] == 1), "{log:?}");
    let list = rig.json(0, &["webhook", "list", "--format", "json"]);
    assert_eq!((&list[0]["pending"], &list[0]["dead"]), (&json!(0), &json!(0)));
    for path in ["/api/v1/webhooks", "/api/v1/audit", "/api/v1/events?after=0"] {
        assert!(!common::http(url, "GET", path, admin, "").2.contains("whsec_"), "{path}");
    }
}

/// Starts a worker beside whatever else runs on the data.
fn worker(rig: &Rig) -> Served {
    start(rig, &["serve", "--data", "data", "--role", "worker"]).0
}

#[test]
fn nothing_is_lost_between_workers_that_die_and_a_receiver_that_fails() {
    let notes = 120;
    let rig = site();
    // Every fifth answer is an error.
    let receiver = Receiver::new(|n| if n % 5 == 4 { BUSY } else { FINE });
    import(&rig, notes, "one");
    let (id, _) = add(&rig, &receiver.url(), &["--event", "entry.*"]);
    publish(&rig);
    import(&rig, notes, "two");
    publish(&rig);
    // Two at once, of which one dies in the midst of it; then the receiver is away for a moment; then the other dies.
    let (mut first, mut second) = (worker(&rig), worker(&rig));
    receiver.until("the first third", 60, |g| g.len() >= notes * 2 / 3);
    first.0.kill().unwrap();
    receiver.up.store(false, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(300));
    receiver.up.store(true, Ordering::Relaxed);
    second.0.kill().unwrap();
    let _third = worker(&rig);
    let count = |got: &[Got]| {
        got.iter().map(|g| g.head["webhook-id"].clone()).collect::<std::collections::BTreeSet<_>>().len()
    };
    let got = receiver.until("everything", 120, |g| count(g) == notes * 2);
    // In the order of what happened, per entry; a repetition is one of the last.
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    for one in &got {
        let sequence = one.json()["data"]["sequence"].as_u64().unwrap();
        let known = newest.entry(about(one)).or_default();
        assert!(sequence >= *known, "{} came after a newer one", about(one));
        *known = sequence;
    }
    assert_eq!(newest.len(), notes);
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let list = rig.json(0, &["webhook", "list", "--format", "json"]);
        if list[0]["pending"] == 0 && list[0]["done"] == notes * 2 {
            break;
        }
        assert!(Instant::now() < until, "{list}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(rig.json(0, &["webhook", "list", "--format", "json"])[0]["id"], id.as_str());
}

#[test]
fn receivers_that_do_not_behave_are_reported_again_or_no_more() {
    let rig = site();
    let garbage = Receiver::new(|_| "lorem ipsum\r\n\r\n");
    let redirect = Receiver::new(
        |_| "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
    let gone = Receiver::new(|_| "HTTP/1.1 410 Gone\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let slow = Receiver::new(
        |_| "HTTP/1.1 429 Too Many Requests\r\nretry-after: 600\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    );
    let fine = Receiver::new(|_| FINE);
    // One that takes the request and never answers.
    let hanging = Receiver::new(|_| {
        std::thread::sleep(Duration::from_secs(60));
        FINE
    });
    let (hung, _) = add(&rig, &hanging.url(), &["--event", "entry.*"]);
    let ids: Vec<String> =
        [&garbage, &redirect, &gone, &slow, &fine].iter().map(|r| add(&rig, &r.url(), &[]).0).collect();
    put(&rig, "note", "a", "en", &json!({"text": "one"}));
    let (_server, _) = start(&rig, &["serve", "--data", "data"]);
    publish(&rig);
    // Those that misbehave do not hold up the one that does not.
    fine.until("the good one", 20, |g| g.len() >= 2);
    let newest = |id: &str| -> Value {
        let log = rig.json(0, &["webhook", "deliveries", id, "--format", "json"]);
        let of_entry = |d: &&Value| d["kind"] == "entry.published";
        log["items"].as_array().unwrap().iter().find(of_entry).cloned().unwrap_or_default()
    };
    let until = Instant::now() + Duration::from_secs(20);
    let wait = |id: &str, fulfilled: &dyn Fn(&Value) -> bool| {
        loop {
            let found = newest(id);
            if fulfilled(&found) {
                return found;
            }
            assert!(Instant::now() < until, "{found}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let found = wait(&ids[0], &|d| d["attempts"].as_u64() > Some(1));
    assert_eq!((&found["state"], &found["status"]), (&json!("pending"), &json!(0)), "{found}");
    let found = wait(&ids[1], &|d| d["attempts"].as_u64() > Some(0));
    assert!(found["error"].as_str().unwrap().contains("redirects are not followed"), "{found}");
    let found = wait(&ids[3], &|d| d["attempts"].as_u64() > Some(0));
    let waits = found["due_at"]
        .as_str()
        .unwrap()
        .parse::<jiff::Timestamp>()
        .unwrap()
        .duration_since(jiff::Timestamp::now());
    assert!(waits.as_secs() > 500, "{found}");
    loop {
        let list = rig.json(0, &["webhook", "list", "--format", "json"]);
        let of_gone = list.as_array().unwrap().iter().find(|w| w["id"] == ids[2].as_str()).unwrap().clone();
        if of_gone["enabled"] == false {
            assert!(of_gone["why"].as_str().unwrap().contains("410"), "{of_gone}");
            break;
        }
        assert!(Instant::now() < until, "{of_gone}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let until = Instant::now() + Duration::from_secs(20);
    let found = loop {
        let found = newest(&hung);
        if found["attempts"].as_u64() > Some(0) {
            break found;
        }
        assert!(Instant::now() < until, "{found}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(found["error"].as_str().unwrap().contains("did not answer in time"), "{found}");
    // Bad addresses and kinds are refused when they are given.
    for bad in ["ftp://example.com/", "nonsense", "https://user:secret@example.com/"] {
        assert_eq!(rig.run(&["webhook", "add", bad]).status.code(), Some(2), "{bad}");
    }
    for kind in ["ENTRY", "entry.changed", "entries.*", "webhook.created", "published", ""] {
        let refused = rig.run(&["webhook", "add", "https://example.com/", "--event", kind]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            refused.status.code() == Some(2) && said.contains("there is no kind of event"),
            "{kind}: {said}"
        );
    }
    assert_eq!(rig.run(&["webhook", "rm", "wh_none"]).status.code(), Some(2));
}

#[test]
fn nothing_is_sent_into_a_private_network_unless_that_is_allowed() {
    let rig = site();
    let receiver = Receiver::new(|_| FINE);
    let port = receiver.address.rsplit(':').next().unwrap().to_owned();
    // A name that leads inside is as good as the address.
    let urls = [receiver.url(), format!("https://127.0.0.1:{port}/"), format!("https://localhost:{port}/")];
    let ids: Vec<String> = urls.iter().map(|u| add(&rig, u, &[]).0).collect();
    let config = std::fs::read_to_string(rig.path().join("site/ashlar.toml")).unwrap();
    rig.write(
        "site/ashlar.toml",
        &config.replace("webhooks_to_private = true", "webhooks_to_private = false"),
    );
    assert!(rig.run(&["push", "site"]).status.success());
    // Once it is not allowed, what could never be sent is refused when it is named.
    for url in &urls {
        let refused = rig.run(&["webhook", "add", url]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            refused.status.code() == Some(2) && said.contains("cannot receive a webhook"),
            "{url}: {said}"
        );
    }
    put(&rig, "note", "a", "en", &json!({"text": "one"}));
    let (_server, _) = start(&rig, &["serve", "--data", "data"]);
    publish(&rig);
    for (id, says) in ids.iter().zip(["must begin with https://", "private network", "private network"]) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let log = rig.json(0, &["webhook", "deliveries", id, "--format", "json"]);
            if log["items"].as_array().unwrap().iter().any(|d| d["error"].as_str().unwrap().contains(says)) {
                break;
            }
            assert!(Instant::now() < until, "{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(receiver.got.lock().unwrap().is_empty());
}

#[test]
fn a_stop_does_not_add_up_what_it_waits_for() {
    let rig = site();
    let config = std::fs::read_to_string(rig.path().join("site/ashlar.toml")).unwrap();
    rig.write("site/ashlar.toml", &config.replace("[server]", "[server]\nshutdown_seconds_max = 2"));
    assert!(rig.run(&["push", "site"]).status.success());
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let receiver = Receiver::new(move |_| {
        seen.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(30));
        BUSY
    });
    add(&rig, &receiver.url(), &[]);
    put(&rig, "note", "a", "en", &json!({"text": "one"}));
    let (mut server, ready) = start(&rig, &["serve", "--data", "data"]);
    publish(&rig);
    let until = Instant::now() + Duration::from_secs(10);
    while !asked.load(Ordering::Relaxed) {
        assert!(Instant::now() < until, "the receiver is asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    // A request that never gets on, beside a delivery that is never answered.
    let address = ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"GET /v1/entries/no").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    let pid = server.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(server.0.wait().unwrap().success());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
