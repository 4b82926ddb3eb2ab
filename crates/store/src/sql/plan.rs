//! Working definitions and changesets.

use std::{fmt, str::FromStr};

use ashlar_model::{ChannelName, Digest, TenantId};
use sqlx::any::AnyRow;

use super::{Db, Rows, SqlError, int, maybe_text, parsed, text, unsigned};

/// One push of definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionsRow {
    /// Its place in the order of pushes, from 1.
    pub sequence: u64,
    /// The root of the definitions tree.
    pub digest: Digest,
    /// Who pushed.
    pub author: String,
    /// When, RFC 3339.
    pub pushed_at: String,
}

/// Where a changeset stands.
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
    /// Where it stands.
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
    })
}

fn definitions_of(row: &AnyRow) -> Result<DefinitionsRow, SqlError> {
    Ok(DefinitionsRow {
        sequence: unsigned(row, "sequence")?,
        digest: parsed(row, "digest")?,
        author: text(row, "author")?,
        pushed_at: text(row, "pushed_at")?,
    })
}

impl Db {
    /// Tenants that have a changeset whose time has come by `now` (RFC 3339 in UTC).
    ///
    /// # Errors
    /// When the database refuses or holds damaged values.
    pub async fn tenants_with_due_changesets(&self, now: &str) -> Result<Vec<TenantId>, SqlError> {
        let rows = sqlx::query(
            "SELECT DISTINCT tenant FROM changesets WHERE (state = 'scheduled' AND publish_at <= $1) \
             OR (state = 'published' AND unpublish_at IS NOT NULL AND unpublish_at <= $1) ORDER BY tenant",
        )
        .bind(now.to_owned())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|r| parsed(r, "tenant")).collect()
    }
}

impl Rows<'_> {
    /// How often a job was begun and did not end: the processes that worked on it died.
    ///
    /// # Errors
    /// When the database refuses or holds damaged values.
    pub async fn attempts(&mut self, job: &str) -> Result<u64, SqlError> {
        let row = sqlx::query("SELECT begun FROM attempts WHERE tenant = $1 AND job = $2")
            .bind(self.t())
            .bind(job.to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map_or(Ok(0), |row| unsigned(&row, "begun"))
    }

    /// Notes that a job begins.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn begin_attempt(&mut self, job: &str, at: &str) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO attempts (tenant, job, begun, begun_at) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (tenant, job) DO UPDATE SET begun = attempts.begun + 1, begun_at = excluded.begun_at",
        )
        .bind(self.t())
        .bind(job.to_owned())
        .bind(at.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Notes that a job has ended, well or not.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_attempt(&mut self, job: &str) -> Result<(), SqlError> {
        sqlx::query("DELETE FROM attempts WHERE tenant = $1 AND job = $2")
            .bind(self.t())
            .bind(job.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// The working definitions.
    ///
    /// # Errors
    /// When the database refuses or holds damaged values.
    pub async fn definitions(&mut self) -> Result<Option<DefinitionsRow>, SqlError> {
        let row = sqlx::query(
            "SELECT sequence, digest, author, pushed_at FROM definitions WHERE tenant = $1 \
             ORDER BY sequence DESC LIMIT 1",
        )
        .bind(self.t())
        .fetch_optional(&mut *self.conn)
        .await?;
        row.as_ref().map(definitions_of).transpose()
    }

    /// Pushes after the newest push of `base`, newest first, at most 1,000; all of them when `base` was never pushed.
    ///
    /// # Errors
    /// When the database refuses or holds damaged values.
    pub async fn pushes_since(&mut self, base: Option<&Digest>) -> Result<Vec<DefinitionsRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT sequence, digest, author, pushed_at FROM definitions WHERE tenant = $1 AND sequence > \
             COALESCE((SELECT MAX(sequence) FROM definitions WHERE tenant = $1 AND digest = $2), 0) \
             ORDER BY sequence DESC LIMIT 1000",
        )
        .bind(self.t())
        .bind(base.map(ToString::to_string).unwrap_or_default())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(definitions_of).collect()
    }

    /// Records a push.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_definitions(&mut self, row: &DefinitionsRow) -> Result<(), SqlError> {
        sqlx::query("INSERT INTO definitions (tenant, sequence, digest, author, pushed_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(self.t())
            .bind(int(row.sequence))
            .bind(row.digest.to_string())
            .bind(row.author.clone())
            .bind(row.pushed_at.clone())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Stores a changeset or what has changed about it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_changeset(&mut self, row: &ChangesetRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO changesets (tenant, name, title, state, publish_at, unpublish_at, zone, channel, created_at, \
             created_by, message) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (tenant, name) DO UPDATE SET title = excluded.title, state = excluded.state, \
             publish_at = excluded.publish_at, unpublish_at = excluded.unpublish_at, zone = excluded.zone, \
             channel = excluded.channel, message = excluded.message",
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
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// A changeset.
    ///
    /// # Errors
    /// When the database refuses or holds damaged values.
    pub async fn changeset(&mut self, name: &str) -> Result<Option<ChangesetRow>, SqlError> {
        let row = sqlx::query(
            "SELECT name, title, state, publish_at, unpublish_at, zone, channel, created_at, created_by, message \
             FROM changesets WHERE tenant = $1 AND name = $2",
        )
        .bind(self.t())
        .bind(name.to_owned())
        .fetch_optional(&mut *self.conn)
        .await?;
        row.as_ref().map(changeset_of).transpose()
    }

    /// All changesets, newest first, at most 1,000.
    ///
    /// # Errors
    /// When the database refuses or holds damaged values.
    pub async fn changesets(&mut self) -> Result<Vec<ChangesetRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT name, title, state, publish_at, unpublish_at, zone, channel, created_at, created_by, message \
             FROM changesets WHERE tenant = $1 ORDER BY created_at DESC, name LIMIT 1000",
        )
        .bind(self.t())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(changeset_of).collect()
    }
}
