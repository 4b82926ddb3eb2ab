//! Versions of drafts that have text of a model.

use ashlar_model::{EntryKey, Fields};
use ashlar_store::sql::{AssistedRow, DraftRow, Rows};

use super::{
    made::{KEPT_MAX, Made, Provenance},
    texts::new_texts,
};
use crate::{DraftView, ReleaseError, drafts::ground::Ground};

fn to_json(key: &EntryKey, made: &Provenance) -> Result<String, ReleaseError> {
    serde_json::to_string(made)
        .map_err(|e| ReleaseError::Corrupt { what: key.to_string(), why: e.to_string() })
}

fn read(key: &EntryKey, made: &str) -> Result<Provenance, ReleaseError> {
    serde_json::from_str(made)
        .map_err(|e| ReleaseError::Corrupt { what: format!("the provenance of {key}"), why: e.to_string() })
}

/// A version that was written, and what was there before.
pub(crate) struct Written<'a> {
    pub key: &'a EntryKey,
    pub version: u64,
    /// Fields of the draft as it was live; none when it was not.
    pub old: &'a Fields,
    pub new: &'a Fields,
    /// The draft was deleted or unpublished before.
    pub revived: bool,
}

/// Notes that a version has text of a model: `made` says that it was written now, otherwise its texts are compared with those that
/// models wrote. A draft that comes back has what it had. Returns what is noted.
pub(crate) async fn mark(
    rows: &mut Rows<'_>,
    ground: &Ground,
    written: Written<'_>,
    made: Option<&Provenance>,
) -> Result<Option<AssistedRow>, ReleaseError> {
    let Written { key, version, old, new, revived } = written;
    if let Some(made) = made {
        let row = AssistedRow { version, copied: false, made: to_json(key, made)? };
        rows.put_assisted(key, &row, &new_texts(old, new)).await?;
        return Ok(Some(row));
    }
    if !ground.assisted {
        return Ok(None);
    }
    let had = match revived {
        true => rows.assisted_after(key, 0, 1).await?.pop().map(|row| row.made),
        false => None,
    };
    let texts = new_texts(old, new);
    let made = match had {
        Some(made) => Some(made),
        None if texts.is_empty() => None,
        None => rows.assisted_text(&texts).await?,
    };
    let Some(made) = made else { return Ok(None) };
    let row = AssistedRow { version, copied: true, made };
    rows.put_assisted(key, &row, &[]).await?;
    Ok(Some(row))
}

/// What models wrote of an entry that comes from elsewhere, as far as its texts are known.
pub(crate) async fn known_made(
    rows: &mut Rows<'_>,
    key: &EntryKey,
    texts: &[String],
) -> Result<Option<Made>, ReleaseError> {
    let made = if texts.is_empty() { None } else { rows.assisted_text(texts).await? };
    let made = made.map(|made| read(key, &made)).transpose()?;
    Ok(made.map(|made| Made { by: vec![made], edited_by_person: true }))
}

/// Notes that another locale of an entry took over a field that has text of a model.
pub(crate) async fn mark_shared(
    rows: &mut Rows<'_>,
    (key, version): (&EntryKey, u64),
    made: &AssistedRow,
) -> Result<(), ReleaseError> {
    Ok(rows.put_assisted(key, &AssistedRow { version, ..made.clone() }, &[]).await?)
}

/// What models wrote of a draft after a version.
pub(crate) async fn made_of(
    rows: &mut Rows<'_>,
    draft: &DraftRow,
    after: u64,
) -> Result<Option<Made>, ReleaseError> {
    let found = rows.assisted_after(&draft.key, after, KEPT_MAX as u32).await?;
    let Some(first) = found.first() else { return Ok(None) };
    let edited_by_person = first.copied || first.version < draft.version;
    let mut by: Vec<Provenance> = Vec::new();
    for row in &found {
        let made = read(&draft.key, &row.made)?;
        if !by.contains(&made) {
            by.push(made);
        }
    }
    Ok(Some(Made { by, edited_by_person }))
}

/// Drafts without their fields, each with what models wrote of it.
pub(crate) async fn with_made(
    rows: &mut Rows<'_>,
    drafts: Vec<DraftRow>,
) -> Result<Vec<DraftView>, ReleaseError> {
    let assisted = rows.has_assisted().await?;
    let mut out = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let made = if assisted { made_of(rows, &draft, 0).await? } else { None };
        out.push(DraftView { made, ..DraftView::of(draft, None) });
    }
    Ok(out)
}
