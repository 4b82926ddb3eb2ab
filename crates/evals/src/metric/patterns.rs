//! Regular expressions.
//!
//! *Formula*: expressions that match somewhere in the answer ÷ expressions of the case. *Range*: 0 to 1. The syntax is that of the crate `regex`,
//! which matches in linear time.

use regex::RegexBuilder;

use super::score::Score;
use crate::{
    reply::Reply,
    suite::{Case, PATTERN_MEMORY_MAX},
};

/// Which expressions match. `None` when the case has none.
pub(super) fn score(case: &Case, reply: &Reply) -> Option<Score> {
    let patterns = &case.expect.matches;
    if patterns.is_empty() {
        return None;
    }
    let matches = |pattern: &&String| {
        let built = RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_MAX).build();
        built.is_ok_and(|regex| regex.is_match(&reply.text))
    };
    let missing: Vec<String> =
        patterns.iter().filter(|pattern| !matches(pattern)).map(|pattern| format!("`{pattern}`")).collect();
    let why = format!("The answer does not match {}.", missing.join(" and "));
    Some(Score::share(patterns.len() - missing.len(), patterns.len(), why))
}
