//! Building what is derived from a release after it was made: kinds that a follower builds, and kinds that are new or have
//! a new format.

use std::collections::BTreeMap;

use ashlar_model::{Digest, ReleaseId, Right, TenantId};
use ashlar_store::{
    Batch, Tree,
    sql::{ReleaseRow, Rows},
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;

use super::{
    collect::DERIVED,
    derived::{self, Derive, DeriveInput, Earlier},
    kinds::kinds,
};
use crate::{Action, Ctx, Engine, ReleaseError, Scope, channels::moves::counter, engine::action::Record};

/// How many releases back a tree to go on from is looked for.
const EARLIER_MAX: usize = 32;

/// Adds what a release lacks of what can be derived from it.
struct DeriveRelease {
    release: ReleaseId,
}

/// A release and one that it can go on from, with their definitions roots, as they are read once.
struct Sources {
    row: ReleaseRow,
    earlier: Option<ReleaseRow>,
}

impl Sources {
    async fn read(
        rows: &mut Rows<'_>,
        id: ReleaseId,
        missing: &[&'static str],
    ) -> Result<Self, ReleaseError> {
        let row = release(rows, id).await?;
        let mut parent = row.parent;
        let mut earlier = None;
        for _ in 0..EARLIER_MAX {
            let Some(id) = parent else { break };
            let Some(found) = rows.release(id).await? else { break };
            parent = found.parent;
            if missing.iter().any(|name| found.derived.contains_key(*name)) {
                earlier = Some(found);
                break;
            }
        }
        Ok(Self { row, earlier })
    }

    fn build(
        self,
        engine: &Engine,
        tenant: &TenantId,
        missing: &[&str],
        now: Timestamp,
    ) -> Result<(BTreeMap<String, Digest>, Batch), ReleaseError> {
        let objects = engine.tenant_objects(tenant);
        let open = |row: &ReleaseRow| -> Result<_, ReleaseError> {
            let at = row.created_at.parse().unwrap_or(now);
            Ok((engine.files(tenant, &row.definitions)?, Tree::open(&objects, &row.snapshot)?, at))
        };
        let (definitions, snapshot, at) = open(&self.row)?;
        let before = self.earlier.as_ref().map(open).transpose()?;
        let earlier = before.as_ref().zip(self.earlier.as_ref()).map(|((definitions, snapshot, at), row)| {
            Earlier { definitions, snapshot, released_at: *at, derived: &row.derived }
        });
        // A tree of another format is no tree to go on from.
        let mut derived = self.row.derived.clone();
        derived.retain(|name, _| !missing.contains(&name.as_str()));
        let input = DeriveInput {
            objects: &objects,
            definitions: &definitions,
            snapshot: &snapshot,
            earlier,
            derived: &derived,
            at,
        };
        let mut batch = objects.batch();
        let wanted = kinds(engine.judge().as_ref()).filter(|kind| missing.contains(&kind.about().name));
        let built = derived::build_later(wanted, &input, &mut batch)?;
        Ok((built, batch))
    }
}

async fn release(rows: &mut Rows<'_>, id: ReleaseId) -> Result<ReleaseRow, ReleaseError> {
    rows.release(id)
        .await?
        .ok_or_else(|| ReleaseError::not_found("release", id, "`ashlar release list` shows all releases"))
}

impl Engine {
    /// Which kinds of derived trees a release has in their present form, by name. A kind that is not ready is built by
    /// [`Engine::derive`].
    ///
    /// # Errors
    /// When the release does not exist or cannot be read.
    pub async fn derived_ready(
        &self,
        ctx: &Ctx,
        id: ReleaseId,
    ) -> Result<BTreeMap<&'static str, bool>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = release(&mut self.db().read(&ctx.tenant).await?.rows(), id).await?;
        let objects = self.tenant_objects(&ctx.tenant);
        let definitions = self.files(&ctx.tenant, &row.definitions)?;
        let ready = |kind: &dyn Derive| {
            let about = kind.about();
            let tree = derived::open(&objects, &row.derived, &about)?;
            let current = |tree: &Tree| kind.is_current(&objects, tree, &definitions);
            Ok((about.name, tree.as_ref().map(current).transpose()?.unwrap_or(false)))
        };
        kinds(self.judge().as_ref()).map(ready).collect()
    }

    /// Builds the derived trees that a release lacks, and lets channels that serve it name them. Returns which were built;
    /// none when all are ready. For a follower of the event log: interrupted or repeated, it does no harm.
    ///
    /// # Errors
    /// When the release does not exist or cannot be read.
    pub async fn derive(&self, ctx: &Ctx, id: ReleaseId) -> Result<Vec<String>, ReleaseError> {
        let ready = self.derived_ready(ctx, id).await?;
        if ready.values().all(|ready| *ready) {
            return Ok(Vec::new());
        }
        let built = self.run(ctx, DeriveRelease { release: id }).await?;
        // The database has moved on, so the pointers of these channels are behind it.
        self.repair_pointers(&ctx.tenant).await?;
        Ok(built)
    }
}

#[async_trait]
impl Action for DeriveRelease {
    type Output = Vec<String>;
    const NAME: &'static str = "release.derive";

    fn right(&self) -> Right {
        Right::Release
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Vec<String>, ReleaseError> {
        let (engine, tenant) = (scope.engine, &scope.ctx.tenant);
        let _hold = scope.rely().await?;
        let ready = engine.derived_ready(scope.ctx, self.release).await?;
        let missing: Vec<_> = ready.into_iter().filter(|(_, ready)| !ready).map(|(name, _)| name).collect();
        let sources =
            Sources::read(&mut engine.db().read(tenant).await?.rows(), self.release, &missing).await?;
        let (engine, tenant, now) = (engine.clone(), tenant.clone(), scope.now);
        let (built, batch) = scope.heavy(move || sources.build(&engine, &tenant, &missing, now)).await?;
        scope.objects().commit(batch).await?;

        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = release(&mut rows, self.release).await?;
        let names: Vec<String> = built.keys().cloned().collect();
        row.derived.extend(built);
        rows.set_derived(row.id, &row.derived).await?;
        rows.next(DERIVED).await?;
        for mut channel in rows.channels().await?.into_iter().filter(|c| c.release == row.id) {
            channel.sequence = rows.next(&counter(&channel.channel)).await?;
            rows.move_channel(&channel).await?;
        }
        // What is served stays the same: an audit row, and no event.
        let data = json!({"derived": names});
        scope.commit(tx, Record { subject: row.id.to_string(), data, events: Vec::new() }).await?;
        Ok(names)
    }
}
