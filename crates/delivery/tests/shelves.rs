//! What is open for searches follows from release to release: it answers as if it had been opened anew, and costs what has changed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use ashlar_delivery::{
    Caches, ReleaseRoots, ReleaseView,
    search::{self, Learned, MeaningInput, SearchRules},
};
use ashlar_model::EntryKey;
use ashlar_retrieval::models::NoModels;
use ashlar_store::Tree;
use common::{Fixture, key};
use proptest::prelude::*;
use serde_json::{Value, json};

const WORDS: [&str; 10] =
    ["tide", "berth", "harbour", "invoice", "crane", "gate", "weather", "ledger", "boat", "price"];

const ASKED: [&str; 5] = [
    "/v1/search?q=tide&facets=type,region&limit=50",
    "/v1/search?q=berth%20weather&mode=vector&limit=20",
    "/v1/search?q=cran%20of%20the%20harbor&limit=20",
    "/v1/search?q=invoice&locale=de&facets=type",
    "/v1/search/suggest?q=har",
];

fn words(seed: usize, count: usize) -> String {
    let word = |n: usize| {
        let hash = blake3::hash(format!("{seed} {n}").as_bytes());
        WORDS[usize::from(hash.as_bytes()[0]) % WORDS.len()]
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn plan(id: usize, locale: &str, seed: usize, count: usize, tags: &[&str]) -> (EntryKey, Option<Value>) {
    let fields = json!({"slug": format!("p{id}"), "name": format!("Plan {seed}"), "text": words(seed, count), "tags": tags});
    (key("plan", &format!("p{id:04}"), locale), Some(fields))
}

/// Releases that follow each other in one process.
struct Site {
    f: Fixture,
    learned: Learned,
    trees: Option<(Tree, Tree)>,
    before: Option<Arc<ReleaseView>>,
    objects_read: u64,
}

impl Site {
    fn new() -> Self {
        let mut files = common::files();
        let retrieval = "[attributes]\nregion = 'tags'\n[readers.public]\nregion = ['eu']\n";
        files.insert("retrieval.toml", retrieval.as_bytes().to_vec()).unwrap();
        let f = Fixture::of(files);
        Self { f, learned: Learned::default(), trees: None, before: None, objects_read: 0 }
    }

    fn open(&self, caches: &Caches) -> Arc<ReleaseView> {
        let (search, meaning) = self.trees.as_ref().unwrap();
        let roots = ReleaseRoots {
            label: "r1".to_owned(),
            snapshot: self.f.snapshot.root(),
            definitions: self.f.definitions.digest,
            lookup: self.f.build().tree().root(),
            modified: None,
            search: Some(search.root()),
            meaning: Some(meaning.root()),
        };
        ReleaseView::open(&self.f.objects, &roots, Some(&self.f.definitions), caches).unwrap()
    }

    /// Releases changes, and returns the view that the process has then.
    fn release(&mut self, changes: &[(EntryKey, Option<Value>)]) -> Arc<ReleaseView> {
        let before = self.f.put(changes);
        let rules = SearchRules::new(&self.f.contracts, &self.f.definitions.retrieval);
        let mut batch = self.f.objects.batch();
        let earlier = self.trees.as_ref().map(|(search, _)| (search, &before));
        let search = search::derive(earlier, &rules, &self.f.objects, &self.f.snapshot, &mut batch).unwrap();
        let input = MeaningInput {
            search: &search,
            rules: &rules,
            snapshot: &self.f.snapshot,
            models: &NoModels,
            earlier: self.trees.as_ref().map(|(_, meaning)| meaning),
            earlier_search: self.trees.as_ref().map(|(search, _)| search),
            quick: false,
            learned: &self.learned,
        };
        let meaning = search::derive_meaning(&input, &mut batch).unwrap().unwrap();
        self.f.runtime.block_on(self.f.objects.commit(batch)).unwrap();
        let stored = |tree: &Tree| Tree::open(&self.f.objects, &tree.root()).unwrap();
        self.trees = Some((stored(&search), stored(&meaning)));
        let view = self.open(&self.f.caches);
        let read = self.f.objects.reads();
        view.warm_search(self.before.as_deref()).unwrap();
        self.objects_read = self.f.objects.reads() - read;
        self.before = Some(view.clone());
        view
    }
}

fn answers(view: &ReleaseView) -> Vec<Value> {
    ASKED.iter().map(|target| common::json(view, target)).collect()
}

fn changes() -> impl Strategy<Value = Vec<(EntryKey, Option<Value>)>> {
    let tags = prop_oneof![Just(&[][..]), Just(&["eu"][..]), Just(&["us"][..]), Just(&["eu", "us"][..])];
    let length = prop_oneof![Just(5_usize), Just(60), Just(3_000)];
    let one = (0_usize..60, prop_oneof![4 => Just("en"), 1 => Just("de")], 0_usize..500, length, tags, 0..4)
        .prop_map(|(id, locale, seed, count, tags, kept)| {
            let (key, fields) = plan(id, locale, seed, count, tags);
            (key, fields.filter(|_| kept > 0))
        });
    prop::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn what_was_open_answers_as_if_opened_anew(steps in prop::collection::vec(changes(), 2..7)) {
        let mut site = Site::new();
        let first: Vec<_> = (0..40).map(|n| plan(n, "en", n, if n % 9 == 0 { 3_000 } else { 60 }, &[])).collect();
        site.release(&first);
        for step in steps {
            let view = site.release(&step);
            let anew = site.open(&Caches::default());
            prop_assert_eq!(answers(&view), answers(&anew));
        }
    }
}

#[test]
fn a_release_opens_what_has_changed() {
    let mut site = Site::new();
    let first: Vec<_> = (0..1_500).map(|n| plan(n, "en", n, 60, &[])).collect();
    site.release(&first);
    let all = site.objects_read;
    let read: Vec<u64> = (0..5)
        .map(|round| {
            site.release(&[plan(round * 211 + 3, "en", 5_000 + round, 60, &["eu"])]);
            site.objects_read
        })
        .collect();
    // Some segments, their vectors, and the nodes that lead there.
    assert!(read.iter().all(|read| *read <= 30), "{read:?} of {all}");
}
