//! Pages per second, and what one published entry costs a site of 10,000 pages. One core.
//!
//! `cargo bench -p ashlar-delivery --bench pages`

#![allow(clippy::unwrap_used, reason = "a benchmark may end here")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ashlar_delivery::Caches;
use ashlar_model::Files;
use common::{Fixture, key};
use serde_json::{Value, json};

const PAGES: usize = 10_000;

fn add(files: &mut Files, root: &Path, dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            add(files, root, &path);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(&name, std::fs::read(&path).unwrap()).unwrap();
        }
    }
}

/// The definitions of the demo, and its pages over and over under new ids.
fn demo() -> Fixture {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo");
    let mut files = Files::new();
    for part in ["contracts", "views", "components", "site", "assets", "tokens"] {
        add(&mut files, &root, &root.join(part));
    }
    for file in ["ashlar.toml", "intents.toml", "tokens.toml"] {
        files.insert(file, std::fs::read(root.join(file)).unwrap()).unwrap();
    }
    let mut fixture = Fixture::of(files);
    fixture.caches = Caches::new(1 << 30);
    let content = root.join("content");
    let mut entries = Vec::new();
    let mut home: Option<Value> = None;
    for folder in std::fs::read_dir(&content).unwrap().flatten() {
        let type_name = folder.file_name().to_string_lossy().into_owned();
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let Some((id, locale)) = name.strip_suffix(".json").and_then(|n| n.rsplit_once('.')) else {
                continue;
            };
            let fields: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
            if (type_name.as_str(), id, locale) == ("page", "home", "en") {
                home = Some(fields.clone());
            }
            entries.push((key(&type_name, id, locale), Some(fields)));
        }
    }
    fixture.put(&entries);
    let home = home.unwrap();
    for start in (0..PAGES).step_by(1_000) {
        let some: Vec<_> = (start..start + 1_000)
            .map(|n| {
                let mut page = home.clone();
                page["slug"] = json!(format!("page-{n}"));
                page["title"] = json!(format!("Page {n}"));
                (key("page", &format!("page-{n}"), "en"), Some(page))
            })
            .collect();
        fixture.put(&some);
    }
    fixture
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

fn main() {
    // `cargo test --benches` runs this as a test: the figures are for `cargo bench`.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let mut fixture = demo();
    let before = fixture.release("r1");
    let pages: Vec<_> = before.pages().map(Result::unwrap).collect();
    let bytes: usize = {
        let started = Instant::now();
        let bytes = pages.iter().map(|p| before.page(p).unwrap().unwrap().html.len()).sum();
        let took = started.elapsed();
        println!(
            "all pages anew        {:>8.0} pages/s   {} pages of {:.1} kB in {:.0} ms (target 2,000 pages/s)",
            pages.len() as f64 / took.as_secs_f64(),
            pages.len(),
            f64::from(u32::try_from(bytes / pages.len()).unwrap()) / 1e3,
            ms(took)
        );
        bytes
    };
    assert!(bytes > 0);
    let started = Instant::now();
    pages.iter().for_each(|p| drop(before.page(p).unwrap()));
    println!("all pages from memory {:>8.0} pages/s", pages.len() as f64 / started.elapsed().as_secs_f64());
    // One page changes, then a testimonial that every page shows.
    for (what, changed, rounds) in [
        ("page", key("page", "page-77", "en"), 20),
        ("testimonial on every page", key("testimonial", "aoife", "en"), 2),
    ] {
        let (mut worst, mut sum, mut count) = (Duration::ZERO, Duration::ZERO, 0);
        let mut now = fixture.release("r1");
        for round in 0..rounds {
            let record = now.record(&changed).unwrap().unwrap();
            let mut fields: Value =
                serde_json::from_slice(&fixture.objects.get(&record.digest).unwrap()).unwrap();
            let field = if what == "page" { "title" } else { "quote" };
            fields[field] = json!(format!("Round {round}"));
            fixture.put(&[(changed.clone(), Some(fields))]);
            let next = fixture.release("r2");
            let started = Instant::now();
            let touched = next.pages_touched(&now).unwrap();
            touched.iter().for_each(|p| drop(next.page(p).unwrap()));
            let took = started.elapsed();
            (worst, sum, count) = (worst.max(took), sum + took, touched.len());
            now = next;
        }
        println!(
            "one {what} changes: {count} pages rendered, {:.2} ms on average, {:.2} ms at worst (target 50 ms for one entry's dependants)",
            ms(sum) / f64::from(rounds),
            ms(worst)
        );
    }
}
