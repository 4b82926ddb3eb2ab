//! From one changed entry to its new body, through the server: freeze, gates, promote, read. Also rollback, diff, import,
//! start and memory.

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use crate::run::{root, target};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Publishes that are measured.
const ROUNDS: usize = 60;

struct Server {
    child: Child,
    address: String,
    key: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(binary: &Path, dir: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let address = text(&ready["url"]).replace("http://", "");
        Ok(Self { child, address, key: text(&ready["keys"]["admin"]) })
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        Ok((head.get(9..12).unwrap_or("0").parse()?, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    fn done(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        match self.request(method, path, body)? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(format!("{method} {path}: {status} {answer}").into()),
        }
    }

    fn memory_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|k| k.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }
}

fn entry(i: usize, version: usize) -> Value {
    json!({"slug": format!("p{i}"), "title": format!("Page {i}, version {version}"), "body": "Boats come and go with the tide. ".repeat(56)})
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn report(name: &str, mut values: Vec<f64>, target_ms: Option<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values.get(((values.len() as f64 - 1.0) * q) as usize).copied().unwrap_or(0.0);
    let target =
        target_ms.map_or(String::new(), |t| format!("  target {t:.0} ms  ratio of p50 {:.2}", at(0.5) / t));
    println!("{name:44} p50 {:9.2} ms  p99 {:9.2} ms{target}", at(0.5), at(0.99));
}

/// Runs with `entries` entries of about 2 KB.
pub fn run(entries: usize) -> Result<()> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", "ashlar"])
        .current_dir(root())
        .status()?;
    if !built.success() {
        return Err("the release build failed".into());
    }
    let binary = target().join("release").join("ashlar");
    let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
    let dir = temp.path();
    let ashlar = |args: &[&str]| -> Result<Value> {
        let out = Command::new(&binary).args(args).current_dir(dir).env("ASHLAR_DATA", "data").output()?;
        if !out.status.success() {
            return Err(format!("{args:?}: {}", String::from_utf8_lossy(&out.stderr)).into());
        }
        Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null))
    };
    println!("{entries} entries of about 2 KB");
    ashlar(&["init", "site"])?;
    ashlar(&["push", "site"])?;
    let mut file = std::io::BufWriter::new(std::fs::File::create(dir.join("entries.ndjson"))?);
    for i in 0..entries {
        writeln!(
            file,
            "{}",
            json!({"type": "page", "id": format!("p{i}"), "locale": "en", "fields": entry(i, 0)})
        )?;
    }
    file.flush()?;
    drop(file);
    let started = Instant::now();
    ashlar(&["import", "json", "entries.ndjson"])?;
    println!("{:44} {:.2} s", "import of all entries", started.elapsed().as_secs_f64());
    let started = Instant::now();
    let candidate = ashlar(&["candidate", "create", "--format", "json"])?;
    println!(
        "{:44} {:.2} s ({})",
        "first freeze and gates",
        started.elapsed().as_secs_f64(),
        candidate["status"]
    );
    let started = Instant::now();
    ashlar(&["release", "promote", "c1"])?;
    println!("{:44} {:.2} s", "first promote", started.elapsed().as_secs_f64());

    let started = Instant::now();
    let server = Server::start(&binary, dir)?;
    server.done("GET", "/v1/entries/page/p1", &Value::Null)?;
    println!("{:44} {:.1} ms  target 300 ms", "start to first answer", ms(started));
    for i in 0..entries.min(100_000) {
        if i % 10 == 0 {
            server.done("GET", &format!("/v1/entries/page/p{i}"), &Value::Null)?;
        }
    }
    println!("{:44} {:.0} MB  target 200 MB at 100,000", "resident memory after reads", server.memory_mb());

    let (mut publishes, mut rollbacks, mut served) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let i = (round * 7919) % entries;
        let path = format!("/api/v1/entries/page/p{i}?locale=en");
        server.done("PUT", &path, &json!({"fields": entry(i, round)}))?;
        let started = Instant::now();
        let candidate = server.done("POST", "/api/v1/candidates", &json!({}))?;
        let name = candidate["candidate"].as_str().unwrap_or_default();
        let promoted = server.done("POST", &format!("/api/v1/candidates/{name}/promote"), &json!({}))?;
        let body = server.done("GET", &format!("/v1/entries/page/p{i}"), &Value::Null)?;
        publishes.push(ms(started));
        if body != entry(i, round) {
            return Err("the new body is not served".into());
        }
        let from = promoted["from"].as_str().unwrap_or_default().to_owned();
        let started = Instant::now();
        let back = server.done("POST", &format!("/api/v1/releases/{from}/rollback"), &json!({}))?;
        server.done("GET", &format!("/v1/entries/page/p{i}"), &Value::Null)?;
        served.push(ms(started));
        rollbacks.push(back["took_ms"].as_f64().unwrap_or(0.0));
        let now = promoted["release"].as_str().unwrap_or_default();
        server.done("POST", &format!("/api/v1/releases/{now}/rollback"), &json!({}))?;
    }
    let limit = if entries > 100_000 { 150.0 } else { 50.0 };
    report("one entry: freeze, gates, promote, read", publishes, Some(limit));
    report("rollback until the old body is served", served, Some(20.0));
    report("rollback, as reported", rollbacks, Some(20.0));

    let mut diffs = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let diff = server.done(
            "GET",
            &format!("/api/v1/releases/r{}/diff/r{}", ROUNDS - 9, ROUNDS + 1),
            &Value::Null,
        )?;
        diffs.push(ms(started));
        if diff["entries_total"] != 10 {
            return Err(format!("the diff has {} entries", diff["entries_total"]).into());
        }
    }
    report("diff of two releases, 10 entries, over HTTP", diffs, Some(10.0));
    Ok(())
}
