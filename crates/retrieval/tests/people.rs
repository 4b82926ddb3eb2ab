//! What people type: phrases, excluded words, beginnings of words, mistakes, synonyms, and results that differ.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;

use ashlar_retrieval::{
    basis::Basis,
    search::{Ask, Found, Shelf},
    synonyms::Synonyms,
    text::Analyzer,
};
use common::{Source, allowed, public, segments, shelf};

const TEXTS: [&str; 6] = [
    "Low water comes twice a day. High tide follows.",
    "The water is low in winter, and berths are free.",
    "Mooring fees of the harbour. Schedules change.",
    "The harbour master publishes the schedule of ships.",
    "A marina is not a harbour. Harbours are larger.",
    "潮位表は毎日変わります。",
];

fn made() -> Shelf {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let of = |(number, text): (usize, &&str)| (number, Source::new(&format!("e{number}"), text));
    let mut sources: Vec<(usize, Source)> = TEXTS.iter().enumerate().map(of).collect();
    let mut hidden = Source::new("e6", "Harbourmasters meet at the zeppelin.");
    hidden.audience = "internal";
    sources.push((6, hidden));
    shelf(&analyzer, &segments(&analyzer, &sources, 2), None)
}

fn typed(shelf: &Shelf, text: &str) -> (Vec<String>, Found) {
    let found = shelf.search(&Ask { people: true, ..Ask::new(text, &public()) });
    let mut entries: Vec<String> = found
        .hits
        .iter()
        .map(|hit| String::from_utf8(shelf.chunk(hit).unwrap().entry.to_vec()).unwrap())
        .collect();
    entries.sort();
    (entries, found)
}

#[test]
fn operators_narrow_what_is_found() {
    let shelf = made();
    for (text, entries) in [
        ("low water ", vec!["e0", "e1"]),
        ("\"low water\"", vec!["e0"]),
        ("water -berths", vec!["e0"]),
        ("\"water low\"", vec!["e1"]),
        ("\"low high\"", vec![]),
        ("-water", vec![]),
        ("潮位", vec!["e5"]),
        ("schedu", vec!["e2", "e3"]),
        ("mari", vec!["e4"]),
    ] {
        assert_eq!(typed(&shelf, text).0, entries, "{text}");
    }
}

#[test]
fn mistakes_are_corrected_to_words_that_can_be_found() {
    let shelf = made();
    for (text, corrected) in [
        ("harbuor fees ", Some("harbour fees ")),
        ("the shcedul of ships", Some("the schedule of ships")),
        ("watre", Some("water")),
        ("harbour", None),
        ("zepelin ", None),
        ("xylophone ", None),
    ] {
        assert_eq!(typed(&shelf, text).1.corrected.as_deref(), corrected, "{text}");
    }
    let insider = allowed("internal");
    let found = shelf.search(&Ask { people: true, ..Ask::new("zepelin ", &insider) });
    assert_eq!(found.corrected.as_deref(), Some("zeppelin "));
    // Nothing is corrected for programs.
    assert!(shelf.search(&Ask::new("harbuor", &public())).hits.is_empty());
}

#[test]
fn beginnings_are_completed_with_words_that_can_be_found() {
    let shelf = made();
    assert_eq!(shelf.suggest("free har", &public(), None, 5), ["free harbour"]);
    assert_eq!(shelf.suggest("har", &allowed("internal"), None, 5), ["harbour", "harbourmasters"]);
    assert!(shelf.suggest("har ", &public(), None, 5).is_empty());
}

#[test]
fn synonyms_count_less_than_the_word() {
    let shelf = made();
    let groups = [vec!["berth".to_owned(), "mooring".to_owned(), "port of call".to_owned()]];
    let synonyms = Synonyms::new(shelf.analyzer(), &groups);
    let search = |text| shelf.search(&Ask { synonyms: Some(&synonyms), ..Ask::new(text, &public()) });
    let found = search("berth");
    let entries: Vec<&[u8]> = found.hits.iter().map(|hit| shelf.chunk(hit).unwrap().entry).collect();
    assert_eq!(entries, [b"e1", b"e2"]);
    assert_eq!(search("port of call").hits.len(), 2);
}

#[test]
fn diverse_results_repeat_less() {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let text = |number: usize| match number % 4 {
        0 => "Tide tables list tide levels and tide times for ships in the harbour.".to_owned(),
        1 => format!("Ships pay fees in the harbour, and tide {} is free.", number % 3),
        2 => format!("Winter storms and water levels close berths {}.", number % 5),
        _ => format!("Pilots guide ships {} through water and storms.", number % 7),
    };
    let sources: Vec<(usize, Source)> =
        (0..40).map(|number| (number, Source::new(&format!("e{number}"), &text(number)))).collect();
    let segments = segments(&analyzer, &sources, 16);
    let basis = Arc::new(Basis::learn(&segments, &|_| true));
    let shelf = shelf(&analyzer, &segments, Some(&basis));
    let different = |diversity| {
        let found = shelf.search(&Ask { diversity, limit: 6, ..Ask::new("tide harbour", &public()) });
        assert_eq!(found.hits.len(), 6);
        let mut numbers: Vec<usize> = found
            .hits
            .iter()
            .map(|hit| std::str::from_utf8(&shelf.chunk(hit).unwrap().entry[1..]).unwrap().parse().unwrap())
            .collect();
        numbers.sort_by_key(|number| text(*number));
        numbers.dedup_by_key(|number| text(*number));
        numbers.len()
    };
    assert!(different(0.7) > different(0.0), "{} {}", different(0.7), different(0.0));
}

#[test]
fn an_entry_in_several_segments_counts_once() {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let of = |(number, entry): (usize, &&str)| (number, Source::new(entry, "The tide turns."));
    let sources: Vec<(usize, Source)> =
        ["a", "b", "b", "b", "b", "b", "c"].iter().enumerate().map(of).collect();
    for most in 1..8 {
        let shelf = shelf(&analyzer, &segments(&analyzer, &sources, most), None);
        let found = shelf.search(&Ask { tally: true, ..Ask::new("tide", &public()) });
        assert_eq!(found.tallies.iter().map(|tally| tally.entries).sum::<usize>(), 3, "{most}");
        assert_eq!(found.matched, 7);
    }
}
