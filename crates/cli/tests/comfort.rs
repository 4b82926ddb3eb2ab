//! What makes daily work on the command line pleasant: status, remembered targets, editing, pulling, backups, checks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod common;

use std::process::{Command, Output, Stdio};

use common::{Demo, Rig};
use serde_json::{Value, json};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs in a directory without any variable that says where to work.
fn plain(rig: &Rig, dir: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(args)
        .current_dir(rig.path().join(dir))
        .env_remove("ASHLAR_DATA")
        .env_remove("ASHLAR_SERVER")
        .env_remove("ASHLAR_KEY")
        .env("XDG_STATE_HOME", rig.path().join("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn ok(out: &Output) -> String {
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

fn plan(name: &str, price: u64) -> serde_json::Value {
    json!({"slug": name, "name": name, "price": price})
}

#[test]
fn status_names_what_is_pending_blocked_and_live() {
    let rig = Rig::new();
    rig.push();
    let empty = rig.json(0, &["status", "--format", "json"]);
    assert_eq!(empty["pending"]["drafts"], 0);
    assert_eq!(empty["pending"]["definitions"], true);
    assert_eq!(empty["live"], json!([]));
    rig.put("basic", &plan("basic", 900), "ines");
    ok(&rig.run(&["changeset", "create", "spring"]));
    let made = rig.candidate();
    assert_eq!(made["status"], "failed", "a price needs an approval: {made}");
    let status = rig.json(0, &["status", "--format", "json"]);
    assert_eq!(status["pending"]["by_type"]["plan"], 1);
    assert_eq!(status["pending"]["changesets"][0]["changeset"], "spring");
    assert_eq!(status["blocked"]["candidates"][0]["candidate"], "c1");
    assert_eq!(status["blocked"]["candidates"][0]["gates"][0]["gate"], "approvals");
    let human = ok(&rig.run(&["status"]));
    for part in ["1 draft: 1 plan", "changeset spring, open", "c1 failed", "approvals", "candidate show c1"] {
        assert!(human.contains(part), "{part}: {human}");
    }
    assert!(!human.contains('\u{1b}'), "{human}");
    assert!(!ok(&rig.run(&["status", "-q"])).contains("Next:"));
    assert!(ok(&rig.run(&["status", "--color", "always"])).contains("\u{1b}[1mPending"));
    ok(&rig.run(&["candidate", "approve", "c1", "--right", "pricing", "--as", "petra"]));
    assert_eq!(rig.json(0, &["status", "--format", "json"])["ready"][0]["candidate"], "c1");
    ok(&rig.run(&["release", "promote", "c1", "--as", "ines"]));
    let status = rig.json(0, &["status", "--format", "json"]);
    assert_eq!(status["pending"]["drafts"], 0);
    assert_eq!(status["pending"]["definitions"], false);
    assert_eq!(status["live"][0]["release"], "r1");
    assert_eq!(status["live"][0]["moved_by"], "ines");
    let human = ok(&rig.run(&["status"]));
    assert!(human.contains("production  r1, ") && human.contains(" by ines"), "{human}");
    // A planned changeset that a gate would refuse is named with both.
    rig.put("pro", &plan("pro", 1900), "ines");
    ok(&rig.run(&["changeset", "add", "spring", "plan", "pro", "--locale", "en"]));
    ok(&rig.run(&["changeset", "schedule", "spring", "--publish-at", "2099-03-01T09:00:00Z"]));
    let human = ok(&rig.run(&["status"]));
    let refused = "publishing would be refused: approvals";
    for part in ["spring, scheduled, goes live in", "(2099-03-01 09:00Z)", refused] {
        assert!(human.contains(part), "{part}: {human}");
    }
}

#[test]
fn entry_put_tells_people_what_was_written() {
    let rig = Rig::new();
    rig.push();
    rig.write("put.json", &plan("basic", 900).to_string());
    let put = ["entry", "put", "plan", "basic", "--locale", "en", "--file", "put.json"];
    let human = ok(&rig.run(&[&put[..], &["--format", "human"]].concat()));
    assert!(human.contains("Wrote plan/basic (en), version 1. It differs from what is live."), "{human}");
    assert!(human.contains("ashlar entry get plan basic --locale en"), "{human}");
    assert_eq!(rig.json(0, &put)["version"], 1, "programs still read JSON");
    let list = ok(&rig.run(&["entry", "list"]));
    assert!(list.contains("just now") || list.contains("seconds ago"), "{list}");
    assert!(
        rig.json(0, &["entry", "list", "--format", "json"])["items"][0]["updated_at"]
            .as_str()
            .unwrap()
            .contains('T')
    );
}

#[test]
fn a_directory_remembers_its_target() {
    let rig = Rig::new();
    rig.push();
    std::fs::create_dir_all(rig.path().join("site/deep/er")).unwrap();
    let none = plain(&rig, "site", &["status"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("ashlar use"), "{}", text(&none.stderr));
    ok(&plain(&rig, "site", &["use", "--data", "../data"]));
    let out = plain(&rig, "site/deep/er", &["status", "--format", "json"]);
    assert!(ok(&out).starts_with('{'));
    assert!(
        text(&out.stderr).contains("Target: ") && text(&out.stderr).contains("target.toml"),
        "{}",
        text(&out.stderr)
    );
    assert_eq!(text(&plain(&rig, "site", &["channel", "list", "-q"]).stderr), "");
    // An option beats it.
    let other = plain(&rig, "site", &["status", "--data", "none"]);
    assert!(text(&other.stderr).contains("no installation in `none`"), "{}", text(&other.stderr));
    // Secrets are not stored.
    let secret = plain(&rig, "site", &["use", "--data", "postgres://ann:hunter2@db/cms", "--objects", "o"]);
    assert_eq!(secret.status.code(), Some(2));
    assert!(!text(&secret.stderr).contains("hunter2"), "{}", text(&secret.stderr));
    ok(&plain(&rig, "site", &["use", "--clear"]));
    assert_eq!(plain(&rig, "site", &["status"]).status.code(), Some(2));
}

#[test]
fn a_server_that_came_with_a_copied_directory_is_not_used() {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.path().join("site/.ashlar")).unwrap();
    rig.write("site/.ashlar/target.toml", "server = \"http://127.0.0.1:9\"\n");
    let out = plain(&rig, "site", &["status", "--key", "ak_x"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("target-not-accepted"), "{}", text(&out.stderr));
    ok(&plain(&rig, "site", &["use", "--server", "http://127.0.0.1:9"]));
    let out = plain(&rig, "site", &["status", "--key", "ak_x"]);
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
}

/// Edits with `editor`, a line of shell in which `$1` is the file.
fn edit(rig: &Rig, editor: &str, args: &[&str]) -> Output {
    let script = rig.path().join("editor.sh");
    std::fs::write(&script, format!("{editor}\n")).unwrap();
    let home = rig.path().join("tmp");
    std::fs::create_dir_all(&home).unwrap();
    Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(["entry", "edit"])
        .args(args)
        .current_dir(rig.path())
        .env("ASHLAR_DATA", &rig.data)
        .env_remove("ASHLAR_SERVER")
        .env_remove("VISUAL")
        .env("EDITOR", "sh ./editor.sh")
        .env("TMPDIR", &home)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_draft_is_edited_in_the_editor() {
    let rig = Rig::new();
    rig.push();
    rig.put("basic", &plan("basic", 900), "ines");
    let out = edit(&rig, "sed -i 's/900/1200/' \"$1\"", &["plan/basic"]);
    assert!(ok(&out).contains("Wrote plan/basic (en), version 2."), "{}", text(&out.stdout));
    assert_eq!(rig.json(0, &["entry", "get", "plan", "basic"])["price"], 1200);
    // Closing the editor without a change writes nothing.
    let out = edit(&rig, "true", &["plan", "basic"]);
    assert!(ok(&out).contains("Nothing was written"), "{}", text(&out.stdout));
    // What the contract refuses, what is not JSON, and a failed editor write nothing; the text is kept.
    for (editor, exit, part) in [
        ("sed -i 's/1200/\"much\"/' \"$1\"", 1, "price"),
        ("echo '{' > \"$1\"", 2, "json"),
        ("exit 3", 3, "editor"),
        // Somebody else writes a version meanwhile.
        (
            "ashlar() { \"$ASHLAR_TEST_BIN\" \"$@\"; }; sed -i 's/1200/1300/' \"$1\"; ashlar entry put plan basic --file put.json",
            1,
            "version",
        ),
    ] {
        let editor = editor.replace("$ASHLAR_TEST_BIN", env!("CARGO_BIN_EXE_ashlar"));
        let out = edit(&rig, &editor, &["plan/basic"]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(exit), "{editor}: {said}");
        assert!(said.contains(part), "{editor}: {said}");
        assert_eq!(exit != 3, said.contains("ashlar-edit-"), "{editor}: {said}");
    }
    assert_eq!(rig.json(0, &["entry", "get", "plan", "basic"])["price"], 900, "the other writer won");
}

#[test]
fn pulled_drafts_push_without_a_change() {
    let rig = Rig::demo();
    ok(&rig.run(&["push", "site", "--content"]));
    // A project that says the same already stays as it is.
    let same = rig.json(0, &["pull", "site", "--format", "json"]);
    assert_eq!(same["written"], json!([]));
    assert_eq!(same["left"], json!([]));
    assert!(same["unchanged"].as_u64().unwrap() > 50, "{same}");
    // An empty directory gets definitions and content.
    let fresh = rig.json(0, &["pull", "copy", "--format", "json"]);
    assert!(fresh["definitions"].as_u64().unwrap() > 10, "{fresh}");
    let before = rig.json(0, &["status", "--format", "json"])["pending"].clone();
    let pushed = rig.json(0, &["push", "copy", "--content", "--format", "json"]);
    assert_eq!(pushed["changed"], false, "{pushed}");
    assert_eq!(pushed["content"]["written"], 0, "{pushed}");
    assert_eq!(rig.json(0, &["status", "--format", "json"])["pending"], before);
    // What was edited since is written into the file that has it; deleted entries are named, and their files deleted on request.
    rig.set("doc-article", "offline", "en", &json!({"body": "Short.\n\n- one: two\n- three"}));
    rig.set("pricing-plan", "port", "en", &json!({"tagline": "yes: \"all\" #1"}));
    ok(&rig.run(&["entry", "rm", "faq-item", "berth-count", "--locale", "de"]));
    let human = ok(&rig.run(&["pull", "site"]));
    assert!(human.contains("content/doc-article/offline.en.md"), "{human}");
    assert!(human.contains("content/faq-item/berth-count.de.json"), "{human}");
    assert!(
        rig.read("site/content/doc-article/offline.en.md")
            .ends_with("---\n\nShort.\n\n- one: two\n- three\n")
    );
    let gone = rig.json(0, &["pull", "site", "--delete", "--format", "json"]);
    assert_eq!(gone["removed"], json!(["content/faq-item/berth-count.de.json"]));
    let pushed = rig.json(0, &["push", "site", "--content", "--format", "json"]);
    assert_eq!(pushed["content"]["written"], 0, "{pushed}");
}

#[test]
fn a_backup_is_restored_and_verified() {
    let rig = Rig::new();
    rig.push();
    rig.put("basic", &plan("basic", 900), "ines");
    let made = rig.candidate();
    ok(&rig.run(&[
        "candidate",
        "approve",
        made["candidate"].as_str().unwrap(),
        "--right",
        "pricing",
        "--as",
        "petra",
    ]));
    ok(&rig.run(&["release", "promote", "c1"]));
    rig.put("basic", &plan("basic", 950), "ines");
    for to in ["b.tar", "b"] {
        let made = rig.json(0, &["backup", to, "--format", "json"]);
        assert!(made["files"].as_u64().unwrap() >= 3, "{made}");
        let again = rig.json(1, &["backup", to, "--format", "json"]);
        assert_eq!(again["error"]["code"], "not-empty");
        let data = format!("restored-{}", to.len());
        let back = rig.json(0, &["restore", to, "--data", &data, "--format", "json"]);
        assert_eq!(back["verified"]["releases"], 1, "{back}");
        assert_eq!(rig.json(0, &["entry", "get", "plan", "basic", "--data", &data])["price"], 950);
        let status = rig.json(0, &["status", "--data", &data, "--format", "json"]);
        assert_eq!(status["live"][0]["release"], "r1");
        ok(&rig.run(&["release", "verify", "r1", "--data", &data]));
        // Nothing is written over.
        assert_eq!(
            rig.json(1, &["restore", to, "--data", &data, "--format", "json"])["error"]["code"],
            "not-empty"
        );
    }
    // One wrong byte anywhere is noticed, and nothing is left behind.
    for path in ["b/state.db", "b.tar"] {
        let file = rig.path().join(path);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let from = if path == "b.tar" { "b.tar" } else { "b" };
        let out = rig.run(&["restore", from, "--data", "bad"]);
        assert_ne!(out.status.code(), Some(0), "{path}");
        assert!(!rig.path().join("bad").exists(), "{path}");
    }
    let left: Vec<_> = std::fs::read_dir(rig.path()).unwrap().filter_map(Result::ok).collect();
    assert!(!left.iter().any(|e| e.file_name().to_string_lossy().starts_with(".ashlar-restore")));
    let postgres = rig.run(&["backup", "x.tar", "--data", "postgres://db/cms", "--objects", "objects"]);
    assert_eq!(postgres.status.code(), Some(2));
    assert!(text(&postgres.stderr).contains("pg_dump"), "{}", text(&postgres.stderr));
}

#[test]
fn a_backup_is_consistent_while_others_write() {
    let rig = Rig::new();
    ok(&rig.run(&["push", "site", "--content"]));
    let page = rig.json(0, &["entry", "get", "page", "home"]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..=6 {
                let mut page = page.clone();
                page["title"] = json!(format!("Title {number}"));
                rig.write("page.json", &page.to_string());
                rig.json(0, &["entry", "put", "page", "home", "--file", "page.json"]);
                rig.release();
            }
        });
        let mut number = 0;
        while !writer.is_finished() {
            number += 1;
            ok(&rig.run(&["backup", &format!("b{number}.tar")]));
        }
        assert!(number > 1);
        for number in 1..=number.min(4) {
            let (from, to) = (format!("b{number}.tar"), format!("r{number}"));
            rig.json(0, &["restore", &from, "--data", &to, "--format", "json"]);
            assert_eq!(rig.json(0, &["doctor", "--data", &to, "--format", "json"])["status"], "ok");
        }
    });
}

#[test]
fn doctor_says_what_is_wrong_and_how_to_fix_it() {
    let rig = Rig::new();
    let none = rig.json(1, &["doctor", "--format", "json"]);
    assert_eq!(none["status"], "error");
    assert!(none["checks"][0]["fix"].as_str().unwrap().contains("ashlar push"), "{none}");
    rig.push();
    rig.put("basic", &plan("basic", 900), "ines");
    rig.candidate();
    ok(&rig.run(&["candidate", "approve", "c1", "--right", "pricing", "--as", "petra"]));
    ok(&rig.run(&["release", "promote", "c1"]));
    let good = rig.json(0, &["doctor", "--project", "site", "--format", "json"]);
    let names: Vec<&str> =
        good["checks"].as_array().unwrap().iter().filter_map(|c| c["check"].as_str()).collect();
    for check in [
        "data-directory",
        "disk",
        "open-files",
        "database",
        "objects",
        "audit",
        "pointers",
        "clock",
        "project",
    ] {
        assert!(names.contains(&check), "{check}: {names:?}");
    }
    std::fs::remove_file(rig.path().join("data/objects/t/main/channels/production.json")).unwrap();
    let out = rig.run(&["doctor"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stdout);
    assert!(said.contains("ERROR") && said.contains("production has no pointer"), "{said}");
    assert!(said.contains("1 error,"), "{said}");
}

#[test]
fn dev_checks_on_save_and_previews() {
    use std::io::{BufRead, BufReader};
    let rig = Rig::demo();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ashlar"))
        .args(["dev", "site", "--format", "json"])
        .current_dir(rig.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _child = common::Served(child);
    let mut next = || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["status"], "pass");
    let ready = next();
    let (url, preview) =
        (ready["url"].as_str().unwrap().to_owned(), ready["preview"].as_str().unwrap().to_owned());
    let path = preview.strip_prefix(&url).unwrap();
    let page = format!("{path}en/docs/offline");
    assert!(common::fetch(&url, &page, &[]).text().contains("Work offline"));
    rig.edit("site/content/doc-article/offline.en.md", "Work offline", "Work at sea");
    let saved = next();
    assert_eq!(saved["changed"], json!(["content/doc-article/offline.en.md"]));
    assert_eq!((&saved["status"], &saved["previewed"]), (&json!("pass"), &json!(true)), "{saved}");
    common::eventually("the change in the preview", || {
        common::fetch(&url, &page, &[]).text().contains("Work at sea").then_some(())
    });
    // What cannot be read is reported, and the preview keeps what was accepted last.
    rig.place("site/content/page/home.en.json", "{\"slug\":");
    let broken = next();
    assert_eq!((&broken["status"], &broken["previewed"]), (&json!("fail"), &json!(false)), "{broken}");
    assert!(common::fetch(&url, &page, &[]).text().contains("Work at sea"));
}

#[test]
fn the_same_works_with_a_server() {
    let demo = Demo::new();
    let at = ["--server", demo.url.as_str(), "--key", demo.admin.as_str()];
    let with = |args: &[&'static str]| -> Vec<&str> { args.iter().copied().chain(at).collect() };
    let rig = &demo.rig;
    let status = rig.json(0, &with(&["status", "--format", "json"]));
    assert_eq!(status["live"][0]["channel"], "production", "{status}");
    let local = rig.json(0, &["status", "--format", "json"]);
    // The server may add a search index to the release in between, which is another sequence of the same release.
    let without_sequence = |mut status: Value| {
        for channel in status["live"].as_array_mut().unwrap() {
            channel.as_object_mut().unwrap().remove("sequence").unwrap();
        }
        status
    };
    assert_eq!(without_sequence(status), without_sequence(local));
    let out = edit(rig, "sed -i 's/39900/42900/' \"$1\"", &with(&["pricing-plan/port"]));
    assert!(ok(&out).contains("Wrote pricing-plan/port (en)"), "{}", text(&out.stdout));
    let pulled = rig.json(0, &with(&["pull", "copy", "--format", "json"]));
    assert!(pulled["written"].as_array().unwrap().len() > 50, "{pulled}");
    let pushed = rig.json(0, &with(&["push", "copy", "--content", "--format", "json"]));
    assert_eq!((&pushed["changed"], &pushed["content"]["written"]), (&json!(false), &json!(0)), "{pushed}");
    let doctor = rig.json(0, &with(&["doctor", "--format", "json"]));
    assert_eq!(doctor["status"], "ok", "{doctor}");
    let refused = rig.run(&with(&["backup", "b.tar"]));
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    // A backup of data that a server uses meanwhile.
    assert!(rig.json(0, &["backup", "b.tar", "--format", "json"])["files"].as_u64().unwrap() > 3);
    let back = rig.json(0, &["restore", "b.tar", "--data", "back", "--format", "json"]);
    assert_eq!(back["verified"]["releases"], 3, "{back}");
}
