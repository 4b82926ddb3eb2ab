//! Runs as people and programs see them.

use std::{collections::BTreeMap, path::Path};

use ashlar_evals::{
    Metric,
    compare::Comparison,
    report::{FAILURES, JUNIT, METRICS, REPORT, Summary},
    run::{CaseResult, CaseStatus, Outcome, RunStatus, Stopped},
    stats::Verdict,
};
use serde_json::{Value, json};

use crate::{output, words};

/// Cases that are listed.
const LISTED: usize = 10;
/// Characters of a reason or a question in a list.
const SHOWN_CHARS: usize = 100;

/// The summary without its cases, which are in `metrics.json`.
pub fn json(summary: &Summary, comparison: Option<&Comparison>) -> Value {
    let mut out = serde_json::to_value(summary).unwrap_or_default();
    let failed: Vec<&str> = summary
        .results
        .iter()
        .filter(|case| matches!(case.status, CaseStatus::Fail | CaseStatus::Error))
        .map(|case| case.id.as_str())
        .collect();
    out["failed"] = json!(failed);
    if let Some(members) = out.as_object_mut() {
        members.remove("results");
    }
    if let Some(comparison) = comparison {
        out["baseline"] = json!(comparison);
    }
    out
}

/// One line of text that others wrote, without what a terminal would obey.
fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Prints a run for people.
pub fn human(outcome: &Outcome, comparison: Option<&Comparison>, out: Option<&Path>) {
    let counts = outcome.counts;
    let mut parts = vec![format!("{} of {} cases passed", counts.passed, counts.total)];
    let more = [
        (counts.failed, "failed"),
        (counts.known_failures, "known to fail"),
        (counts.errors, "could not be asked"),
        (counts.not_asked, "not asked"),
    ];
    parts.extend(more.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    let colour = if outcome.status == RunStatus::Pass { "32;1" } else { "31;1" };
    let status = output::paint(outcome.status.name(), colour);
    output::line(format!("{}: {status}, {}", outcome.suite.name, parts.join(", ")));
    if let Some(stopped) = outcome.stopped {
        let next = match stopped {
            Stopped::ReleaseChanged => "Run the command again.",
            Stopped::CostCap => {
                "Run it again with the same --out and a higher --max-cost to go on: what it has cost so far counts."
            }
            Stopped::TimeCap => "Run the command again with the same --out to go on.",
            Stopped::NotJudged => "Run the suite on a server, which asks the judge.",
        };
        output::line(format!("{} {next}", stopped.about()));
    }
    output::line("");
    figures(outcome);
    if let Some(by) = &outcome.judge {
        output::line("");
        output::line(by.about());
    }
    unasked(outcome);
    let is_shown = |result: &&CaseResult| result.status == CaseStatus::Fail;
    let mut failed: Vec<&CaseResult> = outcome.results.iter().filter(is_shown).collect();
    failed.sort_by_key(|result| !result.case.critical);
    if !failed.is_empty() {
        output::line("");
    }
    for result in failed.iter().take(LISTED) {
        let critical = if result.case.critical { ", critical" } else { "" };
        let name = output::paint(&result.case.id, "1");
        output::line(format!("{} {name}{critical}: {}", result.status.name(), cut(&result.case.question())));
        for reason in result.reasons() {
            output::line(format!("     {}", cut(&reason)));
        }
    }
    if failed.len() > LISTED {
        output::line(format!("     and {} more", failed.len() - LISTED));
    }
    let fixed =
        |result: &&CaseResult| result.status == CaseStatus::Pass && result.case.known_failure.is_some();
    for result in outcome.results.iter().filter(fixed).take(LISTED) {
        output::note(format!(
            "{} passes. Remove its `known_failure` (line {})",
            result.case.id, result.case.line
        ));
    }
    if let Some(comparison) = comparison {
        output::line("");
        compared(comparison);
    }
    let took = format!("{:.1} s, cost {}", outcome.seconds, outcome.cost);
    let resumed = match outcome.resumed {
        0 => String::new(),
        n => format!(", {} from the stopped run", words::count(n, "reply", "replies")),
    };
    output::note(format!("{took}{resumed}"));
    if let Some(dir) = out {
        output::hint(format!("{} has {REPORT}, {METRICS}, {FAILURES} and {JUNIT}", dir.display()));
    }
}

/// Why cases could not be asked: each reason once.
fn unasked(outcome: &Outcome) {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for result in outcome.results.iter().filter(|result| result.status == CaseStatus::Error) {
        for reason in result.reasons() {
            reasons.entry(reason).or_default().push(&result.case.id);
        }
    }
    if !reasons.is_empty() {
        output::line("");
    }
    for (reason, cases) in reasons.iter().take(LISTED) {
        let n = words::count(cases.len(), "case", "cases");
        output::line(format!("{n} could not be asked: {}", cut(reason)));
    }
}

fn figures(outcome: &Outcome) {
    let rows: Vec<Value> = outcome
        .shown()
        .map(|(metric, figure)| {
            let bound = outcome.thresholds.iter().find(|result| result.threshold.metric == metric);
            let bounds = bound.map(|result| {
                let text = |word: &str, b: Option<f64>| b.map(|b| format!("{word} {}", metric.shown(b)));
                let (min, max) =
                    (text("at least", result.threshold.min), text("at most", result.threshold.max));
                let bounds: Vec<String> = [min, max].into_iter().flatten().collect();
                format!("{}{}", bounds.join(", "), if result.pass { "" } else { ": broken" })
            });
            json!({
                "metric": metric.name(), "value": metric.shown(figure.value), "cases": figure.cases,
                "threshold": bounds.unwrap_or_default(),
            })
        })
        .collect();
    let columns = [("metric", "METRIC"), ("value", "VALUE"), ("cases", "CASES"), ("threshold", "THRESHOLD")];
    output::table(&rows, &columns, "No case has a figure.");
    // A bound of a figure that no case has is broken as well.
    for result in outcome.thresholds.iter().filter(|result| result.value.is_none()) {
        output::line(format!(
            "{}: no case has a value, so the threshold is broken",
            result.threshold.metric.name()
        ));
    }
}

/// Prints how a run differs from an earlier one.
pub fn compared(comparison: &Comparison) {
    if !comparison.same_suite {
        output::line("The baseline is of other cases. Cases that both runs judged are compared.");
    }
    output::line(format!(
        "{} compared: {} worse, {} better",
        words::count(comparison.compared, "case", "cases"),
        comparison.regressions.len(),
        comparison.fixed.len()
    ));
    for (what, ids) in [("worse", &comparison.regressions), ("better", &comparison.fixed)] {
        for id in ids.iter().take(LISTED) {
            let critical = if comparison.critical_regressions.contains(id) && what == "worse" {
                " (critical)"
            } else {
                ""
            };
            output::line(format!("     {what}: {id}{critical}"));
        }
        if ids.len() > LISTED {
            output::line(format!("     and {} more", ids.len() - LISTED));
        }
    }
    for (name, change) in &comparison.metrics {
        let Ok(metric) = name.parse::<Metric>() else { continue };
        if !change.is_worse(metric) && change.stats.verdict != Verdict::Improved {
            continue;
        }
        let verdict = match change.stats.verdict {
            Verdict::Regressed => "worse by more than chance",
            Verdict::Improved => "better by more than chance",
            Verdict::NoDifference => "no difference",
            Verdict::Inconclusive => "may be chance",
        };
        let (before, after) = (metric.shown(change.before), metric.shown(change.after));
        let detectable = change
            .stats
            .detectable
            .map(|least| format!("; these cases show differences from {}", metric.shown(least)));
        output::line(format!(
            "     {name}: {after}, was {before}: {verdict}{}",
            detectable.unwrap_or_default()
        ));
    }
}
