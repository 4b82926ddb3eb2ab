//! Taking away objects that no release, open candidate or working definitions need.

use std::{collections::HashSet, sync::Arc};

use ashlar_model::{Digest, EntryRecord, Right};
use ashlar_store::{TenantObjects, Tree, sql::stamp};
use async_trait::async_trait;
use jiff::ToSpan;
use serde_json::json;

pub use ashlar_store::Collected;

use crate::{
    Action, ReleaseError, Scope, bundles::reachable, definitions::file_digests, engine::Record, manifest,
};

/// Evidence older than this is forgotten; a gate that is asked again runs again.
const EVIDENCE_DAYS: i64 = 90;

/// Takes away every object that nothing needs. Releases and open candidates keep all of theirs.
#[derive(Debug, Clone, Default)]
pub struct CollectGarbage;

/// The nodes of a tree and what its values name.
fn add_tree(
    objects: &TenantObjects,
    root: &Digest,
    live: &mut HashSet<Digest>,
    value: Option<&dyn Fn(&[u8]) -> Result<Digest, ReleaseError>>,
) -> Result<(), ReleaseError> {
    let tree = Tree::open(objects, root)?;
    if let Some(value) = value {
        for item in tree.prefix(b"") {
            live.insert(value(&item?.1)?);
        }
    }
    Ok(tree.reachable(&mut |digest| {
        live.insert(digest);
        true
    })?)
}

#[async_trait]
impl Action for CollectGarbage {
    type Output = Collected;
    const NAME: &'static str = "store.collect";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Collected, ReleaseError> {
        let objects = scope.objects();
        let before = scope.now.checked_sub((EVIDENCE_DAYS * 24).hours()).map(stamp).unwrap_or_default();
        // The tenant's write transaction is held, so no candidate or release can appear meanwhile.
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        rows.forget_evidence(&before).await?;
        let releases = rows.releases(u32::MAX, 1_000_000).await?;
        let candidates = rows.open_candidates().await?;
        let pushes = rows.pushes_since(None).await?;
        let unsettled = rows.unsettled().await?;
        let reader = objects.clone();
        let live = scope
            .blocking(move || {
                let objects = reader;
                let mut live = HashSet::new();
                for release in releases {
                    let manifest = manifest::read(&objects, &release.manifest)?;
                    live.insert(release.manifest);
                    live.extend(reachable(&objects, &manifest)?);
                }
                let entry = |v: &[u8]| Ok(EntryRecord::from_bytes(v)?.digest);
                for candidate in candidates {
                    let frozen = candidate.frozen;
                    add_tree(&objects, &frozen.snapshot, &mut live, Some(&entry))?;
                    add_tree(&objects, &frozen.changes, &mut live, None)?;
                    for root in frozen.derived.values() {
                        add_tree(&objects, root, &mut live, None)?;
                    }
                    add_definitions(&objects, &frozen.definitions, &mut live)?;
                }
                for row in unsettled {
                    for root in row.old_snapshot.iter().chain([&row.new_snapshot]) {
                        add_tree(&objects, root, &mut live, Some(&entry))?;
                    }
                }
                for push in pushes.into_iter().take(1) {
                    add_definitions(&objects, &push.digest, &mut live)?;
                }
                Ok(live)
            })
            .await?;
        let collected = objects.collect(Arc::new(live)).await?;
        let data =
            json!({"objects_removed": collected.objects_removed, "bytes_freed": collected.bytes_freed});
        scope.commit(tx, Record::one("store.collected", scope.ctx.tenant.as_str(), data)).await?;
        Ok(collected)
    }
}

fn add_definitions(
    objects: &TenantObjects,
    root: &Digest,
    live: &mut HashSet<Digest>,
) -> Result<(), ReleaseError> {
    add_tree(objects, root, live, None)?;
    live.extend(file_digests(objects, root)?.into_values());
    Ok(())
}
