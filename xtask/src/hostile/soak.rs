//! Runs: everything at once for a while, or each case alone.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    attack::{self, Attacker},
    cache::Cache,
    cases::generators,
    connections,
    corpus::Case,
    guard::{self, Target, Watch},
    plan::Plan,
    process,
    rig::{self, Result, Rig, Server},
};

/// Whatever a request began has come to an end by then, answered or not.
const SETTLED_MAX: Duration = Duration::from_secs(25);
/// How many finished cases are remembered as suspects.
const RECENT: usize = 12;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn secs(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// A link to previews of the hostile tenant's drafts.
fn preview(rig: &Rig, address: &str) -> Result<String> {
    let host = format!("{}.example", rig::HOSTILE);
    let body = br#"{"at":"draft","hours":24}"#;
    let key = Some(rig.hostile_key.as_str());
    let request = super::http::request("POST", "/api/v1/previews", &host, key, &[], Some(body), false);
    match super::http::send(address, &request, Duration::from_secs(20)) {
        super::http::Outcome::Answered(answer) => {
            let value: serde_json::Value = serde_json::from_slice(&answer.body)?;
            value["path"]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("no preview link: {value}").into())
        }
        other => Err(format!("no preview link: {other:?}").into()),
    }
}

/// How a server ended, with the end of its log.
fn epitaph(rig: &Rig, status: std::process::ExitStatus) -> String {
    let log = rig.log();
    let from = log.char_indices().rev().nth(600).map_or(0, |(at, _)| at);
    format!("the server ended: {status}; its last words: {}", log[from..].trim().replace('\n', " | "))
}

/// One server with everything that is known of it before the attack.
struct Stage {
    rig: Rig,
    server: Server,
    targets: Vec<Target>,
    preview: String,
    cache: Cache,
}

impl Stage {
    fn new(plan: &Plan) -> Result<Self> {
        let rig = Rig::new(&plan.binary, plan.limits)?;
        let server = rig.serve()?;
        let targets = guard::learn(&rig, &server.address)?;
        let preview = preview(&rig, &server.address)?;
        Ok(Self { rig, server, targets, preview, cache: Cache::default() })
    }

    fn attacker<'a>(&'a self, plan: &Plan, number: usize) -> Attacker<'a> {
        Attacker {
            rig: &self.rig,
            address: &self.server.address,
            cache: &self.cache,
            number,
            deadline: Duration::from_secs(plan.limits.request_seconds + 10),
            preview: &self.preview,
        }
    }

    /// Sends one case alone, with the guards around it.
    fn one(&mut self, plan: &Plan, case: &Case) -> (Vec<String>, attack::Report, guard::Peaks) {
        let watch = Watch::default();
        let (rig, address, pid) = (&self.rig, self.server.address.as_str(), self.server.pid());
        let report = std::thread::scope(|scope| {
            scope.spawn(|| watch.read(rig, address, &self.targets, &plan.bounds, Duration::from_millis(5)));
            scope.spawn(|| watch.check_health(address, &plan.bounds));
            scope.spawn(|| watch.sample(rig, pid, &plan.bounds));
            let report = self.attacker(plan, 0).send(case);
            if process::alive(pid) && !guard::settled(pid, SETTLED_MAX) {
                watch.wrong(format!(
                    "something still works {} s after the last answer",
                    SETTLED_MAX.as_secs()
                ));
            }
            watch.stop.store(true, Ordering::Relaxed);
            report
        });
        let mut wrong = Vec::new();
        // A process that has just been killed takes a moment to be collected.
        std::thread::sleep(Duration::from_millis(20));
        match self.server.ended() {
            Some(status) => {
                wrong.push(epitaph(&self.rig, status));
                wrong.extend(watch.found().into_iter().filter(|w| w.contains(" MB")));
            }
            None => {
                wrong.extend(report.wrong.iter().cloned());
                wrong.extend(watch.found());
            }
        }
        wrong.dedup();
        (wrong, report, watch.peaks())
    }
}

/// Halves a case for as long as it still breaks something.
fn smallest(plan: &Plan, case: Case) -> Result<(Case, Vec<String>)> {
    let mut best = (case, Vec::new());
    for _ in 0..8 {
        let Some(next) = best.0.size.checked_div(2).filter(|s| *s > 0) else { break };
        let smaller = Case { size: next, ..best.0 };
        let (wrong, _, _) = Stage::new(plan)?.one(plan, &smaller);
        if wrong.is_empty() {
            break;
        }
        best = (smaller, wrong);
    }
    Ok(best)
}

fn place(plan: &Plan, case: &Case) -> std::path::PathBuf {
    plan.out.join(format!("{}-{}-{}-{}", case.generator.format, case.generator.name, case.size, case.seed))
}

/// Each case alone; all that break something are listed.
pub fn each(plan: &Plan) -> Result<()> {
    let cases: Vec<Case> = (0..plan.rounds).flat_map(|round| plan.cases(round)).collect();
    println!("{} cases, each alone, seed {}", cases.len(), plan.seed);
    let mut stage: Option<Stage> = None;
    let mut broken = Vec::new();
    for case in &cases {
        let mut now = match stage.take() {
            Some(stage) => stage,
            None => Stage::new(plan)?,
        };
        let started = Instant::now();
        let (wrong, report, peaks) = now.one(plan, case);
        let took = secs(started.elapsed());
        let memory = peaks.memory_bytes.0 >> 20;
        if wrong.is_empty() {
            println!(
                "ok    {case}  {took:.1} s, {memory} MB  {}",
                report.steps.last().map_or("", String::as_str)
            );
            stage = Some(now);
            continue;
        }
        println!("FAIL  {case}  {took:.1} s, {memory} MB");
        for what in wrong.iter().take(3) {
            println!("      {}", what.chars().take(300).collect::<String>());
        }
        let said = format!("{}\n\nRequests:\n{}", wrong.join("\n"), report.steps.join("\n"));
        attack::write(case, &place(plan, case), &said)?;
        // What a broken case left behind would be counted against the next one.
        drop(now);
        broken.push(*case);
    }
    match broken.is_empty() {
        true => Ok(()),
        false => {
            let all: Vec<String> = broken.iter().map(Case::to_string).collect();
            Err(format!(
                "{} of {} cases broke something:\n{}\nwritten to {}",
                broken.len(),
                cases.len(),
                all.join("\n"),
                plan.out.display()
            )
            .into())
        }
    }
}

/// What a worker does at the moment, and what was done last.
#[derive(Default)]
struct Trail {
    flying: Mutex<Vec<Option<Case>>>,
    recent: Mutex<VecDeque<Case>>,
    done: AtomicUsize,
}

impl Trail {
    fn start(&self, worker: usize, case: Case) {
        let mut flying = lock(&self.flying);
        if flying.len() <= worker {
            flying.resize(worker + 1, None);
        }
        flying[worker] = Some(case);
    }

    fn end(&self, worker: usize) {
        let case = lock(&self.flying).get_mut(worker).and_then(Option::take);
        let mut recent = lock(&self.recent);
        recent.extend(case);
        while recent.len() > RECENT {
            recent.pop_front();
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Those at work first, then the latest.
    fn suspects(&self) -> Vec<Case> {
        let mut all: Vec<Case> = lock(&self.flying).iter().copied().flatten().collect();
        all.extend(lock(&self.recent).iter().rev().copied());
        all
    }
}

/// What is left to do of a run, one round of cases after the other.
struct Queue<'a> {
    plan: &'a Plan,
    next: Mutex<(u64, VecDeque<Case>)>,
}

impl Queue<'_> {
    fn take(&self) -> Option<Case> {
        let mut next = lock(&self.next);
        if next.1.is_empty() {
            next.1 = self.plan.cases(next.0).into();
            next.0 += 1;
        }
        next.1.pop_front()
    }
}

/// How an attack ended.
struct Outcome {
    /// How long the server took to stop; `None` when it had to be killed.
    stopped: Option<Duration>,
    /// How long connections of each kind were held.
    held: Vec<(&'static str, Duration)>,
    suspects: Vec<Case>,
}

/// Everything at once until the time is over or something is wrong, and then the stop signal.
fn attack(plan: &Plan, stage: &mut Stage, watch: &Watch, trail: &Trail) -> Outcome {
    let queue = Queue { plan, next: Mutex::default() };
    let (stop, pid) = (AtomicBool::new(false), stage.server.pid());
    let address = stage.server.address.clone();
    let Stage { rig, server, targets, preview, cache } = stage;
    let (rig, targets, preview, cache) = (&*rig, &*targets, preview.as_str(), &*cache);
    let deadline = Duration::from_secs(plan.limits.request_seconds + 10);
    std::thread::scope(|scope| {
        for number in 0..plan.attackers {
            let attacker = Attacker { rig, address: &address, cache, number, deadline, preview };
            let (stop, queue) = (&stop, &queue);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(case) = queue.take() else { return };
                    trail.start(number, case);
                    for wrong in attacker.send(&case).wrong {
                        watch.wrong(format!("{case}: {wrong}"));
                    }
                    trail.end(number);
                }
            });
        }
        let holder = scope.spawn(|| connections::hold(&address, plan.counts, &watch.stop));
        scope.spawn(|| watch.read(rig, &address, targets, &plan.bounds, Duration::from_millis(5)));
        scope.spawn(|| watch.check_health(&address, &plan.bounds));
        scope.spawn(|| watch.steal(rig, &address, cache));
        scope.spawn(|| watch.sample(rig, pid, &plan.bounds));
        let mut suspects = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < plan.time && suspects.is_empty() {
            std::thread::sleep(Duration::from_millis(100));
            if let Some(status) = server.ended() {
                lock(&watch.wrong).insert(0, epitaph(rig, status));
            }
            if !watch.found().is_empty() {
                suspects = trail.suspects();
                break;
            }
        }
        // The stop signal comes in the middle of the attack; whatever is at work may not hold it up.
        watch.stop.store(true, Ordering::Relaxed);
        let children = process::tree(pid).children;
        let stopped = server.stop(&rig.disk, Duration::from_secs(plan.limits.shutdown_seconds + 15));
        stop.store(true, Ordering::Relaxed);
        if stopped.is_none() {
            println!("threads that still run: {}", server.threads());
            let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        let held = holder.join().unwrap_or_default();
        check_children(&children, watch);
        Outcome { stopped, held, suspects }
    })
}

/// Children of the server end with it. They look for their parent several times a second, with a low priority.
fn check_children(children: &[u32], watch: &Watch) {
    let until = Instant::now() + Duration::from_secs(3);
    let left = || children.iter().filter(|c| process::alive(**c)).count();
    while left() > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    let left = left();
    if left > 0 {
        lock(&watch.wrong).push(format!("{left} processes are left behind after the server ended"));
    }
}

/// Prints the figures of an attack; returns the p99 of the quiet tenant's reads in milliseconds.
fn print(plan: &Plan, watch: &Watch, trail: &Trail, outcome: &Outcome) -> f64 {
    let peaks = watch.peaks();
    let (reads, p50, p99, max) = watch.reads.summary();
    let (checks, health50, health99, health_max) = watch.health.summary();
    println!("cases sent                {:>10}", trail.done.load(Ordering::Relaxed));
    println!("reads of the quiet tenant {reads:>10}  p50 {p50:.2} ms, p99 {p99:.1} ms, longest {max:.0} ms");
    println!(
        "health checks             {checks:>10}  p50 {health50:.2} ms, p99 {health99:.1} ms, longest {health_max:.0} ms"
    );
    println!(
        "memory                    {:>7} MB  (server {} MB, bound {} MB)",
        peaks.memory_bytes.0 >> 20,
        peaks.memory_bytes.1 >> 20,
        plan.bounds.memory_bytes >> 20
    );
    println!("children, descriptors     {:>10}, {}", peaks.children, peaks.descriptors);
    println!("disk                      {:>7} MB", peaks.disk_bytes >> 20);
    for (kind, time) in &outcome.held {
        println!("longest held, {kind:<16} {:>5.0} s", secs(*time));
    }
    if let Some(time) = outcome.stopped {
        println!("stopped after             {:>8.1} s", secs(time));
    }
    f64::from(p99)
}

/// Everything at once until the time is over.
pub fn soak(plan: &Plan) -> Result<()> {
    let started = Instant::now();
    let mut stage = Stage::new(plan)?;
    println!(
        "hostile: seed {}, {} generators, {} connections of {} for {:.0} s; {} reads its own content",
        plan.seed,
        generators().count(),
        plan.attackers,
        rig::HOSTILE,
        secs(plan.time),
        rig::QUIET
    );
    let (watch, trail) = (Watch::default(), Trail::default());
    let outcome = attack(plan, &mut stage, &watch, &trail);
    let p99 = print(plan, &watch, &trail, &outcome);
    let mut wrong = watch.found();
    if p99 > secs(plan.bounds.read_p99) * 1000.0 {
        wrong.push(format!(
            "the p99 of {} is {p99:.0} ms; the bound is {:?}",
            rig::QUIET,
            plan.bounds.read_p99
        ));
    }
    if outcome.stopped.is_none() {
        wrong.push(format!("it does not stop within {} s of SIGTERM", plan.limits.shutdown_seconds + 15));
    }
    if wrong.is_empty() {
        wrong.extend(again(&mut stage)?);
    }
    if wrong.is_empty() {
        println!("hostile: nothing broke in {:.0} s", secs(started.elapsed()));
        return Ok(());
    }
    blame(plan, &wrong, &outcome.suspects)
}

/// Starts the server again: it must come up and answer the quiet tenant as before.
fn again(stage: &mut Stage) -> Result<Vec<String>> {
    let started = Instant::now();
    let mut server = stage.rig.serve()?;
    println!("started again after       {:>8.1} s", secs(started.elapsed()));
    let wrong = guard::same(&stage.rig, &server.address, &stage.targets);
    server.stop(&stage.rig.disk, Duration::from_secs(20));
    Ok(wrong)
}

/// Finds out which case it was, makes it small, and writes it down.
fn blame(plan: &Plan, wrong: &[String], suspects: &[Case]) -> Result<()> {
    let mut said = wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n  ");
    let named: Vec<Case> =
        suspects.iter().filter(|c| wrong.iter().any(|w| w.starts_with(&c.to_string()))).copied().collect();
    // What comes of keys at the wrong host name has nothing to do with the corpus.
    let suspects = if wrong.iter().all(|w| w.starts_with("a shared cache")) { &[] } else { suspects };
    let tried = if named.is_empty() { suspects } else { &named };
    let mut guilty = Vec::new();
    for case in tried.iter().take(RECENT) {
        let (alone, _, _) = Stage::new(plan)?.one(plan, case);
        if alone.is_empty() {
            continue;
        }
        let (small, found) = smallest(plan, *case)?;
        let found = if found.is_empty() { alone } else { found };
        let to = place(plan, &small);
        attack::write(&small, &to, &found.join("\n"))?;
        guilty.push(format!("{small}\n    {}\n    written to {}", found.join("\n    "), to.display()));
        break;
    }
    if guilty.is_empty() && !suspects.is_empty() {
        let to = plan.out.join("together");
        fs::create_dir_all(&to)?;
        for case in suspects {
            attack::write(case, &named_in(&to, case), "one of several at work when it broke")?;
        }
        said.push_str(&format!("\nNo case alone did it. Those at work are in {}", to.display()));
    }
    for one in guilty {
        said.push_str(&format!("\nIt was {one}"));
    }
    Err(format!("the attack broke something (seed {}):\n  {said}", plan.seed).into())
}

fn named_in(dir: &Path, case: &Case) -> std::path::PathBuf {
    dir.join(format!("{}-{}-{}", case.generator.format, case.generator.name, case.size))
}
