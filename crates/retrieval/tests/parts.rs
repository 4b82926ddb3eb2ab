//! Hundreds of segments answer as a few with the same chunks do: terms are looked up in many segments at once, and segments that cannot
//! have a hit are skipped.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;

use ashlar_retrieval::{
    Mode,
    access::Allowed,
    basis::Basis,
    search::{Ask, Shelf},
    text::Analyzer,
};
use common::{Source, allowed, public, segments, shelf};

const CHUNKS: usize = 3_000;
const WORDS: usize = 500;

/// The next of some numbers that look random.
fn next(state: &mut usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn word(number: usize) -> String {
    format!("wo{}r{}", (b'a' + u8::try_from(number % 26).unwrap()) as char, number / 26)
}

fn sources() -> Vec<(usize, Source)> {
    let mut state = 5;
    let source = |number: usize| {
        let topic = next(&mut state) % WORDS;
        let words: Vec<String> = (0..20)
            .map(|_| {
                let any = next(&mut state) % WORDS;
                word(if any.is_multiple_of(3) { any * any / WORDS } else { (topic + any % 7) % WORDS })
            })
            .collect();
        let mut source = Source::new(&format!("e{}", number / 4), &words.join(" "));
        source.audience = ["", "", "partner", "internal"][next(&mut state) % 4];
        (number, source)
    };
    (0..CHUNKS).map(source).collect()
}

fn hits(shelf: &Shelf, text: &str, mode: Mode, people: bool, allowed: &Allowed) -> Vec<(String, u32)> {
    let found = shelf.search(&Ask { mode, people, limit: 150, ..Ask::new(text, allowed) });
    let hit = |hit| {
        let hit: &ashlar_retrieval::search::Hit = hit;
        (shelf.chunk(hit).unwrap().id.to_string(), hit.score.to_bits())
    };
    found.hits.iter().map(hit).collect()
}

#[test]
fn many_segments_answer_as_few_do() {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let sources = sources();
    let (many, few) = (segments(&analyzer, &sources, 11), segments(&analyzer, &sources, 500));
    assert!(many.len() > 256 && few.len() < 10);
    let basis = Arc::new(Basis::learn(&few, &|attributes| public().allows(attributes)));
    let (many, few) = (shelf(&analyzer, &many, Some(&basis)), shelf(&analyzer, &few, Some(&basis)));
    let mut found = 0;
    for text in
        ["woa1 wob2 woc3", "wod4", "wokr17 woe5 wof6 wog7 woh8 nothing", "\"woa1 wob1\" -woc1 wod2", "wox"]
    {
        for (mode, people) in
            [(Mode::Bm25, false), (Mode::Vector, false), (Mode::Hybrid, false), (Mode::Hybrid, true)]
        {
            for allowed in [public(), allowed("partner")] {
                let expected = hits(&few, text, mode, people, &allowed);
                assert_eq!(hits(&many, text, mode, people, &allowed), expected, "{text} {mode:?} {people}");
                found += expected.len();
            }
        }
    }
    assert!(found > 1_000, "{found}");
}
