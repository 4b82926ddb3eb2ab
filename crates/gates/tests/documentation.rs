//! `docs/gates.md` says what the gates say of themselves, and every finding that the sources can produce is in it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

const INTRO: &str = "# Gates

A gate is one check on everything that would be released. `ashlar check` runs all gates on a project directory. The server runs them on
every candidate, and again when a candidate is promoted. A release is possible when every gate passes or is waived.

| status | meaning | `ashlar check` exits with |
| --- | --- | --- |
| `pass` | The gate found no error. Warnings do not stop a release. | 0 |
| `fail` | The gate found at least one error. | 1 |
| `error` | The gate could not run. It has not passed. Its finding has the code `gate-error`. | 2 |
| `waived` | The gate did not pass, and a named person let it through. | 0 |

A gate runs again only when something that it reads has changed. Otherwise its earlier report is the answer (`from_evidence`). After a
change of a few entries a gate looks only at what the change can affect; the result is that of a full run.

Each finding has a stable code, a place, a message and a fix. The tables list the codes of each gate. Messages name the exact file,
line or field. `*` stands for any ending.

Each table is generated from the source of its gate. To write this file again, run
`ASHLAR_WRITE_DOCS=1 cargo test -p ashlar-gates --test documentation`.
";

fn page() -> String {
    let mut out = INTRO.to_owned();
    for gate in ashlar_gates::gates() {
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\n| code | what is wrong | how to fix it |\n| --- | --- | --- |\n",
            gate.name, gate.judges
        );
        for code in gate.findings {
            let cell = |text: &str| text.replace('|', "\\|");
            let _ = writeln!(out, "| `{}` | {} | {} |", code.code, cell(code.wrong), cell(code.fix));
        }
    }
    out
}

#[test]
fn the_documentation_lists_every_gate_and_finding() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gates.md");
    if std::env::var_os("ASHLAR_WRITE_DOCS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/gates.md differs from the gates; run ASHLAR_WRITE_DOCS=1 cargo test -p ashlar-gates --test documentation"
    );
}

#[test]
fn gates_document_themselves() {
    for gate in ashlar_gates::gates() {
        assert!(
            gate.judges.ends_with('.') && !gate.findings.is_empty(),
            "{} has no documentation",
            gate.name
        );
        let mut codes = BTreeSet::new();
        for code in gate.findings {
            assert!(codes.insert(code.code), "{} lists {} twice", gate.name, code.code);
            assert!(code.wrong.ends_with('.') && code.fix.ends_with('.'), "{}: write sentences", code.code);
        }
    }
}

/// Sources whose findings reach a gate.
const SOURCES: [&str; 15] = [
    "contracts/src",
    "delivery/src/graphql",
    "delivery/src/views",
    "evals/src/suite",
    "gates/src",
    "gateway/src/prompts",
    "project/src/content.rs",
    "project/src/front_matter.rs",
    "project/src/governance.rs",
    "project/src/read.rs",
    "project/src/redirects.rs",
    "project/src/text.rs",
    "project/src/toml_text.rs",
    "site/src",
    "tokens/src",
];
/// Codes of these families are found wherever they are written; others only as the code of a new finding.
const FAMILIES: [&str; 17] = [
    "approval-",
    "component-",
    "consumer-",
    "content-",
    "contract-",
    "eval-",
    "intent-",
    "link-",
    "query-",
    "redirect-",
    "reference-",
    "route-",
    "site-",
    "template-",
    "token-",
    "view-",
    "contracts-",
];
/// What looks like a code of a finding, and is none of a gate.
const OTHERS: [&str; 5] =
    ["approval-end", "content-api", "content-language", "reference-changed", "reference-types-changed"];

fn sources(path: &Path, out: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), out);
        }
    } else if path.extension().is_some_and(|e| e == "rs") {
        let text = fs::read_to_string(path).unwrap();
        out.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
    }
}

#[test]
fn every_finding_of_the_sources_is_listed() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts = Vec::new();
    SOURCES.iter().for_each(|source| sources(&crates.join(source), &mut texts));
    let mut codes = BTreeSet::new();
    let is_code = |c: &str| c.contains('-') && c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    for text in &texts {
        for start in ["Finding::error(", "Finding::warning("] {
            let found = text
                .split(start)
                .skip(1)
                .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            codes.extend(found);
        }
        // A table of findings does not produce what it lists.
        let produced = text.split("const FINDINGS").enumerate().map(|(at, part)| match at {
            0 => part,
            _ => part.split_once("\n};").map_or("", |(_, rest)| rest),
        });
        let quoted = produced.flat_map(|part| part.split('"').filter(|c| is_code(c)));
        codes.extend(quoted.filter(|c| FAMILIES.iter().any(|f| c.starts_with(f) && c.len() > f.len())));
    }
    assert!(codes.len() > 100, "the sources are elsewhere");
    let gates: BTreeSet<&str> = ashlar_gates::gates().map(|gate| gate.name).collect();
    let unlisted: Vec<&str> = codes
        .into_iter()
        .filter(|code| !OTHERS.contains(code) && !gates.contains(code))
        .filter(|code| !ashlar_gates::gates().any(|gate| gate.code(code).is_some()))
        .collect();
    assert!(unlisted.is_empty(), "no gate lists these findings: {unlisted:?}");
}
