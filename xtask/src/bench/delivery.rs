//! Reads by key: the server beside nginx and Varnish with the same bytes, and a bare loop in C as the floor, one core each
//! in turn, in the same run.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::site::{Result, Server, Site, entry};
use crate::{
    peers::free_port,
    run::{Start, at},
};

const CONNECTIONS: u32 = 32;
/// nginx and Varnish have as many files and objects.
const YARDSTICK_ENTRIES: usize = 10_000;
const FLOOR: &str = "floor: epoll and send in C";

/// What is measured, and for how long.
pub struct Options<'a> {
    /// Sizes of the server's data sets.
    pub entries: &'a [usize],
    /// Seconds per peer and round.
    pub seconds: u32,
    /// Rounds after the first, which fills caches.
    pub rounds: usize,
    /// Where data sets are kept between runs.
    pub keep: Option<&'a Path>,
}

/// Who answers, and what is asked.
struct Peer {
    name: String,
    /// The process that does the work.
    pid: u32,
    address: String,
    path: &'static str,
    entries: usize,
    results: Vec<(f64, f64, f64)>,
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Runs the benchmark.
///
/// # Errors
/// When nginx, wrk, taskset or a C compiler is missing, or a peer answers other bytes. Varnish is left out when it is missing.
pub fn run(options: &Options<'_>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("random.lua");
    at(
        &script,
        fs::write(
            &script,
            "local n, path = tonumber(os.getenv('ENTRIES')), os.getenv('ENTRY_PATH')\nmath.randomseed(os.time())\n\
         request = function() return wrk.format('GET', path .. math.random(0, n - 1)) end\n",
        ),
    )?;
    let mut peers = Vec::new();
    let mut servers: Vec<(Site, Server)> = Vec::new();
    for entries in options.entries {
        let site = Site::of(*entries, options.keep)?;
        site.warm()?;
        let server = site.serve(Some("0"))?;
        for (what, path) in [("entry", "/v1/entries/page/p"), ("view", "/v1/shaped/p")] {
            peers.push(Peer {
                name: format!("ashlar, {what} of {entries}"),
                pid: server.child.id(),
                address: server.address.clone(),
                path,
                entries: *entries,
                results: Vec::new(),
            });
        }
        servers.push((site, server));
    }
    let (_floor, floor) = start_floor(dir.path())?;
    peers.push(floor);
    let (_nginx, nginx) = start_nginx(dir.path())?;
    let _varnish = match start_varnish(dir.path(), &nginx.address) {
        Ok((running, varnish)) => {
            peers.push(varnish);
            Some(running)
        }
        Err(error) => {
            println!("without Varnish: {error}");
            None
        }
    };
    peers.push(nginx);
    for peer in peers.iter().filter(|p| p.path.contains("entries") && p.name != FLOOR) {
        check(peer)?;
    }
    for round in 0..=options.rounds {
        for peer in &mut peers {
            let result = peer.load(&script, options.seconds)?;
            if round > 0 {
                peer.results.push(result);
            }
        }
    }
    print(&peers, options);
    for (site, server) in &servers {
        println!(
            "{:<28}{:>12.0} MB resident",
            site.dir.file_name().unwrap_or_default().display(),
            server.memory_mb()
        );
    }
    Ok(())
}

/// A row per peer, beside nginx and the floor.
fn print(peers: &[Peer], options: &Options<'_>) {
    let median = |peer: &Peer, of: fn(&(f64, f64, f64)) -> f64| {
        let mut all: Vec<f64> = peer.results.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    let rates: Vec<f64> = peers.iter().map(|p| median(p, |r| r.0)).collect();
    let yardstick = rates.last().copied().unwrap_or(1.0);
    let floor = peers.iter().zip(&rates).find(|(p, _)| p.name == FLOOR).map_or(1.0, |(_, rate)| *rate);
    println!(
        "medians of {} rounds of {} s, {CONNECTIONS} connections, random keys",
        options.rounds, options.seconds
    );
    println!(
        "{:<28}{:>12}{:>16}{:>12}{:>10}{:>10}",
        "peer", "requests/s", "CPU us/request", "p99 ms", "/ nginx", "/ floor"
    );
    for (peer, rate) in peers.iter().zip(rates) {
        let (cpu, p99) = (median(peer, |r| r.1), median(peer, |r| r.2));
        let name = &peer.name;
        println!(
            "{name:<28}{rate:>12.0}{cpu:>16.2}{p99:>12.2}{:>10.2}{:>10.2}",
            rate / yardstick,
            rate / floor
        );
    }
}

/// All peers must send the same bytes.
fn check(peer: &Peer) -> Result<()> {
    for i in [0, 1, peer.entries - 1] {
        let out = Command::new("curl")
            .args(["--silent", "--fail", &format!("http://{}{}{i}", peer.address, peer.path)])
            .finish()?;
        if serde_json::from_slice::<Value>(&out.stdout).ok() != Some(entry(i, 0)) {
            return Err(format!("{} sends other bytes for entry {i}", peer.name).into());
        }
    }
    Ok(())
}

impl Peer {
    /// Requests per second, microseconds of CPU per request, p99 in milliseconds.
    fn load(&self, script: &Path, seconds: u32) -> Result<(f64, f64, f64)> {
        let before = cpu_us(self.pid)?;
        let output = Command::new("taskset")
            .args(["-c", "1", "wrk", "-t1", "--latency"])
            .args([format!("-c{CONNECTIONS}"), format!("-d{seconds}s"), "-s".to_owned()])
            .arg(script)
            .arg(format!("http://{}", self.address))
            .env("ENTRIES", self.entries.to_string())
            .env("ENTRY_PATH", self.path)
            .finish()?;
        let cpu = cpu_us(self.pid)? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("Non-2xx") {
            return Err(format!("{} gave errors: {text}", self.name).into());
        }
        let word = |mark: &str, at: usize| {
            text.lines().find(|l| l.contains(mark)).and_then(|l| l.split_whitespace().nth(at)).unwrap_or("0")
        };
        let requests: f64 = word("requests in", 0).parse()?;
        Ok((word("Requests/sec", 1).parse()?, cpu / requests, millis(word("99%", 1))?))
    }
}

/// A time as wrk prints it, in milliseconds.
pub(super) fn millis(text: &str) -> Result<f64> {
    let (number, factor) = match text {
        t if t.ends_with("us") => (t.trim_end_matches("us"), 0.001),
        t if t.ends_with("ms") => (t.trim_end_matches("ms"), 1.0),
        t => (t.trim_end_matches('s'), 1000.0),
    };
    Ok(number.parse::<f64>()? * factor)
}

/// User and system time of a process so far, in microseconds; the kernel counts hundredths of a second.
pub(super) fn cpu_us(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) * 10_000.0)
}

/// The first child of a process: both yardsticks work in one.
fn child_of(pid: u32, address: &str) -> Result<u32> {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        if let Some(child) = children.split_whitespace().next()
            && TcpStream::connect(address).is_ok()
        {
            return Ok(child.parse()?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("nothing answers at {address}").into())
}

/// Compiles and starts the floor. It sends as many bytes as an entry has, the same to everybody.
fn start_floor(dir: &Path) -> Result<(Running, Peer)> {
    let (source, program) = (dir.join("floor.c"), dir.join("floor"));
    at(&source, fs::write(&source, include_str!("floor.c")))?;
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(compiler).args(["-O2", "-o"]).args([&program, &source]).finish()?;
    if !built.status.success() {
        return Err(format!("floor.c: {}", String::from_utf8_lossy(&built.stderr)).into());
    }
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let bytes = entry(0, 0).to_string().len();
    let child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(&program)
        .args([port.to_string(), bytes.to_string()])
        .start()?;
    let running = Running(child);
    let pid = running.0.id();
    let until = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(&address).is_err() {
        if Instant::now() > until {
            return Err(format!("the floor does not answer at {address}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((running, peer(FLOOR.to_owned(), pid, address)))
}

fn start_nginx(dir: &Path) -> Result<(Running, Peer)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let root: PathBuf = dir.join("static");
    let pages = root.join("v1/entries/page");
    fs::create_dir_all(&pages)?;
    for i in 0..YARDSTICK_ENTRIES {
        fs::write(pages.join(format!("p{i}")), entry(i, 0).to_string())?;
    }
    let (d, r) = (dir.display(), root.display());
    let config = format!(
        "daemon off; worker_processes 1; worker_cpu_affinity 01; pid {d}/nginx.pid; error_log {d}/nginx.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;\n\
         default_type application/json; open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s;\n\
         server {{ listen {address}; root {r}; }} }}\n"
    );
    let path = dir.join("nginx.conf");
    fs::write(&path, config)?;
    let running = Running(Command::new("nginx").arg("-c").arg(&path).start()?);
    let pid = child_of(running.0.id(), &address)?;
    Ok((running, peer(format!("nginx, {YARDSTICK_ENTRIES} files"), pid, address)))
}

/// Varnish with everything in its cache; nginx fills it.
fn start_varnish(dir: &Path, behind: &str) -> Result<(Running, Peer)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let vcl = dir.join("default.vcl");
    let (host, port) = behind.split_once(':').ok_or("no port")?;
    fs::write(
        &vcl,
        format!(
            "vcl 4.1;\nbackend default {{ .host = \"{host}\"; .port = \"{port}\"; }}\n\
             sub vcl_backend_response {{ set beresp.ttl = 1h; }}\n"
        ),
    )?;
    let command = Command::new("taskset")
        .args(["-c", "0", "varnishd", "-F", "-a", &address, "-s", "malloc,512m", "-f"])
        .arg(&vcl)
        .arg("-n")
        .arg(dir.join("varnish"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .start()?;
    let running = Running(command);
    let pid = child_of(running.0.id(), &address)?;
    for i in 0..YARDSTICK_ENTRIES {
        use std::io::Write;
        let mut stream = TcpStream::connect(&address)?;
        write!(stream, "GET /v1/entries/page/p{i} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        std::io::copy(&mut stream, &mut std::io::sink())?;
    }
    Ok((running, peer(format!("Varnish, {YARDSTICK_ENTRIES} hits"), pid, address)))
}

fn peer(name: String, pid: u32, address: String) -> Peer {
    Peer { name, pid, address, path: "/v1/entries/page/p", entries: YARDSTICK_ENTRIES, results: Vec::new() }
}
