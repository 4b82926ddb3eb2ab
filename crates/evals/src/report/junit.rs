//! `junit.xml`: one test case per case of the suite, and one per threshold.

use std::fmt::Write as _;

use ashlar_model::xml;

use crate::run::{CaseResult, CaseStatus, Outcome, RunStatus, Stopped};

/// The report as JUnit XML. Known failures and cases that were not reached count as skipped.
#[must_use]
pub fn junit(outcome: &Outcome) -> String {
    let broken = outcome.thresholds.iter().filter(|threshold| !threshold.pass).count();
    let counts = outcome.counts;
    let incomplete = usize::from(outcome.status == RunStatus::Incomplete && counts.errors == 0);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"ashlar eval {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
        xml(&outcome.suite.name),
        counts.total + outcome.thresholds.len() + incomplete,
        counts.failed + broken,
        counts.errors + incomplete,
        counts.known_failures + counts.not_asked,
        outcome.seconds,
    );
    let suite = xml(&outcome.suite.name);
    for result in &outcome.results {
        case(&mut out, &suite, result);
    }
    for result in &outcome.thresholds {
        let name = result.threshold.metric.name();
        let _ = write!(out, "  <testcase classname=\"{suite}.thresholds\" name=\"{name}\"");
        if result.pass {
            out.push_str("/>\n");
            continue;
        }
        let value = result.value.map_or_else(|| "has no value".to_owned(), |value| format!("is {value:.4}"));
        let bound =
            |word: &str, bound: Option<f64>| bound.map(|b| format!(", {word} {b}")).unwrap_or_default();
        let bounds = bound("at least", result.threshold.min) + &bound("at most", result.threshold.max);
        let _ = writeln!(out, ">\n    <failure message=\"{name} {value}{bounds}\"/>\n  </testcase>");
    }
    if incomplete > 0 {
        let why = outcome.stopped.map_or("Not all cases were asked.", Stopped::about);
        let _ = writeln!(
            out,
            "  <testcase classname=\"{suite}\" name=\"complete\">\n    <error message=\"{why}\"/>\n  </testcase>"
        );
    }
    out.push_str("</testsuite>\n");
    out
}

fn case(out: &mut String, suite: &str, result: &CaseResult) {
    let replies = result.samples.iter().filter_map(|sample| sample.reply.as_ref().ok());
    let seconds: f64 = replies.map(|reply| reply.latency_ms).sum::<f64>() / 1e3;
    let _ = write!(
        out,
        "  <testcase classname=\"{suite}\" name=\"{}\" time=\"{seconds:.3}\"",
        xml(&result.case.id)
    );
    let reasons = result.reasons();
    let first = xml(reasons.first().map_or("", String::as_str));
    let detail = || {
        let asked = format!("Question: {}\nAnswer: {}\n", result.case.question(), result.answer());
        xml(&(asked + &reasons.join("\n")))
    };
    let _ = match result.status {
        CaseStatus::Pass => writeln!(out, "/>"),
        CaseStatus::Fail => {
            writeln!(out, ">\n    <failure message=\"{first}\">{}</failure>\n  </testcase>", detail())
        }
        CaseStatus::Error => {
            writeln!(out, ">\n    <error message=\"{first}\">{}</error>\n  </testcase>", detail())
        }
        CaseStatus::KnownFailure => {
            let known = result.case.known_failure.as_ref();
            let why = known.map(|known| format!("known until {}: {}", known.until, known.why));
            let why = xml(&why.unwrap_or_default());
            writeln!(out, ">\n    <skipped message=\"{why}\"/>\n  </testcase>")
        }
        CaseStatus::NotAsked => writeln!(out, ">\n    <skipped message=\"not asked\"/>\n  </testcase>"),
    };
}
