//! Reads of releases and channels.

use ashlar_model::{ChannelName, Files, ReleaseId, Right};
use ashlar_store::sql::ReleaseRow;

use super::{
    diff::{diff_definitions, diff_entries},
    state::state_of,
};
use crate::{
    ChannelState, ChannelView, Ctx, Engine, Page, ReleaseDiff, ReleaseError, ReleaseInfo,
    candidates::docket::head_of,
    definitions::files::read_under,
    page::{cursor_number, paged},
};

impl Engine {
    /// A release.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn release(&self, ctx: &Ctx, id: ReleaseId) -> Result<ReleaseInfo, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        let channels = self.db().read(&ctx.tenant).await?.rows().channels().await?;
        Ok(ReleaseInfo::of(row, &channels))
    }

    pub(crate) async fn release_row(&self, ctx: &Ctx, id: ReleaseId) -> Result<ReleaseRow, ReleaseError> {
        let row = self.db().read(&ctx.tenant).await?.rows().release(id).await?;
        row.ok_or_else(|| ReleaseError::not_found("release", id, "`ashlar release list` shows all releases"))
    }

    /// Releases, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn releases(&self, ctx: &Ctx, cursor: Option<&str>) -> Result<Page<ReleaseInfo>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let before = u32::try_from(cursor_number(cursor)?).unwrap_or(u32::MAX);
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let channels = rows.channels().await?;
        let releases = rows.releases(before, 101).await?;
        let views = releases.into_iter().map(|r| ReleaseInfo::of(r, &channels)).collect();
        Ok(paged(views, 100, |r: &ReleaseInfo| r.release.0.to_string()))
    }

    /// Where every channel points.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn channels(&self, ctx: &Ctx) -> Result<Vec<ChannelView>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let rows = self.db().read(&ctx.tenant).await?.rows().channels().await?;
        Ok(rows.into_iter().map(ChannelView::from).collect())
    }

    /// The state of a channel as the database has it; `None` before its first release.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn channel_state(
        &self,
        tenant: &ashlar_model::TenantId,
        channel: &ChannelName,
    ) -> Result<Option<ChannelState>, ReleaseError> {
        let mut conn = self.db().read(tenant).await?;
        let mut rows = conn.rows();
        let Some((at, release)) = rows.head(channel).await? else { return Ok(None) };
        Ok(release.map(|r| state_of(channel, &r, at.sequence, &at.moved_at)))
    }

    /// The definition files that the public channel serves and whose paths begin with `prefix`, with their release.
    ///
    /// # Errors
    /// When nothing is released yet, or it cannot be read.
    pub async fn served_definitions(
        &self,
        ctx: &Ctx,
        prefix: &'static str,
    ) -> Result<(ReleaseId, Files), ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let none =
            || ReleaseError::not_found("release", "of the public channel", "promote a candidate first");
        let head = {
            let mut conn = self.db().read(&ctx.tenant).await?;
            let mut rows = conn.rows();
            let working = rows.working_definitions().await?.ok_or_else(none)?.digest;
            let channel = self.rules(&ctx.tenant, &working).await?.config.channels.public.clone();
            head_of(&mut rows, &channel).await?.ok_or_else(none)?
        };
        let objects = self.tenant_objects(&ctx.tenant);
        let files = self.heavy(&ctx.tenant, move || read_under(&objects, &head.definitions, prefix)).await?;
        Ok((head.id, files))
    }

    /// How release `to` differs from release `from`: O(changes).
    ///
    /// # Errors
    /// When one does not exist or cannot be read.
    pub async fn diff(&self, ctx: &Ctx, from: ReleaseId, to: ReleaseId) -> Result<ReleaseDiff, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let (old, new) = (self.release_row(ctx, from).await?, self.release_row(ctx, to).await?);
        let objects = self.tenant_objects(&ctx.tenant);
        let work = move || {
            let (entries, entries_total) = diff_entries(&objects, &old.snapshot, &new.snapshot)?;
            let definitions = diff_definitions(&objects, &old.definitions, &new.definitions)?;
            Ok(ReleaseDiff {
                from: from.to_string(),
                to: to.to_string(),
                entries,
                entries_total,
                definitions,
            })
        };
        self.heavy(&ctx.tenant, work).await
    }
}
