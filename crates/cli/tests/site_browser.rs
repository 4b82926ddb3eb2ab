//! The demo's site in a real browser: accessibility, widths, figures, keyboard.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{Rig, start};
use serde_json::Value;

/// The longest time until the largest thing is painted, in milliseconds.
const LCP_MS_MAX: f64 = 500.0;
/// The most bytes of a first visit, images left out.
const BYTES_MAX: f64 = 60_000.0;

fn chromium() -> Option<&'static str> {
    let there = |name: &&str| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    ["chromium", "chromium-browser", "google-chrome", "chrome"].into_iter().find(there)
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

#[test]
fn the_site_is_for_everybody() {
    let (Some(browser), Some(driver)) = (chromium(), driver()) else {
        assert!(
            std::env::var_os("ASHLAR_REQUIRE_ALL").is_none(),
            "Chromium or Node.js is absent, and everything is required"
        );
        println!("not run: Chromium or Node.js is absent");
        return;
    };
    let which = Command::new("which").arg(browser).output().unwrap();
    let browser = String::from_utf8(which.stdout).unwrap().trim().to_owned();
    let rig = Rig::new();
    let (server, ready) = start(&rig, &["demo", "--data", "data"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs");
    let run = Command::new("node")
        .arg(script)
        .args([ready["url"].as_str().unwrap(), &browser])
        .arg(&driver)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{e}: {said}{}", String::from_utf8_lossy(&run.stderr)));
    let wrong: Vec<String> = report["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| format!("{} at {}: {}", v["what"], v["where"], v["detail"]))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let figures = report["figures"].as_object().unwrap();
    assert!(figures.len() >= 10);
    for (page, figure) in figures {
        println!("{page}: {figure}");
        let number = |name: &str| figure[name].as_f64().unwrap();
        // How fast it paints depends on the machine, and is told, not asserted; what is sent and what moves is not.
        assert!(number("bytes") <= BYTES_MAX, "{page} sends {} bytes", number("bytes"));
        assert!(number("cls") == 0.0, "{page} moves by {}", number("cls"));
        if number("lcp_ms") > LCP_MS_MAX {
            println!(
                "{page}: its largest thing is painted after {} ms; {LCP_MS_MAX} ms is the target",
                number("lcp_ms")
            );
        }
    }
    drop(server);
}
