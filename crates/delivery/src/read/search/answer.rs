//! `GET /v1/search` and `GET /v1/search/suggest`.

use ashlar_model::Digest;
use bytes::Bytes;

use super::{find::Search, question::Question, results::Suggestions};
use crate::{
    cache::{Sources, of_sources},
    error::Failure,
    http::{CACHE_CONTROL, Out, RequestParts, Written},
    read::content::{Content, Head, content},
    release::ReleaseView,
};

/// Where a search is answered.
pub(crate) const SEARCH: &str = "/v1/search";
/// Where the endings of a word are suggested.
pub(crate) const SUGGEST: &str = "/v1/search/suggest";
/// Of what is found at some times only, or by meaning as soon as that is ready.
const CACHE_CONTROL_PASSING: &str = "public, no-cache";

/// Answers a search.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    out.pace.heavy()?;
    let question = Question::parse(view, parts, false)?;
    let (results, search) = view.results(&question)?;
    view.log_search(parts.asker, &question, search.total);
    written(view, parts, (&question, &results.locale), (&results, search), out)
}

/// Answers with endings of the last word.
pub(crate) fn suggest(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    out.pace.heavy()?;
    let question = Question::parse(view, parts, true)?;
    let (suggestions, search): (Suggestions, Search) = view.suggestions(&question)?;
    written(view, parts, (&question, &suggestions.locale), (&suggestions, search), out)
}

fn written(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    (question, locale): (&Question, &str),
    (found, search): (&impl serde::Serialize, Search),
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    // Maps and strings become JSON whatever they contain.
    let body = Bytes::from(serde_json::to_vec(found).unwrap_or_default());
    let cache_control = cache_control(&search);
    let sources = Sources { lists: search.types, ..Sources::default() };
    let surrogate = of_sources(&sources);
    let head = Head {
        locale_named: question.locale_named,
        cache_control,
        ..Head::new(locale, Digest::of(&body), &surrogate)
    };
    content(view, parts, &head, &Content::Kept(&body), out)
}

/// How long what was found may be kept.
pub(crate) fn cache_control(search: &Search) -> &'static str {
    if search.passing { CACHE_CONTROL_PASSING } else { CACHE_CONTROL }
}
