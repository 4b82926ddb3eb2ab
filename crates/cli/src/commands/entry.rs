//! `entry`: drafts.

mod draft;
mod edit;

use std::path::Path;

use ashlar_model::TypeName;
use ashlar_release::{DeleteEntry, DraftQuery, PutEntry, SetUnpublished};
use ashlar_server::endpoints::rows;
use serde_json::json;

pub use self::draft::{Named, of};
use self::draft::{read_fields, refused, written};
use crate::{
    args::{EntryCommand, EntryName},
    backend::{Backend, value},
    error::{Done, done},
    output,
    session::Session,
};

const COLUMNS: [(&str, &str); 8] = [
    ("type", "TYPE"),
    ("id", "ID"),
    ("locale", "LOCALE"),
    ("version", "VERSION"),
    ("state", "STATE"),
    ("pending", "PENDING"),
    ("updated_by", "BY"),
    ("updated_at", "AT"),
];

const HISTORY_COLUMNS: [(&str, &str); 6] = [
    ("version", "VERSION"),
    ("author", "AUTHOR"),
    ("at", "AT"),
    ("state", "STATE"),
    ("changed", "FIELDS"),
    ("note", "NOTE"),
];

pub async fn entry(command: EntryCommand) -> Done {
    match command {
        EntryCommand::Put { name, file, version, strict, at } => {
            put(&Session::open_or_create(&at).await?, &name, &file, version, strict).await
        }
        EntryCommand::Get { name, full, at } => get(&Session::open(&at).await?, &name, full).await,
        EntryCommand::Edit { entry, id, locale, keep_invalid, at } => {
            edit::edit(edit::Edit { entry, id, locale, keep_invalid }, &at).await
        }
        EntryCommand::Rm { name, version, at } => remove(&Session::open(&at).await?, &name, version).await,
        EntryCommand::Unpublish { name, undo, at } => {
            unpublish(&Session::open(&at).await?, &name, undo).await
        }
        EntryCommand::List { type_name, pending, cursor, limit, at } => {
            let type_name = type_name.as_deref().map(TypeName::new).transpose()?;
            let query = DraftQuery { type_name, pending, changeset: None, cursor, limit: Some(limit) };
            list(&Session::open(&at).await?, &query).await
        }
        EntryCommand::History { name, at } => history(&Session::open(&at).await?, &name).await,
    }
}

async fn put(session: &Session, name: &EntryName, file: &Path, version: Option<u64>, strict: bool) -> Done {
    let named = Named::read(name)?;
    let fields = read_fields(file)?;
    let (key, major) = (named.key(&session.backend).await?, named.major);
    let answer = match &session.backend {
        Backend::Local(local) => {
            let put = PutEntry { key, major, fields, expected_version: version };
            value(local.engine.put(&local.ctx, put, strict).await?)?
        }
        Backend::Remote(remote) => {
            let body = json!({"fields": fields, "version": version, "major": major, "strict": strict});
            remote.call(of(&rows::PUT_DRAFT, &key), Some(body)).await?
        }
    };
    match session.json || !output::for_people() {
        false => written(&answer),
        true => output::print_json(&json!({
            "type": answer["type"], "id": answer["id"], "locale": answer["locale"], "version": answer["version"],
            "contract": answer["contract"], "pending": answer["pending"],
        })),
    }
    refused(&answer);
    done()
}

async fn get(session: &Session, name: &EntryName, full: bool) -> Done {
    let key = Named::read(name)?.key(&session.backend).await?;
    let call = of(&rows::GET_DRAFT, &key);
    let answer = session.read(async |local| local.engine.draft(&local.ctx, &key).await, call).await?;
    output::print_json(if full { &answer } else { &answer["fields"] });
    done()
}

async fn remove(session: &Session, name: &EntryName, version: Option<u64>) -> Done {
    let key = Named::read(name)?.key(&session.backend).await?;
    let call = of(&rows::DELETE_DRAFT, &key).with_any("version", version);
    let action = DeleteEntry { key: key.clone(), expected_version: version };
    let answer = session.run(action, call, None).await?;
    session.report(&answer, &format!("{key} is marked as deleted. The next release removes it."))
}

async fn unpublish(session: &Session, name: &EntryName, undo: bool) -> Done {
    let key = Named::read(name)?.key(&session.backend).await?;
    let (unpublished, call) = (!undo, of(&rows::UNPUBLISH_DRAFT, &key));
    let action = SetUnpublished { key: key.clone(), unpublished };
    let answer = session.run(action, call, Some(json!({"unpublished": unpublished}))).await?;
    let what = if undo { "publishes" } else { "removes" };
    session.report(&answer, &format!("The next release {what} {key}."))
}

async fn list(session: &Session, query: &DraftQuery) -> Done {
    let call = rows::LIST_DRAFTS.call().with_any("limit", query.limit).with("pending", query.pending);
    let call = call.with_any("type", query.type_name.as_ref()).with_any("cursor", query.cursor.as_ref());
    let answer = session.read(async |local| local.engine.drafts(&local.ctx, query).await, call).await?;
    session.list_page(&answer, &COLUMNS, "There are no drafts.", "--cursor")
}

async fn history(session: &Session, name: &EntryName) -> Done {
    let key = Named::read(name)?.key(&session.backend).await?;
    let call = of(&rows::LIST_DRAFT_VERSIONS, &key);
    let answer = session.read(async |local| local.engine.history(&local.ctx, &key, None).await, call).await?;
    session.list(&answer, &HISTORY_COLUMNS, "There are no versions.")
}
