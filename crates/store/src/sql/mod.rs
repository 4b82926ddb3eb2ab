//! State that changes: one set of migrations and queries for SQLite and PostgreSQL.
//!
//! Invariant: a query that touches tenant data is a method of [`Rows`], which carries the tenant; there is no other way
//! to reach a table, so a query without a tenant cannot be written by mistake.

mod candidates;
mod channels;
mod dialect;
mod drafts;
mod keys;
mod log;
mod outbox;
mod plan;

use std::{str::FromStr, time::Duration};

use ashlar_model::TenantId;
pub use candidates::{CandidateRow, CandidateStatus, GateRow, MigrationRow, NewCandidate};
pub use channels::{ChannelRow, ReleaseRow, UnsettledRow};
pub use dialect::{Dialect, directory};
pub use drafts::{DraftFilter, DraftRow, DraftState, NewVersion, VersionRow};
use jiff::Timestamp;
pub use keys::{KeyRow, NewKey, TenantRow};
pub use log::{AuditBreak, AuditRow, EventRow};
pub use outbox::{DeliveryRow, NewDelivery, StoredSecret, TryRow, WebhookRow};
pub use plan::{ChangesetRow, ChangesetState, Claim, DefinitionsRow, ScheduleCounts};
use sqlx::{
    Any, AnyConnection, AnyPool, Row, Transaction, any::AnyPoolOptions, any::AnyRow, pool::PoolConnection,
};

/// Rows that one statement writes; databases bound the values of a statement.
const ROWS_MAX: usize = 100;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The address cannot be used.
    #[error("cannot open the database {address}: {message}")]
    Open {
        /// The address without its password.
        address: String,
        /// What is wrong.
        message: String,
    },
    /// Written by a newer version of Ashlar.
    #[error(
        "the database was written by a newer Ashlar (schema {found}, this one knows {known}); upgrade the binary"
    )]
    Newer {
        /// The schema version found.
        found: i64,
        /// The newest that this binary knows.
        known: i64,
    },
    /// A stored value does not read back.
    #[error("the database contains a damaged value in `{column}`: {message}")]
    Damaged {
        /// The column.
        column: &'static str,
        /// What is wrong.
        message: String,
    },
    /// The disk or the database is full.
    #[error("the database is full: {0}; free some space, nothing was changed")]
    Full(String),
    /// Somebody else held the database for too long.
    #[error("the database is busy: {0}; nothing was changed, try again")]
    Busy(String),
    /// Anything else the database said.
    #[error("the database refused: {0}; nothing was changed")]
    Engine(String),
}

impl SqlError {
    /// What is wrong, without addresses and what the database said.
    pub fn public(&self) -> String {
        let text = match self {
            Self::Open { .. } => "the database cannot be opened",
            Self::Full(_) => "the database is full; free some space, nothing was changed",
            Self::Busy(_) => "the database is busy; nothing was changed, try again",
            Self::Engine(_) => "the database refused; nothing was changed, and the server's log says more",
            Self::Newer { .. } | Self::Damaged { .. } => return self.to_string(),
        };
        text.to_owned()
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        let message = error.to_string();
        let lower = message.to_lowercase();
        if ["disk is full", "disk full", "no space left"].iter().any(|p| lower.contains(p)) {
            Self::Full(message)
        } else if matches!(error, sqlx::Error::PoolTimedOut) || lower.contains("database is locked") {
            Self::Busy(message)
        } else {
            Self::Engine(message)
        }
    }
}

/// The database of an installation.
#[derive(Clone)]
pub struct Db {
    pool: AnyPool,
    /// What transactions that write begin on. SQLite has one writer at a time anyway: with one connection for all of them,
    /// what it has read stays in memory, because nobody else writes.
    writers: AnyPool,
    dialect: Dialect,
}

/// A transaction that writes for one tenant. Writers of one tenant follow one another; dropped without
/// [`WriteTx::commit`], it leaves nothing behind.
pub struct WriteTx {
    tx: Transaction<'static, Any>,
    tenant: TenantId,
    names_objects: bool,
}

/// A connection that reads for one tenant.
pub struct ReadConn {
    conn: PoolConnection<Any>,
    tenant: TenantId,
    names_objects: bool,
}

/// All queries, bound to one tenant.
pub struct Rows<'c> {
    pub(crate) conn: &'c mut AnyConnection,
    pub(crate) tenant: &'c TenantId,
    /// Set by what writes digests that a collection has to find.
    pub(crate) names_objects: &'c mut bool,
}

impl Db {
    /// Opens or creates the database at `address` (`sqlite:///path/state.db` or `postgres://…`) and brings its schema up
    /// to date.
    ///
    /// # Errors
    /// When it cannot be reached, is damaged, or was written by a newer version.
    pub async fn open(address: &str) -> Result<Self, SqlError> {
        sqlx::any::install_default_drivers();
        let shown = dialect::without_password(address);
        let open_err = |message: String| SqlError::Open { address: shown.clone(), message };
        let dialect = Dialect::of(address).map_err(open_err)?;
        if let Some(file) = dialect::file(address) {
            // SQLite gives its log and its index the rights of the file.
            crate::private_file(&file)
                .map_err(|e| SqlError::Open { address: shown.clone(), message: e.to_string() })?;
            for ending in ["-wal", "-shm"] {
                let mut beside = file.clone().into_os_string();
                beside.push(ending);
                crate::tighten(std::path::Path::new(&beside));
            }
        }
        let options = |connections: u32| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(15))
                // A file does not hang up, and asking costs as much as a query.
                .test_before_acquire(dialect == Dialect::Postgres)
                .after_connect(move |conn, _| Box::pin(async move { dialect.prepare(conn).await }))
                .after_release(move |conn, _| Box::pin(async move { dialect.is_reusable(conn).await }))
        };
        let failed = |e: sqlx::Error| open_err(e.to_string());
        let url = dialect.address(address);
        let pool = options(dialect.connections_max()).connect(&url).await.map_err(failed)?;
        let writers = match dialect {
            Dialect::Sqlite => options(1).connect_lazy(&url).map_err(failed)?,
            Dialect::Postgres => pool.clone(),
        };
        let db = Self { pool, writers, dialect };
        dialect::migrate(&db.pool, dialect).await?;
        Ok(db)
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), SqlError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Begins a write for `tenant`, after every earlier writer of that tenant has ended.
    ///
    /// # Errors
    /// When the database cannot be reached or is held by others for too long.
    pub async fn write(&self, tenant: &TenantId) -> Result<WriteTx, SqlError> {
        let mut tx = match self.dialect {
            Dialect::Sqlite => self.writers.begin_with("BEGIN IMMEDIATE").await?,
            Dialect::Postgres => self.writers.begin().await?,
        };
        if self.dialect == Dialect::Postgres {
            sqlx::query("SELECT tenant FROM tenants WHERE tenant = $1 FOR UPDATE")
                .bind(tenant.as_str().to_owned())
                .execute(&mut *tx)
                .await?;
        }
        Ok(WriteTx { tx, tenant: tenant.clone(), names_objects: false })
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read(&self, tenant: &TenantId) -> Result<ReadConn, SqlError> {
        Ok(ReadConn { conn: self.pool.acquire().await?, tenant: tenant.clone(), names_objects: false })
    }

    /// Writes a consistent copy of a SQLite database into a new file, while others go on reading and writing.
    ///
    /// # Errors
    /// When it cannot be written, exists, or the database is not SQLite.
    pub async fn copy_into(&self, file: &std::path::Path) -> Result<(), SqlError> {
        let path = file.to_str().filter(|_| self.dialect == Dialect::Sqlite);
        let path = path
            .ok_or_else(|| SqlError::Engine("only a SQLite database can be copied to a file".to_owned()))?;
        sqlx::query("VACUUM INTO $1").bind(path.to_owned()).execute(&self.pool).await?;
        crate::tighten(file);
        Ok(())
    }

    /// Closes all connections; a SQLite write-ahead log is folded into its database.
    pub async fn close(&self) {
        self.writers.close().await;
        self.pool.close().await;
    }
}

impl WriteTx {
    /// The queries of this transaction.
    pub fn rows(&mut self) -> Rows<'_> {
        Rows { conn: &mut self.tx, tenant: &self.tenant, names_objects: &mut self.names_objects }
    }

    /// Whether a row was written that names objects: whoever writes one must have kept them from being deleted.
    pub fn names_objects(&self) -> bool {
        self.names_objects
    }

    /// Makes everything that was written durable and visible.
    ///
    /// # Errors
    /// When the database could not; nothing was changed then.
    pub async fn commit(self) -> Result<(), SqlError> {
        Ok(self.tx.commit().await?)
    }
}

impl ReadConn {
    /// The queries of this connection.
    pub fn rows(&mut self) -> Rows<'_> {
        Rows { conn: &mut self.conn, tenant: &self.tenant, names_objects: &mut self.names_objects }
    }
}

impl Rows<'_> {
    /// The tenant these queries are bound to.
    pub fn tenant(&self) -> &TenantId {
        self.tenant
    }

    pub(crate) fn t(&self) -> String {
        self.tenant.as_str().to_owned()
    }

    /// The next value of a counter of this tenant, from 1.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn next(&mut self, counter: &str) -> Result<u64, SqlError> {
        self.advance(counter, 1).await
    }

    /// Moves a counter of this tenant on by `by` and returns its new value.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn advance(&mut self, counter: &str, by: u64) -> Result<u64, SqlError> {
        let row = sqlx::query(
            "INSERT INTO counters (tenant, name, value) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + excluded.value RETURNING value",
        )
        .bind(self.t())
        .bind(counter.to_owned())
        .bind(int(by))
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned(&row, "value")
    }

    /// The present value of a counter; 0 when it was never used.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn counter(&mut self, counter: &str) -> Result<u64, SqlError> {
        let row = sqlx::query("SELECT value FROM counters WHERE tenant = $1 AND name = $2")
            .bind(self.t())
            .bind(counter.to_owned())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map_or(Ok(0), |r| unsigned(&r, "value"))
    }
}

/// A time as it is stored: RFC 3339 in UTC with microseconds, so that text order is time order.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

pub(crate) fn text(row: &AnyRow, column: &'static str) -> Result<String, SqlError> {
    row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn maybe_text(row: &AnyRow, column: &'static str) -> Result<Option<String>, SqlError> {
    row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn unsigned(row: &AnyRow, column: &'static str) -> Result<u64, SqlError> {
    let value: i64 = row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })?;
    u64::try_from(value).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn maybe_unsigned(row: &AnyRow, column: &'static str) -> Result<Option<u64>, SqlError> {
    let value: Option<i64> =
        row.try_get(column).map_err(|e| SqlError::Damaged { column, message: e.to_string() })?;
    value.map(u64::try_from).transpose().map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn number(row: &AnyRow, column: &'static str) -> Result<u32, SqlError> {
    u32::try_from(unsigned(row, column)?).map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, SqlError>
where
    T::Err: std::fmt::Display,
{
    text(row, column)?.parse().map_err(|e: T::Err| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &AnyRow,
    column: &'static str,
) -> Result<T, SqlError> {
    serde_json::from_str(&text(row, column)?)
        .map_err(|e| SqlError::Damaged { column, message: e.to_string() })
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, SqlError> {
    serde_json::to_string(value).map_err(|e| SqlError::Engine(e.to_string()))
}

/// Signed form of a count or sequence for binding; the values are far below 2^63.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
