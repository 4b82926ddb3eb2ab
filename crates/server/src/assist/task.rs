//! One task from the request to the draft.

use std::{collections::BTreeMap, sync::Arc};

use ashlar_assist::{
    config::{Assist, Kind, Task as Declared},
    input, output,
    texts::texts,
};
use ashlar_gateway::{
    call::{Facts, Wanted},
    config::BUILT_IN,
    prompts::Prompt,
    wire::{Fault, FaultKind},
};
use ashlar_isolate::Workers;
use ashlar_model::{Digest, EntryId, EntryKey, Fields, Finding, Level, Locale, TypeName, nearest_of};
use ashlar_release::{AuditRow, Ctx, DraftView, Engine, Provenance, ReleaseError, WriteAssisted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    audit::{CitedAudit, line, summary},
    shown::Shown,
};
use crate::{
    front::ApiError,
    llm::{Llm, Scenery, TaskCall, Told},
};

/// The longest brief, in characters.
const BRIEF_MAX: usize = 8_000;
/// The most entries that a request may name as sources.
const FROM_MAX: usize = 20;
/// Passages that a draft is written from.
const PASSAGES: usize = 8;
/// Pages that links are suggested to.
const TARGETS: usize = 20;
/// Characters of an entry that pages are searched with.
const QUERY_MAX: usize = 400;
/// Entries of the audit log that are shown, at most.
const AUDIT_MAX: usize = 100;

/// What a task is asked to do. Which members are needed follows from its kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "TaskInput")]
pub struct Asked {
    /// The content type.
    #[serde(rename = "type")]
    pub type_name: Option<TypeName>,
    /// The entry.
    pub id: Option<EntryId>,
    /// The language of the entry; for `translate` the one it is translated from. The project's default when absent.
    pub locale: Option<Locale>,
    /// For `translate`: the language to write.
    pub to: Option<Locale>,
    /// For `draft`: what to write about.
    pub brief: String,
    /// For `draft`: released entries to write from. More is searched for.
    pub from: Vec<EntryKey>,
    /// The changeset that the draft ships with; one of its own when absent.
    pub changeset: Option<String>,
    /// For `summarise-audit-log`: how many of the newest entries are shown; 50 when absent.
    pub limit: Option<u32>,
}

/// What a task did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TaskResult")]
pub struct Assisted {
    /// The task.
    pub task: String,
    /// What it does.
    pub kind: String,
    /// The prompt with its version.
    pub prompt: String,
    /// The provider with the model that answered.
    pub model: String,
    /// What the call cost, in `currency`.
    pub cost: String,
    /// The currency; empty when the project has no prices.
    pub currency: String,
    /// The draft that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<DraftView>,
    /// The text, for a task that writes no draft.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The entries of the audit log that the text cites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cited: Vec<CitedAudit>,
    /// Sentences of the text that no cited entry says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// Who asks, and where.
pub struct Task<'a> {
    pub engine: &'a Engine,
    pub ctx: &'a Ctx,
    pub llm: Arc<Llm>,
    pub workers: Workers,
}

fn of_fault(fault: Fault) -> ApiError {
    let help = match fault.kind {
        FaultKind::Refused => "nothing was written; correct the prompt or the brief, and ask again",
        FaultKind::Limited => "wait, or raise the limits of the feature in gateway.toml",
        _ => "nothing was written; `ashlar llm calls` shows what became of the call",
    };
    ApiError::new(fault.status(), &fault.code.replace('_', "-"), fault.message, help)
}

fn unusable(message: impl Into<String>, help: impl Into<String>) -> ApiError {
    ApiError::new(422, "assist-unusable", message, help)
}

fn needed(what: &str, task: &str) -> ApiError {
    ApiError::invalid(format!("the task `{task}` needs `{what}`"), format!("add `{what}` to the request"))
}

/// What was gathered for a call.
struct Gathered {
    have: BTreeMap<&'static str, Value>,
    shown: Shown,
    /// The entry that is written, and the fields of a new one besides those of the task.
    target: Option<(EntryKey, Fields)>,
    audit: Vec<AuditRow>,
}

/// The task of this name, if the key may use it.
fn declared_for<'a>(declared: &'a Assist, name: &str, key: &str) -> Result<&'a Declared, ApiError> {
    let Some(task) = declared.tasks.get(name) else {
        let known: Vec<&str> = declared.tasks.keys().map(String::as_str).collect();
        let all = match known.is_empty() {
            true => "declare it in assist.toml, push and release it".to_owned(),
            false => format!("the release has {}", known.join(", ")),
        };
        let help = nearest_of(name, known.iter().copied(), &all);
        return Err(ReleaseError::not_found("task", name.chars().take(80).collect::<String>(), help).into());
    };
    if !task.is_for(key) {
        let detail = format!("{key} may not use the task `{name}`");
        return Err(ApiError::new(
            403,
            "forbidden",
            detail,
            "add the name of the key to `keys` in assist.toml",
        ));
    }
    Ok(task)
}

/// Does a task.
///
/// # Errors
/// When it is refused. Nothing is written then.
pub async fn run(of: &Task<'_>, name: &str, asked: Asked) -> Result<Assisted, ApiError> {
    let scenery = of.llm.scenery(&of.ctx.tenant).map_err(of_fault)?;
    let declared = Assist::parse(&scenery.view.definitions().gateway).map_err(|findings| {
        let why = findings.first().map(|f| f.message.clone()).unwrap_or_default();
        unusable(format!("assist.toml of the release cannot be used: {why}"), "run `ashlar check`")
    })?;
    let task = declared_for(&declared, name, &of.ctx.actor.name)?;
    let call = TaskCall {
        tenant: of.ctx.tenant.clone(),
        key: &of.ctx.actor.name,
        feature: &task.feature,
        prompt: &task.prompt,
        variables: Fields::new(),
        locale: None,
        trace: of.ctx.trace.to_string(),
    };
    let prompt = scenery.prompt(&call).map_err(of_fault)?;
    if let Some(route) = scenery.only_quotes(&task.feature, &prompt) {
        return Err(no_model(&route));
    }
    let gathered = gather(of, &scenery, (name, task), &prompt, &asked).await?;
    let changeset = match (&asked.changeset, &gathered.target) {
        (Some(name), _) => name.clone(),
        (None, Some((key, _))) => own_changeset(name, key),
        (None, None) => String::new(),
    };
    let base = match &gathered.target {
        Some((key, _)) => of.engine.assisted_draft(of.ctx, key, &changeset).await?,
        None => None,
    };
    of.engine.begin_assist(of.ctx, name, task.per_day).await?;
    let release = scenery.view.label().to_owned();
    let locale = gathered.target.as_ref().map(|(key, _)| key.locale.to_string());
    let variables = input::variables(&prompt, gathered.have);
    let call = TaskCall { variables, locale: locale.as_deref(), ..call };
    let Told { value, facts } = of.llm.task(scenery, call, &gathered.shown).await.map_err(of_fault)?;
    if facts.provider == BUILT_IN {
        return Err(no_model(&facts.route));
    }
    let mut done = answered(name, task, &facts);
    let Some((key, seed)) = gathered.target else {
        let locale = asked.locale.map_or_else(|| "en".to_owned(), |locale| locale.to_string());
        let summary = summary(&value, &gathered.audit, &locale).map_err(|why| {
            unusable(format!("The answer cannot be used: {why}."), "ask again, or correct the prompt")
        })?;
        done.text = Some(summary.text);
        done.cited = summary.cited;
        done.unsupported = summary.unsupported;
        return Ok(done);
    };
    let fields = output::fields(name, task, value).map_err(|why| unusable(why.message, why.help))?;
    let (version, mut whole) = base.unwrap_or_else(|| (0, seed.clone()));
    whole.extend(fields.clone());
    check(of, &key, whole).await?;
    let provenance = Provenance {
        task: name.to_owned(),
        prompt: facts.prompt.clone(),
        route: facts.route.clone(),
        model: done.model.clone(),
        release,
        sources: gathered.shown.seen(),
        trace: of.ctx.trace.to_string(),
        requested_by: String::new(),
        at: String::new(),
        fields: Default::default(),
    };
    let write = WriteAssisted { key, fields, seed, expected_version: version, changeset, provenance };
    done.draft = Some(of.engine.run(of.ctx, write).await?);
    Ok(done)
}

fn no_model(route: &str) -> ApiError {
    let detail = format!(
        "the route `{route}` goes to the built-in model, which quotes released sentences: it can neither write nor translate nor classify"
    );
    let help = "add a provider to models.toml and a route to gateway.toml, and name the route in the prompt";
    ApiError::new(409, "assist-no-model", detail, help)
}

fn answered(name: &str, task: &Declared, facts: &Facts) -> Assisted {
    let model = if facts.answered_by.is_empty() { &facts.model } else { &facts.answered_by };
    Assisted {
        task: name.to_owned(),
        kind: task.kind.name().to_owned(),
        prompt: facts.prompt.clone(),
        model: format!("{}/{model}", facts.provider),
        cost: facts.cost.to_string(),
        currency: facts.currency.clone(),
        draft: None,
        text: None,
        cited: Vec::new(),
        unsupported: Vec::new(),
    }
}

/// The longest name of a changeset.
const NAME_MAX: usize = 80;

/// The changeset of a draft that names none: one for each entry.
fn own_changeset(task: &str, key: &EntryKey) -> String {
    let name = format!("assist-{task}-{}-{}-{}", key.type_name, key.id, key.locale);
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
    if name.len() <= NAME_MAX {
        return plain.collect();
    }
    // What is cut off tells entries apart.
    let digest = Digest::of(name.as_bytes()).short();
    let start: String = plain.take(NAME_MAX - digest.len() - 1).collect();
    format!("{start}-{digest}")
}

/// Refuses fields that the contract of the entry refuses.
async fn check(of: &Task<'_>, key: &EntryKey, fields: Fields) -> Result<(), ApiError> {
    let findings: Vec<Finding> = of.engine.objections(of.ctx, key, None, fields).await?;
    if findings.iter().all(|finding| finding.level != Level::Error) {
        return Ok(());
    }
    Err(ReleaseError::Refused {
        code: "contract-refuses",
        message: format!("the contract refuses what the model wrote for {key}; nothing was written"),
        findings,
        help: "correct the prompt or its output contract, and ask again".to_owned(),
    }
    .into())
}

/// Reads what a task shows. Everything is read from the release that is live.
/// Long because each kind of task has its own input.
async fn gather(
    of: &Task<'_>,
    scenery: &Scenery,
    (name, task): (&str, &Declared),
    prompt: &Prompt,
    asked: &Asked,
) -> Result<Gathered, ApiError> {
    let locales = &scenery.view.definitions().config.locales;
    let locale = |given: Option<&Locale>| match given {
        Some(locale) => locales.spelled(locale.clone()),
        None => locales.default.clone(),
    };
    let mut have: BTreeMap<&'static str, Value> = BTreeMap::new();
    if task.kind == Kind::SummariseAuditLog {
        let most = usize::try_from(asked.limit.unwrap_or(50)).unwrap_or(AUDIT_MAX).clamp(1, AUDIT_MAX);
        let mut rows = of.engine.audit(of.ctx, None).await?.items;
        rows.truncate(most);
        rows.reverse();
        have.insert("events", rows.iter().map(line).collect());
        let shown = Shown::new(scenery.view.clone(), of.workers.clone(), Vec::new());
        return Ok(Gathered { have, shown, target: None, audit: rows });
    }
    let type_name = asked.type_name.clone().ok_or_else(|| needed("type", name))?;
    if !task.types.contains(&type_name) {
        let known: Vec<&str> = task.types.iter().map(TypeName::as_str).collect();
        let detail = format!("the task `{name}` may not write entries of the type `{type_name}`");
        return Err(ApiError::new(403, "forbidden", detail, format!("it may write {}", known.join(", "))));
    }
    let id = asked.id.clone().ok_or_else(|| needed("id", name))?;
    let source =
        EntryKey { type_name: type_name.clone(), id: id.clone(), locale: locale(asked.locale.as_ref()) };
    have.insert("type", json!(type_name));
    have.insert("id", json!(id));
    have.insert("locale", json!(source.locale));
    if asked.from.len() > FROM_MAX || asked.brief.chars().count() > BRIEF_MAX {
        let detail = format!("`from` may have {FROM_MAX} entries, and `brief` {BRIEF_MAX} characters");
        return Err(ApiError::invalid(detail, "send less"));
    }
    let shown = Shown::new(scenery.view.clone(), of.workers.clone(), asked.from.clone());
    if task.kind == Kind::Draft {
        let brief = asked.brief.trim();
        if brief.is_empty() {
            return Err(needed("brief", name));
        }
        have.insert("brief", json!(brief));
        for key in &asked.from {
            shown.entry(key).map_err(of_fault)?.ok_or_else(|| not_released(key))?;
        }
        // A prompt with `grounding` searches by itself.
        if prompt.grounding.is_none() && prompt.variables.contains_key("passages") {
            let wanted = Wanted {
                query: brief.chars().take(QUERY_MAX).collect(),
                indexes: Vec::new(),
                chunks: PASSAGES,
                locale: Some(source.locale.to_string()),
            };
            let most = prompt.variables.get("passages").map_or(PASSAGES, |variable| variable.max_items);
            let passages = shown.passages(wanted, most).await.map_err(of_fault)?;
            let text = |passage: super::shown::Passage| json!(format!("{}\n{}", passage.title, passage.text));
            have.insert("passages", passages.into_iter().map(text).collect());
        }
        return Ok(Gathered { have, shown, target: Some((source, Fields::new())), audit: Vec::new() });
    }
    let entry = shown.entry(&source).map_err(of_fault)?.ok_or_else(|| not_released(&source))?;
    have.insert("entry", json!(entry.to_string()));
    if task.kind == Kind::SuggestLinks {
        let said = texts(&entry, None);
        let said: Vec<&str> = said.iter().map(|text| text.text.as_ref()).collect();
        let wanted = Wanted {
            query: said.join(" ").chars().take(QUERY_MAX).collect(),
            indexes: Vec::new(),
            chunks: TARGETS,
            locale: Some(source.locale.to_string()),
        };
        let mut targets: Vec<String> = Vec::new();
        for passage in shown.passages(wanted, TARGETS).await.map_err(of_fault)? {
            let own = passage.entry.type_name == source.type_name && passage.entry.id == source.id;
            if let Some(path) = passage.path.filter(|_| !own) {
                let target = format!("{path} — {}", passage.title);
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        have.insert("targets", json!(targets));
    }
    let mut target = source.clone();
    let mut seed = Fields::new();
    if task.kind == Kind::Translate {
        target.locale = locale(Some(asked.to.as_ref().ok_or_else(|| needed("to", name))?));
        if target.locale == source.locale {
            return Err(ApiError::invalid("`to` is the language of the entry", "name another language"));
        }
        have.insert("from", json!(source.locale));
        have.insert("to", json!(target.locale));
        seed = entry.as_object().cloned().unwrap_or_default();
    }
    Ok(Gathered { have, shown, target: Some((target, seed)), audit: Vec::new() })
}

fn not_released(key: &EntryKey) -> ApiError {
    let help = "tasks read what is released; release the entry first";
    ReleaseError::not_found("released entry", key, help).into()
}
