//! `tokens diverge`: where apps depart from their design system, against a budget.

mod files;
mod scan;
mod track;

use std::{path::Path, process::ExitCode};

use ashlar_divergence::{Kind, Lexicon, What};
use serde_json::{Value, json};

use super::source::load_whole;
use crate::{
    args::{DivergeArgs, Format},
    error::{CliError, Done},
    output, words,
};
use scan::{App, Place};
use track::{Line, Track, rounded};

/// How many findings are listed, over all apps.
const FINDINGS_MAX: usize = 10_000;

pub fn diverge(args: &DivergeArgs) -> Done {
    let loaded = load_whole(&args.tokens)?;
    let lexicon = Lexicon::of_tokens(&loaded.resolved, &loaded.config);
    if lexicon.is_empty() {
        let message = format!("{} contains no tokens", args.tokens.display());
        return Err(CliError::input(message, "name the project with --tokens"));
    }
    let budget = match args.budget {
        Some(budget) => budget,
        None => match loaded.config.divergence.budget_percent {
            percent if (0.0..=100.0).contains(&percent) => percent,
            percent => {
                let message = format!("`divergence.budget_percent` in tokens.toml is {percent}");
                return Err(CliError::input(message, "write a percentage from 0 to 100"));
            }
        },
    };
    let mut track = args.track.as_deref().map(Track::open).transpose()?;
    // Every path is looked at before anything is written.
    let mut exclude = loaded.config.divergence.exclude.clone();
    exclude.extend(args.exclude.iter().cloned());
    let found = args.paths.iter().map(|p| files::find(p, &exclude)).collect::<Result<Vec<_>, _>>()?;
    let (mut apps, mut room) = (Vec::with_capacity(found.len()), FINDINGS_MAX);
    for (path, found) in args.paths.iter().zip(found) {
        let app = scan::app(&lexicon, name(path), found, args.fix, room)?;
        room = room.saturating_sub(app.places.len());
        apps.push(app);
    }
    let before: Vec<Option<Line>> =
        apps.iter().map(|app| track.as_ref().and_then(|t| t.last(&app.path))).collect();
    if let Some(track) = &mut track {
        track.append(&apps)?;
    }
    let fails = apps.iter().any(|app| fails(app, budget));
    match args.format {
        Format::Json => {
            let shown: Vec<Value> = apps
                .iter()
                .zip(&before)
                .map(|(app, before)| shown(app, budget, track.is_some().then_some(before.as_ref())))
                .collect();
            output::print_json(&json!({ "status": if fails { "fail" } else { "pass" }, "apps": shown }));
        }
        Format::Human => {
            for (app, before) in apps.iter().zip(&before) {
                print(&lexicon, app, budget, args.fix, before.as_ref());
            }
        }
    }
    Ok(ExitCode::from(u8::from(fails)))
}

/// Whether an app is over its budget, or uses none of the tokens where it could.
fn fails(app: &App, budget: f64) -> bool {
    app.percent() > budget || uses_none(app)
}

/// However small the share of its raw values is, an app that uses no token at all does not follow the system.
fn uses_none(app: &App) -> bool {
    app.tokens == 0 && app.overrides > 0
}

/// An app's name in reports and in the track: its path, in one spelling.
fn name(path: &Path) -> String {
    let tidied: std::path::PathBuf = path.components().collect();
    let tidied = tidied.strip_prefix(".").unwrap_or(&tidied);
    if tidied.as_os_str().is_empty() { ".".to_owned() } else { tidied.display().to_string() }
}

fn word(what: What) -> &'static str {
    match what {
        What::RawValue => "raw-value",
        What::Override => "override",
        What::UnknownToken => "unknown-token",
        What::DeprecatedToken => "deprecated-token",
    }
}

fn shown(app: &App, budget: f64, before: Option<Option<&Line>>) -> Value {
    let finding = |place: &Place| {
        let nearest = place.nearest.as_ref().map(|n| {
            let distance = (n.distance * 1e4).round() / 1e4;
            json!({ "token": format!("--{}", n.name), "distance": distance, "exact": n.exact, "candidates": n.candidates })
        });
        json!({
            "file": place.file, "line": place.line, "column": place.column, "what": word(place.what),
            "property": place.property, "text": place.text, "nearest": nearest, "fix": place.fix,
        })
    };
    let mut shown = json!({
        "path": app.path, "files": app.files, "declarations": app.declarations, "tokens": app.tokens,
        "overrides": app.overrides, "percent": rounded(app.percent()), "budget": budget, "fixed": app.fixed,
        "excluded": app.excluded, "suppressed": app.suppressed, "skipped": app.skipped, "findings_total": app.found,
        "findings": app.places.iter().map(finding).collect::<Vec<_>>(),
    });
    if let (Some(before), Value::Object(shown)) = (before, &mut shown) {
        let before = before.map(|b| json!({ "at": b.at, "percent": b.percent }));
        shown.insert("before".to_owned(), json!(before));
    }
    shown
}

fn print(lexicon: &Lexicon, app: &App, budget: f64, fix: bool, before: Option<&Line>) {
    for skipped in &app.skipped {
        output::line(format!("{}  {}  {}", output::paint("note", "33"), skipped.path, skipped.why));
    }
    for place in &app.places {
        let near = place.nearest.as_ref().map(|nearest| {
            let how = match (&place.fix, place.what) {
                (Some(fix), _) => format!("fix: {fix}"),
                (None, _) if nearest.exact && nearest.candidates > 1 => {
                    format!("one of {} with this value", nearest.candidates)
                }
                (None, _) if nearest.exact => "the same value".to_owned(),
                (None, What::DeprecatedToken) => "takes its place, and has another value".to_owned(),
                (None, What::UnknownToken) => "has a similar name".to_owned(),
                (None, _) if lexicon.known(&nearest.name).is_some_and(|k| k.kind == Kind::Color) => {
                    format!("ΔE {:.2}", nearest.distance)
                }
                (None, _) => format!("{:.0}% off", nearest.distance * 100.0),
            };
            format!(" → --{} ({how})", nearest.name)
        });
        output::line(format!(
            "{}:{}:{}  {}  {}{}",
            place.file,
            place.line,
            place.column,
            output::paint(word(place.what), "33"),
            place.text,
            near.unwrap_or_default()
        ));
    }
    if app.found > app.places.len() {
        output::line(format!("and {} more", app.found - app.places.len()));
    }
    if fix {
        let fixed = output::paint("fixed", "32;1");
        output::line(format!(
            "{fixed} {} in {}",
            words::count(app.fixed, "place", "places"),
            words::count(app.fixed_files, "file", "files")
        ));
    }
    let verdict =
        if fails(app, budget) { output::paint("FAIL", "31;1") } else { output::paint("pass", "32;1") };
    let change = before.map_or_else(String::new, |before| {
        let change = rounded(app.percent()) - before.percent;
        let sign = if change < 0.0 { "−" } else { "+" };
        format!(", {sign}{:.2} points since {}", change.abs(), before.at)
    });
    let mut left = match app.skipped.len() {
        0 => String::new(),
        n => format!(", {n} skipped or read in part"),
    };
    if app.excluded > 0 {
        left.push_str(&format!(", {} excluded", app.excluded));
    }
    if app.suppressed > 0 {
        left.push_str(&format!("; {} accepted by comments", words::count(app.suppressed, "place", "places")));
    }
    output::line(format!(
        "{verdict}  {}: {} / {} = {:.2}% (budget {budget}%){change}; {}{left}",
        app.path,
        words::count(app.overrides, "override", "overrides"),
        words::count(app.declarations, "styled declaration", "styled declarations"),
        app.percent(),
        words::count(app.files, "file", "files"),
    ));
    if uses_none(app) {
        output::line(format!(
            "      no declaration of {} uses a token of this system; is `prefix` in tokens.toml the one it uses?",
            app.path
        ));
    }
}
