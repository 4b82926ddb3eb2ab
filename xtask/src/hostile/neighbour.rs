//! The noisy neighbour: reads of one tenant, alone and while another tenant sends the worst of the corpus.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cases::cases,
    corpus::{Case, Load},
    guard::{self, Target},
    http::{self, Client, Outcome},
    process,
    rig::{self, Limits, Result, Rig},
};
use crate::run::dist_binary;

/// What is measured.
pub struct Options {
    /// Seconds of each half of a round.
    pub seconds: f64,
    /// Rounds.
    pub rounds: usize,
    /// Connections of the quiet tenant.
    pub readers: usize,
    /// What each of them waits between two reads, in microseconds.
    pub pause_us: u64,
    /// Connections of the hostile tenant.
    pub attackers: usize,
    /// Where the corpus starts.
    pub seed: u64,
    /// A binary to measure instead of building one.
    pub binary: Option<PathBuf>,
}

/// A case as bytes that are ready to be sent, so that the client that attacks costs as little as it can.
struct Shot {
    name: String,
    first: Vec<u8>,
    /// After a push: freeze and look.
    then: bool,
}

/// What a half of a round gave.
#[derive(Default)]
struct Half {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
    server_cores: f64,
}

fn shots(rig: &Rig, seed: u64) -> Vec<Shot> {
    let host = format!("{}.example", rig::HOSTILE);
    let key = Some(rig.hostile_key.as_str());
    let with = |method: &str, path: &str, body: &[u8]| {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        http::request(method, path, &host, key, &headers, Some(body), false)
    };
    let base: serde_json::Map<String, Value> =
        rig::project(rig::HOSTILE).map(|(path, text)| (path.to_owned(), json!(text))).collect();
    let push = |files: &[(String, Vec<u8>)]| {
        let mut all = base.clone();
        for (path, bytes) in files {
            all.insert(path.clone(), json!(String::from_utf8_lossy(bytes)));
        }
        with("POST", "/api/v1/definitions", json!({"files": all}).to_string().as_bytes())
    };
    let one = |case: &Case| {
        let (first, then) = match case.load() {
            Load::Definitions(files) => (push(&files), true),
            Load::Entry(fields) => {
                let body = [b"{\"fields\":", fields.as_slice(), b"}"].concat();
                (with("PUT", "/api/v1/entries/page/hostile?locale=en", &body), true)
            }
            Load::Api { method, path, body } => (with(method, &format!("/api/v1{path}"), &body), false),
            Load::Graphql { document, variables } => {
                let body = format!("{{\"query\":{},\"variables\":{variables}}}", json!(document));
                (with("POST", "/graphql", body.as_bytes()), false)
            }
            Load::Read { path, headers } => {
                (http::request("GET", &path, &host, key, &headers, None, false), false)
            }
            Load::Raw(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                (text.replacen("HOST", &host, 1).into_bytes(), false)
            }
            _ => return None,
        };
        Some(Shot { name: case.to_string(), first, then })
    };
    let all = cases(seed, &[0, 1, 2, 3]);
    all.iter().filter(|c| c.is_worst()).filter_map(one).collect()
}

/// Fires shots until `stop`; counts answers by status.
fn attack(
    rig: &Rig,
    address: &str,
    shots: &[Shot],
    next: &AtomicUsize,
    stop: &AtomicBool,
    said: &Mutex<BTreeMap<String, usize>>,
) {
    let host = format!("{}.example", rig::HOSTILE);
    let key = Some(rig.hostile_key.as_str());
    let fire = |request: &[u8], name: &str| {
        let outcome = http::send(address, request, Duration::from_secs(60));
        let (word, made) = match outcome {
            Outcome::Answered(a) => {
                if a.status >= 500 && ![503, 507].contains(&a.status) {
                    eprintln!("{name} is answered with {}", a.status);
                }
                (a.status.to_string(), serde_json::from_slice::<Value>(&a.body).unwrap_or(Value::Null))
            }
            other => (format!("{other:?}").to_lowercase(), Value::Null),
        };
        *said.lock().unwrap_or_else(PoisonError::into_inner).entry(word.clone()).or_insert(0) += 1;
        word.starts_with('2').then_some(made)
    };
    while !stop.load(Ordering::Relaxed) {
        let Some(shot) = shots.get(next.fetch_add(1, Ordering::Relaxed) % shots.len().max(1)) else { return };
        if fire(&shot.first, &shot.name).is_none() || !shot.then {
            continue;
        }
        let small = |method: &str, path: &str, body: Option<&[u8]>| {
            fire(&http::request(method, path, &host, key, &[], body, false), &shot.name)
        };
        let made = small("POST", "/api/v1/candidates", Some(b"{}"));
        small("GET", "/en/home?at=draft", None);
        if let Some(name) = made.as_ref().and_then(|m| m["candidate"].as_str()) {
            small("DELETE", &format!("/api/v1/candidates/{name}"), None);
        }
    }
}

/// Reads for a while; times in milliseconds.
fn reader(
    rig: &Rig,
    address: &str,
    targets: &[Target],
    options: &Options,
    from: usize,
    until: Instant,
) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    let mut client = Client::open(address).ok_or("no connection")?;
    for target in targets.iter().cycle().skip(from) {
        let started = Instant::now();
        if started >= until {
            break;
        }
        match client.ask(&target.request(rig, true), Duration::from_secs(30)) {
            Outcome::Answered(answer) => {
                times.push(started.elapsed().as_secs_f64() * 1000.0);
                if let Some(wrong) = target.differs(&answer) {
                    return Err(wrong.into());
                }
            }
            Outcome::Closed => client = Client::open(address).ok_or("no connection")?,
            other => return Err(format!("a read is not answered: {other:?}").into()),
        }
        std::thread::sleep(Duration::from_micros(options.pause_us));
    }
    Ok(times)
}

fn half(rig: &Rig, address: &str, pid: u32, targets: &[Target], options: &Options) -> Result<Half> {
    let started = Instant::now();
    let before = process::tree(pid).cpu_ticks;
    let until = started + Duration::from_secs_f64(options.seconds);
    let all: Result<Vec<Vec<f64>>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..options.readers)
            .map(|n| {
                scope.spawn(move || {
                    reader(rig, address, targets, options, n * 3, until).map_err(|e| e.to_string())
                })
            })
            .collect();
        readers.into_iter().map(|r| Ok(r.join().map_err(|_| "a reader ended")??)).collect()
    });
    let took = started.elapsed().as_secs_f64();
    let mut all: Vec<f64> = all?.concat();
    all.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (all.len() as f64 * share) as usize;
        all.get(place.min(all.len().saturating_sub(1))).copied().unwrap_or(0.0)
    };
    let ticks = process::tree(pid).cpu_ticks.saturating_sub(before);
    Ok(Half {
        rate: all.len() as f64 / took,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        longest_ms: at(1.0),
        server_cores: ticks as f64 / 100.0 / took,
    })
}

fn median(halves: &[Half], of: fn(&Half) -> f64) -> f64 {
    let mut all: Vec<f64> = halves.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// Runs the benchmark.
///
/// # Errors
/// When the server ends, or answers the quiet tenant differently.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.canonicalize()?,
        None => dist_binary()?,
    };
    let limits = Limits {
        address_bytes: 6 << 30,
        stack_bytes: 8 << 20,
        files: 4_096,
        request_seconds: 20,
        shutdown_seconds: 5,
    };
    let rig = Rig::new(&binary, limits)?;
    let mut server = rig.serve()?;
    let (address, pid) = (server.address.clone(), server.pid());
    // Searches and pages of other locales cost what they cost; the reads that are compared are the same in both halves.
    let targets = guard::learn(&rig, &address)?;
    let shots = shots(&rig, options.seed);
    println!(
        "{} connections of {} read {} addresses with {} us between reads; {} connections of {} send {} cases; {} rounds of 2 x {} s",
        options.readers,
        rig::QUIET,
        targets.len(),
        options.pause_us,
        options.attackers,
        rig::HOSTILE,
        shots.len(),
        options.rounds,
        options.seconds
    );
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let said = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    half(&rig, &address, pid, &targets, options)?;
    for _ in 0..options.rounds {
        if !guard::settled(pid, Duration::from_secs(30)) {
            println!("something still works 30 s after the attack");
        }
        alone.push(half(&rig, &address, pid, &targets, options)?);
        let stop = AtomicBool::new(false);
        let measured = std::thread::scope(|scope| {
            for _ in 0..options.attackers {
                scope.spawn(|| attack(&rig, &address, &shots, &next, &stop, &said));
            }
            std::thread::sleep(Duration::from_millis(500));
            let measured = half(&rig, &address, pid, &targets, options).map_err(|e| e.to_string());
            stop.store(true, Ordering::Relaxed);
            measured
        });
        if let Some(status) = server.ended() {
            return Err(format!("the server ended: {status}: {}", rig.log()).into());
        }
        beside.push(measured?);
    }
    println!("{:<24}{:>12}{:>12}{:>10}", "medians", "alone", "beside", "ratio");
    let row = |name: &str, of: fn(&Half) -> f64| {
        let (a, b) = (median(&alone, of), median(&beside, of));
        println!("{name:<24}{a:>12.2}{b:>12.2}{:>10.2}", b / a.max(1e-9));
        (a, b)
    };
    let rate = row("reads/s", |h| h.rate);
    row("p50, ms", |h| h.p50_ms);
    let p99 = row("p99, ms", |h| h.p99_ms);
    row("longest, ms", |h| h.longest_ms);
    row("cores of the server", |h| h.server_cores);
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    let answers: Vec<String> = said.iter().map(|(status, n)| format!("{status}: {n}")).collect();
    println!("answers to {}: {}", rig::HOSTILE, answers.join(", "));
    println!("memory at the end: {} MB", process::tree(pid).rss_bytes >> 20);
    println!("Readers, attackers, server and its children share {} cores.", cores());
    let lost = 1.0 - rate.1 / rate.0.max(1e-9);
    let word = |met: bool| if met { "met" } else { "missed" };
    println!(
        "p99 <= 5 ms: {}; at most 20 % of reads lost ({:.0} %): {}",
        word(p99.1 <= 5.0),
        lost * 100.0,
        word(lost <= 0.2)
    );
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
