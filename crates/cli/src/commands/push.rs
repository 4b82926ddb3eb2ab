//! `push`: a project becomes the working definitions.

use ashlar_release::PushDefinitions;
use ashlar_server::endpoints::rows;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::{
    args::{Format, PushArgs},
    backend::{Backend, value},
    error::{Done, done},
    hints, output,
    project::{read, read_content},
    words,
    writing::{import_local, import_remote, incoming},
};

pub async fn push(args: &PushArgs) -> Done {
    let files = read(&args.dir)?;
    let content = if args.content { read_content(&args.dir, &files)? } else { Vec::new() };
    let mut answer = match Backend::open_or_create(&args.at).await? {
        Backend::Local(local) => {
            let mut answer = value(local.run(PushDefinitions { files }).await?)?;
            if args.content {
                let entries = content.into_iter().map(incoming).collect();
                answer["content"] = value(import_local(&local, "content/", entries, &mut |_| {}).await?)?;
            }
            answer
        }
        Backend::Remote(remote) => {
            let mut map = serde_json::Map::new();
            for (path, bytes) in files.iter() {
                let content = match std::str::from_utf8(bytes) {
                    Ok(text) => Value::String(text.to_owned()),
                    Err(_) => json!({"base64": base64::engine::general_purpose::STANDARD.encode(bytes)}),
                };
                map.insert(path.to_owned(), content);
            }
            let mut answer = remote.call(rows::PUSH_DEFINITIONS.call(), Some(json!({"files": map}))).await?;
            if args.content {
                let entries: Vec<_> = content.into_iter().map(incoming).collect();
                answer["content"] = import_remote(&remote, "content/", entries, &mut |_| {}).await?;
            }
            answer
        }
    };
    if args.at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    let digest: String = output::text(&answer, "definitions").chars().take(12).collect();
    let what = if answer["changed"] == json!(true) { "pushed" } else { "unchanged" };
    let files = words::count_in(&answer, "files", "definition file", "definition files");
    output::line(format!("{files} {what} ({digest})"));
    if let Some(content) = answer.get_mut("content") {
        output::line(format!(
            "{} written, {} unchanged",
            words::count_in(content, "written", "draft", "drafts"),
            output::text(content, "unchanged")
        ));
    }
    output::hint(format!("Next:  {}", hints::command("ashlar candidate create")));
    done()
}
