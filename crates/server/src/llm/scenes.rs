//! What releases say about calls, read once for all releases with the same definitions.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use ashlar_delivery::ReleaseView;
use ashlar_gateway::{
    call::Scene,
    config::Gateway,
    wire::{Fault, FaultKind},
};
use ashlar_model::Digest;

/// Definitions that are remembered.
const KNOWN_MAX: usize = 256;

/// The gateway definitions that were read.
#[derive(Default)]
pub struct Scenes(RwLock<HashMap<Digest, Arc<Gateway>>>);

impl Scenes {
    /// What a release says about calls.
    ///
    /// # Errors
    /// When it cannot be used. A release has passed the gate, so this is a release of another version.
    pub fn of(&self, view: &ReleaseView) -> Result<Scene, Fault> {
        let definitions = view.definitions();
        let scene = |gateway: Arc<Gateway>| Scene { gateway, release: view.label().to_owned() };
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&definitions.digest) {
            return Ok(scene(known.clone()));
        }
        let read = Gateway::parse(&definitions.gateway).map_err(|findings| {
            let why = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
            tracing::error!(release = view.label(), why, "gateway.toml of a release cannot be used");
            let message = "gateway.toml of the release cannot be used; run `ashlar check`";
            Fault::new(FaultKind::Overloaded, "gateway_unusable", message)
        })?;
        let read = Arc::new(read);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(definitions.digest, read.clone());
        Ok(scene(read))
    }
}
