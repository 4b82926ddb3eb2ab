//! What is composed: a view with three levels of includes, and a persisted operation with twenty items and what they
//! refer to, beside entries by key of the same installation, in the same run.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{
    delivery::{cpu_us, millis},
    site::{Result, Server, Site},
};
use crate::run::Start;

/// Pages; each is asked for once when nothing is to be in the cache.
const PAGES: usize = 60_000;
const PLANS: usize = 1_000;
const FEATURES: usize = 500;
const SHELVES: usize = 20;

const QUERY: &str = "query Plans($from: Float) {\n  planList(first: 20, where: {rank: {gte: $from}}) {\n    items {\n      slug name price\n      \
    features { name summary shelf { name } }\n    }\n    nextCursor\n  }\n}\n";

fn contract(properties: &Value) -> String {
    json!({"type": "object", "x-ashlar": {"owner": "bench", "version": "1.0.0"}, "properties": properties})
        .to_string()
}

fn entries() -> impl Iterator<Item = Value> {
    let text = |n: usize| "Boats come and go with the tide. ".repeat(n);
    let line =
        |t: &str, id: String, fields: Value| json!({"type": t, "id": id, "locale": "en", "fields": fields});
    let shelves = (0..SHELVES)
        .map(move |i| line("shelf", format!("s{i}"), json!({"name": format!("Shelf {i}"), "text": text(5)})));
    let features = (0..FEATURES).map(move |i| {
        let fields = json!({"name": format!("Feature {i}"), "summary": text(3), "text": text(20), "shelf": format!("s{}", i % SHELVES)});
        line("feature", format!("f{i}"), fields)
    });
    let plans = (0..PLANS).map(move |i| {
        let features: Vec<String> = (0..3).map(|n| format!("f{}", (i * 7 + n * 31) % FEATURES)).collect();
        let fields = json!({"slug": format!("plan{i}"), "name": format!("Plan {i}"), "price": i, "rank": i, "text": text(20), "features": features});
        line("plan", format!("n{i}"), fields)
    });
    let pages = (0..PAGES).map(move |i| {
        let plans: Vec<String> = (0..3).map(|n| format!("n{}", (i * 13 + n * 101) % PLANS)).collect();
        let fields =
            json!({"slug": format!("p{i}"), "title": format!("Page {i}"), "body": text(10), "plans": plans});
        line("page", format!("p{i}"), fields)
    });
    shelves.chain(features).chain(plans).chain(pages)
}

fn site() -> Result<Site> {
    let text = json!({"type": "string"});
    let reference = |to: &str| json!({"type": "string", "x-ashlar": {"ref": [to]}});
    let references = |to: &str| json!({"type": "array", "items": reference(to)});
    let indexed = |kind: &str| json!({"type": kind, "x-ashlar": {"indexed": true}});
    let shelf = contract(&json!({"name": text, "text": text}));
    let feature =
        contract(&json!({"name": text, "summary": text, "text": text, "shelf": reference("shelf")}));
    let plan = contract(&json!({
        "slug": indexed("string"), "name": text, "price": {"type": "number"}, "rank": indexed("number"), "text": text,
        "features": references("feature"),
    }));
    let page = contract(&json!({"slug": text, "title": text, "body": text, "plans": references("plan")}));
    let deep = "source = 'page'\nlookup = 'slug'\npath = '/v1/deep/{slug}'\n[include.plans]\nfields = ['slug', 'name', 'price', 'features']\n\
                [include.plans.include.features]\nfields = ['name', 'summary', 'shelf']\n\
                [include.plans.include.features.include.shelf]\nfields = ['name']\n";
    let files = [
        ("contracts/shelf.v1.json", shelf.as_str()),
        ("contracts/feature.v1.json", feature.as_str()),
        ("contracts/plan.v1.json", plan.as_str()),
        ("contracts/page.v1.json", page.as_str()),
        ("views/deep.v1.toml", deep),
        ("queries/plans.graphql", QUERY),
    ];
    Site::with(&files, &mut entries())
}

/// One way to ask.
struct Load {
    name: &'static str,
    /// Lua that returns the path of the next request.
    path: String,
    connections: u32,
    seconds: u32,
}

struct Figures {
    rate: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn load(server: &Server, load: &Load, dir: &std::path::Path) -> Result<Figures> {
    let script = dir.join("load.lua");
    let lua = format!(
        "math.randomseed(os.time())\nlocal n = -1\nrequest = function() n = n + 1 return wrk.format('GET', {}) end\n",
        load.path
    );
    fs::write(&script, lua)?;
    let before = cpu_us(server.child.id())?;
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1", "--latency"])
        .args([format!("-c{}", load.connections), format!("-d{}s", load.seconds), "-s".to_owned()])
        .arg(&script)
        .arg(format!("http://{}", server.address))
        .finish()?;
    let cpu = cpu_us(server.child.id())? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") {
        return Err(format!("{}: {text}", load.name).into());
    }
    let word = |mark: &str, at: usize| {
        text.lines().find(|l| l.contains(mark)).and_then(|l| l.split_whitespace().nth(at)).unwrap_or("0")
    };
    let requests: f64 = word("requests in", 0).parse()?;
    Ok(Figures {
        rate: word("Requests/sec", 1).parse()?,
        cpu_us: cpu / requests,
        p50_ms: millis(word("50%", 1))?,
        p99_ms: millis(word("99%", 1))?,
    })
}

/// What is read, with the paths as expressions of wrk's script.
fn loads(operation: &str, seconds: u32) -> [Load; 7] {
    let graphql = |from: &str| {
        format!("'/graphql?documentId={operation}&variables=%7B%22from%22%3A' .. {from} .. '%7D'")
    };
    let random = |below: usize| format!("math.random(0, {})", below - 1);
    [
        Load {
            name: "entry by key",
            path: format!("'/v1/entries/page/p' .. {}", random(PAGES)),
            connections: 32,
            seconds,
        },
        Load {
            name: "view of three levels, cached",
            path: format!("'/v1/deep/p' .. {}", random(1_000)),
            connections: 32,
            seconds,
        },
        Load { name: "operation of 20 items, cached", path: graphql(&random(100)), connections: 32, seconds },
        // Each page once: nothing of it is in the cache. One connection, so that the time is that of the work.
        Load {
            name: "view of three levels, first read, 1 connection",
            path: format!("'/v1/deep/p' .. (2000 + n) % {PAGES}"),
            connections: 1,
            seconds: 2,
        },
        Load {
            name: "view of three levels, first read",
            path: format!("'/v1/deep/p' .. (25000 + n) % {PAGES}"),
            connections: 32,
            seconds: 2,
        },
        Load {
            name: "operation of 20 items, first read",
            path: graphql(&format!("(math.random() * {})", PLANS - 30)),
            connections: 32,
            seconds,
        },
        Load {
            name: "operation of 20 items, first read, 1 connection",
            path: graphql(&format!("(math.random() * {})", PLANS - 30)),
            connections: 1,
            seconds,
        },
    ]
}

/// Runs the benchmark.
///
/// # Errors
/// When wrk or taskset is missing, or an answer is not what it should be.
pub fn run(seconds: u32) -> Result<()> {
    let site = site()?;
    site.warm()?;
    let server = site.serve(Some("0"))?;
    let dir = tempfile::tempdir()?;
    let queries = site.ashlar(&["contracts", "queries", "site", "--format", "json"])?;
    let id = queries["operations"][0]["document_id"].as_str().ok_or("no operation")?.to_owned();
    let found = server.done(
        "GET",
        &format!("/graphql?documentId={id}&variables=%7B%22from%22%3A5%7D"),
        &Value::Null,
    )?;
    let items = found["data"]["planList"]["items"].as_array().map_or(0, Vec::len);
    if items != 20 || !found["data"]["planList"]["items"][19]["features"][2]["shelf"]["name"].is_string() {
        return Err(format!("the operation answers something else: {found}").into());
    }
    let deep = server.done("GET", "/v1/deep/p5", &Value::Null)?;
    if !deep["plans"][2]["features"][2]["shelf"]["name"].is_string() {
        return Err(format!("the view answers something else: {deep}").into());
    }
    println!("{PAGES} pages with 3 plans with 3 features with a shelf; one core for the server");
    println!(
        "{:<44}{:>12}{:>16}{:>10}{:>10}{:>10}",
        "what", "requests/s", "CPU us/request", "p50 ms", "p99 ms", "/ by key"
    );
    let loads = loads(&id, seconds);
    load(&server, &loads[1], dir.path())?;
    let mut by_key = 0.0;
    for one in &loads {
        let f = load(&server, one, dir.path())?;
        if by_key == 0.0 {
            by_key = f.rate;
        }
        println!(
            "{:<44}{:>12.0}{:>16.2}{:>10.3}{:>10.3}{:>10.2}",
            one.name,
            f.rate,
            f.cpu_us,
            f.p50_ms,
            f.p99_ms,
            f.rate / by_key
        );
    }
    let report = server.done("GET", "/api/v1/cache", &Value::Null)?;
    println!("the node's own cache: {}", report["composed"]);
    Ok(())
}
