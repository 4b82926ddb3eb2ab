//! An installation: its database, its objects, and what is remembered between actions.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ashlar_isolate::Workers;
use ashlar_model::{ChannelName, Digest, Files, Rules, TenantId};
use ashlar_store::{
    Objects, Remote, TenantObjects,
    sql::{Db, stamp},
};
use jiff::Timestamp;
use tokio::{
    sync::broadcast,
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

use super::health::Health;
use crate::{
    ChannelState, Judge, ReleaseError, access::secrets::Secrets, candidates::evidence::Evidence,
    definitions::files::read_files,
};

/// Fewer than this many are not dropped for their size.
const DEFINITIONS_KEPT_MIN: usize = 3;
/// Channels whose last move is remembered.
const MOVED_MAX: usize = 1_000;
/// How long [`Engine::close`] takes at the most.
const CLOSE_MAX: Duration = Duration::from_secs(12);
/// How long a stop waits until claims are given back.
const RELEASE_MAX: Duration = Duration::from_secs(2);

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
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    db: Db,
    objects: Objects,
    judge: Arc<dyn Judge>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Definitions that were read: the root, the files, and the rules once they were asked for.
    known_definitions: Mutex<Vec<(Digest, Arc<Files>, Option<Arc<Rules>>)>>,
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
    pub(super) health: Health,
    evidence: Evidence,
    pub(super) running: TaskTracker,
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
            known_definitions: Mutex::new(Vec::new()),
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
        let files = Arc::new(read_files(&self.tenant_objects(tenant), root)?);
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
        self.inner.known_definitions.lock().unwrap_or_else(PoisonError::into_inner)
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
        match timeout_at(until, self.inner.db.release_evals(&self.inner.owner)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "leases on cases of evals run out by themselves"),
            Err(_) => tracing::warn!("leases on cases of evals run out by themselves"),
        }
        // An action that goes on has a connection, and the database waits for it.
        let _ = timeout_at(until, self.inner.db.close()).await;
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
