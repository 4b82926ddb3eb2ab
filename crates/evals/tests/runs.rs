//! Runs: what is asked, what counts, what a stop leaves.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_evals::{
    Metric,
    run::{CaseStatus, Options, Outcome, Recorder, Recording, Replay, RunStatus, Stopped},
    suite::Caps,
};
use common::{Answers, cites, fails, options, ran, recorded, refuses, says, suite};

const CASES: &str = r#"{"id":"price","input":"What does Basin cost?","critical":true,"expect":{"answer":"must","facts":[["159 EUR","159.00 EUR"]],"not":["149 EUR"],"cites":["plan/basin"]}}
{"id":"refuse","input":"Who won?","tags":["hard"],"expect":{"answer":"must_not"}}
{"id":"form","input":"Give a date.","tags":["hard"],"expect":{"matches":["\\d{4}-\\d{2}-\\d{2}"]}}"#;

fn statuses(outcome: &Outcome) -> Vec<&'static str> {
    outcome.results.iter().map(|result| result.status.name()).collect()
}

fn figure(outcome: &Outcome, metric: Metric) -> Option<f64> {
    outcome.figures.get(&metric).map(|figure| figure.value)
}

#[tokio::test]
async fn right_answers_pass() {
    let subject = Answers::of([
        ("price", cites("Basin costs 159.00 EUR.", "plan/basin")),
        ("refuse", refuses("not_covered")),
        ("form", says("On 2027-03-01.")),
    ]);
    let outcome =
        ran(&suite("[thresholds]\npass_rate = { min = 1 }\nfacts = { min = 1 }", CASES), &subject).await;
    assert_eq!((outcome.status, statuses(&outcome)), (RunStatus::Pass, vec!["pass"; 3]));
    let one = Some(1.0);
    for metric in [Metric::PassRate, Metric::Facts, Metric::RefusalCorrectness, Metric::CitationCoverage] {
        assert_eq!(figure(&outcome, metric), one, "{metric:?}");
    }
    assert_eq!(figure(&outcome, Metric::CriticalFailures), Some(0.0));
    assert_eq!(figure(&outcome, Metric::ContractValidity), None);
    // Two of the three answers cite nothing or are refusals.
    assert_eq!(figure(&outcome, Metric::CitationRate), Some(0.5));
}

#[tokio::test]
async fn wrong_answers_fail_with_their_reasons() {
    let subject = Answers::of([
        ("price", cites("Basin costs 149 EUR.", "plan/jetty")),
        ("refuse", says("Ireland.")),
        ("form", says("Tomorrow.")),
    ]);
    let outcome = ran(&suite("", CASES), &subject).await;
    assert_eq!((outcome.status, statuses(&outcome)), (RunStatus::Fail, vec!["fail"; 3]));
    let reasons: Vec<String> = outcome.results.iter().flat_map(|result| result.reasons()).collect();
    assert_eq!(
        reasons,
        [
            "The answer does not say “159 EUR”.",
            "The answer says “149 EUR”, which the case forbids.",
            "The answer does not cite plan/basin.",
            "It was answered, and must be refused.",
            "The answer does not match `\\d{4}-\\d{2}-\\d{2}`.",
        ]
    );
    // A critical failure breaks the bound that every suite has.
    let broken: Vec<Metric> =
        outcome.thresholds.iter().filter(|t| !t.pass).map(|t| t.threshold.metric).collect();
    assert_eq!(broken, [Metric::CriticalFailures]);
    assert_eq!(figure(&outcome, Metric::RefusalRecall), Some(0.0));
}

#[tokio::test]
async fn a_case_that_cannot_be_asked_is_no_pass() {
    let subject = Answers::of([
        ("price", fails(false)),
        ("refuse", fails(true)),
        ("refuse", refuses("not_covered")),
        ("form", says("On 2027-03-01.")),
    ]);
    let outcome = ran(&suite("", CASES), &subject).await;
    assert_eq!((outcome.status, statuses(&outcome)), (RunStatus::Incomplete, vec!["error", "pass", "pass"]));
    // What may pass is asked again, what may not is not, and a wrong answer never is.
    assert_eq!((subject.times("price"), subject.times("refuse"), subject.times("form")), (1, 2, 1));
    assert_eq!(outcome.results[0].reasons(), ["The provider failed. (upstream_error)"]);
}

#[tokio::test]
async fn known_failures_count_in_figures_and_expire() {
    let cases = |until: &str| {
        format!(
            r#"{{"id":"a","input":"x","critical":true,"known_failure":{{"until":"{until}","why":"w"}},"expect":{{"facts":["y"]}}}}"#
        )
    };
    let subject = || Answers::of([("a", says("no"))]);
    let known = ran(&suite("", &cases("2027-03-01")), &subject()).await;
    assert_eq!((known.status, statuses(&known)), (RunStatus::Pass, vec!["known_failure"]));
    assert_eq!(figure(&known, Metric::Facts), Some(0.0));
    let expired = ran(&suite("", &cases("2027-02-28")), &subject()).await;
    assert_eq!((expired.status, statuses(&expired)), (RunStatus::Fail, vec!["fail"]));
    assert_eq!(expired.results[0].reasons()[1], "It was a known failure until 2027-02-28: w");
}

#[tokio::test]
async fn samples_that_disagree_are_unstable_and_do_not_pass() {
    let subject = Answers::of([("a", says("y")), ("a", says("n")), ("a", says("y")), ("a", says("y"))]);
    let one = r#"{"id":"a","input":"x","expect":{"facts":["y"]}}"#;
    let outcome = ran(&suite("samples = 4", one), &subject).await;
    assert_eq!((statuses(&outcome), outcome.counts.unstable), (vec!["fail"], 1));
    assert_eq!((figure(&outcome, Metric::PassRate), outcome.results[0].samples.len()), (Some(0.75), 4));
}

#[tokio::test]
async fn a_threshold_of_a_figure_that_no_case_has_is_broken() {
    let subject = Answers::of([("a", says("y"))]);
    let one = r#"{"id":"a","input":"x","expect":{"facts":["y"]}}"#;
    let outcome = ran(&suite("[thresholds]\ncontract_validity = { min = 0.1 }", one), &subject).await;
    assert_eq!(outcome.status, RunStatus::Fail);
}

fn many(n: usize) -> String {
    (0..n)
        .map(|at| format!("{{\"id\":\"c{at}\",\"input\":\"q{at}\",\"expect\":{{\"facts\":[\"y\"]}}}}\n"))
        .collect()
}

fn costing(n: usize) -> Answers {
    const IDS: [&str; 12] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11"];
    let reply = |id| {
        let mut reply = says("y").unwrap();
        reply.cost = "0.10".parse().unwrap();
        (id, Ok(reply))
    };
    Answers::of(IDS.into_iter().take(n).map(reply))
}

#[tokio::test]
async fn a_cap_of_money_keeps_what_was_judged() {
    let caps = Caps { cost: Some("0.35".parse().unwrap()), seconds: None };
    let subject = costing(12);
    let with = Options { caps, concurrency: 2, ..options() };
    let outcome = recorded(&suite("", &many(12)), &subject, &with, &mut []).await;
    assert_eq!((outcome.status, outcome.stopped), (RunStatus::Incomplete, Some(Stopped::CostCap)));
    // The cap is reached with the fourth reply, and one more was under way.
    let asked = subject.asked.lock().unwrap().len();
    assert!((4..=5).contains(&asked), "{asked}");
    assert_eq!((outcome.counts.passed, outcome.counts.not_asked), (asked, 12 - asked));
    assert_eq!(outcome.results[11].status, CaseStatus::NotAsked);
}

#[tokio::test]
async fn a_cap_of_time_drops_what_is_under_way() {
    let caps = Caps { cost: None, seconds: Some(1) };
    let subject = Answers { never_from: Some(6), ..costing(12) };
    let with = Options { caps, concurrency: 3, ..options() };
    let outcome = recorded(&suite("", &many(12)), &subject, &with, &mut []).await;
    assert_eq!((outcome.status, outcome.stopped), (RunStatus::Incomplete, Some(Stopped::TimeCap)));
    assert_eq!((outcome.counts.passed, outcome.counts.not_asked), (6, 6));
    // Three were under way, and no more.
    assert_eq!(subject.asked.lock().unwrap().len(), 9);
}

#[tokio::test]
async fn a_stopped_run_goes_on_and_asks_nobody_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replies.jsonl");
    let suite = suite("", &many(12));
    let caps = Caps { cost: Some("0.50".parse().unwrap()), seconds: None };
    let first = costing(12);
    let with = Options { caps, concurrency: 1, ..options() };
    recorded(&suite, &first, &with, &mut [Recorder::open(&path, true).unwrap()]).await;
    // The process died in the middle of a line.
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 5);
    std::fs::write(&path, &text[..text.len() - 40]).unwrap();
    let known = Recording::read(&path).unwrap();
    assert_eq!(known.len(), 4);
    let second = costing(12);
    let with = Options { known, ..options() };
    let outcome = recorded(&suite, &second, &with, &mut [Recorder::open(&path, true).unwrap()]).await;
    assert_eq!((outcome.status, outcome.resumed, outcome.counts.passed), (RunStatus::Pass, 4, 12));
    assert_eq!(second.asked.lock().unwrap().len(), 8);
    assert_eq!(Recording::read(&path).unwrap().len(), 12);
}

#[tokio::test]
async fn a_replay_gives_the_same_and_knows_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replies.jsonl");
    let asked = suite("", CASES);
    let subject = Answers::of([
        ("price", cites("Basin costs 149 EUR.", "plan/basin")),
        ("refuse", refuses("not_covered")),
        ("form", says("On 2027-03-01.")),
    ]);
    let live = recorded(&asked, &subject, &options(), &mut [Recorder::open(&path, false).unwrap()]).await;
    let replay = |setting: &str| Replay::new(Recording::read(&path).unwrap(), setting.to_owned());
    let again = recorded(&asked, &replay("feature support"), &options(), &mut []).await;
    assert_eq!((statuses(&again), again.figures), (statuses(&live), live.figures));
    let changed = suite("", &CASES.replace("Who won?", "Who lost?"));
    let lacks = recorded(&changed, &replay("feature support"), &options(), &mut []).await;
    assert_eq!((lacks.status, statuses(&lacks)), (RunStatus::Incomplete, vec!["fail", "error", "pass"]));
    let other = recorded(&asked, &replay("feature support prompt other@v1"), &options(), &mut []).await;
    assert_eq!(statuses(&other), ["error"; 3]);
}

#[tokio::test]
async fn a_run_over_two_releases_has_no_verdict() {
    let mut promoted = says("On 2027-03-01.");
    promoted.as_mut().unwrap().release = "r2".to_owned();
    let mut price = cites("Basin costs 159 EUR.", "plan/basin");
    price.as_mut().unwrap().release = "r1".to_owned();
    let subject = Answers::of([("price", price), ("refuse", refuses("not_covered")), ("form", promoted)]);
    let outcome = ran(&suite("", CASES), &subject).await;
    assert_eq!((outcome.status, outcome.stopped), (RunStatus::Incomplete, Some(Stopped::ReleaseChanged)));
    assert_eq!(
        (outcome.releases.as_slice(), outcome.counts.passed),
        (&["r1".to_owned(), "r2".to_owned()][..], 3)
    );
}

#[test]
fn a_file_that_is_no_recording_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    std::fs::write(&path, "{\"key\":\"a\",\"case\":\"b\",\"reply\":{}}\nnonsense\n").unwrap();
    let error = Recording::read(&path).unwrap_err().to_string();
    assert!(error.contains("x.jsonl:2: this is no reply"), "{error}");
}
