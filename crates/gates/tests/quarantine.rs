//! A scheduled changeset that brings the process down does so twice and no more, and keeps nobody else waiting.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use ashlar_gates::Checker;
use ashlar_model::{
    Actor, ContractName, EntryId, EntryKey, Fields, Files, Finding, Locale, Rules, TenantId, TypeName,
};
use ashlar_release::{
    AddToChangeset, CreateChangeset, CreateTenant, Ctx, Engine, Judge, JudgeInput, Judgement, Location,
    PushDefinitions, PutEntry, ReleaseError, RequiredApproval, ScheduleChangeset,
};
use jiff::Timestamp;
use serde_json::json;

/// Judges like everybody else, but never comes to an end while `stuck`.
struct Stuck {
    checker: Checker,
    stuck: Arc<AtomicBool>,
}

impl Judge for Stuck {
    fn rules(&self, definitions: &Files) -> Result<Rules, Vec<Finding>> {
        self.checker.rules(definitions)
    }

    fn validate(
        &self,
        definitions: &Files,
        contract: &ContractName,
        fields: &Fields,
    ) -> Result<Vec<Finding>, ReleaseError> {
        self.checker.validate(definitions, contract, fields)
    }

    fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
        while self.stuck.load(Ordering::SeqCst) && input.snapshot.len() == 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.checker.judge(input)
    }

    fn required_approvals(&self, input: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
        self.checker.required_approvals(input)
    }
}

/// Lets the judge come to its end, however the test ends: the runtime waits for it.
struct Freed(Arc<AtomicBool>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

async fn scheduled(engine: &Engine, tenant: TenantId, entries: usize) -> Ctx {
    let ctx = Ctx::new(tenant, Actor::local("tester")).unwrap();
    let mut files = Files::new();
    files.insert("ashlar.toml", b"name = 'x'\n".to_vec()).unwrap();
    let note =
        json!({"type": "object", "x-ashlar": {"owner": "team"}, "properties": {"text": {"type": "string"}}});
    files.insert("contracts/note.v1.json", note.to_string().into_bytes()).unwrap();
    engine.run(&ctx, PushDefinitions { files }).await.unwrap();
    let mut keys = Vec::new();
    for n in 0..entries {
        let key = EntryKey {
            type_name: TypeName::new("note").unwrap(),
            id: EntryId::new(&format!("n{n}")).unwrap(),
            locale: Locale::new("en").unwrap(),
        };
        let fields = json!({"text": "x"}).as_object().unwrap().clone();
        let put = PutEntry { key: key.clone(), fields, expected_version: None, major: None };
        engine.run(&ctx, put).await.unwrap();
        keys.push(key);
    }
    let name = "launch".to_owned();
    engine.run(&ctx, CreateChangeset { name: name.clone(), title: String::new() }).await.unwrap();
    engine.run(&ctx, AddToChangeset { name: name.clone(), keys }).await.unwrap();
    let publish_at = "2027-01-15T09:00:00Z".to_owned();
    engine.run(&ctx, ScheduleChangeset { name, publish_at, unpublish_at: None, zone: None }).await.unwrap();
    ctx
}

#[tokio::test]
async fn a_job_that_ends_the_process_is_quarantined_after_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(1_800_000_000));
    let stuck = Arc::new(AtomicBool::new(false));
    let _freed = Freed(stuck.clone());
    let open = async || {
        let time = clock.clone();
        let now = move || Timestamp::from_second(time.load(Ordering::Relaxed)).unwrap();
        let judge = Arc::new(Stuck { checker: Checker::new(), stuck: stuck.clone() });
        Engine::open_with_clock(&Location::embedded(dir.path()), judge, now).await.unwrap()
    };
    let engine = open().await;
    let main = scheduled(&engine, TenantId::main(), 1).await;
    let other = TenantId::new("other").unwrap();
    let tenants = Ctx::new(TenantId::main(), Actor::local("operator")).unwrap();
    engine.run(&tenants, CreateTenant { tenant: other.clone(), hosts: Vec::new() }).await.unwrap();
    let other = scheduled(&engine, other, 2).await;
    clock.store(1_900_000_000, Ordering::Relaxed);
    engine.close().await;
    // Setting a schedule tries it, which went well then.
    stuck.store(true, Ordering::SeqCst);

    // Twice the process ends in the middle of it.
    for _ in 0..2 {
        let engine = open().await;
        let died = tokio::time::timeout(Duration::from_millis(400), engine.run_schedules()).await;
        assert!(died.is_err(), "{died:?}");
        drop(engine);
        // Nobody else begins it before the claim of the dead process has run out.
        clock.fetch_add(60, Ordering::Relaxed);
    }

    // Then it is left alone, and is said to be. The other tenant has had its turn meanwhile.
    let engine = open().await;
    let tick = tokio::time::timeout(Duration::from_secs(30), engine.run_schedules()).await.unwrap().unwrap();
    assert_eq!(tick.quarantined, 1, "{tick:?}");
    let shown = engine.changeset(&main, "launch").await.unwrap();
    assert_eq!(shown.state, "failed");
    assert!(shown.message.starts_with("quarantined"), "{}", shown.message);
    assert_eq!(engine.changeset(&other, "launch").await.unwrap().state, "published");
    let events = engine.events(&main, 0, None).await.unwrap();
    assert!(events.items.iter().any(|e| e.kind == "schedule.quarantined"), "{events:?}");

    // Once its cause is gone, it can be scheduled again.
    stuck.store(false, Ordering::SeqCst);
    let again = ScheduleChangeset {
        name: "launch".to_owned(),
        publish_at: "2030-04-01T09:00:00Z".to_owned(),
        unpublish_at: None,
        zone: None,
    };
    engine.run(&main, again).await.unwrap();
    clock.store(1_910_000_000, Ordering::Relaxed);
    assert_eq!(engine.run_schedules().await.unwrap().done, ["launch"]);
}
