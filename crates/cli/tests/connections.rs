//! Clients that stop in the middle, read nothing, open too much or ask too often.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use common::{Rig, Served, copied, eventually, http};
use h2::client::SendRequest;
use serde_json::Value;

const NOTE: &str = r#"{"type":"object","x-ashlar":{"owner":"team","version":"1.0.0"},"properties":{"slug":{"type":"string"},"text":{"type":"string"}},
 "required":["slug","text"],"additionalProperties":false}"#;
/// The length of the long text.
const LONG: usize = 1_900_000;
/// Nothing here takes longer; a server that never ends something is found by it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A data directory with one short and one long entry, released.
fn seeded() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let rig = Rig::new();
        std::fs::remove_file(rig.path().join("site/contracts/plan.v1.json")).unwrap();
        rig.write("site/contracts/note.v1.json", NOTE);
        rig.place("site/views/notes.v1.toml", "source = 'note'\nlookup = 'slug'\nfields = ['text']\n");
        assert!(rig.run(&["push", "site"]).status.success());
        for (id, len) in [("short", 5), ("long", LONG)] {
            let fields = serde_json::json!({"slug": id, "text": "x".repeat(len)});
            rig.write("put.json", &fields.to_string());
            let out = rig.run(&["entry", "put", "note", id, "--locale", "en", "--file", "put.json"]);
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
        let made = rig.json(0, &["candidate", "create", "--format", "json"]);
        rig.json(0, &["release", "promote", made["candidate"].as_str().unwrap(), "--format", "json"]);
        rig
    })
}

struct Site {
    server: Served,
    url: String,
    admin: String,
    _dir: tempfile::TempDir,
}

impl Site {
    /// Serves a copy, with settings of `[server]`.
    fn new(settings: &[(&str, u64)]) -> Self {
        Self::with(settings, "")
    }

    /// The same after a command of the shell.
    fn with(settings: &[(&str, u64)], before: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copied(&seeded().path().join("data"), &dir.path().join("data"));
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_ashlar"));
        command.args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json"]);
        for (name, value) in settings {
            command.env(format!("ASHLAR_SERVER_{}", name.to_uppercase()), value.to_string());
        }
        let mut child = command.current_dir(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        Self {
            server: Served(child),
            url: text(&ready["url"]),
            admin: text(&ready["keys"]["admin"]),
            _dir: dir,
        }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn said(&self, bytes: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str, key: &str) -> (u16, String) {
        let (status, head, _) = http(&self.url, "GET", path, key, "");
        (status, head)
    }

    /// Resident memory in bytes.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.0.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

/// Everything up to the end of a connection, and that it ends.
fn to_the_end(stream: &mut TcpStream, what: &str) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("{what} stays open")
        }
        _ => all,
    }
}

#[test]
fn whoever_stops_in_the_middle_is_closed() {
    let site = Site::new(&[("head_seconds_max", 1), ("idle_seconds_max", 1), ("body_stall_seconds_max", 1)]);
    let mut half: Vec<(&str, TcpStream)> = [
        ("an idle connection", ""),
        ("half a preface", "PRI * HTTP/2.0\r\n\r\nSM"),
        ("the first bytes of a preface", "PRI"),
        ("a preface without anything", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("half a head", "GET /v1/entries/note/short HTTP/1.1\r\nhos"),
        ("half a head after a request", "GET /v1/entries/note/short HTTP/1.1\r\nhost: x\r\n\r\nGET /v1"),
        ("half a head after another request", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /v1"),
    ]
    .map(|(what, bytes)| (what, site.said(bytes)))
    .into();
    // Neither bytes that trickle in, nor answers, give a head or a connection more time.
    let mut trickle = site.said("POST /graphql HTTP/1.1\r\nhost: x\r\n");
    let began = Instant::now();
    while trickle.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
        assert!(began.elapsed() < PATIENCE, "a head that trickles stays open");
    }
    for (what, stream) in &mut half {
        to_the_end(stream, what);
    }
    let head = format!(
        "POST /api/v1/definitions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n{{",
        site.admin
    );
    let answer = to_the_end(&mut site.said(&head), "half a body");
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(site.get("/v1/entries/note/short", "").0, 200);
}

#[test]
fn answers_that_nobody_reads_are_given_up_and_slow_readers_are_not() {
    let site = Site::new(&[("write_stall_seconds_max", 1)]);
    let read = |more: &str| {
        let one = format!("GET /v1/entries/note/long HTTP/1.1\r\nhost: x\r\n{more}\r\n");
        let mut silent = site.said(&one.repeat(30));
        let mut slow = site.said(&one.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
        let mut read = Vec::new();
        let mut piece = vec![0; 300_000];
        while let Ok(len @ 1..) = slow.read(&mut piece) {
            read.extend_from_slice(&piece[..len]);
            std::thread::sleep(Duration::from_millis(250));
        }
        assert!(read.len() > LONG, "{more}: a slow reader gets all of it, not {} bytes", read.len());
        std::thread::sleep(Duration::from_millis(1000));
        let read = to_the_end(&mut silent, "a silent reader").len();
        assert!(read < 25 * LONG, "{more}: a silent reader is closed, and was sent {read} bytes");
    };
    // Plain reads, and those of the full server.
    std::thread::scope(|scope| {
        scope.spawn(|| read(""));
        scope.spawn(|| read("origin: http://x\r\n"));
    });
}

/// A client whose windows are closed.
async fn window_0(site: &Site) -> (SendRequest<bytes::Bytes>, tokio::task::JoinHandle<()>) {
    let stream = tokio::net::TcpStream::connect(site.address()).await.unwrap();
    let (send, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake(stream).await.unwrap();
    // How it ends does not matter.
    let ended = tokio::spawn(async move { drop(connection.await) });
    (send, ended)
}

/// Sends the same request often; the statuses, and what keeps the answers from being dropped.
async fn ask(
    send: &SendRequest<bytes::Bytes>,
    site: &Site,
    path: &str,
    times: usize,
) -> (Vec<u16>, Vec<h2::RecvStream>) {
    let mut send = send.clone();
    let mut waiting = Vec::new();
    for _ in 0..times {
        send = send.ready().await.unwrap();
        let request = http::Request::get(format!("http://{}{path}", site.address())).body(()).unwrap();
        waiting.push(send.send_request(request, true).unwrap().0);
    }
    let (mut statuses, mut bodies) = (Vec::new(), Vec::new());
    for answer in waiting {
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
        statuses.push(answer.status().as_u16());
        bodies.push(answer.into_body());
    }
    (statuses, bodies)
}

#[tokio::test]
async fn closed_windows_hold_neither_memory_nor_connections() {
    let site = Site::new(&[("write_stall_seconds_max", 2), ("answer_bytes_per_connection_max", 20_000_000)]);
    for path in ["/v1/entries/note/long", "/v1/notes/long"] {
        // Once, so that what is kept anyway is kept.
        assert_eq!(site.get(path, "").0, 200);
    }
    let before = site.memory();
    let (send, ended) = window_0(&site).await;
    let (shared, held) = ask(&send, &site, "/v1/notes/long", 150).await;
    assert!(shared.iter().all(|s| *s == 200), "a body that is kept anyway is shared: {shared:?}");
    let (own, more) = ask(&send, &site, "/v1/entries/note/long", 50).await;
    assert!(own.contains(&200) && own.contains(&503), "{own:?}");
    let grown = site.memory().saturating_sub(before);
    println!("200 answers hold {grown} bytes");
    assert!(grown < 120_000_000, "200 answers of 1.9 MB hold {grown} bytes");
    let (stream_send, stream_ended) = window_0(&site).await;
    let (status, stream) = ask(&stream_send, &site, "/v1/changes", 1).await;
    assert_eq!(status, [200]);
    for ended in [ended, stream_ended] {
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("a connection that takes nothing is closed")
            .unwrap();
    }
    drop((held, more, stream));
    // A client that reads is served again, and gets all of it.
    let stream = tokio::net::TcpStream::connect(site.address()).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    for _ in 0..3 {
        let (status, mut bodies) = ask(&send, &site, "/v1/notes/long", 1).await;
        let (mut len, body) = (0, &mut bodies[0]);
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            len += data.len();
            body.flow_control().release_capacity(data.len()).unwrap();
        }
        assert!(status == [200] && len > LONG);
    }
}

#[test]
fn addresses_have_limits_and_known_keys_are_not_touched_by_them() {
    let site = Site::new(&[("requests_per_second_max", 5), ("failed_keys_per_second_max", 3)]);
    let many =
        |path: &str, key: &str| -> Vec<(u16, String)> { (0..30).map(|_| site.get(path, key)).collect() };
    let refused = |answers: &[(u16, String)]| {
        let of = answers.iter().filter(|(status, _)| *status == 429);
        of.inspect(|(_, head)| assert!(head.contains("retry-after: 1"), "{head}")).count()
    };
    assert!(refused(&many("/api/v1/channels", "")) > 5);
    assert!(refused(&many("/readyz", "")) > 5);
    for path in ["/api/v1/channels", "/v1/entries/note/short"] {
        let answers = many(path, "ak_0000000000000000_00000000000000000000000000000000");
        assert!(refused(&answers) > 5, "{path}: {answers:?}");
    }
    assert!(refused(&many("/preview/none/", "")) > 5);
    let figures = http(&site.url, "GET", "/metrics", &site.admin, "").2;
    let limited = figures.lines().find_map(|l| l.strip_prefix("ashlar_requests_limited_total ")).unwrap();
    assert!(limited.parse::<u32>().unwrap() > 20, "{limited}");
    assert_eq!(refused(&many("/v1/entries/note/short", "")), 0, "public reads have no limit of their own");
    assert_eq!(refused(&many("/v1/entries/note/short", &site.admin)), 0);
    assert_eq!(site.get("/api/v1/channels", &site.admin).0, 200);

    let site = Site::new(&[("reads_per_second_max", 5)]);
    let many = |key: &str| (0..30).filter(|_| site.get("/v1/entries/note/short", key).0 == 429).count();
    assert!(many("") > 5);
    assert_eq!(many(&site.admin), 0);
}

#[test]
fn streams_and_connections_of_a_client_are_counted() {
    let site = Site::new(&[("streams_per_client_max", 2), ("connections_per_address_max", 4)]);
    let follow = || {
        let mut stream = site.said("GET /v1/changes HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, String::from_utf8_lossy(&head[9..]).into_owned())
    };
    let (first, second) = (follow(), follow());
    assert_eq!((first.1.as_str(), second.1.as_str()), ("200", "200"));
    assert_eq!(follow().1, "429");
    drop(first);
    let again = eventually("a place", || Some(follow()).filter(|(_, status)| status == "200"));

    let held: Vec<TcpStream> = (0..2).map(|_| site.connect()).collect();
    let beyond = |_| {
        let mut stream = site.connect();
        // The kernel accepts it before the server refuses it.
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        to_the_end(&mut stream, "a connection too many").is_empty()
    };
    assert!((0..5).all(beyond), "an address has as many connections as it may have");
    drop((held, second, again));
    eventually("a connection", || (!beyond(0)).then_some(()));
}

#[test]
fn few_open_files_mean_fewer_connections_and_idle_ones_make_room() {
    let site = Site::with(&[], "ulimit -n 96;");
    let idle: Vec<TcpStream> = (0..150).map(|_| site.connect()).collect();
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(site.get("/v1/entries/note/long", "").0, 200);
        assert_eq!(site.get("/api/v1/channels", &site.admin).0, 200);
    }
    assert!(began.elapsed() < PATIENCE, "new connections wait until idle ones are over");
    let open = std::fs::read_dir(format!("/proc/{}/fd", site.server.0.id())).unwrap().count();
    assert!(open <= 96, "{open}");
    drop(idle);
    assert_eq!(site.get("/readyz", "").0, 200);
}

fn ends(child: &mut Child, within: Duration) -> bool {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[tokio::test]
async fn a_stop_signal_is_not_held_up_by_clients() {
    for (patience, signals) in [(1, 1), (600, 2)] {
        let mut site = Site::new(&[("shutdown_seconds_max", patience)]);
        let (send, _ended) = window_0(&site).await;
        let (_, _bodies) = ask(&send, &site, "/v1/notes/long", 20).await;
        let _half = [
            site.said("PRI * HTTP/2.0"),
            site.said("GET /v1"),
            site.said("GET /v1/changes HTTP/1.1\r\nhost: x\r\n\r\n"),
        ];
        let pid = site.server.0.id().to_string();
        for _ in 0..signals {
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            // Two signals at once may be one.
            std::thread::sleep(Duration::from_millis(300));
        }
        assert!(ends(&mut site.server.0, Duration::from_secs(10)), "{signals} signals end the server");
    }
}
