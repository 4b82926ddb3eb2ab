//! `ashlar eval` on the demo: a data directory, a server and a recording give the same verdicts; exit codes; what a run leaves.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::Demo;
use serde_json::Value;

const TOML: &str = "owner = 'support'\nfeature = 'support'\nprompt = 'support-answer'\nlocale = 'en'\n";
const CASES: &str = r#"{"id":"jetty","input":"How many berths does the Jetty plan include?","critical":true,"tags":["plans"],"expect":{"answer":"must","facts":["40"],"cites":["pricing-plan/jetty"]}}
{"id":"margin","variables":{"question":"Which margin do most ports take for tide windows?"},"expect":{"answer":"must","facts":["0.3 m"],"cites":["/en/docs/tide-windows"]}}
{"id":"capital","input":"What is the capital of Portugal?","tags":["unanswerable"],"expect":{"answer":"must_not"}}
"#;

fn suite(demo: &Demo, toml: &str, cases: &str) {
    std::fs::create_dir_all(demo.rig.path().join("project/evals")).unwrap();
    demo.rig.write("project/ashlar.toml", "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en']\n");
    demo.rig.write("project/evals/small.toml", &format!("{TOML}{toml}"));
    demo.rig.write("project/evals/small.jsonl", cases);
}

fn run(demo: &Demo, exit: i32, more: &[&str]) -> Value {
    let mut args = vec!["eval", "run", "--suite", "small", "--project", "project", "--format", "json"];
    args.extend(more);
    demo.rig.json(exit, &args)
}

fn metrics(demo: &Demo, out: &str) -> Value {
    let text = std::fs::read_to_string(demo.rig.path().join(out).join("metrics.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn statuses(metrics: &Value) -> Vec<(&str, &str)> {
    let each = metrics["results"].as_array().unwrap().iter();
    each.map(|case| (case["id"].as_str().unwrap(), case["status"].as_str().unwrap())).collect()
}

#[test]
fn a_directory_a_server_and_a_recording_give_the_same_verdicts() {
    let demo = Demo::new();
    suite(&demo, "[thresholds]\npass_rate = { min = 1 }\n", CASES);
    let here = run(&demo, 0, &["--out", "here", "--record", "replies.jsonl"]);
    assert_eq!((&here["status"], &here["cases"]["passed"]), (&"pass".into(), &3.into()), "{here}");
    assert_eq!(here["prompts"], serde_json::json!(["support-answer@v2"]));
    let first = metrics(&demo, "here");
    assert_eq!(statuses(&first), [("jetty", "pass"), ("margin", "pass"), ("capital", "pass")]);
    for name in ["failure_cases.jsonl", "junit.xml", "report.html", "replies.jsonl"] {
        assert!(demo.rig.path().join("here").join(name).is_file(), "{name}");
    }
    let key = demo.rig.json(0, &["key", "create", "--name", "evals", "--scope", "llm", "--format", "json"]);
    let key = key["key"].as_str().or(key["secret"].as_str()).unwrap().to_owned();
    run(&demo, 0, &["--out", "there", "--server", &demo.url, "--key", &key]);
    let there = metrics(&demo, "there");
    assert_eq!(statuses(&there), statuses(&first));
    let answers = |metrics: &Value| -> Vec<String> {
        metrics["results"].as_array().unwrap().iter().map(|case| case["answer"].to_string()).collect()
    };
    assert_eq!(answers(&there), answers(&first));
    run(&demo, 0, &["--out", "again", "--replay", "replies.jsonl"]);
    assert_eq!(statuses(&metrics(&demo, "again")), statuses(&first));
    // Words alone find this as well; a server retrieves as its release says.
    let words = run(&demo, 0, &["--retriever", "bm25", "--tag", "plans"]);
    assert_eq!(words["cases"]["passed"], 1, "{words}");
    run(&demo, 2, &["--retriever", "bm25", "--server", &demo.url, "--key", &key]);
    // A case that was never recorded has no verdict.
    suite(&demo, "", &CASES.replace("Portugal", "Spain"));
    let lacks = run(&demo, 3, &["--replay", "replies.jsonl"]);
    assert_eq!((&lacks["status"], &lacks["cases"]["errors"]), (&"incomplete".into(), &1.into()));
}

#[test]
fn a_regression_a_broken_threshold_and_wrong_input_have_their_exit_codes() {
    let demo = Demo::new();
    suite(&demo, "", CASES);
    run(&demo, 0, &["--out", "before"]);
    suite(&demo, "", &CASES.replace("[\"40\"]", "[\"41\"]"));
    let worse = run(&demo, 1, &["--out", "after", "--baseline", "before/metrics.json"]);
    assert_eq!(worse["failed"], serde_json::json!(["jetty"]));
    assert_eq!(worse["baseline"]["critical_regressions"], serde_json::json!(["jetty"]));
    assert_eq!(worse["baseline"]["same_suite"], false);
    let compared = demo
        .rig
        .json(1, &["eval", "compare", "before/metrics.json", "after/metrics.json", "--format", "json"]);
    assert_eq!(compared["regressions"], serde_json::json!(["jetty"]));
    let only = run(&demo, 0, &["--tag", "unanswerable"]);
    assert_eq!(only["cases"]["total"], 1);
    for (more, says) in [
        (&["--model", "nothing"][..], "no route `nothing`"),
        (&["--prompt", "support-anser"], "no prompt"),
        (&["--metrics", "fact"], "no metric `fact`"),
        (&["--tag", "none"], "no case"),
        (&["--max-cost", "x"], "--max-cost x"),
    ] {
        let error = run(&demo, 2, more)["error"]["message"].to_string();
        assert!(error.to_lowercase().contains(&says.to_lowercase()), "{more:?}: {error}");
    }
    suite(&demo, "", "{\"id\":\"a\"\n");
    let broken = run(&demo, 2, &[]);
    assert!(
        broken["error"]["findings"][0]["where"].as_str().unwrap().starts_with("evals/small.jsonl:1"),
        "{broken}"
    );
}

#[test]
fn the_suite_of_the_demo_is_in_its_release() {
    let demo = Demo::new();
    // Not in a project: the release has the suite.
    let args = ["eval", "run", "--suite", "support", "--tag", "injection", "--format", "json"];
    let said = demo.rig.run(&args);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["releases"], serde_json::json!(["r3"]), "{said}");
    assert!(said["cases"]["total"].as_u64().unwrap() >= 12, "{said}");
    assert_eq!(said["cases"]["errors"], 0, "{said}");
}
