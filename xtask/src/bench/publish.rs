//! From one changed entry to its new body, through the server: freeze, gates, promote, read. Also rollback, diff, import,
//! start and memory.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    delivery::cpu_us,
    site::{Result, Server, Site, entry, ms},
};

/// How long a server may take for what follows its first release.
const REST_MAX: Duration = Duration::from_secs(600);
/// Publishes that are measured.
const ROUNDS: usize = 60;

fn report(name: &str, mut values: Vec<f64>, target_ms: Option<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values.get(((values.len() as f64 - 1.0) * q) as usize).copied().unwrap_or(0.0);
    let target =
        target_ms.map_or(String::new(), |t| format!("  target {t:.0} ms  ratio of p50 {:.2}", at(0.5) / t));
    println!("{name:44} p50 {:9.2} ms  p99 {:9.2} ms{target}", at(0.5), at(0.99));
}

/// Runs with `entries` entries of about 2 KB.
///
/// # Errors
/// When the server or the command line fails, or answers something else than it should.
pub fn run(entries: usize, keep: Option<&Path>) -> Result<()> {
    let site = Site::of(entries, keep)?;
    // A kept installation has had other versions before.
    let base = usize::try_from(std::time::UNIX_EPOCH.elapsed()?.as_secs())? * 100;
    let mut last = 0_usize;
    let started = Instant::now();
    let server = site.serve(None)?;
    server.done("GET", "/v1/entries/page/p1", &Value::Null)?;
    println!("{:44} {:.1} ms  target 300 ms", "start to first answer", ms(started));
    for i in 0..entries.min(100_000) {
        if i % 10 == 0 {
            server.done("GET", &format!("/v1/entries/page/p{i}"), &Value::Null)?;
        }
    }
    println!("{:44} {:.0} MB  target 200 MB at 100,000", "resident memory after reads", server.memory_mb());

    rest(server.child.id())?;
    let (mut publishes, mut rollbacks, mut served) = (Vec::new(), Vec::new(), Vec::new());
    // The first search opens the index.
    let started = Instant::now();
    server.done("GET", "/v1/search?q=tide", &Value::Null)?;
    println!("{:44} {:.1} ms", "first search", ms(started));
    println!("{:44} {:.0} MB", "resident memory with the index", server.memory_mb());
    let (mut found, mut answered) = (Vec::new(), Vec::new());
    let (process, mut cpu) = (server.child.id(), 0.0);
    for round in 1..=ROUNDS {
        let i = (round * 7919) % entries;
        let path = format!("/api/v1/entries/page/p{i}?locale=en");
        server.done("PUT", &path, &json!({"fields": entry(i, base + round)}))?;
        let (started, used) = (Instant::now(), cpu_us(process)?);
        let candidate = server.done("POST", "/api/v1/candidates", &json!({}))?;
        let name = candidate["candidate"].as_str().unwrap_or_default();
        let promoted = server.done("POST", &format!("/api/v1/candidates/{name}/promote"), &json!({}))?;
        let body = server.done("GET", &format!("/v1/entries/page/p{i}"), &Value::Null)?;
        publishes.push(ms(started));
        cpu += cpu_us(process)? - used;
        if body != entry(i, base + round) {
            return Err("the new body is not served".into());
        }
        let search = format!("/v1/search?q={}&limit=1", base + round);
        let hits = server.done("GET", &search, &Value::Null)?;
        found.push(ms(started));
        if hits["hits"][0]["id"] != format!("p{i}") {
            return Err(format!("the new body is not found: {hits}").into());
        }
        let question = json!({"question": format!("Which page has version {}?", base + round)});
        let answer = server.done("POST", "/v1/answers", &question)?;
        answered.push(ms(started));
        if answer["retrieved"][0]["id"] != format!("p{i}") || answer["release"] != promoted["release"] {
            return Err(format!("the new body is not what is answered from: {answer}").into());
        }
        let from = promoted["from"].as_str().unwrap_or_default().to_owned();
        let started = Instant::now();
        let back = server.done("POST", &format!("/api/v1/releases/{from}/rollback"), &json!({}))?;
        server.done("GET", &format!("/v1/entries/page/p{i}"), &Value::Null)?;
        served.push(ms(started));
        rollbacks.push(back["took_ms"].as_f64().unwrap_or(0.0));
        let now = promoted["release"].as_str().unwrap_or_default();
        last = now.trim_start_matches('r').parse()?;
        server.done("POST", &format!("/api/v1/releases/{now}/rollback"), &json!({}))?;
    }
    let limit = if entries > 100_000 { 150.0 } else { 50.0 };
    report("one entry: freeze, gates, promote, read", publishes, Some(limit));
    report("one entry: the same, and searched and found", found, Some(150.0));
    report("one entry: the same, and a question answered", answered, Some(150.0));
    println!("{:44} {:.1} ms", "CPU of the server per publish", cpu / ROUNDS as f64 / 1000.0);
    report("rollback until the old body is served", served, Some(20.0));
    report("rollback, as reported", rollbacks, Some(20.0));

    diffs(&server, last)
}

/// Waits until a server does next to nothing, which is looking for moves and checking packs. After the first release it learns what
/// words mean, which no later release repeats.
fn rest(server: u32) -> Result<()> {
    let until = Instant::now() + REST_MAX;
    let mut before = cpu_us(server)?;
    loop {
        std::thread::sleep(Duration::from_secs(2));
        let now = cpu_us(server)?;
        if now - before < 100_000.0 {
            return Ok(());
        }
        if Instant::now() > until {
            return Err("the server does not come to rest".into());
        }
        before = now;
    }
}

/// Times the difference of two releases that are ten publishes apart.
fn diffs(server: &Server, last: usize) -> Result<()> {
    let mut diffs = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let diff =
            server.done("GET", &format!("/api/v1/releases/r{}/diff/r{}", last - 10, last), &Value::Null)?;
        diffs.push(ms(started));
        if diff["entries_total"] != 10 {
            return Err(format!("the diff has {} entries", diff["entries_total"]).into());
        }
    }
    report("diff of two releases, 10 entries, over HTTP", diffs, Some(10.0));
    Ok(())
}
