//! A check answers the same with the cache, without it, and with a damaged one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::Path, time::Duration};

use ashlar_gates::{CheckOptions, CheckReport, check_project};
use proptest::prelude::*;

const PAGE: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "x-ashlar": {"version": "1.0.0", "owner": "web", "kind": "type", "status": "active", "route": "/{slug}", "title_field": "title"},
  "properties": {
    "slug": {"type": "string"},
    "title": {"type": "string", "maxLength": MAX, "x-ashlar": {"sensitivity": "claim"}},
    "body": {"type": "string", "contentMediaType": "text/markdown"}
  },
  "required": ["title"],
  "additionalProperties": false
}"#;

#[derive(Debug, Clone)]
enum Edit {
    Page { id: u8, title: String, slug: u8, link: u8 },
    Markdown { id: u8, link: u8 },
    Lines { ids: Vec<u8> },
    Broken { id: u8 },
    Remove { id: u8 },
    TitleMax(u8),
    Locale(bool),
    Damage { at: u16, bit: u8 },
    Cut { at: u16 },
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0_u8..5, "[a-c]{0,6}", 0_u8..4, 0_u8..4).prop_map(|(id, title, slug, link)| Edit::Page { id, title, slug, link }),
        2 => (0_u8..5, 0_u8..4).prop_map(|(id, link)| Edit::Markdown { id, link }),
        2 => prop::collection::vec(0_u8..6, 0..4).prop_map(|ids| Edit::Lines { ids }),
        1 => (0_u8..5).prop_map(|id| Edit::Broken { id }),
        2 => (0_u8..5).prop_map(|id| Edit::Remove { id }),
        1 => (1_u8..6).prop_map(Edit::TitleMax),
        1 => any::<bool>().prop_map(Edit::Locale),
        1 => (any::<u16>(), 0_u8..8).prop_map(|(at, bit)| Edit::Damage { at, bit }),
        1 => any::<u16>().prop_map(|at| Edit::Cut { at }),
    ]
}

fn write(dir: &Path, path: &str, content: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn apply(dir: &Path, edit: &Edit) {
    match edit {
        Edit::Page { id, title, slug, link } => write(
            dir,
            &format!("content/page/p{id}.en.json"),
            &format!("{{\n\"title\": \"{title}\",\n\"slug\": \"s{slug}\", \"body\": \"[x](/s{link})\"}}"),
        ),
        Edit::Markdown { id, link } => write(
            dir,
            &format!("content/page/p{id}.de.md"),
            &format!("---\ntitle: T\nslug: s{id}\n---\n\n[x](/s{link}) [y](s{link})\n"),
        ),
        Edit::Lines { ids } => {
            let line =
                |id: &u8| format!("{{\"type\":\"page\",\"id\":\"p{id}\",\"fields\":{{\"title\":\"n\"}}}}\n");
            write(dir, "content/lines.ndjson", &ids.iter().map(line).collect::<String>());
        }
        Edit::Broken { id } => write(dir, &format!("content/page/p{id}.en.json"), "{\"title\": "),
        Edit::Remove { id } => {
            let _ = fs::remove_file(dir.join(format!("content/page/p{id}.en.json")));
        }
        Edit::TitleMax(max) => write(dir, "contracts/page.v1.json", &PAGE.replace("MAX", &max.to_string())),
        Edit::Locale(de) => {
            let supported = if *de { "['en', 'de']" } else { "['en']" };
            write(
                dir,
                "ashlar.toml",
                &format!("name = 'x'\n[locales]\ndefault = 'en'\nsupported = {supported}\n"),
            );
        }
        Edit::Damage { at, bit } => damage(dir, |bytes| {
            let at = usize::from(*at) % bytes.len();
            bytes[at] ^= 1 << bit;
        }),
        Edit::Cut { at } => damage(dir, |bytes| bytes.truncate(usize::from(*at) % bytes.len())),
    }
}

fn damage(dir: &Path, act: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join(".ashlar/check.cache");
    let Ok(mut bytes) = fs::read(&path) else { return };
    if !bytes.is_empty() {
        act(&mut bytes);
        fs::write(path, bytes).unwrap();
    }
}

fn check(dir: &Path, cache: bool) -> CheckReport {
    let options = CheckOptions { against: None, cache, now: "2026-06-01T12:00:00Z".parse().unwrap() };
    check_project(dir, &options).unwrap()
}

/// What must not depend on the cache.
fn verdict(report: &CheckReport) -> String {
    let gates: Vec<_> = report
        .gates
        .iter()
        .map(|g| (&g.gate, g.status, &g.summary, &g.findings, g.findings_total, g.inputs))
        .collect();
    format!("{:?} {gates:#?}", report.status)
}

/// Longer than a file must rest before it is remembered.
fn rest() {
    std::thread::sleep(Duration::from_millis(70));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_changes_no_verdict(edits in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..6)) {
        let dir = tempfile::tempdir().unwrap();
        apply(dir.path(), &Edit::Locale(true));
        apply(dir.path(), &Edit::TitleMax(4));
        for step in &edits {
            step.iter().for_each(|e| apply(dir.path(), e));
            rest();
            let plain = verdict(&check(dir.path(), false));
            prop_assert_eq!(&verdict(&check(dir.path(), true)), &plain);
            prop_assert_eq!(&verdict(&check(dir.path(), true)), &plain);
        }
    }
}

#[test]
fn unchanged_files_are_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    apply(dir.path(), &Edit::Locale(true));
    apply(dir.path(), &Edit::TitleMax(4));
    for id in 0..5 {
        apply(dir.path(), &Edit::Page { id, title: "t".to_owned(), slug: id, link: 0 });
    }
    rest();
    assert_eq!(check(dir.path(), true).metrics["reused"], 0.0);
    let again = check(dir.path(), true);
    assert_eq!(again.metrics["reused"], 5.0);
    assert!(again.gates.iter().all(|g| g.from_evidence));
    apply(dir.path(), &Edit::Page { id: 1, title: "changed".to_owned(), slug: 1, link: 0 });
    rest();
    let changed = check(dir.path(), true);
    assert_eq!(changed.metrics["reused"], 4.0);
    assert_eq!(changed.gates[1].findings.len(), 1);
    apply(dir.path(), &Edit::TitleMax(5));
    assert_eq!(check(dir.path(), true).metrics["reused"], 0.0);
    let files: Vec<_> =
        fs::read_dir(dir.path().join(".ashlar")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["check.cache"]);
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    apply(dir.path(), &Edit::Locale(true));
    write(dir.path(), ".ashlar", "a file where the folder should be");
    assert_eq!(check(dir.path(), true).gates.len(), ashlar_gates::gates().len());
}
