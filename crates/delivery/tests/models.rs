//! Vectors that a model makes: each text is embedded once, what must not leave stays, and models are never mixed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use ashlar_delivery::{
    Caches, DeliveryError, ReleaseRoots, ReleaseView,
    search::{self, Learned, MeaningInput, SearchRules},
};
use ashlar_model::EntryKey;
use ashlar_retrieval::{
    Embedder,
    config::Config,
    models::{Model, ModelCounts, ModelError, ModelKind, Models},
};
use ashlar_store::Tree;
use common::{Fixture, key};
use serde_json::{Value, json};

const DIMENSIONS: usize = 16;

/// A stand-in for an endpoint. It remembers what it was asked.
#[derive(Debug, Default)]
struct StandIn {
    texts: Mutex<Vec<String>>,
    /// How many more texts it answers.
    left: Mutex<Option<usize>>,
    id: String,
    quick: u64,
}

impl Embedder for StandIn {
    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        let mut out = vec![0.0; DIMENSIONS];
        for word in text.split_whitespace() {
            out[word.bytes().map(usize::from).sum::<usize>() % DIMENSIONS] += 1.0;
        }
        out
    }

    fn embed_all(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ModelError> {
        if let Some(left) = &mut *self.left.lock().unwrap() {
            *left = left
                .checked_sub(texts.len())
                .ok_or(ModelError::Failed { name: "m".to_owned(), why: "it is gone".to_owned() })?;
        }
        self.texts.lock().unwrap().extend_from_slice(texts);
        Ok(texts.iter().map(|text| self.embed(text)).collect())
    }
}

#[derive(Debug)]
struct Node(Arc<StandIn>);

impl Node {
    fn new(id: &str) -> Self {
        Self(Arc::new(StandIn { id: id.to_owned(), ..StandIn::default() }))
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.texts.lock().unwrap())
    }
}

impl Models for Node {
    fn model(&self, _: ModelKind, _: &str) -> Result<Model, ModelError> {
        let embedder = self.0.clone();
        Ok(Model { id: self.0.id.clone(), embedder, quick: self.0.quick, leaves: true })
    }

    fn query(&self, id: &str, text: &str) -> Option<Arc<[f32]>> {
        (id == self.0.id).then(|| self.0.embed(text).into())
    }

    fn prepare(&self, _: &str) {}

    fn rerank(&self, name: &str, _: &str, _: &[&str]) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::Unknown(name.to_owned()))
    }

    fn counts(&self) -> ModelCounts {
        ModelCounts::default()
    }
}

fn config(more: &str) -> Config {
    Config::read(format!("[embedder]\nkind = 'endpoint'\nmodel = 'm'\n{more}").as_bytes()).unwrap()
}

fn plan(number: usize, text: &str) -> (EntryKey, Option<Value>) {
    let name = format!("Plan {number}");
    (
        key("plan", &format!("p{number:03}"), "en"),
        Some(json!({"slug": format!("p{number}"), "name": name, "text": text})),
    )
}

fn plans(count: usize) -> Vec<(EntryKey, Option<Value>)> {
    (0..count).map(|n| plan(n, &format!("Berth number {n} is by the crane. It has water."))).collect()
}

/// Builds both trees and stores them.
fn built(
    f: &Fixture,
    (config, node, learned): (&Config, &Node, &Learned),
    earlier: Option<&Tree>,
    quick: bool,
) -> Result<Option<Tree>, DeliveryError> {
    let rules = SearchRules::new(&f.contracts, config);
    let mut batch = f.objects.batch();
    let search = search::build(&rules, &f.objects, &f.snapshot, &mut batch).unwrap();
    let input = MeaningInput {
        search: &search,
        rules: &rules,
        snapshot: &f.snapshot,
        models: node,
        earlier,
        earlier_search: None,
        quick,
        learned,
    };
    let made = search::derive_meaning(&input, &mut batch)?;
    f.runtime.block_on(f.objects.commit(batch)).unwrap();
    Ok(made.map(|made| Tree::open(&f.objects, &made.root()).unwrap()))
}

/// The texts of whole chunks among those that were asked.
fn whole(asked: &[String]) -> Vec<&String> {
    asked.iter().filter(|text| text.contains("It has water") && text.starts_with("Plan")).collect()
}

#[test]
fn a_text_is_embedded_once() {
    let mut f = Fixture::new();
    f.put(&plans(80));
    let (usual, node, learned) = (config(""), Node::new("one"), Learned::default());
    assert!(built(&f, (&usual, &node, &learned), None, true).unwrap().is_none(), "publishing does not wait");
    assert!(node.asked().is_empty());
    let first = built(&f, (&usual, &node, &learned), None, false).unwrap().unwrap();
    let asked = node.asked();
    let different: BTreeSet<&String> = whole(&asked).into_iter().collect();
    assert_eq!((whole(&asked).len(), different.len()), (80, 80));

    // The same again costs nothing, so it comes with the candidate.
    let same = built(&f, (&usual, &node, &learned), Some(&first), true).unwrap().unwrap();
    assert_eq!((same.root(), node.asked().len()), (first.root(), 0));

    // One changed entry costs one text, whatever segment it is in; what another node has learned does not matter.
    f.put(&[plan(7, "Berth number 7 has moved. It has water.")]);
    let elsewhere = Learned::default();
    assert!(built(&f, (&usual, &node, &elsewhere), Some(&first), true).unwrap().is_none());
    assert!(node.asked().is_empty());
    let second = built(&f, (&usual, &node, &elsewhere), Some(&first), false).unwrap().unwrap();
    let asked = node.asked();
    assert_eq!(asked, ["Plan 7\n\nBerth number 7 has moved. It has water."]);

    // Other rules give other segments or another tree; the texts are the same.
    let rules = config("[readers.partner]\n[attributes]\nregion = 'tags'\n");
    built(&f, (&rules, &node, &elsewhere), Some(&second), false).unwrap().unwrap();
    assert_eq!(node.asked(), Vec::<String>::new());

    // Another model begins anew.
    let other = Node::new("two");
    let third = built(&f, (&usual, &other, &elsewhere), Some(&second), false).unwrap().unwrap();
    assert_eq!(whole(&other.asked()).len(), 80);
    let model = |tree: &Tree| search::model_in(tree, &f.objects).unwrap();
    assert_eq!((model(&second).as_deref(), model(&third).as_deref()), (Some("one"), Some("two")));
}

#[test]
fn what_was_embedded_before_a_failure_is_not_sent_again() {
    let mut f = Fixture::new();
    // Long texts, so that there are several segments.
    let long = |n: usize| (0..800).map(|w| format!("word{} berth{n}", w % 50)).collect::<Vec<_>>().join(" ");
    let many: Vec<_> = (0..40).map(|n| plan(n, &long(n))).collect();
    f.put(&many);
    let (usual, node, learned) = (config(""), Node::new("one"), Learned::default());
    let all = {
        let node = Node::new("one");
        built(&f, (&usual, &node, &Learned::default()), None, false).unwrap().unwrap();
        node.asked().len()
    };
    *node.0.left.lock().unwrap() = Some(all / 3);
    let error = built(&f, (&usual, &node, &learned), None, false).unwrap_err();
    assert!(error.to_string().contains("`m` failed: it is gone"), "{error}");
    let before = node.asked().len();
    assert!(before > 0, "several segments were made");
    *node.0.left.lock().unwrap() = None;
    built(&f, (&usual, &node, &learned), None, false).unwrap().unwrap();
    assert_eq!(before + node.asked().len(), all);
}

#[test]
fn texts_that_not_everybody_may_see_stay_here() {
    let mut f = Fixture::new();
    let mut all = plans(40);
    all.push((
        key("plan", "secret", "en"),
        Some(json!({"slug": "s", "name": "Secret", "text": "The zinnwald rate is low.", "tags": ["staff"]})),
    ));
    f.put(&all);
    let restricts = "[attributes]\naudience = 'tags'\n";
    let node = Node::new("one");
    let first = built(&f, (&config(restricts), &node, &Learned::default()), None, false).unwrap().unwrap();
    let asked = node.asked();
    assert_eq!(whole(&asked).len(), 40);
    assert!(!asked.iter().any(|text| text.contains("zinnwald")), "{asked:?}");
    // Hidden indexes are not everybody's either.
    let hidden = format!("{restricts}[indexes.main]\npublic = false\n");
    built(&f, (&config(&hidden), &node, &Learned::default()), None, false).unwrap().unwrap();
    assert!(node.asked().is_empty());
    // An index can keep its texts here altogether.
    let learned = format!("{restricts}[indexes.main]\nembedder = 'lsa'\n");
    built(&f, (&config(&learned), &node, &Learned::default()), None, false).unwrap().unwrap();
    assert!(node.asked().is_empty());
    // Only the text that may be sent now is sent.
    let sent = format!("restricted = true\n{restricts}");
    built(&f, (&config(&sent), &node, &Learned::default()), Some(&first), false).unwrap().unwrap();
    let asked = node.asked();
    assert!(asked.iter().all(|text| text.starts_with("Secret\n\n")), "{asked:?}");
    assert!(asked.contains(&"Secret\n\nThe zinnwald rate is low.".to_owned()), "{asked:?}");
}

#[test]
fn only_the_model_of_the_vectors_is_asked_for_those_of_a_query() {
    let mut f = Fixture::new();
    f.put(&plans(40));
    let (usual, node) = (config(""), Node::new("one"));
    let meaning = built(&f, (&usual, &node, &Learned::default()), None, false).unwrap().unwrap();
    let asked = |models: Node| {
        let found = common::json(&opened(&f, &usual, &meaning, models), "/v1/search?q=crane&limit=3");
        (found["vectors"].clone(), found["hits"].as_array().unwrap().len())
    };
    assert_eq!(asked(node), (json!(true), 3));
    assert_eq!(asked(Node::new("two")), (json!(false), 3));
}

/// Opens the release with its vectors.
fn opened(f: &Fixture, config: &Config, meaning: &Tree, models: Node) -> Arc<ReleaseView> {
    let rules = SearchRules::new(&f.contracts, config);
    let mut batch = f.objects.batch();
    let search = search::build(&rules, &f.objects, &f.snapshot, &mut batch).unwrap();
    f.runtime.block_on(f.objects.commit(batch)).unwrap();
    let caches = Caches::default().with_models(Arc::new(models));
    let roots = ReleaseRoots {
        label: "r1".to_owned(),
        snapshot: f.snapshot.root(),
        definitions: f.definitions.digest,
        lookup: f.build().tree().root(),
        modified: None,
        search: Some(search.root()),
        meaning: Some(meaning.root()),
    };
    ReleaseView::open(&f.objects, &roots, Some(&f.definitions), &caches).unwrap()
}

#[test]
fn diverse_hits_are_unlike_each_other() {
    let mut f = Fixture::new();
    let mut all = plans(30);
    all.retain(|(key, _)| !["p000", "p001", "p002"].contains(&key.id.as_str()));
    let same = "The crane lifts: crane, crane, crane.";
    all.extend([plan(0, same), plan(1, same), plan(2, "A crane is painted in green beside offices.")]);
    for (_, fields) in &mut all {
        if let Some(text) = fields.as_mut().unwrap()["text"].as_str().filter(|text| text.contains("Berth")) {
            fields.as_mut().unwrap()["text"] = json!(text.replace("crane", "quay"));
        }
    }
    f.put(&all);
    let (usual, node) = (config(""), Node::new("one"));
    let meaning = built(&f, (&usual, &node, &Learned::default()), None, false).unwrap().unwrap();
    let view = opened(&f, &usual, &meaning, node);
    let ids = |query: &str| -> Vec<String> {
        let found = common::json(&view, &format!("/v1/search?q=crane&limit=3{query}"));
        let hits = found["hits"].as_array().unwrap();
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        hits.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
    };
    let usual = ids("");
    assert_eq!(
        usual[..2].iter().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["p000", "p001"])
    );
    assert_eq!(ids("&diversity=0"), ids(""));
    let diverse = ids("&diversity=1");
    assert!(diverse[0] == usual[0] && diverse[1] != usual[1], "{usual:?} {diverse:?}");
    let refused = common::ask(&view, "GET /v1/search?q=crane&diversity=2");
    assert!(refused.starts_with("400") && refused.contains("bad-diversity"), "{refused}");
}
