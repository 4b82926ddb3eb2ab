//! The gate `prompts`: prompts are checked against gateway.toml, retrieval.toml, contracts and what is live.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::Path, sync::Arc};

use ashlar_gates::{CheckOptions, Checker, check_project};
use ashlar_model::{Actor, Files, GateStatus, TenantId};
use ashlar_release::{CreateCandidate, Ctx, Engine, Location, Promote, PushDefinitions, Waive};
use tempfile::TempDir;

const GUIDE: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"docs","kind":"type","index":"product","title_field":"title"},
 "properties":{"title":{"type":"string"}},"required":["title"],"additionalProperties":false}"#;
const REPLY: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"docs","kind":"output"},
 "properties":{"answer":{"type":"string"}},"required":["answer"],"additionalProperties":false}"#;
const PROMPT: &str = "---\nowner: support\nchangelog: The first version.\nroute: extractive\nvariables: { question: string }\n\
                      output: reply.v1\ngrounding: { indexes: [product] }\n---\n## system\nAnswer.\n{% include \"tone.md\" %}\n## user\n{{ sources }}\n{{ question }}\n";
const STATE: &str = "[prompts.answer]\nactive = 1\n[[prompts.answer.flags]]\nversion = 2\npercent = 10\nfeatures = ['default']\n";

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn project(more: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        ("ashlar.toml", "name = 'x'\n"),
        ("contracts/guide.v1.json", GUIDE),
        ("contracts/reply.v1.json", REPLY),
        ("prompts/_partials/tone.md", "Be brief.\n"),
        ("prompts/answer/v1.md", PROMPT),
        ("prompts/answer/v2.md", PROMPT),
        ("prompts.toml", STATE),
    ];
    all.iter().chain(more).for_each(|(path, text)| write(dir.path(), path, text));
    dir
}

/// The status of the gate and what it says.
fn judged(dir: &Path, against: Option<&Path>) -> (GateStatus, Vec<String>) {
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let against = against.map(Path::to_owned);
    let report = check_project(dir, &CheckOptions { against, cache: false, now }).unwrap();
    let gate = report.gates.into_iter().find(|gate| gate.gate == "prompts").unwrap();
    let shown = gate.findings.iter().map(|f| format!("{} {}: {} ({})", f.code, f.place, f.message, f.help));
    (gate.status, shown.collect())
}

#[test]
fn prompts_that_name_what_exists_pass() {
    assert_eq!(judged(project(&[]).path(), None), (GateStatus::Pass, Vec::new()));
}

#[test]
fn what_prompts_name_has_to_exist() {
    for (from, to, said) in [
        (
            "route: extractive",
            "route: extractve",
            "prompt-route-unknown prompts/answer/v2.md:4: answer@v2 names the route `extractve`, which does not exist. (did you mean `extractive`?)",
        ),
        (
            "[product]",
            "[produkt]",
            "prompt-index-unknown prompts/answer/v2.md:7: answer@v2 retrieves from the index `produkt`, which does not exist. (did you mean `product`?)",
        ),
        (
            "output: reply.v1",
            "output: replay.v1",
            "prompt-output-unknown prompts/answer/v2.md:6: answer@v2 answers in the form of `replay.v1`, which does not exist. (did you mean `reply.v1`?)",
        ),
        (
            "output: reply.v1",
            "output: guide.v1",
            "prompt-output-kind prompts/answer/v2.md:6: The output contract `guide.v1` of answer@v2 is not of the kind `output`. (set \"kind\": \"output\" in contracts/guide.v1.json, or name another contract)",
        ),
        (
            "route: extractive",
            "tools: [find-berth]",
            "prompt-tool-unknown prompts/answer/v2.md:4: answer@v2 names the tool `find-berth`, which does not exist. (remove it, or add a contract of the kind `tool`)",
        ),
    ] {
        let dir = project(&[("prompts/answer/v2.md", &PROMPT.replace(from, to))]);
        assert_eq!(judged(dir.path(), None), (GateStatus::Fail, vec![said.to_owned()]), "{to}");
    }
    let gateway = "[features.support]\nroutes = ['extractive']\nprompts = ['anser']\n";
    let (status, said) = judged(project(&[("gateway.toml", gateway)]).path(), None);
    assert_eq!(status, GateStatus::Fail);
    assert!(
        said[0].starts_with("prompt-unknown gateway.toml:1: The feature `support` names the prompt `anser`"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with(
            "prompt-feature-unknown prompts.toml:3: A flag of `answer` names the feature `default`"
        ),
        "{said:?}"
    );
}

#[test]
fn a_prompt_whose_answers_nothing_checks_is_a_warning() {
    let free = "---\nowner: a\nchangelog: b\n---\n## system\nSay hello.\n";
    let (status, said) = judged(project(&[("prompts/hello/v1.md", free)]).path(), None);
    assert_eq!((status, said.len()), (GateStatus::Pass, 1));
    assert!(
        said[0].starts_with("prompt-output-missing prompts/hello/v1.md:1: hello@v1 has no output contract"),
        "{said:?}"
    );
    let meant = free.replace("changelog: b", "changelog: b\noutput: none");
    assert_eq!(
        judged(project(&[("prompts/hello/v1.md", &meant)]).path(), None),
        (GateStatus::Pass, Vec::new())
    );
}

#[test]
fn released_versions_stay_as_they_are() {
    let live = project(&[]);
    let changed = project(&[("prompts/answer/v2.md", &PROMPT.replace("Answer.", "Answer well."))]);
    let (status, said) = judged(changed.path(), Some(live.path()));
    assert_eq!((status, said.len()), (GateStatus::Fail, 1));
    assert!(
        said[0].starts_with("prompt-changed prompts/answer/v2.md: answer@v2 is released and was changed."),
        "{said:?}"
    );
    assert!(said[0].contains("write the change as prompts/answer/v3.md"), "{said:?}");
    let partial = project(&[("prompts/_partials/tone.md", "Be rude.\n")]);
    assert_eq!(judged(partial.path(), Some(live.path())).1.len(), 2);
    let next = project(&[("prompts/answer/v3.md", &PROMPT.replace("Answer.", "Answer well."))]);
    assert_eq!(judged(next.path(), Some(live.path())), (GateStatus::Pass, Vec::new()));
    let lower =
        judged(live.path(), Some(project(&[("prompts.toml", "[prompts.answer]\nactive = 2\n")]).path()));
    assert_eq!(lower.0, GateStatus::Pass);
    assert!(
        lower.1[0].starts_with(
            "prompt-active-lower prompts.toml:1: `answer` goes from version 2 back to version 1."
        ),
        "{lower:?}"
    );
}

#[test]
fn a_new_version_keeps_variables_and_rules() {
    let live = project(&[]);
    for (from, to, code) in [
        ("variables: { question: string }", "variables: { query: string }", "prompt-variable-dropped"),
        (
            "variables: { question: string }",
            "variables: { question: string, port: string }",
            "prompt-variable-required",
        ),
        ("grounding: { indexes: [product] }\n", "", "prompt-grounding-dropped"),
        (
            "grounding: { indexes: [product] }",
            "grounding: { indexes: [product], citations: optional }",
            "prompt-citations-dropped",
        ),
        (
            "grounding: { indexes: [product] }",
            "grounding: { indexes: [product], rule: drop }",
            "prompt-refusal-dropped",
        ),
        ("output: reply.v1", "output: none", "prompt-output-dropped"),
    ] {
        let text = PROMPT.replace(from, to).replace("{{ question }}", &to_use(to)).replace(
            "{{ sources }}\n",
            if code == "prompt-grounding-dropped" { "" } else { "{{ sources }}\n" },
        );
        let next = project(&[("prompts/answer/v3.md", &text)]);
        let (status, said) = judged(next.path(), Some(live.path()));
        assert_eq!(status, GateStatus::Fail, "{code}: {said:?}");
        assert!(
            said.iter().any(|said| said.starts_with(&format!("{code} prompts/answer/v3.md:"))),
            "{code}: {said:?}"
        );
        // Without a version that is live, and with a version that was released before, it is allowed.
        assert_eq!(judged(next.path(), None).0, GateStatus::Pass, "{code}");
        let active = format!("{text}\n");
        let before = project(&[
            ("prompts/answer/v3.md", &active),
            ("prompts/answer/v4.md", PROMPT),
            ("prompts.toml", "[prompts.answer]\nactive = 4\n"),
        ]);
        let back = project(&[
            ("prompts/answer/v3.md", &active),
            ("prompts/answer/v4.md", PROMPT),
            ("prompts.toml", "[prompts.answer]\nactive = 3\n"),
        ]);
        let (status, said) = judged(back.path(), Some(before.path()));
        assert_eq!(status, GateStatus::Pass, "{code}: {said:?}");
        assert!(said.iter().any(|said| said.starts_with(code)), "{code}: {said:?}");
    }
    let optional = PROMPT
        .replace("question: string", "question: string, port: { type: string, required: false }")
        .replace("{{ question }}", "{{ question }} {{ port }}");
    let next = project(&[("prompts/answer/v3.md", &optional)]);
    assert_eq!(judged(next.path(), Some(live.path())), (GateStatus::Pass, Vec::new()));
}

/// The variables of a declaration as a template uses them.
fn to_use(declared: &str) -> String {
    match declared {
        _ if declared.contains("query") => "{{ query }}".to_owned(),
        _ if declared.contains("port") => "{{ question }} {{ port }}".to_owned(),
        _ => "{{ question }}".to_owned(),
    }
}

#[tokio::test]
async fn going_back_needs_a_version_that_answered() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(&Location::embedded(dir.path()), Arc::new(Checker::new())).await.unwrap();
    let ctx = Ctx::new(TenantId::main(), Actor::local("ana")).unwrap();
    let bare = PROMPT.replace("grounding: { indexes: [product] }\n", "").replace("{{ sources }}\n", "");
    // A candidate in which this version is active: its name and what the gate says.
    let candidate = async |active: u32, versions: &[(&str, &str)]| {
        let state = format!("[prompts.answer]\nactive = {active}\n");
        let mut files = Files::new();
        for (path, text) in [
            ("ashlar.toml", "name = 'x'\n"),
            ("contracts/guide.v1.json", GUIDE),
            ("contracts/reply.v1.json", REPLY),
            ("prompts/_partials/tone.md", "Be brief.\n"),
            ("prompts/answer/v1.md", PROMPT),
            ("prompts.toml", &state),
        ]
        .iter()
        .chain(versions)
        {
            files.insert(path, text.as_bytes().to_vec()).unwrap();
        }
        engine.run(&ctx, PushDefinitions { files }).await.unwrap();
        let made = engine.run(&ctx, CreateCandidate::default()).await.unwrap();
        let gate = made.gates.into_iter().find(|gate| gate.gate == "prompts").unwrap();
        let found: Vec<String> = gate.findings.iter().map(|f| format!("{:?} {}", f.level, f.code)).collect();
        (made.candidate, gate.status, found)
    };
    let promote = async |candidate| {
        let promote = Promote { candidate, channel: None, note: String::new() };
        engine.run(&ctx, promote).await.map(drop).map_err(|error| error.code().to_owned())
    };
    let none: Vec<String> = Vec::new();
    let (first, ..) = candidate(1, &[]).await;
    promote(first).await.unwrap();
    // The third version hides behind the fourth: nobody gets it, so nothing is found.
    let versions = [("prompts/answer/v3.md", bare.as_str()), ("prompts/answer/v4.md", PROMPT)];
    let (hidden, status, found) = candidate(4, &versions).await;
    assert_eq!((status, found), (GateStatus::Pass, none));
    promote(hidden).await.unwrap();
    let (bad, status, found) = candidate(3, &versions).await;
    assert_eq!(status, GateStatus::Fail);
    assert!(found.contains(&"Error prompt-grounding-dropped".to_owned()), "{found:?}");
    assert_eq!(promote(bad).await.unwrap_err(), "gates-failed");
    // Once it answered, with a reason, it is possible to go back to it.
    let waive = Waive { candidate: bad, gate: "prompts".to_owned(), reason: "A trial.".to_owned() };
    engine.run(&ctx, waive).await.unwrap();
    promote(bad).await.unwrap();
    let (good, status, found) = candidate(4, &versions).await;
    assert_eq!(status, GateStatus::Pass, "{found:?}");
    promote(good).await.unwrap();
    let (back, status, found) = candidate(3, &versions).await;
    assert_eq!(status, GateStatus::Pass, "{found:?}");
    assert!(found.contains(&"Warning prompt-grounding-dropped".to_owned()), "{found:?}");
    promote(back).await.unwrap();
}

#[test]
fn the_prompts_of_the_demo_pass() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo");
    assert_eq!(judged(&demo, None), (GateStatus::Pass, Vec::new()));
}
