//! `review`: model calls that people look at, and what they say.

use std::path::Path;

use ashlar_evals::{
    EvalError,
    review::{Label, expectation},
    suite::Suite,
};
use ashlar_gateway::review::Verdict;
use ashlar_release::{GiveVerdict, Page, QueueReview, REVIEW_DONE, ReviewQuery};
use ashlar_server::{
    endpoints::rows,
    reviews::{self, Listed, Taken, Terms, VerdictBody},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::llm::time;
use crate::{
    args::{At, JudgeArgs, ReviewCommand, VerdictArg},
    backend::{Backend, Local, value},
    error::{CliError, Done, done},
    output, project,
    session::Session,
    words,
};

const COLUMNS: [(&str, &str); 7] = [
    ("call", "CALL"),
    ("at", "AT"),
    ("feature", "FEATURE"),
    ("state", "STATE"),
    ("reasons", "WHY"),
    ("verdict", "VERDICT"),
    ("question", "QUESTION"),
];
/// Labels of one page.
const PAGE: u32 = 500;

pub async fn review(command: ReviewCommand) -> Done {
    match command {
        ReviewCommand::List { feature, state, open_to_me, from, cursor, limit, at } => {
            let from_time = time("from", from.as_ref())?;
            let query =
                ReviewQuery { feature, state, open_to_me, from: from_time, cursor, limit: Some(limit) };
            list(query, from, &at).await
        }
        ReviewCommand::Take { call, feature, at } => take(call, feature, &at).await,
        ReviewCommand::Show { call, at } => show(&call, &at).await,
        ReviewCommand::Judge(args) => judge(*args).await,
        ReviewCommand::Add { call, at } => add(&call, &at).await,
        ReviewCommand::Figures { feature, from, at } => figures(feature, from, &at).await,
        ReviewCommand::Export { suite, project, feature, from, out, at } => {
            let suite = suite.map(|name| read_suite(&project, &name)).transpose()?;
            export(suite.as_ref(), feature, from, out.as_deref(), &at).await
        }
    }
}

async fn list(query: ReviewQuery, from: Option<String>, at: &At) -> Done {
    let session = Session::open(at).await?;
    let call = rows::LIST_REVIEWS
        .call()
        .with_any("feature", query.feature.as_deref())
        .with_any("state", query.state.as_deref())
        .with_any("open_to_me", query.open_to_me.then_some(true))
        .with_any("from", from)
        .with_any("cursor", query.cursor.as_deref())
        .with_any("limit", query.limit);
    let here = async |local: &Local| -> Result<Page<Listed>, CliError> {
        let page = local.engine.reviews(&local.ctx, &query).await?;
        let items = page.items.iter().map(reviews::listed).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor })
    };
    let answer = session.read(here, call).await?;
    let empty = "No reviews. gateway.toml says which calls are reviewed: [features.NAME.review].";
    session.list_page(&answer, &COLUMNS, empty, "--cursor")
}

async fn take(call: Option<String>, feature: Option<String>, at: &At) -> Done {
    let session = Session::open(at).await?;
    let answer = match &session.backend {
        Backend::Local(local) => {
            let taken = local.engine.take_review(&local.ctx, call.as_deref(), feature.as_deref()).await?;
            value(Taken { review: taken.as_ref().map(reviews::shown).transpose()? })?
        }
        Backend::Remote(remote) => {
            remote.call(rows::TAKE_REVIEW.call(), Some(json!({"call": call, "feature": feature}))).await?
        }
    };
    if session.json {
        output::print_json(&answer);
    } else if answer["review"].is_null() {
        output::line("No review needs you.");
    } else {
        print_review(&answer["review"]);
    }
    done()
}

async fn show(call: &str, at: &At) -> Done {
    let session = Session::open(at).await?;
    let here = async |local: &Local| reviews::shown(&local.engine.review(&local.ctx, call).await?);
    let answer = session.read(here, rows::GET_REVIEW.at([call])).await?;
    report(&session, &answer)
}

fn report(session: &Session, answer: &Value) -> Done {
    match session.json {
        true => output::print_json(answer),
        false => print_review(answer),
    }
    done()
}

/// What a good answer is, as the options say.
fn expect(args: &JudgeArgs) -> Option<Value> {
    let mut expect = Map::new();
    for (name, list) in [("facts", &args.facts), ("not", &args.not), ("cites", &args.cites)] {
        if !list.is_empty() {
            expect.insert(name.to_owned(), json!(list));
        }
    }
    if args.refuse {
        expect.insert("answer".to_owned(), json!("must_not"));
    }
    (!expect.is_empty()).then_some(Value::Object(expect))
}

async fn judge(args: JudgeArgs) -> Done {
    let verdict = match args.verdict {
        VerdictArg::Correct => Verdict::Correct,
        VerdictArg::Partly => Verdict::Partly,
        VerdictArg::Wrong => Verdict::Wrong,
        VerdictArg::Unsafe => Verdict::Unsafe,
    };
    let expect = expect(&args);
    if let Some(expect) = &expect {
        expectation(expect).map_err(|f| CliError::findings("the expectation cannot be used", f))?;
    }
    let session = Session::open(&args.at).await?;
    let answer = match &session.backend {
        Backend::Local(local) => {
            let give = GiveVerdict {
                call: args.call.clone(),
                verdict: verdict.name().to_owned(),
                expected: expect.map(|expect| expect.to_string()).unwrap_or_default(),
                comment: args.comment.clone(),
            };
            value(reviews::shown(&local.run(give).await?)?)?
        }
        Backend::Remote(remote) => {
            let body = value(VerdictBody { verdict, expect, comment: args.comment.clone() })?;
            remote.call(rows::JUDGE_CALL.at([&args.call]), Some(body)).await?
        }
    };
    let sentence = match answer["state"].as_str().unwrap_or_default() {
        "done" => format!("The review is done: {}.", output::text(&answer, "verdict")),
        "disputed" => "The two verdicts differ. A third person decides.".to_owned(),
        _ => "Thank you. A second person gives a verdict as well.".to_owned(),
    };
    session.report(&answer, &sentence)
}

async fn add(call: &str, at: &At) -> Done {
    let session = Session::open(at).await?;
    let answer = match &session.backend {
        Backend::Local(local) => {
            let found = local.engine.call(&local.ctx, call).await?;
            let (_, files) = local.engine.served_definitions(&local.ctx, "").await?;
            let terms = Terms::of(&files, &found.feature);
            let row = reviews::queued(&found, terms, Timestamp::now())?;
            value(reviews::shown(&local.run(QueueReview { row }).await?)?)?
        }
        Backend::Remote(remote) => {
            remote.call(rows::QUEUE_REVIEW.call(), Some(json!({"call": call}))).await?
        }
    };
    session.report(&answer, &format!("The call {call} is in the queue."))
}

async fn figures(feature: Option<String>, from: Option<String>, at: &At) -> Done {
    let session = Session::open(at).await?;
    let from_time = time("from", from.as_ref())?;
    let call = rows::GET_REVIEW_FIGURES.call().with_any("feature", feature.as_deref()).with_any("from", from);
    let here = async |local: &Local| {
        reviews::report(&local.engine.review_sums(&local.ctx, feature.as_deref(), from_time).await?)
    };
    let answer = session.read(here, call).await?;
    if session.json {
        output::print_json(&answer);
        return done();
    }
    let items = output::items(&answer);
    if items.is_empty() {
        output::line("No reviews.");
    }
    for item in items {
        print_figures(item);
    }
    done()
}

/// Reviews that are done, of calls from a time on.
pub async fn labels(
    session: &Session,
    feature: Option<&str>,
    from: Option<Timestamp>,
) -> Result<Vec<Label>, CliError> {
    let from_text = from.map(|from| from.to_string());
    let call = || {
        rows::LIST_LABELS
            .call()
            .with("limit", PAGE)
            .with_any("feature", feature)
            .with_any("from", from_text.as_deref())
    };
    let here = async |local: &Local, cursor: Option<&str>| -> Result<Page<Label>, CliError> {
        let query = ReviewQuery {
            feature: feature.map(str::to_owned),
            state: Some(REVIEW_DONE.to_owned()),
            from,
            cursor: cursor.map(str::to_owned),
            limit: Some(PAGE),
            ..ReviewQuery::default()
        };
        let page = local.engine.reviews(&local.ctx, &query).await?;
        let items = page.items.iter().map(reviews::label).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor: page.next_cursor })
    };
    let all = session.read_pages(here, call).await?;
    serde_json::from_value(all).map_err(|error| {
        CliError::new(
            3,
            "network",
            format!("the server answered with something that is no label: {error}"),
            "",
        )
    })
}

fn read_suite(project: &Path, name: &str) -> Result<Suite, CliError> {
    let files = project::read(project)?;
    let read = Suite::read(&files, name);
    Ok(read.map_err(|findings| EvalError::Suite { suite: name.to_owned(), findings })?.0)
}

async fn export(
    suite: Option<&Suite>,
    feature: Option<String>,
    from: Option<String>,
    out: Option<&Path>,
    at: &At,
) -> Done {
    let from = time("from", from.as_ref())?;
    let session = Session::open(at).await?;
    let feature = suite.map(|suite| suite.feature.clone()).or(feature);
    let mut found = labels(&session, feature.as_deref(), from).await?;
    let mut lines = String::new();
    for label in &mut found {
        let source = format!("review:{}", label.call);
        let case = suite.and_then(|suite| suite.cases.iter().find(|case| case.source == source));
        label.case = case.map(|case| case.id.clone());
        lines.push_str(&value(&*label)?.to_string());
        lines.push('\n');
    }
    match out {
        None => output::print(&lines),
        Some(path) => {
            std::fs::write(path, lines).map_err(|error| CliError::file("write", path, &error))?;
            let answer = json!({"labels": found.len(), "file": path});
            let count = words::count(found.len() as u64, "label", "labels");
            output::report(session.json, &answer, &format!("Wrote {count} to {}.", path.display()));
        }
    }
    done()
}

/// Text that others wrote, without what could steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn print_review(review: &Value) {
    let item = &review["item"];
    let line = |name: &str, text: &str| {
        if !text.is_empty() && text != "-" {
            output::line(format!("{name:<10}{}", plain(text).replace('\n', "\n          ")));
        }
    };
    line("Call", &output::text(review, "call"));
    line("State", &output::text(review, "state"));
    line("Why", &output::text(review, "reasons"));
    line("At", &words::time(&output::text(review, "at")));
    line("Prompt", &output::text(item, "prompt"));
    line("Model", &output::text(item, "model"));
    line("Question", &output::text(item, "question"));
    line("Input", &output::text(item, "input"));
    line("Answer", &output::text(item, "answer"));
    line("Refusal", &output::text(item, "refusal"));
    for source in item["sources"].as_array().into_iter().flatten() {
        let cited = if source["cited"] == true { " (cited)" } else { "" };
        let text = format!(
            "{}{cited} {}\n{}",
            output::text(source, "title"),
            output::text(source, "path"),
            output::text(source, "text")
        );
        line("Source", &text);
    }
    for (name, says) in item["checks"].as_object().into_iter().flatten() {
        line("Check", &format!("{name}: {}", says.as_str().unwrap_or_default()));
    }
    for given in review["verdicts"].as_array().into_iter().flatten() {
        let expect = given.get("expect").map(|expect| format!(" expects {expect}")).unwrap_or_default();
        let comment = output::text(given, "comment");
        let comment = if comment == "-" { String::new() } else { format!(": {comment}") };
        let text = format!(
            "{} by {}{comment}{expect}",
            output::text(given, "verdict"),
            output::text(given, "reviewer")
        );
        line("Verdict", &text);
    }
}

fn print_figures(figures: &Value) {
    let number = |name: &str| figures[name].as_u64().unwrap_or(0);
    output::line(output::paint(&output::text(figures, "feature"), "1"));
    output::line(format!(
        "  {}: {} open, {} disputed, {} done",
        words::count(number("reviews"), "review", "reviews"),
        number("open"),
        number("disputed"),
        number("done")
    ));
    let percent = |value: &Value| format!("{:.1} %", value.as_f64().unwrap_or(0.0) * 100.0);
    let shares = [
        ("wrong", "Wrong or unsafe, of calls chosen at random"),
        ("escalated", "Waited for approval, of calls chosen at random"),
        ("adjudicated", "Decided by a third person, of those with two verdicts"),
    ];
    for (name, says) in shares {
        let share = &figures[name];
        if share.is_object() {
            output::line(format!(
                "  {says}: {} ({} of {}, interval {} to {})",
                percent(&share["share"]),
                share["count"],
                share["of"],
                percent(&share["low"]),
                percent(&share["high"])
            ));
        }
    }
    for (name, says) in [("people", "Two people"), ("checks", "Checks and people")] {
        let agreement = &figures[name];
        if !agreement.is_object() {
            continue;
        }
        let kappa = match agreement["kappa"].as_f64() {
            None => "κ is not defined".to_owned(),
            Some(kappa) => {
                let bound = |name: &str| agreement[name].as_f64().unwrap_or(0.0);
                format!("κ {kappa:.2}, interval {:.2} to {:.2}", bound("low"), bound("high"))
            }
        };
        let calls = words::count(agreement["calls"].as_u64().unwrap_or(0), "call", "calls");
        output::line(format!("  {says} agree on {} of {calls} ({kappa})", percent(&agreement["agreed"])));
    }
    output::line(format!(
        "  Checks raised {} and missed {}",
        words::count(number("false_alarms"), "false alarm", "false alarms"),
        number("missed")
    ));
}
