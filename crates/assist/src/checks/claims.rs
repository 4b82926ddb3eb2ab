//! Whether a text says only what its sources say.

use ashlar_gateway::{
    ground::{Demand, Source, check},
    prompts::Rule,
};

use super::{Issue, shown};
use crate::texts::Text;

/// The most sentences of an entry that are reported.
const REPORTED_MAX: usize = 50;

/// A released text that claims are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The entry: `plan/pro (en)`.
    pub entry: String,
    /// What it says.
    pub text: String,
}

/// Sentences that no source supports. The comparison is that of grounded answers ([`ashlar_gateway::ground`]): lexical, so that another
/// wording of the same is reported as well.
#[must_use]
pub fn claims(texts: &[Text<'_>], passages: &[Passage], locale: &str) -> Vec<Issue> {
    let sources: Vec<Source> = passages
        .iter()
        .map(|passage| Source {
            title: passage.entry.clone(),
            text: passage.text.clone(),
            ..Source::default()
        })
        .collect();
    let mut out = Vec::new();
    for text in texts {
        if sources.is_empty() {
            // Without sources nothing can be compared, and nothing that claims something passes.
            if text.text.split_whitespace().count() > 2 {
                let message =
                    format!("No released source is known for `{}`: \"{}\".", text.field, shown(text.text));
                let help = "write it again with sources (`--from TYPE/ID`), or let a person check it and waive the gate";
                out.push(Issue::new("assisted-unsupported", text.field, message, help));
            }
        } else {
            let demand = Demand { rule: Rule::Drop, citations: false, locale };
            let grounded = check(text.text, &sources, demand);
            if let Some(refusal) =
                grounded.refusal.as_ref().filter(|refusal| refusal.code == "answer_too_long")
            {
                let help = "shorten the text, or split the entry";
                out.push(Issue::new("assisted-not-compared", text.field, refusal.message.clone(), help));
            }
            for sentence in grounded.sentences.iter().filter(|sentence| !sentence.is_supported()) {
                let said = text.text.get(sentence.range.clone()).unwrap_or_default();
                let near = match sentence.source.checked_sub(1).and_then(|at| passages.get(at)) {
                    Some(passage) => format!(" The nearest source is {}.", passage.entry),
                    None => String::new(),
                };
                let message = format!("No released source says this: \"{}\".{near}", shown(said));
                let help = "correct or remove the sentence, or release the source that says so first";
                out.push(Issue::new("assisted-unsupported", text.field, message, help));
            }
        }
        if out.len() >= REPORTED_MAX {
            out.truncate(REPORTED_MAX);
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(said: &str, passages: &[Passage]) -> Vec<String> {
        let issues = claims(&[Text { field: "answer", text: said }], passages, "en");
        issues.into_iter().map(|issue| format!("{} {}", issue.code, issue.message)).collect()
    }

    #[test]
    fn a_sentence_that_no_source_says_is_named() {
        let basin = Passage {
            entry: "plan/basin (en)".to_owned(),
            text: "The Basin plan costs 149 EUR each month.\n\nThe Basin plan includes twelve berths."
                .to_owned(),
        };
        assert_eq!(found("The Basin plan includes twelve berths.", std::slice::from_ref(&basin)), [""; 0]);
        assert_eq!(
            found("The Basin plan includes twelve berths. The Basin plan costs 49 EUR each month.", &[basin]),
            [
                "assisted-unsupported No released source says this: \"The Basin plan costs 49 EUR each month.\"."
            ]
        );
        assert_eq!(found("The Basin plan is the best of all.", &[]).len(), 1);
    }
}
