//! Starting runs whose turn has come.

use std::{collections::HashMap, sync::Arc};

use ashlar_evals::suite::Schedule;
use ashlar_model::{Actor, Digest, ReleaseId, TenantId};
use ashlar_release::{At, Ctx, Engine, ReleaseError};
use axum::extract::FromRef;
use jiff::Timestamp;

use crate::{
    app::{App, tenants::Tenants},
    evals::{KEY, Suites},
};

/// What is refused when another node was faster, or when a run of the suite goes on.
const NOT_NOW: [&str; 2] = ["turn-taken", "suite-running"];

/// The schedules of the suites that public channels serve.
pub struct Schedules {
    engine: Engine,
    app: App,
    suites: Suites,
    tenants: Arc<Tenants>,
    /// What the definitions of a tenant's public channel say.
    known: HashMap<TenantId, (Digest, Vec<(String, Schedule)>)>,
    /// When each tenant released for the first time.
    began: HashMap<TenantId, Timestamp>,
}

impl Schedules {
    pub fn new(app: &App, engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            suites: Suites::from_ref(app),
            tenants: app.tenants.clone(),
            app: app.clone(),
            known: HashMap::new(),
            began: HashMap::new(),
        }
    }

    /// Starts runs whose turn has come and has no run.
    pub async fn turn(&mut self) {
        for (tenant, state) in self.tenants.all() {
            let Some(public) = state.public.load_full() else { continue };
            if let Err(error) = self.of(&tenant, public.definitions().digest).await {
                tracing::warn!(%tenant, %error, "schedules of suites cannot be looked at");
            }
        }
    }

    async fn of(&mut self, tenant: &TenantId, definitions: Digest) -> Result<(), ReleaseError> {
        let ctx = Ctx::new(tenant.clone(), Actor::local(KEY))?;
        if self.known.get(tenant).is_none_or(|(of, _)| *of != definitions) {
            let providers = self.app.desk.providers.clone();
            let suites = self.suites.scheduled(&self.engine, tenant, definitions, providers).await?;
            self.known.insert(tenant.clone(), (definitions, suites));
        }
        let suites = self.known.get(tenant).map(|(_, suites)| suites.clone()).unwrap_or_default();
        if suites.is_empty() {
            return Ok(());
        }
        let began = match self.began.get(tenant) {
            Some(began) => *began,
            None => {
                let first = self.engine.release(&ctx, ReleaseId(1)).await?.created_at;
                let began = first.parse().unwrap_or(Timestamp::UNIX_EPOCH);
                self.began.insert(tenant.clone(), began);
                began
            }
        };
        for (suite, schedule) in suites {
            let Some(turn) = schedule.turn(&format!("{tenant}/{suite}"), self.engine.now()) else { continue };
            // A project has its first turn after its first release, and not with it.
            if turn.began <= began || self.engine.has_eval_slot(&ctx, &suite, &turn.name).await? {
                continue;
            }
            match self.suites.start((&self.engine, &ctx), &suite, None::<At>, turn.name).await {
                Ok(run) => tracing::info!(%tenant, suite, run = %run.id, "a scheduled run begins"),
                Err(error) if NOT_NOW.contains(&error.code()) => {}
                Err(error) => tracing::warn!(%tenant, suite, %error, "a scheduled run cannot begin"),
            }
        }
        Ok(())
    }
}
