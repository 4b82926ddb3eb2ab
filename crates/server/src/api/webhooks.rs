use ashlar_release::{
    CreateWebhook, DeleteWebhook, DeliveryView, EVENT_SCHEMA, EventFilter, Page, ReplayDeliveries,
    RotateSecret, SecretShown, TestWebhook, UpdateWebhook, WebhookView,
};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Answer, answer};
use crate::endpoints::extract::{Body, Path, Query};
use crate::{
    access::Caller,
    endpoints::{rows, signature::Created},
    front::ApiError,
};

pub async fn schema() -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/schema+json")], EVENT_SCHEMA).into_response()
}

pub async fn list(caller: Caller) -> Answer<Vec<WebhookView>> {
    answer(caller.engine.webhooks(&caller.ctx).await?)
}

pub async fn show(caller: Caller, Path(id): Path<String>) -> Answer<WebhookView> {
    answer(caller.engine.webhook(&caller.ctx, &id).await?)
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "WebhookInput")]
pub struct NewBody {
    /// Where deliveries are sent.
    url: String,
    #[serde(flatten)]
    filter: EventFilter,
}

pub async fn create(caller: Caller, Body(b): Body<NewBody>) -> Result<Created<SecretShown>, ApiError> {
    let create = CreateWebhook { url: b.url, filter: b.filter };
    let value = caller.engine.run(&caller.ctx, create).await?;
    Ok(Created { location: rows::GET_WEBHOOK.at([&value.view.id]).target, value })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookChange")]
pub struct ChangeBody {
    /// Where deliveries are sent.
    url: Option<String>,
    /// Which events it gets.
    filter: Option<EventFilter>,
    /// Whether deliveries are made and sent.
    enabled: Option<bool>,
    /// Why it is switched off.
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

/// A webhook that was removed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeleted")]
pub struct Deleted {
    /// Its name.
    id: String,
    /// True.
    deleted: bool,
}

pub async fn remove(caller: Caller, Path(id): Path<String>) -> Answer<Deleted> {
    caller.engine.run(&caller.ctx, DeleteWebhook { id: id.clone() }).await?;
    answer(Deleted { id, deleted: true })
}

pub async fn rotate(caller: Caller, Path(id): Path<String>) -> Answer<SecretShown> {
    answer(caller.engine.run(&caller.ctx, RotateSecret { id }).await?)
}

pub async fn test(caller: Caller, Path(id): Path<String>) -> Answer<WebhookView> {
    answer(caller.engine.run(&caller.ctx, TestWebhook { id }).await?)
}

#[derive(Deserialize, JsonSchema)]
pub struct Which {
    /// `pending`, `done` or `dead`.
    state: Option<String>,
    /// `next_cursor` of the page before.
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReplayInput")]
pub struct ReplayBody {
    /// The delivery; all that were given up when absent.
    delivery: Option<u64>,
}

/// Deliveries that are sent again.
#[derive(Serialize, JsonSchema)]
pub struct Replayed {
    /// How many there are.
    replayed: u64,
}

pub async fn replay(caller: Caller, Path(id): Path<String>, Body(b): Body<ReplayBody>) -> Answer<Replayed> {
    let replayed = caller.engine.run(&caller.ctx, ReplayDeliveries { id, delivery: b.delivery }).await?;
    answer(Replayed { replayed })
}
