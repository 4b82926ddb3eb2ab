//! Whether a text says only what its sources say.

use ashlar_gateway::{
    ground::{Demand, Source, check},
    prompts::Rule,
};

use ashlar_retrieval::text::Analyzer;

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
/// wording of the same is reported as well. At most 50 passages are compared.
#[must_use]
pub fn claims(texts: &[Text<'_>], passages: &[Passage], locale: &str) -> Vec<Issue> {
    if passages.is_empty() {
        return unsourced(texts, locale);
    }
    let sources: Vec<Source> = passages
        .iter()
        .map(|passage| Source {
            title: passage.entry.clone(),
            text: passage.text.clone(),
            ..Source::default()
        })
        .collect();
    // Each text is a paragraph, so no sentence goes on in the next one. The sources are read once.
    let mut whole = String::new();
    let mut starts = Vec::with_capacity(texts.len());
    for text in texts {
        starts.push(whole.len());
        whole.push_str(&text.text);
        whole.push_str("\n\n");
    }
    let grounded = check(&whole, &sources, Demand { rule: Rule::Drop, citations: false, locale });
    if let Some(refusal) = grounded.refusal.as_ref().filter(|refusal| refusal.code == "answer_too_long") {
        let help = "shorten the texts, or split the entry";
        return vec![Issue::new("assisted-not-compared", "", refusal.message.clone(), help)];
    }
    let mut out = Vec::new();
    for sentence in grounded.sentences.iter().filter(|sentence| !sentence.is_supported()).take(REPORTED_MAX) {
        let said = whole.get(sentence.range.clone()).unwrap_or_default();
        let near = match sentence.source.checked_sub(1).and_then(|at| passages.get(at)) {
            Some(passage) => format!(" The nearest source is {}.", passage.entry),
            None => String::new(),
        };
        let at = starts.partition_point(|start| *start <= sentence.range.start).saturating_sub(1);
        let field = texts.get(at).map_or("", |text| text.field);
        let message = format!("No released source says this: \"{}\".{near}", shown(said));
        let help = "correct or remove the sentence, or release the source that says so first";
        out.push(Issue::new("assisted-unsupported", field, message, help));
    }
    out
}

/// Without sources nothing can be compared, and nothing that claims something passes.
fn unsourced(texts: &[Text<'_>], locale: &str) -> Vec<Issue> {
    let analyzer = Analyzer::for_locale(locale);
    // Languages without spaces have terms, and short sentences have words that are no terms.
    let claims = |text: &str| text.split_whitespace().count() > 2 || analyzer.count(text) > 2;
    let issue = |text: &Text<'_>| {
        let message = format!("No released source is known for `{}`: \"{}\".", text.field, shown(&text.text));
        let help =
            "write it again with sources (`--from TYPE/ID`), or let a person check it and waive the gate";
        Issue::new("assisted-unsupported", text.field, message, help)
    };
    texts.iter().filter(|text| claims(&text.text)).take(REPORTED_MAX).map(issue).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(said: &[(&str, &str)], passages: &[Passage], locale: &str) -> Vec<String> {
        let texts: Vec<Text<'_>> =
            said.iter().map(|(field, said)| Text { field, text: (*said).into() }).collect();
        let issues = claims(&texts, passages, locale);
        issues.into_iter().map(|issue| format!("{} /{} {}", issue.code, issue.field, issue.message)).collect()
    }

    fn basin() -> Passage {
        let text = "The Basin plan costs 149 EUR each month.\n\nThe Basin plan includes twelve berths.";
        Passage { entry: "plan/basin (en)".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_sentence_that_no_source_says_is_named_with_its_field() {
        let right = "The Basin plan includes twelve berths.";
        assert_eq!(found(&[("answer", right)], &[basin()], "en"), [""; 0]);
        assert_eq!(
            found(
                &[
                    ("title", right),
                    ("answer", "It includes berths. The Basin plan costs 49 EUR each month.")
                ],
                &[basin()],
                "en"
            ),
            [
                "assisted-unsupported /answer No released source says this: \"The Basin plan costs 49 EUR each month.\"."
            ]
        );
    }

    #[test]
    fn without_sources_nothing_is_supported() {
        for (said, locale) in [
            ("The Basin plan is the best of all.", "en"),
            ("It is free.", "en"),
            ("ベイスンプランは毎月四十九ユーロです。", "ja"),
        ] {
            assert_eq!(found(&[("answer", said)], &[], locale).len(), 1, "{said}");
        }
        assert!(found(&[("title", "Basin plan")], &[], "en").is_empty());
    }
}
