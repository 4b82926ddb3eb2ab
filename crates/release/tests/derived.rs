//! Derived trees whose values name objects: collections, exports, imports and verifications follow them, and they may be
//! built after the release was made.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ashlar_model::{
    CandidateId, ChannelName, ContractName, Digest, EntryRecord, Fields, Files, Finding, ReleaseId, Rules,
    TenantId,
};
use ashlar_release::{
    CollectGarbage, CreateCandidate, Engine, ImportBundle, Judge, JudgeInput, Judgement, Location, Promote,
    PushDefinitions, PutEntry, ReleaseError, RequiredApproval,
    derived::{self, Built, Derive, DeriveInput, Derived, FORM, Form, Names},
};
use ashlar_store::{Batch, Tree};
use common::{Clock, FieldJudge, by, definitions, key, open_dir};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A segment for each entry: its fields in upper case, as an object of its own.
struct Segments {
    about: Derived,
    /// The most entries of a release for which it is built at once.
    quick_max: u64,
    /// What was there of other kinds, each time it was built.
    others: Mutex<Vec<Vec<String>>>,
    /// How many segments were made.
    made: AtomicUsize,
}

const WORDS: Derived = Derived {
    name: "words",
    form: Form { format: 3, names: Names::Objects },
    built: Built::WithCandidate,
    imported: true,
};
const QUICK: Derived = Derived { name: "quick", built: Built::WhenQuick, imported: false, ..WORDS };
const SEARCH: Derived = Derived { name: "search", built: Built::Later, imported: false, ..WORDS };

impl Derive for Segments {
    fn about(&self) -> Derived {
        self.about
    }

    fn build(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Tree, ReleaseError> {
        self.others.lock().unwrap().push(input.derived.keys().cloned().collect());
        let before = input.before(&self.about)?;
        let empty = Tree::empty();
        let (tree, old) = match (&before, &input.earlier) {
            (Some(tree), Some(earlier)) => (tree, earlier.snapshot),
            _ => (&empty, &empty),
        };
        let mut edits = Vec::new();
        for change in old.diff(input.snapshot) {
            let change = change?;
            let segment = match change.new {
                Some(record) => {
                    let fields = input.objects.get(&EntryRecord::from_bytes(&record)?.digest)?;
                    self.made.fetch_add(1, Ordering::Relaxed);
                    let text =
                        format!("{} {}", self.about.name, String::from_utf8_lossy(&fields).to_uppercase());
                    Some([batch.put(text).as_bytes().as_slice(), b" and a score"].concat())
                }
                None => None,
            };
            edits.push((change.key.to_vec(), segment));
        }
        Ok(tree.apply(&edits, batch)?)
    }

    fn build_quick(&self, input: &DeriveInput<'_>, batch: &mut Batch) -> Result<Option<Tree>, ReleaseError> {
        match input.snapshot.len() <= self.quick_max {
            true => self.build(input, batch).map(Some),
            false => Ok(None),
        }
    }
}

struct Indexing {
    fields: FieldJudge,
    kinds: Vec<Segments>,
}

impl Judge for Indexing {
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>> {
        self.fields.rules(definitions)
    }

    fn validate(&self, d: &Files, c: &ContractName, f: &Fields) -> Result<Vec<Finding>, ReleaseError> {
        self.fields.validate(d, c, f)
    }

    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
        self.fields.judge(input)
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        self.fields.required_approvals(input)
    }

    fn derives(&self) -> Vec<&dyn Derive> {
        self.kinds.iter().map(|kind| kind as &dyn Derive).collect()
    }
}

async fn open_indexing(dir: &Path, clock: &Clock) -> (Engine, Arc<Indexing>) {
    open_with(dir, clock, &[WORDS, SEARCH]).await
}

async fn open_with(dir: &Path, clock: &Clock, kinds: &[Derived]) -> (Engine, Arc<Indexing>) {
    let kinds = kinds.iter().map(|about| Segments {
        about: *about,
        quick_max: 1,
        others: Mutex::default(),
        made: AtomicUsize::new(0),
    });
    let judge = Arc::new(Indexing { fields: FieldJudge, kinds: kinds.collect() });
    let clock = clock.clone();
    let now = move || Timestamp::from_second(clock.seconds()).unwrap();
    let engine = Engine::open_with_clock(&Location::embedded(dir), judge.clone(), now).await.unwrap();
    (engine, judge)
}

async fn put(engine: &Engine, id: &str, fields: Value) {
    let fields = fields.as_object().unwrap().clone();
    let put = PutEntry { key: key(id, "en"), fields, expected_version: None, major: None };
    engine.run(&by("alice"), put).await.unwrap();
}

async fn promote(engine: &Engine, candidate: CandidateId) -> ReleaseId {
    let promote = Promote { candidate, channel: None, note: String::new() };
    engine.run(&by("ops"), promote).await.unwrap().release
}

async fn release(engine: &Engine) -> ReleaseId {
    let candidate = engine.run(&by("ops"), CreateCandidate::default()).await.unwrap().candidate;
    promote(engine, candidate).await
}

/// The segment of an entry in a tree that the public channel serves; `None` when the tree is not ready.
async fn segment(engine: &Engine, kind: &Derived, id: &str) -> Option<String> {
    let main = TenantId::main();
    let public = ChannelName::new("production").unwrap();
    let objects = engine.tenant_objects(&main);
    let read = objects.get_pointer(&ashlar_release::ChannelState::pointer(&public), None).await.unwrap();
    let state: ashlar_release::ChannelState = serde_json::from_slice(read.body().unwrap()).unwrap();
    assert_eq!(engine.channel_state(&main, &public).await.unwrap().unwrap().derived, state.derived);
    let tree = derived::open(&objects, &state.derived, kind).unwrap()?;
    assert!(tree.get(FORM).unwrap().is_some());
    let value = tree.get(&key(id, "en").to_bytes()).unwrap().unwrap();
    let digest = Digest::from_bytes(value[..32].try_into().unwrap());
    Some(String::from_utf8(objects.get(&digest).unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn objects_that_a_derived_tree_names_are_kept_and_carried() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let (engine, judge) = open_indexing(dir.path(), &clock).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    put(&engine, "home", json!({"t": "Home"})).await;
    put(&engine, "about", json!({"t": "About"})).await;
    release(&engine).await;
    put(&engine, "home", json!({"t": "Start"})).await;
    let second = release(&engine).await;
    let made = judge.kinds[0].made.load(Ordering::Relaxed);
    assert_eq!(made, 3, "a release goes on from the one before it");
    // An open candidate is walked, too.
    put(&engine, "home", json!({"t": "Waits"})).await;
    let open = engine.run(&by("ops"), CreateCandidate::default()).await.unwrap().candidate;

    engine.run(&by("ops"), CollectGarbage).await.unwrap();
    assert_eq!(segment(&engine, &WORDS, "home").await.unwrap(), r#"words {"T":"START"}"#);
    assert_eq!(segment(&engine, &WORDS, "about").await.unwrap(), r#"words {"T":"ABOUT"}"#);
    let bundle = tempfile::NamedTempFile::new().unwrap();
    engine.export(&by("ops"), second, bundle.reopen().unwrap()).await.unwrap();
    engine.close().await;

    // A node that does not know the kind follows it all the same.
    let engine = open_dir(dir.path(), &clock).await;
    engine.run(&by("ops"), CollectGarbage).await.unwrap();
    assert_eq!(segment(&engine, &WORDS, "home").await.unwrap(), r#"words {"T":"START"}"#);
    engine.verify(&by("ops"), second).await.unwrap();
    promote(&engine, open).await;
    assert_eq!(segment(&engine, &WORDS, "home").await.unwrap(), r#"words {"T":"WAITS"}"#);
    engine.close().await;

    // Imported elsewhere it is there without being built again.
    let elsewhere = tempfile::tempdir().unwrap();
    let (engine, judge) = open_indexing(elsewhere.path(), &clock).await;
    let source = Box::new(bundle.reopen().unwrap());
    let imported = engine.run(&by("ops"), ImportBundle { source, note: String::new() }).await.unwrap();
    promote(&engine, imported.candidate).await;
    engine.run(&by("ops"), CollectGarbage).await.unwrap();
    assert_eq!(segment(&engine, &WORDS, "home").await.unwrap(), r#"words {"T":"START"}"#);
    assert_eq!(judge.kinds[0].made.load(Ordering::Relaxed), 0);
    engine.close().await;
}

#[tokio::test]
async fn damage_in_what_a_derived_tree_names_is_found() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let (engine, _) = open_indexing(dir.path(), &clock).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    put(&engine, "home", json!({"t": "Home"})).await;
    let first = release(&engine).await;
    engine.verify(&by("ops"), first).await.unwrap();
    let packs = dir.path().join("objects/t/main/packs");
    for pack in std::fs::read_dir(packs).unwrap() {
        let path = pack.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let segment = br#"words {"T":"HOME"}"#;
        if let Some(at) = bytes.windows(segment.len()).position(|w| w == segment) {
            bytes[at] = b'W';
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let error = engine.verify(&by("ops"), first).await.unwrap_err().to_string();
    assert!(error.contains("an object of the derived tree `words`"), "{error}");
    engine.close().await;
}

#[tokio::test]
async fn what_is_derived_later_is_ready_later() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let (engine, judge) = open_indexing(dir.path(), &clock).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    put(&engine, "home", json!({"t": "Home"})).await;
    put(&engine, "about", json!({"t": "About"})).await;
    let first = release(&engine).await;
    let ready = engine.derived_ready(&by("ops"), first).await.unwrap();
    assert_eq!(ready, [("modified", true), ("search", false), ("words", true)].into());
    assert_eq!(segment(&engine, &SEARCH, "home").await, None);

    assert_eq!(engine.derive(&by("ops"), first).await.unwrap(), ["search"]);
    assert!(engine.derive(&by("ops"), first).await.unwrap().is_empty());
    assert_eq!(segment(&engine, &SEARCH, "home").await.unwrap(), r#"search {"T":"HOME"}"#);
    assert!(engine.derived_ready(&by("ops"), first).await.unwrap()["search"]);

    // The release after it has none yet, and is built from what differs.
    put(&engine, "about", json!({"t": "Us"})).await;
    let second = release(&engine).await;
    assert_eq!(segment(&engine, &SEARCH, "home").await, None);
    engine.derive(&by("ops"), second).await.unwrap();
    assert_eq!(judge.kinds[1].made.load(Ordering::Relaxed), 3);
    engine.run(&by("ops"), CollectGarbage).await.unwrap();
    assert_eq!(segment(&engine, &SEARCH, "about").await.unwrap(), r#"search {"T":"US"}"#);
    for release in [first, second] {
        engine.verify(&by("ops"), release).await.unwrap();
    }
    // A pointer that was lost is written again with everything that is ready.
    std::fs::remove_file(dir.path().join("objects/t/main/channels/production.json")).unwrap();
    engine.tick().await.unwrap();
    assert_eq!(segment(&engine, &SEARCH, "home").await.unwrap(), r#"search {"T":"HOME"}"#);
    engine.close().await;
}

#[tokio::test]
async fn what_is_quick_comes_with_the_candidate_and_the_rest_later() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let (engine, judge) = open_with(dir.path(), &clock, &[WORDS, QUICK, SEARCH]).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    put(&engine, "home", json!({"t": "Home"})).await;
    let first = release(&engine).await;
    // With one entry it is quick: the manifest names it, and it knew what was built before it.
    assert!(engine.manifest(&by("ops"), first).await.unwrap().derived.contains_key("quick"));
    assert_eq!(segment(&engine, &QUICK, "home").await.unwrap(), r#"quick {"T":"HOME"}"#);
    assert_eq!(*judge.kinds[1].others.lock().unwrap(), [["modified", "titles", "words"]]);
    assert_eq!(engine.derive(&by("ops"), first).await.unwrap(), ["search"]);

    put(&engine, "about", json!({"t": "About"})).await;
    let second = release(&engine).await;
    let ready = engine.derived_ready(&by("ops"), second).await.unwrap();
    assert_eq!(ready, [("modified", true), ("quick", false), ("search", false), ("words", true)].into());
    assert_eq!(segment(&engine, &QUICK, "home").await, None);
    assert_eq!(engine.derive(&by("ops"), second).await.unwrap(), ["quick", "search"]);
    assert_eq!(segment(&engine, &QUICK, "about").await.unwrap(), r#"quick {"T":"ABOUT"}"#);
    assert_eq!(judge.kinds[1].made.load(Ordering::Relaxed), 2, "it goes on from the release before");
    let others = judge.kinds[2].others.lock().unwrap().last().unwrap().clone();
    assert_eq!(others, ["modified", "quick", "titles", "words"]);
    let roots = engine.release_roots(&by("ops"), second).await.unwrap();
    assert_eq!(roots.derived.keys().collect::<Vec<_>>(), ["modified", "quick", "search", "titles", "words"]);
    engine.verify(&by("ops"), second).await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_new_format_is_missing_until_it_is_built() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let (engine, _) = open_indexing(dir.path(), &clock).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    put(&engine, "home", json!({"t": "Home"})).await;
    let first = release(&engine).await;
    engine.close().await;

    let newer = Derived { form: Form { format: 4, ..WORDS.form }, ..WORDS };
    let (engine, judge) = open_with(dir.path(), &clock, &[newer, SEARCH]).await;
    assert_eq!(segment(&engine, &newer, "home").await, None);
    assert_eq!(engine.derive(&by("ops"), first).await.unwrap(), ["search", "words"]);
    assert_eq!(segment(&engine, &newer, "home").await.unwrap(), r#"words {"T":"HOME"}"#);
    // The manifest names the tree of the old format: both are kept and verified.
    engine.run(&by("ops"), CollectGarbage).await.unwrap();
    engine.verify(&by("ops"), first).await.unwrap();
    put(&engine, "about", json!({"t": "About"})).await;
    release(&engine).await;
    assert_eq!(judge.kinds[0].made.load(Ordering::Relaxed), 2, "the next release goes on from it");
    engine.close().await;
}

/// What a bundle says of its trees is not believed.
#[tokio::test]
async fn a_bundle_whose_derived_tree_names_what_it_lacks_is_refused() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let (engine, _) = open_indexing(dir.path(), &clock).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    put(&engine, "home", json!({"t": "Home"})).await;
    let first = release(&engine).await;
    let bundle = tempfile::NamedTempFile::new().unwrap();
    engine.export(&by("ops"), first, bundle.reopen().unwrap()).await.unwrap();
    let objects = engine.tenant_objects(&TenantId::main());
    let manifest = engine.manifest(&by("ops"), first).await.unwrap();
    let words = Tree::open(&objects, &manifest.derived["words"]).unwrap();
    for (value, why) in
        [(Digest::of(b"not here").as_bytes().to_vec(), "missing"), (b"short".to_vec(), "names no object")]
    {
        let mut batch = objects.batch();
        let forged = words.apply(&[(b"page\0x\0en".to_vec(), Some(value))], &mut batch).unwrap();
        let mut manifest = manifest.clone();
        manifest.derived.insert("words".to_owned(), forged.root());
        let digest = batch.put(ashlar_model::canonical_json(&manifest).unwrap());
        objects.commit(batch).await.unwrap();
        // Everything that the first bundle has, and the forged nodes.
        let mut all = vec![manifest.evidence];
        for root in [&manifest.snapshot, &manifest.definitions].into_iter().chain(manifest.derived.values()) {
            let tree = Tree::open(&objects, root).unwrap();
            tree.reachable(&mut |node| {
                all.push(node);
                true
            })
            .unwrap();
            for item in tree.prefix(b"") {
                let named = item.unwrap().1.first_chunk::<32>().map(|bytes| Digest::from_bytes(*bytes));
                all.extend(named.filter(|digest| objects.contains(digest)));
            }
        }
        let mut file = Vec::new();
        ashlar_store::bundle::write(&objects, &digest, all.into_iter(), &mut file).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let other = open_dir(elsewhere.path(), &clock).await;
        let import = ImportBundle { source: Box::new(std::io::Cursor::new(file)), note: String::new() };
        let error = other.run(&by("ops"), import).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(other.tenant_objects(&TenantId::main()).counts().1, 0, "nothing of it stays");
        other.close().await;
    }
    engine.close().await;
}
