//! What came of a run: all of its replies, judged again from what is stored, so that every node comes to the same.

use std::sync::Arc;

use ashlar_evals::{
    Reply, Unasked,
    judge::setting,
    metric::Judge,
    run::{Outcome, Stopped, judged},
    suite::Suite,
};
use ashlar_isolate::Workers;
use ashlar_model::TenantId;
use ashlar_release::{Engine, ReleaseError};
use ashlar_store::sql::EvalRunRow;
use jiff::Timestamp;

use super::{Found, Suites, kept::Kept, opened::settings};

/// Replies that are read at a time.
const PAGE: u32 = 200;
/// Bytes of replies that are in memory at a time. What is beyond them has no verdict.
const BYTES_MAX: usize = 256 << 20;

type Read = Vec<(u64, Result<Reply, Unasked>)>;

/// The replies of a run by their place.
async fn replies(
    (engine, workers): (&Engine, &Workers),
    tenant: &TenantId,
    run: &EvalRunRow,
) -> Result<Read, ReleaseError> {
    let (mut all, mut from, mut bytes) = (Vec::new(), 0, 0_usize);
    loop {
        let page = engine.eval_outcomes(tenant, run.id, from, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        from = last + 1;
        let before = bytes;
        bytes = page.iter().fold(bytes, |sum, (_, text)| sum.saturating_add(text.len()));
        let read = workers.run(tenant, move || {
            let mut sum = before;
            let each = page.into_iter().map(|(number, text)| {
                sum = sum.saturating_add(text.len());
                let large = || Unasked {
                    code: "too_large".to_owned(),
                    message: format!("The replies of the run have more than {BYTES_MAX} bytes."),
                    again: false,
                };
                (number, if sum > BYTES_MAX { Err(large()) } else { Kept::read(&text) })
            });
            each.collect::<Read>()
        });
        all.extend(read.await?);
    }
}

/// Replies by case, in the order of their samples.
fn by_case(read: Read, suite: &Suite) -> Vec<Vec<Result<Reply, Unasked>>> {
    let samples = u64::from(suite.samples.max(1));
    let mut cases: Vec<Vec<_>> = std::iter::repeat_with(Vec::new).take(suite.cases.len()).collect();
    for (number, reply) in read {
        if let Some(case) = usize::try_from(number / samples).ok().and_then(|at| cases.get_mut(at)) {
            case.push(reply);
        }
    }
    cases
}

/// Why a run that has not all of its replies stopped.
fn stopped(run: &EvalRunRow) -> Option<Stopped> {
    let spent = run.cost_max > 0 && run.cost >= run.cost_max;
    match run.done < run.replies && run.state != "cancelled" {
        true if spent => Some(Stopped::CostCap),
        true if !run.ends_by.is_empty() => Some(Stopped::TimeCap),
        _ => None,
    }
}

/// How long a run took, in seconds; until now when it goes on.
fn seconds(run: &EvalRunRow, now: Timestamp) -> f64 {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let ended = time(&run.ended_at).unwrap_or(now);
    time(&run.created_at).map_or(0.0, |began| ended.duration_since(began).as_secs_f64())
}

/// Judges what came back in a run.
///
/// # Errors
/// When its suite or its replies cannot be read.
pub async fn outcome(
    (suites, engine, workers): (&Suites, &Engine, &Workers),
    tenant: &TenantId,
    run: &EvalRunRow,
) -> Result<Outcome, ReleaseError> {
    let Found { suite, contracts } = suites.find(engine, tenant, run.definitions, &run.suite).await?;
    let judge = Judge::new(Arc::new(contracts));
    let today = settings(run)?.today;
    let replies = replies((engine, workers), tenant, run).await?;
    let counted = workers.run(tenant, move || {
        let setting = match suite.judge.as_ref().filter(|_| suite.is_judged()) {
            Some(by) => setting(&suite.setting(), by),
            None => suite.setting(),
        };
        judged(&suite, &setting, &judge, by_case(replies, &suite), today)
    });
    let outcome = counted.await?;
    Ok(Outcome { stopped: stopped(run).or(outcome.stopped), seconds: seconds(run, engine.now()), ..outcome })
}
