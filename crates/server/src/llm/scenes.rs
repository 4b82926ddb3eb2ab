//! What releases say about calls, read once for all releases with the same definitions.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use ashlar_contracts::ContractSet;
use ashlar_delivery::{Definitions, ReleaseView};
use ashlar_gateway::{
    call::Scene,
    config::Gateway,
    prompts::Prompts,
    redact::Declared,
    wire::{Fault, FaultKind},
};
use ashlar_model::Digest;

/// Definitions that are remembered.
const KNOWN_MAX: usize = 256;

/// The contracts of definitions that are open.
struct Contracts(Arc<Definitions>);

impl AsRef<ContractSet> for Contracts {
    fn as_ref(&self) -> &ContractSet {
        &self.0.contracts
    }
}

/// The gateway, the prompts and the personal fields of definitions.
type Read = (Arc<Gateway>, Arc<Prompts>, Arc<Declared>);

/// The gateway definitions that were read.
#[derive(Default)]
pub struct Scenes(RwLock<HashMap<Digest, Read>>);

impl Scenes {
    /// What a release says about calls.
    ///
    /// # Errors
    /// When it cannot be used. A release has passed the gate, so this is a release of another version.
    pub fn of(&self, view: &ReleaseView) -> Result<Scene, Fault> {
        let definitions = view.definitions();
        let scene = |(gateway, prompts, declared): Read| Scene {
            gateway,
            prompts,
            declared,
            contracts: Arc::new(Contracts(definitions.clone())),
            release: view.label().to_owned(),
            policy: None,
            closing: None,
        };
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&definitions.digest) {
            return Ok(scene(known.clone()));
        }
        let read = Gateway::parse(&definitions.gateway).map_err(|findings| {
            let why = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
            tracing::error!(release = view.label(), why, "gateway.toml of a release cannot be used");
            let message = "gateway.toml of the release cannot be used; run `ashlar check`";
            Fault::new(FaultKind::Overloaded, "gateway_unusable", message)
        })?;
        // Prompts that cannot be used are left out, and the gate has reported them.
        let (prompts, _) = Prompts::parse(&definitions.gateway);
        let tools = read.tools.iter().map(|(name, tool)| (name.clone(), tool.personal_fields()));
        let declared = Declared::new(definitions.contracts.personal_fields(), tools.collect());
        let read = (Arc::new(read), Arc::new(prompts), Arc::new(declared));
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(definitions.digest, read.clone());
        Ok(scene(read))
    }
}
