//! Real public token sets are built as they are.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod common;

use std::path::PathBuf;

use common::Rig;
use serde_json::Value;

/// The folder with real token sets; `None` when it is absent and need not be there.
fn data() -> Option<PathBuf> {
    let named = std::env::var_os("ASHLAR_TEST_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = named.unwrap_or(beside).join("tokens");
    if found.is_dir() {
        return Some(found);
    }
    assert!(
        std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
        "{} is absent, and everything is required",
        found.display()
    );
    println!("not run: {} is absent", found.display());
    None
}

#[test]
fn public_sets_build_without_edits() {
    let Some(data) = data() else { return };
    let rig = Rig::new();
    for (set, tokens, contexts, sample) in [
        ("adobe-spectrum", 1_579, 4, ("accent-background-color-default", "theme=dark")),
        ("figma-sds", 298, 2, ("color.background.brand.$root", "theme=dark")),
    ] {
        let document = data.join(format!("{set}.resolver.json"));
        // A directory is built by the resolver document that stands beside it.
        for source in [document.clone(), data.join(set)] {
            let out = format!("{set}-out");
            let (source, out) = (source.to_str().unwrap(), out.as_str());
            let report = rig.json(
                0,
                &["tokens", "build", source, "--out", out, "--outputs", "css,json,ts", "--format", "json"],
            );
            assert_eq!(report["tokens"], tokens, "{set}");
            assert_eq!(report["combinations"], contexts, "{set}");
            let read = |file: &str| std::fs::read_to_string(rig.path().join(out).join(file)).unwrap();
            let built: Value = serde_json::from_str(&read("tokens.json")).unwrap();
            let token = &built["tokens"][sample.0];
            assert!(token["css"].as_str().unwrap().starts_with('#'), "{token}");
            assert_ne!(token["contexts"][sample.1]["css"], token["css"], "{token}");
            assert!(read("tokens.css").contains("[data-theme=\"dark\"] {"), "{set}");
            let again: Value = serde_json::from_str(&read("tokens.dtcg.json")).unwrap();
            assert!(again.is_object());
            assert!(read("tokens.d.ts").contains("export type TokenName"));
        }
    }
}
