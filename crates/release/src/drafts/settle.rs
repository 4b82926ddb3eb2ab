//! Comparing drafts with what the public channel serves after it moved by other means than promoting them.

use std::collections::BTreeSet;

use ashlar_model::{EntryKey, EntryRecord, TenantId};
use ashlar_store::{
    StoreError, TenantObjects, Tree, TreeChange,
    sql::{DraftRow, DraftState, NewVersion, Rows, UnsettledRow, stamp},
};

use super::fields::parse_fields;
use crate::{
    Engine, ReleaseError,
    artifacts::derived,
    assist::{made::Made, marks::mark_adopted, released},
    new_id,
};

/// Settles every move that is not settled yet. Costs O(changes of those moves); nothing when there are none.
pub(crate) async fn settle(engine: &Engine, tenant: &TenantId) -> Result<(), ReleaseError> {
    let waiting = engine.db().read(tenant).await?.rows().unsettled().await?;
    if waiting.is_empty() {
        return Ok(());
    }
    let mut tx = engine.db().write(tenant).await?;
    settle_in(engine, &mut tx.rows()).await?;
    Ok(tx.commit().await?)
}

/// The same inside a transaction, for what must not be overtaken by a move that is not settled.
pub(crate) async fn settle_in(engine: &Engine, rows: &mut Rows<'_>) -> Result<(), ReleaseError> {
    // Read here even if they were read before: another process may have settled them meanwhile.
    for row in rows.unsettled().await? {
        settle_one(engine, rows, &row).await?;
        rows.delete_unsettled(row.sequence).await?;
    }
    Ok(())
}

/// An entry that its draft takes over.
struct Taken<'a> {
    key: &'a EntryKey,
    state: DraftState,
    record: EntryRecord,
    /// What models wrote of it.
    made: Option<&'a Made>,
}

/// Writes a draft as it is served, at a time and with an action.
async fn take_over(
    rows: &mut Rows<'_>,
    objects: &TenantObjects,
    taken: Taken<'_>,
    draft: Option<&DraftRow>,
    (at, action): (&str, &str),
) -> Result<(), ReleaseError> {
    let Taken { key, state, record, made } = taken;
    let text = String::from_utf8(objects.get(&record.digest)?.to_vec())
        .map_err(|e| ReleaseError::Corrupt { what: key.to_string(), why: e.to_string() })?;
    let fields = parse_fields(key, &text)?;
    let changed: BTreeSet<String> = fields.keys().cloned().collect();
    let version = NewVersion {
        key,
        major: record.major,
        state,
        fields: &text,
        digest: record.digest,
        changed: &changed,
        author: "import",
        at,
        action,
        note: "taken over from a release that was imported",
        sequence: rows.next("drafts").await?,
    };
    let version = rows.put_version(&version, draft, false).await?;
    rows.set_clean(key).await?;
    match made {
        Some(made) => mark_adopted(rows, (key, version), &fields, made).await,
        None => Ok(()),
    }
}

async fn settle_one(engine: &Engine, rows: &mut Rows<'_>, row: &UnsettledRow) -> Result<(), ReleaseError> {
    let objects = engine.tenant_objects(rows.tenant());
    let old = match &row.old_snapshot {
        Some(root) => match Tree::open(&objects, root) {
            // After older objects were restored: every entry that is served now is compared instead.
            Err(error @ (StoreError::Missing { .. } | StoreError::Corrupt { .. })) => {
                tracing::warn!(%error, "what was served before is not here; drafts are compared with all that is served now");
                Tree::empty()
            }
            other => other?,
        },
        None => Tree::empty(),
    };
    let new = Tree::open(&objects, &row.new_snapshot)?;
    // What models wrote of entries that drafts take over.
    let assisted = match row.adopt {
        true => rows.release_with(&row.new_snapshot).await?,
        false => None,
    };
    let assisted = match assisted {
        Some(release) => derived::open(&objects, &release.derived, &released::ABOUT)?,
        None => None,
    };
    let (at, action) = (stamp(engine.now()), new_id()?);
    for change in old.diff(&new) {
        let TreeChange { key, new, .. } = change?;
        let made = match &assisted {
            Some(tree) => tree.get(&key)?.map(|value| released::read(&key, &value)).transpose()?,
            None => None,
        };
        let key = EntryKey::from_bytes(&key)?;
        let served = new.map(|v| EntryRecord::from_bytes(&v)).transpose()?;
        let draft = rows.draft(&key).await?;
        let same = match (&draft, &served) {
            (Some(d), Some(s)) => d.state == DraftState::Live && d.digest == s.digest && d.major == s.major,
            (Some(d), None) => d.state != DraftState::Live,
            (None, None) => true,
            (None, Some(_)) => false,
        };
        let edited = draft.as_ref().is_some_and(|d| d.pending);
        if same {
            rows.set_clean(&key).await?;
        } else if row.adopt && !edited {
            let (state, record) = match (&served, &draft) {
                (Some(served), _) => (DraftState::Live, *served),
                (None, Some(d)) => {
                    (DraftState::Deleted, EntryRecord { digest: d.digest, major: d.major, len: 0 })
                }
                (None, None) => continue,
            };
            let taken = Taken { key: &key, state, record, made: made.as_ref() };
            take_over(rows, &objects, taken, draft.as_ref(), (&at, &action)).await?;
        } else if draft.is_some() {
            if !edited {
                rows.set_pending(&key).await?;
            }
            // Who wrote it since what is served now has changed it, and does not approve that.
            let served =
                served.map(|s| Ok::<_, StoreError>((s.major, objects.get(&s.digest)?))).transpose()?;
            let served = served.as_ref().map(|(major, text)| (*major, String::from_utf8_lossy(text)));
            rows.set_clean_version(&key, served.as_ref().map(|(major, text)| (*major, text.as_ref())))
                .await?;
        }
    }
    Ok(())
}
