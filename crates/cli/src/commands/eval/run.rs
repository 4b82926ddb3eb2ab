//! `eval run`.

use std::{path::Path, process::ExitCode};

use ashlar_evals::{
    Subject,
    compare::Comparison,
    judge::{Judging, calibrate, setting as judge_setting},
    metric::Judge,
    report::{self, Summary},
    run::{self, Options, Outcome, Recorder, Recording, Replay, RunStatus, Stopped},
    suite::Suite,
};
use jiff::Zoned;

use super::{
    called::Called,
    evidence,
    judged::JudgeCalled,
    settled::{prompt_name, quoted, suite},
    shown,
};
use crate::{
    args::{EvalRunArgs, Format},
    backend::Backend,
    error::{CliError, Done},
    output,
};

/// Replies of a run that has not ended, in `--out`.
const PARTIAL: &str = "replies.partial.jsonl";
/// Replies of a run that has ended.
const REPLIES: &str = "replies.jsonl";

pub async fn run(args: EvalRunArgs) -> Done {
    // A replay that is not recorded needs nobody.
    let is_needed = args.replay.is_none() || args.submit;
    let backend =
        if is_needed || args.project.is_none() { Backend::open(&args.at).await.map(Some) } else { Ok(None) };
    let backend = if is_needed { backend? } else { backend.ok().flatten() };
    let (suite, contracts) = suite(&args, backend.as_ref()).await?;
    let baseline = args.baseline.as_deref().map(Summary::read).transpose()?;
    let judge = Judge::new(contracts.into());
    let outcome = match (&args.replay, &backend) {
        (Some(file), _) => replayed(&args, &suite, Recording::read(file)?, &judge).await?,
        (None, Some(Backend::Local(local))) => {
            decidable(&suite)?;
            countable(&args, &suite)?;
            asked(
                &args,
                &suite,
                &quoted(local, args.of.as_deref(), &suite, args.retriever).await?,
                &judge,
                NOBODY,
            )
            .await?
        }
        (None, Some(Backend::Remote(_))) if args.retriever.is_some() => {
            let message = "a server retrieves as the release says";
            return Err(CliError::input(message, "use --data with --retriever, or leave it out"));
        }
        (None, Some(Backend::Remote(remote))) => {
            let prompt = prompt_name(&suite)?.map(|named| (named.name, named.version));
            let to = (remote.base(), remote.key());
            let with = (suite.variable.clone(), suite.setting());
            let called = Called::new(to, &suite.feature, suite.route.as_deref(), prompt, with)?;
            match &suite.judge {
                None => asked(&args, &suite, &called, &judge, NOBODY).await?,
                Some(route) => {
                    let by = JudgeCalled::new(to, route)?;
                    asked(&args, &suite, &Judging::new(called, &by, route), &judge, Some(&by)).await?
                }
            }
        }
        (None, None) => return Err(CliError::input("no target given", "use --data, --server or --replay")),
    };
    let summary = Summary::of(&outcome);
    let comparison = baseline.map(|baseline| Comparison::of(&baseline, &summary));
    if let Some(dir) = &args.out {
        report::write(dir, &outcome, &summary, comparison.as_ref())?;
    }
    let recorded = match (args.submit, &backend) {
        (false, _) => None,
        (true, Some(backend)) => Some(evidence::record(backend, args.of.as_deref(), &outcome).await?),
        (true, None) => return Err(CliError::input("no target given", "give --data or --server as well")),
    };
    match args.at.format {
        Format::Json => {
            let mut shown = shown::json(&summary, comparison.as_ref());
            if let Some(recorded) = recorded {
                shown["recorded"] = recorded;
            }
            output::print_json(&shown);
        }
        Format::Human => {
            shown::human(&outcome, comparison.as_ref(), args.out.as_deref());
            recorded.iter().for_each(evidence::shown);
        }
    }
    let worse = comparison.is_some_and(|comparison| comparison.is_regression());
    Ok(match outcome.status {
        RunStatus::Incomplete => ExitCode::from(3),
        RunStatus::Fail => ExitCode::from(1),
        RunStatus::Pass if worse => ExitCode::from(1),
        RunStatus::Pass => ExitCode::SUCCESS,
    })
}

/// No judge.
const NOBODY: Option<&JudgeCalled> = None;

/// The built-in model judges nothing.
fn decidable(suite: &Suite) -> Result<(), CliError> {
    match suite.cases.iter().find(|case| case.expect.is_only_rubric()) {
        None => Ok(()),
        Some(case) => {
            let message = format!("only a judge can decide about the case `{}`; --data has none", case.id);
            Err(CliError::input(message, "use --server URL --key KEY, or --replay FILE"))
        }
    }
}

/// A run that nobody judged would be recorded, and would not count.
fn countable(args: &EvalRunArgs, suite: &Suite) -> Result<(), CliError> {
    if !args.submit || !suite.is_judged() {
        return Ok(());
    }
    let message = format!("the suite `{}` has a judge, and --data asks none", suite.name);
    let of = args.of.as_deref().unwrap_or("RELEASE");
    let help = format!("run `ashlar eval start --suite {} --of {of} --wait --server URL`", suite.name);
    Err(CliError::input(message, help))
}

/// Judges what was recorded.
async fn replayed(
    args: &EvalRunArgs,
    suite: &Suite,
    recording: Recording,
    judge: &Judge,
) -> Result<Outcome, CliError> {
    let of = suite.setting();
    let Some(route) = &suite.judge else {
        return asked(args, suite, &Replay::new(recording, of), judge, NOBODY).await;
    };
    let options = Options { known: recording.clone(), ..options(args, suite, Recording::default()) };
    let judged = Replay::new(recording, judge_setting(&of, route));
    let mut outcome = asked(args, suite, &judged, judge, NOBODY).await?;
    outcome.judge = Some(calibrate(suite, route, NOBODY, &options, &mut []).await?);
    Ok(outcome)
}

fn options(args: &EvalRunArgs, suite: &Suite, known: Recording) -> Options {
    Options {
        concurrency: usize::from(args.concurrency),
        retries: args.retries,
        caps: suite.caps,
        today: Zoned::now().date(),
        known,
    }
}

/// Asks, and keeps the replies until all are there.
async fn asked<S: Subject>(
    args: &EvalRunArgs,
    suite: &Suite,
    subject: &S,
    judge: &Judge,
    by: Option<&JudgeCalled>,
) -> Result<Outcome, CliError> {
    let mut recorders = Vec::new();
    let mut known = Recording::default();
    // A recording is asked again at no cost.
    let out = args.out.as_deref().filter(|_| args.replay.is_none());
    if let Some(dir) = out {
        std::fs::create_dir_all(dir).map_err(|error| CliError::file("create", dir, &error))?;
        let partial = dir.join(PARTIAL);
        if partial.is_file() {
            known = Recording::read(&partial)?;
        }
        recorders.push(Recorder::open(&partial, true)?);
    }
    if let Some(file) = &args.record {
        recorders.push(Recorder::open(file, !known.is_empty())?);
    }
    let options = options(args, suite, known);
    let total = suite.cases.len() * suite.samples as usize;
    let bar = output::progress(total as u64, "Asking");
    if let Ok(style) =
        indicatif::ProgressStyle::with_template("{bar:32} {pos}/{len}  {msg}  {per_sec}  {eta}")
    {
        bar.set_style(style);
    }
    let outcome = run::run(suite, subject, judge, &options, &mut recorders, |running| {
        bar.set_position(running.done as u64);
        let errors = if running.errors > 0 { format!(", {} errors", running.errors) } else { String::new() };
        bar.set_message(format!("{} passed{errors}, cost {}", running.passed, running.cost));
    })
    .await;
    bar.finish_and_clear();
    let mut outcome = outcome?;
    if let (Some(route), Some(by)) = (&suite.judge, by) {
        outcome.judge = Some(calibrate(suite, route, Some(by), &options, &mut recorders).await?);
    }
    // Replies of an earlier release must not be part of the next run either.
    let ended = outcome.status != RunStatus::Incomplete || outcome.stopped == Some(Stopped::ReleaseChanged);
    if let Some(dir) = out.filter(|_| ended) {
        kept(dir)?;
    }
    Ok(outcome)
}

/// The next run asks everything again.
fn kept(dir: &Path) -> Result<(), CliError> {
    let (partial, whole) = (dir.join(PARTIAL), dir.join(REPLIES));
    std::fs::rename(&partial, &whole).map_err(|error| CliError::file("rename", &partial, &error))
}
