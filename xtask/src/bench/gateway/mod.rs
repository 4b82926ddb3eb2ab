//! Calls of a model through the gateway, beside LiteLLM and TensorZero, in front of the same stand-in for a model.

mod load;
pub mod mock;
pub mod neighbour;
pub mod soak;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use load::Target;
use serde_json::{Value, json};

use super::{
    delivery::cpu_us,
    site::{Result, Server, Site, entry},
};
use crate::{peers::free_port, run::Start};

/// Versions of the yardsticks.
const PACKAGES: [&str; 2] = ["litellm[proxy]", "tensorzero==2026.6.0"];
/// A second tenant, which attacks the first one.
const NOISY: &str = "noisy";
/// Connections of the loaded measurement.
const CONNECTIONS: usize = 16;
/// The core of whoever is measured; the model and the clients have the other.
const CORE: &str = "0";
const CORE_OF_CLIENTS: &str = "1";
/// A key of LiteLLM for this machine alone.
const LITELLM_KEY: &str = "sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// How long a yardstick may take to start.
const START_MAX: Duration = Duration::from_secs(90);

/// The feature has every limit, so that all policy is on.
const GATEWAY: &str = "[routes.mock]\ntargets = [{ provider = \"mock\", model = \"mock\" }]\n\n\
    [[prices]]\nmodel = \"mock/mock\"\nfrom = \"2026-01-01\"\ncurrency = \"USD\"\ninput = \"0.15\"\noutput = \"0.60\"\n\n\
    [features.default]\nroutes = [\"mock\"]\nrequests_per_minute = 100000000\ntokens_per_minute = 1000000000\n\
    budget = { day = \"1000000\", month = \"9000000\" }\nredact = { sending = [\"email\", \"card\", \"phone\", \"iban\"], logging = \"all\" }\n";

/// Who stands between the clients and the model.
struct Peer {
    name: &'static str,
    target: Target,
    /// The process that does the work; the model itself has none.
    pid: Option<u32>,
    rounds: Vec<Round>,
}

/// Figures of a round, times in milliseconds.
struct Round {
    alone: (f64, f64),
    rate: f64,
    cpu_us: f64,
    chunk: (f64, f64),
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last()).copied().unwrap_or(0.0)
}

impl Peer {
    fn measure(&self, seconds: u64) -> Result<Round> {
        let time = Duration::from_secs(seconds);
        let alone = self.target.load(1, time)?;
        let cpu = self.pid.map_or(Ok(0.0), cpu_us)?;
        let started = Instant::now();
        let loaded = self.target.load(CONNECTIONS, time)?;
        let rate = loaded.len() as f64 / started.elapsed().as_secs_f64();
        let cpu_us = (self.pid.map_or(Ok(0.0), cpu_us)? - cpu) / loaded.len().max(1) as f64;
        let chunks = self.target.stream()?;
        Ok(Round {
            alone: (at(&alone, 0.5), at(&alone, 0.99)),
            rate,
            cpu_us,
            chunk: (at(&chunks, 0.5), at(&chunks, 0.99)),
        })
    }

    fn median(&self, of: fn(&Round) -> f64) -> f64 {
        let mut all: Vec<f64> = self.rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        at(&all, 0.5)
    }
}

/// Runs the benchmark: `rounds` rounds of `seconds` for each figure, and at the end so many open streams through the gateway.
///
/// # Errors
/// When taskset or the gateway is missing, or somebody answers something else than expected. A yardstick that cannot be installed is left out.
/// With builds in `beside`, those are the yardsticks.
pub fn run(seconds: u64, rounds: usize, streams: usize, beside: &[PathBuf]) -> Result<()> {
    let me = std::process::id().to_string();
    crate::run::run(
        Command::new("taskset").args(["-cp", CORE_OF_CLIENTS, &me]).stdout(std::process::Stdio::null()),
    )?;
    let model = mock::start()?;
    let dir = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
    let direct = Target {
        address: model.clone(),
        path: "/v1/chat/completions".to_owned(),
        model: "mock".to_owned(),
        key: "none".to_owned(),
    };
    let mut peers = vec![Peer { name: "the model itself", target: direct, pid: None, rounds: Vec::new() }];

    let (_site, server, target) = ours(&model, Some(CORE))?;
    peers.push(Peer { name: "Ashlar", target, pid: Some(server.child.id()), rounds: Vec::new() });
    let mut running = Vec::new();
    let mut builds = Vec::new();
    for binary in beside {
        let (site, key) = installed(&model)?;
        let site = site.by(binary);
        let (server, target) = served(&site, key, Some(CORE))?;
        peers.push(Peer {
            name: "the other build",
            target,
            pid: Some(server.child.id()),
            rounds: Vec::new(),
        });
        builds.push((site, server));
    }
    match beside.is_empty().then(python) {
        None => {}
        Some(Ok(python)) => {
            for start in [tensorzero, litellm] {
                match start(&python, dir.path(), &model) {
                    Ok((child, peer)) => {
                        running.push(child);
                        peers.push(peer);
                    }
                    Err(error) => println!("left out: {error}"),
                }
            }
        }
        Some(Err(error)) => println!("without yardsticks: {error}"),
    }
    for round in 0..=rounds {
        for peer in &mut peers {
            let measured = peer.measure(seconds).map_err(|error| format!("{}: {error}", peer.name))?;
            // The first fills caches.
            if round > 0 {
                peer.rounds.push(measured);
            }
        }
    }
    print(&peers);
    held(&peers[1].target, &server, streams)
}

/// An installation whose project calls the model with all policy on, and a key for calls.
fn installed(model: &str) -> Result<(Site, String)> {
    let site = Site::with(
        &[("gateway.toml", GATEWAY)],
        &mut std::iter::once(json!({"type": "page", "id": "p1", "locale": "en", "fields": entry(1, 0)})),
    )?;
    let models = format!(
        "[providers.mock]\nkind = \"openai\"\nurl = \"http://{model}/v1\"\nprivate = true\ntenants = [\"main\", \"{}\"]\n",
        NOISY
    );
    fs::write(site.dir.join("data/models.toml"), models)?;
    let key = key(&site, &[])?;
    Ok((site, key))
}

/// A new key for calls.
fn key(site: &Site, tenant: &[&str]) -> Result<String> {
    let create = ["key", "create", "--name", "bench", "--scope", "llm", "--data", "data", "--format", "json"];
    let made = site.ashlar(&[&create, tenant].concat())?;
    Ok(made["key"].as_str().ok_or_else(|| format!("no key: {made}"))?.to_owned())
}

/// The server of an installation.
fn served(site: &Site, key: String, core: Option<&str>) -> Result<(Server, Target)> {
    let server = site.serve_with(core, &[("ASHLAR_SERVER_CONNECTIONS_PER_ADDRESS_MAX", "0")])?;
    let target = Target {
        address: server.address.clone(),
        path: "/llm/v1/chat/completions".to_owned(),
        model: "mock".to_owned(),
        key,
    };
    Ok((server, target))
}

/// Our server in front of the model.
fn ours(model: &str, core: Option<&str>) -> Result<(Site, Server, Target)> {
    let (site, key) = installed(model)?;
    let (server, target) = served(&site, key, core)?;
    Ok((site, server, target))
}

/// Processor time of a server so far.
fn process_cpu_us(server: &Server) -> Result<f64> {
    cpu_us(server.child.id())
}

fn print(peers: &[Peer]) {
    println!(
        "{:<18}{:>12}{:>12}{:>14}{:>16}{:>16}{:>12}{:>12}",
        "",
        "added p50",
        "added p99",
        "requests/s",
        "CPU/request",
        "requests/s/core",
        "chunk p50",
        "chunk p99"
    );
    let direct = &peers[0];
    for peer in peers {
        let cpu = peer.median(|r| r.cpu_us);
        println!(
            "{:<18}{:>9.3} ms{:>9.3} ms{:>14.0}{:>13.0} µs{:>16.0}{:>9.3} ms{:>9.3} ms",
            peer.name,
            peer.median(|r| r.alone.0) - direct.median(|r| r.alone.0),
            peer.median(|r| r.alone.1) - direct.median(|r| r.alone.1),
            peer.median(|r| r.rate),
            cpu,
            if cpu > 0.0 { 1e6 / cpu } else { 0.0 },
            peer.median(|r| r.chunk.0) - direct.median(|r| r.chunk.0),
            peer.median(|r| r.chunk.1) - direct.median(|r| r.chunk.1),
        );
    }
    let ours = peers[1].median(|r| r.cpu_us);
    for peer in &peers[2..] {
        println!("{:<18} {:.1} × the CPU of Ashlar per request", peer.name, peer.median(|r| r.cpu_us) / ours);
    }
}

/// Opens streams that stay open.
fn held(target: &Target, server: &Server, streams: usize) -> Result<()> {
    let before = server.memory_mb();
    let mut open = Vec::with_capacity(streams);
    for number in 0..streams {
        open.push(target.hold().map_err(|error| format!("stream {number}: {error}"))?);
    }
    println!(
        "{streams} open streams: {:.0} MB resident, {:.0} MB before  target 300 MB",
        server.memory_mb(),
        before
    );
    Ok(())
}

/// A Python with the yardsticks.
fn python() -> Result<PathBuf> {
    let dir = crate::run::target().join("bench-gateway");
    let python = dir.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    crate::run::run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
    let installed =
        crate::run::run(Command::new(dir.join("bin/pip")).args(["install", "--quiet"]).args(PACKAGES));
    if installed.is_err() {
        let _ = fs::remove_dir_all(&dir);
    }
    installed?;
    Ok(python)
}

/// Starts a yardstick on its core and waits for its first right answer.
fn started(mut command: Command, name: &'static str, target: Target) -> Result<(Running, Peer)> {
    let child = Running(command.start()?);
    let until = Instant::now() + START_MAX;
    loop {
        match target.ask().map_err(|e| e.to_string()).and_then(|body| {
            let body: Value = serde_json::from_str(&body).map_err(|e| e.to_string())?;
            let said = body["choices"][0]["message"]["content"].as_str().unwrap_or_default();
            if said.contains("tide") { Ok(()) } else { Err(body.to_string()) }
        }) {
            Ok(()) => break,
            Err(error) if Instant::now() > until => return Err(format!("{name}: {error}").into()),
            Err(_) => std::thread::sleep(Duration::from_millis(250)),
        }
    }
    let pid = Some(child.0.id());
    Ok((child, Peer { name, target, pid, rounds: Vec::new() }))
}

fn on_core(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

/// TensorZero without authentication, records and metrics: its package for Python contains its gateway.
fn tensorzero(python: &Path, dir: &Path, model: &str) -> Result<(Running, Peer)> {
    let port = free_port()?;
    let config = dir.join("tensorzero.toml");
    fs::write(
        &config,
        format!(
            "[gateway]\nbind_address = \"127.0.0.1:{port}\"\nobservability.enabled = false\n\n\
             [models.mock]\nrouting = [\"mock\"]\n\n[models.mock.providers.mock]\ntype = \"openai\"\n\
             model_name = \"mock\"\napi_base = \"http://{model}/v1/\"\napi_key_location = \"none\"\n"
        ),
    )?;
    let program = "import sys, time, tensorzero\n\
         gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)\n\
         print(gateway.base_url, flush=True)\ntime.sleep(86400)\n";
    let mut command = on_core(python);
    command.arg("-c").arg(program).arg(&config).stdout(std::process::Stdio::piped());
    let mut child = Running(command.start()?);
    let out = child.0.stdout.take().ok_or("no output")?;
    // Its log goes to the same place.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out)).map_while(std::result::Result::ok);
    let line = lines.find(|line| line.starts_with("http://")).ok_or("TensorZero did not start")?;
    let address = line.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    let target = Target {
        address,
        path: "/openai/v1/chat/completions".to_owned(),
        model: "tensorzero::model_name::mock".to_owned(),
        key: "none".to_owned(),
    };
    target.ask().map_err(|error| format!("TensorZero: {error}"))?;
    let pid = Some(child.0.id());
    Ok((child, Peer { name: "TensorZero", target, pid, rounds: Vec::new() }))
}

fn litellm(python: &Path, dir: &Path, model: &str) -> Result<(Running, Peer)> {
    let port = free_port()?;
    let config = dir.join("litellm.yaml");
    fs::write(
        &config,
        format!(
            "model_list:\n  - model_name: mock\n    litellm_params:\n      model: openai/mock\n      \
             api_base: http://{model}/v1\n      api_key: none\n"
        ),
    )?;
    let mut command = on_core(&python.with_file_name("litellm"));
    command.arg("--config").arg(&config).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--num_workers", "1", "--telemetry", "False"]).current_dir(dir);
    // It does not start without a key.
    command.env("LITELLM_MASTER_KEY", LITELLM_KEY);
    let target = Target {
        address: format!("127.0.0.1:{port}"),
        path: "/chat/completions".to_owned(),
        model: "mock".to_owned(),
        key: LITELLM_KEY.to_owned(),
    };
    started(command, "LiteLLM", target)
}
