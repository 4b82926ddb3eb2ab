//! `webhook`.

use ashlar_model::{ChannelName, TypeName};
use ashlar_release::{
    CreateWebhook, DeleteWebhook, EventFilter, ReplayDeliveries, RotateSecret, TestWebhook, UpdateWebhook,
};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::serve;
use crate::{
    args::WebhookCommand,
    backend::Backend,
    error::{CliError, Done, done},
    output,
    session::Session,
    words,
};

const COLUMNS: [(&str, &str); 8] = [
    ("id", "WEBHOOK"),
    ("url", "URL"),
    ("events", "EVENTS"),
    ("enabled", "ON"),
    ("pending", "PENDING"),
    ("done", "DONE"),
    ("dead", "DEAD"),
    ("why", "WHY OFF"),
];

const DELIVERY_COLUMNS: [(&str, &str); 8] = [
    ("delivery", "DELIVERY"),
    ("kind", "KIND"),
    ("state", "STATE"),
    ("attempts", "TRIES"),
    ("status", "STATUS"),
    ("took_ms", "MS"),
    ("due_at", "NEXT"),
    ("error", "ERROR"),
];

pub async fn webhook(command: WebhookCommand) -> Done {
    let session = &Session::open(command.at()).await?;
    match command {
        WebhookCommand::Add { url, events, types, channels, .. } => {
            add(session, url, filter(events, &types, &channels)?).await
        }
        WebhookCommand::List { .. } => list(session).await,
        WebhookCommand::Rm { id, .. } => remove(session, id).await,
        WebhookCommand::On { id, .. } => switch(session, id, true, String::new()).await,
        WebhookCommand::Off { id, why, .. } => switch(session, id, false, why).await,
        WebhookCommand::Rotate { id, .. } => rotate(session, id).await,
        WebhookCommand::Test { id, .. } => test(session, id).await,
        WebhookCommand::Deliveries { id, state, cursor, .. } => {
            deliveries(session, &id, state.as_deref(), cursor.as_deref()).await
        }
        WebhookCommand::Replay { id, delivery, .. } => replay(session, id, delivery).await,
    }
}

fn filter(events: Vec<String>, types: &[String], channels: &[String]) -> Result<EventFilter, CliError> {
    let mut filter = EventFilter::default();
    if !events.is_empty() {
        filter.events = events;
    }
    let invalid =
        |e: ashlar_model::IdError| CliError::input(e.to_string(), "see `ashlar webhook add --help`");
    for name in types {
        filter.types.push(TypeName::new(name).map_err(invalid)?);
    }
    for name in channels {
        filter.channels.push(ChannelName::new(name).map_err(invalid)?);
    }
    Ok(filter)
}

/// Prints a secret alone on standard output, so that it can be piped.
fn print_secret(session: &Session, answer: &Value) -> Done {
    match session.json {
        true => output::print_json(answer),
        false => {
            output::line(output::text(answer, "secret"));
            eprintln!(
                "This secret signs the deliveries of {}. Save it now. It is not shown again.",
                output::text(answer, "id")
            );
        }
    }
    done()
}

async fn add(session: &Session, url: String, filter: EventFilter) -> Done {
    if let Backend::Local(local) = &session.backend {
        // The server that sends has these settings too.
        let config = serve::settings(Some(&local.engine)).await?;
        local.engine.send_inside(config.webhooks_to_private);
    }
    let mut body = json!(filter);
    body["url"] = json!(url);
    let answer = session.run(CreateWebhook { url, filter }, rows::CREATE_WEBHOOK.call(), Some(body)).await?;
    print_secret(session, &answer)
}

async fn list(session: &Session) -> Done {
    let call = rows::LIST_WEBHOOKS.call();
    let answer = session.read(async |local| local.engine.webhooks(&local.ctx).await, call).await?;
    session.list(&answer, &COLUMNS, "There are no webhooks. Add one with `ashlar webhook add URL`.")
}

async fn remove(session: &Session, id: String) -> Done {
    let call = rows::DELETE_WEBHOOK.at([&id]);
    session.run(DeleteWebhook { id: id.clone() }, call, None).await?;
    session.report(&json!({"id": id, "deleted": true}), &format!("Deleted webhook {id}."))
}

async fn switch(session: &Session, id: String, enabled: bool, why: String) -> Done {
    let (call, body) = (rows::UPDATE_WEBHOOK.at([&id]), json!({"enabled": enabled, "why": why}));
    let sentence = format!("Webhook {id} is {}.", if enabled { "on" } else { "off" });
    let update = UpdateWebhook { id, url: None, filter: None, enabled: Some(enabled), why };
    let answer = session.run(update, call, Some(body)).await?;
    session.report(&answer, &sentence)
}

async fn rotate(session: &Session, id: String) -> Done {
    let call = rows::ROTATE_SECRET.at([&id]);
    let answer = session.run(RotateSecret { id }, call, None).await?;
    print_secret(session, &answer)
}

async fn test(session: &Session, id: String) -> Done {
    let sentence = format!("Sent a test. `ashlar webhook deliveries {id}` shows whether it arrived.");
    let call = rows::TEST_WEBHOOK.at([&id]);
    let answer = session.run(TestWebhook { id }, call, None).await?;
    session.report(&answer, &sentence)
}

async fn deliveries(session: &Session, id: &str, state: Option<&str>, cursor: Option<&str>) -> Done {
    let call = rows::LIST_DELIVERIES.at([id]).with_any("state", state).with_any("cursor", cursor);
    let answer = session
        .read(async |local| local.engine.deliveries(&local.ctx, id, state, cursor).await, call)
        .await?;
    session.list_page(&answer, &DELIVERY_COLUMNS, "There are no deliveries.", "--cursor")
}

async fn replay(session: &Session, id: String, delivery: Option<u64>) -> Done {
    let answer = match &session.backend {
        Backend::Local(local) => json!({"replayed": local.run(ReplayDeliveries { id, delivery }).await?}),
        Backend::Remote(remote) => {
            let body = json!({"delivery": delivery});
            remote.call(rows::REPLAY_DELIVERIES.at([&id]), Some(body)).await?
        }
    };
    let count = words::count_in(&answer, "replayed", "delivery", "deliveries");
    session.report(&answer, &format!("Sending {count} again."))
}
