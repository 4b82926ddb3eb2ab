//! What changes the inputs of a suite, and what does not.

use ashlar_model::{Digest, Files, TypeName};

use super::inputs::{Part, SuiteInputs};
use crate::definitions::Definitions;

const SUITE: &str =
    "owner = 'o'\nfeature = 'help'\nprompt = 'answer'\n[thresholds]\npass_rate = { min = 0.5 }\n";
const CASES: &str = "{\"id\":\"a\",\"input\":\"What?\",\"expect\":{\"facts\":[\"x\"]}}\n";
const GATEWAY: &str = "\
[features.help]
routes = ['fast', 'slow']
prompts = ['answer', 'other']
indexes = ['product', 'legal']
tools = ['weather']
requests_per_minute = 10
[features.other]
routes = ['slow']
[routes.fast]
targets = [{ provider = 'p', model = 'small' }]
fallbacks = ['spare']
[routes.spare]
targets = [{ provider = 'p', model = 'spare' }]
[routes.slow]
targets = [{ provider = 'p', model = 'large' }]
[tools.weather]
description = 'Weather.'
server = 'w'
method = 'GET'
path = '/w'
input = { type = 'object' }
[tools.tides]
description = 'Tides.'
server = 'w'
method = 'GET'
path = '/t'
input = { type = 'object' }
[[prices]]
model = 'p/small'
from = 2026-01-01
currency = 'USD'
input = '1'
output = '1'
";
const PROMPT: &str = "---\nowner: o\nchangelog: c\nroute: fast\nvariables: { question: string }\noutput: reply.v1\n\
                      grounding: { indexes: [product] }\n---\n## system\nAnswer.\n{% include \"tone.md\" %}\n## user\n{{ sources }}\n{{ question }}\n";

fn contract(kind: &str, more: &str) -> String {
    format!(
        "{{\"type\":\"object\",\"x-ashlar\":{{\"version\":\"1.0.0\",\"owner\":\"o\",\"kind\":\"{kind}\"{more}}},\"properties\":{{\"title\":{{\"type\":\"string\"}}}}}}"
    )
}

fn project() -> Files {
    let mut files = Files::new();
    let guide = contract("type", ",\"index\":\"product\"");
    let law = contract("type", ",\"index\":\"legal\"");
    for (path, text) in [
        ("ashlar.toml", "name = 'x'\n"),
        ("evals/s.toml", SUITE),
        ("evals/s.jsonl", CASES),
        ("gateway.toml", GATEWAY),
        ("retrieval.toml", "[indexes.product]\n[indexes.legal]\n"),
        ("prompts/answer/v1.md", PROMPT),
        ("prompts/answer/v2.md", PROMPT),
        ("prompts/other/v1.md", PROMPT),
        ("prompts/_partials/tone.md", "Be brief.\n"),
        ("prompts.toml", "[prompts.answer]\nactive = 1\n"),
        ("contracts/guide.v1.json", &guide),
        ("contracts/law.v1.json", &law),
        ("contracts/reply.v1.json", &contract("output", "")),
        ("tokens/x.tokens.json", "{}"),
    ] {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    files
}

/// The inputs of the suite, with the entries of each type as a text.
fn inputs(files: &Files, entries: &[(&str, &str)]) -> SuiteInputs {
    let definitions = Definitions::load(files);
    assert_eq!(definitions.suites.findings, [], "the suite can be read");
    assert_eq!(definitions.gateway_findings, [], "the gateway can be read");
    let of = |type_name: &TypeName| {
        let text = entries.iter().find(|(of, _)| *of == type_name.as_str()).map_or("", |(_, text)| text);
        Ok(Digest::of(text.as_bytes()))
    };
    definitions.suite_inputs()[0].with(&of).unwrap()
}

/// The project with one file changed.
fn with(path: &str, from: &str, to: &str) -> Files {
    let mut files = project();
    let text = String::from_utf8(files.get(path).unwrap().to_vec()).unwrap();
    assert!(text.contains(from), "{path} has no {from}");
    files.insert(path, text.replacen(from, to, 1).into_bytes()).unwrap();
    files
}

#[test]
fn a_suite_depends_on_what_can_change_its_answers() {
    let before = inputs(&project(), &[]);
    let check = |path: &str, from: &str, to: &str, part: Part| {
        let after = inputs(&with(path, from, to), &[]);
        assert_ne!(after.digest, before.digest, "{path} {to}");
        assert_eq!(after.differing(&before), [part], "{path} {to}");
    };
    let prompt = || Part::Prompt("answer".to_owned());
    let feature = || Part::Feature("help".to_owned());
    let route = |name: &str| Part::Route(name.to_owned());
    check("evals/s.jsonl", "What?", "Why?", Part::Suite);
    check("evals/s.jsonl", "\"x\"", "\"y\"", Part::Suite);
    // The tag says to which cases a figure applies.
    check("evals/s.jsonl", "\"id\":\"a\"", "\"id\":\"a\",\"tags\":[\"injection\"]", Part::Suite);
    check("evals/s.toml", "owner = 'o'", "owner = 'o'\nsamples = 2", Part::Suite);
    check("evals/s.toml", "owner = 'o'", "owner = 'o'\nvariable = 'q'", Part::Suite);
    check("prompts/answer/v1.md", "Answer.", "Answer in verse.", prompt());
    check("prompts/_partials/tone.md", "brief", "long", prompt());
    // The second version has the same text, but another digest would be chosen if it had not.
    check(
        "prompts.toml",
        "active = 1",
        "active = 1\n[[prompts.answer.flags]]\nversion = 2\npercent = 10\nfeatures = ['help']",
        prompt(),
    );
    check("contracts/reply.v1.json", "title", "text", Part::Contract("reply.v1".to_owned()));
    check("contracts/guide.v1.json", "title", "name", Part::Content("product".to_owned()));
    check("gateway.toml", "'small'", "'other'", route("fast"));
    check("gateway.toml", "model = 'spare'", "model = 'tiny'", route("spare"));
    check("gateway.toml", "[features.help]", "[features.help]\ntool_rounds = 2", feature());
    check("gateway.toml", "[features.help]", "[features.help]\nredact = { sending = ['email'] }", feature());
    check("gateway.toml", "'/w'", "'/x'", Part::Tool("weather".to_owned()));
    check("retrieval.toml", "[indexes.legal]", "[indexes.legal]\nalone = true", Part::Retrieval);
    check(
        "ashlar.toml",
        "name = 'x'",
        "name = 'x'\n[locales]\ndefault = 'de'\nsupported = ['de']",
        Part::Locales,
    );
    let after = inputs(&project(), &[("guide", "another")]);
    assert_eq!(after.differing(&before), [Part::Content("product".to_owned())]);
}

#[test]
fn a_suite_does_not_depend_on_anything_else() {
    let before = inputs(&project(), &[]);
    for (path, from, to) in [
        ("tokens/x.tokens.json", "{}", "{\"a\":{}}"),
        ("evals/s.toml", "owner = 'o'", "owner = 'team'\ndescription = 'What for.'"),
        ("evals/s.toml", "0.5", "0.9"),
        ("evals/s.toml", "[thresholds]", "[caps]\nseconds = 9\n[gate]\ncontent = 'required'\n[thresholds]"),
        (
            "evals/s.jsonl",
            "\"id\":\"a\"",
            "\"id\":\"a\",\"owner\":\"x\",\"tags\":[\"t\"],\"known_failure\":{\"until\":\"2030-01-01\",\"why\":\"w\"}",
        ),
        ("prompts/answer/v2.md", "Answer.", "Answer in verse."),
        ("prompts/other/v1.md", "Answer.", "Answer in verse."),
        (
            "prompts.toml",
            "active = 1",
            "active = 1\n[[prompts.answer.flags]]\nversion = 2\npercent = 10\nfeatures = ['other']",
        ),
        ("gateway.toml", "'large'", "'huge'"),
        ("gateway.toml", "routes = ['fast', 'slow']", "routes = ['slow', 'fast']"),
        (
            "gateway.toml",
            "requests_per_minute = 10",
            "requests_per_minute = 99\n[features.help.budget]\ntokens_day = 5",
        ),
        ("gateway.toml", "input = '1'", "input = '2'"),
        ("gateway.toml", "'/t'", "'/u'"),
        ("gateway.toml", "[features.help]", "# A comment moves every line.\n\n[features.help]"),
        ("contracts/law.v1.json", "title", "name"),
    ] {
        let after = inputs(&with(path, from, to), &[]);
        assert_eq!(after, before, "{path} {to}");
    }
    assert_eq!(inputs(&project(), &[("law", "another"), ("page", "another")]), before);
}

#[test]
fn the_built_in_model_answers_from_all_indexes_of_the_feature() {
    let files = with("gateway.toml", "routes = ['fast', 'slow']", "routes = ['extractive', 'fast']");
    let mut files = files;
    files.insert("evals/s.toml", SUITE.replacen("prompt = 'answer'\n", "", 1).into_bytes()).unwrap();
    let before = inputs(&files, &[]);
    let changed = |of: &str| inputs(&files, &[(of, "another")]).differing(&before);
    assert_eq!(changed("guide"), [Part::Content("product".to_owned())]);
    assert_eq!(changed("law"), [Part::Content("legal".to_owned())]);
    assert!(before.parts.keys().all(|part| !matches!(part, Part::Prompt(_))));
}

#[test]
fn prices_count_when_money_has_a_threshold() {
    let suite = |files: &mut Files| {
        files.insert("evals/s.toml", format!("{SUITE}cost = {{ max = 1 }}\n").into_bytes()).unwrap();
    };
    let mut files = project();
    suite(&mut files);
    let before = inputs(&files, &[]);
    let mut files = with("gateway.toml", "input = '1'", "input = '2'");
    suite(&mut files);
    assert_eq!(inputs(&files, &[]).differing(&before), [Part::Route("fast".to_owned())]);
}

#[test]
fn a_version_that_is_pinned_is_the_only_one_that_counts() {
    let pinned = |files: &mut Files| {
        let text = SUITE.replacen("'answer'", "'answer@v2'", 1);
        files.insert("evals/s.toml", text.into_bytes()).unwrap();
    };
    let mut files = project();
    pinned(&mut files);
    let before = inputs(&files, &[]);
    for (path, from, to, changes) in [
        ("prompts/answer/v2.md", "Answer.", "Answer in verse.", true),
        ("prompts/answer/v1.md", "Answer.", "Answer in verse.", false),
        ("prompts.toml", "active = 1", "active = 2", false),
    ] {
        let mut files = with(path, from, to);
        pinned(&mut files);
        assert_eq!(inputs(&files, &[]).digest != before.digest, changes, "{path}");
    }
}

#[test]
fn every_version_that_may_answer_brings_its_route() {
    let project = |model: &str| {
        let mut files = with("gateway.toml", "routes = ['fast', 'slow']", "routes = ['slow', 'fast']");
        let gateway = String::from_utf8(files.get("gateway.toml").unwrap().to_vec()).unwrap();
        files.insert("gateway.toml", gateway.replace("large", model).into_bytes()).unwrap();
        let flagged = "[prompts.answer]\nactive = 1\n[[prompts.answer.flags]]\nversion = 2\npercent = 10\n";
        files.insert("prompts.toml", flagged.as_bytes().to_vec()).unwrap();
        // The second version names no route, so the first of the feature answers it.
        files.insert("prompts/answer/v2.md", PROMPT.replace("route: fast\n", "").into_bytes()).unwrap();
        files
    };
    let before = inputs(&project("large"), &[]);
    let routes = ["fast", "slow", "spare"].map(|name| Part::Route(name.to_owned()));
    assert!(routes.iter().all(|route| before.parts.contains_key(route)), "{:?}", before.parts.keys());
    let after = inputs(&project("huge"), &[]);
    assert_eq!(after.differing(&before), [Part::Route("slow".to_owned())]);
}

#[test]
fn a_judge_counts_when_it_decides_about_a_case() {
    let judged = |cases: &str, path: &str, from: &str, to: &str| {
        let mut files = project();
        let suite = format!("{SUITE}[judge]\nroute = 'slow'\nfeature = 'other'\n");
        files.insert("evals/s.toml", suite.into_bytes()).unwrap();
        files.insert("evals/s.jsonl", cases.as_bytes().to_vec()).unwrap();
        let text = String::from_utf8(files.get(path).unwrap().to_vec()).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        files.insert(path, text.replacen(from, to, 1).into_bytes()).unwrap();
        inputs(&files, &[])
    };
    let rubric = CASES.replace("\"facts\":[\"x\"]", "\"facts\":[\"x\"],\"rubric\":\"It is kind.\"");
    let changes = [
        ("evals/s.toml", "route = 'slow'", "route = 'fast'"),
        ("evals/s.toml", "feature = 'other'", "feature = 'help'"),
        ("gateway.toml", "'large'", "'huge'"),
        ("gateway.toml", "[features.other]", "[features.other]\nredact = { sending = ['email'] }"),
    ];
    let before = judged(&rubric, "evals/s.toml", "owner", "owner");
    let plain = judged(CASES, "evals/s.toml", "owner", "owner");
    assert!(!plain.parts.contains_key(&Part::Judge));
    for (path, from, to) in changes {
        assert_eq!(judged(&rubric, path, from, to).differing(&before), [Part::Judge], "{to}");
        assert_eq!(judged(CASES, path, from, to), plain, "{to}");
    }
}
