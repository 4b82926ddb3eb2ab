use std::{collections::BTreeMap, fmt::Write as _};

use ashlar_model::{Finding, GateReport, GateStatus, Level, xml};
use serde_json::{Value, json};

use crate::{check::CheckReport, gate::GATES};

/// File, line and column of a place such as `contracts/page.v1.json:12:3 /title`; no file for places in a candidate.
fn file_of(place: &str) -> Option<(&str, usize, usize)> {
    let file = place.split(" /").next().unwrap_or_default().trim_end();
    let mut parts = file.split(':');
    let path = parts.next().filter(|p| !p.is_empty() && !p.contains(' ') && p.contains('.'))?;
    let mut number = || parts.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    Some((path, number(), number()))
}

/// The report as SARIF 2.1.0, which code hosts show beside the changed lines.
pub fn sarif(report: &CheckReport) -> String {
    let found =
        report.gates.iter().flat_map(|g| g.findings.iter().map(|f| (f.code.as_str(), g.gate.as_str())));
    let rules: BTreeMap<&str, &str> = found.collect();
    let rules: Vec<Value> = rules.into_iter().map(|(code, gate)| rule(code, gate)).collect();
    let results: Vec<Value> = report
        .gates
        .iter()
        .flat_map(|gate| gate.findings.iter().map(move |f| (gate, f)))
        .map(|(gate, f)| {
            let text = if f.help.is_empty() {
                f.message.clone()
            } else {
                format!("{} To fix it: {}", f.message, f.help)
            };
            let location = match file_of(&f.place) {
                Some((path, line, column)) => json!({
                    "physicalLocation": {
                        "artifactLocation": {"uri": path},
                        "region": {"startLine": line, "startColumn": column},
                    },
                    "logicalLocations": [{"fullyQualifiedName": f.place}],
                }),
                None => json!({"logicalLocations": [{"fullyQualifiedName": f.place}]}),
            };
            let mut result = json!({
                "ruleId": f.code,
                "level": match f.level { Level::Error => "error", Level::Warning => "warning" },
                "message": {"text": text},
                "locations": [location],
                "properties": {"gate": gate.gate},
            });
            if let Some(waiver) = &gate.waiver {
                let why = format!("waived by {}: {}", waiver.by, waiver.reason);
                result["suppressions"] = json!([{"kind": "external", "justification": why}]);
            }
            result
        })
        .collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "ashlar",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    format!("{sarif:#}\n")
}

/// What SARIF says of a kind of finding.
fn rule(code: &str, gate: &str) -> Value {
    match GATES
        .iter()
        .map(|gate| gate.about())
        .find(|about| about.name == gate)
        .and_then(|about| about.code(code))
    {
        Some(known) => json!({
            "id": code,
            "shortDescription": {"text": known.wrong},
            "help": {"text": known.fix},
        }),
        None => json!({"id": code}),
    }
}

/// The report as JUnit XML: one test suite, one test case per gate.
pub fn junit(report: &CheckReport) -> String {
    let count = |status: GateStatus| report.gates.iter().filter(|g| g.status == status).count();
    let seconds: f64 = report.gates.iter().map(|g| g.duration_ms).sum::<f64>() / 1e3;
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"ashlar check\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"{seconds:.3}\">",
        report.gates.len(),
        count(GateStatus::Fail),
        count(GateStatus::Error),
    );
    for gate in &report.gates {
        let _ = writeln!(
            out,
            "  <testcase classname=\"ashlar\" name=\"{}\" time=\"{:.3}\">",
            xml(&gate.gate),
            gate.duration_ms / 1e3
        );
        let tag = match gate.status {
            GateStatus::Fail => Some("failure"),
            GateStatus::Error => Some("error"),
            GateStatus::Pass | GateStatus::Waived => None,
        };
        let lines: String = gate.findings.iter().map(|f| line(f) + "\n").collect();
        match tag {
            Some(tag) => {
                let _ =
                    writeln!(out, "    <{tag} message=\"{}\">{}</{tag}>", xml(&gate.summary), xml(&lines));
            }
            None if !gate.findings.is_empty() || gate.waiver.is_some() => {
                let _ = writeln!(out, "    <system-out>{}\n{}</system-out>", xml(&gate.summary), xml(&lines));
            }
            None => {}
        }
        out.push_str("  </testcase>\n");
    }
    out.push_str("</testsuite>\n");
    out
}

/// The report as plain text: a line per gate, then what it found.
pub fn text(gates: &[GateReport]) -> String {
    let width = gates.iter().map(|g| g.gate.len()).max().unwrap_or(0);
    let mut out = String::new();
    for gate in gates {
        let status = match gate.status {
            GateStatus::Pass => "pass",
            GateStatus::Fail => "FAIL",
            GateStatus::Waived => "waived",
            GateStatus::Error => "ERROR",
        };
        let _ = writeln!(out, "{status:<6} {:width$}  {}", gate.gate, gate.summary);
        for f in &gate.findings {
            let _ = writeln!(out, "         {}", line(f));
        }
        let more = gate.findings_total.saturating_sub(gate.findings.len());
        if more > 0 {
            let _ = writeln!(out, "         … and {more} more");
        }
    }
    out
}

fn line(f: &Finding) -> String {
    let help = if f.help.is_empty() { String::new() } else { format!(" ({})", f.help) };
    let level = match f.level {
        Level::Error => "",
        Level::Warning => "warning: ",
    };
    format!("{}: {level}{} [{}]{help}", f.place, f.message, f.code)
}
