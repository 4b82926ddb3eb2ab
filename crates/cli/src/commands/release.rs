//! `release` and `channel`.

use ashlar_model::{CandidateId, ChannelName, ReleaseId};
use ashlar_release::{ImportBundle, Promote, Rollback};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::{Done, done, entry::items};
use crate::{
    args::{ChannelCommand, Format, ReleaseCommand},
    backend::{Backend, Local, value},
    error::CliError,
    hints, output, words,
};

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
    let at = command.at().clone();
    let backend = match &command {
        ReleaseCommand::Import { .. } => Backend::open_or_create(&at).await?,
        _ => Backend::open(&at).await?,
    };
    let json_out = at.format == Format::Json;
    match command {
        ReleaseCommand::Promote { candidate, channel, note, .. } => {
            let candidate = candidate_of(&backend, &candidate).await?;
            let answer = match &backend {
                Backend::Local(local) => {
                    let channel = channel_name(channel.as_deref())?;
                    let answer = value(local.run(Promote { candidate, channel, note }).await?)?;
                    local.engine.tenant_objects(&local.ctx.tenant).repack().await?;
                    answer
                }
                Backend::Remote(remote) => {
                    let body = json!({"channel": channel, "note": note});
                    remote.call(rows::PROMOTE_CANDIDATE.at([candidate]), Some(body)).await?
                }
            };
            let digest: String = output::text(&answer, "digest").chars().take(12).collect();
            let sentence = format!(
                "{} ({digest}) is on {}; before it: {}",
                output::text(&answer, "release"),
                output::text(&answer, "channel"),
                output::text(&answer, "from")
            );
            tell(json_out, &answer, &sentence);
        }
        ReleaseCommand::Rollback { release, channel, note, .. } => {
            let release = id(&release)?;
            let answer = match &backend {
                Backend::Local(local) => value(
                    local.run(Rollback { release, channel: channel_name(channel.as_deref())?, note }).await?,
                )?,
                Backend::Remote(remote) => {
                    let body = json!({"channel": channel, "note": note});
                    remote.call(rows::ROLL_BACK.at([release]), Some(body)).await?
                }
            };
            let sentence = format!(
                "{} is back on {} (was {}), in {:.1} ms",
                output::text(&answer, "release"),
                output::text(&answer, "channel"),
                output::text(&answer, "from"),
                answer["took_ms"].as_f64().unwrap_or(0.0)
            );
            tell(json_out, &answer, &sentence);
        }
        ReleaseCommand::List { .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.releases(&local.ctx, None).await?)?,
                Backend::Remote(remote) => remote.call(rows::LIST_RELEASES.call(), None).await?,
            };
            if json_out {
                output::print_json(&answer);
                return done();
            }
            let columns = [
                ("release", "RELEASE"),
                ("channels", "CHANNELS"),
                ("entries", "ENTRIES"),
                ("created_by", "BY"),
                ("created_at", "AT"),
                ("note", "NOTE"),
            ];
            output::table(items(&answer), &columns, "there are no releases yet");
        }
        ReleaseCommand::Show { release, .. } => {
            let release = id(&release)?;
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.release(&local.ctx, release).await?)?,
                Backend::Remote(remote) => remote.call(rows::GET_RELEASE.at([release]), None).await?,
            };
            if json_out {
                output::print_json(&answer);
                return done();
            }
            for name in [
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
            ] {
                let text = output::text(&answer, name);
                let when = match name {
                    "created_at" => format!(" ({})", words::time(&text)),
                    _ => String::new(),
                };
                output::line(format!("{name:12} {text}{when}"));
            }
        }
        ReleaseCommand::Diff { from, to, .. } => {
            let (from, to) = (id(&from)?, id(&to)?);
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.diff(&local.ctx, from, to).await?)?,
                Backend::Remote(remote) => remote.call(rows::DIFF_RELEASES.at([from, to]), None).await?,
            };
            if json_out {
                output::print_json(&answer);
                return done();
            }
            show_diff(&answer);
        }
        ReleaseCommand::Verify { release, .. } => {
            let release = id(&release)?;
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.verify(&local.ctx, release).await?)?,
                Backend::Remote(remote) => remote.call(rows::VERIFY_RELEASE.at([release]), None).await?,
            };
            let sentence = format!(
                "{release} is intact: {}, {}, {}",
                words::count_in(&answer, "entries", "entry", "entries"),
                words::count_in(&answer, "nodes", "tree node", "tree nodes"),
                words::count_in(&answer, "files", "definition file", "definition files")
            );
            tell(json_out, &answer, &sentence);
        }
        ReleaseCommand::Export { release, out, .. } => {
            let local = local_only(&backend)?;
            let release = id(&release)?;
            let dir = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
            let file =
                tempfile::NamedTempFile::new_in(dir).map_err(|e| CliError::file("write in", dir, &e))?;
            let writer = file.reopen().map_err(|e| CliError::file("write", &out, &e))?;
            let objects = local.engine.export(&local.ctx, release, std::io::BufWriter::new(writer)).await?;
            file.as_file().sync_all().map_err(|e| CliError::file("write", &out, &e))?;
            file.persist(&out).map_err(|e| CliError::file("write", &out, &e.error))?;
            let answer = json!({"release": release, "file": out.display().to_string(), "objects": objects});
            tell(
                json_out,
                &answer,
                &format!(
                    "{release} written to {} ({})",
                    out.display(),
                    words::count(objects, "object", "objects")
                ),
            );
        }
        ReleaseCommand::Import { file, note, .. } => {
            let local = local_only(&backend)?;
            let source = std::fs::File::open(&file).map_err(|e| CliError::file("read", &file, &e))?;
            let source = Box::new(std::io::BufReader::with_capacity(1 << 20, source));
            let answer = value(local.run(ImportBundle { source, note }).await?)?;
            let name = output::text(&answer, "candidate");
            tell(
                json_out,
                &answer,
                &format!(
                    "imported as {name}, {}; next: {}",
                    output::text(&answer, "status"),
                    hints::command(&format!("ashlar release promote {name}"))
                ),
            );
        }
    }
    done()
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

fn show_diff(answer: &Value) {
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
        output::line("they are the same");
    }
}

fn tell(json_out: bool, answer: &Value, sentence: &str) {
    match json_out {
        true => output::print_json(answer),
        false => output::line(sentence),
    }
}

pub async fn channel(command: ChannelCommand) -> Done {
    let ChannelCommand::List { at } = command;
    let answer = match Backend::open(&at).await? {
        Backend::Local(local) => value(local.engine.channels(&local.ctx).await?)?,
        Backend::Remote(remote) => remote.call(rows::LIST_CHANNELS.call(), None).await?,
    };
    if at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    let columns = [("channel", "CHANNEL"), ("release", "RELEASE"), ("moved_at", "SINCE"), ("moved_by", "BY")];
    output::table(items(&answer), &columns, "no channel serves anything yet");
    done()
}
