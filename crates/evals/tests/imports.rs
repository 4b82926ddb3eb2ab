//! Suites of promptfoo and OpenAI evals become cases that the reader of suites accepts, and keep their verdicts.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ashlar_evals::{
    import::{FINDINGS_MAX, Imported, Matching, openai, promptfoo},
    suite::{Case, read_cases},
};
use ashlar_model::Level;
use proptest::prelude::*;

/// The cases, read as the suite reads them.
fn cases(imported: &Imported) -> Vec<Case> {
    let (cases, findings) = read_cases("evals/x.jsonl", imported.lines().as_bytes());
    assert_eq!(findings, [], "{}", imported.lines());
    cases
}

fn places(imported: &Imported, level: Level) -> Vec<&str> {
    imported.findings.iter().filter(|f| f.level == level).map(|f| f.place.as_str()).collect()
}

/// Whether a reply meets all expressions of a case.
fn passes(case: &Case, reply: &str) -> bool {
    let matches = |pattern: &String| regex::Regex::new(pattern).unwrap().is_match(reply);
    case.expect.matches.iter().all(matches) && !case.expect.not_matches.iter().any(matches)
}

const CONFIG: &str = r##"
description: Berths
prompts:
  - 'Answer in {{language}}: {{ question }}'
  - '[{"role": "system", "content": "Be short."}, {"role": "user", "content": "{{question}}"}]'
  - file://prompt.txt
providers: [openai:gpt-4.1-mini]
defaultTest:
  vars: {language: English}
  assert:
    - {type: latency, threshold: 2000}
    - {type: not-icontains, value: as an ai}
assertionTemplates:
  price: {type: contains, value: '39 EUR'}
tests:
  - description: price
    vars: {question: 'What does Basin cost?'}
    assert:
      - $ref: '#/assertionTemplates/price'
      - {type: icontains-any, value: 'month, "a month, net"'}
      - {type: cost, threshold: 0.002}
      - {type: llm-rubric, value: 'Is polite in {{language}}'}
  - vars:
      question: [Where?, When?]
      language: French
    assert:
      - {type: regex, value: '^(Ici|Ce soir)'}
      - {type: javascript, value: 'output.length < 10'}
      - {type: is-json}
      - {type: contains-all, value: [a, b], transform: output.trim()}
  - vars: {question: only code}
    options: {transform: output.trim()}
    assert: [{type: python, value: len(output)}]
  - file://more.yaml
scenarios:
  - config:
      - vars: {language: German}
      - vars: {language: Dutch}
    tests:
      - vars: {question: hi}
        assert: [{type: starts-with, value: Hallo}, {type: not-equals, value: Hallo!}, {type: not-is-refusal}]
redteam: {plugins: [pii]}
evaluateOptions: {repeat: 3}
"##;

#[test]
fn a_configuration_of_promptfoo_becomes_cases() {
    let found = promptfoo("p.yaml", CONFIG).unwrap();
    let cases = cases(&found);
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "tests-0-p1",
            "tests-0-p2",
            "tests-1-v1-p1",
            "tests-1-v1-p2",
            "tests-1-v2-p1",
            "tests-1-v2-p2",
            "tests-2-p1",
            "tests-2-p2",
            "scenarios-0-tests-0-c1-p1",
            "scenarios-0-tests-0-c1-p2",
            "scenarios-0-tests-0-c2-p1",
            "scenarios-0-tests-0-c2-p2",
        ]
    );
    assert_eq!(cases[0].question(), "Answer in English: What does Basin cost?");
    assert_eq!(cases[1].question(), "What does Basin cost?");
    assert_eq!(cases[4].question(), "Answer in French: When?");
    assert_eq!(cases[0].expect.rubric.as_deref(), Some("Is polite in English"));
    assert_eq!(cases[0].source, "p.yaml /tests/0 price");
    assert!(passes(&cases[0], "It is 39 EUR a MONTH, net."));
    for wrong in ["It is 39 eur a month.", "39 EUR", "As an AI: 39 EUR a month"] {
        assert!(!passes(&cases[0], wrong), "{wrong}");
    }
    assert!(passes(&cases[2], "Ici.") && !passes(&cases[2], "ici."));
    assert!(passes(&cases[8], "Hallo, du") && !passes(&cases[8], "Hallo!") && !passes(&cases[8], " Hallo"));
    assert_eq!(found.thresholds.get("latency_p95"), Some(&2000.0));
    assert_eq!((found.thresholds.get("cost"), found.samples), (Some(&0.002), Some(3)));
    assert_eq!(places(&found, Level::Warning), ["p.yaml /providers", "p.yaml /prompts/2"]);
    assert_eq!(
        places(&found, Level::Error),
        [
            "p.yaml /redteam",
            "p.yaml /tests/1/assert/1",
            "p.yaml /tests/1/assert/2",
            "p.yaml /tests/1/assert/3/transform",
            "p.yaml /tests/2/options",
            "p.yaml /tests/2/assert/0",
            "p.yaml /tests/3",
        ]
    );
    assert!(found.is_partial() && found.findings.iter().all(|finding| !finding.help.is_empty()));
}

#[test]
fn without_prompts_the_variables_are_those_of_a_prompt_of_the_project() {
    let text =
        "prompts: file://p.txt\ntests:\n- vars: {question: hi}\n  assert: [{type: equals, value: 3}]\n";
    let found = promptfoo("p.yaml", text).unwrap();
    assert_eq!(found.cases[0]["variables"], serde_json::json!({"question": "hi"}));
    assert!(passes(&cases(&found)[0], "3") && !passes(&cases(&found)[0], "3 "));
}

#[test]
fn a_test_without_assertions_is_a_warning() {
    let text = "tests:\n- vars: {q: a}\n- {vars: {q: b}, assert: []}\n- {vars: {q: c}, assert: [{type: equals, value: c}]}\n";
    let found = promptfoo("p.yaml", text).unwrap();
    assert_eq!((found.cases.len(), places(&found, Level::Error)), (1, Vec::new()));
    assert_eq!(places(&found, Level::Warning), ["p.yaml /tests/0", "p.yaml /tests/1"]);
}

#[test]
fn bad_configurations_are_refused_with_their_place() {
    assert_eq!(promptfoo("p.yaml", "tests: [").unwrap_err().place, "p.yaml:2:1");
    for (text, at) in [
        ("[]", "p.yaml"),
        ("tests: tests.csv", "p.yaml /tests"),
        ("tests:\n- vars: {a: b}\n  assert: [{type: regex, value: '(?=x)'}]", "p.yaml /tests/0/assert/0"),
        (
            "tests:\n- vars: {a: b}\n  assert: [{type: equals, value: '{{ a | upper }}'}]",
            "p.yaml /tests/0/assert/0",
        ),
        ("tests:\n- vars: {a: b}\n  assert: [{value: x}]", "p.yaml /tests/0/assert/0"),
        ("tests:\n- vars: {a: b}\n  assert: [{$ref: '#/x'}]", "p.yaml /tests/0/assert/0"),
        (
            "tests:\n- {vars: {a: b}, assert: [{$ref: '#/assertionTemplates/x'}]}\nassertionTemplates: {x: {$ref: '#/assertionTemplates/x'}}",
            "p.yaml /tests/0/assert/0",
        ),
    ] {
        let found = promptfoo("p.yaml", text).unwrap();
        assert!(found.cases.is_empty() && places(&found, Level::Error).contains(&at), "{text}: {found:?}");
    }
    let many: String = (0..12).map(|n| format!("    v{n}: [1, 2, 3]\n")).collect();
    let found =
        promptfoo("p.yaml", &format!("tests:\n- vars:\n{many}  assert: [{{type: equals, value: 1}}]"))
            .unwrap();
    assert!(found.cases.is_empty() && found.findings[0].message.contains("more than 10000"), "{found:?}");
    let noisy: String = (0..FINDINGS_MAX + 50).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(promptfoo("p.yaml", &noisy).unwrap().findings.len(), FINDINGS_MAX);
}

const SAMPLES: &str = r#"{"input": [{"role": "system", "content": "Answer with a number."}, {"role": "user", "content": "2+2?"}], "ideal": "4"}
{"input": "Capital of France?", "ideal": ["Paris", "the city of Paris"]}

{"input": [{"role": "system", "name": "example_user", "content": "1+1?"}, {"role": "user", "content": "3+3?"}], "ideal": 6}
{"input": "no ideal"}
{"input": [{"role": "tool", "content": "x"}], "ideal": "x"}
{"input": "broken"
"#;

#[test]
fn samples_of_openai_evals_become_cases() {
    let found = openai("s.jsonl", SAMPLES, Matching::Match);
    let all = cases(&found);
    let ids: Vec<&str> = all.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["sample-1", "sample-2", "sample-4"]);
    assert!(passes(&all[0], "4, of course") && !passes(&all[0], "It is 4"));
    assert_eq!(places(&found, Level::Error)[..2], ["s.jsonl:5 /ideal", "s.jsonl:6 /input/0"]);
    assert!(places(&found, Level::Error)[2].starts_with("s.jsonl:7:"), "{:?}", found.findings);
    assert_eq!(places(&found, Level::Warning), ["s.jsonl:4"]);
    let of = |matching, reply: &str| passes(&cases(&openai("s.jsonl", SAMPLES, matching))[1], reply);
    assert!(of(Matching::Includes, "It is Paris.") && !of(Matching::Includes, "It is paris."));
    assert!(of(Matching::IncludesIgnoringCase, "It is paris."));
    assert!(of(Matching::Fuzzy, "it is: “PARIS”!") && of(Matching::Fuzzy, "City, of the Paris."));
    assert!(!of(Matching::Fuzzy, "It is Lyon."));
    let none = openai("s.jsonl", "\n", Matching::Match);
    assert_eq!(none.findings[0].code, "import-empty");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A substring assertion is met exactly by replies that have the substring.
    #[test]
    fn substrings_keep_their_verdicts(value in "[ -~äöü]{1,12}", reply in "[ -~äöü]{0,30}", inside: bool) {
        prop_assume!(!value.contains("{{") && !value.contains("{%") && !value.trim().is_empty() && !value.starts_with("file:"));
        let reply = if inside { format!("{reply}{value}{reply}") } else { reply };
        let config = |kind: &str| serde_json::json!({
            "tests": [{"vars": {"a": "b"}, "assert": [{"type": kind, "value": value}]}],
        }).to_string();
        let met = |kind: &str| passes(&cases(&promptfoo("p.yaml", &config(kind)).unwrap())[0], &reply);
        prop_assert_eq!(met("contains"), reply.contains(&value));
        prop_assert_eq!(met("not-contains"), !reply.contains(&value));
        prop_assert_eq!(met("icontains"), reply.to_lowercase().contains(&value.to_lowercase()));
        prop_assert_eq!(met("starts-with"), reply.starts_with(&value));
        prop_assert_eq!(met("equals"), reply == value);
    }

    /// Whatever the files contain, every imported case can be read, and nothing panics.
    #[test]
    fn hostile_files_end(text in "[\\[\\]{}:,\"'a-c \n#&*!-]{0,120}") {
        if let Ok(found) = promptfoo("p.yaml", &text) {
            prop_assert!(!found.findings.is_empty() || !found.cases.is_empty());
        }
        let found = openai("s.jsonl", &text, Matching::Fuzzy);
        prop_assert!(found.cases.is_empty() || !cases(&found).is_empty());
    }
}
