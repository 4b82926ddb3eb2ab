//! The other side of a hostile run: a tenant that reads its own content all the time, health checks, and figures of the
//! process.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    cache::Cache,
    http::{self, Answer, Client, Outcome},
    process,
    rig::{self, Rig},
};

/// What must hold while the attack runs.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The longest any read of the quiet tenant may take.
    pub read_max: Duration,
    /// The 99th percentile of its reads.
    pub read_p99: Duration,
    /// Resident memory of the server and its children.
    pub memory_bytes: u64,
    /// Files of the installation.
    pub disk_bytes: u64,
    /// Processes below the server.
    pub children: usize,
    /// Descriptors of the server.
    pub descriptors: usize,
}

/// A read of the quiet tenant, and its answer from before the attack.
pub struct Target {
    path: String,
    keyed: bool,
    headers: Vec<(String, String)>,
    expected: Vec<String>,
    body: Vec<u8>,
}

/// The headers that may not change.
const HEADERS: [&str; 9] = [
    "etag",
    "content-type",
    "cache-control",
    "vary",
    "ashlar-release",
    "ashlar-contract",
    "surrogate-key",
    "location",
    "content-language",
];

fn outline(answer: &Answer) -> Vec<String> {
    let mut all = vec![answer.status.to_string()];
    all.extend(HEADERS.iter().map(|n| format!("{n}: {}", answer.header(n).unwrap_or_default())));
    all
}

/// What the quiet tenant reads, with the answers of an undisturbed server.
pub fn learn(rig: &Rig, address: &str) -> rig::Result<Vec<Target>> {
    let plain: [(&str, bool); 19] = [
        ("/", false),
        ("/en/home", false),
        ("/de/p1", false),
        ("/en/all", false),
        ("/en/search?q=words", false),
        ("/v1/search?q=words&facets=type", false),
        ("/v1/search?q=hoem+wrods&limit=5", true),
        ("/en/nothing", false),
        ("/en/old", false),
        ("/v1/entries/page/home", false),
        ("/v1/entries/page/p2?locale=de", true),
        ("/v1/entries/page?sort=-rank&limit=4", false),
        ("/v1/pages/p3", false),
        ("/v1/routes?path=/en/home", false),
        ("/sitemap-en-1.xml", false),
        ("/robots.txt", false),
        ("/openapi.json", false),
        ("/v1/entries/page/p4?at=draft", true),
        ("/en/p5?at=r1", true),
    ];
    let mut all = Vec::new();
    for (path, keyed) in plain {
        let mut target = Target {
            path: path.to_owned(),
            keyed,
            headers: vec![("accept-language".to_owned(), "en".to_owned())],
            expected: Vec::new(),
            body: Vec::new(),
        };
        match target.ask(rig, address) {
            Outcome::Answered(answer) => {
                if answer.status >= 500 || answer.contains(&rig::marker(rig::HOSTILE)) {
                    return Err(format!("{path} is answered with {} before the attack", answer.status).into());
                }
                target.expected = outline(&answer);
                target.body = answer.body;
            }
            other => return Err(format!("{path} is not answered before the attack: {other:?}").into()),
        }
        all.push(target);
    }
    Ok(all)
}

impl Target {
    /// The request.
    pub fn request(&self, rig: &Rig, keep: bool) -> Vec<u8> {
        let key = self.keyed.then_some(rig.quiet_key.as_str());
        http::request("GET", &self.path, &format!("{}.example", rig::QUIET), key, &self.headers, None, keep)
    }

    fn ask(&self, rig: &Rig, address: &str) -> Outcome {
        http::send(address, &self.request(rig, false), Duration::from_secs(30))
    }

    /// What differs from the answer of before.
    pub fn differs(&self, answer: &Answer) -> Option<String> {
        let path = &self.path;
        let hostile = rig::marker(rig::HOSTILE);
        if answer.contains(&hostile) {
            return Some(format!("{path} of {} shows content of {}", rig::QUIET, rig::HOSTILE));
        }
        let now = outline(answer);
        if now != self.expected {
            let differing: Vec<String> = self
                .expected
                .iter()
                .zip(&now)
                .filter(|(a, b)| a != b)
                .map(|(a, b)| format!("`{a}` became `{b}`"))
                .collect();
            return Some(format!("{path} of {}: {}", rig::QUIET, differing.join(", ")));
        }
        (answer.body != self.body).then(|| format!("{path} of {} has another body", rig::QUIET))
    }
}

/// Reads the same again, once each; what differs.
pub fn same(rig: &Rig, address: &str, targets: &[Target]) -> Vec<String> {
    let mut wrong = Vec::new();
    for target in targets {
        match target.ask(rig, address) {
            Outcome::Answered(answer) => wrong.extend(target.differs(&answer)),
            other => wrong.push(format!("{} of {} is not answered: {other:?}", target.path, rig::QUIET)),
        }
    }
    wrong
}

/// Times in milliseconds.
#[derive(Debug, Default)]
pub struct Times(Mutex<Vec<f32>>);

impl Times {
    fn add(&self, took: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(took.as_secs_f32() * 1000.0);
    }

    /// Count, p50, p99 and the longest.
    pub fn summary(&self) -> (usize, f32, f32, f32) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(f32::total_cmp);
        let at = |share: f32| {
            let place = (all.len() as f32 * share) as usize;
            all.get(place.min(all.len().saturating_sub(1))).copied().unwrap_or(0.0)
        };
        (all.len(), at(0.5), at(0.99), at(1.0))
    }
}

/// What the guards share.
#[derive(Default)]
pub struct Watch {
    /// Set when guards are to end.
    pub stop: AtomicBool,
    /// What must not be, in the order it was seen.
    pub wrong: Mutex<Vec<String>>,
    /// Reads of the quiet tenant.
    pub reads: Times,
    /// `/healthz`.
    pub health: Times,
    memory: AtomicU64,
    own_memory: AtomicU64,
    children: AtomicU64,
    descriptors: AtomicU64,
    disk: AtomicU64,
}

/// The greatest figures seen.
#[derive(Debug, Clone, Copy)]
pub struct Peaks {
    /// Memory of the server with its children, and of itself.
    pub memory_bytes: (u64, u64),
    /// Processes below it.
    pub children: u64,
    /// Its descriptors.
    pub descriptors: u64,
    /// Files of the installation.
    pub disk_bytes: u64,
}

impl Watch {
    /// Notes something that must not be.
    pub fn wrong(&self, what: String) {
        let mut all = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < 100 && !self.stop.load(Ordering::Relaxed) {
            all.push(what);
        }
    }

    /// What was noted so far.
    pub fn found(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// The greatest figures seen.
    pub fn peaks(&self) -> Peaks {
        let of = |a: &AtomicU64| a.load(Ordering::Relaxed);
        Peaks {
            memory_bytes: (of(&self.memory), of(&self.own_memory)),
            children: of(&self.children),
            descriptors: of(&self.descriptors),
            disk_bytes: of(&self.disk),
        }
    }

    fn timed(&self, times: &Times, what: &str, started: Instant, max: Duration) {
        let took = started.elapsed();
        times.add(took);
        if took > max {
            self.wrong(format!("{what} took {:.1} s", took.as_secs_f64()));
        }
    }

    /// Reads the quiet tenant's content on a connection that is kept, and now and then on a new one.
    pub fn read(&self, rig: &Rig, address: &str, targets: &[Target], bounds: &Bounds, pace: Duration) {
        let mut client: Option<Client> = None;
        for (number, target) in targets.iter().cycle().enumerate() {
            if !self.on() {
                return;
            }
            let started = Instant::now();
            if number.is_multiple_of(50) {
                client = None;
            }
            if client.is_none() {
                client = Client::open(address);
            }
            let what = format!("{} of {}", target.path, rig::QUIET);
            match client.as_mut().map(|c| c.ask(&target.request(rig, true), bounds.read_max * 4)) {
                Some(Outcome::Answered(answer)) => {
                    self.timed(&self.reads, &what, started, bounds.read_max);
                    if let Some(wrong) = target.differs(&answer) {
                        self.wrong(wrong);
                    }
                    if answer.header("connection").is_some_and(|c| c.contains("close")) {
                        client = None;
                    }
                }
                // A server may close a connection between two requests; on a new one it has to answer.
                Some(Outcome::Closed) if !number.is_multiple_of(50) => client = None,
                other => {
                    self.timed(&self.reads, &what, started, bounds.read_max);
                    self.wrong(format!(
                        "{what} is not answered: {}",
                        other.map_or("no connection", |_| "silence")
                    ));
                    client = None;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            std::thread::sleep(pace);
        }
    }

    /// Asks for `/healthz` on new connections.
    pub fn check_health(&self, address: &str, bounds: &Bounds) {
        let request = http::request("GET", "/healthz", "127.0.0.1", None, &[], None, false);
        while self.on() {
            let started = Instant::now();
            match http::send(address, &request, bounds.read_max * 4) {
                Outcome::Answered(answer) if answer.status == 200 => {
                    self.timed(&self.health, "/healthz", started, bounds.read_max);
                }
                Outcome::Answered(answer) => {
                    self.wrong(format!("/healthz is answered with {}", answer.status))
                }
                other => self.wrong(format!("/healthz is not answered: {other:?}")),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends each tenant's key to the other's host name, and shows the answers to a shared cache.
    pub fn steal(&self, rig: &Rig, address: &str, cache: &Cache) {
        let paths = [
            "/en/home",
            "/v1/entries/page/home",
            "/v1/pages/p1",
            "/openapi.json",
            "/v1/tokens",
            "/npm/@beta/tokens",
            "/sitemap.xml",
            "/",
        ];
        let forwarded = [None, Some("x-forwarded-host"), Some("forwarded"), Some("x-host")];
        for number in 0_usize.. {
            if !self.on() {
                return;
            }
            let path = paths[number % paths.len()];
            let (host, key, other) = match number / paths.len() % 3 {
                0 => (rig::QUIET, Some(&rig.hostile_key), rig::HOSTILE),
                1 => (rig::HOSTILE, Some(&rig.quiet_key), rig::QUIET),
                _ => (rig::QUIET, None, rig::HOSTILE),
            };
            let headers: Vec<(String, String)> = forwarded[number / 24 % forwarded.len()]
                .map(|name| (name.to_owned(), format!("{other}.example")))
                .into_iter()
                .collect();
            let host = format!("{host}.example");
            let key = key.map(String::as_str);
            let request = http::request("GET", path, &host, key, &headers, None, false);
            if let Outcome::Answered(answer) = http::send(address, &request, Duration::from_secs(20))
                && let Some(wrong) = cache.see(&host, path, &headers, key, &answer)
            {
                self.wrong(wrong);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Looks at the process.
    pub fn sample(&self, rig: &Rig, pid: u32, bounds: &Bounds) {
        for number in 0_u64.. {
            if !self.on() {
                return;
            }
            let tree = process::tree(pid);
            self.memory.fetch_max(tree.rss_bytes, Ordering::Relaxed);
            self.own_memory.fetch_max(tree.own_rss_bytes, Ordering::Relaxed);
            self.children.fetch_max(tree.children.len() as u64, Ordering::Relaxed);
            if tree.rss_bytes > bounds.memory_bytes {
                self.wrong(format!(
                    "{} MB of memory ({} MB in the server itself); the bound is {} MB",
                    tree.rss_bytes >> 20,
                    tree.own_rss_bytes >> 20,
                    bounds.memory_bytes >> 20
                ));
                // The machine has other things to do.
                if tree.rss_bytes > bounds.memory_bytes * 3 {
                    self.wrong(format!("killed at {} MB", tree.rss_bytes >> 20));
                    let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
                    return;
                }
            }
            if tree.children.len() > bounds.children {
                self.wrong(format!(
                    "{} processes below the server; the bound is {}",
                    tree.children.len(),
                    bounds.children
                ));
            }
            let descriptors = process::descriptors(pid);
            self.descriptors.fetch_max(descriptors as u64, Ordering::Relaxed);
            if descriptors > bounds.descriptors {
                self.wrong(format!("{descriptors} open descriptors; the bound is {}", bounds.descriptors));
            }
            if number.is_multiple_of(50) {
                let disk = rig.disk_bytes();
                self.disk.fetch_max(disk, Ordering::Relaxed);
                if disk > bounds.disk_bytes {
                    self.wrong(format!(
                        "{} MB on disk; the bound is {} MB",
                        disk >> 20,
                        bounds.disk_bytes >> 20
                    ));
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Waits until nothing works any more; `false` when something still does after `wait`.
pub fn settled(pid: u32, wait: Duration) -> bool {
    let until = Instant::now() + wait;
    loop {
        let before = process::tree(pid).cpu_ticks;
        std::thread::sleep(Duration::from_millis(200));
        // A fifth of a core: the guards go on reading.
        if process::tree(pid).cpu_ticks.saturating_sub(before) <= 8 {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
    }
}
