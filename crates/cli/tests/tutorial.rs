//! The tutorial and the README, run as they are written: their files are created, their commands typed, and their results checked.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

const TUTORIAL: &str = include_str!("../../../docs/tutorial.md");
const README: &str = include_str!("../../../README.md");
const COMMANDS: [&str; 8] = ["ashlar ", "curl ", "export ", "unset ", "echo ", "MARA=", "INES=", "API="];

/// Indented blocks, each with the paragraph before it.
fn blocks(text: &str) -> Vec<(String, String)> {
    let (mut out, mut said, mut block) = (Vec::new(), String::new(), String::new());
    for line in text.lines().chain(["end"]) {
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

/// Runs the commands of a text in an empty directory, and returns the script, its standard output and its errors.
/// `None` when curl is absent.
fn typed(text: &str) -> Option<(String, String, String)> {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var("ASHLAR_REQUIRE_ALL").is_err(), "curl is absent, and everything is required");
        println!("not run: curl is absent");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut script = String::new();
    for (said, block) in blocks(text) {
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
                    true => script.push_str(&format!(
                        "{} >serve.log 2>&1 &\nSERVER=$!\n{wait}\n",
                        line.trim_end_matches(" &")
                    )),
                    // The server follows what another process moves within milliseconds; a person does not type faster.
                    false if line.starts_with("curl ") => {
                        script.push_str(&format!("sleep 0.5; {line}\necho \"exit $?\"\n"));
                    }
                    false => script.push_str(&format!("{line}\necho \"exit $?\"\n")),
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
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((script, text(&out.stdout), text(&out.stderr)))
}

#[test]
fn the_readme_does_what_it_says() {
    let five_minutes = README.split_once("## Five minutes").unwrap().1.split("\n## ").next().unwrap();
    let Some((script, out, errors)) = typed(five_minutes) else { return };
    assert_eq!(out.matches("exit 0").count(), 11, "{out}{errors}\n--- script\n{script}");
    assert!(!out.contains("exit 1"), "{out}{errors}");
    for claim in ["HTTP/1.1 200", "~ page/home (en)", "r1 is back on production (was r2)"] {
        assert!(out.contains(claim), "{claim}: {out}{errors}");
    }
}

#[test]
fn the_tutorial_does_what_it_says() {
    let Some((script, out, errors)) = typed(TUTORIAL) else { return };
    let all = format!("{out}{errors}");
    let mut rest = out;
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
            None => panic!("`{claim}` does not come where it should:\n{all}\n--- script\n{script}"),
        }
    }
    assert!(all.contains("nobody approves their own change"), "{all}");
}
