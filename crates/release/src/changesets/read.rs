//! Reads of changesets.

use ashlar_model::Right;
use ashlar_store::sql::DraftFilter;

use super::find::find;
use crate::{ChangesetView, Ctx, DraftView, Engine, ReleaseError};

impl Engine {
    /// All changesets, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn changesets(&self, ctx: &Ctx) -> Result<Vec<ChangesetView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().changesets().await?;
        Ok(rows.into_iter().map(|r| ChangesetView::of(r, self.now(), None)).collect())
    }

    /// Changesets that have something to do, the earliest first, and those that failed.
    ///
    /// # Errors
    /// When the actor may not read drafts, or the database cannot be read.
    pub async fn planned_changesets(&self, ctx: &Ctx) -> Result<Vec<ChangesetView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().planned_changesets().await?;
        Ok(rows.into_iter().map(|r| ChangesetView::of(r, self.now(), None)).collect())
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
        let drafts = rows.drafts(&filter).await?.into_iter().map(|d| DraftView::of(d, None)).collect();
        Ok(ChangesetView::of(row, self.now(), Some(drafts)))
    }
}
