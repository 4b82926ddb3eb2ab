//! The demo's site in a real browser: accessibility, widths, figures, keyboard.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

#[path = "common/browser.rs"]
mod browser;
mod common;

use common::{Rig, start};

/// The longest time until the largest thing is painted, in milliseconds.
const LCP_MS_MAX: f64 = 500.0;
/// The most bytes of a first visit, images left out.
const BYTES_MAX: f64 = 60_000.0;

#[test]
fn the_site_is_for_everybody() {
    let rig = Rig::new();
    let (server, ready) = start(&rig, &["demo", "--data", "data"]);
    let Some(report) = browser::run("check.mjs", ready["url"].as_str().unwrap()) else { return };
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
        // How fast it paints depends on the machine, and is reported, not asserted; what is sent and what moves is not.
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
