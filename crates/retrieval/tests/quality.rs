//! How good the search is on real paragraphs and questions, and what holds for any corpus.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::HashMap, path::PathBuf};

use ashlar_retrieval::{
    Document, Index, Mode,
    evaluate::{Judged, evaluate},
    text::sentences,
};
use proptest::prelude::*;
use serde_json::Value;

/// The development set of SQuAD 2.0, where it is there: title, paragraph, and the questions that the paragraph answers.
fn squad() -> Option<Vec<(String, String, Vec<String>)>> {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(data.join("questions/squad-dev-v2.0.json")) else {
        assert!(
            std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
            "{} has no questions, and everything is required",
            data.display()
        );
        eprintln!("skipped: {} has no questions", data.display());
        return None;
    };
    let set: Value = serde_json::from_str(&text).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let mut paragraphs = Vec::new();
    for article in list(&set["data"]) {
        for paragraph in list(&article["paragraphs"]) {
            let asked = list(&paragraph["qas"]);
            let answered = asked.iter().filter(|q| q["is_impossible"] == false);
            paragraphs.push((
                article["title"].as_str().unwrap().to_owned(),
                paragraph["context"].as_str().unwrap().to_owned(),
                answered.map(|q| q["question"].as_str().unwrap().to_owned()).collect(),
            ));
        }
    }
    Some(paragraphs)
}

fn gains(judged: &Judged) -> [f64; 3] {
    [Mode::Bm25, Mode::Vector, Mode::Hybrid].map(|mode| evaluate(judged, "en", mode).unwrap().ndcg)
}

/// Questions with one right paragraph: words are the better leg.
#[test]
fn questions_find_their_paragraph() {
    let Some(paragraphs) = squad() else { return };
    let mut judged = Judged::default();
    for (number, (_, text, questions)) in paragraphs.into_iter().enumerate() {
        judged.documents.push((format!("d{number}"), String::new(), text));
        for question in questions.into_iter().step_by(3) {
            let id = format!("q{}", judged.queries.len());
            judged.relevant.insert(id.clone(), HashMap::from([(format!("d{number}"), 1)]));
            judged.queries.push((id, question));
        }
    }
    let [words, meaning, both] = gains(&judged);
    assert!(words > 0.87 && meaning > 0.7, "words {words}, meaning {meaning}");
    assert!(both >= words.max(meaning), "words {words}, meaning {meaning}, both {both}");
}

/// Sentences of paragraphs that are not there, to which the rest of their article is relevant: meaning is the better leg.
#[test]
fn sentences_find_their_article() {
    let Some(paragraphs) = squad() else { return };
    let mut judged = Judged::default();
    let mut articles: HashMap<String, HashMap<String, i64>> = HashMap::new();
    for (number, (title, text, _)) in paragraphs.iter().enumerate().filter(|(number, _)| number % 4 != 0) {
        judged.documents.push((format!("d{number}"), String::new(), text.clone()));
        articles.entry(title.clone()).or_default().insert(format!("d{number}"), 1);
    }
    for (number, (title, text, _)) in paragraphs.iter().enumerate().filter(|(number, _)| number % 4 == 0) {
        let Some(sentence) = sentences(text).filter(|sentence| sentence.len() > 60).nth(1) else { continue };
        judged.relevant.insert(format!("q{number}"), articles[title].clone());
        judged.queries.push((format!("q{number}"), sentence.to_owned()));
    }
    let [words, meaning, both] = gains(&judged);
    assert!(meaning > words, "words {words}, meaning {meaning}");
    assert!(both >= words.max(meaning) - 0.01, "words {words}, meaning {meaning}, both {both}");
}

/// Headings of translated documentation, to which the text below them is relevant: in German vectors are nearly as good as words, in
/// the English third of it they are far worse. Neither costs more than chance does.
#[test]
fn headings_find_their_text() {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    for locale in ["de", "en"] {
        let mut pages = Vec::new();
        let mut folders = vec![data.join("docs").join(locale)];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    pages.push(path);
                }
            }
        }
        if pages.is_empty() {
            assert!(std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(), "{} has no pages", data.display());
            eprintln!("skipped: {} has no pages", data.display());
            return;
        }
        pages.sort();
        let mut judged = Judged::default();
        for page in pages.iter().step_by(if locale == "de" { 1 } else { 12 }) {
            let text = std::fs::read_to_string(page).unwrap();
            for section in text.split("\n## ").skip(1) {
                let (heading, text) = section.split_once('\n').unwrap_or_default();
                let number = judged.documents.len();
                judged.documents.push((format!("d{number}"), String::new(), text.to_owned()));
                judged.relevant.insert(format!("q{number}"), HashMap::from([(format!("d{number}"), 1)]));
                judged.queries.push((format!("q{number}"), heading.to_owned()));
            }
        }
        let [words, meaning, both] = [Mode::Bm25, Mode::Vector, Mode::Hybrid]
            .map(|mode| evaluate(&judged, locale, mode).unwrap().ndcg);
        assert!(
            both >= words.max(meaning) - 0.005,
            "{locale}: words {words}, meaning {meaning}, both {both}"
        );
    }
}

#[test]
fn an_empty_corpus_and_an_empty_query_find_nothing() {
    for mode in [Mode::Bm25, Mode::Vector, Mode::Hybrid] {
        assert!(Index::build("en", &[], mode).unwrap().search("tide", mode, 10).is_empty());
        let one = Index::build("en", &[Document { title: "", text: "High tide at noon." }], mode).unwrap();
        assert!(one.search("", mode, 10).is_empty());
        assert!(one.search("zeppelin 🚢", mode, 10).is_empty());
        assert_eq!(one.search("tides", mode, 10).len(), usize::from(mode != Mode::Vector), "{mode:?}");
        assert!(one.search("tides", mode, 0).is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Any texts and any query: no panic, no more than was asked for, no document twice, finite scores in order, and the same
    /// every time.
    #[test]
    fn results_are_in_order_and_repeat(
        texts in prop::collection::vec("([a-d]{1,3}[ .\n]){0,30}|\\PC{0,40}", 0..30),
        query in "([a-d]{1,3} ){0,5}|\\PC{0,20}",
        limit in 0_usize..20,
    ) {
        let documents: Vec<Document<'_>> = texts.iter().map(|text| Document { title: "", text }).collect();
        for mode in [Mode::Bm25, Mode::Vector, Mode::Hybrid] {
            let build = || Index::build("en", &documents, mode).unwrap();
            let (index, again) = (build(), build());
            let hits = index.search(&query, mode, limit);
            prop_assert!(hits.len() <= limit);
            prop_assert!(hits.iter().all(|hit| hit.score.is_finite() && (hit.document as usize) < texts.len()));
            prop_assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
            let mut seen: Vec<u32> = hits.iter().map(|hit| hit.document).collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), hits.len());
            prop_assert_eq!(hits, again.search(&query, mode, limit));
        }
    }
}
