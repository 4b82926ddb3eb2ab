//! Where calls come in.

use std::sync::Arc;

use ashlar_model::nearest_of;
use bytes::Bytes;

use super::{
    admit::admit,
    attempt::{self, Got},
    built_in::{BuiltIn, pieces},
    case::{Body, Caller, Case, Desk, Reply, Scene, What},
    flow::Way,
    ledger::Noted,
    private::{Masks, Private, redacted_texts},
    prompted::{self, Prompted},
    remembered::remembered,
    rounds::Rounds,
    talk::Talk,
};
use crate::{
    config::{Feature, FilterRules},
    filter::Filter,
    record::{SOURCES_MAX, Text, TextSource},
    review::Sampling,
    routing::{Stage, plan, point},
    upstream::Providers,
    wire::{Call, Fault, FaultKind, Part, Role, Surface, anthropic, openai},
};

/// The most tokens that an answer is taken to have when the request does not bound it.
const TOKENS_OUT: u64 = 4_096;
/// What `model` is when the call leaves the route to its prompt, or to its feature.
const ANY: [&str; 2] = ["", "default"];

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

    /// The route that a call names, or else the one of its prompt, or else the first of its feature.
    fn route(
        &self,
        feature: &Feature,
        (name, of): (&str, &str),
        prompt: Option<&Prompted>,
    ) -> Result<&str, Fault> {
        let routes = self.gateway.routes_of(feature);
        let known: Vec<&str> = routes.iter().map(|(name, _)| *name).collect();
        let named = self.gateway.routes.contains_key(name);
        let of_prompt = prompt.and_then(|prompted| prompted.prompt.route.as_deref());
        let name = match of_prompt.or(known.first().copied()) {
            Some(other) if ANY.contains(&name) && !named => other,
            _ => name,
        };
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

/// Writes a whole answer in the client's format.
fn written(call: &Call, got: Got) -> Bytes {
    match got {
        Got::Raw(raw) | Got::Whole { raw: Some(raw), .. } => raw,
        Got::Whole { whole, more, .. } => match call.surface {
            Surface::OpenAi => openai::write_whole(call, &whole, more).into(),
            Surface::Anthropic => anthropic::write_whole(call, &whole, more).into(),
        },
        Got::Stream(_) => Bytes::new(),
    }
}

/// Writes an answer as the client wants it.
fn body(call: &Call, got: Got) -> Body {
    match got {
        Got::Stream(stream) => Body::Stream(stream),
        Got::Whole { whole, more, .. } if call.stream => {
            let mut way = Way::new(call);
            if let Some(more) = more {
                way.more(more);
            }
            let mut out = Vec::new();
            pieces(&whole).iter().for_each(|delta| way.write(delta, &mut out));
            way.end(&mut out);
            Body::Stream(Box::pin(futures::stream::once(std::future::ready(Bytes::from(out)))))
        }
        got => Body::Whole(written(call, got)),
    }
}

impl Desk {
    /// A desk with these providers.
    #[must_use]
    pub fn new(providers: Providers) -> Self {
        Self { providers, ..Self::default() }
    }

    /// Answers a call.
    ///
    /// # Errors
    /// When it is refused, or no target answers.
    pub async fn chat(
        &self,
        scene: &Scene,
        caller: &Caller,
        mut call: Call,
        released: &dyn BuiltIn,
    ) -> Result<Reply, Fault> {
        let noted = Noted::new(call.tokens_in(), scene.closing.clone());
        noted.note(|ledger| ledger.facts.streamed = call.stream);
        let answered = self.answered(scene, caller, &mut call, released, &noted).await;
        ended(&noted, answered.map(|got| body(&call, got)))
    }

    async fn answered(
        &self,
        scene: &Scene,
        caller: &Caller,
        call: &mut Call,
        released: &dyn BuiltIn,
        noted: &Noted,
    ) -> Result<Got, Fault> {
        let feature = scene.feature(&caller.feature)?;
        let prompted = prompted::prepare(scene, caller, feature, call, released, noted).await?;
        let prompt = prompted.as_ref().map(|prompted| prompted.prompt.as_ref());
        let (mut private, masks) = Private::of(scene, feature, call, prompt)?;
        if feature.text_days > 0 {
            let text = stored(call, prompted.as_ref(), &masks);
            noted.note(|ledger| ledger.keep(text, feature.text_days, masks));
        }
        if let Some(rules) = &feature.review {
            let searched = prompted.as_ref().map_or(feature.indexes.names(), Prompted::indexes);
            let review = Sampling { rules: rules.clone(), indexes: searched.to_vec() };
            noted.note(|ledger| ledger.facts.review = Some(review));
        }
        let asked = asked(call, prompted.as_ref());
        let rounds =
            Rounds::of(scene, (caller, feature), call, prompted.as_ref(), self.servers.as_ref()).await?;
        private.hide(call, 0);
        let vault = private.vault();
        if feature.text_days > 0 {
            noted.note(|ledger| ledger.masks.vault.clone_from(&vault));
        }
        let route = scene.route(feature, (&call.model, &caller.feature), prompted.as_ref())?;
        let sticky = call.ashlar.session.as_deref().or(call.user.as_deref());
        let point = point(sticky.unwrap_or(&caller.trace));
        let out_max = call.tokens_out_max().unwrap_or(TOKENS_OUT.saturating_mul(call.choices));
        let stages =
            staged(scene, feature, (route, point), (call.tokens_in(), call.tokens_out_max().unwrap_or(0)))?;
        // What tools answer may differ from call to call.
        let slot = match rounds {
            Some(_) => None,
            None => self.slot(scene, (caller, feature), call, (released, prompted.as_ref(), route)),
        };
        if let Some(slot) = &slot
            && let Some(got) = remembered(slot, scene, call, (prompted.as_ref(), vault.as_deref()), noted)
        {
            // It costs nothing, and counts as a request.
            let admitted = admit(scene, caller, route, (0, 0), noted).await;
            return admitted.map(|()| got).inspect_err(|_| noted.note(|ledger| ledger.facts.cache = ""));
        }
        admit(scene, caller, route, (call.tokens_in(), out_max), noted).await?;
        let streams = call.stream;
        let talk = Talk {
            desk: self,
            scene,
            caller,
            feature,
            released,
            question: asked.as_deref(),
            prompted: prompted.as_ref(),
            route,
            stages,
            point,
            out_max,
            filter: self.filter(feature, call),
            slot,
            noted,
        };
        let got = talk.answer(call, rounds, private).await?;
        call.stream = streams;
        Ok(got)
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    /// When it is refused, or no target answers.
    pub async fn embed(
        &self,
        scene: &Scene,
        caller: &Caller,
        asked: &openai::Embeddings,
    ) -> Result<Reply, Fault> {
        let noted = Noted::new(asked.tokens_in, scene.closing.clone());
        let made = async {
            let feature = scene.feature(&caller.feature)?;
            let redacted = redacted_texts(scene, feature, asked);
            let asked = redacted.as_ref().unwrap_or(asked);
            let route = scene.route(feature, (&asked.model, &caller.feature), None)?;
            // Vectors of two models do not compare, so a caller stays where it is.
            let point = point(&caller.key);
            let stages = staged(scene, feature, (route, point), (asked.tokens_in, 0))?;
            admit(scene, caller, route, (asked.tokens_in, 0), &noted).await?;
            let case = Case {
                caller,
                what: What::Embed(asked),
                released: None,
                question: None,
                indexes: &[],
                vault: None,
                point,
                filter: None,
                slot: None,
                noted: noted.clone(),
            };
            attempt::run(self, &case, &stages).await
        };
        let made = made.await.map(|got| match got {
            Got::Raw(raw) => Body::Whole(raw),
            Got::Whole { .. } | Got::Stream(_) => Body::Whole(Bytes::new()),
        });
        ended(&noted, made)
    }
}

impl Desk {
    /// What must not leave in the answers of a call; `None` when everything may.
    fn filter(&self, feature: &Feature, call: &Call) -> Option<Arc<Filter>> {
        if feature.filter == FilterRules::default() {
            return None;
        }
        let keys = self.providers.0.values().filter_map(|provider| provider.key.plain());
        let system =
            call.messages.iter().filter(|message| matches!(message.role, Role::System | Role::Developer));
        let texts = system.flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        Filter::new(feature.filter, keys, texts).map(Arc::new)
    }
}

/// The question of a call.
fn asked(call: &Call, prompted: Option<&Prompted>) -> Option<String> {
    prompted.and_then(|prompted| prompted.question.clone()).or_else(|| call.question())
}

/// The text of a call as it is stored. What is answered comes later.
fn stored(call: &Call, prompted: Option<&Prompted>, masks: &Masks) -> Text {
    // Messages of a prompt come before those of the client.
    let own = call.messages.iter().skip(prompted.map_or(0, |prompted| prompted.messages));
    let turns = own.filter(|message| message.role == Role::User).count();
    let sources = prompted.map_or(&[][..], Prompted::sources).iter().take(SOURCES_MAX);
    Text {
        input: masks.mask(&spoken(call)),
        question: masks.mask(&asked(call, prompted).unwrap_or_default()),
        turns: u32::try_from(turns).unwrap_or(u32::MAX),
        locale: call.ashlar.locale.clone(),
        sources: sources
            .map(|source| TextSource {
                title: source.title.clone(),
                path: source.path.clone(),
                text: source.text.clone(),
                cited: false,
            })
            .collect(),
        ..Text::default()
    }
}

/// What is said in a call, as it is stored.
fn spoken(call: &Call) -> String {
    let each = call.messages.iter().map(|message| format!("{:?}: {}", message.role, message.joined()));
    each.collect::<Vec<_>>().join("\n")
}

/// The plan of a call in which it fits.
fn staged<'a>(
    scene: &'a Scene,
    feature: &Feature,
    (route, point): (&'a str, u64),
    (tokens_in, tokens_out): (u64, u64),
) -> Result<Vec<Stage<'a>>, Fault> {
    let tokens = tokens_in.saturating_add(tokens_out);
    let stages = plan(&scene.gateway, feature, route, point, tokens);
    if stages.is_empty() {
        let most = scene.gateway.routes.get(route).and_then(|route| route.context).unwrap_or(0);
        let message = format!(
            "the request has about {tokens} tokens with its answer; the route `{route}` takes {most}: send less, or lower max_tokens"
        );
        return Err(Fault::new(FaultKind::Invalid, "context_length_exceeded", message).at("messages"));
    }
    Ok(stages)
}

/// Notes how a call went on.
fn ended(noted: &Noted, body: Result<Body, Fault>) -> Result<Reply, Fault> {
    match body {
        Ok(body) => {
            // A stream says itself how it ends.
            if matches!(body, Body::Whole(_)) || noted.note(|ledger| ledger.is_counted()) {
                noted.note(|ledger| {
                    ledger.facts.status = 200;
                    if ledger.facts.outcome.is_empty() {
                        ledger.facts.outcome = "ok".to_owned();
                    }
                });
            }
            Ok(Reply { facts: noted.facts(), body })
        }
        Err(fault) => {
            noted.failed(&fault);
            Err(fault)
        }
    }
}
