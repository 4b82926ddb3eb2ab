//! The first import of a Markdown tree, and the same again with nothing changed.

use std::{fs, path::Path, process::Command, time::Instant};

use super::site::Result;
use crate::run::{Start, dist_binary, root};

const CONTRACT: &str = r#"{"type":"object","x-ashlar":{"owner":"docs","route":"/{locale}/{slug}/","title_field":"title"},"properties":{"title":{"type":"string"},
"slug":{"type":"string"},"body":{"type":"string","contentMediaType":"text/markdown"}},"required":["title"]}"#;

/// Imports `documents` documents: the English pages of `ASHLAR_TEST_DATA` (or `../shared/data`), repeated under new names.
///
/// # Errors
/// When there is no such data, or the import fails.
pub fn run(documents: usize) -> Result<()> {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(|| root().join("../shared/data"), Into::into);
    let mut pages = Vec::new();
    collect(&data.join("docs/en"), Path::new(""), &mut pages)
        .map_err(|e| format!("{}: {e}; ASHLAR_TEST_DATA says where the corpus is", data.display()))?;
    if pages.is_empty() {
        return Err("the corpus has no pages".into());
    }
    let binary = dist_binary()?;
    let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
    let dir = temp.path();
    fs::create_dir_all(dir.join("site/contracts"))?;
    fs::write(dir.join("site/ashlar.toml"), "name = 'Docs'\n[gates]\nlinks_ignored = ['/']\n")?;
    fs::write(dir.join("site/contracts/doc.v1.json"), CONTRACT)?;
    fs::write(dir.join("map.toml"), "type = 'doc'\nlocale_segment = 0\npath_field = 'slug'\n")?;
    let mut bytes = 0;
    for n in 0..documents {
        let (name, text) = &pages[n % pages.len()];
        let to = dir.join("tree/en").join(format!("copy{}", n / pages.len())).join(name);
        fs::create_dir_all(to.parent().ok_or("no parent")?)?;
        fs::write(to, text)?;
        bytes += text.len();
    }
    println!("{documents} Markdown documents, {} MB", bytes / 1_000_000);
    let ashlar = |args: &[&str]| -> Result<f64> {
        let started = Instant::now();
        let out = Command::new(&binary).args(args).current_dir(dir).env("ASHLAR_DATA", "data").finish()?;
        match out.status.success() {
            true => Ok(started.elapsed().as_secs_f64()),
            false => Err(format!("{args:?}: {}", String::from_utf8_lossy(&out.stderr)).into()),
        }
    };
    ashlar(&["push", "site"])?;
    let import = ["import", "markdown", "tree", "--mapping", "map.toml"];
    println!("{:44} {:.2} s  target 10 s", "first import", ashlar(&import)?);
    println!("{:44} {:.2} s", "the same again", ashlar(&import)?);
    Ok(())
}

fn collect(dir: &Path, below: &Path, out: &mut Vec<(std::path::PathBuf, String)>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &name, out)?;
        } else if name.extension().is_some_and(|e| e == "mdx" || e == "md") {
            out.push((name, fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}
