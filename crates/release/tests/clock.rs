//! Schedules by the clock: time zones, days that are 23 or 25 hours long, and workers that were down.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use ashlar_model::ReleaseId;
use ashlar_release::{
    AddToChangeset, CancelSchedule, ChangesetView, CreateChangeset, Engine, PushDefinitions, PutEntry,
    ReleaseError, ScheduleChangeset,
};
use common::{Clock, by, definitions, key, open_dir};
use serde_json::json;

struct Site {
    clock: Clock,
    engine: Engine,
    _dir: tempfile::TempDir,
}

impl Site {
    /// A site with definitions, at this time.
    async fn at(time: &str) -> Self {
        let (clock, dir) = (Clock::new(), tempfile::tempdir().unwrap());
        clock.set(time);
        let engine = open_dir(dir.path(), &clock).await;
        engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
        Self { clock, engine, _dir: dir }
    }

    /// A changeset with one new entry of the same name.
    async fn changeset(&self, name: &str) {
        let (engine, alice) = (&self.engine, by("alice"));
        let fields = json!({"t": name}).as_object().unwrap().clone();
        let put = PutEntry { key: key(name, "en"), fields, expected_version: None, major: None };
        engine.run(&alice, put).await.unwrap();
        engine.run(&alice, CreateChangeset { name: name.to_owned(), title: String::new() }).await.unwrap();
        let add = AddToChangeset { name: name.to_owned(), keys: vec![key(name, "en")] };
        engine.run(&alice, add).await.unwrap();
    }

    async fn schedule(
        &self,
        name: &str,
        publish: &str,
        unpublish: Option<&str>,
        zone: &str,
    ) -> Result<ChangesetView, ReleaseError> {
        let schedule = ScheduleChangeset {
            name: name.to_owned(),
            publish_at: publish.to_owned(),
            unpublish_at: unpublish.map(str::to_owned),
            zone: Some(zone.to_owned()),
        };
        self.engine.run(&by("ops"), schedule).await
    }

    /// What a round at this time does.
    async fn tick(&self, time: &str) -> Vec<String> {
        self.clock.set(time);
        let tick = self.engine.tick().await.unwrap();
        assert!(tick.failed.is_empty() && tick.unread.is_empty() && tick.unrepaired.is_empty(), "{tick:?}");
        tick.done
    }

    async fn state(&self, name: &str) -> (String, String) {
        let shown = self.engine.changeset(&by("ops"), name).await.unwrap();
        (shown.state, shown.message)
    }

    /// The notes of all releases, the first one first.
    async fn notes(&self) -> Vec<String> {
        let releases = self.engine.releases(&by("ops"), None).await.unwrap().items;
        releases.into_iter().rev().map(|r| r.note).collect()
    }
}

fn utc(view: &ChangesetView) -> (String, Option<String>) {
    let short = |t: &str| t.parse::<jiff::Timestamp>().unwrap().to_string();
    (short(view.publish_at.as_deref().unwrap()), view.unpublish_at.as_deref().map(short))
}

#[tokio::test]
async fn a_local_time_is_the_moment_that_clocks_in_its_zone_show() {
    let site = Site::at("2026-01-01T00:00:00Z").await;
    site.changeset("sale").await;
    for (local, zone, moment) in [
        ("2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00:00Z"),
        ("2026-07-01T09:00", "Europe/Berlin", "2026-07-01T07:00:00Z"),
        ("2026-12-01T09:00", "America/New_York", "2026-12-01T14:00:00Z"),
        ("2026-12-01T09:00", "Asia/Kolkata", "2026-12-01T03:30:00Z"),
        ("2026-12-01T00:30", "Pacific/Auckland", "2026-11-30T11:30:00Z"),
        ("2028-02-29T09:00", "UTC", "2028-02-29T09:00:00Z"),
        // An offset of its own wins over the zone.
        ("2026-12-01T09:00:00+05:30", "Europe/Berlin", "2026-12-01T03:30:00Z"),
    ] {
        let view = site.schedule("sale", local, None, zone).await.unwrap();
        assert_eq!(utc(&view).0, moment, "{local} in {zone}");
        assert_eq!(view.zone, zone);
    }
    for (local, zone) in [
        ("2027-02-29T09:00", "UTC"),
        ("2026-13-01T09:00", "UTC"),
        ("2026-12-01T25:00", "UTC"),
        ("2026-12-01T09:00", "Europe/Atlantis"),
        ("2026-12-01T09:00", ""),
        ("", "UTC"),
    ] {
        let refused = site.schedule("sale", local, None, zone).await.unwrap_err();
        assert_eq!(refused.code(), "invalid-input", "{local} in {zone}: {refused}");
        assert!(refused.help().contains("Europe/Berlin"), "{}", refused.help());
    }
}

#[tokio::test]
async fn an_hour_that_is_skipped_counts_from_the_end_of_the_gap() {
    let site = Site::at("2026-03-28T00:00:00Z").await;
    site.changeset("sale").await;
    // At 02:00 clocks in Berlin go to 03:00. 02:30 is read as 03:30.
    let view = site.schedule("sale", "2026-03-29T02:30", Some("2026-03-29T12:00"), "Europe/Berlin").await;
    assert_eq!(utc(&view.unwrap()), ("2026-03-29T01:30:00Z".into(), Some("2026-03-29T10:00:00Z".into())));
    assert!(site.tick("2026-03-29T01:29:59Z").await.is_empty());
    assert_eq!(site.tick("2026-03-29T01:30:00Z").await, ["sale"]);
    // So an end at 03:15 would come before it.
    site.changeset("other").await;
    let refused = site.schedule("other", "2026-03-29T02:30", Some("2026-03-29T03:15"), "Europe/Berlin").await;
    assert_eq!(refused.unwrap_err().code(), "invalid-input");
}

#[tokio::test]
async fn an_hour_that_comes_twice_counts_the_first_time_unless_it_says_otherwise() {
    let site = Site::at("2026-10-24T00:00:00Z").await;
    site.changeset("sale").await;
    // At 03:00 clocks in Berlin go back to 02:00.
    let view = site.schedule("sale", "2026-10-25T02:30", None, "Europe/Berlin").await.unwrap();
    assert_eq!(utc(&view).0, "2026-10-25T00:30:00Z");
    let view = site.schedule("sale", "2026-10-25T02:30:00+01:00", None, "Europe/Berlin").await.unwrap();
    assert_eq!(utc(&view).0, "2026-10-25T01:30:00Z");
    // From noon to noon are 25 hours.
    let noons = ("2026-10-24T12:00", Some("2026-10-25T12:00"));
    let view = site.schedule("sale", noons.0, noons.1, "Europe/Berlin").await.unwrap();
    assert_eq!(utc(&view), ("2026-10-24T10:00:00Z".into(), Some("2026-10-25T11:00:00Z".into())));
    assert_eq!(site.tick("2026-10-24T10:00:00Z").await, ["sale"]);
    assert!(site.tick("2026-10-25T10:59:59Z").await.is_empty());
    assert_eq!(site.tick("2026-10-25T11:00:00Z").await, ["sale"]);
    assert_eq!(site.state("sale").await.0, "ended");
}

#[tokio::test]
async fn a_worker_that_was_down_over_both_times_publishes_and_takes_down_once_each() {
    let site = Site::at("2026-05-01T08:00:00Z").await;
    site.changeset("sale").await;
    site.schedule("sale", "2026-05-01T09:00:00Z", Some("2026-05-01T18:00:00Z"), "UTC").await.unwrap();
    // It comes back three days later.
    assert_eq!(site.tick("2026-05-04T09:00:00Z").await, ["sale"]);
    let late = 3 * 24 * 3600;
    assert_eq!(site.state("sale").await, ("published".into(), format!("ran {late} seconds late")));
    assert_eq!(site.tick("2026-05-04T09:00:01Z").await, ["sale"]);
    assert_eq!(site.state("sale").await.0, "ended");
    for time in ["2026-05-04T09:00:02Z", "2026-05-05T09:00:00Z", "2026-05-01T09:00:00Z"] {
        assert!(site.tick(time).await.is_empty(), "{time}");
    }
    let notes = site.notes().await;
    assert_eq!(notes, ["schedule publishes the changeset sale", "schedule takes down the changeset sale"]);
    assert_eq!(site.engine.release(&by("ops"), ReleaseId(2)).await.unwrap().entries, 0);
    let draft = site.engine.draft(&by("ops"), &key("sale", "en")).await.unwrap();
    assert_eq!((draft.state.as_str(), draft.pending, draft.changeset), ("unpublished", false, None));
}

#[tokio::test]
async fn taking_down_leaves_the_definitions_that_are_live() {
    let site = Site::at("2026-05-01T08:00:00Z").await;
    site.changeset("sale").await;
    site.schedule("sale", "2026-05-01T09:00:00Z", Some("2026-05-01T18:00:00Z"), "UTC").await.unwrap();
    assert_eq!(site.tick("2026-05-01T09:00:00Z").await, ["sale"]);
    site.engine.run(&by("dev"), PushDefinitions { files: definitions("not released") }).await.unwrap();
    assert_eq!(site.tick("2026-05-01T18:00:00Z").await, ["sale"]);
    let [published, taken_down] = [1, 2].map(ReleaseId);
    let before = site.engine.manifest(&by("ops"), published).await.unwrap();
    let after = site.engine.manifest(&by("ops"), taken_down).await.unwrap();
    assert_ne!(before.snapshot, after.snapshot);
    assert_eq!(before.definitions, after.definitions);
}

#[tokio::test]
async fn missed_schedules_run_in_the_order_of_their_times() {
    let site = Site::at("2026-05-01T08:00:00Z").await;
    for (name, time) in [
        ("third", "2026-05-03T09:00:00Z"),
        ("first", "2026-05-01T09:00:00Z"),
        ("second", "2026-05-02T09:00:00Z"),
    ] {
        site.changeset(name).await;
        site.schedule(name, time, None, "UTC").await.unwrap();
    }
    let counts = site.engine.schedule_counts().await.unwrap();
    assert_eq!((counts.overdue, counts.oldest), (0, None));
    site.clock.set("2026-05-02T10:00:00Z");
    assert_eq!(site.engine.schedule_counts().await.unwrap().overdue, 2);
    assert_eq!(site.tick("2026-05-09T09:00:00Z").await, ["first", "second", "third"]);
    let notes = site.notes().await;
    let order = ["first", "second", "third"].map(|n| format!("schedule publishes the changeset {n}"));
    assert_eq!(notes, order);
    assert_eq!(site.engine.release(&by("ops"), ReleaseId(3)).await.unwrap().entries, 3);
}

#[tokio::test]
async fn an_overdue_schedule_that_is_moved_or_cancelled_does_not_run() {
    let site = Site::at("2026-05-01T08:00:00Z").await;
    for name in ["moved", "cancelled"] {
        site.changeset(name).await;
        site.schedule(name, "2026-05-01T09:00:00Z", None, "UTC").await.unwrap();
    }
    site.clock.set("2026-05-01T12:00:00Z");
    let shown = site.engine.changeset(&by("ops"), "moved").await.unwrap();
    assert_eq!(shown.overdue_seconds, Some(3 * 3600));
    site.schedule("moved", "2026-05-02T09:00:00Z", None, "UTC").await.unwrap();
    site.engine.run(&by("ops"), CancelSchedule { name: "cancelled".to_owned() }).await.unwrap();
    assert!(site.tick("2026-05-01T12:00:01Z").await.is_empty());
    assert_eq!(site.tick("2026-05-02T09:00:30Z").await, ["moved"]);
    assert_eq!(site.state("moved").await, ("published".into(), String::new()), "half a minute is not late");
    assert_eq!(site.state("cancelled").await.0, "open");
}
