//! Calls that name a prompt: what is put before their messages, and what their answers must be.

use serde_json::{Value, json};

use super::{
    built_in::{BuiltIn, Wanted},
    case::{Caller, Scene},
    ledger::Noted,
};
use crate::{
    config::{Allowed, Feature},
    ground::{self, Demand, Grounded, Source},
    output::{self, Verdict},
    prompts::{Grounding, Prompt, PromptError, Role as Says, Who},
    record::REFUSAL,
    wire::{Call, Fault, FaultKind, Message, Output, Picked, Role, Source as Cited, Whole},
};

/// The locale of answers when a call names none.
const LOCALE: &str = "en";
/// How much of a source is shown beside its citation, in characters.
const CITED_CHARS: usize = 150;

/// What a prompt asks of the answer.
pub(super) struct Prompted {
    pub prompt: std::sync::Arc<Prompt>,
    /// What the built-in model is asked, and what was searched for.
    pub question: Option<String>,
    sources: Vec<Source>,
    /// The indexes that were searched; empty when the release decides.
    indexes: Vec<String>,
    /// How many messages of the call are its own.
    pub messages: usize,
    locale: String,
}

/// What is to be done with an answer.
pub(super) enum Judged {
    /// It is shown.
    Shown(Whole, Value),
    /// The model is asked again, with this message after its answer.
    Again(String),
}

fn fault(error: &PromptError) -> Fault {
    let kind = match error.code {
        "prompt_not_found" | "prompt_version_not_found" => FaultKind::NotFound,
        _ => FaultKind::Invalid,
    };
    let param = match &error.variable {
        Some(variable) => format!("ashlar.variables.{variable}"),
        None => "ashlar.prompt".to_owned(),
    };
    Fault::new(kind, error.code, format!("{} {}", error.message, error.help)).at(param)
}

fn raw(value: &Value) -> Option<Box<serde_json::value::RawValue>> {
    serde_json::value::RawValue::from_string(value.to_string()).ok()
}

/// Takes over what the prompt says about the answer. Where it says nothing, the call decides.
fn set_params(call: &mut Call, prompt: &Prompt) {
    let params = &prompt.params;
    call.temperature = params.temperature.or(call.temperature);
    call.top_p = params.top_p.or(call.top_p);
    call.tokens_max = params.max_tokens.map(u64::from).or(call.tokens_max);
    if !params.stop.is_empty() {
        call.stop.clone_from(&params.stop);
    }
    let rest = [
        ("seed", params.seed.map(|n| json!(n))),
        ("presence_penalty", params.presence_penalty.map(|n| json!(n))),
        ("frequency_penalty", params.frequency_penalty.map(|n| json!(n))),
        ("reasoning_effort", params.reasoning_effort.as_ref().map(|text| json!(text))),
    ];
    for (name, value) in rest {
        if let Some(value) = value.as_ref().and_then(raw) {
            call.rest.retain(|(known, _)| known != name);
            call.rest.push((name.to_owned(), value));
        }
    }
}

/// The indexes that a prompt may search for a feature. Empty when the release decides, or when none of the named ones is allowed.
fn indexes(feature: &Feature, named: &[String]) -> Vec<String> {
    if !named.is_empty() {
        return named.iter().filter(|index| feature.indexes.allows(index)).cloned().collect();
    }
    match &feature.indexes {
        Allowed::All => Vec::new(),
        Allowed::Only(names) => names.clone(),
    }
}

/// Chooses the version of the prompt that a call names, retrieves its sources, and puts its messages first.
pub(super) async fn prepare(
    scene: &Scene,
    caller: &Caller,
    feature: &Feature,
    call: &mut Call,
    released: &dyn BuiltIn,
    noted: &Noted,
) -> Result<Option<Prompted>, Fault> {
    let Some(name) = call.ashlar.prompt.clone() else { return Ok(None) };
    if !feature.prompts.allows(&name) {
        let shown: String = name.chars().take(80).collect();
        let message = format!("the feature `{}` may not use the prompt `{shown}`", caller.feature);
        return Err(Fault::new(FaultKind::Permission, "prompt_not_allowed", message).at("ashlar.prompt"));
    }
    let keys = [caller.key.as_str()];
    let who = Who {
        tenant: caller.tenant.as_str(),
        feature: &caller.feature,
        keys: &keys,
        user: call.user.as_deref(),
        session: call.ashlar.session.as_deref(),
        request: &caller.trace,
    };
    let chosen = scene.prompts.choose(&name, call.ashlar.version, &who).map_err(|error| fault(&error))?;
    let prompt = chosen.prompt;
    noted.note(|ledger| ledger.facts.prompt = prompt.label());
    prompt.check(&call.ashlar.variables).map_err(|error| fault(&error))?;
    let question = prompt.query(&call.ashlar.variables).or_else(|| call.question()).filter(|q| !q.is_empty());
    let (mut sources, mut searched) = (Vec::new(), Vec::new());
    if let (Some(grounding), Some(query)) = (&prompt.grounding, &question) {
        let indexes = indexes(feature, &grounding.indexes);
        if indexes.is_empty() && !grounding.indexes.is_empty() {
            let message =
                format!("the feature `{}` may not search the indexes of {}", caller.feature, prompt.label());
            return Err(Fault::new(FaultKind::Permission, "index_not_allowed", message).at("ashlar.prompt"));
        }
        searched.clone_from(&indexes);
        let wanted = Wanted {
            query: query.clone(),
            indexes,
            chunks: grounding.chunks,
            locale: call.ashlar.locale.clone(),
        };
        sources = released.sources(wanted).await?;
        noted.note(|ledger| ledger.facts.chunks = sources.iter().map(|source| source.id.clone()).collect());
    }
    let rendered = prompt.render(&call.ashlar.variables, &sources).map_err(|error| fault(&error))?;
    let says = |role| match role {
        Says::System => Role::System,
        Says::User => Role::User,
        Says::Assistant => Role::Assistant,
    };
    let messages =
        rendered.messages.into_iter().map(|message| Message::text(says(message.role), message.text));
    let before = call.messages.len();
    call.messages.splice(0..0, messages);
    let own = call.messages.len() - before;
    if prompt.provider_cache {
        call.kept = own;
    }
    set_params(call, &prompt);
    if let Some(contract) =
        prompt.output.as_ref().and_then(|name| scene.contracts.as_ref().as_ref().get(name))
    {
        let format = output::openai_format(contract, scene.contracts.as_ref().as_ref());
        call.output = Some(Output::Schema {
            name: format["json_schema"]["name"].as_str().unwrap_or("answer").to_owned(),
            schema: format["json_schema"]["schema"].clone(),
            strict: format["json_schema"]["strict"].as_bool().unwrap_or(false),
        });
    }
    call.changed = true;
    let locale = call.ashlar.locale.clone().unwrap_or_else(|| LOCALE.to_owned());
    Ok(Some(Prompted { prompt, question, sources, indexes: searched, messages: own, locale }))
}

impl Prompted {
    /// The indexes that were searched; empty when the release decides.
    pub fn indexes(&self) -> &[String] {
        &self.indexes
    }

    /// What was retrieved for the call.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Compares an answer with its sources. `value`: the answer when it follows a contract.
    fn compared(&self, grounding: &Grounding, text: &str, value: Option<&Value>) -> Grounded {
        let demand = Demand { rule: grounding.rule, citations: grounding.citations, locale: &self.locale };
        match value {
            Some(value) => ground::check_value(value, &self.sources, demand),
            None => ground::check(text, &self.sources, demand),
        }
    }

    /// Judges a whole answer. `repairs`: how often the model was asked again. `quoted`: the built-in model made it.
    /// Long because it has one part for each check.
    pub fn judge(
        &self,
        scene: &Scene,
        mut whole: Whole,
        (repairs, quoted): (u32, bool),
        noted: &Noted,
    ) -> Result<Judged, Fault> {
        let mut more = json!({ "prompt": self.prompt.label() });
        let verdict = |name: &str, says: String| {
            noted.note(|ledger| ledger.facts.verdicts.insert(name.to_owned(), says));
        };
        for picked in &mut whole.picked {
            // Tools are called before there is an answer.
            if !picked.calls.is_empty() || quoted {
                continue;
            }
            let mut valid = None;
            if let Some(name) = &self.prompt.output {
                let contract = scene.contracts.as_ref().as_ref().get(name).ok_or_else(|| {
                    let message =
                        format!("the contract `{name}` of {} is not in the release", self.prompt.label());
                    Fault::new(FaultKind::Overloaded, "contract_missing", message)
                })?;
                match output::judge(contract, &picked.text, repairs) {
                    Verdict::Valid(value) => {
                        verdict(
                            "output",
                            if repairs == 0 { "valid".to_owned() } else { "repaired".to_owned() },
                        );
                        picked.text = value.to_string();
                        valid = Some(value);
                    }
                    Verdict::Repair(message) => return Ok(Judged::Again(message)),
                    Verdict::Refuse(refusal) => {
                        verdict("output", "refused".to_owned());
                        let problems = refusal.problems.join("; ");
                        let message = format!("{} {problems}", refusal.message);
                        return Err(Fault::new(FaultKind::Refused, refusal.code, message));
                    }
                }
            }
            if let Some(grounding) = &self.prompt.grounding {
                let grounded = self.compared(grounding, &picked.text, valid.as_ref());
                verdict("grounding", format!("{:.2}", grounded.groundedness));
                more["groundedness"] = json!((f64::from(grounded.groundedness) * 1_000.0).round() / 1_000.0);
                if let Some(refusal) = grounded.refusal {
                    verdict(REFUSAL, refusal.code.to_string());
                    more["refusal"] = json!({"code": refusal.code, "reason": refusal.message});
                    *picked = Picked {
                        text: refusal.message.clone(),
                        refusal: Some(refusal.message),
                        finish: picked.finish,
                        ..Picked::default()
                    };
                    continue;
                }
                let to = grounded.text.chars().count();
                let cited =
                    grounded.cited.iter().filter_map(|number| self.sources.get(number.checked_sub(1)?));
                picked.sources = cited
                    .clone()
                    .map(|source| Cited {
                        title: source.title.clone(),
                        url: source.path.clone(),
                        words: source.text.chars().take(CITED_CHARS).collect(),
                        from: 0,
                        to,
                    })
                    .collect();
                more["citations"] = cited
                    .map(|source| {
                        json!({
                            "chunk": source.id, "type": source.type_name, "id": source.entry, "title": source.title,
                            "path": source.path, "text": source.text.chars().take(CITED_CHARS).collect::<String>(),
                        })
                    })
                    .collect();
                // An answer that follows a contract is JSON: what is left out would break it.
                if self.prompt.output.is_none() {
                    picked.text = grounded.text;
                }
            }
        }
        if let Some(picked) = whole.picked.first().filter(|picked| picked.calls.is_empty() && !quoted) {
            noted.note(|ledger| ledger.shows(&picked.text, &picked.sources));
        }
        Ok(Judged::Shown(whole, more))
    }
}
