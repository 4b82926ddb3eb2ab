//! What people and programs see.

use std::{
    io::{IsTerminal, Write},
    sync::OnceLock,
};

use ashlar_model::{FindingGroup, GateReport, GateStatus, Level};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::{args::Color, hints, words};

/// How much is printed, and in which colours.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// When there are colours.
    pub color: Color,
    /// Results and errors alone.
    pub quiet: bool,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// Sets how this process prints; a second call keeps the first.
pub fn set_manner(manner: Manner) {
    let _ = MANNER.set(manner);
}

fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

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
    colours(&std::io::stdout())
}

fn colours(stream: &impl IsTerminal) -> bool {
    match manner().color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

/// Whether people read the result: on a terminal, or when `--format human` was given.
pub fn for_people() -> bool {
    let mut args = std::env::args();
    let asked = args.any(|a| a == "--format" || a.starts_with("--format="));
    asked || std::io::stdout().is_terminal()
}

/// Prints what helps people on, such as the next command; not with `--quiet`.
pub fn hint(text: impl AsRef<str>) {
    if !manner().quiet {
        line(hints::text(text.as_ref()));
    }
}

/// Prints a remark on standard error; not with `--quiet`.
pub fn note(text: impl AsRef<str>) {
    if !manner().quiet {
        let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
    }
}

/// An address without the password that it may carry.
pub fn public(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
    let shown = match authority.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    format!("{scheme}://{shown}{path}")
}

/// Progress on standard error, only for people.
pub fn progress(len: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len}  {per_sec}  {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Columns for messages.
pub fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(100).clamp(40, 200)
}

pub fn miette_theme() -> miette::GraphicalTheme {
    if colours(&std::io::stderr()) {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    }
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

/// Prints JSON for programs, or a sentence for people.
pub fn report(json: bool, answer: &Value, sentence: &str) {
    match json {
        true => print_json(answer),
        false => line(hints::text(sentence)),
    }
}

/// The items of a page of results.
pub fn items(page: &Value) -> &[Value] {
    page.get("items").or(Some(page)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
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

/// An aligned table of the members of JSON objects; times are relative.
pub fn table(rows: &[Value], columns: &[(&str, &str)], empty: &str) {
    if rows.is_empty() {
        line(hints::text(empty));
        return;
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|r| {
            columns
                .iter()
                .map(|(member, _)| words::time(&text(r, member)).chars().take(60).collect())
                .collect()
        })
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

/// Places of one cause that are shown.
const PLACES_SHOWN: usize = 3;

/// Gates for people: those that did not pass first, with every cause once, then warnings, then one line for what passed.
pub fn gates(gates: &[GateReport], causes_max: usize) {
    for text in gate_lines(gates, causes_max) {
        line(text);
    }
}

fn gate_lines(gates: &[GateReport], causes_max: usize) -> Vec<String> {
    let mut out = Vec::new();
    let has_details = |g: &&GateReport| !g.groups.is_empty() || g.waiver.is_some();
    let width = gates.iter().filter(has_details).map(|g| g.gate.len()).max().unwrap_or(0);
    for gate in gates.iter().filter(has_details) {
        let status = match gate.status {
            GateStatus::Pass => paint("warn  ", "33"),
            GateStatus::Waived => paint("waived", "33"),
            GateStatus::Fail => paint("FAIL  ", "31;1"),
            GateStatus::Error => paint("ERROR ", "31;1"),
        };
        out.push(format!("  {status}  {:width$}  {}", gate.gate, gate.summary));
        for group in gate.groups.iter().take(causes_max) {
            out.extend(group_lines(group, "          "));
        }
        let more = gate.groups_total.saturating_sub(causes_max);
        if more > 0 {
            out.push(format!("          and {more} more"));
        }
    }
    // Gates that did not run for the same reason, and those that passed, are one line each.
    let mut rest: Vec<(GateStatus, &str, Vec<&str>)> = Vec::new();
    for gate in gates.iter().filter(|g| !has_details(g)) {
        let why = if gate.status == GateStatus::Pass { "" } else { gate.summary.as_str() };
        match rest.iter_mut().find(|(status, known, _)| (*status, *known) == (gate.status, why)) {
            Some((_, _, names)) => names.push(&gate.gate),
            None => rest.push((gate.status, why, vec![&gate.gate])),
        }
    }
    rest.sort_by_key(|(status, ..)| *status == GateStatus::Pass);
    for (status, why, names) in rest {
        let names = names.join(", ");
        out.push(match status {
            GateStatus::Pass => format!("  {}  {names}", paint("pass  ", "32")),
            GateStatus::Error => format!("  {}  {names}: {why}", paint("ERROR ", "31;1")),
            _ => format!("  {}  {names}: {why}", paint("FAIL  ", "31;1")),
        });
    }
    out
}

/// One cause: what is wrong, where, and how to fix it.
pub fn group_lines(group: &FindingGroup, indent: &str) -> Vec<String> {
    let level = if group.level == Level::Warning { "warning: " } else { "" };
    let mut out = vec![format!("{indent}{level}{}", group.message)];
    let places = group.places.iter().take(PLACES_SHOWN).cloned().collect::<Vec<_>>();
    let more = match group.count.saturating_sub(places.len()) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    if !places.is_empty() {
        out.push(format!("{indent}  at {}{more}", places.join(", ")));
    }
    if !group.help.is_empty() {
        out.push(format!("{indent}  → {}", hints::text(&group.help)));
    }
    out
}

/// The gates of an answer.
pub fn gates_of(answer: &Value) -> Vec<GateReport> {
    let gates = answer.get("gates").cloned().unwrap_or_default();
    let gates: Vec<GateReport> = serde_json::from_value(gates).unwrap_or_default();
    gates.into_iter().map(GateReport::regrouped).collect()
}
