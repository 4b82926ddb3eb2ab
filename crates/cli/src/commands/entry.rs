//! `entry`: drafts.

use std::{io::Read, path::Path};

use ashlar_model::{ContractName, EntryId, EntryKey, Fields, Finding, Locale, TypeName};
use ashlar_release::{DeleteEntry, DraftQuery, PutEntry, SetUnpublished};
use ashlar_server::endpoints::{Call, Operation, rows};
use serde_json::{Value, json};

use super::{Done, done, edit};
use crate::{
    args::{EntryCommand, EntryName, Format},
    backend::{Backend, value},
    error::CliError,
    hints, output,
};

/// An entry as it was named: its key, without a locale when none was given, and the contract version.
pub struct Named {
    pub type_name: TypeName,
    pub id: EntryId,
    pub locale: Option<Locale>,
    pub major: Option<u32>,
}

impl Named {
    pub fn read(name: &EntryName) -> Result<Self, CliError> {
        let (type_name, major) = match name.type_name.parse::<ContractName>() {
            Ok(contract) => (contract.name, Some(contract.major)),
            Err(_) => (TypeName::new(&name.type_name)?, None),
        };
        let locale = name.locale.as_deref().map(Locale::any_case).transpose()?;
        Ok(Self { type_name, id: EntryId::new(&name.id)?, locale, major })
    }

    /// The key, with the project's default locale when none was named.
    pub async fn key(&self, backend: &Backend) -> Result<EntryKey, CliError> {
        let locale = match (&self.locale, backend) {
            (Some(locale), Backend::Remote(_)) => locale.clone(),
            (named, Backend::Local(local)) => {
                let locales =
                    local.rules().await?.map(|rules| rules.config.locales.clone()).unwrap_or_default();
                match named {
                    Some(locale) => locales.spelled(locale.clone()),
                    None => locales.default,
                }
            }
            (None, Backend::Remote(remote)) => {
                let config = remote.call(rows::GET_DEFINITIONS.call(), None).await?;
                Locale::new(config["default_locale"].as_str().unwrap_or("en"))?
            }
        };
        Ok(EntryKey { type_name: self.type_name.clone(), id: self.id.clone(), locale })
    }
}

/// A call that is about one entry.
pub fn of(operation: &'static Operation, key: &EntryKey) -> Call {
    operation.at([key.type_name.as_str(), key.id.as_str()]).with("locale", &key.locale)
}

/// The fields of an entry in a file; `-` is standard input.
pub fn read_fields(file: &Path) -> Result<Fields, CliError> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let mut text = Vec::new();
    let limit = ashlar_release::ENTRY_BYTES_MAX as u64 * 2;
    let read = match file == Path::new("-") {
        true => std::io::stdin().take(limit + 1).read_to_end(&mut text),
        false => std::fs::File::open(file).and_then(|f| f.take(limit + 1).read_to_end(&mut text)),
    };
    read.map_err(|e| CliError::file("read", file, &e))?;
    if text.len() as u64 > limit {
        return Err(CliError::input(
            format!("{name} has more than {limit} bytes"),
            "an entry is smaller than that",
        ));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let value: Value = serde_json::from_slice(text).map_err(|e| CliError::json(&name, text, &e))?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(CliError::input(
            format!("{name}:1:1: the fields of an entry must be a JSON object"),
            "write `{ \"title\": … }`",
        )),
    }
}

pub async fn entry(command: EntryCommand) -> Done {
    let at = command.at().clone();
    if let EntryCommand::Edit { entry, id, locale, keep_invalid, .. } = command {
        return edit::edit(edit::Edit { entry, id, locale, keep_invalid }, &at).await;
    }
    let backend = match &command {
        EntryCommand::Put { .. } => Backend::open_or_create(&at).await?,
        _ => Backend::open(&at).await?,
    };
    let json_out = at.format == Format::Json;
    match command {
        EntryCommand::Put { name, file, version, strict, .. } => {
            let named = Named::read(&name)?;
            let fields = read_fields(&file)?;
            let key = named.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => {
                    let put = PutEntry { key, major: named.major, fields, expected_version: version };
                    value(local.engine.put(&local.ctx, put, strict).await?)?
                }
                Backend::Remote(remote) => {
                    let body =
                        json!({"fields": fields, "version": version, "major": named.major, "strict": strict});
                    remote.call(of(&rows::PUT_DRAFT, &key), Some(body)).await?
                }
            };
            match json_out || !output::for_people() {
                false => written(&answer),
                true => output::print_json(&json!({
                "type": answer["type"], "id": answer["id"], "locale": answer["locale"], "version": answer["version"],
                "contract": answer["contract"], "pending": answer["pending"],
                })),
            }
            refused(&answer);
        }
        EntryCommand::Get { name, full, .. } => {
            let key = Named::read(&name)?.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.draft(&local.ctx, &key).await?)?,
                Backend::Remote(remote) => remote.call(of(&rows::GET_DRAFT, &key), None).await?,
            };
            output::print_json(if full { &answer } else { &answer["fields"] });
        }
        EntryCommand::Rm { name, version, .. } => {
            let key = Named::read(&name)?.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => {
                    value(local.run(DeleteEntry { key: key.clone(), expected_version: version }).await?)?
                }
                Backend::Remote(remote) => {
                    let call = of(&rows::DELETE_DRAFT, &key).with_any("version", version);
                    remote.call(call, None).await?
                }
            };
            told(json_out, &answer, &format!("{key} is marked as deleted; the next release removes it"));
        }
        EntryCommand::Unpublish { name, undo, .. } => {
            let key = Named::read(&name)?.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => {
                    value(local.run(SetUnpublished { key: key.clone(), unpublished: !undo }).await?)?
                }
                Backend::Remote(remote) => {
                    let body = json!({"unpublished": !undo});
                    remote.call(of(&rows::UNPUBLISH_DRAFT, &key), Some(body)).await?
                }
            };
            let what = if undo { "comes back" } else { "leaves what is served" };
            told(json_out, &answer, &format!("{key} {what} with the next release"));
        }
        EntryCommand::List { type_name, pending, cursor, limit, .. } => {
            let answer = match &backend {
                Backend::Local(local) => {
                    let query = DraftQuery {
                        type_name: type_name.as_deref().map(TypeName::new).transpose()?,
                        pending,
                        changeset: None,
                        cursor,
                        limit: Some(limit),
                    };
                    value(local.engine.drafts(&local.ctx, &query).await?)?
                }
                Backend::Remote(remote) => {
                    let call = rows::LIST_DRAFTS.call().with("limit", limit).with("pending", pending);
                    let call = call.with_any("type", type_name.as_ref()).with_any("cursor", cursor.as_ref());
                    remote.call(call, None).await?
                }
            };
            if json_out {
                output::print_json(&answer);
                return done();
            }
            let columns = [
                ("type", "TYPE"),
                ("id", "ID"),
                ("locale", "LOCALE"),
                ("version", "VERSION"),
                ("state", "STATE"),
                ("pending", "PENDING"),
                ("updated_by", "BY"),
                ("updated_at", "AT"),
            ];
            output::table(items(&answer), &columns, "there are no drafts");
            if let Some(cursor) = answer["next_cursor"].as_str() {
                output::line(format!("more: --cursor '{cursor}'"));
            }
        }
        EntryCommand::Edit { .. } => {}
        EntryCommand::History { name, .. } => {
            let key = Named::read(&name)?.key(&backend).await?;
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.history(&local.ctx, &key, None).await?)?,
                Backend::Remote(remote) => remote.call(of(&rows::LIST_DRAFT_VERSIONS, &key), None).await?,
            };
            if json_out {
                output::print_json(&answer);
                return done();
            }
            let columns = [
                ("version", "VERSION"),
                ("author", "AUTHOR"),
                ("at", "AT"),
                ("state", "STATE"),
                ("changed", "FIELDS"),
                ("note", "NOTE"),
            ];
            output::table(items(&answer), &columns, "there are no versions");
        }
    }
    done()
}

/// What was written, for people.
pub fn written(answer: &Value) {
    let member = |name: &str| output::text(answer, name);
    let state = match answer["pending"] == json!(true) {
        true => "It differs from what is live.",
        false => "It is the same as what is live.",
    };
    output::line(format!(
        "Wrote {}/{} ({}), version {}. {state}",
        member("type"),
        member("id"),
        member("locale"),
        member("version")
    ));
    let see = format!("ashlar entry get {} {} --locale {}", member("type"), member("id"), member("locale"));
    output::hint(format!("See it:  {}", hints::command(&see)));
}

/// Says on standard error what the contract will refuse in a draft that was written.
fn refused(answer: &Value) {
    let findings: Vec<Finding> =
        serde_json::from_value(answer.get("findings").cloned().unwrap_or_default()).unwrap_or_default();
    if findings.is_empty() {
        return;
    }
    eprintln!("The draft is written, but {} will refuse it:", output::text(answer, "contract"));
    for group in ashlar_model::grouped(&findings) {
        for line in output::group_lines(&group, "  ") {
            eprintln!("{line}");
        }
    }
}

/// The items of a page.
pub fn items(page: &Value) -> &[Value] {
    page.get("items").or(Some(page)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// JSON for programs, a sentence for people.
pub fn told(json_out: bool, answer: &Value, sentence: &str) {
    match json_out {
        true => output::print_json(answer),
        false => output::line(hints::text(sentence)),
    }
}
