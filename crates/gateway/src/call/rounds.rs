//! Rounds of tools: the model asks for tools, the gateway runs them, and the model goes on with their results.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_contracts::ContractSet;
use ashlar_model::{canonical_json, check_json, nearest_of};
use jiff::Timestamp;
use serde_json::{Map, Value, json, value::RawValue};
use tokio::time::Instant;

use super::{
    attempt::Got,
    case::{Caller, Scene},
    ledger::Noted,
    private::Private,
    prompted::Prompted,
};
use crate::{
    config::Feature,
    record::WAITS,
    tools::{
        APPROVALS_MAX, Asks, Bound, CALLS_MAX, Decision, Does, INVALID_MAX, MARKED, Order, Pending,
        RESULTS_BYTES_MAX, Request, Servers, Tool, ToolFailure, marked,
    },
    wire::{
        Call, Choice, Fault, FaultKind, Finish, Message, Part, Picked, Role, Tool as Offered, ToolCall,
        Usage, Whole,
    },
};

/// The largest arguments of a tool, in bytes.
const ARGUMENTS_BYTES_MAX: usize = 16 << 10;
/// The longest result or reason of a failure that is repeated to a model when arguments are wrong, in characters.
const PROBLEM_CHARS_MAX: usize = 300;
/// Problems of arguments that are repeated to a model.
const PROBLEMS_MAX: usize = 10;

/// The tools of a call, and how far it is with them.
pub(super) struct Rounds<'a> {
    scene: &'a Scene,
    caller: &'a Caller,
    feature: &'a Feature,
    servers: &'a dyn Servers,
    tools: BTreeMap<&'a str, &'a Tool>,
    /// What each bound argument is.
    bound: Map<String, Value>,
    /// Requests for approval that the call brought, checked.
    approvals: Vec<Pending>,
    used: u32,
    invalid: u32,
    bytes: usize,
    /// What ran, in order, with what became of it.
    ran: Vec<String>,
    /// Tokens of the rounds before.
    usage: Usage,
}

/// What follows from an answer of the model.
pub(super) enum Next {
    /// It goes to the client.
    Done(Got),
    /// The results were added to the call: the model is asked again.
    Again,
}

fn refused(code: &'static str, message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Refused, code, message)
}

/// The tools that a call and its prompt name. `None` when they name none that the gateway runs.
fn named<'a>(
    scene: &'a Scene,
    caller: &Caller,
    feature: &Feature,
    call: &Call,
    prompted: Option<&Prompted>,
) -> Result<BTreeMap<&'a str, &'a Tool>, Fault> {
    let known = &scene.gateway.tools;
    let mut out = BTreeMap::new();
    let of_prompt = prompted.map_or(&[][..], |prompted| &prompted.prompt.tools);
    let of_call = call.ashlar.tools.iter().map(|name| (name, true));
    // A tool of a prompt that the gateway does not declare is one that the client runs.
    let of_prompt =
        of_prompt.iter().filter(|name| known.contains_key(name.as_str())).map(|name| (name, false));
    for (name, by_call) in of_call.chain(of_prompt) {
        let shown: String = name.chars().take(80).collect();
        let param = if by_call { "ashlar.tools" } else { "ashlar.prompt" };
        let Some((name, tool)) = known.get_key_value(name) else {
            let allowed = feature.tools.names().iter().map(String::as_str);
            let all =
                format!("the feature `{}` may use {}", caller.feature, feature.tools.names().join(", "));
            let message = format!("there is no tool `{shown}`; {}", nearest_of(name, allowed, &all));
            return Err(Fault::new(FaultKind::NotFound, "tool_not_found", message).at(param));
        };
        if !feature.tools.allows(name) {
            let message = format!("the feature `{}` may not use the tool `{shown}`", caller.feature);
            return Err(Fault::new(FaultKind::Permission, "tool_not_allowed", message).at(param));
        }
        out.insert(name.as_str(), tool);
    }
    Ok(out)
}

/// What the gateway puts into arguments.
fn bindings(
    tools: &BTreeMap<&str, &Tool>,
    caller: &Caller,
    call: &Call,
) -> Result<Map<String, Value>, Fault> {
    let mut out = Map::new();
    for bound in tools.values().flat_map(|tool| tool.bound.values()) {
        let missing = |param: &str, what: &str| {
            let message = format!("a tool of this call needs {what}; name it in `{param}`");
            Fault::invalid(param, message)
        };
        let value = match bound {
            Bound::User => call.user.clone().ok_or_else(|| missing("user", "the end user"))?,
            Bound::Session => {
                call.ashlar.session.clone().ok_or_else(|| missing("ashlar.session", "the session"))?
            }
            Bound::Feature => caller.feature.clone(),
            Bound::Tenant => caller.tenant.to_string(),
        };
        out.insert(bound.name().to_owned(), json!(value));
    }
    Ok(out)
}

fn offered(name: &str, tool: &Tool, contracts: &ContractSet) -> Result<Offered, Fault> {
    let schema = tool.shown(contracts).and_then(|schema| RawValue::from_string(schema.to_string()).ok());
    let parameters = schema.ok_or_else(|| {
        let message = format!("the contract of the tool `{name}` is not in the release");
        Fault::new(FaultKind::Overloaded, "contract_missing", message)
    })?;
    Ok(Offered {
        name: name.to_owned(),
        description: Some(tool.description.clone()),
        parameters: Some(parameters),
        strict: None,
    })
}

impl<'a> Rounds<'a> {
    /// The tools of a call, offered to the model. `None` when the call has none that the gateway runs.
    pub async fn of(
        scene: &'a Scene,
        (caller, feature): (&'a Caller, &'a Feature),
        call: &mut Call,
        prompted: Option<&Prompted>,
        servers: Option<&'a Arc<dyn Servers>>,
    ) -> Result<Option<Self>, Fault> {
        if call.ashlar.tools.is_empty() && prompted.is_none_or(|prompted| prompted.prompt.tools.is_empty()) {
            return Ok(None);
        }
        let tools = named(scene, caller, feature, call, prompted)?;
        if tools.is_empty() {
            return Ok(None);
        }
        let servers = servers.ok_or_else(|| {
            let message = "this server has no tool servers; the operator names them in models.toml";
            Fault::new(FaultKind::Overloaded, "tool_servers_missing", message)
        })?;
        if call.choices > 1 {
            let message = "several answers (`n`) are not possible with tools of the gateway; leave `n` out";
            return Err(Fault::new(FaultKind::Invalid, "unsupported_parameter", message).at("n"));
        }
        if let Some(twice) = call.tools.iter().find(|tool| tools.contains_key(tool.name.as_str())) {
            let message =
                format!("`{}` is a tool of the gateway; give your own tool another name", twice.name);
            return Err(Fault::invalid("tools", message));
        }
        let bound = bindings(&tools, caller, call)?;
        let contracts = scene.contracts.as_ref().as_ref();
        for (name, tool) in &tools {
            call.tools.push(offered(name, tool, contracts)?);
        }
        let systems = call.messages.iter().take_while(|message| message.role == Role::System).count();
        call.messages.insert(systems, Message::text(Role::System, MARKED));
        call.changed = true;
        let mut made = Self {
            scene,
            caller,
            feature,
            servers: servers.as_ref(),
            tools,
            bound,
            approvals: Vec::new(),
            used: 0,
            invalid: 0,
            bytes: 0,
            ran: Vec::new(),
            usage: Usage::default(),
        };
        made.approvals = made.brought(call).await?;
        Ok(Some(made))
    }

    /// The approvals that a call brought. One that was changed, or is for somebody else, refuses the call.
    async fn brought(&self, call: &Call) -> Result<Vec<Pending>, Fault> {
        let texts = &call.ashlar.approvals;
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let at = |message: String| {
            Fault::new(FaultKind::Permission, "approval_invalid", message).at("ashlar.approvals")
        };
        if texts.len() > APPROVALS_MAX {
            return Err(at(format!(
                "there are {} approvals; at most {APPROVALS_MAX} are possible",
                texts.len()
            )));
        }
        let secret = self.servers.secret(&self.caller.tenant).await?;
        let now = Timestamp::now().as_second();
        let mut out = Vec::new();
        for text in texts {
            let pending = Pending::open(&secret, text, now).map_err(|error| at(error.to_string()))?;
            let own =
                Pending { id: pending.id.clone(), ..self.pending(&pending.tool, pending.arguments.clone()) };
            if (Pending { expires: pending.expires, ..own }) != pending {
                let message = "the approval is for another feature, key, end user or release; repeat the call without it";
                return Err(at(message.to_owned()));
            }
            out.push(pending);
        }
        Ok(out)
    }

    fn pending(&self, tool: &str, arguments: Value) -> Pending {
        Pending {
            id: String::new(),
            tenant: self.caller.tenant.to_string(),
            feature: self.caller.feature.clone(),
            key: self.caller.key.clone(),
            user: self.caller.user.clone(),
            release: self.scene.release.clone(),
            tool: tool.to_owned(),
            arguments,
            expires: 0,
        }
    }

    /// Runs what the last message of the model in the call itself asks for and nobody has answered: calls that waited for a person, or
    /// for results of the client.
    pub async fn resume(
        &mut self,
        call: &mut Call,
        private: &mut Private<'_>,
        end: Instant,
    ) -> Result<Option<Got>, Fault> {
        let Some(at) = call.messages.iter().rposition(|message| message.role != Role::Tool) else {
            return Ok(None);
        };
        let answered: Vec<&str> =
            call.messages[at + 1..].iter().filter_map(|message| message.answers.as_deref()).collect();
        let open: Vec<ToolCall> = call.messages[at]
            .calls
            .iter()
            .filter(|open| {
                self.tools.contains_key(open.name.as_str()) && !answered.contains(&open.id.as_str())
            })
            .map(|open| {
                let arguments = match private.vault() {
                    Some(vault) => vault.restore_json(&open.arguments).into_owned(),
                    None => open.arguments.clone(),
                };
                ToolCall { arguments, ..open.clone() }
            })
            .collect();
        if call.messages[at].role != Role::Assistant || open.is_empty() {
            return Ok(None);
        }
        let (results, waiting) = self.all(&open, end).await?;
        if !waiting.is_empty() {
            let picked = Picked { calls: open, finish: Finish::Tools, ..Picked::default() };
            let id = format!("call-{}", self.caller.trace);
            let whole = Whole { id, model: call.model.clone(), picked: vec![picked], usage: self.usage };
            return Ok(Some(self.stopped(whole, waiting).await?));
        }
        private.add(call, results);
        Ok(None)
    }

    /// Decides what follows from an answer of the model.
    pub async fn follow(
        &mut self,
        call: &mut Call,
        got: Got,
        (private, noted): (&mut Private<'_>, &Noted),
        end: Instant,
    ) -> Result<Next, Fault> {
        let Got::Whole { mut whole, raw, more } = got else {
            return Err(Fault::new(
                FaultKind::Upstream,
                "upstream_malformed",
                "the provider sent pieces where a whole answer was asked for",
            ));
        };
        let before = std::mem::take(&mut self.usage);
        self.usage = sum(before, whole.usage);
        whole.usage = self.usage;
        let raw = raw.filter(|_| self.used == 0);
        let Some(picked) = whole.picked.first_mut().filter(|picked| !picked.calls.is_empty()) else {
            self.note(noted);
            return Ok(Next::Done(Got::Whole { whole, raw, more }));
        };
        let theirs = |called: &ToolCall| {
            call.tools.iter().any(|tool| tool.name == called.name)
                && !self.tools.contains_key(called.name.as_str())
        };
        if picked.calls.iter().any(theirs) {
            // The client answers its own tools first. Calls of the gateway's tools are run when the conversation comes back.
            picked.calls.retain(|called| theirs(called) || self.tools.contains_key(called.name.as_str()));
            self.note(noted);
            return Ok(Next::Done(Got::Whole { whole, raw, more }));
        }
        if self.used >= self.feature.tool_rounds {
            let message = format!(
                "the model asked for tools in more than {} rounds; ask for less at once, or raise `tool_rounds` of the feature",
                self.feature.tool_rounds
            );
            self.note(noted);
            return Err(refused("tool_rounds_exceeded", message));
        }
        self.used += 1;
        let calls = picked.calls.clone();
        let outcome = self.all(&calls, end).await;
        self.note(noted);
        let (results, waiting) = outcome?;
        if !waiting.is_empty() {
            picked.finish = Finish::Tools;
            return Ok(Next::Done(self.stopped(whole, waiting).await?));
        }
        let mut said = Message::text(Role::Assistant, std::mem::take(&mut picked.text));
        if matches!(said.parts.first(), Some(Part::Text(text)) if text.is_empty()) {
            said.parts.clear();
        }
        said.calls = calls;
        let mut new = vec![said];
        new.extend(results);
        private.add(call, new);
        // A choice that forces tools counts for the first round, or the model could never answer.
        if matches!(call.choice, Some(Choice::Any | Choice::Tool(_))) {
            call.choice = Some(Choice::Auto);
        }
        if self.used >= self.feature.tool_rounds {
            call.choice = Some(Choice::None);
        }
        Ok(Next::Again)
    }

    /// Runs calls in their order. When one of them waits for a person, none is run, and the second value has those that wait.
    async fn all(
        &mut self,
        calls: &[ToolCall],
        end: Instant,
    ) -> Result<(Vec<Message>, BTreeMap<String, Pending>), Fault> {
        let mut waiting = BTreeMap::new();
        for called in calls.iter().take(CALLS_MAX) {
            if let Some(pending) = self.waits(called).await? {
                self.ran.push(format!("{}: {WAITS}", pending.tool));
                waiting.insert(called.id.clone(), pending);
            }
        }
        let mut results = Vec::new();
        for (number, called) in calls.iter().enumerate().take_while(|_| waiting.is_empty()) {
            if number >= CALLS_MAX {
                let why = format!("at most {CALLS_MAX} tools are called at once; call it again alone");
                results.push(self.failed(called, "too many", &why));
                continue;
            }
            results.push(self.one(called, end).await?);
        }
        Ok((results, waiting))
    }

    fn answer(&mut self, called: &ToolCall, text: &str, failed: bool) -> Message {
        let room = RESULTS_BYTES_MAX.saturating_sub(self.bytes);
        let text = if text.len() > room { "(no room for further results)" } else { text };
        self.bytes += text.len();
        let mut message = Message::text(Role::Tool, marked(&plain_name(&called.name), text));
        (message.answers, message.failed) = (Some(called.id.clone()), failed);
        message
    }

    fn failed(&mut self, called: &ToolCall, what: &str, why: &str) -> Message {
        self.ran.push(format!("{}: {what}", plain_name(&called.name)));
        self.answer(called, &format!("Error: {why}"), true)
    }

    /// Arguments that the tool does not take. The model may try again, but not for ever.
    fn invalid(&mut self, called: &ToolCall, why: &str) -> Result<Message, Fault> {
        self.invalid += 1;
        let message = self.failed(called, "invalid", why);
        if self.invalid > INVALID_MAX {
            let name = plain_name(&called.name);
            let message = format!(
                "the model called the tool `{name}` with arguments that it does not take, {} times; last: {why}",
                self.invalid
            );
            return Err(refused("tool_arguments_invalid", message));
        }
        Ok(message)
    }

    /// The arguments of a call, with those that the gateway sets, or what is wrong with them.
    fn arguments(&self, called: &ToolCall, tool: &Tool) -> Result<Value, String> {
        if called.arguments.len() > ARGUMENTS_BYTES_MAX {
            return Err(format!("the arguments have more than {ARGUMENTS_BYTES_MAX} bytes"));
        }
        let text = if called.arguments.trim().is_empty() { "{}" } else { &called.arguments };
        let mut value: Value =
            serde_json::from_str(text).map_err(|error| format!("the arguments are not JSON: {error}"))?;
        let Some(map) = value.as_object_mut() else {
            return Err("the arguments are not an object".to_owned());
        };
        for (name, bound) in &tool.bound {
            if map.contains_key(name) {
                return Err(format!("`{name}` is set by the gateway; leave it out"));
            }
            map.insert(name.clone(), self.bound.get(bound.name()).cloned().unwrap_or_default());
        }
        check_json(&value).map_err(|error| error.to_string())?;
        let contract = tool
            .contract(self.scene.contracts.as_ref().as_ref())
            .ok_or_else(|| "the tool has no contract in this release".to_owned())?;
        let violations = contract.validate(&value);
        if violations.is_empty() {
            return Ok(value);
        }
        let problems: Vec<String> = violations
            .iter()
            .take(PROBLEMS_MAX)
            .map(|violation| {
                let place = if violation.path.is_empty() { "/" } else { &violation.path };
                let message: String = violation.message.chars().take(PROBLEM_CHARS_MAX).collect();
                format!("{place}: {message}")
            })
            .collect();
        Err(format!("the arguments do not follow the schema: {}", problems.join("; ")))
    }

    async fn one(&mut self, called: &ToolCall, end: Instant) -> Result<Message, Fault> {
        let Some((name, tool)) = self.tools.get_key_value(called.name.as_str()).map(|(n, t)| (*n, *t)) else {
            let names: Vec<&str> = self.tools.keys().copied().collect();
            let why = format!("there is no such tool; there are {}", names.join(", "));
            return self.invalid(called, &why);
        };
        let arguments = match self.arguments(called, tool) {
            Ok(arguments) => arguments,
            Err(why) => return self.invalid(called, &why),
        };
        let asks = match &tool.does {
            Does::Http { method, path } => match Request::new(*method, path, &arguments) {
                Ok(request) => Asks::Http(request),
                Err(error) => return self.invalid(called, &error.to_string()),
            },
            Does::Mcp { tool } => Asks::Mcp { tool, arguments: &arguments },
        };
        if tool.effects {
            let why = match self.decision(name, &arguments, true).await? {
                Decision::Approved => None,
                Decision::Refused => Some("a person refused this call; do not try it again"),
                Decision::Open | Decision::Used => Some("this call needs an approval of its own"),
            };
            if let Some(why) = why {
                return Ok(self.failed(called, "refused", why));
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        let order = Order {
            tenant: &self.caller.tenant,
            server: &tool.server,
            asks,
            headers: &tool.headers,
            timeout: tool.timeout.min(left),
            bytes_max: tool.result_bytes,
            trace: &self.caller.trace,
        };
        let running = tokio::time::timeout(tool.timeout.min(left), self.servers.run(order));
        let result =
            running.await.unwrap_or_else(|_| Err(ToolFailure::new("the tool did not answer in time")));
        Ok(match result {
            Ok(text) => {
                self.ran.push(format!("{name}: ok"));
                self.answer(called, &text, false)
            }
            Err(failure) => self.failed(called, "failed", &failure.message),
        })
    }

    /// The request for approval of exactly this call that the call brought.
    fn brought_for(&self, tool: &str, arguments: &Value) -> Option<&Pending> {
        let wanted = canonical(arguments);
        self.approvals.iter().find(|known| known.tool == tool && canonical(&known.arguments) == wanted)
    }

    /// What was decided about exactly this call. `uses`: an approval counts as used from now on.
    async fn decision(&self, tool: &str, arguments: &Value, uses: bool) -> Result<Decision, Fault> {
        let Some(pending) = self.brought_for(tool, arguments) else { return Ok(Decision::Open) };
        self.servers.redeem(&self.caller.tenant, pending, uses).await
    }

    /// The request for approval that a call waits for; `None` when it can be run, or was refused.
    async fn waits(&self, called: &ToolCall) -> Result<Option<Pending>, Fault> {
        let Some((name, tool)) = self.tools.get_key_value(called.name.as_str()) else { return Ok(None) };
        if !tool.effects {
            return Ok(None);
        }
        // What is wrong with arguments is said to the model, and no person is asked.
        let Ok(arguments) = self.arguments(called, tool) else { return Ok(None) };
        if let Does::Http { method, path } = &tool.does
            && Request::new(*method, path, &arguments).is_err()
        {
            return Ok(None);
        }
        match self.decision(name, &arguments, false).await? {
            Decision::Approved | Decision::Refused => return Ok(None),
            Decision::Open => {
                if let Some(known) = self.brought_for(name, &arguments) {
                    return Ok(Some(known.clone()));
                }
            }
            Decision::Used => {}
        }
        let fresh = self.pending(name, arguments).fresh(Timestamp::now().as_second());
        fresh.map(Some).ok_or_else(|| {
            Fault::new(FaultKind::Overloaded, "unavailable", "an approval cannot be asked for now; try again")
        })
    }

    /// An answer that ends with calls that wait for a person.
    async fn stopped(&self, mut whole: Whole, waiting: BTreeMap<String, Pending>) -> Result<Got, Fault> {
        let secret = self.servers.secret(&self.caller.tenant).await?;
        let requests: Vec<Value> = waiting
            .iter()
            .map(|(id, pending)| {
                let expires = Timestamp::from_second(pending.expires).unwrap_or_default().to_string();
                json!({
                    "call": id, "tool": pending.tool, "arguments": pending.arguments, "expires": expires,
                    "request": pending.sign(&secret),
                })
            })
            .collect();
        if let Some(picked) = whole.picked.first_mut() {
            picked.calls.retain(|called| self.tools.contains_key(called.name.as_str()));
        }
        Ok(Got::Whole { whole, raw: None, more: Some(json!({ "approvals": requests })) })
    }

    /// Writes down what ran.
    fn note(&self, noted: &Noted) {
        noted.note(|ledger| {
            ledger.facts.tools =
                self.ran.iter().filter_map(|ran| ran.split(':').next().map(str::to_owned)).collect();
            if !self.ran.is_empty() {
                ledger.facts.verdicts.insert("tools".to_owned(), self.ran.join(", "));
            }
        });
    }
}

fn canonical(value: &Value) -> Vec<u8> {
    canonical_json(value).unwrap_or_default()
}

/// The name of a tool as it may be repeated: models invent names.
fn plain_name(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).take(64).collect()
}

fn sum(one: Usage, two: Usage) -> Usage {
    Usage {
        input: one.input.saturating_add(two.input),
        cached_input: one.cached_input.saturating_add(two.cached_input),
        cache_write: one.cache_write.saturating_add(two.cache_write),
        output: one.output.saturating_add(two.output),
        reasoning: one.reasoning.saturating_add(two.reasoning),
    }
}
