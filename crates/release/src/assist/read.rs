//! What can be asked about what models wrote.

use std::collections::BTreeMap;

use ashlar_model::{EntryKey, Fields, ReleaseId, Right};
use ashlar_store::sql::Rows;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    free::{check_changeset, check_writable},
    made::Made,
    released::{ABOUT, read},
};
use crate::{
    Ctx, Engine, Page, ReleaseError,
    artifacts::derived,
    drafts::fields::fields_of,
    page::{not_a_cursor, paged},
};

/// Entries of a page.
const PAGE: u32 = 200;

/// Whether tasks are stopped, and how often each was used today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssistStatus {
    /// Whether tasks are stopped.
    pub stopped: bool,
    /// Why; absent when nothing was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When the switch was last moved, RFC 3339; absent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Who moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The day (UTC).
    pub day: String,
    /// Task → how often it was used on this day.
    pub used: BTreeMap<String, u64>,
}

impl AssistStatus {
    pub(super) async fn read(rows: &mut Rows<'_>, day: String) -> Result<Self, ReleaseError> {
        let used = rows.assist_used(&day).await?.into_iter().collect();
        let switch = rows.assist_switch().await?;
        let status = Self { stopped: false, reason: String::new(), at: None, by: None, day, used };
        Ok(match switch {
            None => status,
            Some(row) => Self {
                stopped: row.stopped,
                reason: row.reason,
                at: Some(row.at),
                by: Some(row.by),
                ..status
            },
        })
    }
}

/// An entry of a release that a model wrote something of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasedText {
    /// What names it.
    #[serde(flatten)]
    pub key: EntryKey,
    /// What models wrote of it.
    pub made: Made,
}

impl Engine {
    /// The newest fields of a draft with their version, for a task that is about to write it; `None` when there is no draft.
    ///
    /// # Errors
    /// When the actor may not use tasks, [`WriteAssisted`](crate::WriteAssisted) would refuse the draft or the changeset whatever the
    /// model says, or the database refuses.
    pub async fn assisted_draft(
        &self,
        ctx: &Ctx,
        key: &EntryKey,
        changeset: &str,
    ) -> Result<Option<(u64, Fields)>, ReleaseError> {
        self.permit(ctx, Right::Assist)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        check_changeset(&mut rows, changeset).await?;
        let Some(draft) = rows.draft(key).await? else { return Ok(None) };
        check_writable(&mut rows, &draft, changeset).await?;
        Ok(Some((draft.version, fields_of(&mut rows, &draft).await?)))
    }

    /// Whether tasks are stopped, and how often each was used today.
    ///
    /// # Errors
    /// When the actor may not read drafts, or the database refuses.
    pub async fn assist_status(&self, ctx: &Ctx) -> Result<AssistStatus, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        AssistStatus::read(&mut conn.rows(), self.assist_day()).await
    }

    /// Entries of a release that models wrote something of, in key order.
    ///
    /// # Errors
    /// When the release does not exist or cannot be read.
    pub async fn released_texts(
        &self,
        ctx: &Ctx,
        id: ReleaseId,
        cursor: Option<&str>,
    ) -> Result<Page<ReleasedText>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        let after = cursor
            .map(|c| EntryKey::from_bytes(c.replace('~', "\0").as_bytes()).map_err(|_| not_a_cursor()))
            .transpose()?
            .map(|key| key.to_bytes());
        let objects = self.tenant_objects(&ctx.tenant);
        let found = move || -> Result<Vec<ReleasedText>, ReleaseError> {
            let Some(tree) = derived::open(&objects, &row.derived, &ABOUT)? else { return Ok(Vec::new()) };
            let mut found = Vec::new();
            for item in tree.prefix(b"") {
                let (key, value) = item?;
                if key.first() == Some(&0) || after.as_deref().is_some_and(|after| key[..] <= *after) {
                    continue;
                }
                found.push(ReleasedText { key: EntryKey::from_bytes(&key)?, made: read(&key, &value)? });
                if found.len() > PAGE as usize {
                    break;
                }
            }
            Ok(found)
        };
        let found =
            tokio::task::spawn_blocking(found).await.map_err(|e| ReleaseError::Task(e.to_string()))??;
        Ok(paged(found, PAGE, |t: &ReleasedText| {
            format!("{}~{}~{}", t.key.type_name, t.key.id, t.key.locale)
        }))
    }
}
