//! Why suites cannot be read or run.

use std::path::PathBuf;

use ashlar_model::Finding;

/// Why a suite, a recording or a report could not be read, written or run.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A suite or its cases are wrong.
    #[error("The suite `{suite}` has {} {}.", .findings.len(), if .findings.len() == 1 { "problem" } else { "problems" })]
    Suite {
        /// The name of the suite.
        suite: String,
        /// Everything that is wrong, each with file and line.
        findings: Vec<Finding>,
    },
    /// A file that somebody named is not as it must be.
    #[error("{message}")]
    Input {
        /// What is wrong, with the file and its line.
        message: String,
        /// How to fix it.
        help: String,
    },
    /// A file cannot be read or written.
    #[error("could not {action} {}: {error}", .path.display())]
    File {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl EvalError {
    /// A file that somebody named is not as it must be.
    pub fn input(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Input { message: message.into(), help: help.into() }
    }

    /// A file cannot be read or written.
    pub fn file(action: &'static str, path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::File { action, path: path.into(), error }
    }
}
