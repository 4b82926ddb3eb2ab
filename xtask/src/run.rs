//! Programs, among them the one under test.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Where builds go.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a program that has to succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|e| unstarted(command, &e))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed: {status}").into()),
    }
}

fn unstarted(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("the program `{program}` is not installed"),
        _ => format!("`{program}` could not be started: {error}"),
    }
}

/// Starts programs; errors name the program.
pub trait Start {
    /// Starts it.
    fn start(&mut self) -> Result<Child>;
    /// Runs it to its end.
    fn finish(&mut self) -> Result<Output>;
}

impl Start for Command {
    fn start(&mut self) -> Result<Child> {
        self.spawn().map_err(|e| unstarted(self, &e).into())
    }

    fn finish(&mut self) -> Result<Output> {
        self.output().map_err(|e| unstarted(self, &e).into())
    }
}

/// An error of the file system with the path it is about.
pub fn at<T>(path: &Path, done: std::io::Result<T>) -> Result<T> {
    done.map_err(|e| format!("{}: {e}", path.display()).into())
}

/// The binary, built.
pub fn binary() -> Result<PathBuf> {
    run(Command::new("cargo").args(["build", "--quiet", "--package", "ashlar"]).current_dir(root()))?;
    Ok(target().join("debug").join("ashlar"))
}

/// The binary as it is shipped, built; another one when `ASHLAR_BENCH_BINARY` names it.
pub fn dist_binary() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("ASHLAR_BENCH_BINARY") {
        return Ok(std::fs::canonicalize(binary)?);
    }
    let args = ["build", "--profile", "dist", "--quiet", "--package", "ashlar"];
    run(Command::new("cargo").args(args).current_dir(root()))?;
    Ok(target().join("dist").join("ashlar"))
}
