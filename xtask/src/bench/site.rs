//! A data set of N entries in a real installation, and the real server on it.

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use crate::run::{Start, at, dist_binary};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An installation with N released entries of about 2 KB.
pub struct Site {
    /// Where it lies; `data` in it is the data directory.
    pub dir: PathBuf,
    binary: PathBuf,
    _temp: Option<tempfile::TempDir>,
}

/// The fields of an entry; `version` changes its title.
pub fn entry(i: usize, version: usize) -> Value {
    json!({
        "slug": format!("p{i}"),
        "title": format!("Page {i}, version {version}"),
        "body": "Boats come and go with the tide. ".repeat(56),
    })
}

/// Milliseconds since a moment.
pub fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn print_since(what: &str, since: Instant) {
    println!("{what:44} {:.2} s", since.elapsed().as_secs_f64());
}

impl Site {
    /// Makes one, or takes the one that an earlier run left in `keep`.
    pub fn of(entries: usize, keep: Option<&Path>) -> Result<Self> {
        let binary = dist_binary()?;
        let (dir, temp) = match keep {
            Some(keep) => (at(keep, fs::canonicalize(keep))?.join(entries.to_string()), None),
            None => {
                let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
                (temp.path().join("site"), Some(temp))
            }
        };
        let site = Self { dir, binary, _temp: temp };
        if site.dir.join("made").exists() {
            println!("{entries} entries, from {}", site.dir.display());
            return Ok(site);
        }
        site.make(entries)?;
        Ok(site)
    }

    /// The command line in its directory.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.dir);
        command
    }

    /// Runs the command line on it; returns what it printed as JSON.
    pub fn ashlar(&self, args: &[&str]) -> Result<Value> {
        let out = self.command().args(args).env("ASHLAR_DATA", "data").finish()?;
        if !out.status.success() {
            return Err(format!("{args:?}: {}", String::from_utf8_lossy(&out.stderr)).into());
        }
        Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null))
    }

    /// An installation with definitions and entries of its own; `files` are added to an empty project.
    pub fn with(files: &[(&str, &str)], entries: &mut dyn Iterator<Item = Value>) -> Result<Self> {
        let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
        let site = Self { dir: temp.path().join("site"), binary: dist_binary()?, _temp: Some(temp) };
        site.fill(files, entries)?;
        Ok(site)
    }

    fn make(&self, entries: usize) -> Result<()> {
        println!("{entries} entries of about 2 KB");
        // The same shape, composed from its fields rather than stored.
        let shaped = "source = \"page\"\nlookup = \"slug\"\npath = \"/v1/shaped/{slug}\"\nfields = [\"title\", \"body\"]\n";
        let line = |i| json!({"type": "page", "id": format!("p{i}"), "locale": "en", "fields": entry(i, 0)});
        self.fill(&[("views/shaped.v1.toml", shaped)], &mut (0..entries).map(line))
    }

    fn fill(&self, files: &[(&str, &str)], entries: &mut dyn Iterator<Item = Value>) -> Result<()> {
        let _ = fs::remove_dir_all(&self.dir);
        at(&self.dir, fs::create_dir_all(&self.dir))?;
        self.ashlar(&["init", "site"])?;
        for (path, text) in files {
            let path = self.dir.join("site").join(path);
            fs::create_dir_all(path.parent().ok_or("no folder")?)?;
            at(&path, fs::write(&path, text))?;
        }
        self.ashlar(&["push", "site"])?;
        let file = self.dir.join("entries.ndjson");
        let mut out = std::io::BufWriter::new(fs::File::create(&file)?);
        for line in entries {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        drop(out);
        let started = Instant::now();
        self.ashlar(&["import", "json", "entries.ndjson"])?;
        print_since("import of all entries", started);
        fs::remove_file(&file)?;
        let started = Instant::now();
        let candidate = self.ashlar(&["candidate", "create", "--format", "json"])?;
        print_since(
            &format!("first freeze and gates ({})", candidate["status"].as_str().unwrap_or("?")),
            started,
        );
        let started = Instant::now();
        self.ashlar(&["release", "promote", "c1"])?;
        print_since("first promote", started);
        fs::write(self.dir.join("made"), "")?;
        Ok(())
    }

    /// Reads every pack once, so that what is measured is not the disk.
    pub fn warm(&self) -> Result<()> {
        let packs = self.dir.join("data/objects/t/main/packs");
        for pack in at(&packs, fs::read_dir(&packs))? {
            let pack = pack?.path();
            std::io::copy(&mut at(&pack, fs::File::open(&pack))?, &mut std::io::sink())?;
        }
        Ok(())
    }

    /// The same site, served by another build from here on.
    pub fn by(self, binary: &Path) -> Self {
        Self { binary: binary.to_owned(), ..self }
    }

    /// Starts the server, on one core when `core` names one.
    pub fn serve(&self, core: Option<&str>) -> Result<Server> {
        self.serve_with(core, &[])
    }

    /// As [`Site::serve`], with settings from the environment.
    pub fn serve_with(&self, core: Option<&str>, settings: &[(&str, &str)]) -> Result<Server> {
        let mut command = match core {
            Some(core) => {
                let mut command = Command::new("taskset");
                command.args(["-c", core]).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        let mut child = command
            .args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json"])
            .current_dir(&self.dir)
            .env_remove("ASHLAR_DATA")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .start()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line)?;
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let address = text(&ready["url"]).replace("http://", "");
        Ok(Server { child, address, key: text(&ready["keys"]["admin"]) })
    }
}

/// A running server; it ends with this value.
pub struct Server {
    /// The process, which is the server itself.
    pub child: Child,
    /// `host:port`
    pub address: String,
    key: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Sends a request on a new connection; returns the body's text, or an error unless it was done.
    pub fn text(&self, method: &str, path: &str, body: &Value) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        match head.get(9..12) {
            Some("200" | "201") => Ok(body.to_owned()),
            _ => Err(format!("{method} {path}: {head} {body}").into()),
        }
    }

    /// As [`Server::text`], read as JSON.
    pub fn done(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(method, path, body)?)?)
    }

    /// Resident memory: all, and that part of it which is no mapped file.
    pub fn memory_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|k| k.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }
}
