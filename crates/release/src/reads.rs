//! Reads: what screens, reports and checks ask for. Each checks its right and is bound to the tenant of its context.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ashlar_model::{
    CandidateId, ChannelName, Digest, EntryChange, EntryChangeKind, EntryKey, EntryRecord, Fields, ReleaseId,
    Right, TypeName,
};
use ashlar_store::{
    StoreError, TenantObjects, Tree,
    sql::{AuditBreak, AuditRow, DraftFilter, EventRow, ReleaseRow},
};

use crate::{
    CandidateView, ChangesetView, ChannelState, ChannelView, Ctx, DefinitionChange, DraftView, Engine,
    KeyView, MigrationView, Page, ReleaseDiff, ReleaseError, ReleaseInfo, Verification, VersionView,
    artifacts::{definitions::file_digests, derived, manifest},
    candidates::freeze::candidate,
    changesets::edit::changeset,
    channels::promote::state_of,
    drafts::write::{differing, draft_view, missing, parse_fields},
};

/// The most items of one page.
const PAGE_MAX: u32 = 500;
/// The most entries a diff lists.
const DIFF_MAX: usize = 10_000;

/// How [`At`] is written.
pub const AT_FORMS: &str =
    "`draft`, `changeset:NAME`, a candidate (`c12`), a release (`r3`) or a channel (`staging`)";

/// What to read instead of the public channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The drafts as they are now, on top of what the public channel serves.
    Draft,
    /// A candidate.
    Candidate(CandidateId),
    /// A release.
    Release(ReleaseId),
    /// A channel.
    Channel(ChannelName),
    /// The drafts of a changeset, on top of what the public channel serves.
    Changeset(String),
}

impl FromStr for At {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if s == "draft" {
            return Ok(Self::Draft);
        }
        if let Some(name) = s.strip_prefix("changeset:").filter(|n| (1..=100).contains(&n.len())) {
            return Ok(Self::Changeset(name.to_owned()));
        }
        if let Ok(id) = s.parse() {
            return Ok(Self::Candidate(id));
        }
        if let Ok(id) = s.parse() {
            return Ok(Self::Release(id));
        }
        ChannelName::new(s)
            .map(Self::Channel)
            .map_err(|_| format!("`{}` is not {AT_FORMS}", s.escape_default()))
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.write_str("draft"),
            Self::Candidate(id) => id.fmt(f),
            Self::Release(id) => id.fmt(f),
            Self::Channel(name) => name.fmt(f),
            Self::Changeset(name) => write!(f, "changeset:{name}"),
        }
    }
}

/// Which drafts to list.
#[derive(Debug, Clone, Default)]
pub struct DraftQuery {
    /// Only this type.
    pub type_name: Option<TypeName>,
    /// Only those that differ from what is served.
    pub pending: bool,
    /// Only those of this changeset.
    pub changeset: Option<String>,
    /// Where the page starts.
    pub cursor: Option<String>,
    /// At most this many, up to 500.
    pub limit: Option<u32>,
}

fn page_size(limit: Option<u32>) -> u32 {
    limit.unwrap_or(100).clamp(1, PAGE_MAX)
}

pub(crate) fn cursor_number(cursor: Option<&str>) -> Result<u64, ReleaseError> {
    match cursor {
        None => Ok(i64::MAX as u64),
        Some(text) => text.parse().map_err(|_| {
            ReleaseError::invalid("the cursor is not one that this list gave", "start without a cursor")
        }),
    }
}

/// Cuts a list that was read one longer than its page and says where the next begins.
pub(crate) fn paged<T>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
}

impl Engine {
    /// A draft with its fields.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn draft(&self, ctx: &Ctx, key: &EntryKey) -> Result<DraftView, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        draft_view(&mut conn.rows(), key).await
    }

    /// Drafts in key order, without their fields.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn drafts(&self, ctx: &Ctx, query: &DraftQuery) -> Result<Page<DraftView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        crate::drafts::settle::settle(self, &ctx.tenant).await?;
        let limit = page_size(query.limit);
        let after = query
            .cursor
            .as_deref()
            .map(|c| {
                EntryKey::from_bytes(c.replace('~', "\0").as_bytes()).map_err(|_| {
                    ReleaseError::invalid(
                        "the cursor is not one that this list gave",
                        "start without a cursor",
                    )
                })
            })
            .transpose()?;
        let filter = DraftFilter {
            type_name: query.type_name.clone(),
            pending: query.pending,
            changeset: query.changeset.clone(),
            after,
            limit: limit + 1,
        };
        let mut conn = self.db().read(&ctx.tenant).await?;
        let rows = conn.rows().drafts(&filter).await?;
        let views = rows.into_iter().map(|r| DraftView::of(r, None)).collect();
        Ok(paged(views, limit, |d: &DraftView| format!("{}~{}~{}", d.key.type_name, d.key.id, d.key.locale)))
    }

    /// The versions of a draft, newest first.
    ///
    /// # Errors
    /// When the draft does not exist or cannot be read.
    pub async fn history(
        &self,
        ctx: &Ctx,
        key: &EntryKey,
        cursor: Option<&str>,
    ) -> Result<Page<VersionView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = cursor_number(cursor)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        rows.draft(key).await?.ok_or_else(|| missing(key))?;
        let versions = rows.draft_versions(key, before, 51).await?;
        let views: Result<Vec<_>, ReleaseError> = versions
            .into_iter()
            .map(|v| {
                let fields = parse_fields(key, &v.fields)?;
                Ok(VersionView::of(v, fields))
            })
            .collect();
        Ok(paged(views?, 50, |v| v.version.to_string()))
    }

    /// All changesets, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn changesets(&self, ctx: &Ctx) -> Result<Vec<ChangesetView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().changesets().await?;
        Ok(rows.into_iter().map(|r| ChangesetView::of(r, self.now(), None)).collect())
    }

    /// Changesets that have something to do, the earliest first, and those that failed.
    ///
    /// # Errors
    /// When the actor may not read drafts, or the database cannot be read.
    pub async fn planned_changesets(&self, ctx: &Ctx) -> Result<Vec<ChangesetView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().planned_changesets().await?;
        Ok(rows.into_iter().map(|r| ChangesetView::of(r, self.now(), None)).collect())
    }

    /// A changeset with its drafts.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn changeset(&self, ctx: &Ctx, name: &str) -> Result<ChangesetView, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let row = changeset(&mut rows, name).await?;
        let filter = DraftFilter { changeset: Some(name.to_owned()), limit: 1000, ..DraftFilter::default() };
        let drafts = rows.drafts(&filter).await?.into_iter().map(|d| DraftView::of(d, None)).collect();
        Ok(ChangesetView::of(row, self.now(), Some(drafts)))
    }

    /// A candidate with its gates.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn candidate(&self, ctx: &Ctx, id: CandidateId) -> Result<CandidateView, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let row = candidate(&mut rows, id).await?;
        let gates = rows.reports(id).await?;
        Ok(CandidateView::of(row, gates))
    }

    /// Candidates, newest first, without their gates.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn candidates(
        &self,
        ctx: &Ctx,
        cursor: Option<&str>,
    ) -> Result<Page<CandidateView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = u32::try_from(cursor_number(cursor)?).unwrap_or(u32::MAX);
        let rows = self.db().read(&ctx.tenant).await?.rows().candidates(before, 101).await?;
        let views = rows.into_iter().map(|r| CandidateView::of(r, Vec::new())).collect();
        Ok(paged(views, 100, |c: &CandidateView| c.candidate.0.to_string()))
    }

    /// A release.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn release(&self, ctx: &Ctx, id: ReleaseId) -> Result<ReleaseInfo, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        let channels = self.db().read(&ctx.tenant).await?.rows().channels().await?;
        Ok(ReleaseInfo::of(row, &channels))
    }

    pub(crate) async fn release_row(&self, ctx: &Ctx, id: ReleaseId) -> Result<ReleaseRow, ReleaseError> {
        let row = self.db().read(&ctx.tenant).await?.rows().release(id).await?;
        row.ok_or_else(|| ReleaseError::not_found("release", id, "`ashlar release list` shows all releases"))
    }

    /// Releases, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn releases(&self, ctx: &Ctx, cursor: Option<&str>) -> Result<Page<ReleaseInfo>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = u32::try_from(cursor_number(cursor)?).unwrap_or(u32::MAX);
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let channels = rows.channels().await?;
        let releases = rows.releases(before, 101).await?;
        let views = releases.into_iter().map(|r| ReleaseInfo::of(r, &channels)).collect();
        Ok(paged(views, 100, |r: &ReleaseInfo| r.release.0.to_string()))
    }

    /// Where every channel points.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn channels(&self, ctx: &Ctx) -> Result<Vec<ChannelView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().channels().await?;
        Ok(rows.into_iter().map(ChannelView::from).collect())
    }

    /// The state of a channel as the database has it; `None` before its first release.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn channel_state(
        &self,
        tenant: &ashlar_model::TenantId,
        channel: &ChannelName,
    ) -> Result<Option<ChannelState>, ReleaseError> {
        let mut conn = self.db().read(tenant).await?;
        let mut rows = conn.rows();
        let Some((at, release)) = rows.head(channel).await? else { return Ok(None) };
        Ok(release.map(|r| state_of(channel, &r, at.sequence, &at.moved_at)))
    }

    /// How release `to` differs from release `from`: O(changes).
    ///
    /// # Errors
    /// When one does not exist or cannot be read.
    pub async fn diff(&self, ctx: &Ctx, from: ReleaseId, to: ReleaseId) -> Result<ReleaseDiff, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let (old, new) = (self.release_row(ctx, from).await?, self.release_row(ctx, to).await?);
        let objects = self.tenant_objects(&ctx.tenant);
        let work = move || {
            let (entries, entries_total) = diff_entries(&objects, &old.snapshot, &new.snapshot)?;
            let definitions = diff_definitions(&objects, &old.definitions, &new.definitions)?;
            Ok(ReleaseDiff {
                from: from.to_string(),
                to: to.to_string(),
                entries,
                entries_total,
                definitions,
            })
        };
        self.heavy(&ctx.tenant, work).await
    }

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

    /// Events after `after`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events(
        &self,
        ctx: &Ctx,
        after: u64,
        limit: Option<u32>,
    ) -> Result<Page<EventRow>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let limit = page_size(limit);
        let rows = self.db().read(&ctx.tenant).await?.rows().events(after, limit + 1).await?;
        Ok(paged(rows, limit, |e| e.sequence.to_string()))
    }

    /// The audit log, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self, ctx: &Ctx, cursor: Option<&str>) -> Result<Page<AuditRow>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let before = cursor_number(cursor)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().audit(before, 101).await?;
        Ok(paged(rows, 100, |r| r.sequence.to_string()))
    }

    /// Walks the audit chain: how many rows hold, or where it breaks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn verify_audit(&self, ctx: &Ctx) -> Result<Result<u64, AuditBreak>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        Ok(self.db().read(&ctx.tenant).await?.rows().verify_audit().await?)
    }

    /// The keys of the tenant, without secrets.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn keys(&self, ctx: &Ctx) -> Result<Vec<KeyView>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().keys().await?;
        Ok(rows.into_iter().map(KeyView::from).collect())
    }

    /// Content migrations that were run, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn migrations(&self, ctx: &Ctx) -> Result<Vec<MigrationView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().migrations().await?;
        Ok(rows.into_iter().map(MigrationView::from).collect())
    }
}

fn fields_at(objects: &TenantObjects, key: &EntryKey, value: &[u8]) -> Result<(Fields, u32), ReleaseError> {
    let record = EntryRecord::from_bytes(value)?;
    let bytes = objects.get(&record.digest)?;
    let fields = serde_json::from_slice(&bytes)
        .map_err(|e| ReleaseError::Corrupt { what: key.to_string(), why: e.to_string() })?;
    Ok((fields, record.major))
}

fn diff_entries(
    objects: &TenantObjects,
    old: &Digest,
    new: &Digest,
) -> Result<(Vec<EntryChange>, u64), ReleaseError> {
    let (old, new) = (Tree::open(objects, old)?, Tree::open(objects, new)?);
    let (mut changes, mut total) = (Vec::new(), 0);
    for change in old.diff(&new) {
        let change = change?;
        total += 1;
        if changes.len() >= DIFF_MAX {
            continue;
        }
        let key = EntryKey::from_bytes(&change.key)?;
        let read = |v: Option<&[u8]>| v.map(|v| fields_at(objects, &key, v)).transpose();
        let (before, after) = (read(change.old.as_deref())?, read(change.new.as_deref())?);
        let (kind, fields) = match (before, after) {
            (None, Some((fields, _))) => (EntryChangeKind::Added, differing(&Fields::new(), &fields)),
            (Some((fields, _)), None) => (EntryChangeKind::Removed, differing(&Fields::new(), &fields)),
            (Some((old, _)), Some((new, _))) => (EntryChangeKind::Changed, differing(&old, &new)),
            (None, None) => continue,
        };
        changes.push(EntryChange { key, change: kind, fields: fields.into_iter().collect() });
    }
    Ok((changes, total))
}

pub(crate) fn diff_definitions(
    objects: &TenantObjects,
    old: &Digest,
    new: &Digest,
) -> Result<Vec<DefinitionChange>, ReleaseError> {
    if old == new {
        return Ok(Vec::new());
    }
    let (old, new) = (file_digests(objects, old)?, file_digests(objects, new)?);
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    Ok(paths
        .into_iter()
        .filter_map(|path| {
            let change = match (old.get(path), new.get(path)) {
                (None, Some(_)) => EntryChangeKind::Added,
                (Some(_), None) => EntryChangeKind::Removed,
                (old, new) if old != new => EntryChangeKind::Changed,
                _ => return None,
            };
            Some(DefinitionChange { path: path.clone(), change })
        })
        .collect())
}

pub(crate) fn verify_release(
    objects: &TenantObjects,
    row: &ReleaseRow,
) -> Result<Verification, ReleaseError> {
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
