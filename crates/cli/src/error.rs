//! Errors at the edge: what was wrong, where, how to mend it, and the exit code.

use std::{fmt::Write as _, process::ExitCode};

use ashlar_model::Finding;
use ashlar_release::ReleaseError;
use ashlar_store::StoreError;
use serde_json::{Value, json};

use crate::{args::Format, output};

/// Why a command did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// 1 refused, 2 bad usage or input, 3 could not.
    pub exit: u8,
    /// A stable kebab-case code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// What it consists of, each with its place.
    pub findings: Vec<Finding>,
    /// More for programs.
    pub more: Value,
}

impl CliError {
    pub fn new(exit: u8, code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            message: message.into(),
            help: help.into(),
            findings: Vec::new(),
            more: Value::Null,
        }
    }

    /// Bad usage or input.
    pub fn input(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(2, "invalid-input", message, help)
    }

    /// A file that cannot be read or written.
    pub fn file(op: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { 2 } else { 3 };
        Self::new(exit, "file", format!("could not {op} {}: {error}", path.display()), "")
    }

    /// Input with findings.
    pub fn findings(message: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::input(message, "") }
    }

    /// Tells the person or program what went wrong.
    pub fn report(&self, format: Format) -> ExitCode {
        match format {
            Format::Json => {
                let mut error = json!({
                    "code": self.code, "message": self.message, "help": self.help, "findings": self.findings,
                });
                if let (Value::Object(error), Value::Object(more)) = (&mut error, &self.more) {
                    error.extend(more.clone());
                }
                output::print_json(&json!({ "error": error }));
            }
            Format::Human => eprint!("{}", self.text()),
        }
        ExitCode::from(self.exit)
    }

    fn text(&self) -> String {
        let report = miette::Report::new(self.clone());
        let mut out = String::new();
        let width = output::width();
        let handler = miette::GraphicalReportHandler::new_themed(output::miette_theme()).with_width(width);
        if handler.render_report(&mut out, report.as_ref()).is_err() {
            let _ = write!(out, "{}", self.message);
        }
        out
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        for finding in self.findings.iter().take(50) {
            write!(f, "\n{}\n  {}", finding.place, finding.message)?;
            if !finding.help.is_empty() {
                write!(f, "\n  → {}", finding.help)?;
            }
        }
        if self.findings.len() > 50 {
            write!(f, "\nand {} more", self.findings.len() - 50)?;
        }
        Ok(())
    }
}

impl std::error::Error for CliError {}

impl miette::Diagnostic for CliError {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn std::fmt::Display>)
    }
}

impl From<ReleaseError> for CliError {
    fn from(error: ReleaseError) -> Self {
        let exit = match &error {
            ReleaseError::Invalid { .. } | ReleaseError::NotFound { .. } => 2,
            ReleaseError::Store(StoreError::Corrupt { .. }) => 1,
            ReleaseError::Store(StoreError::Address { .. } | StoreError::Usage(_)) => 2,
            ReleaseError::Store(_) | ReleaseError::Sql(_) | ReleaseError::Task(_) => 3,
            _ => 1,
        };
        let more = match &error {
            ReleaseError::Stale { current, offered, expected, .. } => {
                json!({"expected": expected, "current": current, "offered": offered})
            }
            _ => Value::Null,
        };
        Self {
            exit,
            code: error.code().to_owned(),
            message: error.to_string(),
            help: error.help(),
            findings: error.findings().to_vec(),
            more,
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        ReleaseError::from(error).into()
    }
}

impl From<ashlar_model::IdError> for CliError {
    fn from(error: ashlar_model::IdError) -> Self {
        Self::input(error.to_string(), "")
    }
}
