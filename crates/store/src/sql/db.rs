//! The database, its transactions and connections.

use std::time::Duration;

use ashlar_model::TenantId;
use sqlx::{Any, AnyConnection, AnyPool, Transaction, any::AnyPoolOptions, pool::PoolConnection};

use super::{
    dialect::{self, Dialect},
    error::SqlError,
    values::{int, unsigned},
};

/// The database of an installation.
#[derive(Clone)]
pub struct Db {
    pub(super) pool: AnyPool,
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
