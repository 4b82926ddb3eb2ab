//! `migrate`, `audit`, `event`, `key`, `tenant`, `schedule`, `gc`.

use std::process::ExitCode;

use ashlar_model::{ChannelName, Right, TenantId};
use ashlar_release::{CollectGarbage, CreateKey, CreateTenant, MigrateContent, RevertMigration, RevokeKey};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::{
    Done, changeset, done,
    entry::{items, told},
};
use crate::{
    args::{
        At, AuditCommand, EventCommand, Format, KeyCommand, MigrateCommand, ScheduleCommand, TenantCommand,
    },
    backend::{Backend, value},
    error::CliError,
    output, words,
};

/// JSON for programs, a table for people.
pub fn listed(at: &At, answer: &Value, columns: &[(&str, &str)], empty: &str) {
    match at.format {
        Format::Json => output::print_json(answer),
        Format::Human => {
            output::table(items(answer), columns, empty);
            if let Some(cursor) = answer.get("next_cursor").and_then(Value::as_str) {
                output::line(format!("more: start at {cursor}"));
            }
        }
    }
}

pub async fn migrate(command: MigrateCommand) -> Done {
    let at = command.at().clone();
    let backend = Backend::open(&at).await?;
    match command {
        MigrateCommand::Run { mapping, dry_run, .. } => {
            let text = std::fs::read_to_string(&mapping).map_err(|e| CliError::file("read", &mapping, &e))?;
            let answer = match &backend {
                Backend::Local(local) => value(local.run(MigrateContent { mapping: text, dry_run }).await?)?,
                Backend::Remote(remote) => {
                    let body = json!({"mapping": text, "dry_run": dry_run});
                    remote.call(rows::RUN_MIGRATION.call(), Some(body)).await?
                }
            };
            if at.format == Format::Json {
                output::print_json(&answer);
            } else {
                for sample in answer["samples"].as_array().into_iter().flatten() {
                    output::line(format!(
                        "{}\n  before {}\n  after  {}",
                        output::text(sample, "entry"),
                        sample["before"],
                        sample["after"]
                    ));
                }
                for finding in answer["findings"].as_array().into_iter().flatten().take(50) {
                    output::line(format!(
                        "{}\n  {}",
                        output::text(finding, "where"),
                        output::text(finding, "message")
                    ));
                }
                let verb = if dry_run { "would be rewritten" } else { "rewritten" };
                output::line(format!(
                    "{} checked, {} {verb}, {}",
                    words::count_in(&answer, "drafts", "entry", "entries"),
                    output::text(&answer, "rewritten"),
                    words::count_in(&answer, "findings_total", "finding", "findings")
                ));
            }
            let refused = answer["findings_total"].as_u64().unwrap_or(0) > 0;
            return Ok(ExitCode::from(u8::from(refused)));
        }
        MigrateCommand::Revert { migration, .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.run(RevertMigration { migration }).await?)?,
                Backend::Remote(remote) => remote.call(rows::REVERT_MIGRATION.at([migration]), None).await?,
            };
            let kept = answer["kept"].as_array().map_or(0, Vec::len);
            let sentence = format!(
                "{} reverted, {kept} not changed because they were edited since",
                words::count_in(&answer, "rewritten", "draft", "drafts")
            );
            told(at.format == Format::Json, &answer, &sentence);
        }
        MigrateCommand::List { .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.migrations(&local.ctx).await?)?,
                Backend::Remote(remote) => remote.call(rows::LIST_MIGRATIONS.call(), None).await?,
            };
            let columns = [
                ("migration", "MIGRATION"),
                ("name", "NAME"),
                ("drafts", "DRAFTS"),
                ("by", "BY"),
                ("at", "AT"),
                ("reverted_at", "REVERTED"),
            ];
            listed(&at, &answer, &columns, "no migrations were run");
        }
    }
    done()
}

pub async fn audit(command: AuditCommand) -> Done {
    match command {
        AuditCommand::Verify { at } => {
            let answer = match Backend::open(&at).await? {
                Backend::Local(local) => match local.engine.verify_audit(&local.ctx).await? {
                    Ok(rows) => json!({"holds": true, "rows": rows}),
                    Err(broken) => json!({"holds": false, "sequence": broken.sequence, "why": broken.why}),
                },
                Backend::Remote(remote) => remote.call(rows::VERIFY_AUDIT.call(), None).await?,
            };
            let holds = answer["holds"] == json!(true);
            let sentence = match holds {
                true => format!("the chain is intact: {}", words::count_in(&answer, "rows", "row", "rows")),
                false => format!(
                    "the chain breaks at row {}: {}",
                    output::text(&answer, "sequence"),
                    output::text(&answer, "why")
                ),
            };
            told(at.format == Format::Json, &answer, &sentence);
            Ok(ExitCode::from(u8::from(!holds)))
        }
        AuditCommand::List { cursor, at } => {
            let answer = match Backend::open(&at).await? {
                Backend::Local(local) => value(local.engine.audit(&local.ctx, cursor.as_deref()).await?)?,
                Backend::Remote(remote) => {
                    remote.call(rows::LIST_AUDIT.call().with_any("cursor", cursor), None).await?
                }
            };
            let columns = [
                ("sequence", "ROW"),
                ("at", "AT"),
                ("actor", "WHO"),
                ("action_name", "DID"),
                ("subject", "TO"),
            ];
            listed(&at, &answer, &columns, "no actions were recorded yet");
            done()
        }
    }
}

pub async fn event(command: EventCommand) -> Done {
    let EventCommand::List { after, at } = command;
    let answer = match Backend::open(&at).await? {
        Backend::Local(local) => value(local.engine.events(&local.ctx, after, None).await?)?,
        Backend::Remote(remote) => remote.call(rows::LIST_EVENTS.call().with("after", after), None).await?,
    };
    let columns =
        [("sequence", "EVENT"), ("at", "AT"), ("kind", "KIND"), ("subject", "SUBJECT"), ("actor", "WHO")];
    listed(&at, &answer, &columns, "no events were recorded yet");
    done()
}

pub async fn key(command: KeyCommand) -> Done {
    let at = command.at().clone();
    let backend = match &command {
        KeyCommand::Create { .. } => Backend::open_or_create(&at).await?,
        _ => Backend::open(&at).await?,
    };
    match command {
        KeyCommand::Create { name, scopes, channel, expires_at, .. } => {
            let answer = match &backend {
                Backend::Local(local) => {
                    let parse =
                        |s: &String| s.parse::<Right>().map_err(|e| CliError::input(e.to_string(), ""));
                    let scopes = scopes.iter().map(parse).collect::<Result<_, _>>()?;
                    let channel = channel.as_deref().map(ChannelName::new).transpose()?;
                    value(local.run(CreateKey { name, scopes, channel, expires_at }).await?)?
                }
                Backend::Remote(remote) => {
                    let body =
                        json!({"name": name, "scopes": scopes, "channel": channel, "expires_at": expires_at});
                    remote.call(rows::CREATE_KEY.call(), Some(body)).await?
                }
            };
            match at.format {
                Format::Json => output::print_json(&answer),
                Format::Human => {
                    output::line(output::text(&answer, "key"));
                    eprintln!(
                        "Save this key now. It is not shown again. Its id is {}.",
                        output::text(&answer, "id")
                    );
                }
            }
        }
        KeyCommand::List { .. } => {
            let answer = match &backend {
                Backend::Local(local) => value(local.engine.keys(&local.ctx).await?)?,
                Backend::Remote(remote) => remote.call(rows::LIST_KEYS.call(), None).await?,
            };
            let columns = [
                ("id", "KEY"),
                ("name", "NAME"),
                ("scopes", "SCOPES"),
                ("channel", "CHANNEL"),
                ("expires_at", "ENDS"),
                ("revoked_at", "REVOKED"),
            ];
            listed(&at, &answer, &columns, "there are no keys");
        }
        KeyCommand::Revoke { id, .. } => {
            match &backend {
                Backend::Local(local) => local.run(RevokeKey { id: id.clone() }).await?,
                Backend::Remote(remote) => drop(remote.call(rows::REVOKE_KEY.at([&id]), None).await?),
            }
            told(at.format == Format::Json, &json!({"id": id, "revoked": true}), &format!("{id} is revoked"));
        }
    }
    done()
}

pub async fn tenant(command: TenantCommand) -> Done {
    match command {
        TenantCommand::Create { name, hosts, at } => {
            match Backend::open_or_create(&at).await? {
                Backend::Local(local) => {
                    local.run(CreateTenant { tenant: TenantId::new(&name)?, hosts: hosts.clone() }).await?;
                }
                Backend::Remote(remote) => {
                    let body = json!({"tenant": name, "hosts": hosts});
                    remote.call(rows::CREATE_TENANT.call(), Some(body)).await?;
                }
            }
            told(
                at.format == Format::Json,
                &json!({"tenant": name, "hosts": hosts}),
                &format!("tenant {name} is there"),
            );
        }
        TenantCommand::List { at } => {
            let answer = match Backend::open(&at).await? {
                Backend::Local(local) => {
                    let rows =
                        local.engine.db().tenants().await.map_err(ashlar_release::ReleaseError::from)?;
                    let rows: Vec<Value> = rows
                        .into_iter()
                        .map(|t| json!({"tenant": t.tenant, "hosts": t.hosts, "created_at": t.created_at}))
                        .collect();
                    Value::Array(rows)
                }
                Backend::Remote(remote) => remote.call(rows::LIST_TENANTS.call(), None).await?,
            };
            listed(
                &at,
                &answer,
                &[("tenant", "TENANT"), ("hosts", "HOSTS"), ("created_at", "SINCE")],
                "there are no tenants",
            );
        }
    }
    done()
}

pub async fn schedule(command: ScheduleCommand) -> Done {
    match command {
        ScheduleCommand::Run { at } => {
            let answer = match Backend::open(&at).await? {
                Backend::Local(local) => value(local.engine.tick().await?)?,
                Backend::Remote(remote) => remote.call(rows::RUN_SCHEDULES.call(), None).await?,
            };
            let count = |name: &str| answer[name].as_array().map_or(0, Vec::len);
            let (ran, failed) = (count("done"), count("failed"));
            told(at.format == Format::Json, &answer, &format!("{ran} ran, {failed} failed"));
            Ok(ExitCode::from(u8::from(failed > 0)))
        }
        ScheduleCommand::List { at } => {
            let answer = changeset::planned(&Backend::open(&at).await?).await?;
            match at.format {
                Format::Json => output::print_json(&answer),
                Format::Human => changeset::show_list(&answer),
            }
            done()
        }
    }
}

pub async fn gc(at: At) -> Done {
    let answer = match Backend::open(&at).await? {
        Backend::Local(local) => value(local.run(CollectGarbage).await?)?,
        Backend::Remote(remote) => remote.call(rows::COLLECT_GARBAGE.call(), None).await?,
    };
    let mut sentence = format!(
        "{} deleted, {} freed, {} left",
        words::count_in(&answer, "objects_removed", "object", "objects"),
        words::count_in(&answer, "bytes_freed", "byte", "bytes"),
        words::count_in(&answer, "packs_after", "pack", "packs")
    );
    if answer["packs_condemned"].as_u64().is_some_and(|count| count > 0) {
        let count = output::text(&answer, "packs_condemned");
        sentence.push_str(&format!("; {count} more go with a collection after the grace period"));
    }
    told(at.format == Format::Json, &answer, &sentence);
    done()
}
