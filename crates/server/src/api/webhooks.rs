use ashlar_release::{
    CreateWebhook, DeleteWebhook, DeliveryView, EVENT_SCHEMA, EventFilter, Page, ReplayDeliveries,
    RotateSecret, SecretShown, TestWebhook, UpdateWebhook, WebhookView,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, Path, Query, answer};
use crate::auth::Caller;

pub async fn schema() -> impl axum::response::IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, "application/schema+json")], EVENT_SCHEMA)
}

pub async fn list(caller: Caller) -> Answer<Vec<WebhookView>> {
    answer(caller.engine.webhooks(&caller.ctx).await?)
}

pub async fn show(caller: Caller, Path(id): Path<String>) -> Answer<WebhookView> {
    answer(caller.engine.webhook(&caller.ctx, &id).await?)
}

#[derive(Deserialize)]
pub struct NewBody {
    url: String,
    #[serde(flatten)]
    filter: EventFilter,
}

pub async fn create(caller: Caller, Body(b): Body<NewBody>) -> Answer<SecretShown> {
    let create = CreateWebhook { url: b.url, filter: b.filter };
    answer(caller.engine.run(&caller.ctx, create).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeBody {
    url: Option<String>,
    filter: Option<EventFilter>,
    enabled: Option<bool>,
    #[serde(default)]
    why: String,
}

pub async fn update(
    caller: Caller,
    Path(id): Path<String>,
    Body(b): Body<ChangeBody>,
) -> Answer<WebhookView> {
    let update = UpdateWebhook { id, url: b.url, filter: b.filter, enabled: b.enabled, why: b.why };
    answer(caller.engine.run(&caller.ctx, update).await?)
}

pub async fn remove(caller: Caller, Path(id): Path<String>) -> Answer<Value> {
    caller.engine.run(&caller.ctx, DeleteWebhook { id: id.clone() }).await?;
    answer(json!({"id": id, "deleted": true}))
}

pub async fn rotate(caller: Caller, Path(id): Path<String>) -> Answer<SecretShown> {
    answer(caller.engine.run(&caller.ctx, RotateSecret { id }).await?)
}

pub async fn test(caller: Caller, Path(id): Path<String>) -> Answer<WebhookView> {
    answer(caller.engine.run(&caller.ctx, TestWebhook { id }).await?)
}

#[derive(Deserialize)]
pub struct Which {
    state: Option<String>,
    cursor: Option<String>,
}

pub async fn deliveries(
    caller: Caller,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Answer<Page<DeliveryView>> {
    let (state, cursor) = (which.state.as_deref(), which.cursor.as_deref());
    answer(caller.engine.deliveries(&caller.ctx, &id, state, cursor).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    delivery: Option<u64>,
}

pub async fn replay(caller: Caller, Path(id): Path<String>, Body(b): Body<ReplayBody>) -> Answer<Value> {
    let replayed = caller.engine.run(&caller.ctx, ReplayDeliveries { id, delivery: b.delivery }).await?;
    answer(json!({"replayed": replayed}))
}
