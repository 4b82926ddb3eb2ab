//! Citations.
//!
//! With *C* the cited sources and *E* those that the case expects:
//! - *citation rate*: 1 when *C* is not empty, for answers alone;
//! - *citation precision*: |*C* ∩ *E*| ÷ |*C*|, when neither is empty;
//! - *citation coverage*: |*C* ∩ *E*| ÷ |*E*|, when *E* is not empty.
//!
//! *Range*: 0 to 1. *Source*: citation recall and precision of ALCE (Gao et al., 2023), with expected sources in the place of a judge.

use std::collections::BTreeSet;

use super::score::Score;
use crate::{
    reply::{Reply, Retrieved},
    suite::Case,
};

/// Whether an answer cites anything. `None` in a refusal.
pub(super) fn rate(reply: &Reply) -> Option<Score> {
    (!reply.is_refusal()).then(|| Score::measured(if cited(reply).is_empty() { 0.0 } else { 1.0 }))
}

/// How many of the cited sources are expected.
#[expect(clippy::cast_precision_loss, reason = "counts of sources")]
pub(super) fn precision(case: &Case, reply: &Reply) -> Option<Score> {
    let cited = cited(reply);
    if case.expect.cites.is_empty() || cited.is_empty() {
        return None;
    }
    let expected = cited.iter().filter(|source| case.expect.cites.iter().any(|name| is(source, name)));
    Some(Score::measured(expected.count() as f64 / cited.len() as f64))
}

/// How many of the expected sources are cited.
pub(super) fn coverage(case: &Case, reply: &Reply) -> Option<Score> {
    let expected = &case.expect.cites;
    if expected.is_empty() {
        return None;
    }
    let cited = cited(reply);
    let missing: Vec<&str> = expected
        .iter()
        .filter(|name| !cited.iter().any(|source| is(source, name)))
        .map(String::as_str)
        .collect();
    let why = format!("The answer does not cite {}.", missing.join(" and "));
    Some(Score::share(expected.len() - missing.len(), expected.len(), why))
}

/// The cited sources, each entry or page once.
fn cited(reply: &Reply) -> Vec<&Retrieved> {
    let mut seen = BTreeSet::new();
    let sources = reply.cited.iter().filter_map(|number| reply.sources.get(number.checked_sub(1)?));
    sources.filter(|source| seen.insert((&source.entry, page(&source.path)))).collect()
}

/// Whether a source is what a case calls `pricing-plan/basin`, `/en/docs/meters` or the id of a chunk.
fn is(source: &Retrieved, name: &str) -> bool {
    source.entry == name || source.id == name || (name.starts_with('/') && page(&source.path) == page(name))
}

/// The path of an address, without its host and its fragment.
fn page(address: &str) -> &str {
    let address = address.split(['#', '?']).next().unwrap_or_default();
    match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Expect;

    #[test]
    fn entries_and_pages_count_once() {
        let source = |entry: &str, path: &str| Retrieved {
            entry: entry.to_owned(),
            path: path.to_owned(),
            ..Retrieved::default()
        };
        let reply = Reply {
            text: "x".to_owned(),
            sources: vec![
                source("doc-article/meters", "https://mooring.example/en/docs/meters#read"),
                source("doc-article/meters", "https://mooring.example/en/docs/meters"),
                source("doc-article/export", "/en/docs/export"),
            ],
            cited: vec![1, 2, 3, 9],
            ..Reply::default()
        };
        let case = |cites: &[&str]| Case {
            expect: Expect { cites: cites.iter().map(|&c| c.to_owned()).collect(), ..Expect::default() },
            ..Case::default()
        };
        let value = |score: Option<Score>| score.map(|score| score.value);
        assert_eq!(value(precision(&case(&["doc-article/meters"]), &reply)), Some(0.5));
        assert_eq!(value(coverage(&case(&["/en/docs/meters"]), &reply)), Some(1.0));
        let half = coverage(&case(&["doc-article/meters", "/en/docs/offline"]), &reply).unwrap();
        assert_eq!(
            (half.value, half.pass, half.why.as_str()),
            (0.5, Some(false), "The answer does not cite /en/docs/offline.")
        );
        assert_eq!(value(rate(&reply)), Some(1.0));
        assert_eq!(value(rate(&Reply::default())), Some(0.0));
        assert_eq!(value(rate(&Reply { refusal: Some("x".to_owned()), ..Reply::default() })), None);
    }
}
