//! Three nodes on one PostgreSQL, each behind a link of its own, in front of a stand-in for a model.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::{
    super::{
        prepare::Prepare,
        proxy::{Mode, Proxy},
        rig::{Result, ask, lock},
        service::Service,
    },
    model::Model,
};
use crate::peers::{self, PostgresDir};

/// How long nodes may take until they are ready after everything works again.
const READY_MAX: Duration = Duration::from_secs(90);
/// Nodes.
const NODES: usize = 3;
/// What each user may spend on a day, in picounits.
pub const LIMIT_PICO: u64 = 20_000_000_000;
/// Picounits that a token of a request costs.
pub const IN_PICO: u64 = 1_000_000;
/// Picounits that a token of an answer costs.
pub const OUT_PICO: u64 = 10_000_000;
/// Each end user has a small hard budget, so that budgets run out in every round.
const GATEWAY: &str = r#"
[routes.counted]
targets = [{ provider = "counted", model = "counted" }]
retries = 0
timeout = { connect = 2.0, first_token = 8.0, total = 20.0 }

[[prices]]
model = "counted/counted"
from = "2020-01-01"
currency = "USD"
input = "1.00"
output = "10.00"

[features.default]
routes = ["counted"]
per_user = { budget = { day = "0.02" } }
"#;

/// A node.
pub struct Node {
    /// `node-1`
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// Its link to PostgreSQL.
    pub postgres: Proxy,
    service: Mutex<Service>,
}

impl Node {
    /// Its process.
    pub fn service(&self) -> MutexGuard<'_, Service> {
        lock(&self.service)
    }
}

/// Everything that runs.
pub struct Rig {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The database server.
    pub postgres: Mutex<Service>,
    /// The stand-in for a model.
    pub model: Model,
    /// A key that calls models.
    pub key: String,
    /// A key with every right.
    pub admin: String,
    dir: tempfile::TempDir,
    postgres_dir: Arc<PostgresDir>,
}

impl Rig {
    /// Starts everything.
    pub fn new(binary: &Path, seed: u64) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("ashlar-gateway-").tempdir()?;
        let postgres_dir = Arc::new(PostgresDir::new()?);
        let of = postgres_dir.clone();
        let mut postgres = Service::new("PostgreSQL", postgres_dir.port, move || Ok(of.server()));
        postgres.up()?;
        let model = Model::start(seed)?;
        let models = format!(
            "[providers.counted]\nkind = \"openai\"\nurl = \"http://{}/v1\"\nprivate = true\n",
            model.address
        );
        std::fs::write(dir.path().join("models.toml"), models)?;
        let nodes = (1..=NODES).map(|number| node(binary, dir.path(), number, postgres_dir.port));
        let mut rig = Self {
            nodes: nodes.collect::<Result<_>>()?,
            postgres: Mutex::new(postgres),
            model,
            key: String::new(),
            admin: String::new(),
            dir,
            postgres_dir,
        };
        rig.prepare(binary)?;
        rig.heal()?;
        Ok(rig)
    }

    fn data(&self) -> String {
        format!("postgres://ashlar@127.0.0.1:{}/postgres", self.postgres_dir.port)
    }

    fn prepare(&mut self, binary: &Path) -> Result<()> {
        let data = self.data();
        let dir = self.dir.path();
        let with_data = |command: &mut Command| {
            environment(command, dir);
            command.args(["--data", &data]);
        };
        let prepare = Prepare { binary, dir, data: &with_data };
        prepare.release("gateway.toml", GATEWAY)?;
        (self.key, self.admin) = (prepare.key("llm")?, prepare.key("admin")?);
        Ok(())
    }

    /// Ends every fault and waits until all nodes are ready.
    pub fn heal(&self) -> Result<()> {
        self.nodes.iter().for_each(|node| node.postgres.set(Mode::Pass));
        lock(&self.postgres).signal("CONT", true);
        lock(&self.postgres).up()?;
        let until = Instant::now() + READY_MAX;
        for node in &self.nodes {
            node.service().signal("CONT", false);
            loop {
                node.service().start()?;
                match ask(node.port, "GET", "/readyz", None, None) {
                    Some(answer) if answer.status == 200 => break,
                    _ if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
                    other => {
                        let said = other.map(|a| String::from_utf8_lossy(&a.body).into_owned());
                        return Err(format!("{} is not ready: {said:?}", node.name).into());
                    }
                }
            }
        }
        Ok(())
    }

    /// The most that any row of a budget says is taken.
    pub fn most_taken(&self) -> Result<u64> {
        let query = "SELECT coalesce(max(used), 0) FROM llm_budgets";
        let out = Command::new("psql").args([&self.data(), "-Atc", query]).output()?;
        let said = String::from_utf8_lossy(&out.stdout);
        said.trim()
            .parse()
            .map_err(|_| format!("psql: {said} {}", String::from_utf8_lossy(&out.stderr)).into())
    }

    /// Keeps the logs, and says where.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }
}

fn environment(command: &mut Command, dir: &Path) {
    command
        .env("ASHLAR_OBJECTS", dir.join("objects"))
        .env("ASHLAR_MODELS", dir.join("models.toml"))
        .env_remove("ASHLAR_DATA")
        .env_remove("ASHLAR_SERVER");
}

fn node(binary: &Path, dir: &Path, number: usize, postgres: u16) -> Result<Node> {
    let (postgres, port) = (Proxy::to(postgres)?, peers::free_port()?);
    let name = format!("node-{number}");
    let data = format!("postgres://ashlar@127.0.0.1:{}/postgres", postgres.port);
    let (binary, dir, log) = (binary.to_owned(), dir.to_owned(), dir.join(format!("{name}.log")));
    let command = move || {
        let mut command = Command::new(&binary);
        command.args([
            "serve",
            "--data",
            &data,
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--format",
            "json",
        ]);
        environment(&mut command, &dir);
        let log = File::options().create(true).append(true).open(&log)?;
        command.env("ASHLAR_LOG", "info").stdout(Stdio::null()).stderr(log);
        Ok(command)
    };
    let service = Mutex::new(Service::new(&name, port, command));
    Ok(Node { name, port, postgres, service })
}
