//! Deleting objects that no release, open candidate or working definitions need.
//!
//! Nothing is held while a collection walks. What is named meanwhile is walked before anything is deleted, in the short
//! transaction in which deleting is decided.
//!
//! With an object store, three counters keep nodes in step. `gc/round` numbers collections, and the newest one wins.
//! `gc/published` is the newest round whose condemned packs writers can know. An action reads it before it relies on stored
//! objects, and does not commit when `gc/deleted`, the newest round whose packs may be gone, is above what it has read.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ashlar_model::{Digest, EntryRecord, Right};
use ashlar_store::{
    Collection, Doomed, Hold, StoreError, TenantObjects, Tree, Walk,
    sql::{Rows, WriteTx, stamp},
};
use async_trait::async_trait;
use jiff::ToSpan;
use serde_json::json;

pub use ashlar_store::Collected;

use crate::{
    Action, ReleaseError, Scope,
    artifacts::{
        derived::{self, Names},
        manifest,
    },
    engine::action::Record,
};

/// Evidence older than this is forgotten; a gate that is asked again runs again.
const EVIDENCE_DAYS: i64 = 90;
/// Releases that are walked at a time.
const PAGE: u32 = 200;
/// How often deleting is tried again because something was named or written meanwhile.
const TRIES: u32 = 100;
/// How long to wait for those who write.
const PAUSE: Duration = Duration::from_millis(50);

/// The counter of additions to releases; a collection walks them again when it moves.
pub(crate) const DERIVED: &str = "derived";
const ROUND: &str = "gc/round";
const PUBLISHED: &str = "gc/published";
const DELETED: &str = "gc/deleted";

const ENTRIES: Walk = Walk::naming(1, |_, value| match EntryRecord::from_bytes(value) {
    Ok(record) => Ok(Some(record.digest)),
    Err(_) => Err("a value is no record of an entry"),
});
const FILES: Walk = Walk::naming(2, |_, value| match <[u8; 32]>::try_from(value) {
    Ok(digest) => Ok(Some(Digest::from_bytes(digest))),
    Err(_) => Err("a value is no digest of a file"),
});
const NAMING: Walk = Walk::naming(3, derived::named);

/// Deletes every unreferenced object. Releases and open candidates keep all of theirs. With an object store, packs are
/// condemned first and deleted by a collection after the grace period.
#[derive(Debug, Clone, Default)]
pub struct CollectGarbage;

impl Scope<'_> {
    /// Relies on stored objects until the action has committed: no collection deletes them meanwhile unless the action is
    /// refused. Call it before a transaction begins. [`Scope::commit`] refuses an action that names objects without it.
    pub(crate) async fn rely(&self) -> Result<Hold, ReleaseError> {
        let objects = self.objects();
        let hold = objects.hold()?;
        if self.relied.get().is_none() {
            let known = match self.engine.objects().has_remote() {
                false => None,
                true => {
                    let mut conn = self.engine.db().read(&self.ctx.tenant).await?;
                    let published = conn.rows().counter(PUBLISHED).await?;
                    drop(conn);
                    objects.reconcile(published).await?;
                    Some(published)
                }
            };
            let _ = self.relied.set(known);
        }
        Ok(hold)
    }

    /// Refuses an action that relied on stored objects before they were condemned and commits after they were deleted.
    pub(crate) async fn check_relied(&self, rows: &mut Rows<'_>) -> Result<(), ReleaseError> {
        let Some(Some(known)) = self.relied.get() else { return Ok(()) };
        match rows.counter(DELETED).await? > *known {
            false => Ok(()),
            true => Err(ReleaseError::refused(
                "collected-meanwhile",
                "this took longer than unused objects are kept, and some that it needs may be deleted",
                "send it again",
            )),
        }
    }
}

/// What is needed.
#[derive(Clone, Copy)]
enum Needed {
    Tree(Digest, Walk),
    /// A derived tree, which says itself what it names.
    Derived(Digest),
    /// One object.
    Object(Digest),
}

impl Needed {
    fn keep(self, collection: &Collection, objects: &TenantObjects) -> Result<(), ReleaseError> {
        let (root, walk) = match self {
            _ if self.is_kept(collection) => return Ok(()),
            Self::Object(digest) => return Ok(collection.keep(&digest)?),
            Self::Tree(root, walk) => (root, walk),
            Self::Derived(root) => match derived::form_of(&Tree::open(objects, &root)?)?.names {
                Names::Nothing => (root, Walk::PLAIN),
                Names::Objects => (root, NAMING),
            },
        };
        Ok(collection.keep_tree(&root, walk)?)
    }

    fn is_kept(self, collection: &Collection) -> bool {
        match self {
            Self::Object(digest) => collection.has(&digest),
            Self::Tree(root, walk) => collection.has_tree(&root, walk),
            Self::Derived(root) => [Walk::PLAIN, NAMING].iter().any(|walk| collection.has_tree(&root, *walk)),
        }
    }
}

/// What SQL names besides releases.
async fn named(rows: &mut Rows<'_>) -> Result<Vec<Needed>, ReleaseError> {
    let mut trees = Vec::new();
    for candidate in rows.open_candidates().await? {
        let frozen = candidate.frozen;
        trees.extend([
            Needed::Tree(frozen.snapshot, ENTRIES),
            Needed::Tree(frozen.definitions, FILES),
            Needed::Tree(frozen.changes, Walk::PLAIN),
        ]);
        trees.extend(frozen.derived.into_values().map(Needed::Derived));
    }
    for row in rows.unsettled().await? {
        let roots = row.old_snapshot.into_iter().chain([row.new_snapshot]);
        trees.extend(roots.map(|root| Needed::Tree(root, ENTRIES)));
    }
    trees.extend(rows.working_definitions().await?.map(|d| Needed::Tree(d.digest, FILES)));
    trees.extend(rows.eval_evidence_objects().await?.into_iter().map(Needed::Object));
    Ok(trees)
}

/// A collection and how far it has walked.
struct Walker<'a, 'b> {
    scope: &'a Scope<'b>,
    collection: Arc<Collection>,
    /// The newest release that was walked; numbers follow the order of commits.
    newest: u32,
    /// How often something had been derived later from a release when releases were walked.
    derived: u64,
    round: u64,
}

impl Walker<'_, '_> {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Collection) -> Result<T, ReleaseError> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        let collection = self.collection.clone();
        self.scope.blocking(move || work(&collection)).await
    }

    /// Walks what SQL names and was not walked.
    async fn walk(&mut self) -> Result<(), ReleaseError> {
        let derived =
            self.scope.engine.db().read(&self.scope.ctx.tenant).await?.rows().counter(DERIVED).await?;
        if derived != self.derived {
            (self.newest, self.derived) = (0, derived);
        }
        let (known, mut before) = (self.newest, u32::MAX);
        loop {
            let (new, page) = {
                let mut conn = self.scope.engine.db().read(&self.scope.ctx.tenant).await?;
                let mut rows = conn.rows();
                let (mut new, page) = (Vec::new(), rows.releases(before, PAGE).await?);
                for release in page.iter().filter(|r| r.id.0 > known) {
                    // A staged release is judged again, by its changes, when it goes public.
                    let candidate = rows.candidate(release.candidate).await?;
                    new.push((release.clone(), candidate.map(|c| c.frozen.changes)));
                }
                (new, page)
            };
            self.newest = page.first().map_or(self.newest, |r| self.newest.max(r.id.0));
            let more = new.len() == PAGE as usize;
            before = page.last().map_or(0, |r| r.id.0);
            let objects = self.scope.objects();
            self.blocking(move |collection| {
                for (release, changes) in new {
                    match changes.map(|root| collection.keep_tree(&root, Walk::PLAIN)) {
                        // An earlier version did not keep them.
                        None | Some(Ok(()) | Err(StoreError::Missing { .. })) => {}
                        Some(Err(error)) => return Err(error.into()),
                    }
                    let manifest = manifest::read(&objects, &release.manifest)?;
                    collection.keep(&release.manifest)?;
                    collection.keep(&manifest.evidence)?;
                    collection.keep_tree(&manifest.snapshot, ENTRIES)?;
                    collection.keep_tree(&manifest.definitions, FILES)?;
                    for root in manifest.derived.values().chain(release.derived.values()) {
                        Needed::Derived(*root).keep(collection, &objects)?;
                    }
                }
                Ok(())
            })
            .await?;
            if !more {
                break;
            }
        }
        let trees = {
            let mut conn = self.scope.engine.db().read(&self.scope.ctx.tenant).await?;
            named(&mut conn.rows()).await?
        };
        let objects = self.scope.objects();
        self.blocking(move |collection| trees.iter().try_for_each(|tree| tree.keep(collection, &objects)))
            .await
    }

    /// Begins a transaction in which everything that SQL names was walked.
    async fn fenced(&mut self) -> Result<WriteTx, ReleaseError> {
        for _ in 0..TRIES {
            let mut tx = self.scope.begin().await?;
            let mut rows = tx.rows();
            self.check_newest(&mut rows).await?;
            let top = rows.releases(u32::MAX, 1).await?.first().map_or(0, |r| r.id.0);
            let trees = named(&mut rows).await?;
            let derived = rows.counter(DERIVED).await?;
            if top <= self.newest
                && derived == self.derived
                && trees.iter().all(|tree| tree.is_kept(&self.collection))
            {
                return Ok(tx);
            }
            drop(tx);
            self.walk().await?;
        }
        Err(StoreError::Busy.into())
    }

    /// A collection that began later has looked at more.
    async fn check_newest(&self, rows: &mut Rows<'_>) -> Result<(), ReleaseError> {
        match rows.counter(ROUND).await? == self.round {
            true => Ok(()),
            false => Err(ReleaseError::refused(
                "collection-superseded",
                "another garbage collection of this tenant began meanwhile",
                "there is nothing to do; the other one goes on",
            )),
        }
    }

    /// Without an object store: writers are kept out while packs are deleted.
    async fn delete_here(&mut self) -> Result<(WriteTx, Collected), ReleaseError> {
        let doomed = self.collection.sweep_here().await?;
        for _ in 0..TRIES {
            let tx = self.fenced().await?;
            match self.collection.exclude() {
                Ok(guard) => {
                    let collected = self.collection.delete(doomed).await?;
                    drop(guard);
                    return Ok((tx, collected));
                }
                Err(StoreError::Busy) => {
                    drop(tx);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Busy.into())
    }

    async fn delete_condemned(&mut self, doomed: Doomed) -> Result<Collected, ReleaseError> {
        if doomed.is_nothing() {
            return Ok(self.collection.delete(doomed).await?);
        }
        let mut tx = self.fenced().await?;
        raise(&mut tx.rows(), DELETED, doomed.round).await?;
        tx.commit().await?;
        Ok(self.collection.delete(doomed).await?)
    }

    /// Condemns packs, and then lets writers know.
    async fn condemn(&mut self, doomed: &Doomed) -> Result<(), ReleaseError> {
        let mut tx = self.scope.begin().await?;
        self.check_newest(&mut tx.rows()).await?;
        drop(tx);
        self.collection.condemn(doomed, self.round).await?;
        let mut tx = self.scope.begin().await?;
        let mut rows = tx.rows();
        self.check_newest(&mut rows).await?;
        rows.next(&published(self.round)).await?;
        raise(&mut rows, PUBLISHED, self.round).await?;
        Ok(tx.commit().await?)
    }
}

/// The counter that says whether a round was published. A round that was broken off never is.
fn published(round: u64) -> String {
    format!("gc/published/{round}")
}

async fn raise(rows: &mut Rows<'_>, counter: &str, to: u64) -> Result<(), ReleaseError> {
    let now = rows.counter(counter).await?;
    if to > now {
        rows.advance(counter, to - now).await?;
    }
    Ok(())
}

#[async_trait]
impl Action for CollectGarbage {
    type Output = Collected;
    const NAME: &'static str = "store.collect";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Collected, ReleaseError> {
        let collection = Arc::new(scope.objects().begin_collection().await?);
        let before = scope.now.checked_sub((EVIDENCE_DAYS * 24).hours()).map(stamp).unwrap_or_default();
        let (mut tx, mut known) = (scope.begin().await?, BTreeSet::new());
        let mut rows = tx.rows();
        rows.forget_evidence(&before).await?;
        let round = rows.next(ROUND).await?;
        for condemned in collection.rounds() {
            if rows.counter(&published(condemned)).await? > 0 {
                known.insert(condemned);
            }
        }
        tx.commit().await?;
        let mut walker = Walker { scope, collection: collection.clone(), newest: 0, derived: 0, round };
        walker.walk().await?;
        let (tx, collected) = match scope.engine.objects().has_remote() {
            false => walker.delete_here().await?,
            true => {
                let rounds = known.clone();
                let due = walker.blocking(move |c| Ok(c.sweep_condemned(&rounds)?)).await?;
                let mut collected = walker.delete_condemned(due).await?;
                let doomed = collection.sweep_remote(&known).await?;
                if doomed.count() > 0 {
                    walker.condemn(&doomed).await?;
                }
                collected.packs_condemned = doomed.count();
                (scope.begin().await?, collected)
            }
        };
        let data = json!({
            "objects_removed": collected.objects_removed, "bytes_freed": collected.bytes_freed,
            "packs_condemned": collected.packs_condemned,
        });
        scope.commit(tx, Record::one("store.collected", scope.ctx.tenant.as_str(), data)).await?;
        Ok(collected)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ashlar_model::{Actor, ContractName, Fields, Files, Finding, Rules, TenantId};
    use ashlar_store::sql::DefinitionsRow;

    use super::*;
    use crate::{Ctx, Engine, Judge, JudgeInput, Judgement, Location, RequiredApproval};

    /// Finds nothing.
    struct Blind;

    impl Judge for Blind {
        fn rules(&self, _: &Files) -> Result<Rules, Vec<Finding>> {
            Err(Vec::new())
        }

        fn validate(&self, _: &Files, _: &ContractName, _: &Fields) -> Result<Vec<Finding>, ReleaseError> {
            Ok(Vec::new())
        }

        fn judge(&self, input: &JudgeInput<'_>) -> Result<Judgement, ReleaseError> {
            Ok(Judgement { gates: Vec::new(), derived: BTreeMap::new(), objects: input.objects.batch() })
        }

        fn required_approvals(&self, _: &JudgeInput<'_>) -> Result<Vec<RequiredApproval>, ReleaseError> {
            Ok(Vec::new())
        }
    }

    /// Names an object, and relies on it or not.
    struct Names(bool);

    #[async_trait]
    impl Action for Names {
        type Output = ();
        const NAME: &'static str = "test.names";

        fn right(&self) -> Right {
            Right::Define
        }

        async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
            let _hold = if self.0 { Some(scope.rely().await?) } else { None };
            let mut tx = scope.begin().await?;
            let row = DefinitionsRow {
                sequence: 1,
                digest: Digest::of(b"x"),
                author: String::new(),
                pushed_at: scope.at.clone(),
            };
            tx.rows().insert_definitions(&row).await?;
            scope.commit(tx, Record::one("definition.changed", "x", json!({}))).await
        }
    }

    #[tokio::test]
    async fn an_action_that_names_objects_has_to_rely_on_them() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(&Location::embedded(dir.path()), Arc::new(Blind)).await.unwrap();
        let ctx = Ctx::new(TenantId::main(), Actor::local("dev")).unwrap();
        let refused = engine.run(&ctx, Names(false)).await.unwrap_err();
        assert!(refused.to_string().contains("Scope::rely"), "{refused}");
        engine.run(&ctx, Names(true)).await.unwrap();
    }
}
