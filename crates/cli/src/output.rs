//! What people and programs see.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// Structured logs on standard error; only warnings unless asked for more.
pub fn start_logging(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or("warn")).unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}

/// Whether standard output may be coloured.
pub fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Columns for messages.
pub fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100).clamp(40, 200)
}

pub fn miette_theme() -> miette::GraphicalTheme {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if colour { miette::GraphicalTheme::unicode() } else { miette::GraphicalTheme::unicode_nocolor() }
}

/// Prints one line; a closed pipe is not an error.
pub fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
}

/// Prints text as it is.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints one JSON value on one line.
pub fn print_json(value: &impl Serialize) {
    line(serde_json::to_string(value).unwrap_or_default());
}

pub fn paint(text: &str, code: &str) -> String {
    if coloured() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Text of a member of a JSON object, for tables.
pub fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(items)) => {
            let items: Vec<_> =
                items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect();
            if items.is_empty() { "-".to_owned() } else { items.join(", ") }
        }
        Some(other) => other.to_string(),
    }
}

/// An aligned table of the members of JSON objects.
pub fn table(rows: &[Value], columns: &[(&str, &str)], empty: &str) {
    if rows.is_empty() {
        line(empty);
        return;
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|r| columns.iter().map(|(member, _)| text(r, member).chars().take(60).collect()).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (_, head))| cells.iter().map(|c| c[i].chars().count()).max().unwrap_or(0).max(head.len()))
        .collect();
    let row = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c}{}", " ".repeat(w - c.chars().count())))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(paint(&row(columns.iter().map(|c| c.1).collect()), "1"));
    for cells in &cells {
        line(row(cells.iter().map(String::as_str).collect()));
    }
}

/// A candidate's gates with their findings, and the next thing to type.
pub fn gates(gates: &[Value], findings_max: usize) {
    let width = gates.iter().map(|g| text(g, "gate").len()).max().unwrap_or(0);
    for gate in gates {
        let status = text(gate, "status");
        let shown = match status.as_str() {
            "pass" => paint("pass  ", "32"),
            "waived" => paint("waived", "33"),
            "fail" => paint("FAIL  ", "31;1"),
            _ => paint("ERROR ", "31;1"),
        };
        line(format!("  {shown}  {:width$}  {}", text(gate, "gate"), text(gate, "summary")));
        let findings = gate.get("findings").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if status == "pass" {
            continue;
        }
        for finding in findings.iter().take(findings_max) {
            line(format!("          {}", text(finding, "where")));
            line(format!("            {}", text(finding, "message")));
            if let Some(help) = finding.get("help").and_then(Value::as_str).filter(|h| !h.is_empty()) {
                line(format!("            → {help}"));
            }
        }
        let total = gate.get("findings_total").and_then(Value::as_u64).unwrap_or(0) as usize;
        if total > findings_max {
            line(format!("          and {} more", total - findings_max));
        }
        if let Some(waiver) = gate.get("waiver").filter(|w| w.is_object()) {
            line(format!("          waived by {}: {}", text(waiver, "by"), text(waiver, "reason")));
        }
    }
}
