//! A project that is released before nodes start.

use std::{
    error::Error,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the database may take until it accepts connections.
const LISTEN_MAX: Duration = Duration::from_secs(20);

/// The commands that prepare a project.
pub struct Prepare<'a> {
    /// The binary.
    pub binary: &'a Path,
    /// Where it runs.
    pub dir: &'a Path,
    /// Adds options and variables that say where the data is.
    pub data: &'a dyn Fn(&mut Command),
}

impl Prepare<'_> {
    fn run(&self, args: &[&str], local: bool) -> Result<Value> {
        let mut command = Command::new(self.binary);
        command.args(args).current_dir(self.dir).stdin(Stdio::null());
        if !local {
            command.args(["--as", "tester", "--format", "json"]);
            (self.data)(&mut command);
        }
        let out = command.output()?;
        if !out.status.success() {
            let said = [out.stderr, out.stdout].concat();
            return Err(format!("{args:?}: {}", String::from_utf8_lossy(&said)).into());
        }
        Ok(serde_json::from_slice(&out.stdout).unwrap_or(Value::Null))
    }

    /// Makes a project with one further file, and promotes its first release.
    pub fn release(&self, file: &str, text: &str) -> Result<()> {
        self.run(&["init", "site"], true)?;
        std::fs::write(self.dir.join("site").join(file), text)?;
        let until = Instant::now() + LISTEN_MAX;
        // The database listens a moment before it lets anybody in.
        while let Err(error) = self.run(&["push", "site", "--content"], false) {
            if Instant::now() > until {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let candidate = self.run(&["candidate", "create"], false)?;
        self.run(&["release", "promote", candidate["candidate"].as_str().unwrap_or_default()], false)?;
        Ok(())
    }

    /// Makes a key with a scope.
    pub fn key(&self, scope: &str) -> Result<String> {
        let made = self.run(&["key", "create", "--name", scope, "--scope", scope], false)?;
        Ok(made["key"].as_str().ok_or("no key was made")?.to_owned())
    }
}
