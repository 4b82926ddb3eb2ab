//! `assist`: what models write, and its brakes.

use ashlar_model::{EntryId, EntryKey, Locale, ReleaseId, TypeName};
use ashlar_release::SetAssistSwitch;
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::entry::Named;
use crate::{
    args::{AssistCommand, ByTask, EntryName},
    backend::{Backend, Local, Remote},
    error::{CliError, Done, done},
    output,
    session::Session,
    words::count,
};

/// Codes that end a run: every further call would be refused as well.
const ENDS: [&str; 6] = [
    "assist-stopped",
    "assist-cap-reached",
    "assist-no-model",
    "budget-exceeded",
    "forbidden",
    "unauthorized",
];
/// Pages of drafts that a run reads.
const PAGES_MAX: usize = 100;

const TEXT_COLUMNS: [(&str, &str); 7] = [
    ("entry", "ENTRY"),
    ("task", "TASK"),
    ("prompt", "PROMPT"),
    ("model", "MODEL"),
    ("requested_by", "ASKED BY"),
    ("at", "AT"),
    ("edited", "EDITED"),
];

pub async fn assist(command: AssistCommand) -> Done {
    let session = &Session::open(command.at()).await?;
    match command {
        AssistCommand::Draft { name, brief, from, by, .. } => {
            let from: Result<Vec<EntryKey>, CliError> = match from.is_empty() {
                true => Ok(Vec::new()),
                false => {
                    let own = Named::read(&name)?.key(&session.backend).await?;
                    from.iter().map(|source| source_of(source, &own.locale)).collect()
                }
            };
            one(session, ("draft", &by), &name, json!({"brief": brief, "from": from?})).await
        }
        AssistCommand::Summarise { name, by, .. } => one(session, ("summarise", &by), &name, json!({})).await,
        AssistCommand::Classify { name, by, .. } => one(session, ("classify", &by), &name, json!({})).await,
        AssistCommand::Translate { name, to, by, .. } => {
            one(session, ("translate", &by), &name, json!({"to": to})).await
        }
        AssistCommand::SuggestLinks { name, by, .. } => {
            one(session, ("suggest-links", &by), &name, json!({})).await
        }
        AssistCommand::SummariseAuditLog { limit, task, .. } => audit(session, limit, task).await,
        AssistCommand::Run { task, of, locale, to, changeset, limit, .. } => {
            let type_name = of.strip_prefix("type=").ok_or_else(|| {
                CliError::input(format!("`{of}` does not say which entries"), "write --for type=faq-item")
            })?;
            let type_name = TypeName::new(type_name)?;
            run(session, &task, (&type_name, limit), json!({"locale": locale, "to": to}), changeset).await
        }
        AssistCommand::Stop { reason, .. } => switch(session, true, reason).await,
        AssistCommand::Start { reason, .. } => switch(session, false, reason).await,
        AssistCommand::Status { .. } => status(session).await,
        AssistCommand::Texts { release, .. } => texts(session, &release).await,
    }
}

/// `plan/basin` as an entry in the language of the draft.
fn source_of(text: &str, locale: &Locale) -> Result<EntryKey, CliError> {
    let (type_name, id) = text.split_once('/').ok_or_else(|| {
        CliError::input(format!("`{text}` is not an entry"), "write it as TYPE/ID, such as plan/basin")
    })?;
    Ok(EntryKey { type_name: TypeName::new(type_name)?, id: EntryId::new(id)?, locale: locale.clone() })
}

/// The server that calls models.
fn server(session: &Session) -> Result<&Remote, CliError> {
    match &session.backend {
        Backend::Remote(remote) => Ok(remote),
        Backend::Local(_) => Err(CliError::input(
            "tasks call models, which only a server does",
            "start `ashlar serve`, and use --server URL with a key that has the scope assist",
        )),
    }
}

async fn ask(remote: &Remote, task: &str, body: Value) -> Result<Value, CliError> {
    remote.call(rows::RUN_TASK.at([task]), Some(body)).await
}

/// One task for one entry.
async fn one(session: &Session, (usual, by): (&str, &ByTask), name: &EntryName, mut body: Value) -> Done {
    let remote = server(session)?;
    let named = Named::read(name)?;
    body["type"] = json!(named.type_name);
    body["id"] = json!(named.id);
    body["locale"] = json!(named.locale);
    body["changeset"] = json!(by.changeset);
    let answer = ask(remote, by.task.as_deref().unwrap_or(usual), body).await?;
    session.report(&answer, &written(&answer))
}

/// What was written, for people.
fn written(answer: &Value) -> String {
    let draft = &answer["draft"];
    let changeset = output::text(draft, "changeset");
    format!(
        "Wrote {}/{} ({}) version {} with {} ({}).\nIt ships with changeset {changeset}, after a person has approved it: `ashlar candidate create --changeset {changeset}`.",
        output::text(draft, "type"),
        output::text(draft, "id"),
        output::text(draft, "locale"),
        draft["version"],
        output::text(answer, "prompt"),
        output::text(answer, "model"),
    )
}

async fn audit(session: &Session, limit: u32, task: Option<String>) -> Done {
    let task = task.unwrap_or_else(|| "summarise-audit-log".to_owned());
    let answer = ask(server(session)?, &task, json!({ "limit": limit })).await?;
    let mut said = output::text(&answer, "text");
    for cited in answer["cited"].as_array().into_iter().flatten() {
        let text = |member| output::text(cited, member);
        said.push_str(&format!(
            "\n  [{}] {} {} {} {}",
            cited["sequence"],
            text("at"),
            text("actor"),
            text("action"),
            text("subject")
        ));
    }
    for sentence in answer["unsupported"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        said.push_str(&format!("\nNo cited entry says this: {sentence}"));
    }
    session.report(&answer, &said)
}

/// The ids of a type, in one language.
async fn entries(
    remote: &Remote,
    type_name: &TypeName,
    locale: Option<&str>,
    limit: u32,
) -> Result<Vec<String>, CliError> {
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..PAGES_MAX {
        let call = rows::LIST_DRAFTS.call().with("type", type_name).with_any("cursor", cursor.as_deref());
        let page = remote.call(call, None).await?;
        for item in output::items(&page) {
            let is_live = item["state"] == "live";
            let id = output::text(item, "id");
            if is_live && locale.is_none_or(|locale| item["locale"] == locale) && !ids.contains(&id) {
                ids.push(id);
            }
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || ids.len() >= limit as usize {
            break;
        }
    }
    ids.truncate(limit as usize);
    Ok(ids)
}

/// A task for many entries, one after the other. It goes on after an entry that is refused, and ends when all others would be as well.
async fn run(
    session: &Session,
    task: &str,
    (type_name, limit): (&TypeName, u32),
    body: Value,
    changeset: Option<String>,
) -> Done {
    let remote = server(session)?;
    let changeset = changeset.unwrap_or_else(|| format!("assist-{task}-{type_name}"));
    let ids = entries(remote, type_name, body["locale"].as_str(), limit).await?;
    let progress = output::progress(ids.len() as u64, "entries");
    let (mut written, mut refused, mut ended) = (Vec::new(), Vec::new(), None);
    for id in &ids {
        let mut body = body.clone();
        body["type"] = json!(type_name);
        body["id"] = json!(id);
        body["changeset"] = json!(changeset);
        match ask(remote, task, body).await {
            Ok(answer) => written.push(answer["draft"]["id"].clone()),
            Err(error) if ENDS.contains(&error.code.as_str()) || error.exit == 3 => {
                ended = Some(error);
                break;
            }
            Err(error) => refused.push(json!({"id": id, "code": error.code, "why": error.message})),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let answer = json!({
        "task": task, "changeset": changeset, "entries": ids.len(), "written": written, "refused": refused,
        "ended": ended.as_ref().map(|error| json!({"code": error.code, "why": error.message})),
    });
    let mut said = format!(
        "Wrote {} of {} into changeset {changeset}.",
        count(written.len(), "draft", "drafts"),
        count(ids.len(), "entry", "entries")
    );
    for one in &refused {
        said.push_str(&format!("\n  {}: {}", output::text(one, "id"), output::text(one, "why")));
    }
    session.report(&answer, &said)?;
    match ended {
        Some(error) => Err(error),
        None => done(),
    }
}

async fn switch(session: &Session, stopped: bool, reason: String) -> Done {
    let body = json!({"stopped": stopped, "reason": reason});
    let action = SetAssistSwitch { stopped, reason };
    let answer = session.run(action, rows::SET_ASSIST_SWITCH.call(), Some(body)).await?;
    let said = match stopped {
        true => "Tasks are stopped on all nodes. `ashlar assist start` allows them again.",
        false => "Tasks are allowed again.",
    };
    session.report(&answer, said)
}

async fn status(session: &Session) -> Done {
    let here = async |local: &Local| local.engine.assist_status(&local.ctx).await;
    let answer = session.read(here, rows::GET_ASSIST_SWITCH.call()).await?;
    let mut said = match answer["stopped"] == true {
        true => {
            let reason = output::text(&answer, "reason");
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            format!(
                "Tasks are stopped since {} by {}{why}.",
                output::text(&answer, "at"),
                output::text(&answer, "by")
            )
        }
        false => "Tasks are allowed.".to_owned(),
    };
    for (task, used) in answer["used"].as_object().into_iter().flatten() {
        said.push_str(&format!("\n  {task}: {} today", count(used.as_u64().unwrap_or(0), "use", "uses")));
    }
    session.report(&answer, &said)
}

async fn texts(session: &Session, release: &str) -> Done {
    let id: ReleaseId = release.parse()?;
    let here = async |local: &Local, at: Option<&str>| local.engine.released_texts(&local.ctx, id, at).await;
    let answer = session.read_pages(here, || rows::LIST_RELEASED_TEXTS.at([release])).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    let shown = answer.as_array().into_iter().flatten().flat_map(|entry| {
        let name = format!(
            "{}/{} ({})",
            output::text(entry, "type"),
            output::text(entry, "id"),
            output::text(entry, "locale")
        );
        let edited = if entry["made"]["edited_by_person"] == true { "yes" } else { "no" };
        entry["made"]["by"].as_array().cloned().unwrap_or_default().into_iter().map(move |mut made| {
            made["entry"] = json!(name);
            made["edited"] = json!(edited);
            made
        })
    });
    let shown: Vec<Value> = shown.collect();
    output::table(&shown, &TEXT_COLUMNS, "Models wrote nothing of this release.");
    done()
}
