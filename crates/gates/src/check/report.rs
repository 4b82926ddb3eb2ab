//! What a check is asked for, and what it finds.

use std::{collections::BTreeMap, path::PathBuf};

use ashlar_model::{GateReport, GateStatus};
use jiff::Timestamp;
use serde::Serialize;

/// What to check a project against, and how.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// Another project directory that stands for what is released: its contracts, routes and sensitive values are the
    /// base. Nothing is written there.
    pub against: Option<PathBuf>,
    /// Whether `.ashlar/check.cache` is read and written. The result is the same without it.
    pub cache: bool,
    /// The time of the check (sunsets and waivers depend on its day).
    pub now: Timestamp,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { against: None, cache: true, now: Timestamp::now() }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Every gate passed or is waived.
    Pass,
    /// A gate failed.
    Fail,
    /// A gate could not run; it has not passed.
    Error,
}

/// What a check found. As JSON: `{"status","gates":[…],"metrics"}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The outcome of all gates together.
    pub status: CheckStatus,
    /// The gates.
    pub gates: Vec<GateReport>,
    /// Figures of the whole check by name: `entries`, `contracts`, `reused` (entries answered from the cache), `ms`.
    pub metrics: BTreeMap<String, f64>,
}

impl CheckReport {
    pub(super) fn new(gates: Vec<GateReport>, metrics: BTreeMap<String, f64>) -> Self {
        let status = if gates.iter().any(|g| g.status == GateStatus::Error) {
            CheckStatus::Error
        } else if gates.iter().any(|g| !g.status.lets_through()) {
            CheckStatus::Fail
        } else {
            CheckStatus::Pass
        };
        Self { status, gates, metrics }
    }
}
