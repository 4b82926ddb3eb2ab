//! Search results lead to the headings of pages.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use ashlar_model::Files;
use ashlar_retrieval::{
    chunk::{ChunkRules, Text, TextForm, chunks},
    text::Analyzer,
};
use ashlar_site::{Page, Site};
use serde_json::json;

/// The ids of a page, in order.
fn ids(html: &str) -> Vec<&str> {
    html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

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

/// A page with several texts, one of them in a block that names its own fragment.
#[test]
fn ids_of_a_page_with_several_texts_differ_and_search_results_lead_to_them() {
    let mut files = Files::new();
    for (path, text) in [
        ("site/site.toml", "title = 'S'\n[[page]]\ntype = 'page'\nview = 'pages.v1'\nlayout = 'page.html'\n"),
        (
            "site/layouts/page.html",
            "{{ page.intro|markdown }}{% for part in page.parts %}{% if part.anchor %}<h2 id=\"{{ part.anchor }}\">x</h2>{% endif %}\
             {{ part.body|markdown }}{% endfor %}",
        ),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    let site = Site::load(&files).site.unwrap();
    let intro = "# Usage\n\nThe intro.\n\n# Options\n\nOf the intro.";
    let (first, second) =
        ("# Usage\n\nOne.\n\n# Usage\n\nTwo.", "# Options\n\nThree.\n\n# Usage {#usage}\n\nFour.");
    let body = json!({"intro": intro, "parts": [{"body": first}, {"anchor": "options", "body": second}]});
    // The second page begins as the first one did.
    for _ in 0..2 {
        let page =
            Page { layout: "page.html", surface: "web", locale: "en", body: body.clone(), ..Page::default() };
        let html = site.render(&page).unwrap();
        assert_eq!(
            ids(&html),
            ["usage", "options-1", "usage-1", "usage-2", "options", "options-2", "usage-3"],
            "{html}"
        );
    }
    let texts = [
        Text::new("/intro", intro, TextForm::Markdown),
        Text::new("/parts/0/body", first, TextForm::Markdown),
        Text { anchor: Some("options"), ..Text::new("/parts/1/body", second, TextForm::Markdown) },
    ];
    let found = chunks(b"k", &texts, &Analyzer::for_locale("en"), &ChunkRules::default());
    let anchors: Vec<&str> = found.chunks.iter().filter_map(|chunk| chunk.anchor.as_deref()).collect();
    assert_eq!(anchors, ["usage", "options-1", "usage-1", "usage-2", "options-2", "usage-3"]);
}
