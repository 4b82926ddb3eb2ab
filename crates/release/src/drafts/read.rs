//! Reads of drafts. Each read checks its right and is bound to the tenant of its context.

use ashlar_model::{EntryKey, Right, TypeName};
use ashlar_store::sql::DraftFilter;

use super::{
    fields::parse_fields,
    settle::settle,
    write::{draft_view, missing},
};
use crate::{
    Ctx, DraftView, Engine, MigrationView, Page, ReleaseError, VersionView,
    assist::marks::with_made,
    page::{cursor_number, not_a_cursor, page_size, paged},
};

/// Which drafts to list.
#[derive(Debug, Clone, Default)]
pub struct DraftQuery {
    /// Only this type.
    pub type_name: Option<TypeName>,
    /// Only those that differ from what is served.
    pub pending: bool,
    /// Only those of this changeset.
    pub changeset: Option<String>,
    /// Where the page starts.
    pub cursor: Option<String>,
    /// At most this many, up to 500.
    pub limit: Option<u32>,
}

impl Engine {
    /// A draft with its fields.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn draft(&self, ctx: &Ctx, key: &EntryKey) -> Result<DraftView, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        draft_view(&mut conn.rows(), key, true).await
    }

    /// Drafts in key order, without their fields.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn drafts(&self, ctx: &Ctx, query: &DraftQuery) -> Result<Page<DraftView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        settle(self, &ctx.tenant).await?;
        let limit = page_size(query.limit);
        let after = query
            .cursor
            .as_deref()
            .map(|c| EntryKey::from_bytes(c.replace('~', "\0").as_bytes()).map_err(|_| not_a_cursor()))
            .transpose()?;
        let filter = DraftFilter {
            type_name: query.type_name.clone(),
            pending: query.pending,
            changeset: query.changeset.clone(),
            after,
            limit: limit + 1,
        };
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let found = rows.drafts(&filter).await?;
        let views = with_made(&mut rows, found).await?;
        Ok(paged(views, limit, |d: &DraftView| format!("{}~{}~{}", d.key.type_name, d.key.id, d.key.locale)))
    }

    /// The versions of a draft, newest first.
    ///
    /// # Errors
    /// When the draft does not exist or cannot be read.
    pub async fn history(
        &self,
        ctx: &Ctx,
        key: &EntryKey,
        cursor: Option<&str>,
    ) -> Result<Page<VersionView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = cursor_number(cursor)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        rows.draft(key).await?.ok_or_else(|| missing(key))?;
        let versions = rows.draft_versions(key, before, 51).await?;
        let views: Result<Vec<_>, ReleaseError> = versions
            .into_iter()
            .map(|v| {
                let fields = parse_fields(key, &v.fields)?;
                Ok(VersionView::of(v, fields))
            })
            .collect();
        Ok(paged(views?, 50, |v| v.version.to_string()))
    }

    /// Content migrations that were run, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn migrations(
        &self,
        ctx: &Ctx,
        cursor: Option<&str>,
    ) -> Result<Page<MigrationView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = cursor_number(cursor)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().migrations(before, 101).await?;
        let views = rows.into_iter().map(MigrationView::from).collect();
        Ok(paged(views, 100, |m: &MigrationView| m.migration.to_string()))
    }
}
