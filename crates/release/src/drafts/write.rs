//! Writing drafts: put, delete, unpublish, with optimistic locking and fields that locales share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ashlar_model::{
    ContractName, Digest, EntryKey, EntryRecord, Fields, Right, Rules, TypeName, TypeRules, canonical_json,
    check_json, did_you_mean,
};
use ashlar_store::{
    Tree,
    sql::{DraftRow, DraftState, NewVersion, Rows},
};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{Action, DraftView, Engine, ReleaseError, Scope, engine::installation::Record};

/// The most bytes the fields of one entry may have as canonical JSON.
pub const ENTRY_BYTES_MAX: usize = 2 << 20;

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

/// The rules drafts are written under, and what is served now.
pub(crate) struct Ground {
    pub rules: Arc<Rules>,
    pub live: Tree,
}

impl Ground {
    pub(crate) async fn read(engine: &Engine, rows: &mut Rows<'_>) -> Result<Self, ReleaseError> {
        let tenant = rows.tenant().clone();
        let definitions = rows.definitions().await?.ok_or_else(no_definitions)?;
        let rules = engine.rules(&tenant, &definitions.digest).await?;
        let objects = engine.tenant_objects(&tenant);
        let live = match rows.channel(&rules.config.channels.public).await? {
            Some(head) => match rows.release(head.release).await? {
                Some(release) => Tree::open(&objects, &release.snapshot)?,
                None => Tree::empty(),
            },
            None => Tree::empty(),
        };
        Ok(Self { rules, live })
    }

    /// Whether `state` with this content differs from what is served.
    pub(crate) fn differs(
        &self,
        key: &EntryKey,
        state: DraftState,
        digest: &Digest,
        major: u32,
    ) -> Result<bool, ReleaseError> {
        let live = self.live.get(&key.to_bytes())?.map(|v| EntryRecord::from_bytes(&v)).transpose()?;
        Ok(match (state, live) {
            (DraftState::Live, Some(r)) => r.digest != *digest || r.major != major,
            (DraftState::Live, None) => true,
            (_, live) => live.is_some(),
        })
    }

    pub(crate) fn contract(&self, key: &EntryKey, major: u32) -> Result<&TypeRules, ReleaseError> {
        self.rules.of(&key.type_name, major).ok_or_else(|| {
            let wanted = ContractName { name: key.type_name.clone(), major };
            ReleaseError::not_found("contract", wanted, self.types_help())
        })
    }

    fn types_help(&self) -> String {
        let names: Vec<_> =
            self.rules.types.values().flatten().map(|t| t.contract.to_string()).take(20).collect();
        match names.is_empty() {
            true => {
                "the working definitions have no contract of kind `type`; add one under contracts/ and push"
                    .to_owned()
            }
            false => format!("the working definitions have: {}", names.join(", ")),
        }
    }

    /// The key with the locale as the project spells it.
    pub(crate) fn spelled(&self, mut key: EntryKey) -> EntryKey {
        key.locale = self.rules.config.locales.spelled(key.locale);
        key
    }

    pub(crate) fn check_key(&self, key: &EntryKey) -> Result<(), ReleaseError> {
        if !self.rules.types.contains_key(&key.type_name) {
            let known = self.rules.types.keys().map(TypeName::as_str);
            let help = did_you_mean(key.type_name.as_str(), known, self.types_help());
            return Err(ReleaseError::not_found("content type", &key.type_name, help));
        }
        if !self.rules.config.locales.supports(&key.locale) {
            let all: Vec<_> = self.rules.config.locales.all().iter().map(ToString::to_string).collect();
            let otherwise = format!("ashlar.toml supports: {}", all.join(", "));
            let help = did_you_mean(key.locale.as_str(), all.iter().map(String::as_str), otherwise);
            return Err(ReleaseError::not_found("locale", &key.locale, help));
        }
        Ok(())
    }
}

pub(crate) fn no_definitions() -> ReleaseError {
    ReleaseError::refused(
        "no-definitions",
        "there are no definitions yet",
        "push a project first: `ashlar push DIR --data D`",
    )
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
}

/// The outcome of one write.
pub(crate) enum Written {
    Unchanged,
    Version { version: u64, major: u32, changed: BTreeSet<String>, shared_with: Vec<EntryKey> },
}

/// Canonical text and digest of fields, within bounds.
pub(crate) fn freeze_fields(key: &EntryKey, fields: &Fields) -> Result<(String, Digest), ReleaseError> {
    let wrong = |e: &dyn std::fmt::Display| {
        ReleaseError::invalid(format!("{key}{e}"), "fix the value and send it again")
    };
    let value = Value::Object(fields.clone());
    check_json(&value).map_err(|e| wrong(&e))?;
    let bytes = canonical_json(&value).map_err(|e| wrong(&format!(" {e}")))?;
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(wrong(&format!(
            ": its fields have {} bytes; {ENTRY_BYTES_MAX} are allowed",
            bytes.len()
        )));
    }
    let digest = Digest::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|e| wrong(&format!(" {e}")))?;
    Ok((text, digest))
}

pub(crate) fn parse_fields(key: &EntryKey, text: &str) -> Result<Fields, ReleaseError> {
    serde_json::from_str(text)
        .map_err(|e| ReleaseError::Corrupt { what: format!("the draft {key}"), why: e.to_string() })
}

/// Top-level fields in which two values differ.
pub(crate) fn differing(old: &Fields, new: &Fields) -> BTreeSet<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|n| old.get(*n) != new.get(*n)).cloned().collect()
}

pub(crate) async fn fields_of(rows: &mut Rows<'_>, row: &DraftRow) -> Result<Fields, ReleaseError> {
    let version = rows.draft_version(&row.key, row.version).await?.ok_or_else(|| ReleaseError::Corrupt {
        what: format!("the draft {}", row.key),
        why: format!("its version {} is missing", row.version),
    })?;
    parse_fields(&row.key, &version.fields)
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
    let major = match (write.major, &before) {
        (Some(major), _) => major,
        (None, Some(before)) => before.major,
        (None, None) => match ground.rules.newest(&write.key.type_name) {
            Some(rules) => rules.contract.major,
            None => return Err(no_definitions()),
        },
    };
    let shared = ground.contract(&write.key, major)?.shared.clone();
    let siblings = match shared.is_empty() {
        true => Vec::new(),
        false => {
            let locales = rows.draft_locales(&write.key).await?;
            locales.into_iter().filter(|d| d.key != write.key && d.state != DraftState::Deleted).collect()
        }
    };
    if before.as_ref().is_none_or(|b| b.state == DraftState::Deleted)
        && let Some(sibling) = siblings.first()
    {
        let theirs = fields_of(rows, sibling).await?;
        for name in &shared {
            if let (None, Some(value)) = (write.fields.get(name), theirs.get(name)) {
                write.fields.insert(name.clone(), value.clone());
            }
        }
    }
    let (text, digest) = freeze_fields(&write.key, &write.fields)?;
    let unchanged = before
        .as_ref()
        .is_some_and(|b| b.digest == digest && b.major == major && b.state == DraftState::Live);
    let old = match &before {
        Some(row) if !unchanged => fields_of(rows, row).await?,
        _ => Fields::new(),
    };
    let changed = differing(&old, &write.fields);
    let mut result = None;
    if !unchanged {
        let pending = ground.differs(&write.key, DraftState::Live, &digest, major)?;
        let new = NewVersion {
            key: &write.key,
            major,
            state: DraftState::Live,
            fields: &text,
            digest,
            changed: &changed,
            author: by.name,
            at: by.at,
            action: by.action,
            note: by.note,
            sequence: rows.next("drafts").await?,
        };
        let version = rows.put_version(&new, before.as_ref(), pending).await?;
        if !pending {
            rows.set_clean(&write.key).await?;
        }
        result = Some(version);
    }
    let mut shared_with = Vec::new();
    for sibling in siblings {
        let mut fields = fields_of(rows, &sibling).await?;
        let differ: BTreeSet<String> =
            shared.iter().filter(|n| fields.get(*n) != write.fields.get(*n)).cloned().collect();
        if differ.is_empty() {
            continue;
        }
        for name in &differ {
            match write.fields.get(name) {
                Some(value) => fields.insert(name.clone(), value.clone()),
                None => fields.remove(name),
            };
        }
        let note = format!("shared with {}", write.key.locale);
        let by = Author { note: &note, ..*by };
        put_state(rows, ground, &sibling, sibling.state, &fields, &differ, &by).await?;
        shared_with.push(sibling.key);
    }
    Ok(match (result, before) {
        (None, Some(_)) if shared_with.is_empty() => Written::Unchanged,
        (version, before) => {
            let version = version.or(before.map(|b| b.version)).unwrap_or(1);
            Written::Version { version, major, changed, shared_with }
        }
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

/// Stores a new version of an existing draft.
pub(crate) async fn put_state(
    rows: &mut Rows<'_>,
    ground: &Ground,
    before: &DraftRow,
    state: DraftState,
    fields: &Fields,
    changed: &BTreeSet<String>,
    by: &Author<'_>,
) -> Result<u64, ReleaseError> {
    let (text, digest) = freeze_fields(&before.key, fields)?;
    let pending = ground.differs(&before.key, state, &digest, before.major)?;
    let new = NewVersion {
        key: &before.key,
        major: before.major,
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
    let version = rows.put_version(&new, Some(before), pending).await?;
    if !pending {
        rows.set_clean(&before.key).await?;
    }
    Ok(version)
}

impl Scope<'_> {
    pub(crate) fn author(&self) -> Author<'_> {
        Author { name: self.actor(), at: &self.at, action: &self.action, note: "" }
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
        let view = draft_view(&mut rows, &key).await?;
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

pub(crate) async fn draft_view(rows: &mut Rows<'_>, key: &EntryKey) -> Result<DraftView, ReleaseError> {
    let row = rows.draft(key).await?.ok_or_else(|| missing(key))?;
    let fields = fields_of(rows, &row).await?;
    Ok(DraftView::of(row, Some(fields)))
}

pub(crate) fn missing(key: &EntryKey) -> ReleaseError {
    ReleaseError::not_found("draft", key, format!("`ashlar entry list {}` lists the drafts", key.type_name))
}

/// The fields of a deleted draft that comes back: what locales share is what its other locales have now.
async fn shared_again(
    rows: &mut Rows<'_>,
    ground: &Ground,
    draft: &DraftRow,
    fields: &Fields,
) -> Result<Fields, ReleaseError> {
    let mut fields = fields.clone();
    let shared = match ground.rules.of(&draft.key.type_name, draft.major) {
        Some(rules) if !rules.shared.is_empty() => rules.shared.clone(),
        _ => return Ok(fields),
    };
    let locales = rows.draft_locales(&draft.key).await?;
    let Some(sibling) = locales.iter().find(|d| d.key != draft.key && d.state != DraftState::Deleted) else {
        return Ok(fields);
    };
    let mut theirs = fields_of(rows, sibling).await?;
    for name in shared {
        match theirs.remove(&name) {
            Some(value) => fields.insert(name, value),
            None => fields.remove(&name),
        };
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
        DraftState::Deleted => shared_again(&mut rows, &ground, &before, &fields).await?,
        DraftState::Live | DraftState::Unpublished => fields.clone(),
    };
    let changed = differing(&fields, &shared);
    let version = put_state(&mut rows, &ground, &before, state, &shared, &changed, &scope.author()).await?;
    let view = draft_view(&mut rows, &key).await?;
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
