//! Cases with rubrics: who decides about them, what that costs, how it is repeated, and how far it agrees with people.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use ashlar_evals::{
    Metric, Subject, Unasked,
    judge::{Judge, Judging, Said, calibrate, setting},
    run::{CaseStatus, Options, Outcome, Recorder, Recording, Replay, RunStatus, Stopped},
    suite::{Caps, JudgeRoute, Message, Suite},
};
use ashlar_gateway::price::Money;
use ashlar_model::Files;
use common::{Answers, TOML, lines, options, read, recorded, refuses, says};

const JUDGE: &str = "[judge]\nroute = 'strong'\n";
const CASES: &str = r#"{"id":"good","input":"a","expect":{"rubric":"Is kind"}}
{"id":"bad","input":"b","expect":{"rubric":"Is kind"}}
{"id":"sorry","input":"c","expect":{"rubric":"Is kind"}}
{"id":"plain","input":"d","expect":{"facts":["rude"]}}
"#;

/// Answers `pass` when the answer has the word "kind", and is sometimes down.
#[derive(Default)]
struct Kind {
    asked: AtomicUsize,
    down: bool,
    /// Says `pass` the first time and `fail` the second time.
    wavers: bool,
}

impl Judge for Kind {
    async fn ask(&self, messages: &[Message]) -> Result<Said, Unasked> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down {
            let (code, message) = ("provider_unavailable".to_owned(), "It is down.".to_owned());
            return Err(Unasked { code, message, again: false });
        }
        let texts = &messages[1].content;
        let answer = texts.split("<<answer").nth(1).unwrap().split("<<end of answer").next().unwrap();
        let pass = if self.wavers { number.is_multiple_of(2) } else { answer.contains("kind") };
        let verdict = if pass { "pass" } else { "fail" };
        let text = format!("{{\"reason\": \"The tone.\", \"verdict\": \"{verdict}\"}}");
        Ok(Said { text, cost: "0.25".parse().unwrap() })
    }
}

fn answers() -> Answers {
    let sorry =
        refuses("not_covered").map(|reply| ashlar_evals::Reply { reason: "A kind no.".to_owned(), ..reply });
    Answers::of([
        ("good", says("A kind word.")),
        ("bad", says("Go away.")),
        ("sorry", sorry),
        ("plain", says("How rude.")),
    ])
}

fn suite(more: &str) -> Suite {
    read(&format!("{TOML}{more}{JUDGE}"), CASES).unwrap().0
}

async fn judged(suite: &Suite, judge: &Kind, options: &Options, recorders: &mut [Recorder]) -> Outcome {
    let route = suite.judge.as_ref().unwrap();
    let subject = answers();
    recorded(suite, &Judging::new(subject, judge, route), options, recorders).await
}

fn statuses(outcome: &Outcome) -> Vec<CaseStatus> {
    outcome.results.iter().map(|result| result.status).collect()
}

#[tokio::test]
async fn a_judge_decides_by_rubrics_and_is_paid() {
    let suite = suite("");
    assert_eq!(suite.judge, Some(JudgeRoute { route: "strong".to_owned(), feature: "support".to_owned() }));
    let judge = Kind::default();
    let outcome = judged(&suite, &judge, &options(), &mut []).await;
    use CaseStatus::{Fail, Pass};
    assert_eq!(statuses(&outcome), [Pass, Fail, Pass, Pass]);
    let reasons = outcome.results[1].reasons();
    assert_eq!(reasons, ["The judge says that the answer fails: The tone."]);
    let figure = outcome.figures[&Metric::Rubric];
    assert_eq!((figure.cases, (figure.value * 3.0).round()), (3, 2.0));
    // Three cases with a rubric, each asked twice; the case without one is not judged.
    assert_eq!(judge.asked.load(Ordering::SeqCst), 6);
    assert_eq!(outcome.cost, "1.5".parse::<Money>().unwrap());
}

#[tokio::test]
async fn a_judge_that_is_down_or_wavers_passes_nothing() {
    let suite = suite("");
    let down = judged(&suite, &Kind { down: true, ..Kind::default() }, &options(), &mut []).await;
    use CaseStatus::{Error, Fail, Pass};
    assert_eq!(statuses(&down), [Error, Error, Error, Pass]);
    assert_eq!(down.status, RunStatus::Incomplete);
    let options = Options { concurrency: 1, ..options() };
    let wavering = judged(&suite, &Kind { wavers: true, ..Kind::default() }, &options, &mut []).await;
    assert_eq!(statuses(&wavering), [Fail, Fail, Fail, Pass]);
    assert!(
        wavering.results[0].reasons()[0].contains("another order"),
        "{:?}",
        wavering.results[0].reasons()
    );
}

#[tokio::test]
async fn nobody_judging_passes_nothing() {
    let outcome = recorded(&suite(""), &answers(), &options(), &mut []).await;
    use CaseStatus::{Fail, Pass};
    assert_eq!(statuses(&outcome), [Fail, Fail, Fail, Pass]);
}

#[tokio::test]
async fn judging_counts_towards_the_cap() {
    let caps = Caps { cost: Some("0.5".parse().unwrap()), seconds: None };
    let options = Options { concurrency: 1, caps, ..options() };
    let outcome = judged(&suite(""), &Kind::default(), &options, &mut []).await;
    assert_eq!((outcome.stopped, outcome.counts.not_asked), (Some(Stopped::CostCap), 3));
}

#[tokio::test]
async fn a_recording_has_the_verdicts_and_asks_no_judge() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    let suite = suite("");
    let mut recorders = [Recorder::open(&file, false).unwrap()];
    let first = judged(&suite, &Kind::default(), &options(), &mut recorders).await;
    let route = suite.judge.as_ref().unwrap();
    let recording = Recording::read(&file).unwrap();
    let of = setting(answers().setting(), route);
    let again = recorded(&suite, &Replay::new(recording.clone(), of), &options(), &mut []).await;
    assert_eq!((statuses(&again), again.figures), (statuses(&first), first.figures));
    // Another rubric and another judge are other questions.
    let other = read(&format!("{TOML}{JUDGE}"), &CASES.replace("Is kind", "Is brief")).unwrap().0;
    let of = setting(answers().setting(), route);
    let lacks = recorded(&other, &Replay::new(recording.clone(), of), &options(), &mut []).await;
    assert_eq!(lacks.counts.errors, 3);
    let route = JudgeRoute { route: "weak".to_owned(), ..route.clone() };
    let of = setting(answers().setting(), &route);
    let lacks = recorded(&suite, &Replay::new(recording, of), &options(), &mut []).await;
    assert_eq!(lacks.counts.errors, 4);
}

const LABELS: &str = r#"{"id":"1","question":"q","rubric":"Is kind","answer":"A kind word.","pass":true,"by":"ada"}
// Ada and the judge differ.
{"id":"2","question":"q","rubric":"Is kind","answer":"You are welcome.","pass":true,"by":"ada"}
{"id":"3","question":"q","rubric":"Is kind","answer":"Go away.","pass":false}
{"id":"4","question":"q","rubric":"Is kind","answer":"Not kind at all.","pass":false}
"#;

fn labelled(labels: &str) -> Result<Suite, Vec<String>> {
    let mut files = Files::new();
    files.insert("evals/s.toml", format!("{TOML}{JUDGE}").into_bytes()).unwrap();
    files.insert("evals/s.jsonl", CASES.as_bytes().to_vec()).unwrap();
    files.insert("evals/s.labels.jsonl", labels.as_bytes().to_vec()).unwrap();
    Suite::read(&files, "s").map(|(suite, _)| suite).map_err(|findings| lines(&findings))
}

#[tokio::test]
async fn agreement_with_labels_is_measured_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("replies.jsonl");
    let suite = labelled(LABELS).unwrap();
    let route = suite.judge.as_ref().unwrap();
    let mut recorders = [Recorder::open(&file, false).unwrap()];
    let by = calibrate(&suite, route, Some(&Kind::default()), &options(), &mut recorders).await.unwrap();
    let found = by.calibration.unwrap();
    assert_eq!((found.labelled, found.no_verdict), (4, 0));
    let agreement = found.agreement.unwrap();
    // Labels 1 and 3 agree, 2 and 4 do not; each says half of them pass.
    assert!((agreement.agreed - 0.5).abs() < 1e-12 && agreement.kappa.abs() < 1e-12, "{agreement:?}");
    assert!(by.about().contains("agrees with people on 50.0 % of 4 labels: κ 0.00"), "{}", by.about());
    let known = Options { known: Recording::read(&file).unwrap(), ..options() };
    let again = calibrate(&suite, route, None::<&Kind>, &known, &mut []).await.unwrap();
    assert_eq!(again, by);
    let down = Kind { down: true, ..Kind::default() };
    let none = calibrate(&suite, route, Some(&down), &options(), &mut []).await.unwrap();
    assert_eq!(none.calibration.map(|found| (found.labelled, found.no_verdict)), Some((4, 4)));
}

#[test]
fn wrong_labels_and_cases_that_nobody_can_decide_are_named() {
    let check = |labels: &str, wanted: &str| {
        let found = labelled(labels).unwrap_err();
        assert!(found.iter().any(|line| line.contains(wanted)), "{wanted}: {found:?}");
    };
    check("{}", "evals/s.labels.jsonl:1 /id: The label has no id.");
    check("{}", "evals/s.labels.jsonl:1 /pass: The label does not say whether the answer passes.");
    check("{\"id\":\"1\",\"rubrik\":\"x\"}", "did you mean `rubric`?");
    check("{\"id\":\"1\"", "evals/s.labels.jsonl:1: Column 9");
    check(&format!("{LABELS}{LABELS}"), "evals/s.labels.jsonl:6 /id: The id `1` is used in line 1.");
    let found = lines(&read(TOML, CASES).unwrap_err());
    assert!(found[0].contains("evals/s.jsonl:1 /expect/rubric: No judge decides by the rubric"), "{found:?}");
    let found = lines(&read(&format!("{TOML}[judge]\n"), CASES).unwrap_err());
    assert!(found[0].contains("Missing field `route`"), "{found:?}");
}
