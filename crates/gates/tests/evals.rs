//! The gate `evals` on candidates: what waits for a run, what a run shows, and who may record one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{path::Path, sync::Arc};

use ashlar_gates::{CheckOptions, Checker, check_project};
use ashlar_model::{
    Actor, CandidateId, EntryId, EntryKey, Files, GateReport, GateStatus, Locale, Right, TenantId, TypeName,
};
use ashlar_release::{
    CollectGarbage, CreateCandidate, CreateTenant, Ctx, Engine, Location, Promote, PushDefinitions, PutEntry,
    RecordEvidence, RecordedEvidence, Rejudge, ReleaseError, RunOf, Waive,
};
use serde_json::{Value, json};

const SUITE: &str =
    "owner = 'o'\nfeature = 'help'\nprompt = 'answer'\n\n[thresholds]\npass_rate = { min = 0.5 }\n";
const GATEWAY: &str =
    "[features.help]\nroutes = ['extractive']\nprompts = ['answer']\nindexes = ['product']\n";
const PROMPT: &str = "---\nowner: o\nchangelog: c\nroute: extractive\nvariables: { question: string }\noutput: none\n\
                      grounding: { indexes: [product], query: question }\n---\n## system\nAnswer.\n## user\n{{ sources }}\n{{ question }}\n";
/// Cases of the suite; the first is critical.
const CASES: usize = 20;

fn cases() -> String {
    let line = |n: usize| {
        let case = json!({"id": format!("c{n}"), "input": format!("What is thing {n} of kind {}?", n * 7),
            "critical": n == 0, "expect": {"facts": [format!("fact {n}")]}});
        format!("{case}\n")
    };
    (0..CASES).map(line).collect()
}

fn files(more: &[(&str, &str)]) -> Files {
    let guide = json!({"type": "object", "x-ashlar": {"version": "1.0.0", "owner": "o", "kind": "type", "index": "product"},
        "properties": {"title": {"type": "string"}}});
    let note = json!({"type": "object", "x-ashlar": {"version": "1.0.0", "owner": "o", "kind": "type"},
        "properties": {"title": {"type": "string"}}});
    let mut files = Files::new();
    for (path, text) in [
        ("ashlar.toml", "name = 'x'\n"),
        ("contracts/guide.v1.json", &guide.to_string()),
        ("contracts/note.v1.json", &note.to_string()),
        ("evals/s.toml", SUITE),
        ("evals/s.jsonl", &cases()),
        ("gateway.toml", GATEWAY),
        ("prompts/answer/v1.md", PROMPT),
        ("prompts.toml", "[prompts.answer]\nactive = 1\n"),
    ]
    .iter()
    .chain(more)
    {
        files.insert(path, text.as_bytes().to_vec()).unwrap();
    }
    files
}

/// The second version of the prompt.
const BRIEF: &str = "---\nowner: o\nchangelog: c\nroute: extractive\nvariables: { question: string }\noutput: none\n\
                     grounding: { indexes: [product], query: question }\n---\n## system\nAnswer briefly.\n## user\n{{ sources }}\n{{ question }}\n";
/// The second version answers.
const SECOND: [(&str, &str); 2] =
    [("prompts/answer/v2.md", BRIEF), ("prompts.toml", "[prompts.answer]\nactive = 2\n")];

struct World {
    engine: Engine,
    ctx: Ctx,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(&Location::embedded(dir.path()), Arc::new(Checker::new())).await.unwrap();
        let ctx = Ctx::new(TenantId::main(), Actor::local("ana")).unwrap();
        Self { engine, ctx, _dir: dir }
    }

    async fn push(&self, more: &[(&str, &str)]) {
        self.engine.run(&self.ctx, PushDefinitions { files: files(more) }).await.unwrap();
    }

    async fn put(&self, type_name: &str, title: &str) {
        let key = EntryKey {
            type_name: TypeName::new(type_name).unwrap(),
            id: EntryId::new("one").unwrap(),
            locale: Locale::new("en").unwrap(),
        };
        let fields = json!({"title": title}).as_object().unwrap().clone();
        let put = PutEntry { key, fields, expected_version: None, major: None };
        self.engine.run(&self.ctx, put).await.unwrap();
    }

    /// A new candidate with its gate `evals`.
    async fn candidate(&self) -> (CandidateId, GateReport) {
        let made = self.engine.run(&self.ctx, CreateCandidate::default()).await.unwrap();
        (made.candidate, evals(made.gates))
    }

    /// A release of what is pending, with a run in which these cases fail.
    async fn evaluated(&self, failing: &[usize]) {
        let (candidate, _) = self.candidate().await;
        assert_eq!(self.run(candidate, failing).await.status, GateStatus::Pass);
        self.promote(candidate).await.unwrap();
    }

    async fn waive(&self, candidate: CandidateId) {
        let waive = Waive { candidate, gate: "evals".to_owned(), reason: "It is meant.".to_owned() };
        let waived = self.engine.run(&self.ctx, waive).await.unwrap();
        assert_eq!(evals(waived.gates).status, GateStatus::Waived);
        self.promote(candidate).await.unwrap();
    }

    async fn release(&self) {
        let (candidate, gate) = self.candidate().await;
        assert!(gate.status.lets_through(), "{gate:?}");
        self.promote(candidate).await.unwrap();
    }

    async fn promote(&self, candidate: CandidateId) -> Result<(), ReleaseError> {
        let promote = Promote { candidate, channel: None, note: String::new() };
        self.engine.run(&self.ctx, promote).await.map(drop)
    }

    async fn record(&self, of: RunOf, run: Value) -> Result<RecordedEvidence, ReleaseError> {
        let record = RecordEvidence { of, suite: "s".to_owned(), run: run.to_string().into_bytes() };
        self.engine.run(&self.ctx, record).await
    }

    /// Records a run of a candidate in which these cases fail, and returns the gate.
    async fn run(&self, candidate: CandidateId, failing: &[usize]) -> GateReport {
        self.run_of(candidate, &cases(), failing).await
    }

    /// The same for a candidate with other cases.
    async fn run_of(&self, candidate: CandidateId, cases: &str, failing: &[usize]) -> GateReport {
        let recorded = self.record(RunOf::Candidate(candidate), run_of(cases, failing)).await.unwrap();
        evals(recorded.candidate.unwrap().gates)
    }
}

fn evals(gates: Vec<GateReport>) -> GateReport {
    gates.into_iter().find(|gate| gate.gate == "evals").unwrap()
}

/// A run of all cases in which some fail. It claims nothing about that: the server finds out.
fn run(failing: &[usize]) -> Value {
    run_of(&cases(), failing)
}

fn run_of(cases: &str, failing: &[usize]) -> Value {
    let mut project = Files::new();
    project.insert("evals/s.toml", SUITE.as_bytes().to_vec()).unwrap();
    project.insert("evals/s.jsonl", cases.as_bytes().to_vec()).unwrap();
    let suite = ashlar_evals::suite::Suite::read(&project, "s").unwrap().0;
    let digest = suite.digest();
    let reply = |case: &ashlar_evals::suite::Case| {
        let n: usize = case.id.trim_start_matches('c').parse().unwrap();
        let text = if failing.contains(&n) { "Nothing.".to_owned() } else { format!("It is fact {n}.") };
        json!({"case": case.id, "reply": {"text": text}})
    };
    let replies: Vec<Value> = suite.cases.iter().map(reply).collect();
    json!({"format": 1, "producer": "a test", "cases": digest, "replies": replies})
}

/// Findings as lines: level, code, place, message.
fn lines(gate: &GateReport) -> Vec<String> {
    let line = |f: &ashlar_model::Finding| format!("{:?} {} {}: {}", f.level, f.code, f.place, f.message);
    gate.findings.iter().map(line).collect()
}

#[test]
fn the_suites_of_the_demo_have_nothing_wrong() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo");
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let report = check_project(&demo, &CheckOptions { against: None, cache: false, now }).unwrap();
    let gate = evals(report.gates);
    assert_eq!((gate.summary.as_str(), lines(&gate)), ("1 suite: OK", Vec::new()));
}

#[test]
fn what_a_suite_names_has_to_exist() {
    let check = |path: &str, from: &str, to: &str, said: &str| {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in files(&[]).iter() {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        let file = dir.path().join(path);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        let report = check_project(dir.path(), &CheckOptions { against: None, cache: false, now }).unwrap();
        let found: Vec<String> = evals(report.gates)
            .findings
            .iter()
            .map(|f| format!("{} {}: {} ({})", f.code, f.place, f.message, f.help))
            .collect();
        assert_eq!(found, [said], "{to}");
    };
    let toml = "evals/s.toml";
    check(
        toml,
        "'help'",
        "'halp'",
        "eval-feature-unknown evals/s.toml:2: The suite `s` names the feature `halp`, which does not exist. (did you mean `help`?)",
    );
    check(
        toml,
        "'answer'",
        "'answr'",
        "eval-prompt-unknown evals/s.toml:3: The suite `s` names the prompt `answr`, which does not exist. (did you mean `answer`?)",
    );
    check(
        toml,
        "'answer'",
        "'answer@v7'",
        "eval-prompt-unknown evals/s.toml:3: The suite `s` names the prompt `answer@v7`, which does not exist. (did you mean `answer@v1`?)",
    );
    check(
        toml,
        "owner = 'o'",
        "owner = 'o'\nroute = 'extractve'",
        "eval-route-unknown evals/s.toml:2: The feature `help` has no route `extractve`. (did you mean `extractive`?)",
    );
    check(
        "gateway.toml",
        "['answer']",
        "[]",
        "eval-prompt-unknown evals/s.toml:3: The feature `help` may not use the prompt `answer`. (add it to `prompts` of [features.help])",
    );
    check(
        toml,
        "[thresholds]",
        "[judge]\nroute = 'strong'\n[thresholds]",
        "eval-route-unknown evals/s.toml:6: The feature `help` has no route `strong`, which judges by rubrics. (add it to `routes` of [features.help])",
    );
    check(
        toml,
        "[thresholds]",
        "[judge]\nroute = 'extractive'\nfeature = 'halp'\n[thresholds]",
        "eval-feature-unknown evals/s.toml:6: The judge of the suite `s` has the feature `halp`, which does not exist. (did you mean `help`?)",
    );
    let jsonl = "evals/s.jsonl";
    check(
        jsonl,
        "{\"facts\":[\"fact 0\"]}",
        "{\"json\":\"guid.v1\"}",
        "eval-contract-unknown evals/s.jsonl:1 /expect/json: The case `c0` expects the contract `guid.v1`, which does not exist. (did you mean `guide.v1`?)",
    );
    check(
        jsonl,
        "\"facts\":[\"fact 0\"]",
        "\"cites\":[\"guide/none\"]",
        "eval-entry-unknown evals/s.jsonl:1 /expect/cites: Answers must cite guide/none, which does not exist. (add guide/none, or correct `cites`)",
    );
}

#[tokio::test]
async fn labels_that_cannot_be_read_are_reported() {
    let world = World::new().await;
    world
        .push(&[(
            "evals/s.labels.jsonl",
            "{\"id\":\"a\",\"question\":\"q\",\"rubric\":\"r\",\"answer\":\"a\"}\n",
        )])
        .await;
    let (_, gate) = world.candidate().await;
    let said =
        "Error eval-label evals/s.labels.jsonl:1 /pass: The label does not say whether the answer passes.";
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Fail, vec![said.to_owned()]));
    let label = |n: usize| {
        json!({"id": n.to_string(), "question": "q", "rubric": "r", "answer": "a", "pass": true}).to_string()
    };
    let many: Vec<String> = (0..=1_000).map(label).collect();
    world.push(&[("evals/s.labels.jsonl", &many.join("\n"))]).await;
    let (_, gate) = world.candidate().await;
    assert_eq!(
        lines(&gate),
        ["Error eval-labels evals/s.labels.jsonl:1001: The file has more than 1000 labels."]
    );
}

#[tokio::test]
async fn a_run_that_the_judge_of_the_suite_did_not_see_does_not_count() {
    let world = World::new().await;
    let suite = SUITE.replace("[thresholds]", "[judge]\nroute = 'extractive'\n[thresholds]");
    let rubric = cases().replacen("\"expect\":{", "\"expect\":{\"rubric\":\"It is short.\",", 1);
    let files = [("evals/s.toml", suite.as_str()), ("evals/s.jsonl", &rubric)];
    world.push(&files).await;
    let (first, gate) = world.candidate().await;
    let help = format!("run `ashlar eval start --suite s --of {first} --wait --server URL`");
    assert_eq!(gate.findings[0].help, help);
    let judged = |verdict: &str, prompt: &str| {
        let mut run = run_of(&rubric, &[]);
        run["replies"][0]["reply"]["judgement"] =
            json!({"verdict": {"Ok": verdict}, "reason": "", "prompt": prompt});
        run
    };
    let record = async |of, run: Value| world.record(of, run).await;
    let of = RunOf::Candidate(first);
    // Nobody judged, and somebody else did.
    for run in [run_of(&rubric, &[]), judged("pass", "other@v1")] {
        let recorded = record(of, run).await.unwrap();
        assert_eq!((recorded.evidence.verdict.as_str(), recorded.evidence.complete), ("incomplete", false));
        let gate = evals(recorded.candidate.unwrap().gates);
        let said = "No run of the suite `s` covers this. A run of c1 does not count. The judge of the suite was not asked about all cases with a rubric.";
        assert_eq!(gate.findings[0].message, said);
    }
    let mut other = judged("pass", "ashlar-judge@v1");
    other["setting"] = json!("feature help prompt answer judge other@00");
    let refused = record(of, other).await.unwrap_err().to_string();
    assert!(refused.contains("another judge decided about the run"), "{refused}");
    let failed = record(of, judged("fail", "ashlar-judge@v1")).await.unwrap();
    assert_eq!((failed.evidence.complete, failed.evidence.passed), (true, CASES as u64 - 1));
    let recorded = record(of, judged("pass", "ashlar-judge@v1")).await.unwrap();
    assert_eq!((recorded.evidence.complete, recorded.evidence.passed), (true, CASES as u64));
    assert_eq!(recorded.candidate.unwrap().status, "passed");
}

#[tokio::test]
async fn only_what_can_change_answers_waits_for_a_run() {
    let world = World::new().await;
    world.push(&[]).await;
    let (first, gate) = world.candidate().await;
    assert_eq!(gate.status, GateStatus::Pass);
    assert_eq!(
        lines(&gate),
        ["Warning eval-evidence-missing evals/s.toml: No run of the suite `s` covers this."]
    );
    world.run(first, &[]).await;
    world.promote(first).await.unwrap();

    // What answers are not made of.
    world.put("note", "Somewhere else").await;
    world.push(&[("redirects.toml", "")]).await;
    let (_, gate) = world.candidate().await;
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Pass, Vec::new()));
    assert_eq!(gate.metrics["unchanged"], 1.0);
    world.release().await;

    // Content is advice unless the suite says otherwise.
    world.put("guide", "Another answer").await;
    let (_, gate) = world.candidate().await;
    assert_eq!(gate.status, GateStatus::Pass);
    assert_eq!(lines(&gate), [""; 0]);
    assert_eq!(gate.summary, "1 suite, 1 not asked about the new content: OK");
    let strict = format!("{SUITE}[gate]\ncontent = 'required'\n");
    world.push(&[("evals/s.toml", &strict)]).await;
    let (_, gate) = world.candidate().await;
    let said = "No run of the suite `s` covers this; these changed: the content of the index `product`.";
    assert_eq!(lines(&gate), [format!("Error eval-evidence-missing evals/s.toml: {said}")]);

    // A prompt waits.
    world.push(&SECOND).await;
    let (candidate, gate) = world.candidate().await;
    assert_eq!(gate.status, GateStatus::Fail);
    assert!(gate.findings[0].message.contains("the prompt `answer`"), "{gate:?}");
    let help = format!("run `ashlar eval run --suite s --of {candidate} --submit`");
    assert_eq!(gate.findings[0].help, help);
    assert_eq!(world.promote(candidate).await.unwrap_err().code(), "gates-failed");
    world.waive(candidate).await;
}

#[tokio::test]
async fn what_is_served_is_compared_with_or_the_last_release_that_has_a_run() {
    let world = World::new().await;
    world.push(&[]).await;
    world.evaluated(&[3]).await;
    // Editors publish without a run, twice.
    for title in ["Another answer", "Yet another answer"] {
        world.put("guide", title).await;
        world.release().await;
    }
    world.push(&SECOND).await;
    let (worse, _) = world.candidate().await;
    let gate = world.run(worse, &[3, 4, 5, 6, 7, 8, 9, 10, 11]).await;
    let said = "Error eval-regression evals/s.toml: `pass_rate` goes from 95.0 % in c1 to 55.0 %, over 20 cases that both runs have. That is more than chance.";
    assert_eq!(gate.status, GateStatus::Fail);
    assert!(lines(&gate).contains(&said.to_owned()), "{gate:#?}");
    // The same is found when the candidate is judged again, and when it is promoted.
    let again = world.engine.run(&world.ctx, Rejudge { candidate: worse }).await.unwrap();
    assert_eq!(lines(&evals(again.gates)), lines(&gate));
    assert_eq!(world.promote(worse).await.unwrap_err().code(), "gates-failed");
    assert_eq!(world.run(worse, &[3]).await.status, GateStatus::Pass);
    world.promote(worse).await.unwrap();
}

#[tokio::test]
async fn a_suite_that_was_never_run_is_run_for_what_is_served_first() {
    let world = World::new().await;
    // Nothing is served that has the suite.
    world.push(&[]).await;
    world.release().await;
    let help = |gate: &GateReport| gate.findings.iter().map(|f| f.help.clone()).collect::<Vec<_>>();
    let said = "eval-baseline-missing evals/s.toml: No run of the suite `s` covers r1, which is served, so nothing shows whether answers become worse.";

    // A change of content is advice.
    world.put("guide", "Another answer").await;
    let (candidate, gate) = world.candidate().await;
    assert_eq!(lines(&gate), [""; 0]);
    let gate = world.run(candidate, &[]).await;
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Pass, vec![format!("Warning {said}")]));

    world.push(&SECOND).await;
    let (candidate, gate) = world.candidate().await;
    let run = format!("run `ashlar eval run --suite s --of {candidate} --submit`");
    let run_served = "run `ashlar eval run --suite s --of r1 --submit`";
    assert_eq!(help(&gate), [run_served, &run]);
    let gate = world.run(candidate, &[4, 5, 6, 7, 8, 9]).await;
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Fail, vec![format!("Error {said}")]));
    assert_eq!(world.promote(candidate).await.unwrap_err().code(), "gates-failed");

    world.record(RunOf::Release("r1".parse().unwrap()), self::run(&[])).await.unwrap();
    let again = world.engine.run(&world.ctx, Rejudge { candidate }).await.unwrap();
    assert!(lines(&evals(again.gates)).iter().any(|line| line.contains("eval-regression")));
    assert_eq!(world.run(candidate, &[4]).await.status, GateStatus::Pass);
    world.promote(candidate).await.unwrap();

    // A suite that is new has nothing to be compared with.
    let other = cases().replace("thing", "other thing");
    world.push(&[&SECOND[..], &[("evals/t.toml", SUITE), ("evals/t.jsonl", &other)]].concat()).await;
    let (_, gate) = world.candidate().await;
    assert_eq!(
        lines(&gate),
        ["Error eval-evidence-missing evals/t.toml: No run of the suite `t` covers this."]
    );
}

#[tokio::test]
async fn a_candidate_does_not_set_the_rules_that_judge_it() {
    let world = World::new().await;
    world.push(&[]).await;
    world.evaluated(&[]).await;
    // Demands are the stricter ones of both.
    let advice = format!("{SUITE}[gate]\ndefinitions = 'advice'\n");
    world.push(&[&SECOND[..], &[("evals/s.toml", &advice)]].concat()).await;
    let (_, gate) = world.candidate().await;
    assert_eq!(gate.status, GateStatus::Fail);
    assert!(lines(&gate)[0].starts_with("Error eval-evidence-missing"), "{gate:?}");

    // A case stays critical until a release says otherwise.
    let tame = cases().replacen("\"critical\":true", "\"critical\":false", 1);
    assert_ne!(tame, cases());
    world.push(&[("evals/s.jsonl", &tame)]).await;
    let (candidate, _) = world.candidate().await;
    let gate = world.run_of(candidate, &tame, &[0]).await;
    assert!(
        lines(&gate).iter().any(|line| line.starts_with("Error eval-critical evals/s.jsonl:1: The critical case `c0` fails")),
        "{gate:?}"
    );
    assert_eq!(world.run_of(candidate, &tame, &[]).await.status, GateStatus::Pass);

    // It does not go without a reason, and neither does the suite.
    let fewer: String = cases().lines().skip(1).map(|line| format!("{line}\n")).collect();
    world.push(&[("evals/s.jsonl", &fewer)]).await;
    let (candidate, _) = world.candidate().await;
    let gate = world.run_of(candidate, &fewer, &[]).await;
    let said = "Error eval-critical-removed evals/s.jsonl: The critical case `c0` is removed, so nothing shows when it fails.";
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Fail, vec![said.to_owned()]));
    let mut without = Files::new();
    files(&[]).iter().filter(|(path, _)| !path.starts_with("evals/")).for_each(|(path, bytes)| {
        without.insert(path, bytes.to_vec()).unwrap();
    });
    world.engine.run(&world.ctx, PushDefinitions { files: without.clone() }).await.unwrap();
    let (_, gate) = world.candidate().await;
    let said =
        "Error eval-suite-removed evals/s.toml: The suite `s` is removed, so nothing waits for it any more.";
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Fail, vec![said.to_owned()]));

    // Once it is served that the suite is advice, it may go.
    let advice = format!("{SUITE}[gate]\ndefinitions = 'advice'\ncontent = 'advice'\n");
    world.push(&[("evals/s.toml", &advice)]).await;
    world.release().await;
    world.engine.run(&world.ctx, PushDefinitions { files: without }).await.unwrap();
    let (_, gate) = world.candidate().await;
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Pass, vec![said.replace("Error", "Warning")]));
}

#[tokio::test]
async fn a_run_opens_the_gate_or_says_what_became_worse() {
    let world = World::new().await;
    world.push(&[]).await;
    let (first, _) = world.candidate().await;
    assert_eq!(world.run(first, &[3]).await.status, GateStatus::Pass);
    world.promote(first).await.unwrap();

    world.push(&SECOND).await;
    let (worse, _) = world.candidate().await;
    let gate = world.run(worse, &[0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]).await;
    let found = lines(&gate);
    let has = |text: &str| assert!(found.iter().any(|line| line.contains(text)), "{text}: {found:#?}");
    assert_eq!(gate.status, GateStatus::Fail);
    has(
        "Error eval-threshold evals/s.toml:6: `pass_rate` of c2 is 40.0 %; it must be at least 50.0 %. Worse than before: c0, c4, c5, c6, c7 and 6 more.",
    );
    has("Error eval-critical evals/s.jsonl:1: The critical case `c0` fails: ");
    has(
        "Error eval-regression evals/s.toml: `pass_rate` goes from 95.0 % in c1 to 40.0 %, over 20 cases that both runs have. That is more than chance.",
    );
    has("Warning eval-case-worse evals/s.jsonl:5: The case `c4` passes less often than in c1: ");
    assert!(!found.iter().any(|line| line.contains("`c3`")), "it failed before: {found:#?}");
    assert_eq!(world.promote(worse).await.unwrap_err().code(), "gates-failed");

    // One case more may be chance.
    let gate = world.run(worse, &[3, 4]).await;
    assert_eq!(gate.status, GateStatus::Pass);
    assert_eq!(lines(&gate).len(), 1, "{gate:?}");

    // Going back needs no run: the evidence is there.
    world.run(worse, &[0]).await;
    world.push(&[("prompts/answer/v2.md", BRIEF), ("prompts.toml", "[prompts.answer]\nactive = 1\n")]).await;
    let (back, gate) = world.candidate().await;
    assert_eq!((gate.status, lines(&gate)), (GateStatus::Pass, Vec::new()));
    world.promote(back).await.unwrap();
    // And the worse one is refused at once when it comes again.
    world.push(&SECOND).await;
    let (_, gate) = world.candidate().await;
    assert!(lines(&gate).iter().any(|line| line.contains("eval-critical")), "{gate:?}");
}

#[tokio::test]
async fn thresholds_are_those_of_the_candidate_and_evidence_stays() {
    let world = World::new().await;
    world.push(&[]).await;
    let (first, _) = world.candidate().await;
    world.run(first, &[3]).await;
    world.promote(first).await.unwrap();
    let strict = SUITE.replace("0.5", "0.99");
    world.push(&[("evals/s.toml", &strict)]).await;
    let (_, gate) = world.candidate().await;
    assert_eq!(
        lines(&gate),
        ["Error eval-threshold evals/s.toml:6: `pass_rate` of c1 is 95.0 %; it must be at least 99.0 %."]
    );
    let advice = format!("{strict}[gate]\ndefinitions = 'advice'\n");
    world.push(&[("evals/s.toml", &advice)]).await;
    let (advised, gate) = world.candidate().await;
    assert_eq!((gate.status, gate.findings.len()), (GateStatus::Fail, 1), "what is served demands a run");
    world.waive(advised).await;
    world.push(&[("evals/s.toml", &advice.replace("0.99", "0.98"))]).await;
    let (advised, gate) = world.candidate().await;
    assert_eq!((gate.status, gate.findings.len()), (GateStatus::Pass, 1));
    // What runs left is needed, also after a collection.
    world.engine.run(&world.ctx, CollectGarbage).await.unwrap();
    let again = world.engine.run(&world.ctx, Rejudge { candidate: advised }).await.unwrap();
    assert_eq!(evals(again.gates).findings.len(), 1);
}

#[tokio::test]
async fn incomplete_runs_and_runs_of_something_else_do_not_count() {
    let world = World::new().await;
    world.push(&[]).await;
    world.evaluated(&[]).await;
    world.push(&SECOND).await;
    let (candidate, _) = world.candidate().await;
    let of = RunOf::Candidate(candidate);

    let mut half = run(&[]);
    half["replies"].as_array_mut().unwrap().truncate(7);
    let recorded = world.record(of, half).await.unwrap();
    assert_eq!((recorded.evidence.verdict.as_str(), recorded.evidence.complete), ("incomplete", false));
    let gate = evals(recorded.candidate.unwrap().gates);
    assert_eq!(gate.status, GateStatus::Fail);
    assert!(
        gate.findings[0].message.contains("A run of c2 is incomplete, so it does not count."),
        "{gate:?}"
    );
    let mut stopped = run(&[]);
    stopped["stopped"] = json!("cost_cap");
    assert!(!world.record(of, stopped).await.unwrap().evidence.complete);

    let refused = async |change: &dyn Fn(&mut Value), said: &str| {
        let mut run = run(&[]);
        change(&mut run);
        let error = world.record(of, run).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    };
    refused(&|run| run["cases"] = json!("other"), "asked other cases").await;
    refused(&|run| run["replies"][0]["case"] = json!("zz"), "has no case `zz`").await;
    refused(&|run| run["replies"][1]["case"] = json!("c0"), "two replies").await;
    refused(&|run| run["replies"][0]["sample"] = json!(1), "has no sample 1").await;
    refused(&|run| run["replies"][0]["reply"] = json!(null), "neither a reply nor a reason").await;
    refused(&|run| run["replies"][0]["reply"]["release"] = json!("c1"), "answered by c1, not by c2").await;
    refused(&|run| run["replies"][0]["reply"]["prompt"] = json!("answer@v1"), "with answer@v1").await;
    refused(&|run| run["format"] = json!(2), "format 2").await;
    refused(&|run| run["figures"] = json!({"pass_rate": 1}), "unknown field").await;

    // A run says nothing about what it came to; what it says is computed.
    let recorded = world.record(of, run(&[])).await.unwrap();
    assert_eq!((recorded.evidence.verdict.as_str(), recorded.evidence.passed), ("pass", CASES as u64));
    assert_eq!(recorded.candidate.unwrap().status, "passed");
    let listed = world.engine.eval_evidence(&world.ctx, Some("s"), None).await.unwrap();
    let shown: Vec<_> = listed.items.iter().map(|e| (e.verdict.as_str(), e.of.as_str())).collect();
    assert_eq!(shown, [("pass", "c2"), ("incomplete", "c2"), ("pass", "c1")]);
}

#[tokio::test]
async fn evidence_is_recorded_by_those_who_may_and_for_their_tenant() {
    let world = World::new().await;
    world.push(&[]).await;
    world.evaluated(&[]).await;
    world.push(&SECOND).await;
    let (candidate, _) = world.candidate().await;
    let record = || RecordEvidence {
        of: RunOf::Candidate(candidate),
        suite: "s".to_owned(),
        run: run(&[]).to_string().into_bytes(),
    };
    for rights in [vec![Right::Admin], vec![Right::Release, Right::Waive, Right::Llm(None)]] {
        let ctx = Ctx::new(TenantId::main(), Actor::new("bo", rights)).unwrap();
        assert_eq!(world.engine.run(&ctx, record()).await.unwrap_err().code(), "forbidden");
    }
    let other = TenantId::new("other").unwrap();
    world.engine.run(&world.ctx, CreateTenant { tenant: other.clone(), hosts: Vec::new() }).await.unwrap();
    let stranger = Ctx::new(other, Actor::new("eve", [Right::Evals, Right::Preview])).unwrap();
    assert_eq!(world.engine.run(&stranger, record()).await.unwrap_err().code(), "not-found");

    let ci = Ctx::new(TenantId::main(), Actor::new("ci", [Right::Evals])).unwrap();
    let recorded = world.engine.run(&ci, record()).await.unwrap();
    assert_eq!(recorded.evidence.by, "ci");
    assert_eq!(recorded.candidate.unwrap().status, "passed");
    assert!(world.engine.eval_evidence(&stranger, None, None).await.unwrap().items.is_empty());
    let audit = world.engine.audit(&world.ctx, None).await.unwrap();
    let row = audit.items.iter().find(|row| row.action_name == "eval.record").unwrap();
    assert_eq!((row.actor.as_str(), row.subject.as_str()), ("ci", "s"));
    assert_eq!(row.data["document"], json!(recorded.evidence.document));
    assert!(world.engine.verify_audit(&world.ctx).await.unwrap().is_ok());
}
