//! The engine that runs actions, and what an action is given.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ashlar_isolate::Workers;
use ashlar_model::{Actor, ChannelName, Digest, Files, Right, Rules, TenantId, TraceId};
use ashlar_store::{
    Objects, Remote, TenantObjects,
    sql::{AuditRow, Db, EventRow, SqlError, WriteTx, stamp},
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{broadcast, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    ChannelState, Judge, ReleaseError, access::secrets::Secrets, candidates::evidence::Evidence,
    engine::health::Health,
};

/// Fewer than this many are not dropped for their size.
const DEFINITIONS_KEPT_MIN: usize = 3;
/// Channels whose last move is remembered.
const MOVED_MAX: usize = 1_000;
/// How long [`Engine::close`] takes at the most.
const CLOSE_MAX: Duration = Duration::from_secs(12);
/// How long a stop waits until claims are given back.
const RELEASE_MAX: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// Set inside an action: what it runs itself ends with it.
    static WITHIN: ();
}

/// How many bytes the files of definitions that are kept may have.
const DEFINITIONS_BYTES_MAX: usize = 64 << 20;
/// How many parsed definitions are kept; a tenant needs the working ones and those of a release or two.
const DEFINITIONS_KEPT: usize = 16;

/// Where an installation keeps its state and objects.
#[derive(Debug, Clone)]
pub struct Location {
    /// `sqlite:///path/state.db` or `postgres://…`.
    pub sql: String,
    /// The directory of objects: the truth when embedded, a cache when there is a remote.
    pub objects_dir: PathBuf,
    /// The object store behind the directory: `s3://bucket/prefix`, `file:///dir`.
    pub remote: Option<String>,
}

impl Location {
    /// Everything in one directory.
    pub fn embedded(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            sql: format!("sqlite://{}", dir.join("state.db").display()),
            objects_dir: dir.join("objects"),
            remote: None,
        }
    }
}

/// One use case. Every door calls the same one.
#[async_trait]
pub trait Action: Send + Sized + 'static {
    /// What it returns when it is done.
    type Output: Send + 'static;
    /// Its name in the audit log: `entry.put`.
    const NAME: &'static str;

    /// The right its actor must hold.
    fn right(&self) -> Right;

    /// Acts: everything in one transaction that ends in [`Scope::commit`].
    ///
    /// # Errors
    /// When it is refused or could not be done; nothing is changed then.
    async fn act(self, scope: &Scope<'_>) -> Result<Self::Output, ReleaseError>;
}

/// For whom an action or read is done.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// The tenant.
    pub tenant: TenantId,
    /// Who acts.
    pub actor: Actor,
    /// The trace it belongs to.
    pub trace: TraceId,
    /// What is held until the last action for this context has ended, such as the tenant's share of a server.
    pub held: Vec<Arc<dyn std::any::Any + Send + Sync>>,
}

impl Ctx {
    /// A context with a fresh trace.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(tenant: TenantId, actor: Actor) -> Result<Self, ReleaseError> {
        let trace = TraceId::new(&new_id()?).map_err(|e| ReleaseError::Task(e.to_string()))?;
        Ok(Self { tenant, actor, trace, held: Vec::new() })
    }
}

/// A channel has moved.
#[derive(Debug, Clone)]
pub struct ChannelMoved {
    /// The tenant.
    pub tenant: TenantId,
    /// Where it points now.
    pub state: ChannelState,
}

/// Runs actions and answers reads on one installation. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    objects: Objects,
    judge: Arc<dyn Judge>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    definitions: Mutex<Vec<(Digest, Arc<Files>, Option<Arc<Rules>>)>>,
    moves: broadcast::Sender<ChannelMoved>,
    /// The last move of each channel that this process made.
    moved: Mutex<HashMap<(TenantId, ChannelName), ChannelState>>,
    /// A pointer object could not be written; the next round of upkeep repairs it.
    torn: AtomicBool,
    /// Where CPU-heavy work is done; without a pool, on threads that may block.
    workers: OnceLock<Workers>,
    secrets: Secrets,
    /// Whether webhooks may be sent into the server's own networks, once somebody has said so.
    sends_inside: OnceLock<bool>,
    health: Health,
    evidence: Evidence,
    running: TaskTracker,
    /// Names this process in claims.
    owner: String,
    /// Tenants whose pointers are being repaired in the background.
    mending: Mutex<HashSet<TenantId>>,
}

impl Engine {
    /// Opens or creates an installation; the tenant `main` exists afterwards.
    ///
    /// # Errors
    /// When the database or the objects cannot be opened.
    pub async fn open(location: &Location, judge: Arc<dyn Judge>) -> Result<Self, ReleaseError> {
        Self::open_with_clock(location, judge, Timestamp::now).await
    }

    /// As [`Engine::open`], with another clock (schedules in tests).
    ///
    /// # Errors
    /// When the database or the objects cannot be opened.
    pub async fn open_with_clock(
        location: &Location,
        judge: Arc<dyn Judge>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Result<Self, ReleaseError> {
        let dir = ashlar_store::sql::directory(&location.sql);
        let private = |dir: &Path| {
            ashlar_store::private_dir(dir).map_err(|e| ashlar_store::StoreError::io("create", dir, e))
        };
        if let Some(dir) = &dir {
            private(dir)?;
        }
        // A directory that nodes share may have readers on purpose; a cache, and what lies beside the database, has none.
        let inside = dir.is_some_and(|dir| location.objects_dir.starts_with(dir));
        if inside || location.remote.is_some() || !location.objects_dir.exists() {
            private(&location.objects_dir)?;
        }
        let remote = location.remote.as_deref().map(Remote::parse).transpose()?;
        let objects = Objects::open(&location.objects_dir, remote)?;
        let db = Db::open(&location.sql).await?;
        db.ensure_tenant(&TenantId::main(), &stamp(clock())).await?;
        let (moves, _) = broadcast::channel(256);
        let inner = Inner {
            db,
            objects,
            judge,
            clock: Box::new(clock),
            definitions: Mutex::new(Vec::new()),
            moves,
            moved: Mutex::default(),
            torn: AtomicBool::new(false),
            workers: OnceLock::new(),
            sends_inside: OnceLock::new(),
            secrets: Secrets::of(&location.sql),
            health: Health::default(),
            evidence: Evidence::default(),
            running: TaskTracker::new(),
            owner: new_id()?,
            mending: Mutex::default(),
        };
        let engine = Self { inner: Arc::new(inner) };
        engine.seal_stored().await?;
        Ok(engine)
    }

    /// Does CPU-heavy work in this pool from now on, where tenants take turns. The first call decides.
    pub fn work_in(&self, workers: Workers) {
        let _ = self.inner.workers.set(workers);
    }

    /// Says whether webhooks may be sent into the server's own networks; what may not is refused when it is named. The
    /// first call decides; before it every address is taken, and the sender decides.
    pub fn send_inside(&self, allowed: bool) {
        let _ = self.inner.sends_inside.set(allowed);
    }

    pub(crate) fn sends_inside(&self) -> bool {
        self.inner.sends_inside.get().copied().unwrap_or(true)
    }

    /// Does CPU-heavy work of a tenant when it is its turn. Never call it inside a transaction: waiting for a turn would
    /// keep everybody else from writing.
    ///
    /// # Errors
    /// When the work fails, or too much work of the tenant waits.
    pub async fn heavy<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        match self.inner.workers.get() {
            Some(workers) => workers.run(tenant, work).await?,
            None => tokio::task::spawn_blocking(work).await.map_err(|e| ReleaseError::Task(e.to_string()))?,
        }
    }

    /// Runs an action for `ctx`. Once it has begun it runs to its end, also when nobody waits for it any more: what follows
    /// a commit, such as writing a pointer, must not be lost with the connection of a client.
    ///
    /// # Errors
    /// When the actor lacks the right, or the action is refused or could not be done.
    pub async fn run<A: Action>(&self, ctx: &Ctx, action: A) -> Result<A::Output, ReleaseError> {
        let right = action.right();
        if !ctx.actor.may(&right) {
            return Err(ReleaseError::Forbidden { actor: ctx.actor.name.clone(), right });
        }
        if WITHIN.try_with(|()| ()).is_ok() {
            return self.act(ctx, action).await;
        }
        let (engine, of) = (self.clone(), ctx.clone());
        let (give, done) = oneshot::channel();
        self.run_to_the_end(Box::pin(async move {
            // Nobody may be waiting for it any more.
            let _ = give.send(engine.act(&of, action).await);
        }))
        .await?;
        done.await.unwrap_or_else(|_| Err(ReleaseError::Task("the action gave no answer".to_owned())))
    }

    /// Runs something as a task of its own. One type for all actions, so that the task is compiled once.
    async fn run_to_the_end(
        &self,
        acting: Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Result<(), ReleaseError> {
        let acting = WITHIN.scope((), acting);
        self.inner.running.spawn(acting.in_current_span()).await.or_else(|ended| {
            match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => Err(ReleaseError::Task(ended.to_string())),
            }
        })
    }

    async fn act<A: Action>(&self, ctx: &Ctx, action: A) -> Result<A::Output, ReleaseError> {
        let now = self.now();
        let scope = Scope {
            engine: self,
            ctx,
            now,
            at: stamp(now),
            name: A::NAME,
            action: new_id()?,
            relied: OnceLock::new(),
        };
        let done = action.act(&scope).await;
        if let Err(error) = &done {
            self.inner.health.failed(error);
            // When the connection was lost, nobody knows whether the transaction was committed.
            if matches!(error, ReleaseError::Sql(SqlError::Engine(_))) {
                self.mend_soon(&ctx.tenant);
            }
        }
        done
    }

    /// Checks that the actor may read what needs `right`.
    ///
    /// # Errors
    /// When they may not.
    pub fn permit(&self, ctx: &Ctx, right: Right) -> Result<(), ReleaseError> {
        if ctx.actor.may(&right) {
            return Ok(());
        }
        Err(ReleaseError::Forbidden { actor: ctx.actor.name.clone(), right })
    }

    pub(crate) fn health(&self) -> &Health {
        &self.inner.health
    }

    /// Reports that are remembered.
    pub(crate) fn evidence(&self) -> &Evidence {
        &self.inner.evidence
    }

    pub(crate) fn mending(&self) -> std::sync::MutexGuard<'_, HashSet<TenantId>> {
        self.inner.mending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names this process in claims.
    pub(crate) fn owner(&self) -> &str {
        &self.inner.owner
    }

    /// The database.
    pub fn db(&self) -> &Db {
        &self.inner.db
    }

    /// What seals secrets.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.inner.secrets
    }

    /// The objects of all tenants.
    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// The objects of one tenant.
    pub fn tenant_objects(&self, tenant: &TenantId) -> TenantObjects {
        self.inner.objects.tenant(tenant)
    }

    /// Who reads definitions and judges candidates.
    pub fn judge(&self) -> &Arc<dyn Judge> {
        &self.inner.judge
    }

    /// The time by the engine's clock.
    pub fn now(&self) -> Timestamp {
        (self.inner.clock)()
    }

    /// Channel moves that this process makes, from now on.
    pub fn moves(&self) -> broadcast::Receiver<ChannelMoved> {
        self.inner.moves.subscribe()
    }

    /// Notes that a pointer object is behind the database.
    pub(crate) fn tear(&self) {
        self.inner.torn.store(true, Ordering::Relaxed);
    }

    /// Whether this process left a pointer object behind the database since this was last asked; [`Engine::tick`] writes
    /// it again.
    pub fn take_torn(&self) -> bool {
        self.inner.torn.swap(false, Ordering::Relaxed)
    }

    /// Where a channel points since this process moved it; another process may have moved it since.
    pub fn moved(&self, tenant: &TenantId, channel: &ChannelName) -> Option<ChannelState> {
        let moved = self.inner.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.get(&(tenant.clone(), channel.clone())).cloned()
    }

    pub(crate) fn announce(&self, tenant: &TenantId, state: ChannelState) {
        let mut moved = self.inner.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if moved.len() >= MOVED_MAX {
            moved.clear();
        }
        let last = moved.entry((tenant.clone(), state.channel.clone())).or_insert_with(|| state.clone());
        if last.sequence < state.sequence {
            last.clone_from(&state);
        }
        drop(moved);
        // Nobody listening is fine: readers also follow the pointer object.
        let _ = self.inner.moves.send(ChannelMoved { tenant: tenant.clone(), state });
    }

    /// The definition files under a definitions root.
    ///
    /// # Errors
    /// When they cannot be read or are damaged.
    pub fn files(&self, tenant: &TenantId, root: &Digest) -> Result<Arc<Files>, ReleaseError> {
        let known =
            |kept: &[(Digest, Arc<Files>, _)]| kept.iter().find(|k| k.0 == *root).map(|k| k.1.clone());
        if let Some(files) = known(&self.kept()) {
            return Ok(files);
        }
        let files = Arc::new(crate::artifacts::definitions::read_files(&self.tenant_objects(tenant), root)?);
        let mut kept = self.kept();
        if let Some(files) = known(&kept) {
            return Ok(files);
        }
        kept.push((*root, files.clone(), None));
        while kept.len() > DEFINITIONS_KEPT
            || (kept.len() > DEFINITIONS_KEPT_MIN
                && kept.iter().map(|k| k.1.bytes()).sum::<usize>() > DEFINITIONS_BYTES_MAX)
        {
            kept.remove(0);
        }
        Ok(files)
    }

    /// What drafts need to know of the definitions under a root.
    ///
    /// # Errors
    /// When they cannot be read or used.
    pub async fn rules(&self, tenant: &TenantId, root: &Digest) -> Result<Arc<Rules>, ReleaseError> {
        let known = self.kept().iter().find(|k| k.0 == *root).and_then(|k| k.2.clone());
        if let Some(rules) = known {
            return Ok(rules);
        }
        // Reading definitions takes a while; it may happen inside a transaction, so it does not wait for a turn.
        let (engine, tenant, root) = (self.clone(), tenant.clone(), *root);
        tokio::task::spawn_blocking(move || engine.read_rules(&tenant, &root))
            .await
            .map_err(|e| ReleaseError::Task(e.to_string()))?
    }

    fn read_rules(&self, tenant: &TenantId, root: &Digest) -> Result<Arc<Rules>, ReleaseError> {
        let files = self.files(tenant, root)?;
        let rules = self.inner.judge.rules(&files).map_err(|findings| ReleaseError::Invalid {
            message: "the working definitions cannot be used".to_owned(),
            findings,
            help: "fix them and run `ashlar push` again".to_owned(),
        })?;
        let rules = Arc::new(rules);
        if let Some(slot) = self.kept().iter_mut().find(|k| k.0 == *root) {
            slot.2 = Some(rules.clone());
        }
        Ok(rules)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<(Digest, Arc<Files>, Option<Arc<Rules>>)>> {
        self.inner.definitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for actions that run, and closes the database.
    pub async fn close(&self) {
        self.close_within(CLOSE_MAX).await;
    }

    /// The same within a time. An action that takes longer ends with the process; it has committed all or nothing.
    pub async fn close_within(&self, time: Duration) {
        let until = Instant::now() + time;
        let last = RELEASE_MAX.min(time / 4);
        self.inner.running.close();
        if timeout_at(until - last, self.inner.running.wait()).await.is_err() {
            tracing::warn!("actions that take long end with the process");
        }
        // What this process began and did not end is not for others to take for a crash.
        match timeout_at(until, self.inner.db.release_claims(&self.inner.owner)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "claims on schedules run out by themselves"),
            Err(_) => tracing::warn!("claims on schedules run out by themselves"),
        }
        // An action that goes on has a connection, and the database waits for it.
        let _ = timeout_at(until, self.inner.db.close()).await;
    }
}

/// What a running action is given.
pub struct Scope<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// For whom.
    pub ctx: &'a Ctx,
    /// When the action began.
    pub now: Timestamp,
    /// The same, as it is stored.
    pub at: String,
    name: &'static str,
    /// The id of this one action; the same in events, audit and draft versions.
    pub action: String,
    /// Set once the action relies on stored objects. With an object store: up to which round of collections it knows what
    /// may go.
    pub(crate) relied: OnceLock<Option<u64>>,
}

/// What an action leaves in the logs.
pub(crate) struct Record {
    pub subject: String,
    pub data: Value,
    pub events: Vec<(&'static str, String, Value)>,
}

impl Record {
    /// One event that says the same as the audit row.
    pub(crate) fn one(kind: &'static str, subject: impl Into<String>, data: Value) -> Self {
        let subject = subject.into();
        Self { events: vec![(kind, subject.clone(), data.clone())], subject, data }
    }
}

impl Scope<'_> {
    /// The tenant's objects.
    pub(crate) fn objects(&self) -> TenantObjects {
        self.engine.tenant_objects(&self.ctx.tenant)
    }

    /// Who acts.
    pub(crate) fn actor(&self) -> &str {
        &self.ctx.actor.name
    }

    /// Begins the action's transaction.
    pub(crate) async fn begin(&self) -> Result<WriteTx, ReleaseError> {
        Ok(self.engine.db().write(&self.ctx.tenant).await?)
    }

    /// Appends events and the audit row, and commits.
    pub(crate) async fn commit(&self, mut tx: WriteTx, record: Record) -> Result<(), ReleaseError> {
        if tx.names_objects() && self.relied.get().is_none() {
            let why = format!("{} names objects and has not called Scope::rely", self.name);
            return Err(ReleaseError::Task(why));
        }
        let mut rows = tx.rows();
        self.check_relied(&mut rows).await?;
        let event = |(kind, subject, data): (&'static str, String, Value)| {
            debug_assert!(crate::events::kinds::is_kind(kind), "`{kind}` is not among EVENT_KINDS");
            EventRow {
                sequence: 0,
                kind: kind.to_owned(),
                subject,
                data,
                actor: self.actor().to_owned(),
                trace: self.ctx.trace.to_string(),
                action: self.action.clone(),
                at: self.at.clone(),
            }
        };
        let events: Vec<EventRow> = record.events.into_iter().map(event).collect();
        let audit = AuditRow {
            sequence: 0,
            at: self.at.clone(),
            actor: self.actor().to_owned(),
            action_name: self.name.to_owned(),
            action: self.action.clone(),
            subject: record.subject,
            data: record.data,
            trace: self.ctx.trace.to_string(),
        };
        rows.append_log(&events, &audit).await?;
        tx.commit().await?;
        self.engine.health().wrote();
        Ok(())
    }

    /// Does CPU-heavy work when it is the tenant's turn. Not for use inside the action's transaction.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        self.engine.heavy(&self.ctx.tenant, work).await
    }

    /// Runs work that computes or reads files on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        tokio::task::spawn_blocking(work).await.map_err(|e| ReleaseError::Task(e.to_string()))?
    }
}

/// 128 random bits as 32 hexadecimal digits: ids of actions and traces.
///
/// # Errors
/// When the system has no randomness.
pub fn new_id() -> Result<String, ReleaseError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| ReleaseError::Task(format!("no randomness: {e}")))?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
