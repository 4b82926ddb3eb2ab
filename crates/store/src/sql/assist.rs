//! What models wrote, how often they were asked, and whether they are stopped.

use ashlar_model::EntryKey;
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    drafts::key_of,
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

/// A text that a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistedText {
    /// Its digest.
    pub text: String,
    /// Who asked for it; empty in rows that an earlier version wrote.
    pub requested_by: String,
    /// What is noted of the version that had it first, as JSON.
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

    /// Notes that a version of a draft has text of a model.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_assisted(&mut self, key: &EntryKey, row: &AssistedRow) -> Result<(), SqlError> {
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
        Ok(())
    }

    /// Digests of texts that are known again from now on. `version`: the version of the draft that a model wrote them in, noted with
    /// [`Rows::put_assisted`]. `requested_by`: who asked for them; the first version of each person stays.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_assisted_texts(
        &mut self,
        key: &EntryKey,
        version: u64,
        requested_by: &str,
        texts: impl IntoIterator<Item = &str>,
    ) -> Result<(), SqlError> {
        for text in texts {
            sqlx::query(
                "INSERT INTO assisted_texts (tenant, text, requested_by, type, id, locale, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, text, requested_by) DO NOTHING",
            )
            .bind(self.t())
            .bind(text.to_owned())
            .bind(requested_by.to_owned())
            .bind(key.type_name.as_str().to_owned())
            .bind(key.id.as_str().to_owned())
            .bind(key.locale.as_str().to_owned())
            .bind(int(version))
            .execute(&mut *self.conn)
            .await?;
        }
        Ok(())
    }

    /// The newest version of each of these drafts that has text of a model. Drafts without are left out.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn assisted_newest(
        &mut self,
        keys: &[&EntryKey],
    ) -> Result<Vec<(EntryKey, AssistedRow)>, SqlError> {
        let mut out = Vec::new();
        for keys in keys.chunks(ROWS_MAX) {
            let places: Vec<String> = (0..keys.len())
                .map(|at| {
                    let [a, b, c] = [at * 3 + 2, at * 3 + 3, at * 3 + 4];
                    format!("(a.type = ${a} AND a.id = ${b} AND a.locale = ${c})")
                })
                .collect();
            let sql = format!(
                "SELECT a.type, a.id, a.locale, a.version, a.copied, a.made FROM assisted a WHERE a.tenant = $1 AND ({}) \
                 AND a.version = (SELECT MAX(b.version) FROM assisted b WHERE b.tenant = a.tenant AND b.type = a.type \
                 AND b.id = a.id AND b.locale = a.locale)",
                places.join(" OR ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for key in keys {
                query = query
                    .bind(key.type_name.as_str().to_owned())
                    .bind(key.id.as_str().to_owned())
                    .bind(key.locale.as_str().to_owned());
            }
            for row in query.fetch_all(&mut *self.conn).await? {
                out.push((key_of(&row)?, assisted_of(&row)?));
            }
        }
        Ok(out)
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

    /// What is noted of these texts, for each that a model wrote and each person who asked for it, in the order of texts.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn assisted_texts(&mut self, texts: &[&str]) -> Result<Vec<AssistedText>, SqlError> {
        let mut out = Vec::new();
        for texts in texts.chunks(ROWS_MAX) {
            let places: Vec<String> = (2..texts.len() + 2).map(|at| format!("${at}")).collect();
            let sql = format!(
                "SELECT t.text, t.requested_by, a.made FROM assisted_texts t JOIN assisted a ON a.tenant = t.tenant \
                 AND a.type = t.type AND a.id = t.id AND a.locale = t.locale AND a.version = t.version \
                 WHERE t.tenant = $1 AND t.text IN ({}) ORDER BY t.text, t.requested_by",
                places.join(", ")
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(self.t());
            for text in texts {
                query = query.bind((*text).to_owned());
            }
            for row in query.fetch_all(&mut *self.conn).await? {
                let requested_by = text(&row, "requested_by")?;
                out.push(AssistedText { text: text(&row, "text")?, requested_by, made: text(&row, "made")? });
            }
        }
        Ok(out)
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
