//! Formats that another version reads: what is written today is what was agreed, and what an earlier version wrote is
//! read. `ASHLAR_GOLDEN=write` writes the files under `golden/`; a format that shipped gets a new directory instead.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use ashlar_model::{
    CandidateId, ChannelName, Digest, EntryKey, EntryRecord, ReleaseId, Right, TenantId, read_modified,
};
use ashlar_release::{
    AddToChangeset, ChangeRecord, ChannelState, CreateCandidate, CreateChangeset, CreateKey, Engine,
    ImportBundle, KeyRing, Manifest, Promote, PushDefinitions, PutEntry, Rollback, ScheduleChangeset,
};
use ashlar_store::Tree;
use common::{Clock, START, by, definitions, key, open_dir};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn writes() -> bool {
    std::env::var("ASHLAR_GOLDEN").is_ok_and(|v| v == "write")
}

/// Compares bytes with a golden file.
fn golden(name: &str, bytes: &[u8]) {
    if writes() {
        std::fs::create_dir_all(file("")).unwrap();
        std::fs::write(file(name), bytes).unwrap();
    }
    let agreed = std::fs::read(file(name)).unwrap();
    let texts = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&agreed));
    assert_eq!(texts.0, texts.1, "{name} is not what was agreed");
    assert_eq!(bytes, agreed, "{name} is not what was agreed");
}

async fn put(engine: &Engine, id: &str, locale: &str, fields: Value) {
    let fields = fields.as_object().unwrap().clone();
    let put = PutEntry { key: key(id, locale), fields, expected_version: None, major: None };
    engine.run(&by("alice"), put).await.unwrap();
}

async fn freeze(engine: &Engine) -> CandidateId {
    let create = CreateCandidate { changeset: None, note: "n".to_owned() };
    engine.run(&by("ops"), create).await.unwrap().candidate
}

async fn promote(engine: &Engine, candidate: CandidateId) -> ReleaseId {
    let promote = Promote { candidate, channel: None, note: String::new() };
    engine.run(&by("ops"), promote).await.unwrap().release
}

fn public() -> ChannelName {
    ChannelName::new("production").unwrap()
}

/// A little of everything: `r2` is public, `c3` waits, and the changeset `sale` is due an hour after [`START`].
async fn fill(engine: &Engine) {
    engine.run(&by("dev"), PushDefinitions { files: definitions("golden") }).await.unwrap();
    put(engine, "home", "en", json!({"t": "Home", "s": 1, "n": {"deep": [1, 2.5, null, "ü"]}})).await;
    put(engine, "home", "de", json!({"t": "Start"})).await;
    let first = freeze(engine).await;
    promote(engine, first).await;
    put(engine, "about", "en", json!({"t": "About"})).await;
    let second = freeze(engine).await;
    promote(engine, second).await;
    put(engine, "news", "en", json!({"t": "News"})).await;
    freeze(engine).await;
    put(engine, "sale", "en", json!({"t": "Sale"})).await;
    let name = "sale".to_owned();
    engine.run(&by("alice"), CreateChangeset { name: name.clone(), title: String::new() }).await.unwrap();
    let add = AddToChangeset { name: name.clone(), keys: vec![key("sale", "en")] };
    engine.run(&by("alice"), add).await.unwrap();
    let publish_at = jiff::Timestamp::from_second(START + 3600).unwrap().to_string();
    let schedule = ScheduleChangeset { name, publish_at, unpublish_at: None, zone: None };
    engine.run(&by("ops"), schedule).await.unwrap();
    let create = CreateKey {
        name: "app".to_owned(),
        scopes: vec![Right::Read],
        channel: None,
        reader: None,
        expires_at: None,
    };
    engine.run(&by("ops"), create).await.unwrap();
}

#[tokio::test]
async fn what_a_release_is_made_of_is_written_as_agreed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    fill(&engine).await;
    let objects = engine.tenant_objects(&TenantId::main());
    let state = engine.channel_state(&TenantId::main(), &public()).await.unwrap().unwrap();

    let manifest = objects.get(&state.manifest).unwrap();
    golden("manifest.json", &manifest);
    let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
    assert_eq!((manifest.format, manifest.entries), (1, 3));
    golden("evidence.json", &objects.get(&manifest.evidence).unwrap());
    golden("snapshot.node", &objects.get(&manifest.snapshot).unwrap());
    golden("definitions.node", &objects.get(&manifest.definitions).unwrap());
    golden("modified.node", &objects.get(&manifest.derived["modified"]).unwrap());

    let pointer = objects.get_pointer(&ChannelState::pointer(&public()), None).await.unwrap();
    let mut pointer: ChannelState = serde_json::from_slice(pointer.body().unwrap()).unwrap();
    assert!(pointer.trace.is_some());
    pointer.trace = Some("0123456789abcdef0123456789abcdef".to_owned());
    golden("channel.json", &serde_json::to_vec(&pointer).unwrap());

    let mut bundle = Vec::new();
    let out = tempfile::NamedTempFile::new().unwrap();
    engine.export(&by("ops"), ReleaseId(2), out.reopen().unwrap()).await.unwrap();
    std::io::Read::read_to_end(&mut out.reopen().unwrap(), &mut bundle).unwrap();
    assert_eq!(&bundle[..8], b"ASHBNDL1");
    assert_eq!(&bundle[8..40], state.manifest.as_bytes());
    golden("release.ashlar", &bundle);
}

#[test]
fn entries_and_changes_are_encoded_as_agreed() {
    let record = EntryRecord { digest: Digest::of(b""), major: 2, len: 0x0102_0304 };
    let bytes = record.to_bytes();
    assert_eq!(hex::encode(&bytes[..4]), "af1349b9", "a digest is BLAKE3 of what it names");
    assert_eq!(hex::encode(&bytes[32..]), "0200000004030201");
    assert_eq!(EntryRecord::from_bytes(&bytes).unwrap(), record);
    let key = key("home", "de");
    assert_eq!(key.to_bytes(), b"page\0home\0de");
    assert_eq!(EntryKey::from_bytes(b"page\0home\0de").unwrap(), key);
    let change: ChangeRecord = serde_json::from_str(r#"{"authors":["alice","bob"]}"#).unwrap();
    assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"authors":["alice","bob"]}"#);
    assert_eq!(read_modified(&[0, 0, 0, 0, 0x6b, 0x49, 0xd2, 0]), Some(START));
}

/// An edge checks keys with nothing but this object, and may be older or newer than the node that wrote it.
#[tokio::test]
async fn a_key_ring_is_read_and_written_as_agreed() {
    let agreed = std::fs::read_to_string(file("keys.json")).unwrap();
    let ring: KeyRing = serde_json::from_str(&agreed).unwrap();
    assert_eq!(
        (ring.sequence, ring.keys.len(), ring.hosts.as_slice()),
        (7, 2, &["example.com".to_owned()][..])
    );
    assert_eq!(format!("{}\n", serde_json::to_string_pretty(&ring).unwrap()), agreed);
    let known: Vec<_> = ring.known(&TenantId::main()).collect();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let app = known[0].1.check("", now).unwrap();
    assert_eq!(
        (known[0].0.as_str(), app.actor.name.as_str(), app.channel.as_ref()),
        ("aaaaaaaa", "app", None)
    );
    assert!(app.actor.may(&Right::Read) && !app.actor.may(&Right::Write));
    assert_eq!(app.ends, None);
    let stage = known[1].1.check("", now).unwrap();
    assert_eq!(stage.channel, Some(ChannelName::new("staging").unwrap()));
    assert!(known[1].1.check("", "2030-01-01T00:00:00Z".parse().unwrap()).is_none(), "it has expired");
    assert!(known[0].1.check("another", now).is_none());
    // Without a reader, as before there were readers; a key that is bound to one keeps it.
    assert_eq!((&app.reader, &stage.reader), (&None, &None));
    let bound = agreed.replace("\"channel\": \"\",", "\"channel\": \"\", \"reader\": \"partner\",");
    let bound: KeyRing = serde_json::from_str(&bound).unwrap();
    let bound = bound.known(&TenantId::main()).next().unwrap().1.check("", now).unwrap();
    assert_eq!(bound.reader.as_deref(), Some("partner"));
    // Without a sequence, as before there was one.
    let first: KeyRing = serde_json::from_str(r#"{"keys":{},"hosts":[]}"#).unwrap();
    assert_eq!(first, KeyRing::default());

    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    fill(&engine).await;
    let read = engine.tenant_objects(&TenantId::main()).get_pointer(KeyRing::POINTER, None).await.unwrap();
    let today: Value = serde_json::from_slice(read.body().unwrap()).unwrap();
    let agreed: Value = serde_json::from_str(&agreed).unwrap();
    let names = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let first = |v: &Value| names(v["keys"].as_object().unwrap().values().next().unwrap());
    assert_eq!((names(&today), first(&today)), (names(&agreed), first(&agreed)));
}

/// What an earlier version wrote to a pointer, with and without what came later.
#[test]
fn pointers_of_earlier_versions_are_read() {
    let text = std::fs::read_to_string(file("channel.json")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().retain(|name, _| name != "trace" && name != "rolled_back");
    let state: ChannelState = serde_json::from_value(value).unwrap();
    assert_eq!((state.release, state.trace, state.rolled_back), (ReleaseId(2), None, None));
}

#[tokio::test]
async fn a_bundle_of_an_earlier_version_is_imported_and_promoted() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    let source = Box::new(File::open(file("release.ashlar")).unwrap());
    let imported = engine.run(&by("ops"), ImportBundle { source, note: String::new() }).await.unwrap();
    assert_eq!((imported.status.as_str(), imported.entries), ("passed", 3));
    let release = promote(&engine, imported.candidate).await;
    assert_eq!(engine.verify(&by("ops"), release).await.unwrap().entries, 3);
    // Its entries are drafts now.
    let draft = engine.draft(&by("ops"), &key("home", "de")).await.unwrap();
    assert_eq!((draft.pending, draft.fields.unwrap()["t"].clone()), (false, json!("Start")));
}

/// Writes the data directory that later versions open.
async fn write_data() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    fill(&engine).await;
    engine.close().await;
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    tar.append_dir_all(".", dir.path()).unwrap();
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    File::create(file("data.tar.gz")).unwrap().write_all(&bytes).unwrap();
}

#[tokio::test]
async fn a_data_directory_of_an_earlier_version_goes_on() {
    if writes() {
        write_data().await;
    }
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let archive = File::open(file("data.tar.gz")).unwrap();
    tar::Archive::new(GzDecoder::new(archive)).unpack(dir.path()).unwrap();
    let engine = open_dir(dir.path(), &clock).await;
    let ops = by("ops");

    // What was there reads back.
    for release in [ReleaseId(1), ReleaseId(2)] {
        engine.verify(&ops, release).await.unwrap();
    }
    let audited = engine.verify_audit(&ops).await.unwrap().unwrap();
    assert!(audited > 10, "{audited}");
    let state = engine.channel_state(&TenantId::main(), &public()).await.unwrap().unwrap();
    let objects = engine.tenant_objects(&TenantId::main());
    let served = Tree::open(&objects, &state.snapshot).unwrap();
    let record = served.get(&key("home", "en").to_bytes()).unwrap().unwrap();
    let fields = objects.get(&EntryRecord::from_bytes(&record).unwrap().digest).unwrap();
    let fields: Value = serde_json::from_slice(&fields).unwrap();
    assert_eq!(fields, json!({"t": "Home", "s": 1, "n": {"deep": [1, 2.5, null, "ü"]}}));
    let pending = async |id| engine.draft(&ops, &key(id, "en")).await.unwrap().pending;
    assert_eq!((pending("home").await, pending("news").await, pending("sale").await), (false, true, true));
    assert_eq!(engine.keys(&ops).await.unwrap().len(), 1);

    // What was begun goes on: the candidate, the schedule, the way back.
    assert_eq!(promote(&engine, CandidateId(3)).await, ReleaseId(3));
    clock.pass(3600);
    assert_eq!(engine.tick().await.unwrap().done, ["sale"]);
    let back = Rollback { release: ReleaseId(1), channel: None, note: String::new() };
    engine.run(&ops, back).await.unwrap();
    assert!(pending("sale").await);
    let next = freeze(&engine).await;
    let next = promote(&engine, next).await;
    assert_eq!(engine.verify(&ops, next).await.unwrap().entries, 5);
    engine.run(&ops, ashlar_release::CollectGarbage).await.unwrap();
    assert_eq!(engine.verify(&ops, ReleaseId(1)).await.unwrap().entries, 2);
    engine.verify_audit(&ops).await.unwrap().unwrap();
    engine.close().await;
}
