//! What threads that serve leave to others, and what no answer may become.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use ashlar_delivery::{Quick, ReleaseView, RequestParts, Traceparent, answer, write_quick};
use common::{Fixture, ask, files, json, key};
use serde_json::json;

/// Whether a thread that serves answers `path?query` itself.
fn is_quick(release: &ReleaseView, target: &str) -> bool {
    let traceparent = Traceparent::follow(None);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let parts = RequestParts { query, ..RequestParts::get(path, &traceparent) };
    let mut out = b"before".to_vec();
    let quick = write_quick(release, &parts, &mut out);
    match quick {
        Quick::Written(_) => true,
        Quick::Heavy => {
            assert_eq!(out, b"before", "{target}");
            assert_eq!(answer(release, &parts).unwrap().status, 200, "{target}");
            false
        }
        Quick::Nothing => panic!("nothing is at {target}"),
    }
}

#[test]
fn large_views_are_composed_elsewhere_and_then_kept() {
    let mut f = Fixture::new();
    let plans = |n: usize| (0..n).map(|n| format!("p{n}")).collect::<Vec<_>>();
    let mut entries = vec![
        (key("page", "few", "en"), Some(json!({"slug": "few", "plans": plans(30)}))),
        (key("page", "many", "en"), Some(json!({"slug": "many", "plans": plans(900)}))),
    ];
    entries.extend((0..900).map(|n| {
        let text = "Lorem ipsum dolor sit amet. ".repeat(10);
        (key("plan", &format!("p{n}"), "en"), Some(json!({"slug": format!("p{n}"), "text": text})))
    }));
    f.put(&entries);
    let r1 = f.release("r1");
    assert!(is_quick(&r1, "/v1/pages/few"));
    assert!(!is_quick(&r1, "/v1/pages/many"));
    assert!(is_quick(&r1, "/v1/pages/many"));
    f.put(&[(key("plan", "other", "en"), Some(json!({"slug": "other"})))]);
    assert!(is_quick(&f.release("r2"), "/v1/pages/many"));
}

#[test]
fn lists_that_read_much_are_made_elsewhere() {
    let mut f = Fixture::new();
    let entries: Vec<_> = (0..150)
        .map(|n| {
            let (slug, text) = (format!("p{n}"), "x".repeat(4_000));
            (key("plan", &slug, "en"), Some(json!({"slug": slug, "price": n, "tags": ["a"], "text": text})))
        })
        .collect();
    f.put(&entries);
    let r = f.release("r1");
    assert!(is_quick(&r, "/v1/entries/plan"));
    assert!(is_quick(&r, "/v1/entries/plan?tags=a&limit=100"));
    // Each entry is read to find that none matches.
    assert!(!is_quick(&r, "/v1/entries/plan?tags=a&price[gte]=1000"));
}

#[test]
fn operations_are_bounded_as_a_whole() {
    let mut files = files();
    let lists: String = (0..12)
        .map(|n| format!("  l{n}: planList(first: 1, where: {{tags: {{eq: \"a\"}}, price: {{gte: 1000}}}}) {{ items {{ slug }} }}\n"))
        .collect();
    files.insert("queries/lists.graphql", format!("query Lists {{\n{lists}}}\n").into_bytes()).unwrap();
    let refs = "query Refs { page(id: \"refs\") { plans { slug } } }\n";
    files.insert("queries/refs.graphql", refs.as_bytes().to_vec()).unwrap();
    let ids = |text: &str| ashlar_delivery::graphql::document_id(text);
    let (lists, refs) = (ids(&format!("query Lists {{\n{lists}}}\n")), ids(refs));
    let mut f = Fixture::of(files);
    let mut entries: Vec<_> = (0..300)
        .map(|n| (key("plan", &format!("p{n}"), "en"), Some(json!({"slug": format!("p{n}"), "tags": ["a"]}))))
        .collect();
    entries.push((key("plan", "big", "en"), Some(json!({"slug": "big", "text": "x".repeat(100_000)}))));
    entries.push((key("page", "refs", "en"), Some(json!({"slug": "refs", "plans": vec!["big"; 100]}))));
    f.put(&entries);
    f.definitions.warm();
    let r = f.release("r1");
    for document in [lists, refs] {
        let target = format!("/graphql?documentId={document}");
        assert!(!is_quick(&r, &target));
        assert!(is_quick(&r, &target));
    }
}

#[test]
fn an_entry_that_is_included_often_counts_each_time() {
    let views = "source = 'page'\nlookup = 'slug'\n[include.plans]\n";
    let mut files = files();
    files.insert("views/whole.v1.toml", views.as_bytes().to_vec()).unwrap();
    let mut f = Fixture::of(files);
    let text = "x".repeat(100_000);
    f.put(&[
        (key("plan", "big", "en"), Some(json!({"slug": "big", "text": text}))),
        (key("page", "some", "en"), Some(json!({"slug": "some", "plans": vec!["big"; 50]}))),
        (key("page", "all", "en"), Some(json!({"slug": "all", "plans": vec!["big"; 500]}))),
    ]);
    let r = f.release("r1");
    assert_eq!(json(&r, "/v1/whole/some")["plans"].as_array().unwrap().len(), 50);
    let refused = ask(&r, "GET /v1/whole/all");
    assert!(refused.starts_with("422") && refused.contains("view-too-large"), "{:.300}", refused);
}

#[test]
fn a_page_of_a_list_is_bounded_in_bytes() {
    let mut f = Fixture::new();
    let text = "x".repeat(1_900_000);
    let entries: Vec<_> = (0..10)
        .map(|n| (key("plan", &format!("p{n}"), "en"), Some(json!({"slug": format!("p{n}"), "text": text}))))
        .collect();
    f.put(&entries);
    let r = f.release("r1");
    for sort in ["", "&sort=slug"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = json(&r, &format!("/v1/entries/plan?limit=100{sort}{cursor}"));
            let items = page["items"].as_array().unwrap();
            assert_eq!(items.len(), if seen.len() < 8 { 4 } else { 2 });
            seen.extend(items.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, (0..10).map(|n| format!("p{n}")).collect::<Vec<_>>());
    }
}
