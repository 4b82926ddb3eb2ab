//! Very many calls on one server: what it keeps of them must not grow.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{CONNECTIONS, Result, Target, ours, process_cpu_us};
use crate::bench::site::Server;

/// How often figures are taken.
const FIGURES: u64 = 20;
/// Figures before this share of the calls do not count: caches fill.
const WARM: f64 = 0.15;
/// How much memory may grow after that.
const GROWTH_MAX: f64 = 0.05;
/// The longest wait for records that are not stored yet.
const STORED_MAX: Duration = Duration::from_secs(120);

/// A figure.
struct Figure {
    calls: u64,
    memory_mb: f64,
    descriptors: usize,
    cpu_us: f64,
    rate: f64,
}

fn descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.child.id())).map_or(0, Iterator::count)
}

fn database_mb(dir: &Path) -> f64 {
    let files = fs::read_dir(dir.join("data")).into_iter().flatten().flatten();
    let sqlite = files.filter(|file| file.file_name().to_string_lossy().contains(".db"));
    sqlite.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum::<u64>() as f64 / 1e6
}

/// Sends so many calls, every hundredth one as a stream, and prints figures on the way.
///
/// # Errors
/// When a call fails, when memory or descriptors grow, or when a record is missing at the end.
pub fn run(calls: u64) -> Result<()> {
    let model = super::mock::start()?;
    let (site, server, target) = ours(&model, None)?;
    let (sent, next) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut figures: Vec<Figure> = Vec::new();
    println!("{calls} calls over {CONNECTIONS} connections, every hundredth one a stream");
    println!(
        "{:>12}{:>12}{:>14}{:>14}{:>14}{:>14}",
        "calls", "memory", "descriptors", "CPU/call", "calls/s", "database"
    );
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| client(&target, calls, &next, &sent).map_err(|e| e.to_string())))
            .collect();
        let (mut since, mut before) = (Instant::now(), (0, process_cpu_us(&server)?));
        while sent.load(Ordering::Relaxed) < calls && !clients.iter().all(|client| client.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            let now = sent.load(Ordering::Relaxed);
            if now < (figures.len() as u64 + 1) * calls / FIGURES {
                continue;
            }
            let cpu = process_cpu_us(&server)?;
            let of = (now - before.0).max(1) as f64;
            let figure = Figure {
                calls: now,
                memory_mb: server.memory_mb(),
                descriptors: descriptors(&server),
                cpu_us: (cpu - before.1) / of,
                rate: of / since.elapsed().as_secs_f64(),
            };
            println!(
                "{:>12}{:>9.1} MB{:>14}{:>11.0} µs{:>14.0}{:>11.0} MB",
                figure.calls,
                figure.memory_mb,
                figure.descriptors,
                figure.cpu_us,
                figure.rate,
                database_mb(&site.dir)
            );
            figures.push(figure);
            (since, before) = (Instant::now(), (now, cpu));
        }
        for client in clients {
            client.join().map_err(|_| "a client ended early")??;
        }
        Ok(())
    })?;
    stored(&site, calls)?;
    judged(&figures)
}

fn client(target: &Target, calls: u64, next: &AtomicU64, sent: &AtomicU64) -> Result<()> {
    let mut client = target.client()?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= calls {
            return Ok(());
        }
        client.call(number.is_multiple_of(100))?;
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every call is counted.
fn stored(site: &crate::bench::site::Site, calls: u64) -> Result<()> {
    let until = Instant::now() + STORED_MAX;
    loop {
        let usage = site.ashlar(&["llm", "usage", "--data", "data", "--format", "json"])?;
        let rows = usage["items"].as_array().or(usage.as_array());
        let counted: u64 = rows.into_iter().flatten().filter_map(|row| row["calls"].as_u64()).sum();
        if counted == calls {
            println!("usage has all {calls} calls");
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("usage has {counted} of {calls} calls: {usage}").into());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn judged(figures: &[Figure]) -> Result<()> {
    let warm = (figures.len() as f64 * WARM) as usize;
    let counted = figures.get(warm..).unwrap_or_default();
    let (Some(first), Some(last)) = (counted.first(), counted.last()) else {
        return Err("too few calls".into());
    };
    let growth = last.memory_mb / first.memory_mb - 1.0;
    println!(
        "from {} calls on: memory {:+.1} % (at most {:.0} %), descriptors {:+}, CPU per call {:+.1} %",
        first.calls,
        growth * 100.0,
        GROWTH_MAX * 100.0,
        last.descriptors as i64 - first.descriptors as i64,
        (last.cpu_us / first.cpu_us - 1.0) * 100.0
    );
    match growth <= GROWTH_MAX && last.descriptors <= first.descriptors + CONNECTIONS {
        true => Ok(()),
        false => Err("memory or descriptors grow".into()),
    }
}
