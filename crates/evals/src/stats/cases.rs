//! What became of each case, beside the averages: an average hides a case that always fails.

use serde::Serialize;

/// The verdicts of one case in two runs: one per sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaseRuns {
    /// The id of the case.
    pub id: String,
    /// Whether each sample of the baseline passed. Empty when the baseline does not have the case.
    pub baseline: Vec<bool>,
    /// Whether each sample of the candidate passed. Empty when it could not be asked, which is never a pass.
    pub candidate: Vec<bool>,
    /// Whether it must never fail.
    pub critical: bool,
    /// Whether it is in quarantine: reported, and not counted.
    pub quarantined: bool,
}

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseChange {
    /// Passed in all samples of the baseline and fails in all of the candidate. Always shown, also when the averages are fine.
    Broken,
    /// The candidate has no sample: it could not be asked.
    Missing,
    /// Passes in some samples of the candidate and fails in others.
    Unstable,
    /// Fails in all samples of the candidate, and failed in some of the baseline, or the baseline does not have it.
    Failing,
    /// Failed in some samples of the baseline and passes in all of the candidate.
    Fixed,
    /// Passes in all samples of the candidate; nothing in the baseline failed.
    Passing,
}

/// What became of a case.
#[must_use]
pub fn change_of(case: &CaseRuns) -> CaseChange {
    let all = |verdicts: &[bool]| verdicts.iter().all(|passed| *passed);
    let none = |verdicts: &[bool]| verdicts.iter().all(|passed| !*passed);
    if case.candidate.is_empty() {
        CaseChange::Missing
    } else if all(&case.candidate) {
        if all(&case.baseline) { CaseChange::Passing } else { CaseChange::Fixed }
    } else if !none(&case.candidate) {
        CaseChange::Unstable
    } else if !case.baseline.is_empty() && all(&case.baseline) {
        CaseChange::Broken
    } else {
        CaseChange::Failing
    }
}

/// The cases of a run, by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CaseSummary {
    /// Cases that broke, in order. Those in quarantine are not here.
    pub broken: Vec<String>,
    /// Critical cases that fail in any sample or could not be asked. A threshold of 0 is usual. Those in quarantine are not here.
    pub critical: Vec<String>,
    /// Critical cases that fail in any sample and passed in all of the baseline.
    pub critical_regressions: Vec<String>,
    /// Cases whose samples disagree: candidates for quarantine.
    pub unstable: Vec<String>,
    /// Cases that were fixed.
    pub fixed: Vec<String>,
    /// Cases without a sample.
    pub missing: Vec<String>,
    /// Cases in quarantine that did not pass in all samples.
    pub quarantined: Vec<String>,
}

/// Sorts the cases of a run by what became of them.
#[must_use]
pub fn summarise(cases: &[CaseRuns]) -> CaseSummary {
    let mut out = CaseSummary::default();
    for case in cases {
        let change = change_of(case);
        let passes = matches!(change, CaseChange::Passing | CaseChange::Fixed);
        let id = || case.id.clone();
        if case.quarantined {
            if !passes {
                out.quarantined.push(id());
            }
            continue;
        }
        if case.critical && !passes {
            out.critical.push(id());
            if !case.baseline.is_empty() && case.baseline.iter().all(|passed| *passed) {
                out.critical_regressions.push(id());
            }
        }
        match change {
            CaseChange::Broken => out.broken.push(id()),
            CaseChange::Unstable => out.unstable.push(id()),
            CaseChange::Fixed => out.fixed.push(id()),
            CaseChange::Missing => out.missing.push(id()),
            CaseChange::Failing | CaseChange::Passing => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn case(id: &str, baseline: &[bool], candidate: &[bool]) -> CaseRuns {
        CaseRuns {
            id: id.to_owned(),
            baseline: baseline.to_vec(),
            candidate: candidate.to_vec(),
            ..CaseRuns::default()
        }
    }

    #[test]
    fn each_case_has_one_fate() {
        let of = |baseline: &[bool], candidate: &[bool]| change_of(&case("a", baseline, candidate));
        assert_eq!(of(&[true, true], &[false, false]), CaseChange::Broken);
        assert_eq!(of(&[true, false], &[false, false]), CaseChange::Failing);
        assert_eq!(of(&[], &[false]), CaseChange::Failing);
        assert_eq!(of(&[true], &[true, false]), CaseChange::Unstable);
        assert_eq!(of(&[false], &[true]), CaseChange::Fixed);
        assert_eq!(of(&[], &[true]), CaseChange::Passing);
        assert_eq!(of(&[true], &[]), CaseChange::Missing);
    }

    #[test]
    fn critical_cases_count_apart_and_quarantine_excuses() {
        let critical = |case: CaseRuns| CaseRuns { critical: true, ..case };
        let cases = [
            critical(case("price", &[true, true], &[true, false])),
            critical(case("refund", &[], &[])),
            critical(case("fine", &[true], &[true])),
            CaseRuns { quarantined: true, ..critical(case("flaky", &[true], &[false])) },
            case("broken", &[true], &[false]),
        ];
        let found = summarise(&cases);
        assert_eq!(found.critical, ["price", "refund"]);
        assert_eq!(found.critical_regressions, ["price"]);
        assert_eq!(found.broken, ["broken"]);
        assert_eq!(found.quarantined, ["flaky"]);
        assert_eq!((found.unstable, found.missing), (vec!["price".to_owned()], vec!["refund".to_owned()]));
    }

    proptest! {
        /// However many cases pass, one that broke is shown.
        #[test]
        fn a_broken_case_is_always_shown(passing in 0_usize..500, at in 0_usize..500, samples in 1_usize..5) {
            let mut cases = vec![case("fine", &[true], &[true]); passing];
            cases.insert(at.min(passing), case("broken", &vec![true; samples], &vec![false; samples]));
            prop_assert_eq!(summarise(&cases).broken, ["broken"]);
        }
    }
}
