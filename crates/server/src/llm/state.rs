//! What calls need of a node.

use std::sync::Arc;

use ashlar_gateway::{call::Desk, record::Records};
use ashlar_isolate::Workers;
use axum::extract::FromRef;

use super::scenes::Scenes;
use crate::{
    access::{Keys, Places},
    app::{App, policies::Policies, tenants::Tenants},
    delivery::source::Releases,
    front::Hosts,
};

/// Calls of one tenant that are worked on at a time, before their answers begin.
const CALLS_MAX: usize = 8_192;

/// What calls need of a node.
pub struct Llm {
    pub keys: Arc<Keys>,
    pub hosts: Arc<Hosts>,
    pub tenants: Arc<Tenants>,
    pub releases: Releases,
    pub workers: Workers,
    pub desk: Arc<Desk>,
    pub policies: Arc<Policies>,
    pub records: Arc<Records>,
    pub scenes: Arc<Scenes>,
    pub places: Places,
}

impl FromRef<App> for Llm {
    fn from_ref(app: &App) -> Self {
        Self {
            keys: app.keys.clone(),
            hosts: app.hosts.clone(),
            tenants: app.tenants.clone(),
            releases: Releases::from_ref(app),
            workers: app.workers.clone(),
            desk: app.desk.clone(),
            policies: app.policies.clone(),
            records: app.records.clone(),
            scenes: Arc::default(),
            places: Places::of(CALLS_MAX),
        }
    }
}
