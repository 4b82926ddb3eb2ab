//! What the black-box tests share: an installation in a temporary directory, the binary, a served process, plain HTTP.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub data: String,
}

pub const PLAN: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"commerce","kind":"type","route":"/pricing/{slug}","title_field":"name"},
 "properties":{"slug":{"type":"string"},"name":{"type":"string"},"related":{"type":"array","items":{"type":"string","x-ashlar":{"ref":["plan"]}}},
 "price":{"type":"integer","minimum":0,"x-ashlar":{"sensitivity":"pricing","semantics":"cents"}}},
 "required":["slug","name","price"],"additionalProperties":false}"#;

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rig = Self { dir, data: "data".to_owned() };
        assert!(rig.run(&["init", "site"]).status.success());
        rig.write("site/contracts/plan.v1.json", PLAN);
        rig
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path().join(path), text).unwrap();
    }

    pub fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
        command
            .args(args)
            .current_dir(self.path())
            .env("ASHLAR_DATA", &self.data)
            .env_remove("ASHLAR_SERVER");
        if self.data.contains("://") {
            command.env("ASHLAR_OBJECTS", self.path().join("objects"));
        }
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs and expects an exit code; returns what it printed as JSON.
    pub fn json(&self, exit: i32, args: &[&str]) -> Value {
        let out = self.run(args);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(
            out.status.code(),
            Some(exit),
            "{args:?}: {said} {}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
    }

    pub fn put(&self, id: &str, fields: &Value, who: &str) -> Value {
        self.write("put.json", &fields.to_string());
        self.json(0, &["entry", "put", "plan", id, "--locale", "en", "--file", "put.json", "--as", who])
    }
}

pub struct Served(pub Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn start(rig: &Rig, args: &[&str]) -> (Served, Value) {
    start_at(rig, args, "127.0.0.1:0")
}

/// The same on a certain address.
pub fn start_at(rig: &Rig, args: &[&str], listen: &str) -> (Served, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(args)
        .args(["--listen", listen, "--format", "json"])
        .current_dir(rig.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Served(child), serde_json::from_str(&line).unwrap())
}

/// The demo, served from the directory `demo`.
pub struct Demo {
    pub rig: Rig,
    pub server: Served,
    pub url: String,
    /// The key of the administrator.
    pub admin: String,
}

impl Demo {
    pub fn new() -> Self {
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
        Self::of(rig, &["demo", "--data", "demo"])
    }

    /// Another installation, served by these arguments.
    pub fn of(rig: Rig, args: &[&str]) -> Self {
        let (server, ready) = start(&rig, args);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        Self { rig, server, url: text(&ready["url"]), admin: text(&ready["keys"]["admin"]) }
    }
}

/// One HTTP/1.1 request: status, head and body.
pub fn http(url: &str, method: &str, path: &str, key: &str, body: &str) -> (u16, String, String) {
    use std::io::Read;
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let auth = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{auth}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // A server that refuses a body early closes before all of it is sent; its answer is there all the same.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

/// An answer with its bytes as they came.
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// A header, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| *n == name).map(|(_, v)| v))
    }
}

/// One GET with headers.
pub fn fetch(url: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    use std::io::Read;
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    Answer { status: head[9..12].parse().unwrap(), head, body: answer[end + 4..].to_vec() }
}

/// Asks again until an answer is as it should be: a server follows what is released a moment later.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(std::time::Instant::now() < until, "it never came: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let (from, to) = (item.as_ref().unwrap().path(), to.join(item.unwrap().file_name()));
        if from.is_dir() {
            copied(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

impl Rig {
    /// A copy of the demo project in `site`, with nothing in the data directory yet.
    pub fn demo() -> Self {
        let rig = Self { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
        let project = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo");
        copied(Path::new(project), &rig.path().join("site"));
        let _ = std::fs::remove_dir_all(rig.path().join("site/.ashlar"));
        rig
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Writes a file, and the directories it lies in.
    pub fn place(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.path().join(path).parent().unwrap()).unwrap();
        self.write(path, text);
    }

    /// Replaces what must be there, once.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not hold {from}");
        self.write(path, &text.replacen(from, to, 1));
    }

    pub fn push(&self) {
        let out = self.run(&["push", "site"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// A candidate of all that is pending.
    pub fn candidate(&self) -> Value {
        self.json(0, &["candidate", "create", "--format", "json"])
    }

    /// Freezes, promotes, and says which release it is.
    pub fn release(&self) -> String {
        let made = self.candidate();
        let name = made["candidate"].as_str().unwrap();
        let out = self.run(&["release", "promote", name, "--format", "json"]);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{said}{}", made["gates"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        said["release"].as_str().unwrap().to_owned()
    }

    /// Changes fields of a draft.
    pub fn set(&self, type_name: &str, id: &str, locale: &str, fields: &Value) {
        let mut all = self.json(0, &["entry", "get", type_name, id, "--locale", locale]);
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.write("set.json", &all.to_string());
        self.json(0, &["entry", "put", type_name, id, "--locale", locale, "--file", "set.json"]);
    }
}

/// What a gate found in a report of `check` or `candidate`: code, place, message, help.
pub fn found(report: &Value, gate: &str) -> Vec<(String, String, String, String)> {
    let gates = report["gates"].as_array().unwrap();
    let gate = gates.iter().find(|g| g["gate"] == gate).unwrap_or_else(|| panic!("{gate}: {report}"));
    let text = |f: &Value, name: &str| f[name].as_str().unwrap_or_default().to_owned();
    let findings = gate["findings"].as_array().unwrap().iter();
    findings.map(|f| (text(f, "code"), text(f, "where"), text(f, "message"), text(f, "help"))).collect()
}
