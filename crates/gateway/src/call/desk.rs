//! Where calls come in.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ashlar_model::{TenantId, nearest_of};
use bytes::Bytes;
use futures::Stream;

use super::{attempt, built_in::BuiltIn};
use crate::{
    config::{Feature, Gateway},
    routing::{Breakers, plan, point},
    upstream::Providers,
    wire::{Call, Fault, FaultKind, Usage, openai::Embeddings},
};

/// The most tokens that an answer is taken to have when the request does not bound it.
const TOKENS_OUT: u64 = 4_096;

/// What a release says about calls.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Its `gateway.toml`.
    pub gateway: Arc<Gateway>,
    /// Its name.
    pub release: String,
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// The public part of the key.
    pub key: String,
    /// The feature that the call belongs to.
    pub feature: String,
    /// The trace of the request.
    pub trace: String,
}

/// What became of a call, filled in as it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The route that answered.
    pub route: String,
    /// The provider that answered.
    pub provider: String,
    /// The model that answered, in the provider's words.
    pub model: String,
    /// How many targets were asked, those that failed included.
    pub tries: u32,
    /// Tokens so far.
    pub usage: Usage,
    /// Whether the provider reported these tokens.
    pub reported: bool,
    /// Bytes of text that were answered.
    pub answered_bytes: u64,
}

/// What became of a call, while others still write it.
pub(super) type Noted = Arc<Mutex<Facts>>;

/// Writes something down.
pub(super) fn note(noted: &Noted, change: impl FnOnce(&mut Facts)) {
    change(&mut noted.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The body of an answer.
pub enum Body {
    /// JSON.
    Whole(Bytes),
    /// Server-sent events.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// An answer that has begun.
pub struct Reply {
    /// What is known of it now.
    pub facts: Facts,
    /// The answer.
    pub body: Body,
}

/// Takes calls.
#[derive(Debug, Default)]
pub struct Desk {
    /// The providers of this node.
    pub providers: Providers,
    /// Targets that failed.
    pub(super) breakers: Breakers,
}

/// A call with all that it is decided on.
pub(super) struct Case<'a> {
    pub caller: &'a Caller,
    pub feature: &'a Feature,
    pub what: What<'a>,
    /// What decides between targets.
    pub point: u64,
    pub started: Instant,
    pub noted: Noted,
}

/// What is asked of a model.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// To go on with a conversation.
    Chat(&'a Call, &'a dyn BuiltIn),
    /// To turn texts into vectors.
    Embed(&'a Embeddings),
}

impl Scene {
    /// A feature.
    ///
    /// # Errors
    /// When the release does not have it.
    pub fn feature(&self, name: &str) -> Result<&Feature, Fault> {
        self.gateway.features.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.gateway.features.keys().map(String::as_str).collect();
            let all = format!("this release has {}", known.join(", "));
            let help = nearest_of(name, known.iter().copied(), &all);
            let name: String = name.chars().take(80).collect();
            let message =
                format!("there is no feature `{name}`; {help}; name one with the header Ashlar-Feature");
            Fault::new(FaultKind::Permission, "unknown_feature", message)
        })
    }

    /// The route that a call names.
    ///
    /// # Errors
    /// When the release does not have it, or the feature may not use it.
    pub fn route<'a>(&'a self, feature: &Feature, named: (&str, &str)) -> Result<&'a str, Fault> {
        let (name, of) = named;
        let routes = self.gateway.routes_of(feature);
        let known: Vec<&str> = routes.iter().map(|(name, _)| *name).collect();
        let all = format!("the feature `{of}` has {}", known.join(", "));
        let shown: String = name.chars().take(80).collect();
        match self.gateway.routes.get_key_value(name) {
            Some((route, _)) if feature.routes.allows(name) => Ok(route),
            Some(_) => {
                let message = format!("the feature `{of}` may not use the route `{shown}`; {all}");
                Err(Fault::new(FaultKind::Permission, "route_not_allowed", message).at("model"))
            }
            None => {
                let help = nearest_of(name, known.iter().copied(), &all);
                let message = format!("there is no model `{shown}`; {help}");
                Err(Fault::new(FaultKind::NotFound, "model_not_found", message).at("model"))
            }
        }
    }
}

impl Desk {
    /// A desk with these providers.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        Self { providers, breakers: Breakers::default() }
    }

    /// Answers a call.
    ///
    /// # Errors
    /// When it is refused, or no target answers.
    pub async fn chat(
        &self,
        scene: &Scene,
        caller: &Caller,
        call: &Call,
        built_in: &dyn BuiltIn,
    ) -> Result<Reply, Fault> {
        let sticky = call.ashlar.session.as_deref().or(call.user.as_deref());
        let tokens = call.tokens_in().saturating_add(call.tokens_out_max().unwrap_or(0));
        self.run(scene, caller, (What::Chat(call, built_in), &call.model), (sticky, tokens)).await
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    /// When it is refused, or no target answers.
    pub async fn embed(&self, scene: &Scene, caller: &Caller, asked: &Embeddings) -> Result<Reply, Fault> {
        // Vectors of two models do not compare, so a caller stays where it is.
        let sticky = Some(caller.key.as_str());
        self.run(scene, caller, (What::Embed(asked), &asked.model), (sticky, asked.tokens_in)).await
    }

    async fn run(
        &self,
        scene: &Scene,
        caller: &Caller,
        (what, model): (What<'_>, &str),
        (sticky, tokens): (Option<&str>, u64),
    ) -> Result<Reply, Fault> {
        let feature = scene.feature(&caller.feature)?;
        let route = scene.route(feature, (model, &caller.feature))?;
        let point = point(sticky.unwrap_or(&caller.trace));
        let stages = plan(&scene.gateway, feature, route, point, tokens);
        if stages.is_empty() {
            let most = scene.gateway.routes.get(route).and_then(|route| route.context).unwrap_or(0);
            let message = format!(
                "the request has about {tokens} tokens with its answer; the route `{route}` takes {most}: send less, or lower max_tokens"
            );
            return Err(Fault::new(FaultKind::Invalid, "context_length_exceeded", message).at("messages"));
        }
        let case = Case { caller, feature, what, point, started: Instant::now(), noted: Noted::default() };
        let body = attempt::run(self, &case, &stages).await?;
        let facts = case.noted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Reply { facts, body })
    }

    /// How many tokens an answer may have for what is reserved.
    #[must_use]
    pub fn tokens_out(call: &Call) -> u64 {
        call.tokens_out_max().unwrap_or(TOKENS_OUT.saturating_mul(call.choices.max(1)))
    }
}
