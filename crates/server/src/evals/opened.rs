//! A run with everything that asking its cases needs: opened once per node, and kept while the run goes on.

use std::sync::Arc;

use ashlar_delivery::ReleaseView;
use ashlar_evals::{
    completion::Asking,
    metric::Judge,
    suite::{Case, Suite},
};
use ashlar_gateway::{call::Scene, config::Gateway, prompts::PromptName};
use ashlar_model::{Actor, TenantId};
use ashlar_release::{Access, At, Engine, ReleaseError};
use ashlar_store::sql::EvalRunRow;

use super::{Settings, Suites};
use crate::{
    app::{takes, tenants::Tenants},
    delivery::source::Releases,
    llm::Scenes,
};

/// What stands for a key in the records of calls of runs, and in the limits per key.
pub const KEY: &str = "evals";

takes! {
    /// What runs need of a node.
    Parts {
        releases: Releases,
        tenants: Arc<Tenants>,
        suites: Suites,
    }
}

/// A run that can be asked.
pub struct Opened {
    pub tenant: TenantId,
    pub suite: Suite,
    pub judge: Judge,
    /// What is asked: it stays the same when channels move.
    pub view: Arc<ReleaseView>,
    /// What calls are decided on.
    pub scene: Scene,
    pub asking: Asking,
}

/// What a suite asks a gateway with.
fn asking(suite: &Suite) -> Result<Asking, ReleaseError> {
    let named = suite.prompt.as_ref().map(|prompt| prompt.parse::<PromptName>()).transpose();
    let named = named.map_err(|e| ReleaseError::invalid(e.message.trim_end_matches('.'), e.help))?;
    Ok(Asking {
        model: suite.route.clone().unwrap_or_else(|| "default".to_owned()),
        prompt: named.map(|named| (named.name, named.version)),
        variable: suite.variable.clone(),
    })
}

/// The gateway of what is asked, with the limits and budgets of what is served: a candidate must not raise what its own runs may spend.
fn limited(asked: &Gateway, served: &Gateway) -> Gateway {
    let mut gateway = Gateway { budget: served.budget.clone(), ..asked.clone() };
    for (name, feature) in &mut gateway.features {
        if let Some(known) = served.features.get(name) {
            feature.limits.clone_from(&known.limits);
            feature.per_key.clone_from(&known.per_key);
            feature.per_user.clone_from(&known.per_user);
        }
    }
    gateway
}

impl Opened {
    /// Opens a run.
    ///
    /// # Errors
    /// When what it asks cannot be opened, such as a candidate whose objects were deleted, or its suite cannot be read.
    pub async fn open(
        parts: &Parts,
        scenes: &Scenes,
        engine: &Engine,
        (tenant, run): (&TenantId, &EvalRunRow),
    ) -> Result<Self, ReleaseError> {
        let found = parts.suites.find(engine, tenant, run.definitions, &run.suite).await?;
        let at: At = run.subject.parse().map_err(ReleaseError::Task)?;
        let served = parts.tenants.public(tenant);
        let view = match served.as_ref().filter(|view| view.label() == run.subject) {
            Some(view) => view.clone(),
            None => {
                let access = Access {
                    tenant: tenant.clone(),
                    actor: Actor::local(KEY),
                    channel: None,
                    reader: None,
                    key_id: KEY.to_owned(),
                    ends: None,
                };
                let opened = parts.releases.open_at(&access, &at).await;
                opened.map_err(|problem| ReleaseError::refused("unreadable", problem.detail, problem.help))?
            }
        };
        let wrong =
            |fault: ashlar_gateway::wire::Fault| ReleaseError::refused("unreadable", fault.message, "");
        let mut scene = scenes.of(&view).map_err(wrong)?;
        if let Some(served) = served.filter(|served| served.definitions().digest != view.definitions().digest)
        {
            let served = scenes.of(&served).map_err(wrong)?;
            scene.gateway = Arc::new(limited(&scene.gateway, &served.gateway));
        }
        Ok(Self {
            tenant: tenant.clone(),
            asking: asking(&found.suite)?,
            judge: Judge::new(Arc::new(found.contracts)),
            suite: found.suite,
            view,
            scene,
        })
    }

    /// The case at a place of the run. `None` when the suite does not have it, which means that it is not the suite the run began with.
    pub fn case(&self, number: u64, name: &str) -> Option<&Case> {
        let at = usize::try_from(number / u64::from(self.suite.samples.max(1))).ok()?;
        self.suite.cases.get(at).filter(|case| case.id == name)
    }
}

/// The day that a run keeps.
///
/// # Errors
/// When what is stored is damaged.
pub fn settings(run: &EvalRunRow) -> Result<Settings, ReleaseError> {
    serde_json::from_str(&run.settings)
        .map_err(|e| ReleaseError::Corrupt { what: format!("the run {}", run.id), why: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_does_not_raise_its_own_limits() {
        let read = |text: &str| Gateway::read(text.as_bytes()).unwrap();
        let served = read("[features.a]\nbudget = { tokens_day = 10 }\nrequests_per_minute = 5\n");
        let asked = read(
            "[features.a]\nbudget = { tokens_day = 1000000 }\n\n[features.b]\nrequests_per_minute = 7\n",
        );
        let limited = limited(&asked, &served);
        assert_eq!(limited.features["a"].limits, served.features["a"].limits);
        assert_eq!(limited.features["b"].limits, asked.features["b"].limits);
        assert_eq!(limited.budget, served.budget);
    }
}
