//! What the command line does with wrong usage, bad input and a disk that is full.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::process::{Command, Stdio};

use common::Rig;
use serde_json::{Value, json};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn wrong_usage_is_reported_to_people_and_to_programs() {
    let rig = Rig::new();
    for args in [&["release", "promote"][..], &["nonsense"], &["entry", "put", "page"]] {
        let out = rig.run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(text(&out.stderr).contains("Usage:"), "{args:?}");
        let with: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        let error = rig.json(2, &with)["error"].clone();
        assert_eq!(error["code"], "usage", "{with:?}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(rig.run(&["--help"]).status.code(), Some(0));
    assert_eq!(rig.run(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_mistyped_directory_is_not_made() {
    let rig = Rig::new();
    for args in [
        &["entry", "list", "page"][..],
        &["entry", "get", "page", "home"],
        &["candidate", "create"],
        &["candidate", "show", "c1"],
        &["release", "list"],
        &["release", "diff", "r1", "r2"],
        &["release", "verify", "r1"],
        &["audit", "verify"],
        &["key", "list"],
        &["channel", "list"],
        &["gc"],
    ] {
        let with: Vec<&str> = args.iter().copied().chain(["--data", "dta"]).collect();
        let out = rig.run(&with);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains("there is no installation in `dta`"), "{}", text(&out.stderr));
        assert!(!rig.path().join("dta").exists(), "{args:?}");
    }
}

#[test]
fn json_that_is_none_is_shown_at_its_place() {
    let rig = Rig::new();
    assert!(rig.run(&["push", "site"]).status.success());
    rig.write("bad.json", "{\n  \"slug\": \"a\",\n  \"title\" \"b\"\n}\n");
    let out = rig.run(&["entry", "put", "page", "a", "--file", "bad.json"]);
    assert_eq!(out.status.code(), Some(2));
    insta::assert_snapshot!(text(&out.stderr), @r#"
    json

      × bad.json:3:11: expected `:`
       ╭─[bad.json:3:11]
     2 │   "slug": "a",
     3 │   "title" "b"
       ·           ┬
       ·           ╰── expected `:`
     4 │ }
       ╰────
      help: fix the JSON at this place
    "#);
    let error = rig.json(2, &["entry", "put", "page", "a", "--file", "bad.json", "--format", "json"]);
    assert_eq!(error["error"]["findings"][0]["where"], "bad.json:3:11");
    // Other ends of a file.
    for (name, bytes, part) in [
        ("empty.json", &b""[..], "empty.json:1:0: EOF"),
        ("cut.json", b"{\"slug\": \"a\"", "cut.json:1:12: EOF"),
        ("utf16.json", b"\xff\xfe{\x00}\x00", "utf16.json:1:1"),
        ("latin.json", b"{\"slug\": \"caf\xe9\"}", "latin.json:1:"),
        ("array.json", b"[1]", "the fields of an entry must be a JSON object"),
    ] {
        std::fs::write(rig.path().join(name), bytes).unwrap();
        let error = rig.json(2, &["entry", "put", "page", "a", "--file", name, "--format", "json"]);
        assert!(error["error"]["message"].as_str().unwrap().contains(part), "{error}");
    }
    std::fs::write(rig.path().join("deep.json"), format!("{{\"a\":{}", "[".repeat(100_000))).unwrap();
    assert_eq!(rig.run(&["entry", "put", "page", "a", "--file", "deep.json"]).status.code(), Some(2));
    std::fs::write(rig.path().join("huge.json"), vec![b' '; 50 << 20]).unwrap();
    assert_eq!(rig.run(&["entry", "put", "page", "a", "--file", "huge.json"]).status.code(), Some(2));
    assert_eq!(rig.run(&["entry", "put", "page", "a", "--file", "absent.json"]).status.code(), Some(2));
    let listed = rig.json(0, &["entry", "list", "page", "--format", "json"]);
    assert_eq!(listed["items"], json!([]));
}

fn codes(report: &Value) -> Vec<String> {
    let gates = report["gates"].as_array().unwrap();
    let findings = gates.iter().flat_map(|g| g["findings"].as_array().unwrap());
    findings.map(|f| format!("{} {}", f["code"].as_str().unwrap(), f["where"].as_str().unwrap())).collect()
}

#[test]
fn check_finds_what_is_wrong_in_files() {
    let rig = Rig::new();
    std::fs::remove_file(rig.path().join("site/contracts/plan.v1.json")).unwrap();
    let page = |name: &str, value: Value| {
        rig.write(&format!("site/content/page/{name}.en.json"), &value.to_string())
    };
    let contract = std::fs::read_to_string(rig.path().join("site/contracts/page.v1.json")).unwrap();
    // Without the pattern, a slug may be anything: the route says what it may not be.
    rig.write("site/contracts/page.v1.json", &contract.replace(r#""pattern": "^[a-z0-9-]+$", "#, ""));
    page("cafe", json!({"slug": "café", "title": "Café"}));
    page(
        "guide",
        json!({"slug": "guide", "title": "Guide",
        "body": "[a](/caf%C3%A9) [b](/café#menu) [c](/guide/?x=1) [d](/guide/) [e](./café) [f](#top) [g](/nowhere)\n\n[h](/caf%C3%A8)"}),
    );
    page("space", json!({"slug": "a b", "title": "Space"}));
    page("twice", json!({"slug": "guide", "title": "Twice"}));
    let report = rig.json(1, &["check", "site", "--format", "json"]);
    let found = codes(&report);
    assert_eq!(
        found,
        [
            "route-unusable content/page/space.en.json:1 /slug",
            "link-broken content/page/guide.en.json:1 /body",
            "link-broken content/page/guide.en.json:1 /body",
            "route-duplicate content/page/guide.en.json:1",
        ],
        "{report}"
    );
    // A file in another encoding, and one that is no JSON, are named; the others are judged all the same.
    std::fs::write(rig.path().join("site/content/page/utf.en.json"), b"\xff\xfe{\x00}\x00").unwrap();
    rig.write("site/content/page/cut.en.json", "{\"slug\":\n\"x\"");
    let found = codes(&rig.json(1, &["check", "site", "--format", "json"]));
    for part in ["content/page/utf.en.json", "content/page/cut.en.json:2"] {
        assert!(found.iter().any(|f| f.contains(part)), "{part}: {found:?}");
    }
    assert!(found.iter().any(|f| f.starts_with("route-duplicate")), "{found:?}");
}

#[test]
fn check_compares_with_a_revision_and_takes_no_options_for_one() {
    let rig = Rig::new();
    let git = |args: &[&str]| {
        let out = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(args)
            .current_dir(rig.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    let contract = std::fs::read_to_string(rig.path().join("site/contracts/page.v1.json")).unwrap();
    rig.write("site/contracts/page.v1.json", &contract.replace(r#""maxLength": 120"#, r#""maxLength": 20"#));
    assert_eq!(rig.json(0, &["check", "site", "--format", "json"])["status"], "pass");
    let report = rig.json(1, &["check", "site", "--against", "HEAD", "--format", "json"]);
    assert!(report.to_string().contains("maxLength") || report.to_string().contains("at most"), "{report}");
    for wrong in ["--against=-x", "--against=--output=/tmp/x", "--against=nosuch"] {
        let error = rig.json(2, &["check", "site", wrong, "--format", "json"]);
        assert_eq!(error["error"]["code"], "invalid-input", "{error}");
    }
}

/// Runs a command that may write files of this many KiB at most.
fn limited(rig: &Rig, kib: u32, args: &[&str]) -> std::process::Output {
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &(kib * 2).to_string()])
        .arg(env!("CARGO_BIN_EXE_ashlar"))
        .args(args)
        .current_dir(rig.path())
        .env("ASHLAR_DATA", "data")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn entries(rig: &Rig, prefix: &str, n: usize) -> String {
    let body = "word ".repeat(400);
    let line = |i| {
        json!({"type": "page", "id": format!("{prefix}{i}"), "locale": "en", "fields":
        {"slug": format!("{prefix}{i}"), "title": "T", "body": body}})
    };
    let name = format!("{prefix}.ndjson");
    rig.write(&name, &(0..n).map(|i| format!("{}\n", line(i))).collect::<String>());
    name
}

#[test]
fn a_full_disk_loses_nothing_and_is_reported() {
    let rig = Rig::new();
    std::fs::remove_file(rig.path().join("site/contracts/plan.v1.json")).unwrap();
    let data = rig.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // A real small disk where one can be had; elsewhere a limit on the size of files does the same to writes.
    let disk = |args: &[&str]| {
        Command::new("mount").args(args).arg(&data).output().is_ok_and(|o| o.status.success())
    };
    let real = disk(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"]);
    println!(
        "full disk: {}",
        if real { "a tmpfs of 4 MiB" } else { "a limit on files, because nothing can be mounted" }
    );
    let run = |args: &[&str]| if real { rig.run(args) } else { limited(&rig, 2048, args) };
    assert!(run(&["push", "site"]).status.success());
    let first = entries(&rig, "a", 200);
    assert!(run(&["import", "json", &first]).status.success());
    assert!(run(&["candidate", "create"]).status.success());
    assert!(run(&["release", "promote", "c1"]).status.success());
    let more = entries(&rig, "b", 5000);
    let out = run(&["import", "json", &more, "--format", "json"]);
    assert_eq!(out.status.code(), Some(3), "{} {}", text(&out.stdout), text(&out.stderr));
    let said = text(&out.stdout) + &text(&out.stderr);
    assert!(said.contains("disk"), "{said}");
    // What was there is there, and whole.
    for args in [&["release", "verify", "r1"][..], &["audit", "verify"], &["entry", "get", "page", "a199"]] {
        let out = rig.run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    }
    // With room again everything goes on.
    if real {
        assert!(disk(&["-o", "remount,size=256m"]));
    }
    assert!(rig.run(&["import", "json", &more]).status.success());
    let made = rig.json(0, &["candidate", "create", "--format", "json"]);
    assert_eq!(made["entries"], 5200);
    rig.json(0, &["release", "promote", made["candidate"].as_str().unwrap(), "--format", "json"]);
    for args in [&["release", "verify", "r2"][..], &["audit", "verify"]] {
        assert!(rig.run(args).status.success());
    }
    if real {
        let _ = Command::new("umount").arg(&data).status();
    }
}

#[test]
fn every_command_has_a_man_page() {
    let rig = Rig::new();
    let out = rig.run(&["man", "share/man1"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let page = |name: &str| std::fs::read_to_string(rig.path().join("share/man1").join(name)).unwrap();
    assert!(page("ashlar.1").contains(".TH ashlar 1"));
    assert!(page("ashlar-release-promote.1").contains("channel"));
    assert!(!rig.path().join("share/man1/ashlar-man.1").exists(), "hidden commands have no page");
    rig.write("file", "");
    assert_eq!(rig.run(&["man", "file"]).status.code(), Some(3));
}

#[test]
fn the_help_of_every_command_is_known() {
    let rig = Rig::new();
    let help = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_ashlar"))
            .args(args)
            .arg("--help")
            .env("COLUMNS", "100")
            .env_clear()
            .current_dir(rig.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{args:?}");
        text(&out.stdout)
    };
    let commands = |help: &str| -> Vec<String> {
        let mut inside = false;
        help.lines()
            .filter_map(|line| {
                if line.is_empty() || !line.starts_with(' ') {
                    inside = line == "Commands:";
                    return None;
                }
                let name = line.strip_prefix("  ")?.split(' ').next()?;
                (inside && !name.is_empty() && name != "help").then(|| name.to_owned())
            })
            .collect()
    };
    let top = help(&[]);
    let mut all = format!("$ ashlar --help\n{top}\n");
    for name in commands(&top) {
        let own = help(&[&name]);
        all.push_str(&format!("\n$ ashlar {name} --help\n{own}\n"));
        for below in commands(&own) {
            all.push_str(&format!("\n$ ashlar {name} {below} --help\n{}\n", help(&[&name, &below])));
        }
    }
    insta::assert_snapshot!("help", all);
}
