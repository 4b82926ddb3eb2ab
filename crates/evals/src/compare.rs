//! A run beside an earlier one, case by case, and what differs by more than chance.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    figures::{Better, Metric, Unit},
    report::{CaseSummary, Summary},
    run::CaseStatus,
    stats::{self, PairedCase, Rule, Verdict},
};

/// How a run differs from an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether both runs are of the same suite with the same cases. Otherwise only the cases that both have are compared.
    pub same_suite: bool,
    /// How many cases both runs judged.
    pub compared: usize,
    /// Cases that pass less often than before.
    pub regressions: Vec<String>,
    /// Those of them that are critical in either run.
    pub critical_regressions: Vec<String>,
    /// Cases that pass more often than before.
    pub fixed: Vec<String>,
    /// Cases that only this run has.
    pub added: Vec<String>,
    /// Cases that only the earlier run has.
    pub removed: Vec<String>,
    /// Figures over the cases that both runs judged, by name.
    pub metrics: BTreeMap<String, Change>,
    /// Of each case with another answer: the earlier one.
    #[serde(skip)]
    pub answers: BTreeMap<String, String>,
}

/// How a figure differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The mean over the compared cases in the earlier run, by weight.
    pub before: f64,
    /// In this run.
    pub after: f64,
    /// What the difference shows, with its interval and the smallest difference that these cases can show.
    #[serde(flatten)]
    pub stats: stats::Comparison,
}

const fn is_judged(case: &CaseSummary) -> bool {
    !matches!(case.status, CaseStatus::Error | CaseStatus::NotAsked)
}

/// The values of a case by metric. Its verdict is the pass rate.
fn values(case: &CaseSummary) -> impl Iterator<Item = (&str, f64)> {
    let passed = std::iter::once((Metric::PassRate.name(), case.passed));
    passed.chain(case.values.iter().map(|(name, value)| (name.as_str(), *value)))
}

impl Comparison {
    /// Compares a run with an earlier one.
    #[must_use]
    pub fn of(before: &Summary, after: &Summary) -> Self {
        let by_id = |summary: &'_ Summary| -> BTreeMap<String, CaseSummary> {
            summary.results.iter().map(|case| (case.id.clone(), case.clone())).collect()
        };
        let (earlier, now) = (by_id(before), by_id(after));
        let only = |these: &BTreeMap<String, CaseSummary>, others: &BTreeMap<String, CaseSummary>| {
            these.keys().filter(|id| !others.contains_key(*id)).cloned().collect()
        };
        let mut out = Self {
            same_suite: before.suite == after.suite && before.suite_digest == after.suite_digest,
            compared: 0,
            regressions: Vec::new(),
            critical_regressions: Vec::new(),
            fixed: Vec::new(),
            added: only(&now, &earlier),
            removed: only(&earlier, &now),
            metrics: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        let mut pairs: BTreeMap<&str, Vec<PairedCase>> = BTreeMap::new();
        for case in &after.results {
            let Some(old) = earlier.get(&case.id) else { continue };
            if old.answer != case.answer {
                out.answers.insert(case.id.clone(), old.answer.clone());
            }
            if is_judged(old) && is_judged(case) {
                out.count(old, case);
                let earlier: BTreeMap<&str, f64> = values(old).collect();
                for (name, value) in values(case) {
                    if let Some(before) = earlier.get(name) {
                        let pair = PairedCase { weight: case.weight, ..PairedCase::once(*before, value) };
                        pairs.entry(name).or_default().push(pair);
                    }
                }
            }
        }
        let changes =
            pairs.into_iter().filter_map(|(name, pairs)| Some((name.to_owned(), change(name, &pairs)?)));
        out.metrics = changes.collect();
        out
    }

    fn count(&mut self, old: &CaseSummary, case: &CaseSummary) {
        self.compared += 1;
        if case.passed < old.passed {
            self.regressions.push(case.id.clone());
            if case.critical || old.critical {
                self.critical_regressions.push(case.id.clone());
            }
        } else if case.passed > old.passed {
            self.fixed.push(case.id.clone());
        }
    }

    /// The figures of quality that are worse by more than chance. Time, tokens and money have thresholds instead.
    pub fn regressed(&self) -> impl Iterator<Item = &str> {
        let is = |name: &str| name.parse().is_ok_and(|metric: Metric| metric.unit() == Unit::Share);
        let worse = self.metrics.iter().filter(|(_, change)| change.stats.verdict == Verdict::Regressed);
        worse.map(|(name, _)| name.as_str()).filter(move |name| is(name))
    }

    /// Whether the run must not take the place of the earlier one: a critical case became worse, or a figure of quality did by more than chance.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        !self.critical_regressions.is_empty() || self.regressed().next().is_some()
    }
}

/// What the pairs of one metric show. `None` for a metric that this version does not have, and for values that cannot be compared.
fn change(name: &str, pairs: &[PairedCase]) -> Option<Change> {
    let metric: Metric = name.parse().ok()?;
    // Quantiles of times are not means over cases; the times of cases are compared under the name of the median.
    let stats = stats::compare(pairs, Rule { better: metric.better(), ..Rule::default() }).ok()?;
    let weights: f64 = pairs.iter().map(|pair| pair.weight).sum();
    let mean = |of: fn(&PairedCase) -> &Vec<f64>| {
        pairs.iter().map(|pair| pair.weight * of(pair).first().copied().unwrap_or_default()).sum::<f64>()
            / weights
    };
    Some(Change { before: mean(|pair| &pair.baseline), after: mean(|pair| &pair.candidate), stats })
}

impl Change {
    /// Whether the value is on the worse side, by chance or not.
    #[must_use]
    pub fn is_worse(&self, metric: Metric) -> bool {
        match metric.better() {
            Better::Higher => self.after < self.before,
            Better::Lower => self.after > self.before,
        }
    }
}
