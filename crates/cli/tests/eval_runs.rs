//! Runs of suites by servers: two nodes share one, one of them is killed, and figures and answers are those of one node alone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;
#[path = "common/standin.rs"]
mod standin;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use common::{Rig, Served, eventually, http};
use serde_json::{Value, json};
use standin::{Asked, JSON, Standin};

/// Cases of the suite.
const CASES: usize = 300;
/// How long the provider takes to answer.
const ANSWER: Duration = Duration::from_millis(60);
/// Cases that a node asks at a time for one tenant.
const PLACES: usize = 12;

const GATEWAY: &str = "[routes.fast]\ntargets = [{ provider = \"a\", model = \"m\" }]\nretries = 0\n\
    [[prices]]\nmodel = \"a/m\"\nfrom = \"2020-01-01\"\ncurrency = \"USD\"\ninput = \"1.00\"\noutput = \"10.00\"\n\
    [features.support]\nroutes = [\"fast\"]\n";

/// Every tenth answer is wrong.
fn answered(asked: &Asked) -> (u16, String, String) {
    std::thread::sleep(ANSWER);
    let question = asked.body["messages"][0]["content"].as_str().unwrap_or_default();
    let number: usize = question.split(' ').next_back().unwrap().trim_end_matches('?').parse().unwrap();
    let said = if number % 10 == 3 { "I do not know.".to_owned() } else { format!("It is answer {number}.") };
    let body = json!({
        "id": "c", "model": "m", "usage": {"prompt_tokens": 10, "completion_tokens": number % 7 + 1},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
    });
    (200, JSON.to_owned(), body.to_string())
}

/// An installation with a suite, whose provider is the stand-in.
struct Site {
    rig: Rig,
    key: String,
    standin: Standin,
}

impl Site {
    fn new(mut rig: Rig, data: Option<String>) -> Self {
        let standin = Standin::new(|asked, _| answered(asked));
        rig.write("site/gateway.toml", GATEWAY);
        rig.write(
            "models.toml",
            &format!("[providers.a]\nkind = \"openai\"\nurl = \"{}/v1\"\nprivate = true\n", standin.url),
        );
        let cases: String = (0..CASES)
            .map(|n| format!("{{\"id\":\"c{n}\",\"input\":\"What is {n}?\",\"expect\":{{\"facts\":[\"answer {n}\"]}}}}\n"))
            .collect();
        rig.place("site/evals/numbers.jsonl", &cases);
        rig.place(
            "site/evals/numbers.toml",
            "owner = 'support'\nfeature = 'support'\nschedule = 'off'\n\n[thresholds]\npass_rate = { min = 0.5 }\n",
        );
        if let Some(data) = data {
            rig.data = data;
        }
        rig.push();
        rig.release();
        let key =
            ["key", "create", "--name", "k", "--scope", "release", "--scope", "preview", "--format", "json"];
        let key = rig.json(0, &key)["key"].as_str().unwrap().to_owned();
        Self { rig, key, standin }
    }

    /// Starts a node on the same data.
    fn node(&self) -> (Served, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
        command
            .args(["serve", "--data", &self.rig.data, "--listen", "127.0.0.1:0", "--format", "json"])
            .current_dir(self.rig.path())
            .env("ASHLAR_MODELS", "models.toml")
            .env_remove("ASHLAR_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if self.rig.data.contains("://") {
            command.env("ASHLAR_OBJECTS", self.rig.path().join("objects"));
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        (Served(child), ready["url"].as_str().unwrap().to_owned())
    }

    fn eval(&self, exit: i32, url: &str, args: &[&str]) -> Value {
        let at = ["--server", url, "--key", &self.key, "--format", "json"];
        self.rig.json(exit, &[&["eval"], args, &at].concat())
    }

    fn show(&self, url: &str, run: &str) -> Value {
        let (status, _, body) = http(url, "GET", &format!("/api/v1/evals/runs/{run}"), &self.key, "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn metrics(&self, url: &str, run: &str) -> Value {
        let path = format!("/api/v1/evals/runs/{run}/metrics.json");
        let (status, _, body) = http(url, "GET", &path, &self.key, "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

/// The figures of a run without its times.
fn timeless(mut metrics: Value) -> Value {
    let all = metrics.as_object_mut().unwrap();
    all.remove("seconds");
    for name in ["latency_p50", "latency_p95"] {
        all["metrics"].as_object_mut().unwrap().remove(name).unwrap();
    }
    for case in all["results"].as_array_mut().unwrap() {
        case["values"].as_object_mut().unwrap().remove("latency_p50").unwrap();
    }
    metrics
}

fn two_nodes_share_a_run_and_one_is_killed(site: &Site) {
    let (mut first, a) = site.node();
    let (second, b) = site.node();
    let started = site.eval(0, &a, &["start", "--suite", "numbers"]);
    let run = started["run"].as_str().unwrap();
    assert_eq!(started["replies"], CASES);
    eventually("a run that is under way", || {
        let done = site.show(&b, run)["done"].as_u64().unwrap() as usize;
        assert!(done < CASES, "the run was over before a node was killed");
        (done > CASES / 10).then_some(())
    });
    // As `kill -9`.
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let ended = loop {
        let shown = site.show(&b, run);
        if shown["state"] != "running" {
            break shown;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&ended["verdict"], &ended["errors"]), (&json!("pass"), &json!(0)), "{ended}");
    assert_eq!((&ended["done"], &ended["passed"]), (&json!(CASES), &json!(CASES * 9 / 10)), "{ended}");
    // Only what the killed node had under way is asked again; a call that a busy machine cut off may be repeated.
    let asked = site.standin.asked().len();
    assert!((CASES..=CASES + 2 * PLACES).contains(&asked), "{asked} calls");

    // The same of one node, which waits for the end.
    let alone = site.eval(0, &b, &["start", "--suite", "numbers", "--wait"]);
    let alone = alone["run"].as_str().unwrap();
    assert!(site.standin.asked().len() >= asked + CASES, "a run asks every case");
    assert_eq!(timeless(site.metrics(&b, run)), timeless(site.metrics(&b, alone)));

    // What people read of it.
    let shown = site.eval(0, &b, &["show", alone, "--out", "report"]);
    assert_eq!(shown["failed"].as_array().unwrap().len(), CASES / 10);
    let report = site.rig.read("report/report.html");
    assert!(report.contains("What is 13?") && !report.contains("<script"), "{}", &report[..200]);
    let listed = site.eval(0, &b, &["runs", "--suite", "numbers"]);
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap()).collect();
    assert_eq!(names, [alone, run]);

    // A run that is cancelled stays as it is; a restart goes on with one that is not.
    let cancelled = site.eval(0, &b, &["start", "--suite", "numbers"]);
    let cancelled = cancelled["run"].as_str().unwrap();
    assert_eq!(site.eval(0, &b, &["cancel", cancelled])["state"], "cancelled");
    assert_eq!(site.eval(1, &b, &["cancel", cancelled])["error"]["code"], "run-ended");
    let resumed = site.eval(0, &b, &["start", "--suite", "numbers"]);
    let resumed = resumed["run"].as_str().unwrap();
    eventually("a run that is under way", || {
        (site.show(&b, resumed)["done"].as_u64().unwrap() > 20).then_some(())
    });
    drop(second);
    let (_third, c) = site.node();
    let ended = loop {
        let shown = site.show(&c, resumed);
        if shown["state"] != "running" {
            break shown;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&ended["verdict"], &ended["passed"]), (&json!("pass"), &json!(CASES * 9 / 10)), "{ended}");
    assert_eq!(site.show(&c, cancelled)["state"], "cancelled");
}

#[test]
fn two_nodes_on_one_directory_share_a_run_and_one_is_killed() {
    two_nodes_share_a_run_and_one_is_killed(&Site::new(Rig::new(), None));
}

#[test]
fn two_nodes_on_postgresql_share_a_run_and_one_is_killed() {
    let Ok(address) = std::env::var("ASHLAR_TEST_POSTGRES") else {
        assert!(
            std::env::var("ASHLAR_REQUIRE_ALL").is_err(),
            "ASHLAR_TEST_POSTGRES is not set, and everything is required"
        );
        println!("not run on PostgreSQL: ASHLAR_TEST_POSTGRES is not set");
        return;
    };
    let name = format!("evalruns_{}", std::process::id());
    let create = format!("CREATE DATABASE {name}");
    let made = Command::new("psql").args([&address, "-c", &create]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let data = format!("{}/{name}", address.rsplit_once('/').unwrap().0);
    two_nodes_share_a_run_and_one_is_killed(&Site::new(Rig::new(), Some(data)));
}
