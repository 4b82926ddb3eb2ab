//! Whole trees and files are imported, and every file either becomes an entry or is reported.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, io::BufReader, path::PathBuf};

use ashlar_model::{Locale, TypeName};
use ashlar_project::{LocaleSource, Mapping, Project, ProjectError, content, import, init, markdown};

fn en() -> Locale {
    Locale::new("en").unwrap()
}

/// The folder of real input, when it is there.
fn test_data() -> Option<PathBuf> {
    let dir = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if dir.join("docs").is_dir() {
        return Some(dir);
    }
    assert!(
        std::env::var_os("ASHLAR_REQUIRE_ALL").is_none_or(|v| v != "1"),
        "no test data at {}",
        dir.display()
    );
    println!("skipped: there is no test data at {}; set ASHLAR_TEST_DATA", dir.display());
    None
}

#[test]
fn the_documentation_corpus_is_read_whole() {
    let Some(data) = test_data() else { return };
    let docs = data.join("docs");
    let mapping = Mapping {
        path_field: Some("slug".to_owned()),
        ..Mapping::simple(TypeName::new("doc").unwrap(), LocaleSource::Segment(0))
    };
    let (files, findings) = import::markdown_files(&docs, &mapping).unwrap();
    assert!(findings.is_empty());
    let on_disk = walkdir::WalkDir::new(&docs)
        .into_iter()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "mdx"))
        .count();
    assert_eq!(files.len(), on_disk);
    let (entries, broken): (Vec<_>, Vec<_>) =
        import::MarkdownImport::new(&docs, files, &mapping).partition(Result::is_ok);
    let broken: Vec<_> = broken.into_iter().map(|b| b.unwrap_err()).collect();
    assert_eq!(entries.len() + broken.len(), on_disk);
    assert_eq!(broken, []);
    let entries: Vec<_> = entries.into_iter().map(Result::unwrap).collect();
    let locales: BTreeSet<_> = entries.iter().map(|e| e.key.locale.to_string()).collect();
    assert_eq!(locales.into_iter().collect::<Vec<_>>(), ["de", "en", "fr", "ja"]);
    assert!(entries.iter().all(|e| e.fields["title"].is_string() && e.fields["slug"].is_string()));
    let links: usize =
        entries.iter().map(|e| markdown::links(e.fields["body"].as_str().unwrap_or("")).len()).sum();
    assert!(links > 5_000, "{links} internal links");
}

#[test]
fn broken_and_duplicate_files_are_reported_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: &[u8]| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("a/b.md", b"---\ntitle: one\n---\n");
    write("a.b.md", b"---\ntitle: two\n---\n");
    write("broken.md", b"---\ntitle: [\n---\n");
    write("latin.md", b"caf\xe9");
    fs::write(dir.path().join("outside.txt"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link.md")).unwrap();
    let mapping = Mapping::simple(TypeName::new("doc").unwrap(), LocaleSource::Fixed(en()));
    let (files, findings) = import::markdown_files(dir.path(), &mapping).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].code.as_str(), findings[0].place.as_str()), ("symlink", "link.md"));
    let got: Vec<String> = import::MarkdownImport::new(dir.path(), files, &mapping)
        .map(|e| match e {
            Ok(e) => e.key.to_string(),
            Err(f) => format!("{} {}: {}", f.code, f.place, f.message),
        })
        .collect();
    insta::assert_snapshot!(got.join("\n"), @r#"
doc/a.b (en)
duplicate-entry a.b.md:1: doc/a.b (en) is already made by a/b.md:1.
yaml-malformed broken.md:3:1: Did not find expected node content.
encoding latin.md:1:4: The file is not UTF-8: byte 0xe9 is not allowed here.
"#);
}

#[test]
fn json_and_ndjson_are_imported() {
    let read = |text: &'static str, mapping: Option<&Mapping>| -> Vec<String> {
        import::JsonImport::from_reader(Box::new(BufReader::new(text.as_bytes())), "in.json", mapping, &en())
            .unwrap()
            .map(|e| match e {
                Ok(e) => format!("{} {} {}", e.key, serde_json::Value::Object(e.fields), e.source),
                Err(f) => format!("{} {}: {}", f.code, f.place, f.message),
            })
            .collect()
    };
    let mapping = Mapping::parse(
        "m.toml",
        "type='plan'\nid_field='sku'\nlocale_field='lang'\n[fields]\nn='name'",
        &en(),
    )
    .unwrap();
    let report = [
        read(r#"[{"type":"page","id":"a","fields":{}},{"type":"page","id":"a","fields":{}},{"id":"x"},7]"#, None),
        read("{\"type\":\"page\",\"id\":\"a\",\"fields\":{}}\n\n{oops\n{\"type\":\"page\",\"id\":\"b\",\"fields\":{}}", None),
        read("[{\"sku\":7,\"lang\":\"de\",\"n\":\"Basic\"},{\"n\":1}]", Some(&mapping)),
        read("[1,", None),
        read("", None),
    ]
    .concat();
    insta::assert_snapshot!(report.join("\n"), @r#"
page/a (en) {} in.json /0
duplicate-entry in.json /1: page/a (en) is already made by in.json /0.
entry-line in.json /2: `type` is missing.
entry-line in.json /3: An entry is a JSON object.
page/a (en) {} in.json:1
json-malformed in.json:3:2: Key must be a string.
page/b (en) {} in.json:4
plan/7 (de) {"name":"Basic"} in.json /0
import-path in.json /1: The id is taken from `sku`, which is absent or no text.
json-malformed in.json:1:3: EOF while parsing a value.
"#);
}

#[test]
fn a_project_is_read_and_what_leaves_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Project::read(dir.path()), Err(ProjectError::NotAProject { .. })));
    for (path, bytes) in init::files("x \"y\"").unwrap().iter() {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let (files, findings) = Project::read(dir.path()).unwrap();
    assert_eq!(findings, []);
    assert_eq!(ashlar_project::read_config(&files).unwrap().name, "x \"y\"");
    assert!(files.get("README.md").is_none() && files.get("content/page/home.en.json").is_none());
    let (listed, findings) = content::list(dir.path());
    assert_eq!((listed.len(), findings.len()), (1, 0));

    fs::write(dir.path().join("contracts/bad.v1.json"), b"{\"a\":\n \"\xff\"}").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("contracts/link.v1.json")).unwrap();
    std::os::unix::fs::symlink("page.v1.json", dir.path().join("contracts/page.v2.json")).unwrap();
    std::os::unix::fs::symlink("/etc", dir.path().join("content/etc")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("content/page/evil.md")).unwrap();
    let (files, findings) = Project::read(dir.path()).unwrap();
    assert!(files.get("contracts/page.v2.json").is_some());
    let places: Vec<_> = findings.iter().map(|f| (f.code.as_str(), f.place.as_str())).collect();
    assert_eq!(places, [("encoding", "contracts/bad.v1.json:2:3"), ("symlink", "contracts/link.v1.json")]);
    let (listed, findings) = content::list(dir.path());
    assert_eq!(listed.len(), 1);
    assert_eq!(findings.iter().map(|f| f.place.as_str()).collect::<Vec<_>>(), ["content/page/evil.md"]);
}
