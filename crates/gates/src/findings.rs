use ashlar_model::{Digest, Finding, GateReport};

/// Findings are kept in order of their place, at most this many; the others are only counted.
const KEPT_MAX: usize = 5_000;

/// Collects findings in bounded memory. Which are kept does not depend on the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    errors: usize,
    total: usize,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.total += 1;
        self.errors += usize::from(finding.level == ashlar_model::Level::Error);
        self.kept.push(finding);
        if self.kept.len() > 2 * KEPT_MAX {
            self.cut();
        }
    }

    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|f| self.push(f));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        let (total, errors) = (self.total + other.total, self.errors + other.errors);
        self.kept.extend(other.kept);
        self.cut();
        (self.total, self.errors) = (total, errors);
    }

    fn cut(&mut self) {
        let order =
            |f: &Finding| (std::cmp::Reverse(f.level), f.place.clone(), f.code.clone(), f.message.clone());
        self.kept.sort_by_cached_key(order);
        self.kept.truncate(KEPT_MAX);
    }

    /// How many errors there are.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// How many findings of any level there are.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The report of a gate that ran.
    pub(crate) fn judged(mut self, gate: &str, inputs: Digest, summary: String) -> GateReport {
        self.cut();
        let total = self.total;
        let mut report = GateReport::judged(gate, inputs, summary, self.kept);
        report.findings_total = total;
        report
    }
}

/// `1 entry`, `2 entries`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
