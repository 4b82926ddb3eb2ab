//! Candidates, their gate reports, evidence, approvals and waivers, and content migrations that were run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use ashlar_model::{CandidateId, ChannelName, Digest, GateReport, GateStatus, ReleaseId, Waiver};
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{ROWS_MAX, int, json, maybe_text, maybe_unsigned, number, parsed, text, to_json, unsigned},
};

/// The status of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateStatus {
    /// Every gate lets it through.
    Passed,
    /// A gate failed.
    Failed,
    /// It became a release.
    Promoted,
    /// The channel has moved on without it.
    Superseded,
    /// Somebody gave it up.
    Discarded,
}

impl fmt::Display for CandidateStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Promoted => "promoted",
            Self::Superseded => "superseded",
            Self::Discarded => "discarded",
        })
    }
}

impl FromStr for CandidateStatus {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Ok(match s {
            "passed" => Self::Passed,
            "failed" => Self::Failed,
            "promoted" => Self::Promoted,
            "superseded" => Self::Superseded,
            "discarded" => Self::Discarded,
            _ => return Err(format!("`{s}` is not a candidate status")),
        })
    }
}

/// A candidate as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateRow {
    /// Its number.
    pub id: CandidateId,
    /// Its status.
    pub status: CandidateStatus,
    /// What was frozen.
    pub frozen: NewCandidate,
    /// The release it became.
    pub release: Option<ReleaseId>,
}

/// What a candidate froze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCandidate {
    /// The root of its entries.
    pub snapshot: Digest,
    /// The root of its definitions.
    pub definitions: Digest,
    /// The root of its changes against the base, with their authors.
    pub changes: Digest,
    /// Roots of what was derived from it, by name.
    pub derived: BTreeMap<String, Digest>,
    /// The release its channel served when it was frozen.
    pub base: Option<ReleaseId>,
    /// The channel it is compared with.
    pub channel: ChannelName,
    /// The changeset it consists of; all other pending drafts when there is none.
    pub changeset: Option<String>,
    /// The newest draft write it contains.
    pub frozen_at_sequence: u64,
    /// Who pushed definitions since the base.
    pub definition_authors: BTreeSet<String>,
    /// How many entries it has.
    pub entries: u64,
    /// How many of them differ from the base.
    pub changed: u64,
    /// Why it was made.
    pub note: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
}

/// A gate report with its place in the order of gates.
pub type GateRow = GateReport;

/// A content migration that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRow {
    /// Its number, from 1.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// The mapping as it was declared.
    pub mapping: String,
    /// How many drafts it rewrote.
    pub drafts: u64,
    /// The action whose draft versions it wrote.
    pub action: String,
    /// When it was reverted, RFC 3339.
    pub reverted_at: Option<String>,
    /// When it was run, RFC 3339.
    pub at: String,
    /// Who ran it.
    pub by: String,
}

fn candidate_of(row: &AnyRow) -> Result<CandidateRow, SqlError> {
    let release = |v: Option<u64>| v.and_then(|n| u32::try_from(n).ok()).map(ReleaseId);
    Ok(CandidateRow {
        id: CandidateId(number(row, "number")?),
        status: parsed(row, "status")?,
        release: release(maybe_unsigned(row, "release")?),
        frozen: NewCandidate {
            snapshot: parsed(row, "snapshot")?,
            definitions: parsed(row, "definitions")?,
            changes: parsed(row, "changes")?,
            derived: json(row, "derived")?,
            base: release(maybe_unsigned(row, "base")?),
            channel: parsed(row, "channel")?,
            changeset: maybe_text(row, "changeset")?,
            frozen_at_sequence: unsigned(row, "frozen_at_sequence")?,
            definition_authors: json(row, "definition_authors")?,
            entries: unsigned(row, "entries")?,
            changed: unsigned(row, "changed")?,
            note: text(row, "note")?,
            created_at: text(row, "created_at")?,
            created_by: text(row, "created_by")?,
        },
    })
}

fn migration_of(row: &AnyRow) -> Result<MigrationRow, SqlError> {
    Ok(MigrationRow {
        number: unsigned(row, "number")?,
        name: text(row, "name")?,
        mapping: text(row, "mapping")?,
        drafts: unsigned(row, "drafts")?,
        action: text(row, "action")?,
        reverted_at: maybe_text(row, "reverted_at")?,
        at: text(row, "at")?,
        by: text(row, "by_name")?,
    })
}

impl Rows<'_> {
    /// Stores a new candidate.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_candidate(
        &mut self,
        id: CandidateId,
        status: CandidateStatus,
        new: &NewCandidate,
    ) -> Result<(), SqlError> {
        *self.names_objects = true;
        sqlx::query(
            "INSERT INTO candidates (tenant, number, status, snapshot, definitions, changes, derived, base, channel, \
             changeset, frozen_at_sequence, definition_authors, entries, changed, note, created_at, created_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        )
        .bind(self.t())
        .bind(i64::from(id.0))
        .bind(status.to_string())
        .bind(new.snapshot.to_string())
        .bind(new.definitions.to_string())
        .bind(new.changes.to_string())
        .bind(to_json(&new.derived)?)
        .bind(new.base.map(|r| i64::from(r.0)))
        .bind(new.channel.as_str().to_owned())
        .bind(new.changeset.clone())
        .bind(int(new.frozen_at_sequence))
        .bind(to_json(&new.definition_authors)?)
        .bind(int(new.entries))
        .bind(int(new.changed))
        .bind(new.note.clone())
        .bind(new.created_at.clone())
        .bind(new.created_by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// A candidate.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn candidate(&mut self, id: CandidateId) -> Result<Option<CandidateRow>, SqlError> {
        let row = sqlx::query("SELECT * FROM candidates WHERE tenant = $1 AND number = $2")
            .bind(self.t())
            .bind(i64::from(id.0))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(candidate_of).transpose()
    }

    /// Candidates below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn candidates(&mut self, before: u32, limit: u32) -> Result<Vec<CandidateRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM candidates WHERE tenant = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        )
        .bind(self.t())
        .bind(i64::from(before))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(candidate_of).collect()
    }

    /// Candidates that may still be promoted or shown: passed or failed.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn open_candidates(&mut self) -> Result<Vec<CandidateRow>, SqlError> {
        let rows =
            sqlx::query("SELECT * FROM candidates WHERE tenant = $1 AND status IN ('passed', 'failed')")
                .bind(self.t())
                .fetch_all(&mut *self.conn)
                .await?;
        rows.iter().map(candidate_of).collect()
    }

    /// Sets the status of a candidate, what was derived from it, and the release it became.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn update_candidate(
        &mut self,
        id: CandidateId,
        status: CandidateStatus,
        derived: &BTreeMap<String, Digest>,
        release: Option<ReleaseId>,
    ) -> Result<(), SqlError> {
        // What a closed candidate names was named before.
        *self.names_objects |= !matches!(status, CandidateStatus::Discarded | CandidateStatus::Superseded);
        sqlx::query(
            "UPDATE candidates SET status = $3, derived = $4, release = $5 WHERE tenant = $1 AND number = $2",
        )
        .bind(self.t())
        .bind(i64::from(id.0))
        .bind(status.to_string())
        .bind(to_json(derived)?)
        .bind(release.map(|r| i64::from(r.0)))
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Replaces a candidate's gate reports and keeps each as evidence for its inputs.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_reports(
        &mut self,
        id: CandidateId,
        reports: &[GateReport],
        at: &str,
    ) -> Result<(), SqlError> {
        // One statement for all: each costs a journey to the database and back, in every publish.
        let texts = reports.iter().map(to_json).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<_> = reports.iter().zip(texts).zip(0_i64..).collect();
        for some in all.chunks(ROWS_MAX) {
            let values: Vec<String> = (0..some.len())
                .map(|i| format!("($1, $2, ${}, ${}, ${})", i * 3 + 3, i * 3 + 4, i * 3 + 5))
                .collect();
            let sql = format!(
                "INSERT INTO gate_reports (tenant, candidate, position, gate, report) VALUES {} \
                 ON CONFLICT (tenant, candidate, gate) DO UPDATE SET position = excluded.position, \
                 report = excluded.report",
                values.join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t()).bind(i64::from(id.0));
            for ((report, text), position) in some {
                query = query.bind(*position).bind(report.gate.clone()).bind(text.clone());
            }
            query.execute(&mut *self.conn).await?;
        }
        let fresh = |report: &GateReport| !report.from_evidence && report.status != GateStatus::Error;
        let all: Vec<_> = all.into_iter().map(|(row, _)| row).filter(|(report, _)| fresh(report)).collect();
        for some in all.chunks(ROWS_MAX) {
            let values: Vec<String> = (0..some.len())
                .map(|i| format!("($1, ${}, ${}, ${}, $2)", i * 3 + 3, i * 3 + 4, i * 3 + 5))
                .collect();
            let sql = format!(
                "INSERT INTO evidence (tenant, gate, inputs, report, at) VALUES {} \
                 ON CONFLICT (tenant, gate, inputs) DO UPDATE SET report = excluded.report, at = excluded.at",
                values.join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t()).bind(at.to_owned());
            for (report, text) in some {
                query = query.bind(report.gate.clone()).bind(report.inputs.to_string()).bind(text.clone());
            }
            query.execute(&mut *self.conn).await?;
        }
        Ok(())
    }

    /// A candidate's gate reports in their order.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn reports(&mut self, id: CandidateId) -> Result<Vec<GateReport>, SqlError> {
        let rows = sqlx::query(
            "SELECT report FROM gate_reports WHERE tenant = $1 AND candidate = $2 ORDER BY position, gate",
        )
        .bind(self.t())
        .bind(i64::from(id.0))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|r| json(r, "report")).collect()
    }

    /// Evidence from after a time with its times, newest first, at most `limit` reports.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn recent_evidence(
        &mut self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(GateReport, String)>, SqlError> {
        let rows = sqlx::query(
            "SELECT report, at FROM evidence WHERE tenant = $1 AND at > $2 ORDER BY at DESC LIMIT $3",
        )
        .bind(self.t())
        .bind(after.to_owned())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|r| Ok((json(r, "report")?, text(r, "at")?))).collect()
    }

    /// Forgets evidence older than `before`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_evidence(&mut self, before: &str) -> Result<u64, SqlError> {
        let done = sqlx::query("DELETE FROM evidence WHERE tenant = $1 AND at < $2")
            .bind(self.t())
            .bind(before.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(done.rows_affected())
    }

    /// Stores an approval; giving it twice changes nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_approval(
        &mut self,
        right: &str,
        change: &Digest,
        by: &str,
        at: &str,
    ) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO approvals (tenant, right_name, change, by_name, at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant, right_name, change, by_name) DO NOTHING",
        )
        .bind(self.t())
        .bind(right.to_owned())
        .bind(change.to_string())
        .bind(by.to_owned())
        .bind(at.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// The newest approvals as (right, change, by, at), at most 10,000.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn approvals(&mut self) -> Result<Vec<(String, Digest, String, String)>, SqlError> {
        let rows = sqlx::query(
            "SELECT right_name, change, by_name, at FROM approvals WHERE tenant = $1 ORDER BY at DESC LIMIT 10000",
        )
        .bind(self.t())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|r| Ok((text(r, "right_name")?, parsed(r, "change")?, text(r, "by_name")?, text(r, "at")?)))
            .collect()
    }

    /// Stores a waiver; a later one for the same gate replaces it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_waiver(&mut self, id: CandidateId, gate: &str, waiver: &Waiver) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO waivers (tenant, candidate, gate, by_name, reason, at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant, candidate, gate) DO UPDATE SET by_name = excluded.by_name, \
             reason = excluded.reason, at = excluded.at",
        )
        .bind(self.t())
        .bind(i64::from(id.0))
        .bind(gate.to_owned())
        .bind(waiver.by.clone())
        .bind(waiver.reason.clone())
        .bind(waiver.at.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// A candidate's waivers by gate.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn waivers(&mut self, id: CandidateId) -> Result<Vec<(String, Waiver)>, SqlError> {
        let rows = sqlx::query(
            "SELECT gate, by_name, reason, at FROM waivers WHERE tenant = $1 AND candidate = $2 ORDER BY gate",
        )
        .bind(self.t())
        .bind(i64::from(id.0))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|r| {
                let waiver =
                    Waiver { by: text(r, "by_name")?, reason: text(r, "reason")?, at: text(r, "at")? };
                Ok((text(r, "gate")?, waiver))
            })
            .collect()
    }

    /// Records a content migration that was run.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_migration(&mut self, row: &MigrationRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO migrations_run (tenant, number, name, mapping, drafts, action, at, by_name) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.t())
        .bind(int(row.number))
        .bind(row.name.clone())
        .bind(row.mapping.clone())
        .bind(int(row.drafts))
        .bind(row.action.clone())
        .bind(row.at.clone())
        .bind(row.by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Content migrations that were run, newest first: those with a number below `before`, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn migrations(&mut self, before: u64, limit: u32) -> Result<Vec<MigrationRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM migrations_run WHERE tenant = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
        )
        .bind(self.t())
        .bind(int(before))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(migration_of).collect()
    }

    /// Says that a content migration was reverted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_migration_reverted(&mut self, number: u64, at: &str) -> Result<(), SqlError> {
        sqlx::query("UPDATE migrations_run SET reverted_at = $3 WHERE tenant = $1 AND number = $2")
            .bind(self.t())
            .bind(int(number))
            .bind(at.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// The drafts that an action wrote, with the version it wrote.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn written_by_action(
        &mut self,
        action: &str,
        limit: u32,
    ) -> Result<Vec<(ashlar_model::EntryKey, u64)>, SqlError> {
        let rows = sqlx::query(
            "SELECT type, id, locale, version FROM draft_versions WHERE tenant = $1 AND action = $2 \
             ORDER BY type, id, locale LIMIT $3",
        )
        .bind(self.t())
        .bind(action.to_owned())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|r| {
                let key = ashlar_model::EntryKey {
                    type_name: parsed(r, "type")?,
                    id: parsed(r, "id")?,
                    locale: parsed(r, "locale")?,
                };
                Ok((key, unsigned(r, "version")?))
            })
            .collect()
    }
}
