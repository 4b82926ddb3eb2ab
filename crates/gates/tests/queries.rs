//! Persisted operations on files: what became invalid, what vanished, and what may go.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use ashlar_gates::{CheckOptions, check_project, impact};

const PLAN: &str = r#"{"type":"object","x-ashlar":{"owner":"team","version":"1.0.0"},"required":["name"],"properties":{"name":{"type":"string"},"price":{"type":"number"}}}"#;
const QUERY: &str = "query Plan($id: ID!) { plan(id: $id) { name price } }\n";

fn project(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in
        [("ashlar.toml", "name = 'Test'\n"), ("contracts/plan.v1.json", PLAN)].iter().chain(files)
    {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// What the gate says when `after` follows `before`.
fn reported(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
    let (base, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    project(base.path(), before);
    project(here.path(), after);
    let options =
        CheckOptions { against: Some(base.path().to_owned()), cache: false, ..CheckOptions::default() };
    let report = check_project(here.path(), &options).unwrap();
    let gate = report.gates.iter().find(|g| g.gate == "persisted-queries").unwrap();
    gate.findings.iter().map(|f| format!("{} {}: {}", f.code, f.place, f.message)).collect()
}

#[test]
fn a_document_goes_when_its_end_has_come() {
    let is = |before: &str, after: &[(&str, &str)], says: &str| {
        let found = reported(&[("queries/plan.graphql", before)], after).join("\n");
        assert!(if says.is_empty() { found.is_empty() } else { found.contains(says) }, "{before}: {found}");
    };
    is(QUERY, &[("queries/plan.graphql", QUERY)], "");
    is(
        QUERY,
        &[],
        "query-removed queries/plan.graphql: the document was removed, and clients that send sha256:",
    );
    is(
        QUERY,
        &[("queries/plan.graphql", "query Plan($id: ID!) { plan(id: $id) { name } }\n")],
        "the document has changed",
    );
    // Under another name it is the same document.
    is(QUERY, &[("queries/old/../plan.1.graphql", QUERY)], "");
    for (day, says) in [("2020-01-01", ""), ("2999-01-01", "query-removed"), ("'2020-01-01'", "")] {
        let sunsets = format!("\"plan.graphql\" = {day}\n");
        let before = [("queries/plan.graphql", QUERY), ("queries/sunsets.toml", sunsets.as_str())];
        let found = reported(&before, &before[1..]).join("\n");
        assert!(if says.is_empty() { found.is_empty() } else { found.contains(says) }, "{day}: {found}");
    }
    for bad in ["\"plan.graphql\" = 5", "plan = ", "= 1"] {
        let found = reported(&[], &[("queries/sunsets.toml", bad)]).join("\n");
        assert!(found.starts_with("query-sunset queries/sunsets.toml"), "{bad}: {found}");
    }
}

#[test]
fn a_contract_that_takes_away_what_a_document_asks_for_is_refused() {
    let without = PLAN.replace(r#","price":{"type":"number"}"#, "");
    let query = ("queries/plan.graphql", QUERY);
    let found = reported(&[query], &[query, ("contracts/plan.v1.json", &without)]).join("\n");
    assert!(
        found.contains("query-invalid queries/plan.graphql:1:45") && found.contains("`price`"),
        "{found}"
    );

    let (base, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    project(base.path(), &[query]);
    project(here.path(), &[query, ("contracts/plan.v1.json", &without)]);
    let touched = impact(here.path(), base.path()).unwrap();
    let [one] = touched.operations.as_slice() else { panic!("{:?}", touched.operations) };
    assert_eq!((one.operation.as_str(), one.change), ("Plan", "invalid"));
    assert!(!one.broken.is_empty());
    // What was always there and may be absent from now on.
    let optional = PLAN.replace(r#""required":["name"]"#, r#""required":[]"#);
    let found = reported(&[query], &[query, ("contracts/plan.v1.json", &optional)]).join("\n");
    assert!(found.contains("query-weaker queries/plan.graphql: `plan.name` of Plan may be null"), "{found}");
    let other = PLAN.replace(r#""price":{"type":"number"}"#, r#""price":{"type":"string"}"#);
    let found = reported(&[query], &[query, ("contracts/plan.v1.json", &other)]).join("\n");
    assert!(found.contains("`plan.price` of Plan has another type"), "{found}");
    // A change beside what it reads touches it and breaks nothing.
    let more = PLAN.replace(r#""price":"#, r#""note":{"type":"string"},"price":"#);
    project(here.path(), &[("contracts/plan.v1.json", &more)]);
    let touched = impact(here.path(), base.path()).unwrap();
    assert_eq!((touched.operations[0].change, touched.operations[0].broken.len()), ("contract", 0));
}
