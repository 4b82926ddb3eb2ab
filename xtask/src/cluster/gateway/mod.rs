//! Three nodes answer calls of models from one set of hard budgets, while nodes are killed, paused and cut off from the database, and while
//! the model fails. After every round, what the budgets say, what the records say and what the model counted must agree.

mod check;
mod known;
mod model;
mod rig;

use std::{
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;

use self::{
    known::{Called, Known, TOKENS_MAX, get},
    rig::{Node, Rig},
};
use super::{
    Options,
    proxy::Mode,
    rig::{Result, lock},
};
use crate::{
    hostile::http::{self, Client, Outcome},
    random::Random,
};

/// Clients that call at the same time.
const CLIENTS: u64 = 10;
/// End users of a round, each with a budget of its own.
const USERS: u64 = 4;
/// How long a client waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(25);
/// How long an orderly stop may take.
const STOP_MAX: Duration = Duration::from_secs(15);
/// Runs rounds; the first thing that does not hold ends them.
pub fn run(binary: &Path, options: Options) -> Result<()> {
    let started = Instant::now();
    let mut rig = Rig::new(binary, options.seed)?;
    let known = Known::default();
    let mut random = Random(options.seed);
    let mut told = check::Told::default();
    for round in 0..options.rounds {
        if let Err(error) = self::round(&rig, &known, (round, options.round), &mut random, &mut told) {
            let kept = rig.keep();
            return Err(format!("{error} (seed {}; logs in {})", options.seed, kept.display()).into());
        }
    }
    let [answered, refused, lost] = &known.counts;
    println!(
        "faults of the gateway: {} rounds (seed {}) in {} s: {} calls answered, {} refused, {} without an answer; \
         the model saw {}, {} of them have no record after a kill; the most that a user spent is {} of {} picounits",
        options.rounds,
        options.seed,
        started.elapsed().as_secs(),
        answered.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed),
        lost.load(Ordering::Relaxed),
        told.seen,
        told.missing,
        told.most_pico,
        rig::LIMIT_PICO,
    );
    Ok(())
}

fn round(
    rig: &Rig,
    known: &Known,
    (round, time): (u32, Duration),
    random: &mut Random,
    told: &mut check::Told,
) -> Result<()> {
    let until = Instant::now() + time;
    let mut struck = Vec::new();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut random = Random(random.next());
            scope.spawn(move || {
                let mut number = 0;
                while Instant::now() < until {
                    number += 1;
                    let name = format!("r{round} c{client} n{number}");
                    call(rig, known, name, (round, client * 100_000 + number), &mut random);
                }
            });
        }
        while Instant::now() < until {
            struck.push(strike(rig, known, random));
            std::thread::sleep(Duration::from_millis(random.below(300)));
        }
    });
    let struck = struck.join("; ");
    println!("round {round}: {struck}");
    rig.heal().map_err(|e| format!("round {round} ({struck}): {e}"))?;
    *told = check::check(rig, known, round).map_err(|e| format!("round {round} ({struck}): {e}"))?;
    Ok(())
}

/// One call.
fn call(rig: &Rig, known: &Known, name: String, (round, number): (u32, u64), random: &mut Random) {
    let at = random.index(rig.nodes.len());
    let who = random.below(USERS);
    // The model exceeds the maximum of calls of one user.
    let name = if who == 0 { format!("{name} beyond") } else { name };
    let (user, trace) =
        (format!("user-{round}-{who}"), format!("{:016x}{number:016x}", u64::from(round) + 1));
    let streams = random.below(2) == 0;
    let called = Called { name: name.clone(), trace: trace.clone(), node: at, user: user.clone() };
    get(&known.calls).insert(name.clone(), called);
    let body = json!({
        "model": "counted", "max_tokens": TOKENS_MAX, "stream": streams, "user": user,
        "messages": [{"role": "user", "content": name}],
    });
    let headers = [
        ("content-type".to_owned(), "application/json".to_owned()),
        ("traceparent".to_owned(), format!("00-{trace}-0000000000000001-01")),
    ];
    let body = body.to_string();
    let path = "/llm/v1/chat/completions";
    let request =
        http::request("POST", path, "localhost", Some(&rig.key), &headers, Some(body.as_bytes()), false);
    let address = format!("127.0.0.1:{}", rig.nodes[at].port);
    // Some clients do not wait for the answer.
    let patience = if random.below(30) == 0 { Duration::from_millis(random.below(60)) } else { ANSWER_MAX };
    let outcome = Client::open(&address).map(|mut client| client.ask(request.as_slice(), patience));
    let which = match outcome {
        Some(Outcome::Answered(answer)) if answer.status == 200 => 0,
        Some(Outcome::Answered(_)) => 1,
        _ => 2,
    };
    known.counts[which].fetch_add(1, Ordering::Relaxed);
    if which > 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does something bad for a while; says what.
fn strike(rig: &Rig, known: &Known, random: &mut Random) -> String {
    let wait = Duration::from_millis(200 + random.below(1_500));
    let at = random.index(rig.nodes.len());
    let node: &Node = &rig.nodes[at];
    let name = &node.name;
    let severed = |nodes: &[usize], from: Instant| {
        let until = Instant::now();
        get(&known.severed).extend(nodes.iter().map(|node| (*node, from, until)));
    };
    let all: Vec<usize> = (0..rig.nodes.len()).collect();
    let from = Instant::now();
    match random.below(10) {
        0..3 => {
            node.service().kill();
            get(&known.kills).push((at, Instant::now()));
            std::thread::sleep(wait / 4);
            let _ = node.service().start();
            format!("{name} killed")
        }
        3 => {
            node.service().stop("TERM", STOP_MAX);
            // An orderly stop loses nothing, unless it did not come to its end.
            if from.elapsed() >= STOP_MAX {
                get(&known.kills).push((at, Instant::now()));
            }
            let _ = node.service().start();
            format!("{name} restarted")
        }
        4 => {
            node.service().signal("STOP", false);
            std::thread::sleep(wait);
            node.service().signal("CONT", false);
            severed(&[at], from);
            format!("{name} paused for {} ms", wait.as_millis())
        }
        5 => {
            lock(&rig.postgres).kill();
            std::thread::sleep(wait / 4);
            let _ = lock(&rig.postgres).up();
            severed(&all, from);
            "PostgreSQL killed".to_owned()
        }
        6 => {
            lock(&rig.postgres).signal("STOP", true);
            std::thread::sleep(wait);
            lock(&rig.postgres).signal("CONT", true);
            severed(&all, from);
            format!("PostgreSQL paused for {} ms", wait.as_millis())
        }
        _ => {
            let mode = match random.below(3) {
                0 => Mode::Cut,
                1 => Mode::Stall,
                _ => Mode::Slow(Duration::from_millis(20 + random.below(100))),
            };
            node.postgres.set(mode);
            std::thread::sleep(wait);
            node.postgres.set(Mode::Pass);
            severed(&[at], from);
            format!("{name} to PostgreSQL: {mode:?} for {} ms", wait.as_millis())
        }
    }
}
