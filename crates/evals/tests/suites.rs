//! Reading suites: what is right, and what is wrong with its line.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_evals::{
    Metric,
    suite::{Answer, CASE_BYTES_MAX, Input},
};
use common::{TOML, lines, read};
use proptest::prelude::*;

const CASE: &str = r#"{"id":"a","input":"What?","expect":{"facts":["x"]}}"#;

#[test]
fn a_suite_is_read() {
    let toml = "owner = 'support'\nfeature = 'support'\nprompt = 'support-answer@v2'\nlocale = 'en'\nmetrics = ['facts']\nsamples = 3\n\
                [caps]\ncost = '1.50'\nseconds = 60\n[thresholds]\npass_rate = { min = 0.9 }\nlatency_p95 = { max = 200 }\n";
    let jsonl = format!(
        "\n// a remark\n{CASE}\n{}\n",
        r#"{"id":"b","variables":{"question":"Q"},"locale":"de","weight":2,"critical":true,"tags":["t"],"known_failure":{"until":"2027-01-31","why":"w"},"expect":{"answer":"must_not","not":["y"]}}"#
    );
    let (suite, findings) = read(toml, &jsonl).unwrap();
    assert_eq!(findings, []);
    assert_eq!((suite.samples, suite.metrics.as_slice()), (3, &[Metric::Facts][..]));
    assert_eq!((suite.caps.cost.unwrap().to_string(), suite.caps.seconds), ("1.50".to_owned(), Some(60)));
    assert_eq!(suite.thresholds[0].metric, Metric::LatencyP95);
    let [a, b] = suite.cases.as_slice() else { panic!("{:?}", suite.cases) };
    assert_eq!((a.line, a.locale.as_deref(), a.weight), (3, Some("en"), 1.0));
    assert_eq!(a.input, Input::Input("What?".to_owned()));
    assert_eq!((b.line, b.locale.as_deref(), b.weight, b.critical), (4, Some("de"), 2.0, true));
    assert_eq!((b.expect.answer, b.question().as_str()), (Some(Answer::MustNot), "Q"));
}

#[test]
fn what_is_wrong_with_a_suite_is_named_with_its_line() {
    let check = |toml: &str, wanted: &str| {
        let found = lines(&read(toml, CASE).unwrap_err());
        assert!(found.iter().any(|line| line.contains(wanted)), "{wanted}: {found:?}");
    };
    check("feature = 'x'", "evals/s.toml:1:1: Missing field `owner`");
    check(&format!("{TOML}promt = 'x'"), "evals/s.toml:3:1");
    check(&format!("{TOML}promt = 'x'"), "did you mean `prompt`?");
    check(
        &format!("{TOML}metrics = ['fact']"),
        "evals/s.toml:3: There is no metric `fact`. (did you mean `facts`?)",
    );
    check(
        &format!("{TOML}samples = 0"),
        "evals/s.toml:3: `samples = 0` is not possible. (write a number from 1 to 20)",
    );
    check(&format!("{TOML}[caps]\ncost = 'x'"), "evals/s.toml:4: `cost = \"x\"` is not possible.");
    check(&format!("{TOML}[thresholds]\nfacts = {{ min = 90 }}"), "evals/s.toml:4: `facts` cannot be 90.");
    check(&format!("{TOML}[thresholds]\nfacts = {{}}"), "evals/s.toml:4: `facts` has no bound.");
    check(
        &format!("{TOML}locale = 'in German'"),
        "evals/s.toml:3: `locale = \"in German\"` is not possible.",
    );
    check("owner = ''\nfeature = 'x'", "evals/s.toml:1: `owner = \"\"` is not possible.");
}

#[test]
fn what_is_wrong_with_a_case_is_named_with_its_line_and_field() {
    let check = |jsonl: &str, wanted: &str| {
        let found = lines(&read(TOML, jsonl).unwrap_err());
        assert!(found.iter().any(|line| line.contains(wanted)), "{wanted}: {found:?}");
    };
    check("", "evals/s.jsonl: The file has no cases.");
    check("// nothing\n\n", "evals/s.jsonl: The file has no cases.");
    check(&format!("{CASE}\n{{\"id\""), "evals/s.jsonl:2: Column 5: EOF while parsing an object.");
    check(
        &format!("{CASE}\n{CASE}"),
        "evals/s.jsonl:2 /id: The id `a` is used in line 1. (choose another id)",
    );
    check(r#"{"input":"x","expect":{"facts":["x"]}}"#, "evals/s.jsonl:1 /id: The case has no id.");
    check(
        r#"{"id":"a","input":"x"}"#,
        "evals/s.jsonl:1 /expect: The case expects nothing, so it could not fail.",
    );
    check(
        r#"{"id":"a","input":"x","locale":"in German","expect":{"facts":["x"]}}"#,
        "evals/s.jsonl:1 /locale: `locale` cannot be `in German`. (write a locale such as en or de-AT)",
    );
    check(r#"{"id":"a","input":"x","expect":{}}"#, "The case expects nothing, so it could not fail.");
    check(r#"{"id":"a","input":"x","expect":{"rubric":"Is polite"}}"#, "No judge decides by the rubric");
    check(
        r#"{"id":"a","input":"x","expect":{"fact":["x"]}}"#,
        "evals/s.jsonl:1 /expect: There is no field `fact`. (did you mean `facts`?)",
    );
    check(
        r#"{"id":"a","input":"x","expect":{"facts":"x"}}"#,
        "evals/s.jsonl:1 /expect/facts: `facts` is not a list.",
    );
    check(
        r#"{"id":"a","input":"x","expect":{"facts":["x",[]]}}"#,
        "evals/s.jsonl:1 /expect/facts/1: This is no fact.",
    );
    check(r#"{"id":"a","input":"x","expect":{"answer":"must_nt"}}"#, "did you mean `must_not`?");
    check(
        r#"{"id":"a","input":"x","expect":{"answer":"must_not","facts":["x"]}}"#,
        "A refusal has neither facts nor citations.",
    );
    check(
        r#"{"id":"a","input":"x","expect":{"matches":["("]}}"#,
        "evals/s.jsonl:1 /expect/matches/0: The regular expression cannot be read: unclosed group.",
    );
    check(
        r#"{"id":"a","input":"x","expect":{"matches":["(a{1000}){1000}"]}}"#,
        "evals/s.jsonl:1 /expect/matches/0",
    );
    check(
        r#"{"id":"a","input":" ","expect":{"facts":["x"]}}"#,
        "evals/s.jsonl:1 /input: The case asks nothing.",
    );
    check(
        r#"{"id":"a","input":"x","messages":[{"role":"user","content":"y"}],"expect":{"facts":["x"]}}"#,
        "The case has more than one input.",
    );
    check(
        r#"{"id":"a","messages":[{"role":"robot","content":"y"}],"expect":{"facts":["x"]}}"#,
        "evals/s.jsonl:1 /messages/0/role: There is no role `robot`.",
    );
    check(
        r#"{"id":"a","input":"x","weight":0,"expect":{"facts":["x"]}}"#,
        "evals/s.jsonl:1 /weight: `weight` cannot be 0.",
    );
    check(
        r#"{"id":"a","input":"x","known_failure":{"until":"soon","why":"x"},"expect":{"facts":["x"]}}"#,
        "evals/s.jsonl:1 /known_failure:",
    );
    check("[]", "evals/s.jsonl:1: This is not an object.");
    check(&format!("{}1{}", "[".repeat(40), "]".repeat(40)), "nested deeper than 16 levels");
    check(&format!("{{\"id\":\"{}\"}}", "x".repeat(CASE_BYTES_MAX)), "at most 262144 are possible");
}

#[test]
fn cases_that_ask_the_same_are_reported_and_read() {
    let jsonl = [
        r#"{"id":"a","input":"What does the Basin plan cost each month?","expect":{"facts":["x"]}}"#,
        r#"{"id":"b","input":"what does the basin plan cost, each month","expect":{"facts":["x"]}}"#,
        r#"{"id":"c","input":"What does the Basin plan cost each month?","locale":"de","expect":{"facts":["x"]}}"#,
    ];
    let (suite, findings) = read(TOML, &jsonl.join("\n")).unwrap();
    assert_eq!(suite.cases.len(), 3);
    assert_eq!(
        lines(&findings),
        [
            "evals/s.jsonl:2: The case `b` asks nearly the same as `a`. (remove one of them, or merge them (the other is in line 1))"
        ]
    );
}

#[test]
fn the_digest_is_that_of_what_is_measured() {
    let digest = |toml: &str, case: &str| read(&format!("{TOML}{toml}"), case).unwrap().0.digest();
    let first = digest("", CASE);
    assert_eq!(first, digest("[thresholds]\nfacts = { min = 1 }", CASE));
    assert_ne!(first, digest("samples = 2", CASE));
    assert_ne!(first, digest("", &CASE.replace("[\"x\"]", "[\"y\"]")));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ashlar_evals::suite::read_cases("x.jsonl", &bytes);
        let _ = ashlar_evals::suite::Suite::read_toml("x", &bytes);
    }

    #[test]
    fn no_line_makes_the_reader_panic(line in r#"\{("(id|input|expect|facts|answer|weight)":("[a-z]{0,3}"|\[\]|\{\}|1|null),?){0,5}\}"#) {
        let _ = ashlar_evals::suite::read_cases("x.jsonl", line.as_bytes());
    }
}
