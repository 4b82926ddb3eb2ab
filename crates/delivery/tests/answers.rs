//! Whole answers: status, headers and body of each request, side by side in one snapshot file.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::{Fixture, ask, key};
use serde_json::json;

fn fixture() -> Fixture {
    let mut f = Fixture::new();
    let long = "Lorem ipsum dolor sit amet. ".repeat(80);
    f.put(&[
        (key("plan", "basic", "en"), Some(json!({"slug": "basic", "name": "Basic", "price": 10}))),
        (key("plan", "basic", "de"), Some(json!({"slug": "einfach", "name": "Einfach", "price": 10}))),
        (key("plan", "pro", "en"), Some(json!({"slug": "pro", "name": "Pro", "price": 20}))),
        (key("plan", "long", "en"), Some(json!({"slug": "long", "name": long}))),
        (key("plan", "nur", "fr"), Some(json!({"slug": "nur", "name": "Seul"}))),
        (
            key("page", "home", "en"),
            Some(json!({"slug": "home", "title": "Welcome", "secret": "no", "plans": ["basic", "gone", "pro"], "hero": "gone"})),
        ),
        (key("page", "a.b", "en"), Some(json!({"slug": "docs/a b", "title": "Deep", "hero": "pro"}))),
    ]);
    f
}

#[test]
fn requests_and_answers() {
    let f = fixture();
    let r = f.release("r7");
    let mut all = String::new();
    let requests = [
        "GET /v1/entries/plan/basic",
        "HEAD /v1/entries/plan/basic",
        "GET /v1/entries/plan/basic?locale=de",
        "GET /v1/entries/plan/pro?locale=de",
        "GET /v1/entries/plan/basic\naccept-language: fr, de;q=0.5",
        "GET /v1/entries/plan/pro\nauthorization: Bearer x",
        "GET /v1/entries/plan/basic?locale=it",
        "GET /v1/entries/plan/nur",
        "GET /v1/entries/plan/none",
        "GET /v1/entries/none/a",
        "GET /v1/entries/plan/%ff%00x",
        "GET /v1/entries/plan?limit=2",
        "GET /v1/entries/plan?slug=pro",
        "GET /v1/pages/home",
        "GET /v1/pages/home?locale=de",
        "GET /v1/pages/docs/a%20b",
        "GET /v1/pages/none",
        "GET /v1/plans/pro",
        "GET /v1/plans/a/b",
        "POST /v1/entries/plan/basic",
        "DELETE /v1/pages/home",
        "GET /v1/other",
    ];
    for request in requests {
        all.push_str(&format!("> {}\n{}\n\n\n", request.replace('\n', "\n> "), ask(&r, request)));
    }
    insta::assert_snapshot!(all);
}

fn header<'t>(answer: &'t str, name: &str) -> Option<&'t str> {
    answer.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn unchanged_content_is_304_in_every_encoding() {
    let f = fixture();
    let r = f.release("r1");
    for target in ["/v1/entries/plan/long", "/v1/pages/home", "/v1/entries/plan"] {
        for encoding in ["identity", "gzip", "br"] {
            let first = ask(&r, &format!("GET {target}\naccept-encoding: {encoding}"));
            let etag = header(&first, "etag").unwrap();
            for known in [etag.to_owned(), format!("W/{etag}, \"x\""), "*".to_owned()] {
                let again =
                    ask(&r, &format!("GET {target}\naccept-encoding: {encoding}\nif-none-match: {known}"));
                assert!(again.starts_with("304\n"), "{again}");
                assert_eq!(header(&again, "etag"), Some(etag));
                assert_eq!(header(&again, "surrogate-key"), header(&first, "surrogate-key"));
                assert!(!again.contains("content-length"), "{again}");
            }
            assert!(ask(&r, &format!("GET {target}\nif-none-match: \"x\"")).starts_with("200"));
        }
    }
}

#[test]
fn long_bodies_are_compressed_when_asked() {
    let f = fixture();
    let r = f.release("r1");
    for (accept, encoding) in [("gzip", Some("gzip")), ("gzip, br", Some("br")), ("identity", None)] {
        for _ in 0..2 {
            let long = ask(&r, &format!("GET /v1/entries/plan/long\naccept-encoding: {accept}"));
            assert_eq!(header(&long, "content-encoding"), encoding);
            let len: usize = header(&long, "content-length").unwrap().parse().unwrap();
            assert_eq!(len < 1000, encoding.is_some());
            let short = ask(&r, &format!("GET /v1/entries/plan/basic\naccept-encoding: {accept}"));
            assert_eq!(header(&short, "content-encoding"), None);
        }
    }
}

#[test]
fn a_composed_body_follows_what_it_was_composed_from() {
    let mut f = fixture();
    let first = ask(&f.release("r1"), "GET /v1/pages/home");
    f.put(&[(key("plan", "long", "en"), None)]);
    let same = ask(&f.release("r2"), "GET /v1/pages/home");
    assert_eq!(first.replace("ashlar-release: r1", "ashlar-release: r2"), same);
    f.put(&[(key("plan", "pro", "en"), Some(json!({"slug": "pro", "name": "Pro", "price": 21})))]);
    let changed = ask(&f.release("r3"), "GET /v1/pages/home");
    assert!(changed.contains("\"price\":21"), "{changed}");
    f.put(&[(key("plan", "gone", "en"), Some(json!({"slug": "gone", "name": "Back"})))]);
    let back = ask(&f.release("r4"), "GET /v1/pages/home");
    assert!(back.contains("\"hero\":{\"name\":\"Back\"}"), "{back}");
    f.put(&[(key("page", "home", "en"), None)]);
    assert!(ask(&f.release("r5"), "GET /v1/pages/home").starts_with("404"));
}
