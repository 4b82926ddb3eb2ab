//! The trees of a search: updating gives what building gives, costs follow what changed, and a basis is kept while it fits.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use ashlar_delivery::search::{self, Learned, MeaningInput, SearchRules};
use ashlar_model::EntryKey;
use ashlar_retrieval::{config::Config, models::NoModels};
use ashlar_store::Tree;
use common::{Fixture, key};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Words from a small vocabulary, so that there is something to learn.
fn words(seed: usize, count: usize) -> String {
    const WORDS: [&str; 12] = [
        "tide", "berth", "harbour", "invoice", "crane", "gate", "weather", "ledger", "boat", "mooring",
        "price", "night",
    ];
    let mut state = seed as u64 + 1;
    let word = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[(state >> 33) as usize % WORDS.len()];
        if state.is_multiple_of(9) { format!("{word}.") } else { word.to_owned() }
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn different_words(seed: usize, count: usize) -> String {
    (0..count).map(|n| format!("w{seed}x{n}")).collect::<Vec<_>>().join(" ")
}

fn entries() -> impl Strategy<Value = Vec<(EntryKey, Option<Value>)>> {
    // Long texts, so that entries begin runs, and one that does not fit into a segment.
    let length = prop_oneof![5 => Just(3_usize), 5 => Just(800), 5 => Just(6_000), 1 => Just(0)];
    let fields = (0_usize..20, length).prop_map(|(seed, count)| {
        let text = if count > 0 { words(seed, count) } else { different_words(seed, 14_000) };
        json!({"slug": "a", "name": "The plan", "text": format!("# Of {seed}\n\nIt is {text}")})
    });
    let key = ("(plan|page)", "[ab]{1,3}", "(en|de)").prop_map(|(t, i, l)| key(&t, &i, &l));
    prop::collection::vec((key, prop::option::weighted(0.8, fields)), 0..8)
}

fn build(f: &Fixture) -> Tree {
    let config = Config::default();
    let mut batch = f.objects.batch();
    search::build(&SearchRules::new(&f.contracts, &config), &f.objects, &f.snapshot, &mut batch).unwrap()
}

/// Derives the search tree and stores it; says how many objects were new.
fn derive(f: &Fixture, earlier: Option<(&Tree, &Tree)>) -> (Tree, usize) {
    let config = Config::default();
    let mut batch = f.objects.batch();
    let rules = SearchRules::new(&f.contracts, &config);
    let made = search::derive(earlier, &rules, &f.objects, &f.snapshot, &mut batch).unwrap();
    let new = batch.len();
    f.runtime.block_on(f.objects.commit(batch)).unwrap();
    (Tree::open(&f.objects, &made.root()).unwrap(), new)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn update_gives_what_build_gives(steps in prop::collection::vec(entries(), 1..5)) {
        let mut f = Fixture::new();
        let mut made: Option<Tree> = None;
        for step in steps {
            let before: Tree = f.put(&step);
            let (derived, _) = derive(&f, made.as_ref().map(|tree| (tree, &before)));
            prop_assert_eq!(derived.root(), build(&f).root());
            made = Some(derived);
        }
    }
}

fn many(count: usize) -> Vec<(EntryKey, Option<Value>)> {
    let one = |n: usize| {
        (
            key("plan", &format!("p{n:04}"), "en"),
            Some(json!({"slug": "p", "name": "Plan", "text": words(n, 60)})),
        )
    };
    (0..count).map(one).collect()
}

#[test]
fn one_changed_entry_rewrites_one_segment() {
    let mut f = Fixture::new();
    f.put(&many(1_000));
    let (first, _) = derive(&f, None);
    assert!(first.len() > 4, "{} segments", first.len());
    let before = f.put(&[(
        key("plan", "p0500", "en"),
        Some(json!({"slug": "p", "name": "New", "text": "Slack water."})),
    )]);
    let read = f.objects.reads();
    let (second, new) = derive(&f, Some((&first, &before)));
    let read = f.objects.reads() - read;
    let changed = first.diff(&second).count();
    assert!(changed <= 3 && new <= 6, "{changed} entries, {new} objects");
    // The entries beside it are not read.
    assert!(read < 40, "{read} objects were read");
}

/// Derives the tree of meaning and stores it; says how many objects were new.
fn meaning(f: &Fixture, search: &Tree, earlier: Option<&Tree>, quick: bool) -> Option<(Tree, usize)> {
    meaning_with(f, search, (earlier, None), quick, &Learned::default())
}

/// The same, with the search tree of the earlier release, and with what was learned before.
fn meaning_with(
    f: &Fixture,
    search: &Tree,
    (earlier, earlier_search): (Option<&Tree>, Option<&Tree>),
    quick: bool,
    learned: &Learned,
) -> Option<(Tree, usize)> {
    let config = Config::default();
    let mut batch = f.objects.batch();
    let input = MeaningInput {
        search,
        rules: &SearchRules::new(&f.contracts, &config),
        snapshot: &f.snapshot,
        models: &NoModels,
        earlier,
        earlier_search,
        quick,
        learned,
    };
    let made = search::derive_meaning(&input, &mut batch).unwrap();
    let new = batch.len();
    let Some(made) = made else {
        assert_eq!(new, 0, "what comes later leaves nothing behind");
        return None;
    };
    f.runtime.block_on(f.objects.commit(batch)).unwrap();
    Some((Tree::open(&f.objects, &made.root()).unwrap(), new))
}

#[test]
fn a_basis_is_learned_later_and_then_kept_until_the_content_is_another() {
    let mut f = Fixture::new();
    f.put(&many(400));
    let (first, _) = derive(&f, None);
    assert!(meaning(&f, &first, None, true).is_none(), "it takes long");
    let (learned, _) = meaning(&f, &first, None, false).unwrap();
    let of = |tree: &Tree, kind: &[u8]| tree.prefix(kind).map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(of(&learned, b"v\0").len(), of(&first, b"s\0").len());

    // A small change comes with the candidate, and costs the vectors of one segment.
    let before = f.put(&[(
        key("plan", "p0100", "en"),
        Some(json!({"slug": "p", "name": "New", "text": words(7, 50)})),
    )]);
    let (second, _) = derive(&f, Some((&first, &before)));
    let (kept, new) = meaning(&f, &second, Some(&learned), true).unwrap();
    assert_eq!(of(&kept, b"b\0"), of(&learned, b"b\0"));
    assert_eq!(of(&kept, b"v\0").len(), of(&second, b"s\0").len());
    assert!(new <= 6, "{new} objects");

    // Half of the content is another: what was learned fits no more.
    let others: Vec<_> = many(200)
        .into_iter()
        .map(|(key, _)| {
            (key, Some(json!({"slug": "p", "name": "Other", "text": "Entirely other words about sails."})))
        })
        .collect();
    let before = f.put(&others);
    let (third, _) = derive(&f, Some((&second, &before)));
    assert!(meaning(&f, &third, Some(&kept), true).is_none());
    let (anew, _) = meaning(&f, &third, Some(&kept), false).unwrap();
    assert_ne!(of(&anew, b"b\0"), of(&kept, b"b\0"));

    // Nothing is left of what is no more.
    let gone: Vec<_> = many(400).into_iter().map(|(key, _)| (key, None)).collect();
    let before = f.put(&gone);
    let (empty, _) = derive(&f, Some((&third, &before)));
    let (nothing, _) = meaning(&f, &empty, Some(&anew), true).unwrap();
    assert_eq!(
        (empty.prefix(b"s").count(), nothing.prefix(b"b").count(), nothing.prefix(b"v").count()),
        (0, 0, 0)
    );
}

#[test]
fn what_earlier_releases_changed_is_not_read_again() {
    let mut f = Fixture::new();
    f.put(&many(2_000));
    let (mut search, _) = derive(&f, None);
    let learned = Learned::default();
    let (mut tree, _) = meaning_with(&f, &search, (None, None), false, &learned).unwrap();
    let basis = |tree: &Tree| tree.prefix(b"b\0").map(Result::unwrap).collect::<Vec<_>>();
    let first = basis(&tree);
    let mut reads = Vec::new();
    for round in 0..12 {
        let id = format!("p{:04}", round * 160 + 7);
        let text = words(round, 50);
        let changed = (round % 4 > 0).then(|| json!({"slug": "p", "name": "New", "text": text}));
        let before = f.put(&[(key("plan", &id, "en"), changed)]);
        let (next, _) = derive(&f, Some((&search, &before)));
        let read = f.objects.reads();
        let (made, _) = meaning_with(&f, &next, (Some(&tree), Some(&search)), true, &learned).unwrap();
        reads.push(f.objects.reads() - read);
        // A process that has counted nothing looks at everything, and makes the same.
        let (anew, _) =
            meaning_with(&f, &next, (Some(&tree), Some(&search)), true, &Learned::default()).unwrap();
        assert_eq!(made.root(), anew.root(), "round {round}");
        (tree, search) = (made, next);
    }
    assert_eq!(basis(&tree), first, "nothing new was learned");
    assert!(reads[11] <= reads[1], "{reads:?}");
}

#[test]
fn what_outgrows_a_basis_is_seen_by_counting_too() {
    let mut f = Fixture::new();
    f.put(&many(400));
    let (mut search, _) = derive(&f, None);
    let (learned, other) = (Learned::default(), Learned::default());
    let (mut tree, _) = meaning_with(&f, &search, (None, None), false, &learned).unwrap();
    let mut later = 0;
    for round in 0..40 {
        let text = format!("Entirely other words about sails, number {round}.");
        let changed: Vec<_> = (0..6)
            .map(|n| {
                let fields = json!({"slug": "p", "name": "Other", "text": text});
                (key("plan", &format!("p{:04}", round * 6 + n), "en"), Some(fields))
            })
            .collect();
        let before = f.put(&changed);
        let (next, _) = derive(&f, Some((&search, &before)));
        let counted = meaning_with(&f, &next, (Some(&tree), Some(&search)), true, &learned);
        let looked = meaning_with(&f, &next, (Some(&tree), None), true, &other);
        assert_eq!(
            counted.as_ref().map(|(tree, _)| tree.root()),
            looked.map(|(tree, _)| tree.root()),
            "round {round}"
        );
        tree = match counted {
            Some((made, _)) => made,
            None => {
                later += 1;
                meaning_with(&f, &next, (Some(&tree), Some(&search)), false, &learned).unwrap().0
            }
        };
        search = next;
    }
    assert!((1..10).contains(&later), "{later}");
}
