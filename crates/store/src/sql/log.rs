//! The event log and the hash-chained audit log.

use ashlar_model::{Digest, canonical_json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{ROWS_MAX, int, json, parsed, text, to_json, unsigned},
};

/// Something that happened, for whoever follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRow {
    /// Its place in the tenant's order, from 1.
    pub sequence: u64,
    /// What happened: `release.promoted`, `release.rolled_back`, `definition.changed`, …
    pub kind: String,
    /// What it happened to.
    pub subject: String,
    /// More about it, by kind.
    pub data: serde_json::Value,
    /// Who did it.
    pub actor: String,
    /// The trace it belongs to.
    pub trace: String,
    /// The action it was part of; the same in the audit log and in draft versions.
    pub action: String,
    /// When, RFC 3339.
    pub at: String,
}

/// Something somebody did, chained to what was done before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    /// Its place in the tenant's chain, from 1.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who did it.
    pub actor: String,
    /// What they did: the action's name.
    pub action_name: String,
    /// The id of this one action.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// More about it.
    pub data: serde_json::Value,
    /// The trace it belongs to.
    pub trace: String,
}

/// Where the chain of the audit log does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditBreak {
    /// The place in the chain.
    pub sequence: u64,
    /// What is wrong there.
    pub why: String,
}

fn event_of(row: &AnyRow) -> Result<EventRow, SqlError> {
    Ok(EventRow {
        sequence: unsigned(row, "sequence")?,
        kind: text(row, "kind")?,
        subject: text(row, "subject")?,
        data: json(row, "data")?,
        actor: text(row, "actor")?,
        trace: text(row, "trace")?,
        action: text(row, "action")?,
        at: text(row, "at")?,
    })
}

/// What an audit row's hash covers: the hash before it and the row's own text.
fn chain(previous: &str, row_text: &str) -> String {
    Digest::of(format!("{previous}\n{row_text}").as_bytes()).to_string()
}

impl Rows<'_> {
    /// Appends what an action did: its events, and its row in the audit log. Their sequences are set here.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn append_log(&mut self, events: &[EventRow], audit: &AuditRow) -> Result<(), SqlError> {
        let count = events.len() as u64;
        let rows = sqlx::query(
            "INSERT INTO counters (tenant, name, value) VALUES ($1, 'events', $2), ($1, 'audit', 1) \
             ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + excluded.value RETURNING name, value, \
             COALESCE((SELECT a.hash FROM audit a WHERE a.tenant = $1 AND a.sequence = counters.value - 1), '') AS hash",
        )
        .bind(self.t())
        .bind(int(count))
        .fetch_all(&mut *self.conn)
        .await?;
        let (mut last, mut chained) = (0, None);
        for row in &rows {
            match text(row, "name")?.as_str() {
                "audit" => chained = Some((unsigned(row, "value")?, text(row, "hash")?)),
                _ => last = unsigned(row, "value")?,
            }
        }
        let Some((sequence, previous)) = chained else {
            return Err(SqlError::Engine("the audit log did not count".to_owned()));
        };
        self.insert_events(events, (last + 1).saturating_sub(count)).await?;
        self.insert_audit(audit, sequence, previous).await
    }

    /// Stores events, numbered from `first`.
    async fn insert_events(&mut self, events: &[EventRow], first: u64) -> Result<(), SqlError> {
        let numbered: Vec<_> = (first..).zip(events).collect();
        for some in numbered.chunks(ROWS_MAX) {
            let row = |i: usize| {
                let values: Vec<String> = (2..10).map(|n| format!("${}", i * 8 + n)).collect();
                format!("($1, {})", values.join(", "))
            };
            let sql = format!(
                "INSERT INTO events (tenant, sequence, kind, subject, data, actor, trace, action, at) VALUES {}",
                (0..some.len()).map(row).collect::<Vec<_>>().join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for (sequence, event) in some {
                query = query
                    .bind(int(*sequence))
                    .bind(event.kind.clone())
                    .bind(event.subject.clone())
                    .bind(to_json(&event.data)?)
                    .bind(event.actor.clone())
                    .bind(event.trace.clone())
                    .bind(event.action.clone())
                    .bind(event.at.clone());
            }
            query.execute(&mut *self.conn).await?;
        }
        Ok(())
    }

    /// Events after `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn events(&mut self, after: u64, limit: u32) -> Result<Vec<EventRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE tenant = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
        )
        .bind(self.t())
        .bind(int(after))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(event_of).collect()
    }

    /// Events of these kinds, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn newest_events(&mut self, kinds: [&str; 2], limit: u32) -> Result<Vec<EventRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE tenant = $1 AND kind IN ($2, $3) ORDER BY sequence DESC LIMIT $4",
        )
        .bind(self.t())
        .bind(kinds[0].to_owned())
        .bind(kinds[1].to_owned())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(event_of).collect()
    }

    async fn insert_audit(
        &mut self,
        row: &AuditRow,
        sequence: u64,
        previous: String,
    ) -> Result<(), SqlError> {
        let row = AuditRow { sequence, ..row.clone() };
        let row_text = canonical_json(&row)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| SqlError::Engine("an audit row has no canonical form".to_owned()))?;
        let hash = chain(&previous, &row_text);
        sqlx::query(
            "INSERT INTO audit (tenant, sequence, row_text, previous, hash) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.t())
        .bind(int(sequence))
        .bind(row_text)
        .bind(previous)
        .bind(hash)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    async fn audit_hash(&mut self, sequence: u64) -> Result<Option<String>, SqlError> {
        let row = sqlx::query("SELECT hash FROM audit WHERE tenant = $1 AND sequence = $2")
            .bind(self.t())
            .bind(int(sequence))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(|r| text(r, "hash")).transpose()
    }

    /// The hash at the end of the audit chain; `None` when no actions were recorded yet.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn audit_head(&mut self) -> Result<Option<String>, SqlError> {
        let last = self.counter("audit").await?;
        self.audit_hash(last).await
    }

    /// Audit rows below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn audit(&mut self, before: u64, limit: u32) -> Result<Vec<AuditRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT row_text FROM audit WHERE tenant = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
        )
        .bind(self.t())
        .bind(int(before))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|r| json(r, "row_text")).collect()
    }

    /// Walks the whole chain and says how many rows hold, or where it first breaks. Rows may be added meanwhile.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn verify_audit(&mut self) -> Result<Result<u64, AuditBreak>, SqlError> {
        const PAGE: i64 = 5000;
        let last = self.counter("audit").await?;
        let (mut checked, mut previous) = (0_u64, String::new());
        loop {
            let rows = sqlx::query(
                "SELECT sequence, row_text, previous, hash FROM audit WHERE tenant = $1 AND sequence > $2 \
                 ORDER BY sequence LIMIT $3",
            )
            .bind(self.t())
            .bind(int(checked))
            .bind(PAGE)
            .fetch_all(&mut *self.conn)
            .await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let (sequence, row_text, hash) =
                    (unsigned(row, "sequence")?, text(row, "row_text")?, parsed::<String>(row, "hash")?);
                let broken = |why: &str| Ok(Err(AuditBreak { sequence, why: why.to_owned() }));
                if sequence != checked + 1 {
                    return broken("the rows before it are missing");
                }
                if text(row, "previous")? != previous {
                    return broken("it does not follow the row before it");
                }
                if hash != chain(&previous, &row_text) {
                    return broken("its text is not what was hashed");
                }
                if serde_json::from_str::<AuditRow>(&row_text).is_ok_and(|r| r.sequence != sequence) {
                    return broken("its text names another place in the chain");
                }
                (checked, previous) = (sequence, hash);
            }
        }
        // A row and its number are committed together. So rows that were counted before the walk must be there, and rows that
        // the walk has seen are counted after it.
        let counted = if checked < last { last } else { self.counter("audit").await?.min(checked) };
        if checked != counted {
            return Ok(Err(AuditBreak {
                sequence: checked + 1,
                why: format!("the chain should end at row {counted}, it ends at row {checked}"),
            }));
        }
        Ok(Ok(checked))
    }
}
