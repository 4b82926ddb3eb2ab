//! How many SQL statements an edit takes on its way to the public channel. Each is a round trip with PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use ashlar_release::{CreateCandidate, Promote, PushDefinitions, PutEntry};
use common::{Clock, by, definitions, key, open_dir};
use serde_json::json;
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

/// Counts what the driver reports.
struct Counter;

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        STATEMENTS.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn publishing_takes_few_statements() {
    tracing::subscriber::set_global_default(Counter).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("a") }).await.unwrap();
    let mut last = [0; 3];
    for text in ["one", "two", "three"] {
        let mut counted = [0; 3];
        let mut from = STATEMENTS.load(Ordering::SeqCst);
        let mut count = |slot: &mut usize| {
            let now = STATEMENTS.load(Ordering::SeqCst);
            (*slot, from) = (now - from, now);
        };
        let fields = json!({"t": text}).as_object().unwrap().clone();
        let put = PutEntry { key: key("home", "en"), fields, expected_version: None, major: None };
        engine.run(&by("alice"), put).await.unwrap();
        count(&mut counted[0]);
        let candidate = engine.run(&by("ops"), CreateCandidate::default()).await.unwrap().candidate;
        count(&mut counted[1]);
        let promote = Promote { candidate, channel: None, note: String::new() };
        engine.run(&by("ops"), promote).await.unwrap();
        count(&mut counted[2]);
        last = counted;
    }
    assert!(last.iter().all(|n| *n > 0), "statements are counted: {last:?}");
    // One of each of the first two asks whether models wrote anything.
    let at_most = [15, 14, 18];
    assert!(last.iter().zip(at_most).all(|(n, max)| *n <= max), "write, freeze, promote: {last:?}");
}
