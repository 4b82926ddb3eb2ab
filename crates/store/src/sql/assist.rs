//! What models wrote, how often they were asked, and whether they are stopped.

use ashlar_model::EntryKey;
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{ROWS_MAX, int, text, unsigned},
};

/// A version of a draft that has text of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistedRow {
    /// The version.
    pub version: u64,
    /// Whether a person put text of a model there.
    pub copied: bool,
    /// Its provenance as JSON.
    pub made: String,
}

/// Whether the tasks of a tenant are stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchRow {
    /// Whether they are.
    pub stopped: bool,
    /// Why.
    pub reason: String,
    /// When that was said, RFC 3339.
    pub at: String,
    /// Who said it.
    pub by: String,
}

fn assisted_of(row: &AnyRow) -> Result<AssistedRow, SqlError> {
    Ok(AssistedRow {
        version: unsigned(row, "version")?,
        copied: unsigned(row, "copied")? != 0,
        made: text(row, "made")?,
    })
}

impl Rows<'_> {
    /// Whether a model wrote anything in this tenant.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn has_assisted(&mut self) -> Result<bool, SqlError> {
        let row = sqlx::query("SELECT version FROM assisted WHERE tenant = $1 LIMIT 1")
            .bind(self.t())
            .fetch_optional(&mut *self.conn)
            .await?;
        Ok(row.is_some())
    }

    /// Notes that a version of a draft has text of a model. `texts`: digests of texts that are known again from now on.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_assisted(
        &mut self,
        key: &EntryKey,
        row: &AssistedRow,
        texts: &[String],
    ) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO assisted (tenant, type, id, locale, version, copied, made) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.t())
        .bind(key.type_name.as_str().to_owned())
        .bind(key.id.as_str().to_owned())
        .bind(key.locale.as_str().to_owned())
        .bind(int(row.version))
        .bind(i64::from(row.copied))
        .bind(row.made.clone())
        .execute(&mut *self.conn)
        .await?;
        for text in texts {
            sqlx::query(
                "INSERT INTO assisted_texts (tenant, text, type, id, locale, version) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (tenant, text) DO NOTHING",
            )
            .bind(self.t())
            .bind(text.clone())
            .bind(key.type_name.as_str().to_owned())
            .bind(key.id.as_str().to_owned())
            .bind(key.locale.as_str().to_owned())
            .bind(int(row.version))
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// Versions of a draft after `after` that have text of a model, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn assisted_after(
        &mut self,
        key: &EntryKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AssistedRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT version, copied, made FROM assisted WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4 \
             AND version > $5 ORDER BY version DESC LIMIT $6",
        )
        .bind(self.t())
        .bind(key.type_name.as_str().to_owned())
        .bind(key.id.as_str().to_owned())
        .bind(key.locale.as_str().to_owned())
        .bind(int(after))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(assisted_of).collect()
    }

    /// The provenance of the first of these texts that a model wrote.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn assisted_text(&mut self, texts: &[String]) -> Result<Option<String>, SqlError> {
        for texts in texts.chunks(ROWS_MAX) {
            let places: Vec<String> = (2..texts.len() + 2).map(|at| format!("${at}")).collect();
            let sql = format!(
                "SELECT a.made FROM assisted_texts t JOIN assisted a ON a.tenant = t.tenant AND a.type = t.type AND a.id = t.id \
                 AND a.locale = t.locale AND a.version = t.version WHERE t.tenant = $1 AND t.text IN ({}) \
                 ORDER BY t.text LIMIT 1",
                places.join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for text in texts {
                query = query.bind(text.clone());
            }
            if let Some(row) = query.fetch_optional(&mut *self.conn).await? {
                return text(&row, "made").map(Some);
            }
        }
        Ok(None)
    }

    /// Counts one more use of a task on a day, unless that would be more than `most`. Returns whether it was counted.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn use_assist(&mut self, day: &str, task: &str, most: u64) -> Result<bool, SqlError> {
        if most == 0 {
            return Ok(false);
        }
        let done = sqlx::query(
            "INSERT INTO assist_days (tenant, day, task, used) VALUES ($1, $2, $3, 1) \
             ON CONFLICT (tenant, day, task) DO UPDATE SET used = assist_days.used + 1 WHERE assist_days.used < $4",
        )
        .bind(self.t())
        .bind(day.to_owned())
        .bind(task.to_owned())
        .bind(int(most))
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// How often each task was used on a day, by name.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn assist_used(&mut self, day: &str) -> Result<Vec<(String, u64)>, SqlError> {
        let rows = sqlx::query(
            "SELECT task, used FROM assist_days WHERE tenant = $1 AND day = $2 ORDER BY task LIMIT 1000",
        )
        .bind(self.t())
        .bind(day.to_owned())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(|row| Ok((text(row, "task")?, unsigned(row, "used")?))).collect()
    }

    /// Deletes what is counted of days before one.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn prune_assist(&mut self, before: &str) -> Result<u64, SqlError> {
        let removed = sqlx::query("DELETE FROM assist_days WHERE tenant = $1 AND day < $2")
            .bind(self.t())
            .bind(before.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(removed.rows_affected())
    }

    /// What was last said about stopping; `None` when nothing was.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn assist_switch(&mut self) -> Result<Option<SwitchRow>, SqlError> {
        let row = sqlx::query("SELECT stopped, reason, at, by_name FROM assist_switch WHERE tenant = $1")
            .bind(self.t())
            .fetch_optional(&mut *self.conn)
            .await?;
        let read = |row: AnyRow| {
            Ok(SwitchRow {
                stopped: unsigned(&row, "stopped")? != 0,
                reason: text(&row, "reason")?,
                at: text(&row, "at")?,
                by: text(&row, "by_name")?,
            })
        };
        row.map(read).transpose()
    }

    /// Stops the tasks of the tenant, or starts them again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_assist_switch(&mut self, row: &SwitchRow) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO assist_switch (tenant, stopped, reason, at, by_name) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant) DO UPDATE SET stopped = excluded.stopped, reason = excluded.reason, at = excluded.at, \
             by_name = excluded.by_name",
        )
        .bind(self.t())
        .bind(i64::from(row.stopped))
        .bind(row.reason.clone())
        .bind(row.at.clone())
        .bind(row.by.clone())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }
}
