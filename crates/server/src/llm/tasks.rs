//! Calls that the server makes itself, for a task that somebody asked for.

use std::sync::Arc;

use ashlar_delivery::ReleaseView;
use ashlar_gateway::{
    call::{Body, BuiltIn, Caller, Facts, Scene},
    config::Gateway,
    prompts::{Prompt, Who},
    wire::{Fault, FaultKind, openai},
};
use ashlar_model::{Fields, TenantId};
use serde_json::{Value, json};

use super::state::Llm;
use crate::access::new_span;

/// The public release of a tenant, and what it says about calls.
pub struct Scenery {
    pub view: Arc<ReleaseView>,
    scene: Scene,
}

/// What is asked of a model.
pub struct TaskCall<'a> {
    pub tenant: TenantId,
    /// Who asked for it.
    pub key: &'a str,
    pub feature: &'a str,
    pub prompt: &'a str,
    pub variables: Fields,
    pub locale: Option<&'a str>,
    pub trace: String,
}

/// What a model answered: a value that follows the output contract of the prompt.
pub struct Told {
    pub value: Value,
    pub facts: Facts,
}

fn broken(what: &str) -> Fault {
    Fault::new(FaultKind::Upstream, "upstream_malformed", format!("the answer cannot be read: {what}"))
}

impl Scenery {
    /// The version of a prompt that answers a task.
    pub fn prompt(&self, call: &TaskCall<'_>) -> Result<Arc<Prompt>, Fault> {
        let keys = [call.key];
        let who = Who {
            tenant: call.tenant.as_str(),
            feature: call.feature,
            keys: &keys,
            user: None,
            session: None,
            request: &call.trace,
        };
        let chosen = self.scene.prompts.choose(call.prompt, None, &who);
        chosen.map(|chosen| chosen.prompt).map_err(|error| {
            Fault::new(FaultKind::NotFound, error.code, format!("{} {}", error.message, error.help))
        })
    }

    /// The route that a prompt takes, when it only goes to the built-in model.
    pub fn only_quotes(&self, feature: &str, prompt: &Prompt) -> Option<String> {
        let gateway: &Gateway = &self.scene.gateway;
        let first =
            gateway.features.get(feature).and_then(|feature| gateway.routes_of(feature).first().copied());
        let route = match &prompt.route {
            Some(name) => gateway.routes.get_key_value(name).map(|(name, route)| (name.as_str(), route)),
            None => first,
        };
        let (name, route) = route?;
        route.targets.iter().all(|target| target.is_built_in()).then(|| name.to_owned())
    }
}

impl Llm {
    /// What a tenant has released for everybody.
    pub fn scenery(&self, tenant: &TenantId) -> Result<Scenery, Fault> {
        let view = self.tenants.public(tenant).ok_or_else(|| {
            let message = "nothing is released in this tenant yet; promote a candidate first";
            Fault::new(FaultKind::Overloaded, "no_release", message)
        })?;
        let scene = self.scenes.of(&view)?;
        Ok(Scenery { view, scene })
    }

    /// Asks a model, under the limits, budgets and redaction of the feature, as any call is. The answer follows the output contract of the
    /// prompt: the gateway has it repaired once, or refuses it.
    pub async fn task(
        &self,
        scenery: Scenery,
        asked: TaskCall<'_>,
        released: &dyn BuiltIn,
    ) -> Result<Told, Fault> {
        let Scenery { mut scene, .. } = scenery;
        let body = json!({
            "model": "default", "messages": [],
            "ashlar": {
                "prompt": asked.prompt, "variables": asked.variables, "locale": asked.locale, "cache": false,
            },
        });
        let call = openai::read(body.to_string().into())?;
        let mut caller = Caller {
            tenant: asked.tenant,
            key: asked.key.to_owned(),
            feature: asked.feature.to_owned(),
            user: String::new(),
            trace: asked.trace,
            span: new_span(),
            parent: String::new(),
        };
        self.bind(&mut scene, &mut caller, "", "assist").await?;
        let reply = self.desk.chat(&scene, &caller, call, released).await?;
        let Body::Whole(bytes) = reply.body else { return Err(broken("it came in pieces")) };
        let answer: Value = serde_json::from_slice(&bytes).map_err(|e| broken(&e.to_string()))?;
        let message = &answer["choices"][0]["message"];
        if let Some(refusal) = message["refusal"].as_str() {
            let code = answer["ashlar"]["refusal"]["code"].as_str().unwrap_or("refused").to_owned();
            return Err(Fault::new(FaultKind::Refused, code, refusal.to_owned()));
        }
        let text = message["content"].as_str().ok_or_else(|| broken("it has no text"))?;
        let value = serde_json::from_str(text).map_err(|_| {
            let message = "the prompt of the task has no output contract, so its answer is no JSON";
            Fault::new(FaultKind::Refused, "output_not_json", message)
        })?;
        Ok(Told { value, facts: reply.facts })
    }
}
