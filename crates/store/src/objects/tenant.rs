//! Content-addressed objects of a tenant, in packs.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::BuildHasherDefault,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use ashlar_model::{Digest, TenantId};
use bytes::Bytes;

use crate::{
    Remote, StoreError, StoreLimits, files,
    objects::rounds::Fetching,
    packs::{
        format::{self, Row},
        index::{Found, Index, TakeFirst},
        pack::{Handles, Pack},
    },
    tree::Node,
};

/// How often a read looks again when the pack it found is missing or damaged.
const READ_TRIES: usize = 4;

/// All objects of an installation, by tenant. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    inner: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    remote: Option<Remote>,
    handles: Arc<Handles>,
    cache: Arc<Cache>,
    tenants: Mutex<HashMap<TenantId, TenantObjects>>,
}

/// The objects of one tenant. Cheap to clone; all clones share one index.
#[derive(Clone)]
pub struct TenantObjects {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) tenant: TenantId,
    /// `…/t/<tenant>`
    pub(crate) dir: PathBuf,
    pub(crate) remote: Option<Remote>,
    pub(crate) handles: Arc<Handles>,
    /// Where objects are looked for that are not in the index: what a bundle that is being read relies on.
    base: Option<TenantObjects>,
    index: RwLock<Index>,
    nodes: Mutex<Nodes>,
    reads: AtomicU64,
    pub(crate) healed: AtomicU64,
    /// Actions of this process that keep others from deleting and have looked at the packs since.
    pub(crate) holds: AtomicUsize,
    pub(crate) watch: Mutex<Watch>,
    pub(crate) fetching: Fetching,
    pub(crate) cache: Arc<Cache>,
}

/// When damage was looked for.
#[derive(Default)]
pub(crate) struct Watch {
    /// When the directory of marks had changed when it was last read.
    pub(super) marks: Option<SystemTime>,
    /// When the remote may be asked again.
    pub(super) remote_after: Option<Instant>,
}

/// The packs of all tenants that share a directory.
pub(crate) struct Cache {
    pub(super) bytes_max: u64,
    pub grace: Duration,
    pub(super) tenants: Mutex<Vec<Weak<Inner>>>,
    pub(super) swept: Mutex<Option<Instant>>,
}

impl Cache {
    pub(crate) fn new(limits: &StoreLimits) -> Self {
        Self {
            bytes_max: limits.cache_bytes_max,
            grace: limits.grace,
            tenants: Mutex::default(),
            swept: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, tenant: &TenantObjects) {
        if tenant.inner.remote.is_some() {
            self.tenants.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&tenant.inner));
        }
    }
}

#[derive(Default)]
struct Nodes {
    by_digest: HashMap<Digest, Weak<Node>, BuildHasherDefault<TakeFirst>>,
    sweep_at: usize,
}

impl Nodes {
    /// Forgets nodes that nobody uses, whenever the table has doubled.
    fn sweep(&mut self) {
        if self.by_digest.len() > self.sweep_at {
            self.by_digest.retain(|_, n| n.strong_count() > 0);
            self.sweep_at = (self.by_digest.len() * 2).max(1024);
        }
    }
}

/// Something objects can be read from.
pub trait ReadObjects {
    /// The bytes of an object.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    fn get(&self, digest: &Digest) -> Result<Bytes, StoreError>;
}

impl Objects {
    /// Opens the objects under `dir`, which exists. With a remote the directory is a cache of it.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(dir: &Path, remote: Option<Remote>) -> Result<Self, StoreError> {
        Self::open_with(dir, remote, StoreLimits::from_environment())
    }

    /// As [`Objects::open`], with other limits than those of the environment.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open_with(dir: &Path, remote: Option<Remote>, limits: StoreLimits) -> Result<Self, StoreError> {
        let tenants = dir.join("t");
        std::fs::create_dir_all(&tenants).map_err(|e| StoreError::io("make the directory", &tenants, e))?;
        let handles = Arc::new(Handles::new(limits.packs_open_max));
        let cache = Arc::new(Cache::new(&limits));
        let shared = Shared { dir: dir.to_owned(), remote, handles, cache, tenants: Mutex::default() };
        Ok(Self { inner: Arc::new(shared) })
    }

    /// The objects of a tenant.
    pub fn tenant(&self, tenant: &TenantId) -> TenantObjects {
        let mut tenants = self.inner.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        match tenants.entry(tenant.clone()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(slot) => {
                let inner = Inner {
                    tenant: tenant.clone(),
                    dir: self.inner.dir.join("t").join(tenant.as_str()),
                    remote: self.inner.remote.clone(),
                    handles: self.inner.handles.clone(),
                    base: None,
                    index: RwLock::default(),
                    nodes: Mutex::default(),
                    reads: AtomicU64::new(0),
                    healed: AtomicU64::new(0),
                    holds: AtomicUsize::new(0),
                    watch: Mutex::default(),
                    fetching: Default::default(),
                    cache: self.inner.cache.clone(),
                };
                let objects = TenantObjects { inner: Arc::new(inner) };
                objects.sweep_incoming();
                objects.inner.cache.add(&objects);
                if let Err(error) = objects.rescan(true) {
                    tracing::warn!(%tenant, %error, "the packs of a tenant could not all be read");
                }
                objects.recheck();
                slot.insert(objects).clone()
            }
        }
    }

    /// The tenants that have objects here or in the remote.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut found: std::collections::BTreeSet<TenantId> = self.tenants_here().into_iter().collect();
        if let Some(remote) = &self.inner.remote {
            found.extend(remote.tenants().await?);
        }
        Ok(found.into_iter().collect())
    }

    /// The tenants that have objects in the directory.
    pub fn tenants_here(&self) -> Vec<TenantId> {
        let names = std::fs::read_dir(self.inner.dir.join("t")).into_iter().flatten();
        names.filter_map(|e| TenantId::new(e.ok()?.file_name().to_str()?).ok()).collect()
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Whether the directory is the cache of a remote.
    pub fn has_remote(&self) -> bool {
        self.inner.remote.is_some()
    }

    /// How long a remote keeps unreferenced packs.
    pub fn grace(&self) -> Duration {
        self.inner.cache.grace
    }

    /// How many packs are open at this moment.
    pub fn packs_open(&self) -> usize {
        self.inner.handles.open_now()
    }

    /// Checks that a small file can be written beside the objects.
    ///
    /// # Errors
    /// When it cannot: the disk is full or read-only.
    pub fn probe(&self) -> Result<(), StoreError> {
        let dir = &self.inner.dir;
        let file = tempfile::Builder::new().prefix(".probe-").suffix(".tmp").tempfile_in(dir);
        let mut file = file.map_err(|e| StoreError::io("make a file in", dir, e))?;
        std::io::Write::write_all(&mut file, &[0; 4096]).map_err(|e| StoreError::io("write in", dir, e))
    }
}

impl TenantObjects {
    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.inner.tenant
    }

    pub(crate) fn packs_dir(&self) -> PathBuf {
        self.inner.dir.join("packs")
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.inner.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.inner.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same objects with those of a pack that is not stored yet in front of them.
    pub(crate) fn with_pack(&self, path: &Path) -> Result<Self, StoreError> {
        let inner = Inner {
            tenant: self.inner.tenant.clone(),
            dir: self.inner.dir.clone(),
            remote: None,
            handles: self.inner.handles.clone(),
            base: Some(self.clone()),
            index: RwLock::default(),
            nodes: Mutex::default(),
            reads: AtomicU64::new(0),
            healed: AtomicU64::new(0),
            holds: AtomicUsize::new(0),
            watch: Mutex::default(),
            fetching: Default::default(),
            cache: self.inner.cache.clone(),
        };
        let both = Self { inner: Arc::new(inner) };
        let (pack, rows) = both.open_pack(path)?;
        both.index_mut().add(pack, &rows);
        Ok(both)
    }

    fn find_again(&self, digest: &Digest) -> Result<Found, StoreError> {
        let find = || self.index().find(digest);
        if let Some(found) = find() {
            return Ok(found);
        }
        self.rescan(false)?;
        if let Some(found) = find().or_else(|| self.find_copy(digest)) {
            return Ok(found);
        }
        if self.index().is_damaged(digest) {
            return Err(StoreError::damaged(digest));
        }
        self.seek(digest)?.ok_or(StoreError::Missing { digest: *digest })
    }

    /// Another copy of an object whose pack went.
    fn find_copy(&self, digest: &Digest) -> Option<Found> {
        if !self.index().dropped {
            return None;
        }
        let (pack, row) =
            self.packs().into_iter().find_map(|p| Some((p.clone(), p.lookup(digest).ok()??)))?;
        let found = Found { pack, offset: row.offset, len: row.len, verified: false };
        self.index_mut().relocate(digest, &found);
        Some(found)
    }

    /// Reads the index of a pack file of this tenant.
    pub(crate) fn open_pack(&self, path: &Path) -> Result<(Pack, Vec<Row>), StoreError> {
        let (pack, rows) = Pack::open(path, &self.inner.handles)?;
        pack.trusted.store(self.inner.remote.is_none(), Ordering::Relaxed);
        Ok((pack, rows))
    }

    /// The bytes of an object. When no known pack has it, packs that another process or node wrote are looked for.
    ///
    /// # Errors
    /// When it is missing, damaged or cannot be read.
    pub fn get(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        let mut buffer = Vec::new();
        self.read_into(digest, &mut buffer)?;
        Ok(buffer.into())
    }

    /// Appends the bytes of an object to `buffer` and returns how many there were. This is the read path of delivery. The
    /// first read of an object in a process compares its bytes with its digest.
    ///
    /// # Errors
    /// When it is missing, damaged or cannot be read.
    pub fn read_into(&self, digest: &Digest, buffer: &mut Vec<u8>) -> Result<usize, StoreError> {
        let mut tries = 0;
        loop {
            if let Some(base) = &self.inner.base
                && !self.index().contains(digest)
            {
                return base.read_into(digest, buffer);
            }
            tries += 1;
            let found = self.find_again(digest)?;
            let start = buffer.len();
            match found.pack.read_into(found.offset, found.len, buffer) {
                Ok(()) if found.verified => {}
                Ok(()) if Digest::of(&buffer[start..]) == *digest => self.index().verified(digest, &found),
                // Another process merged the pack into another one before it was opened here.
                Err(StoreError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && tries < READ_TRIES =>
                {
                    self.rescan(true)?;
                    if self.inner.remote.is_some() && self.index().has_pack(&found.pack.name) {
                        self.fetch_back(&found.pack)?;
                    }
                    continue;
                }
                Ok(()) | Err(StoreError::Corrupt { .. }) => {
                    buffer.truncate(start);
                    if self.quarantine(digest, &found) && tries < READ_TRIES {
                        continue;
                    }
                    return Err(StoreError::damaged(digest));
                }
                Err(error) => return Err(error),
            }
            self.inner.reads.fetch_add(1, Ordering::Relaxed);
            return Ok(found.len as usize);
        }
    }

    /// The length of an object in bytes, without reading it.
    ///
    /// # Errors
    /// When it is missing.
    pub fn len_of(&self, digest: &Digest) -> Result<u32, StoreError> {
        match &self.inner.base {
            Some(base) if !self.index().contains(digest) => base.len_of(digest),
            _ => Ok(self.find_again(digest)?.len),
        }
    }

    /// Whether a known pack has the object, as far as is known undamaged.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.index().contains(digest) || self.inner.base.as_ref().is_some_and(|b| b.contains(digest))
    }

    /// Whether a pack that stays has the object, so that it need not be written again. With a remote, only packs count
    /// that the remote is known to have and to keep.
    pub fn is_stored(&self, digest: &Digest) -> bool {
        self.index().is_stored(digest) || self.inner.base.as_ref().is_some_and(|b| b.is_stored(digest))
    }

    /// How often objects stopped being stored, as far as this process knows. What was stored before this last changed
    /// still is.
    pub fn removals(&self) -> u64 {
        self.index().removals
    }

    /// How many objects were read through this handle's index.
    pub fn reads(&self) -> u64 {
        self.inner.reads.load(Ordering::Relaxed)
    }

    /// How many packs and objects are known.
    pub fn counts(&self) -> (usize, usize) {
        self.index().counts()
    }

    /// Packs that could not be opened, with what is wrong with them.
    pub fn damaged_packs(&self) -> Vec<(PathBuf, String)> {
        self.index().unreadable.clone()
    }

    pub(crate) fn make_packs_dir(&self) -> Result<PathBuf, StoreError> {
        self.make_dir("packs")
    }

    /// Makes a directory of the tenant, durably, with all directories above it.
    pub(crate) fn make_dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let dir = self.inner.dir.join(name);
        files::make_durable_dir(&dir)?;
        Ok(dir)
    }

    /// Adds a pack file to the index, unless it is known. `stays`: the remote has it and keeps it.
    pub(crate) fn adopt(&self, path: &Path, stays: bool) -> Result<(), StoreError> {
        let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let known = self.index().pack(&name).cloned();
        match known {
            Some(pack) if stays => pack.trusted.store(true, Ordering::Relaxed),
            Some(_) => {}
            None => self.take(path, stays)?,
        }
        Ok(())
    }

    /// Reads objects from this pack file from now on.
    pub(crate) fn take(&self, path: &Path, stays: bool) -> Result<(), StoreError> {
        let (pack, rows) = self.open_pack(path)?;
        pack.trusted.fetch_or(stays, Ordering::Relaxed);
        let healed = self.index_mut().add(pack, &rows);
        self.forget_damage(&healed);
        Ok(())
    }

    /// Looks for packs that came or went. Unless `force`, a directory that has not changed is not read again.
    pub(crate) fn rescan(&self, force: bool) -> Result<(), StoreError> {
        if self.inner.base.is_some() {
            return Ok(());
        }
        let dir = self.packs_dir();
        let changed = match std::fs::metadata(&dir).and_then(|m| m.modified()) {
            Ok(at) => at,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(StoreError::io("read", &dir, e)),
        };
        // File system times are coarse: a directory read within two seconds of its change is read again.
        let settled = |(at, when): (SystemTime, Instant)| {
            at == changed
                && SystemTime::now().duration_since(at).is_ok_and(|d| d.as_secs() >= 2)
                && when.elapsed().as_millis() > 0
        };
        // Asked with the lock that readers share first: what is missing for good must not stop them.
        if !force && self.index().scanned.is_some_and(settled) {
            return Ok(());
        }
        let mut index = self.index_mut();
        if !force && index.scanned.is_some_and(settled) {
            return Ok(());
        }
        let (mut present, mut unreadable, mut healed) = (HashSet::new(), Vec::new(), Vec::new());
        for damage in self.read_damage() {
            index.note_damage(damage);
        }
        for file in std::fs::read_dir(&dir).map_err(|e| StoreError::io("list", &dir, e))? {
            let path = file.map_err(|e| StoreError::io("list", &dir, e))?.path();
            let tail = path.extension().is_some_and(|e| e == format::TAIL);
            if !tail && path.extension().is_none_or(|e| e != "pack") {
                self.sweep_temp(&path);
                continue;
            }
            if tail && path.with_extension("pack").is_file() {
                continue;
            }
            let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if !index.has_pack(&name) {
                match self.open_pack(&path) {
                    Ok((pack, rows)) => healed.extend(index.add(pack, &rows)),
                    Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                        continue;
                    }
                    Err(error) => {
                        tracing::error!(%error, "a pack cannot be used");
                        unreadable.push((path, error.to_string()));
                    }
                }
            }
            present.insert(name);
        }
        let gone = index.drop_packs(|name| !present.contains(name));
        index.unreadable = unreadable;
        index.scanned = Some((changed, Instant::now()));
        drop(index);
        self.remove_marks(&gone);
        self.forget_damage(&healed);
        Ok(())
    }

    /// Removes what a crashed writer left behind, an hour later.
    fn sweep_temp(&self, path: &Path) {
        let old = std::fs::metadata(path)
            .and_then(|m| m.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() > 3600));
        if old && path.extension().is_some_and(|e| e == "tmp") {
            let _ = std::fs::remove_file(path);
        }
    }

    /// A tree node, shared between all trees of the tenant while any of them uses it.
    pub(crate) fn node(&self, digest: &Digest) -> Result<Arc<Node>, StoreError> {
        let mut nodes = self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.by_digest.get(digest).and_then(Weak::upgrade) {
            return Ok(node);
        }
        drop(nodes);
        let what = || format!("tree node {}", digest.short());
        let bytes = self.get(digest).map_err(|e| match e {
            StoreError::Corrupt { why, .. } => StoreError::corrupt(what(), why),
            other => other,
        })?;
        let node = Node::parse(bytes).map_err(|why| StoreError::corrupt(what(), why))?;
        let node = Arc::new(node);
        nodes = self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = nodes.by_digest.get(digest).and_then(Weak::upgrade) {
            return Ok(known);
        }
        nodes.by_digest.insert(*digest, Arc::downgrade(&node));
        nodes.sweep();
        Ok(node)
    }

    /// A tree node that some tree contains, without reading it.
    pub(crate) fn held_node(&self, digest: &Digest) -> Option<Arc<Node>> {
        let nodes = self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.by_digest.get(digest).and_then(Weak::upgrade)
    }

    /// Makes nodes that were just written known, so that trees opened later share them.
    pub(crate) fn keep_node(&self, digest: &Digest, node: &Arc<Node>) {
        let mut nodes = self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.by_digest.insert(*digest, Arc::downgrade(node));
        nodes.sweep();
    }

    /// The known packs, by name.
    pub(crate) fn packs(&self) -> Vec<Arc<Pack>> {
        let mut packs: Vec<_> = self.index().packs().cloned().collect();
        packs.sort_by(|a, b| a.name.cmp(&b.name));
        packs
    }

    /// Drops packs from the index before their files go.
    pub(crate) fn forget(&self, names: &HashSet<String>) {
        let gone = self.index_mut().drop_packs(|name| names.contains(name));
        self.remove_marks(&gone);
    }
}

impl ReadObjects for TenantObjects {
    fn get(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        Self::get(self, digest)
    }
}
