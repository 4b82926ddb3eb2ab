//! `llm`: records and usage of model calls.

use ashlar_gateway::{call::Desk, policy::user_hash, price::decimal};
use ashlar_release::{CallQuery, EraseCalls, Page};
use ashlar_server::{endpoints::rows, models::Standings};
use ashlar_store::sql::{CallRow, UsageBy, UsageRow};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use crate::{
    args::{At, CallsArgs, LlmCommand},
    backend::{self, Backend, Local, value},
    error::{CliError, Done},
    output,
    session::Session,
    words,
};

const CALL_COLUMNS: [(&str, &str); 8] = [
    ("at", "AT"),
    ("feature", "FEATURE"),
    ("route", "ROUTE"),
    ("model", "MODEL"),
    ("outcome", "OUTCOME"),
    ("input_tokens", "IN"),
    ("output_tokens", "OUT"),
    ("cost", "COST"),
];

const USAGE_COLUMNS: [(&str, &str); 10] = [
    ("day", "DAY"),
    ("feature", "FEATURE"),
    ("key", "KEY"),
    ("model", "MODEL"),
    ("calls", "CALLS"),
    ("failed", "FAILED"),
    ("input_tokens", "IN"),
    ("output_tokens", "OUT"),
    ("cost", "COST"),
    ("currency", "CURRENCY"),
];

const PROVIDER_COLUMNS: [(&str, &str); 6] = [
    ("name", "NAME"),
    ("kind", "KIND"),
    ("state", "STATE"),
    ("since", "SINCE"),
    ("last_failure", "LAST FAILURE"),
    ("last_failure_at", "AT"),
];

/// The days that usage covers when none are named.
const USAGE_DAYS: i64 = 30;

pub async fn llm(command: LlmCommand) -> Done {
    match command {
        LlmCommand::Calls(args) => calls(&args).await,
        LlmCommand::Usage { from, to, by, at } => usage((from, to), by, &at).await,
        LlmCommand::Providers { at } => providers(&at).await,
        LlmCommand::Erase { user, at } => erase(user, &at).await,
    }
}

pub fn time(name: &str, text: Option<&String>) -> Result<Option<Timestamp>, CliError> {
    let Some(text) = text else { return Ok(None) };
    let wrong =
        |_| CliError::input(format!("--{name} {text} is not a time"), "write it like 2027-03-01T10:00:00Z");
    text.parse().map(Some).map_err(wrong)
}

fn day(name: &str, text: Option<&String>, usual: Date) -> Result<Date, CliError> {
    let Some(text) = text else { return Ok(usual) };
    text.parse()
        .map_err(|_| CliError::input(format!("--{name} {text} is not a day"), "write it like 2027-03-01"))
}

async fn hashed(local: &Local, user: &str) -> Result<String, CliError> {
    Ok(user_hash(&local.engine.llm_secret(&local.ctx.tenant).await?, user))
}

/// A record with its text, as a server answers it.
pub fn recorded(row: &CallRow) -> Value {
    let mut record: Value = serde_json::from_str(&row.data).unwrap_or_default();
    if !row.body.is_empty() {
        record["text"] = serde_json::from_str(&row.body).unwrap_or_default();
    }
    record
}

async fn calls(args: &CallsArgs) -> Done {
    let session = Session::open(&args.at).await?;
    let (from, to) = (time("from", args.from.as_ref())?, time("to", args.to.as_ref())?);
    let call = rows::LIST_CALLS
        .call()
        .with_any("feature", args.feature.as_deref())
        .with_any("key", args.key_id.as_deref())
        .with_any("user", args.user.as_deref())
        .with_any("outcome", args.outcome.as_deref())
        .with_any("from", args.from.as_deref())
        .with_any("to", args.to.as_deref())
        .with_any("cursor", args.cursor.as_deref())
        .with("limit", args.limit);
    let here = async |local: &Local| -> Result<Page<Value>, CliError> {
        let user = match &args.user {
            Some(user) => Some(hashed(local, user).await?),
            None => None,
        };
        let query = CallQuery {
            feature: args.feature.clone(),
            key: args.key_id.clone(),
            user,
            outcome: args.outcome.clone(),
            from,
            to,
            cursor: args.cursor.clone(),
            limit: Some(args.limit),
        };
        let page = local.engine.calls(&local.ctx, &query).await?;
        Ok(Page { items: page.items.iter().map(recorded).collect(), next_cursor: page.next_cursor })
    };
    let answer = session.read(here, call).await?;
    session.list_page(&answer, &CALL_COLUMNS, "No model calls were recorded.", "--cursor")
}

fn used(row: UsageRow) -> Value {
    let mut item = json!({
        "calls": row.calls, "failed": row.failed, "input_tokens": row.input_tokens,
        "cached_input_tokens": row.cached_tokens, "output_tokens": row.output_tokens,
        "cost": decimal(row.pico), "currency": row.currency,
    });
    let named = [("day", row.day), ("feature", row.feature), ("key", row.key), ("model", row.model)];
    for (name, text) in named.into_iter().filter(|(_, text)| !text.is_empty()) {
        item[name] = json!(text);
    }
    item
}

fn counted_by(names: &[String]) -> Result<UsageBy, CliError> {
    let mut by = UsageBy::default();
    for name in names {
        match name.as_str() {
            "day" => by.day = true,
            "feature" => by.feature = true,
            "key" => by.key = true,
            "model" => by.model = true,
            other => {
                let message = format!("usage cannot be counted by `{other}`");
                return Err(CliError::input(message, "name day, feature, key or model"));
            }
        }
    }
    Ok(by)
}

async fn usage((from, to): (Option<String>, Option<String>), names: Vec<String>, at: &At) -> Done {
    let session = Session::open(at).await?;
    let by = counted_by(&names)?;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let last = day("to", to.as_ref(), today)?;
    let first = day("from", from.as_ref(), last.checked_sub(USAGE_DAYS.days()).unwrap_or(last))?;
    let (first, last) = (first.to_string(), last.to_string());
    let call = rows::GET_USAGE.call().with("from", &first).with("to", &last).with("by", names.join(","));
    let here = async |local: &Local| -> Result<Value, CliError> {
        let rows = local.engine.usage(&local.ctx, (&first, &last), by).await?;
        let items: Vec<Value> = rows.into_iter().map(used).collect();
        Ok(json!({"from": first, "to": last, "items": items}))
    };
    let answer = session.read(here, call).await?;
    // Columns of what is summed would be empty.
    let summed = [("day", by.day), ("feature", by.feature), ("key", by.key), ("model", by.model)];
    let hidden = |name: &str| summed.iter().any(|(column, apart)| *column == name && !apart);
    let columns: Vec<(&str, &str)> = USAGE_COLUMNS.into_iter().filter(|(name, _)| !hidden(name)).collect();
    if session.json {
        output::print_json(&answer);
    } else {
        output::table(output::items(&answer), &columns, "No model calls were recorded.");
    }
    crate::error::done()
}

async fn providers(at: &At) -> Done {
    let session = Session::open(at).await?;
    // Another process runs no calls of its own: what it knows is what the file says.
    let here = async |local: &Local| -> Result<Standings, CliError> {
        let (providers, _) = backend::providers(backend::remembered(at)?.data.as_deref())?;
        Ok(Standings::of(&Desk::new(providers), &local.ctx.tenant))
    };
    let answer = session.read(here, rows::LIST_PROVIDERS.call()).await?;
    session.list(&answer, &PROVIDER_COLUMNS, "No providers. Add [providers.NAME] to models.toml.")
}

async fn erase(user: String, at: &At) -> Done {
    let session = Session::open(at).await?;
    let answer = match &session.backend {
        Backend::Local(local) => {
            let user = hashed(local, &user).await?;
            let erased = local.run(EraseCalls { user }).await?;
            value(json!({"calls": erased.calls, "reviews": erased.reviews}))?
        }
        Backend::Remote(remote) => remote.call(rows::ERASE_CALLS.at([&user]), None).await?,
    };
    let sentence = format!("Deleted {}.", words::count_in(&answer, "calls", "record", "records"));
    session.report(&answer, &sentence)
}
