//! Reading a whole release again and checking every digest.

use std::collections::BTreeSet;

use ashlar_model::{Digest, EntryKey, EntryRecord, ReleaseId, Right};
use ashlar_store::{StoreError, TenantObjects, Tree, sql::ReleaseRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::manifest;
use crate::{Ctx, Engine, ReleaseError, definitions::files::file_digests, derived};

/// What `release verify` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// The release.
    pub release: ReleaseId,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Tree nodes that were hashed again.
    pub nodes: u64,
    /// Entries whose fields were hashed again.
    pub entries: u64,
    /// Definition files that were hashed again.
    pub files: u64,
}

impl Engine {
    /// Reads everything a release binds again and checks every digest.
    ///
    /// # Errors
    /// When anything is missing or not what its digest says.
    pub async fn verify(&self, ctx: &Ctx, id: ReleaseId) -> Result<Verification, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        let objects = self.tenant_objects(&ctx.tenant);
        let work = move || verify_release(&objects, &row);
        self.heavy(&ctx.tenant, work).await
    }
}

fn verify_release(objects: &TenantObjects, row: &ReleaseRow) -> Result<Verification, ReleaseError> {
    let manifest = manifest::read(objects, &row.manifest)?;
    let what = || format!("{} ({})", row.id, row.manifest.short());
    // What was derived later, or again in a newer format, is in the database only.
    let replaced = |(name, root): (&String, &Digest)| -> Result<bool, ReleaseError> {
        let form = |root: &Digest| derived::form_of(&Tree::open(objects, root)?);
        match row.derived.get(name) {
            Some(now) if now == root => Ok(true),
            Some(now) => Ok(form(now)? != form(root)?),
            None => Ok(false),
        }
    };
    let agree =
        manifest.derived.iter().try_fold(true, |all, one| Ok::<_, ReleaseError>(all && replaced(one)?))?;
    if manifest.snapshot != row.snapshot || manifest.definitions != row.definitions || !agree {
        return Err(ReleaseError::Corrupt {
            what: what(),
            why: "the database and the manifest disagree".to_owned(),
        });
    }
    let whole = |digest: &Digest, what: &dyn Fn() -> String| -> Result<(), ReleaseError> {
        // From the disk: what was compared once in this process may be damaged since.
        if objects.check(digest) {
            return Ok(());
        }
        match objects.get(digest) {
            Ok(_) | Err(StoreError::Corrupt { .. }) => Err(ReleaseError::Corrupt {
                what: what(),
                why: format!("object {} is damaged: its bytes are not those of its digest", digest.short()),
            }),
            Err(error) => Err(error.into()),
        }
    };
    let mut entries = 0;
    let mut failure = None;
    let stats = Tree::open(objects, &manifest.snapshot)?.verify(&mut |key, value| {
        let check = || {
            let key = EntryKey::from_bytes(key)?;
            whole(&EntryRecord::from_bytes(value)?.digest, &|| key.to_string())
        };
        if failure.is_none() {
            failure = check().err();
        }
        entries += 1;
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if entries != manifest.entries {
        let why = format!("it says {} entries and has {entries}", manifest.entries);
        return Err(ReleaseError::Corrupt { what: what(), why });
    }
    let mut nodes = stats.nodes;
    let files = file_digests(objects, &manifest.definitions)?;
    if files != manifest.files {
        return Err(ReleaseError::Corrupt {
            what: what(),
            why: "the manifest lists other files than it binds".to_owned(),
        });
    }
    nodes += Tree::open(objects, &manifest.definitions)?.verify(&mut |_, _| Ok(()))?.nodes;
    for (path, digest) in &files {
        whole(digest, &|| format!("definition file `{path}`"))?;
    }
    whole(&manifest.evidence, &|| "the gate evidence".to_owned())?;
    let derived: BTreeSet<_> = manifest.derived.iter().chain(&row.derived).collect();
    for (name, root) in derived {
        let tree = Tree::open(objects, root)?;
        nodes += tree.verify(&mut |_, _| Ok(()))?.nodes;
        derived::each_named(&tree, &mut |digest| {
            whole(&digest, &|| format!("an object of the derived tree `{name}`"))
        })?;
    }
    Ok(Verification { release: row.id, digest: row.manifest, nodes, entries, files: files.len() as u64 })
}
