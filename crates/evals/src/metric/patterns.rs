//! Regular expressions.
//!
//! *Formula*: expressions that match somewhere in the answer, and expressions that must not and do not, ÷ expressions of the case. *Range*: 0 to
//! 1. The syntax is that of the crate `regex`, which matches in linear time.

use regex::RegexBuilder;

use super::score::Score;
use crate::{
    reply::Reply,
    suite::{Case, PATTERN_MEMORY_MAX},
};

/// Whether a text matches. `None` when the expression cannot be compiled.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_MAX).build();
    built.ok().map(|regex| regex.is_match(text))
}

/// Whether an answer matches an expression that it must not match.
pub(super) fn says_unwanted(case: &Case, reply: &Reply) -> bool {
    case.expect.not_matches.iter().any(|pattern| matches(pattern, &reply.text) != Some(false))
}

/// Which expressions match as they should. `None` when the case has none.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    let (wanted, unwanted) = (&case.expect.matches, &case.expect.not_matches);
    let all = wanted.len() + unwanted.len();
    if all == 0 {
        return None;
    }
    // An expression that cannot be compiled is never met.
    let broken = |patterns: &[String], should: bool| -> Vec<String> {
        let broken = patterns.iter().filter(|pattern| matches(pattern, &reply.text) != Some(should));
        broken.map(|pattern| format!("`{pattern}`")).collect()
    };
    let (missing, found) = (broken(wanted, true), broken(unwanted, false));
    let mut why = Vec::new();
    if !missing.is_empty() {
        why.push(format!("The answer does not match {}.", missing.join(" and ")));
    }
    if !found.is_empty() {
        why.push(format!("The answer matches {}.", found.join(" and ")));
    }
    Some(Score::share(all - missing.len() - found.len(), all, why.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Expect;

    #[test]
    fn expressions_must_and_must_not_match() {
        let of = |matches: &[&str], not_matches: &[&str]| {
            let list = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let expect =
                Expect { matches: list(matches), not_matches: list(not_matches), ..Expect::default() };
            let reply = Reply { text: "It costs 39 EUR.".to_owned(), ..Reply::default() };
            score(&Case { expect, ..Case::default() }, &reply)
        };
        assert_eq!(of(&[], &[]), None);
        assert_eq!(of(&["39", "(?i)eur"], &["USD"]).unwrap().pass, Some(true));
        let wrong = of(&["40"], &["EUR", "x"]).unwrap();
        assert_eq!(
            (wrong.pass, wrong.why.as_str()),
            (Some(false), "The answer does not match `40`. The answer matches `EUR`.")
        );
        assert_eq!(of(&[], &["("]).unwrap().pass, Some(false));
    }
}
