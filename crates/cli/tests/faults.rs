//! What a server does when the disk fills up, descriptors run out, stored bytes rot, or a part is restored from a backup.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use common::{Rig, Served, eventually, fetch, http, start};
use serde_json::{Value, json};

const ENTRY: &str = "/v1/entries/plan/pro";

fn plan(price: u64) -> Value {
    json!({"slug": "pro", "name": "Pro", "price": price})
}

/// A project whose prices need no approval.
fn project() -> Rig {
    let rig = Rig::new();
    rig.edit(
        "site/contracts/plan.v1.json",
        ",\"x-ashlar\":{\"sensitivity\":\"pricing\",\"semantics\":\"cents\"}",
        "",
    );
    rig
}

/// An installation with one release.
fn released() -> Rig {
    let rig = project();
    rig.push();
    rig.put("pro", &plan(1), "ed");
    rig.release();
    rig
}

/// Changes the price, and releases it.
fn reprice(rig: &Rig, price: u64) -> String {
    rig.put("pro", &plan(price), "ed");
    rig.release()
}

fn serve(rig: &Rig) -> (Served, String) {
    let (served, ready) = start(rig, &["serve", "--data", "data"]);
    (served, ready["url"].as_str().unwrap_or_else(|| panic!("{ready}")).to_owned())
}

fn price(url: &str) -> Option<u64> {
    let answer = fetch(url, ENTRY, &[]);
    (answer.status == 200).then(|| answer.json()["price"].as_u64().unwrap())
}

fn served_price(url: &str, wanted: u64) {
    eventually(&format!("the price {wanted}"), || price(url).filter(|p| *p == wanted));
}

fn admin(rig: &Rig) -> String {
    let keys: Value = serde_json::from_str(&rig.read("data/keys.json")).unwrap();
    keys["admin"].as_str().unwrap().to_owned()
}

fn packs(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path());
    files.filter(|f| f.extension().is_some_and(|e| e == "pack")).collect()
}

/// Changes a byte of a text in every pack that has it.
fn rot(dir: &Path, text: &str) {
    let mut found = false;
    for path in packs(dir) {
        let mut bytes = std::fs::read(&path).unwrap();
        while let Some(at) = bytes.windows(text.len()).position(|w| w == text.as_bytes()) {
            bytes[at] ^= 1;
            found = true;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(found, "no pack has {text}");
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let _ = std::fs::remove_file(to);
    let out = Command::new("cp").arg("-a").arg(from).arg(to).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn few_descriptors_are_enough_for_many_releases() {
    let rig = released();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ashlar")])
        .args(["serve", "--data", "data", "--listen", "127.0.0.1:0", "--format", "json"])
        .current_dir(rig.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let _served = Served(child);
    let (url, key) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    let api = |method: &str, path: &str, body: &Value| {
        let (status, _, said) = http(url, method, path, key, &body.to_string());
        assert!(matches!(status, 200 | 201), "{path}: {said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    for n in 2..20_u64 {
        let id = format!("p{n}");
        let fields = json!({"slug": id, "name": "Plan", "price": n});
        api("PUT", &format!("/api/v1/entries/plan/{id}"), &json!({"locale": "en", "fields": fields}));
        let made = api("POST", "/api/v1/candidates", &json!({}));
        let name = made["candidate"].as_str().unwrap();
        api("POST", &format!("/api/v1/candidates/{name}/promote"), &json!({}));
        assert_eq!(fetch(url, &format!("/v1/entries/plan/{id}"), &[]).json()["price"], n);
    }
    // Entries of every pack are still read.
    for n in 2..20 {
        assert_eq!(fetch(url, &format!("/v1/entries/plan/p{n}"), &[]).status, 200);
    }
}

#[test]
fn a_full_disk_that_is_freed_takes_writes_again() {
    let rig = project();
    let data = rig.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let disk = |args: &[&str]| {
        Command::new("mount").args(args).arg(&data).output().is_ok_and(|o| o.status.success())
    };
    if !disk(&["-t", "tmpfs", "-o", "size=6m", "tmpfs"]) {
        println!("NOT RUN: a tmpfs cannot be mounted here, so no disk can be filled");
        return;
    }
    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0).status();
        }
    }
    let _mounted = Mounted(&data);
    rig.push();
    rig.put("pro", &plan(1), "ed");
    rig.release();
    let (_served, url) = serve(&rig);
    let key = admin(&rig);
    let put = |id: &str, name: &str| {
        let body = json!({"locale": "en", "fields": {"slug": id, "name": name, "price": 1}});
        http(&url, "PUT", &format!("/api/v1/entries/plan/{id}"), &key, &body.to_string())
    };
    let ready = || {
        let answer = fetch(&url, "/readyz", &[]);
        (answer.status, answer.text())
    };
    assert_eq!(ready().0, 200);
    let (stop, failed, written) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|threads| {
        for worker in 0..4 {
            let (stop, failed, written, put) = (&stop, &failed, &written, &put);
            threads.spawn(move || {
                let large = "x".repeat(20_000);
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    match put(&format!("w{worker}-{}", n % 20), &large) {
                        (200 | 201, ..) => written.fetch_add(1, Ordering::Relaxed),
                        (_, _, said) => {
                            assert!(!said.contains("/data") && !said.contains("state.db"), "{said}");
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
        let filler = data.join("filler");
        for _ in 0..2 {
            let before = failed.load(Ordering::Relaxed);
            // The server and this file fight for the last pages.
            eventually("writes that fail on the full disk", || {
                let mut file = std::fs::File::options().create(true).append(true).open(&filler).unwrap();
                while file.write_all(&[1; 4096]).is_ok() {}
                (failed.load(Ordering::Relaxed) > before + 8).then_some(())
            });
            let (status, said) = eventually("not ready", || Some(ready()).filter(|r| r.0 == 503));
            assert!(said.contains("full") && !said.contains("/data"), "{status} {said}");
            assert_eq!(fetch(&url, "/healthz", &[]).status, 200);
            assert_eq!(price(&url), Some(1), "reads go on");
            std::fs::remove_file(&filler).unwrap();
            let before = written.load(Ordering::Relaxed);
            eventually("writes after the disk was freed", || {
                (written.load(Ordering::Relaxed) > before + 8).then_some(())
            });
            eventually("ready again", || (ready().0 == 200).then_some(()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Every connection of the pool writes again, not only a lucky one.
    for n in 0..30 {
        let (status, _, said) = put(&format!("after{n}"), "After");
        assert!(matches!(status, 200 | 201), "{said}");
    }
    assert!(rig.run(&["audit", "verify"]).status.success());
}

#[test]
fn connections_that_postgresql_ended_are_replaced() {
    let Ok(address) = std::env::var("ASHLAR_TEST_POSTGRES") else {
        assert!(
            std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
            "ASHLAR_TEST_POSTGRES is not set, and everything is required"
        );
        println!("not run on PostgreSQL: ASHLAR_TEST_POSTGRES is not set");
        return;
    };
    let name = format!("faults_{}", std::process::id());
    let sql = |text: &str| {
        let out = Command::new("psql").args([&address, "-c", text]).output().unwrap();
        assert!(out.status.success(), "{out:?}");
    };
    sql(&format!("CREATE DATABASE {name}"));
    let mut rig = project();
    rig.data = format!("{}/{name}", address.rsplit_once('/').unwrap().0);
    rig.push();
    let key = rig.json(0, &["key", "create", "--name", "k", "--scope", "write", "--format", "json"]);
    let key = key["key"].as_str().unwrap().to_owned();
    let objects = rig.path().join("objects").display().to_string();
    let (_served, ready) = start(&rig, &["serve", "--data", &rig.data, "--objects", &objects]);
    let url = ready["url"].as_str().unwrap_or_else(|| panic!("{ready}"));
    let put = |id: &str| {
        let body = json!({"locale": "en", "fields": {"slug": id, "name": "N", "price": 1}});
        http(url, "PUT", &format!("/api/v1/entries/plan/{id}"), &key, &body.to_string())
    };
    assert_eq!(put("first").0, 201);
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for worker in 0..4 {
            let (stop, put) = (&stop, &put);
            threads.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    put(&format!("w{worker}-{n}"));
                }
            });
        }
        // As a restart does, or a limit on idle transactions.
        for _ in 0..5 {
            sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    for n in 0..30 {
        let (status, _, said) = put(&format!("after{n}"));
        assert!(matches!(status, 200 | 201), "{said}");
    }
    eventually("ready", || (fetch(url, "/readyz", &[]).status == 200).then_some(()));
}

#[test]
fn a_damaged_entry_is_refused_until_a_bundle_restores_it() {
    let rig = released();
    assert!(rig.run(&["release", "export", "r1", "--out", "r1.ashlar"]).status.success());
    rot(&rig.path().join("data/objects/t/main/packs"), "\"name\":\"Pro\"");
    let (_served, url) = serve(&rig);
    let answer = fetch(&url, ENTRY, &[]);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["type"], "urn:ashlar:problem:unreadable");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("etag").is_none());
    let metrics = fetch(&url, "/metrics", &[]).text();
    assert!(metrics.contains("ashlar_objects_damaged 1"), "{metrics}");
    // A candidate that does not touch the entry is not judged as if all were well; another process knows it too.
    rig.put("other", &json!({"slug": "other", "name": "Other", "price": 2}), "ed");
    let made = rig.run(&["candidate", "create", "--format", "json"]);
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(said.contains("could not run") && said.contains("is damaged"), "{said}");
    assert!(!rig.run(&["release", "promote", "c2"]).status.success());
    // A bundle that is whole repairs it, for the running server too.
    let key = admin(&rig);
    let import = |body: &[u8]| {
        use std::io::Read;
        let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        let head = format!(
            "POST /api/v1/releases/import HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer[9..12].parse::<u16>().unwrap(), answer)
    };
    let bundle = std::fs::read(rig.path().join("r1.ashlar")).unwrap();
    let before = packs(&rig.path().join("data/objects/t/main/packs")).len();
    let mut tampered = bundle.clone();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    for bad in [&b""[..], b"no bundle", &bundle[..bundle.len() - 1], &tampered] {
        let (status, answer) = import(bad);
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains("invalid-bundle"), "{answer}");
    }
    assert_eq!(packs(&rig.path().join("data/objects/t/main/packs")).len(), before);
    assert_eq!(std::fs::read_dir(rig.path().join("data/objects/t/main/incoming")).unwrap().count(), 0);
    assert_eq!(fetch(&url, ENTRY, &[]).status, 503);
    let (status, answer) = import(&bundle);
    assert!(matches!(status, 200 | 201), "{answer}");
    assert_eq!(price(&url), Some(1));
    assert!(fetch(&url, "/metrics", &[]).text().contains("ashlar_objects_damaged 0"));
    assert!(rig.run(&["release", "verify", "r1"]).status.success());
    let made = rig.candidate();
    assert!(!made.to_string().contains("could not run"), "{made}");
}

/// The most memory that a process had, in KiB.
fn peak_kib(served: &Served) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", served.0.id())).unwrap();
    let line = text.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn large_imports_need_little_memory_and_leave_nothing_when_they_fail() {
    use std::io::Read;
    const OBJECT: usize = 128 << 20;
    let rig = released();
    let (served, url) = serve(&rig);
    let key = admin(&rig);
    let before = peak_kib(&served);
    // A manifest and one large object, cut short.
    let import = || {
        let manifest = b"{}";
        let mut head = b"ASHBNDL1".to_vec();
        head.extend(blake3_of(manifest));
        head.extend(2_u32.to_le_bytes());
        head.extend(manifest);
        head.extend((OBJECT as u32).to_le_bytes());
        let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        let request = format!(
            "POST /api/v1/releases/import HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            head.len() + OBJECT
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(&head).unwrap();
        let piece = vec![7_u8; 1 << 20];
        for _ in 0..OBJECT >> 20 {
            stream.write_all(&piece).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("cut short"), "{answer}");
    };
    std::thread::scope(|threads| {
        threads.spawn(import);
        threads.spawn(import);
    });
    let grown = (peak_kib(&served) - before) >> 10;
    assert!(grown < 100, "two imports of 128 MiB took {grown} MiB of memory");
    assert_eq!(std::fs::read_dir(rig.path().join("data/objects/t/main/incoming")).unwrap().count(), 0);
    let stored: u64 = packs(&rig.path().join("data/objects/t/main/packs"))
        .iter()
        .map(|p| p.metadata().unwrap().len())
        .sum();
    assert!(stored < 1 << 20, "{stored} bytes stayed");
}

fn blake3_of(bytes: &[u8]) -> Vec<u8> {
    ashlar_model::Digest::of(bytes).as_bytes().to_vec()
}

#[test]
fn an_edge_fetches_a_damaged_pack_again() {
    let rig = released();
    let args = ["serve", "--role", "edge", "--objects", "file://data/objects", "--cache", "cache"];
    let objects = format!("file://{}", rig.path().join("data/objects").display());
    let args = args.map(|a| if a.starts_with("file:") { objects.as_str() } else { a });
    let (edge, ready) = start(&rig, &args);
    served_price(ready["url"].as_str().unwrap(), 1);
    drop(edge);
    rot(&rig.path().join("cache/t/main/packs"), "\"name\":\"Pro\"");
    let (_edge, ready) = start(&rig, &args);
    let url = ready["url"].as_str().unwrap();
    assert_eq!(fetch(url, ENTRY, &[]).status, 503);
    served_price(url, 1);
    assert!(fetch(url, "/metrics", &[]).text().contains("ashlar_objects_healed_total 1"));
}

#[test]
fn a_damaged_tenant_does_not_stop_the_others() {
    let rig = released();
    let (served, url) = serve(&rig);
    let key = admin(&rig);
    let body = json!({"tenant": "acme", "hosts": ["acme.test"], "admin": "root"}).to_string();
    let (status, _, said) = http(&url, "POST", "/api/v1/tenants", &key, &body);
    assert!(matches!(status, 200 | 201), "{said}");
    let theirs: Value = serde_json::from_str(&said).unwrap();
    let theirs = theirs["key"]["key"].as_str().unwrap().to_owned();
    let api = |method: &str, path: &str, body: &str| {
        let (status, _, said) = http(&url, method, path, &theirs, body);
        assert!(matches!(status, 200 | 201), "{path}: {said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    let file = |path: &str| rig.read(&format!("site/{path}"));
    let files = json!({"files": {"ashlar.toml": file("ashlar.toml"), "contracts/plan.v1.json": file("contracts/plan.v1.json")}});
    api("POST", "/api/v1/definitions", &files.to_string());
    api("PUT", "/api/v1/entries/plan/pro", &json!({"locale": "en", "fields": plan(7)}).to_string());
    let made = api("POST", "/api/v1/candidates", "{}");
    api("POST", &format!("/api/v1/candidates/{}/promote", made["candidate"].as_str().unwrap()), "{}");
    assert_eq!(fetch(&url, ENTRY, &[("authorization", &format!("Bearer {theirs}"))]).status, 200);
    drop(served);

    // First their definitions, then those of the main tenant as well.
    for (tenant, mine, others) in [("acme", 503, 200), ("main", 503, 503)] {
        rot(&rig.path().join(format!("data/objects/t/{tenant}/packs")), "\"version\":\"1.0.0\"");
        let (_served, url) = serve(&rig);
        let bearer = format!("Bearer {theirs}");
        let answer = fetch(&url, ENTRY, &[("authorization", &bearer)]);
        assert_eq!(answer.status, mine, "{}", answer.text());
        assert!(!answer.text().contains(rig.path().to_str().unwrap()), "{}", answer.text());
        assert_eq!(fetch(&url, ENTRY, &[]).status, others);
        assert_eq!(fetch(&url, "/healthz", &[]).status, 200);
        let ready = fetch(&url, "/readyz", &[]);
        assert_eq!(ready.status, others);
        assert!(!ready.text().contains("acme"), "anybody may ask: {}", ready.text());
        assert_eq!(ready.json()["tenants_unavailable"], if tenant == "acme" { 1 } else { 2 });
        let named = fetch(&url, "/readyz", &[("authorization", &bearer)]).text();
        assert!(named.contains("acme: production: r1") && !named.contains("main:"), "{named}");
        let named = fetch(&url, "/readyz", &[("authorization", &format!("Bearer {key}"))]).text();
        assert!(named.contains("acme: production: r1"), "{named}");
    }
}

#[test]
fn each_part_restored_alone_is_noticed_and_the_database_wins() {
    let rig = released();
    let at = |name: &str| rig.path().join(name);
    drop(serve(&rig));
    reprice(&rig, 2);
    copy(&at("data"), &at("older"));
    reprice(&rig, 3);
    reprice(&rig, 4);
    copy(&at("data"), &at("newer"));
    let pointer = "objects/t/main/channels/production.json";
    let sequence = |dir: &str| {
        let state: Value = serde_json::from_str(&rig.read(&format!("{dir}/{pointer}"))).unwrap();
        state["sequence"].as_u64().unwrap()
    };
    let put_back = |names: &[&str]| {
        copy(&at("newer"), &at("data"));
        for name in names {
            // The write-ahead log belongs to its database.
            let files = if *name == "state.db" { &["", "-wal", "-shm"][..] } else { &[""] };
            for suffix in files {
                let name = format!("{name}{suffix}");
                let _ = std::fs::remove_file(at("data").join(&name));
                if at("older").join(&name).exists() {
                    copy(&at("older").join(&name), &at("data").join(&name));
                }
            }
        }
    };
    let follow = |objects: &Path| {
        let (edge, ready) = start(&rig, &["serve", "--role", "edge", "--objects", objects.to_str().unwrap()]);
        (edge, ready["url"].as_str().unwrap().to_owned())
    };

    // An older database beside newer objects: it wins, and what is promoted and rolled back is served, on edges too.
    put_back(&[]);
    let (edge, edge_url) = follow(&at("data/objects"));
    served_price(&edge_url, 4);
    put_back(&["state.db"]);
    let (served, url) = serve(&rig);
    served_price(&url, 2);
    served_price(&edge_url, 2);
    assert_eq!(sequence("data"), sequence("newer") + 1);
    reprice(&rig, 5);
    served_price(&url, 5);
    served_price(&edge_url, 5);
    let (status, _, said) = http(&url, "POST", "/api/v1/releases/r1/rollback", &admin(&rig), "{}");
    assert_eq!(status, 200, "{said}");
    served_price(&url, 1);
    served_price(&edge_url, 1);
    assert!(fetch(&url, "/metrics", &[]).text().contains("ashlar_pointer_fences_total 1"));
    let (_, _, audit) = http(&url, "GET", "/api/v1/audit", &admin(&rig), "");
    assert!(audit.contains("channel.fence"), "{audit}");
    assert!(rig.run(&["audit", "verify"]).status.success());
    drop(served);

    // The same without a server: the command that moves the channel sees it.
    put_back(&["state.db"]);
    // An edge goes back to what is older only by a start.
    drop(edge);
    let (_edge, edge_url) = follow(&at("data/objects"));
    served_price(&edge_url, 4);
    rig.json(0, &["release", "rollback", "r1", "--format", "json"]);
    served_price(&edge_url, 1);
    assert!(sequence("data") > sequence("newer"));

    // A pointer that is ahead of the database by a mistake.
    put_back(&[]);
    let text = rig.read(&format!("data/{pointer}"));
    let ahead = text.replace(&format!("\"sequence\":{}", sequence("newer")), "\"sequence\":900");
    rig.write(&format!("data/{pointer}"), &ahead);
    let (served, url) = serve(&rig);
    served_price(&url, 4);
    assert_eq!(sequence("data"), 901);
    reprice(&rig, 6);
    served_price(&url, 6);
    drop(served);

    // Older pointers, older keys for readers, older local keys, or none: written again.
    for parts in [
        &[pointer][..],
        &["objects/t/main/keys.json"],
        &["keys.json"],
        &[pointer, "objects/t/main/keys.json"],
    ] {
        put_back(parts);
        let (_served, url) = serve(&rig);
        served_price(&url, 4);
        let bearer = format!("Bearer {}", admin(&rig));
        assert_eq!(fetch(&url, ENTRY, &[("authorization", &bearer)]).status, 200, "{parts:?}");
    }
    copy(&at("newer"), &at("data"));
    std::fs::remove_dir_all(at("data/objects/t/main/channels")).unwrap();
    std::fs::remove_file(at("data/keys.json")).unwrap();
    let (served, url) = serve(&rig);
    served_price(&url, 4);
    drop(served);

    // Older objects beside a newer database: what they can serve is served, it is reported, and putting them back ends it.
    put_back(&["objects"]);
    let (served, url) = serve(&rig);
    assert_eq!(price(&url), Some(2));
    let ready = fetch(&url, "/readyz", &[("authorization", &format!("Bearer {}", admin(&rig)))]);
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("main: production: the objects of r4 are missing"), "{}", ready.text());
    let back = http(&url, "POST", "/api/v1/releases/r1/rollback", &admin(&rig), "{}");
    assert_eq!(back.0, 200, "{}", back.2);
    served_price(&url, 1);
    reprice(&rig, 7);
    served_price(&url, 7);
    drop(served);
    put_back(&["objects"]);
    let (served, url) = serve(&rig);
    assert_eq!(price(&url), Some(2));
    for pack in packs(&at("newer/objects/t/main/packs")) {
        copy(&pack, &at("data/objects/t/main/packs").join(pack.file_name().unwrap()));
    }
    let (status, _, said) = http(&url, "POST", "/api/v1/schedules/run", &admin(&rig), "{}");
    assert_eq!(status, 200, "{said}");
    served_price(&url, 4);
    drop(served);

    // Everything older is simply the older state.
    put_back(&["objects", "state.db", "keys.json"]);
    let (_served, url) = serve(&rig);
    assert_eq!(price(&url), Some(2));
    reprice(&rig, 8);
    served_price(&url, 8);
}
