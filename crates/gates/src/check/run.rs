use std::{collections::BTreeMap, path::Path, time::Instant};

use ashlar_model::{Finding, GateReport};
use jiff::tz::TimeZone;

use super::{
    cache,
    directory::Directory,
    loaded::Loaded,
    memory::MemorySite,
    report::{CheckOptions, CheckReport},
};
use crate::{GateError, gate::GATES, inputs::Inputs, judge};

pub(super) fn run(dir: &Path, options: &CheckOptions) -> Result<CheckReport, GateError> {
    let started = Instant::now();
    let mut project = Loaded::list(dir, options.cache)?;
    let mut base = options.against.as_deref().map(|dir| Loaded::list(dir, false)).transpose()?;
    let today = options.now.to_zoned(TimeZone::UTC).date();
    let mut inputs = Inputs::new("check-report");
    inputs.digest("project", &project.listed).add("today", today.to_string().as_bytes());
    if let Some(base) = &base {
        inputs.digest("base", &base.listed);
    }
    let inputs = inputs.finish();
    let settled = project.settled && base.as_ref().is_none_or(|b| b.settled);
    let mut metrics = BTreeMap::new();
    let contracts = project.definitions.contracts.iter().count();
    metrics.insert("contracts".to_owned(), contracts as f64);
    metrics.insert("files".to_owned(), project.files.len() as f64);
    let finish = |gates: Vec<GateReport>, mut metrics: BTreeMap<String, f64>| {
        metrics.insert("ms".to_owned(), started.elapsed().as_secs_f64() * 1e3);
        CheckReport::new(gates, metrics)
    };
    if settled
        && let Some((known, report)) = &project.cache.report
        && *known == inputs
        && let Ok((entries, mut gates)) = serde_json::from_slice::<(usize, Vec<GateReport>)>(report)
        && gates.len() == GATES.len()
    {
        gates.iter_mut().for_each(|g| g.from_evidence = true);
        let gates = gates.into_iter().map(GateReport::regrouped).collect();
        metrics.insert("entries".to_owned(), entries as f64);
        metrics.insert("reused".to_owned(), entries as f64);
        return Ok(finish(gates, metrics));
    }
    let config = match &project.definitions.config {
        Ok(config) => config.clone(),
        Err(findings) => {
            // A file that could not be read at all says more than that the configuration is missing.
            let unreadable = project.findings.iter().filter(|f| f.place.starts_with("ashlar.toml"));
            let findings: Vec<Finding> = match unreadable.cloned().collect::<Vec<_>>() {
                found if found.is_empty() => findings.clone(),
                found => found,
            };
            return Ok(finish(judge::unusable(&findings, &project.listed), metrics));
        }
    };
    project.read_content();
    if let Some(base) = &mut base {
        base.read_content();
    }
    let site = MemorySite::new(&project);
    let base_site = base.as_ref().map(MemorySite::new);
    let base = base.as_ref().zip(base_site.as_ref());
    let gates = judge::all(&Directory::new(&project, &site, base, &config, today));
    metrics.insert("entries".to_owned(), site.rows.len() as f64);
    metrics.insert("reused".to_owned(), project.reused as f64);
    if options.cache {
        let report = serde_json::to_vec(&(site.rows.len(), &gates))
            .ok()
            .filter(|_| settled && gates.iter().all(judge::could_run));
        let now_ns = jiff::Timestamp::now().as_nanosecond();
        let unchanged = project.cache.len() == project.files.len() && project.reused == site.rows.len();
        if !unchanged || report.is_some() {
            let started_ns = now_ns - i128::try_from(started.elapsed().as_nanos()).unwrap_or(0);
            let kept =
                project.files.iter().zip(&project.facts).filter(|(f, _)| cache::settled(f, started_ns));
            cache::write_cache(dir, &project.context, report.as_deref().map(|r| (&inputs, r)), kept);
        }
    }
    Ok(finish(gates, metrics))
}
