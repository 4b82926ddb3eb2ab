//! `governance.toml`: who has which approval right, accepted contract changes, waivers.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{Digest, Files, Finding, Waiver};
use serde::Deserialize;

use crate::{
    text::decode,
    toml_text::{line_of_table, typed_text},
};

/// The file's name.
pub const FILE: &str = "governance.toml";

/// An accepted unknown, semantic or breaking contract change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The digest of the change, as the gate prints it.
    pub change: Digest,
    /// Who accepted it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A failed gate that is let through until a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingWaiver {
    /// The gate.
    pub gate: String,
    /// Who let it through.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last day (UTC) on which the waiver applies; without one it applies until it is removed.
    pub until: Option<jiff::civil::Date>,
}

/// What `governance.toml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Governance {
    /// Approval right → holders, `owner:<name>` among them. A right that is absent names no holders.
    pub approvers: BTreeMap<String, BTreeSet<String>>,
    /// Accepted contract changes.
    pub accepts: Vec<Accept>,
    /// Standing waivers.
    pub waivers: Vec<StandingWaiver>,
    /// Whether contracts may do without an owner.
    pub owner_optional: bool,
    /// Person → the names of their keys.
    pub people: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    people: BTreeMap<String, Keys>,
    approvals: BTreeMap<String, People>,
    owners: BTreeMap<String, People>,
    accept: Vec<RawAccept>,
    waiver: Vec<RawWaiver>,
    contracts: RawContracts,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawContracts {
    owner_optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct People {
    people: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccept {
    change: Digest,
    by: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWaiver {
    gate: String,
    by: String,
    reason: String,
    until: Option<toml::value::Datetime>,
}

impl Governance {
    /// Reads `governance.toml`; a project without one declares nothing.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(files: &Files) -> Result<Self, Vec<Finding>> {
        let Some(bytes) = files.get(FILE) else { return Ok(Self::default()) };
        let text = decode(FILE, bytes).map_err(|f| vec![f])?;
        let raw: Raw = typed_text(FILE, text).map_err(|f| vec![f])?;
        let mut findings = Vec::new();
        let mut named = |table: &str, index: usize, by: &str, reason: &str| {
            for (what, value) in [("by", by), ("reason", reason)] {
                if value.trim().is_empty() {
                    let line = line_of_table(text, table, index);
                    findings.push(Finding::error(
                        "governance",
                        format!("{FILE}:{line}"),
                        format!("`{what}` is empty; a person and a reason are required."),
                    ));
                }
            }
        };
        let mut approvers: BTreeMap<String, BTreeSet<String>> =
            raw.approvals.into_iter().map(|(right, p)| (right, p.people)).collect();
        approvers.extend(raw.owners.into_iter().map(|(owner, p)| (format!("owner:{owner}"), p.people)));
        for (i, a) in raw.accept.iter().enumerate() {
            named("accept", i, &a.by, &a.reason);
        }
        for (i, w) in raw.waiver.iter().enumerate() {
            named("waiver", i, &w.by, &w.reason);
        }
        let accepts =
            raw.accept.into_iter().map(|a| Accept { change: a.change, by: a.by, reason: a.reason }).collect();
        let mut waivers = Vec::new();
        for (i, w) in raw.waiver.into_iter().enumerate() {
            let until = match w.until.map(|d| d.to_string()) {
                None => None,
                Some(text_date) => match text_date.get(..10).and_then(|d| d.parse().ok()) {
                    Some(date) => Some(date),
                    None => {
                        let line = line_of_table(text, "waiver", i);
                        findings.push(
                            Finding::error(
                                "governance",
                                format!("{FILE}:{line}"),
                                format!("`until = {text_date}` is not a day."),
                            )
                            .help("write a date such as 2027-01-01"),
                        );
                        None
                    }
                },
            };
            waivers.push(StandingWaiver { gate: w.gate, by: w.by, reason: w.reason, until });
        }
        match findings.is_empty() {
            true => {
                let people = raw.people.into_iter().map(|(person, raw)| (person, raw.keys)).collect();
                let owner_optional = raw.contracts.owner_optional;
                Ok(Self { approvers, accepts, waivers, owner_optional, people })
            }
            false => Err(findings),
        }
    }

    /// The waiver for `gate` that applies on `today` (UTC).
    pub fn waiver(&self, gate: &str, today: jiff::civil::Date) -> Option<&StandingWaiver> {
        self.waivers.iter().find(|w| w.gate == gate && w.until.is_none_or(|until| today <= until))
    }

    /// The same as a gate's report shows it.
    pub fn waived(&self, gate: &str, today: jiff::civil::Date) -> Option<Waiver> {
        self.waiver(gate, today).map(|w| Waiver {
            by: w.by.clone(),
            reason: w.reason.clone(),
            at: w.until.map_or_else(
                || "governance.toml".to_owned(),
                |until| format!("governance.toml, until {until}"),
            ),
        })
    }

    /// Whether the contract change with this digest was accepted, and by whom.
    pub fn accepted(&self, change: &Digest) -> Option<&Accept> {
        self.accepts.iter().find(|a| a.change == *change)
    }

    /// A name with all other names of the same person.
    pub fn names_of(&self, name: &str) -> BTreeSet<String> {
        let of = |(person, keys): &(&String, &BTreeSet<String>)| *person == name || keys.contains(name);
        let same = self.people.iter().filter(of).flat_map(|(person, keys)| keys.iter().chain([person]));
        same.cloned().chain([name.to_owned()]).collect()
    }

    /// Whether `governance.toml` names somebody as a holder of `right`. A right without declared holders has none.
    pub fn names(&self, right: &str, person: &str) -> bool {
        self.approvers.get(right).is_some_and(|people| people.contains(person))
    }

    /// Whether `person` may use `right`: they are among its holders, or no holders are declared.
    pub fn holds(&self, right: &str, person: &str) -> bool {
        self.approvers.get(right).is_none_or(|people| people.contains(person))
    }
}
