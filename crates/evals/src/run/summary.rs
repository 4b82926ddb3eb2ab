//! From cases to the figures of a run, and whether they break a threshold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::{CaseResult, CaseStatus};
use crate::{figures::Metric, stats::quantile, suite::Threshold};

/// A figure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The value, in the unit of its metric.
    pub value: f64,
    /// How many cases it is of.
    pub cases: usize,
}

/// A threshold and whether it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdResult {
    /// The bound.
    #[serde(flatten)]
    pub threshold: Threshold,
    /// The value; absent when no case has one, which does not pass.
    pub value: Option<f64>,
    /// Whether the bound is kept.
    pub pass: bool,
}

/// The figures of cases that were judged. A mean weighs each case; quantiles and counts do not.
#[must_use]
pub fn figures(results: &[CaseResult]) -> BTreeMap<Metric, Figure> {
    let judged: Vec<&CaseResult> = results.iter().filter(|result| result.is_judged()).collect();
    let mut out = BTreeMap::new();
    for &metric in Metric::ALL {
        let figure = match metric {
            Metric::PassRate => mean(judged.iter().map(|result| (result.passed, result.case.weight))),
            Metric::CriticalFailures => Some(critical(&judged)),
            Metric::LatencyP50 => latency(&judged, 0.5),
            Metric::LatencyP95 => latency(&judged, 0.95),
            _ => mean(
                judged.iter().filter_map(|result| Some((*result.values.get(&metric)?, result.case.weight))),
            ),
        };
        if let Some(figure) = figure {
            out.insert(metric, figure);
        }
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "a count of cases")]
fn critical(judged: &[&CaseResult]) -> Figure {
    let critical = judged.iter().filter(|result| result.case.critical);
    let failed = critical.clone().filter(|result| result.status == CaseStatus::Fail).count();
    Figure { value: failed as f64, cases: critical.count() }
}

fn mean(values: impl Iterator<Item = (f64, f64)>) -> Option<Figure> {
    let (mut sum, mut weights, mut cases) = (0.0, 0.0, 0);
    for (value, weight) in values {
        sum += value * weight;
        weights += weight;
        cases += 1;
    }
    (weights > 0.0).then(|| Figure { value: sum / weights, cases })
}

/// The quantile of the times of all replies, so that one slow reply of several counts.
fn latency(judged: &[&CaseResult], q: f64) -> Option<Figure> {
    let replies = judged.iter().flat_map(|result| &result.samples).filter_map(|s| s.reply.as_ref().ok());
    let times: Vec<f64> = replies.map(|reply| reply.latency_ms).collect();
    Some(Figure { value: quantile(&times, q)?, cases: judged.len() })
}

/// Compares figures with their bounds. Critical failures have the bound 0 unless the suite has another one.
#[must_use]
pub fn thresholds(thresholds: &[Threshold], figures: &BTreeMap<Metric, Figure>) -> Vec<ThresholdResult> {
    let mut all = thresholds.to_vec();
    if !all.iter().any(|threshold| threshold.metric == Metric::CriticalFailures) {
        all.push(Threshold { metric: Metric::CriticalFailures, min: None, max: Some(0.0) });
    }
    all.sort_by_key(|threshold| threshold.metric);
    let judged = |threshold: Threshold| {
        let value = figures.get(&threshold.metric).map(|figure| figure.value);
        let kept = |value: f64| {
            threshold.min.is_none_or(|min| value >= min) && threshold.max.is_none_or(|max| value <= max)
        };
        let pass = value.is_some_and(kept);
        ThresholdResult { threshold, value, pass }
    };
    all.into_iter().map(judged).collect()
}
