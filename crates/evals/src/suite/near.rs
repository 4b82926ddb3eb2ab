//! Cases that are nearly the same.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
};

use ashlar_model::Finding;
use ashlar_retrieval::{near::similarity, text::Analyzer};

use super::types::Case;

/// The share of terms (Jaccard) from which two questions count as nearly the same.
const SIMILAR: f64 = 0.85;
/// The most pairs that are reported.
const REPORTED_MAX: usize = 50;
/// Terms of a question that are compared.
const TERMS_MAX: usize = 400;

/// Warns of cases whose questions have nearly the same words, in the same language and with the same demand to answer or to refuse. They
/// count twice what should count once.
///
/// Questions are compared by prefix filtering (Chaudhuri, Ganti and Kaushik, 2006): two sets can only be similar when they share one of their
/// rarest terms, so only those pairs are counted.
#[must_use]
pub fn near_duplicates(path: &str, cases: &[Case]) -> Vec<Finding> {
    let found = pairs(cases, |case| case.expect.answer, REPORTED_MAX);
    let finding = |(at, other): (usize, usize)| {
        let (case, other) = (&cases[at], &cases[other]);
        let message = format!("The case `{}` asks nearly the same as `{}`.", case.id, other.id);
        let help = format!("remove one of them, or merge them (the other is in line {})", other.line);
        Finding::warning("eval-near-duplicate", format!("{path}:{}", case.line), message).help(help)
    };
    found.into_iter().map(finding).collect()
}

/// Which cases ask nearly the same as an earlier one in the same language and with the same context: pairs of the later one and an earlier
/// one, at most `most`. `alike`: what else must be the same. A case that is itself such a later one is not compared with those after it, so many equal
/// questions cost as much as many different ones.
pub(crate) fn pairs<K: Hash + Eq>(
    cases: &[Case],
    alike: impl Fn(&Case) -> K,
    most: usize,
) -> Vec<(usize, usize)> {
    let sets = ranked(cases);
    // Cases that can be compared have the same number here.
    let mut groups: HashMap<(Option<&str>, &[String], K), usize> = HashMap::new();
    let mut known: HashMap<(usize, u32), Vec<usize>> = HashMap::new();
    let mut out = Vec::new();
    for (at, (set, case)) in sets.iter().zip(cases).enumerate() {
        let next = groups.len();
        let group = *groups.entry((case.locale.as_deref(), &case.context, alike(case))).or_insert(next);
        let rarest = &set[..prefix(set.len())];
        let mut seen: HashSet<usize> = HashSet::new();
        let earlier = rarest.iter().filter_map(|term| known.get(&(group, *term))).flatten();
        let found =
            earlier.copied().find(|other| seen.insert(*other) && similarity(&sets[*other], set) >= SIMILAR);
        match found {
            Some(other) => out.push((at, other)),
            None => rarest.iter().for_each(|term| known.entry((group, *term)).or_default().push(at)),
        }
        if out.len() >= most {
            break;
        }
    }
    out
}

/// The terms of each question as numbers, the rarest first.
fn ranked(cases: &[Case]) -> Vec<Vec<u32>> {
    // Words as they are: what differs by a stem may differ in what is asked.
    let analyzer = Analyzer::for_locale("");
    let mut counts: HashMap<String, u32> = HashMap::new();
    let sets: Vec<BTreeSet<String>> = cases
        .iter()
        .map(|case| {
            let mut terms = BTreeSet::new();
            analyzer.terms(&case.question(), |term| {
                if terms.len() < TERMS_MAX {
                    terms.insert(term.to_owned());
                }
            });
            terms
        })
        .collect();
    for term in sets.iter().flatten() {
        *counts.entry(term.clone()).or_default() += 1;
    }
    let mut order: Vec<(u32, String)> = counts.into_iter().map(|(term, count)| (count, term)).collect();
    order.sort_unstable();
    let rank: HashMap<&str, u32> =
        order.iter().zip(0..).map(|((_, term), rank)| (term.as_str(), rank)).collect();
    let numbers = |set: &BTreeSet<String>| {
        let mut out: Vec<u32> = set.iter().filter_map(|term| rank.get(term.as_str()).copied()).collect();
        out.sort_unstable();
        out
    };
    sets.iter().map(numbers).collect()
}

/// How many of the rarest terms of a set must be looked at.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 400"
)]
fn prefix(len: usize) -> usize {
    let shared = (SIMILAR * len as f64).ceil() as usize;
    (len + 1).saturating_sub(shared).min(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::suite::types::Input;

    fn case(id: &str, question: &str) -> Case {
        Case { id: id.to_owned(), input: Input::Input(question.to_owned()), ..Case::default() }
    }

    #[test]
    fn the_same_question_twice_is_reported() {
        let cases = [
            case("a", "What does the Basin plan cost each month before tax?"),
            case("b", "What does the Port plan cost?"),
            case("c", "what does the basin plan cost each month, before tax"),
        ];
        let found = near_duplicates("x.jsonl", &cases);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].message, "The case `c` asks nearly the same as `a`.");
    }

    /// Comparing each with all earlier ones would take minutes.
    #[test]
    fn many_equal_questions_take_no_longer_than_others() {
        let question = "What does the Basin plan cost each month before tax in the port of Lisbon?";
        let cases: Vec<Case> = (0..20_000).map(|n| case(&n.to_string(), question)).collect();
        let began = std::time::Instant::now();
        let found = pairs(&cases, |_| (), usize::MAX);
        assert_eq!((found.len(), found.iter().all(|(_, other)| *other == 0)), (19_999, true));
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
        // Languages and contexts are apart.
        let german = Case { locale: Some("de".to_owned()), ..case("x", question) };
        let given = Case { context: vec!["It costs 5.".to_owned()], ..case("y", question) };
        assert_eq!(pairs(&[case("a", question), german, given], |_| (), 9), []);
    }

    proptest! {
        /// The filter finds every pair that comparing all pairs finds.
        #[test]
        fn the_filter_leaves_nothing_out(questions in prop::collection::vec("[a-f ]{1,14}", 0..12)) {
            let cases: Vec<Case> = questions.iter().map(|question| case(question, question)).collect();
            let sets = ranked(&cases);
            let mut kept: Vec<usize> = Vec::new();
            for (at, set) in sets.iter().enumerate() {
                if kept.iter().all(|other| similarity(&sets[*other], set) < SIMILAR) {
                    kept.push(at);
                }
            }
            let wanted = sets.len() - kept.len();
            prop_assert_eq!(near_duplicates("x", &cases).len(), wanted);
        }
    }
}
