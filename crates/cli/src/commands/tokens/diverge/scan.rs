//! The files of one app, scanned on all cores.

use std::{
    io::{Read, Write},
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use ashlar_divergence::{
    Divergence, Language, Lexicon, Nearest, Report, TEXT_BYTES_MAX, What, fix, scan as scan_text,
};

use super::files::{Found, Skipped, Source, shown};
use crate::{error::CliError, output::progress};

/// How much of a text is shown.
const SHOWN_CHARS_MAX: usize = 160;

/// What was found in an app.
#[derive(Default)]
pub struct App {
    pub path: String,
    /// The files that were read.
    pub files: usize,
    pub declarations: usize,
    pub tokens: usize,
    pub overrides: usize,
    /// How many places diverge.
    pub found: usize,
    /// The first of them.
    pub places: Vec<Place>,
    /// How many places were fixed, and in how many files.
    pub fixed: usize,
    pub fixed_files: usize,
    /// Files that were left out by name.
    pub excluded: usize,
    /// Places that diverge and that a comment accepts.
    pub suppressed: usize,
    pub skipped: Vec<Skipped>,
}

impl App {
    /// Overrides as a share of the declarations.
    pub fn percent(&self) -> f64 {
        match self.declarations {
            0 => 0.0,
            declarations => self.overrides as f64 * 100.0 / declarations as f64,
        }
    }
}

/// A place that diverges, as it is shown.
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub what: What,
    pub property: String,
    pub text: String,
    pub nearest: Option<Nearest>,
    pub fix: Option<String>,
}

/// What came of one file.
#[derive(Default)]
struct Outcome {
    /// Without the divergences.
    report: Report,
    found: usize,
    places: Vec<Place>,
    fixed: usize,
    /// Why it was not read at all.
    skipped: Option<String>,
}

/// Scans an app, and fixes what has a fix first if asked to; the first `room` places are kept.
pub fn app(lexicon: &Lexicon, path: String, found: Found, fixes: bool, room: usize) -> Result<App, CliError> {
    let Found { files, skipped, excluded } = found;
    let bar = progress(files.len() as u64, "scanning");
    let (next, places, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            // Whatever has been counted by now stands in files before the one that is taken next.
            let before = places.load(Ordering::SeqCst);
            let at = next.fetch_add(1, Ordering::SeqCst);
            let Some(source) = files.get(at) else { break };
            let outcome = file(lexicon, source, fixes, room.saturating_sub(before));
            match &outcome {
                Ok(outcome) => places.fetch_add(outcome.found, Ordering::SeqCst),
                Err(_) => usize::from(failed.swap(true, Ordering::Relaxed)),
            };
            done.push((at, outcome));
            bar.inc(1);
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len()).max(1);
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    bar.finish_and_clear();
    done.sort_by_key(|(at, _)| *at);
    let mut app = App { path, skipped, excluded, ..App::default() };
    for (at, outcome) in done {
        app.add(&files[at].path, outcome?, room);
    }
    app.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(app)
}

impl App {
    fn add(&mut self, path: &Path, outcome: Outcome, room: usize) {
        let Outcome { report, found, mut places, fixed, skipped } = outcome;
        let why = match skipped {
            Some(why) => Some(why),
            None => {
                self.files += 1;
                report.note.map(|note| format!("was read in part: {note}"))
            }
        };
        self.skipped.extend(why.map(|why| Skipped { path: shown(path), why }));
        if let Some(line) = report.without_reason.first() {
            let why = format!(
                "line {line}: `diverge-ok:` needs a reason behind it, and accepts nothing without one"
            );
            self.skipped.push(Skipped { path: shown(path), why });
        }
        self.suppressed += report.suppressed;
        self.declarations += report.declarations;
        self.tokens += report.tokens;
        self.overrides += report.overrides;
        self.found += found;
        self.fixed += fixed;
        self.fixed_files += usize::from(fixed > 0);
        places.truncate(room.saturating_sub(self.places.len()));
        self.places.append(&mut places);
    }
}

fn file(lexicon: &Lexicon, source: &Source, fixes: bool, room: usize) -> Result<Outcome, CliError> {
    let skip = |why: String| Ok(Outcome { skipped: Some(why), ..Outcome::default() });
    let text = match read(&source.path) {
        Ok(text) => text,
        Err(why) => return skip(why),
    };
    let mut report = scan_text(lexicon, source.language, &text);
    // A style sheet that was built from the tokens is not the app's.
    if matches!(source.language, Language::Css | Language::Scss) && report.defines * 2 > lexicon.len() {
        return skip(format!("defines {} of the {} tokens: built from them", report.defines, lexicon.len()));
    }
    let mut fixed = 0;
    // What could not be read whole is left as it is.
    if fixes && report.note.is_none() {
        let (better, count) = fix(&text, &report.divergences);
        if count > 0 {
            write(&source.path, &better).map_err(|e| CliError::file("write", &source.path, &e))?;
            report = scan_text(lexicon, source.language, &better);
            fixed = count;
        }
    }
    let found = std::mem::take(&mut report.divergences);
    let shown = shown(&source.path);
    let count = found.len();
    let places = found.into_iter().take(room).map(|d| place(&shown, d)).collect();
    Ok(Outcome { report, found: count, places, fixed, skipped: None })
}

fn place(file: &str, d: Divergence) -> Place {
    let Divergence { what, line, column, property, text, nearest, fix, .. } = d;
    Place {
        file: file.to_owned(),
        line,
        column,
        what,
        property: short(&property),
        text: short(&text),
        nearest,
        fix,
    }
}

/// A text on one line, cut where it is long.
fn short(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
    }
    if let Some((at, _)) = short.char_indices().nth(SHOWN_CHARS_MAX) {
        short.truncate(at);
        short.push('…');
    }
    short
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(format!("is larger than {} MiB", TEXT_BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Puts a file in the place of another, so that it is never half written.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
    file.persist(&path).map(|_| ()).map_err(|e| e.error)
}
