//! Webhooks: who gets events, what signs it, and what became of it.

use ashlar_model::Right;
use ashlar_store::sql::{DeliveryRow, NewDelivery, Place, WebhookRow, stamp};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    follow::place_name,
    kinds::{EVENT_KINDS, EventFilter},
    outbox::FOLLOWER,
    receivers::refused,
};
use crate::{
    Action, Ctx, Engine, Page, ReleaseError, Scope,
    engine::action::Record,
    new_id,
    page::{cursor_number, paged},
};

/// The contract of what webhooks are sent, `event.v1`: JSON Schema with the vocabulary of contracts.
pub const EVENT_SCHEMA: &str = include_str!("../../schemas/event.v1.json");
/// The most webhooks of a tenant.
pub const WEBHOOKS_MAX: usize = 100;
/// How long a secret that was rotated goes on signing beside the new one.
const ROTATION: SignedDuration = SignedDuration::from_hours(24);
/// The longest address.
const URL_BYTES_MAX: usize = 2_000;

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookView {
    /// Its name in the tenant.
    pub id: String,
    /// Where deliveries are sent.
    pub url: String,
    /// Which events it gets.
    #[serde(flatten)]
    pub filter: EventFilter,
    /// Whether deliveries are made and sent.
    pub enabled: bool,
    /// Why it is not enabled.
    pub why: String,
    /// Deliveries that are still to be sent, were sent, and were given up.
    pub pending: u64,
    /// Deliveries that were sent, of the last seven days.
    pub done: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
}

/// A webhook with its secret; the only time it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretShown {
    /// What signs deliveries, `whsec_…` (Standard Webhooks).
    pub secret: String,
    /// Everything else about it.
    #[serde(flatten)]
    pub view: WebhookView,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its number.
    pub delivery: u64,
    /// What is sent as `webhook-id`: the same for every try.
    pub event: String,
    /// What happened.
    pub kind: String,
    /// `pending`, `done` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it is tried next; RFC 3339.
    pub due_at: String,
    /// The status of the last answer; 0 when there was none.
    pub status: u32,
    /// What was wrong the last time.
    pub error: String,
    /// How long the last try took, in milliseconds.
    pub took_ms: u64,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// When it was last tried, RFC 3339; empty before.
    pub tried_at: String,
    /// The body.
    pub payload: serde_json::Value,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        Self {
            delivery: row.number,
            event: row.event,
            kind: row.kind,
            state: row.state,
            attempts: row.attempts,
            due_at: row.due_at,
            status: row.status,
            error: row.error,
            took_ms: row.took_ms,
            made_at: row.made_at,
            tried_at: row.tried_at,
            payload: serde_json::from_str(&row.payload).unwrap_or_default(),
        }
    }
}

/// Makes a webhook.
#[derive(Debug, Clone)]
pub struct CreateWebhook {
    /// Where deliveries are sent.
    pub url: String,
    /// Which events it gets.
    pub filter: EventFilter,
}

/// Changes a webhook; what is absent stays.
#[derive(Debug, Clone)]
pub struct UpdateWebhook {
    /// The webhook.
    pub id: String,
    /// Where deliveries are sent.
    pub url: Option<String>,
    /// Which events it gets.
    pub filter: Option<EventFilter>,
    /// Whether deliveries are made and sent. What happened while it was off is delivered when it is on again.
    pub enabled: Option<bool>,
    /// Why it is switched off.
    pub why: String,
}

/// Removes a webhook with its deliveries.
#[derive(Debug, Clone)]
pub struct DeleteWebhook {
    /// The webhook.
    pub id: String,
}

/// Gives a webhook a new secret; the one before signs beside it for a day.
#[derive(Debug, Clone)]
pub struct RotateSecret {
    /// The webhook.
    pub id: String,
}

/// Sends something for a try: an event of the kind `webhook.test`.
#[derive(Debug, Clone)]
pub struct TestWebhook {
    /// The webhook.
    pub id: String,
}

/// Sends deliveries again.
#[derive(Debug, Clone)]
pub struct ReplayDeliveries {
    /// The webhook.
    pub id: String,
    /// One delivery, whatever became of it; all that were given up when absent.
    pub delivery: Option<u64>,
}

fn new_secret() -> Result<String, ReleaseError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| ReleaseError::Task(format!("no randomness: {e}")))?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

fn check_filter(filter: &EventFilter) -> Result<(), ReleaseError> {
    let sent = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => EVENT_KINDS.iter().any(|kind| kind.starts_with(start)),
        None => EVENT_KINDS.contains(&pattern),
    };
    match filter.events.iter().find(|e| !sent(e)) {
        Some(bad) => {
            let shown: String = bad.chars().take(60).collect();
            let group = format!("{}.", shown.split('.').next().unwrap_or_default());
            let near: Vec<&str> =
                EVENT_KINDS.iter().filter(|kind| kind.starts_with(&group)).copied().collect();
            let help = match near.is_empty() {
                true => "write kinds such as `entry.published`, `release.*` or `*`".to_owned(),
                false => format!("kinds are {}", near.join(", ")),
            };
            Err(ReleaseError::invalid(format!("there is no kind of event `{shown}`"), help))
        }
        None if filter.events.is_empty() || filter.events.len() > 50 => Err(ReleaseError::invalid(
            "a webhook needs 1 to 50 kinds of events",
            "leave `events` out for the usual ones",
        )),
        None => Ok(()),
    }
}

fn check_url(url: &str, inside: bool) -> Result<(), ReleaseError> {
    let help = "write an address such as https://example.com/hooks";
    let parsed = url::Url::parse(url).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
    match parsed {
        Some(u) if !u.username().is_empty() || u.password().is_some() => Err(ReleaseError::invalid(
            "the address contains a password",
            "receivers know deliveries by their signature; leave the password out",
        )),
        Some(u) if u.host_str().is_some() && url.len() <= URL_BYTES_MAX => match refused(url, inside) {
            None => Ok(()),
            Some(why) => Err(ReleaseError::invalid(format!("`{url}` cannot receive a webhook: {why}"), help)),
        },
        _ => Err(ReleaseError::invalid(
            format!("`{}` is not an address of a receiver", url.chars().take(200).collect::<String>()),
            help,
        )),
    }
}

fn unknown(id: &str) -> ReleaseError {
    ReleaseError::not_found("webhook", id, "`ashlar webhook list` shows all webhooks")
}

fn view(row: &WebhookRow, counts: &[(String, u64)]) -> WebhookView {
    let count = |state: &str| counts.iter().find(|(s, _)| s == state).map_or(0, |(_, n)| *n);
    WebhookView {
        id: row.id.clone(),
        url: row.url.clone(),
        filter: serde_json::from_str(&row.filter).unwrap_or_default(),
        enabled: row.enabled,
        why: row.why.clone(),
        pending: count("pending"),
        done: count("done"),
        dead: count("dead"),
        created_at: row.created_at.clone(),
        created_by: row.created_by.clone(),
    }
}

fn encoded(filter: &EventFilter) -> Result<String, ReleaseError> {
    serde_json::to_string(filter).map_err(|e| ReleaseError::Task(e.to_string()))
}

#[async_trait]
impl Action for CreateWebhook {
    type Output = SecretShown;
    const NAME: &'static str = "webhook.create";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<SecretShown, ReleaseError> {
        check_url(&self.url, scope.engine.sends_inside())?;
        check_filter(&self.filter)?;
        let (id, secret) = (format!("wh_{}", &new_id()?[..12]), new_secret()?);
        let sealed = scope.engine.seal(&scope.ctx.tenant, &id, &secret).await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        if rows.webhooks().await?.len() >= WEBHOOKS_MAX {
            return Err(ReleaseError::refused(
                "too-many-webhooks",
                format!("there are {WEBHOOKS_MAX} webhooks already"),
                "remove one that is not used",
            ));
        }
        let row = WebhookRow {
            id,
            url: self.url,
            filter: encoded(&self.filter)?,
            secret: sealed,
            previous: None,
            enabled: true,
            why: String::new(),
            created_at: scope.at.clone(),
            created_by: scope.actor().to_owned(),
        };
        rows.insert_webhook(&row).await?;
        // It gets what happens from now on, without its own creation.
        let now = Place { done: rows.counter("events").await? + 1, inside: String::new() };
        rows.insert_follower(&place_name(FOLLOWER, &row.id), &now).await?;
        let data = json!({"url": row.url, "filter": self.filter});
        scope.commit(tx, Record::one("webhook.created", &row.id, data)).await?;
        Ok(SecretShown { secret, view: view(&row, &[]) })
    }
}

#[async_trait]
impl Action for UpdateWebhook {
    type Output = WebhookView;
    const NAME: &'static str = "webhook.update";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<WebhookView, ReleaseError> {
        if let Some(url) = &self.url {
            check_url(url, scope.engine.sends_inside())?;
        }
        if let Some(filter) = &self.filter {
            check_filter(filter)?;
        }
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = rows.webhook(&self.id).await?.ok_or_else(|| unknown(&self.id))?;
        if let Some(url) = self.url {
            row.url = url;
        }
        if let Some(filter) = &self.filter {
            row.filter = encoded(filter)?;
        }
        if let Some(enabled) = self.enabled {
            row.enabled = enabled;
            row.why = if enabled { String::new() } else { self.why };
        }
        rows.update_webhook(&row).await?;
        let counts = rows.delivery_counts(&row.id).await?;
        let shown = view(&row, &counts);
        let data = json!({"url": row.url, "enabled": row.enabled, "why": row.why});
        scope.commit(tx, Record::one("webhook.updated", &row.id, data)).await?;
        Ok(shown)
    }
}

#[async_trait]
impl Action for DeleteWebhook {
    type Output = ();
    const NAME: &'static str = "webhook.delete";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<(), ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let row = rows.webhook(&self.id).await?.ok_or_else(|| unknown(&self.id))?;
        rows.delete_webhook(&row.id).await?;
        rows.delete_follower(&place_name(FOLLOWER, &row.id)).await?;
        scope.commit(tx, Record::one("webhook.deleted", &row.id, json!({"url": row.url}))).await
    }
}

#[async_trait]
impl Action for RotateSecret {
    type Output = SecretShown;
    const NAME: &'static str = "webhook.rotate";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<SecretShown, ReleaseError> {
        let secret = new_secret()?;
        let sealed = scope.engine.seal(&scope.ctx.tenant, &self.id, &secret).await?;
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let mut row = rows.webhook(&self.id).await?.ok_or_else(|| unknown(&self.id))?;
        let until = stamp(scope.now.saturating_add(ROTATION).unwrap_or(scope.now));
        let before = std::mem::replace(&mut row.secret, sealed);
        row.previous = Some((before, until.clone()));
        rows.update_webhook(&row).await?;
        let counts = rows.delivery_counts(&row.id).await?;
        let shown = SecretShown { secret, view: view(&row, &counts) };
        let data = json!({"previous_until": until});
        scope.commit(tx, Record::one("webhook.rotated", &row.id, data)).await?;
        Ok(shown)
    }
}

#[async_trait]
impl Action for TestWebhook {
    type Output = WebhookView;
    const NAME: &'static str = "webhook.test";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<WebhookView, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let row = rows.webhook(&self.id).await?.ok_or_else(|| unknown(&self.id))?;
        if !row.enabled {
            return Err(ReleaseError::refused(
                "webhook-off",
                format!("{} is switched off", row.id),
                "switch it on first",
            ));
        }
        let payload = json!({
            "type": "webhook.test", "timestamp": scope.at,
            "data": {"tenant": scope.ctx.tenant, "webhook": row.id, "trace_id": scope.ctx.trace.to_string()},
        });
        let delivery = NewDelivery {
            event: format!("evt_{}", scope.action),
            kind: "webhook.test".to_owned(),
            ordering: format!("test/{}", scope.action),
            payload: payload.to_string(),
        };
        rows.insert_deliveries(&row.id, &[delivery], &scope.at).await?;
        let counts = rows.delivery_counts(&row.id).await?;
        let shown = view(&row, &counts);
        scope.commit(tx, Record::one("webhook.tested", &row.id, json!({}))).await?;
        Ok(shown)
    }
}

#[async_trait]
impl Action for ReplayDeliveries {
    type Output = u64;
    const NAME: &'static str = "webhook.replay";

    fn right(&self) -> Right {
        Right::Admin
    }

    async fn act(self, scope: &Scope<'_>) -> Result<u64, ReleaseError> {
        let mut tx = scope.begin().await?;
        let mut rows = tx.rows();
        let row = rows.webhook(&self.id).await?.ok_or_else(|| unknown(&self.id))?;
        let replayed = rows.replay_deliveries(&row.id, self.delivery, &scope.at).await?;
        if let (Some(number), 0) = (self.delivery, replayed) {
            return Err(ReleaseError::not_found(
                "delivery that could be sent again",
                number,
                "`ashlar webhook deliveries ID` lists them; one that is pending is sent anyway",
            ));
        }
        let data = json!({"delivery": self.delivery, "replayed": replayed});
        scope.commit(tx, Record::one("webhook.replayed", &row.id, data)).await?;
        Ok(replayed)
    }
}

impl Engine {
    /// The webhooks of a tenant, oldest first, without secrets.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn webhooks(&self, ctx: &Ctx) -> Result<Vec<WebhookView>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut out = Vec::new();
        for row in conn.rows().webhooks().await? {
            let counts = conn.rows().delivery_counts(&row.id).await?;
            out.push(view(&row, &counts));
        }
        Ok(out)
    }

    /// One webhook, without its secret.
    ///
    /// # Errors
    /// When there is no such webhook, or it cannot be read.
    pub async fn webhook(&self, ctx: &Ctx, id: &str) -> Result<WebhookView, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let row = conn.rows().webhook(id).await?.ok_or_else(|| unknown(id))?;
        let counts = conn.rows().delivery_counts(id).await?;
        Ok(view(&row, &counts))
    }

    /// The deliveries of a webhook, newest first; `state` is `pending`, `done`, `dead` or absent for all.
    ///
    /// # Errors
    /// When the webhook or the state is unknown, or they cannot be read.
    pub async fn deliveries(
        &self,
        ctx: &Ctx,
        id: &str,
        state: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<DeliveryView>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let state = state.unwrap_or_default();
        if !["", "pending", "done", "dead"].contains(&state) {
            return Err(ReleaseError::invalid(
                format!("`{}` is not a state of a delivery", state.chars().take(40).collect::<String>()),
                "states are pending, done and dead",
            ));
        }
        let before = cursor_number(cursor)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        conn.rows().webhook(id).await?.ok_or_else(|| unknown(id))?;
        let rows = conn.rows().deliveries(id, state, before, 101).await?;
        let rows: Vec<DeliveryView> = rows.into_iter().map(DeliveryView::from).collect();
        Ok(paged(rows, 100, |d| d.delivery.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_recorded_can_be_asked_for_and_no_others() {
        assert!(EVENT_KINDS.is_sorted());
        let check = |kind: &str| {
            check_filter(&EventFilter { events: vec![kind.to_owned()], ..EventFilter::default() })
        };
        for kind in ["schedule.at_risk", "schedule.checked", "schedule.*", "release.promoted", "*"] {
            assert!(check(kind).is_ok(), "{kind}");
        }
        for kind in ["schedule.late", "plans.*", ""] {
            assert!(check(kind).is_err(), "{kind}");
        }
    }
}
