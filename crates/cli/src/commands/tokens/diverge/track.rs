//! The figures of each run, one line per app.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::scan::App;
use crate::error::CliError;

/// A file with longer history is started again.
const TRACK_BYTES_MAX: u64 = 64 << 20;

/// A percentage with two decimal places.
pub fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// The figures of an app at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub at: jiff::Timestamp,
    pub app: String,
    pub declarations: usize,
    pub overrides: usize,
    pub percent: f64,
}

/// A file of such lines.
pub struct Track {
    path: PathBuf,
    lines: Vec<Line>,
    /// Whether the last line has no end.
    is_open: bool,
}

impl Track {
    /// Reads what was tracked before. A file that contains anything else is refused, so that nothing is appended to it.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let text = match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(CliError::file("read", path, &e)),
            Ok(meta) if meta.len() > TRACK_BYTES_MAX => {
                let message = format!("{} is larger than {} MiB", path.display(), TRACK_BYTES_MAX >> 20);
                return Err(CliError::input(message, "move it, and start a new file"));
            }
            Ok(_) => std::fs::read_to_string(path).map_err(|e| CliError::file("read", path, &e))?,
        };
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let line = serde_json::from_str(line).map_err(|e| {
                let message = format!("{}:{}: not a line of figures: {e}", path.display(), number + 1);
                CliError::input(message, "name a file that --track has made, or one that does not exist")
            })?;
            lines.push(line);
        }
        Ok(Self { path: path.to_owned(), lines, is_open: !text.is_empty() && !text.ends_with('\n') })
    }

    /// The last figures of an app.
    pub fn last(&self, app: &str) -> Option<Line> {
        self.lines.iter().rev().find(|l| l.app == app).cloned()
    }

    /// Adds a line for each app, all in one write.
    pub fn append(&mut self, apps: &[App]) -> Result<(), CliError> {
        let at = jiff::Timestamp::now();
        let at = at.round(jiff::Unit::Second).unwrap_or(at);
        let mut text = if self.is_open { "\n".to_owned() } else { String::new() };
        for app in apps {
            let line = Line {
                at,
                app: app.path.clone(),
                declarations: app.declarations,
                overrides: app.overrides,
                percent: rounded(app.percent()),
            };
            text.push_str(&serde_json::to_string(&line).unwrap_or_default());
            text.push('\n');
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        let mut file = file.map_err(|e| CliError::file("write", &self.path, &e))?;
        file.write_all(text.as_bytes()).map_err(|e| CliError::file("write", &self.path, &e))
    }
}
