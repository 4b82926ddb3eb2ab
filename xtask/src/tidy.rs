//! Rules of style that no compiler knows.

mod circles;
mod functions;
mod lexer;
mod modules;
mod words;

use std::{error::Error, fs, path::Path, process::Command};

use crate::run::root;

/// Rooms from top to bottom; each uses only those after it.
const ROOMS: [&str; 14] = [
    "cli",
    "server",
    "gates",
    "delivery",
    "site",
    "images",
    "divergence",
    "tokens",
    "project",
    "contracts",
    "release",
    "store",
    "isolate",
    "model",
];
/// Lines a source file may have.
const LINES_MAX: usize = 700;
/// Where files may still import each other in a circle, by the beginnings of their paths. `--strict` checks them too.
const CIRCLES_ALLOWED: [&str; 0] = [];

fn check_file(path: &str, text: &str, wrong: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX && !path.contains("/tests/") {
        wrong.push(format!("{path}: {lines} lines; at most {LINES_MAX}"));
    }
    for (number, line) in text.lines().enumerate() {
        for word in ["todo!(", "unimplemented!(", "dbg!("] {
            if line.contains(word) && !path.starts_with("xtask/") {
                wrong.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
}

/// Everything that people read is in plain words: documentation, messages and help texts.
fn check_words(path: &str, text: &str, wrong: &mut Vec<String>) {
    if path.ends_with(".md") {
        // Entries of the demo and test data are content.
        if !path.contains("/content/") && !path.contains("/tests/") {
            words::markdown(path, text, wrong);
        }
    } else if path.starts_with("crates/") && path.contains("/src/") && !path.ends_with("/tests.rs") {
        words::source(path, text, wrong);
    }
}

/// Checks every tracked file. `strict` allows no exceptions.
pub fn tidy(strict: bool) -> Result<(), Box<dyn Error>> {
    let root = root();
    let mut wrong = Vec::new();
    let list = Command::new("git").args(["ls-files", "*.rs", "*.md"]).current_dir(&root).output()?;
    for path in String::from_utf8_lossy(&list.stdout).lines() {
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            check_words(path, &text, &mut wrong);
            if path.ends_with(".md") {
                continue;
            }
            check_file(path, &text, &mut wrong);
            if path.contains("/src/") {
                functions::check(path, &text, &mut wrong);
            }
            let top = ["lib.rs", "main.rs"].iter().any(|n| path.ends_with(&format!("src/{n}")));
            if top && !text.starts_with("//!") {
                wrong.push(format!("{path}: begins without saying what the crate is"));
            }
        }
    }
    for (place, room) in ROOMS.iter().enumerate() {
        check_room(&root, place, room, &mut wrong)?;
        check_circles(&root, &format!("crates/{room}"), strict, &mut wrong);
    }
    check_circles(&root, "xtask", strict, &mut wrong);
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

fn check_circles(root: &Path, dir: &str, strict: bool, wrong: &mut Vec<String>) {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let tops = ["lib.rs", "main.rs"].map(|name| format!("{dir}/src/{name}"));
    for top in tops.iter().filter(|top| root.join(top).is_file()) {
        let allowed = |path: &str| !strict && CIRCLES_ALLOWED.iter().any(|start| path.starts_with(start));
        circles::check(&modules::Crate::read(top, &read), &allowed, wrong);
    }
}

fn check_room(root: &Path, place: usize, room: &str, wrong: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    let manifest = fs::read_to_string(root.join("crates").join(room).join("Cargo.toml"))?;
    let mut tests = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            tests = line.contains("dev-dependencies");
        }
        let Some(used) = line.strip_prefix("ashlar-").and_then(|l| l.split(['.', ' ', '=']).next()) else {
            continue;
        };
        let Some(below) = ROOMS.iter().position(|r| *r == used) else { continue };
        if below <= place && !tests {
            wrong.push(format!("crates/{room}: uses `{used}`, which is not below it"));
        }
    }
    Ok(())
}
