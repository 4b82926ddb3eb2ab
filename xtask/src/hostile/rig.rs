//! An installation with two tenants, and the real binary serving it under limits.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::formats::bundles;
use crate::{disk::Disk, random::Random};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The tenant that attacks.
pub const HOSTILE: &str = "alpha";
/// The tenant that reads its own content.
pub const QUIET: &str = "beta";

/// Both tenants start from this project; `TENANT` and `MARKER` are theirs.
const PROJECT: [(&str, &str); 23] = [
    ("ashlar.toml", include_str!("project/ashlar.toml")),
    ("contracts/page.v1.json", include_str!("project/contracts/page.v1.json")),
    ("contracts/notice.v1.json", include_str!("project/contracts/notice.v1.json")),
    ("views/pages.v1.toml", include_str!("project/views/pages.v1.toml")),
    ("components/notice.v1/props.json", include_str!("project/components/notice.v1/props.json")),
    ("components/notice.v1/component.toml", include_str!("project/components/notice.v1/component.toml")),
    ("components/notice.v1/template.html", include_str!("project/components/notice.v1/template.html")),
    (
        "components/notice.v1/template.email.html",
        include_str!("project/components/notice.v1/template.email.html"),
    ),
    ("components/notice.v1/style.css", include_str!("project/components/notice.v1/style.css")),
    (
        "components/notice.v1/examples/default.json",
        include_str!("project/components/notice.v1/examples/default.json"),
    ),
    ("intents.toml", include_str!("project/intents.toml")),
    ("site/site.toml", include_str!("project/site/site.toml")),
    ("site/layouts/page.html", include_str!("project/site/layouts/page.html")),
    ("site/layouts/list.html", include_str!("project/site/layouts/list.html")),
    ("site/layouts/404.html", include_str!("project/site/layouts/404.html")),
    ("site/site.css", include_str!("project/site/site.css")),
    ("site/icons/mark.svg", include_str!("project/site/icons/mark.svg")),
    ("assets/mark.svg", include_str!("project/assets/mark.svg")),
    ("tokens/base.tokens.json", include_str!("project/tokens/base.tokens.json")),
    ("tokens.toml", include_str!("project/tokens.toml")),
    ("queries/pages.graphql", include_str!("project/queries/pages.graphql")),
    ("consumers/web.yaml", include_str!("project/consumers/web.yaml")),
    ("redirects.toml", include_str!("project/redirects.toml")),
];

/// The text of a file of the base project; empty when it has none of this name.
pub fn file(path: &str) -> &'static str {
    PROJECT.iter().find(|(p, _)| *p == path).map_or("", |(_, text)| text)
}

/// The word that is in everything of a tenant, and in nothing of others.
pub fn marker(tenant: &str) -> String {
    format!("mark-{tenant}-9f31")
}

/// The files of a tenant's project.
pub fn project(tenant: &str) -> impl Iterator<Item = (&'static str, String)> + '_ {
    PROJECT
        .iter()
        .map(move |(path, text)| (*path, text.replace("MARKER", &marker(tenant)).replace("TENANT", tenant)))
}

/// Limits of the process that is attacked.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Address space of the server and of each of its children.
    pub address_bytes: u64,
    /// Stack of a process's first thread.
    pub stack_bytes: u64,
    /// Open files.
    pub files: u64,
    /// Seconds that a request may take.
    pub request_seconds: u64,
    /// Seconds that requests may run on after a stop signal.
    pub shutdown_seconds: u64,
}

/// An installation.
pub struct Rig {
    dir: tempfile::TempDir,
    /// The disk that everything writes to.
    pub disk: Disk,
    /// The binary that serves.
    pub binary: PathBuf,
    /// A key of the hostile tenant: read, preview, write, define, release.
    pub hostile_key: String,
    /// A key of the quiet tenant: read, preview.
    pub quiet_key: String,
    /// The objects of the hostile tenant's release.
    bundle: Vec<Vec<u8>>,
    limits: Limits,
}

/// A running server.
pub struct Server {
    child: Child,
    /// `host:port`
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop; how long that took, or `None` when it is still there after `wait`.
    pub fn stop(&mut self, disk: &Disk, wait: Duration) -> Option<Duration> {
        let (started, limit) = (Instant::now(), disk.limit(wait));
        let _ = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        while !limit.passed() {
            if self.ended().is_some() {
                return Some(started.elapsed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// What its threads do: their names, their states and where the kernel has them.
    pub fn threads(&self) -> String {
        let Ok(all) = fs::read_dir(format!("/proc/{}/task", self.pid())) else { return String::new() };
        let of = |dir: &Path, name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
        let shown = all.flatten().map(|task| {
            let dir = task.path();
            let stat = of(&dir, "stat");
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?');
            format!("{} {state} {}", of(&dir, "comm").trim(), of(&dir, "wchan"))
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

impl Rig {
    /// Makes the two tenants, each with a release.
    pub fn new(binary: &Path, limits: Limits) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ashlar-hostile-").tempdir()?;
        fs::create_dir(dir.path().join("tmp"))?;
        let mut rig = Self {
            disk: Disk::watch(dir.path())?,
            dir,
            binary: binary.to_owned(),
            hostile_key: String::new(),
            quiet_key: String::new(),
            bundle: Vec::new(),
            limits,
        };
        rig.hostile_key = rig.tenant(HOSTILE, &["read", "preview", "write", "define", "release"])?;
        rig.quiet_key = rig.tenant(QUIET, &["read", "preview"])?;
        rig.ashlar(&["release", "export", "r1", "--out", "alpha.bundle", "--tenant", HOSTILE])?;
        rig.bundle = bundles::objects(&fs::read(rig.path().join("alpha.bundle"))?).ok_or("no bundle")?;
        Ok(rig)
    }

    /// The hostile tenant's release as a bundle with so many changes.
    pub fn tampered(&self, seed: u64, changes: usize) -> Vec<u8> {
        bundles::tampered(&self.bundle, &mut Random(seed), changes)
    }

    /// Where everything lies.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What the server wrote to standard error since it started last.
    pub fn log(&self) -> String {
        fs::read(self.path().join("server.log"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default()
    }

    /// Runs the command line in the directory of the installation.
    pub fn ashlar(&self, args: &[&str]) -> Result<Value> {
        let out = Command::new(&self.binary)
            .args(args)
            .args(["--data", "data", "--format", "json", "--as", "tester"])
            .current_dir(self.path())
            .env_remove("ASHLAR_SERVER")
            .stdin(Stdio::null())
            .output()?;
        if !out.status.success() {
            let said = [out.stderr, out.stdout].concat();
            return Err(format!("{args:?}: {}", String::from_utf8_lossy(&said)).into());
        }
        Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null))
    }

    /// A tenant with a project, entries, a release and a key.
    fn tenant(&self, tenant: &str, scopes: &[&str]) -> Result<String> {
        self.ashlar(&["tenant", "create", tenant, "--host", &format!("{tenant}.example")])?;
        for (path, text) in project(tenant) {
            let path = self.path().join(tenant).join(path);
            fs::create_dir_all(path.parent().ok_or("no folder")?)?;
            fs::write(path, text)?;
        }
        let mut lines = String::new();
        for id in ["home", "p1", "p2", "p3", "p4", "p5"] {
            for locale in ["en", "de"] {
                let title = format!("{} {id} {locale}", marker(tenant));
                let fields = json!({
                    "slug": id, "title": title, "body": format!("Words *of* {}.", marker(tenant)), "rank": id.len(),
                    "related": ["home", "p1"], "sections": [{"intent": "notice", "title": title, "link": "/en/home"}],
                });
                let line = json!({"type": "page", "id": id, "locale": locale, "fields": fields});
                lines.push_str(&format!("{line}\n"));
            }
        }
        let entries = format!("{tenant}.ndjson");
        fs::write(self.path().join(&entries), lines)?;
        let of = |args: &[&str]| self.ashlar(&[args, &["--tenant", tenant]].concat());
        of(&["push", tenant])?;
        of(&["import", "json", &entries])?;
        let candidate = of(&["candidate", "create"])?;
        let candidate = candidate["candidate"].as_str().unwrap_or_default();
        of(&["release", "promote", candidate])?;
        let mut args = vec!["key", "create", "--name", tenant];
        args.extend(scopes.iter().flat_map(|s| ["--scope", *s]));
        let key = of(&args)?;
        key["key"].as_str().map(str::to_owned).ok_or_else(|| "no key was made".into())
    }

    /// A command under the limits of this run.
    pub fn limited(&self, program: &Path) -> Command {
        let l = self.limits;
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--as={}", l.address_bytes))
            .arg(format!("--stack={}", l.stack_bytes))
            .arg(format!("--nofile={}", l.files))
            .arg("--core=0")
            .arg("--")
            .arg(program)
            .current_dir(self.path())
            .env("TMPDIR", self.path().join("tmp"))
            .env_remove("ASHLAR_DATA")
            .env_remove("ASHLAR_SERVER")
            .stdin(Stdio::null());
        command
    }

    /// Starts the server.
    pub fn serve(&self) -> Result<Server> {
        let log = fs::File::create(self.path().join("server.log"))?;
        let mut child = self
            .limited(&self.binary)
            .args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json"])
            .env("ASHLAR_SERVER_REQUEST_SECONDS_MAX", self.limits.request_seconds.to_string())
            .env("ASHLAR_SERVER_SHUTDOWN_SECONDS_MAX", self.limits.shutdown_seconds.to_string())
            .env("ASHLAR_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)
            .map_err(|e| format!("the server did not start: {e}: {line} {}", self.log()))?;
        let address = ready["url"].as_str().unwrap_or_default().replace("http://", "");
        Ok(Server { child, address })
    }

    /// Bytes on disk, all of it.
    pub fn disk_bytes(&self) -> u64 {
        fn of(path: &Path) -> u64 {
            let Ok(items) = fs::read_dir(path) else { return 0 };
            items
                .flatten()
                .map(|item| match item.metadata() {
                    Ok(m) if m.is_dir() => of(&item.path()),
                    Ok(m) => m.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        of(self.path())
    }
}
