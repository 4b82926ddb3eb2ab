//! Chunks of Markdown and plain texts.

use std::{collections::BTreeSet, path::PathBuf};

use ashlar_retrieval::{
    chunk::{Chunk, ChunkRules, Text, TextForm, blank, chunks},
    text::{Analyzer, sentences},
};
use proptest::prelude::*;

const RULES: ChunkRules = ChunkRules { target: 40, most: 80, overlap: 10 };

fn cut(text: &str, rules: &ChunkRules) -> Vec<Chunk> {
    let texts = [Text::new("/body", text, TextForm::Markdown)];
    chunks(b"page/a/en", &texts, &Analyzer::for_locale("en"), rules).chunks
}

fn listed<'a>(text: &'a str, chunks: &'a [Chunk]) -> Vec<(String, &'a str)> {
    chunks.iter().map(|chunk| (chunk.headings.join(" > "), &text[chunk.bytes()])).collect()
}

#[test]
fn blanking_leaves_words_where_they_are() {
    for (text, expect) in [
        ("## A *big* title ##", "\n  A  big  title   "),
        ("- one\n  * two `x_y`", "\n one\n \n\n two  x_y "),
        ("1. one", "\n  one"),
        ("> quoted", "  quoted"),
        ("see [the docs](https://a.example/b_(c)) now", "see  the docs                           now"),
        ("![a gull](/i.png) [x][ref] [^1]", "  a gull           x           "),
        ("[ref]: https://a.example 'Words'", "                                "),
        (
            "<Card href=\"/x\" on={() => y}>Text</Card> a < b",
            "                             Text        a < b",
        ),
        (
            "<https://a.example> snake_case _leaning_ **bold**",
            "                    snake_case  leaning    bold  ",
        ),
        ("a &amp; b &nosuch b\\*c", "a       b &nosuch b *c"),
        ("```rust\nlet a = *b;\n```\n*after*", "       \nlet a = *b;\n   \n after "),
        ("| A | B |\n|---|---|\n| 1 | `2` |", "\n A   B  \n         \n\n 1    2   "),
        ("Title\n=====\ntext <!-- not\n\nthis --> end", "Title\n     \ntext         \n\n         end"),
        ("- [x] done", "\n     done"),
        ("täglich **größer** `日本`", "täglich   größer    日本 "),
    ] {
        assert_eq!(blank(text, TextForm::Markdown), expect, "{text}");
        assert_eq!(blank(text, TextForm::Plain), text);
    }
}

#[test]
fn a_page_becomes_its_sections() {
    let text = "Intro line.\n\n# Tides\n\nThe water rises. It falls.\n\n## Spring *tides*\n\nThey are high.\n\n## Neap tides {#neap}\n\n\
                ```text\n# no heading\n```\n\n## Nothing here\n\n# Tides\n\nAgain.";
    let chunks = cut(text, &RULES);
    assert_eq!(
        listed(text, &chunks),
        [
            (String::new(), "Intro line."),
            ("Tides".into(), "The water rises. It falls."),
            ("Tides > Spring tides".into(), "They are high."),
            ("Tides > Neap tides".into(), "```text\n# no heading\n```"),
            ("Tides".into(), "Nothing here"),
            ("Tides".into(), "Again."),
        ]
    );
    let anchors: Vec<Option<&str>> = chunks.iter().map(|chunk| chunk.anchor.as_deref()).collect();
    let expect =
        [None, Some("tides"), Some("spring-tides"), Some("neap"), Some("nothing-here"), Some("tides-1")];
    assert_eq!(anchors, expect);
}

#[test]
fn indented_code_has_no_headings() {
    let anchor = cut("# `JSON`, *and* [more](/x)\n\nWords.", &RULES).remove(0).anchor;
    assert_eq!(anchor.as_deref(), Some("json-and-more"));
    let text = "# Run it\n\nLike so:\n\n    # a comment\n    run --it\n\n- item\n\n      # not either\n\nAfter.\n\n\t# nor this";
    let chunks = cut(text, &RULES);
    assert_eq!(chunks.len(), 1, "{chunks:#?}");
    assert_eq!(
        (chunks[0].headings.join(""), chunks[0].anchor.as_deref()),
        ("Run it".to_owned(), Some("run-it"))
    );
    assert!(blank(text, TextForm::Markdown).contains("    # a comment\n    run --it\n"));
}

#[test]
fn long_sections_are_cut_between_sentences_and_overlap() {
    let sentence = |n: usize| format!("Boat number{n} sails past mole{n} towards harbour{n} before dawn{n}.");
    let text = (0..60).map(sentence).collect::<Vec<_>>().join(" ");
    let chunks = cut(&text, &RULES);
    assert!(chunks.len() >= 5, "{}", chunks.len());
    let analyzer = Analyzer::for_locale("en");
    for pair in chunks.windows(2) {
        let [first, second] = pair else { unreachable!() };
        assert!(second.range.start < first.range.end, "the last sentence is repeated");
        assert!(text[second.bytes()].starts_with("Boat") && text[first.bytes()].ends_with('.'));
        assert!(analyzer.list(&text[first.bytes()]).len() <= RULES.most as usize);
    }
}

#[test]
fn lists_and_rows_stay_whole() {
    let item = |n: usize| {
        format!("- Item{n} has a first line,\n  a second line{n},\n\n  and another paragraph{n}.\n")
    };
    let list: String = (0..40).map(item).collect();
    for chunk in cut(&list, &RULES) {
        let text = &list[chunk.bytes()];
        assert!(text.starts_with("- Item") && text.trim_end().ends_with('.'), "{text}");
        assert_eq!(text.matches("- Item").count(), text.matches("another paragraph").count(), "{text}");
    }
    let row = |n: usize| format!("| berth{n} | {n} metres | price{n} | notes about berth{n} |\n");
    let table = format!(
        "## Berths\n\n| Name | Length | Price | Notes |\n|---|---|---|---|\n{}",
        (0..40).map(row).collect::<String>()
    );
    let chunks = cut(&table, &RULES);
    assert!(chunks.len() > 2);
    for (number, chunk) in chunks.iter().enumerate() {
        let text = &table[chunk.bytes()];
        assert!(text.starts_with('|') && text.ends_with('|'), "{text}");
        let expect: &[&str] = if number == 0 { &["Berths"] } else { &["Berths", "Name Length Price Notes"] };
        assert_eq!(chunk.headings, expect);
    }
    let small = "Before it.\n\n- one\n- two\n- three\n\nAfter it.";
    assert_eq!(cut(small, &RULES).len(), 1);
}

#[test]
fn a_sentence_longer_than_a_chunk_is_cut() {
    let dense = "潮位表".repeat(2_000);
    let words = "word ".repeat(3_000);
    let odd = "b.".repeat(3_000);
    for text in [dense.as_str(), words.as_str(), odd.as_str()] {
        let chunks = cut(text, &RULES);
        assert!(chunks.len() > 10);
        let analyzer = Analyzer::for_locale("en");
        for chunk in &chunks {
            assert!(analyzer.list(&text[chunk.bytes()]).len() <= RULES.most as usize + 1);
        }
    }
    assert_eq!(cut(&"x".repeat(100_000), &RULES).len(), 1);
}

#[test]
fn other_fields_give_headings_and_anchors() {
    let mut block =
        Text::new("/sections/3/body", "Plain words.\n\n### Part\n\nMore words.", TextForm::Markdown);
    (block.heading, block.anchor, block.boost) = (Some("The `block`"), Some("the-block"), 2.0);
    let analyzer = Analyzer::for_locale("en");
    let found = chunks(b"k", &[block], &analyzer, &RULES).chunks;
    let listed: Vec<_> = found
        .iter()
        .map(|c| (c.headings.join(" > "), c.anchor.as_deref().unwrap_or_default(), c.boost))
        .collect();
    assert_eq!(
        listed,
        [("The `block`".to_owned(), "the-block", 2.0), ("The `block` > Part".to_owned(), "part", 2.0)]
    );
}

#[test]
fn an_edit_keeps_the_ids_of_other_chunks() {
    let paragraph = |n: usize| {
        format!("Paragraph{n} begins here. It talks about boat{n} and pier{n}. It ends with gull{n}.\n\n")
    };
    let before: String = (0..200).map(paragraph).collect();
    let ids = |text: &str| cut(text, &RULES).into_iter().map(|chunk| chunk.id).collect::<BTreeSet<_>>();
    let all = ids(&before);
    for place in [0, 50, 120, 199] {
        let after = before.replace(&format!("boat{place} "), "one more thing, ");
        let kept = all.intersection(&ids(&after)).count();
        assert!(all.len() - kept <= 4, "{place}: {kept} of {} kept", all.len());
    }
    let inserted = format!("A wholly new beginning of this text, with several words.\n\n{before}");
    let kept = all.intersection(&ids(&inserted)).count();
    assert!(all.len() - kept <= 12, "{kept} of {} kept", all.len());

    // A block that moves in its list keeps its chunks; equal texts have ids of their own.
    let analyzer = Analyzer::for_locale("en");
    let at = |field: &'static str, text: &'static str| Text::new(field, text, TextForm::Plain);
    let of = |texts: &[Text<'_>]| -> Vec<_> {
        chunks(b"k", texts, &analyzer, &RULES).chunks.into_iter().map(|chunk| chunk.id).collect()
    };
    let one = of(&[at("/sections/0/body", "Old words")]);
    let two = of(&[at("/sections/0/body", "New words"), at("/sections/1/body", "Old words")]);
    assert_eq!(one[0], two[1]);
    let twice = of(&[at("/tags/0", "Same"), at("/tags/1", "Same"), at("/label", "Same")]);
    assert_eq!(twice.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_ne!(chunks(b"other", &[at("/label", "Same")], &analyzer, &RULES).chunks[0].id, twice[2]);
}

#[test]
fn ids_are_read_as_they_are_written() {
    let id = cut("Some words.", &RULES)[0].id;
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(
        serde_json::from_str::<ashlar_retrieval::chunk::ChunkId>(&serde_json::to_string(&id).unwrap())
            .unwrap(),
        id
    );
    for wrong in ["", "xyz", &"g".repeat(32), &"a".repeat(33), &"é".repeat(16)] {
        assert!(wrong.parse::<ashlar_retrieval::chunk::ChunkId>().is_err(), "{wrong}");
    }
}

#[test]
fn an_entry_is_bounded() {
    let text = "One line of text here.\n\n".repeat(500_000);
    let analyzer = Analyzer::for_locale("xx");
    let texts = [Text::new("/a", &text, TextForm::Plain), Text::new("/b", "More", TextForm::Plain)];
    let found = chunks(b"k", &texts, &analyzer, &ChunkRules { target: 1, most: 5, overlap: 0 });
    assert_eq!(found.chunks.len(), ashlar_retrieval::chunk::ENTRY_CHUNKS_MAX);
    assert!(found.left_out > 9_000_000, "{}", found.left_out);
}

#[test]
fn hostile_markdown_takes_a_time_that_grows_with_its_size() {
    for piece in [
        "](", "](((", "<a ", "<!-- ", "`a``", "[^", "[a][", "***", "- ", "> ", "|-|\n", "&a", "\\", "# ",
        "~~~\n", "_a",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        assert_eq!(blank(&text, TextForm::Markdown).len(), text.len());
        cut(&text, &RULES);
    }
}

/// Markdown files as people write them: of this project, and of the shared data where it is at hand.
fn real_markdown() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut waiting = vec![root.join("docs"), root.join("examples")];
    waiting.extend(std::env::var_os("ASHLAR_TEST_DATA").map(|data| PathBuf::from(data).join("docs")));
    let mut out = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "md" || e == "mdx") && out.len() < 400 {
                out.extend(
                    std::fs::read_to_string(&path).ok().map(|text| (path.display().to_string(), text)),
                );
            }
        }
    }
    out
}

#[test]
fn real_pages_are_covered() {
    let pages = real_markdown();
    assert!(pages.len() > 20, "{}", pages.len());
    for (path, text) in pages {
        covers(&path, &text, TextForm::Markdown, &ChunkRules::default());
    }
}

/// Checks what is true of the chunks of any text.
fn covers(name: &str, text: &str, form: TextForm, rules: &ChunkRules) {
    let analyzer = Analyzer::for_locale("en");
    let blanked = blank(text, form);
    assert_eq!(blanked.len(), text.len(), "{name}");
    let found = chunks(b"k", &[Text::new("/body", text, form)], &analyzer, rules);
    assert_eq!(found.left_out, 0);
    let ids: BTreeSet<_> = found.chunks.iter().map(|chunk| chunk.id).collect();
    assert_eq!(ids.len(), found.chunks.len(), "{name}: ids are unique");
    let mut covered = vec![false; text.len()];
    let mut headings: BTreeSet<String> = BTreeSet::new();
    assert_eq!(analyzer.count(&blanked) as usize, analyzer.list(&blanked).len(), "{name}");
    for chunk in &found.chunks {
        assert!(text.get(chunk.bytes()).is_some_and(|slice| !slice.is_empty()), "{name}: {chunk:?}");
        assert!(analyzer.list(&blanked[chunk.bytes()]).len() <= rules.most as usize + 1, "{name}: {chunk:?}");
        covered[chunk.bytes()].fill(true);
        headings.extend(chunk.headings.iter().flat_map(|heading| analyzer.list(heading)));
    }
    for word in sentences(&blanked).flat_map(str::split_whitespace) {
        let at = word.as_ptr() as usize - blanked.as_ptr() as usize;
        let outside = word.char_indices().any(|(offset, c)| c.is_alphanumeric() && !covered[at + offset]);
        assert!(
            !outside || analyzer.list(word).iter().all(|term| headings.contains(term)),
            "{name}: nothing covers `{word}`"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_covered(
        lines in proptest::collection::vec(
            prop_oneof![
                "[a-z]{1,8}( [a-z]{1,8}){0,12}[.?!]?",
                "(# |## |- |  - |1\\. |> |\\| )[a-z*_`|]{1,20}( [a-z]{1,6}){0,4}",
                "[-|=`~*# ]{1,8}",
                "[\\PC]{0,20}",
                Just(String::new()),
            ],
            0..30,
        ),
        markdown in any::<bool>(),
        target in 1_u32..30,
    ) {
        let text = lines.join("\n");
        let rules = ChunkRules { target, most: target * 2, overlap: target / 4 };
        covers("generated", &text, if markdown { TextForm::Markdown } else { TextForm::Plain }, &rules);
    }
}
