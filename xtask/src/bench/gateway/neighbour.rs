//! The noisy neighbour of model calls: calls of one tenant, alone and while another tenant does its worst.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{NOISY, Result, Target, at, installed, key, mock, process_cpu_us, served};
use crate::bench::site::{Site, entry};

/// Connections of the quiet tenant, and what each waits between two calls.
const CALLERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(2);
/// Connections of the noisy tenant.
const ATTACKERS: usize = 16;
/// How long an attacker keeps a connection that it does not use properly.
const HOLD: Duration = Duration::from_millis(500);
/// How long an attacker waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How much of an answer a slow reader reads at a time.
const SIP_BYTES: usize = 64;
/// How much slower calls may become.
const RATIO_MAX: f64 = 2.0;

/// A request of the noisy tenant, and how its client behaves.
struct Attack {
    request: Vec<u8>,
    client: Client,
}

enum Client {
    /// Reads the answer.
    Reads,
    /// Reads a little of it and holds the connection.
    Sips,
    /// Sends half of the request and holds the connection.
    Stops,
}

/// Figures of a half of a round: milliseconds, and how many cores the server used.
struct Half {
    p50: f64,
    p99: f64,
    cores: f64,
}

fn request(target: &Target, headers: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        target.path,
        target.address,
        target.key,
        body.len()
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

fn attacks(target: &Target) -> Vec<Attack> {
    let chat = |text: &str, stream: bool| {
        json!({"model": target.model, "stream": stream, "messages": [{"role": "user", "content": text}]})
            .to_string()
    };
    let of = |body: &str, client| Attack { request: request(target, "", body), client };
    let tools: Vec<_> = (0..256)
        .map(|n| {
            let properties: serde_json::Map<String, serde_json::Value> =
                (0..100).map(|p| (format!("p{p}"), json!({"anyOf": [{"type": "string"}, {"type": "null"}]}))).collect();
            json!({"type": "function", "function": {"name": format!("t{n}"), "parameters": {"type": "object", "properties": properties}}})
        })
        .collect();
    let with_tools =
        json!({"model": target.model, "tools": tools, "messages": [{"role": "user", "content": "x"}]});
    let turns: Vec<_> =
        (0..4_000).map(|n| json!({"role": "user", "content": format!("a{n}@example.com")})).collect();
    let nested = format!("{}1{}", "[".repeat(4 << 20), "]".repeat(4 << 20));
    vec![
        of(
            &chat(&"4111 1111 1111 1111 or ines@example.com, +49 30 1234567; ".repeat(300_000), false),
            Client::Reads,
        ),
        of(&nested, Client::Reads),
        of(&with_tools.to_string(), Client::Reads),
        of(&json!({"model": target.model, "messages": turns}).to_string(), Client::Reads),
        of(&chat("When is the tide high?", true), Client::Sips),
        of(&chat(mock::WAITS, true), Client::Sips),
        of(&chat(&"boats ".repeat(1 << 20), false), Client::Stops),
        Attack {
            request: request(target, &format!("x-large: {}\r\n", "a".repeat(1 << 20)), "{}"),
            client: Client::Reads,
        },
        of(&chat("When is the tide high?", false), Client::Reads),
    ]
}

/// Sends one attack; what becomes of it is the server's business.
fn fire(address: &str, attack: &Attack) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    match attack.client {
        Client::Reads => {
            // A server may refuse before everything is sent.
            let _ = stream.write_all(&attack.request);
            std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
        }
        Client::Sips => {
            stream.write_all(&attack.request)?;
            stream.read_exact(&mut [0; SIP_BYTES])?;
            std::thread::sleep(HOLD);
            Ok(())
        }
        Client::Stops => {
            stream.write_all(&attack.request[..attack.request.len() / 2])?;
            std::thread::sleep(HOLD);
            Ok(())
        }
    }
}

fn half(target: &Target, seconds: u64, cpu: &dyn Fn() -> Result<f64>) -> Result<Half> {
    let (started, before) = (Instant::now(), cpu()?);
    let until = started + Duration::from_secs(seconds);
    let calls = || -> Result<Vec<f64>> {
        let (mut client, mut took) = (target.client()?, Vec::new());
        while Instant::now() < until {
            let asked = Instant::now();
            client.call(false)?;
            took.push(asked.elapsed().as_secs_f64() * 1_000.0);
            std::thread::sleep(PAUSE);
        }
        Ok(took)
    };
    let mut all = std::thread::scope(|scope| -> Result<Vec<f64>> {
        let callers: Vec<_> =
            (0..CALLERS).map(|_| scope.spawn(|| calls().map_err(|error| error.to_string()))).collect();
        let mut all = Vec::new();
        for caller in callers {
            all.extend(caller.join().map_err(|_| "a caller ended early")??);
        }
        Ok(all)
    })?;
    all.sort_by(f64::total_cmp);
    let cores = (cpu()? - before) / 1e6 / started.elapsed().as_secs_f64();
    Ok(Half { p50: at(&all, 0.5), p99: at(&all, 0.99), cores })
}

/// Makes the noisy tenant, with the same project, and a key of its own.
fn noisy(site: &Site) -> Result<String> {
    let tenant = ["--tenant", NOISY];
    let line = json!({"type": "page", "id": "p1", "locale": "en", "fields": entry(1, 0)});
    fs::write(site.dir.join("noisy.ndjson"), line.to_string())?;
    site.ashlar(&["tenant", "create", NOISY, "--host", "noisy.example"])?;
    site.ashlar(&[&["push", "site"], &tenant[..]].concat())?;
    site.ashlar(&[&["import", "json", "noisy.ndjson"], &tenant[..]].concat())?;
    let made = site.ashlar(&[&["candidate", "create", "--format", "json"], &tenant[..]].concat())?;
    let candidate = made["candidate"].as_str().ok_or("no candidate was made")?;
    site.ashlar(&[&["release", "promote", candidate], &tenant[..]].concat())?;
    key(site, &tenant)
}

/// Runs the benchmark: `rounds` rounds of two halves of `seconds`.
///
/// # Errors
/// When the quiet tenant gets another answer than the right one.
pub fn run(seconds: u64, rounds: usize) -> Result<()> {
    let model = mock::start()?;
    let (site, own) = installed(&model)?;
    let of_noisy = noisy(&site)?;
    let (server, quiet) = served(&site, own, None)?;
    let attacker = Target { key: of_noisy, ..quiet.clone() };
    let attacks = attacks(&attacker);
    let cpu = || process_cpu_us(&server);
    println!(
        "{CALLERS} connections of main call with {PAUSE:?} between calls; {ATTACKERS} connections of {NOISY} send {} cases; {rounds} rounds of 2 x {seconds} s",
        attacks.len()
    );
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    half(&quiet, seconds.min(2), &cpu)?;
    for _ in 0..rounds {
        alone.push(half(&quiet, seconds, &cpu)?);
        let (stop, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let measured = std::thread::scope(|scope| {
            for _ in 0..ATTACKERS {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let _ = fire(&attacker.address, &attacks[number % attacks.len()]);
                    }
                });
            }
            std::thread::sleep(HOLD);
            let measured = half(&quiet, seconds, &cpu).map_err(|error| error.to_string());
            stop.store(true, Ordering::Relaxed);
            measured
        });
        println!("  {} attacks", next.load(Ordering::Relaxed));
        beside.push(measured?);
    }
    let median = |halves: &[Half], of: fn(&Half) -> f64| {
        let mut all: Vec<f64> = halves.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        at(&all, 0.5)
    };
    println!("{:<24}{:>12}{:>12}{:>10}", "medians", "alone", "beside", "ratio");
    let row = |name: &str, of: fn(&Half) -> f64| {
        let (a, b) = (median(&alone, of), median(&beside, of));
        println!("{name:<24}{a:>12.2}{b:>12.2}{:>10.2}", b / a.max(1e-9));
        b / a.max(1e-9)
    };
    let ratio = row("p50, ms", |half| half.p50);
    row("p99, ms", |half| half.p99);
    row("cores of the server", |half| half.cores);
    println!("memory at the end: {:.0} MB", server.memory_mb());
    println!("Callers, attackers, the model and the server share all cores.");
    println!("p50 at most {RATIO_MAX} times: {}", if ratio <= RATIO_MAX { "met" } else { "missed" });
    Ok(())
}
