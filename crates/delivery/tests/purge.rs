//! The law of purging: a body that is not what it was carries a key that is purged.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::BTreeSet;

use ashlar_delivery::{Purge, purge_between};
use ashlar_model::EntryKey;
use common::{Fixture, ask, key};
use proptest::prelude::*;
use serde_json::{Value, json};

fn entry() -> impl Strategy<Value = (EntryKey, Option<Value>)> {
    let locale = || prop::sample::select(vec!["en", "de", "fr"]);
    let slug = || prop::sample::select(vec!["a", "b", "c d", "é"]);
    let plan = (0..3_u8, locale(), slug(), 0..3_u8).prop_map(|(id, locale, slug, price)| {
        (
            key("plan", &format!("p{id}"), locale),
            json!({"slug": slug, "name": format!("P{price}"), "price": price}),
        )
    });
    let reference = || (0..4_u8).prop_map(|n| format!("p{n}"));
    let page = (0..3_u8, locale(), slug(), reference(), prop::collection::vec(reference(), 0..3), 0..2_u8).prop_map(
        |(id, locale, slug, hero, plans, secret)| {
            let fields = json!({"slug": slug, "title": "T", "hero": hero, "plans": plans, "secret": format!("s{secret}")});
            (key("page", &format!("g{id}"), locale), fields)
        },
    );
    (prop_oneof![plan, page], prop::bool::weighted(0.8))
        .prop_map(|((key, fields), there)| (key, there.then_some(fields)))
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Everything that a cache can hold.
fn urls() -> Vec<String> {
    let mut all = Vec::new();
    let id = ashlar_delivery::graphql::document_id(common::QUERY);
    for locale in ["en", "de"] {
        for slug in ["a", "c d", "é"] {
            let variables = percent(&json!({"slug": slug, "rich": true}).to_string());
            all.push(format!(
                "/graphql?documentId={id}&operationName=Page&variables={variables}&locale={locale}"
            ));
        }
        all.push(format!("/graphql?documentId={id}&operationName=Plans&locale={locale}"));
    }
    for locale in ["en", "de", "fr"] {
        for slug in ["a", "b", "c%20d", "%C3%A9"] {
            all.push(format!("/v1/pages/{slug}?locale={locale}"));
        }
        for n in 0..3 {
            all.push(format!("/v1/plans/p{n}?locale={locale}"));
            all.push(format!("/v1/entries/plan/p{n}?locale={locale}"));
            all.push(format!("/v1/entries/page/g{n}?locale={locale}"));
        }
        all.push(format!("/v1/entries/plan?locale={locale}"));
        all.push(format!("/v1/entries/page?locale={locale}&limit=1"));
        all.push(format!("/v1/entries/page?slug=a&locale={locale}"));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60), ..ProptestConfig::default() })]

    #[test]
    fn no_stale_body_survives_a_purge(
        first in prop::collection::vec(entry(), 1..14),
        second in prop::collection::vec(entry(), 1..4),
    ) {
        let mut f = Fixture::new();
        f.put(&first);
        let old = f.release("r1");
        let before = f.snapshot.root();
        f.put(&second);
        let new = f.release("r1");
        let purge = purge_between(&f.objects, &f.definitions, &before, &f.snapshot.root()).unwrap();
        prop_assert_eq!(before == f.snapshot.root(), purge == Purge::Nothing);
        let keys: BTreeSet<String> = match purge {
            Purge::Keys(keys) => keys.into_iter().collect(),
            Purge::Nothing => BTreeSet::new(),
            Purge::Everything => return Ok(()),
        };
        // Only keys of what really differs are purged.
        let differing: BTreeSet<String> = second.iter().map(|(k, _)| k.type_name.to_string()).collect();
        for key in &keys {
            let of = key.split([':', '/']).next().unwrap();
            prop_assert!(differing.contains(of), "{} is purged, and nothing of its type has changed", key);
        }
        for url in urls() {
            let (was, is) = (ask(&old, &format!("GET {url}")), ask(&new, &format!("GET {url}")));
            // What is not found is not kept by caches.
            if !was.starts_with("200") || was == is {
                continue;
            }
            let line = was.lines().find_map(|l| l.strip_prefix("surrogate-key: ")).unwrap();
            prop_assert!(
                line.split(' ').any(|k| keys.contains(k)),
                "{} is stale\n{}\n\n{}\n\npurged {:?}", url, was, is, keys
            );
        }
    }
}
