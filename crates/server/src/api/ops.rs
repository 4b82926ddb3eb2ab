use std::sync::Arc;

use ashlar_model::{ChannelName, Right, TenantId};
use ashlar_release::{
    At, AuditRow, CollectGarbage, Collected, CreateKey, CreatePreview, CreateTenant, CreatedKey, Ctx,
    EventRow, KeyView, MigrateContent, Migrated, MigrationView, Page, ReleaseError, RevertMigration,
    RevokeKey, Tick,
};
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Body, Path, Query, answer, candidates::Cursor};
use crate::{auth::Caller, follow::read_ring, problem::ApiError};

#[derive(Deserialize)]
pub struct After {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

pub async fn events(caller: Caller, Query(q): Query<After>) -> Answer<Page<EventRow>> {
    answer(caller.engine.events(&caller.ctx, q.after, q.limit).await?)
}

pub async fn audit(caller: Caller, Query(at): Query<Cursor>) -> Answer<Page<AuditRow>> {
    answer(caller.engine.audit(&caller.ctx, at.cursor.as_deref()).await?)
}

pub async fn verify_audit(caller: Caller) -> Answer<Value> {
    answer(match caller.engine.verify_audit(&caller.ctx).await? {
        Ok(rows) => json!({"holds": true, "rows": rows}),
        Err(broken) => json!({"holds": false, "sequence": broken.sequence, "why": broken.why}),
    })
}

pub async fn keys(caller: Caller) -> Answer<Vec<KeyView>> {
    answer(caller.engine.keys(&caller.ctx).await?)
}

/// What this node knows of its own cache of composed bodies, and of the caches in front of the caller's tenant.
pub async fn cache(State(api): State<Arc<Api>>, caller: Caller) -> Answer<Value> {
    caller.engine.permit(&caller.ctx, Right::Preview)?;
    let counts = api.app.caches.counts();
    let part = |part: u64, of: u64| if of == 0 { Value::Null } else { json!(part as f64 / of as f64) };
    answer(json!({
        "composed": {
            "hits": counts.hits, "kept_over_releases": counts.kept, "stale": counts.stale, "misses": counts.misses,
            "hit_ratio": part(counts.hits, counts.hits + counts.stale + counts.misses),
            "overpurged": counts.same, "overpurge_ratio": part(counts.same, counts.stale),
            "bodies": counts.entries, "bytes": counts.bytes,
        },
        "fronts": api.app.cache_stats.report(&caller.ctx.tenant),
    }))
}

#[derive(Deserialize)]
pub struct KeyBody {
    name: String,
    scopes: Vec<Right>,
    channel: Option<ChannelName>,
    expires_at: Option<String>,
}

pub async fn create_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(b): Body<KeyBody>,
) -> Answer<CreatedKey> {
    let create = CreateKey { name: b.name, scopes: b.scopes, channel: b.channel, expires_at: b.expires_at };
    let created = caller.engine.run(&caller.ctx, create).await?;
    read_ring(&api.app, &caller.ctx.tenant).await;
    answer(created)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    at: String,
    #[serde(default = "week")]
    hours: u32,
}

fn week() -> u32 {
    168
}

pub async fn create_preview(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(b): Body<PreviewBody>,
) -> Answer<Value> {
    let at: At =
        b.at.parse()
            .map_err(|e: String| ApiError::invalid(e, "name `draft`, `changeset:NAME` or a candidate"))?;
    let created = caller.engine.run(&caller.ctx, CreatePreview { at, hours: b.hours }).await?;
    read_ring(&api.app, &caller.ctx.tenant).await;
    answer(json!({
        "path": format!("/preview/{}/", created.key), "at": b.at, "id": created.view.id,
        "expires_at": created.view.expires_at,
    }))
}

pub async fn revoke_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Value> {
    caller.engine.run(&caller.ctx, RevokeKey { id: id.clone() }).await?;
    read_ring(&api.app, &caller.ctx.tenant).await;
    api.app.forget_key(&id);
    answer(json!({"id": id, "revoked": true}))
}

pub async fn tenants(caller: Caller) -> Answer<Vec<Value>> {
    caller.engine.permit(&caller.ctx, Right::Admin)?;
    let mut rows = caller.engine.db().tenants().await.map_err(ReleaseError::from)?;
    if caller.ctx.tenant != TenantId::main() {
        rows.retain(|t| t.tenant == caller.ctx.tenant);
    }
    answer(
        rows.into_iter()
            .map(|t| json!({"tenant": t.tenant, "hosts": t.hosts, "created_at": t.created_at}))
            .collect(),
    )
}

#[derive(Deserialize)]
pub struct TenantBody {
    tenant: TenantId,
    #[serde(default)]
    hosts: Vec<String>,
    /// For whom a first key with the scope `admin` is made in the tenant.
    admin: Option<String>,
}

pub async fn create_tenant(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(b): Body<TenantBody>,
) -> Answer<Value> {
    let mut view = json!({"tenant": b.tenant, "hosts": b.hosts});
    let create = CreateTenant { tenant: b.tenant.clone(), hosts: b.hosts.clone() };
    caller.engine.run(&caller.ctx, create).await?;
    api.app.set_hosts(&b.tenant, &b.hosts);
    if let Some(name) = b.admin {
        let ctx = Ctx { tenant: b.tenant.clone(), ..caller.ctx.clone() };
        let create = CreateKey { name, scopes: vec![Right::Admin], channel: None, expires_at: None };
        view["key"] = json!(caller.engine.run(&ctx, create).await?);
    }
    read_ring(&api.app, &b.tenant).await;
    answer(view)
}

pub async fn migrations(caller: Caller) -> Answer<Vec<MigrationView>> {
    answer(caller.engine.migrations(&caller.ctx).await?)
}

#[derive(Deserialize)]
pub struct MigrateBody {
    mapping: String,
    #[serde(default)]
    dry_run: bool,
}

pub async fn migrate(caller: Caller, Body(b): Body<MigrateBody>) -> Answer<Migrated> {
    answer(caller.engine.run(&caller.ctx, MigrateContent { mapping: b.mapping, dry_run: b.dry_run }).await?)
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
