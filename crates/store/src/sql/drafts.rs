//! Drafts and their versions.

use std::{collections::BTreeSet, fmt, str::FromStr};

use ashlar_model::{Digest, EntryKey, TypeName};
use sqlx::any::AnyRow;

use super::{
    db::Rows,
    error::SqlError,
    values::{int, json, maybe_text, number, parsed, text, to_json, unsigned},
};

/// What a draft is meant to become in the next release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftState {
    /// It ships.
    Live,
    /// It is kept as a draft but leaves what is served.
    Unpublished,
    /// It goes away.
    Deleted,
}

impl fmt::Display for DraftState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Unpublished => "unpublished",
            Self::Deleted => "deleted",
        })
    }
}

impl FromStr for DraftState {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "live" => Ok(Self::Live),
            "unpublished" => Ok(Self::Unpublished),
            "deleted" => Ok(Self::Deleted),
            _ => Err(format!("`{s}` is not a draft state")),
        }
    }
}

/// A draft without its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    /// What names it.
    pub key: EntryKey,
    /// The newest version, from 1.
    pub version: u64,
    /// The major version of the contract it follows.
    pub major: u32,
    /// What it is meant to become.
    pub state: DraftState,
    /// The digest of the canonical JSON of its fields.
    pub digest: Digest,
    /// Whether it differs from what the public channel serves.
    pub pending: bool,
    /// The newest version that did not differ; 0 when none.
    pub clean_version: u64,
    /// When it was written, in the tenant's order of writes.
    pub sequence: u64,
    /// The changeset it ships with.
    pub changeset: Option<String>,
    /// When it was written, RFC 3339.
    pub updated_at: String,
    /// Who wrote it.
    pub updated_by: String,
}

/// A new version of a draft.
pub struct NewVersion<'a> {
    /// What names it.
    pub key: &'a EntryKey,
    /// The major version of its contract.
    pub major: u32,
    /// What it is meant to become.
    pub state: DraftState,
    /// Canonical JSON of its fields.
    pub fields: &'a str,
    /// The digest of `fields`.
    pub digest: Digest,
    /// Top-level fields that differ from the version before.
    pub changed: &'a BTreeSet<String>,
    /// Who wrote it.
    pub author: &'a str,
    /// When, RFC 3339.
    pub at: &'a str,
    /// The action it was part of.
    pub action: &'a str,
    /// Why, when it was not the author's own edit of this locale.
    pub note: &'a str,
    /// The tenant's write sequence.
    pub sequence: u64,
}

/// One version of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The version, from 1.
    pub version: u64,
    /// The major version of the contract it followed.
    pub major: u32,
    /// What it was meant to become.
    pub state: DraftState,
    /// Canonical JSON of its fields.
    pub fields: String,
    /// Top-level fields that differ from the version before.
    pub changed: BTreeSet<String>,
    /// Who wrote it.
    pub author: String,
    /// When, RFC 3339.
    pub at: String,
    /// The action it was part of.
    pub action: String,
    /// Why, when it was not the author's own edit of this locale.
    pub note: String,
}

/// Which drafts to list, in key order after `after`.
#[derive(Debug, Clone, Default)]
pub struct DraftFilter {
    /// Only this type.
    pub type_name: Option<TypeName>,
    /// Only those that differ from what is served.
    pub pending: bool,
    /// Only those of this changeset.
    pub changeset: Option<String>,
    /// Start after this key.
    pub after: Option<EntryKey>,
    /// At most this many.
    pub limit: u32,
}

const COLUMNS: &str = "type, id, locale, version, major, state, digest, pending, clean_version, sequence, \
                       changeset, updated_at, updated_by";

pub(super) fn key_of(row: &AnyRow) -> Result<EntryKey, SqlError> {
    Ok(EntryKey { type_name: parsed(row, "type")?, id: parsed(row, "id")?, locale: parsed(row, "locale")? })
}

fn draft_of(row: &AnyRow) -> Result<DraftRow, SqlError> {
    Ok(DraftRow {
        key: key_of(row)?,
        version: unsigned(row, "version")?,
        major: number(row, "major")?,
        state: parsed(row, "state")?,
        digest: parsed(row, "digest")?,
        pending: unsigned(row, "pending")? != 0,
        clean_version: unsigned(row, "clean_version")?,
        sequence: unsigned(row, "sequence")?,
        changeset: maybe_text(row, "changeset")?,
        updated_at: text(row, "updated_at")?,
        updated_by: text(row, "updated_by")?,
    })
}

fn version_of(row: &AnyRow) -> Result<VersionRow, SqlError> {
    Ok(VersionRow {
        version: unsigned(row, "version")?,
        major: number(row, "major")?,
        state: parsed(row, "state")?,
        fields: text(row, "fields")?,
        changed: json(row, "changed")?,
        author: text(row, "author")?,
        at: text(row, "at")?,
        action: text(row, "action")?,
        note: text(row, "note")?,
    })
}

macro_rules! bind_key {
    ($rows:expr, $query:expr, $key:expr) => {
        $query
            .bind($rows.t())
            .bind($key.type_name.as_str().to_owned())
            .bind($key.id.as_str().to_owned())
            .bind($key.locale.as_str().to_owned())
    };
}

impl Rows<'_> {
    /// A draft without its fields.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn draft(&mut self, key: &EntryKey) -> Result<Option<DraftRow>, SqlError> {
        let query = sqlx::query(
            "SELECT type, id, locale, version, major, state, digest, pending, clean_version, sequence, changeset, \
             updated_at, updated_by FROM drafts WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4",
        );
        let row = bind_key!(self, query, key).fetch_optional(&mut *self.conn).await?;
        row.as_ref().map(draft_of).transpose()
    }

    /// All locales of an entry.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn draft_locales(&mut self, key: &EntryKey) -> Result<Vec<DraftRow>, SqlError> {
        let rows = sqlx::query(
            "SELECT type, id, locale, version, major, state, digest, pending, clean_version, sequence, changeset, \
             updated_at, updated_by FROM drafts WHERE tenant = $1 AND type = $2 AND id = $3 ORDER BY locale",
        )
        .bind(self.t())
        .bind(key.type_name.as_str().to_owned())
        .bind(key.id.as_str().to_owned())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(draft_of).collect()
    }

    /// Drafts in key order.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn drafts(&mut self, filter: &DraftFilter) -> Result<Vec<DraftRow>, SqlError> {
        let mut sql = format!("SELECT {COLUMNS} FROM drafts WHERE tenant = $1");
        let mut args = vec![self.t()];
        let mut arg = |sql: &mut String, condition: &str, values: &[&str]| {
            let mut condition = condition.to_owned();
            for value in values {
                args.push((*value).to_owned());
                condition = condition.replacen('?', &format!("${}", args.len()), 1);
            }
            sql.push_str(" AND ");
            sql.push_str(&condition);
        };
        if let Some(t) = &filter.type_name {
            arg(&mut sql, "type = ?", &[t.as_str()]);
        }
        if let Some(c) = &filter.changeset {
            arg(&mut sql, "changeset = ?", &[c]);
        }
        if filter.pending {
            arg(&mut sql, "pending = 1", &[]);
        }
        if let Some(k) = &filter.after {
            arg(
                &mut sql,
                "(type, id, locale) > (?, ?, ?)",
                &[k.type_name.as_str(), k.id.as_str(), k.locale.as_str()],
            );
        }
        sql.push_str(&format!(" ORDER BY type, id, locale LIMIT {}", filter.limit));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in args {
            query = query.bind(value);
        }
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(draft_of).collect()
    }

    /// Pending drafts in write order after `after`, at most `limit`: those of `changeset`, or without one those that
    /// belong to no changeset.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn pending(
        &mut self,
        changeset: Option<&str>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(DraftRow, String)>, SqlError> {
        let rows = match changeset {
            Some(name) => {
                sqlx::query(
                    "SELECT d.type, d.id, d.locale, d.version, d.major, d.state, d.digest, d.pending, d.clean_version, \
                     d.sequence, d.changeset, d.updated_at, d.updated_by, v.fields FROM drafts d JOIN draft_versions v \
                     ON v.tenant = d.tenant AND v.type = d.type AND v.id = d.id AND v.locale = d.locale AND \
                     v.version = d.version WHERE d.tenant = $1 AND d.pending = 1 AND d.sequence > $2 AND \
                     d.changeset = $3 ORDER BY d.sequence LIMIT $4",
                )
                .bind(self.t())
                .bind(int(after))
                .bind(name.to_owned())
                .bind(i64::from(limit))
                .fetch_all(&mut *self.conn)
                .await?
            }
            None => {
                sqlx::query(
                    "SELECT d.type, d.id, d.locale, d.version, d.major, d.state, d.digest, d.pending, d.clean_version, \
                     d.sequence, d.changeset, d.updated_at, d.updated_by, v.fields FROM drafts d JOIN draft_versions v \
                     ON v.tenant = d.tenant AND v.type = d.type AND v.id = d.id AND v.locale = d.locale AND \
                     v.version = d.version WHERE d.tenant = $1 AND d.pending = 1 AND d.sequence > $2 AND \
                     d.changeset IS NULL ORDER BY d.sequence LIMIT $3",
                )
                .bind(self.t())
                .bind(int(after))
                .bind(i64::from(limit))
                .fetch_all(&mut *self.conn)
                .await?
            }
        };
        rows.iter().map(|r| Ok((draft_of(r)?, text(r, "fields")?))).collect()
    }

    /// One version of a draft.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn draft_version(
        &mut self,
        key: &EntryKey,
        version: u64,
    ) -> Result<Option<VersionRow>, SqlError> {
        let query = sqlx::query(
            "SELECT version, major, state, fields, changed, author, at, action, note FROM draft_versions \
             WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4 AND version = $5",
        );
        let row = bind_key!(self, query, key).bind(int(version)).fetch_optional(&mut *self.conn).await?;
        row.as_ref().map(version_of).transpose()
    }

    /// Versions of a draft, newest first, those below `before`, at most `limit`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn draft_versions(
        &mut self,
        key: &EntryKey,
        before: u64,
        limit: u32,
    ) -> Result<Vec<VersionRow>, SqlError> {
        let query = sqlx::query(
            "SELECT version, major, state, fields, changed, author, at, action, note FROM draft_versions \
             WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4 AND version < $5 ORDER BY version DESC LIMIT $6",
        );
        let rows = bind_key!(self, query, key)
            .bind(int(before))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter().map(version_of).collect()
    }

    /// Who wrote a draft after version `after`.
    ///
    /// # Errors
    /// When the database refuses or contains damaged values.
    pub async fn draft_authors(&mut self, key: &EntryKey, after: u64) -> Result<BTreeSet<String>, SqlError> {
        let query = sqlx::query(
            "SELECT DISTINCT author FROM draft_versions \
             WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4 AND version > $5",
        );
        let rows = bind_key!(self, query, key).bind(int(after)).fetch_all(&mut *self.conn).await?;
        rows.iter().map(|r| text(r, "author")).collect()
    }

    /// Stores a new version and points the draft at it. `before` is the draft as it was read in this transaction.
    /// Returns the new version.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_version(
        &mut self,
        new: &NewVersion<'_>,
        before: Option<&DraftRow>,
        pending: bool,
    ) -> Result<u64, SqlError> {
        let version = before.map_or(1, |b| b.version + 1);
        let query = sqlx::query(
            "INSERT INTO draft_versions (tenant, type, id, locale, version, major, state, fields, changed, author, at, \
             action, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        );
        bind_key!(self, query, new.key)
            .bind(int(version))
            .bind(i64::from(new.major))
            .bind(new.state.to_string())
            .bind(new.fields.to_owned())
            .bind(to_json(new.changed)?)
            .bind(new.author.to_owned())
            .bind(new.at.to_owned())
            .bind(new.action.to_owned())
            .bind(new.note.to_owned())
            .execute(&mut *self.conn)
            .await?;
        let query = sqlx::query(
            "INSERT INTO drafts (tenant, type, id, locale, version, major, state, digest, pending, clean_version, \
             sequence, changeset, updated_at, updated_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, NULL, $11, $12) \
             ON CONFLICT (tenant, type, id, locale) DO UPDATE SET version = excluded.version, major = excluded.major, \
             state = excluded.state, digest = excluded.digest, pending = excluded.pending, \
             sequence = excluded.sequence, updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        );
        bind_key!(self, query, new.key)
            .bind(int(version))
            .bind(i64::from(new.major))
            .bind(new.state.to_string())
            .bind(new.digest.to_string())
            .bind(i64::from(pending))
            .bind(int(new.sequence))
            .bind(new.at.to_owned())
            .bind(new.author.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(version)
    }

    /// Puts a draft into a changeset, or takes it out of any. It counts as a new write, so that a candidate that was
    /// frozen before does not settle it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_draft_changeset(
        &mut self,
        key: &EntryKey,
        changeset: Option<&str>,
    ) -> Result<(), SqlError> {
        let sequence = self.next("drafts").await?;
        let query = sqlx::query(
            "UPDATE drafts SET changeset = $5, sequence = $6 WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4",
        );
        bind_key!(self, query, key)
            .bind(changeset.map(str::to_owned))
            .bind(int(sequence))
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Takes every draft out of a changeset. They count as new writes, as with [`Rows::set_draft_changeset`].
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn clear_changeset(&mut self, changeset: &str) -> Result<(), SqlError> {
        let drafts = sqlx::query(
            "SELECT type, id, locale FROM drafts WHERE tenant = $1 AND changeset = $2 ORDER BY sequence",
        )
        .bind(self.t())
        .bind(changeset.to_owned())
        .fetch_all(&mut *self.conn)
        .await?;
        for row in &drafts {
            self.set_draft_changeset(&key_of(row)?, None).await?;
        }
        Ok(())
    }

    /// Says that pending drafts written up to `sequence` are now what the public channel serves: those of
    /// `changeset`, or without one those that belong to no changeset.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn settle_published(
        &mut self,
        changeset: Option<&str>,
        sequence: u64,
    ) -> Result<u64, SqlError> {
        let done = match changeset {
            Some(name) => sqlx::query(
                "UPDATE drafts SET pending = 0, clean_version = version WHERE tenant = $1 AND pending = 1 \
                     AND sequence <= $2 AND changeset = $3",
            )
            .bind(self.t())
            .bind(int(sequence))
            .bind(name.to_owned())
            .execute(&mut *self.conn)
            .await?,
            None => sqlx::query(
                "UPDATE drafts SET pending = 0, clean_version = version WHERE tenant = $1 AND pending = 1 \
                     AND sequence <= $2 AND changeset IS NULL",
            )
            .bind(self.t())
            .bind(int(sequence))
            .execute(&mut *self.conn)
            .await?,
        };
        Ok(done.rows_affected())
    }

    /// Says that a draft is what the public channel serves: its version is clean.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_clean(&mut self, key: &EntryKey) -> Result<(), SqlError> {
        let query = sqlx::query(
            "UPDATE drafts SET pending = 0, clean_version = version \
             WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4",
        );
        bind_key!(self, query, key).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Says that a draft which was clean differs from what the public channel serves. It counts as a new write, so
    /// that a candidate that was frozen before, and does not hold it, does not settle it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_pending(&mut self, key: &EntryKey) -> Result<(), SqlError> {
        let sequence = self.next("drafts").await?;
        let query = sqlx::query(
            "UPDATE drafts SET pending = 1, sequence = $5 \
             WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4 AND pending = 0",
        );
        bind_key!(self, query, key).bind(int(sequence)).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Sets the newest version of a draft that did not differ from what the public channel serves: the newest with this
    /// major version and canonical JSON, or without one the newest that is not served.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn set_clean_version(
        &mut self,
        key: &EntryKey,
        served: Option<(u32, &str)>,
    ) -> Result<(), SqlError> {
        let (major, fields) = served.unwrap_or_default();
        let query = sqlx::query(
            "UPDATE drafts SET clean_version = COALESCE((SELECT MAX(v.version) FROM draft_versions v \
             WHERE v.tenant = $1 AND v.type = $2 AND v.id = $3 AND v.locale = $4 AND \
             (($5 = 1 AND v.state = 'live' AND v.major = $6 AND v.fields = $7) OR ($5 = 0 AND v.state <> 'live'))), 0) \
             WHERE tenant = $1 AND type = $2 AND id = $3 AND locale = $4",
        );
        bind_key!(self, query, key)
            .bind(i64::from(served.is_some()))
            .bind(i64::from(major))
            .bind(fields.to_owned())
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Whether a changeset has a draft that was not written, added or removed after `sequence`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn has_drafts_until(&mut self, changeset: &str, sequence: u64) -> Result<bool, SqlError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS drafts FROM drafts WHERE tenant = $1 AND changeset = $2 AND sequence <= $3",
        )
        .bind(self.t())
        .bind(changeset.to_owned())
        .bind(int(sequence))
        .fetch_one(&mut *self.conn)
        .await?;
        Ok(unsigned(&row, "drafts")? > 0)
    }
}
