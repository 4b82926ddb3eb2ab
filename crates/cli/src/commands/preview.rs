//! `preview`: a link to what is not live yet.

use ashlar_release::{At as What, CreatePreview};
use ashlar_server::endpoints::rows;
use serde_json::json;

use super::serve;
use crate::{
    args::{At, Format},
    backend::{Backend, Local, remembered, value},
    error::{CliError, Done, done},
    hints, output,
};

/// The address of the server that was started last on this installation. If there was none, `[server] listen` with the host
/// that a browser on this machine uses.
async fn served_at(local: &Local, at: &At) -> Result<String, CliError> {
    if let Some(url) = serve::remembered(at.data.as_deref()) {
        return Ok(url);
    }
    let listen = match local.rules().await? {
        Some(rules) => rules.config.server.listen.clone(),
        None => ashlar_model::ProjectConfig::named("").server.listen,
    };
    let (host, port) = listen.rsplit_once(':').unwrap_or((&listen, "80"));
    let host = if matches!(host, "0.0.0.0" | "[::]" | "") { "127.0.0.1" } else { host };
    Ok(format!("http://{host}:{port}"))
}

pub async fn preview(what: &str, hours: u32, at: &At) -> Done {
    let at = &remembered(at)?;
    let backend = Backend::open(at).await?;
    let answer = match &backend {
        Backend::Local(local) => {
            let shown: What = what
                .parse()
                .map_err(|e: String| CliError::input(e, "name `draft`, `changeset:NAME` or a candidate"))?;
            let created = value(local.run(CreatePreview { at: shown, hours }).await?)?;
            json!({
                "path": format!("/preview/{}/", output::text(&created, "key")), "at": what, "id": created["id"],
                "expires_at": created["expires_at"], "url": served_at(local, at).await?,
            })
        }
        Backend::Remote(remote) => {
            let mut answer =
                remote.call(rows::CREATE_PREVIEW.call(), Some(json!({ "at": what, "hours": hours }))).await?;
            answer["url"] = json!(remote.base());
            answer
        }
    };
    if at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    let path = output::text(&answer, "path");
    output::line(format!("{}{path}", output::text(&answer, "url")));
    let revoke = hints::command(&format!("ashlar key revoke {}", output::text(&answer, "id")));
    eprintln!(
        "Anyone with the link sees {what} until {}. Revoke it with `{revoke}`.{}",
        output::text(&answer, "expires_at"),
        match &backend {
            Backend::Local(_) => "\nThe link works while a server serves this data at this address.",
            Backend::Remote(_) => "",
        }
    );
    done()
}
