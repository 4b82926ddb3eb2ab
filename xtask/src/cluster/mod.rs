//! Two authors, two workers and two edges on PostgreSQL and S3 do random work through random nodes while nodes, the database,
//! the object store, a Varnish in front of an edge and the links between them fail. After every round everything works again, and what was acknowledged
//! must be there.

mod cache;
mod check;
mod clients;
mod faults;
pub mod gateway;
mod prepare;
mod proxy;
mod rig;
mod service;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use clients::{Actor, Known, get};
use rig::{Result, Rig};

use crate::random::Random;

/// Clients that act at the same time.
const CLIENTS: u64 = 4;

/// How long a run is.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many rounds.
    pub rounds: u32,
    /// Where the random choices start.
    pub seed: u64,
    /// How long clients act in a round.
    pub round: Duration,
}

/// Runs rounds; the first thing that does not hold ends them.
pub fn run(binary: &Path, s3_program: &Path, options: Options) -> Result<()> {
    let started = Instant::now();
    let mut rig = Rig::new(binary, s3_program)?;
    let known = Known::default();
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let watchers: Vec<_> = (0..rig.edges().len())
            .map(|edge| {
                scope.spawn({
                    let (rig, known, stop) = (&rig, &known, &stop);
                    move || clients::watch(rig, edge, known, stop)
                })
            })
            .collect();
        let reader = scope.spawn(|| clients::read(&rig, &known, options.seed, &stop));
        let rounds = rounds(&rig, &known, options, || watchers.iter().any(|w| w.is_finished()));
        stop.store(true, Ordering::Relaxed);
        let mut looks = 0;
        for watcher in watchers {
            looks += watcher.join().map_err(|_| "a watcher ended early")??;
        }
        let read = reader.join().map_err(|_| "a reader ended early")?;
        rounds.map(|()| (looks, read))
    });
    let (looks, read) = match outcome {
        Ok(figures) => figures,
        Err(error) => {
            let kept = rig.keep();
            return Err(format!("{error} (seed {}; logs in {})", options.seed, kept.display()).into());
        }
    };
    let count = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    println!(
        "faults of a cluster: {} rounds (seed {}) in {} s: {} requests acknowledged, {} refused, {} without an answer, \
         {} releases, {} entries, {} looks at edges, {} reads through Varnish; nothing lost, nothing stale",
        options.rounds,
        options.seed,
        started.elapsed().as_secs(),
        count(&known.counts.done),
        count(&known.counts.refused),
        count(&known.counts.lost),
        get(&known.releases).len(),
        get(&known.entries).len(),
        looks,
        read,
    );
    Ok(())
}

fn rounds(rig: &Rig, known: &Known, options: Options, over: impl Fn() -> bool) -> Result<()> {
    let mut random = Random(options.seed);
    for round in 0..options.rounds {
        let (until, stop) = (Instant::now() + options.round, AtomicBool::new(false));
        let mut struck = Vec::new();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let random = Random(random.next());
                let (client, prefix) = (format!("c{client}-"), format!("c{client}-{round}"));
                let mut actor = Actor { rig, known, random, client, prefix, number: 0 };
                let stop = &stop;
                scope.spawn(move || actor.act(until, stop));
            }
            while Instant::now() < until {
                struck.push(faults::strike(rig, &mut random));
                std::thread::sleep(Duration::from_millis(random.below(400)));
            }
        });
        let struck = struck.join("; ");
        println!("round {round}: {struck}");
        rig.heal().map_err(|e| format!("round {round} ({struck}): {e}"))?;
        check::check(rig, known, &mut random).map_err(|e| format!("round {round} ({struck}): {e}"))?;
        if over() {
            return Ok(());
        }
    }
    Ok(())
}
