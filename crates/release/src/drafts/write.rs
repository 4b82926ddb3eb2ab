//! Writing drafts: put, delete, unpublish, with optimistic locking and fields that locales share.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_model::{ContractName, Digest, EntryKey, Fields, Right};
use ashlar_store::sql::{DraftRow, DraftState, NewVersion, Rows};
use async_trait::async_trait;
use serde_json::json;

use super::{
    fields::{differing, fields_of, freeze_fields},
    ground::{Ground, no_definitions},
};
use crate::{
    Action, DraftView, ReleaseError, Scope,
    assist::marks::{self, MadeNow, made_of, mark, mark_shared},
    engine::action::Record,
};

/// Writes the fields of a draft, making it when there is none.
#[derive(Debug, Clone)]
pub struct PutEntry {
    /// What names it.
    pub key: EntryKey,
    /// The major version of its contract; the draft's own, or the newest active, when absent.
    pub major: Option<u32>,
    /// All its fields. Shared fields that are absent from a new locale are taken from its other locales.
    pub fields: Fields,
    /// The version the writer has read; 0 for "there is none yet". Absent: write over whatever is there.
    pub expected_version: Option<u64>,
}

/// Marks a draft as deleted; it leaves what is served with the next release.
#[derive(Debug, Clone)]
pub struct DeleteEntry {
    /// What names it.
    pub key: EntryKey,
    /// The version the writer has read.
    pub expected_version: Option<u64>,
}

/// Takes an entry out of what is served with the next release but keeps its draft, or brings it back.
#[derive(Debug, Clone)]
pub struct SetUnpublished {
    /// What names it.
    pub key: EntryKey,
    /// Whether it is to be out.
    pub unpublished: bool,
}

/// One entry to write.
pub(crate) struct Write {
    pub key: EntryKey,
    pub major: Option<u32>,
    pub fields: Fields,
    pub expected_version: Option<u64>,
}

/// Who writes, when and why.
pub(crate) struct Author<'a> {
    pub name: &'a str,
    pub at: &'a str,
    pub action: &'a str,
    pub note: &'a str,
    /// Where it comes from, when a model wrote it.
    pub made: Option<&'a MadeNow>,
}

/// The outcome of one write.
pub(crate) enum Written {
    Unchanged,
    Version { version: u64, major: u32, changed: BTreeSet<String>, shared_with: Vec<EntryKey> },
}

/// A version of a draft to store.
pub(crate) struct Next<'a> {
    pub major: u32,
    pub state: DraftState,
    /// Its fields as [`freeze_fields`] gives them.
    pub frozen: (String, Digest),
    /// Top-level fields that differ from the version before.
    pub changed: &'a BTreeSet<String>,
}

/// Stores a version of a draft; `before` is the row that it follows. Returns its number.
pub(crate) async fn put_version(
    rows: &mut Rows<'_>,
    ground: &Ground,
    (key, before): (&EntryKey, Option<&DraftRow>),
    next: Next<'_>,
    by: &Author<'_>,
) -> Result<u64, ReleaseError> {
    let Next { major, state, frozen: (text, digest), changed } = next;
    let pending = ground.differs(key, state, &digest, major)?;
    let new = NewVersion {
        key,
        major,
        state,
        fields: &text,
        digest,
        changed,
        author: by.name,
        at: by.at,
        action: by.action,
        note: by.note,
        sequence: rows.next("drafts").await?,
    };
    let version = rows.put_version(&new, before, pending).await?;
    if !pending {
        rows.set_clean(key).await?;
    }
    Ok(version)
}

/// The other locales of an entry that are not deleted, with their fields. None when locales share no field.
async fn siblings(
    rows: &mut Rows<'_>,
    key: &EntryKey,
    shared: &BTreeSet<String>,
) -> Result<Vec<(DraftRow, Fields)>, ReleaseError> {
    let mut siblings = Vec::new();
    if !shared.is_empty() {
        for row in rows.draft_locales(key).await? {
            if row.key != *key && row.state != DraftState::Deleted {
                let fields = fields_of(rows, &row).await?;
                siblings.push((row, fields));
            }
        }
    }
    Ok(siblings)
}

/// The names of shared fields in which a sibling differs from what was written. The sibling takes them over.
fn take_over(shared: &BTreeSet<String>, from: &Fields, into: &mut Fields) -> BTreeSet<String> {
    let differ: BTreeSet<String> =
        shared.iter().filter(|name| into.get(*name) != from.get(*name)).cloned().collect();
    for name in &differ {
        match from.get(name) {
            Some(value) => into.insert(name.clone(), value.clone()),
            None => into.remove(name),
        };
    }
    differ
}

/// Writes one draft and carries shared fields to its other locales.
pub(crate) async fn write_entry(
    rows: &mut Rows<'_>,
    ground: &Ground,
    mut write: Write,
    by: &Author<'_>,
) -> Result<Written, ReleaseError> {
    write.key = ground.spelled(write.key);
    ground.check_key(&write.key)?;
    let before = rows.draft(&write.key).await?;
    check_expected(rows, &write, before.as_ref()).await?;
    let newest = || ground.rules.newest(&write.key.type_name).map(|rules| rules.contract.major);
    let major =
        write.major.or(before.as_ref().map(|b| b.major)).or_else(newest).ok_or_else(no_definitions)?;
    let shared = &ground.contract(&write.key, major)?.shared;
    let siblings = siblings(rows, &write.key, shared).await?;
    if before.as_ref().is_none_or(|b| b.state == DraftState::Deleted)
        && let Some((_, theirs)) = siblings.first()
    {
        for (name, value) in theirs.iter().filter(|(name, _)| shared.contains(*name)) {
            write.fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let frozen = freeze_fields(&write.key, &write.fields)?;
    let same = |b: &DraftRow| b.digest == frozen.1 && b.major == major && b.state == DraftState::Live;
    let unchanged = before.as_ref().is_some_and(same);
    let old = match &before {
        Some(row) if !unchanged => fields_of(rows, row).await?,
        _ => Fields::new(),
    };
    let changed = differing(&old, &write.fields);
    let mut version = before.as_ref().map_or(1, |b| b.version);
    let mut made = None;
    if !unchanged {
        let next = Next { major, state: DraftState::Live, frozen, changed: &changed };
        version = put_version(rows, ground, (&write.key, before.as_ref()), next, by).await?;
        let revived = before.as_ref().is_some_and(|b| b.state != DraftState::Live);
        let none = Fields::new();
        let old = if revived { &none } else { &old };
        let clean = before.as_ref().map_or(0, |b| b.clean_version);
        let written = marks::Written { key: &write.key, version, clean, old, new: &write.fields, revived };
        made = mark(rows, ground, written, by.made).await?;
    }
    let note = format!("shared with {}", write.key.locale);
    let by = Author { note: &note, ..*by };
    let mut shared_with = Vec::new();
    for (sibling, mut fields) in siblings {
        let changed = take_over(shared, &write.fields, &mut fields);
        if changed.is_empty() {
            continue;
        }
        let frozen = freeze_fields(&sibling.key, &fields)?;
        let next = Next { major: sibling.major, state: sibling.state, frozen, changed: &changed };
        let version = put_version(rows, ground, (&sibling.key, Some(&sibling)), next, &by).await?;
        if let Some(made) = &made {
            mark_shared(rows, (&sibling, version), &changed, made).await?;
        }
        shared_with.push(sibling.key);
    }
    Ok(match unchanged && shared_with.is_empty() {
        true => Written::Unchanged,
        false => Written::Version { version, major, changed, shared_with },
    })
}

async fn check_expected(
    rows: &mut Rows<'_>,
    write: &Write,
    before: Option<&DraftRow>,
) -> Result<(), ReleaseError> {
    let Some(expected) = write.expected_version else { return Ok(()) };
    match before {
        Some(row) if row.version != expected => {
            let fields = fields_of(rows, row).await?;
            Err(ReleaseError::Stale {
                key: Box::new(write.key.clone()),
                expected,
                current: Box::new(DraftView::of(row.clone(), Some(fields))),
                offered: Box::new(write.fields.clone()),
            })
        }
        None if expected != 0 => {
            Err(ReleaseError::not_found("draft", &write.key, "send version 0, or none, to make it"))
        }
        _ => Ok(()),
    }
}

impl Scope<'_> {
    pub(crate) fn author(&self) -> Author<'_> {
        Author { name: self.actor(), at: &self.at, action: &self.action, note: "", made: None }
    }
}

#[async_trait]
impl Action for PutEntry {
    type Output = DraftView;
    const NAME: &'static str = "entry.put";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<DraftView, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let ground = Ground::read(scope.engine, &mut rows).await?;
        let key = ground.spelled(self.key);
        let write = Write {
            key: key.clone(),
            major: self.major,
            fields: self.fields,
            expected_version: self.expected_version,
        };
        let written = write_entry(&mut rows, &ground, write, &scope.author()).await?;
        let view = draft_view(&mut rows, &key, ground.assisted).await?;
        if let Written::Version { version, major, changed, shared_with } = written {
            let data = json!({
                "version": version, "contract": ContractName { name: key.type_name.clone(), major },
                "fields": changed, "shared_with": shared_with.iter().map(|k| &k.locale).collect::<Vec<_>>(),
            });
            scope.commit(tx, Record::one("draft.written", key.to_string(), data)).await?;
        }
        Ok(view)
    }
}

/// A draft with its fields; `assisted` says whether models wrote anything at all.
pub(crate) async fn draft_view(
    rows: &mut Rows<'_>,
    key: &EntryKey,
    assisted: bool,
) -> Result<DraftView, ReleaseError> {
    let row = rows.draft(key).await?.ok_or_else(|| missing(key))?;
    let fields = fields_of(rows, &row).await?;
    let made = if assisted { made_of(rows, &row, 0).await? } else { None };
    Ok(DraftView { made, ..DraftView::of(row, Some(fields)) })
}

pub(crate) fn missing(key: &EntryKey) -> ReleaseError {
    ReleaseError::not_found("draft", key, format!("`ashlar entry list {}` lists the drafts", key.type_name))
}

/// The fields of a deleted draft that comes back: what locales share is what its other locales have now.
async fn shared_again(
    rows: &mut Rows<'_>,
    ground: &Ground,
    draft: &DraftRow,
    mut fields: Fields,
) -> Result<Fields, ReleaseError> {
    if let Some(rules) = ground.rules.of(&draft.key.type_name, draft.major)
        && let Some((_, theirs)) = siblings(rows, &draft.key, &rules.shared).await?.first()
    {
        take_over(&rules.shared, theirs, &mut fields);
    }
    Ok(fields)
}

async fn change_state(
    scope: &Scope<'_>,
    key: EntryKey,
    expected_version: Option<u64>,
    state: DraftState,
    kind: &'static str,
) -> Result<DraftView, ReleaseError> {
    let mut tx = scope.begin().await?;
    let mut rows = tx.rows();
    let ground = Ground::read(scope.engine, &mut rows).await?;
    let key = ground.spelled(key);
    let before = rows.draft(&key).await?.ok_or_else(|| missing(&key))?;
    let fields = fields_of(&mut rows, &before).await?;
    let write = Write { key: key.clone(), major: None, fields: fields.clone(), expected_version };
    check_expected(&mut rows, &write, Some(&before)).await?;
    if before.state == state {
        return Ok(DraftView::of(before, Some(fields)));
    }
    let shared = match before.state {
        DraftState::Deleted => shared_again(&mut rows, &ground, &before, fields.clone()).await?,
        DraftState::Live | DraftState::Unpublished => fields.clone(),
    };
    let changed = differing(&fields, &shared);
    let next = Next { major: before.major, state, frozen: freeze_fields(&key, &shared)?, changed: &changed };
    let version = put_version(&mut rows, &ground, (&key, Some(&before)), next, &scope.author()).await?;
    if state == DraftState::Live {
        let none = Fields::new();
        let clean = before.clean_version;
        let written = marks::Written { key: &key, version, clean, old: &none, new: &shared, revived: true };
        mark(&mut rows, &ground, written, None).await?;
    }
    let view = draft_view(&mut rows, &key, ground.assisted).await?;
    scope
        .commit(
            tx,
            Record::one(kind, key.to_string(), json!({"version": version, "state": state.to_string()})),
        )
        .await?;
    Ok(view)
}

#[async_trait]
impl Action for DeleteEntry {
    type Output = DraftView;
    const NAME: &'static str = "entry.delete";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<DraftView, ReleaseError> {
        change_state(scope, self.key, self.expected_version, DraftState::Deleted, "draft.deleted").await
    }
}

#[async_trait]
impl Action for SetUnpublished {
    type Output = DraftView;
    const NAME: &'static str = "entry.unpublish";

    fn right(&self) -> Right {
        Right::Write
    }

    async fn act(self, scope: &Scope<'_>) -> Result<DraftView, ReleaseError> {
        let state = if self.unpublished { DraftState::Unpublished } else { DraftState::Live };
        change_state(scope, self.key, None, state, "draft.state_changed").await
    }
}

/// How many of each change an import made, by content type.
pub(crate) type CountsByType = BTreeMap<String, u64>;
