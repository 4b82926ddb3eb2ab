//! `webhook`.

use ashlar_model::{ChannelName, TypeName};
use ashlar_release::{
    CreateWebhook, DeleteWebhook, EventFilter, ReplayDeliveries, RotateSecret, TestWebhook, UpdateWebhook,
};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::{Done, done, entry::told, ops::listed};
use crate::{
    args::{Format, WebhookCommand},
    backend::{Backend, value},
    error::CliError,
    output,
};

/// A secret is printed alone, so that it can be piped; everything about it goes to people.
fn secret(json: bool, answer: &Value) {
    match json {
        true => output::print_json(answer),
        false => {
            output::line(output::text(answer, "secret"));
            eprintln!(
                "This secret signs the deliveries of {}. Save it now. It is not shown again.",
                output::text(answer, "id")
            );
        }
    }
}

pub async fn webhook(command: WebhookCommand) -> Done {
    let at = command.at().clone();
    let as_json = at.format == Format::Json;
    let backend = Backend::open(&at).await?;
    match command {
        WebhookCommand::Add { url, events, types, channels, .. } => {
            let mut filter = EventFilter::default();
            if !events.is_empty() {
                filter.events = events;
            }
            let bad = |e: String| CliError::input(e, "see `ashlar webhook add --help`");
            for name in types {
                filter.types.push(TypeName::new(&name).map_err(|e| bad(e.to_string()))?);
            }
            for name in channels {
                filter.channels.push(ChannelName::new(&name).map_err(|e| bad(e.to_string()))?);
            }
            let answer = match &backend {
                Backend::Local(local) => {
                    // The server that will send has these settings too.
                    let config = super::serve::settings(Some(&local.engine)).await?;
                    local.engine.send_inside(config.webhooks_to_private);
                    value(local.run(CreateWebhook { url, filter }).await?)?
                }
                Backend::Remote(remote) => {
                    let mut body = json!(filter);
                    body["url"] = json!(url);
                    remote.call(rows::CREATE_WEBHOOK.call(), Some(body)).await?
                }
            };
            secret(as_json, &answer);
        }
        WebhookCommand::List { .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.webhooks(&local.ctx).await?)?,
                Backend::Remote(remote) => remote.call(rows::LIST_WEBHOOKS.call(), None).await?,
            };
            let columns = [
                ("id", "WEBHOOK"),
                ("url", "URL"),
                ("events", "EVENTS"),
                ("enabled", "ON"),
                ("pending", "PENDING"),
                ("done", "DONE"),
                ("dead", "DEAD"),
                ("why", "WHY OFF"),
            ];
            listed(&at, &answer, &columns, "there are no webhooks; add one with `ashlar webhook add URL`");
        }
        WebhookCommand::Rm { id, .. } => {
            match &backend {
                Backend::Local(local) => local.run(DeleteWebhook { id: id.clone() }).await?,
                Backend::Remote(remote) => {
                    drop(remote.call(rows::DELETE_WEBHOOK.at([&id]), None).await?);
                }
            }
            told(as_json, &json!({"id": id, "deleted": true}), &format!("{id} is removed"));
        }
        WebhookCommand::On { id, .. } => switch(&backend, as_json, id, true, String::new()).await?,
        WebhookCommand::Off { id, why, .. } => switch(&backend, as_json, id, false, why).await?,
        WebhookCommand::Rotate { id, .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.run(RotateSecret { id }).await?)?,
                Backend::Remote(remote) => remote.call(rows::ROTATE_SECRET.at([&id]), None).await?,
            };
            secret(as_json, &answer);
        }
        WebhookCommand::Test { id, .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.run(TestWebhook { id: id.clone() }).await?)?,
                Backend::Remote(remote) => remote.call(rows::TEST_WEBHOOK.at([&id]), None).await?,
            };
            let sentence =
                format!("a test was sent; `ashlar webhook deliveries {id}` shows whether it arrived");
            told(as_json, &answer, &sentence);
        }
        WebhookCommand::Deliveries { id, state, cursor, .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(
                    local.engine.deliveries(&local.ctx, &id, state.as_deref(), cursor.as_deref()).await?,
                )?,
                Backend::Remote(remote) => {
                    let call = rows::LIST_DELIVERIES.at([&id]);
                    let call = call.with_any("state", state.as_ref()).with_any("cursor", cursor.as_ref());
                    remote.call(call, None).await?
                }
            };
            let columns = [
                ("delivery", "DELIVERY"),
                ("kind", "KIND"),
                ("state", "STATE"),
                ("attempts", "TRIES"),
                ("status", "STATUS"),
                ("took_ms", "MS"),
                ("due_at", "NEXT"),
                ("error", "ERROR"),
            ];
            listed(&at, &answer, &columns, "there are no deliveries");
        }
        WebhookCommand::Replay { id, delivery, .. } => {
            let answer = match &backend {
                Backend::Local(local) => {
                    json!({"replayed": local.run(ReplayDeliveries { id, delivery }).await?})
                }
                Backend::Remote(remote) => {
                    let body = json!({"delivery": delivery});
                    remote.call(rows::REPLAY_DELIVERIES.at([&id]), Some(body)).await?
                }
            };
            told(as_json, &answer, &format!("{} deliveries are sent again", answer["replayed"]));
        }
    }
    done()
}

async fn switch(
    backend: &Backend,
    as_json: bool,
    id: String,
    enabled: bool,
    why: String,
) -> Result<(), CliError> {
    let answer = match backend {
        Backend::Local(local) => {
            let update =
                UpdateWebhook { id: id.clone(), url: None, filter: None, enabled: Some(enabled), why };
            value(local.run(update).await?)?
        }
        Backend::Remote(remote) => {
            let body = json!({"enabled": enabled, "why": why});
            remote.call(rows::UPDATE_WEBHOOK.at([&id]), Some(body)).await?
        }
    };
    told(as_json, &answer, &format!("{id} is {}", if enabled { "on" } else { "off" }));
    Ok(())
}
