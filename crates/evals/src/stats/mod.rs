//! Statistics of comparisons: which differences between two runs are more than chance.
//!
//! Everything is pure and deterministic: the same scores and the same seed give the same result on every machine. Each function names its
//! source, and `tests/scipy.rs` compares them with SciPy.

mod bootstrap;
mod cases;
mod kappa;
mod mcnemar;
mod power;
mod proportion;
mod quantile;
mod quarantine;
mod random;
mod roc;
mod special;
mod verdict;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::{
    bootstrap::{
        Bootstrap, CASES_MAX, DRAWS_MAX, Difference, Method, PairedCase, RESAMPLES, RESAMPLES_MIN,
        difference, resampled,
    },
    cases::{CaseChange, CaseRuns, CaseSummary, change_of, summarise},
    kappa::{Agreement, LABELS_MAX, kappa},
    mcnemar::{McNemar, mcnemar, mcnemar_of},
    power::{cases_needed, detectable, spread},
    proportion::{clopper_pearson, wilson},
    quantile::quantile,
    quarantine::{DAYS_MAX, QUARANTINED_MAX, Quarantine, Quarantined, in_force},
    random::Random,
    roc::{RocAuc, roc_auc},
    verdict::{Comparison, Rule, Verdict, compare},
};

/// An interval for an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
    /// How often such an interval contains the true value, between 0 and 1.
    pub confidence: f64,
}

/// Why nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum StatsError {
    /// There is nothing to compare. That is never a pass.
    #[error("No case has a score in both runs.")]
    NoCases,
    /// A case has no sample.
    #[error("Case {case} has no sample in one of the runs.")]
    NoSamples {
        /// Its place, from 0.
        case: usize,
    },
    /// A score or weight is infinite, not a number, or a negative weight.
    #[error("Case {case} has a score or weight that is not a finite number, or a negative weight.")]
    NotFinite {
        /// Its place, from 0.
        case: usize,
    },
    /// All weights are 0.
    #[error("All cases have the weight 0.")]
    NoWeight,
    /// More cases than are compared.
    #[error("There are more than {CASES_MAX} cases.")]
    TooManyCases,
    /// More samples than can be resampled.
    #[error(
        "The cases have too many samples: {RESAMPLES_MIN} resamples would take more than {DRAWS_MAX} draws."
    )]
    TooManySamples,
    /// More different labels than are compared.
    #[error("There are more than {LABELS_MAX} different labels.")]
    TooManyLabels,
    /// A part is larger than the whole.
    #[error("{part} of {all} is more than all.")]
    MoreThanAll {
        /// The part.
        part: usize,
        /// The whole.
        all: usize,
    },
    /// A confidence or power outside its range.
    #[error("The confidence or power is {0}; it must be between 0 and 1.")]
    Confidence(f64),
}

fn confident(confidence: f64) -> Result<(), StatsError> {
    match confidence > 0.0 && confidence < 1.0 {
        true => Ok(()),
        false => Err(StatsError::Confidence(confidence)),
    }
}
