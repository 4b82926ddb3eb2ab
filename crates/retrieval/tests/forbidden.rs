//! What a caller may not see changes nothing: neither hits nor scores, counts, corrections or suggestions.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use ashlar_retrieval::{
    Mode,
    access::Allowed,
    basis::Basis,
    search::{Ask, Shelf},
    segment::Segment,
    text::Analyzer,
};
use common::{Source, allowed, public, segments, shelf};
use proptest::prelude::*;

const AUDIENCES: [&str; 3] = ["", "partner", "internal"];

/// Words that are near each other, so that prefixes and corrections meet.
const WORDS: [&str; 14] = [
    "harbour",
    "harbours",
    "harbor",
    "tide",
    "tides",
    "tidal",
    "schedule",
    "schedules",
    "shedule",
    "berth",
    "berths",
    "water",
    "waters",
    "潮位表",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec((0..WORDS.len(), 0_u8..6), 0..25).prop_map(|words| {
        let end = |stop| if stop == 0 { ". " } else { " " };
        words.into_iter().map(|(word, stop)| format!("{}{}", WORDS[word], end(stop))).collect()
    })
}

fn source() -> impl Strategy<Value = Source> {
    (0_u8..8, text(), 0_usize..3, 0..WORDS.len(), any::<bool>()).prop_map(
        |(entry, text, audience, title, headed)| Source {
            entry: format!("e{entry}"),
            title: WORDS[title].to_owned(),
            headings: if headed { vec![WORDS[(title + 1) % WORDS.len()].to_owned()] } else { Vec::new() },
            text,
            audience: AUDIENCES[audience],
        },
    )
}

fn query() -> impl Strategy<Value = String> {
    let typed =
        ["harbuor", "tids", "sche", "ti", "shcedul", "-tide", "\"tide berth\"", "\"water", "潮", "waters"];
    let word = prop_oneof![prop::sample::select(WORDS.to_vec()), prop::sample::select(typed.to_vec()),];
    prop::collection::vec(word, 0..4).prop_map(|words| words.join(" "))
}

/// Everything that a caller can learn from a search.
fn seen(shelf: &Shelf, text: &str, mode: Mode, people: bool, allowed: &Allowed) -> String {
    let skip = |entry: &[u8]| entry == b"e7";
    let ask = Ask { mode, people, limit: 30, skip: Some(&skip), tally: true, ..Ask::new(text, allowed) };
    let found = shelf.search(&ask);
    let hits: Vec<(String, u32)> = found
        .hits
        .iter()
        .map(|hit| (shelf.chunk(hit).unwrap().id.to_string(), hit.score.to_bits()))
        .collect();
    let mut tallies: BTreeMap<String, usize> = BTreeMap::new();
    for tally in &found.tallies {
        let attributes = &shelf.parts()[tally.part].segment.attributes()[tally.attributes];
        *tallies.entry(format!("{attributes:?}")).or_default() += tally.entries;
    }
    let suggested = shelf.suggest(text, allowed, Some(&skip), 5);
    format!("{hits:?} {} {} {:?} {tallies:?} {suggested:?}", found.matched, found.covered, found.corrected)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_are_those_of_a_corpus_without_it(
        sources in prop::collection::vec(source(), 0..40),
        queries in prop::collection::vec(query(), 1..6),
        reader in 0_usize..3,
        most in (1_usize..12, 1_usize..12),
    ) {
        let analyzer = Arc::new(Analyzer::for_locale("en"));
        // Entries lie together, as they do in segments.
        let mut sources = sources;
        sources.sort_by(|a, b| a.entry.cmp(&b.entry));
        let all: Vec<(usize, Source)> = sources.into_iter().enumerate().collect();
        let visible = |source: &Source| source.audience.is_empty() || source.audience == AUDIENCES[reader];
        let rest: Vec<(usize, Source)> =
            all.iter().filter(|(_, s)| visible(s) && s.entry != "e7").cloned().collect();
        // Tallies count entries by part, so both corpora are cut between the same entries.
        let cut = |sources: &[(usize, Source)]| -> Vec<Arc<Segment>> {
            sources
                .chunk_by(|a, b| a.1.entry.as_bytes()[1] / 2 == b.1.entry.as_bytes()[1] / 2)
                .flat_map(|run| segments(&analyzer, run, 100))
                .collect()
        };
        let allowed = if reader == 0 { public() } else { allowed(AUDIENCES[reader]) };
        let everything = cut(&all);
        let basis = Arc::new(Basis::learn(&everything, &|attributes| public().allows(attributes)));
        for basis in [None, Some(&basis)] {
            let whole = shelf(&analyzer, &everything, basis);
            let without = shelf(&analyzer, &cut(&rest), basis);
            for query in &queries {
                for mode in [Mode::Bm25, Mode::Vector, Mode::Hybrid] {
                    for people in [false, true] {
                        prop_assert_eq!(
                            seen(&whole, query, mode, people, &allowed),
                            seen(&without, query, mode, people, &allowed),
                            "{} {:?} {}", query, mode, people
                        );
                    }
                }
            }
        }
        // However the chunks are cut into segments, the hits are the same, and so is the basis.
        let (one, other) = (segments(&analyzer, &all, most.0), segments(&analyzer, &all, most.1));
        prop_assert_eq!(
            Basis::learn(&one, &|attributes| public().allows(attributes)).taught(),
            basis.taught()
        );
        let (one, other) = (shelf(&analyzer, &one, Some(&basis)), shelf(&analyzer, &other, Some(&basis)));
        for query in &queries {
            let hits = |shelf: &Shelf| {
                let found = shelf.search(&Ask { people: true, ..Ask::new(query, &allowed) });
                let hits = found.hits.into_iter();
                hits.map(|hit| (shelf.chunk(&hit).unwrap().id, hit.score.to_bits())).collect::<Vec<_>>()
            };
            prop_assert_eq!(hits(&one), hits(&other));
        }
    }
}
