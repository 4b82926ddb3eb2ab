//! What a contract refuses in fields, before they are frozen.

use ashlar_model::{ContractName, EntryKey, Fields, Finding, Level};
use ashlar_store::sql::DraftState;

use super::{
    fields::fields_of,
    ground::{Ground, no_definitions},
};
use crate::{Action, Ctx, DraftView, Engine, PutEntry, ReleaseError};

impl Engine {
    /// Writes a draft and says what its contract will refuse. When `strict`, nothing is written that the contract refuses.
    ///
    /// # Errors
    /// Those of [`PutEntry`]; `contract-refuses` when `strict` and there is something to refuse.
    pub async fn put(&self, ctx: &Ctx, put: PutEntry, strict: bool) -> Result<DraftView, ReleaseError> {
        self.permit(ctx, put.right())?;
        let findings = self.objections(ctx, &put.key, put.major, put.fields.clone()).await?;
        if strict && findings.iter().any(|f| f.level == Level::Error) {
            return Err(ReleaseError::Refused {
                code: "contract-refuses",
                message: format!("the contract refuses these fields of {}; nothing was written", put.key),
                findings,
                help: "fix the fields and send them again".to_owned(),
            });
        }
        let view = self.run(ctx, put).await?;
        Ok(DraftView { findings, ..view })
    }

    /// What the working definitions refuse in the fields of a draft, with places such as `page/home (en) /title`. Fields that
    /// locales share and that are absent are taken from the entry's other locales, as a write does. What only all content
    /// together shows, such as a link that leads nowhere, is not looked at.
    ///
    /// # Errors
    /// When there is no such content type, or the definitions cannot be read.
    pub async fn objections(
        &self,
        ctx: &Ctx,
        key: &EntryKey,
        major: Option<u32>,
        mut fields: Fields,
    ) -> Result<Vec<Finding>, ReleaseError> {
        let mut conn = self.db().read(&ctx.tenant).await?;
        let mut rows = conn.rows();
        let ground = Ground::read(self, &mut rows).await?;
        let key = ground.spelled(key.clone());
        ground.check_key(&key)?;
        let before = rows.draft(&key).await?;
        let newest = || ground.rules.newest(&key.type_name).map(|t| t.contract.major);
        let major = major.or(before.as_ref().map(|b| b.major)).or_else(newest).unwrap_or(1);
        let shared = ground.contract(&key, major)?.shared.clone();
        if before.as_ref().is_none_or(|b| b.state == DraftState::Deleted) && !shared.is_empty() {
            let locales = rows.draft_locales(&key).await?;
            if let Some(sibling) = locales.iter().find(|d| d.key != key && d.state != DraftState::Deleted) {
                for (name, value) in fields_of(&mut rows, sibling).await? {
                    if shared.contains(&name) {
                        fields.entry(name).or_insert(value);
                    }
                }
            }
        }
        let working = rows.working_definitions().await?.ok_or_else(no_definitions)?;
        drop(conn);
        let (engine, tenant) = (self.clone(), ctx.tenant.clone());
        let contract = ContractName { name: key.type_name.clone(), major };
        let found = self
            .heavy(&ctx.tenant, move || {
                let files = engine.files(&tenant, &working.digest)?;
                engine.judge().validate(&files, &contract, &fields)
            })
            .await?;
        Ok(found.into_iter().map(|f| Finding { place: format!("{key} {}", f.place), ..f }).collect())
    }
}
