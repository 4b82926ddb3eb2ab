//! Reads of the event log and the audit log.

use ashlar_model::Right;
use ashlar_store::sql::{AuditBreak, AuditRow, EventRow};

use crate::{
    Ctx, Engine, Page, ReleaseError,
    page::{cursor_number, page_size, paged},
};

impl Engine {
    /// Events after `after`, oldest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn events(
        &self,
        ctx: &Ctx,
        after: u64,
        limit: Option<u32>,
    ) -> Result<Page<EventRow>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let limit = page_size(limit);
        let rows = self.db().read(&ctx.tenant).await?.rows().events(after, limit + 1).await?;
        Ok(paged(rows, limit, |e| e.sequence.to_string()))
    }

    /// The audit log, newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self, ctx: &Ctx, cursor: Option<&str>) -> Result<Page<AuditRow>, ReleaseError> {
        self.permit(ctx, Right::Admin)?;
        let before = cursor_number(cursor)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().audit(before, 101).await?;
        Ok(paged(rows, 100, |r| r.sequence.to_string()))
    }

    /// Walks the audit chain: how many rows hold, or where it breaks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn verify_audit(&self, ctx: &Ctx) -> Result<Result<u64, AuditBreak>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        Ok(self.db().read(&ctx.tenant).await?.rows().verify_audit().await?)
    }
}
