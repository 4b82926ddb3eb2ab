//! The gate `evals` over the command line, with the built-in model: a prompt that makes answers worse is refused, and one that does not is released.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::process::Command;

use common::{Demo, Rig, found};
use serde_json::Value;

const GUIDE: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"docs","kind":"type","route":"/guides/{slug}","index":"product","title_field":"title"},
 "required":["slug","title","body"],"additionalProperties":false,
 "properties":{"slug":{"type":"string","pattern":"^[a-z-]+$"},"title":{"type":"string"},"body":{"type":"string","contentMediaType":"text/markdown"}}}"#;
const LAW: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"docs","kind":"type","route":"/legal/{slug}","index":"legal","title_field":"title"},
 "required":["slug","title","body"],"additionalProperties":false,
 "properties":{"slug":{"type":"string","pattern":"^[a-z-]+$"},"title":{"type":"string"},"body":{"type":"string","contentMediaType":"text/markdown"}}}"#;
const GATEWAY: &str =
    "[features.help]\nroutes = ['extractive']\nprompts = ['answer']\nindexes = ['product', 'legal']\n";
const PROMPT: &str = "---\nowner: support\nchangelog: The first version.\nroute: extractive\nvariables: { question: string }\noutput: none\n\
                      grounding: { indexes: [product], query: question }\n---\n## system\nAnswer from the sources.\n## user\n{{ sources }}\n{{ question }}\n";
const SUITE: &str = "owner = 'support'\nfeature = 'help'\nprompt = 'answer'\nlocale = 'en'\n[thresholds]\npass_rate = { min = 1 }\n";
const CASES: &str = r#"{"id":"lamp","input":"How long does the battery of the lamp last?","critical":true,"expect":{"answer":"must","facts":["40 hours"],"cites":["guide/lamp"]}}
{"id":"capital","input":"What is the capital of Portugal?","expect":{"answer":"must_not"}}
"#;

fn project() -> Rig {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
    for (path, text) in [
        ("site/ashlar.toml", "name = 'x'\n[locales]\ndefault = 'en'\nsupported = ['en']\n"),
        ("site/contracts/guide.v1.json", GUIDE),
        ("site/contracts/law.v1.json", LAW),
        ("site/gateway.toml", GATEWAY),
        ("site/prompts/answer/v1.md", PROMPT),
        ("site/evals/help.toml", SUITE),
        ("site/evals/help.jsonl", CASES),
        (
            "site/content/guide/lamp.en.md",
            "---\nslug: lamp\ntitle: The lamp\n---\nThe battery of the lamp lasts 40 hours. It charges in two hours.\n",
        ),
        (
            "site/content/guide/rope.en.md",
            "---\nslug: rope\ntitle: The rope\n---\nThe rope carries 300 kilograms and is 20 metres long.\n",
        ),
        (
            "site/content/law/terms.en.md",
            "---\nslug: terms\ntitle: Terms\n---\nYou may return what you bought within 14 days.\n",
        ),
    ] {
        rig.place(path, text);
    }
    rig
}

fn push(rig: &Rig) {
    let out = rig.run(&["push", "site", "--content"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// A candidate of what is pending, about which nobody is asked: its name, its status, and what the gate found.
fn candidate(rig: &Rig) -> (String, String, Vec<String>) {
    about(&rig.json(0, &["candidate", "create", "--no-evals", "--format", "json"]))
}

fn about(made: &Value) -> (String, String, Vec<String>) {
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let lines = found(made, "evals")
        .into_iter()
        .map(|(code, place, message, help)| format!("{code} {place}: {message} ({help})"));
    (text("candidate"), text("status"), lines.collect())
}

fn evaluate(rig: &Rig, exit: i32, of: &str) -> Value {
    rig.json(exit, &["eval", "run", "--suite", "help", "--of", of, "--submit", "--format", "json"])
}

#[test]
fn a_change_that_makes_answers_worse_is_refused_until_it_is_fixed() {
    let rig = project();
    push(&rig);
    let (first, _, found) = candidate(&rig);
    assert_eq!(
        found,
        [format!(
            "eval-evidence-missing evals/help.toml: No run of the suite `help` covers this. \
             (run `ashlar eval run --suite help --of {first} --submit`)"
        )]
    );
    let recorded = evaluate(&rig, 0, &first)["recorded"].clone();
    assert_eq!(
        (&recorded["evidence"]["verdict"], &recorded["candidate"]["status"]),
        (&"pass".into(), &"passed".into())
    );
    rig.json(0, &["release", "promote", &first, "--format", "json"]);

    // What has nothing to do with answers demands nothing.
    rig.place("site/tokens/color.tokens.json", r##"{"color":{"$type":"color","red":{"$value":"#ff0000"}}}"##);
    rig.edit("site/content/law/terms.en.md", "14 days", "30 days");
    push(&rig);
    let (plain, status, found) = candidate(&rig);
    // The prompt answers from another index.
    assert_eq!((status.as_str(), found.len()), ("passed", 0), "{found:?}");
    evaluate(&rig, 0, &plain);
    rig.json(0, &["release", "promote", &plain, "--format", "json"]);
    rig.edit("site/tokens/color.tokens.json", "ff0000", "00ff00");
    push(&rig);
    let (plain, status, found) = candidate(&rig);
    assert_eq!((status.as_str(), found.len()), ("passed", 0), "{found:?}");
    rig.json(0, &["release", "promote", &plain, "--format", "json"]);

    // The retriever goes blind: the feature loses its index.
    rig.edit("site/gateway.toml", "['product', 'legal']", "['legal']");
    rig.place("site/prompts/answer/v2.md", &PROMPT.replace("[product]", "[legal]"));
    push(&rig);
    let (blind, status, found) = candidate(&rig);
    assert_eq!(status, "failed");
    assert!(
        found[0].contains("No run of the suite `help` covers this; these changed: the prompt `answer`"),
        "{found:?}"
    );
    let refused = rig.json(1, &["release", "promote", &blind, "--format", "json"]);
    assert_eq!(refused["error"]["code"], "gates-failed");
    let recorded = evaluate(&rig, 1, &blind)["recorded"].clone();
    assert_eq!(recorded["candidate"]["status"], "failed");
    let shown = String::from_utf8(rig.run(&["candidate", "show", &blind]).stdout).unwrap();
    for said in [
        "`pass_rate` of ",
        "it must be at least 100.0 %. Worse than before: lamp.",
        "The critical case `lamp` fails: ",
        &format!("`ashlar eval run --suite help --of {blind} --out DIR` shows every case"),
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }

    // Fixed, it passes from the evidence that is there: nobody is asked again.
    rig.edit("site/gateway.toml", "['legal']", "['product', 'legal']");
    std::fs::remove_file(rig.path().join("site/prompts/answer/v2.md")).unwrap();
    push(&rig);
    let (_, status, found) = candidate(&rig);
    assert_eq!((status.as_str(), found.len()), ("passed", 0), "{found:?}");

    let listed = rig.json(0, &["eval", "evidence", "--suite", "help", "--format", "json"]);
    let verdicts: Vec<&str> =
        listed.as_array().unwrap().iter().map(|e| e["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["fail", "pass"]);
}

#[test]
fn a_recording_is_evidence_over_http_for_a_key_that_may() {
    let rig = project();
    push(&rig);
    let (first, ..) = candidate(&rig);
    evaluate(&rig, 0, &first);
    rig.json(0, &["release", "promote", &first, "--format", "json"]);
    rig.place("site/prompts/answer/v2.md", &PROMPT.replace("Answer from", "Answer briefly from"));
    push(&rig);
    let (second, status, _) = candidate(&rig);
    assert_eq!(status, "failed");
    // A CI job asks once, and records what was answered.
    let asked =
        ["eval", "run", "--suite", "help", "--of", &second, "--project", "site", "--record", "replies.jsonl"];
    assert!(rig.run(&asked).status.success());
    let key = |scopes: &[&str]| {
        let of = scopes.iter().flat_map(|scope| ["--scope", *scope]);
        let args: Vec<&str> =
            ["key", "create", "--name", scopes[0], "--format", "json"].into_iter().chain(of).collect();
        let made = rig.json(0, &args);
        made["key"].as_str().or(made["secret"].as_str()).unwrap().to_owned()
    };
    let (may, may_not) = (key(&["evals"]), key(&["release", "preview"]));
    let data = rig.data.clone();
    let demo = Demo::of(rig, &["serve", "--data", &data]);
    let run = |key: &str| -> Value {
        // The suite is that of the project in the working directory.
        let out = Command::new(env!("CARGO_BIN_EXE_ashlar"))
            .args([
                "eval",
                "run",
                "--suite",
                "help",
                "--of",
                &second,
                "--replay",
                "../replies.jsonl",
                "--submit",
            ])
            .args(["--server", &demo.url, "--key", key, "--format", "json"])
            .current_dir(demo.rig.path().join("site"))
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&out.stderr);
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {shown}"))
    };
    let refused = run(&may_not);
    assert_eq!(refused["error"]["code"], "forbidden", "{refused}");
    let recorded = run(&may)["recorded"].clone();
    assert_eq!(recorded["candidate"]["status"], "passed", "{recorded}");
    assert_eq!(recorded["evidence"]["by"], "evals");

    // A run of the server records itself.
    demo.rig.place("site/prompts/answer/v2.md", &PROMPT.replace("Answer from", "Answer in short from"));
    push(&demo.rig);
    let (third, status, _) = candidate(&demo.rig);
    assert_eq!(status, "failed");
    let start = [
        "eval", "start", "--suite", "help", "--of", &third, "--wait", "--server", &demo.url, "--key",
        &may_not,
    ];
    let out = demo.rig.run(&start);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let shown = demo.rig.json(0, &["candidate", "show", &third, "--format", "json"]);
    assert_eq!(shown["status"], "passed", "{shown}");
}

#[test]
fn a_candidate_made_here_is_asked_at_once() {
    let rig = project();
    push(&rig);
    // Nobody has to know that there are suites.
    assert_eq!(rig.release(), "r1");

    for (path, before, worse, said) in [
        // The corpus becomes wrong, the prompt finds nothing, and the retriever goes blind.
        ("site/content/guide/lamp.en.md", "40 hours", "4 hours", "does not say “40 hours”"),
        ("site/prompts/answer/v2.md", "[product]", "[legal]", ""),
        ("site/gateway.toml", "['product', 'legal']", "['legal']", ""),
    ] {
        if path.ends_with("v2.md") {
            rig.place(path, PROMPT);
        }
        rig.edit(path, before, worse);
        push(&rig);
        let (name, status, found) = about(&rig.candidate());
        assert_eq!(status, "failed", "{path}: {found:?}");
        if !said.is_empty() {
            let critical =
                found.iter().any(|f| f.contains("The critical case `lamp` fails") && f.contains(said));
            assert!(critical, "{path}: {found:?}");
        }
        let refused = rig.json(1, &["release", "promote", &name, "--format", "json"]);
        assert_eq!(refused["error"]["code"], "gates-failed", "{path}");
        rig.edit(path, worse, before);
        if path.ends_with("v2.md") {
            std::fs::remove_file(rig.path().join(path)).unwrap();
        }
        push(&rig);
        let (_, status, found) = about(&rig.candidate());
        assert_eq!((status.as_str(), found.len()), ("passed", 0), "{path}: {found:?}");
    }

    // What was released without a run is asked when something is compared with it.
    rig.edit("site/content/guide/rope.en.md", "20 metres", "21 metres");
    push(&rig);
    let (name, status, _) = candidate(&rig);
    assert_eq!(status, "passed");
    rig.json(0, &["release", "promote", &name, "--format", "json"]);
    rig.place("site/prompts/answer/v2.md", &PROMPT.replace("Answer from", "Answer briefly from"));
    push(&rig);
    let (_, status, found) = about(&rig.candidate());
    assert_eq!((status.as_str(), found.len()), ("passed", 0), "{found:?}");
}
