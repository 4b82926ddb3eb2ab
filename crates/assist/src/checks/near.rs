//! New entries beside those that are released: nearly the same, or hardly anything new.

use std::collections::HashMap;

use ashlar_retrieval::{near, text::Analyzer};
use serde_json::Value;

use super::Issue;
use crate::{config::Checks, texts::texts};

/// Released entries of a type and locale that one new entry is compared with, at most.
pub const NEAR_ENTRIES_MAX: usize = 5_000;
/// Terms of a run.
const RUN: usize = 3;
/// Runs of an entry that are compared.
const RUNS_MAX: usize = 4_000;

/// Entries of a type in one language that new ones are compared with.
pub struct Neighbours {
    analyzer: Analyzer,
    /// Each with the number of its runs.
    entries: Vec<(String, usize)>,
    /// Run → the entries that have it.
    runs: HashMap<u64, Vec<u32>>,
    /// Whether entries were left out.
    left_out: bool,
}

fn joined(entry: &Value) -> String {
    let texts = texts(entry, None);
    let texts: Vec<&str> = texts.iter().map(|text| text.text.as_ref()).collect();
    texts.join("\n\n")
}

impl Neighbours {
    /// None yet.
    #[must_use]
    pub fn new(locale: &str) -> Self {
        Self {
            analyzer: Analyzer::for_locale(locale),
            entries: Vec::new(),
            runs: HashMap::new(),
            left_out: false,
        }
    }

    /// Adds a released entry. Returns whether there is room for more.
    pub fn add(&mut self, name: impl Into<String>, entry: &Value) -> bool {
        self.left_out |= self.entries.len() >= NEAR_ENTRIES_MAX;
        if !self.left_out {
            self.put(name, entry);
        }
        !self.left_out
    }

    /// Adds an entry that was compared itself, so that those after it are compared with it.
    #[expect(clippy::cast_possible_truncation, reason = "a few thousand entries")]
    pub fn put(&mut self, name: impl Into<String>, entry: &Value) {
        let runs = near::shingles(&self.analyzer, &joined(entry), RUN, RUNS_MAX);
        let at = self.entries.len() as u32;
        self.entries.push((name.into(), runs.len()));
        for run in runs {
            self.runs.entry(run).or_default().push(at);
        }
    }

    /// The nearest of the entries to these runs with its similarity, and how many of the runs any of them has.
    #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
    fn nearest(&self, runs: &[u64]) -> (Option<(f64, &str)>, usize) {
        let mut common = vec![0_usize; self.entries.len()];
        let mut known = 0;
        for having in runs.iter().filter_map(|run| self.runs.get(run)) {
            known += 1;
            having.iter().for_each(|at| common[*at as usize] += 1);
        }
        let share = |(common, (_, of)): (&usize, &(String, usize))| {
            *common as f64 / (runs.len() + of - common).max(1) as f64
        };
        let best = common
            .iter()
            .zip(&self.entries)
            .map(|(common, entry)| (share((common, entry)), entry.0.as_str()))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        (best, known)
    }

    /// What is wrong with a new entry: it is nearly the same as one of these, has few words, or says hardly anything that others
    /// of the type do not say.
    #[must_use]
    pub fn compare(&self, entry: &Value, checks: &Checks) -> Vec<Issue> {
        let mut out = Vec::new();
        let text = joined(entry);
        let words = text.split_whitespace().count();
        if words < checks.words_min {
            let message =
                format!("The entry has {words} words; at least {} are asked for.", checks.words_min);
            let help = "add what readers need, or do not publish it";
            out.push(Issue::new("assisted-thin", "", message, help));
        }
        let runs = near::shingles(&self.analyzer, &text, RUN, RUNS_MAX);
        let (best, known) = self.nearest(&runs);
        if let Some((share, other)) =
            best.filter(|(share, _)| *share >= checks.similarity && !runs.is_empty())
        {
            let message = format!(
                "The entry is nearly the same as {other} ({:.0} % of its three-word runs).",
                share * 100.0
            );
            let help = format!("publish less: change {other} instead, or say what only this entry says");
            out.push(Issue::new("assisted-near-duplicate", "", message, help));
            return out;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of runs")]
        let unique = match runs.len() {
            0 => 1.0,
            n => (n - known) as f64 / n as f64,
        };
        if unique < checks.unique_min {
            let message = format!(
                "Only {:.0} % of the entry is not said by other entries of its type; at least {:.0} % are asked for.",
                unique * 100.0,
                checks.unique_min * 100.0
            );
            out.push(Issue::new("assisted-thin", "", message, "publish less: say what only this entry says"));
        }
        if self.left_out {
            let message = format!(
                "The entry was compared with {NEAR_ENTRIES_MAX} entries of its type; there are more."
            );
            out.push(Issue::new(
                "assisted-compared-in-part",
                "",
                message,
                "let a person look for similar entries",
            ));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_already_is_not_new() {
        let mut released = Neighbours::new("en");
        released.add("faq/cranes (en)", &json!({"question": "Which cranes are there?", "answer": "There are two quay cranes, and both lift forty tonnes in calm weather."}));
        let checks = Checks { words_min: 5, ..Checks::default() };
        let codes = |entry: Value| -> Vec<&str> {
            released.compare(&entry, &checks).iter().map(|issue| issue.code).collect()
        };
        let same = json!({"question": "Which cranes are there?", "answer": "There are two quay cranes, and both lift forty tonnes in calm weather!"});
        assert_eq!(codes(same), ["assisted-near-duplicate"]);
        assert_eq!(codes(json!({"answer": "Pilots wait here."})), ["assisted-thin"]);
        let part = json!({"answer": "Both lift forty tonnes in calm weather."});
        assert_eq!(codes(part), ["assisted-thin"]);
        assert_eq!(
            codes(json!({"answer": "Pilots are ordered by radio a day before the ship arrives."})),
            [""; 0]
        );
        // One that was compared is one of those that the next ones are compared with.
        let new = json!({"answer": "Pilots are ordered by radio a day before the ship arrives."});
        assert!(released.compare(&new, &checks).is_empty());
        released.put("faq/pilots (en)", &new);
        let found = released.compare(&new, &checks);
        assert!(found[0].message.contains("faq/pilots (en) (100 %"), "{found:?}");
    }
}
