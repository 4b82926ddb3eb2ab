//! The audit chain is checked while it grows.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::time::{Duration, Instant};

use ashlar_release::PutEntry;
use common::{Clock, by, key, open_dir};
use serde_json::json;

/// Walks of the chain beside the writes.
const WALKS: usize = 300;
/// How long it may take until something is written.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_holds_while_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), &Clock::new()).await;
    engine.run(&by("ops"), ashlar_release::PushDefinitions { files: common::definitions("") }).await.unwrap();
    let writer = tokio::spawn({
        let engine = engine.clone();
        async move {
            for number in 0.. {
                let fields = json!({"t": number}).as_object().unwrap().clone();
                let put = PutEntry { key: key("home", "en"), fields, expected_version: None, major: Some(1) };
                engine.run(&by("alice"), put).await.unwrap();
            }
        }
    });
    let mut most = 0;
    let (mut walks, begun) = (0, Instant::now());
    // On a busy machine the writer comes late.
    while walks < WALKS || most < 2 {
        let held = engine.verify_audit(&by("ops")).await.unwrap().unwrap();
        assert!(held >= most, "{held} rows after {most}");
        most = held;
        walks += 1;
        assert!(begun.elapsed() < PATIENCE, "{walks} walks, and nothing was written meanwhile");
    }
    writer.abort();
    let _ = writer.await;
    engine.close().await;
}
