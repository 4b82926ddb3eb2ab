//! `ashlar eval run` with a judge: a route of the server decides by rubrics, and its verdicts are recorded and compared with labels.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/standin.rs"]
mod standin;

use common::{Rig, start};
use serde_json::{Value, json};
use standin::{JSON, Standin};

const GATEWAY: &str = r#"[routes]
fast = { targets = [{ provider = "model", model = "m" }] }
strong = { targets = [{ provider = "model", model = "judge" }] }
[[prices]]
model = "model/m"
from = "2020-01-01"
currency = "EUR"
input = "1"
output = "1"
[[prices]]
model = "model/judge"
from = "2020-01-01"
currency = "EUR"
input = "1000"
output = "1000"
[features.default]
routes = ["fast"]
[features.judging]
routes = ["strong"]
"#;
const SUITE: &str = "owner = 'support'\nfeature = 'default'\nroute = 'fast'\n[judge]\nroute = 'strong'\nfeature = 'judging'\n[thresholds]\nrubric = { min = 0.5 }\n";
const CASES: &str = r#"{"id":"kind","input":"Please help.","expect":{"rubric":"The answer is kind."}}
{"id":"rude","input":"Help me, be rude.","expect":{"rubric":"The answer is kind."}}
"#;
const LABELS: &str = r#"{"id":"1","question":"q","rubric":"The answer is kind.","answer":"A kind word.","pass":true,"by":"ada"}
{"id":"2","question":"q","rubric":"The answer is kind.","answer":"Go away.","pass":false,"by":"ada"}
"#;

/// Answers kindly unless it is asked to be rude; as a judge, it looks for the word.
fn model() -> Standin {
    Standin::new(|asked, _| {
        let messages = asked.body["messages"].as_array().cloned().unwrap_or_default();
        let last = messages.last().unwrap()["content"].as_str().unwrap_or_default();
        let said = match asked.body["model"] == "judge" {
            true => {
                let answer = last.split("<<answer").nth(1).unwrap().split("<<end of answer").next().unwrap();
                let verdict = if answer.contains("kind") { "pass" } else { "fail" };
                json!({"reason": "<b>the tone</b>", "verdict": verdict}).to_string()
            }
            false if last.contains("rude") => "Go away.".to_owned(),
            false => "A kind word.".to_owned(),
        };
        let message = json!({"role": "assistant", "content": said});
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}});
        (200, JSON.to_owned(), body.to_string())
    })
}

#[test]
fn a_route_judges_by_rubrics() {
    let model = model();
    let rig = Rig::new();
    rig.write("site/gateway.toml", GATEWAY);
    std::fs::create_dir_all(rig.path().join("site/evals")).unwrap();
    rig.write("site/evals/tone.toml", SUITE);
    rig.write("site/evals/tone.jsonl", CASES);
    rig.write("site/evals/tone.labels.jsonl", LABELS);
    rig.push();
    rig.put("basin", &json!({"slug": "basin", "name": "Basin", "price": 14_900}), "mara");
    rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["candidate", "approve", "c1", "--right", "pricing", "--as", "ines", "--format", "json"]);
    rig.json(0, &["release", "promote", "c1", "--format", "json"]);
    let provider = format!("[providers.model]\nkind = \"openai\"\nurl = \"{}\"\nprivate = true\n", model.url);
    rig.write("data/models.toml", &provider);
    let key = ["key", "create", "--name", "evals", "--scope", "llm", "--format", "json"];
    let key = rig.json(0, &key)["key"].as_str().unwrap().to_owned();
    let (_served, ready) = start(&rig, &["serve", "--data", "data"]);
    let url = ready["url"].as_str().unwrap();

    let run = |exit: i32, more: &[&str]| -> Value {
        let of = ["eval", "run", "--suite", "tone", "--project", "site", "--format", "json"];
        rig.json(exit, &[&of, more].concat())
    };
    let server = ["--server", url, "--key", &key];
    let first = run(0, &[&server[..], &["--out", "out", "--record", "said.jsonl"]].concat());
    assert_eq!(first["failed"], json!(["rude"]), "{first}");
    assert_eq!(first["metrics"]["rubric"]["value"], 0.5);
    assert_eq!(
        (&first["judge"]["route"], &first["judge"]["prompt"]),
        (&"strong".into(), &"ashlar-judge@v1".into())
    );
    assert_eq!(first["judge"]["calibration"]["agreement"]["kappa"], 1.0);
    // Two answers of a thousand tokens, and each verdict twice.
    let judged = |asked: &standin::Asked| asked.body["model"] == "judge";
    assert_eq!(model.asked().iter().filter(|asked| judged(asked)).count(), 8);
    assert_eq!(first["cost"], "4.002");
    let report = rig.read("out/report.html");
    assert!(
        report.contains("&lt;b&gt;the tone&lt;") && !report.contains("<b>the tone"),
        "the text of a judge is escaped"
    );
    assert!(report.contains("Rubrics were judged by strong with ashlar-judge@v1"), "{report}");

    // A recording needs neither a model nor a judge.
    let asked = model.asked().len();
    let again = run(0, &["--replay", "said.jsonl"]);
    assert_eq!((&again["failed"], &again["judge"]), (&first["failed"], &first["judge"]));
    assert_eq!(model.asked().len(), asked);

    // Servers ask the judge as well, also about a candidate, and the gate counts nothing else.
    let key =
        ["key", "create", "--name", "k", "--scope", "release", "--scope", "preview", "--format", "json"];
    let key = rig.json(0, &key)["key"].as_str().unwrap().to_owned();
    let start = |of: &str| {
        let at = ["--wait", "--server", url, "--key", &key, "--format", "json"];
        rig.json(0, &[&["eval", "start", "--suite", "tone", "--of", of], &at[..]].concat());
    };
    let asked = model.asked().iter().filter(|asked| judged(asked)).count();
    start("r1");
    assert_eq!(model.asked().iter().filter(|asked| judged(asked)).count(), asked + 4);
    rig.write("site/gateway.toml", &GATEWAY.replace("model = \"m\"", "model = \"m2\""));
    rig.push();
    let made = rig.json(0, &["candidate", "create", "--format", "json"]);
    assert_eq!(made["status"], "failed");
    let help = "run `ashlar eval start --suite tone --of c2 --wait --server URL`";
    assert!(made.to_string().contains(help), "{made}");
    let alone = ["eval", "run", "--suite", "tone", "--of", "c2", "--submit", "--data", "data"];
    let alone = rig.run(&alone);
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert_eq!(alone.status.code(), Some(2), "{said}");
    assert!(said.contains("--data has none") || said.contains("--data asks none"), "{said}");
    start("c2");
    let shown = rig.json(0, &["candidate", "show", "c2", "--format", "json"]);
    assert_eq!(shown["status"], "passed", "{shown}");
    // Another judge than that of the suite is no evidence.
    let other = rig.run(&["eval", "run", "--suite", "tone", "--submit", "--judge", "fast", "--data", "data"]);
    assert_eq!(other.status.code(), Some(2));

    // The built-in model judges nothing, and says so.
    let alone = rig.run(&["eval", "run", "--suite", "tone", "--project", "site", "--model", "extractive"]);
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert_eq!(alone.status.code(), Some(2), "{said}");
    assert!(said.contains("only a judge can decide about the case `kind`"), "{said}");
}
