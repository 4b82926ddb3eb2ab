//! `eval start`, `runs`, `show` and `cancel`: runs that the nodes of an installation make.

use std::{path::Path, process::ExitCode, time::Duration};

use ashlar_evals::{
    Metric,
    report::{METRICS, REPORT},
};
use ashlar_model::EvalRunId;
use ashlar_server::endpoints::{Call, rows};
use serde_json::{Value, json};

use crate::{
    args::{At, EvalStartArgs, Format},
    backend::{Backend, Remote, problem},
    error::{CliError, Done, done},
    output,
};

/// How often a run is looked at while its end is awaited.
const LOOK: Duration = Duration::from_millis(500);
/// How often a server may fail to answer in a row.
const SILENT_MAX: u32 = 20;
/// The largest report that is downloaded, in bytes.
const FILE_BYTES_MAX: usize = 512 << 20;

/// Cases that a line names.
const NAMED_MAX: usize = 20;

const COLUMNS: [(&str, &str); 9] = [
    ("run", "RUN"),
    ("suite", "SUITE"),
    ("of", "OF"),
    ("reason", "REASON"),
    ("state", "STATE"),
    ("verdict", "VERDICT"),
    ("done", "DONE"),
    ("replies", "OF"),
    ("created_at", "STARTED"),
];

async fn remote(at: &At) -> Result<Remote, CliError> {
    match Backend::open(at).await? {
        Backend::Remote(remote) => Ok(remote),
        local @ Backend::Local(_) => {
            local.close().await;
            let help = "give --server URL --key KEY; `ashlar eval run --data DIR` runs a suite here";
            Err(CliError::input("runs are made by the nodes of a server", help))
        }
    }
}

fn text<'v>(run: &'v Value, name: &str) -> &'v str {
    run[name].as_str().unwrap_or_default()
}

/// The exit code of a run that has ended.
fn code(run: &Value) -> ExitCode {
    match text(run, "verdict") {
        "pass" => ExitCode::SUCCESS,
        "fail" => ExitCode::from(1),
        _ => ExitCode::from(3),
    }
}

/// A run as a sentence, with its figures when it has some.
fn sentence(run: &Value) -> String {
    let count = |name: &str| run[name].as_u64().unwrap_or_default();
    let verdict = match text(run, "verdict") {
        "" => text(run, "state"),
        verdict => verdict,
    };
    let mut out = format!(
        "{} {} of {}: {verdict}, {} of {} replies, {} passed, {} errors, cost {}",
        text(run, "run"),
        text(run, "suite"),
        text(run, "of"),
        count("done"),
        count("replies"),
        count("passed"),
        count("errors"),
        text(run, "cost"),
    );
    if !text(run, "why").is_empty() {
        out.push_str(&format!("\n{}", text(run, "why")));
    }
    for bound in run["figures"]["thresholds"].as_array().into_iter().flatten() {
        let state = if bound["pass"] == true { "kept" } else { "broken" };
        let metric = text(bound, "metric");
        let value = match (bound["value"].as_f64(), metric.parse::<Metric>()) {
            (Some(value), Ok(metric)) => metric.shown(value),
            (Some(value), Err(_)) => value.to_string(),
            (None, _) => "no case has a value".to_owned(),
        };
        out.push_str(&format!("\n  {metric} {value}: {state}"));
    }
    let failed: Vec<&str> =
        run["failed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !failed.is_empty() {
        let more = match failed.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let named = &failed[..failed.len().min(NAMED_MAX)];
        out.push_str(&format!("\nNot passed: {}{more}", named.join(", ")));
    }
    out
}

/// Names of cases are written by others, and must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

fn show_run(at: &At, run: &Value) {
    match at.format {
        Format::Json => output::print_json(run),
        Format::Human => output::line(plain(&sentence(run))),
    }
}

/// Waits for the end of a run. A server that does not answer for a moment is asked again.
async fn awaited(remote: &Remote, run: &str, of: u64) -> Result<Value, CliError> {
    let bar = output::progress(of, "Asking");
    let mut silent = 0;
    loop {
        match remote.call(rows::GET_EVAL.at([run]), None).await {
            Ok(found) if text(&found, "state") != "running" => {
                bar.finish_and_clear();
                return Ok(found);
            }
            Ok(found) => {
                silent = 0;
                bar.set_position(found["done"].as_u64().unwrap_or_default());
            }
            Err(error) if error.exit == 3 && silent < SILENT_MAX => silent += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK).await;
    }
}

pub async fn start(args: EvalStartArgs) -> Done {
    let remote = remote(&args.at).await?;
    let body = json!({"suite": args.suite, "of": args.of});
    let started = remote.call(rows::START_EVAL.call(), Some(body)).await?;
    if !args.wait {
        match args.at.format {
            Format::Json => output::print_json(&started),
            Format::Human => output::line(text(&started, "run")),
        }
        return done();
    }
    let of = started["replies"].as_u64().unwrap_or_default();
    let ended = awaited(&remote, text(&started, "run"), of).await?;
    show_run(&args.at, &ended);
    Ok(code(&ended))
}

pub async fn runs(suite: Option<String>, cursor: Option<String>, at: &At) -> Done {
    let remote = remote(at).await?;
    let call = rows::LIST_EVALS.call().with_any("suite", suite).with_any("cursor", cursor);
    let page = remote.call(call, None).await?;
    match at.format {
        Format::Json => output::print_json(&page),
        Format::Human => {
            output::table(output::items(&page), &COLUMNS, "No runs. Start one with `ashlar eval start`");
            if let Some(cursor) = page["next_cursor"].as_str() {
                output::line(format!("More results: add --cursor '{cursor}'"));
            }
        }
    }
    done()
}

pub async fn show(run: EvalRunId, out: Option<&Path>, at: &At) -> Done {
    let remote = remote(at).await?;
    let found = remote.call(rows::GET_EVAL.at([run]), None).await?;
    if let Some(dir) = out {
        std::fs::create_dir_all(dir).map_err(|error| CliError::file("create", dir, &error))?;
        let has_figures = !found["figures"].is_null();
        let files = [(METRICS, rows::GET_EVAL_METRICS.at([run])), (REPORT, rows::GET_EVAL_REPORT.at([run]))];
        for (name, call) in files.into_iter().filter(|(name, _)| has_figures || *name != METRICS) {
            let path = dir.join(name);
            let bytes = file(&remote, &call).await?;
            std::fs::write(&path, bytes).map_err(|error| CliError::file("write", &path, &error))?;
        }
    }
    show_run(at, &found);
    done()
}

/// A file of a run.
async fn file(remote: &Remote, call: &Call) -> Result<Vec<u8>, CliError> {
    let (status, bytes) = remote.bytes(call, FILE_BYTES_MAX).await?;
    match status {
        200 => Ok(bytes),
        _ => Err(problem(status, serde_json::from_slice(&bytes).unwrap_or_default())),
    }
}

pub async fn cancel(run: EvalRunId, at: &At) -> Done {
    let remote = remote(at).await?;
    let cancelled = remote.call(rows::CANCEL_EVAL.at([run]), None).await?;
    show_run(at, &cancelled);
    done()
}
