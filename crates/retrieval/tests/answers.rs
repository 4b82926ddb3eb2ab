//! Quoted answers and refusals.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::PathBuf;

use ashlar_retrieval::{
    answer::{Evidence, MODEL, Outcome, PASSAGES_MAX, QUOTES_MAX, Question, Refusal},
    text::Analyzer,
};
use proptest::prelude::*;
use serde_json::Value;

const MAP: &str = "The berth map shows every berth of your marina. It is updated every ten minutes. The harbour office was opened in 1987 by \
Anna Lindqvist.";
const TIDES: &str =
    "Tide windows say when a deep keel can pass the sill. They are computed from the tables of 2024.";

fn passages() -> Vec<Evidence<'static>> {
    [("Berth map", MAP), ("Tide windows", TIDES)]
        .into_iter()
        .map(|(context, text)| Evidence { context, text, score: 1.0, statement: false })
        .collect()
}

fn ask(question: &str, evidence: &[Evidence<'_>]) -> Outcome {
    let analyzer = Analyzer::for_locale("en");
    let all = evidence.iter().map(|e| format!("{} {}", e.context, e.text)).collect::<Vec<_>>().join(" ");
    let known = analyzer.list(&all);
    let rarity = |term: &str| known.iter().any(|known| known == term).then_some(3.0);
    MODEL.answer(&analyzer, &Question::read(&analyzer, question, &rarity), evidence)
}

#[test]
fn a_sentence_that_answers_is_quoted() {
    let evidence = passages();
    for (question, expect) in [
        ("When was the harbour office opened?", "The harbour office was opened in 1987 by Anna Lindqvist."),
        ("Who opened the harbour office?", "The harbour office was opened in 1987 by Anna Lindqvist."),
    ] {
        let outcome = ask(question, &evidence);
        let quote = outcome.quotes.first().unwrap_or_else(|| panic!("{question}: {outcome:?}"));
        assert_eq!(&evidence[quote.passage].text[quote.range.clone()], expect);
        assert!(outcome.confidence >= MODEL.threshold);
    }
}

#[test]
fn a_question_without_an_answer_is_refused_with_the_reason() {
    for (question, refusal, says) in [
        ("When was the lighthouse insurance founded?", Refusal::NotCovered, "insurance"),
        ("What is it?", Refusal::NoQuestion, "no word"),
        ("Which zeppelin lands on Mars?", Refusal::NotCovered, "zeppelin"),
    ] {
        let outcome = ask(question, &passages());
        let (code, reason) = outcome.refusal.clone().unwrap_or_else(|| panic!("{question}: {outcome:?}"));
        assert_eq!(code, refusal, "{question}: {reason}");
        assert!(reason.contains(says), "{reason}");
        assert!(outcome.quotes.is_empty());
    }
    assert_eq!(ask("When was the office opened?", &[]).refusal.unwrap().0, Refusal::NothingFound);
}

/// A statement answers when the question asks for nothing else than what it and its entry say.
#[test]
fn a_statement_answers_only_what_it_states() {
    let price = |context, text| Evidence { context, text, score: 0.5, statement: true };
    let evidence = [
        price("Jetty Pricing plan", "Price per month, before tax: 49.00 EUR"),
        price("Basin Pricing plan", "Price per month, before tax: 149.00 EUR"),
        price("Basin Pricing plan included", "How many berths the price includes: 250 berths"),
    ];
    let answered = |question: &str| {
        ask(question, &evidence).quotes.into_iter().map(|quote| quote.passage).collect::<Vec<_>>()
    };
    assert_eq!(answered("How much does the Basin plan cost each month?"), [1]);
    assert_eq!(answered("How much does the Basin plan cost?"), [1]);
    assert_eq!(answered("How many berths are included in the Basin plan?"), [2]);
    assert_eq!(answered("What do the plans cost per month?"), [0, 1]);
    assert!(answered("How much does the Basin insurance cost?").is_empty());
    assert!(answered("How much does the Harbour plan cost?").is_empty());
    assert!(answered("When does the Basin plan cost more?").is_empty());
}

/// Real questions, of which half have no answer in their paragraph: every seventh of the articles that no weight was fitted on.
#[test]
fn real_questions_are_reported_apart() {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(data.join("questions/squad-dev-v2.0.json")) else {
        assert!(std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(), "{} has no questions", data.display());
        eprintln!("skipped: {} has no questions", data.display());
        return;
    };
    let set: Value = serde_json::from_str(&text).unwrap();
    let (mut picked, mut answerable, mut unanswerable) = (0, Vec::new(), Vec::new());
    for article in set["data"].as_array().unwrap().iter().skip(1).step_by(2) {
        let paragraphs: Vec<&Value> = article["paragraphs"].as_array().unwrap().iter().collect();
        for window in paragraphs.windows(2).step_by(7) {
            let text = |at: usize| window[at]["context"].as_str().unwrap();
            let evidence: Vec<Evidence<'_>> = [(0, 1.0), (1, 0.7)]
                .map(|(at, score)| Evidence { context: "", text: text(at), score, statement: false })
                .into();
            for asked in window[0]["qas"].as_array().unwrap() {
                let outcome = ask(asked["question"].as_str().unwrap(), &evidence);
                if asked["is_impossible"] == true {
                    unanswerable.push(outcome.confidence);
                    continue;
                }
                answerable.push(outcome.confidence);
                let quoted = |gold: &Value| {
                    outcome.quotes.iter().any(|quote| {
                        evidence[quote.passage].text[quote.range.clone()]
                            .contains(gold["text"].as_str().unwrap())
                    })
                };
                picked += usize::from(asked["answers"].as_array().unwrap().iter().any(quoted));
            }
        }
    }
    let answered = answerable.iter().filter(|confidence| **confidence >= MODEL.threshold).count();
    assert!(
        picked * 10 >= answered * 8,
        "{picked} right of {answered} answered, {} answerable",
        answerable.len()
    );
    let refused = unanswerable.iter().filter(|confidence| **confidence < MODEL.threshold).count();
    let missed = answerable.len() - answered;
    assert!(answered > 100 && refused > 3 * missed / 2, "{refused} refused rightly, {missed} wrongly");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any question and any passages: no panic, quotes are sentences of their passages, few, and the same every time.
    #[test]
    fn any_question_gets_quotes_or_a_refusal(
        question in "(what|when|not|[a-c]{1,3}|[0-9]{1,4}|\\PC{0,5}| ){0,20}",
        texts in prop::collection::vec(("([a-c]{1,3}[ .,]|[0-9]{1,4}[.,]?|\\PC{0,9}){0,30}", any::<bool>(), -1.0_f32..2.0), 0..20),
    ) {
        let evidence: Vec<Evidence<'_>> = texts
            .iter()
            .map(|(text, statement, score)| Evidence { context: "a", text, score: *score, statement: *statement })
            .collect();
        let outcome = ask(&question, &evidence);
        prop_assert!((0.0..=1.0).contains(&outcome.confidence));
        prop_assert_eq!(outcome.quotes.is_empty(), outcome.refusal.is_some());
        prop_assert!(outcome.quotes.len() <= QUOTES_MAX);
        for quote in &outcome.quotes {
            prop_assert!(quote.passage < PASSAGES_MAX);
            let text = evidence[quote.passage].text.get(quote.range.clone());
            prop_assert!(text.is_some_and(|text| !text.trim().is_empty()));
        }
        prop_assert_eq!(ask(&question, &evidence), outcome);
    }
}
