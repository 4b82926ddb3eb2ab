//! A Varnish in front of the first edge, as `docs/caches.md` sets it up. Workers purge it.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    clients::{Known, get},
    rig::{Result, Rig, ask},
    service::Service,
};
use crate::{peers, random::Random};

/// How long it may serve something old after everything works again: purges that failed are sent again at growing intervals.
const FRESH_MAX: Duration = Duration::from_secs(120);
/// Between two reads while everything else goes on, which fill the cache.
const READS: Duration = Duration::from_millis(20);
/// Two hits on the same answer.
const AGAIN: Duration = Duration::from_millis(200);

/// A Varnish.
pub struct Cache {
    /// Where it listens.
    pub port: u16,
    /// Its process.
    pub service: Mutex<Service>,
}

/// What may be kept at all is kept for long, so that only a purge makes it new.
const KEEPS: &str = "\nsub vcl_backend_response { if (beresp.ttl > 0s) { set beresp.ttl = 1h; } }\n";

/// The VCL of the documentation, in front of a port of this machine.
fn vcl(backend: u16) -> String {
    let text = include_str!("../../../docs/caches.md");
    let lines = text.lines().skip_while(|line| !line.starts_with("    vcl 4.1;"));
    let block: Vec<&str> = lines.take_while(|line| line.is_empty() || line.starts_with("    ")).collect();
    block.join("\n").replace(".port = \"8080\"", &format!(".port = \"{backend}\"")) + KEEPS
}

impl Cache {
    /// One in front of a port, not started yet; `None` when there is no Varnish on this machine.
    ///
    /// # Errors
    /// When there is none and everything is required, or its configuration cannot be written.
    pub fn new(dir: &Path, port: u16, backend: u16) -> Result<Option<Self>> {
        if peers::on_path("varnishd").is_none() {
            if std::env::var_os("ASHLAR_REQUIRE_ALL").is_some() {
                return Err("varnishd is absent, and everything is required".into());
            }
            println!("without a cache: varnishd is absent");
            return Ok(None);
        }
        let (file, work) = (dir.join("front.vcl"), dir.join("varnish"));
        std::fs::write(&file, vcl(backend))?;
        let service = Service::new("Varnish", port, move || {
            let mut command = Command::new("varnishd");
            command.args(["-F", "-a", &format!("127.0.0.1:{port}"), "-s", "malloc,64m", "-f"]).arg(&file);
            command.arg("-n").arg(&work).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(command)
        });
        Ok(Some(Self { port, service: Mutex::new(service) }))
    }
}

/// Reads entries through the cache while everything else goes on, so that it has something old to forget. Returns how many answers came.
pub fn read(rig: &Rig, known: &Known, seed: u64, stop: &AtomicBool) -> u64 {
    let Some(cache) = &rig.cache else { return 0 };
    let (mut random, mut answers) = (Random(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(READS);
        let ids: Vec<String> = get(&known.entries).keys().cloned().collect();
        let Some(id) = random.one(&ids) else { continue };
        answers += u64::from(ask(cache.port, "GET", &format!("/v1/entries/{id}"), None, None).is_some());
    }
    answers
}

/// What the cache answers becomes what was acknowledged.
///
/// # Errors
/// When it still answers something older after a while, or nothing.
pub fn fresh(rig: &Rig, known: &Known) -> Result<()> {
    let Some(cache) = &rig.cache else { return Ok(()) };
    let limit = rig.disk.limit(FRESH_MAX);
    let entries = get(&known.entries).clone();
    for (id, titles) in &entries {
        let path = format!("/v1/entries/{id}");
        loop {
            let answer = ask(cache.port, "GET", &path, None, None);
            let is_shown = answer.as_ref().is_some_and(|answer| match answer.status {
                404 => titles.iter().any(String::is_empty),
                200 => titles.iter().any(|t| !t.is_empty() && answer.contains(&format!("\"{t}\""))),
                _ => false,
            });
            if is_shown {
                break;
            }
            if limit.passed() {
                let said = answer.map(|a| {
                    let header = |name| a.header(name).unwrap_or_default();
                    let body = String::from_utf8_lossy(&a.body).into_owned();
                    format!("{} {body} of {}, age {}", a.status, header("ashlar-release"), header("age"))
                });
                return Err(format!("through Varnish: {path}: {said:?}; acknowledged: {titles:?}").into());
            }
            std::thread::sleep(AGAIN);
        }
    }
    Ok(())
}
