//! A browser for tests, and what drives it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

fn chromium() -> Option<String> {
    let there = |name: &&str| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let name = ["chromium", "chromium-browser", "google-chrome", "chrome"].into_iter().find(there)?;
    let which = Command::new("which").arg(name).output().ok()?;
    Some(String::from_utf8(which.stdout).ok()?.trim().to_owned())
}

/// A folder with what drives the browser, kept beside the build; `None` when it cannot be had.
fn driver() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    let there = |d: &Path| {
        d.join("node_modules/axe-core/axe.min.js").exists() && d.join("node_modules/puppeteer-core").exists()
    };
    if !there(&dir) {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("package.json"), "{\"private\":true}").unwrap();
        let args =
            ["install", "--silent", "--no-audit", "--no-fund", "axe-core@4.14.1", "puppeteer-core@24.43.1"];
        let _ = Command::new("npm").args(args).current_dir(&dir).output();
    }
    there(&dir).then_some(dir)
}

/// Runs a script of `tests/browser` with what it is given, the browser and its driver, and reads what it prints. `None` when
/// there is no browser and none is required.
pub fn run(script: &str, given: &str) -> Option<Value> {
    let (Some(browser), Some(driver)) = (chromium(), driver()) else {
        assert!(
            std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
            "Chromium or Node.js is absent, and everything is required"
        );
        println!("not run: Chromium or Node.js is absent");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let run = Command::new("node").arg(script).args([given, &browser]).arg(&driver).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let report = serde_json::from_str(&said);
    Some(report.unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&run.stderr))))
}
