//! The outbox by a clock of its own: giving up, sending again, leases, and clocks that jump.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use ashlar_gates::Checker;
use ashlar_model::{Actor, EntryId, EntryKey, Files, Locale, TenantId, TypeName};
use ashlar_release::{
    CreateCandidate, CreateWebhook, Ctx, Engine, EventFilter, Location, Promote, PushDefinitions, PutEntry,
    ReplayDeliveries, Round, Sent, TRIES_MAX, WEBHOOKS, place_name,
};
use jiff::Timestamp;
use serde_json::json;

struct World {
    engine: Engine,
    ctx: Ctx,
    /// Seconds since the epoch.
    clock: Arc<AtomicI64>,
    webhook: String,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_800_000_000));
        let time = clock.clone();
        let now = move || Timestamp::from_second(time.load(Ordering::Relaxed)).unwrap();
        let location = Location::embedded(dir.path());
        let engine = Engine::open_with_clock(&location, Arc::new(Checker::new()), now).await.unwrap();
        let ctx = Ctx::new(TenantId::main(), Actor::local("tester")).unwrap();
        let mut files = Files::new();
        files.insert("ashlar.toml", b"name = 'x'\n".to_vec()).unwrap();
        let note = json!({"type": "object", "x-ashlar": {"owner": "team"}, "properties": {"text": {"type": "string"}}});
        files.insert("contracts/note.v1.json", note.to_string().into_bytes()).unwrap();
        engine.run(&ctx, PushDefinitions { files }).await.unwrap();
        let filter = EventFilter { events: vec!["entry.*".to_owned()], ..EventFilter::default() };
        let create = CreateWebhook { url: "https://example.com/".to_owned(), filter };
        let webhook = engine.run(&ctx, create).await.unwrap().view.id;
        Self { engine, ctx, clock, webhook, _dir: dir }
    }

    async fn publish(&self, id: &str, text: &str) {
        let key = EntryKey {
            type_name: TypeName::new("note").unwrap(),
            id: EntryId::new(id).unwrap(),
            locale: Locale::new("en").unwrap(),
        };
        let fields = json!({"text": text}).as_object().unwrap().clone();
        self.engine
            .run(&self.ctx, PutEntry { key, fields, expected_version: None, major: None })
            .await
            .unwrap();
        let made = self.engine.run(&self.ctx, CreateCandidate::default()).await.unwrap();
        let promote = Promote { candidate: made.candidate, channel: None, note: String::new() };
        self.engine.run(&self.ctx, promote).await.unwrap();
        while self.engine.expand(&self.ctx.tenant, &self.webhook).await.unwrap() {}
    }

    async fn round(&self) -> Round {
        self.engine.round(&self.ctx.tenant, &self.webhook, 100).await.unwrap().unwrap()
    }

    async fn answer(&self, round: &Round, status: u32) {
        let error = if status == 204 { String::new() } else { format!("it answered {status}") };
        let sent: Vec<Sent> = round
            .deliveries
            .iter()
            .map(|d| Sent {
                number: d.number,
                attempts: d.attempts,
                status,
                error: error.clone(),
                wait: None,
                took_ms: 1,
            })
            .collect();
        self.engine.sent(&self.ctx.tenant, &sent).await.unwrap();
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_delivery_is_given_up_and_can_be_sent_again() {
    let w = World::new().await;
    w.publish("a", "one").await;
    w.publish("a", "two").await;
    w.publish("b", "one").await;
    let first = w.round().await;
    // The second change of an entry waits for the first.
    assert_eq!(first.deliveries.len(), 2);
    w.answer(&first, 500).await;
    assert_eq!(w.round().await.deliveries.len(), 0);
    let mut tries = 1;
    while tries < TRIES_MAX {
        w.pass(12 * 3600);
        let round = w.round().await;
        assert_eq!(round.deliveries.len(), 2, "after {tries} tries");
        assert!(round.deliveries.iter().all(|d| d.attempts == tries));
        w.answer(&round, 500).await;
        tries += 1;
    }
    // Given up; what came after it goes on.
    w.pass(12 * 3600);
    let round = w.round().await;
    assert_eq!(round.deliveries.len(), 1);
    assert!(round.deliveries[0].payload.contains("\"sequence\":"));
    w.answer(&round, 204).await;
    let dead = w.engine.deliveries(&w.ctx, &w.webhook, Some("dead"), None).await.unwrap();
    assert_eq!(dead.items.len(), 2);
    assert_eq!((dead.items[0].attempts, dead.items[0].status), (TRIES_MAX, 500));
    let again = ReplayDeliveries { id: w.webhook.clone(), delivery: Some(dead.items[0].delivery) };
    assert_eq!(w.engine.run(&w.ctx, again).await.unwrap(), 1);
    let all = ReplayDeliveries { id: w.webhook.clone(), delivery: None };
    assert_eq!(w.engine.run(&w.ctx, all).await.unwrap(), 1);
    let round = w.round().await;
    assert_eq!(round.deliveries.len(), 2);
    // The id stays, so that a receiver knows it again.
    assert!(dead.items.iter().all(|d| round.deliveries.iter().any(|r| r.event == d.event)));
    w.answer(&round, 204).await;
    let view = w.engine.webhook(&w.ctx, &w.webhook).await.unwrap();
    assert_eq!((view.pending, view.done, view.dead), (0, 3, 0));
    assert_eq!(w.engine.forget_deliveries(&w.ctx.tenant).await.unwrap(), 0);
    w.pass(8 * 24 * 3600);
    assert_eq!(w.engine.forget_deliveries(&w.ctx.tenant).await.unwrap(), 3);
}

#[tokio::test]
async fn a_lease_is_one_worker_s_until_it_ends() {
    let w = World::new().await;
    let name = place_name(WEBHOOKS, &w.webhook);
    let lease = |owner: &'static str| w.engine.lease(&w.ctx.tenant, &name, owner);
    assert!(lease("one").await.unwrap());
    assert!(lease("one").await.unwrap(), "renewed");
    assert!(!lease("two").await.unwrap());
    w.pass(16);
    assert!(lease("two").await.unwrap(), "the first one died");
    w.engine.unlease(&w.ctx.tenant, &name, "one").await.unwrap();
    assert!(!lease("one").await.unwrap(), "only its holder gives it back");
    w.engine.unlease(&w.ctx.tenant, &name, "two").await.unwrap();
    assert!(lease("one").await.unwrap());
    // The clock goes back by a day: a lease from the future is none.
    w.pass(-24 * 3600);
    assert!(lease("two").await.unwrap());
}

#[tokio::test]
async fn a_clock_that_jumps_loses_nothing() {
    let w = World::new().await;
    w.publish("a", "one").await;
    // Back by a day, before and after a failure.
    w.pass(-24 * 3600);
    let round = w.round().await;
    assert_eq!(round.deliveries.len(), 1);
    w.answer(&round, 500).await;
    w.pass(-24 * 3600);
    let round = w.round().await;
    assert_eq!(round.deliveries.len(), 1);
    w.answer(&round, 500).await;
    // Forward by a year.
    w.pass(365 * 24 * 3600);
    assert_eq!(w.round().await.deliveries.len(), 1);
}

#[tokio::test]
async fn telling_twice_is_telling_once() {
    let w = World::new().await;
    w.publish("a", "one").await;
    let (one, two) =
        tokio::join!(w.engine.expand(&w.ctx.tenant, &w.webhook), w.engine.expand(&w.ctx.tenant, &w.webhook));
    assert!(!one.unwrap() && !two.unwrap());
    assert_eq!(w.round().await.deliveries.len(), 1);
}
