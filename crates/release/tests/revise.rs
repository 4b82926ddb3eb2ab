//! Revisions of definitions: releases of their own that touch neither content nor drafts nor what was pushed and waits.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{collections::BTreeSet, sync::Arc};

use ashlar_model::{CandidateId, Files, TenantId};
use ashlar_release::{
    CreateCandidate, DraftQuery, Engine, Location, Promote, Promoted, PushDefinitions, PutEntry,
    ReleaseError, ReviseDefinitions, Revising, Revision, Rollback,
};
use common::{Clock, by, definitions, key, open, open_dir};
use serde_json::json;

const FILE: &str = "prompts.toml";

async fn put(engine: &Engine, title: &str) {
    let fields = json!({"t": title}).as_object().unwrap().clone();
    let put = PutEntry { key: key("home", "en"), fields, expected_version: None, major: Some(1) };
    engine.run(&by("alice"), put).await.unwrap();
}

async fn freeze(engine: &Engine) -> CandidateId {
    let create = CreateCandidate { changeset: None, note: String::new() };
    engine.run(&by("alice"), create).await.unwrap().candidate
}

async fn promote(engine: &Engine, candidate: CandidateId) -> Promoted {
    engine.run(&by("ops"), Promote { candidate, channel: None, note: String::new() }).await.unwrap()
}

async fn push(engine: &Engine, who: &str, note: &str) {
    let mut files = definitions(note);
    if let Some(text) = working(engine).await.get(FILE) {
        files.insert(FILE, text.to_vec()).unwrap();
    }
    engine.run(&by(who), PushDefinitions { files }).await.unwrap();
}

async fn working(engine: &Engine) -> Files {
    let mut conn = engine.db().read(&TenantId::main()).await.unwrap();
    let working = conn.rows().working_definitions().await.unwrap();
    let files = working.map(|row| engine.files(&TenantId::main(), &row.digest).unwrap());
    files.map(|files| files.as_ref().clone()).unwrap_or_default()
}

/// Adds a line to the file, in what is served and in what was pushed.
fn adding(line: &str) -> ReviseDefinitions {
    let line = line.to_owned();
    let revise = move |revising: &Revising<'_>| -> Result<Revision, ReleaseError> {
        let added = |files: &Files| {
            let text = String::from_utf8(files.get(FILE).unwrap_or_default().to_vec()).unwrap();
            [(FILE.to_owned(), format!("{text}{line}\n").into_bytes())].into()
        };
        // Only files with the prefix can be seen.
        assert!(revising.served.get("ashlar.toml").is_none());
        Ok(Revision { served: added(revising.served), working: added(revising.working), data: json!({}) })
    };
    ReviseDefinitions {
        subject: "a".to_owned(),
        prefix: "prompts",
        revise: Arc::new(revise),
        note: String::new(),
    }
}

async fn lines(engine: &Engine) -> BTreeSet<String> {
    let (_, files) = engine.served_definitions(&by("ops"), "prompts").await.unwrap();
    let text = String::from_utf8(files.get(FILE).unwrap_or_default().to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// An installation with a release and a draft that is pending.
async fn begun(engine: &Engine) {
    push(engine, "dev", "1").await;
    put(engine, "first").await;
    let first = freeze(engine).await;
    promote(engine, first).await;
    put(engine, "second").await;
}

async fn pending(engine: &Engine) -> usize {
    let query = DraftQuery { pending: true, ..DraftQuery::default() };
    engine.drafts(&by("ops"), &query).await.unwrap().items.len()
}

async fn story(location: &Location) {
    let engine = open(location, &Clock::new()).await;
    let nothing = engine.run(&by("ops"), adding("x")).await.unwrap_err();
    assert_eq!(nothing.code(), "no-definitions");
    begun(&engine).await;
    let one = engine.run(&by("ops"), adding("one")).await.unwrap();
    let diff = engine.diff(&by("ops"), one.from.unwrap(), one.release).await.unwrap();
    assert_eq!((diff.entries_total, diff.definitions.len(), pending(&engine).await), (0, 1, 1));
    assert_eq!(lines(&engine).await, set(&["one"]));

    // What was pushed waits, and whoever pushed it stays its author.
    push(&engine, "jonas", "2").await;
    engine.run(&by("ops"), adding("two")).await.unwrap();
    let (_, served) = engine.served_definitions(&by("ops"), "redirects").await.unwrap();
    assert_eq!(served.get("redirects.toml").unwrap(), b"# 1\n");
    assert_eq!(working(&engine).await.get("redirects.toml").unwrap(), b"# 2\n");
    let next = freeze(&engine).await;
    let row =
        engine.db().read(&TenantId::main()).await.unwrap().rows().candidate(next).await.unwrap().unwrap();
    assert_eq!(row.frozen.definition_authors, set(&["jonas", "ops"]));
    promote(&engine, next).await;
    assert_eq!((lines(&engine).await, pending(&engine).await), (set(&["one", "two"]), 0));

    // A rollback of the channel takes a revision back, and the next one goes on from there.
    engine
        .run(&by("ops"), Rollback { release: one.release, channel: None, note: String::new() })
        .await
        .unwrap();
    assert_eq!(lines(&engine).await, set(&["one"]));
    engine.run(&by("ops"), adding("three")).await.unwrap();
    assert_eq!(lines(&engine).await, set(&["one", "three"]));
    assert!(engine.verify_audit(&by("ops")).await.unwrap().is_ok());
    engine.close().await;
}

#[tokio::test]
async fn a_revision_releases_what_it_writes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    story(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn the_same_on_postgres() {
    let dir = tempfile::tempdir().unwrap();
    if let Some(location) = common::postgres("revise", dir.path()) {
        story(&location).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_at_the_same_time_keep_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    begun(&engine).await;
    let names = ["a", "b", "c", "d"];
    let runs = names.map(|name| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.run(&by("ops"), adding(name)).await })
    });
    for run in runs {
        run.await.unwrap().unwrap();
    }
    assert_eq!(lines(&engine).await, set(&names));
    assert_eq!(pending(&engine).await, 1);
}
