//! The public samples of OpenAI evals, imported and judged beside the code of OpenAI evals. `cargo xtask test` downloads both.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use ashlar_evals::{
    Metric, Reply, Subject, Unasked,
    import::{Matching, openai},
    suite::Case,
};
use ashlar_model::Level;
use common::{options, recorded, says, suite};
use serde::Deserialize;

/// Replies to each sample.
const REPLIES: usize = 6;

/// Reads the package without installing what it needs, and judges replies with its own functions: `get_answer`, `fuzzy_match` and
/// `record_and_check_match`.
const THEIRS: &str = r#"
import ast, glob, json, random, re, string, sys, zipfile
from typing import Any, Callable, Optional, Union
import yaml

package = zipfile.ZipFile(glob.glob(sys.argv[1] + "/evals-*.whl")[0])
picked = []
space = {"re": re, "string": string, "record_match": lambda match, **_: picked.append(match),
         "Any": Any, "Callable": Callable, "Optional": Optional, "Union": Union}
for path, names in [("evals/elsuite/utils.py", {"get_answer", "normalize", "fuzzy_match"}), ("evals/api.py", {"record_and_check_match"})]:
    tree = ast.parse(package.read(path))
    tree.body = [item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name in names]
    exec(compile(tree, path, "exec"), space)

def judge(kind, ideal, said):
    ideals = ideal if isinstance(ideal, list) else [ideal]
    if kind == "match":
        space["record_and_check_match"](prompt="", sampled=said, expected=ideal)
        return picked[-1]
    if kind == "fuzzy":
        return any(space["fuzzy_match"](said, one) for one in ideals)
    return any(space["get_answer"](said, one, kind == "includes_ignoring_case") is not None for one in ideals)

def a_part(ideal, said):
    """Whether the reply is only a part of an ideal."""
    said = space["normalize"](said)
    return any(said in space["normalize"](one) for one in (ideal if isinstance(ideal, list) else [ideal]))

def replies(chance, ideal, other):
    one = chance.choice(ideal if isinstance(ideal, list) else [ideal])
    cut = chance.randrange(len(one) + 1)
    return [one, f"It is {one}, I think.", f"{one.swapcase()}!", other, f"The {one[:cut]} {one[cut:]}".strip(),
            "\n".join([f"  {one.upper()}", other.lower()])]

classes = {"evals.elsuite.basic.match:Match": "match", "evals.elsuite.basic.includes:Includes": "includes",
           "evals.elsuite.basic.fuzzy_match:FuzzyMatch": "fuzzy"}
files, of_package = {}, set(package.namelist())
for path in sorted(name for name in of_package if name.startswith("evals/registry/evals/") and name.endswith(".yaml")):
    for entry in (yaml.safe_load(package.read(path)) or {}).values():
        kind = classes.get(isinstance(entry, dict) and entry.get("class"))
        args = entry.get("args", {}) if kind else {}
        if kind == "includes" and args.get("ignore_case"):
            kind = "includes_ignoring_case"
        samples = "evals/registry/data/" + str(args.get("samples_jsonl"))
        if samples in of_package:
            files[samples, kind] = None

chance = random.Random(15)
for path, kind in files:
    lines, said = [], []
    other = "Nothing of it"
    with package.open(path) as file:
        for line in file:
            try:
                sample = json.loads(line)
            except ValueError:
                continue
            ideal = sample.get("ideal")
            ideals = ideal if isinstance(ideal, list) else [ideal]
            if len(line) > 100_000 or "input" not in sample or not ideals or not all(isinstance(one, str) for one in ideals):
                continue
            texts = replies(chance, ideal, other)
            lines.append(line.decode().rstrip("\n"))
            said.append([{"text": text, "passes": bool(judge(kind, ideal, text)), "part": a_part(ideal, text)} for text in texts])
            other = ideals[0]
            if len(lines) == 8:
                break
    if lines:
        print(json.dumps({"path": path, "kind": kind, "lines": lines, "said": said}))
"#;

#[derive(Deserialize)]
struct File {
    path: String,
    kind: String,
    lines: Vec<String>,
    /// What is replied to each line.
    said: Vec<Vec<Said>>,
}

#[derive(Deserialize)]
struct Said {
    text: String,
    /// The verdict of OpenAI evals.
    passes: bool,
    /// Whether the reply is only a part of an ideal.
    part: bool,
}

/// The directory with the package and a Python; `None` when it is absent, which is said.
fn clients() -> Option<PathBuf> {
    let found = std::env::var_os("ASHLAR_TEST_CLIENTS").map(PathBuf::from);
    if found.is_none() {
        assert!(
            !std::env::var("ASHLAR_REQUIRE_ALL").is_ok_and(|v| v == "1"),
            "the package of OpenAI evals is required: run `cargo xtask test`"
        );
        println!(
            "skipped: ASHLAR_TEST_CLIENTS names no directory with OpenAI evals; `cargo xtask test` downloads it"
        );
    }
    found
}

impl Subject for File {
    async fn ask(&self, case: &Case, sample: u32) -> Result<Reply, Unasked> {
        let line: usize = case.id.strip_prefix("sample-").unwrap().parse().unwrap();
        says(&self.said[line - 1][sample as usize].text)
    }

    fn setting(&self) -> &str {
        &self.path
    }
}

#[tokio::test]
async fn public_samples_keep_their_verdicts() {
    let Some(clients) = clients() else { return };
    let out =
        Command::new(clients.join("python/bin/python")).args(["-c", THEIRS]).arg(clients).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let files: Vec<File> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut verdicts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let (mut parts, mut differ) = (0, Vec::new());
    for file in &files {
        let matching = match file.kind.as_str() {
            "match" => Matching::Match,
            "includes" => Matching::Includes,
            "includes_ignoring_case" => Matching::IncludesIgnoringCase,
            _ => Matching::Fuzzy,
        };
        let found = openai(&file.path, &file.lines.join("\n"), matching);
        for finding in found.findings.iter().filter(|finding| finding.level == Level::Error) {
            println!("{}: {}", finding.place, finding.message);
        }
        if found.cases.is_empty() {
            continue;
        }
        let suite = suite(&format!("samples = {REPLIES}\n"), &found.lines());
        let outcome = recorded(&suite, file, &options(), &mut []).await;
        for result in &outcome.results {
            let line: usize = result.case.id.strip_prefix("sample-").unwrap().parse().unwrap();
            assert_eq!(result.samples.len(), REPLIES, "{} {line}", file.path);
            for (said, sample) in file.said[line - 1].iter().zip(&result.samples) {
                // Other metrics judge every reply, such as one with the identity number of another sample.
                let passes = sample.scores[&Metric::Patterns].pass == Some(true);
                // The difference that the import warns of.
                if matching == Matching::Fuzzy && said.part && said.passes && !passes {
                    parts += 1;
                    continue;
                }
                if passes != said.passes {
                    let (ideal, theirs) = (&file.lines[line - 1], said.passes);
                    differ.push(format!(
                        "{} of {}: {:?} passes there: {theirs}, to {ideal}",
                        file.kind, file.path, said.text
                    ));
                }
                verdicts.entry(&file.kind).or_default()[usize::from(passes)] += 1;
            }
        }
    }
    println!("{} files, verdicts (fail, pass): {verdicts:?}, {parts} parts of ideals", files.len());
    assert!(differ.is_empty(), "{} differ, such as {}", differ.len(), differ[0]);
    assert!(files.len() > 300 && verdicts.len() == 4, "{} files: {verdicts:?}", files.len());
    assert!(verdicts.values().all(|[fail, pass]| *fail > 20 && *pass > 20), "{verdicts:?}");
}
