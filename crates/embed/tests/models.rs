//! Models from directories.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may fail")]

use std::{collections::BTreeMap, fs, path::Path};

use ashlar_embed::Model;
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::json;

fn write(dir: &Path, tensors: &[(&str, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, v)| v.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views: BTreeMap<String, TensorView<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), b)| {
            ((*name).to_owned(), TensorView::new(Dtype::F32, shape.clone(), b).unwrap())
        })
        .collect();
    fs::write(dir.join("model.safetensors"), serialize(views, None).unwrap()).unwrap();
    let vocab = json!({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "high": 4, "water": 5, "##s": 6});
    let added: Vec<_> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0}, "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab},
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

#[test]
fn a_table_gives_the_mean_of_its_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = vec![0.0; 7 * 2];
    (table[8], table[9]) = (3.0, 0.0);
    (table[10], table[11]) = (0.0, 4.0);
    write(dir.path(), &[("embeddings", vec![7, 2], table)]);
    let model = Model::open(dir.path()).unwrap();
    assert_eq!(model.dimensions(), 2);
    let found = model.embed("High  WATER");
    assert!((found[0] - 0.6).abs() < 1e-6 && (found[1] - 0.8).abs() < 1e-6, "{found:?}");
    assert_eq!(model.embed(""), [0.0, 0.0]);
}

#[test]
fn what_is_wrong_with_a_directory_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Model::open(dir.path()).unwrap_err().to_string();
    assert!(open().contains("has no *.safetensors"), "{}", open());
    write(dir.path(), &[("something", vec![7, 2], vec![0.0; 14])]);
    assert!(open().contains("it contains something"), "{}", open());
    write(dir.path(), &[("embeddings", vec![7, 2], vec![f32::NAN; 14])]);
    assert!(open().contains("not a number"), "{}", open());
    write(dir.path(), &[("embeddings", vec![7, 2], vec![0.5; 14])]);
    fs::write(dir.path().join("tokenizer.json"), "{}").unwrap();
    assert!(open().contains("has no `model`"), "{}", open());
    fs::write(dir.path().join("model.safetensors"), b"\xff\xff\xff\xff\xff\xff\xff\xffx").unwrap();
    assert!(open().contains("is damaged"), "{}", open());
}

/// Pretrained models are where `ASHLAR_TEST_EMBEDDERS` says: directories `wordllama` and `minilm`.
#[test]
fn pretrained_models_tell_meanings_apart() {
    let Some(dir) = std::env::var_os("ASHLAR_TEST_EMBEDDERS") else {
        assert!(
            std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
            "ASHLAR_TEST_EMBEDDERS is not set, and everything is required; `cargo xtask test` fetches the models"
        );
        eprintln!("skipped: ASHLAR_TEST_EMBEDDERS is not set");
        return;
    };
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let minilm = Model::open(&Path::new(&dir).join("minilm")).unwrap();
    let of = |text: &str| minilm.embed(text);
    let asked = of("That is a happy person");
    // The similarities that the card of all-MiniLM-L6-v2 shows for these sentences.
    for (text, expected) in [
        ("That is a happy dog", 0.695),
        ("That is a very happy person", 0.943),
        ("Today is a sunny day", 0.257),
    ] {
        let found = close(&asked, &of(text));
        assert!((found - expected).abs() < 0.002, "{text}: {found} instead of {expected}");
    }
    let words = Model::open(&Path::new(&dir).join("wordllama")).unwrap();
    let [car, motor, fish] =
        ["I bought a new car", "He drives an automobile", "Salmon swim upstream"].map(|t| words.embed(t));
    assert!(close(&car, &motor) > close(&car, &fish) + 0.1);
}
