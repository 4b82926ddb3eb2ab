//! Errors at the edge: what was wrong, where, how to fix it, and the exit code.

use std::{fmt::Write as _, process::ExitCode};

use ashlar_evals::EvalError;
use ashlar_model::{Finding, grouped};
use ashlar_release::ReleaseError;
use ashlar_store::StoreError;
use serde_json::{Value, json};

use crate::{args::Format, hints, output};

/// Causes of one error that are shown.
const CAUSES_SHOWN: usize = 50;

/// The outcome of a command.
pub type Done = Result<ExitCode, CliError>;

/// The outcome of a command that succeeded.
pub fn done() -> Done {
    Ok(ExitCode::SUCCESS)
}

/// Why a command did not succeed.
#[derive(Debug, Clone)]
pub struct CliError {
    /// 1 refused, 2 bad usage or input, 3 could not.
    pub exit: u8,
    /// A stable kebab-case code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: String,
    /// What it consists of, each with its place.
    pub findings: Vec<Finding>,
    /// More for programs.
    pub more: Value,
    /// The place in a file, to be shown to people.
    pub snippet: Option<Box<Snippet>>,
}

/// A place in a text.
#[derive(Debug, Clone)]
pub struct Snippet {
    source: miette::NamedSource<String>,
    label: String,
    offset: usize,
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
            snippet: None,
        }
    }

    /// Text that is not JSON, with its place.
    pub fn json(name: &str, text: &[u8], error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        // The message names the place itself.
        let said = error.to_string();
        let why = said.split(" at line ").next().unwrap_or(&said).to_owned();
        let place = format!("{name}:{line}:{column}");
        let text = String::from_utf8_lossy(text).into_owned();
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let mut offset = (start + column.saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let help = "fix the JSON at this place";
        let finding = Finding::error("json", place.clone(), why.clone()).help(help);
        let source = miette::NamedSource::new(name, text);
        Self {
            findings: vec![finding],
            snippet: Some(Box::new(Snippet { source, label: why.clone(), offset })),
            ..Self::new(2, "json", format!("{place}: {why}"), help)
        }
    }

    /// Bad usage or input.
    pub fn input(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(2, "invalid-input", message, help)
    }

    /// A file that cannot be read or written.
    pub fn file(op: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        // What was named and is not there is bad input; what cannot be written to is the disk's fault.
        let named = matches!(op, "read" | "open" | "find");
        let exit = if named && error.kind() == std::io::ErrorKind::NotFound { 2 } else { 3 };
        Self::new(exit, "file", format!("could not {op} {}: {error}", path.display()), "")
    }

    /// Input with findings.
    pub fn findings(message: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::input(message, "") }
    }

    /// Reports what went wrong to a person or a program.
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
        if self.snippet.is_some() {
            return Ok(());
        }
        // What the gates found was shown when they ran, and is shown again by the command that the help names.
        if self.code == "gates-failed" {
            return Ok(());
        }
        let groups = grouped(&self.findings);
        for group in groups.iter().take(CAUSES_SHOWN) {
            for line in output::group_lines(group, "") {
                write!(f, "\n{line}")?;
            }
        }
        if groups.len() > CAUSES_SHOWN {
            write!(f, "\nand {} more", groups.len() - CAUSES_SHOWN)?;
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
        (!self.help.is_empty()).then(|| Box::new(hints::text(&self.help)) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.snippet.as_ref().map(|s| &s.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let snippet = self.snippet.as_ref()?;
        let label = miette::LabeledSpan::new(Some(snippet.label.clone()), snippet.offset, 1);
        Some(Box::new(std::iter::once(label)))
    }
}

impl From<ReleaseError> for CliError {
    fn from(error: ReleaseError) -> Self {
        let exit = match &error {
            ReleaseError::Invalid { .. } | ReleaseError::NotFound { .. } => 2,
            ReleaseError::Store(StoreError::Corrupt { .. } | StoreError::Bundle(_)) => 1,
            ReleaseError::Store(StoreError::Address { .. } | StoreError::Usage(_)) => 2,
            ReleaseError::Store(_) | ReleaseError::Sql(_) | ReleaseError::Task(_) => 3,
            _ => 1,
        };
        let more = match &error {
            ReleaseError::Stale { current, offered, expected, .. } => {
                json!({"expected": expected, "current": current, "offered": offered})
            }
            _ if !error.findings().is_empty() => json!({ "groups": error.groups() }),
            _ => Value::Null,
        };
        Self {
            exit,
            code: error.code().to_owned(),
            message: error.to_string(),
            help: error.help(),
            findings: error.findings().to_vec(),
            more,
            snippet: None,
        }
    }
}

impl From<EvalError> for CliError {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Suite { suite, findings } => {
                Self::findings(format!("the suite `{suite}` cannot be used"), findings)
            }
            EvalError::Input { message, help } => Self::input(message, help),
            EvalError::File { action, path, error } => Self::file(action, &path, &error),
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
