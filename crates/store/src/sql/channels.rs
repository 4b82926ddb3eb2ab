//! Releases and channels.

use std::collections::BTreeMap;

use ashlar_model::{CandidateId, ChannelName, Digest, ReleaseId};
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{int, json, maybe_unsigned, number, parsed, text, to_json, unsigned},
};

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    /// Its number.
    pub id: ReleaseId,
    /// The candidate it was.
    pub candidate: CandidateId,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The root of its entries.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// Roots of what was derived from it, by name.
    pub derived: BTreeMap<String, Digest>,
    /// What the channel served before it.
    pub parent: Option<ReleaseId>,
    /// How many entries it has.
    pub entries: u64,
    /// Why it was made.
    pub note: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// Who promoted it.
    pub created_by: String,
}

/// Where a channel points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// The channel.
    pub channel: ChannelName,
    /// What it serves.
    pub release: ReleaseId,
    /// How often it has moved.
    pub sequence: u64,
    /// When it moved, RFC 3339.
    pub moved_at: String,
    /// Who moved it.
    pub moved_by: String,
}

/// A move of the public channel whose drafts have not been compared with what it serves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsettledRow {
    /// Its place in the order of moves.
    pub sequence: u64,
    /// What was served before; `None` before the first release.
    pub old_snapshot: Option<Digest>,
    /// What is served now.
    pub new_snapshot: Digest,
    /// Whether drafts that were equal to what was served take over what is served now.
    pub adopt: bool,
}

fn release_of(row: &AnyRow) -> Result<ReleaseRow, SqlError> {
    Ok(ReleaseRow {
        id: ReleaseId(number(row, "number")?),
        candidate: CandidateId(number(row, "candidate")?),
        manifest: parsed(row, "manifest")?,
        snapshot: parsed(row, "snapshot")?,
        definitions: parsed(row, "definitions")?,
        derived: json(row, "derived")?,
        parent: maybe_unsigned(row, "parent")?.and_then(|n| u32::try_from(n).ok()).map(ReleaseId),
        entries: unsigned(row, "entries")?,
        note: text(row, "note")?,
        created_at: text(row, "created_at")?,
        created_by: text(row, "created_by")?,
    })
}

fn channel_of(row: &AnyRow) -> Result<ChannelRow, SqlError> {
    Ok(ChannelRow {
        channel: parsed(row, "channel")?,
        release: ReleaseId(number(row, "release")?),
        sequence: unsigned(row, "sequence")?,
        moved_at: text(row, "moved_at")?,
        moved_by: text(row, "moved_by")?,
    })
}

impl Rows<'_> {
    /// Stores a new release.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_release(&mut self, row: &ReleaseRow) -> Result<(), SqlError> {
        *self.names_objects = true;
        sqlx::query(
            "INSERT INTO releases (tenant, number, candidate, manifest, snapshot, definitions, derived, parent, entries, \
             note, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(self.t())
        .bind(i64::from(row.id.0))
        .bind(i64::from(row.candidate.0))
        .bind(row.manifest.to_string())
        .bind(row.snapshot.to_string())
        .bind(row.definitions.to_string())
        .bind(to_json(&row.derived)?)
        .bind(row.parent.map(|r| i64::from(r.0)))
        .bind(int(row.entries))
        .bind(row.note.clone())
        .bind(row.created_at.clone())
        .bind(row.created_by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Adds what was derived from a release after it was made.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_derived(
        &mut self,
        id: ReleaseId,
        derived: &BTreeMap<String, Digest>,
    ) -> Result<(), SqlError> {
        *self.names_objects = true;
        sqlx::query("UPDATE releases SET derived = $3 WHERE tenant = $1 AND number = $2")
            .bind(self.t())
            .bind(i64::from(id.0))
            .bind(to_json(derived)?)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// A release.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn release(&mut self, id: ReleaseId) -> Result<Option<ReleaseRow>, SqlError> {
        let row = sqlx::query("SELECT * FROM releases WHERE tenant = $1 AND number = $2")
            .bind(self.t())
            .bind(i64::from(id.0))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(release_of).transpose()
    }

    /// The newest release with a snapshot.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn release_with(&mut self, snapshot: &Digest) -> Result<Option<ReleaseRow>, SqlError> {
        let row = sqlx::query(
            "SELECT * FROM releases WHERE tenant = $1 AND snapshot = $2 ORDER BY number DESC LIMIT 1",
        )
        .bind(self.t())
        .bind(snapshot.to_string())
        .fetch_optional(&mut *self.conn)
        .await?;
        row.as_ref().map(release_of).transpose()
    }

    /// Releases below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn releases(&mut self, before: u32, limit: u32) -> Result<Vec<ReleaseRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM releases WHERE tenant = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        )
        .bind(self.t())
        .bind(i64::from(before))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(release_of).collect()
    }

    /// The roots of the definitions of releases, each once, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn released_definitions(&mut self, limit: u32) -> Result<Vec<Digest>, SqlError> {
        let rows = sqlx::query(
            "SELECT definitions, MAX(number) AS newest FROM releases WHERE tenant = $1 GROUP BY definitions \
             ORDER BY newest DESC LIMIT $2",
        )
        .bind(self.t())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|row| parsed(row, "definitions")).collect()
    }

    /// Where a channel points; `None` before its first release.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn channel(&mut self, channel: &ChannelName) -> Result<Option<ChannelRow>, SqlError> {
        let row = sqlx::query("SELECT * FROM channels WHERE tenant = $1 AND channel = $2")
            .bind(self.t())
            .bind(channel.as_str().to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(channel_of).transpose()
    }

    /// The release that a channel serves, with where the channel points; `None` before its first release. The release is
    /// `None` when the channel points at one that does not exist.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn head(
        &mut self,
        channel: &ChannelName,
    ) -> Result<Option<(ChannelRow, Option<ReleaseRow>)>, SqlError> {
        let row = sqlx::query(
            "SELECT c.channel, c.release, c.sequence, c.moved_at, c.moved_by, r.number, r.candidate, r.manifest, \
             r.snapshot, r.definitions, r.derived, r.parent, r.entries, r.note, r.created_at, r.created_by \
             FROM channels c LEFT JOIN releases r ON r.tenant = c.tenant AND r.number = c.release \
             WHERE c.tenant = $1 AND c.channel = $2",
        )
        .bind(self.t())
        .bind(channel.as_str().to_owned())
        .fetch_optional(&mut *self.conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let release = match maybe_unsigned(&row, "number")? {
            Some(_) => Some(release_of(&row)?),
            None => None,
        };
        Ok(Some((channel_of(&row)?, release)))
    }

    /// All channels that point somewhere, by name.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn channels(&mut self) -> Result<Vec<ChannelRow>, SqlError> {
        let rows = sqlx::query("SELECT * FROM channels WHERE tenant = $1 ORDER BY channel")
            .bind(self.t())
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(channel_of).collect()
    }

    /// Points a channel at a release.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn move_channel(&mut self, row: &ChannelRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO channels (tenant, channel, release, sequence, moved_at, moved_by) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, channel) DO UPDATE SET release = excluded.release, \
             sequence = excluded.sequence, moved_at = excluded.moved_at, moved_by = excluded.moved_by",
        )
        .bind(self.t())
        .bind(row.channel.as_str().to_owned())
        .bind(i64::from(row.release.0))
        .bind(int(row.sequence))
        .bind(row.moved_at.clone())
        .bind(row.moved_by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Notes that drafts must be compared with what the public channel serves now.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_unsettled(&mut self, row: &UnsettledRow) -> Result<(), SqlError> {
        sqlx::query("INSERT INTO unsettled (tenant, sequence, old_snapshot, new_snapshot, adopt) VALUES ($1, $2, $3, $4, $5)")
            .bind(self.t())
            .bind(int(row.sequence))
            .bind(row.old_snapshot.map(|d| d.to_string()).unwrap_or_default())
            .bind(row.new_snapshot.to_string())
            .bind(i64::from(row.adopt))
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Moves that are not settled, oldest first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn unsettled(&mut self) -> Result<Vec<UnsettledRow>, SqlError> {
        let rows = sqlx::query("SELECT * FROM unsettled WHERE tenant = $1 ORDER BY sequence")
            .bind(self.t())
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter()
            .map(|r| {
                Ok(UnsettledRow {
                    sequence: unsigned(r, "sequence")?,
                    old_snapshot: match text(r, "old_snapshot")?.as_str() {
                        "" => None,
                        _ => Some(parsed(r, "old_snapshot")?),
                    },
                    new_snapshot: parsed(r, "new_snapshot")?,
                    adopt: unsigned(r, "adopt")? != 0,
                })
            })
            .collect()
    }

    /// Says that a move is settled.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn delete_unsettled(&mut self, sequence: u64) -> Result<(), SqlError> {
        sqlx::query("DELETE FROM unsettled WHERE tenant = $1 AND sequence = $2")
            .bind(self.t())
            .bind(int(sequence))
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }
}
