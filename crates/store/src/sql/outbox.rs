//! Webhooks and their deliveries: the outbox of effects that leave the installation.

use ashlar_model::TenantId;
use sqlx::any::AnyRow;

use super::{
    db::{Db, Rows},
    error::SqlError,
    values::{int, maybe_text, number, parsed, text, unsigned},
};

/// A receiver of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its name in the tenant.
    pub id: String,
    /// Where deliveries are sent.
    pub url: String,
    /// Which events it gets, as JSON.
    pub filter: String,
    /// What deliveries are signed with, as it is stored.
    pub secret: String,
    /// The secret before, and until when it signs too (RFC 3339).
    pub previous: Option<(String, String)>,
    /// Whether deliveries are made and sent.
    pub enabled: bool,
    /// Why it is not enabled.
    pub why: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
}

/// What is stored of the secrets of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// The tenant.
    pub tenant: TenantId,
    /// The webhook.
    pub id: String,
    /// The secret, as it is stored.
    pub secret: String,
    /// The one before.
    pub previous: Option<String>,
}

/// One thing to send to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its place among the tenant's deliveries, from 1.
    pub number: u64,
    /// The receiver.
    pub webhook: String,
    /// The id of what is sent: the same for every try.
    pub event: String,
    /// What happened: `entry.published`.
    pub kind: String,
    /// Deliveries with the same text here follow one another.
    pub ordering: String,
    /// The body.
    pub payload: String,
    /// `pending`, `done` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it is tried next, RFC 3339.
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
}

/// A delivery to store.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The id of what is sent.
    pub event: String,
    /// What happened.
    pub kind: String,
    /// Deliveries with the same text here follow one another.
    pub ordering: String,
    /// The body.
    pub payload: String,
}

/// What came of a try.
#[derive(Debug, Clone)]
pub struct TryRow {
    /// The delivery.
    pub number: u64,
    /// `pending`, `done` or `dead` from now on.
    pub state: &'static str,
    /// When it is tried next, RFC 3339.
    pub due_at: String,
    /// The status of the answer; 0 when there was none.
    pub status: u32,
    /// What was wrong.
    pub error: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

fn webhook_of(row: &AnyRow) -> Result<WebhookRow, SqlError> {
    Ok(WebhookRow {
        id: text(row, "id")?,
        url: text(row, "url")?,
        filter: text(row, "filter")?,
        secret: text(row, "secret")?,
        previous: maybe_text(row, "previous_secret")?.zip(maybe_text(row, "previous_until")?),
        enabled: unsigned(row, "enabled")? != 0,
        why: text(row, "why")?,
        created_at: text(row, "created_at")?,
        created_by: text(row, "created_by")?,
    })
}

fn delivery_of(row: &AnyRow) -> Result<DeliveryRow, SqlError> {
    Ok(DeliveryRow {
        number: unsigned(row, "number")?,
        webhook: text(row, "webhook")?,
        event: text(row, "event")?,
        kind: text(row, "kind")?,
        ordering: text(row, "ordering")?,
        payload: text(row, "payload")?,
        state: text(row, "state")?,
        attempts: unsigned(row, "attempts")?,
        due_at: text(row, "due_at")?,
        status: number(row, "status")?,
        error: text(row, "error")?,
        took_ms: unsigned(row, "took_ms")?,
        made_at: text(row, "made_at")?,
        tried_at: text(row, "tried_at")?,
    })
}

impl Db {
    /// Tenants with webhooks that are enabled, each with their ids. Workers find by this what they have to do.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn webhooks_enabled(&self) -> Result<Vec<(TenantId, String)>, SqlError> {
        let rows = sqlx::query("SELECT tenant, id FROM webhooks WHERE enabled = 1 ORDER BY tenant, id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|r| Ok((parsed(r, "tenant")?, text(r, "id")?))).collect()
    }
}

impl Db {
    /// The secrets of all webhooks, as they are stored.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn webhook_secrets(&self) -> Result<Vec<StoredSecret>, SqlError> {
        let rows =
            sqlx::query("SELECT tenant, id, secret, previous_secret FROM webhooks ORDER BY tenant, id")
                .fetch_all(&self.pool)
                .await?;
        let stored = |r: &AnyRow| {
            Ok(StoredSecret {
                tenant: parsed(r, "tenant")?,
                id: text(r, "id")?,
                secret: text(r, "secret")?,
                previous: maybe_text(r, "previous_secret")?,
            })
        };
        rows.iter().map(stored).collect()
    }
}

impl Rows<'_> {
    /// Replaces how the secrets of a webhook are stored, unless they are others by now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn reseal(
        &mut self,
        stored: &StoredSecret,
        secret: &str,
        previous: Option<&str>,
    ) -> Result<(), SqlError> {
        sqlx::query(
            "UPDATE webhooks SET secret = $4, previous_secret = $5 WHERE tenant = $1 AND id = $2 AND secret = $3",
        )
        .bind(self.t())
        .bind(stored.id.clone())
        .bind(stored.secret.clone())
        .bind(secret.to_owned())
        .bind(previous.map(str::to_owned))
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Stores a new webhook.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_webhook(&mut self, row: &WebhookRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO webhooks (tenant, id, url, filter, secret, enabled, why, created_at, created_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.t())
        .bind(row.id.clone())
        .bind(row.url.clone())
        .bind(row.filter.clone())
        .bind(row.secret.clone())
        .bind(i64::from(row.enabled))
        .bind(row.why.clone())
        .bind(row.created_at.clone())
        .bind(row.created_by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// All webhooks, oldest first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn webhooks(&mut self) -> Result<Vec<WebhookRow>, SqlError> {
        let rows = sqlx::query("SELECT * FROM webhooks WHERE tenant = $1 ORDER BY created_at, id")
            .bind(self.t())
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(webhook_of).collect()
    }

    /// A webhook.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn webhook(&mut self, id: &str) -> Result<Option<WebhookRow>, SqlError> {
        let row = sqlx::query("SELECT * FROM webhooks WHERE tenant = $1 AND id = $2")
            .bind(self.t())
            .bind(id.to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(webhook_of).transpose()
    }

    /// Writes what can change of a webhook.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn update_webhook(&mut self, row: &WebhookRow) -> Result<(), SqlError> {
        let (previous, until) = row.previous.clone().unzip();
        sqlx::query(
            "UPDATE webhooks SET url = $3, filter = $4, secret = $5, previous_secret = $6, previous_until = $7, \
             enabled = $8, why = $9 WHERE tenant = $1 AND id = $2",
        )
        .bind(self.t())
        .bind(row.id.clone())
        .bind(row.url.clone())
        .bind(row.filter.clone())
        .bind(row.secret.clone())
        .bind(previous)
        .bind(until)
        .bind(i64::from(row.enabled))
        .bind(row.why.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Removes a webhook with its deliveries.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn delete_webhook(&mut self, id: &str) -> Result<(), SqlError> {
        for query in [
            "DELETE FROM deliveries WHERE tenant = $1 AND webhook = $2",
            "DELETE FROM webhooks WHERE tenant = $1 AND id = $2",
        ] {
            sqlx::query(query).bind(self.t()).bind(id.to_owned()).execute(&mut *self.conn).await?;
        }
        Ok(())
    }

    /// Stores deliveries, in their order; one that is there already stays as it is.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_deliveries(
        &mut self,
        webhook: &str,
        deliveries: &[NewDelivery],
        at: &str,
    ) -> Result<(), SqlError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let last = self.advance("deliveries", deliveries.len() as u64).await?;
        let first = last + 1 - deliveries.len() as u64;
        for (delivery, number) in deliveries.iter().zip(first..) {
            sqlx::query(
                "INSERT INTO deliveries (tenant, number, webhook, event, kind, ordering, payload, state, attempts, due_at, \
                 status, error, took_ms, made_at, tried_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', 0, $8, 0, '', 0, $8, '') \
                 ON CONFLICT (tenant, webhook, event) DO NOTHING",
            )
            .bind(self.t())
            .bind(int(number))
            .bind(webhook.to_owned())
            .bind(delivery.event.clone())
            .bind(delivery.kind.clone())
            .bind(delivery.ordering.clone())
            .bind(delivery.payload.clone())
            .bind(at.to_owned())
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// Deliveries of a webhook that can be sent now: each the first of its order that is pending. One whose time lies
    /// after `latest` got it from a clock that was wrong.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn deliveries_due(
        &mut self,
        webhook: &str,
        now: &str,
        latest: &str,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM deliveries d WHERE d.tenant = $1 AND d.webhook = $2 AND d.state = 'pending' \
             AND (d.due_at <= $3 OR d.due_at > $4) AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.tenant = $1 \
             AND e.webhook = $2 AND e.state = 'pending' AND e.ordering = d.ordering AND e.number < d.number) \
             ORDER BY d.number LIMIT $5",
        )
        .bind(self.t())
        .bind(webhook.to_owned())
        .bind(now.to_owned())
        .bind(latest.to_owned())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(delivery_of).collect()
    }

    /// Notes what came of tries.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn record_tries(&mut self, tries: &[TryRow], at: &str) -> Result<(), SqlError> {
        for t in tries {
            sqlx::query(
                "UPDATE deliveries SET state = $3, due_at = $4, status = $5, error = $6, took_ms = $7, tried_at = $8, \
                 attempts = attempts + 1 WHERE tenant = $1 AND number = $2 AND state = 'pending'",
            )
            .bind(self.t())
            .bind(int(t.number))
            .bind(t.state.to_owned())
            .bind(t.due_at.clone())
            .bind(i64::from(t.status))
            .bind(t.error.clone())
            .bind(int(t.took_ms))
            .bind(at.to_owned())
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// Deliveries of a webhook before `before`, newest first, at most `limit`; `state` empty for all.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn deliveries(
        &mut self,
        webhook: &str,
        state: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM deliveries WHERE tenant = $1 AND webhook = $2 AND ($3 = '' OR state = $3) AND number < $4 \
             ORDER BY number DESC LIMIT $5",
        )
        .bind(self.t())
        .bind(webhook.to_owned())
        .bind(state.to_owned())
        .bind(int(before))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(delivery_of).collect()
    }

    /// How many deliveries of a webhook there are, by state.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn delivery_counts(&mut self, webhook: &str) -> Result<Vec<(String, u64)>, SqlError> {
        let rows = sqlx::query(
            "SELECT state, COUNT(*) AS many FROM deliveries WHERE tenant = $1 AND webhook = $2 GROUP BY state",
        )
        .bind(self.t())
        .bind(webhook.to_owned())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|r| Ok((text(r, "state")?, unsigned(r, "many")?))).collect()
    }

    /// Makes deliveries pending again: the one with this number, or all dead ones of the webhook. Returns how many.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn replay_deliveries(
        &mut self,
        webhook: &str,
        number: Option<u64>,
        at: &str,
    ) -> Result<u64, SqlError> {
        let which = match number {
            Some(_) => "number = $4 AND state <> 'pending'",
            None => "state = 'dead' AND $4 = 0",
        };
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = $3 WHERE tenant = $1 AND webhook = $2 AND {which}"
        )))
        .bind(self.t())
        .bind(webhook.to_owned())
        .bind(at.to_owned())
        .bind(int(number.unwrap_or(0)))
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected())
    }

    /// Forgets deliveries that were done before a time.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_deliveries(&mut self, before: &str) -> Result<u64, SqlError> {
        let done =
            sqlx::query("DELETE FROM deliveries WHERE tenant = $1 AND state = 'done' AND tried_at < $2")
                .bind(self.t())
                .bind(before.to_owned())
                .execute(&mut *self.conn)
                .await?;
        Ok(done.rows_affected())
    }
}
