//! Changesets, their schedules, and claims on them.

use std::{fmt, str::FromStr};

use ashlar_model::{ChannelName, TenantId};
use sqlx::any::AnyRow;

use super::{
    db::{Db, Rows},
    error::SqlError,
    values::{maybe_text, parsed, text, unsigned},
};

/// The state of a changeset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangesetState {
    /// Drafts can be added; nothing is planned.
    Open,
    /// Waiting for its time.
    Scheduled,
    /// Its drafts were released.
    Published,
    /// Its drafts were released and have been taken down again.
    Ended,
    /// Its time came and a gate or a rule stood against it.
    Failed,
}

impl fmt::Display for ChangesetState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Scheduled => "scheduled",
            Self::Published => "published",
            Self::Ended => "ended",
            Self::Failed => "failed",
        })
    }
}

impl FromStr for ChangesetState {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "open" => Self::Open,
            "scheduled" => Self::Scheduled,
            "published" => Self::Published,
            "ended" => Self::Ended,
            "failed" => Self::Failed,
            _ => return Err(format!("`{s}` is not a changeset state")),
        })
    }
}

/// A changeset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangesetRow {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// Its status.
    pub state: ChangesetState,
    /// When it is to be published, RFC 3339 in UTC.
    pub publish_at: Option<String>,
    /// When its entries are to be taken down, RFC 3339 in UTC.
    pub unpublish_at: Option<String>,
    /// The time zone the times were given in.
    pub zone: String,
    /// The channel it is published to.
    pub channel: ChannelName,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// The outcome of the last attempt.
    pub message: String,
    /// What trying it beforehand said, as JSON; empty before the first time.
    pub forecast: String,
    /// Whether a task of `assist.toml` filled it. Set when it is made.
    pub assisted: bool,
}

impl ChangesetRow {
    /// When it has something to do next, RFC 3339 in UTC.
    pub fn due_at(&self) -> Option<&str> {
        match self.state {
            ChangesetState::Scheduled => self.publish_at.as_deref(),
            ChangesetState::Published => self.unpublish_at.as_deref(),
            ChangesetState::Open | ChangesetState::Ended | ChangesetState::Failed => None,
        }
    }
}

/// Who does what a changeset is due for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The changeset.
    pub changeset: String,
    /// What it is due for, by its time.
    pub due_at: String,
    /// The process.
    pub owner: String,
}

impl Claim {
    /// The name of the work in the count of attempts.
    fn job(&self) -> String {
        format!("changeset/{}/{}", self.changeset, self.due_at)
    }
}

/// Schedules of all tenants, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleCounts {
    /// Whose time has come and gone.
    pub overdue: u64,
    /// The time of the one that waits longest, RFC 3339 in UTC.
    pub oldest: Option<String>,
    /// That something would refuse, as far as is known.
    pub at_risk: u64,
}

fn changeset_of(row: &AnyRow) -> Result<ChangesetRow, SqlError> {
    Ok(ChangesetRow {
        name: text(row, "name")?,
        title: text(row, "title")?,
        state: parsed(row, "state")?,
        publish_at: maybe_text(row, "publish_at")?,
        unpublish_at: maybe_text(row, "unpublish_at")?,
        zone: text(row, "zone")?,
        channel: parsed(row, "channel")?,
        created_at: text(row, "created_at")?,
        created_by: text(row, "created_by")?,
        message: text(row, "message")?,
        forecast: text(row, "forecast")?,
        assisted: unsigned(row, "assisted")? != 0,
    })
}

/// The columns of a changeset.
const CHANGESET: &str = "name, title, state, publish_at, unpublish_at, zone, channel, created_at, created_by, message, forecast, assisted";

impl Db {
    /// Tenants that have a changeset whose time has come by `now` (RFC 3339 in UTC).
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn tenants_with_due_changesets(&self, now: &str) -> Result<Vec<TenantId>, SqlError> {
        let rows = sqlx::query("SELECT DISTINCT tenant FROM changesets WHERE due_at <= $1 ORDER BY tenant")
            .bind(now.to_owned())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|r| parsed(r, "tenant")).collect()
    }

    /// Counts the schedules of all tenants that wait since before `now`, or that something would refuse.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn schedule_counts(&self, now: &str) -> Result<ScheduleCounts, SqlError> {
        let row = sqlx::query(
            "SELECT COUNT(CASE WHEN due_at < $1 THEN 1 END) AS overdue, MIN(due_at) AS oldest, \
             COUNT(CASE WHEN at_risk = 1 THEN 1 END) AS at_risk FROM changesets WHERE due_at IS NOT NULL",
        )
        .bind(now.to_owned())
        .fetch_one(&self.pool)
        .await?;
        Ok(ScheduleCounts {
            overdue: unsigned(&row, "overdue")?,
            oldest: maybe_text(&row, "oldest")?.filter(|at| at.as_str() < now),
            at_risk: unsigned(&row, "at_risk")?,
        })
    }

    /// Lets go of everything that a process claimed: it stops in good order, and nobody has to wait for its claims to run
    /// out or to take it for dead.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn release_claims(&self, owner: &str) -> Result<(), SqlError> {
        let mut tx = self.pool.begin().await?;
        for statement in [
            "UPDATE changesets SET claimed_by = '', claimed_until = '' WHERE claimed_by = $1",
            "DELETE FROM attempts WHERE owner = $1 AND begun <= 1",
            "UPDATE attempts SET begun = begun - 1, owner = '' WHERE owner = $1",
        ] {
            sqlx::query(statement).bind(owner.to_owned()).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Rows<'_> {
    /// Changesets whose time comes by `until`, the earliest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn due_changesets(&mut self, until: &str, limit: u32) -> Result<Vec<ChangesetRow>, SqlError> {
        let sql = format!(
            "SELECT {CHANGESET} FROM changesets WHERE tenant = $1 AND due_at <= $2 ORDER BY due_at, name LIMIT $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(until.to_owned())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(changeset_of).collect()
    }

    /// Changesets whose time comes after `now` and by `until`, and that were last tried before `before`, or before `again`
    /// when something would have refused them; the earliest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn unchecked_changesets(
        &mut self,
        (now, until): (&str, &str),
        (before, again): (&str, &str),
        limit: u32,
    ) -> Result<Vec<ChangesetRow>, SqlError> {
        let sql = format!(
            "SELECT {CHANGESET} FROM changesets WHERE tenant = $1 AND due_at > $2 AND due_at <= $3 AND \
             (checked_at < $4 OR (at_risk = 1 AND checked_at < $5)) ORDER BY due_at, name LIMIT $6"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(now.to_owned())
            .bind(until.to_owned())
            .bind(before.to_owned())
            .bind(again.to_owned())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(changeset_of).collect()
    }

    /// Notes that a changeset is being tried beforehand, unless it was since `before`, or since `again` when something would
    /// have refused it. So one process tries it, and one that dies of it does not try it again at once.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn begin_check(
        &mut self,
        name: &str,
        at: &str,
        (before, again): (&str, &str),
    ) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE changesets SET checked_at = $3 WHERE tenant = $1 AND name = $2 AND \
             (checked_at < $4 OR (at_risk = 1 AND checked_at < $5))",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .bind(at.to_owned())
        .bind(before.to_owned())
        .bind(again.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what trying a changeset beforehand said, unless its time was changed meanwhile.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_forecast(
        &mut self,
        (name, due_at): (&str, &str),
        (forecast, at_risk): (&str, bool),
        at: &str,
    ) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE changesets SET forecast = $4, at_risk = $5, checked_at = $6 \
             WHERE tenant = $1 AND name = $2 AND due_at = $3",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .bind(due_at.to_owned())
        .bind(forecast.to_owned())
        .bind(i64::from(at_risk))
        .bind(at.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Claims what a changeset is due for, unless it is no longer due for that or somebody else works on it. Says how often
    /// it was begun before by processes that neither ended it nor let go of it: they died.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn claim_changeset(
        &mut self,
        claim: &Claim,
        now: &str,
        until: &str,
    ) -> Result<Option<u64>, SqlError> {
        let done = sqlx::query(
            "UPDATE changesets SET claimed_by = $4, claimed_until = $6 \
             WHERE tenant = $1 AND name = $2 AND due_at = $3 AND (claimed_by = '' OR claimed_until < $5)",
        )
        .bind(self.t())
        .bind(claim.changeset.clone())
        .bind(claim.due_at.clone())
        .bind(claim.owner.clone())
        .bind(now.to_owned())
        .bind(until.to_owned())
        .execute(&mut *self.conn)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let row = sqlx::query(
            "INSERT INTO attempts (tenant, job, begun, begun_at, owner) VALUES ($1, $2, 1, $3, $4) \
             ON CONFLICT (tenant, job) DO UPDATE SET begun = attempts.begun + 1, begun_at = excluded.begun_at, \
             owner = excluded.owner RETURNING begun",
        )
        .bind(self.t())
        .bind(claim.job())
        .bind(now.to_owned())
        .bind(claim.owner.clone())
        .fetch_one(&mut *self.conn)
        .await?;
        Ok(Some(unsigned(&row, "begun")?.saturating_sub(1)))
    }

    /// Keeps a claim for longer; says whether it is still there.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn renew_claim(&mut self, claim: &Claim, until: &str) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE changesets SET claimed_until = $5 \
             WHERE tenant = $1 AND name = $2 AND due_at = $3 AND claimed_by = $4",
        )
        .bind(self.t())
        .bind(claim.changeset.clone())
        .bind(claim.due_at.clone())
        .bind(claim.owner.clone())
        .bind(until.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a claim back, the work done or not; says whether it was still there. Nothing else may be written under a claim
    /// that no longer exists.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_claim(&mut self, claim: &Claim) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE changesets SET claimed_by = '', claimed_until = '' \
             WHERE tenant = $1 AND name = $2 AND due_at = $3 AND claimed_by = $4",
        )
        .bind(self.t())
        .bind(claim.changeset.clone())
        .bind(claim.due_at.clone())
        .bind(claim.owner.clone())
        .execute(&mut *self.conn)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM attempts WHERE tenant = $1 AND job = $2")
            .bind(self.t())
            .bind(claim.job())
            .execute(&mut *self.conn)
            .await?;
        Ok(true)
    }

    /// Stores a changeset or what has changed about it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_changeset(&mut self, row: &ChangesetRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO changesets (tenant, name, title, state, publish_at, unpublish_at, zone, channel, created_at, \
             created_by, message, forecast, due_at, assisted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (tenant, name) DO UPDATE SET title = excluded.title, state = excluded.state, \
             publish_at = excluded.publish_at, unpublish_at = excluded.unpublish_at, zone = excluded.zone, \
             channel = excluded.channel, message = excluded.message, forecast = excluded.forecast, \
             at_risk = CASE WHEN COALESCE(changesets.due_at, '') = COALESCE(excluded.due_at, '') \
             THEN changesets.at_risk ELSE 0 END, \
             checked_at = CASE WHEN COALESCE(changesets.due_at, '') = COALESCE(excluded.due_at, '') \
             THEN changesets.checked_at ELSE '' END, \
             claimed_by = CASE WHEN COALESCE(changesets.due_at, '') = COALESCE(excluded.due_at, '') \
             THEN changesets.claimed_by ELSE '' END, due_at = excluded.due_at",
        )
        .bind(self.t())
        .bind(row.name.clone())
        .bind(row.title.clone())
        .bind(row.state.to_string())
        .bind(row.publish_at.clone())
        .bind(row.unpublish_at.clone())
        .bind(row.zone.clone())
        .bind(row.channel.as_str().to_owned())
        .bind(row.created_at.clone())
        .bind(row.created_by.clone())
        .bind(row.message.clone())
        .bind(row.forecast.clone())
        .bind(row.due_at().map(str::to_owned))
        .bind(i64::from(row.assisted))
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// A changeset.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn changeset(&mut self, name: &str) -> Result<Option<ChangesetRow>, SqlError> {
        let sql = format!("SELECT {CHANGESET} FROM changesets WHERE tenant = $1 AND name = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(name.to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(changeset_of).transpose()
    }

    /// Changesets, newest first: at most `limit` after the one with the name `after`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn changesets(
        &mut self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ChangesetRow>, SqlError> {
        let that = "(SELECT created_at FROM changesets WHERE tenant = $1 AND name = $2)";
        let sql = format!(
            "SELECT {CHANGESET} FROM changesets WHERE tenant = $1 AND ($2 = '' OR created_at < {that} OR \
             (created_at = {that} AND name > $2)) ORDER BY created_at DESC, name LIMIT $3"
        );
        self.changeset_page(sql, after, limit).await
    }

    /// Changesets that have something to do, the earliest first, and those that failed: at most `limit` after the one with the
    /// name `after`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn planned_changesets(
        &mut self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ChangesetRow>, SqlError> {
        let at = "COALESCE(due_at, publish_at, '')";
        let that = format!("(SELECT {at} FROM changesets WHERE tenant = $1 AND name = $2)");
        let sql = format!(
            "SELECT {CHANGESET} FROM changesets WHERE tenant = $1 AND (due_at IS NOT NULL OR state = 'failed') AND \
             ($2 = '' OR {at} > {that} OR ({at} = {that} AND name > $2)) ORDER BY {at}, name LIMIT $3"
        );
        self.changeset_page(sql, after, limit).await
    }

    async fn changeset_page(
        &mut self,
        sql: String,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ChangesetRow>, SqlError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.t())
            .bind(after.unwrap_or_default().to_owned())
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(changeset_of).collect()
    }
}
