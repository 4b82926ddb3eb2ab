//! When each entry was last changed, as a tree beside the snapshot: a sitemap says so without walking the history.

use ashlar_model::{Digest, MODIFIED, OTHERS, modified_value};
use ashlar_store::{Batch, TenantObjects, Tree, sql::ReleaseRow};
use jiff::Timestamp;

use crate::ReleaseError;

/// Writes the tree of a snapshot that follows `base` and is frozen at `now`. Its cost is that of what differs.
pub(crate) fn update(
    objects: &TenantObjects,
    base: Option<&ReleaseRow>,
    snapshot: &Digest,
    now: Timestamp,
    batch: &mut Batch,
) -> Result<Digest, ReleaseError> {
    let Some(base) = base else {
        let tree = Tree::empty().apply(&[(OTHERS.to_vec(), Some(modified_value(now.as_second())))], batch)?;
        return Ok(tree.root());
    };
    let mut edits = Vec::new();
    let before = match base.derived.get(MODIFIED) {
        Some(root) => Tree::open(objects, root)?,
        None => {
            let at: Timestamp = base.created_at.parse().unwrap_or(now);
            edits.push((OTHERS.to_vec(), Some(modified_value(at.as_second()))));
            Tree::empty()
        }
    };
    let (old, new) = (Tree::open(objects, &base.snapshot)?, Tree::open(objects, snapshot)?);
    for change in old.diff(&new) {
        let change = change?;
        edits.push((change.key.to_vec(), change.new.is_some().then(|| modified_value(now.as_second()))));
    }
    let tree = before.apply(&edits, batch)?;
    Ok(tree.root())
}
