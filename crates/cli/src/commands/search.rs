//! `search`: what is found in a release, and how good a search is.

use std::path::Path;

use ashlar_delivery::{RequestParts, ResultHit, Results, Traceparent};
use ashlar_embed::{EmbedError, Model};
use ashlar_retrieval::{
    Embedder, Mode,
    evaluate::{BeirError, Part, evaluate_with, read_judged},
};

use crate::{
    args::{At, Format, ModeArg, SearchArgs, SearchCommand},
    backend::{Backend, Local, problem},
    error::{CliError, Done, done},
    output,
    session::Session,
    words::count,
};

use ashlar_server::endpoints::{Call, rows};
use serde_json::{Value, json};

use super::site;

/// Columns of a list of queries.
const QUERY_COLUMNS: [(&str, &str); 5] = [
    ("query", "QUERY"),
    ("locale", "LOCALE"),
    ("searches", "SEARCHES"),
    ("without_results", "WITHOUT RESULTS"),
    ("clicks", "CLICKS"),
];

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 4 << 30;

fn read(path: &Path) -> Result<String, CliError> {
    let meta = std::fs::metadata(path).map_err(|e| CliError::file("read", path, &e))?;
    if meta.len() > BYTES_MAX {
        return Err(CliError::input(
            format!("{} has more than {BYTES_MAX} bytes", path.display()),
            "use a part of it",
        ));
    }
    std::fs::read_to_string(path).map_err(|e| CliError::file("read", path, &e))
}

/// The most dimensions that vectors may have.
const DIMENSIONS_MAX: usize = 1_024;

/// A model from a directory.
struct Pretrained(Model);

impl Pretrained {
    fn open(dir: &Path) -> Result<Self, CliError> {
        let help = "a model is a directory with `*.safetensors` and `tokenizer.json`: static token embeddings, or a BERT sentence transformer";
        let model = Model::open(dir).map_err(|error| match error {
            EmbedError::Io { path, source } => CliError::file("read", &path, &source),
            other => CliError::input(other.to_string(), help),
        })?;
        match model.dimensions() {
            1..=DIMENSIONS_MAX => Ok(Self(model)),
            many => Err(CliError::input(
                format!("{} makes vectors of {many} dimensions", dir.display()),
                format!("use a model with at most {DIMENSIONS_MAX}"),
            )),
        }
    }
}

impl Embedder for Pretrained {
    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        self.0.embed(text)
    }
}

pub async fn search(args: SearchArgs) -> Done {
    match &args.command {
        Some(SearchCommand::Stats { days, limit, at }) => stats(*days, *limit, at).await,
        Some(command) => evaluate_it(command),
        None => find(&args).await,
    }
}

/// The request that asks what the arguments ask.
fn call(args: &SearchArgs) -> Result<Call, CliError> {
    let mut call = rows::SEARCH.call().with("q", args.query.as_deref().unwrap_or_default());
    let scope = &args.scope;
    call = call.with_any("locale", scope.locale.as_deref()).with_any("at", scope.of.as_deref());
    for (name, values) in [("index", &scope.indexes), ("type", &scope.types), ("facets", &args.facets)] {
        call = call.with_any(name, (!values.is_empty()).then(|| values.join(",")));
    }
    for (name, value) in scope.filters()? {
        call = call.with(name, value);
    }
    let call = call.with_any("diversity", args.diversity);
    Ok(call.with("mode", args.mode.name()).with("limit", args.limit).with("offset", args.offset))
}

async fn find(args: &SearchArgs) -> Done {
    let call = call(args)?;
    let answer: Value = match Backend::open(&args.at).await? {
        Backend::Remote(remote) => remote.call(call, None).await?,
        Backend::Local(local) => {
            let view = site::open(&local, args.scope.of.as_deref()).await?;
            let reader = args.scope.reader.clone();
            let here = tokio::task::spawn_blocking(move || {
                let traceparent = Traceparent::follow(None);
                let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
                let parts = RequestParts {
                    query: Some(query),
                    reader: reader.as_deref(),
                    ..RequestParts::get(path, &traceparent)
                };
                ashlar_delivery::answer(&view, &parts)
            });
            let here = here.await.map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?;
            let here = here.ok_or_else(|| CliError::new(3, "internal", "nothing answers a search", ""))?;
            let body = serde_json::from_slice(&here.body).unwrap_or_default();
            match here.status {
                200 => body,
                status => return Err(problem(status, body)),
            }
        }
    };
    if args.at.format == Format::Json {
        output::print_json(&answer);
        return done();
    }
    let results: Results = serde_json::from_value(answer)
        .map_err(|e| CliError::new(3, "network", format!("the server answered something else: {e}"), ""))?;
    show(&results);
    done()
}

/// A text without what a terminal would take for a command.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Pieces of a text, with those that are marked in bold.
fn marked(pieces: Vec<(String, bool)>) -> String {
    let paint = |(text, marked): (String, bool)| match marked {
        true => output::paint(&plain(&text), "1"),
        false => plain(&text),
    };
    pieces.into_iter().map(paint).collect()
}

/// Prints what was found, for people.
fn show(results: &Results) {
    if let Some(corrected) = &results.did_you_mean {
        output::line(format!("Searched for: {corrected}"));
    }
    if results.hits.is_empty() {
        output::line("No results. Try fewer words.");
        return;
    }
    for (hit, number) in results.hits.iter().zip(0..) {
        if number > 0 {
            output::line("");
        }
        let ResultHit { type_name, id, locale, .. } = hit;
        let title = marked(hit.title_pieces());
        let place = hit.headings.iter().map(|heading| format!(" › {}", plain(heading))).collect::<String>();
        output::line(format!("{title}{place}"));
        let text = marked(hit.snippet.pieces());
        if !text.is_empty() {
            output::line(format!("  {text}"));
        }
        let path = hit.path.as_deref().map(|path| format!("  {path}")).unwrap_or_default();
        let anchor =
            hit.anchor.as_deref().filter(|_| hit.path.is_some()).map(|a| format!("#{a}")).unwrap_or_default();
        output::line(format!("  {type_name}/{id} ({locale}){path}{anchor}"));
    }
    output::line("");
    for (facet, values) in &results.facets {
        let values: Vec<String> =
            values.iter().map(|(value, entries)| format!("{value} {entries}")).collect();
        output::line(format!("{facet}: {}", values.join(", ")));
    }
    output::line(count(results.total, "entry", "entries"));
    if let Some(next) = results.next_offset {
        output::line(format!("More results: add --offset {next}"));
    }
}

/// Shows how searches do. Without a server that is what the log says.
async fn stats(days: u32, limit: u32, at: &At) -> Done {
    let session = Session::open(at).await?;
    let call = rows::GET_SEARCH_STATS.call().with("days", days).with("limit", limit);
    let here = async |local: &Local| {
        let log = local.engine.search_stats(&local.ctx, days, limit).await;
        log.map(|log| json!({ "log": log }))
    };
    let answer = session.read(here, call).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    let log = &answer["log"];
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or(0);
    let counted = |name: &str, one: &str, many: &str| count(number(log, name) as usize, one, many);
    let through = log["click_through"].as_f64().map(|share| format!(" ({share:.2} for each search)"));
    output::line(format!(
        "In {}: {}, {} without results, {}{}",
        count(days as usize, "day", "days"),
        counted("searches", "search", "searches"),
        number(log, "without_results"),
        counted("clicks", "click", "clicks"),
        through.unwrap_or_default()
    ));
    for (title, list) in [("Most frequent queries", "queries"), ("Queries without results", "failing")] {
        let rows = output::items(&log[list]);
        if !rows.is_empty() {
            output::line("");
            output::line(title);
            output::table(rows, &QUERY_COLUMNS, "");
        }
    }
    let indexes = output::items(&answer["indexes"]);
    if !indexes.is_empty() {
        output::line("");
        output::line("Indexes");
        for index in indexes {
            let seconds = |name: &str| index[name].as_f64();
            let lag = match (index["complete"].as_bool(), seconds("lag_seconds")) {
                (Some(true), Some(lag)) => format!("searchable after {lag:.2} s"),
                (Some(true), None) => "searchable since before the server started".to_owned(),
                (_, lag) => format!("vectors missing for {:.2} s", lag.unwrap_or(0.0)),
            };
            let late = if index["late"] == true { ", late" } else { "" };
            let target = seconds("target_seconds").unwrap_or(0.0);
            output::line(format!("{}: {lag} (target {target} s{late})", output::text(index, "index")));
        }
    }
    if answer.get("indexes").is_some() && answer["log_days"].is_null() {
        output::note("Searches are not logged. Add [log] with days = 30 to retrieval.toml");
    }
    done()
}

fn evaluate_it(command: &SearchCommand) -> Done {
    let SearchCommand::Evaluate { corpus, queries, qrels, mode, embedder, locale, format } = command else {
        return done();
    };
    let judged = read_judged(&read(corpus)?, &read(queries)?, &read(qrels)?).map_err(|error| {
        let BeirError { part, line, message } = error;
        let (path, help) = match part {
            Part::Corpus => (corpus, "a line is {\"_id\": \"d1\", \"title\": \"…\", \"text\": \"…\"}"),
            Part::Queries => (queries, "a line is {\"_id\": \"q1\", \"text\": \"…\"}"),
            Part::Qrels => (qrels, "a line is `q1`, `d1` and `1`, separated by tabs"),
        };
        let place = if line > 0 { format!("{}:{line}", path.display()) } else { path.display().to_string() };
        CliError::input(format!("{place}: {message}"), help)
    })?;
    let mode = match mode {
        ModeArg::Bm25 => Mode::Bm25,
        ModeArg::Vector => Mode::Vector,
        ModeArg::Hybrid => Mode::Hybrid,
    };
    let model = embedder.as_deref().map(Pretrained::open).transpose()?;
    let model = model.as_ref().map(|model| model as &dyn Embedder);
    output::note(format!("Indexing {} …", count(judged.documents.len(), "document", "documents")));
    let figures = evaluate_with(&judged, locale, mode, model)
        .map_err(|error| CliError::input(error.to_string(), "report this, with the set that was measured"))?;
    match format {
        Format::Json => output::print_json(&figures),
        Format::Human => {
            output::line(format!("nDCG@10     {:.4}", figures.ndcg));
            output::line(format!("recall@100  {:.4}", figures.recall));
            output::line(format!(
                "time        {:.2} ms (half of the queries), {:.2} ms (99 %)",
                figures.p50_ms, figures.p99_ms
            ));
            output::line(format!(
                "over        {}, {}",
                count(figures.queries, "query", "queries"),
                count(figures.documents, "document", "documents")
            ));
            if let Some(learned) = figures.calibration.filter(|_| mode == Mode::Hybrid) {
                output::line(format!(
                    "vectors     trusted to {:.0} %, learned from {}",
                    learned.trust * 100.0,
                    count(learned.questions, "question", "questions")
                ));
            }
        }
    }
    done()
}
