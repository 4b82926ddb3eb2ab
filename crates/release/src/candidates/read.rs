//! Reads of candidates.

use ashlar_model::{CandidateId, Right};

use super::docket::candidate;
use crate::{
    CandidateView, Ctx, Engine, Page, ReleaseError,
    page::{cursor_number, paged},
};

impl Engine {
    /// A candidate with its gates.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn candidate(&self, ctx: &Ctx, id: CandidateId) -> Result<CandidateView, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let row = candidate(&mut rows, id).await?;
        let gates = rows.reports(id).await?;
        Ok(CandidateView::of(row, gates))
    }

    /// Candidates, newest first, without their gates.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn candidates(
        &self,
        ctx: &Ctx,
        cursor: Option<&str>,
    ) -> Result<Page<CandidateView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = u32::try_from(cursor_number(cursor)?).unwrap_or(u32::MAX);
        let rows = self.db().read(&ctx.tenant).await?.rows().candidates(before, 101).await?;
        let views = rows.into_iter().map(|r| CandidateView::of(r, Vec::new())).collect();
        Ok(paged(views, 100, |c: &CandidateView| c.candidate.0.to_string()))
    }
}
