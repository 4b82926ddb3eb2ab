//! Search quality: our three modes and `bm25s` over the same judged sets, in turn.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::site::Result;
use crate::run::{Start, dist_binary, root, target};

/// What the yardsticks are made of, from PyPI. `qdrant-edge-py` is the engine of Qdrant as a library.
const PACKAGES: [&str; 4] = ["bm25s==0.3.16", "PyStemmer==3.1.0", "numpy==2.4.6", "qdrant-edge-py==0.9.0"];
/// The shortest text and sentence that is used, in bytes.
const TEXT_MIN: usize = 80;
const SENTENCE_MIN: usize = 60;

/// Documents, and queries with what answers each.
#[derive(Default)]
struct Set {
    documents: Vec<(String, String)>,
    queries: Vec<(String, Vec<String>)>,
}

impl Set {
    fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        let line = |id: &str, text: &str| format!("{}\n", json!({"_id": id, "text": text}));
        let corpus: String = self.documents.iter().map(|(id, text)| line(id, text)).collect();
        fs::write(dir.join("corpus.jsonl"), corpus)?;
        let (mut queries, mut qrels) = (String::new(), String::new());
        for (number, (text, relevant)) in self.queries.iter().enumerate() {
            queries.push_str(&line(&format!("q{number}"), text));
            for document in relevant {
                qrels.push_str(&format!("q{number}\t{document}\t1\n"));
            }
        }
        fs::write(dir.join("queries.jsonl"), queries)?;
        Ok(fs::write(dir.join("qrels.tsv"), qrels)?)
    }
}

/// Questions and their paragraph; and sentences of paragraphs that were taken out, with the rest of their article.
fn squad(data: &Path) -> Result<[(&'static str, Set); 2]> {
    let path = data.join("questions/squad-dev-v2.0.json");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let set: Value = serde_json::from_str(&text)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let (mut questions, mut topics) = (Set::default(), Set::default());
    for (article, number) in list(&set["data"]).iter().zip(0..) {
        let (mut rest, mut out) = (Vec::new(), Vec::new());
        for (paragraph, place) in list(&article["paragraphs"]).iter().zip(0..) {
            let (id, context) = (format!("a{number}p{place}"), text_of(&paragraph["context"]));
            for asked in list(&paragraph["qas"]).iter().filter(|asked| asked["is_impossible"] == false) {
                questions.queries.push((text_of(&asked["question"]), vec![id.clone()]));
            }
            questions.documents.push((id.clone(), context.clone()));
            if place % 4 == 0 {
                out.extend(context.split(". ").filter(|s| s.len() > SENTENCE_MIN).nth(1).map(str::to_owned));
            } else {
                rest.push(id.clone());
                topics.documents.push((id, context));
            }
        }
        topics.queries.extend(out.into_iter().map(|sentence| (sentence, rest.clone())));
    }
    Ok([("questions", questions), ("topics", topics)])
}

/// Headings of the documentation, each with its section, from which it is cut out.
fn headings(data: &Path, locale: &str) -> Result<Set> {
    let mut set = Set::default();
    let mut folders = vec![data.join("docs").join(locale)];
    let mut pages: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { pages.push(path) }
        }
    }
    pages.sort();
    for (page, number) in pages.iter().zip(0..) {
        let text = fs::read_to_string(page)?;
        let body = text.splitn(3, "---\n").nth(2).unwrap_or(&text);
        for (section, place) in format!("\n{body}").split("\n## ").zip(0..) {
            let (heading, section) = section.split_once('\n').unwrap_or((section, ""));
            if section.trim().len() < TEXT_MIN {
                continue;
            }
            let id = format!("p{number}s{place}");
            if place > 0 && (number + place) % 3 == 0 {
                set.queries.push((heading.replace(['`', '*', '<', '>'], " "), vec![id.clone()]));
            }
            set.documents.push((id, section.to_owned()));
        }
    }
    Ok(set)
}

/// The Python environment with the yardsticks.
pub(super) fn python() -> Result<PathBuf> {
    let dir = target().join("bench-search");
    let (python, mark, wanted) = (dir.join("bin/python"), dir.join("installed"), PACKAGES.join("\n"));
    if fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    crate::run::run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
    crate::run::run(Command::new(dir.join("bin/pip")).args(["install", "--quiet"]).args(PACKAGES))?;
    fs::write(&mark, wanted)?;
    Ok(python)
}

/// What a program prints as JSON.
pub(super) fn figures(command: &mut Command) -> Result<Value> {
    let out = command.start()?.wait_with_output()?;
    if !out.status.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// The directories with embedding models in `ASHLAR_TEST_EMBEDDERS`, if it is set.
fn models() -> Result<Vec<PathBuf>> {
    let Some(dir) = std::env::var_os("ASHLAR_TEST_EMBEDDERS") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Measures all sets of `ASHLAR_TEST_DATA` (or `../shared/data`), and with the models of `ASHLAR_TEST_EMBEDDERS`.
///
/// # Errors
/// When there is no such data, or a program fails.
pub fn run() -> Result<()> {
    let data = std::env::var_os("ASHLAR_TEST_DATA").map_or_else(|| root().join("../shared/data"), Into::into);
    let mut sets: BTreeMap<String, (Set, &str, &str)> = BTreeMap::new();
    for (name, set) in squad(&data)? {
        sets.insert(name.to_owned(), (set, "en", "english"));
    }
    for (locale, language) in [("en", "english"), ("fr", "french"), ("de", "german")] {
        sets.insert(format!("headings-{locale}"), (headings(&data, locale)?, locale, language));
    }
    let (binary, python) = (dist_binary()?, python()?);
    let models = models()?;
    let mut with_models = Vec::new();
    let temp = tempfile::Builder::new().prefix("ashlar-bench-").tempdir()?;
    println!(
        "| set | documents | queries | bm25s | bm25 | vector | hybrid | hybrid, p50 | bm25s, p50 | indexing, bm25s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, (set, locale, language)) in sets {
        let dir = temp.path().join(&name);
        set.write(&dir)?;
        let script = root().join("xtask/src/bench/search_peer.py");
        let peer = figures(
            Command::new(&python).arg(script).arg(&dir).arg(language).stdout(std::process::Stdio::piped()),
        )?;
        let ours = |mode: &str, embedder: Option<&Path>| {
            let mut command = Command::new(&binary);
            command
                .args(["search", "evaluate", "--corpus", "corpus.jsonl", "--queries", "queries.jsonl"])
                .args(["--qrels", "qrels.tsv", "--locale", locale, "--mode", mode, "--format", "json"])
                .current_dir(&dir)
                .stdout(std::process::Stdio::piped());
            if let Some(embedder) = embedder {
                command.arg("--embedder").arg(embedder);
            }
            figures(&mut command)
        };
        let (words, meaning, both) = (ours("bm25", None)?, ours("vector", None)?, ours("hybrid", None)?);
        let part = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
        for model in &models {
            let (meaning, both) = (ours("vector", Some(model))?, ours("hybrid", Some(model))?);
            let (meaning_gain, both_gain) = (part(&meaning, "ndcg@10"), part(&both, "ndcg@10"));
            let model = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let by = [part(&words, "ndcg@10"), meaning_gain, both_gain, part(&both, "index_ms") / 1_000.0];
            with_models.push((model, name.clone(), by));
        }
        println!(
            "| {name} | {} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} ms | {:.2} ms | {:.0} ms, {:.0} ms |",
            set.documents.len(),
            set.queries.len(),
            part(&peer, "ndcg@10"),
            part(&words, "ndcg@10"),
            part(&meaning, "ndcg@10"),
            part(&both, "ndcg@10"),
            part(&both, "p50_ms"),
            part(&peer, "p50_ms"),
            part(&both, "index_ms"),
            part(&peer, "index_ms"),
        );
    }
    if !with_models.is_empty() {
        println!(
            "\n| model | set | bm25 | vector | hybrid | indexing |\n| --- | --- | --- | --- | --- | --- |"
        );
    }
    with_models.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    for (model, name, [words, meaning, both, seconds]) in with_models {
        println!("| {model} | {name} | {words:.3} | {meaning:.3} | {both:.3} | {seconds:.1} s |");
    }
    Ok(())
}
