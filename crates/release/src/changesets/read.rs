//! Reads of changesets.

use ashlar_model::Right;
use ashlar_store::sql::{ChangesetRow, DraftFilter, Rows};

use super::find::find;
use crate::{
    ChangesetView, Ctx, Engine, Page, ReleaseError,
    assist::marks::with_made,
    page::{not_a_cursor, paged},
};

/// Changesets of a page.
const PAGE: u32 = 100;

/// Whether a cursor, the name of the last changeset of the page before, names one.
async fn known(rows: &mut Rows<'_>, cursor: Option<&str>) -> Result<(), ReleaseError> {
    match cursor {
        Some(name) if rows.changeset(name).await?.is_none() => Err(not_a_cursor()),
        _ => Ok(()),
    }
}

impl Engine {
    /// Changesets, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn changesets(
        &self,
        ctx: &Ctx,
        cursor: Option<&str>,
    ) -> Result<Page<ChangesetView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        known(&mut rows, cursor).await?;
        let found = rows.changesets(cursor, PAGE + 1).await?;
        Ok(self.page_of_changesets(found))
    }

    /// Changesets that have something to do, the earliest first, and those that failed.
    ///
    /// # Errors
    /// When the actor may not read drafts, or the database cannot be read.
    pub async fn planned_changesets(
        &self,
        ctx: &Ctx,
        cursor: Option<&str>,
    ) -> Result<Page<ChangesetView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        known(&mut rows, cursor).await?;
        let found = rows.planned_changesets(cursor, PAGE + 1).await?;
        Ok(self.page_of_changesets(found))
    }

    fn page_of_changesets(&self, rows: Vec<ChangesetRow>) -> Page<ChangesetView> {
        let views = rows.into_iter().map(|r| ChangesetView::of(r, self.now(), None)).collect();
        paged(views, PAGE, |c: &ChangesetView| c.changeset.clone())
    }

    /// A changeset with its drafts.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn changeset(&self, ctx: &Ctx, name: &str) -> Result<ChangesetView, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let row = find(&mut rows, name).await?;
        let filter = DraftFilter { changeset: Some(name.to_owned()), limit: 1000, ..DraftFilter::default() };
        let found = rows.drafts(&filter).await?;
        let drafts = with_made(&mut rows, found).await?;
        Ok(ChangesetView::of(row, self.now(), Some(drafts)))
    }
}
