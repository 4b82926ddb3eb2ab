//! `GET /v1/search`.

use ashlar_model::Digest;
use bytes::Bytes;

use super::question::Question;
use crate::{
    cache::{Sources, of_sources},
    error::Failure,
    http::{CACHE_CONTROL, Out, RequestParts, Written},
    read::content::{Content, Head, content},
    release::ReleaseView,
};

/// Where a search is answered.
pub(crate) const SEARCH: &str = "/v1/search";
/// Of what is found at some times only, or by meaning as soon as that is ready.
const CACHE_CONTROL_PASSING: &str = "public, no-cache";

/// Answers a search.
pub(crate) fn answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Result<Written, Failure> {
    out.pace.heavy()?;
    let question = Question::parse(view, parts)?;
    let (results, search) = view.results(&question)?;
    // Maps and strings become JSON whatever they contain.
    let body = Bytes::from(serde_json::to_vec(&results).unwrap_or_default());
    let sources = Sources { lists: search.types, ..Sources::default() };
    let surrogate = of_sources(&sources);
    let head = Head {
        locale_named: question.locale_named,
        cache_control: if search.passing { CACHE_CONTROL_PASSING } else { CACHE_CONTROL },
        ..Head::new(&results.locale, Digest::of(&body), &surrogate)
    };
    content(view, parts, &head, &Content::Kept(&body), out)
}
