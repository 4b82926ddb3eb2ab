//! Pushed definitions.

use ashlar_model::Digest;
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{int, parsed, text, unsigned},
};

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

fn definitions_of(row: &AnyRow) -> Result<DefinitionsRow, SqlError> {
    Ok(DefinitionsRow {
        sequence: unsigned(row, "sequence")?,
        digest: parsed(row, "digest")?,
        author: text(row, "author")?,
        pushed_at: text(row, "pushed_at")?,
    })
}

impl Rows<'_> {
    /// The working definitions.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn working_definitions(&mut self) -> Result<Option<DefinitionsRow>, SqlError> {
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
    /// When the database refuses or contains damaged values.
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

    /// Whether definitions were ever pushed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn was_pushed(&mut self, digest: &Digest) -> Result<bool, SqlError> {
        let row = sqlx::query("SELECT sequence FROM definitions WHERE tenant = $1 AND digest = $2 LIMIT 1")
            .bind(self.t())
            .bind(digest.to_string())
            .fetch_optional(&mut *self.conn)
            .await?;
        Ok(row.is_some())
    }

    /// Records a push.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn insert_definitions(&mut self, row: &DefinitionsRow) -> Result<(), SqlError> {
        *self.names_objects = true;
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
}
