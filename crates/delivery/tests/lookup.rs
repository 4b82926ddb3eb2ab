//! The look-up tree: what it answers, and that updating gives what building gives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use ashlar_delivery::lookup::{self, IndexKey, Lookup};
use ashlar_model::{EntryId, EntryKey, Locale, TypeName};
use ashlar_store::Tree;
use common::{Fixture, key};
use proptest::prelude::*;
use serde_json::{Value, json};

fn name(text: &str) -> TypeName {
    TypeName::new(text).unwrap()
}

#[test]
fn answers_who_refers_links_and_clashes() {
    let mut f = Fixture::new();
    f.put(&[
        (
            key("plan", "basic", "en"),
            Some(json!({"slug": "basic", "price": 10, "text": "[all](/home#x) [x](other)"})),
        ),
        (key("plan", "pro", "en"), Some(json!({"slug": "basic", "price": -2.5, "tags": ["a", "b"]}))),
        (
            key("page", "home", "en"),
            Some(json!({"slug": "home", "plans": ["basic", "pro", "basic"], "hero": "pro"})),
        ),
    ]);
    let l = f.build();
    let en = Locale::new("en").unwrap();
    let show = |s: &lookup::Source| format!("{} {}", s.entry, s.paths.join(" "));
    let refs = l.referrers(&name("plan"), &EntryId::new("basic").unwrap(), 10).unwrap();
    assert_eq!(refs.iter().map(show).collect::<Vec<_>>(), ["page/home (en) /plans/0 /plans/2"]);
    let refs = l.referrers(&name("plan"), &EntryId::new("pro").unwrap(), 10).unwrap();
    assert_eq!(refs[0].paths.len(), 2);
    assert_eq!(
        l.linkers("/home", 10).unwrap().iter().map(show).collect::<Vec<_>>(),
        ["plan/basic (en) /text"]
    );
    assert_eq!(l.links().count(), 2);
    assert_eq!(l.routed(&en, "/home", 10).unwrap(), [key("page", "home", "en")]);
    assert!(l.has_route([&en], "/home").unwrap() && !l.has_route([&en], "/hom").unwrap());
    let clashes = l.route_clashes(10).unwrap();
    assert_eq!(clashes.len(), 1);
    assert_eq!(clashes[0].iter().map(|r| r.entry.id.as_str()).collect::<Vec<_>>(), ["basic", "pro"]);
    let found = |price| l.first_with_value(&name("plan"), "price", &en, &IndexKey::number(price)).unwrap();
    assert_eq!(found(-2.5), Some(EntryId::new("pro").unwrap()));
    assert_eq!((found(-2.6), found(1e9)), (None, None));
    let before = l.clone();
    f.put(&[(key("page", "home", "en"), Some(json!({"slug": "start"})))]);
    let after = f.build();
    let changes: Vec<String> = before
        .route_changes(&after)
        .map(|c| c.map(|(r, added)| format!("{}{}", if added { '+' } else { '-' }, r.route)).unwrap())
        .collect();
    assert_eq!(changes, ["-/home", "+/start"]);
}

fn entries() -> impl Strategy<Value = Vec<(EntryKey, Option<Value>)>> {
    let fields = (0_i32..4, "[ab]{0,2}", prop::collection::vec("[ab]", 0..3), 0_u8..3).prop_map(
        |(n, s, tags, kind)| match kind {
            0 => json!({"slug": s, "price": n, "tags": tags, "text": format!("[x](/{s})")}),
            1 => json!({"slug": s, "plans": tags, "hero": "a"}),
            _ => json!({"slug": s}),
        },
    );
    let key = ("(plan|page)", "[ab]{1,2}", "(en|de)").prop_map(|(t, i, l)| key(&t, &i, &l));
    prop::collection::vec((key, prop::option::weighted(0.8, fields)), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn update_gives_what_build_gives(steps in prop::collection::vec(entries(), 1..4)) {
        let mut f = Fixture::new();
        let mut lookup: Option<Lookup> = None;
        for step in steps {
            let before: Tree = f.put(&step);
            let mut batch = f.objects.batch();
            let earlier = lookup.as_ref().map(|l| (l, &before));
            let derived = lookup::derive(earlier, &f.rules(), &f.objects, &f.snapshot, &mut batch).unwrap();
            f.runtime.block_on(f.objects.commit(batch)).unwrap();
            prop_assert_eq!(derived.tree().root(), f.build().tree().root());
            lookup = Some(Lookup::open(&f.objects, &derived.tree().root()).unwrap());
        }
    }
}
