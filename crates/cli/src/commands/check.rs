//! `check`: every gate that needs no server, on files.

use std::process::ExitCode;

use ashlar_gates::{CheckOptions, CheckReport, CheckStatus, check_project, junit, sarif};

use crate::{
    against::against,
    args::{CheckArgs, CheckFormat},
    error::{CliError, Done},
    output, words,
};

pub async fn check(args: CheckArgs) -> Done {
    let found = match &args.against {
        None => None,
        Some(named) => Some(against(&args.dir, named, args.key.as_deref()).await?),
    };
    let against = found.as_ref().map(|a| a.path.clone());
    let options = CheckOptions { against, cache: !args.no_cache, ..CheckOptions::default() };
    let dir = args.dir.clone();
    let report = tokio::task::spawn_blocking(move || check_project(&dir, &options))
        .await
        .map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?
        .map_err(|e| CliError::input(e.to_string(), "create a project with `ashlar init DIR`"))?;
    match args.format {
        CheckFormat::Json => output::print_json(&report),
        CheckFormat::Sarif => output::line(sarif(&report)),
        CheckFormat::Junit => output::line(junit(&report)),
        CheckFormat::Human => show(&report),
    }
    Ok(ExitCode::from(match report.status {
        CheckStatus::Pass => 0,
        CheckStatus::Fail => 1,
        CheckStatus::Error => 2,
    }))
}

/// A report for people.
pub fn show(report: &CheckReport) {
    output::gates(&report.gates, 50);
    let warnings: usize = report
        .gates
        .iter()
        .flat_map(|g| &g.findings)
        .filter(|f| f.level == ashlar_model::Level::Warning)
        .count();
    let figure = |name: &str| report.metrics.get(name).copied().unwrap_or(0.0);
    output::line(format!(
        "{}  {}, {}, {}, {:.0} ms",
        match report.status {
            CheckStatus::Pass => output::paint("pass", "32;1"),
            CheckStatus::Fail => output::paint("FAIL", "31;1"),
            CheckStatus::Error => output::paint("ERROR", "31;1"),
        },
        words::figure(figure("contracts"), "contract", "contracts"),
        words::figure(figure("entries"), "entry", "entries"),
        words::count(warnings, "warning", "warnings"),
        figure("ms"),
    ));
}
