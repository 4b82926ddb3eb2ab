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
    let mut child = Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(args)
        .args(["--listen", "127.0.0.1:0", "--format", "json"])
        .current_dir(rig.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Served(child), serde_json::from_str(&line).unwrap())
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
