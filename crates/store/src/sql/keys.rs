//! Tenants and API keys.

use ashlar_model::TenantId;
use sqlx::any::AnyRow;

use super::{
    db::{Db, Rows, WriteTx},
    error::SqlError,
    values::{json, maybe_text, parsed, text, to_json},
};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// Its name.
    pub tenant: TenantId,
    /// Host names that lead to it.
    pub hosts: Vec<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// An API key; its secret is not stored, only the hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// Its public part.
    pub id: String,
    /// Who or what uses it; the actor's name in history.
    pub name: String,
    /// Scopes as words.
    pub scopes: Vec<String>,
    /// The channel it reads; empty for the public one.
    pub channel: String,
    /// The reader of `retrieval.toml` that it is bound to; empty for everybody's.
    pub reader: String,
    /// BLAKE3 of the secret part, hexadecimal.
    pub hash: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends, RFC 3339.
    pub expires_at: Option<String>,
    /// When it was revoked, RFC 3339.
    pub revoked_at: Option<String>,
}

/// A key to store.
pub struct NewKey<'a> {
    /// Its public part.
    pub id: &'a str,
    /// Who or what uses it.
    pub name: &'a str,
    /// Scopes as words.
    pub scopes: &'a [String],
    /// The channel it reads; empty for the public one.
    pub channel: &'a str,
    /// The reader of `retrieval.toml` that it is bound to; empty for everybody's.
    pub reader: &'a str,
    /// BLAKE3 of the secret part, hexadecimal.
    pub hash: &'a str,
    /// When, RFC 3339.
    pub at: &'a str,
    /// Who made it.
    pub by: &'a str,
    /// When it ends, RFC 3339.
    pub expires_at: Option<&'a str>,
}

const TENANTS: &str = "SELECT tenant, hosts, created_at FROM tenants ORDER BY tenant";

fn tenant_of(row: &AnyRow) -> Result<TenantRow, SqlError> {
    Ok(TenantRow {
        tenant: parsed(row, "tenant")?,
        hosts: json(row, "hosts")?,
        created_at: text(row, "created_at")?,
    })
}

fn key_of(row: &AnyRow) -> Result<KeyRow, SqlError> {
    Ok(KeyRow {
        tenant: parsed(row, "tenant")?,
        id: text(row, "id")?,
        name: text(row, "name")?,
        scopes: json(row, "scopes")?,
        channel: text(row, "channel")?,
        reader: text(row, "reader")?,
        hash: text(row, "hash")?,
        created_at: text(row, "created_at")?,
        created_by: text(row, "created_by")?,
        expires_at: maybe_text(row, "expires_at")?,
        revoked_at: maybe_text(row, "revoked_at")?,
    })
}

impl Db {
    /// All tenants, by name. This and [`Db::key`] are how a tenant is found in the first place.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn tenants(&self) -> Result<Vec<TenantRow>, SqlError> {
        let rows = sqlx::query(TENANTS).fetch_all(&self.pool).await?;
        rows.iter().map(tenant_of).collect()
    }

    /// The key with this public part, whichever tenant it belongs to.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn key(&self, id: &str) -> Result<Option<KeyRow>, SqlError> {
        let row = sqlx::query(
            "SELECT tenant, id, name, scopes, channel, reader, hash, created_at, created_by, expires_at, revoked_at \
             FROM api_keys WHERE id = $1",
        )
        .bind(id.to_owned())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(key_of).transpose()
    }

    /// Makes a tenant when there is none of that name; says whether it did.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn ensure_tenant(&self, tenant: &TenantId, at: &str) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "INSERT INTO tenants (tenant, hosts, created_at) VALUES ($1, '[]', $2) ON CONFLICT (tenant) DO NOTHING",
        )
        .bind(tenant.as_str().to_owned())
        .bind(at.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

impl WriteTx {
    /// Makes a tenant, or changes the host names that lead to it, and advances one of its counters. Returns the tenant that has one
    /// of the host names already; then nothing is changed. Begun for the tenant `main`, such writes follow one another.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn put_tenant(
        &mut self,
        tenant: &TenantId,
        hosts: &[String],
        at: &str,
        counter: &str,
    ) -> Result<Option<TenantRow>, SqlError> {
        let conn = self.rows().conn;
        let known = sqlx::query(TENANTS).fetch_all(&mut *conn).await?;
        for row in &known {
            let other = tenant_of(row)?;
            if other.tenant != *tenant && other.hosts.iter().any(|host| hosts.contains(host)) {
                return Ok(Some(other));
            }
        }
        sqlx::query(
            "INSERT INTO tenants (tenant, hosts, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant) DO UPDATE SET hosts = excluded.hosts",
        )
        .bind(tenant.as_str().to_owned())
        .bind(to_json(&hosts)?)
        .bind(at.to_owned())
        .execute(&mut *conn)
        .await?;
        Rows { conn, tenant, names_objects: &mut false }.next(counter).await?;
        Ok(None)
    }
}

impl Rows<'_> {
    /// Stores a key.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_key(&mut self, key: &NewKey<'_>) -> Result<(), SqlError> {
        sqlx::query(
            "INSERT INTO api_keys (tenant, id, name, scopes, channel, hash, created_at, created_by, expires_at, reader) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(self.t())
        .bind(key.id.to_owned())
        .bind(key.name.to_owned())
        .bind(to_json(&key.scopes)?)
        .bind(key.channel.to_owned())
        .bind(key.hash.to_owned())
        .bind(key.at.to_owned())
        .bind(key.by.to_owned())
        .bind(key.expires_at.map(str::to_owned))
        .bind(key.reader.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// Revokes a key; says whether there was one that was not revoked.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn revoke_key(&mut self, id: &str, at: &str) -> Result<bool, SqlError> {
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL",
        )
        .bind(self.t())
        .bind(id.to_owned())
        .bind(at.to_owned())
        .execute(&mut *self.conn)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// All keys of the tenant, oldest first.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn keys(&mut self) -> Result<Vec<KeyRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT tenant, id, name, scopes, channel, reader, hash, created_at, created_by, expires_at, revoked_at \
             FROM api_keys WHERE tenant = $1 ORDER BY created_at, id",
        )
        .bind(self.t())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(key_of).collect()
    }
}
