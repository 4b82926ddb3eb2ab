//! Figures of runs of suites on this node.

use ashlar_model::TenantId;
use prometheus::{IntCounterVec, Registry};

use super::declared;

/// What this node did for runs.
pub struct EvalFigures {
    cases: IntCounterVec,
    runs: IntCounterVec,
    drifts: IntCounterVec,
}

impl EvalFigures {
    pub fn new(registry: &Registry) -> Self {
        Self {
            cases: declared::EVAL_CASES.counters(registry),
            runs: declared::EVAL_RUNS.counters(registry),
            drifts: declared::EVAL_DRIFTS.counters(registry),
        }
    }

    /// A case was asked.
    pub fn case(&self, passed: bool, error: bool) {
        let outcome = match (error, passed) {
            (true, _) => "error",
            (false, true) => "pass",
            (false, false) => "fail",
        };
        self.cases.with_label_values(&[outcome]).inc();
    }

    /// This node ended a run.
    pub fn ended(&self, tenant: &TenantId, verdict: &str, reason: &str, drift: bool) {
        self.runs.with_label_values(&[verdict, reason]).inc();
        if drift {
            self.drifts.with_label_values(&[tenant.as_str()]).inc();
        }
    }
}
