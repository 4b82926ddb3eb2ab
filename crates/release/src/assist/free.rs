//! What a task may write: drafts that have nothing of a person, in changesets of tasks.

use ashlar_model::EntryKey;
use ashlar_store::sql::{ChangesetRow, ChangesetState, DraftRow, DraftState, Rows};

use super::marks::made_of;
use crate::{ReleaseError, changesets::edit::check_name};

fn busy(key: &EntryKey, changeset: Option<&str>) -> ReleaseError {
    let (message, help) = match changeset {
        Some(name) => (
            format!("{key} has changes that ship with the changeset `{name}`"),
            "publish or remove them first".to_owned(),
        ),
        None => (
            format!("{key} has changes of a person that are not published"),
            "publish them first, or write them back to what is live".to_owned(),
        ),
    };
    ReleaseError::refused("draft-pending", message, help)
}

/// Refuses a draft that has something of a person, or that ships with something else.
pub(super) fn check_free(draft: &DraftRow, changeset: &str) -> Result<(), ReleaseError> {
    if draft.state != DraftState::Live {
        let message = format!("{} is {}", draft.key, draft.state);
        return Err(ReleaseError::refused("draft-not-live", message, "bring it back first"));
    }
    match draft.changeset.as_deref() {
        Some(name) if name == changeset => Ok(()),
        None if !draft.pending => Ok(()),
        other => Err(busy(&draft.key, other)),
    }
}

/// Refuses a draft that has something of a person, or that ships with something else.
pub(super) async fn check_writable(
    rows: &mut Rows<'_>,
    draft: &DraftRow,
    changeset: &str,
) -> Result<(), ReleaseError> {
    check_free(draft, changeset)?;
    let earlier = made_of(rows, draft, draft.clean_version).await?;
    match draft.pending && earlier.is_none_or(|made| made.edited_by_person) {
        true => Err(busy(&draft.key, Some(changeset))),
        false => Ok(()),
    }
}

/// The changeset if it exists. Refuses one of people, and one that is on its way.
pub(super) async fn check_changeset(
    rows: &mut Rows<'_>,
    name: &str,
) -> Result<Option<ChangesetRow>, ReleaseError> {
    check_name(name)?;
    let row = rows.changeset(name).await?;
    match &row {
        Some(row) if !row.assisted => {
            let message = format!("the changeset `{name}` was not made by a task");
            Err(ReleaseError::refused("changeset-of-people", message, "name a new changeset"))
        }
        Some(row) if !matches!(row.state, ChangesetState::Open | ChangesetState::Published) => {
            let message = format!("the changeset `{name}` is {}", row.state);
            Err(ReleaseError::refused("changeset-not-open", message, "name a new changeset"))
        }
        _ => Ok(row),
    }
}
