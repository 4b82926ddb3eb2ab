//! `changeset`.

use ashlar_release::{
    AddToChangeset, CancelSchedule, CreateChangeset, RemoveFromChangeset, ScheduleChangeset,
};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::{
    Done, done,
    entry::{Named, items, told},
};
use crate::{
    args::{ChangesetCommand, Format},
    backend::{Backend, value},
    error::CliError,
    output,
};

const COLUMNS: [(&str, &str); 7] = [
    ("changeset", "CHANGESET"),
    ("state", "STATE"),
    ("publish_at", "PUBLISH AT"),
    ("unpublish_at", "TAKE DOWN AT"),
    ("overdue_seconds", "OVERDUE S"),
    ("title", "TITLE"),
    ("message", "MESSAGE"),
];

pub async fn list(backend: &Backend) -> Result<Value, CliError> {
    match backend {
        Backend::Local(local) => value(local.engine.changesets(&local.ctx).await?),
        Backend::Remote(remote) => remote.call(rows::LIST_CHANGESETS.call(), None).await,
    }
}

/// Changesets that have something to do, and those that failed.
pub async fn planned(backend: &Backend) -> Result<Value, CliError> {
    match backend {
        Backend::Local(local) => value(local.engine.planned_changesets(&local.ctx).await?),
        Backend::Remote(remote) => remote.call(rows::LIST_SCHEDULES.call(), None).await,
    }
}

/// What would refuse a schedule now, for people; empty when nothing would.
fn refusals(forecast: &Value) -> String {
    let mut said = String::new();
    for (step, what) in [("publish", "Publishing"), ("take_down", "Taking down")] {
        let outlook = &forecast[step];
        let gates: Vec<&str> =
            outlook["refused_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let message = outlook["message"].as_str().unwrap_or_default();
        let reasons: Vec<&str> =
            gates.iter().copied().chain((!message.is_empty()).then_some(message)).collect();
        if reasons.is_empty() {
            continue;
        }
        said.push_str(&format!("\n{what} would be refused now: {}", reasons.join(", ")));
        for finding in outlook["findings"].as_array().into_iter().flatten() {
            said.push_str(&format!(
                "\n  {}\n    {}",
                output::text(finding, "where"),
                output::text(finding, "message")
            ));
            let help = output::text(finding, "help");
            if !help.is_empty() {
                said.push_str(&format!("\n    → {help}"));
            }
        }
    }
    said
}

pub fn show_list(answer: &Value) {
    output::table(items(answer), &COLUMNS, "there are no changesets");
}

pub async fn changeset(command: ChangesetCommand) -> Done {
    let at = command.at().clone();
    let backend = Backend::open(&at).await?;
    let json_out = at.format == Format::Json;
    let (answer, sentence) = match command {
        ChangesetCommand::Create { name, title, .. } => {
            let answer = match &backend {
                Backend::Local(local) => {
                    value(local.run(CreateChangeset { name: name.clone(), title }).await?)?
                }
                Backend::Remote(remote) => {
                    let body = json!({"name": name, "title": title});
                    remote.call(rows::CREATE_CHANGESET.call(), Some(body)).await?
                }
            };
            (answer, format!("changeset {name} created; add drafts: `ashlar changeset add {name} TYPE ID`"))
        }
        ChangesetCommand::Add { changeset, name, .. } => {
            let key = Named::read(&name)?.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => value(
                    local.run(AddToChangeset { name: changeset.clone(), keys: vec![key.clone()] }).await?,
                )?,
                Backend::Remote(remote) => {
                    let body = json!({"drafts": [key]});
                    remote.call(rows::ADD_TO_CHANGESET.at([&changeset]), Some(body)).await?
                }
            };
            (answer, format!("{key} ships with {changeset}"))
        }
        ChangesetCommand::Remove { changeset, name, .. } => {
            let key = Named::read(&name)?.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => value(
                    local
                        .run(RemoveFromChangeset { name: changeset.clone(), keys: vec![key.clone()] })
                        .await?,
                )?,
                Backend::Remote(remote) => {
                    let body = json!({"drafts": [key]});
                    remote.call(rows::REMOVE_FROM_CHANGESET.at([&changeset]), Some(body)).await?
                }
            };
            (answer, format!("{key} no longer ships with {changeset}"))
        }
        ChangesetCommand::Schedule { changeset, publish_at, unpublish_at, zone, .. } => {
            let answer = match &backend {
                Backend::Local(local) => {
                    let action =
                        ScheduleChangeset { name: changeset.clone(), publish_at, unpublish_at, zone };
                    value(local.run(action).await?)?
                }
                Backend::Remote(remote) => {
                    let body = json!({"publish_at": publish_at, "unpublish_at": unpublish_at, "zone": zone});
                    remote.call(rows::SCHEDULE_CHANGESET.at([&changeset]), Some(body)).await?
                }
            };
            let at = output::text(&answer, "publish_at");
            let sentence = format!("{changeset} is published at {at}{}", refusals(&answer["forecast"]));
            (answer, sentence)
        }
        ChangesetCommand::Cancel { changeset, .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.run(CancelSchedule { name: changeset.clone() }).await?)?,
                Backend::Remote(remote) => remote.call(rows::CANCEL_SCHEDULE.at([&changeset]), None).await?,
            };
            (answer, format!("{changeset} is no longer scheduled"))
        }
        ChangesetCommand::Show { changeset, .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.changeset(&local.ctx, &changeset).await?)?,
                Backend::Remote(remote) => remote.call(rows::GET_CHANGESET.at([&changeset]), None).await?,
            };
            if !json_out {
                output::table(std::slice::from_ref(&answer), &COLUMNS, "");
                let drafts = answer["drafts"].as_array().map_or(&[][..], Vec::as_slice);
                let columns = [
                    ("type", "TYPE"),
                    ("id", "ID"),
                    ("locale", "LOCALE"),
                    ("state", "STATE"),
                    ("pending", "PENDING"),
                ];
                output::table(drafts, &columns, "it has no drafts");
                return done();
            }
            (answer, String::new())
        }
        ChangesetCommand::List { .. } => {
            let answer = list(&backend).await?;
            if !json_out {
                show_list(&answer);
                return done();
            }
            (answer, String::new())
        }
    };
    told(json_out, &answer, &sentence);
    done()
}
