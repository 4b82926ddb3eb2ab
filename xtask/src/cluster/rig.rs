//! Two authors, two workers and two edges on PostgreSQL and S3, each behind links of its own, and a Varnish in front of the edges.

use std::{
    error::Error,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

use super::{
    cache::Cache,
    prepare::Prepare,
    proxy::{Mode, Proxy},
    service::Service,
};
use crate::{
    disk::Disk,
    hostile::http::{Answer, Client, Outcome},
    peers,
};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(12);
/// How long nodes may take until they are ready after everything works again.
const READY_MAX: Duration = Duration::from_secs(90);

/// One process of the binary.
pub struct Node {
    /// `author-1`, `edge-2`.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// Its link to PostgreSQL; an edge has none.
    pub postgres: Option<Proxy>,
    /// Its link to S3.
    pub s3: Proxy,
    /// Where it keeps objects.
    pub cache: PathBuf,
    service: Mutex<Service>,
}

impl Node {
    /// Its process.
    pub fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has no database.
    pub fn is_edge(&self) -> bool {
        self.postgres.is_none()
    }

    /// Its links.
    pub fn links(&self) -> impl Iterator<Item = &Proxy> {
        self.postgres.iter().chain([&self.s3])
    }
}

/// Everything that runs.
pub struct Rig {
    /// The authors, the workers, the edges.
    pub nodes: Vec<Node>,
    /// The database server.
    pub postgres: Mutex<Service>,
    /// The object store.
    pub s3: Mutex<Service>,
    /// The cache in front of the edges, when there is a Varnish.
    pub cache: Option<Cache>,
    /// A key with every right but approvals.
    pub key: String,
    /// The disk that everything writes to.
    pub disk: Disk,
    dir: tempfile::TempDir,
    postgres_dir: Arc<peers::PostgresDir>,
}

/// A service that others may use at the same time.
pub fn lock(service: &Mutex<Service>) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends one request; what became of it.
pub fn send(port: u16, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Outcome {
    let Some(mut client) = Client::open(&format!("127.0.0.1:{port}")) else { return Outcome::Refused };
    let body = body.map(Value::to_string).unwrap_or_default();
    let key = key.map(|k| format!("authorization: Bearer {k}\r\n")).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{key}content-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    client.ask(request.as_bytes(), ANSWER_MAX)
}

/// The answer to a request, when there is one.
pub fn ask(port: u16, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Option<Answer> {
    match send(port, method, path, key, body) {
        Outcome::Answered(answer) => Some(answer),
        Outcome::Closed | Outcome::Silent | Outcome::Refused => None,
    }
}

/// The JSON of an answer.
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

impl Rig {
    /// Starts everything, with a project, a release and a key.
    pub fn new(binary: &Path, s3_program: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ashlar-cluster-").tempdir()?;
        let postgres_dir = Arc::new(peers::PostgresDir::new()?);
        let of = postgres_dir.clone();
        let mut postgres = Service::new("PostgreSQL", postgres_dir.port, move || Ok(of.server()));
        postgres.up()?;
        let buckets = dir.path().join("s3");
        std::fs::create_dir_all(buckets.join("ashlar-test"))?;
        let (program, port) = (s3_program.to_owned(), peers::free_port()?);
        let mut s3 = Service::new("S3", port, move || Ok(peers::s3_server(&program, &buckets, port)));
        s3.up()?;
        let mut nodes = Vec::new();
        let front = peers::free_port()?;
        for (role, name) in [
            ("author", "author-1"),
            ("author", "author-2"),
            ("worker", "worker-1"),
            ("worker", "worker-2"),
            ("edge", "edge-1"),
            ("edge", "edge-2"),
        ] {
            let purges = matches!(role, "worker" | "edge").then_some(front);
            nodes.push(node(binary, dir.path(), (role, name, purges), postgres_dir.port, port)?);
        }
        let edges: Vec<u16> = nodes.iter().filter(|node| node.is_edge()).map(|edge| edge.port).collect();
        let cache = Cache::new(dir.path(), front, &edges)?;
        let mut rig = Self {
            nodes,
            cache,
            postgres: Mutex::new(postgres),
            s3: Mutex::new(s3),
            key: String::new(),
            disk: Disk::watch(dir.path())?,
            dir,
            postgres_dir,
        };
        rig.prepare(binary, port)?;
        for node in &rig.nodes {
            node.service().start()?;
        }
        rig.heal()?;
        Ok(rig)
    }

    fn prepare(&mut self, binary: &Path, s3: u16) -> Result<()> {
        let data = format!("postgres://ashlar@127.0.0.1:{}/postgres", self.postgres_dir.port);
        let dir = self.dir.path();
        let with_data = |command: &mut Command| {
            command.args(["--data", &data, "--objects", OBJECTS]);
            command.arg("--cache").arg(dir.join("cache-setup"));
            s3_environment(command, s3);
        };
        let prepare = Prepare { binary, dir, data: &with_data };
        prepare.release("contracts/note.v1.json", NOTE)?;
        self.key = prepare.key("admin")?;
        Ok(())
    }

    /// The authors.
    pub fn authors(&self) -> &[Node] {
        &self.nodes[..2]
    }

    /// The edges.
    pub fn edges(&self) -> &[Node] {
        &self.nodes[4..]
    }

    /// Ends every fault and waits until all nodes are ready.
    pub fn heal(&self) -> Result<()> {
        for link in self.nodes.iter().flat_map(Node::links) {
            link.set(Mode::Pass);
        }
        let cache = self.cache.iter().map(|cache| &cache.service);
        for service in [&self.postgres, &self.s3].into_iter().chain(cache) {
            lock(service).signal("CONT", true);
            lock(service).up()?;
        }
        for node in &self.nodes {
            node.service().signal("CONT", false);
        }
        let limit = self.disk.limit(READY_MAX);
        for node in &self.nodes {
            loop {
                node.service().start()?;
                let ready = ask(node.port, "GET", "/readyz", None, None);
                match ready {
                    Some(answer) if answer.status == 200 => break,
                    _ if !limit.passed() => std::thread::sleep(Duration::from_millis(100)),
                    other => {
                        let said = other.map(|a| String::from_utf8_lossy(&a.body).into_owned());
                        return Err(format!("{} is not ready: {said:?}", node.name).into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps the logs, and says where.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

/// A type without pages.
const NOTE: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "x-ashlar": {"version": "1.0.0", "owner": "web", "kind": "type", "status": "active"},
  "properties": {"slug": {"type": "string"}, "title": {"type": "string"}},
  "required": ["title"],
  "additionalProperties": false
}"#;
const OBJECTS: &str = "s3://ashlar-test/cluster";

fn s3_environment(command: &mut Command, port: u16) {
    command
        .env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .env("AWS_ACCESS_KEY_ID", "TESTKEY")
        .env("AWS_SECRET_ACCESS_KEY", "TESTSECRET")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        // So that objects are really deleted while everything goes on.
        .env("ASHLAR_GC_GRACE_SECONDS", "8")
        .env_remove("ASHLAR_DATA")
        .env_remove("ASHLAR_SERVER");
}

/// `purges`: the port of a cache that the node purges.
fn node(
    binary: &Path,
    dir: &Path,
    (role, name, purges): (&str, &str, Option<u16>),
    postgres: u16,
    s3: u16,
) -> Result<Node> {
    let edge = role == "edge";
    let postgres = if edge { None } else { Some(Proxy::to(postgres)?) };
    let (s3, port) = (Proxy::to(s3)?, peers::free_port()?);
    let cache = dir.join(format!("cache-{name}"));
    let log = dir.join(format!("{name}.log"));
    let (binary, role, s3_port) = (binary.to_owned(), role.to_owned(), s3.port);
    let data = postgres.as_ref().map(|p| format!("postgres://ashlar@127.0.0.1:{}/postgres", p.port));
    let at = cache.clone();
    let command = move || {
        let mut command = Command::new(&binary);
        command.args(["serve", "--role", &role, "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--objects", OBJECTS, "--format", "json"]).arg("--cache").arg(&at);
        if let Some(data) = &data {
            command.args(["--data", data]);
        }
        if let Some(front) = purges {
            command.args(["--purge", &format!("varnish=http://127.0.0.1:{front}")]);
        }
        s3_environment(&mut command, s3_port);
        let log = File::options().create(true).append(true).open(&log)?;
        command.env("ASHLAR_LOG", "info").stdout(Stdio::null()).stderr(log);
        Ok(command)
    };
    let service = Mutex::new(Service::new(name, port, command));
    Ok(Node { name: name.to_owned(), port, postgres, s3, cache, service })
}
