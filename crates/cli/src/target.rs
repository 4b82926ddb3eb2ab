//! The remembered target of a directory: `.ashlar/target.toml`.
//!
//! A target that leads to another machine counts only where `ashlar use` wrote it on this machine: a file that came with a
//! copied directory could otherwise send the key in `ASHLAR_KEY` anywhere.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{error::CliError, output};

/// The file, below a directory.
const FILE: &str = ".ashlar/target.toml";
/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 16 << 10;
/// Accepted targets that are kept, the newest last.
const ACCEPTED_MAX: usize = 1_000;

/// Where commands work when neither an option nor a variable says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A data directory, relative to the directory that remembers it, or `postgres://…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The objects of a PostgreSQL installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<String>,
    /// A server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// A target with the file that names it.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What it names, with directories made absolute.
    pub target: Target,
    /// The file.
    pub file: PathBuf,
}

impl Target {
    /// What it names, in one word.
    pub fn name(&self) -> &str {
        self.server.as_deref().or(self.data.as_deref()).unwrap_or_default()
    }

    fn leaves_the_machine(&self) -> bool {
        [&self.server, &self.data, &self.objects].into_iter().flatten().any(|t| t.contains("://"))
    }
}

/// The target of the current directory or the nearest one above it.
///
/// # Errors
/// When a file cannot be read, or names another machine and was not written here.
pub fn find() -> Result<Option<Remembered>, CliError> {
    let here = std::env::current_dir().map_err(|e| CliError::file("find", Path::new("."), &e))?;
    for dir in here.ancestors() {
        let file = dir.join(FILE);
        let text = match read(&file) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(e) => return Err(CliError::file("read", &file, &e)),
        };
        let mut target: Target = toml::from_str(&text).map_err(|e| {
            let message = format!("{}: {}", file.display(), e.message());
            CliError::input(
                message,
                "write it again with `ashlar use --data DIR` or `ashlar use --server URL`",
            )
        })?;
        if target.server.is_some() == target.data.is_some() {
            let message = format!("{} must name either `data` or `server`", file.display());
            return Err(CliError::input(
                message,
                "write it again with `ashlar use --data DIR` or `ashlar use --server URL`",
            ));
        }
        if target.leaves_the_machine() && !accepted(&file, &text) {
            let message = format!(
                "{} names {}, but `ashlar use` was not run for it on this machine",
                file.display(),
                output::public(target.name())
            );
            let option = if target.server.is_some() { "server" } else { "data" };
            let help =
                format!("run `ashlar use --{option} {}` if you trust it", output::public(target.name()));
            return Err(CliError::new(2, "target-not-accepted", message, help));
        }
        for place in [&mut target.data, &mut target.objects].into_iter().flatten() {
            if !place.contains("://") {
                *place = dir.join(&*place).display().to_string();
            }
        }
        return Ok(Some(Remembered { target, file }));
    }
    Ok(None)
}

fn read(file: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(file)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Remembers a target for a directory.
///
/// # Errors
/// When the file cannot be written.
pub fn remember(dir: &Path, target: &Target) -> Result<PathBuf, CliError> {
    let file = dir.join(FILE);
    let text = toml::to_string(target).map_err(|e| CliError::input(e.to_string(), ""))?;
    let text = format!("# Written by `ashlar use`. Commands in this directory work here by default.\n{text}");
    let folder = dir.join(".ashlar");
    std::fs::create_dir_all(&folder).map_err(|e| CliError::file("create", &folder, &e))?;
    std::fs::write(&file, &text).map_err(|e| CliError::file("write", &file, &e))?;
    if target.leaves_the_machine() {
        accept(&file, &text)?;
    }
    Ok(file)
}

/// Forgets the target of a directory; `None` when it has none.
///
/// # Errors
/// When the file cannot be removed.
pub fn forget(dir: &Path) -> Result<Option<PathBuf>, CliError> {
    let file = dir.join(FILE);
    match std::fs::remove_file(&file) {
        Ok(()) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(CliError::file("remove", &file, &e)),
    }
}

/// The list of targets that were written on this machine.
fn list() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|d| d.is_absolute());
    let state =
        state.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))?;
    Some(state.join("ashlar/targets"))
}

fn mark(file: &Path, text: &str) -> String {
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    ashlar_model::Digest::of(format!("{}\n{text}", file.display()).as_bytes()).to_string()
}

fn accepted(file: &Path, text: &str) -> bool {
    let known = list().and_then(|list| std::fs::read_to_string(list).ok()).unwrap_or_default();
    let mark = mark(file, text);
    known.lines().any(|line| line == mark)
}

fn accept(file: &Path, text: &str) -> Result<(), CliError> {
    let list = list().ok_or_else(|| {
        CliError::input(
            "a target on another machine needs a home directory that stores the list of accepted targets",
            "set HOME or XDG_STATE_HOME, or give --server with each command",
        )
    })?;
    if let Some(folder) = list.parent() {
        ashlar_store::private_dir(folder).map_err(|e| CliError::file("create", folder, &e))?;
    }
    let known = std::fs::read_to_string(&list).unwrap_or_default();
    let mark = mark(file, text);
    let mut lines: Vec<&str> = known.lines().filter(|line| *line != mark).collect();
    lines.push(&mark);
    let from = lines.len().saturating_sub(ACCEPTED_MAX);
    let text = lines[from..].join("\n") + "\n";
    std::fs::write(&list, text).map_err(|e| CliError::file("write", &list, &e))
}
