//! `candidate`.

use std::{collections::BTreeSet, process::ExitCode};

use ashlar_model::{CandidateId, Level};
use ashlar_release::{Approve, CreateCandidate, DiscardCandidate, Rejudge, Waive};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    args::CandidateCommand,
    backend::{Backend, Local, value},
    error::{CliError, Done, done},
    hints, output,
    session::Session,
    words,
};

/// Findings that are shown of one gate.
const FINDINGS_SHOWN: usize = 20;

const COLUMNS: [(&str, &str); 7] = [
    ("candidate", "CANDIDATE"),
    ("status", "STATUS"),
    ("release", "RELEASE"),
    ("changed", "CHANGED"),
    ("created_by", "BY"),
    ("created_at", "AT"),
    ("note", "NOTE"),
];

fn print(answer: &Value) {
    let name = output::text(answer, "candidate");
    let snapshot: String = output::text(answer, "snapshot").chars().take(12).collect();
    output::line(format!(
        "{}  {}  {}, {} changed  snapshot {snapshot}",
        output::paint(&name, "1"),
        output::text(answer, "status"),
        words::count_in(answer, "entries", "entry", "entries"),
        output::text(answer, "changed"),
    ));
    let gates = output::gates_of(answer);
    output::gates(&gates, FINDINGS_SHOWN);
    if answer["nothing_to_release"] == json!(true) {
        let head = match answer["base"].as_str() {
            Some(base) => format!(
                "{} serves {base}, and neither drafts nor definitions differ from it",
                output::text(answer, "channel")
            ),
            None => "there are no drafts, and nothing was released yet".to_owned(),
        };
        output::line(format!("\nNothing to release: {head}."));
        return;
    }
    match answer["status"].as_str() {
        Some("passed") => {
            output::hint(format!("\nNext:  {}", hints::command(&format!("ashlar release promote {name}"))));
        }
        Some("failed") => {
            // What is only missing an approval or a run stays as it is; anything else needs a new candidate.
            let blocks = |g: &&ashlar_model::GateReport| !g.status.lets_through();
            let groups = gates.iter().filter(blocks).flat_map(|g| &g.groups);
            let codes: BTreeSet<&str> =
                groups.filter(|f| f.level != Level::Warning).map(|f| f.code.as_str()).collect();
            let only = |codes: &BTreeSet<&str>, known: &[&str]| codes.iter().all(|code| known.contains(code));
            let next = if only(&codes, &["approval-missing", "assisted-approval-missing"]) {
                "have it approved as shown above".to_owned()
            } else if only(
                &codes,
                &[
                    "approval-missing",
                    "assisted-approval-missing",
                    "eval-evidence-missing",
                    "eval-baseline-missing",
                ],
            ) {
                "run the suites as shown above; the candidate stays as it is".to_owned()
            } else {
                let of = answer["changeset"]
                    .as_str()
                    .map(|name| format!(" --changeset {name}"))
                    .unwrap_or_default();
                format!(
                    "fix what the gates found, then {}",
                    hints::command(&format!("ashlar candidate create{of}"))
                )
            };
            output::hint(format!("\nNext:  {next}"));
        }
        _ => {}
    }
}

fn id(text: &str) -> Result<CandidateId, CliError> {
    Ok(text.parse::<CandidateId>()?)
}

/// Prints a candidate as JSON, or for people.
fn report(session: &Session, answer: &Value) -> Done {
    match session.json {
        true => output::print_json(answer),
        false => print(answer),
    }
    done()
}

pub async fn candidate(command: CandidateCommand) -> Done {
    let session = &Session::open(command.at()).await?;
    match command {
        CandidateCommand::Create { changeset, note, no_evals, .. } => {
            create(session, changeset, note, !no_evals).await
        }
        CandidateCommand::Show { candidate, .. } => show(session, id(&candidate)?).await,
        CandidateCommand::List { .. } => list(session).await,
        CandidateCommand::Gates { candidate, .. } => gates(session, id(&candidate)?).await,
        CandidateCommand::Approve { candidate, right, .. } => approve(session, id(&candidate)?, right).await,
        CandidateCommand::Waive { candidate, gate, reason, .. } => {
            waive(session, id(&candidate)?, gate, reason).await
        }
        CandidateCommand::Discard { candidate, .. } => discard(session, id(&candidate)?).await,
    }
}

async fn create(session: &Session, changeset: Option<String>, note: String, evals: bool) -> Done {
    let body = json!({"changeset": changeset, "note": note});
    let action = CreateCandidate { changeset, note };
    let mut answer = session.run(action, rows::CREATE_CANDIDATE.call(), Some(body)).await?;
    if let Backend::Local(local) = &session.backend
        && evals
        && answer["nothing_to_release"] != json!(true)
    {
        answer = super::eval::cover(local, answer).await?;
    }
    report(session, &answer)
}

async fn show(session: &Session, candidate: CandidateId) -> Done {
    let call = rows::GET_CANDIDATE.at([candidate]);
    let answer =
        session.read(async |local| local.engine.candidate(&local.ctx, candidate).await, call).await?;
    report(session, &answer)
}

async fn list(session: &Session) -> Done {
    let call = rows::LIST_CANDIDATES.call();
    let answer = session.read(async |local| local.engine.candidates(&local.ctx, None).await, call).await?;
    session.list(&answer, &COLUMNS, "There are no candidates. Create one with `ashlar candidate create`.")
}

/// Runs the gates again. A candidate that is no longer open keeps its reports.
async fn gates(session: &Session, candidate: CandidateId) -> Done {
    let again = async |local: &Local| -> Result<Value, CliError> {
        let now = local.engine.candidate(&local.ctx, candidate).await?;
        match now.status.as_str() {
            "passed" | "failed" => value(local.run(Rejudge { candidate }).await?),
            _ => value(now),
        }
    };
    let answer = session.read(again, rows::RUN_GATES.at([candidate])).await?;
    report(session, &answer)?;
    Ok(ExitCode::from(u8::from(answer["status"] == "failed")))
}

async fn approve(session: &Session, candidate: CandidateId, right: String) -> Done {
    let (call, body) = (rows::APPROVE_CANDIDATE.at([candidate]), json!({"right": right}));
    let answer = session.run(Approve { candidate, right }, call, Some(body)).await?;
    if !session.json {
        output::line(format!(
            "{} approved {} under `{}`:",
            output::text(&answer, "by"),
            candidate,
            output::text(&answer, "right")
        ));
        for subject in answer["subjects"].as_array().into_iter().flatten().take(FINDINGS_SHOWN) {
            output::line(format!("  {}", subject.as_str().unwrap_or_default()));
        }
    }
    report(session, &answer)
}

async fn waive(session: &Session, candidate: CandidateId, gate: String, reason: String) -> Done {
    let (call, body) = (rows::WAIVE_GATE.at([candidate]), json!({"gate": gate, "reason": reason}));
    let answer = session.run(Waive { candidate, gate, reason }, call, Some(body)).await?;
    report(session, &answer)
}

async fn discard(session: &Session, candidate: CandidateId) -> Done {
    let call = rows::DISCARD_CANDIDATE.at([candidate]);
    let answer = session.run(DiscardCandidate { candidate }, call, None).await?;
    session.report(&answer, &format!("Discarded {candidate}."))
}
