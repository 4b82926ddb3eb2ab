//! Tries targets until one answers.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::Stream;
use tokio::time::{Instant, sleep_until};

use super::{
    built_in::{question, whole as quotes},
    case::{Case, Desk, What},
    flow::Flow,
    hedge,
};
use crate::{
    cache::{Gathering, Slot},
    config::{BUILT_IN, Route, Target},
    filter::Filter,
    record::REFUSAL,
    redact::Vault,
    routing::{RETRY_AFTER_MAX, Stage, backoff},
    upstream::{Asked, Failed, Kind, Next, Operation, Provider},
    wire::{Call, Fault, FaultKind, Surface, Usage, Whole, anthropic, openai},
};

/// Tries of a call in all.
const TRIES_MAX: u32 = 40;

/// The body of a request to a provider.
fn written(call: &Call, provider: &Provider, model: &str) -> Result<Bytes, Failed> {
    let body = match provider.kind {
        Kind::OpenAi | Kind::Azure => Ok(openai::write(call, model)),
        Kind::Anthropic => anthropic::write(call, model),
    };
    body.map(Bytes::from).map_err(|fault| Failed { fault, next: Next::Elsewhere })
}

/// Whether a provider speaks the client's format, so that answers are passed on as they are.
fn same(surface: Surface, kind: Kind) -> bool {
    match kind {
        Kind::OpenAi | Kind::Azure => surface == Surface::OpenAi,
        Kind::Anthropic => surface == Surface::Anthropic,
    }
}

/// What a target answers.
pub(super) enum Got {
    /// Pieces, in the client's format.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// A whole answer. `raw`: as it came, when that is the client's format. `more`: what is sent beside the fields of the format.
    Whole { whole: Whole, raw: Option<Bytes>, more: Option<serde_json::Value> },
    /// An answer that is passed on as it is.
    Raw(Bytes),
}

fn text_bytes(whole: &Whole) -> u64 {
    let each = whole.picked.iter().map(|picked| {
        let calls: usize = picked.calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
        (picked.text.len() + calls) as u64
    });
    each.sum()
}

/// The id of an answer that is made here.
fn id(call: &Call, trace: &str) -> String {
    match call.surface {
        Surface::OpenAi => format!("chatcmpl-{trace}"),
        Surface::Anthropic => format!("msg_{trace}"),
    }
}

fn cannot(provider: &str, what: &str) -> Failed {
    let message = format!("the provider `{provider}` cannot {what}; use another route");
    let fault = Fault::new(FaultKind::Invalid, "unsupported_by_model", message).at("model");
    Failed { fault, next: Next::Elsewhere }
}

async fn quoted(case: &Case<'_>, attempt: u32) -> Result<Got, Failed> {
    let (What::Chat(call), Some(released)) = (case.what, case.released) else {
        return Err(cannot(BUILT_IN, "make vectors"));
    };
    let stop = |fault| Failed { fault, next: Next::Stop };
    let question = question(call, case.question, case.indexes).map_err(stop)?;
    let answer = released.answer(question).await.map_err(stop)?;
    let whole = quotes(call, &id(call, &case.caller.trace), &answer);
    noted(case, attempt, &whole);
    case.noted.note(|ledger| {
        ledger.quotes(whole.picked.first().map_or(&[], |picked| picked.sources.as_slice()));
        if let Some((code, _)) = &answer.refusal {
            ledger.facts.verdicts.insert(REFUSAL.to_owned(), code.clone());
        }
    });
    Ok(Got::Whole { whole, raw: None, more: Some(answer.more) })
}

/// Writes down what is known of a whole answer.
fn noted(case: &Case<'_>, attempt: u32, whole: &Whole) {
    case.noted.note(|ledger| {
        let attempt = ledger.of(attempt);
        if whole.usage != Usage::default() {
            attempt.used(whole.usage);
        }
        attempt.answered_bytes = text_bytes(whole);
        attempt.answered_by.clone_from(&whole.model);
        whole.picked.iter().for_each(|picked| ledger.said(&picked.text));
        let facts = &mut ledger.facts;
        let called = whole.picked.iter().flat_map(|picked| &picked.calls).map(|call| call.name.clone());
        facts.tools = called.collect();
    });
}

/// Puts values into the place of placeholders.
pub(super) fn restore(whole: &mut Whole, vault: &Vault) {
    for picked in &mut whole.picked {
        picked.text = vault.restore(&picked.text).into_owned();
        for call in &mut picked.calls {
            call.arguments = vault.restore_json(&call.arguments).into_owned();
        }
    }
}

/// Looks for what must not leave in a whole answer: whether something was masked.
fn strain(case: &Case<'_>, attempt: u32, filter: &Filter, whole: &mut Whole) -> Result<bool, Failed> {
    let mut masked = false;
    for picked in &mut whole.picked {
        let refusal = picked.refusal.iter_mut();
        let texts = std::iter::once(&mut picked.text).chain(refusal);
        for text in texts.chain(picked.calls.iter_mut().map(|call| &mut call.arguments)) {
            match filter.whole(text) {
                Ok((strained, hidden)) => {
                    *text = strained;
                    masked |= hidden;
                }
                Err(leak) => {
                    case.noted.leaked(leak.verdict());
                    // The provider has answered, and charges for it.
                    noted(case, attempt, whole);
                    return Err(Failed { fault: leak.into(), next: Next::Stop });
                }
            }
        }
    }
    if masked {
        case.noted.leaked("masked");
    }
    Ok(masked)
}

/// Where an answer is kept. Those of fallbacks are not: the route itself may work again in a moment.
fn slot<'a>(case: &Case<'a>) -> Option<&'a Slot> {
    case.slot.filter(|_| case.noted.note(|ledger| ledger.facts.fell_back.is_empty()))
}

async fn provided(
    case: &Case<'_>,
    provider: &Provider,
    (route, target): (&Route, &Target),
    attempt: u32,
    end: Instant,
) -> Result<Got, Failed> {
    let connect = route.timeout.connect;
    let traceparent = case.caller.traceparent();
    let asked = |operation| Asked { operation, model: &target.model, traceparent: traceparent.as_ref() };
    let call = match case.what {
        What::Chat(call) => call,
        What::Embed(_) if provider.kind == Kind::Anthropic => {
            return Err(cannot(&provider.name, "make vectors"));
        }
        What::Embed(texts) => {
            let body = openai::embeddings_body(texts, &target.model).into();
            let raw = provider.whole(asked(Operation::Embed), body, connect, end).await?;
            let usage =
                openai::embeddings_usage(&raw).map_err(|fault| Failed { fault, next: Next::Again(None) })?;
            if let Some(usage) = usage {
                case.noted.note(|ledger| ledger.of(attempt).used(usage));
            }
            return Ok(Got::Raw(raw));
        }
    };
    let body = written(call, provider, &target.model)?;
    let mut passes = case.vault.is_none() && same(call.surface, provider.kind);
    if call.stream {
        passes &= case.filter.is_none();
        let first = (Instant::now() + route.timeout.first_token).min(end);
        let events = provider.stream(asked(Operation::Chat), body, connect, first).await?;
        let mut flow = Flow::new(
            (call, case.vault.clone()),
            (&case.noted, attempt),
            provider,
            events,
            passes,
            (route.timeout.first_token, end),
        );
        flow.filter(case.filter.clone());
        flow.gather(slot(case).map(|slot| Gathering::new(slot, &target.provider, &target.model)));
        flow.first(first).await?;
        return Ok(Got::Stream(Box::pin(flow.stream())));
    }
    let raw = provider.whole(asked(Operation::Chat), body, connect, end).await?;
    let whole = match provider.kind {
        Kind::OpenAi | Kind::Azure => openai::read_whole(&raw),
        Kind::Anthropic => anthropic::read_whole(&raw),
    };
    let mut whole = whole.map_err(|fault| Failed { fault, next: Next::Again(None) })?;
    if let Some(filter) = &case.filter {
        passes &= !strain(case, attempt, filter, &mut whole)?;
    }
    if let Some(slot) = slot(case) {
        let raw = passes.then(|| (call.surface, raw.clone()));
        slot.draft(&whole, raw, (&target.provider, &target.model));
    }
    if let Some(vault) = &case.vault {
        restore(&mut whole, vault);
    }
    noted(case, attempt, &whole);
    Ok(Got::Whole { whole, raw: passes.then_some(raw), more: None })
}

/// The provider of a target that may be asked now. The breaker waits for what becomes of it.
pub(super) fn ready(desk: &Desk, case: &Case<'_>, target: &Target) -> Result<Arc<Provider>, Failed> {
    let provider = desk.providers.get(&target.provider, &case.caller.tenant).ok_or_else(|| {
        let message = format!(
            "the provider `{}` is not available to this tenant; the operator names providers in models.toml",
            target.provider
        );
        Failed {
            fault: Fault::new(FaultKind::Upstream, "provider_unavailable", message),
            next: Next::Elsewhere,
        }
    })?;
    if !desk.breakers.may(&target.provider, &target.model, std::time::Instant::now()) {
        let message =
            format!("the provider `{}` failed several times and is left alone for a moment", target.provider);
        let fault =
            Fault::new(FaultKind::Overloaded, "upstream_paused", message).after(Duration::from_secs(1));
        return Err(Failed { fault, next: Next::Elsewhere });
    }
    Ok(provider)
}

/// Asks a target that is ready. `attempt`: its number in the ledger.
pub(super) async fn sent(
    desk: &Desk,
    case: &Case<'_>,
    (stage, target): (&Stage<'_>, &Target),
    (provider, attempt): (Arc<Provider>, u32),
    end: Instant,
) -> Result<Got, Failed> {
    let trying = Trying { desk, target, done: false };
    let result = provided(case, &provider, (stage.route, target), attempt, end).await;
    trying.done(&result);
    if let Err(failed) = &result {
        case.noted.note(|ledger| ledger.failed(attempt, failed));
    }
    result
}

/// Asks one target.
async fn one(
    desk: &Desk,
    case: &Case<'_>,
    stage: &Stage<'_>,
    target: &Target,
    end: Instant,
) -> Result<Got, Failed> {
    let sending = || case.noted.note(|ledger| ledger.sending(&target.provider, &target.model));
    if target.is_built_in() {
        return quoted(case, sending()).await;
    }
    let provider = ready(desk, case, target)?;
    sent(desk, case, (stage, target), (provider, sending()), end).await
}

/// How a try ended: with an answer, or with the failure of one target, or of two that were asked at once.
pub(super) struct Tried<'t> {
    pub got: Option<Got>,
    pub failures: [Option<(&'t Target, Failed)>; 2],
    /// Whether two were asked.
    pub hedged: bool,
}

impl<'t> Tried<'t> {
    pub fn of(target: &'t Target, result: Result<Got, Failed>) -> Self {
        match result {
            Ok(got) => Self { got: Some(got), failures: [None, None], hedged: false },
            Err(failed) => Self { got: None, failures: [Some((target, failed)), None], hedged: false },
        }
    }
}

/// Tells the breaker how a try ended, also when the client went away in the middle.
struct Trying<'a> {
    desk: &'a Desk,
    target: &'a Target,
    done: bool,
}

impl Trying<'_> {
    fn done(mut self, result: &Result<Got, Failed>) {
        self.done = true;
        let (provider, model) = (&self.target.provider, &self.target.model);
        match result {
            Err(Failed { next: Next::Again(wait), fault }) => {
                let now = std::time::Instant::now();
                self.desk.breakers.failed((provider, model), &fault.code, *wait, now);
            }
            // Neither its credentials nor its models are better at another time, and it is not slow.
            Err(Failed { next: Next::Elsewhere, fault }) if fault.kind == FaultKind::Upstream => {
                self.desk.breakers.succeeded(provider, model);
                self.desk.breakers.refused(provider, &fault.code);
            }
            // A refusal of the request says nothing against the provider.
            _ => self.desk.breakers.succeeded(provider, model),
        }
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.desk.breakers.released(&self.target.provider, &self.target.model);
        }
    }
}

/// Asks a target; and the next one as well, if there is one that may be asked beside it, and the first is slow.
async fn tried<'t>(
    desk: &Desk,
    case: &Case<'_>,
    stage: &Stage<'_>,
    (target, next): (&'t Target, Option<&'t Target>),
    end: Instant,
) -> Tried<'t> {
    match next.and_then(|next| hedge::second(case, stage, target, next)) {
        None => Tried::of(target, one(desk, case, stage, target, end).await),
        // In a box, so that calls without a second target stay small.
        Some(second) => Box::pin(hedge::race(desk, case, stage, (target, second), end)).await,
    }
}

/// Tries the targets of each stage: each once, and then as often again as the route says. The time limit is that of the
/// route that the call names.
pub(super) async fn run(desk: &Desk, case: &Case<'_>, stages: &[Stage<'_>]) -> Result<Got, Fault> {
    let total = stages.first().map(|stage| stage.route.timeout.total).unwrap_or_default();
    let end = Instant::from_std(case.noted.note(|ledger| ledger.started)) + total;
    if let Some(slot) = case.slot {
        slot.begin();
    }
    let mut last: Option<Fault> = None;
    let (mut tries, mut hedged) = (0, false);
    for stage in stages {
        let mut targets: Vec<&Target> = stage.targets.clone();
        let (mut retries, mut round) = (0, 0);
        while !targets.is_empty() {
            let mut left: Vec<&Target> = Vec::new();
            let mut asked: Option<Duration> = None;
            let mut rest = targets.into_iter().peekable();
            while let Some(target) = rest.next() {
                if round > 0 {
                    if retries >= stage.route.retries {
                        break;
                    }
                    let wait = asked.take().unwrap_or_else(|| backoff(retries, case.point));
                    let at = Instant::now() + wait;
                    if at >= end {
                        break;
                    }
                    sleep_until(at).await;
                    retries += 1;
                }
                tries += 1;
                if tries > TRIES_MAX || Instant::now() >= end {
                    return Err(last.unwrap_or_else(|| Failed::late(&target.provider).fault));
                }
                let next = rest.peek().copied().filter(|_| !hedged && round == 0);
                let tried = tried(desk, case, stage, (target, next), end).await;
                if tried.hedged {
                    hedged = true;
                    rest.next();
                    tries += 1;
                }
                if let Some(got) = tried.got {
                    return Ok(got);
                }
                for (target, failed) in tried.failures.into_iter().flatten() {
                    tracing::debug!(provider = target.provider, code = %failed.fault.code, "a target failed");
                    match failed.next {
                        Next::Stop => return Err(failed.fault),
                        Next::Again(wait) if wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX) => {
                            asked = wait.or(asked);
                            left.push(target);
                        }
                        Next::Again(_) | Next::Elsewhere => {}
                    }
                    // The reason of a target that was asked says more than that another was not.
                    if last.is_none() || failed.fault.code != "upstream_paused" {
                        last = Some(failed.fault);
                    }
                }
            }
            if retries >= stage.route.retries {
                break;
            }
            round += 1;
            targets = left;
        }
        case.noted.note(|ledger| ledger.facts.fell_back.push(stage.name.to_owned()));
    }
    Err(last.unwrap_or_else(|| {
        Fault::new(FaultKind::Upstream, "upstream_error", "no target of the route could be asked")
    }))
}
