//! What commands on one draft share: its name, its fields in a file, and what is printed after a write.

use std::{io::Read, path::Path};

use ashlar_model::{ContractName, EntryId, EntryKey, Fields, Finding, Locale, TypeName};
use ashlar_server::endpoints::{Call, Operation, rows};
use serde_json::{Value, json};

use crate::{args::EntryName, backend::Backend, error::CliError, hints, output};

/// An entry as the command line names it: without a locale if none was given, and with a contract version if one was.
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

/// Reports a write to people.
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
pub fn refused(answer: &Value) {
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
