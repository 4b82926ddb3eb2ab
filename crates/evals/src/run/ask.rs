//! The loop that asks.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ashlar_gateway::price::Money;
use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::civil::Date;
use tokio::time::Instant;

use super::{
    outcome::{CaseResult, Outcome, Sample, Stopped},
    recording::{Recorder, Recording},
};
use crate::{
    error::EvalError,
    metric::{Judge, Scores, passes},
    reply::{Reply, Subject, Unasked},
    suite::{Caps, Case, Suite},
};

/// The most cases that are asked at a time.
pub const CONCURRENCY_MAX: usize = 256;
/// The first wait before asking again. Each further one is twice as long.
const WAIT: Duration = Duration::from_millis(250);
/// The longest wait before asking again.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many cases are asked at a time, at most [`CONCURRENCY_MAX`].
    pub concurrency: usize,
    /// How often a case is asked again when it could not be asked. Wrong answers are never asked again.
    pub retries: u32,
    /// What the run may cost and take.
    pub caps: Caps,
    /// The day on which known failures are looked at.
    pub today: Date,
    /// Replies of an earlier, stopped run. They are not asked for again.
    pub known: Recording,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Running {
    /// Replies that were judged.
    pub done: usize,
    /// Replies that are wanted.
    pub of: usize,
    /// Replies that meet all expectations.
    pub passed: usize,
    /// Replies that could not be had.
    pub errors: usize,
    /// What they cost.
    pub cost: Money,
}

type Job = (usize, u32);

/// Asks one case, again after failures that may pass.
async fn ask<S: Subject>(
    subject: &S,
    (job, case): (Job, &Case),
    retries: u32,
) -> (Job, Result<Reply, Unasked>) {
    let mut wait = WAIT;
    for _ in 0..retries {
        match subject.ask(case, job.1).await {
            Err(failed) if failed.again => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            done => return (job, done),
        }
    }
    (job, subject.ask(case, job.1).await)
}

/// What has come in.
struct Gathered<'s> {
    suite: &'s Suite,
    judge: &'s Judge,
    samples: Vec<BTreeMap<u32, Sample>>,
    running: Running,
}

impl Gathered<'_> {
    fn take(&mut self, (at, sample): Job, reply: Result<Reply, Unasked>) {
        let case = &self.suite.cases[at];
        let scores = reply.as_ref().map_or_else(|_| Scores::new(), |reply| self.judge.scores(case, reply));
        self.running.done += 1;
        match &reply {
            Ok(reply) => {
                self.running.passed += usize::from(passes(&scores));
                self.running.cost = self.running.cost.plus(reply.spent());
            }
            Err(_) => self.running.errors += 1,
        }
        self.samples[at].insert(sample, Sample { reply, scores });
    }
}

/// Counts replies that are there, in the order of the cases and their samples, as [`run`] does. `replies`: of each case its samples, which may be
/// fewer than the suite wants.
#[must_use]
pub fn judged(
    suite: &Suite,
    setting: &str,
    judge: &Judge,
    replies: Vec<Vec<Result<Reply, Unasked>>>,
    today: Date,
) -> Outcome {
    let scored = |case: &Case, reply: Result<Reply, Unasked>| Sample {
        scores: reply.as_ref().map_or_else(|_| Scores::new(), |reply| judge.scores(case, reply)),
        reply,
    };
    let replies = replies.into_iter().chain(std::iter::repeat_with(Vec::new));
    let results = suite.cases.iter().zip(replies).map(|(case, replies)| {
        let samples = replies.into_iter().map(|reply| scored(case, reply)).collect();
        CaseResult::new(case.clone(), samples, suite.samples, today)
    });
    Outcome::new(suite, setting, results.collect())
}

/// Asks every case, judges the replies and counts them. Each new reply is recorded before it counts. When a cap is reached, nothing further is
/// asked: with the cap of time, what is under way is dropped; with that of money, it is awaited, so a run exceeds its cap by at most as many
/// replies as are asked for at a time. A run whose replies are of two releases has no verdict.
///
/// # Errors
/// When a recorder cannot write.
pub async fn run<S: Subject>(
    suite: &Suite,
    subject: &S,
    judge: &Judge,
    options: &Options,
    recorders: &mut [Recorder],
    mut progress: impl FnMut(&Running),
) -> Result<Outcome, EvalError> {
    let began = Instant::now();
    let setting = subject.setting();
    let jobs = (0..suite.cases.len()).flat_map(|at| (0..suite.samples).map(move |sample| (at, sample)));
    let running = Running { of: suite.cases.len() * suite.samples as usize, ..Running::default() };
    let mut gathered = Gathered { suite, judge, samples: vec![BTreeMap::new(); suite.cases.len()], running };
    let mut waiting: VecDeque<Job> = VecDeque::new();
    for job in jobs {
        match options.known.get(&suite.cases[job.0], job.1, setting) {
            Some(reply) => gathered.take(job, Ok(reply.clone())),
            None => waiting.push_back(job),
        }
    }
    let resumed = gathered.running.done;
    let deadline = options.caps.seconds.map(|seconds| began + Duration::from_secs(seconds));
    let concurrency = options.concurrency.clamp(1, CONCURRENCY_MAX);
    let mut asked = FuturesUnordered::new();
    let mut stopped = None;
    progress(&gathered.running);
    loop {
        if options.caps.cost.is_some_and(|cap| gathered.running.cost >= cap) && !waiting.is_empty() {
            stopped = Some(Stopped::CostCap);
            waiting.clear();
        }
        while asked.len() < concurrency
            && let Some(job) = waiting.pop_front()
        {
            asked.push(ask(subject, (job, &suite.cases[job.0]), options.retries));
        }
        let next = match deadline {
            None => asked.next().await,
            Some(deadline) => match tokio::time::timeout_at(deadline, asked.next()).await {
                Ok(next) => next,
                Err(_) => {
                    stopped = Some(Stopped::TimeCap);
                    break;
                }
            },
        };
        let Some((job, reply)) = next else { break };
        if let Ok(reply) = &reply {
            for recorder in recorders.iter_mut() {
                recorder.add(&suite.cases[job.0], job.1, setting, reply)?;
            }
        }
        gathered.take(job, reply);
        progress(&gathered.running);
    }
    drop(asked);
    let samples = gathered.samples.into_iter();
    let results = suite.cases.iter().zip(samples).map(|(case, samples)| {
        CaseResult::new(case.clone(), samples.into_values().collect(), suite.samples, options.today)
    });
    let outcome = Outcome::new(suite, setting, results.collect());
    Ok(Outcome {
        stopped: stopped.or(outcome.stopped),
        resumed,
        seconds: began.elapsed().as_secs_f64(),
        ..outcome
    })
}
