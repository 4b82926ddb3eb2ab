//! Questions that were written by hand about real documentation, with what an answer contains.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod questions;

use std::collections::HashMap;

use ashlar_retrieval::answer::MODEL;

#[test]
fn questions_about_documentation_are_answered_or_refused() {
    let mut corpora: HashMap<(&str, &str), questions::Corpus> = HashMap::new();
    let (mut right, mut wrong, mut refused) = (0, Vec::new(), 0);
    let asked = questions::asked();
    for asked in &asked {
        let corpus = corpora
            .entry((asked.corpus, asked.locale))
            .or_insert_with(|| questions::Corpus::read(asked.corpus, asked.locale));
        let (outcome, text) = corpus.ask(&MODEL, asked.question);
        let has = |part: &&str| text.to_lowercase().contains(&part.to_lowercase());
        match (outcome.quotes.is_empty(), asked.expects.is_empty()) {
            (true, true) => refused += 1,
            (true, false) => {}
            (false, _) if asked.expects.iter().any(has) => right += 1,
            (false, _) => wrong.push(format!("{} => {text}", asked.question)),
        }
    }
    let answerable = asked.iter().filter(|asked| !asked.expects.is_empty()).count();
    assert!(right * 10 >= answerable * 8, "{right} of {answerable} answered rightly: {wrong:#?}");
    assert!(wrong.len() * 10 <= right, "{right} right answers, and wrong ones: {wrong:#?}");
    assert!(refused + 1 >= asked.len() - answerable, "{refused} refused: {wrong:#?}");
}
