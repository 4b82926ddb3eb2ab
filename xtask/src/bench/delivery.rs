//! `cargo xtask bench delivery`: the lane beside nginx, on one core each in turn, in the same run.
//!
//! The server is `xtask bench delivery serve COUNT DIR`: the real lane on one runtime thread over a release that is
//! generated once. The load comes from wrk on the other core, with random keys.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ashlar_contracts::ContractSet;
use ashlar_delivery::{
    Caches, Definitions, Problem, ReleaseRoots, ReleaseView,
    lookup::{self, LookupRules},
    views::Views,
};
use ashlar_model::{
    Digest, EntryId, EntryKey, EntryRecord, Files, Locale, TenantId, TypeName, canonical_json,
};
use ashlar_server::lane::{Caller, LaneConfig, Resolved, Source, router, serve};
use ashlar_store::{Objects, Tree};
use async_trait::async_trait;
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CONTRACT: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"slug":{"type":"string","x-ashlar":{"indexed":true}},"price":{"type":"number","x-ashlar":{"indexed":true}},
"title":{"type":"string"},"body":{"type":"string"}}}"#;
const VIEW: &str = "source = 'page'\nlookup = 'slug'\nfields = ['title', 'body']\n";
const SECONDS: u32 = 5;
const ROUNDS: usize = 3;
const CONNECTIONS: u32 = 32;
const ENTRIES_PER_COMMIT: u64 = 50_000;

/// Runs the benchmark, or serves one data set when called by it.
///
/// # Errors
/// When nginx, wrk or taskset is missing, or a data set cannot be written.
pub fn run(args: &[String]) -> Result<()> {
    if let [what, count, dir] = args
        && what == "serve"
    {
        return serve_one(count.parse()?, Path::new(dir));
    }
    let dir = tempfile::tempdir()?;
    let counts: &[u64] = if args.iter().any(|a| a == "--small") { &[10_000] } else { &[10_000, 1_000_000] };
    let script = dir.path().join("random.lua");
    fs::write(
        &script,
        "local n = tonumber(os.getenv('ENTRIES'))\nmath.randomseed(os.time())\nrequest = function() return \
         wrk.format('GET', string.format('/v1/entries/page/p%07d', math.random(0, n - 1))) end\n",
    )?;
    let mut peers = Vec::new();
    for count in counts {
        peers.push(start_lane(*count, &dir.path().join(count.to_string()))?);
    }
    peers.push(start_nginx(dir.path())?);
    println!("{:<18}{:>12}{:>12}{:>14}", "peer", "requests/s", "p99", "CPU us/request");
    for round in 0..=ROUNDS {
        for peer in &peers {
            let line = peer.load(&script)?;
            // The first round fills the caches of both.
            if round > 0 {
                println!("{:<18}{line}", peer.name);
            }
        }
    }
    Ok(())
}

struct Peer {
    name: String,
    child: Child,
    /// The process that does the work.
    pid: u32,
    port: u16,
    entries: u64,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn load(&self, script: &Path) -> Result<String> {
        let before = cpu_us(self.pid)?;
        let output = Command::new("taskset")
            .args([
                "-c",
                "1",
                "wrk",
                "-t1",
                "--latency",
                &format!("-c{CONNECTIONS}"),
                &format!("-d{SECONDS}s"),
                "-s",
            ])
            .arg(script)
            .arg(format!("http://127.0.0.1:{}", self.port))
            .env("ENTRIES", self.entries.to_string())
            .output()?;
        let cpu = cpu_us(self.pid)? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("Non-2xx") {
            return Err(format!("{} gave errors: {text}", self.name).into());
        }
        let word = |mark: &str, at: usize| {
            text.lines().find(|l| l.contains(mark)).and_then(|l| l.split_whitespace().nth(at)).unwrap_or("?")
        };
        let requests: f64 = word("requests in", 0).parse()?;
        let (rate, p99) = (word("Requests/sec", 1), word("99%", 1));
        Ok(format!("{rate:>12}{p99:>12}{:>14.2}", cpu / requests))
    }
}

/// User and system time of a process so far, in microseconds; the kernel counts hundredths of a second.
fn cpu_us(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) * 10_000.0)
}

fn start_lane(entries: u64, dir: &Path) -> Result<Peer> {
    let mut child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(std::env::current_exe()?)
        .args(["bench", "delivery", "serve", &entries.to_string()])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    // taskset replaces itself by what it starts, so the child's id is the server's.
    Ok(Peer {
        name: format!("ashlar {entries}"),
        pid: child.id(),
        port: line.trim().parse()?,
        child,
        entries,
    })
}

fn start_nginx(dir: &Path) -> Result<Peer> {
    let entries = 10_000;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let root: PathBuf = dir.join("static");
    let pages = root.join("v1/entries/page");
    fs::create_dir_all(&pages)?;
    for n in 0..entries {
        fs::write(pages.join(format!("p{n:07}")), body(n)?)?;
    }
    let (d, r) = (dir.display(), root.display());
    let config = format!(
        "daemon off; worker_processes 1; worker_cpu_affinity 01; pid {d}/nginx.pid; error_log {d}/nginx.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;\n\
         default_type application/json; open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s;\n\
         server {{ listen 127.0.0.1:{port}; root {r}; }} }}\n"
    );
    let path = dir.join("nginx.conf");
    fs::write(&path, config)?;
    let child = Command::new("nginx").arg("-c").arg(&path).spawn()?;
    std::thread::sleep(Duration::from_millis(500));
    let workers = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()))?;
    let pid = workers.split_whitespace().next().ok_or("nginx has no worker")?.parse()?;
    Ok(Peer { name: "nginx 10000".to_owned(), child, pid, port, entries })
}

/// About 2 KB that do not compress into nothing, the same for the same number.
fn body(number: u64) -> Result<Vec<u8>> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < 1900 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{:x} ", state & 0xff_ffff));
    }
    let fields = json!({"body": text, "price": number, "slug": format!("s{number:07}"), "title": format!("Title {number}")});
    Ok(canonical_json(&fields)?)
}

struct One(Arc<ReleaseView>);

#[async_trait]
impl Source for One {
    fn resolve(&self, _: &Caller<'_>) -> Option<Resolved> {
        Some(Resolved { release: self.0.clone(), public: true })
    }

    async fn explain(&self, _: &Caller<'_>, _: Option<&str>) -> std::result::Result<Resolved, Problem> {
        Ok(Resolved { release: self.0.clone(), public: true })
    }

    fn served(&self, _: u16, _: usize) {}
}

fn serve_one(entries: u64, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let objects = Objects::open(dir, None)?.tenant(&TenantId::main());
    let mut files = Files::new();
    for (path, text) in [
        ("ashlar.toml", "name = 'bench'"),
        ("contracts/page.v1.json", CONTRACT),
        ("views/pages.v1.toml", VIEW),
    ] {
        files.insert(path, text.as_bytes().to_vec())?;
    }
    let mut snapshot = Tree::empty();
    for from in (0..entries).step_by(ENTRIES_PER_COMMIT as usize) {
        let mut batch = objects.batch();
        let mut edits = Vec::new();
        for n in from..entries.min(from + ENTRIES_PER_COMMIT) {
            let bytes = body(n)?;
            let len = u32::try_from(bytes.len())?;
            let record = EntryRecord { digest: batch.put(bytes), major: 1, len };
            let key = EntryKey {
                type_name: TypeName::new("page")?,
                id: EntryId::new(&format!("p{n:07}"))?,
                locale: Locale::new("en")?,
            };
            edits.push((key.to_bytes(), Some(record.to_bytes().to_vec())));
        }
        let root = snapshot.apply(&edits, &mut batch)?.root();
        runtime.block_on(objects.commit(batch))?;
        snapshot = Tree::open(&objects, &root)?;
    }
    let (contracts, _) = ContractSet::load(&files);
    let (views, _) = Views::parse(&files, &contracts);
    let mut batch = objects.batch();
    let lookup = lookup::build(&LookupRules::new(&contracts, &views), &objects, &snapshot, &mut batch)?;
    runtime.block_on(objects.commit(batch))?;
    let definitions = Arc::new(Definitions::parse(Digest::of(b"bench"), &files));
    let roots = ReleaseRoots {
        label: "r1".to_owned(),
        snapshot: snapshot.root(),
        definitions: definitions.digest,
        lookup: lookup.tree().root(),
    };
    let view = ReleaseView::open(&objects, &roots, Some(&definitions), &Caches::default())?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let source: Arc<dyn Source> = Arc::new(One(view));
        serve(listener, source.clone(), router(source), LaneConfig::default(), std::future::pending()).await
    })?;
    Ok(())
}
