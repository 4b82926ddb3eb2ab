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

/// Runs `rounds` rounds on SQLite, or on the PostgreSQL server at `postgres`.
pub fn faults(binary: &Path, postgres: Option<&str>, rounds: u32, seed: u64) -> Result<()> {
    let temp = tempfile::Builder::new().prefix("ashlar-faults-").tempdir()?;
    let engine = if postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let data = match postgres {
        Some(address) => {
            let name = format!("faults_{}_{seed}", std::process::id());
            let made =
                Command::new("psql").args([address, "-c", &format!("CREATE DATABASE {name}")]).output()?;
            if !made.status.success() {
                return Err(format!("psql: {}", String::from_utf8_lossy(&made.stderr)).into());
            }
            address.replace("/postgres", &format!("/{name}")).replace(&format!("{name}://"), "postgres://")
        }
        None => "data".to_owned(),
    };
    let rig = Rig { binary, dir: temp.path(), data };
    let project = Command::new(binary).args(["init", "site"]).current_dir(temp.path()).output()?;
    if !project.status.success() {
        return Err("init failed".into());
    }
    rig.must(&["push", "site", "--content", "--format", "json"])?;
    let channel = |rig: &Rig<'_>| -> Result<Option<String>> {
        let channels = rig.must(&["channel", "list", "--format", "json"])?;
        let now = channels.as_array().into_iter().flatten().find(|c| c["channel"] == "production");
        Ok(now.and_then(|c| c["release"].as_str()).map(str::to_owned))
    };
    let mut random = Random(seed);
    let mut known = Acknowledged::default();
    let (mut kills, mut ended) = (0, 0);
    for round in 0..rounds {
        let mut after = Duration::from_micros(random.below(60_000));
        let what = random.below(5);
        // Freezing and promoting take longer; about half of them are to end.
        if (2..=3).contains(&what) {
            after *= 3;
        }
        let done = match what {
            0 => {
                let (id, value) = (random.below(20), random.below(1_000_000));
                let file = temp.path().join("put.json");
                std::fs::write(&file, format!("{{\"slug\":\"p{id}\",\"title\":\"v{value}\"}}"))?;
                let name = format!("p{id}");
                let done = rig.killed(&["entry", "put", "page", &name, "--file", "put.json"], after)?;
                if done.is_some() {
                    known.values.insert(id, value);
                } else if let Ok(now) = rig.must(&["entry", "get", "page", &name]) {
                    // Not acknowledged: it is wholly there or not at all.
                    let title = now["title"].as_str().unwrap_or_default();
                    let before = known.values.get(&id).map(|v| format!("v{v}"));
                    if title == format!("v{value}") {
                        known.values.insert(id, value);
                    } else if Some(title.to_owned()) != before {
                        return Err(
                            format!("round {round}: {name} is `{title}`, which nobody wrote last").into()
                        );
                    }
                }
                done
            }
            1 => {
                after *= 4;
                let lines: String = (0..400)
                    .map(|i| format!("{{\"type\":\"page\",\"id\":\"i{round}-{i}\",\"locale\":\"en\",\"fields\":{{\"slug\":\"i{round}-{i}\",\"title\":\"t\"}}}}\n"))
                    .collect();
                std::fs::write(temp.path().join("import.ndjson"), lines)?;
                let done = rig.killed(&["import", "json", "import.ndjson", "--format", "json"], after)?;
                if done.is_some() {
                    let last = format!("i{round}-399");
                    rig.must(&["entry", "get", "page", &last])?;
                }
                done
            }
            2 => rig.killed(&["candidate", "create", "--format", "json"], after)?,
            3 => {
                let before = channel(&rig)?;
                let candidate = rig.must(&["candidate", "create", "--format", "json"])?;
                let name = candidate["candidate"].as_str().unwrap_or_default().to_owned();
                let done = rig.killed(&["release", "promote", &name, "--format", "json"], after)?;
                match &done {
                    Some(answer) => {
                        let release = answer["release"].as_str().unwrap_or_default().to_owned();
                        known.releases.push(release.clone());
                        known.live = Some(release);
                    }
                    // Not acknowledged: the release exists and is served, or neither.
                    None => {
                        let now = channel(&rig)?;
                        let made = rig.must(&["candidate", "show", &name, "--format", "json"])?;
                        let expected = made["release"].as_str().map(str::to_owned).or(before);
                        if now != expected {
                            return Err(
                                format!("round {round}: {name} is half promoted: {now:?}, {made}").into()
                            );
                        }
                        known.releases.extend(made["release"].as_str().map(str::to_owned));
                        known.live = now;
                    }
                }
                done
            }
            _ => {
                let Some(release) = known.releases.first().cloned() else { continue };
                let before = channel(&rig)?;
                let done = rig.killed(&["release", "rollback", &release, "--format", "json"], after)?;
                let now = channel(&rig)?;
                if now.as_ref() != Some(&release) && (done.is_some() || now != before) {
                    return Err(format!("round {round}: after a rollback to {release} it is {now:?}").into());
                }
                known.live = now;
                done
            }
        };
        if done.is_some() {
            ended += 1
        } else {
            kills += 1
        }
        check(&rig, &mut known)
            .map_err(|e| format!("{engine}, seed {seed}, round {round}, action {what}: {e}"))?;
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
