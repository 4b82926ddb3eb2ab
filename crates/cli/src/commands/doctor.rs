//! `doctor`: checks of an installation, each with what to do about it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use ashlar_gates::{CheckOptions, CheckStatus, Checker, check_project};
use ashlar_model::{Actor, TenantId};
use ashlar_release::{ChannelState, Ctx, Engine, ReleaseError};
use ashlar_retrieval::models::NoModels;
use ashlar_server::{
    endpoints::rows,
    models::{Checked, Offered, SettingsError},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::{
    args::{At, DoctorArgs, Format},
    backend::{Backend, Remote, location, models_error, models_file, remembered},
    error::{CliError, Done},
    hints, output,
    words::{count, figure},
};

/// Free disk below which there is a warning, in bytes.
const FREE_LOW: u64 = 2 << 30;
/// Free disk below which there is an error, in bytes.
const FREE_MIN: u64 = 200 << 20;
/// Open files that a small server needs.
const OPEN_FILES_LOW: u64 = 4_096;
const OPEN_FILES_MIN: u64 = 256;
/// How far clocks may differ, in seconds.
const CLOCK_MAX: i64 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Error,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    status: Status,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
}

/// The checks that were made.
#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Status::Ok, message, "");
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>, fix: impl Into<String>) {
        self.add(check, Status::Warning, message, fix);
    }

    fn error(&mut self, check: &'static str, message: impl Into<String>, fix: impl Into<String>) {
        self.add(check, Status::Error, message, fix);
    }

    fn add(
        &mut self,
        check: &'static str,
        status: Status,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Check { check, status, message: message.into(), fix: fix.into() });
    }

    fn failed(&mut self, check: &'static str, error: &CliError) {
        self.error(check, error.message.clone(), error.help.clone());
    }

    fn status(&self) -> Status {
        self.0.iter().map(|c| c.status).max().unwrap_or(Status::Ok)
    }
}

fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        mib if mib < 10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

fn disk(report: &mut Report, dir: &Path) {
    match tempfile::Builder::new().prefix(".doctor-").tempfile_in(dir) {
        Ok(_) => report.ok("data-directory", format!("{} is writable", dir.display())),
        Err(e) => report.error(
            "data-directory",
            format!("{} is not writable: {e}", dir.display()),
            "give the directory to the user that runs Ashlar: chown -R USER DIR",
        ),
    }
    let free = match rustix::fs::statvfs(dir) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(e) => return report.warn("disk", format!("the free space is unknown: {e}"), ""),
    };
    let message = format!("{} free", mebibytes(free));
    let fix = "free some space; `ashlar gc` deletes unreferenced objects";
    match free {
        0..FREE_MIN => report.error("disk", message, fix),
        FREE_MIN..FREE_LOW => report.warn("disk", message, fix),
        _ => report.ok("disk", message),
    }
}

fn open_files(report: &mut Report) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    // The server raises the soft limit to the hard one.
    let files = limit.maximum.unwrap_or(u64::MAX);
    let message = match limit.maximum {
        Some(files) => format!("up to {} may be open", count(files, "file", "files")),
        None => "no limit".to_owned(),
    };
    let fix = "raise it: LimitNOFILE=65536 in the systemd unit, or `ulimit -Hn 65536`";
    match files {
        0..OPEN_FILES_MIN => report.error("open-files", message, fix),
        OPEN_FILES_MIN..OPEN_FILES_LOW => report.warn("open-files", message, fix),
        _ => report.ok("open-files", message),
    }
}

/// Compares this clock with another time that cannot lie in the future.
fn clock(report: &mut Report, last: Option<Timestamp>, of: &str) {
    let now = Timestamp::now();
    match last.map(|last| last.as_second() - now.as_second()) {
        Some(ahead) if ahead > CLOCK_MAX => report.error(
            "clock",
            format!("the clock is {} behind {of}", count(ahead.unsigned_abs(), "second", "seconds")),
            "set the clock; schedules and expiry dates follow it (`timedatectl set-ntp true`)",
        ),
        _ => report.ok("clock", format!("{now:.0}")),
    }
}

/// Whether the object store writes on condition: a pointer that is not to be replaced must stay.
async fn object_store(report: &mut Report, engine: &Engine) {
    if !engine.objects().has_remote() {
        match engine.objects().probe() {
            Ok(()) => report.ok("objects", "the objects are in the data directory, which is writable"),
            Err(e) => report.error("objects", e.to_string(), "check the directory and the free space"),
        }
        return;
    }
    let objects = engine.objects().tenant(&TenantId::main());
    let body = Timestamp::now().to_string();
    let tried = async {
        objects.advance_pointer("doctor.json", body.clone().into(), |_| true).await?;
        let replaced = objects.advance_pointer("doctor.json", "never".into(), |_| false).await?;
        let read = objects.get_pointer("doctor.json", None).await?;
        Ok::<_, ashlar_store::StoreError>(!replaced && read.body() == Some(body.as_bytes()))
    };
    match tokio::time::timeout(std::time::Duration::from_secs(20), tried).await {
        Ok(Ok(true)) => report.ok("objects", "the object store answers and supports conditional writes"),
        Ok(Ok(false)) => report.error(
            "objects",
            "the object store ignores conditions on writes",
            "use a store that supports conditional PUT (If-Match, If-None-Match)",
        ),
        Ok(Err(e)) => {
            report.error(
                "objects",
                e.to_string(),
                "check the address and the credentials of the object store",
            );
        }
        Err(_) => {
            report.error("objects", "the object store did not answer in 20 seconds", "check the network")
        }
    }
}

/// Whether what readers follow is what the database says.
async fn pointers(report: &mut Report, engine: &Engine, tenant: &TenantId) -> Result<(), CliError> {
    let ctx = Ctx::new(tenant.clone(), Actor::local("doctor"))?;
    let objects = engine.tenant_objects(tenant);
    let mut behind = Vec::new();
    let channels = engine.channels(&ctx).await?;
    for view in &channels {
        let Some(state) = engine.channel_state(tenant, &view.channel).await? else { continue };
        let read = objects.get_pointer(&ChannelState::pointer(&view.channel), None).await?;
        let pointer: Option<ChannelState> = read.body().and_then(|b| serde_json::from_slice(b).ok());
        match pointer {
            Some(p) if p.sequence == state.sequence && p.manifest == state.manifest => {}
            Some(p) => {
                behind.push(format!("{} serves {} instead of {}", view.channel, p.release, state.release))
            }
            None => behind.push(format!("{} has no pointer", view.channel)),
        }
    }
    match behind.is_empty() {
        true => report.ok(
            "pointers",
            format!("{tenant}: {} as in the database", count(channels.len(), "channel", "channels")),
        ),
        false => report.error(
            "pointers",
            format!("{tenant}: {}", behind.join(", ")),
            "a running server repairs them within seconds; if none is running, run `ashlar schedule run`",
        ),
    }
    Ok(())
}

/// Whether the models of this machine can be used.
async fn models(report: &mut Report, data: Option<&str>) {
    let Some(file) = models_file(data) else { return };
    let tried = tokio::task::spawn_blocking(move || Ok(Offered::of(&file)?.check()));
    let tried: Result<Vec<Checked>, SettingsError> = match tried.await {
        Ok(tried) => tried,
        Err(e) => return report.error("models", e.to_string(), ""),
    };
    let checked = match tried {
        Ok(checked) => checked,
        Err(error) => return report.failed("models", &models_error(&error)),
    };
    for Checked { name, outcome } in checked {
        match outcome {
            Ok(found) => report.ok("models", format!("{name}: {found}")),
            Err(why) => report.error(
                "models",
                format!("{name}: {why}"),
                "correct models.toml; until then releases that use it are searched by words",
            ),
        }
    }
}

/// Whether what channels serve can be searched, and has vectors.
async fn vectors(report: &mut Report, engine: &Engine, tenant: &TenantId) -> Result<(), CliError> {
    let ctx = Ctx::new(tenant.clone(), Actor::local("doctor"))?;
    for channel in engine.channels(&ctx).await? {
        let ready = engine.derived_ready(&ctx, channel.release).await?;
        let missing: Vec<&str> = ready.iter().filter(|(_, ready)| !**ready).map(|(name, _)| *name).collect();
        if missing.contains(&"meaning") {
            report.warn(
                "vectors",
                format!("{tenant}: {} serves {} without its vectors", channel.channel, channel.release),
                "a running server builds them; its log says why when it cannot",
            );
        }
    }
    Ok(())
}

async fn local(report: &mut Report, at: &At) -> Result<(), CliError> {
    let directory = at.data.as_deref().filter(|d| !d.contains("://")).map(PathBuf::from);
    let place = match location(at.data.as_deref(), at.objects.as_deref(), at.cache.as_ref(), false) {
        Ok(place) => place,
        Err(error) => {
            report.failed(if directory.is_some() { "data-directory" } else { "target" }, &error);
            return Ok(());
        }
    };
    disk(report, directory.as_deref().unwrap_or(&place.objects_dir));
    open_files(report);
    models(report, at.data.as_deref()).await;
    let offered = crate::backend::models(at.data.as_deref()).unwrap_or_else(|_| Arc::new(NoModels));
    let checker = Checker::new().with_models(offered);
    let engine = match Engine::open(&place, Arc::new(checker)).await {
        Ok(engine) => engine,
        Err(error) => {
            report.failed("database", &error.into());
            return Ok(());
        }
    };
    match engine.db().ping().await {
        Ok(()) => report.ok("database", "reachable, and its schema is up to date"),
        Err(e) => {
            report.error("database", e.to_string(), "check the address and that the database runs");
            return Ok(());
        }
    }
    object_store(report, &engine).await;
    let mut last = None;
    let tenants = engine.db().tenants().await.map_err(ReleaseError::from)?;
    for tenant in &tenants {
        let ctx = Ctx::new(tenant.tenant.clone(), Actor::local("doctor"))?;
        let newest = engine.audit(&ctx, None).await?;
        last = last.max(newest.items.first().and_then(|row| row.at.parse::<Timestamp>().ok()));
        match engine.verify_audit(&ctx).await? {
            Ok(n) => report
                .ok("audit", format!("{}: the chain is intact ({})", tenant.tenant, count(n, "row", "rows"))),
            Err(broken) => report.error(
                "audit",
                format!("{}: the chain breaks at row {}: {}", tenant.tenant, broken.sequence, broken.why),
                "compare with a backup",
            ),
        }
        if let Err(error) = pointers(report, &engine, &tenant.tenant).await {
            report.failed("pointers", &error);
        }
        if let Err(error) = vectors(report, &engine, &tenant.tenant).await {
            report.failed("vectors", &error);
        }
    }
    clock(report, last, "the newest entry of the audit log");
    engine.close().await;
    Ok(())
}

async fn remote(report: &mut Report, server: &Remote) {
    match server.readiness().await {
        Ok((true, date)) => {
            report.ok("server", format!("{} is ready", server.base()));
            clock(report, date, "the server's");
        }
        Ok((false, _)) => report.error(
            "server",
            format!("{} is not ready", server.base()),
            format!("{}/readyz says why; run `ashlar doctor --data DIR` on the server", server.base()),
        ),
        Err(error) => {
            report.failed("server", &error);
            return;
        }
    }
    match server.call(rows::LIST_CHANNELS.call(), None).await {
        Ok(_) => report.ok("key", "the server accepts the key"),
        Err(error) => report.failed("key", &error),
    }
    if let Ok(schedules) = server.call(rows::LIST_SCHEDULES.call(), None).await {
        let late = output::items(&schedules).iter().filter(|s| s["overdue_seconds"].is_u64()).count();
        match late {
            0 => report.ok("schedules", "no changeset is overdue"),
            n => report.warn(
                "schedules",
                format!("{} overdue", count(n, "changeset is", "changesets are")),
                "`ashlar schedule list` shows them",
            ),
        }
    }
}

async fn project(report: &mut Report, dir: PathBuf) {
    let shown = dir.display().to_string();
    let checked = tokio::task::spawn_blocking(move || check_project(&dir, &CheckOptions::default())).await;
    match checked {
        Ok(Ok(found)) if found.status == CheckStatus::Pass => {
            let entries = found.metrics.get("entries").copied().unwrap_or(0.0);
            report
                .ok("project", format!("{shown} passes its gates ({})", figure(entries, "entry", "entries")));
        }
        Ok(Ok(found)) => {
            let failed: Vec<&str> =
                found.gates.iter().filter(|g| !g.status.lets_through()).map(|g| g.gate.as_str()).collect();
            report.warn(
                "project",
                format!("{shown} does not pass: {}", failed.join(", ")),
                format!("`ashlar check {shown}` says what to fix"),
            );
        }
        Ok(Err(e)) => report.warn("project", e.to_string(), "`ashlar init DIR` creates a project"),
        Err(e) => report.warn("project", e.to_string(), ""),
    }
}

pub async fn doctor(args: DoctorArgs) -> Done {
    let mut report = Report::default();
    let at = remembered(&args.at)?;
    let given = |name: &str| std::env::args().any(|a| a == name || a.starts_with(&format!("{name}=")));
    if at.server.is_some() && !given("--data") {
        match Backend::open(&at).await {
            Ok(Backend::Remote(server)) => remote(&mut report, &server).await,
            Ok(Backend::Local(_)) => {}
            Err(error) => report.failed("server", &error),
        }
    } else {
        local(&mut report, &at).await?;
    }
    let here = args.project.or_else(|| Path::new("ashlar.toml").is_file().then(|| PathBuf::from(".")));
    if let Some(dir) = here {
        project(&mut report, dir).await;
    }
    let status = report.status();
    if at.format == Format::Json {
        output::print_json(&json!({"status": status, "checks": report.0}));
        return Ok(ExitCode::from(u8::from(status == Status::Error)));
    }
    let width = report.0.iter().map(|c| c.check.len()).max().unwrap_or(0);
    for check in &report.0 {
        let word = match check.status {
            Status::Ok => output::paint("ok     ", "32"),
            Status::Warning => output::paint("warning", "33"),
            Status::Error => output::paint("ERROR  ", "31;1"),
        };
        output::line(format!("  {word}  {:width$}  {}", check.check, check.message));
        if check.status != Status::Ok && !check.fix.is_empty() {
            output::line(format!("  {:7}  {:width$}  → {}", "", "", hints::text(&check.fix)));
        }
    }
    let of = |status: Status| report.0.iter().filter(|c| c.status == status).count();
    output::line(format!(
        "{}, {}, {}",
        count(report.0.len(), "check", "checks"),
        count(of(Status::Error), "error", "errors"),
        count(of(Status::Warning), "warning", "warnings")
    ));
    Ok(ExitCode::from(u8::from(status == Status::Error)))
}
