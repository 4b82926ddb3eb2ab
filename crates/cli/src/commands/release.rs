//! `release` and `channel`.

use std::path::Path;

use ashlar_model::{CandidateId, ChannelName, ReleaseId};
use ashlar_release::{ImportBundle, Promote, Rollback};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    args::{ChannelCommand, ReleaseCommand},
    backend::{Backend, Local, value},
    error::{CliError, Done, done},
    hints, output,
    session::Session,
    words,
};

const COLUMNS: [(&str, &str); 6] = [
    ("release", "RELEASE"),
    ("channels", "CHANNELS"),
    ("entries", "ENTRIES"),
    ("created_by", "BY"),
    ("created_at", "AT"),
    ("note", "NOTE"),
];

/// What is shown of one release.
const MEMBERS: [&str; 11] = [
    "release",
    "digest",
    "candidate",
    "snapshot",
    "definitions",
    "parent",
    "entries",
    "channels",
    "created_by",
    "created_at",
    "note",
];

fn channel_name(text: Option<&str>) -> Result<Option<ChannelName>, CliError> {
    Ok(text.map(ChannelName::new).transpose()?)
}

fn id(text: &str) -> Result<ReleaseId, CliError> {
    Ok(text.parse::<ReleaseId>()?)
}

/// `c3`, or the candidate of a release that is promoted to another channel.
async fn candidate_of(backend: &Backend, text: &str) -> Result<CandidateId, CliError> {
    if let Ok(candidate) = text.parse() {
        return Ok(candidate);
    }
    let release = id(text).map_err(|_| {
        CliError::input(
            format!("`{text}` is neither a candidate nor a release"),
            "write `c3`, or `r2` to promote a release to another channel",
        )
    })?;
    Ok(match backend {
        Backend::Local(local) => local.engine.release(&local.ctx, release).await?.candidate,
        Backend::Remote(remote) => {
            let info = remote.call(rows::GET_RELEASE.at([release]), None).await?;
            output::text(&info, "candidate").parse::<CandidateId>()?
        }
    })
}

pub async fn release(command: ReleaseCommand) -> Done {
    let session = &match &command {
        ReleaseCommand::Import { at, .. } => Session::open_or_create(at).await?,
        other => Session::open(other.at()).await?,
    };
    match command {
        ReleaseCommand::Promote { candidate, channel, note, .. } => {
            promote(session, &candidate, channel.as_deref(), note).await
        }
        ReleaseCommand::Rollback { release, channel, note, .. } => {
            roll_back(session, id(&release)?, channel.as_deref(), note).await
        }
        ReleaseCommand::List { .. } => list(session).await,
        ReleaseCommand::Show { release, .. } => show(session, id(&release)?).await,
        ReleaseCommand::Diff { from, to, .. } => diff(session, id(&from)?, id(&to)?).await,
        ReleaseCommand::Verify { release, .. } => verify(session, id(&release)?).await,
        ReleaseCommand::Export { release, out, .. } => export(session, &release, &out).await,
        ReleaseCommand::Import { file, note, .. } => import(session, &file, note).await,
    }
}

async fn promote(session: &Session, text: &str, channel: Option<&str>, note: String) -> Done {
    let candidate = candidate_of(&session.backend, text).await?;
    let channel = channel_name(channel)?;
    let (call, body) = (rows::PROMOTE_CANDIDATE.at([candidate]), json!({"channel": channel, "note": note}));
    let answer = session.run(Promote { candidate, channel, note }, call, Some(body)).await?;
    if let Backend::Local(local) = &session.backend {
        local.engine.tenant_objects(&local.ctx.tenant).repack().await?;
    }
    let digest: String = output::text(&answer, "digest").chars().take(12).collect();
    let sentence = format!(
        "{} ({digest}) is on {}; before it: {}",
        output::text(&answer, "release"),
        output::text(&answer, "channel"),
        output::text(&answer, "from")
    );
    session.report(&answer, &sentence)
}

async fn roll_back(session: &Session, release: ReleaseId, channel: Option<&str>, note: String) -> Done {
    let channel = channel_name(channel)?;
    let (call, body) = (rows::ROLL_BACK.at([release]), json!({"channel": channel, "note": note}));
    let answer = session.run(Rollback { release, channel, note }, call, Some(body)).await?;
    let sentence = format!(
        "{} is back on {} (was {}), in {:.1} ms",
        output::text(&answer, "release"),
        output::text(&answer, "channel"),
        output::text(&answer, "from"),
        answer["took_ms"].as_f64().unwrap_or(0.0)
    );
    session.report(&answer, &sentence)
}

async fn list(session: &Session) -> Done {
    let call = rows::LIST_RELEASES.call();
    let answer = session.read(async |local| local.engine.releases(&local.ctx, None).await, call).await?;
    session.list(&answer, &COLUMNS, "There are no releases yet.")
}

async fn show(session: &Session, release: ReleaseId) -> Done {
    let call = rows::GET_RELEASE.at([release]);
    let answer = session.read(async |local| local.engine.release(&local.ctx, release).await, call).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    for name in MEMBERS {
        let text = output::text(&answer, name);
        let when = match name {
            "created_at" => format!(" ({})", words::time(&text)),
            _ => String::new(),
        };
        output::line(format!("{name:12} {text}{when}"));
    }
    done()
}

async fn diff(session: &Session, from: ReleaseId, to: ReleaseId) -> Done {
    let call = rows::DIFF_RELEASES.at([from, to]);
    let answer = session.read(async |local| local.engine.diff(&local.ctx, from, to).await, call).await?;
    match session.json {
        true => output::print_json(&answer),
        false => print_diff(&answer),
    }
    done()
}

async fn verify(session: &Session, release: ReleaseId) -> Done {
    let call = rows::VERIFY_RELEASE.at([release]);
    let answer = session.read(async |local| local.engine.verify(&local.ctx, release).await, call).await?;
    let sentence = format!(
        "{release} is intact: {}, {}, {}",
        words::count_in(&answer, "entries", "entry", "entries"),
        words::count_in(&answer, "nodes", "tree node", "tree nodes"),
        words::count_in(&answer, "files", "definition file", "definition files")
    );
    session.report(&answer, &sentence)
}

async fn export(session: &Session, release: &str, out: &Path) -> Done {
    let local = local_only(&session.backend)?;
    let release = id(release)?;
    let dir = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir).map_err(|e| CliError::file("write in", dir, &e))?;
    let failed = |e: std::io::Error| CliError::file("write", out, &e);
    let writer = file.reopen().map_err(failed)?;
    let objects = local.engine.export(&local.ctx, release, std::io::BufWriter::new(writer)).await?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(out).map_err(|e| failed(e.error))?;
    let answer = json!({"release": release, "file": out.display().to_string(), "objects": objects});
    let count = words::count(objects, "object", "objects");
    session.report(&answer, &format!("{release} written to {} ({count})", out.display()))
}

async fn import(session: &Session, file: &Path, note: String) -> Done {
    let local = local_only(&session.backend)?;
    let source = std::fs::File::open(file).map_err(|e| CliError::file("read", file, &e))?;
    let source = Box::new(std::io::BufReader::with_capacity(1 << 20, source));
    let answer = value(local.run(ImportBundle { source, note }).await?)?;
    let name = output::text(&answer, "candidate");
    let status = output::text(&answer, "status");
    let next = match status.as_str() {
        "passed" => format!("ashlar release promote {name}"),
        _ => format!("ashlar candidate show {name}"),
    };
    let sentence = format!("imported as {name}, {status}; next: {}", hints::command(&next));
    session.report(&answer, &sentence)
}

fn local_only(backend: &Backend) -> Result<&Local, CliError> {
    match backend {
        Backend::Local(local) => Ok(local),
        Backend::Remote(_) => Err(CliError::input(
            "bundles are read and written on a data directory",
            "give --data instead of --server",
        )),
    }
}

fn print_diff(answer: &Value) {
    let entries = answer["entries"].as_array().map_or(&[][..], Vec::as_slice);
    for entry in entries.iter().take(200) {
        let sign = match entry["change"].as_str() {
            Some("added") => output::paint("+", "32"),
            Some("removed") => output::paint("-", "31"),
            _ => output::paint("~", "33"),
        };
        let fields = match entry["change"].as_str() {
            Some("changed") => format!(": {}", output::text(entry, "fields")),
            _ => String::new(),
        };
        output::line(format!(
            "{sign} {}/{} ({}){fields}",
            output::text(entry, "type"),
            output::text(entry, "id"),
            output::text(entry, "locale")
        ));
    }
    let total = answer["entries_total"].as_u64().unwrap_or(0);
    if total > 200 {
        output::line(format!("and {} more", total - 200));
    }
    for file in answer["definitions"].as_array().into_iter().flatten() {
        output::line(format!("{} {}", output::text(file, "change"), output::text(file, "path")));
    }
    if total == 0 && answer["definitions"].as_array().is_none_or(Vec::is_empty) {
        output::line("No differences.");
    }
}

pub async fn channel(command: ChannelCommand) -> Done {
    let ChannelCommand::List { at } = command;
    let session = Session::open(&at).await?;
    let call = rows::LIST_CHANNELS.call();
    let answer = session.read(async |local| local.engine.channels(&local.ctx).await, call).await?;
    let columns = [("channel", "CHANNEL"), ("release", "RELEASE"), ("moved_at", "SINCE"), ("moved_by", "BY")];
    session.list(&answer, &columns, "No channel serves a release yet.")
}
