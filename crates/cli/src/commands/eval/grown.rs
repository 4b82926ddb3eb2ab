//! `eval grow`.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use ashlar_evals::{
    EvalError,
    grow::{DRAFTS_MAX, Draft, Grown, LeftOut, from_labels, from_lines, grow},
    review::Label,
    suite::{FOLDER, Suite},
};
use ashlar_gateway::{
    record::{OK, Record, Text},
    review::{LowConfidence, item},
};
use ashlar_release::{CallQuery, Page};
use ashlar_server::endpoints::rows;
use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::files::{bounded, named, write};
use crate::{
    args::EvalGrowArgs,
    backend::Local,
    commands::{llm::recorded, review::labels},
    error::{CliError, Done, done},
    output, project,
    session::Session,
    words,
};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Calls of one page.
const PAGE: u32 = 500;
/// Reasons that people are shown.
const SHOWN_MAX: usize = 10;

pub async fn grow_suite(args: EvalGrowArgs) -> Done {
    named(&args.suite)?;
    let mut files = project::read(&args.project)?;
    let wrong = |findings| CliError::from(EvalError::Suite { suite: args.suite.clone(), findings });
    let (suite, _) = Suite::read(&files, &args.suite).map_err(wrong)?;
    let todo = args.project.join(format!("{}.todo.jsonl", args.suite));
    let waiting = match todo.is_file() {
        true => bounded(&todo, FILE_BYTES_MAX)?,
        false => Vec::new(),
    };
    let (mut drafts, mut left_out) = drafts(&args, &suite, &waiting, &todo).await?;
    if !args.from_todo {
        let known = sources(&waiting);
        drafts.retain(|draft| {
            let is_new = !known.contains(&draft.source);
            if !is_new {
                let why = format!("{} has a line from there.", todo.display());
                left_out.push(LeftOut { source: draft.source.clone(), why });
            }
            is_new
        });
    }
    let mut grown = grow(&suite, drafts, args.limit as usize);
    grown.left_out.append(&mut left_out);
    let path = format!("{FOLDER}/{}.jsonl", args.suite);
    let mut cases = String::from_utf8_lossy(files.get(&path).unwrap_or_default()).into_owned();
    if !cases.is_empty() && !cases.ends_with('\n') {
        cases.push('\n');
    }
    cases.push_str(&grown.lines());
    // What is written must be a suite.
    let too_large = |error: ashlar_model::FilesError| CliError::input(error.to_string(), "lower --limit");
    files.insert(&path, cases.clone().into_bytes()).map_err(too_large)?;
    Suite::read(&files, &args.suite).map_err(wrong)?;
    let mut written: Vec<PathBuf> = Vec::new();
    if !args.dry_run {
        if !grown.cases.is_empty() {
            let file = args.project.join(&path);
            write(&file, &cases)?;
            written.push(file);
        }
        if let Some(lines) = todo_lines(&args, &waiting, &grown) {
            write(&todo, &lines)?;
            written.push(todo.clone());
        }
    }
    show(&args, &grown, &written, &todo);
    done()
}

/// What the file of lines to complete has from now on; `None` when it stays as it is.
fn todo_lines(args: &EvalGrowArgs, waiting: &[u8], grown: &Grown) -> Option<String> {
    let before = String::from_utf8_lossy(waiting);
    if args.from_todo {
        let made: HashSet<&str> = grown.cases.iter().filter_map(|case| case["source"].as_str()).collect();
        let source = |line: &str| -> Option<String> {
            let value: Value = serde_json::from_str(line).ok()?;
            value["source"].as_str().map(str::to_owned)
        };
        let stays = |line: &&str| source(line).is_none_or(|source| !made.contains(source.as_str()));
        let kept: String = before.lines().filter(stays).map(|line| format!("{line}\n")).collect();
        return (!made.is_empty()).then_some(kept);
    }
    if grown.todo.is_empty() {
        return None;
    }
    let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    let new: String = grown.todo.iter().map(|line| format!("{line}\n")).collect();
    Some(format!("{before}{end}{new}"))
}

/// Where lines come from.
fn sources(bytes: &[u8]) -> HashSet<String> {
    let lines =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines.filter_map(|line| line["source"].as_str().map(str::to_owned)).collect()
}

async fn drafts(
    args: &EvalGrowArgs,
    suite: &Suite,
    waiting: &[u8],
    todo: &Path,
) -> Result<(Vec<Draft>, Vec<LeftOut>), CliError> {
    let wrong = |finding| CliError::findings("the file cannot be used", vec![finding]);
    if let Some(path) = &args.from_failures {
        let bytes = bounded(path, FILE_BYTES_MAX)?;
        return from_lines(&path.display().to_string(), &bytes, "from-failures").map_err(wrong);
    }
    if args.from_todo {
        if waiting.is_empty() {
            let message = format!("{} has no lines", todo.display());
            return Err(CliError::input(message, "--from-calls and --from-reviews write it"));
        }
        let (drafts, left_out) =
            from_lines(&todo.display().to_string(), waiting, "from-todo").map_err(wrong)?;
        // What is not complete stays where it is.
        return Ok((drafts.into_iter().filter(|draft| draft.expect.is_some()).collect(), left_out));
    }
    let feature = args.feature.as_deref().unwrap_or(&suite.feature);
    let from = args.since.as_deref().map(since).transpose()?;
    let session = Session::open(&args.at).await?;
    let judged = match labels(&session, Some(feature), from).await {
        // A key for records need not be one for reviews.
        Err(error) if args.from_calls && error.code == "forbidden" => Vec::new(),
        judged => judged?,
    };
    let found = match args.from_calls {
        false => judged,
        true => called(&session, feature, from, judged).await?,
    };
    Ok(from_labels(found))
}

/// Recorded calls whose text is stored, as labels: with the verdict of people where there is one.
async fn called(
    session: &Session,
    feature: &str,
    from: Option<Timestamp>,
    judged: Vec<Label>,
) -> Result<Vec<Label>, CliError> {
    let (mut found, mut all, mut cursor) = (Vec::new(), 0_usize, None::<String>);
    let from_text = from.map(|from| from.to_string());
    loop {
        let call = rows::LIST_CALLS
            .call()
            .with("feature", feature)
            .with("outcome", OK)
            .with("limit", PAGE)
            .with_any("from", from_text.as_deref())
            .with_any("cursor", cursor.as_deref());
        let here = async |local: &Local| -> Result<Page<Value>, CliError> {
            let query = CallQuery {
                feature: Some(feature.to_owned()),
                outcome: Some(OK.to_owned()),
                from,
                cursor: cursor.clone(),
                limit: Some(PAGE),
                ..CallQuery::default()
            };
            let page = local.engine.calls(&local.ctx, &query).await?;
            Ok(Page { items: page.items.iter().map(recorded).collect(), next_cursor: page.next_cursor })
        };
        let page = session.read(here, call).await?;
        for item in output::items(&page) {
            all += 1;
            found.extend(label(item, &judged));
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || found.len() >= DRAFTS_MAX {
            break;
        }
    }
    if found.is_empty() {
        let message = match all {
            0 => format!("no call of the feature `{feature}` was recorded"),
            _ => format!("none of the {all} recorded calls of `{feature}` has its text stored"),
        };
        let help =
            "text is stored from then on if gateway.toml says [features.NAME] text = { keep_days = 30 }";
        return Err(CliError::new(1, "no-stored-text", message, help));
    }
    Ok(found)
}

fn label(item: &Value, judged: &[Label]) -> Option<Label> {
    let text: Text = serde_json::from_value(item.get("text")?.clone()).ok()?;
    let record: Record = serde_json::from_value(item.clone()).ok()?;
    if record.operation != "chat" {
        return None;
    }
    let known = judged.iter().find(|label| label.call == record.id);
    Some(known.cloned().unwrap_or_else(|| Label::of(&record.id, item_of(&record, &text))))
}

fn item_of(record: &Record, text: &Text) -> ashlar_gateway::review::Item {
    item(record, text, LowConfidence::BELOW)
}

/// When a time that ends now began.
fn since(text: &str) -> Result<Timestamp, CliError> {
    let wrong = || CliError::input(format!("--since {text} is not a length of time"), "write 7d, 12h or 2w");
    let span: Span = text.parse().map_err(|_| wrong())?;
    if span.is_negative() || span.is_zero() {
        return Err(wrong());
    }
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    now.checked_sub(span).map(|at| at.timestamp()).map_err(|_| wrong())
}

fn show(args: &EvalGrowArgs, grown: &Grown, written: &[PathBuf], todo: &Path) {
    if args.at.format == crate::args::Format::Json {
        output::print_json(&json!({
            "suite": args.suite, "dry_run": args.dry_run, "cases": grown.cases.len(), "todo": grown.todo.len(),
            "new": grown.cases, "to_complete": grown.todo, "left_out": grown.left_out, "files": written,
        }));
        return;
    }
    let (cases, lines) = (grown.cases.len() as u64, grown.todo.len() as u64);
    let verb = if args.dry_run { "Would add" } else { "Added" };
    output::line(format!("{verb} {} to the suite `{}`.", words::count(cases, "case", "cases"), args.suite));
    if lines > 0 {
        let verb = if args.dry_run { "would go" } else { "went" };
        output::line(format!(
            "{} without a verdict {verb} to {}.",
            words::count(lines, "call", "calls"),
            todo.display()
        ));
        output::hint("Complete `expect` in these lines, then run `ashlar eval grow --from-todo`.");
    }
    if !grown.left_out.is_empty() {
        output::line(format!(
            "Left out {}:",
            words::count(grown.left_out.len() as u64, "call or case", "calls or cases")
        ));
        for left in grown.left_out.iter().take(SHOWN_MAX) {
            output::line(format!("  {}: {}", left.source, left.why));
        }
        let more = grown.left_out.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            output::line(format!("  and {more} more; --format json lists all"));
        }
    }
}
