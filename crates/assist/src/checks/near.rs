//! New entries beside those that are released: nearly the same, or hardly anything new.

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

/// Released entries of a type in one language.
pub struct Neighbours {
    analyzer: Analyzer,
    entries: Vec<(String, Vec<u64>)>,
    /// Entries that were left out.
    left_out: usize,
}

fn joined(entry: &Value) -> String {
    let texts: Vec<&str> = texts(entry, None).iter().map(|text| text.text).collect();
    texts.join("\n\n")
}

impl Neighbours {
    /// None yet.
    #[must_use]
    pub fn new(locale: &str) -> Self {
        Self { analyzer: Analyzer::for_locale(locale), entries: Vec::new(), left_out: 0 }
    }

    /// Adds a released entry. Returns whether there is room for more.
    pub fn add(&mut self, name: impl Into<String>, entry: &Value) -> bool {
        if self.entries.len() == NEAR_ENTRIES_MAX {
            self.left_out += 1;
            return false;
        }
        let runs = near::shingles(&self.analyzer, &joined(entry), RUN, RUNS_MAX);
        self.entries.push((name.into(), runs));
        true
    }

    /// What is wrong with a new entry: it is nearly the same as one that is released, has few words, or says hardly anything that others
    /// of the type do not say.
    #[must_use]
    pub fn compare(&self, name: &str, entry: &Value, checks: &Checks) -> Vec<Issue> {
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
        let others = || self.entries.iter().filter(|(other, _)| other != name);
        let best = others().map(|(other, theirs)| (near::similarity(&runs, theirs), other));
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0));
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
        let known =
            runs.iter().filter(|run| others().any(|(_, theirs)| theirs.binary_search(run).is_ok())).count();
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
        if self.left_out > 0 {
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
            released.compare("faq/new (en)", &entry, &checks).iter().map(|issue| issue.code).collect()
        };
        let same = json!({"question": "Which cranes are there?", "answer": "There are two quay cranes, and both lift forty tonnes in calm weather!"});
        assert_eq!(codes(same.clone()), ["assisted-near-duplicate"]);
        assert_eq!(codes(json!({"answer": "Pilots wait here."})), ["assisted-thin"]);
        let part = json!({"answer": "Both lift forty tonnes in calm weather."});
        assert_eq!(codes(part), ["assisted-thin"]);
        assert_eq!(
            codes(json!({"answer": "Pilots are ordered by radio a day before the ship arrives."})),
            [""; 0]
        );
        // An entry is not compared with itself.
        assert!(released.compare("faq/cranes (en)", &same, &checks).is_empty());
    }
}
