//! Deletes what is no longer referenced.
//!
//! A collection lists the packs first and marks afterwards, so what is stored meanwhile is not looked at. Marks lie in the
//! index: they cost no memory, and a subtree that was marked is not visited again. A pack goes only when every marked object
//! in it also lies in a pack that stays.
//!
//! Without a remote, writers share a lock that the last step takes for itself. With one, a pack is condemned first: the
//! remote notes it, and nodes no longer take its objects as stored. It is deleted after the grace period, by another
//! collection that has marked again.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, atomic::Ordering},
};

use ashlar_model::Digest;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Hold, StoreError, TenantObjects,
    objects::merge::apart,
    packs::pack::Pack,
    shared::remote::{Listing, PackState},
    tree::{Node, Tree},
};

/// Rows of a pack that are looked at at a time.
const ROWS: u64 = 512;

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// Packs before.
    pub packs_before: usize,
    /// Packs after.
    pub packs_after: usize,
    /// Objects that were deleted.
    pub objects_removed: u64,
    /// Bytes that were freed.
    pub bytes_freed: u64,
    /// Packs that an object store still has and that go after the grace period.
    #[serde(default)]
    pub packs_condemned: usize,
}

/// What the values of a tree name. Each way of walking has its own mark, so that a tree is walked once in each.
#[derive(Clone, Copy)]
pub struct Walk {
    mark: u8,
    entry: Option<fn(&[u8], &[u8]) -> Result<Option<Digest>, &'static str>>,
}

impl Walk {
    /// Values name nothing.
    pub const PLAIN: Self = Self { mark: 1, entry: None };

    /// Entries name objects. `entry` reads a key and a value; what it refuses ends the collection. `mark` is from 1 to 6,
    /// another one for each function.
    pub const fn naming(mark: u8, entry: fn(&[u8], &[u8]) -> Result<Option<Digest>, &'static str>) -> Self {
        Self { mark: 1 << mark, entry: Some(entry) }
    }
}

/// The mark of objects that are no trees.
const SINGLE: u8 = 1 << 7;

/// A collection that marks. One at a time in a process.
pub struct Collection {
    objects: TenantObjects,
    /// The packs that were there when it began.
    packs: Vec<Arc<Pack>>,
    listing: Option<Listing>,
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.objects.index_mut().end_marking();
        self.objects.inner.fetching.collecting.store(false, Ordering::Release);
    }
}

/// What a collection found out.
#[derive(Default)]
pub struct Doomed {
    /// Packs that may be deleted now.
    packs: Vec<Arc<Pack>>,
    /// The newest round in which one of them was condemned; 0 without a remote.
    pub round: u64,
    /// Packs that were condemned and are needed after all.
    pardoned: Vec<(Arc<Pack>, PackState)>,
}

impl Doomed {
    /// Whether nothing is to be done.
    pub fn is_nothing(&self) -> bool {
        self.packs.is_empty() && self.pardoned.is_empty()
    }

    /// How many packs are to be deleted.
    pub fn count(&self) -> usize {
        self.packs.len()
    }
}

impl TenantObjects {
    /// Begins a collection: what is stored from now on is spared.
    ///
    /// # Errors
    /// When another collection runs in this process, or the remote does not answer.
    pub async fn begin_collection(&self) -> Result<Collection, StoreError> {
        if self.inner.fetching.collecting.swap(true, Ordering::AcqRel) {
            return Err(StoreError::Busy);
        }
        let mut collection = Collection { objects: self.clone(), packs: Vec::new(), listing: None };
        if let Some(remote) = &self.inner.remote {
            let listing = remote.listing(&self.inner.tenant).await?;
            self.refresh().await?;
            collection.listing = Some(listing);
        }
        self.rescan(true)?;
        collection.packs = match &collection.listing {
            None => self.packs(),
            Some(listing) => {
                let there = |p: &Arc<Pack>| {
                    matches!(listing.state(&p.name), PackState::Live | PackState::Condemned(_))
                };
                self.packs().into_iter().filter(there).collect()
            }
        };
        self.index_mut().begin_marking();
        Ok(collection)
    }
}

impl Collection {
    /// The bytes of an object that is needed.
    ///
    /// # Errors
    /// When it is missing or damaged: what it names cannot be known then.
    pub fn read(&self, digest: &Digest) -> Result<Bytes, StoreError> {
        self.mark(digest, SINGLE)?;
        self.objects.get(digest)
    }

    /// Whether this object was read or kept.
    pub fn has(&self, digest: &Digest) -> bool {
        self.objects.index().is_marked(digest, SINGLE)
    }

    /// Keeps an object.
    ///
    /// # Errors
    /// When it is missing.
    pub fn keep(&self, digest: &Digest) -> Result<(), StoreError> {
        self.mark(digest, SINGLE).map(drop)
    }

    /// Whether a tree was kept.
    pub fn has_tree(&self, root: &Digest, walk: Walk) -> bool {
        *root == Tree::empty().root() || self.objects.index().is_marked(root, walk.mark)
    }

    /// Keeps the nodes of a tree and what its values name. Subtrees that were kept are not read again; nodes are not kept
    /// in memory.
    ///
    /// # Errors
    /// When a node is missing or damaged, or a value names nothing: what is needed cannot be known then.
    pub fn keep_tree(&self, root: &Digest, walk: Walk) -> Result<(), StoreError> {
        if *root == Tree::empty().root() {
            return Ok(());
        }
        // Marked last, after everything below it: a walk that fails leaves nothing marked that was not walked.
        self.keep_node(root, None, walk)
    }

    fn keep_node(&self, digest: &Digest, level: Option<u8>, walk: Walk) -> Result<(), StoreError> {
        if self.objects.index().is_marked(digest, walk.mark) {
            return Ok(());
        }
        let damaged = |why: &str| StoreError::corrupt(format!("tree node {}", digest.short()), why);
        if level != Some(0) || walk.entry.is_some() {
            let node = Node::parse(self.objects.get(digest)?).map_err(damaged)?;
            if level.is_some_and(|level| level != node.level()) {
                return Err(damaged("it is not the child its parent says"));
            }
            for i in 0..node.count() {
                if let Some(below) = node.level().checked_sub(1) {
                    self.keep_node(&node.child_digest(i), Some(below), walk)?;
                } else if let Some(entry) = walk.entry
                    && let Some(named) = entry(node.key(i), node.value(i)).map_err(damaged)?
                {
                    self.keep(&named)?;
                }
            }
        }
        self.mark(digest, walk.mark).map(drop)
    }

    fn mark(&self, digest: &Digest, mark: u8) -> Result<bool, StoreError> {
        if let Some(known) = self.objects.index().mark(digest, mark) {
            return Ok(known);
        }
        // Not here: it may lie in a pack of another process or node.
        self.objects.len_of(digest)?;
        let known = self.objects.index().mark(digest, mark);
        known.ok_or(StoreError::Missing { digest: *digest })
    }

    /// How many objects of a pack are needed, how many bytes these have, and how many are not needed.
    fn weigh(&self, pack: &Arc<Pack>) -> Result<(u64, u64, u64), StoreError> {
        let (mut live, mut bytes, mut dead) = (0, 0, 0);
        self.rows(pack, |row| {
            match self.objects.index().is_marked(&row.digest, 0) {
                true => (live, bytes) = (live + 1, bytes + u64::from(row.len)),
                false => dead += 1,
            }
            true
        })?;
        Ok((live, bytes, dead))
    }

    /// Hands out the rows of a pack until `each` has enough.
    fn rows(
        &self,
        pack: &Arc<Pack>,
        mut each: impl FnMut(&crate::packs::format::Row) -> bool,
    ) -> Result<(), StoreError> {
        let mut first = 0;
        while first < pack.count {
            let rows = pack.rows(first, ROWS)?;
            first += rows.len() as u64;
            if rows.is_empty() || !rows.iter().all(&mut each) {
                break;
            }
        }
        Ok(())
    }

    /// The packs among these in which no object is needed that lies nowhere else.
    fn spare(&self, packs: &[Arc<Pack>]) -> Result<Vec<Arc<Pack>>, StoreError> {
        let names: HashSet<&str> = packs.iter().map(|p| p.name.as_str()).collect();
        let mut spare = Vec::new();
        for pack in packs {
            let mut needed = false;
            self.rows(pack, |row| {
                let index = self.objects.index();
                let stays = |p: &Pack| p.trusted.load(Ordering::Relaxed) && !names.contains(p.name.as_str());
                needed = index.is_marked(&row.digest, 0)
                    && !index.find(&row.digest).is_some_and(|found| stays(&found.pack));
                !needed
            })?;
            if !needed {
                spare.push(pack.clone());
            }
        }
        Ok(spare)
    }

    /// Packs of which less than half is needed, with what is needed of them written again elsewhere. Damaged packs are left
    /// alone as long as anything in them is needed.
    async fn sparse(&self, from: Vec<Arc<Pack>>) -> Result<Vec<Arc<Pack>>, StoreError> {
        let (mut dead, mut rewrite) = (Vec::new(), Vec::new());
        for pack in from {
            let (live, live_bytes, gone) = self.weigh(&pack)?;
            if gone == 0 {
                continue;
            }
            if live == 0 {
                dead.push(pack);
            } else if live_bytes * 2 < pack.len && !pack.damaged.load(Ordering::Relaxed) {
                rewrite.push(pack);
            }
        }
        if !rewrite.is_empty() {
            let objects = self.objects.clone();
            let keep = move |digest: &Digest| objects.index().is_marked(digest, 0);
            self.objects.write_again(rewrite.clone(), keep).await?;
            dead.append(&mut rewrite);
        }
        Ok(dead)
    }

    /// Without a remote: what may be deleted as soon as [`Collection::exclude`] has kept writers out.
    ///
    /// # Errors
    /// When a pack cannot be read or written.
    pub async fn sweep_here(self: &Arc<Self>) -> Result<Doomed, StoreError> {
        let this = self.clone();
        apart(async move { this.sweep_here_now().await }).await
    }

    async fn sweep_here_now(&self) -> Result<Doomed, StoreError> {
        Ok(Doomed { packs: self.sparse(self.packs.clone()).await?, ..Doomed::default() })
    }

    /// Keeps writers out of a store without a remote while it lives.
    ///
    /// # Errors
    /// When somebody writes now.
    pub fn exclude(&self) -> Result<Hold, StoreError> {
        self.objects.exclude().map(Hold::excluding)
    }

    /// The rounds in which packs of the remote were condemned.
    pub fn rounds(&self) -> BTreeSet<u64> {
        let states = self.listing.iter().flat_map(|l| l.retired.keys().map(|name| l.state(name)));
        states
            .filter_map(|state| match state {
                PackState::Condemned(round) => Some(round),
                _ => None,
            })
            .collect()
    }

    /// With a remote: packs that were condemned a grace period ago, in a round that writers know of, and are still not
    /// needed; and those that are needed after all.
    ///
    /// # Errors
    /// When a pack cannot be read.
    pub fn sweep_condemned(&self, known: &BTreeSet<u64>) -> Result<Doomed, StoreError> {
        let Some(listing) = &self.listing else { return Ok(Doomed::default()) };
        let now = jiff::Timestamp::now().as_second();
        let (mut due, mut rounds) = (Vec::new(), Vec::new());
        for pack in &self.packs {
            if let Some(retired) = listing.retired.get(&pack.name)
                && let PackState::Condemned(round) = listing.state(&pack.name)
                && known.contains(&round)
                && now.saturating_sub(retired.at) >= self.objects.grace_seconds()
            {
                pack.trusted.store(false, Ordering::Relaxed);
                due.push(pack.clone());
                rounds.push(round);
            }
        }
        let spare: HashSet<String> = self.spare(&due)?.into_iter().map(|p| p.name.clone()).collect();
        let mut doomed = Doomed::default();
        for (pack, round) in due.into_iter().zip(rounds) {
            if spare.contains(&pack.name) {
                doomed.round = doomed.round.max(round);
                doomed.packs.push(pack);
            } else {
                doomed.pardoned.push((pack, PackState::Condemned(round)));
            }
        }
        Ok(doomed)
    }

    /// With a remote: packs with little that is needed, also those that were condemned in a round that writers do not know
    /// of. What is needed is written again elsewhere.
    ///
    /// # Errors
    /// When a pack cannot be read or written.
    pub async fn sweep_remote(self: &Arc<Self>, known: &BTreeSet<u64>) -> Result<Doomed, StoreError> {
        let this = self.clone();
        let known = known.clone();
        apart(async move { this.sweep_remote_now(&known).await }).await
    }

    async fn sweep_remote_now(&self, known: &BTreeSet<u64>) -> Result<Doomed, StoreError> {
        let Some(listing) = &self.listing else { return Ok(Doomed::default()) };
        let young = jiff::Timestamp::now().as_second().saturating_sub(self.objects.grace_seconds());
        let open = |name: &str| match listing.state(name) {
            PackState::Live => true,
            PackState::Condemned(round) => !known.contains(&round),
            PackState::Merged | PackState::Absent => false,
        };
        let old = |p: &&Arc<Pack>| {
            open(&p.name) && listing.packs.get(&p.name).is_some_and(|written| *written <= young)
        };
        let old: Vec<_> = self.packs.iter().filter(old).cloned().collect();
        let sparse = self.sparse(old).await?;
        Ok(Doomed { packs: self.spare(&sparse)?, ..Doomed::default() })
    }

    /// Notes in the remote that packs are going away. Nodes that read the notes do not take their objects as stored.
    ///
    /// # Errors
    /// When the remote does not answer; some may be noted then, and the next collection goes on.
    pub async fn condemn(&self, doomed: &Doomed, round: u64) -> Result<(), StoreError> {
        let Some(remote) = &self.objects.inner.remote else { return Ok(()) };
        self.objects.index_mut().removals += 1;
        for pack in &doomed.packs {
            pack.trusted.store(false, Ordering::Relaxed);
            pack.condemned.store(true, Ordering::Relaxed);
            remote.retire(self.objects.tenant(), &pack.name, PackState::Condemned(round)).await?;
            // The note of a collection that was broken off.
            if let Some(before) = self.listing.as_ref().and_then(|l| l.retired.get(&pack.name)) {
                remote.unretire(self.objects.tenant(), &pack.name, before.state).await?;
            }
        }
        Ok(())
    }

    /// Deletes packs, here and in the remote, and takes back the notes of packs that are needed after all. Those in which
    /// something was marked since they were doomed stay.
    ///
    /// # Errors
    /// When a pack cannot be deleted; the next collection goes on then.
    pub async fn delete(self: &Arc<Self>, doomed: Doomed) -> Result<Collected, StoreError> {
        let this = self.clone();
        apart(async move { this.delete_now(doomed).await }).await
    }

    async fn delete_now(&self, doomed: Doomed) -> Result<Collected, StoreError> {
        let mut done = Collected { packs_before: self.packs.len(), ..Collected::default() };
        let packs = self.spare(&doomed.packs)?;
        for pack in &packs {
            done.objects_removed += self.weigh(pack)?.2;
            done.bytes_freed += pack.len;
        }
        if let Some(remote) = &self.objects.inner.remote {
            for (pack, state) in &doomed.pardoned {
                remote.unretire(self.objects.tenant(), &pack.name, *state).await?;
                pack.condemned.store(false, Ordering::Relaxed);
                pack.trusted.store(true, Ordering::Relaxed);
            }
            for pack in &packs {
                remote.delete_pack(self.objects.tenant(), &pack.name).await?;
            }
        }
        self.objects.drop_files(&packs.iter().map(|p| p.name.clone()).collect());
        done.packs_after = self.objects.packs().len();
        Ok(done)
    }
}
