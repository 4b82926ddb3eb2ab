use std::collections::{BTreeMap, btree_map::Entry};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; the gate can still pass.
    Warning,
    /// The gate fails.
    #[default]
    Error,
}

/// One thing a check found: what was wrong, where, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A stable kebab-case code, such as `reference-missing`.
    pub code: String,
    /// How much it weighs.
    #[serde(default)]
    pub level: Level,
    /// The place: `contracts/page.v1.json:12 /properties/title` for files, `page/home (en) /title` for entries.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong, as a sentence.
    pub message: String,
    /// The next thing to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// What it is about, when the same cause shows in many places: the path that a link leads to, the entry that a reference
    /// names. Findings with the same code and target are one group; without a target, those with the same message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
}

/// One cause with everywhere it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingGroup {
    /// The code of its findings.
    pub code: String,
    /// How much they weigh.
    #[serde(default)]
    pub level: Level,
    /// What they are about; empty when the message alone says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// What is wrong: the message of the first.
    pub message: String,
    /// How to fix it: the help of the first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// How many places there are.
    pub count: usize,
    /// The first of them, at most [`FindingGroup::PLACES_MAX`].
    #[serde(rename = "where")]
    pub places: Vec<String>,
}

impl FindingGroup {
    /// The most places a group lists.
    pub const PLACES_MAX: usize = 5;

    fn of(finding: &Finding) -> Self {
        Self {
            code: finding.code.clone(),
            level: finding.level,
            target: finding.target.clone(),
            message: finding.message.clone(),
            help: finding.help.clone(),
            count: 1,
            places: vec![finding.place.clone()],
        }
    }

    fn add(&mut self, finding: &Finding) {
        self.count += 1;
        let first = (self.places.first(), &self.message);
        if (Some(&finding.place), &finding.message) < first {
            self.message.clone_from(&finding.message);
            self.help.clone_from(&finding.help);
        }
        if let Err(at) = self.places.binary_search(&finding.place)
            && at < Self::PLACES_MAX
        {
            self.places.insert(at, finding.place.clone());
            self.places.truncate(Self::PLACES_MAX);
        }
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        if (other.places.first(), &other.message) < (self.places.first(), &self.message) {
            (self.message, self.help) = (other.message, other.help);
        }
        self.places.extend(other.places);
        self.places.sort_unstable();
        self.places.dedup();
        self.places.truncate(Self::PLACES_MAX);
    }
}

/// Gathers findings into groups, in bounded memory. What comes out does not depend on the order in which they come.
#[derive(Debug, Default)]
pub struct Groups {
    // Errors come first, so that they are the last to be left out.
    kept: BTreeMap<(std::cmp::Reverse<Level>, String, String), FindingGroup>,
}

impl Groups {
    /// Groups that are kept while findings come in. Those left out come last in order of their key, so that one which is
    /// kept at the end was never left out before, and its count is right.
    const KEPT_MAX: usize = 5_000;

    /// Adds a finding to its group.
    pub fn add(&mut self, finding: &Finding) {
        let about = if finding.target.is_empty() { &finding.message } else { &finding.target };
        let key = (std::cmp::Reverse(finding.level), finding.code.clone(), about.clone());
        match self.kept.entry(key) {
            Entry::Occupied(mut group) => group.get_mut().add(finding),
            Entry::Vacant(place) => {
                place.insert(FindingGroup::of(finding));
                self.cut();
            }
        }
    }

    /// Adds the groups of another.
    pub fn merge(&mut self, other: Self) {
        for (key, group) in other.kept {
            match self.kept.entry(key) {
                Entry::Occupied(mut here) => here.get_mut().merge(group),
                Entry::Vacant(place) => drop(place.insert(group)),
            }
        }
        self.cut();
    }

    /// How many groups there are, as far as they are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn cut(&mut self) {
        while self.kept.len() > Self::KEPT_MAX {
            self.kept.pop_last();
        }
    }

    /// The groups, errors first, in order of their first place.
    pub fn finish(self) -> Vec<FindingGroup> {
        let mut groups: Vec<FindingGroup> = self.kept.into_values().collect();
        groups.sort_by(|a, b| (b.level, &a.places).cmp(&(a.level, &b.places)));
        groups
    }
}

/// The groups of findings, errors first, in order of their first place.
pub fn grouped<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<FindingGroup> {
    let mut groups = Groups::default();
    findings.into_iter().for_each(|f| groups.add(f));
    groups.finish()
}

impl Finding {
    /// A finding that fails its gate.
    pub fn error(code: &str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            level: Level::Error,
            place: place.into(),
            message: message.into(),
            help: String::new(),
            target: String::new(),
        }
    }

    /// A finding that does not fail its gate.
    pub fn warning(code: &str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, place, message) }
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Adds what it is about.
    #[must_use]
    pub fn about(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }
}

/// The verdict of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateStatus {
    /// No finding of level error.
    Pass,
    /// At least one finding of level error.
    Fail,
    /// Failed, and let through by a named person with a reason.
    Waived,
    /// The gate could not run; it has not passed.
    Error,
}

impl GateStatus {
    /// Whether a candidate may be promoted past this gate.
    pub fn lets_through(self) -> bool {
        matches!(self, Self::Pass | Self::Waived)
    }
}

/// Who let a failed gate through, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    /// The person.
    pub by: String,
    /// Their reason.
    pub reason: String,
    /// When, in RFC 3339.
    pub at: String,
}

/// What a gate found: the evidence that is attached to a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateReport {
    /// The gate, such as `references`.
    pub gate: String,
    /// Its verdict.
    pub status: GateStatus,
    /// One line for people.
    pub summary: String,
    /// What it found, at most [`GateReport::FINDINGS_MAX`], errors first.
    pub findings: Vec<Finding>,
    /// How many there were before the list was cut.
    pub findings_total: usize,
    /// The same findings by cause, errors first: each with how many places it has and the first of them. At most
    /// [`GateReport::GROUPS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<FindingGroup>,
    /// How many groups there were before the list was cut.
    #[serde(default)]
    pub groups_total: usize,
    /// Figures by name; the unit is the last part of the name.
    pub metrics: BTreeMap<String, f64>,
    /// The digest of everything the verdict depends on: same inputs, same result.
    pub inputs: Digest,
    /// How long it took, in milliseconds; that of the first run when answered from evidence.
    pub duration_ms: f64,
    /// Whether it was answered from evidence.
    #[serde(default)]
    pub from_evidence: bool,
    /// Set when the status is waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

impl GateReport {
    /// The most findings a report lists.
    pub const FINDINGS_MAX: usize = 1000;
    /// The most groups a report lists.
    pub const GROUPS_MAX: usize = 200;

    /// The report of a gate that ran: it passes when no finding has level error. Findings are ordered and cut here.
    pub fn judged(
        gate: &str,
        inputs: Digest,
        summary: impl Into<String>,
        mut findings: Vec<Finding>,
    ) -> Self {
        findings.sort_by_key(|f| std::cmp::Reverse(f.level));
        let failed = findings.first().is_some_and(|f| f.level == Level::Error);
        let findings_total = findings.len();
        let groups = grouped(&findings);
        findings.truncate(Self::FINDINGS_MAX);
        Self {
            gate: gate.to_owned(),
            status: if failed { GateStatus::Fail } else { GateStatus::Pass },
            summary: summary.into(),
            findings,
            findings_total,
            groups: Vec::new(),
            groups_total: 0,
            metrics: BTreeMap::new(),
            inputs,
            duration_ms: 0.0,
            from_evidence: false,
            waiver: None,
        }
        .with_groups(groups)
    }

    /// With these groups instead of its own, as many as it may have.
    #[must_use]
    pub fn with_groups(mut self, mut groups: Vec<FindingGroup>) -> Self {
        self.groups_total = groups.len();
        groups.truncate(Self::GROUPS_MAX);
        self.groups = groups;
        self
    }

    /// Evidence of earlier versions has no groups: they are made of the findings that it lists.
    #[must_use]
    pub fn regrouped(self) -> Self {
        match self.groups.is_empty() && !self.findings.is_empty() {
            true => {
                let groups = grouped(&self.findings);
                self.with_groups(groups)
            }
            false => self,
        }
    }

    /// The report of a gate that was not run because what it needs is broken, which another gate reports. It has not passed.
    pub fn blocked(gate: &str, inputs: Digest, status: GateStatus, why: &str) -> Self {
        let mut report = Self::judged(gate, inputs, format!("not run: {why}"), Vec::new());
        report.status = status;
        report
    }

    /// The report of a gate that could not run.
    pub fn could_not_run(gate: &str, inputs: Digest, why: impl Into<String>) -> Self {
        let why = why.into();
        let mut report =
            Self::judged(gate, inputs, why.clone(), vec![Finding::error("gate-error", gate, why)]);
        report.status = GateStatus::Error;
        report
    }

    /// Adds a figure.
    #[must_use]
    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.metrics.insert(name.to_owned(), value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_count_places_whatever_the_order() {
        let mut findings: Vec<Finding> = (0..900)
            .map(|n| {
                let (from, to) = (format!("page/p{n:03} (en) /body"), format!("/gone-{}", n % 3));
                Finding::error("link-broken", from, format!("A link to {to} in {n}.")).about(to)
            })
            .collect();
        findings.push(Finding::warning("old", "a", "It is old."));
        findings.push(Finding::error("invalid", "b", "It is wrong.").help("fix it"));
        findings.push(Finding::error("invalid", "c", "It is wrong."));
        let groups = grouped(&findings);
        let short: Vec<_> = groups.iter().map(|g| (g.code.as_str(), g.target.as_str(), g.count)).collect();
        assert_eq!(
            short,
            [
                ("invalid", "", 2),
                ("link-broken", "/gone-0", 300),
                ("link-broken", "/gone-1", 300),
                ("link-broken", "/gone-2", 300),
                ("old", "", 1)
            ]
        );
        assert_eq!(
            (groups[0].help.as_str(), &groups[0].places),
            ("fix it", &vec!["b".to_owned(), "c".to_owned()])
        );
        assert_eq!(groups[1].places.len(), FindingGroup::PLACES_MAX);
        assert_eq!(groups[1].message, "A link to /gone-0 in 0.");
        findings.reverse();
        assert_eq!(grouped(&findings), groups);
        let (one, two) = findings.split_at(400);
        let mut merged = Groups::default();
        for part in [two, one] {
            let mut groups = Groups::default();
            part.iter().for_each(|f| groups.add(f));
            merged.merge(groups);
        }
        assert_eq!(merged.finish(), groups);
    }

    #[test]
    fn groups_that_are_kept_have_exact_counts() {
        let mut groups = Groups::default();
        for round in 0..2 {
            for n in (0..8_000).rev() {
                let target = format!("{n:05}");
                groups.add(&Finding::error("x", format!("{round}"), "m").about(target));
            }
        }
        let groups = groups.finish();
        assert_eq!(groups.len(), 5_000);
        assert!(groups.iter().all(|g| g.count == 2));
    }
}
