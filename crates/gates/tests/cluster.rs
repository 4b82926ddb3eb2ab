//! Several processes on one installation: schedules run once, what an approval covers, and actions that nobody waits for.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use ashlar_gates::Checker;
use ashlar_model::{
    Actor, CandidateId, ChannelName, ContractName, EntryId, EntryKey, Fields, Files, Finding, GateReport,
    Locale, ReleaseId, Right, Rules, TenantId, TypeName,
};
use ashlar_release::{
    AddToChangeset, Approve, ChangesetView, ChannelState, CreateCandidate, CreateChangeset, CreateKey, Ctx,
    Engine, ImportBundle, Judge, JudgeInput, Judgement, KeyRing, Location, Promote, Promoted,
    PushDefinitions, PutEntry, ReleaseError, RequiredApproval, RevokeKey, Rollback, ScheduleChangeset,
};
use ashlar_store::sql::{ChangesetRow, ChangesetState, UnsettledRow};
use jiff::Timestamp;
use serde_json::json;

/// Judges like everybody else, unless it is told to wait or to refuse.
#[derive(Default)]
struct Orders {
    checker: Checker,
    waits: AtomicBool,
    refuses: AtomicBool,
}

struct Judged(Arc<Orders>);

impl Judge for Judged {
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>> {
        self.0.checker.rules(definitions)
    }

    fn validate(
        &self,
        definitions: &Files,
        contract: &ContractName,
        fields: &Fields,
    ) -> Result<Vec<Finding>, ReleaseError> {
        self.0.checker.validate(definitions, contract, fields)
    }

    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
        while self.0.waits.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut judged = self.0.checker.judge(input)?;
        if self.0.refuses.load(Ordering::SeqCst) {
            let first = &judged.gates[0];
            judged.gates[0] = GateReport::could_not_run(&first.gate, first.inputs, "told to refuse");
        }
        Ok(judged)
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        self.0.checker.required_approvals(input)
    }
}

const START: i64 = 1_800_000_000;

struct Site {
    dir: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    orders: Arc<Orders>,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(AtomicI64::new(START)),
            orders: Arc::default(),
        }
    }

    async fn open(&self) -> Engine {
        open_at(self.dir.path(), &self.clock, &self.orders).await
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }
}

async fn open_at(dir: &Path, clock: &Arc<AtomicI64>, orders: &Arc<Orders>) -> Engine {
    let (time, judge) = (clock.clone(), Arc::new(Judged(orders.clone())));
    let now = move || Timestamp::from_second(time.load(Ordering::SeqCst)).unwrap();
    Engine::open_with_clock(&Location::embedded(dir), judge, now).await.unwrap()
}

fn by(name: &str) -> Ctx {
    Ctx::new(TenantId::main(), Actor::local(name)).unwrap()
}

fn key(id: &str) -> EntryKey {
    EntryKey {
        type_name: TypeName::new("plan").unwrap(),
        id: EntryId::new(id).unwrap(),
        locale: Locale::new("en").unwrap(),
    }
}

fn definitions(more: &str) -> Files {
    let mut files = Files::new();
    files.insert("ashlar.toml", b"name = 'x'\n".to_vec()).unwrap();
    let plan = json!({
        "type": "object",
        "x-ashlar": {"version": "1.0.0", "owner": "sales", "kind": "type", "status": "active"},
        "properties": {
            "name": {"type": "string"}, "price": {"type": "number", "x-ashlar": {"sensitivity": "pricing"}},
        },
    });
    files.insert("redirects.toml", format!("# {more}\n").into_bytes()).unwrap();
    files.insert("contracts/plan.v1.json", plan.to_string().into_bytes()).unwrap();
    files
}

async fn put(engine: &Engine, ctx: &Ctx, id: &str, fields: serde_json::Value) {
    let fields = fields.as_object().unwrap().clone();
    let put = PutEntry { key: key(id), fields, expected_version: None, major: None };
    engine.run(ctx, put).await.unwrap();
}

async fn promote(
    engine: &Engine,
    candidate: CandidateId,
    channel: Option<&str>,
) -> Result<Promoted, ReleaseError> {
    let channel = channel.map(|c| ChannelName::new(c).unwrap());
    engine.run(&by("ops"), Promote { candidate, channel, note: String::new() }).await
}

/// Freezes all drafts.
async fn freeze(engine: &Engine) -> CandidateId {
    let create = CreateCandidate { changeset: None, note: String::new() };
    engine.run(&by("ops"), create).await.unwrap().candidate
}

/// A candidate with one entry that needs no approval.
async fn frozen(engine: &Engine, more: &str) -> CandidateId {
    engine.run(&by("dev"), PushDefinitions { files: definitions(more) }).await.unwrap();
    put(engine, &by("alice"), "free", json!({"name": "Free"})).await;
    freeze(engine).await
}

async fn changeset(engine: &Engine, name: &str, entries: &[(&str, serde_json::Value)]) {
    let alice = by("alice");
    engine.run(&alice, CreateChangeset { name: name.to_owned(), title: String::new() }).await.unwrap();
    for (id, fields) in entries {
        put(engine, &alice, id, fields.clone()).await;
    }
    let keys = entries.iter().map(|(id, _)| key(id)).collect();
    engine.run(&alice, AddToChangeset { name: name.to_owned(), keys }).await.unwrap();
}

async fn schedule(engine: &Engine, name: &str, after: i64, ends: Option<i64>) -> ChangesetView {
    let at = |seconds: i64| (engine.now() + jiff::SignedDuration::from_secs(seconds)).to_string();
    let (publish_at, unpublish_at) = (at(after), ends.map(at));
    let schedule = ScheduleChangeset { name: name.to_owned(), publish_at, unpublish_at, zone: None };
    engine.run(&by("ops"), schedule).await.unwrap()
}

async fn state(engine: &Engine, name: &str) -> (String, String) {
    let shown = engine.changeset(&by("ops"), name).await.unwrap();
    (shown.state, shown.message)
}

async fn approve(engine: &Engine, name: &str) -> CandidateId {
    let create = CreateCandidate { changeset: Some(name.to_owned()), note: String::new() };
    let candidate = engine.run(&by("ops"), create).await.unwrap().candidate;
    engine.run(&by("boss"), Approve { candidate, right: "pricing".to_owned() }).await.unwrap();
    candidate
}

#[tokio::test]
async fn an_approval_covers_the_end_that_the_changeset_declares() {
    let site = Site::new();
    let engine = site.open().await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    changeset(&engine, "sale", &[("basic", json!({"name": "Basic", "price": 5}))]).await;

    // Setting the schedule says at once what would refuse it.
    let planned = schedule(&engine, "sale", 7200, Some(14_400)).await.forecast.unwrap();
    assert_eq!(planned.publish.unwrap().refused_by, ["approvals"]);
    let events = engine.events(&by("ops"), 0, None).await.unwrap().items;
    assert!(events.iter().any(|e| e.kind == "schedule.at_risk"), "{events:?}");
    assert_eq!(engine.schedule_counts().await.unwrap().at_risk, 1);

    // So does the time before it, when nothing was done about it; and it says when something was.
    site.pass(4_000);
    assert_eq!(engine.run_schedules().await.unwrap().at_risk, ["sale"]);
    approve(&engine, "sale").await;
    site.pass(400);
    assert!(engine.run_schedules().await.unwrap().at_risk.is_empty());
    assert_eq!(engine.schedule_counts().await.unwrap().at_risk, 0);

    site.pass(2_830);
    assert_eq!(engine.run_schedules().await.unwrap().done, ["sale"]);
    assert_eq!(state(&engine, "sale").await, ("published".to_owned(), String::new()));
    // A push that is not released yet does not keep it up.
    engine.run(&by("dev"), PushDefinitions { files: definitions("more") }).await.unwrap();
    site.pass(7_190);
    let tick = engine.run_schedules().await.unwrap();
    assert_eq!(tick.done, ["sale"], "{tick:?} {:?}", state(&engine, "sale").await);
    assert_eq!(state(&engine, "sale").await.0, "ended");
    let draft = engine.draft(&by("ops"), &key("basic")).await.unwrap();
    assert_eq!(draft.state, "unpublished");
}

#[tokio::test]
async fn an_end_that_nobody_approved_is_known_before_anything_is_published() {
    let site = Site::new();
    let engine = site.open().await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    changeset(&engine, "sale", &[("basic", json!({"name": "Basic", "price": 5}))]).await;
    approve(&engine, "sale").await;
    let planned = schedule(&engine, "sale", 60, None).await.forecast.unwrap();
    assert!(!planned.at_risk(), "{planned:?}");
    let planned = schedule(&engine, "sale", 60, Some(120)).await.forecast.unwrap();
    let refused = planned.publish.unwrap();
    assert_eq!(refused.refused_by, ["approvals"]);
    assert!(refused.findings[0].message.contains("is taken down at"), "{refused:?}");
}

#[tokio::test]
async fn workers_run_a_schedule_once_and_one_changeset_does_not_touch_another() {
    let site = Site::new();
    let engines = [site.open().await, site.open().await, site.open().await];
    let engine = &engines[0];
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    changeset(engine, "good", &[("free", json!({"name": "Free"}))]).await;
    changeset(engine, "bad", &[("basic", json!({"name": "Basic", "price": 5}))]).await;
    schedule(engine, "good", 60, None).await;
    schedule(engine, "bad", 50, None).await;
    // Many more were made since.
    let row = {
        let mut conn = engine.db().read(&TenantId::main()).await.unwrap();
        conn.rows().changeset("good").await.unwrap().unwrap()
    };
    let mut tx = engine.db().write(&TenantId::main()).await.unwrap();
    for n in 0..1_050 {
        let created_at = "2099-01-01T00:00:00.000000Z".to_owned();
        let (name, state) = (format!("later-{n}"), ChangesetState::Open);
        tx.rows()
            .put_changeset(&ChangesetRow { name, state, publish_at: None, created_at, ..row.clone() })
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    site.pass(100);
    let [one, two, three] = &engines;
    let (one, two, three) = tokio::join!(one.run_schedules(), two.run_schedules(), three.run_schedules());
    let ticks = [one.unwrap(), two.unwrap(), three.unwrap()];
    let done: Vec<_> = ticks.iter().flat_map(|t| &t.done).map(String::as_str).collect();
    let failed: Vec<_> = ticks.iter().flat_map(|t| &t.failed).map(|f| f.0.as_str()).collect();
    assert_eq!((done, failed), (vec!["good"], vec!["bad"]), "{ticks:?}");
    assert_eq!(state(engine, "good").await.0, "published");
    assert_eq!(engine.releases(&by("ops"), None).await.unwrap().items.len(), 1);
    assert_eq!(engine.planned_changesets(&by("ops"), None).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_restart_in_good_order_is_no_crash() {
    let site = Site::new();
    let engine = site.open().await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    changeset(&engine, "good", &[("free", json!({"name": "Free"}))]).await;
    schedule(&engine, "good", 60, None).await;
    site.pass(100);
    for _ in 0..3 {
        let engine = site.open().await;
        site.orders.waits.store(true, Ordering::SeqCst);
        let ended = tokio::time::timeout(Duration::from_millis(200), engine.run_schedules()).await;
        assert!(ended.is_err(), "{ended:?}");
        site.orders.waits.store(false, Ordering::SeqCst);
        engine.close().await;
    }
    let tick = engine.run_schedules().await.unwrap();
    assert_eq!((tick.done.len(), tick.quarantined), (1, 0), "{tick:?}");
}

#[tokio::test]
async fn what_was_begun_ends_when_nobody_waits_for_it() {
    let site = Site::new();
    let engine = site.open().await;
    let candidate = frozen(&engine, "").await;
    site.orders.waits.store(true, Ordering::SeqCst);
    let dropped = tokio::time::timeout(Duration::from_millis(100), promote(&engine, candidate, None)).await;
    assert!(dropped.is_err());
    site.orders.waits.store(false, Ordering::SeqCst);
    engine.close().await;
    let objects = engine.tenant_objects(&TenantId::main());
    let name = ChannelState::pointer(&ChannelName::new("production").unwrap());
    let pointer = objects.get_pointer(&name, None).await.unwrap();
    let pointer: ChannelState = serde_json::from_slice(pointer.body().unwrap()).unwrap();
    assert_eq!(pointer.release.to_string(), "r1");
}

#[tokio::test]
async fn pointers_and_keys_do_not_go_back() {
    let site = Site::new();
    let engine = site.open().await;
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    let objects = engine.tenant_objects(&TenantId::main());
    let ring = async || -> KeyRing {
        let read = objects.get_pointer(KeyRing::POINTER, None).await.unwrap();
        serde_json::from_slice(read.body().unwrap()).unwrap()
    };
    let create = CreateKey {
        name: "k".to_owned(),
        scopes: vec![Right::Read],
        channel: None,
        reader: None,
        expires_at: None,
    };
    let id = engine.run(&by("ops"), create).await.unwrap().view.id;
    let with_key = ring().await;
    engine.run(&by("ops"), RevokeKey { id: id.clone() }).await.unwrap();
    let without = ring().await;
    assert!(with_key.keys.contains_key(&id) && !without.keys.contains_key(&id));
    assert!(without.sequence > with_key.sequence);

    // A ring of a later history, as after a restore of an older database: what the database says gets above it.
    let later = KeyRing { sequence: 1_000, ..with_key };
    objects.put_pointer(KeyRing::POINTER, serde_json::to_vec(&later).unwrap().into()).await.unwrap();
    assert_eq!(engine.tick().await.unwrap().repaired, 1);
    let repaired = ring().await;
    assert!(!repaired.keys.contains_key(&id) && repaired.sequence > 1_000, "{repaired:?}");
    assert_eq!(engine.tick().await.unwrap().repaired, 0);
}

#[tokio::test]
async fn a_staged_release_is_judged_again_when_it_goes_public() {
    let site = Site::new();
    let engine = site.open().await;
    let candidate = frozen(&engine, "").await;
    promote(&engine, candidate, Some("staging")).await.unwrap();
    site.orders.refuses.store(true, Ordering::SeqCst);
    let refused = promote(&engine, candidate, None).await.unwrap_err();
    assert!(matches!(refused, ReleaseError::GatesFailed { .. }), "{refused}");
    site.orders.refuses.store(false, Ordering::SeqCst);
    assert_eq!(promote(&engine, candidate, None).await.unwrap().release.to_string(), "r1");
}

#[tokio::test]
async fn an_import_changes_nothing_before_it_is_promoted() {
    let (from, to) = (Site::new(), Site::new());
    let (source, target) = (from.open().await, to.open().await);
    let candidate = frozen(&source, "theirs").await;
    let release = promote(&source, candidate, None).await.unwrap().release;
    let file = from.dir.path().join("out.ashlar");
    source.export(&by("ops"), release, std::fs::File::create(&file).unwrap()).await.unwrap();

    target.run(&by("dev"), PushDefinitions { files: definitions("ours") }).await.unwrap();
    let working = async || target.working_definitions(&by("ops")).await.unwrap().unwrap().0;
    let ours = working().await;
    let first = freeze(&target).await;
    promote(&target, first, None).await.unwrap();
    let import =
        || ImportBundle { source: Box::new(std::fs::File::open(&file).unwrap()), note: String::new() };
    // Definitions come with the right to push, from wherever they come.
    let releaser = Actor::new("releaser", [Right::Release, Right::Write, Right::Preview]);
    let releaser = Ctx::new(TenantId::main(), releaser).unwrap();
    let refused = target.run(&releaser, import()).await.unwrap_err();
    assert!(matches!(refused, ReleaseError::Forbidden { right: Right::Define, .. }), "{refused}");
    let imported = target.run(&by("ops"), import()).await.unwrap();
    assert_eq!(working().await, ours);
    promote(&target, imported.candidate, None).await.unwrap();
    assert_eq!(working().await, imported.definitions);

    // An installation may begin with one.
    let empty = Site::new();
    let engine = empty.open().await;
    let imported = engine.run(&by("ops"), import()).await.unwrap();
    promote(&engine, imported.candidate, None).await.unwrap();
    assert_eq!(engine.working_definitions(&by("ops")).await.unwrap().unwrap().0, imported.definitions);
}

/// A rollback is compared with the drafts in a transaction of its own, after its own. A candidate that is frozen between the two does not
/// hold what was rolled back.
#[tokio::test]
async fn a_candidate_settles_only_what_it_holds() {
    let site = Site::new();
    let engine = site.open().await;
    let main = TenantId::main();
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    let freeze = async |changeset: Option<&str>| {
        let create = CreateCandidate { changeset: changeset.map(str::to_owned), note: String::new() };
        engine.run(&by("ops"), create).await.unwrap().candidate
    };
    for id in ["free", "basic"] {
        put(&engine, &by("alice"), id, json!({"name": id})).await;
        promote(&engine, freeze(None).await, None).await.unwrap();
    }
    let snapshots: Vec<_> = {
        let mut conn = engine.db().read(&main).await.unwrap();
        let (old, new) = (conn.rows().release(ReleaseId(2)).await, conn.rows().release(ReleaseId(1)).await);
        [old, new].into_iter().map(|r| r.unwrap().unwrap().snapshot).collect()
    };
    let back = Rollback { release: ReleaseId(1), channel: None, note: String::new() };
    engine.run(&by("ops"), back).await.unwrap();
    assert!(engine.draft(&by("ops"), &key("basic")).await.unwrap().pending);

    // As it was before the rollback was compared with the drafts.
    let mut tx = engine.db().write(&main).await.unwrap();
    tx.rows().set_clean(&key("basic")).await.unwrap();
    tx.commit().await.unwrap();
    put(&engine, &by("alice"), "other", json!({"name": "Other"})).await;
    let candidate = freeze(None).await;
    let mut tx = engine.db().write(&main).await.unwrap();
    let row = UnsettledRow {
        sequence: 1_000,
        old_snapshot: Some(snapshots[0]),
        new_snapshot: snapshots[1],
        adopt: false,
    };
    tx.rows().insert_unsettled(&row).await.unwrap();
    tx.commit().await.unwrap();
    promote(&engine, candidate, None).await.unwrap();
    assert!(!engine.draft(&by("ops"), &key("other")).await.unwrap().pending);
    assert!(
        engine.draft(&by("ops"), &key("basic")).await.unwrap().pending,
        "an edit is neither served nor pending"
    );
    promote(&engine, freeze(None).await, None).await.unwrap();
    assert!(!engine.draft(&by("ops"), &key("basic")).await.unwrap().pending);
}

/// What a candidate was frozen without stays pending, whichever way it came among its drafts afterwards.
#[tokio::test]
async fn what_comes_to_a_changeset_or_leaves_it_counts_as_written_anew() {
    let site = Site::new();
    let engine = site.open().await;
    let main = TenantId::main();
    engine.run(&by("dev"), PushDefinitions { files: definitions("") }).await.unwrap();
    changeset(&engine, "sale", &[("one", json!({"name": "One"})), ("two", json!({"name": "Two"}))]).await;
    put(&engine, &by("alice"), "free", json!({"name": "Free"})).await;
    let mut tx = engine.db().write(&main).await.unwrap();
    let mut rows = tx.rows();
    let frozen = rows.counter("drafts").await.unwrap();
    rows.clear_changeset("sale").await.unwrap();
    assert_eq!(rows.settle_published(None, frozen).await.unwrap(), 1, "only the one that was there");
    let pending = rows.pending(None, 0, 10).await.unwrap();
    let ids: Vec<_> = pending.iter().map(|(d, _)| d.key.id.to_string()).collect();
    assert_eq!(ids, ["one", "two"]);
    assert!(pending[0].0.sequence > frozen && pending[1].0.sequence > pending[0].0.sequence);
    rows.set_draft_changeset(&key("one"), Some("sale")).await.unwrap();
    assert_eq!(rows.settle_published(Some("sale"), frozen + 2).await.unwrap(), 0);
    // Said again, nothing changes.
    let before = rows.draft(&key("two")).await.unwrap().unwrap().sequence;
    rows.set_pending(&key("two")).await.unwrap();
    assert_eq!(rows.draft(&key("two")).await.unwrap().unwrap().sequence, before);
    rows.set_clean(&key("two")).await.unwrap();
    assert!(!rows.draft(&key("two")).await.unwrap().unwrap().pending);
    rows.set_pending(&key("two")).await.unwrap();
    assert!(rows.draft(&key("two")).await.unwrap().unwrap().sequence > frozen + 3);
}
