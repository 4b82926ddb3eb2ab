//! Whether evidence lets a release through.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;

use super::document::Evidence;
use crate::{
    compare::Comparison,
    figures::Metric,
    report::CaseSummary,
    run::{CaseStatus, Figure, ThresholdResult, judge_thresholds},
    suite::{Case, Suite},
};

/// What evidence says on a day, by the thresholds of a suite and beside the evidence of what is served.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Thresholds that are broken, apart from that of critical failures when it allows none.
    pub broken: Vec<ThresholdResult>,
    /// Critical cases that fail, when the suite allows none. Known failures are not among them.
    pub critical: Vec<Critical>,
    /// The comparison with what is served.
    pub comparison: Option<Comparison>,
    /// Critical cases that pass less often than before and are not known to fail.
    pub critical_regressions: Vec<String>,
}

/// A critical case that fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Critical {
    /// The case.
    pub id: String,
    /// A failure that was known until a day before.
    pub expired: Option<Date>,
}

/// Whether a failure of a case is known on a day.
fn is_known(case: &Case, today: Date) -> bool {
    case.known_failure.as_ref().is_some_and(|known| today <= known.until)
}

impl Evidence {
    /// Judges evidence of the same cases. Thresholds and known failures are those of `suite`, so they may differ from those of the run. `before`: the
    /// suite as it is served. A case is critical when either of both says so.
    #[must_use]
    pub fn verdict(
        &self,
        (suite, before): (&Suite, Option<&Suite>),
        today: Date,
        served: Option<&Self>,
    ) -> Verdict {
        let cases: HashMap<&str, &Case> = suite.cases.iter().map(|case| (case.id.as_str(), case)).collect();
        let all = suite.cases.iter().chain(before.into_iter().flat_map(|before| &before.cases));
        let is_critical: HashSet<&str> =
            all.filter(|case| case.critical).map(|case| case.id.as_str()).collect();
        let fails = |case: &&CaseSummary| {
            matches!(case.status, CaseStatus::Fail | CaseStatus::KnownFailure)
                && is_critical.contains(case.id.as_str())
                && cases.get(case.id.as_str()).is_some_and(|known| !is_known(known, today))
        };
        let critical: Vec<Critical> = self
            .summary
            .results
            .iter()
            .filter(fails)
            .map(|case| Critical {
                id: case.id.clone(),
                expired: cases.get(case.id.as_str()).and_then(|c| Some(c.known_failure.as_ref()?.until)),
            })
            .collect();
        let mut figures: BTreeMap<Metric, Figure> = BTreeMap::new();
        for (name, figure) in &self.summary.metrics {
            if let Ok(metric) = name.parse::<Metric>() {
                figures.insert(metric, Figure { value: figure.value, cases: figure.cases });
            }
        }
        let of = suite.cases.iter().filter(|case| is_critical.contains(case.id.as_str())).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of cases")]
        figures.insert(Metric::CriticalFailures, Figure { value: critical.len() as f64, cases: of });
        let thresholds = judge_thresholds(&suite.thresholds, &figures);
        // Each of them is reported by itself.
        let allows_none = |result: &&ThresholdResult| {
            result.threshold.metric == Metric::CriticalFailures && result.threshold.max == Some(0.0)
        };
        let none_allowed = thresholds.iter().any(|result| allows_none(&result));
        let broken = thresholds.into_iter().filter(|result| !result.pass && !allows_none(&result)).collect();
        let comparison = served.map(|served| Comparison::of(&served.summary, &self.summary));
        let critical_regressions = comparison
            .iter()
            .flat_map(|comparison| &comparison.critical_regressions)
            .filter(|id| cases.get(id.as_str()).is_none_or(|case| !is_known(case, today)))
            .cloned()
            .collect();
        Verdict {
            broken,
            critical: if none_allowed { critical } else { Vec::new() },
            comparison,
            critical_regressions,
        }
    }
}
