use ashlar_model::{ChannelName, Right, TenantId};
use ashlar_release::{
    AuditRow, CollectGarbage, Collected, CreateKey, CreateTenant, CreatedKey, EventRow, KeyView,
    MigrateContent, Migrated, MigrationView, Page, ReleaseError, RevertMigration, RevokeKey, Tick,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, Path, Query, answer, candidates::Cursor};
use crate::auth::Caller;

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

#[derive(Deserialize)]
pub struct KeyBody {
    name: String,
    scopes: Vec<Right>,
    channel: Option<ChannelName>,
    expires_at: Option<String>,
}

pub async fn create_key(caller: Caller, Body(b): Body<KeyBody>) -> Answer<CreatedKey> {
    let create = CreateKey { name: b.name, scopes: b.scopes, channel: b.channel, expires_at: b.expires_at };
    answer(caller.engine.run(&caller.ctx, create).await?)
}

pub async fn revoke_key(caller: Caller, Path(id): Path<String>) -> Answer<Value> {
    caller.engine.run(&caller.ctx, RevokeKey { id: id.clone() }).await?;
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
}

pub async fn create_tenant(caller: Caller, Body(b): Body<TenantBody>) -> Answer<Value> {
    let view = json!({"tenant": b.tenant, "hosts": b.hosts});
    caller.engine.run(&caller.ctx, CreateTenant { tenant: b.tenant, hosts: b.hosts }).await?;
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

/// Runs what is due in the caller's installation.
pub async fn tick(caller: Caller) -> Answer<Tick> {
    caller.engine.permit(&caller.ctx, Right::Release)?;
    answer(caller.engine.tick().await?)
}
