//! `failure_cases.jsonl`: everything that is known about the cases that did not pass, one on each line.

use serde_json::{Value, json};

use crate::{
    run::{CaseResult, CaseStatus, Outcome},
    suite::{Case, Input},
};

/// The lines.
#[must_use]
pub fn failure_cases(outcome: &Outcome) -> String {
    let failed = outcome.results.iter().filter(|result| result.status != CaseStatus::Pass);
    failed.map(|result| line(result).to_string() + "\n").collect()
}

fn line(result: &CaseResult) -> Value {
    let case = &result.case;
    let samples: Vec<Value> = result
        .samples
        .iter()
        .map(|sample| match &sample.reply {
            Ok(reply) => json!({"reply": reply, "scores": sample.scores}),
            Err(unasked) => json!({"error": unasked}),
        })
        .collect();
    let mut line = json!({
        "id": case.id, "status": result.status, "line": case.line, "critical": case.critical, "tags": case.tags,
        "owner": case.owner, "source": case.source, "locale": case.locale, "reasons": result.reasons(),
        "expect": expected(case), "known_failure": case.known_failure, "samples": samples,
    });
    let (name, value) = match &case.input {
        Input::Input(text) => ("input", json!(text)),
        Input::Messages(messages) => ("messages", json!(messages)),
        Input::Variables(values) => ("variables", json!(values)),
    };
    line[name] = value;
    line
}

/// The expectations that a case has.
fn expected(case: &Case) -> Value {
    let expect = &case.expect;
    let mut out = json!({});
    let lists = [
        ("not", &expect.not),
        ("cites", &expect.cites),
        ("matches", &expect.matches),
        ("not_matches", &expect.not_matches),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        out[name] = json!(list);
    }
    if !expect.facts.is_empty() {
        out["facts"] = json!(expect.facts);
    }
    if let Some(answer) = expect.answer {
        out["answer"] = json!(answer);
    }
    for (name, text) in [("json", &expect.json), ("rubric", &expect.rubric)] {
        if let Some(text) = text {
            out[name] = json!(text);
        }
    }
    out
}
