//! `kill -9` at random moments: after a restart no acknowledged write is missing, every release verifies, the audit chain
//! holds.

use std::{
    collections::BTreeMap,
    error::Error,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::random::Random;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Rig<'a> {
    binary: &'a Path,
    dir: &'a Path,
    data: String,
}

impl Rig<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        command
            .args(args)
            .args(["--data", &self.data, "--as", "tester"])
            .current_dir(self.dir)
            .env("ASHLAR_OBJECTS", self.dir.join("objects"));
        if !self.data.contains("://") {
            command.env_remove("ASHLAR_OBJECTS");
        }
        command
    }

    fn run(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).stdin(Stdio::null()).output()?)
    }

    /// Runs to the end and expects success.
    fn must(&self, args: &[&str]) -> Result<Value> {
        let out = self.run(args)?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            return Err(format!(
                "{args:?} failed: {} {said} {}",
                out.status,
                String::from_utf8_lossy(&out.stdout)
            )
            .into());
        }
        Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null))
    }

    /// Runs for a while and kills; what it printed counts as acknowledged when it ended by itself, and well.
    fn killed(&self, args: &[&str], after: Duration) -> Result<Option<Value>> {
        let mut child =
            self.command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let until = Instant::now() + after;
        while Instant::now() < until && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_micros(300));
        }
        // Killing what has ended by itself does nothing.
        let _ = child.kill();
        let out = child.wait_with_output()?;
        Ok(out.status.success().then(|| serde_json::from_slice(&out.stdout).unwrap_or(Value::Null)))
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    values: BTreeMap<u64, u64>,
    releases: Vec<String>,
    live: Option<String>,
}

/// A database of its own on the PostgreSQL server at `address`.
fn new_database(address: &str, seed: u64) -> Result<String> {
    let name = format!("faults_{}_{seed}", std::process::id());
    let made = Command::new("psql").args([address, "-c", &format!("CREATE DATABASE {name}")]).output()?;
    match made.status.success() {
        true => Ok(address
            .replace("/postgres", &format!("/{name}"))
            .replace(&format!("{name}://"), "postgres://")),
        false => Err(format!("psql: {}", String::from_utf8_lossy(&made.stderr)).into()),
    }
}

/// Runs `rounds` rounds on SQLite, or on the PostgreSQL server at `postgres`.
pub fn faults(binary: &Path, postgres: Option<&str>, rounds: u32, seed: u64) -> Result<()> {
    let temp = tempfile::Builder::new().prefix("ashlar-faults-").tempdir()?;
    let engine = if postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let data = postgres.map_or(Ok("data".to_owned()), |address| new_database(address, seed))?;
    let rig = Rig { binary, dir: temp.path(), data };
    let project = Command::new(binary).args(["init", "site"]).current_dir(temp.path()).output()?;
    if !project.status.success() {
        return Err("init failed".into());
    }
    rig.must(&["push", "site", "--content", "--format", "json"])?;
    let mut random = Random(seed);
    let mut known = Acknowledged::default();
    let (mut kills, mut ended) = (0, 0);
    for round in 0..rounds {
        let after = Duration::from_micros(random.below(60_000));
        let action = random.below(5);
        let done = match action {
            0 => rig.put(&mut known, &mut random, after),
            1 => rig.import(round, after * 4),
            // Freezing and promoting take longer; about half of them are to end.
            2 => {
                rig.killed(&["candidate", "create", "--format", "json"], after * 3).map(|d| Some(d.is_some()))
            }
            3 => rig.promote(&mut known, after * 3),
            _ => rig.roll_back(&mut known, after),
        };
        let checked = done.and_then(|done| {
            match done {
                Some(true) => ended += 1,
                Some(false) => kills += 1,
                None => return Ok(()),
            }
            check(&rig, &mut known)
        });
        checked.map_err(|e| format!("{engine}, seed {seed}, round {round}, action {action}: {e}"))?;
    }
    if let Some(live) = &known.live {
        served(&rig, live)?;
    }
    println!(
        "faults on {engine}: {rounds} rounds (seed {seed}), {kills} killed, {ended} acknowledged, {} releases, nothing lost",
        known.releases.len()
    );
    Ok(())
}

/// The actions of a round. Each returns whether it was acknowledged before it was killed; `None` when it had nothing to do.
impl Rig<'_> {
    fn live(&self) -> Result<Option<String>> {
        let channels = self.must(&["channel", "list", "--format", "json"])?;
        let now = channels.as_array().into_iter().flatten().find(|c| c["channel"] == "production");
        Ok(now.and_then(|c| c["release"].as_str()).map(str::to_owned))
    }

    fn put(&self, known: &mut Acknowledged, random: &mut Random, after: Duration) -> Result<Option<bool>> {
        let (id, value) = (random.below(20), random.below(1_000_000));
        let (name, wanted) = (format!("p{id}"), format!("v{value}"));
        let file = self.dir.join("put.json");
        std::fs::write(&file, format!("{{\"slug\":\"{name}\",\"title\":\"{wanted}\"}}"))?;
        let done = self.killed(&["entry", "put", "page", &name, "--file", "put.json"], after)?;
        if done.is_some() {
            known.values.insert(id, value);
        } else if let Ok(now) = self.must(&["entry", "get", "page", &name]) {
            // Not acknowledged: it is wholly there or not at all.
            let title = now["title"].as_str().unwrap_or_default();
            let before = known.values.get(&id).map(|v| format!("v{v}"));
            if title == wanted {
                known.values.insert(id, value);
            } else if Some(title.to_owned()) != before {
                return Err(format!("{name} is `{title}`, which nobody wrote last").into());
            }
        }
        Ok(Some(done.is_some()))
    }

    fn import(&self, round: u32, after: Duration) -> Result<Option<bool>> {
        let line = |i: u32| {
            format!(
                "{{\"type\":\"page\",\"id\":\"i{round}-{i}\",\"locale\":\"en\",\"fields\":{{\"slug\":\"i{round}-{i}\",\"title\":\"t\"}}}}\n"
            )
        };
        std::fs::write(self.dir.join("import.ndjson"), (0..400).map(line).collect::<String>())?;
        let done = self.killed(&["import", "json", "import.ndjson", "--format", "json"], after)?;
        if done.is_some() {
            self.must(&["entry", "get", "page", &format!("i{round}-399")])?;
        }
        Ok(Some(done.is_some()))
    }

    fn promote(&self, known: &mut Acknowledged, after: Duration) -> Result<Option<bool>> {
        let before = self.live()?;
        let candidate = self.must(&["candidate", "create", "--format", "json"])?;
        let name = candidate["candidate"].as_str().unwrap_or_default();
        let done = self.killed(&["release", "promote", name, "--format", "json"], after)?;
        if let Some(answer) = &done {
            let release = answer["release"].as_str().unwrap_or_default().to_owned();
            known.releases.push(release.clone());
            known.live = Some(release);
            return Ok(Some(true));
        }
        // Not acknowledged: the release exists and is served, or neither.
        let now = self.live()?;
        let made = self.must(&["candidate", "show", name, "--format", "json"])?;
        let release = made["release"].as_str().map(str::to_owned);
        if now != release.clone().or(before) {
            return Err(format!("{name} is half promoted: {now:?}, {made}").into());
        }
        known.releases.extend(release);
        known.live = now;
        Ok(Some(false))
    }

    fn roll_back(&self, known: &mut Acknowledged, after: Duration) -> Result<Option<bool>> {
        let Some(release) = known.releases.first() else { return Ok(None) };
        let before = self.live()?;
        let done = self.killed(&["release", "rollback", release, "--format", "json"], after)?;
        let now = self.live()?;
        if now.as_ref() != Some(release) && (done.is_some() || now != before) {
            return Err(format!("after a rollback to {release} it is {now:?}").into());
        }
        known.live = now;
        Ok(Some(done.is_some()))
    }
}

/// Starts a server after all the killing: it serves the release that the database says.
fn served(rig: &Rig<'_>, live: &str) -> Result<()> {
    use std::io::{BufRead, BufReader, Read, Write};
    let args = ["serve", "--listen", "127.0.0.1:0", "--format", "json"];
    let mut command = Command::new(rig.binary);
    command.args(args).args(["--data", &rig.data]).current_dir(rig.dir);
    if rig.data.contains("://") {
        command.env("ASHLAR_OBJECTS", rig.dir.join("objects"));
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let ready: Value = serde_json::from_str(&line)?;
    let address = ready["url"].as_str().unwrap_or_default().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(&address)?;
    write!(stream, "GET /v1/entries/page/home HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let _ = child.kill();
    let _ = child.wait();
    match answer.to_ascii_lowercase().contains(&format!("ashlar-release: {live}\r\n")) {
        true => Ok(()),
        false => Err(format!("{live} should be served, and the answer is {answer}").into()),
    }
}

fn check(rig: &Rig<'_>, known: &mut Acknowledged) -> Result<()> {
    rig.must(&["audit", "verify"])?;
    let list = rig.must(&["release", "list", "--format", "json"])?;
    let releases: Vec<&str> =
        list["items"].as_array().into_iter().flatten().filter_map(|r| r["release"].as_str()).collect();
    for release in &known.releases {
        // A list has a hundred; older ones are asked for one by one, now and then.
        let listed = releases.contains(&release.as_str());
        let asked = || rig.must(&["release", "show", release, "--format", "json"]).is_ok();
        if !listed && (releases.len() < 100 || !asked()) {
            return Err(format!("{release} was acknowledged and is gone").into());
        }
    }
    if let Some(release) = releases.first() {
        rig.must(&["release", "verify", release])?;
    }
    if let Some(live) = &known.live {
        let channels = rig.must(&["channel", "list", "--format", "json"])?;
        let now = channels.as_array().into_iter().flatten().find(|c| c["channel"] == "production");
        if now.and_then(|c| c["release"].as_str()) != Some(live) {
            return Err(format!("production should serve {live}: {channels}").into());
        }
    }
    for (id, value) in &known.values {
        let now = rig.must(&["entry", "get", "page", &format!("p{id}")])?;
        if now["title"].as_str() != Some(&format!("v{value}")) {
            return Err(format!("p{id} was acknowledged as v{value} and is {now}").into());
        }
    }
    Ok(())
}
