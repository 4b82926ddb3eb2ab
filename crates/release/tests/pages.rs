//! Long lists come in pages, and the pages together are the list.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_release::{
    AddToChangeset, ChangesetView, CreateChangeset, Page, PushDefinitions, PutEntry, ReleaseError,
    ScheduleChangeset,
};
use common::{Clock, START, by, definitions, key, open_dir};
use jiff::Timestamp;
use serde_json::json;

const CHANGESETS: usize = 205;

async fn all(
    read: impl AsyncFn(Option<&str>) -> Result<Page<ChangesetView>, ReleaseError>,
) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let page = read(cursor.as_deref()).await.unwrap();
        pages += 1;
        names.extend(page.items.into_iter().map(|c| c.changeset));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return (names, pages);
        }
    }
}

#[tokio::test]
async fn changesets_and_schedules_come_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let engine = open_dir(dir.path(), &clock).await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("1") }).await.unwrap();
    let fields = json!({"t": "home"}).as_object().unwrap().clone();
    let put = PutEntry { key: key("home", "en"), fields, expected_version: None, major: Some(1) };
    engine.run(&by("alice"), put).await.unwrap();
    // All are made in the same moment, so only names tell them apart.
    for number in 0..CHANGESETS {
        let create = CreateChangeset { name: format!("c{number:03}"), title: String::new() };
        engine.run(&by("alice"), create).await.unwrap();
    }
    let (names, pages) = all(async |at| engine.changesets(&by("ops"), at).await).await;
    let expected: Vec<String> = (0..CHANGESETS).map(|n| format!("c{n:03}")).collect();
    assert_eq!((names, pages), (expected, 3));

    let add = AddToChangeset { name: "c007".to_owned(), keys: vec![key("home", "en")] };
    engine.run(&by("alice"), add).await.unwrap();
    let at = Timestamp::from_second(START + 86_400).unwrap().to_string();
    let schedule =
        ScheduleChangeset { name: "c007".to_owned(), publish_at: at, unpublish_at: None, zone: None };
    engine.run(&by("ops"), schedule).await.unwrap();
    let (planned, _) = all(async |at| engine.planned_changesets(&by("ops"), at).await).await;
    assert_eq!(planned, ["c007"]);

    let wrong = engine.changesets(&by("ops"), Some("nobody")).await.unwrap_err().to_string();
    assert!(wrong.contains("cursor"), "{wrong}");
}
