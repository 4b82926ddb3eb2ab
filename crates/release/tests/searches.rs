//! The log of searches: what it counts, and what it deletes.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_model::TenantId;
use ashlar_release::{Location, LoggedSearch};
use common::{Clock, by, open};

fn search(at: &str, caller: &str, query: &str, found: u64) -> LoggedSearch {
    let (at, caller, query) = (at.parse().unwrap(), caller.to_owned(), query.to_owned());
    LoggedSearch {
        at,
        caller,
        query,
        locale: "en".to_owned(),
        found: Some(found),
        clicked: (String::new(), 0),
    }
}

async fn counted_and_deleted(location: &Location) {
    let clock = Clock::new();
    clock.set("2026-05-10T12:00:00Z");
    let engine = open(location, &clock).await;
    let (main, other) = (TenantId::main(), TenantId::new("other").unwrap());
    let click = |at: &str, position: u64| LoggedSearch {
        found: None,
        clicked: ("guide/tides".to_owned(), position),
        ..search(at, "a", "tide", 0)
    };
    let rows = vec![
        search("2026-04-01T12:00:00Z", "a", "old", 1),
        search("2026-05-09T12:00:00Z", "a", "tide", 3),
        search("2026-05-09T12:00:01Z", "b", "tide", 0),
        search("2026-05-10T11:00:00Z", "", "crane", 0),
        // The second is of the same day, the third of another.
        click("2026-05-09T12:00:02Z", 1),
        click("2026-05-09T13:00:02Z", 2),
        click("2026-05-10T01:00:02Z", 1),
    ];
    engine.log_searches(&main, rows).await.unwrap();
    engine.log_searches(&other, vec![search("2026-05-10T11:00:00Z", "z", "secret", 0)]).await.unwrap();

    let stats = engine.search_stats(&by("ed"), 7, 10).await.unwrap();
    assert_eq!((stats.searches, stats.without_results, stats.clicks, stats.callers), (3, 2, 2, 2));
    assert_eq!(stats.click_through, Some(2.0 / 3.0));
    let named = |list: &[ashlar_store::sql::QueryFigures]| -> Vec<(String, u64, u64, u64)> {
        list.iter().map(|q| (q.query.clone(), q.searches, q.without_results, q.clicks)).collect()
    };
    assert_eq!(named(&stats.queries), [("tide".to_owned(), 2, 1, 2), ("crane".to_owned(), 1, 1, 0)]);
    assert_eq!(named(&stats.failing), [("crane".to_owned(), 1, 1, 0), ("tide".to_owned(), 2, 1, 2)]);
    assert_eq!(engine.search_stats(&by("ed"), 7, 1).await.unwrap().queries.len(), 1);
    assert_eq!(engine.search_stats(&by("ed"), 365, 10).await.unwrap().searches, 4);

    // What is older than its time goes, and without a log everything does, of this tenant alone.
    assert_eq!(engine.prune_searches(&main, 30).await.unwrap(), 1);
    assert_eq!(engine.prune_searches(&main, 30).await.unwrap(), 0);
    assert_eq!(engine.prune_searches(&main, 0).await.unwrap(), 5);
    assert_eq!(engine.search_stats(&by("ed"), 365, 10).await.unwrap().searches, 0);
    assert_eq!(engine.prune_searches(&other, 0).await.unwrap(), 1);
    engine.close().await;
}

#[tokio::test]
async fn searches_are_counted_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    counted_and_deleted(&Location::embedded(dir.path())).await;
}

#[tokio::test]
async fn searches_are_counted_and_deleted_on_postgresql() {
    let dir = tempfile::tempdir().unwrap();
    let Some(location) = common::postgres("searches", dir.path()) else { return };
    counted_and_deleted(&location).await;
}
