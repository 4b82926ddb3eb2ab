//! Several nodes on one PostgreSQL database and one S3 bucket, each with a cache of its own.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use common::{Rig, Served, eventually, fetch};
use serde_json::{Value, json};

struct Cluster {
    rig: Rig,
    /// `--data` and `--objects`.
    at: [String; 4],
    env: Vec<(&'static str, String)>,
    key: String,
}

impl Cluster {
    /// A new database and a new prefix of the bucket; `None` when the servers are absent and not required.
    fn new(name: &str) -> Option<Self> {
        let (Ok(postgres), Ok(s3)) = (std::env::var("ASHLAR_TEST_POSTGRES"), std::env::var("ASHLAR_TEST_S3"))
        else {
            assert!(
                std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
                "ASHLAR_TEST_POSTGRES or ASHLAR_TEST_S3 is not set, and everything is required"
            );
            println!("not run: ASHLAR_TEST_POSTGRES and ASHLAR_TEST_S3 are not both set");
            return None;
        };
        let name = format!("{name}_{}", std::process::id());
        let made = Command::new("psql")
            .args([&postgres, "-c", &format!("CREATE DATABASE {name}")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let (credentials, address) = s3.strip_prefix("http://").unwrap().split_once('@').unwrap();
        let (user, secret) = credentials.split_once(':').unwrap();
        let (host, bucket) = address.split_once('/').unwrap();
        let env = vec![
            ("AWS_ENDPOINT", format!("http://{host}")),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", user.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("ASHLAR_GC_GRACE_SECONDS", "0".to_owned()),
        ];
        let data = format!("{}/{name}", postgres.rsplit_once('/').unwrap().0);
        let at = ["--data".to_owned(), data, "--objects".to_owned(), format!("s3://{bucket}/{name}")];
        let mut cluster = Self { rig: Rig::new(), at, env, key: String::new() };
        let key =
            ["key", "create", "--name", "k", "--scope", "admin", "--cache", "local", "--format", "json"];
        let args: Vec<&str> = key.into_iter().chain(cluster.at.iter().map(String::as_str)).collect();
        let said = cluster.run(&args);
        assert!(said.status.success(), "{said:?}");
        let made: Value = serde_json::from_slice(&said.stdout).unwrap();
        cluster.key = made["key"].as_str().unwrap().to_owned();
        Some(cluster)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
        command.args(args).current_dir(self.rig.path()).envs(self.env.clone()).stdin(Stdio::null());
        command.env_remove("ASHLAR_SERVER").env_remove("ASHLAR_DATA");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a node with an empty cache and returns its address.
    fn node(&self, role: &str, cache: &str) -> (Served, String) {
        let mut args =
            vec!["serve", "--role", role, "--cache", cache, "--listen", "127.0.0.1:0", "--format", "json"];
        args.extend(self.at[if role == "edge" { 2.. } else { 0.. }].iter().map(String::as_str));
        let mut child = self.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (Served(child), ready["url"].as_str().unwrap().to_owned())
    }

    /// Runs a command through a node and returns what it says.
    fn through(&self, url: &str, args: &[&str]) -> Value {
        let at = ["--server", url, "--key", &self.key, "--format", "json"];
        let said = self.run(&[args, &at].concat());
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{args:?}: {out} {}", String::from_utf8_lossy(&said.stderr));
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"))
    }

    fn put(&self, url: &str, id: &str, name: &str) {
        let fields = json!({"slug": id, "name": name, "price": 1});
        self.rig.write(&format!("{id}.json"), &fields.to_string());
        self.through(url, &["entry", "put", "plan", id, "--locale", "en", "--file", &format!("{id}.json")]);
    }

    fn name_at(&self, url: &str, id: &str) -> Option<String> {
        let answer = fetch(
            url,
            &format!("/v1/entries/plan/{id}?locale=en"),
            &[("authorization", &format!("Bearer {}", self.key))],
        );
        (answer.status == 200).then(|| answer.json().to_string())
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

/// A channel's price needs an approval; these contracts need none.
const NOTE: &str = r#"{"type":"object","x-ashlar":{"version":"1.0.0","owner":"commerce","kind":"type","title_field":"name"},
 "properties":{"slug":{"type":"string"},"name":{"type":"string"},"price":{"type":"integer"}},
 "required":["slug","name","price"],"additionalProperties":false}"#;

#[test]
fn what_one_node_stores_every_other_reads_at_once() {
    let Some(cluster) = Cluster::new("nodes") else { return };
    cluster.rig.write("site/contracts/plan.v1.json", NOTE);
    let (_a, a) = cluster.node("author", "cache-a");
    let (_b, b) = cluster.node("author", "cache-b");
    // Definitions through one node, drafts through the other, and every step through another one than before.
    cluster.through(&a, &["push", "site"]);
    cluster.put(&b, "pro", "Pro");
    cluster.put(&a, "free", "Free");
    let made = cluster.through(&b, &["candidate", "create"]);
    let candidate = text(&made, "candidate");
    cluster.through(&a, &["candidate", "gates", &candidate]);
    cluster.through(&b, &["release", "promote", &candidate]);
    let (_edge, edge) = cluster.node("edge", "cache-edge");
    for url in [&a, &b, &edge] {
        let read = eventually("the entry on every node", || cluster.name_at(url, "pro"));
        assert!(read.contains("Pro"), "{read}");
    }
    // A command that opens the data itself has a cache of its own too.
    let own = ["entry", "get", "plan", "pro", "--locale", "en", "--cache", "cache-own", "--format", "json"];
    let own: Vec<&str> = own.into_iter().chain(cluster.at.iter().map(String::as_str)).collect();
    let said = cluster.run(&own);
    assert!(said.status.success(), "{said:?}");
    cluster.through(&b, &["push", "site"]);
    cluster.put(&a, "pro", "Pro again");
    cluster.through(&b, &["candidate", "create"]);
}

#[test]
fn a_collection_on_one_node_takes_nothing_from_what_another_one_freezes() {
    let Some(cluster) = Cluster::new("collected") else { return };
    cluster.rig.write("site/contracts/plan.v1.json", NOTE);
    let (_a, a) = cluster.node("author", "cache-a");
    let (_b, b) = cluster.node("author", "cache-b");
    cluster.through(&a, &["push", "site"]);
    cluster.put(&b, "pro", "Pro");
    // Frozen and given up: nothing names these objects any more, and the other node still has all of them.
    let made = cluster.through(&b, &["candidate", "create"]);
    cluster.through(&b, &["candidate", "discard", &text(&made, "candidate")]);
    let first = cluster.through(&a, &["gc"]);
    assert_eq!(first["objects_removed"], 0, "{first}");
    assert!(first["packs_condemned"].as_u64().unwrap() > 0, "{first}");
    let second = cluster.through(&a, &["gc"]);
    assert!(second["objects_removed"].as_u64().unwrap() > 0, "{second}");
    // The same again: exactly the objects that are gone.
    let made = cluster.through(&b, &["candidate", "create"]);
    cluster.through(&b, &["release", "promote", &text(&made, "candidate")]);
    let (_edge, edge) = cluster.node("edge", "cache-edge");
    let read = eventually("the entry on an edge that knew nothing", || cluster.name_at(&edge, "pro"));
    assert!(read.contains("Pro"), "{read}");
    for _ in 0..2 {
        cluster.through(&b, &["gc"]);
    }
    let verify = ["release", "verify", "r1", "--cache", "cache-verify"];
    let verify: Vec<&str> = verify.into_iter().chain(cluster.at.iter().map(String::as_str)).collect();
    let said = cluster.run(&verify);
    assert!(said.status.success(), "{said:?}");
}
