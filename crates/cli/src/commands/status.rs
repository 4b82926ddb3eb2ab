//! `status`: what is pending, what blocks it, what is live.

use std::collections::BTreeMap;

use ashlar_model::{CandidateId, GateReport, Level, ReleaseId};
use ashlar_release::DraftQuery;
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::changeset;
use crate::{
    args::StatusArgs,
    backend::Backend,
    error::{CliError, Done, done},
    hints,
    output::{self, items},
    session::Session,
    words::{count, time},
};

/// Drafts per page of the list that is counted.
const PAGE: u32 = 500;
/// Pages that are counted; a greater number is shown as "at least".
const PAGES_MAX: usize = 200;
/// Failed candidates whose gates are read.
const CANDIDATES_MAX: usize = 10;

/// Pending drafts by type, and whether there are more than were counted.
async fn pending(session: &Session) -> Result<(BTreeMap<String, u64>, bool), CliError> {
    let mut by_type = BTreeMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let call = rows::LIST_DRAFTS.call().with("limit", PAGE).with("pending", true);
        let call = call.with_any("cursor", cursor.as_ref());
        let query = DraftQuery { pending: true, cursor, limit: Some(PAGE), ..DraftQuery::default() };
        let page = session.read(async |local| local.engine.drafts(&local.ctx, &query).await, call).await?;
        for draft in items(&page) {
            *by_type.entry(output::text(draft, "type")).or_insert(0) += 1;
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok((by_type, false));
        }
    }
    Ok((by_type, true))
}

/// The newest candidate of all drafts and of each changeset, if it is open.
fn newest_open(candidates: &[Value]) -> Vec<&Value> {
    let mut seen = std::collections::BTreeSet::new();
    let newest = candidates.iter().filter(|c| seen.insert(output::text(c, "changeset")));
    newest.filter(|c| matches!(c["status"].as_str(), Some("passed" | "failed"))).collect()
}

async fn candidate(session: &Session, id: &str) -> Result<Value, CliError> {
    let id = id.parse::<CandidateId>()?;
    let call = rows::GET_CANDIDATE.at([id]);
    session.read(async |local| local.engine.candidate(&local.ctx, id).await, call).await
}

/// Whether the working definitions differ from those that the public channel serves; `None` before the first push.
async fn definitions_pending(
    session: &Session,
    channels: &[Value],
    candidates: &[Value],
) -> Result<Option<bool>, CliError> {
    let working = match &session.backend {
        Backend::Local(local) => {
            local.engine.working_definitions(&local.ctx).await?.map(|(digest, _)| digest.to_string())
        }
        Backend::Remote(remote) => {
            let answer = remote.call(rows::GET_DEFINITIONS.call(), None).await?;
            answer["definitions"].as_str().map(str::to_owned)
        }
    };
    let Some(working) = working else { return Ok(None) };
    // A candidate names the channel that it is compared with, which is the public one.
    let public = candidates.first().map(|c| output::text(c, "channel"));
    let Some(live) = channels.iter().find(|c| c["channel"].as_str() == public.as_deref()) else {
        return Ok(Some(true));
    };
    let release = output::text(live, "release").parse::<ReleaseId>()?;
    let call = rows::GET_RELEASE.at([release]);
    let served = session.read(async |local| local.engine.release(&local.ctx, release).await, call).await?;
    Ok(Some(served["definitions"] != working.as_str()))
}

/// Why a changeset may not be published or taken down in time. Empty if no reason is known.
fn risks(changeset: &Value) -> Vec<String> {
    let mut risks = Vec::new();
    if let Some(seconds) = changeset["overdue_seconds"].as_u64() {
        risks.push(format!("overdue by {}", count(seconds.div_ceil(60), "minute", "minutes")));
    }
    if changeset["state"] == "failed" {
        risks.push(format!("failed: {}", output::text(changeset, "message")));
    }
    for (step, what) in [("publish", "publishing"), ("take_down", "taking down")] {
        let outlook = &changeset["forecast"][step];
        let gates = outlook["refused_by"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let message = outlook["message"].as_str().filter(|m| !m.is_empty());
        let reasons: Vec<&str> = gates.chain(message).collect();
        if !reasons.is_empty() {
            risks.push(format!("{what} would be refused: {}", reasons.join(", ")));
        }
    }
    risks
}

/// Open candidates: those that passed, and those that failed with their gates.
async fn open_candidates(session: &Session, all: &[Value]) -> Result<(Vec<Value>, Vec<Value>), CliError> {
    let (mut ready, mut blocked) = (Vec::new(), Vec::new());
    for open in newest_open(all) {
        let mut short = json!({
            "candidate": open["candidate"], "status": open["status"], "changeset": open["changeset"], "changed": open["changed"],
            "created_at": open["created_at"], "created_by": open["created_by"], "note": open["note"],
        });
        if open["status"] == "passed" {
            ready.push(short);
        } else if blocked.len() < CANDIDATES_MAX {
            let full = candidate(session, &output::text(open, "candidate")).await?;
            let gates = output::gates_of(&full).into_iter().filter(|g| !g.status.lets_through());
            short["gates"] = gates.map(|g| short_gate(&g)).collect();
            blocked.push(short);
        }
    }
    Ok((ready, blocked))
}

/// A gate with its first error.
fn short_gate(gate: &GateReport) -> Value {
    let first = gate.groups.iter().find(|f| f.level == Level::Error);
    json!({
        "gate": gate.gate, "status": gate.status, "summary": gate.summary,
        "message": first.map(|f| &f.message), "help": first.map(|f| &f.help),
    })
}

/// Changesets that are planned or at risk, and the reasons of the latter.
fn changesets(all: &[Value]) -> (Vec<Value>, Vec<Value>) {
    let (mut planned, mut at_risk) = (Vec::new(), Vec::new());
    for set in all {
        let open = matches!(set["state"].as_str(), Some("open" | "scheduled" | "failed"));
        let ends = set["state"] == "published" && set["unpublish_at"].is_string();
        let risks = risks(set);
        if open || ends || !risks.is_empty() {
            planned.push(json!({
                "changeset": set["changeset"], "title": set["title"], "state": set["state"],
                "publish_at": set["publish_at"], "unpublish_at": set["unpublish_at"],
            }));
        }
        if !risks.is_empty() {
            at_risk.push(json!({"changeset": set["changeset"], "reasons": risks}));
        }
    }
    (planned, at_risk)
}

async fn gather(session: &Session) -> Result<Value, CliError> {
    let (by_type, more) = pending(session).await?;
    let call = rows::LIST_CHANNELS.call();
    let channels = session.read(async |local| local.engine.channels(&local.ctx).await, call).await?;
    let channels = items(&channels);
    let call = rows::LIST_CANDIDATES.call();
    let candidates =
        session.read(async |local| local.engine.candidates(&local.ctx, None).await, call).await?;
    let candidates = items(&candidates);
    let (ready, blocked) = open_candidates(session, candidates).await?;
    let (changesets, at_risk) = changesets(items(&changeset::all(session).await?));
    let total: u64 = by_type.values().sum();
    Ok(json!({
        "pending": {
            "drafts": total, "drafts_more": more, "by_type": by_type,
            "definitions": definitions_pending(session, channels, candidates).await?, "changesets": changesets,
        },
        "ready": ready,
        "blocked": {"candidates": blocked, "schedules": at_risk},
        "live": channels,
    }))
}

fn show_pending(pending: &Value) -> bool {
    output::line(output::paint("Pending", "1"));
    let by_type: Vec<String> = pending["by_type"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, n)| format!("{} {name}", n.as_u64().unwrap_or(0)))
        .collect();
    let mut any = false;
    let mut line = |text: String| {
        any = true;
        output::line(format!("  {text}"));
    };
    if !by_type.is_empty() {
        let drafts = count(pending["drafts"].as_u64().unwrap_or(0), "draft", "drafts");
        let least = if pending["drafts_more"] == json!(true) { "at least " } else { "" };
        line(format!("{least}{drafts}: {}", by_type.join(", ")));
    }
    if pending["definitions"] == json!(true) {
        line("definitions: changed since the live release, or not released yet".to_owned());
    }
    for set in pending["changesets"].as_array().into_iter().flatten() {
        let mut text =
            format!("changeset {}, {}", output::text(set, "changeset"), output::text(set, "state"));
        for (member, what) in [("publish_at", "goes live"), ("unpublish_at", "is taken down")] {
            if let Some(at) = set[member].as_str() {
                text.push_str(&format!(", {what} {}", time(at)));
            }
        }
        line(text);
    }
    if !any {
        output::line("  nothing");
    }
    any
}

fn show_blocked(blocked: &Value) {
    output::line(format!("\n{}", output::paint("Blocked", "1")));
    let mut any = false;
    for candidate in blocked["candidates"].as_array().into_iter().flatten() {
        any = true;
        let set = candidate["changeset"].as_str().map(|c| format!(" of changeset {c}")).unwrap_or_default();
        output::line(format!(
            "  {}{set} failed {}",
            output::text(candidate, "candidate"),
            time(&output::text(candidate, "created_at"))
        ));
        for gate in candidate["gates"].as_array().into_iter().flatten() {
            let name = output::text(gate, "gate");
            output::line(format!(
                "    {}  {name}: {}",
                output::paint("FAIL", "31;1"),
                output::text(gate, "summary")
            ));
            if let Some(help) = gate["help"].as_str().filter(|h| !h.is_empty()) {
                output::line(format!("          → {}", hints::text(help)));
            }
        }
    }
    for set in blocked["schedules"].as_array().into_iter().flatten() {
        any = true;
        output::line(format!(
            "  changeset {}: {}",
            output::text(set, "changeset"),
            output::text(set, "reasons")
        ));
    }
    if !any {
        output::line("  nothing");
    }
}

fn show(status: &Value) {
    let pending = show_pending(&status["pending"]);
    let ready = status["ready"].as_array().map_or(&[][..], Vec::as_slice);
    for candidate in ready {
        let changes = count(candidate["changed"].as_u64().unwrap_or(0), "change", "changes");
        output::line(format!("  {} passed, {changes}", output::text(candidate, "candidate")));
    }
    show_blocked(&status["blocked"]);
    output::line(format!("\n{}", output::paint("Live", "1")));
    let live = status["live"].as_array().map_or(&[][..], Vec::as_slice);
    let width = live.iter().map(|c| output::text(c, "channel").chars().count()).max().unwrap_or(0);
    for channel in live {
        output::line(format!(
            "  {:width$}  {}, {} by {}",
            output::text(channel, "channel"),
            output::text(channel, "release"),
            time(&output::text(channel, "moved_at")),
            output::text(channel, "moved_by")
        ));
    }
    if live.is_empty() {
        output::line("  nothing");
    }
    let blocked = status["blocked"]["candidates"].as_array().and_then(|c| c.first());
    let next = match (ready.first(), blocked) {
        (Some(ready), _) => format!("ashlar release promote {}", output::text(ready, "candidate")),
        (None, Some(failed)) => format!("ashlar candidate show {}", output::text(failed, "candidate")),
        (None, None) if pending => "ashlar candidate create".to_owned(),
        (None, None) => return,
    };
    output::hint(format!("\nNext:  {}", hints::command(&next)));
}

pub async fn status(args: StatusArgs) -> Done {
    let session = Session::open(&args.at).await?;
    let status = gather(&session).await?;
    match session.json {
        true => output::print_json(&status),
        false => show(&status),
    }
    done()
}
