//! Runs the gates of the registry on a world: inputs, evidence, the run itself, the report, waivers.

use std::time::Instant;

use ashlar_model::{Digest, Finding, GateReport, GateStatus, Level, Waiver};

use crate::{
    gate::{About, GATES, Gate},
    inputs::Inputs,
    world::World,
};

/// The code of the finding that a gate could not run.
const GATE_ERROR: &str = "gate-error";

/// The reports of all gates, in their order.
pub(crate) fn all(world: &dyn World) -> Vec<GateReport> {
    GATES.iter().map(|gate| judge(*gate, world)).collect()
}

/// The names of all gates, in their order.
pub(crate) fn names() -> impl ExactSizeIterator<Item = &'static str> {
    GATES.iter().map(|gate| gate.about().name)
}

fn judge(gate: &dyn Gate, world: &dyn World) -> GateReport {
    let name = gate.about().name;
    let mut inputs = Inputs::new(name);
    inputs.digest("contracts", &world.definitions().contracts_digest);
    gate.reads(world, &mut inputs);
    let inputs = inputs.finish();
    if let Some(file) = world.unread_contracts().first()
        && gate.sees_contracts()
    {
        let why = format!("{file} cannot be read");
        return GateReport::blocked(name, inputs, GateStatus::Fail, &why);
    }
    let mut report = match world.evidence(name, &inputs) {
        Some(report) if report.gate == name && could_run(&report) => from_evidence(report),
        _ => run(gate, world, inputs),
    };
    if !report.status.lets_through()
        && let Some(waiver) = world.waiver(name)
        && gate.takes_waiver(world, &report, &waiver).unwrap_or(false)
    {
        report.status = GateStatus::Waived;
        report.summary.push_str(&waived_by(&waiver));
        report.waiver = Some(waiver);
    }
    check_codes(gate.about(), &report);
    if gate.judges_content() && report.status == GateStatus::Fail {
        world.note_unsound();
    }
    report
}

/// In debug builds every finding must be in the table of its gate, which the documentation is made from.
fn check_codes(about: &About, report: &GateReport) {
    for f in report.findings.iter().filter(|f| f.code != GATE_ERROR) {
        debug_assert!(
            about.code(&f.code).is_some(),
            "the gate `{}` does not list `{}`: {f:?}",
            about.name,
            f.code
        );
    }
}

fn run(gate: &dyn Gate, world: &dyn World, inputs: Digest) -> GateReport {
    let (name, started) = (gate.about().name, Instant::now());
    let change = world.change(name).filter(|change| gate.follows(world, change));
    let mut report = match gate.run(world, change.as_ref()) {
        Ok(work) => {
            let summary = work.findings.summary(&work.what);
            let mut report = work.findings.judged(name, inputs, summary);
            report = report.metric("checked", work.looked.checked as f64);
            report = report.metric("reused", work.looked.reused as f64);
            report.metrics.extend(work.metrics);
            report
        }
        Err(e) => GateReport::could_not_run(name, inputs, format!("The gate could not run: {}.", e.public())),
    };
    report.duration_ms = started.elapsed().as_secs_f64() * 1e3;
    report
}

/// The reports when `ashlar.toml` cannot be used: no gate can run.
pub(crate) fn unusable(findings: &[Finding], inputs: &Digest) -> Vec<GateReport> {
    const WHY: &str = "ashlar.toml cannot be used";
    let mut gates: Vec<GateReport> =
        names().map(|gate| GateReport::blocked(gate, *inputs, GateStatus::Error, WHY)).collect();
    // The cause is reported once.
    if let Some(first) = gates.first_mut() {
        *first = GateReport::judged(&first.gate, *inputs, WHY, findings.to_vec());
        first.status = GateStatus::Error;
        if let Some(gate) = GATES.first() {
            check_codes(gate.about(), first);
        }
    }
    gates
}

/// A gate that could not run is run again, also when it was waived.
pub(crate) fn could_run(report: &GateReport) -> bool {
    report.status != GateStatus::Error && report.findings.iter().all(|f| f.code != GATE_ERROR)
}

fn waived_by(waiver: &Waiver) -> String {
    format!(" (waived by {}: {})", waiver.by, waiver.reason)
}

/// A report as the gate itself gave it, before any waiver.
fn from_evidence(mut report: GateReport) -> GateReport {
    if let Some(waiver) = report.waiver.take() {
        if let Some(plain) = report.summary.strip_suffix(&waived_by(&waiver)) {
            report.summary = plain.to_owned();
        }
        let failed = report.findings.iter().any(|f| f.level == Level::Error);
        report.status = if failed { GateStatus::Fail } else { GateStatus::Pass };
    }
    report.from_evidence = true;
    report.regrouped()
}
