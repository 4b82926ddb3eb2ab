//! Replays the corpora of the fuzz targets (`fuzz/`) through the functions that the targets call.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::Path, time::Duration, time::Instant};

#[path = "../../../fuzz/readers.rs"]
mod readers;

fn replay(target: &str, read: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let start = Instant::now();
        read(&bytes);
        // Cut off anywhere, and without its first half.
        (0..bytes.len()).step_by(bytes.len() / 8 + 1).for_each(|at| read(&bytes[..at]));
        read(&bytes[bytes.len() / 2..]);
        assert!(start.elapsed() < Duration::from_secs(120), "{}: {:?}", path.display(), start.elapsed());
        files += 1;
    }
    assert!(files > 0, "{target} has no corpus");
}

#[test]
fn every_corpus_is_read() {
    let targets: [(&str, fn(&[u8])); 24] = [
        ("yaml", readers::yaml),
        ("json", readers::json),
        ("toml", readers::toml),
        ("redirects", readers::redirects),
        ("markdown", readers::markdown),
        ("contract", readers::contract),
        ("tokens", readers::tokens),
        ("svg", readers::svg),
        ("graphql", readers::graphql),
        ("chunks", readers::chunks),
        ("retrieval", readers::retrieval),
        ("filters", readers::filters),
        ("segment", readers::segment),
        ("query", readers::query),
        ("prompt", readers::prompt),
        ("answer", readers::answer),
        ("gateway", readers::gateway),
        ("redact", readers::redact),
        ("call", readers::call),
        ("reply", readers::reply),
        ("stream", readers::stream),
        ("suite", readers::suite),
        ("import", readers::import),
        ("assist", readers::assist),
    ];
    for (target, read) in targets {
        replay(target, read);
    }
}
