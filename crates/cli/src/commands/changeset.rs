//! `changeset`.

use ashlar_release::{
    AddToChangeset, CancelSchedule, CreateChangeset, RemoveFromChangeset, ScheduleChangeset,
};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::entry::Named;
use crate::{
    args::{ChangesetCommand, EntryName},
    backend::Local,
    error::{CliError, Done, done},
    output,
    session::Session,
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

/// All changesets.
pub async fn all(session: &Session) -> Result<Value, CliError> {
    let here = async |local: &Local, at: Option<&str>| local.engine.changesets(&local.ctx, at).await;
    session.read_pages(here, || rows::LIST_CHANGESETS.call()).await
}

/// What would refuse a schedule now, for people. Empty if nothing would.
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

/// Prints changesets.
pub fn list(session: &Session, answer: &Value) -> Done {
    session.list(answer, &COLUMNS, "There are no changesets.")
}

pub async fn changeset(command: ChangesetCommand) -> Done {
    let session = &Session::open(command.at()).await?;
    match command {
        ChangesetCommand::Create { name, title, .. } => create(session, name, title).await,
        ChangesetCommand::Add { changeset, name, .. } => add(session, changeset, &name).await,
        ChangesetCommand::Remove { changeset, name, .. } => remove(session, changeset, &name).await,
        ChangesetCommand::Schedule { changeset, publish_at, unpublish_at, zone, .. } => {
            let action = ScheduleChangeset { name: changeset, publish_at, unpublish_at, zone };
            schedule(session, action).await
        }
        ChangesetCommand::Cancel { changeset, .. } => cancel(session, changeset).await,
        ChangesetCommand::Show { changeset, .. } => show(session, &changeset).await,
        ChangesetCommand::List { .. } => list(session, &all(session).await?),
    }
}

async fn create(session: &Session, name: String, title: String) -> Done {
    let sentence =
        format!("Created changeset {name}. Add drafts with `ashlar changeset add {name} TYPE ID`.");
    let body = json!({"name": name, "title": title});
    let action = CreateChangeset { name, title };
    let answer = session.run(action, rows::CREATE_CHANGESET.call(), Some(body)).await?;
    session.report(&answer, &sentence)
}

async fn add(session: &Session, name: String, entry: &EntryName) -> Done {
    let key = Named::read(entry)?.key(&session.backend).await?;
    let (call, sentence) = (rows::ADD_TO_CHANGESET.at([&name]), format!("Added {key} to changeset {name}."));
    let body = json!({"drafts": [key]});
    let answer = session.run(AddToChangeset { name, keys: vec![key] }, call, Some(body)).await?;
    session.report(&answer, &sentence)
}

async fn remove(session: &Session, name: String, entry: &EntryName) -> Done {
    let key = Named::read(entry)?.key(&session.backend).await?;
    let call = rows::REMOVE_FROM_CHANGESET.at([&name]);
    let (body, sentence) = (json!({"drafts": [key]}), format!("Removed {key} from changeset {name}."));
    let answer = session.run(RemoveFromChangeset { name, keys: vec![key] }, call, Some(body)).await?;
    session.report(&answer, &sentence)
}

async fn schedule(session: &Session, action: ScheduleChangeset) -> Done {
    let ScheduleChangeset { name, publish_at, unpublish_at, zone } = &action;
    let body = json!({"publish_at": publish_at, "unpublish_at": unpublish_at, "zone": zone});
    let (name, call) = (name.clone(), rows::SCHEDULE_CHANGESET.at([name]));
    let answer = session.run(action, call, Some(body)).await?;
    let at = output::text(&answer, "publish_at");
    session.report(
        &answer,
        &format!("Changeset {name} will be published at {at}.{}", refusals(&answer["forecast"])),
    )
}

async fn cancel(session: &Session, name: String) -> Done {
    let (call, sentence) =
        (rows::CANCEL_SCHEDULE.at([&name]), format!("Changeset {name} is no longer scheduled."));
    let answer = session.run(CancelSchedule { name }, call, None).await?;
    session.report(&answer, &sentence)
}

async fn show(session: &Session, name: &str) -> Done {
    let call = rows::GET_CHANGESET.at([name]);
    let answer = session.read(async |local| local.engine.changeset(&local.ctx, name).await, call).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    output::table(std::slice::from_ref(&answer), &COLUMNS, "");
    let columns =
        [("type", "TYPE"), ("id", "ID"), ("locale", "LOCALE"), ("state", "STATE"), ("pending", "PENDING")];
    output::table(answer["drafts"].as_array().map_or(&[], Vec::as_slice), &columns, "It has no drafts.");
    done()
}
