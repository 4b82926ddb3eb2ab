use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; the gate can still pass.
    Warning,
    /// The gate fails.
    #[default]
    Error,
}

/// One thing a check found: what was wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A stable kebab-case code, such as `reference-missing`.
    pub code: String,
    /// How much it weighs.
    #[serde(default)]
    pub level: Level,
    /// The place: `contracts/page.v1.json:12 /properties/title` for files, `page/home (en) /title` for entries.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong, as a sentence.
    pub message: String,
    /// The next thing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

impl Finding {
    /// A finding that fails its gate.
    pub fn error(code: &str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            level: Level::Error,
            place: place.into(),
            message: message.into(),
            help: String::new(),
        }
    }

    /// A finding that does not fail its gate.
    pub fn warning(code: &str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, place, message) }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

/// The verdict of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateStatus {
    /// Nothing stands against it.
    Pass,
    /// At least one finding of level error.
    Fail,
    /// Failed, and let through by a named person with a reason.
    Waived,
    /// The gate could not run; it has not passed.
    Error,
}

impl GateStatus {
    /// Whether a candidate may be promoted past this gate.
    pub fn lets_through(self) -> bool {
        matches!(self, Self::Pass | Self::Waived)
    }
}

/// Who let a failed gate through, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    /// The person.
    pub by: String,
    /// Their reason.
    pub reason: String,
    /// When, in RFC 3339.
    pub at: String,
}

/// What a gate found: the evidence that is attached to a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// The gate, such as `references`.
    pub gate: String,
    /// Its verdict.
    pub status: GateStatus,
    /// One line for people.
    pub summary: String,
    /// What it found, at most [`GateReport::FINDINGS_MAX`], errors first.
    pub findings: Vec<Finding>,
    /// How many there were before the list was cut.
    pub findings_total: usize,
    /// Figures by name; the unit is the last part of the name.
    pub metrics: BTreeMap<String, f64>,
    /// The digest of everything the verdict depends on: same inputs, same result.
    pub inputs: Digest,
    /// How long it took, in milliseconds; that of the first run when answered from evidence.
    pub duration_ms: f64,
    /// Whether it was answered from evidence.
    #[serde(default)]
    pub from_evidence: bool,
    /// Set when the status is waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

impl GateReport {
    /// The most findings a report lists.
    pub const FINDINGS_MAX: usize = 1000;

    /// The report of a gate that ran: it passes when no finding has level error. Findings are ordered and cut here.
    pub fn judged(
        gate: &str,
        inputs: Digest,
        summary: impl Into<String>,
        mut findings: Vec<Finding>,
    ) -> Self {
        findings.sort_by_key(|f| std::cmp::Reverse(f.level));
        let failed = findings.first().is_some_and(|f| f.level == Level::Error);
        let findings_total = findings.len();
        findings.truncate(Self::FINDINGS_MAX);
        Self {
            gate: gate.to_owned(),
            status: if failed { GateStatus::Fail } else { GateStatus::Pass },
            summary: summary.into(),
            findings,
            findings_total,
            metrics: BTreeMap::new(),
            inputs,
            duration_ms: 0.0,
            from_evidence: false,
            waiver: None,
        }
    }

    /// The report of a gate that could not run.
    pub fn could_not_run(gate: &str, inputs: Digest, why: impl Into<String>) -> Self {
        let why = why.into();
        let mut report =
            Self::judged(gate, inputs, why.clone(), vec![Finding::error("gate-error", gate, why)]);
        report.status = GateStatus::Error;
        report
    }

    /// Adds a figure.
    #[must_use]
    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.to_owned(), value);
        self
    }
}
