//! `search` on the command line.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::Rig;
use serde_json::Value;

fn rig() -> Rig {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
    let write = |name: &str, text: &str| std::fs::write(rig.dir.path().join(name), text).unwrap();
    write(
        "corpus.jsonl",
        "{\"_id\":\"d1\",\"title\":\"Tides\",\"text\":\"High water comes twice a day.\"}\n\
         {\"_id\":\"d2\",\"title\":\"Berths\",\"text\":\"A berth is booked by the night.\"}\n\
         {\"_id\":\"d3\",\"text\":\"The crane lifts boats of ten tonnes.\"}\n",
    );
    write(
        "queries.jsonl",
        "{\"_id\":\"q1\",\"text\":\"when is high water?\"}\n{\"_id\":\"q2\",\"text\":\"book a berth\"}\n",
    );
    write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n");
    rig
}

const FILES: [&str; 8] =
    ["search", "evaluate", "--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--qrels", "qrels.tsv"];

#[test]
fn judged_queries_are_measured() {
    let rig = rig();
    for mode in ["bm25", "hybrid"] {
        let out = rig.run(&[&FILES[..], &["--mode", mode, "--format", "json"]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let figures: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(figures["ndcg@10"], 1.0, "{figures}");
        assert_eq!(figures["recall@100"], 1.0);
        assert_eq!((&figures["queries"], &figures["documents"]), (&2.into(), &3.into()));
        assert!(figures["p50_ms"].is_number() && figures["p99_ms"].is_number());
    }
    let out = rig.run(&FILES);
    assert!(String::from_utf8_lossy(&out.stdout).starts_with("nDCG@10     1.0000\n"));
}

#[test]
fn a_wrong_line_is_placed() {
    let rig = rig();
    std::fs::write(rig.dir.path().join("queries.jsonl"), "{\"_id\":\"q1\",\"text\":\"x\"}\n{\"_id\":7}\n")
        .unwrap();
    let out = rig.run(&FILES);
    assert_eq!(out.status.code(), Some(2));
    let shown = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(shown.contains("queries.jsonl:2"), "{shown}");
    let out = rig.run(&["search", "evaluate", "--corpus", "none.jsonl", "--queries", "q", "--qrels", "r"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("none.jsonl"));
    assert_ne!(out.status.code(), Some(0));
}
