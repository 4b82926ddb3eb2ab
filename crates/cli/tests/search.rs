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

/// A directory with a table of token embeddings: `water` and `berth` point in two directions, and other words are not known.
fn write_model(dir: &std::path::Path) {
    std::fs::create_dir_all(dir).unwrap();
    let header = br#"{"embeddings":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend([0.0_f32, 0.0, 1.0, 0.0, 0.0, 1.0].iter().flat_map(|value| value.to_le_bytes()));
    std::fs::write(dir.join("model.safetensors"), bytes).unwrap();
    let unknown = serde_json::json!({"id": 0, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [unknown],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "water": 1, "berth": 2}},
    });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

#[test]
fn an_embedder_of_a_directory_makes_the_vectors() {
    let rig = rig();
    write_model(&rig.dir.path().join("model"));
    let with = |dir: &str, mode: &str| {
        rig.run(&[&FILES[..], &["--mode", mode, "--embedder", dir, "--format", "json"]].concat())
    };
    for mode in ["vector", "hybrid"] {
        let out = with("model", mode);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let figures: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(figures["ndcg@10"], 1.0, "{figures}");
        assert_eq!(figures["calibration"]["dimensions"], 2);
    }
    std::fs::remove_file(rig.dir.path().join("model/tokenizer.json")).unwrap();
    for (dir, said) in [("model", "tokenizer.json"), ("nowhere", "nowhere")] {
        let out = with(dir, "hybrid");
        assert!(!out.status.success());
        let shown = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(shown.contains(said), "{shown}");
    }
}
