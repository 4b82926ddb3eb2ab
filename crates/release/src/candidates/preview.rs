//! Drafts as they are now, readable like a release, without making a candidate.

use std::collections::BTreeMap;

use ashlar_model::{Digest, Right};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    docket::candidate,
    freeze::{Frozen, With},
};
use crate::{
    Action, CreateCandidate, Ctx, Engine, Manifest, ReleaseError, Scope,
    artifacts::manifest::{self},
    drafts::settle::settle,
};

/// Freezes pending drafts on top of what the public channel serves, for reading only: nothing in SQL changes, and the
/// objects it writes go with the next clean-up.
#[derive(Debug, Clone, Default)]
pub struct PreviewDrafts {
    /// Only the drafts of this changeset; otherwise all that belong to none.
    pub changeset: Option<String>,
}

/// What delivery opens to show drafts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The root of the entries.
    pub snapshot: Digest,
    /// The root of the definitions.
    pub definitions: Digest,
    /// Roots of what was derived, by name (`lookup`).
    pub derived: BTreeMap<String, Digest>,
}

#[async_trait]
impl Action for PreviewDrafts {
    type Output = Preview;
    const NAME: &'static str = "draft.preview";

    fn right(&self) -> Right {
        Right::Preview
    }

    async fn act(self, scope: &Scope<'_>) -> Result<Preview, ReleaseError> {
        settle(scope.engine, &scope.ctx.tenant).await?;
        let _hold = scope.rely().await?;
        let create = CreateCandidate { changeset: self.changeset, note: String::new() };
        let Frozen { row: frozen, docket, .. } = create.freeze(scope, With::Working).await?;
        let judgement = scope.heavy(move || docket.judge_shown()).await?;
        scope.objects().commit(judgement.objects).await?;
        Ok(Preview { snapshot: frozen.snapshot, definitions: frozen.definitions, derived: judgement.derived })
    }
}

impl Engine {
    /// Names the state of a tenant: the head of its audit chain, which every action moves.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn state_token(&self, ctx: &Ctx) -> Result<String, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        Ok(self.db().read(&ctx.tenant).await?.rows().audit_head().await?.unwrap_or_default())
    }

    /// The manifest of a release.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn manifest(&self, ctx: &Ctx, id: ashlar_model::ReleaseId) -> Result<Manifest, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        manifest::read(&self.tenant_objects(&ctx.tenant), &row.manifest)
    }

    /// What delivery opens to show a release, with what was derived from it later.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn release_roots(
        &self,
        ctx: &Ctx,
        id: ashlar_model::ReleaseId,
    ) -> Result<Preview, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.release_row(ctx, id).await?;
        Ok(Preview { snapshot: row.snapshot, definitions: row.definitions, derived: row.derived })
    }

    /// What delivery opens to show a candidate.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub async fn candidate_roots(
        &self,
        ctx: &Ctx,
        id: ashlar_model::CandidateId,
    ) -> Result<Preview, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = candidate(&mut self.db().read(&ctx.tenant).await?.rows(), id).await?;
        let frozen = row.frozen;
        Ok(Preview { snapshot: frozen.snapshot, definitions: frozen.definitions, derived: frozen.derived })
    }

    /// The working definitions with their root; `None` when nothing was pushed yet.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn working_definitions(
        &self,
        ctx: &Ctx,
    ) -> Result<Option<(Digest, std::sync::Arc<ashlar_model::Files>)>, ReleaseError> {
        self.permit(ctx, Right::Preview)?;
        let row = self.db().read(&ctx.tenant).await?.rows().working_definitions().await?;
        row.map(|r| Ok((r.digest, self.files(&ctx.tenant, &r.digest)?))).transpose()
    }
}
