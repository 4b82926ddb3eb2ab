//! `entry edit`: a draft in the editor.

use std::{
    io::{BufRead, IsTerminal, Write},
    path::Path,
};

use ashlar_model::{EntryKey, Fields};
use ashlar_release::PutEntry;
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::draft::{Named, of, read_fields, written};
use crate::{
    args::{At, EntryName, Format},
    backend::{Backend, remembered, value},
    error::{CliError, Done, done},
    hints, output,
    session::Session,
};

/// What `entry edit` was asked for.
pub struct Edit {
    /// `TYPE/ID`, or the type alone.
    pub entry: String,
    /// The id, when it is apart.
    pub id: Option<String>,
    pub locale: Option<String>,
    /// Also write what the contract refuses.
    pub keep_invalid: bool,
}

fn name_of(edit: &Edit) -> Result<EntryName, CliError> {
    let (type_name, id) = match (&edit.id, edit.entry.split_once('/')) {
        (Some(id), None) => (edit.entry.as_str(), id.as_str()),
        (None, Some((type_name, id))) => (type_name, id),
        _ => {
            let message = format!("`{}` does not name an entry", edit.entry);
            return Err(CliError::input(message, "write TYPE/ID, for example `ashlar entry edit page/home`"));
        }
    };
    Ok(EntryName { type_name: type_name.to_owned(), id: id.to_owned(), locale: edit.locale.clone() })
}

/// The command that edits a file, as a shell reads it.
fn editor() -> Result<String, CliError> {
    let named = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    named("VISUAL")
        .or_else(|| named("EDITOR"))
        .ok_or_else(|| CliError::input("no editor is set", "set EDITOR, for example: export EDITOR=nano"))
}

fn run_editor(editor: &str, file: &Path) -> Result<(), CliError> {
    // The shell splits the options of the editor; the file stays one word.
    let run = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file)
        .status();
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let message = format!("the editor `{editor}` failed ({status}); nothing was written");
            Err(CliError::new(3, "editor", message, "set VISUAL or EDITOR to a working editor"))
        }
        Err(e) => Err(CliError::new(3, "editor", format!("the editor `{editor}` could not be run: {e}"), "")),
    }
}

/// Asks on a terminal whether to go on editing; elsewhere the answer is no.
fn again(error: &CliError) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    error.report(Format::Human);
    eprint!("Edit again? [Y/n] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    match std::io::stdin().lock().read_line(&mut answer) {
        Ok(0) | Err(_) => false,
        Ok(_) => !answer.trim().to_ascii_lowercase().starts_with('n'),
    }
}

/// The draft as it is now.
async fn read(at: &At, name: &EntryName) -> Result<(EntryKey, Value), CliError> {
    let session = Session::open(at).await?;
    let key = Named::read(name)?.key(&session.backend).await?;
    let call = of(&rows::GET_DRAFT, &key);
    let draft = session.read(async |local| local.engine.draft(&local.ctx, &key).await, call).await?;
    session.backend.close().await;
    Ok((key, draft))
}

async fn write(
    at: &At,
    key: &EntryKey,
    fields: &Fields,
    version: u64,
    strict: bool,
) -> Result<Value, CliError> {
    let backend = Backend::open(at).await?;
    let answer = match &backend {
        Backend::Local(local) => {
            let put = PutEntry {
                key: key.clone(),
                major: None,
                fields: fields.clone(),
                expected_version: Some(version),
            };
            value(local.engine.put(&local.ctx, put, strict).await?)?
        }
        Backend::Remote(remote) => {
            let body = json!({"fields": fields, "version": version, "strict": strict});
            remote.call(of(&rows::PUT_DRAFT, key), Some(body)).await?
        }
    };
    Ok(answer)
}

pub async fn edit(edit: Edit, at: &At) -> Done {
    let at = &remembered(at)?;
    let editor = editor()?;
    let (key, draft) = read(at, &name_of(&edit)?).await?;
    let version = draft["version"].as_u64().unwrap_or(0);
    let before: Fields = serde_json::from_value(draft["fields"].clone()).unwrap_or_default();
    let dir = tempfile::Builder::new()
        .prefix("ashlar-edit-")
        .tempdir()
        .map_err(|e| CliError::file("create", &std::env::temp_dir(), &e))?;
    let file = dir.path().join(format!("{}-{}.{}.json", key.type_name, key.id, key.locale));
    let text = serde_json::to_string_pretty(&before).unwrap_or_default() + "\n";
    std::fs::write(&file, &text).map_err(|e| CliError::file("write", &file, &e))?;
    loop {
        run_editor(&editor, &file)?;
        let outcome = match read_fields(&file) {
            Ok(fields) if fields == before => {
                output::report(
                    at.format == Format::Json,
                    &json!({"type": key.type_name, "id": key.id, "locale": key.locale, "version": version, "changed": false}),
                    &format!("{key} was not changed. Nothing was written."),
                );
                return done();
            }
            Ok(fields) => write(at, &key, &fields, version, !edit.keep_invalid).await,
            Err(error) => Err(error),
        };
        let mut error = match outcome {
            Ok(answer) => {
                match at.format {
                    Format::Json => output::print_json(&answer),
                    Format::Human => written(&answer),
                }
                return done();
            }
            Err(error) => error,
        };
        if again(&error) {
            continue;
        }
        // The text must not be lost with the temporary directory.
        let kept = dir.keep().join(file.file_name().unwrap_or_default());
        let command = format!(
            "ashlar entry put {} {} --locale {} --file '{}'",
            key.type_name,
            key.id,
            key.locale,
            kept.display()
        );
        let stays = format!(
            "your text is saved in {}; fix it and write it with `{}`",
            kept.display(),
            hints::command(&command)
        );
        error.help = if error.help.is_empty() { stays } else { format!("{}; {stays}", error.help) };
        return Err(error);
    }
}
