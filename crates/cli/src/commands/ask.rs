//! `ask` answers a question from a release; `replay` answers again and compares.

use std::{collections::BTreeMap, io::Read, process::ExitCode};

use ashlar_delivery::{
    Answered, Asked, Asker,
    search::{TRACE_BYTES_MAX, Trace},
};
use ashlar_server::endpoints::rows;
use serde_json::{Value, json};

use super::site;
use crate::{
    args::{AskArgs, Format, ReplayArgs},
    backend::{Backend, Local, problem},
    error::{CliError, Done, done},
    output,
};

/// What the arguments ask.
fn asked(args: &AskArgs) -> Result<Asked, CliError> {
    let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in args.scope.filters()? {
        filters.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    let types = args.scope.types.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    Ok(Asked {
        question: args.question.trim().to_owned(),
        locale: args.scope.locale.clone(),
        indexes: args.scope.indexes.clone(),
        filters,
        types,
    })
}

/// Answers from what is here.
async fn here(
    local: &Local,
    of: Option<&str>,
    ask: impl FnOnce(&ashlar_delivery::ReleaseView) -> Result<Answered, ashlar_delivery::Problem> + Send + 'static,
) -> Result<Answered, CliError> {
    let view = site::open(local, of).await?;
    let answered = tokio::task::spawn_blocking(move || ask(&view)).await;
    let answered = answered.map_err(|e| CliError::new(3, "internal", e.to_string(), ""))?;
    answered.map_err(|p| problem(p.status, json!({"type": p.code, "detail": p.detail, "help": p.help})))
}

fn read(answer: Value) -> Result<Answered, CliError> {
    serde_json::from_value(answer)
        .map_err(|e| CliError::new(3, "network", format!("the server answered something else: {e}"), ""))
}

pub async fn ask(args: AskArgs) -> Done {
    let asked = asked(&args)?;
    let answered = match Backend::open(&args.at).await? {
        Backend::Remote(remote) => {
            let mut body = json!({"question": asked.question});
            let parts = [
                ("locale", json!(asked.locale), asked.locale.is_none()),
                ("indexes", json!(asked.indexes), asked.indexes.is_empty()),
                ("types", json!(asked.types), asked.types.is_empty()),
                ("filters", json!(asked.filters), asked.filters.is_empty()),
            ];
            for (name, value, _) in parts.into_iter().filter(|(.., empty)| !empty) {
                body[name] = value;
            }
            let call = rows::ANSWER_QUESTION.call().with_any("at", args.scope.of.as_deref());
            read(remote.call(call, Some(body)).await?)?
        }
        Backend::Local(local) => {
            let reader = args.scope.reader.clone();
            here(&local, args.scope.of.as_deref(), move |view| {
                view.ask(&asked, Asker::now(reader.as_deref()))
            })
            .await?
        }
    };
    match args.at.format {
        Format::Json => output::print_json(&answered),
        Format::Human => show(&answered),
    }
    done()
}

/// Prints an answer for people.
fn show(answered: &Answered) {
    match (&answered.answer, &answered.refusal) {
        (Some(answer), _) => output::line(output::paint(answer, "1")),
        (None, Some(refusal)) => output::line(format!("No answer. {}", refusal.reason)),
        (None, None) => output::line("No answer."),
    }
    for (citation, number) in answered.citations.iter().zip(1..) {
        let path = citation.path.as_deref().map(|path| format!("  {path}")).unwrap_or_default();
        let anchor = citation.anchor.as_deref().filter(|_| citation.path.is_some());
        let anchor = anchor.map(|anchor| format!("#{anchor}")).unwrap_or_default();
        output::line(format!(
            "  [{number}] {}: {}/{} ({}) {} bytes {}-{}{path}{anchor}",
            citation.title,
            citation.type_name,
            citation.id,
            citation.locale,
            citation.field,
            citation.from,
            citation.to
        ));
    }
    output::line(format!("{}, confidence {:.2}", answered.release, answered.confidence));
    output::note(format!("Answer again: ashlar replay {}", answered.trace));
}

pub async fn replay(args: ReplayArgs) -> Done {
    let text = match args.trace.as_str() {
        "-" => {
            let mut text = String::new();
            let limit = TRACE_BYTES_MAX as u64 + 1_000;
            let read = std::io::stdin().take(limit).read_to_string(&mut text);
            read.map_err(|e| CliError::new(3, "file", format!("could not read standard input: {e}"), ""))?;
            text
        }
        text => text.to_owned(),
    };
    let trace = Trace::decode(&text)
        .map_err(|e| CliError::input(e.to_string(), "give the `trace` of an answer, unchanged"))?;
    let answered = match Backend::open(&args.at).await? {
        Backend::Remote(remote) => {
            let call = rows::ANSWER_QUESTION.call().with("at", &trace.release);
            read(remote.call(call, Some(json!({"trace": text.trim()}))).await?)?
        }
        Backend::Local(local) => {
            let asked = trace.clone();
            here(&local, Some(&trace.release), move |view| view.ask(&Asked::of(&asked)?, Asker::of(&asked)))
                .await?
        }
    };
    let found = answered.digest();
    let same = found == trace.answer;
    if args.at.format == Format::Json {
        output::print_json(&json!({
            "same": same, "release": trace.release, "expected": trace.answer, "found": found,
            "rules": {"then": trace.engine, "now": Trace::decode(&answered.trace).map(|now| now.engine).ok()},
            "answer": answered,
        }));
    } else {
        show(&answered);
        output::line(match same {
            true => "The answer is the same.".to_owned(),
            false => "The answer has changed.".to_owned(),
        });
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
