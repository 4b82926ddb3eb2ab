//! Which processes serve from an object directory, and what each of them serves: so that who moves a channel can wait until
//! all of them answer with the new release.
//!
//! A serving process holds a lock on `nodes/<name>.lock` and writes the sequence of each channel it serves to
//! `nodes/<name>/<tenant>.<channel>`. The lock ends with the process, however it ends.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ashlar_model::{ChannelName, TenantId};

use crate::{Objects, StoreError, TenantObjects, files::blocking};

const LOCK: &str = ".lock";
/// How often files of processes that have not answered are read.
const LOOK: Duration = Duration::from_millis(1);
/// How often it is looked whether such a process still lives.
const ALIVE: Duration = Duration::from_millis(50);
/// Processes that are looked at; more than serve one directory on any machine.
const NODES_MAX: usize = 256;

/// This process among those that serve an object directory.
pub struct Node {
    dir: PathBuf,
    lock: PathBuf,
    _held: File,
}

/// What processes that serve a directory did with a move of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Processes that serve the new release.
    pub serving: usize,
    /// Processes that could not open it, and serve what they served before.
    pub refused: usize,
    /// Processes that did not answer in time.
    pub silent: usize,
}

/// The part of a name that tells this process from all others, also from those with the same id in another container.
fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        use std::hash::{BuildHasher, RandomState};
        format!("{}-{:016x}", std::process::id(), RandomState::new().hash_one("node"))
    })
}

impl Objects {
    /// Makes this process known as one that serves from the directory, as long as the value lives.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn serve_as_node(&self) -> Result<Node, StoreError> {
        let nodes = self.dir().join("nodes");
        crate::private_dir(&nodes).map_err(|e| StoreError::io("make the directory", &nodes, e))?;
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("{}-{}", own(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (dir, lock) = (nodes.join(&name), nodes.join(format!("{name}{LOCK}")));
        crate::private_dir(&dir).map_err(|e| StoreError::io("make the directory", &dir, e))?;
        // Locked before it has its name: who finds it unlocked takes its process for dead.
        let file = tempfile::NamedTempFile::new_in(&nodes)
            .map_err(|e| StoreError::io("make a file in", &nodes, e))?;
        file.as_file().lock().map_err(|e| StoreError::io("lock a file in", &nodes, e))?;
        let held = file.persist(&lock).map_err(|e| StoreError::io("rename a file in", &nodes, e.error))?;
        Ok(Node { dir, lock, _held: held })
    }
}

impl Node {
    /// Says that a channel is served as of this move, or that its release could not be opened.
    pub fn serves(&self, tenant: &TenantId, channel: &ChannelName, sequence: u64, opened: bool) {
        let path = self.dir.join(format!("{tenant}.{channel}"));
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            let word = if opened { "serving" } else { "refused" };
            std::io::Write::write_all(&mut file, format!("{sequence} {word}").as_bytes())?;
            file.persist(&path).map_err(|e| e.error)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::warn!(%tenant, %channel, %error, "the process that moves a channel cannot see that it is served");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        forget(&self.lock, &self.dir);
    }
}

/// The files of a process that no longer exists. What cannot be removed is tried by the next who looks.
fn forget(lock: &Path, dir: &Path) {
    let _ = fs::remove_dir_all(dir);
    let _ = fs::remove_file(lock);
}

/// What a process says of a channel.
fn said(path: &Path) -> Option<(u64, bool)> {
    let text = fs::read_to_string(path).ok()?;
    let (sequence, word) = text.split_once(' ')?;
    Some((sequence.parse().ok()?, word == "serving"))
}

fn is_dead(lock: &Path) -> bool {
    match File::open(lock) {
        Ok(file) => match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

impl TenantObjects {
    /// Waits until every other process that serves from this directory has heard of a move of a channel.
    pub async fn await_nodes(&self, channel: &ChannelName, sequence: u64, patience: Duration) -> Heard {
        let Some(nodes) = self.inner.dir.parent().and_then(Path::parent).map(|root| root.join("nodes"))
        else {
            return Heard::default();
        };
        let file = format!("{}.{channel}", self.inner.tenant);
        let others = others(&nodes);
        if others.is_empty() {
            return Heard::default();
        }
        let waited = blocking(move || Ok(wait(&nodes, others, &file, sequence, patience)));
        waited.await.unwrap_or_default()
    }
}

/// The names of processes other than this one: one look at a small directory.
fn others(nodes: &Path) -> Vec<String> {
    let names =
        fs::read_dir(nodes).into_iter().flatten().filter_map(|e| e.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| Some(name.strip_suffix(LOCK)?.to_owned()))
        .filter(|name| !name.starts_with(own()))
        .take(NODES_MAX)
        .collect()
}

fn wait(nodes: &Path, mut waiting: Vec<String>, file: &str, sequence: u64, patience: Duration) -> Heard {
    let mut heard = Heard::default();
    let (until, mut look_at) = (Instant::now() + patience, Instant::now());
    loop {
        let alive_too = Instant::now() >= look_at;
        if alive_too {
            look_at = Instant::now() + ALIVE;
        }
        waiting.retain(|name| {
            let dir = nodes.join(name);
            if let Some((_, opened)) = said(&dir.join(file)).filter(|(at, _)| *at >= sequence) {
                match opened {
                    true => heard.serving += 1,
                    false => heard.refused += 1,
                }
                return false;
            }
            let lock = nodes.join(format!("{name}{LOCK}"));
            if alive_too && is_dead(&lock) {
                forget(&lock, &dir);
                return false;
            }
            true
        });
        if waiting.is_empty() || Instant::now() >= until {
            heard.silent = waiting.len();
            return heard;
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_waited_for_and_the_dead_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let nodes = dir.path();
        let node = |name: &str| {
            fs::create_dir(nodes.join(name)).unwrap();
            let file = File::create(nodes.join(format!("{name}{LOCK}"))).unwrap();
            file.lock().unwrap();
            file
        };
        let at = |name: &str, text: &str| fs::write(nodes.join(name).join("main.production"), text).unwrap();
        let (_new, _old, _refused, dead) = (node("1-a"), node("2-b"), node("3-c"), node("4-d"));
        at("1-a", "7 serving");
        at("2-b", "6 serving");
        at("3-c", "7 refused");
        drop(dead);
        let heard = wait(nodes, others(nodes), "main.production", 7, Duration::from_millis(100));
        assert_eq!(heard, Heard { serving: 1, refused: 1, silent: 1 });
        assert!(!nodes.join("4-d").exists() && !nodes.join("4-d.lock").exists());
        at("2-b", "8 serving");
        let heard = wait(nodes, others(nodes), "main.production", 7, Duration::from_secs(60));
        assert_eq!(heard, Heard { serving: 2, refused: 1, silent: 0 });
    }
}
