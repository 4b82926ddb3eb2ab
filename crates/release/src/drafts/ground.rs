//! What drafts are written on: the rules of the working definitions, and what is served.

use std::sync::Arc;

use ashlar_model::{ContractName, Digest, EntryKey, EntryRecord, Rules, TypeName, TypeRules, did_you_mean};
use ashlar_store::{
    Tree,
    sql::{DraftState, Rows},
};

use crate::{Engine, ReleaseError};

/// The rules drafts are written under, and what is served now.
pub(crate) struct Ground {
    pub rules: Arc<Rules>,
    pub live: Tree,
    /// Whether a model wrote anything in this tenant: only then are texts compared with what models wrote.
    pub assisted: bool,
}

impl Ground {
    pub(crate) async fn read(engine: &Engine, rows: &mut Rows<'_>) -> Result<Self, ReleaseError> {
        let tenant = rows.tenant().clone();
        let definitions = rows.working_definitions().await?.ok_or_else(no_definitions)?;
        let rules = engine.rules(&tenant, &definitions.digest).await?;
        let objects = engine.tenant_objects(&tenant);
        let live = match rows.channel(&rules.config.channels.public).await? {
            Some(head) => match rows.release(head.release).await? {
                Some(release) => Tree::open(&objects, &release.snapshot)?,
                None => Tree::empty(),
            },
            None => Tree::empty(),
        };
        Ok(Self { rules, live, assisted: rows.has_assisted().await? })
    }

    /// Whether `state` with this content differs from what is served.
    pub(crate) fn differs(
        &self,
        key: &EntryKey,
        state: DraftState,
        digest: &Digest,
        major: u32,
    ) -> Result<bool, ReleaseError> {
        let live = self.live.get(&key.to_bytes())?.map(|v| EntryRecord::from_bytes(&v)).transpose()?;
        Ok(match (state, live) {
            (DraftState::Live, Some(r)) => r.digest != *digest || r.major != major,
            (DraftState::Live, None) => true,
            (_, live) => live.is_some(),
        })
    }

    pub(crate) fn contract(&self, key: &EntryKey, major: u32) -> Result<&TypeRules, ReleaseError> {
        self.rules.of(&key.type_name, major).ok_or_else(|| {
            let wanted = ContractName { name: key.type_name.clone(), major };
            ReleaseError::not_found("contract", wanted, self.types_help())
        })
    }

    fn types_help(&self) -> String {
        let names: Vec<_> =
            self.rules.types.values().flatten().map(|t| t.contract.to_string()).take(20).collect();
        match names.is_empty() {
            true => {
                "the working definitions have no contract of kind `type`; add one under contracts/ and push"
                    .to_owned()
            }
            false => format!("the working definitions have: {}", names.join(", ")),
        }
    }

    /// The key with the locale as the project spells it.
    pub(crate) fn spelled(&self, mut key: EntryKey) -> EntryKey {
        key.locale = self.rules.config.locales.spelled(key.locale);
        key
    }

    pub(crate) fn check_key(&self, key: &EntryKey) -> Result<(), ReleaseError> {
        if !self.rules.types.contains_key(&key.type_name) {
            let known = self.rules.types.keys().map(TypeName::as_str);
            let help = did_you_mean(key.type_name.as_str(), known, self.types_help());
            return Err(ReleaseError::not_found("content type", &key.type_name, help));
        }
        if !self.rules.config.locales.supports(&key.locale) {
            let all: Vec<_> = self.rules.config.locales.all().iter().map(ToString::to_string).collect();
            let otherwise = format!("ashlar.toml supports: {}", all.join(", "));
            let help = did_you_mean(key.locale.as_str(), all.iter().map(String::as_str), otherwise);
            return Err(ReleaseError::not_found("locale", &key.locale, help));
        }
        Ok(())
    }
}

/// Nothing was pushed yet.
pub(crate) fn no_definitions() -> ReleaseError {
    ReleaseError::refused(
        "no-definitions",
        "there are no definitions yet",
        "push a project first: `ashlar push DIR --data D`",
    )
}
