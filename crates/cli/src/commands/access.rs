//! `key` and `tenant`: who may do what, and where.

use ashlar_model::{ChannelName, Right, TenantId};
use ashlar_release::{CreateKey, CreateTenant, ReleaseError, RevokeKey};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    args::{KeyCommand, TenantCommand},
    backend::{Backend, Local},
    error::{CliError, Done, done},
    output,
    session::Session,
};

const KEY_COLUMNS: [(&str, &str); 7] = [
    ("id", "KEY"),
    ("name", "NAME"),
    ("scopes", "SCOPES"),
    ("channel", "CHANNEL"),
    ("reader", "READER"),
    ("expires_at", "ENDS"),
    ("revoked_at", "REVOKED"),
];

const TENANT_COLUMNS: [(&str, &str); 3] = [("tenant", "TENANT"), ("hosts", "HOSTS"), ("created_at", "SINCE")];

pub async fn key(command: KeyCommand) -> Done {
    match command {
        KeyCommand::Create { name, scopes, channel, reader, expires_at, at } => {
            let session = Session::open_or_create(&at).await?;
            let mut body =
                json!({"name": name, "scopes": scopes, "channel": channel, "expires_at": expires_at});
            // A server of an earlier version does not know it.
            if let Some(reader) = &reader {
                body["reader"] = json!(reader);
            }
            let right = |s: &String| s.parse::<Right>().map_err(|e| CliError::input(e.to_string(), ""));
            let scopes = scopes.iter().map(right).collect::<Result<_, _>>()?;
            let channel = channel.as_deref().map(ChannelName::new).transpose()?;
            create_key(&session, CreateKey { name, scopes, channel, reader, expires_at }, body).await
        }
        KeyCommand::List { at } => list_keys(&Session::open(&at).await?).await,
        KeyCommand::Revoke { id, at } => revoke_key(&Session::open(&at).await?, id).await,
    }
}

async fn create_key(session: &Session, create: CreateKey, body: Value) -> Done {
    let answer = session.run(create, rows::CREATE_KEY.call(), Some(body)).await?;
    match session.json {
        true => output::print_json(&answer),
        false => {
            output::line(output::text(&answer, "key"));
            eprintln!("Save this key now. It is not shown again. Its id is {}.", output::text(&answer, "id"));
        }
    }
    done()
}

async fn list_keys(session: &Session) -> Done {
    let call = rows::LIST_KEYS.call();
    let answer = session.read(async |local| local.engine.keys(&local.ctx).await, call).await?;
    session.list(&answer, &KEY_COLUMNS, "There are no keys.")
}

async fn revoke_key(session: &Session, id: String) -> Done {
    let call = rows::REVOKE_KEY.at([&id]);
    session.run(RevokeKey { id: id.clone() }, call, None).await?;
    session.report(&json!({"id": id, "revoked": true}), &format!("Revoked key {id}."))
}

pub async fn tenant(command: TenantCommand) -> Done {
    match command {
        TenantCommand::Create { name, hosts, at } => {
            create_tenant(&Session::open_or_create(&at).await?, &name, hosts).await
        }
        TenantCommand::List { at } => list_tenants(&Session::open(&at).await?).await,
    }
}

async fn create_tenant(session: &Session, name: &str, hosts: Vec<String>) -> Done {
    let body = json!({"tenant": name, "hosts": hosts});
    match &session.backend {
        Backend::Local(local) => {
            local.run(CreateTenant { tenant: TenantId::new(name)?, hosts }).await?;
        }
        Backend::Remote(remote) => {
            remote.call(rows::CREATE_TENANT.call(), Some(body.clone())).await?;
        }
    }
    session.report(&body, &format!("Saved tenant {name}."))
}

async fn list_tenants(session: &Session) -> Done {
    let here = async |local: &Local| -> Result<Vec<Value>, ReleaseError> {
        let tenants = local.engine.db().tenants().await?.into_iter();
        Ok(tenants
            .map(|t| json!({"tenant": t.tenant, "hosts": t.hosts, "created_at": t.created_at}))
            .collect())
    };
    let answer = session.read(here, rows::LIST_TENANTS.call()).await?;
    session.list(&answer, &TENANT_COLUMNS, "There are no tenants.")
}
