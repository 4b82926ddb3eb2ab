//! The tutorial, run as it is written: its files are made, its commands typed, and its claims looked for.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

const TEXT: &str = include_str!("../../../docs/tutorial.md");
const COMMANDS: [&str; 8] = ["ashlar ", "curl ", "export ", "unset ", "echo ", "MARA=", "INES=", "API="];

/// Indented blocks, each with the paragraph before it.
fn blocks() -> Vec<(String, String)> {
    let (mut out, mut said, mut block) = (Vec::new(), String::new(), String::new());
    for line in TEXT.lines().chain(["end"]) {
        match line.strip_prefix("    ") {
            Some(code) => block.push_str(&format!("{code}\n")),
            None if line.is_empty() && !block.is_empty() => block.push('\n'),
            None => {
                if !block.trim().is_empty() {
                    out.push((std::mem::take(&mut said), std::mem::take(&mut block)));
                }
                if !line.is_empty() {
                    said = format!("{said} {line}");
                }
            }
        }
    }
    out
}

/// The file that a paragraph says to write.
fn file_named(said: &str) -> Option<&str> {
    let last = said.trim().strip_suffix("`:")?.rsplit('`').next()?;
    (last.starts_with("shop/")).then_some(last)
}

#[test]
fn the_tutorial_does_what_it_says() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var("ASHLAR_REQUIRE_ALL").is_err(), "curl is absent, and everything is required");
        println!("not run: curl is absent");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut script = String::new();
    for (said, block) in blocks() {
        if let Some(file) = file_named(&said) {
            let parent = Path::new(file).parent().unwrap().display();
            script.push_str(&format!("mkdir -p '{parent}'; cat > '{file}' <<'END'\n{block}END\n"));
            continue;
        }
        // A blank line stands between a command and what it prints.
        for part in block.split("\n\n").filter(|p| COMMANDS.iter().any(|c| p.trim_start().starts_with(c))) {
            for line in part.trim().replace("\\\n", " ").lines() {
                let wait = format!(
                    "until curl -s -o /dev/null http://127.0.0.1:{port}/healthz; do sleep 0.05; done"
                );
                match line.starts_with("ashlar serve") {
                    true => script.push_str(&format!("{line} >serve.log 2>&1 &\nSERVER=$!\n{wait}\n")),
                    // The server follows what another process moves within milliseconds; a person does not type faster.
                    false if line.starts_with("curl ") => {
                        script.push_str(&format!("sleep 0.5; {line}; echo \"exit $?\"\n"));
                    }
                    false => script.push_str(&format!("{line}; echo \"exit $?\"\n")),
                }
            }
        }
    }
    script.push_str("kill $SERVER; wait $SERVER; echo \"stopped $?\"\n");
    let script = script.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}")).replace("curl ", "curl -s ");
    let binary = Path::new(env!("CARGO_BIN_EXE_ashlar"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let out = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env_remove("ASHLAR_DATA")
        .env_remove("ASHLAR_SERVER")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let mut rest = String::from_utf8_lossy(&out.stdout).into_owned();
    for claim in [
        "pass  2 contracts, 2 entries, 0 warnings",
        "6 definition files pushed",
        "2 drafts written, 0 unchanged",
        "c1  failed  2 entries, 2 changed  snapshot 0deef52c20bb",
        "r1 (",
        "{\"name\":\"Team\",\"price_minor\":2900,\"slug\":\"team\"}",
        "\"version\":2",
        "c2  failed",
        "exit 1",
        "exit 1",
        "r2 (",
        "{\"name\":\"Team\",\"price_minor\":1900,\"slug\":\"team\"}",
        "~ pricing-plan/team (en): price_minor",
        "r1 is back on production (was r2)",
        "{\"name\":\"Team\",\"price_minor\":2900,\"slug\":\"team\"}",
        "Team gets cheaper",
        "\"version\":3",
        "\"candidate\":\"c3\"",
        "urn:ashlar:problem:gates-failed",
        "\"status\":\"passed\"",
        "\"price_minor\":2400",
        "\"release\":\"r3\"",
        "{\"name\":\"Team\",\"price_minor\":2400,\"slug\":\"team\"}",
        "\"from\":\"r3\"",
        "r3 ",
        "stopped 0",
    ] {
        match rest.split_once(claim) {
            Some((_, after)) => rest = after.to_owned(),
            None => panic!("`{claim}` does not come where it should:\n{told}\n--- script\n{script}"),
        }
    }
    assert!(told.contains("nobody approves their own change"), "{told}");
}
