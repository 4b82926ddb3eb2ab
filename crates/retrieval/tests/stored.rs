//! Stored forms: what was written is read again, and damaged bytes are refused or read as something, but nothing panics.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;

use ashlar_retrieval::{
    basis::{Basis, SegmentVectors},
    search::{Ask, query::Query},
    segment::{Copied, Passage, SEGMENT_BYTES_MAX, Segment, SegmentWriter},
    text::Analyzer,
};
use common::{Source, public, segments, shelf, written};
use proptest::prelude::*;

fn sources(count: usize) -> Vec<(usize, Source)> {
    let of = |number: usize| Source {
        entry: format!("entry{}", number / 3),
        title: format!("Harbour {}", number / 3),
        headings: vec!["Tides".to_owned(), format!("Part {}", number % 4)],
        text: format!(
            "The tide table of berth{number} lists high water. Ships{} wait for the tides, and tables change. A third \
             sentence about water levels in harbour {number}.",
            number % 7
        ),
        audience: if number.is_multiple_of(5) { "partner" } else { "" },
    };
    (0..count).map(|number| (number, of(number))).collect()
}

#[test]
fn what_is_written_is_read_again() {
    let analyzer = Analyzer::for_locale("en");
    let sources = sources(12);
    let bytes = written(&analyzer, &sources);
    assert_eq!(bytes, written(&analyzer, &sources), "the same chunks give the same bytes");
    let segment = Segment::open(&bytes).unwrap();
    assert_eq!((segment.len(), segment.attributes().len(), segment.entries().count()), (12, 2, 4));
    for ((number, source), chunk) in sources.iter().zip(segment.chunks()) {
        let wanted = source.chunk(*number);
        assert_eq!((chunk.id, chunk.field, chunk.range), (wanted.id, "/body", wanted.range));
        assert_eq!((chunk.entry, chunk.title), (source.entry.as_bytes(), source.title.as_str()));
        assert_eq!(chunk.headings, source.headings);
        assert_eq!(segment.attributes()[chunk.attributes], source.attributes());
    }
    for term in ["tide", "harbour", "tabl"] {
        let number = segment.find(term, ashlar_retrieval::text::term_hash(term)).unwrap();
        assert_eq!(segment.term(number), term);
    }
    assert_eq!(segment.beginning_with("berth").len(), 12);
    assert_eq!(segment.find("zeppelin", ashlar_retrieval::text::term_hash("zeppelin")), None);
}

#[test]
fn a_full_segment_takes_no_more_and_stays_as_it_is() {
    let analyzer = Analyzer::for_locale("en");
    let (mut writer, mut count) = (SegmentWriter::new(&analyzer), 0);
    let long: String = (0..2_000).map(|n| format!("word{n}x ")).collect();
    loop {
        let source = Source::new(&format!("e{count}"), &format!("{long} own{count}"));
        let passage = Passage {
            entry: source.entry.as_bytes(),
            title: "",
            chunk: &source.chunk(count),
            text: &source.text,
            attributes: &source.attributes(),
        };
        if !writer.push(&passage) {
            break;
        }
        count += 1;
    }
    assert!(writer.bytes_so_far() <= SEGMENT_BYTES_MAX && count > 10);
    let bytes = writer.finish();
    assert!(bytes.len() <= SEGMENT_BYTES_MAX && bytes.len() > SEGMENT_BYTES_MAX / 2, "{}", bytes.len());
    let own = format!("own{count}");
    let segment = Segment::open(&bytes).unwrap();
    assert_eq!(segment.find(&own, ashlar_retrieval::text::term_hash(&own)), None);
}

#[test]
fn copied_chunks_are_what_they_were() {
    let analyzer = Analyzer::for_locale("en");
    let all = sources(40);
    let made = |keep: &dyn Fn(usize) -> bool, from: Option<&Segment>| {
        let mut writer = SegmentWriter::new(&analyzer);
        let mut copied = from.map(Copied::of);
        for (number, source) in all.iter().filter(|(number, _)| keep(*number)) {
            // Every fifth is read, as if it had changed.
            let fits = match copied.as_mut().filter(|_| number % 5 != 3) {
                Some(copied) => writer.copy(copied, *number),
                None => writer.push(&Passage {
                    entry: source.entry.as_bytes(),
                    title: &source.title,
                    chunk: &source.chunk(*number),
                    text: &source.text,
                    attributes: &source.attributes(),
                }),
            };
            assert!(fits);
        }
        writer.finish()
    };
    let whole = Segment::open(&made(&|_| true, None)).unwrap();
    for step in 1..6 {
        let keep = |number: usize| number.is_multiple_of(step);
        assert_eq!(made(&keep, Some(&whole)), made(&keep, None), "every {step}");
    }
    let mut writer = SegmentWriter::new(&analyzer);
    assert!(!writer.copy(&mut Copied::of(&whole), whole.len()), "there is no such chunk");
}

#[test]
fn a_basis_and_vectors_are_read_again() {
    let analyzer = Arc::new(Analyzer::for_locale("en"));
    let segments = segments(&analyzer, &sources(60), 25);
    let basis = Basis::learn(&segments, &|attributes| attributes.values().is_empty());
    assert_eq!(basis.taught(), 48);
    assert_eq!(Basis::open(&basis.encode()).unwrap(), basis);
    for segment in &segments {
        let vectors = SegmentVectors::of(segment, &basis);
        assert_eq!(SegmentVectors::open(&vectors.encode()).unwrap(), vectors);
    }
    let shelf = shelf(&analyzer, &segments, Some(&Arc::new(basis)));
    let found = shelf.search(&Ask::new("high water", &public()));
    assert!(found.vectors && found.hits.len() == 10 && found.matched == 48 && found.covered == 1.0);
}

fn read_all(bytes: &[u8]) {
    let Ok(segment) = Segment::open(bytes) else { return };
    let segment = Arc::new(segment);
    assert!(segment.chunks().count() == segment.len());
    let segments = [segment];
    let basis = Arc::new(Basis::learn(&segments, &|_| true));
    let shelf = shelf(&Arc::new(Analyzer::for_locale("en")), &segments, Some(&basis));
    for text in ["\"high water\" tides -ships", "harbuor", "be"] {
        let found = shelf.search(&Ask { people: true, tally: true, ..Ask::new(text, &public()) });
        assert!(found.hits.iter().all(|hit| hit.score.is_finite() && shelf.chunk(hit).is_some()));
        assert!(shelf.suggest(text, &public(), None, 5).len() <= 5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_segments_do_not_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = written(&Analyzer::for_locale("en"), &sources(6));
        for (at, value) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(Segment::open(&bytes).is_err());
        }
        read_all(&bytes);
    }

    #[test]
    fn damaged_vectors_and_bases_do_not_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let analyzer = Arc::new(Analyzer::for_locale("en"));
        let segments = segments(&analyzer, &sources(12), 12);
        let basis = Basis::learn(&segments, &|_| true);
        let mut pieces = basis.encode();
        let mut vectors = SegmentVectors::of(&segments[0], &basis).encode();
        for (at, value) in &flips {
            for bytes in [&mut pieces[0], &mut vectors] {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
        }
        let basis = Basis::open(&pieces).ok().map(Arc::new);
        let vectors = SegmentVectors::open(&vectors).ok().map(Arc::new);
        let part = ashlar_retrieval::search::Part { segment: Arc::clone(&segments[0]), vectors };
        let shelf = ashlar_retrieval::search::Shelf::new(vec![part], basis, analyzer);
        let found = shelf.search(&Ask::new("high water tables", &public()));
        prop_assert!(found.hits.iter().all(|hit| hit.score.is_finite()));
    }

    #[test]
    fn any_text_is_a_query(text in "\\PC{0,60}|[-\" a-c“”.]{0,40}") {
        let analyzer = Analyzer::for_locale("en");
        for query in [Query::plain(&analyzer, &text), Query::typed(&analyzer, &text)] {
            for word in &query.words {
                prop_assert!(text.is_char_boundary(word.range.start) && text.is_char_boundary(word.range.end));
            }
        }
    }
}
