//! `POST /v1/search/clicks`: which hit somebody followed. And what is logged of searches.

use ashlar_model::{EntryId, Locale, TypeName};
use ashlar_retrieval::redact::redacted;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::question::{OFFSET_MAX, QUERY_BYTES_MAX, Question};
use crate::{
    error::Failure,
    http::{EVERY_ORIGIN, Out, Problem, RequestParts, Written, cut},
    read::content::wanted,
    release::ReleaseView,
    search::{Happened, LIMIT_MAX, Logged},
};

/// Where clicks are reported.
pub const CLICKS: &str = "/v1/search/clicks";
/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 4 << 10;
/// The last place of a hit.
const POSITION_MAX: usize = OFFSET_MAX + LIMIT_MAX;
const HELP: &str = "send {\"query\": \"…\", \"type\": \"…\", \"id\": \"…\", \"position\": 1}";

/// A hit that somebody followed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SearchClick")]
pub struct ClickBody {
    /// The query that found it.
    #[schemars(length(max = 1000))]
    query: String,
    /// The content type.
    #[serde(rename = "type")]
    type_name: TypeName,
    /// The id within the type.
    id: EntryId,
    /// The place of the hit, from 1.
    #[schemars(range(min = 1, max = 1050))]
    position: u32,
    /// The language of the search; by `Accept-Language` when absent.
    #[serde(default)]
    locale: Option<Locale>,
}

fn bad(detail: impl Into<String>, help: impl Into<String>) -> Failure {
    Problem::new(400, "invalid-input", "Invalid input", detail).help(help).into()
}

/// What somebody gets who does not post.
pub(crate) fn only_posted(parts: &RequestParts<'_>) -> Problem {
    let detail = format!("{} cannot be used here", cut(parts.method));
    Problem::new(405, "method-not-allowed", "Method not allowed", detail).help(HELP)
}

/// Reads the report of a click.
fn read(view: &ReleaseView, body: &[u8]) -> Result<ClickBody, Failure> {
    if view.definitions.retrieval.log.is_none() {
        return Err(Problem::new(404, "log-off", "Not collected", "this project does not log searches")
            .help("add [log] with days = 30 to retrieval.toml")
            .into());
    }
    if body.len() > BODY_BYTES_MAX {
        let detail = format!("the body has {} bytes; at most {BODY_BYTES_MAX} are read", body.len());
        return Err(Problem::new(413, "body-too-large", "Body too large", detail)
            .help(format!("a query has at most {QUERY_BYTES_MAX} bytes"))
            .into());
    }
    // A list would do for serde as well.
    let read = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
    let click: ClickBody = read
        .and_then(|members| serde_json::from_value(serde_json::Value::Object(members)))
        .map_err(|error| bad(format!("the body cannot be read: {}", cut(&error.to_string())), HELP))?;
    if click.query.trim().is_empty() || click.query.len() > QUERY_BYTES_MAX {
        let detail = format!("`query` has {} bytes", click.query.trim().len());
        return Err(bad(detail, format!("send 1 to {QUERY_BYTES_MAX} bytes")));
    }
    if !(1..=POSITION_MAX).contains(&(click.position as usize)) {
        let detail = format!("`position` is {}", click.position);
        return Err(bad(detail, format!("the first hit has position 1, the last {POSITION_MAX}")));
    }
    Ok(click)
}

/// Takes the report of a click.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    let click = read(view, body)?;
    let locales = match &click.locale {
        Some(named) => view.definitions.locales.named(named.as_str()).ok_or_else(|| {
            let known: Vec<&str> = view.definitions.locales.all().iter().map(Locale::as_str).collect();
            let detail = format!("there is no locale `{named}`");
            let problem = Problem::new(400, "unknown-locale", "Unknown locale", detail);
            Failure::from(problem.help(format!("this project has {}", known.join(", "))))
        })?,
        None => wanted(view, parts)?.0,
    };
    if view.entry(&click.type_name, &click.id, locales.as_slice())?.is_none() {
        let detail = format!("the release has no entry {}/{}", click.type_name, click.id);
        return Err(bad(detail, "send `type` and `id` of the hit"));
    }
    view.caches.searched.clicked();
    let locale = locales.as_slice().first().map(Locale::to_string).unwrap_or_default();
    let entry = format!("{}/{}", click.type_name, click.id);
    view.log(parts.asker, (&click.query, locale), Happened::Clicked { entry, position: click.position });
    out.status(204);
    out.buf.extend_from_slice(parts.extra_head);
    out.header("ashlar-release", &[view.label.as_bytes()]);
    out.header("cache-control", &[b"no-store"]);
    if !parts.private {
        out.buf.extend_from_slice(EVERY_ORIGIN);
    }
    out.header("traceparent", &[parts.traceparent.as_bytes()]);
    Ok(Written { status: 204, head_len: out.end_head(), body_len: 0 })
}

impl ReleaseView {
    /// Logs a search, if the project keeps a log. Further pages of its hits are the same search.
    pub(crate) fn log_search(&self, asker: Option<&str>, question: &Question, total: usize) {
        if question.offset == 0 {
            let locale = question.locales.first().map(Locale::to_string).unwrap_or_default();
            self.log(asker, (&question.text, locale), Happened::Found(total));
        }
    }

    /// Logs what somebody did. Without `asker` it is a preview, or no request at all.
    fn log(&self, asker: Option<&str>, (query, locale): (&str, String), what: Happened) {
        let log = &self.caches.log;
        let wanted = self.definitions.retrieval.log.is_some() && log.is_followed();
        let Some(asker) = asker.filter(|_| wanted) else { return };
        let query = redacted(query);
        if query.is_empty() {
            return;
        }
        let at = Timestamp::now();
        let tenant = self.tenant().clone();
        let caller = log.hashed(&tenant, asker, at);
        log.add(Logged { tenant, at, caller, query, locale, what });
    }
}
