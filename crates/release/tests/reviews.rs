//! Model calls that people look at: one reviewer or two, disputes, leases, tenants, retention and erasure.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_model::{Actor, Right, TenantId};
use ashlar_release::{
    Ctx, Engine, EraseCalls, GiveVerdict, Location, QueueReview, REVIEWS_WAITING_MAX, ReleaseError,
    ReviewQuery, SeenReview, VERDICT_TEXT_BYTES_MAX,
};
use ashlar_store::sql::ReviewRow;
use common::{Clock, by, open};

fn row(call: &str, feature: &str, user: &str, reviewers: u64) -> ReviewRow {
    ReviewRow {
        call: call.to_owned(),
        feature: feature.to_owned(),
        user: user.to_owned(),
        reasons: "random".to_owned(),
        reviewers,
        state: "open".to_owned(),
        keep_until: "2026-06-10T12:00:00.000000Z".to_owned(),
        data: "{}".to_owned(),
        ..ReviewRow::default()
    }
}

fn verdict(call: &str, verdict: &str) -> GiveVerdict {
    GiveVerdict {
        call: call.to_owned(),
        verdict: verdict.to_owned(),
        expected: String::new(),
        comment: format!("says {verdict}"),
    }
}

async fn give(engine: &Engine, who: &str, call: &str, says: &str) -> Result<SeenReview, ReleaseError> {
    engine.run(&by(who), verdict(call, says)).await
}

fn code(result: Result<SeenReview, ReleaseError>) -> &'static str {
    result.unwrap_err().code()
}

async fn listed(engine: &Engine, who: &str, query: ReviewQuery) -> Vec<String> {
    let page = engine.reviews(&by(who), &query).await.unwrap();
    page.items.iter().map(|seen| format!("{} {}", seen.row.call, seen.row.state)).collect()
}

/// Long because it tells one story.
async fn reviewed(location: &Location) {
    let clock = Clock::new();
    clock.set("2026-05-10T12:00:00Z");
    let engine = open(location, &clock).await;
    let (main, other) = (TenantId::main(), TenantId::new("other").unwrap());
    let rows = [row("a1", "support", "u1", 1), row("a2", "support", "u2", 2), row("a3", "sales", "u1", 2)];
    assert_eq!(engine.log_calls(&main, &[], &[], &rows).await.unwrap(), 0);
    // A batch that is stored again changes nothing.
    engine.log_calls(&main, &[], &[], &rows).await.unwrap();
    engine.log_calls(&other, &[], &[], &[row("a1", "support", "u1", 1)]).await.unwrap();
    assert_eq!(listed(&engine, "ana", ReviewQuery::default()).await, ["a3 open", "a2 open", "a1 open"]);
    let sales = ReviewQuery { feature: Some("sales".to_owned()), ..ReviewQuery::default() };
    assert_eq!(listed(&engine, "ana", sales).await, ["a3 open"]);

    // One reviewer: the verdict is final.
    let done = give(&engine, "ana", "a1", "wrong").await.unwrap();
    assert_eq!((done.row.state.as_str(), done.row.verdict.as_str(), done.mine), ("done", "wrong", true));
    assert_eq!(code(give(&engine, "ben", "a1", "correct").await), "already-reviewed");

    // Two reviewers: nobody gives both verdicts, and the second one does not see the first.
    let first = give(&engine, "ana", "a2", "correct").await.unwrap();
    assert_eq!((first.row.state.as_str(), first.verdicts.len()), ("open", 1));
    assert_eq!(code(give(&engine, "ana", "a2", "wrong").await), "reviewed-twice");
    let blind = engine.review(&by("ben"), "a2").await.unwrap();
    assert_eq!((blind.verdicts.len(), blind.mine, blind.row.first.as_str()), (0, false, ""));
    let own = engine.review(&by("ana"), "a2").await.unwrap();
    assert_eq!((own.verdicts.len(), own.mine), (1, true));
    // What she has judged is not offered to her again.
    let mine = ReviewQuery { open_to_me: true, ..ReviewQuery::default() };
    assert_eq!(listed(&engine, "ana", mine.clone()).await, ["a3 open"]);
    assert_eq!(listed(&engine, "ben", mine.clone()).await, ["a3 open", "a2 open"]);

    // Who took a review is alone with it, for a while.
    let taken = engine.take_review(&by("ben"), Some("a2"), None).await.unwrap().unwrap();
    assert_eq!(taken.row.lease_by, "ben");
    assert_eq!(code(give(&engine, "cid", "a2", "correct").await), "review-taken");
    assert!(engine.take_review(&by("cid"), Some("a2"), None).await.is_err());
    assert_eq!(engine.take_review(&by("cid"), None, Some("support")).await.unwrap(), None);
    assert_eq!(engine.take_review(&by("cid"), None, None).await.unwrap().unwrap().row.call, "a3");
    clock.set("2026-05-10T12:20:00Z");
    assert_eq!(engine.take_review(&by("cid"), None, Some("support")).await.unwrap().unwrap().row.call, "a2");
    clock.set("2026-05-10T12:41:00Z");

    // They disagree: a third person sees both and decides.
    let second = give(&engine, "ben", "a2", "wrong").await.unwrap();
    assert_eq!((second.row.state.as_str(), second.verdicts.len()), ("disputed", 2));
    assert_eq!(code(give(&engine, "ben", "a2", "wrong").await), "reviewed-twice");
    assert_eq!(code(give(&engine, "ana", "a2", "wrong").await), "reviewed-twice");
    let offered = engine.take_review(&by("cid"), None, None).await.unwrap().unwrap();
    assert_eq!((offered.row.call.as_str(), offered.verdicts.len()), ("a2", 2), "disputed ones come first");
    let third = give(&engine, "cid", "a2", "partly").await.unwrap();
    assert_eq!(
        (third.row.state.as_str(), third.row.verdict.as_str(), third.row.given),
        ("done", "partly", 3)
    );
    assert_eq!(third.verdicts.iter().map(|v| v.reviewer.as_str()).collect::<Vec<_>>(), ["ana", "ben", "cid"]);

    // Two that agree are final.
    give(&engine, "ana", "a3", "unsafe").await.unwrap();
    assert_eq!(give(&engine, "ben", "a3", "unsafe").await.unwrap().row.verdict, "unsafe");

    let sums = engine.review_sums(&by("ana"), Some("support"), None).await.unwrap();
    let sums: Vec<String> =
        sums.iter().map(|s| format!("{}/{}/{} {}", s.first, s.second, s.verdict, s.count)).collect();
    assert_eq!(sums, ["correct/wrong/partly 1", "wrong//wrong 1"]);

    // What is wrong is refused, and rights are checked below HTTP.
    assert_eq!(code(give(&engine, "ana", "zz", "wrong").await), "not-found");
    assert_eq!(code(give(&engine, "ana", &"x".repeat(5_000), "wrong").await), "not-found");
    assert_eq!(code(give(&engine, "dan", "a1", "good").await), "invalid-input");
    let long = GiveVerdict { comment: "x".repeat(VERDICT_TEXT_BYTES_MAX + 1), ..verdict("a1", "wrong") };
    assert_eq!(code(engine.run(&by("dan"), long).await), "invalid-input");
    let reader = Ctx::new(main.clone(), Actor::new("k", [Right::Preview])).unwrap();
    assert!(engine.reviews(&reader, &ReviewQuery::default()).await.is_err());
    assert!(engine.review(&reader, "a1").await.is_err());
    assert!(engine.take_review(&reader, None, None).await.is_err());
    assert_eq!(code(engine.run(&reader, verdict("a1", "wrong")).await), "forbidden");
    let reviewer = Ctx::new(main.clone(), Actor::new("k", [Right::Review])).unwrap();
    assert!(engine.review(&reviewer, "a1").await.is_ok());
    assert_eq!(code(engine.run(&reviewer, QueueReview { row: row("a4", "s", "", 1) }).await), "forbidden");
    assert_eq!(
        code(engine.run(&by("ana"), QueueReview { row: row("a1", "s", "", 1) }).await),
        "already-queued"
    );
    let bad = ReviewQuery { cursor: Some("x'; --".to_owned()), ..ReviewQuery::default() };
    assert!(engine.reviews(&by("ana"), &bad).await.is_err());

    // The other tenant has its own.
    let there = Ctx::new(other.clone(), Actor::local("ana")).unwrap();
    let of_other = engine.reviews(&there, &ReviewQuery::default()).await.unwrap().items;
    assert_eq!(of_other.iter().map(|seen| seen.row.state.as_str()).collect::<Vec<_>>(), ["open"]);
    assert!(engine.review(&there, "a2").await.is_err());

    // Erasing a user takes the reviews of their calls, and time takes the rest.
    let erased = engine.run(&by("ana"), EraseCalls { user: "u1".to_owned() }).await.unwrap();
    assert_eq!((erased.calls, erased.reviews), (0, 2));
    assert_eq!(listed(&engine, "ana", ReviewQuery::default()).await, ["a2 done"]);
    assert_eq!(engine.reviews(&there, &ReviewQuery::default()).await.unwrap().items.len(), 1);
    assert_eq!(engine.prune_reviews(&main).await.unwrap(), 0);
    clock.set("2026-06-11T12:00:00Z");
    assert_eq!(engine.prune_reviews(&main).await.unwrap(), 1);
    assert_eq!(listed(&engine, "ana", ReviewQuery::default()).await, [""; 0]);
    // Nothing that was said stays behind: a call of the same name begins anew.
    engine.log_calls(&main, &[], &[], &[row("a2", "support", "", 2)]).await.unwrap();
    assert!(!engine.review(&by("ana"), "a2").await.unwrap().mine);
    engine.close().await;
}

#[tokio::test]
async fn calls_are_reviewed() {
    let dir = tempfile::tempdir().unwrap();
    reviewed(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn calls_are_reviewed_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("reviews", dir.path()) else { return };
    reviewed(&location).await;
}

#[tokio::test]
async fn the_queue_is_bounded_and_one_of_two_at_once_wins() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let engine = open(&Location::embedded(dir.path()), &clock).await;
    let main = TenantId::main();
    let many: Vec<ReviewRow> =
        (0..REVIEWS_WAITING_MAX + 5).map(|n| row(&format!("{n:08x}"), "support", "", 1)).collect();
    assert_eq!(engine.log_calls(&main, &[], &[], &many).await.unwrap(), 5);
    assert_eq!(engine.log_calls(&main, &[], &[], &[row("ff", "support", "", 1)]).await.unwrap(), 1);
    // Of many who take and judge at once, each gets a review of their own.
    let each = (0..16).map(|n| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let who = format!("p{n}");
            let taken = engine.take_review(&by(&who), None, None).await.unwrap().unwrap();
            give(&engine, &who, &taken.row.call, "correct").await.unwrap().row.call
        })
    });
    let mut calls = std::collections::BTreeSet::new();
    for one in each.collect::<Vec<_>>() {
        calls.insert(one.await.unwrap());
    }
    assert_eq!(calls.len(), 16);
    engine.close().await;
}
