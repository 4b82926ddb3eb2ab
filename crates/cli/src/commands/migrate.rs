//! `migrate`.

use std::{path::Path, process::ExitCode};

use ashlar_release::{MigrateContent, RevertMigration};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use crate::{
    args::MigrateCommand,
    backend::Local,
    error::{CliError, Done},
    output,
    session::Session,
    words,
};

/// Findings that are shown of one migration.
const FINDINGS_SHOWN: usize = 50;

const COLUMNS: [(&str, &str); 6] = [
    ("migration", "MIGRATION"),
    ("name", "NAME"),
    ("drafts", "DRAFTS"),
    ("by", "BY"),
    ("at", "AT"),
    ("reverted_at", "REVERTED"),
];

pub async fn migrate(command: MigrateCommand) -> Done {
    let session = &Session::open(command.at()).await?;
    match command {
        MigrateCommand::Run { mapping, dry_run, .. } => run(session, &mapping, dry_run).await,
        MigrateCommand::Revert { migration, .. } => revert(session, migration).await,
        MigrateCommand::List { .. } => list(session).await,
    }
}

async fn run(session: &Session, mapping: &Path, dry_run: bool) -> Done {
    let text = std::fs::read_to_string(mapping).map_err(|e| CliError::file("read", mapping, &e))?;
    let body = json!({"mapping": text, "dry_run": dry_run});
    let action = MigrateContent { mapping: text, dry_run };
    let answer = session.run(action, rows::RUN_MIGRATION.call(), Some(body)).await?;
    match session.json {
        true => output::print_json(&answer),
        false => print(&answer, dry_run),
    }
    let refused = answer["findings_total"].as_u64().unwrap_or(0) > 0;
    Ok(ExitCode::from(u8::from(refused)))
}

fn print(answer: &Value, dry_run: bool) {
    for sample in answer["samples"].as_array().into_iter().flatten() {
        output::line(format!(
            "{}\n  before {}\n  after  {}",
            output::text(sample, "entry"),
            sample["before"],
            sample["after"]
        ));
    }
    for finding in answer["findings"].as_array().into_iter().flatten().take(FINDINGS_SHOWN) {
        output::line(format!("{}\n  {}", output::text(finding, "where"), output::text(finding, "message")));
    }
    let verb = if dry_run { "would be rewritten" } else { "rewritten" };
    output::line(format!(
        "{} checked, {} {verb}, {}",
        words::count_in(answer, "drafts", "entry", "entries"),
        output::text(answer, "rewritten"),
        words::count_in(answer, "findings_total", "finding", "findings")
    ));
}

async fn revert(session: &Session, migration: u64) -> Done {
    let call = rows::REVERT_MIGRATION.at([migration]);
    let answer = session.run(RevertMigration { migration }, call, None).await?;
    let kept = answer["kept"].as_array().map_or(0, Vec::len);
    let sentence = format!(
        "{} reverted, {kept} not changed because they were edited since",
        words::count_in(&answer, "rewritten", "draft", "drafts")
    );
    session.report(&answer, &sentence)
}

async fn list(session: &Session) -> Done {
    let here = async |local: &Local, at: Option<&str>| local.engine.migrations(&local.ctx, at).await;
    let answer = session.read_pages(here, || rows::LIST_MIGRATIONS.call()).await?;
    session.list(&answer, &COLUMNS, "No migrations were run.")
}
