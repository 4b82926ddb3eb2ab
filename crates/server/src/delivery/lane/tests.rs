use std::{net::SocketAddr, sync::Arc, time::Duration};

use ashlar_delivery::{
    Caches, Definitions, Problem, ReleaseView,
    lookup::{self, LookupRules},
};
use ashlar_isolate::Workers;
use ashlar_model::{
    Digest, EntryId, EntryKey, EntryRecord, Files, Locale, TenantId, TypeName, canonical_json,
};
use ashlar_store::{Objects, Tree};
use async_trait::async_trait;
use axum::{Router, routing::post};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;

struct One(Arc<ReleaseView>, Workers);

#[async_trait]
impl Source for One {
    fn resolve(&self, caller: &Caller<'_>) -> Option<Resolved> {
        let public = match caller.key {
            None => true,
            Some("known") => false,
            Some(_) => return None,
        };
        Some(Resolved { release: self.0.clone(), public, developer: false, reader: None })
    }

    async fn explain(&self, caller: &Caller<'_>, at: Option<&str>) -> Result<Resolved, Problem> {
        match (at, caller.key) {
            (Some(_), Some("known")) => {
                Ok(Resolved { release: self.0.clone(), public: false, developer: false, reader: None })
            }
            (Some(_), _) => Err(Problem::new(403, "no-preview", "No preview", "this key may not preview")),
            (None, _) => Err(Problem::new(401, "bad-key", "Bad key", "the key is not known")),
        }
    }

    fn workers(&self) -> &Workers {
        &self.1
    }

    fn served(&self, _status: u16, _bytes: usize) {}
}

struct Server {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<std::io::Result<()>>,
    _dir: TempDir,
}

impl Server {
    async fn start(config: LaneConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path(), None).unwrap().tenant(&TenantId::main());
        let mut files = Files::new();
        files.insert("ashlar.toml", b"name = 'x'".to_vec()).unwrap();
        let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}});
        files.insert("contracts/page.v1.json", schema.to_string().into_bytes()).unwrap();
        let view = "source = 'page'\nlookup = 'id'\nfields = ['title']".as_bytes().to_vec();
        files.insert("views/pages.v1.toml", view).unwrap();
        let definitions = Arc::new(Definitions::parse(Digest::of(b""), &files).unwrap());
        let mut batch = objects.batch();
        let long = "words and more words ".repeat(200);
        let edits: Vec<_> = [("home", "Hello"), ("long", long.as_str())]
            .into_iter()
            .map(|(id, title)| {
                let bytes = canonical_json(&json!({"title": title})).unwrap();
                let len = bytes.len() as u32;
                let key = EntryKey {
                    type_name: TypeName::new("page").unwrap(),
                    id: EntryId::new(id).unwrap(),
                    locale: Locale::new("en").unwrap(),
                };
                let record = EntryRecord { digest: batch.put(bytes), major: 1, len };
                (key.to_bytes(), Some(record.to_bytes().to_vec()))
            })
            .collect();
        let snapshot = Tree::empty().apply(&edits, &mut batch).unwrap();
        objects.commit(batch).await.unwrap();
        let mut batch = objects.batch();
        let rules = LookupRules::new(&definitions.contracts, &definitions.views);
        let lookup = lookup::build(&rules, &objects, &snapshot, &mut batch).unwrap();
        objects.commit(batch).await.unwrap();
        let caches = Caches::default();
        let release = ReleaseView::new(objects, "r1".to_owned(), snapshot, lookup, definitions, caches);
        let source: Arc<dyn Source> = Arc::new(One(Arc::new(release), Workers::with(2).unwrap()));
        let app: Router =
            router(source.clone()).route("/echo", post(|body: String| async move { format!("echo {body}") }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let done = tokio::spawn(serve(listener, source, app, config, async move {
            let _ = stopped.await;
        }));
        Self { addr, stop: Some(stop), done, _dir: dir }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends bytes, closes the sending half, and returns everything that comes back.
    async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut out = Vec::new();
        let _ =
            tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut out)).await.expect("an end");
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")
}

const CLOSE: &str = "connection: close\r\n";
const HOME: &str = "/v1/entries/page/home";

/// One answer from a connection that stays open.
async fn read_one(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    let mut one = [0; 1];
    while !out.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut one).await.unwrap(), 1, "{}", String::from_utf8_lossy(&out));
        out.push(one[0]);
    }
    let head = String::from_utf8(out).unwrap();
    let len = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn answers_pipelined_split_and_repeated_requests_in_order() {
    let server = Server::start(LaneConfig::default()).await;
    let two = get(HOME, "") + &get("/v1/pages/long", "") + &get("/v1/entries/page/none", CLOSE);
    let text = server.talk(two.as_bytes()).await;
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part} in {text}"));
    assert!(at("{\"title\":\"Hello\"}") < at("words and more") && at("words and more") < at("404 Not Found"));
    let mut stream = server.connect().await;
    for _ in 0..3 {
        for piece in get(HOME, "x-a: b\r\n").as_bytes().chunks(7) {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert!(read_one(&mut stream).await.ends_with("{\"title\":\"Hello\"}"));
    }
    // The same connection goes on in hyper, between two answers of the lane.
    let post = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
    stream.write_all((get(HOME, "") + post + &get(HOME, "")).as_bytes()).await.unwrap();
    assert!(read_one(&mut stream).await.ends_with("Hello\"}"));
    assert!(read_one(&mut stream).await.ends_with("echo hi"));
    assert!(read_one(&mut stream).await.ends_with("Hello\"}"));
}

#[tokio::test]
async fn head_304_old_versions_and_garbage() {
    let server = Server::start(LaneConfig::default()).await;
    let head = server.talk(get(HOME, CLOSE).replace("GET", "HEAD").as_bytes()).await;
    assert!(head.contains("content-length: 17\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let etag = head.lines().find_map(|l| l.strip_prefix("etag: ")).unwrap();
    let same = server.talk(get(HOME, &format!("if-none-match: {etag}\r\n{CLOSE}")).as_bytes()).await;
    assert!(same.starts_with("HTTP/1.1 304 ") && same.ends_with("\r\n\r\n"), "{same}");
    let old = server.talk(b"GET /v1/entries/page/home HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200") && old.ends_with("Hello\"}"), "{old}");
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b"hello there\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n"]
    {
        let text = server.talk(garbage).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    }
    for (request, status) in [
        (get(HOME, &format!("authorization: Bearer nope\r\n{CLOSE}")), "401"),
        (get("/v1/entries/page/home?at=draft", CLOSE), "403"),
        (get("/v1/entries/page/home?at=draft", &format!("authorization: Bearer known\r\n{CLOSE}")), "200"),
        (get("/nothing", CLOSE), "404"),
    ] {
        let text = server.talk(request.as_bytes()).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{text}");
    }
}

#[tokio::test]
async fn large_heads_and_slow_peers_are_cut_off() {
    let config = LaneConfig {
        head_bytes_max: 1024,
        head: Duration::from_millis(500),
        idle: Duration::from_millis(500),
        ..LaneConfig::default()
    };
    let server = Server::start(config).await;
    let large = server.talk(get(HOME, &format!("x: {}", "y".repeat(2000))).trim_end().as_bytes()).await;
    assert!(large.starts_with("HTTP/1.1 431 "), "{large}");
    let mut slow = server.connect().await;
    let started = std::time::Instant::now();
    for byte in get(HOME, "").bytes() {
        if slow.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(started.elapsed() < Duration::from_secs(4), "a slow head is not waited for");
    }
    let text = server.talk(b"").await;
    assert_eq!(text, "", "an idle connection is closed");
}

#[tokio::test]
async fn both_doors_give_the_same_bytes() {
    let server = Server::start(LaneConfig::default()).await;
    let sorted = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<&str> = head.lines().filter(|l| !l.starts_with("date: ")).collect();
        lines.sort_unstable();
        (lines.into_iter().map(str::to_owned).collect::<Vec<_>>(), body.to_owned())
    };
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    for target in [
        HOME,
        "/v1/pages/long",
        "/v1/entries/page",
        "/v1/entries/page/none",
        "/v1/entries/page?x=1",
        "/v1/x/y",
    ] {
        for headers in
            ["", "accept-encoding: gzip\r\n", "authorization: Bearer known\r\n", "accept-language: de\r\n"]
        {
            let lane = server.talk(get(target, &format!("{headers}{trace}{CLOSE}")).as_bytes()).await;
            // An Origin header leads around the lane.
            let door = format!("{headers}{trace}origin: http://y\r\n{CLOSE}");
            let door = server.talk(get(target, &door).as_bytes()).await;
            let (mut a, mut b) = (sorted(&lane), sorted(&door));
            // The span of an answer is its own.
            for lines in [&mut a.0, &mut b.0] {
                let span = lines.iter_mut().find(|l| l.starts_with("traceparent")).unwrap();
                span.replace_range(49..65, "");
            }
            assert_eq!(a, b, "{target} {headers}");
        }
    }
}

#[tokio::test]
async fn http2_with_prior_knowledge_and_shutdown() {
    let mut server = Server::start(LaneConfig::default()).await;
    let mut h2 = server.connect().await;
    let path = HOME.as_bytes();
    // GET, http, a literal path and authority; the flags end headers and stream.
    let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
    block.extend(path);
    block.extend([0x01, 1, b'x']);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend([0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    h2.write_all(&bytes).await.unwrap();
    let mut got = Vec::new();
    while !got.windows(17).any(|w| w == b"{\"title\":\"Hello\"}") {
        let read =
            tokio::time::timeout(Duration::from_secs(5), h2.read_buf(&mut got)).await.expect("an answer");
        assert!(read.unwrap() > 0);
    }
    drop(h2);
    let mut idle = server.connect().await;
    idle.write_all(get(HOME, "").as_bytes()).await.unwrap();
    read_one(&mut idle).await;
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), &mut server.done).await.expect("an end").unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0, "an idle connection is closed at shutdown");
    assert!(TcpStream::connect(server.addr).await.is_err());
}
