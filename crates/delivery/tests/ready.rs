//! Answers that are kept whole are those that would be written anew.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use ashlar_delivery::{Caches, Quick, ReleaseView, RequestParts, Traceparent, write_quick};
use common::{Fixture, files, key};
use serde_json::json;

fn fixture() -> Fixture {
    let mut files = files();
    let view = "source = 'plan'\nlookup = 'slug'\nfields = ['price', 'name', '$id', '$locale', '$type']\n";
    files.insert("views/offers.v1.toml", view.as_bytes().to_vec()).unwrap();
    let mut f = Fixture::of(files);
    let long = "Lorem ipsum dolor sit amet. ".repeat(80);
    f.put(&[
        (key("plan", "basic", "en"), Some(json!({"slug": "basic", "name": "Basic \"x\"", "price": 10.5}))),
        (key("plan", "basic", "de"), Some(json!({"slug": "basic", "name": "Einfach", "price": 10}))),
        (key("plan", "long", "en"), Some(json!({"slug": "long", "name": long}))),
        (key("page", "home", "en"), Some(json!({"slug": "home", "title": "Hi", "plans": ["basic", "long"]}))),
    ]);
    f
}

fn uncached(f: &Fixture, label: &str) -> ReleaseView {
    let (objects, definitions) = (f.objects.clone(), f.definitions.clone());
    ReleaseView::new(objects, label.to_owned(), f.snapshot.clone(), f.build(), definitions, Caches::new(1))
}

/// What both write, behind bytes of an earlier answer.
fn both(cached: &ReleaseView, uncached: &ReleaseView, parts: &RequestParts<'_>) -> String {
    let write = |view: &ReleaseView| {
        let mut out = b"before".to_vec();
        let written = write_quick(view, parts, &mut out);
        (written, out)
    };
    let (got, expect) = (write(cached), write(uncached));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&got.1), text(&expect.1), "{} {:?}", parts.path, parts.query);
    assert_eq!(got.0, expect.0);
    let Quick::Written(written) = got.0 else { panic!("{} has no answer", parts.path) };
    assert_eq!(got.1.len(), "before".len() + written.head_len + written.body_len);
    text(&got.1)
}

#[test]
fn kept_answers_are_those_that_are_written_anew() {
    let mut f = fixture();
    let paths = [
        "/v1/entries/plan/basic",
        "/v1/entries/plan/long",
        "/v1/entries/plan",
        "/v1/entries/plan/none",
        "/v1/pages/home",
        "/v1/plans/basic",
        "/v1/offers/basic",
        "/v1/offers/long",
        "/v1/offers/none",
    ];
    let mut seen = Vec::new();
    for label in ["r1", "r2"] {
        let (cached, fresh) = (f.release(label), uncached(&f, label));
        for round in 0..4 {
            for path in paths {
                for n in 0..48 {
                    let traceparent = Traceparent::follow(None);
                    let date =
                        format!("date: {round}\r\n{}", if n % 2 == 0 { "" } else { "connection: close\r\n" });
                    let parts = RequestParts {
                        method: if n % 3 == 0 { "HEAD" } else { "GET" },
                        path,
                        query: [None, Some("locale=de")][n / 2 % 2],
                        accept_language: [None, Some("de, en;q=0.5")][n / 4 % 2],
                        accept_encoding: [None, Some("gzip"), Some("br, gzip"), Some("identity")][n / 8 % 4],
                        accept: None,
                        if_none_match: [None, None, None, Some("*")][n % 4],
                        traceparent: &traceparent,
                        private: n % 5 == 0,
                        developer: false,
                        reader: None,
                        asker: None,
                        extra_head: date.as_bytes(),
                    };
                    seen.push(both(&cached, &fresh, &parts));
                }
            }
        }
        f.put(&[(key("plan", "basic", "en"), Some(json!({"slug": "basic", "name": "Other", "price": 1})))]);
    }
    let offer = "\r\n\r\n{\"$id\":\"basic\",\"$locale\":\"en\",\"$type\":\"plan\",\"name\":\"Basic \\\"x\\\"\",\"price\":10.5}";
    assert!(seen.iter().any(|answer| answer.ends_with(offer)));
}

#[test]
fn more_answers_than_fit_push_each_other_out() {
    let mut f = Fixture::new();
    let entry = |n: usize| json!({"slug": format!("s{n}"), "name": "n".repeat(n * 20)});
    let entries: Vec<_> = (0..60).map(|n| (key("plan", &format!("p{n}"), "en"), Some(entry(n)))).collect();
    f.put(&entries);
    f.caches = Caches::new(64 << 10);
    let (cached, fresh) = (f.release("r1"), uncached(&f, "r1"));
    let traceparent = Traceparent::follow(None);
    for n in 0..3000_usize {
        let path = format!("/v1/entries/plan/p{}", (n / 3 * 7 + n % 5) % 60);
        both(&cached, &fresh, &RequestParts::get(&path, &traceparent));
    }
}
