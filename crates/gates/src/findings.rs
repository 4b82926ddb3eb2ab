use ashlar_model::{Digest, Finding, GateReport, Groups};

/// Findings are kept in order of their place, at most this many; the others are only counted.
const KEPT_MAX: usize = 5_000;

/// Collects findings in bounded memory, and groups them by cause. Which are kept does not depend on the order in which they
/// come.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    groups: Groups,
    errors: usize,
    total: usize,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.total += 1;
        self.errors += usize::from(finding.level == ashlar_model::Level::Error);
        self.groups.add(&finding);
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
        self.groups.merge(other.groups);
        self.cut();
        (self.total, self.errors) = (total, errors);
    }

    fn cut(&mut self) {
        let order =
            |f: &Finding| (std::cmp::Reverse(f.level), f.place.clone(), f.code.clone(), f.message.clone());
        self.kept.sort_by_cached_key(order);
        self.kept.truncate(KEPT_MAX);
    }

    /// How many findings of any level there are.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The report of a gate that ran.
    pub(crate) fn judged(mut self, gate: &str, inputs: Digest, summary: String) -> GateReport {
        self.cut();
        let total = self.total;
        let groups = self.groups.finish();
        let mut report = GateReport::judged(gate, inputs, summary, self.kept).with_groups(groups);
        report.findings_total = total;
        report
    }

    /// What a gate looked at and what it found, in one line: `12 links: 3 errors`, with the causes when they are fewer.
    pub(crate) fn summary(&self, what: &str) -> String {
        let causes = match self.groups.len() {
            n if n < self.total => format!(", {}", count(n, "cause", "causes")),
            _ => String::new(),
        };
        match (self.errors, self.total) {
            (0, 0) => format!("{what}: OK"),
            (0, n) => format!("{what}: {}{causes}", count(n, "warning", "warnings")),
            (n, all) if n == all => format!("{what}: {}{causes}", count(n, "error", "errors")),
            (n, all) => format!(
                "{what}: {}, {}{causes}",
                count(n, "error", "errors"),
                count(all - n, "warning", "warnings")
            ),
        }
    }
}

/// `1 entry`, `2 entries`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
