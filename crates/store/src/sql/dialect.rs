//! Where SQLite and PostgreSQL differ: addresses, connection settings, locking and migration bookkeeping.

use std::path::PathBuf;

use sqlx::{AnyConnection, AnyPool, Connection, Executor, Row};

use super::error::SqlError;

/// Migrations in order; the version is the position from 1. A released migration is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_state.sql"),
    include_str!("../../migrations/0002_outbox.sql"),
    include_str!("../../migrations/0003_attempts.sql"),
    include_str!("../../migrations/0004_schedules.sql"),
    include_str!("../../migrations/0005_evidence_at.sql"),
    include_str!("../../migrations/0006_followers.sql"),
    include_str!("../../migrations/0007_readers.sql"),
    include_str!("../../migrations/0008_search_log.sql"),
    include_str!("../../migrations/0009_llm.sql"),
    include_str!("../../migrations/0010_llm_indexes.sql"),
    include_str!("../../migrations/0011_eval_runs.sql"),
    include_str!("../../migrations/0012_eval_evidence.sql"),
    include_str!("../../migrations/0013_reviews.sql"),
    include_str!("../../migrations/0014_assist.sql"),
    include_str!("../../migrations/0015_assist_texts.sql"),
];

/// The engine behind a [`super::Db`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded: one file, write-ahead log, synchronous full.
    Sqlite,
    /// A server.
    Postgres,
}

impl Dialect {
    pub(super) fn of(address: &str) -> Result<Self, String> {
        match address.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err("an address starts with sqlite: or postgres:".to_owned()),
        }
    }

    pub(super) fn address(self, address: &str) -> String {
        match self {
            Self::Sqlite if !address.contains('?') => format!("{address}?mode=rwc"),
            _ => address.to_owned(),
        }
    }

    pub(super) fn connections_max(self) -> u32 {
        match self {
            Self::Sqlite => 8,
            Self::Postgres => 16,
        }
    }

    pub(super) async fn prepare(self, conn: &mut AnyConnection) -> sqlx::Result<()> {
        match self {
            Self::Sqlite => {
                conn.execute(sqlx::raw_sql(
                    "PRAGMA busy_timeout = 15000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;",
                ))
                .await?;
            }
            Self::Postgres => {
                conn.execute(sqlx::raw_sql(
                    "SET synchronous_commit = on; SET lock_timeout = '15s'; SET idle_in_transaction_session_timeout = '120s';",
                ))
                .await?;
            }
        }
        Ok(())
    }
}

/// The file of a SQLite database; `None` for one in memory and for a server.
pub(super) fn file(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path).split('?').next()?;
    (!path.is_empty() && !path.contains(":memory:")).then(|| PathBuf::from(path))
}

/// The directory that a SQLite database lies in; `None` for one in memory and for a server.
pub fn directory(address: &str) -> Option<PathBuf> {
    let dir = file(address)?.parent()?.to_owned();
    Some(if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir })
}

impl Dialect {
    /// Whether a connection that comes back can be given out again.
    ///
    /// On a full disk SQLite rolls a transaction back by itself. The rollback that follows fails then, and the driver goes
    /// on believing that a transaction is open: such a connection would refuse every later write.
    pub(super) async fn is_reusable(self, conn: &mut AnyConnection) -> sqlx::Result<bool> {
        // The rollback of a dropped transaction runs on another thread; an answer means that it has ended.
        if self == Self::Sqlite && conn.is_in_transaction() {
            conn.ping().await?;
        }
        Ok(!conn.is_in_transaction())
    }
}

/// Brings the schema up to date under a lock, so that several nodes may start at once.
pub(super) async fn migrate(pool: &AnyPool, dialect: Dialect) -> Result<(), SqlError> {
    let known = MIGRATIONS.len() as i64;
    if version(&mut *pool.acquire().await?).await == Some(known) {
        return Ok(());
    }
    let mut tx = match dialect {
        Dialect::Sqlite => pool.begin_with("BEGIN IMMEDIATE").await?,
        Dialect::Postgres => pool.begin().await?,
    };
    if dialect == Dialect::Postgres {
        sqlx::query("SELECT 1 FROM pg_advisory_xact_lock(4919001)").execute(&mut *tx).await?;
    }
    tx.execute(sqlx::raw_sql("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")).await?;
    let found = version(&mut tx).await.unwrap_or(0);
    if found > known {
        return Err(SqlError::Newer { found, known });
    }
    for (migration, number) in MIGRATIONS.iter().zip(1_i64..) {
        if number > found {
            tx.execute(sqlx::raw_sql(*migration)).await?;
            sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
                .bind(number)
                .execute(&mut *tx)
                .await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn version(conn: &mut AnyConnection) -> Option<i64> {
    let row = sqlx::query("SELECT MAX(version) AS version FROM schema_version").fetch_one(conn).await.ok()?;
    row.try_get::<Option<i64>, _>("version").ok()?
}

/// The address as it may be shown in messages and logs.
pub(super) fn without_password(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) if url.password().is_some() => {
            let hidden = url.set_password(Some("***")).is_ok();
            if hidden { url.to_string() } else { "(address hidden)".to_owned() }
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Databases count how many they have, so none is edited or moved: new ones go to the end.
    #[test]
    fn migrations_stay_where_they_are() {
        let shipped = MIGRATIONS[..11].concat();
        assert_eq!(blake3::hash(shipped.as_bytes()).to_hex()[..16], *"f11fda934e1482f4");
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("postgres://u:secret@h/db"), "postgres://u:***@h/db");
        assert_eq!(without_password("sqlite:///tmp/x"), "sqlite:///tmp/x");
    }
}
