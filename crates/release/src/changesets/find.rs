//! Changesets and their drafts as they are stored.

use ashlar_model::EntryKey;
use ashlar_store::sql::{ChangesetRow, ChangesetState, DraftFilter, DraftState, Rows};

use crate::{DeclaredEnd, ReleaseError};

/// The most drafts of a changeset.
const DRAFTS_MAX: u32 = 100_000;

/// A changeset by its name.
pub(crate) async fn find(rows: &mut Rows<'_>, name: &str) -> Result<ChangesetRow, ReleaseError> {
    rows.changeset(name).await?.ok_or_else(|| {
        ReleaseError::not_found("changeset", name, "`ashlar changeset list` shows all changesets")
    })
}

/// What a changeset declares to end; `None` when it stays up.
pub(crate) async fn declared_end(
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<Option<DeclaredEnd>, ReleaseError> {
    let Some(row) = rows.changeset(name).await? else { return Ok(None) };
    let Some(at) = row.unpublish_at.clone().filter(|_| row.state != ChangesetState::Ended) else {
        return Ok(None);
    };
    let filter =
        DraftFilter { changeset: Some(name.to_owned()), limit: DRAFTS_MAX, ..DraftFilter::default() };
    let keys = rows.drafts(&filter).await?.into_iter().map(|d| d.key).collect();
    let due = row.state == ChangesetState::Published;
    Ok(Some(DeclaredEnd { changeset: row.name, at, keys, due }))
}

/// The drafts of a changeset that are live.
pub(crate) async fn live_drafts(
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<(usize, Vec<EntryKey>), ReleaseError> {
    let filter =
        DraftFilter { changeset: Some(name.to_owned()), limit: DRAFTS_MAX, ..DraftFilter::default() };
    let drafts = rows.drafts(&filter).await?;
    let all = drafts.len();
    Ok((all, drafts.into_iter().filter(|d| d.state == DraftState::Live).map(|d| d.key).collect()))
}
