//! Budgets that nodes share, records of model calls, and usage.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_model::TenantId;
use ashlar_release::{CallQuery, Engine, EraseCalls, Location, call_id};
use ashlar_store::sql::{BudgetKey, CallRow, UsageBy, UsageRow};
use common::{Clock, by, open};

fn budget(scope: &str) -> BudgetKey {
    BudgetKey { scope: scope.to_owned(), period: "2026-05-10".to_owned(), unit: "tokens".to_owned() }
}

fn call(at: &str, feature: &str, user: &str, outcome: &str) -> CallRow {
    CallRow {
        id: call_id(at.parse().unwrap()).unwrap(),
        feature: feature.to_owned(),
        key: "k1".to_owned(),
        user: user.to_owned(),
        outcome: outcome.to_owned(),
        data: format!("{{\"at\":\"{at}\"}}"),
        body: String::new(),
        body_until: String::new(),
    }
}

/// What each call of these tests uses: two thirds of the largest amount, so that sums are larger than it.
fn used(row: &CallRow) -> UsageRow {
    UsageRow {
        day: row.data[7..17].to_owned(),
        feature: row.feature.clone(),
        key: row.key.clone(),
        model: "p/m".to_owned(),
        currency: "USD".to_owned(),
        calls: 1,
        failed: u64::from(row.outcome != "ok"),
        input_tokens: 10,
        cached_tokens: 4,
        output_tokens: 5,
        pico: 6_000_000_000_000_000_001,
    }
}

fn all_used(rows: &[CallRow]) -> Vec<UsageRow> {
    rows.iter().map(used).collect()
}

async fn budgets(engine: &Engine, tenant: &TenantId) {
    let (a, b) = (budget("feature/a"), budget("feature/b"));
    let take = |_: usize, used: u64| (100 - used.min(100)).min(30);
    let before = engine.exchange_budgets(tenant, &[], &[a.clone(), b.clone()], &take).await.unwrap();
    assert_eq!(before, [0, 0]);
    let back = [(a.clone(), 10)];
    assert_eq!(
        engine.exchange_budgets(tenant, &back, &[b.clone(), a.clone()], &take).await.unwrap(),
        [30, 20]
    );
    // Nobody gets what another has taken, however many ask at once.
    let many = (0..20).map(|_| {
        let (engine, tenant, a) = (engine.clone(), tenant.clone(), a.clone());
        tokio::spawn(async move {
            let take = |_: usize, used: u64| if used + 7 <= 100 { 7 } else { 0 };
            let before = engine.exchange_budgets(&tenant, &[], &[a], &take).await.unwrap();
            take(0, before[0])
        })
    });
    let mut granted = 50;
    for one in many.collect::<Vec<_>>() {
        granted += one.await.unwrap();
    }
    let left = engine.exchange_budgets(tenant, &[], &[a], &|_, _| 0).await.unwrap();
    assert_eq!((granted, left[0]), (99, 99));
    // Budgets of another tenant are others.
    let other = TenantId::new("other").unwrap();
    assert_eq!(engine.exchange_budgets(&other, &[], &[b], &|_, _| 0).await.unwrap(), [0]);
}

async fn stored_and_summed(location: &Location) {
    let clock = Clock::new();
    clock.set("2026-05-10T12:00:00Z");
    let engine = open(location, &clock).await;
    let (main, other) = (TenantId::main(), TenantId::new("other").unwrap());
    budgets(&engine, &main).await;
    let secret = engine.llm_secret(&main).await.unwrap();
    assert_eq!(engine.llm_secret(&main).await.unwrap(), secret);
    assert_ne!(engine.llm_secret(&other).await.unwrap(), secret);

    let mut rows = vec![
        call("2026-04-01T12:00:00Z", "a", "u1", "ok"),
        call("2026-05-09T12:00:00Z", "a", "u1", "ok"),
        call("2026-05-09T12:00:01Z", "a", "u2", "rate_limited"),
        call("2026-05-10T11:00:00Z", "b", "", "ok"),
    ];
    rows[1].body = "{\"input\":\"hi\"}".to_owned();
    rows[1].body_until = "2026-05-10T00:00:00.000000Z".to_owned();
    engine.log_calls(&main, &rows, &all_used(&rows), &[]).await.unwrap();
    // A batch that is stored again, because nobody knew whether it was, is counted once.
    rows.push(call("2026-05-10T11:30:00Z", "b", "u1", "ok"));
    engine.log_calls(&main, &rows, &all_used(&rows), &[]).await.unwrap();
    engine.log_calls(&other, &rows[..1], &all_used(&rows[..1]), &[]).await.unwrap();

    let ctx = by("ed");
    let listed = async |query: CallQuery| -> Vec<String> {
        let page = engine.calls(&ctx, &query).await.unwrap();
        page.items.iter().map(|row| format!("{} {}", &row.data[7..26], row.user)).collect()
    };
    let all = listed(CallQuery::default()).await;
    assert_eq!(
        (all.len(), all[0].as_str(), all[4].as_str()),
        (5, "2026-05-10T11:30:00 u1", "2026-04-01T12:00:00 u1")
    );
    let first = engine.calls(&ctx, &CallQuery { limit: Some(2), ..CallQuery::default() }).await.unwrap();
    let next = CallQuery { limit: Some(500), cursor: first.next_cursor, ..CallQuery::default() };
    assert_eq!(
        [listed(CallQuery { limit: Some(2), ..CallQuery::default() }).await, listed(next).await].concat(),
        all
    );
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(listed(CallQuery { feature: text("b"), ..CallQuery::default() }).await.len(), 2);
    assert_eq!(listed(CallQuery { user: text("u1"), ..CallQuery::default() }).await.len(), 3);
    assert_eq!(
        listed(CallQuery { outcome: text("rate_limited"), key: text("k1"), ..CallQuery::default() })
            .await
            .len(),
        1
    );
    let (from, to) = ("2026-05-09T12:00:01Z".parse().ok(), "2026-05-10T11:30:00Z".parse().ok());
    assert_eq!(listed(CallQuery { from, to, ..CallQuery::default() }).await.len(), 2);
    assert!(engine.calls(&ctx, &CallQuery { cursor: text("x'; --"), ..CallQuery::default() }).await.is_err());

    let usage = async |by: UsageBy| engine.usage(&ctx, ("2026-05-01", "2026-05-31"), by).await.unwrap();
    let sums = usage(UsageBy::default()).await;
    assert_eq!((sums.len(), sums[0].calls, sums[0].failed), (1, 4, 1));
    assert_eq!((sums[0].input_tokens, sums[0].cached_tokens, sums[0].output_tokens), (40, 16, 20));
    assert_eq!(sums[0].pico, 4 * 6_000_000_000_000_000_001);
    let days = usage(UsageBy { day: true, feature: true, ..UsageBy::default() }).await;
    let named: Vec<(&str, &str, u64)> =
        days.iter().map(|r| (r.day.as_str(), r.feature.as_str(), r.calls)).collect();
    assert_eq!(named, [("2026-05-09", "a", 2), ("2026-05-10", "b", 2)]);
    let models = usage(UsageBy { model: true, key: true, ..UsageBy::default() }).await;
    assert_eq!((models.len(), models[0].model.as_str(), models[0].key.as_str()), (1, "p/m", "k1"));

    // What is older than its time goes; a text goes before its record.
    assert_eq!(engine.prune_calls(&main, 30).await.unwrap(), 1);
    let kept = engine.calls(&ctx, &CallQuery::default()).await.unwrap().items;
    assert!(kept.len() == 4 && kept.iter().all(|row| row.body.is_empty()));
    assert_eq!(engine.run(&ctx, EraseCalls { user: "u1".to_owned() }).await.unwrap().calls, 2);
    assert_eq!(listed(CallQuery::default()).await.len(), 2);
    // Sums stay, because they name nobody.
    assert_eq!(usage(UsageBy::default()).await[0].calls, 4);
    assert!(engine.run(&ctx, EraseCalls { user: String::new() }).await.is_err());
    engine.close().await;
}

#[tokio::test]
async fn calls_are_stored_and_summed() {
    let dir = tempfile::tempdir().unwrap();
    stored_and_summed(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn calls_are_stored_and_summed_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("llm", dir.path()) else { return };
    stored_and_summed(&location).await;
}
