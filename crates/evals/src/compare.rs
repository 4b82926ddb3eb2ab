//! A run beside an earlier one, case by case.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    figures::Better,
    report::{CaseSummary, Summary},
    run::CaseStatus,
};

/// How a run differs from an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether both runs are of the same suite with the same cases. Otherwise only the cases that both have are compared.
    pub same_suite: bool,
    /// How many cases both runs judged.
    pub compared: usize,
    /// Cases that passed and do not pass now.
    pub regressions: Vec<String>,
    /// Those of them that are critical.
    pub critical_regressions: Vec<String>,
    /// Cases that did not pass and do now.
    pub fixed: Vec<String>,
    /// Cases that only this run has.
    pub added: Vec<String>,
    /// Cases that only the earlier run has.
    pub removed: Vec<String>,
    /// Figures over the cases that both runs judged.
    pub metrics: BTreeMap<String, Difference>,
    /// Of each case with another answer: the earlier one.
    #[serde(skip)]
    pub answers: BTreeMap<String, String>,
}

/// How a figure differs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// In the earlier run.
    pub before: f64,
    /// In this run.
    pub after: f64,
    /// Whether it became worse.
    pub worse: bool,
    /// How many cases both runs have a value of.
    pub cases: usize,
}

const fn is_judged(case: &CaseSummary) -> bool {
    !matches!(case.status, CaseStatus::Error | CaseStatus::NotAsked)
}

impl Comparison {
    /// Compares a run with an earlier one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of cases")]
    pub fn of(before: &Summary, after: &Summary) -> Self {
        let earlier: BTreeMap<&str, &CaseSummary> =
            before.results.iter().map(|case| (case.id.as_str(), case)).collect();
        let now: BTreeMap<&str, &CaseSummary> =
            after.results.iter().map(|case| (case.id.as_str(), case)).collect();
        let mut out = Self {
            same_suite: before.suite == after.suite && before.suite_digest == after.suite_digest,
            compared: 0,
            regressions: Vec::new(),
            critical_regressions: Vec::new(),
            fixed: Vec::new(),
            added: now.keys().filter(|id| !earlier.contains_key(*id)).map(|&id| id.to_owned()).collect(),
            removed: earlier.keys().filter(|id| !now.contains_key(*id)).map(|&id| id.to_owned()).collect(),
            metrics: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        let mut sums: BTreeMap<&str, (f64, f64, usize)> = BTreeMap::new();
        for case in &after.results {
            let Some(old) = earlier.get(case.id.as_str()) else { continue };
            if old.answer != case.answer {
                out.answers.insert(case.id.clone(), old.answer.clone());
            }
            if !is_judged(old) || !is_judged(case) {
                continue;
            }
            out.compared += 1;
            if case.passed < old.passed {
                out.regressions.push(case.id.clone());
                if case.critical {
                    out.critical_regressions.push(case.id.clone());
                }
            } else if case.passed > old.passed {
                out.fixed.push(case.id.clone());
            }
            let pass_rate = [("pass_rate", old.passed, case.passed)];
            let values = case.values.iter().filter_map(|(name, value)| {
                old.values.get(name).map(|before| (name.as_str(), *before, *value))
            });
            for (name, before, now) in pass_rate.into_iter().chain(values) {
                let sum = sums.entry(name).or_default();
                *sum = (sum.0 + before, sum.1 + now, sum.2 + 1);
            }
        }
        for (name, (before, now, cases)) in sums {
            let Some(metric) = after.metrics.get(name) else { continue };
            let (before, now) = (before / cases as f64, now / cases as f64);
            let worse = match metric.better {
                Better::Higher => now < before,
                Better::Lower => now > before,
            };
            out.metrics.insert(name.to_owned(), Difference { before, after: now, worse, cases });
        }
        out
    }
}
