//! Followers of the event log: what works behind it, such as webhooks and purges.
//!
//! A follower moves its place only after its work is durable, so a crash repeats a part of it and loses none. Every target
//! of a follower works, fails and waits for itself.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ashlar_model::TenantId;
use ashlar_store::sql::{EventRow, Lease, Place, stamp};
use async_trait::async_trait;
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Engine, ReleaseError, new_id};

/// How long a lease lasts unless it is renewed.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// Targets of one follower that are worked for at a time.
const TURNS_MAX: usize = 64;
/// The waits after failures: twice as long each time.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long work may run on after a stop.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Why something could not be done this time.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a follower works for: one thing in a tenant, such as a webhook. Empty when it does one thing for each tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name in the tenant.
    pub name: String,
}

/// Something that works behind the event log. [`follow`] runs it.
#[async_trait]
pub trait Follower: Send + Sync + 'static {
    /// Its name in metrics, logs and the database.
    fn name(&self) -> &'static str;

    /// How often it is looked whether there is something to do. Moves of channels in this process are looked at at once.
    fn look_every(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// Whether one node at a time may work for a target. A follower that keeps its place in a pointer instead of the
    /// database is not leased: nodes may repeat what another one does.
    fn is_leased(&self) -> bool {
        true
    }

    /// Everything that it works for.
    ///
    /// # Errors
    /// When that cannot be listed.
    async fn targets(&self) -> Result<Vec<Target>, Failure>;

    /// When the oldest event that is not done happened; `None` when all is done. It is asked often, and writes nothing.
    ///
    /// # Errors
    /// When that cannot be read.
    async fn behind(&self, target: &Target) -> Result<Option<Timestamp>, Failure>;

    /// Does what is to be done, and moves the place after it. It may end early, and should once `stop` is cancelled. It is
    /// dropped when the lease is lost.
    ///
    /// # Errors
    /// When it cannot be done now. It is tried again after a wait.
    async fn work(&self, target: &Target, stop: &CancellationToken) -> Result<(), Failure>;
}

/// What `/metrics` says of a follower.
#[derive(Debug, Default)]
pub struct Figures {
    /// Targets that are behind, each with the time of its oldest event that is not done.
    behind: Mutex<HashMap<Target, Timestamp>>,
    failures: AtomicU64,
}

impl Figures {
    /// The age of the oldest event that is not done, in seconds; 0 when all is done.
    pub fn lag_seconds(&self, now: Timestamp) -> u64 {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = behind.values().min().copied().unwrap_or(now);
        u64::try_from(now.as_second() - oldest.as_second()).unwrap_or(0)
    }

    /// How often work failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn set(&self, target: &Target, since: Option<Timestamp>) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        match since {
            Some(since) => drop(behind.insert(target.clone(), since)),
            None => drop(behind.remove(target)),
        }
    }

    fn keep(&self, known: &HashSet<&Target>) {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).retain(|target, _| known.contains(target));
    }
}

/// The name under which the place of a target is stored.
pub fn place_name(follower: &str, target: &str) -> String {
    match target {
        "" => follower.to_owned(),
        target => format!("{follower}/{target}"),
    }
}

impl Engine {
    /// How far a follower is; before the first event when it has never followed.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn place(&self, tenant: &TenantId, name: &str) -> Result<Place, ReleaseError> {
        Ok(self.db().read(tenant).await?.rows().follower(name).await?.unwrap_or_default())
    }

    /// The events behind a place, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn events_behind(
        &self,
        tenant: &TenantId,
        place: &Place,
        limit: u32,
    ) -> Result<Vec<EventRow>, ReleaseError> {
        Ok(self.db().read(tenant).await?.rows().events(place.done, limit).await?)
    }

    /// When the oldest event behind the place of a follower happened.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn behind(&self, tenant: &TenantId, name: &str) -> Result<Option<Timestamp>, ReleaseError> {
        let mut conn = self.db().read(tenant).await?;
        let mut rows = conn.rows();
        let place = rows.follower(name).await?.unwrap_or_default();
        if rows.counter("events").await? <= place.done {
            return Ok(None);
        }
        let next = rows.events(place.done, 1).await?;
        Ok(next.first().map(|event| event.at.parse().unwrap_or_else(|_| self.now())))
    }

    /// Moves a follower from one place to another. `false` when it is no longer at the first: somebody else has worked.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn advance(
        &self,
        tenant: &TenantId,
        name: &str,
        from: &Place,
        to: &Place,
    ) -> Result<bool, ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        tx.rows().insert_follower(name, &Place::default()).await?;
        let moved = tx.rows().advance_follower(name, from, to).await?;
        tx.commit().await?;
        Ok(moved)
    }

    /// Takes or renews the right to work for a follower; `false` when another worker has it. One that has never followed
    /// begins before the first event.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn lease(&self, tenant: &TenantId, name: &str, owner: &str) -> Result<bool, ReleaseError> {
        let at = |ahead: SignedDuration| stamp(self.now().saturating_add(ahead).unwrap_or(self.now()));
        let (now, until, latest) = (at(SignedDuration::ZERO), at(LEASE), at(LEASE * 2));
        let lease = Lease { owner, now: &now, until: &until, latest: &latest };
        let mut tx = self.db().write(tenant).await?;
        let mut got = tx.rows().lease_follower(name, &lease).await?;
        if !got && tx.rows().follower(name).await?.is_none() {
            tx.rows().insert_follower(name, &Place::default()).await?;
            got = tx.rows().lease_follower(name, &lease).await?;
        }
        tx.commit().await?;
        Ok(got)
    }

    /// Gives the right to work back.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn unlease(&self, tenant: &TenantId, name: &str, owner: &str) -> Result<(), ReleaseError> {
        let mut tx = self.db().write(tenant).await?;
        tx.rows().release_follower(name, owner).await?;
        Ok(tx.commit().await?)
    }
}

/// What the turns of one follower share.
#[derive(Clone)]
struct Runner {
    /// Leases are in its database.
    engine: Option<Engine>,
    follower: Arc<dyn Follower>,
    figures: Arc<Figures>,
    owner: Arc<str>,
    turns: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Runner {
    /// Does what is to be done for one target, when it is this worker's turn.
    async fn turn(&self, target: &Target) -> Result<(), Failure> {
        let Ok(_turn) = self.turns.acquire().await else { return Ok(()) };
        let since = self.follower.behind(target).await?;
        self.figures.set(target, since);
        if since.is_none() || self.stop.is_cancelled() {
            return Ok(());
        }
        if !self.follower.is_leased() {
            self.follower.work(target, &self.stop).await?;
            self.figures.set(target, None);
            return Ok(());
        }
        let engine = self.engine.as_ref().ok_or("a follower that is leased needs a database")?;
        let name = place_name(self.follower.name(), &target.name);
        if !engine.lease(&target.tenant, &name, &self.owner).await? {
            return Ok(());
        }
        let worked = AssertUnwindSafe(self.leased(engine, target, &name)).catch_unwind().await;
        engine.unlease(&target.tenant, &name, &self.owner).await?;
        worked.unwrap_or_else(|_| Err(panicked()))?;
        // Whether something is left is seen at the next look.
        self.figures.set(target, None);
        Ok(())
    }

    /// Works while the lease is renewed.
    async fn leased(&self, engine: &Engine, target: &Target, name: &str) -> Result<(), Failure> {
        let mut renew = tokio::time::interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renew.tick().await;
        let work = self.follower.work(target, &self.stop);
        tokio::pin!(work);
        loop {
            tokio::select! {
                worked = &mut work => return worked,
                _ = renew.tick() => {
                    if !engine.lease(&target.tenant, name, &self.owner).await? {
                        return Err("another worker took over".into());
                    }
                }
            }
        }
    }
}

fn panicked() -> Failure {
    "the work panicked".into()
}

/// Runs a follower until `stop`. What is being done then may be finished. Without an engine it cannot be leased.
pub async fn follow(
    engine: Option<Engine>,
    follower: Arc<dyn Follower>,
    figures: Arc<Figures>,
    stop: CancellationToken,
) {
    let name = follower.name();
    let owner = match new_id() {
        Ok(owner) => owner.into(),
        Err(error) => return tracing::error!(follower = name, %error, "a follower cannot begin"),
    };
    let mut moves = engine.as_ref().map(Engine::moves);
    let mut looks = tokio::time::interval(follower.look_every());
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let turns = Arc::new(Semaphore::new(TURNS_MAX));
    let runner = Runner { engine, follower, figures, owner, turns, stop: stop.clone() };
    let mut running = JoinSet::new();
    let mut busy: HashSet<Target> = HashSet::new();
    // Targets whose last try failed: how long they wait, and until when.
    let mut waits: HashMap<Target, (Duration, Instant)> = HashMap::new();
    loop {
        let moved = async {
            match &mut moves {
                Some(moves) => drop(moves.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            _ = looks.tick() => {}
            () = moved => {}
            Some(done) = running.join_next() => {
                let Ok((target, worked)) = done else { continue };
                busy.remove(&target);
                match worked {
                    Ok(()) => drop(waits.remove(&target)),
                    Err(error) => {
                        runner.figures.failures.fetch_add(1, Ordering::Relaxed);
                        let wait = longer(waits.get(&target).map(|(wait, _)| *wait));
                        tracing::warn!(follower = name, tenant = %target.tenant, target = target.name, %error, ?wait,
                            "work behind the event log failed; it is tried again");
                        waits.insert(target, (wait, Instant::now() + wait));
                    }
                }
                continue;
            }
        }
        let listed = AssertUnwindSafe(runner.follower.targets()).catch_unwind().await;
        let targets = match listed.unwrap_or_else(|_| Err(panicked())) {
            Ok(targets) => targets,
            Err(error) => {
                runner.figures.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(follower = name, %error, "what to work for cannot be listed");
                continue;
            }
        };
        let known: HashSet<&Target> = targets.iter().collect();
        runner.figures.keep(&known);
        waits.retain(|target, _| known.contains(target));
        for target in targets {
            let waiting = waits.get(&target).is_some_and(|(_, until)| Instant::now() < *until);
            if waiting || !busy.insert(target.clone()) {
                continue;
            }
            let runner = runner.clone();
            running.spawn(async move {
                let worked = AssertUnwindSafe(runner.turn(&target)).catch_unwind().await;
                (target, worked.unwrap_or_else(|_| Err(panicked())))
            });
        }
    }
    // What ends in time is noted; the rest is done again after the next start.
    let _ = timeout(STOP_MAX, async { while running.join_next().await.is_some() {} }).await;
}

/// The next wait: twice as long each time, and not for all nodes at the same moment.
fn longer(last: Option<Duration>) -> Duration {
    let spread = Duration::from_millis(u64::from(std::process::id() % 97));
    (last.unwrap_or_default() * 2).clamp(WAIT_MIN, WAIT_MAX) + spread
}
