//! Runs of suites: leases, outcomes that are written once, caps, schedules, and what is deleted.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_model::{Actor, Digest, EvalRunId, ReleaseId, Right, TenantId};
use ashlar_release::{
    At, CancelEvalRun, CreateTenant, Ctx, EndEvalRun, Engine, Location, ReleaseError, StartEvalRun,
};
use ashlar_store::sql::{EvalOutcomeRow, EvalRunRow, NewEvalCase};
use common::{Clock, by, open};
use serde_json::json;

fn start(suite: &str, replies: u32) -> StartEvalRun {
    StartEvalRun {
        suite: suite.to_owned(),
        subject: At::Release(ReleaseId(1)),
        definitions: Digest::of(b"definitions"),
        slot: String::new(),
        settings: json!({"today": "2026-11-22"}),
        cases: (0..replies).map(|n| NewEvalCase { case: format!("case-{n}"), sample: 0 }).collect(),
        cost_max: 0,
        seconds_max: None,
    }
}

fn outcome(run: EvalRunId, number: u64, says: &str) -> EvalOutcomeRow {
    EvalOutcomeRow { run, number, outcome: says.to_owned(), passed: true, error: false, cost: 5 }
}

fn end(run: EvalRunId, verdict: &str, drift: bool) -> EndEvalRun {
    EndEvalRun {
        run,
        verdict: verdict.to_owned(),
        why: String::new(),
        summary: "{}".to_owned(),
        drift,
        data: json!({"broken": []}),
    }
}

fn of(tenant: &str, name: &str) -> Ctx {
    Ctx::new(TenantId::new(tenant).unwrap(), Actor::local(name)).unwrap()
}

async fn leased(engine: &Engine, run: EvalRunId, limit: u32) -> Vec<u64> {
    let leased = engine.lease_eval_cases(&TenantId::main(), run, limit, "given up").await.unwrap();
    leased.into_iter().map(|case| case.number).collect()
}

async fn row(engine: &Engine, run: EvalRunId) -> EvalRunRow {
    engine.eval_run(&by("ed"), run).await.unwrap()
}

async fn kinds(engine: &Engine) -> Vec<String> {
    let events = engine.events(&by("ed"), 0, None).await.unwrap().items;
    events.into_iter().map(|event| event.kind).filter(|kind| kind.starts_with("eval.")).collect()
}

async fn two_nodes_share_a_run(location: &Location) {
    let clock = Clock::new();
    let (a, b) = (open(location, &clock).await, open(location, &clock).await);
    let main = TenantId::main();
    let run = a.run(&by("ed"), start("support", 5)).await.unwrap().id;
    assert_eq!(run.to_string(), "e1");
    assert_eq!((leased(&a, run, 2).await, leased(&b, run, 2).await), (vec![0, 1], vec![2, 3]));
    // A lease that is renewed stays, one that is not runs out with the process that had it.
    clock.pass(10);
    b.renew_eval_cases(&main).await.unwrap();
    clock.pass(10);
    assert_eq!(leased(&b, run, 10).await, [0, 1, 4]);
    // The first to write an outcome has written it, whoever has the lease.
    let late = a.put_eval_outcomes(&main, &mut [outcome(run, 0, "from a")]).await.unwrap();
    assert_eq!(late, 1);
    let mut all: Vec<_> = (0..5).map(|number| outcome(run, number, "from b")).collect();
    assert_eq!(b.put_eval_outcomes(&main, &mut all).await.unwrap(), 4);
    let said = a.eval_outcomes(&main, run, 0, 10).await.unwrap();
    let said: Vec<&str> = said.iter().map(|(_, said)| said.as_str()).collect();
    assert_eq!(said, ["from a", "from b", "from b", "from b", "from b"]);
    let counted = row(&a, run).await;
    assert_eq!((counted.done, counted.passed, counted.errors, counted.cost), (5, 5, 0, 25));
    // One node ends it.
    let (first, second) = (a.lease_eval_end(&main, &counted).await, b.lease_eval_end(&main, &counted).await);
    assert_eq!((first.unwrap(), second.unwrap()), (true, false));
    assert!(a.run(&by("ed"), end(run, "pass", false)).await.unwrap());
    assert!(!b.run(&by("ed"), end(run, "fail", true)).await.unwrap());
    let ended = row(&b, run).await;
    assert_eq!((ended.state.as_str(), ended.verdict.as_str()), ("ended", "pass"));
    assert_eq!(kinds(&a).await, ["eval.started", "eval.finished"]);
    assert!(a.running_evals().await.unwrap().is_empty());
    for engine in [a, b] {
        engine.close().await;
    }
}

#[tokio::test]
async fn two_nodes_share_a_run_and_one_may_die() {
    let dir = tempfile::tempdir().unwrap();
    two_nodes_share_a_run(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn two_nodes_share_a_run_and_one_may_die_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("evals", dir.path()) else { return };
    two_nodes_share_a_run(&location).await;
}

async fn caps_and_turns(location: &Location) {
    let clock = Clock::new();
    let engine = open(location, &clock).await;
    let main = TenantId::main();
    // A case at which processes die is given up.
    let run = engine.run(&by("ed"), start("deadly", 1)).await.unwrap().id;
    for _ in 0..3 {
        assert_eq!(leased(&engine, run, 1).await, [0]);
        clock.pass(16);
    }
    assert!(leased(&engine, run, 1).await.is_empty());
    let given = row(&engine, run).await;
    assert_eq!((given.done, given.errors, given.passed), (1, 1, 0));
    assert_eq!(engine.eval_outcomes(&main, run, 0, 9).await.unwrap(), [(0, "given up".to_owned())]);

    // With the cap of money, what is under way is awaited.
    let run = engine.run(&by("ed"), StartEvalRun { cost_max: 8, ..start("dear", 9) }).await.unwrap().id;
    assert_eq!(leased(&engine, run, 3).await, [0, 1, 2]);
    let mut some = [outcome(run, 0, "x"), outcome(run, 1, "x")];
    engine.put_eval_outcomes(&main, &mut some).await.unwrap();
    assert!(leased(&engine, run, 3).await.is_empty());
    assert!(!engine.lease_eval_end(&main, &row(&engine, run).await).await.unwrap());
    engine.put_eval_outcomes(&main, &mut [outcome(run, 2, "x")]).await.unwrap();
    assert!(engine.lease_eval_end(&main, &row(&engine, run).await).await.unwrap());
    engine.run(&by("ed"), end(run, "incomplete", false)).await.unwrap();

    // With the cap of time, it is not, and what comes late counts no more.
    let slow = StartEvalRun { seconds_max: Some(30), ..start("slow", 2) };
    let run = engine.run(&by("ed"), slow).await.unwrap().id;
    assert_eq!(leased(&engine, run, 1).await, [0]);
    clock.pass(31);
    assert!(engine.lease_eval_end(&main, &row(&engine, run).await).await.unwrap());
    engine.run(&by("ed"), end(run, "incomplete", false)).await.unwrap();
    assert_eq!(engine.put_eval_outcomes(&main, &mut [outcome(run, 0, "late")]).await.unwrap(), 0);

    // A turn of a schedule has one run, and none while another of the suite goes on.
    let turn = |slot: &str| StartEvalRun { slot: slot.to_owned(), ..start("support", 1) };
    let first = engine.run(&by("ed"), turn("weekly:1")).await.unwrap();
    assert_eq!(first.reason, "schedule");
    let refused = |error: ReleaseError| error.code();
    assert_eq!(engine.run(&by("ed"), turn("weekly:2")).await.map_err(refused).unwrap_err(), "suite-running");
    engine.put_eval_outcomes(&main, &mut [outcome(first.id, 0, "x")]).await.unwrap();
    engine.run(&by("ed"), end(first.id, "pass", false)).await.unwrap();
    assert_eq!(engine.run(&by("ed"), turn("weekly:1")).await.map_err(refused).unwrap_err(), "turn-taken");
    let second = engine.run(&by("ed"), turn("weekly:2")).await.unwrap();
    engine.run(&by("ed"), end(second.id, "fail", true)).await.unwrap();
    assert_eq!(kinds(&engine).await.last().unwrap(), "eval.drift");
    let before = engine.last_scheduled_eval(&by("ed"), "support", second.id).await.unwrap();
    assert_eq!(before.unwrap().id, first.id);
    let newest = engine.last_scheduled_eval(&by("ed"), "support", EvalRunId(99)).await.unwrap();
    assert_eq!(newest.unwrap().id, second.id);

    // Answers go first, then figures; the newest of a schedule stays, and so does what goes on.
    clock.pass(91 * 86_400);
    assert_eq!(engine.prune_evals(&main).await.unwrap(), 9 + 2 + 1 + 1);
    assert!(engine.eval_outcomes(&main, second.id, 0, 9).await.unwrap().is_empty());
    assert_eq!(engine.eval_runs(&by("ed"), "", None, None).await.unwrap().items.len(), 5);
    clock.pass(800 * 86_400);
    engine.prune_evals(&main).await.unwrap();
    let left = engine.eval_runs(&by("ed"), "", None, None).await.unwrap().items;
    let left: Vec<(String, String)> = left.into_iter().map(|run| (run.id.to_string(), run.state)).collect();
    let is = |id: &str, state: &str| (id.to_owned(), state.to_owned());
    assert_eq!(left, [is("e5", "ended"), is("e1", "running")]);
    engine.close().await;
}

#[tokio::test]
async fn caps_end_runs_and_turns_have_one_run() {
    let dir = tempfile::tempdir().unwrap();
    caps_and_turns(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn caps_end_runs_and_turns_have_one_run_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("evalcaps", dir.path()) else { return };
    caps_and_turns(&location).await;
}

#[tokio::test]
async fn a_stop_in_good_order_gives_leases_back() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let location = Location::embedded(dir.path());
    let run = {
        let engine = open(&location, &clock).await;
        let run = engine.run(&by("ed"), start("support", 3)).await.unwrap().id;
        assert_eq!(leased(&engine, run, 3).await, [0, 1, 2]);
        engine.close().await;
        run
    };
    // Ten stops do not count as deaths.
    for _ in 0..10 {
        let engine = open(&location, &clock).await;
        assert_eq!(leased(&engine, run, 3).await, [0, 1, 2]);
        engine.close().await;
    }
}

#[tokio::test]
async fn runs_belong_to_their_tenant_and_need_rights() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let engine = open(&Location::embedded(dir.path()), &clock).await;
    let other = TenantId::new("other").unwrap();
    engine.run(&by("ed"), CreateTenant { tenant: other.clone(), hosts: Vec::new() }).await.unwrap();
    let run = engine.run(&by("ed"), start("support", 2)).await.unwrap().id;
    let theirs = engine.run(&of("other", "eve"), start("support", 1)).await.unwrap().id;
    assert_eq!(theirs, run, "each tenant counts its own runs");
    assert_eq!(engine.eval_run(&of("other", "eve"), theirs).await.unwrap().replies, 1);
    let leased = engine.lease_eval_cases(&other, run, 10, "").await.unwrap();
    assert_eq!(leased.len(), 1);
    // What another tenant writes under the same number is its own.
    engine
        .put_eval_outcomes(&other, &mut [outcome(run, 0, "theirs"), outcome(run, 1, "theirs")])
        .await
        .unwrap();
    assert!(engine.eval_outcomes(&TenantId::main(), run, 0, 10).await.unwrap().is_empty());
    engine.run(&of("other", "eve"), CancelEvalRun { run }).await.unwrap();
    assert_eq!(row(&engine, run).await.state, "running");
    let again = engine.run(&of("other", "eve"), CancelEvalRun { run }).await.unwrap_err();
    assert_eq!(again.code(), "run-ended");
    assert_eq!(engine.running_evals().await.unwrap().len(), 1);

    let reader = Ctx::new(TenantId::main(), Actor::new("reader", [Right::Preview])).unwrap();
    for refused in [
        engine.run(&reader, start("support", 1)).await.map(drop),
        engine.run(&reader, CancelEvalRun { run }).await.map(drop),
        engine.run(&reader, end(run, "pass", false)).await.map(drop),
    ] {
        assert!(matches!(refused, Err(ReleaseError::Forbidden { .. })), "{refused:?}");
    }
    assert!(engine.eval_run(&reader, run).await.is_ok());
    let nobody = Ctx::new(TenantId::main(), Actor::new("nobody", [Right::Read])).unwrap();
    assert!(engine.eval_runs(&nobody, "", None, None).await.is_err());
    assert!(engine.eval_summary(&nobody, run).await.is_err());
    // Too many, none, and too long.
    for _ in 1..20 {
        engine.run(&by("ed"), start("support", 1)).await.unwrap();
    }
    let refused = engine.run(&by("ed"), start("support", 1)).await.unwrap_err();
    assert_eq!(refused.code(), "too-many-runs");
    assert_eq!(engine.run(&by("ed"), start("support", 0)).await.unwrap_err().code(), "invalid-input");
    assert_eq!(engine.run(&by("ed"), start("support", 20_001)).await.unwrap_err().code(), "invalid-input");
    // Pages.
    let page = engine.eval_runs(&by("ed"), "support", None, Some(15)).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor.is_some()), (15, true));
    let rest = engine.eval_runs(&by("ed"), "", page.next_cursor.as_deref(), Some(15)).await.unwrap();
    assert_eq!((rest.items.len(), rest.next_cursor), (5, None));
}
