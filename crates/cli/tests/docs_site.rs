//! The documentation, served by Ashlar itself.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "common/browser.rs"]
mod browser;
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Rig, Served, http, start};

fn docs() -> (Rig, Served, String) {
    let rig = Rig::new();
    let (server, ready) = start(&rig, &["demo", "--docs", "--data", "data"]);
    let url = ready["url"].as_str().unwrap().to_owned();
    (rig, server, url)
}

/// The values of an attribute in a page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let mark = format!(" {attribute}=\"");
    html.split(&mark).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_internal_link_leads_to_a_page_and_a_heading() {
    let (_rig, _server, url) = docs();
    let mut pages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut links = Vec::new();
    let mut open = vec!["/docs".to_owned()];
    while let Some(path) = open.pop() {
        if pages.contains_key(&path) {
            continue;
        }
        let (status, head, html) = http(&url, "GET", &path, "", "");
        assert_eq!(status, 200, "{path}");
        // A file without an ending is a page; the others are assets.
        if !head.contains("text/html") {
            pages.insert(path, BTreeSet::new());
            continue;
        }
        let ids = values(&html, "id");
        let all: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(ids.len(), all.len(), "{path} has an id twice");
        for href in values(&html, "href").into_iter().filter(|h| h.starts_with('/') || h.starts_with('#')) {
            let (to, fragment) = href.split_once('#').unwrap_or((href, ""));
            let to = if to.is_empty() { path.as_str() } else { to };
            links.push((path.clone(), to.to_owned(), fragment.to_owned()));
            open.push(to.to_owned());
        }
        pages.insert(path, all);
    }
    for (from, to, fragment) in &links {
        assert!(fragment.is_empty() || pages[to].contains(fragment), "{from} links to {to}#{fragment}");
    }
    // The index names every page in docs/.
    let named = pages.keys().filter(|path| path.starts_with("/docs/")).count();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).unwrap();
    let files = files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "md"));
    for file in files.map(|f| f.path()).filter(|f| !f.ends_with("README.md")) {
        let path = format!("/docs/{}", file.file_stem().unwrap().display());
        assert!(pages.contains_key(&path), "no page links to {path}");
    }
    assert!(named > 20, "{named}");
}

#[test]
fn search_finds_pages_by_what_they_say() {
    let (_rig, _server, url) = docs();
    let (status, _, html) = http(&url, "GET", "/search?q=surrogate%20purge", "", "");
    assert_eq!(status, 200);
    assert!(values(&html, "href").iter().any(|href| href.starts_with("/docs/caches")), "{html}");
    assert!(html.contains("<mark>"), "{html}");
}

#[test]
fn the_documentation_is_for_everybody() {
    let (_rig, _server, url) = docs();
    let Some(report) = browser::run("docs.mjs", &url) else { return };
    let wrong: Vec<String> = report["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| format!("{} at {}: {}", v["what"], v["where"], v["detail"]))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
