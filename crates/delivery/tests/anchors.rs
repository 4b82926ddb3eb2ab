//! Search results lead to the headings of pages.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use ashlar_retrieval::{
    chunk::{ChunkRules, Text, TextForm, chunks},
    text::Analyzer,
};

#[test]
fn anchors_of_chunks_are_ids_on_pages() {
    let mut anchors = 0;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for entry in std::fs::read_dir(docs).unwrap() {
        let path = entry.unwrap().path();
        let Some(text) =
            path.extension().filter(|e| *e == "md").and_then(|_| std::fs::read_to_string(&path).ok())
        else {
            continue;
        };
        let html = ashlar_site::markdown(&text);
        let texts = [Text::new("/body", &text, TextForm::Markdown)];
        let found = chunks(b"k", &texts, &Analyzer::for_locale("en"), &ChunkRules::default());
        for anchor in found.chunks.iter().filter_map(|chunk| chunk.anchor.as_deref()) {
            anchors += 1;
            assert!(html.contains(&format!("id=\"{anchor}\"")), "{}: {anchor}", path.display());
        }
    }
    assert!(anchors > 200, "{anchors}");
}
