//! Spellings of the brand.

use super::{Issue, shown};
use crate::{config::Term, texts::Text};

/// Spellings that are not allowed, once for each field.
#[must_use]
pub fn terms(texts: &[Text<'_>], rules: &[Term]) -> Vec<Issue> {
    let mut out: Vec<Issue> = Vec::new();
    for text in texts {
        for rule in rules {
            for (spelling, pattern) in &rule.not {
                if !pattern.is_match(&text.text) {
                    continue;
                }
                let message =
                    format!("`{}` has the spelling `{spelling}`: \"{}\".", text.field, shown(&text.text));
                let help = match rule.spelling.as_str() {
                    "" => "remove it".to_owned(),
                    right => format!("write `{right}`"),
                };
                let issue = Issue::new("assisted-term", text.field, message, help);
                if !out.contains(&issue) {
                    out.push(issue);
                }
            }
        }
    }
    out
}
