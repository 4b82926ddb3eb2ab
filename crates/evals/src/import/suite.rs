//! Imported cases as the files of a suite.

use std::collections::HashSet;

use ashlar_model::{Finding, Level};
use toml::{Table, Value, map::Map};

use super::Imported;
use crate::figures::Metric;
use crate::suite::{FOLDER, Suite, near_duplicates, read_cases};

/// What the other tool does not know about a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The name of the suite.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// The feature that calls belong to.
    pub feature: String,
    /// The file that was imported.
    pub from: String,
}

/// A suite as files of a project. The reader of suites accepts them.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// `NAME.toml`.
    pub toml: String,
    /// `NAME.jsonl`.
    pub jsonl: String,
    /// How many cases it has.
    pub cases: usize,
    /// What was not taken over, or not exactly. An error means that an assertion or a case is missing.
    pub findings: Vec<Finding>,
}

impl Imported {
    /// The files of a suite. Cases that a suite cannot have are left out and reported.
    ///
    /// # Errors
    /// Everything that is wrong, when no case is left or the suite cannot have such a name, owner or feature.
    pub fn into_suite(mut self, about: &About) -> Result<Files, Vec<Finding>> {
        let (mut jsonl, mut count, mut ids) = (String::new(), 0, HashSet::new());
        let mut left_out = Vec::new();
        for case in &self.cases {
            let line = case.to_string();
            let id = case["id"].as_str().unwrap_or_default();
            let place = case["source"].as_str().unwrap_or(&about.from);
            let (_, wrong) = read_cases(place, line.as_bytes());
            if let Some(wrong) = wrong.first() {
                let message = format!("The case `{id}` is left out. {}", wrong.message);
                left_out.push(Finding::error("import-case", place, message).help(wrong.help.clone()));
            } else if !ids.insert(id.to_owned()) {
                let message = format!("The case `{id}` is left out, because another one has this id.");
                left_out
                    .push(Finding::error("import-case", place, message).help("name the tests differently"));
            } else {
                jsonl.push_str(&line);
                jsonl.push('\n');
                count += 1;
            }
        }
        left_out.into_iter().for_each(|finding| self.note(finding));
        let toml = self.toml(about);
        let suite = Suite::read_toml(&about.name, toml.as_bytes());
        let mut wrong: Vec<Finding> = suite.err().unwrap_or_default();
        if count == 0 {
            wrong.append(&mut self.findings);
            let message = "The file has no case that can be imported.";
            wrong.push(
                Finding::error("import-empty", about.from.clone(), message).help("see the other findings"),
            );
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let path = format!("{FOLDER}/{}.jsonl", about.name);
        let (cases, _) = read_cases(&path, jsonl.as_bytes());
        for finding in near_duplicates(&path, &cases) {
            self.note(Finding { level: Level::Warning, ..finding });
        }
        Ok(Files { toml, jsonl, cases: count, findings: self.findings })
    }

    fn toml(&self, about: &About) -> String {
        let text = |text: &str| Value::String(text.to_owned());
        let mut out = Table::from_iter([
            ("description".to_owned(), text(&format!("Imported from {}.", about.from))),
            ("owner".to_owned(), text(&about.owner)),
            ("feature".to_owned(), text(&about.feature)),
        ]);
        if let Some(samples) = self.samples.filter(|samples| *samples > 1) {
            out.insert("samples".to_owned(), Value::Integer(samples.into()));
        }
        let bound = |name: &str, at: f64| Value::Table(Map::from_iter([(name.to_owned(), Value::Float(at))]));
        let greatest = self.thresholds.iter().map(|(name, most)| ((*name).to_owned(), bound("max", *most)));
        let least = self.least_passed.map(|least| (Metric::PassRate.name().to_owned(), bound("min", least)));
        let thresholds: Map<String, Value> = greatest.chain(least).collect();
        if !thresholds.is_empty() {
            out.insert("thresholds".to_owned(), Value::Table(thresholds));
        }
        out.to_string()
    }
}
