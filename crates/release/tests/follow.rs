//! Followers of the event log: no event is lost when work dies, and no failure stops other work.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ashlar_model::{Actor, TenantId};
use ashlar_release::{
    CreateTenant, Ctx, Engine, Failure, Follower, FollowerFigures, Place, PushDefinitions, PutEntry, Target,
    follow, place_name,
};
use async_trait::async_trait;
use common::{Clock, by, definitions, key, open_dir};
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How work ends before its place has moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Death {
    Panic,
    Hang,
    Error,
}

/// Writes down every event that it sees.
struct Ledger {
    name: &'static str,
    engine: Engine,
    tenants: Vec<TenantId>,
    /// What is durable: the events of each tenant, in the order in which they were written.
    written: Mutex<BTreeMap<TenantId, Vec<u64>>>,
    /// In which tenant work dies, how, and how often it still does.
    dies: Option<(TenantId, Death, AtomicUsize)>,
}

impl Ledger {
    fn new(name: &'static str, engine: &Engine, tenants: &[&str]) -> Self {
        let tenants = tenants.iter().map(|t| TenantId::new(t).unwrap()).collect();
        Self { name, engine: engine.clone(), tenants, written: Mutex::default(), dies: None }
    }

    fn dying(self, tenant: &str, death: Death, times: usize) -> Arc<Self> {
        Arc::new(Self { dies: Some((TenantId::new(tenant).unwrap(), death, times.into())), ..self })
    }

    fn written(&self, tenant: &str) -> Vec<u64> {
        self.written.lock().unwrap().get(&TenantId::new(tenant).unwrap()).cloned().unwrap_or_default()
    }

    async fn until(&self, tenant: &str, last: u64) {
        let tenant = TenantId::new(tenant).unwrap();
        for _ in 0..500 {
            if self.engine.place(&tenant, self.name).await.unwrap().done >= last {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} did not get to event {last} of {tenant}", self.name);
    }
}

#[async_trait]
impl Follower for Ledger {
    fn name(&self) -> &'static str {
        self.name
    }

    fn look_every(&self) -> Duration {
        Duration::from_millis(10)
    }

    async fn targets(&self) -> Result<Vec<Target>, Failure> {
        assert!(!self.tenants.is_empty(), "a follower that cannot even list its targets");
        Ok(self.tenants.iter().map(|t| Target { tenant: t.clone(), name: String::new() }).collect())
    }

    async fn behind(&self, target: &Target) -> Result<Option<Timestamp>, Failure> {
        Ok(self.engine.behind(&target.tenant, &place_name(self.name, &target.name)).await?)
    }

    async fn work(&self, target: &Target, _: &CancellationToken) -> Result<(), Failure> {
        let from = self.engine.place(&target.tenant, self.name).await?;
        let events = self.engine.events_behind(&target.tenant, &from, 2).await?;
        let Some(last) = events.last().map(|e| e.sequence) else { return Ok(()) };
        let seen = events.iter().map(|e| e.sequence);
        self.written.lock().unwrap().entry(target.tenant.clone()).or_default().extend(seen);
        if let Some((tenant, death, times)) = &self.dies
            && *tenant == target.tenant
            && times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
        {
            match death {
                Death::Panic => panic!("died between the work and the place"),
                Death::Error => return Err("the disk is full".into()),
                Death::Hang => std::future::pending::<()>().await,
            }
        }
        let to = Place { done: last, inside: String::new() };
        self.engine.advance(&target.tenant, self.name, &from, &to).await?;
        Ok(())
    }
}

/// An installation with some events; also says how many.
async fn installation(clock: &Clock) -> (tempfile::TempDir, Engine, u64) {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_dir(dir.path(), clock).await;
    let last = fill(&engine).await;
    (dir, engine, last)
}

/// Makes some events, and says how many.
async fn fill(engine: &Engine) -> u64 {
    engine.run(&by("a"), PushDefinitions { files: definitions("1") }).await.unwrap();
    for n in 0..3 {
        put(engine, &by("a"), n).await;
    }
    let events = engine.events(&by("a"), 0, None).await.unwrap().items;
    events.iter().map(|e| e.sequence).max().unwrap()
}

async fn put(engine: &Engine, ctx: &Ctx, n: usize) {
    let fields = json!({"text": n}).as_object().unwrap().clone();
    let put = PutEntry { key: key(&format!("p{n}"), "en"), fields, expected_version: None, major: None };
    engine.run(ctx, put).await.unwrap();
}

fn run(engine: &Engine, follower: Arc<Ledger>) -> (JoinHandle<()>, Arc<FollowerFigures>, CancellationToken) {
    let (figures, stop) = (Arc::<FollowerFigures>::default(), CancellationToken::new());
    let task = tokio::spawn(follow(Some(engine.clone()), follower, figures.clone(), stop.clone()));
    (task, figures, stop)
}

/// Every event up to `last`, in order, with repetitions only of what died.
fn assert_whole(written: &[u64], last: u64) {
    assert_eq!(written.iter().copied().collect::<BTreeSet<_>>(), (1..=last).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn work_that_dies_before_its_place_moves_is_repeated() {
    let (_dir, engine, last) = installation(&Clock::new()).await;
    for (name, death) in [("panics", Death::Panic), ("fails", Death::Error)] {
        let ledger = Ledger::new(name, &engine, &["main"]).dying("main", death, 1);
        let (task, figures, stop) = run(&engine, ledger.clone());
        ledger.until("main", last).await;
        let written = ledger.written("main");
        assert_whole(&written, last);
        assert_eq!(written[..4], [1, 2, 1, 2], "{name}: the work is repeated");
        assert_eq!(figures.failures(), 1, "{name}");
        stop.cancel();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn another_worker_goes_on_when_one_is_killed() {
    let clock = Clock::new();
    let (_dir, engine, last) = installation(&clock).await;
    let ledger = Ledger::new("ledger", &engine, &["main"]).dying("main", Death::Hang, 1);
    let (killed, ..) = run(&engine, ledger.clone());
    while ledger.written("main").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    killed.abort();
    let (_task, _, stop) = run(&engine, ledger.clone());
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(ledger.written("main").len(), 2, "the lease of the killed worker still counts");
    clock.pass(16);
    ledger.until("main", last).await;
    let written = ledger.written("main");
    assert_whole(&written, last);
    assert_eq!(written[..4], [1, 2, 1, 2]);
    stop.cancel();
}

#[tokio::test]
async fn workers_share_the_work_and_do_none_of_it_twice() {
    let (_dir, engine, last) = installation(&Clock::new()).await;
    let ledger = Arc::new(Ledger::new("ledger", &engine, &["main"]));
    let workers = [(); 3].map(|()| run(&engine, ledger.clone()));
    ledger.until("main", last).await;
    assert_eq!(ledger.written("main"), (1..=last).collect::<Vec<_>>());
    for (task, _, stop) in workers {
        stop.cancel();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn places_and_leases_are_the_same_on_postgresql() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let Some(location) = common::postgres("follow", dir.path()) else { return };
    let engine = common::open(&location, &clock).await;
    let last = fill(&engine).await;
    let ledger = Ledger::new("ledger", &engine, &["main"]).dying("main", Death::Panic, 1);
    let workers = [(); 2].map(|()| run(&engine, ledger.clone()));
    ledger.until("main", last).await;
    let written = ledger.written("main");
    assert_whole(&written, last);
    assert_eq!(written.len() as u64, last + 2, "only what died is repeated: {written:?}");
    for (task, _, stop) in workers {
        stop.cancel();
        task.await.unwrap();
    }
    let tenant = TenantId::main();
    assert!(engine.lease(&tenant, "ledger", "one").await.unwrap());
    assert!(!engine.lease(&tenant, "ledger", "two").await.unwrap());
    clock.pass(16);
    assert!(engine.lease(&tenant, "ledger", "two").await.unwrap());
}

#[tokio::test]
async fn failures_stop_no_other_tenant_and_no_other_follower() {
    let clock = Clock::new();
    let (_dir, engine, last) = installation(&clock).await;
    let tenant = TenantId::new("other").unwrap();
    engine.run(&by("a"), CreateTenant { tenant: tenant.clone(), hosts: Vec::new() }).await.unwrap();
    let other = Ctx::new(tenant, Actor::local("b")).unwrap();
    engine.run(&other, PushDefinitions { files: definitions("1") }).await.unwrap();
    put(&engine, &other, 1).await;
    let broken = Ledger::new("broken", &engine, &["main", "other"]).dying("main", Death::Error, usize::MAX);
    let (_broken, of_broken, _) = run(&engine, broken.clone());
    let (_lost, of_lost, _) = run(&engine, Arc::new(Ledger::new("lost", &engine, &[])));
    let fine = Arc::new(Ledger::new("fine", &engine, &["main"]));
    let (_fine, of_fine, _) = run(&engine, fine.clone());
    broken.until("other", 2).await;
    fine.until("main", last).await;
    assert!(of_broken.failures() > 0 && of_lost.failures() > 0);
    clock.pass(100);
    let now = Timestamp::from_second(clock.seconds()).unwrap();
    assert_eq!(of_broken.lag_seconds(now), 100);
    // A look that finds nothing to do may still be under way.
    while of_fine.lag_seconds(now) != 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(engine.place(&TenantId::main(), "broken").await.unwrap(), Place::default());
}
