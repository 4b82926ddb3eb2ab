//! What a run leaves, and how two runs compare.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_evals::{
    Metric, Reply,
    compare::Comparison,
    report::{Summary, failure_cases, html, junit, write},
    run::Outcome,
    stats::Verdict,
};
use common::{Answers, fails, ran, refuses, says, suite};

const CASES: &str = r#"{"id":"a","input":"What?","critical":true,"tags":["t"],"expect":{"facts":["y"]}}
{"id":"b","input":"Who?","tags":["t"],"expect":{"answer":"must_not"}}
{"id":"c","input":"Why?","known_failure":{"until":"2030-01-01","why":"later"},"expect":{"facts":["y"]}}"#;

async fn outcome(first: &'static str) -> Outcome {
    let subject = Answers::of([("a", says(first)), ("b", refuses("not_covered")), ("c", says("n"))]);
    let mut out = ran(&suite("[thresholds]\nfacts = { min = 0.2 }", CASES), &subject).await;
    // The only figure that differs from run to run.
    out.seconds = 1.5;
    out
}

#[tokio::test]
async fn metrics_have_stable_keys() {
    let summary = Summary::of(&outcome("y").await);
    insta::assert_json_snapshot!(summary, {".suite_digest" => "[digest]"});
}

#[tokio::test]
async fn failures_are_complete() {
    let lines = failure_cases(&outcome("n").await);
    let ids: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(ids.len(), 2);
    insta::assert_json_snapshot!(ids[0]);
}

#[tokio::test]
async fn junit_is_xml_whatever_is_in_it() {
    let nasty = "]]> <x a=\"&\"> \u{0} \u{b} \u{ffff} é";
    let subject = Answers::of([("a", says(nasty)), ("b", says(nasty)), ("c", fails(false))]);
    let outcome = ran(&suite("", CASES), &subject).await;
    let xml = junit(&outcome);
    let document = roxmltree::Document::parse(&xml).unwrap();
    let root = document.root_element();
    let count = |name: &str| root.attribute(name).unwrap().parse::<usize>().unwrap();
    let tags = |tag: &str| root.descendants().filter(|node| node.has_tag_name(tag)).count();
    assert_eq!((count("tests"), tags("testcase")), (4, 4));
    assert_eq!((count("failures"), tags("failure")), (3, 3));
    assert_eq!((count("errors"), tags("error")), (1, 1));
    assert_eq!((count("skipped"), tags("skipped")), (0, 0));
    assert!(root.descendants().any(|node| node.text().is_some_and(|text| text.contains("<x a=\"&\">"))));
}

#[tokio::test]
async fn a_report_escapes_what_was_read() {
    let attack = "<script>alert(1)</script><img src=x onerror=alert(1)> \" ' </style>";
    let id = r#"{"id":"<q>a</q>","input":"<script>alert(2)</script>","tags":["<i>"],"source":"<u>","expect":{"facts":["<em>"],"not":["</p>"],"rubric":"<hr>"}}"#;
    let mut reply: Reply = says(attack).unwrap();
    reply.sources = vec![ashlar_evals::Retrieved {
        title: attack.to_owned(),
        entry: attack.to_owned(),
        text: attack.to_owned(),
        ..Default::default()
    }];
    let subject = Answers::of([("<q>a</q>", Ok(reply))]);
    let outcome = ran(&suite("description = '<script>'", id), &subject).await;
    let page = html(&outcome, None).unwrap();
    let body = page.split_once("</style>").unwrap().1;
    for raw in ["<script", "<img", "<q>", "<i>", "<u>", "<em>", "<hr>", "onerror=alert(1)>", "</style>"] {
        assert!(!body.contains(raw), "{raw}");
    }
    assert!(body.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains("http://") && !page.contains("https://"));
}

#[tokio::test]
async fn files_are_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/out");
    let outcome = outcome("y").await;
    let summary = Summary::of(&outcome);
    write(&out, &outcome, &summary, None).unwrap();
    let mut names: Vec<String> =
        std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["failure_cases.jsonl", "junit.xml", "metrics.json", "report.html"]);
    assert_eq!(Summary::read(&out.join("metrics.json")).unwrap(), summary);
    std::fs::write(out.join("metrics.json"), "{\"format\":1}").unwrap();
    let error = Summary::read(&out.join("metrics.json")).unwrap_err().to_string();
    assert!(error.contains("this is no metrics.json"), "{error}");
}

#[tokio::test]
async fn a_regression_is_named_and_the_answer_of_the_baseline_is_shown() {
    let (before, after) = (outcome("y").await, outcome("n").await);
    let (was, is) = (Summary::of(&before), Summary::of(&after));
    let comparison = Comparison::of(&was, &is);
    assert!(comparison.same_suite);
    assert_eq!((comparison.compared, comparison.regressions.as_slice()), (3, &["a".to_owned()][..]));
    assert_eq!(comparison.critical_regressions, ["a"]);
    let facts = &comparison.metrics["facts"];
    assert_eq!((facts.before, facts.after, facts.stats.cases), (0.5, 0.0, 2));
    // One case of two is no proof, but it is a critical one.
    assert_eq!(facts.stats.verdict, Verdict::Inconclusive);
    assert!(facts.is_worse(Metric::Facts) && comparison.is_regression());
    let page = html(&after, Some(&comparison)).unwrap();
    assert!(page.contains("Answer of the baseline"));
    // A case that is critical in either run counts as one.
    let mut tame = is.clone();
    tame.results.iter_mut().for_each(|case| case.critical = false);
    assert_eq!(Comparison::of(&was, &tame).critical_regressions, ["a"]);
    let back = Comparison::of(&is, &was);
    assert_eq!((back.fixed.as_slice(), back.regressions.len()), (&["a".to_owned()][..], 0));
    let same = Comparison::of(&was, &was);
    assert!(same.regressions.is_empty() && !same.is_regression());
}

#[tokio::test]
async fn runs_of_other_cases_compare_what_both_have() {
    let was = Summary::of(&outcome("y").await);
    let other = r#"{"id":"a","input":"What?","expect":{"facts":["y"]}}
{"id":"z","input":"New?","expect":{"facts":["y"]}}"#;
    let subject = Answers::of([("a", says("y")), ("z", says("n"))]);
    let is = Summary::of(&ran(&suite("", other), &subject).await);
    let comparison = Comparison::of(&was, &is);
    assert!(!comparison.same_suite);
    assert_eq!((comparison.compared, comparison.added.len(), comparison.removed.len()), (1, 1, 2));
    assert!(comparison.regressions.is_empty());
}

#[tokio::test]
async fn many_lost_cases_are_more_than_chance() {
    let cases: String = (0..10)
        .map(|at| format!("{{\"id\":\"c{at}\",\"input\":\"q{at}\",\"expect\":{{\"facts\":[\"y\"]}}}}\n"))
        .collect();
    let ids = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"];
    let suite = suite("", &cases);
    let run = async |lost: usize| {
        let replies = ids.iter().enumerate().map(|(at, id)| (*id, says(if at < lost { "n" } else { "y" })));
        Summary::of(&ran(&suite, &Answers::of(replies)).await)
    };
    let before = run(0).await;
    let few = Comparison::of(&before, &run(2).await);
    assert_eq!((few.regressions.len(), few.is_regression()), (2, false));
    let many = Comparison::of(&before, &run(8).await);
    assert!(many.is_regression());
    assert_eq!(many.regressed().collect::<Vec<_>>(), ["facts", "pass_rate"]);
}
