//! Versions of drafts that have text of a model.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{EntryKey, Fields};
use ashlar_store::sql::{AssistedRow, DraftRow, Rows};

use super::{
    made::{Made, Provenance},
    texts::{Fingerprint, new_texts},
};
use crate::{DraftView, ReleaseError, drafts::ground::Ground};

fn to_json(key: &EntryKey, made: &Made) -> Result<String, ReleaseError> {
    serde_json::to_string(made)
        .map_err(|e| ReleaseError::Corrupt { what: key.to_string(), why: e.to_string() })
}

fn read(made: &str) -> Result<Made, ReleaseError> {
    // Rows of an earlier version have one provenance.
    let earlier = |_| serde_json::from_str::<Provenance>(made).map(Made::of);
    serde_json::from_str(made).or_else(earlier).map_err(|e| ReleaseError::Corrupt {
        what: "the provenance of a draft".to_owned(),
        why: e.to_string(),
    })
}

/// What a model wrote now.
pub(crate) struct MadeNow {
    pub provenance: Provenance,
    /// Digests of texts that its sources have: whoever puts these elsewhere may have them from there.
    pub quoted: BTreeSet<String>,
}

/// A version that was written, and what was there before.
pub(crate) struct Written<'a> {
    pub key: &'a EntryKey,
    pub version: u64,
    /// The last version that was as it is served.
    pub clean: u64,
    /// Fields of the draft as it was live; none when it was not.
    pub old: &'a Fields,
    pub new: &'a Fields,
    /// The draft was deleted or unpublished before.
    pub revived: bool,
}

/// What models wrote of a draft since `after`. Each version that has text of a model notes what those before it had.
async fn newest(rows: &mut Rows<'_>, key: &EntryKey, after: u64) -> Result<Option<Made>, ReleaseError> {
    let row = rows.assisted_after(key, after, 1).await?.pop();
    row.map(|row| read(&row.made)).transpose()
}

/// Notes that a version has text of a model: `made` says that it was written now, otherwise its texts are compared with those that
/// models wrote. A draft that comes back has what it had. Returns what is noted.
pub(crate) async fn mark(
    rows: &mut Rows<'_>,
    ground: &Ground,
    written: Written<'_>,
    made: Option<&MadeNow>,
) -> Result<Option<Made>, ReleaseError> {
    let Written { key, version, clean, old, new, revived } = written;
    if made.is_none() && !ground.assisted {
        return Ok(None);
    }
    let texts = new_texts(old, new);
    let found = match made {
        Some(made) => Some(Made::of(made.provenance.clone())),
        None => known(rows, &texts).await?,
    };
    let found = match (found, revived) {
        (found, true) => with(found, newest(rows, key, 0).await?),
        (found, false) => found,
    };
    let Some(found) = found else { return Ok(None) };
    let noted = with(Some(found.clone()), newest(rows, key, clean).await?).unwrap_or(found);
    let row = AssistedRow { version, copied: made.is_none(), made: to_json(key, &noted)? };
    rows.put_assisted(key, &row).await?;
    if let Some(MadeNow { provenance, quoted }) = made {
        // What a person wrote of the entry is not a model's, and neither is what it quotes.
        let of_model =
            |text: &&Fingerprint| provenance.fields.contains(&text.field) && !quoted.contains(&text.digest);
        let texts: BTreeSet<&str> = texts.iter().filter(of_model).map(|text| text.digest.as_str()).collect();
        rows.put_assisted_texts(key, version, &provenance.requested_by, texts).await?;
    }
    Ok(Some(noted))
}

fn with(newer: Option<Made>, earlier: Option<Made>) -> Option<Made> {
    match (newer, earlier) {
        (Some(newer), Some(earlier)) => Some(newer.after(earlier)),
        (newer, earlier) => newer.or(earlier),
    }
}

/// What models wrote of these texts, by whoever asked for it.
async fn known(rows: &mut Rows<'_>, texts: &[Fingerprint]) -> Result<Option<Made>, ReleaseError> {
    let mut fields: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for text in texts {
        fields.entry(&text.digest).or_default().insert(&text.field);
    }
    let digests: Vec<&str> = fields.keys().copied().collect();
    let mut by: Vec<Provenance> = Vec::new();
    for text in rows.assisted_texts(&digests).await? {
        // Newest first: the version that had the text first has its provenance in front.
        let mut all = read(&text.made)?.by;
        let at = all.iter().position(|made| made.requested_by == text.requested_by).unwrap_or(0);
        if all.is_empty() {
            continue;
        }
        let found = all.swap_remove(at);
        let here = fields.get(text.text.as_str()).into_iter().flatten().map(|field| (*field).to_owned());
        let same = |known: &&mut Provenance| {
            (&known.requested_by, &known.trace, &known.at) == (&found.requested_by, &found.trace, &found.at)
        };
        match by.iter_mut().find(same) {
            Some(known) => known.fields.extend(here),
            None => by.push(Provenance { fields: here.collect(), ..found }),
        }
    }
    by.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(by.into_iter().map(Made::of).reduce(|earlier, newer| newer.after(earlier)))
}

/// What models wrote of an entry that comes from elsewhere: what the file says, and what its texts say here.
pub(crate) async fn known_made(
    rows: &mut Rows<'_>,
    said: Option<Made>,
    texts: &[Fingerprint],
) -> Result<Option<Made>, ReleaseError> {
    let known = known(rows, texts).await?;
    Ok(match said {
        None => known.map(|made| Made { edited_by_person: true, ..made }),
        said => with(said, known),
    })
}

/// Notes that another locale of an entry took over fields of a version that has text of a model.
pub(crate) async fn mark_shared(
    rows: &mut Rows<'_>,
    (sibling, version): (&DraftRow, u64),
    fields: &BTreeSet<String>,
    made: &Made,
) -> Result<(), ReleaseError> {
    let made = made.clone().only(fields);
    if made.fields.is_empty() {
        return Ok(());
    }
    let earlier = newest(rows, &sibling.key, sibling.clean_version).await?;
    let made = with(Some(made.clone()), earlier).unwrap_or(made);
    let row = AssistedRow { version, copied: false, made: to_json(&sibling.key, &made)? };
    Ok(rows.put_assisted(&sibling.key, &row).await?)
}

/// Notes what a release that was imported says of a draft that took its entry over.
pub(crate) async fn mark_adopted(
    rows: &mut Rows<'_>,
    (key, version): (&EntryKey, u64),
    fields: &Fields,
    made: &Made,
) -> Result<(), ReleaseError> {
    let row = AssistedRow { version, copied: made.edited_by_person, made: to_json(key, made)? };
    rows.put_assisted(key, &row).await?;
    let texts = new_texts(&Fields::new(), fields);
    for by in &made.by {
        let of = |text: &&Fingerprint| by.fields.contains(&text.field);
        let texts: BTreeSet<&str> = texts.iter().filter(of).map(|text| text.digest.as_str()).collect();
        rows.put_assisted_texts(key, version, &by.requested_by, texts).await?;
    }
    Ok(())
}

fn of_row(draft: &DraftRow, row: &AssistedRow) -> Result<Made, ReleaseError> {
    Ok(Made { edited_by_person: row.copied || row.version < draft.version, ..read(&row.made)? })
}

/// What models wrote of a draft after a version.
pub(crate) async fn made_of(
    rows: &mut Rows<'_>,
    draft: &DraftRow,
    after: u64,
) -> Result<Option<Made>, ReleaseError> {
    let row = rows.assisted_after(&draft.key, after, 1).await?.pop();
    row.map(|row| of_row(draft, &row)).transpose()
}

/// What models wrote of drafts, by their keys. One question for many drafts. `after`: since which version of each.
pub(crate) async fn made_of_all<'d>(
    rows: &mut Rows<'_>,
    drafts: impl Iterator<Item = &'d DraftRow> + Clone,
    after: impl Fn(&DraftRow) -> u64,
) -> Result<BTreeMap<EntryKey, Made>, ReleaseError> {
    let keys: Vec<&EntryKey> = drafts.clone().map(|draft| &draft.key).collect();
    let newest: BTreeMap<EntryKey, AssistedRow> = rows.assisted_newest(&keys).await?.into_iter().collect();
    let mut out = BTreeMap::new();
    for draft in drafts {
        if let Some(row) = newest.get(&draft.key).filter(|row| row.version > after(draft)) {
            out.insert(draft.key.clone(), of_row(draft, row)?);
        }
    }
    Ok(out)
}

/// Drafts without their fields, each with what models wrote of it.
pub(crate) async fn with_made(
    rows: &mut Rows<'_>,
    drafts: Vec<DraftRow>,
) -> Result<Vec<DraftView>, ReleaseError> {
    let mut made = match rows.has_assisted().await? {
        true => made_of_all(rows, drafts.iter(), |_| 0).await?,
        false => BTreeMap::new(),
    };
    let view = |draft: DraftRow| DraftView { made: made.remove(&draft.key), ..DraftView::of(draft, None) };
    Ok(drafts.into_iter().map(view).collect())
}
