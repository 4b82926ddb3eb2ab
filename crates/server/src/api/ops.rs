use std::sync::Arc;

use ashlar_model::{ChannelName, Right, TenantId};
use ashlar_release::{
    At, AuditRow, CollectGarbage, Collected, CreateKey, CreatePreview, CreateTenant, CreatedKey, Ctx,
    EventRow, KeyView, MigrateContent, Migrated, MigrationView, Page, ReleaseError, RevertMigration,
    RevokeKey, Tick,
};
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    candidates::Cursor,
    state::{Answer, answer},
};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{
    access::{Caller, Keys},
    app::cache_stats::{CacheStats, TargetFigures},
    delivery::{follow::read_ring, serving::Serving},
    endpoints::{
        rows,
        signature::{Created, MaybeCreated},
    },
    front::{ApiError, Hosts},
};

#[derive(Deserialize, JsonSchema)]
pub struct After {
    /// The last event that is known; 0 for none.
    #[serde(default)]
    after: u64,
    /// The most items of a page.
    limit: Option<u32>,
}

pub async fn events(caller: Caller, Query(q): Query<After>) -> Answer<Page<EventRow>> {
    answer(caller.engine.events(&caller.ctx, q.after, q.limit).await?)
}

pub async fn audit(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<AuditRow>> {
    answer(caller.engine.audit(&caller.ctx, at.cursor.as_deref()).await?)
}

/// Whether the chain of the audit log is intact.
#[derive(Serialize, JsonSchema)]
pub struct AuditVerdict {
    /// Whether it is intact.
    holds: bool,
    /// How many rows it has, when it is intact.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    /// The row where it breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    /// What is wrong there.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub async fn verify_audit(caller: Caller) -> Answer<AuditVerdict> {
    answer(match caller.engine.verify_audit(&caller.ctx).await? {
        Ok(rows) => AuditVerdict { holds: true, rows: Some(rows), sequence: None, why: None },
        Err(broken) => {
            AuditVerdict { holds: false, rows: None, sequence: Some(broken.sequence), why: Some(broken.why) }
        }
    })
}

pub async fn keys(caller: Caller) -> Answer<Vec<KeyView>> {
    answer(caller.engine.keys(&caller.ctx).await?)
}

/// The cache of composed bodies of this node.
#[derive(Serialize, JsonSchema)]
pub struct ComposedFigures {
    /// Answered from the cache.
    hits: u64,
    /// Of these, made under an earlier release and still right.
    kept_over_releases: u64,
    /// Found, and rebuilt because something they were made from had changed.
    stale: u64,
    /// Not found.
    misses: u64,
    /// The share of hits; absent before the first read.
    hit_ratio: Option<f64>,
    /// Stale bodies that came out unchanged.
    overpurged: u64,
    /// Their share of what was stale; absent when nothing was.
    overpurge_ratio: Option<f64>,
    /// Bodies that are kept.
    bodies: u64,
    /// Their bytes.
    bytes: u64,
}

/// Caches: this node's own, and those in front of the caller's tenant.
#[derive(Serialize, JsonSchema)]
pub struct CacheFigures {
    composed: ComposedFigures,
    fronts: Vec<TargetFigures>,
}

pub async fn cache(
    State(serving): State<Arc<Serving>>,
    State(stats): State<Arc<CacheStats>>,
    caller: Caller,
) -> Answer<CacheFigures> {
    caller.engine.permit(&caller.ctx, Right::Preview)?;
    let counts = serving.cache_counts();
    let part = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
    let composed = ComposedFigures {
        hits: counts.hits,
        kept_over_releases: counts.kept,
        stale: counts.stale,
        misses: counts.misses,
        hit_ratio: part(counts.hits, counts.hits + counts.stale + counts.misses),
        overpurged: counts.same,
        overpurge_ratio: part(counts.same, counts.stale),
        bodies: counts.entries,
        bytes: counts.bytes,
    };
    answer(CacheFigures { composed, fronts: stats.report(&caller.ctx.tenant) })
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "KeyInput")]
pub struct KeyBody {
    /// Who or what will use it.
    name: String,
    /// What it may do.
    scopes: Vec<Right>,
    /// The channel it reads; the public one when absent.
    channel: Option<ChannelName>,
    /// The reader of `retrieval.toml` that decides what it finds; everybody's when absent.
    reader: Option<String>,
    /// When it ends, RFC 3339.
    expires_at: Option<String>,
}

pub async fn create_key(
    State(keys): State<Arc<Keys>>,
    caller: Caller,
    Body(b): Body<KeyBody>,
) -> Result<Created<CreatedKey>, ApiError> {
    let KeyBody { name, scopes, channel, reader, expires_at } = b;
    let create = CreateKey { name, scopes, channel, reader, expires_at };
    let created = caller.engine.run(&caller.ctx, create).await?;
    read_ring(&caller.engine, &keys, &caller.ctx.tenant).await;
    Ok(Created { location: rows::REVOKE_KEY.at([&created.view.id]).target, value: created })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PreviewInput")]
pub struct PreviewBody {
    /// What it shows: `draft`, `changeset:NAME` or a candidate such as `c4`.
    #[schemars(regex(pattern = "^(draft|changeset:.+|c[1-9][0-9]{0,8})$"))]
    at: String,
    /// For how many hours.
    #[serde(default = "week")]
    hours: u32,
}

fn week() -> u32 {
    168
}

/// A preview link.
#[derive(Serialize, JsonSchema)]
pub struct PreviewLink {
    /// The path of its first page.
    path: String,
    /// What it shows.
    at: String,
    /// The public part of its key.
    id: String,
    /// When it ends, RFC 3339.
    expires_at: Option<String>,
}

pub async fn create_preview(
    State(keys): State<Arc<Keys>>,
    caller: Caller,
    Body(b): Body<PreviewBody>,
) -> Result<Created<PreviewLink>, ApiError> {
    let at: At =
        b.at.parse()
            .map_err(|e: String| ApiError::invalid(e, "name `draft`, `changeset:NAME` or a candidate"))?;
    let created = caller.engine.run(&caller.ctx, CreatePreview { at, hours: b.hours }).await?;
    read_ring(&caller.engine, &keys, &caller.ctx.tenant).await;
    let path = rows::SHOW_PREVIEW.at([&created.key]).target;
    let link = PreviewLink {
        path: path.clone(),
        at: b.at,
        id: created.view.id,
        expires_at: created.view.expires_at,
    };
    Ok(Created { location: path, value: link })
}

/// A key that was revoked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyRevoked")]
pub struct Revoked {
    /// Its public part.
    id: String,
    /// True.
    revoked: bool,
}

pub async fn revoke_key(
    State(keys): State<Arc<Keys>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Revoked> {
    caller.engine.run(&caller.ctx, RevokeKey { id: id.clone() }).await?;
    read_ring(&caller.engine, &keys, &caller.ctx.tenant).await;
    keys.forget(&id);
    answer(Revoked { id, revoked: true })
}

/// A tenant.
#[derive(Serialize, JsonSchema)]
pub struct TenantView {
    /// Its name.
    tenant: TenantId,
    /// Host names that lead to it.
    hosts: Vec<String>,
    /// When it was made, RFC 3339.
    created_at: String,
}

/// A tenant that was created, or whose host names were set.
#[derive(Serialize, JsonSchema)]
pub struct TenantMade {
    /// Its name.
    tenant: TenantId,
    /// Host names that lead to it.
    hosts: Vec<String>,
    /// Its first key, when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<CreatedKey>,
}

pub async fn tenants(caller: Caller) -> Answer<Vec<TenantView>> {
    caller.engine.permit(&caller.ctx, Right::Admin)?;
    let mut rows = caller.engine.db().tenants().await.map_err(ReleaseError::from)?;
    if caller.ctx.tenant != TenantId::main() {
        rows.retain(|t| t.tenant == caller.ctx.tenant);
    }
    answer(
        rows.into_iter()
            .map(|t| TenantView { tenant: t.tenant, hosts: t.hosts, created_at: t.created_at })
            .collect(),
    )
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TenantInput")]
pub struct TenantBody {
    /// Its name.
    tenant: TenantId,
    /// Host names that lead to it.
    #[serde(default)]
    hosts: Vec<String>,
    /// For whom a first key with the scope `admin` is made in the tenant.
    admin: Option<String>,
}

pub async fn create_tenant(
    State(keys): State<Arc<Keys>>,
    State(hosts): State<Arc<Hosts>>,
    caller: Caller,
    Body(b): Body<TenantBody>,
) -> Result<MaybeCreated<TenantMade>, ApiError> {
    let known = caller.engine.db().tenants().await.map_err(ReleaseError::from)?;
    let new = known.iter().all(|t| t.tenant != b.tenant);
    let mut made = TenantMade { tenant: b.tenant.clone(), hosts: b.hosts.clone(), key: None };
    let create = CreateTenant { tenant: b.tenant.clone(), hosts: b.hosts.clone() };
    caller.engine.run(&caller.ctx, create).await?;
    hosts.set(&b.tenant, &b.hosts);
    if let Some(name) = b.admin {
        let ctx = Ctx { tenant: b.tenant.clone(), ..caller.ctx.clone() };
        let create =
            CreateKey { name, scopes: vec![Right::Admin], channel: None, reader: None, expires_at: None };
        made.key = Some(caller.engine.run(&ctx, create).await?);
    }
    read_ring(&caller.engine, &keys, &b.tenant).await;
    Ok(MaybeCreated { location: new.then(|| rows::LIST_TENANTS.call().target), value: made })
}

pub async fn migrations(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<MigrationView>> {
    answer(caller.engine.migrations(&caller.ctx, at.cursor.as_deref()).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MigrationInput")]
pub struct MigrateBody {
    /// The mapping, TOML.
    mapping: String,
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
}

pub async fn migrate(caller: Caller, Body(b): Body<MigrateBody>) -> Result<MaybeCreated<Migrated>, ApiError> {
    let migrate = MigrateContent { mapping: b.mapping, dry_run: b.dry_run };
    let value = caller.engine.run(&caller.ctx, migrate).await?;
    let location = value.migration.map(|number| rows::REVERT_MIGRATION.at([number]).target);
    Ok(MaybeCreated { location, value })
}

pub async fn revert(caller: Caller, Path(migration): Path<u64>) -> Answer<Migrated> {
    answer(caller.engine.run(&caller.ctx, RevertMigration { migration }).await?)
}

pub async fn gc(caller: Caller) -> Answer<Collected> {
    answer(caller.engine.run(&caller.ctx, CollectGarbage).await?)
}

/// Runs what is due in the caller's tenant.
pub async fn tick(caller: Caller) -> Answer<Tick> {
    answer(caller.engine.tick_tenant(&caller.ctx).await?)
}
