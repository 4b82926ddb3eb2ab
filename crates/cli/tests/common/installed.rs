//! Outside programs that `cargo xtask test` installs.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The directory of the installed clients. `None` when they are absent, which is printed; `what` names them.
pub fn installed(what: &str) -> Option<PathBuf> {
    let found = std::env::var_os("ASHLAR_TEST_CLIENTS").map(PathBuf::from);
    if found.is_none() {
        assert!(
            !std::env::var("ASHLAR_REQUIRE_ALL").is_ok_and(|v| v == "1"),
            "{what} are required: run `cargo xtask test`"
        );
        println!("skipped: ASHLAR_TEST_CLIENTS names no {what}; `cargo xtask test` installs them");
    }
    found
}

/// Runs a program to its end and returns its output. Panics when it fails.
pub fn run(dir: &Path, program: &Path, args: &[&str]) -> String {
    let out = Command::new(program).args(args).current_dir(dir).env("NO_COLOR", "1").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{} {args:?}: {said}", program.display());
    said
}
