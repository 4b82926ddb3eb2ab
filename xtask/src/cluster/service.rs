//! Processes that are killed, paused and started again.

use std::{
    error::Error,
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long a process may take until it listens.
const START_MAX: Duration = Duration::from_secs(60);

/// A process that listens on a port.
pub struct Service {
    /// What it is called in messages.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    command: Box<dyn Fn() -> Result<Command> + Send + Sync>,
    child: Option<Child>,
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parent_of = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    all.flatten()
        .filter_map(|d| d.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

impl Service {
    /// A service that is not started yet.
    pub fn new(name: &str, port: u16, command: impl Fn() -> Result<Command> + Send + Sync + 'static) -> Self {
        Self { name: name.to_owned(), port, command: Box::new(command), child: None }
    }

    /// Starts it unless it runs. It may end at once; [`Service::up`] starts it again.
    pub fn start(&mut self) -> Result<()> {
        if !self.runs() {
            self.child = Some((self.command)()?.stdin(Stdio::null()).spawn()?);
        }
        Ok(())
    }

    /// Starts it, again when it ends, until it listens.
    pub fn up(&mut self) -> Result<()> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            self.start()?;
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not listen after {} seconds", self.name, START_MAX.as_secs()).into())
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(None)))
    }

    /// Sends a signal to the process and, when `all`, to its children.
    pub fn signal(&self, signal: &str, all: bool) {
        let Some(child) = &self.child else { return };
        let mut pids = vec![child.id()];
        if all {
            pids.extend(children(child.id()));
        }
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let _ = Command::new("kill").arg(format!("-{signal}")).args(&pids).stderr(Stdio::null()).status();
    }

    /// Ends it without a chance to do anything, and its children.
    pub fn kill(&mut self) {
        self.signal("KILL", true);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// Asks it to end and waits; kills it when it does not.
    pub fn stop(&mut self, signal: &str, wait: Duration) {
        self.signal(signal, false);
        let until = Instant::now() + wait;
        while Instant::now() < until && self.runs() {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.signal("CONT", true);
        self.stop("INT", Duration::from_secs(3));
    }
}
