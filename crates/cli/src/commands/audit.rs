//! `audit` and `event`: what happened.

use std::process::ExitCode;

use ashlar_server::endpoints::rows;
use serde_json::json;

use crate::{
    args::{AuditCommand, EventCommand},
    error::{CliError, Done},
    output,
    session::Session,
    words,
};

const COLUMNS: [(&str, &str); 5] =
    [("sequence", "ROW"), ("at", "AT"), ("actor", "WHO"), ("action_name", "DID"), ("subject", "TO")];

const EVENT_COLUMNS: [(&str, &str); 5] =
    [("sequence", "EVENT"), ("at", "AT"), ("kind", "KIND"), ("subject", "SUBJECT"), ("actor", "WHO")];

pub async fn audit(command: AuditCommand) -> Done {
    match command {
        AuditCommand::Verify { at } => verify(&Session::open(&at).await?).await,
        AuditCommand::List { cursor, at } => list(&Session::open(&at).await?, cursor.as_deref()).await,
    }
}

async fn verify(session: &Session) -> Done {
    let here = async |local: &crate::backend::Local| -> Result<_, CliError> {
        Ok(match local.engine.verify_audit(&local.ctx).await? {
            Ok(rows) => json!({"holds": true, "rows": rows}),
            Err(broken) => json!({"holds": false, "sequence": broken.sequence, "why": broken.why}),
        })
    };
    let answer = session.read(here, rows::VERIFY_AUDIT.call()).await?;
    let intact = answer["holds"] == json!(true);
    let sentence = match intact {
        true => format!("the chain is intact: {}", words::count_in(&answer, "rows", "row", "rows")),
        false => format!(
            "the chain breaks at row {}: {}",
            output::text(&answer, "sequence"),
            output::text(&answer, "why")
        ),
    };
    session.report(&answer, &sentence)?;
    Ok(ExitCode::from(u8::from(!intact)))
}

async fn list(session: &Session, cursor: Option<&str>) -> Done {
    let call = rows::LIST_AUDIT.call().with_any("cursor", cursor);
    let answer = session.read(async |local| local.engine.audit(&local.ctx, cursor).await, call).await?;
    session.list_page(&answer, &COLUMNS, "No actions were recorded yet.", "--cursor")
}

pub async fn event(command: EventCommand) -> Done {
    let EventCommand::List { after, at } = command;
    let session = Session::open(&at).await?;
    let call = rows::LIST_EVENTS.call().with("after", after);
    let answer = session.read(async |local| local.engine.events(&local.ctx, after, None).await, call).await?;
    session.list_page(&answer, &EVENT_COLUMNS, "No events were recorded yet.", "--after")
}
