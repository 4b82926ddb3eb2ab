//! `candidate`.

use std::process::ExitCode;

use ashlar_model::{CandidateId, Level};
use ashlar_release::{Approve, CreateCandidate, DiscardCandidate, Rejudge, Waive};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::{
    Done, done,
    entry::{items, told},
};
use crate::{
    args::{CandidateCommand, Format},
    backend::{Backend, value},
    error::CliError,
    hints, output, words,
};

/// Findings that are shown of one gate.
const FINDINGS_SHOWN: usize = 20;

fn show(answer: &Value) {
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
            // What is only missing an approval stays as it is; anything else needs a new candidate.
            let stays = |g: &ashlar_model::GateReport| {
                g.status.lets_through()
                    || g.groups.iter().all(|f| f.code == "approval-missing" || f.level == Level::Warning)
            };
            let next = match gates.iter().all(stays) {
                true => "have it approved as shown above".to_owned(),
                false => {
                    format!("fix what the gates found, then {}", hints::command("ashlar candidate create"))
                }
            };
            output::hint(format!("\nNext:  {next}"));
        }
        _ => {}
    }
}

fn id(text: &str) -> Result<CandidateId, CliError> {
    Ok(text.parse::<CandidateId>()?)
}

pub async fn candidate(command: CandidateCommand) -> Done {
    let at = command.at().clone();
    let backend = Backend::open(&at).await?;
    let json_out = at.format == Format::Json;
    let answer = match command {
        CandidateCommand::Create { changeset, note, .. } => match &backend {
            Backend::Local(local) => value(local.run(CreateCandidate { changeset, note }).await?)?,
            Backend::Remote(remote) => {
                let body = json!({"changeset": changeset, "note": note});
                remote.call(rows::CREATE_CANDIDATE.call(), Some(body)).await?
            }
        },
        CandidateCommand::Show { candidate, .. } => match &backend {
            Backend::Local(local) => value(local.engine.candidate(&local.ctx, id(&candidate)?).await?)?,
            Backend::Remote(remote) => remote.call(rows::GET_CANDIDATE.at([id(&candidate)?]), None).await?,
        },
        CandidateCommand::List { .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.candidates(&local.ctx, None).await?)?,
                Backend::Remote(remote) => remote.call(rows::LIST_CANDIDATES.call(), None).await?,
            };
            if json_out {
                output::print_json(&answer);
                return done();
            }
            let columns = [
                ("candidate", "CANDIDATE"),
                ("status", "STATUS"),
                ("release", "RELEASE"),
                ("changed", "CHANGED"),
                ("created_by", "BY"),
                ("created_at", "AT"),
                ("note", "NOTE"),
            ];
            output::table(
                items(&answer),
                &columns,
                "there are no candidates; create one with `ashlar candidate create`",
            );
            return done();
        }
        CandidateCommand::Gates { candidate, .. } => {
            let candidate = id(&candidate)?;
            let answer = match &backend {
                Backend::Local(local) => {
                    let now = local.engine.candidate(&local.ctx, candidate).await?;
                    match now.status.as_str() {
                        "passed" | "failed" => value(local.run(Rejudge { candidate }).await?)?,
                        _ => value(now)?,
                    }
                }
                Backend::Remote(remote) => remote.call(rows::RUN_GATES.at([candidate]), None).await?,
            };
            match json_out {
                true => output::print_json(&answer),
                false => show(&answer),
            }
            return Ok(ExitCode::from(u8::from(answer["status"] == "failed")));
        }
        CandidateCommand::Approve { candidate, right, .. } => {
            let candidate = id(&candidate)?;
            let answer = match &backend {
                Backend::Local(local) => value(local.run(Approve { candidate, right }).await?)?,
                Backend::Remote(remote) => {
                    let body = json!({"right": right});
                    remote.call(rows::APPROVE_CANDIDATE.at([candidate]), Some(body)).await?
                }
            };
            if !json_out {
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
            answer
        }
        CandidateCommand::Waive { candidate, gate, reason, .. } => {
            let candidate = id(&candidate)?;
            match &backend {
                Backend::Local(local) => value(local.run(Waive { candidate, gate, reason }).await?)?,
                Backend::Remote(remote) => {
                    let body = json!({"gate": gate, "reason": reason});
                    remote.call(rows::WAIVE_GATE.at([candidate]), Some(body)).await?
                }
            }
        }
        CandidateCommand::Discard { candidate, .. } => {
            let candidate = id(&candidate)?;
            let answer = match &backend {
                Backend::Local(local) => value(local.run(DiscardCandidate { candidate }).await?)?,
                Backend::Remote(remote) => remote.call(rows::DISCARD_CANDIDATE.at([candidate]), None).await?,
            };
            told(json_out, &answer, &format!("{candidate} is discarded"));
            return done();
        }
    };
    match json_out {
        true => output::print_json(&answer),
        false => show(&answer),
    }
    done()
}
