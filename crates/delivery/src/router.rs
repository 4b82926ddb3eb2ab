//! Answering a request: what a path names, and who may take how long to answer.

use bytes::Bytes;

use crate::{
    cache::Look,
    crawl,
    error::Failure,
    http::{Answer, GRAPHQL, Out, Pace, Problem, Quick, RequestParts, Written, busy},
    read::{answers, entry, graphql, list, search, view},
    release::ReleaseView,
    site,
};

/// Answers a request from a release, as an HTTP/1.1 message at the end of `out`. The same request gives the same bytes. What
/// takes long is left to others.
pub fn write_quick(view: &ReleaseView, parts: &RequestParts<'_>, out: &mut Vec<u8>) -> Quick {
    let start = out.len();
    answer_into(view, parts, &mut Out { buf: out, start, pace: Pace::of(false), shared: None })
}

/// As [`write_quick`], and with what takes long when `patient`. A body that is kept in memory anyway is put into `shared`
/// instead of being copied behind the head.
pub fn share_answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    patient: bool,
    out: &mut Vec<u8>,
    shared: &mut Option<Bytes>,
) -> Quick {
    let start = out.len();
    answer_into(view, parts, &mut Out { buf: out, start, pace: Pace::of(patient), shared: Some(shared) })
}

fn answer_into(view: &ReleaseView, parts: &RequestParts<'_>, out: &mut Out<'_>) -> Quick {
    let look = view.caches.look(view.number, parts, out);
    if let Look::Written(written, _) = look {
        return Quick::Written(written);
    }
    let Some((result, lasts)) = routed(view, parts, out) else { return Quick::Nothing };
    if matches!(result, Err(Failure::Heavy)) {
        out.buf.truncate(out.start);
        return Quick::Heavy;
    }
    let written = finish(view, parts, result, out);
    if let (Look::Wanted(hash), Lasts::Release { composed }) = (look, lasts) {
        view.caches.keep_ready(hash, view.number, parts, (&*out, &written, composed));
    }
    Quick::Written(written)
}

/// How long the same request has the same answer.
enum Lasts {
    /// For as long as the release is served. Whether the body is composed.
    Release { composed: bool },
    /// It is found or kept elsewhere.
    Unknown,
}

/// Answers what a path names; `None`, and nothing written, when that is nothing.
fn routed(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    out: &mut Out<'_>,
) -> Option<(Result<Written, Failure>, Lasts)> {
    let only_reads = || Problem::unless_read(parts).map_err(Failure::from);
    if let Some(rest) = parts.path.strip_prefix("/v1/entries/") {
        let answered = only_reads().and_then(|()| match rest.split_once('/') {
            Some((type_name, id)) => entry::answer(view, parts, type_name, id, out),
            None => list::answer(view, parts, rest, out),
        });
        return Some((answered, Lasts::Release { composed: false }));
    }
    if parts.path == search::SEARCH {
        let answered = only_reads().and_then(|()| search::answer(view, parts, out));
        return Some((answered, Lasts::Unknown));
    }
    if parts.path == search::SUGGEST {
        let answered = only_reads().and_then(|()| search::suggest(view, parts, out));
        return Some((answered, Lasts::Unknown));
    }
    if parts.path == search::CLICKS {
        return Some((Err(search::clicks_are_posted(parts).into()), Lasts::Unknown));
    }
    if parts.path == answers::ANSWERS {
        return Some((Err(answers::only_posted(parts).into()), Lasts::Unknown));
    }
    if parts.path == GRAPHQL {
        let answered = only_reads().and_then(|()| graphql::answer::answer_get(view, parts, out));
        return Some((answered, Lasts::Unknown));
    }
    if let Some((at, shape, slug)) = view.definitions.views.route(parts.path) {
        let answered = only_reads().and_then(|()| view::answer(view, parts, at, shape, slug, out));
        return Some((answered, Lasts::Release { composed: !shape.is_whole_entry() }));
    }
    let answered = match site::answer(view, parts, out).or_else(|| crawl::answer(view, parts, out)) {
        Some(answered) => answered,
        None => site::missing(view, parts, out).transpose()?,
    };
    Some((only_reads().and(answered), Lasts::Unknown))
}

/// Answers `POST /graphql`, `POST /v1/answers` or `POST /v1/search/clicks` with this body, like [`share_answer`].
pub fn share_posted(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    patient: bool,
    out: &mut Vec<u8>,
    shared: &mut Option<Bytes>,
) -> Quick {
    let start = out.len();
    let mut out = Out { buf: out, start, pace: Pace::of(patient), shared: Some(shared) };
    let answered = match parts.path {
        answers::ANSWERS => answers::answer(view, parts, body, &mut out),
        search::CLICKS => search::click(view, parts, body, &mut out),
        _ => graphql::answer::answer_post(view, parts, body, &mut out),
    };
    match answered {
        Err(Failure::Heavy) => {
            out.buf.truncate(start);
            Quick::Heavy
        }
        result => Quick::Written(finish(view, parts, result, &mut out)),
    }
}

fn finish(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    result: Result<Written, Failure>,
    out: &mut Out<'_>,
) -> Written {
    match result {
        Ok(written) => written,
        Err(Failure::Problem(problem)) => problem.write(Some(view.label()), parts, out),
        Err(Failure::Broken(e)) => {
            tracing::error!(release = view.label, path = parts.path, error = %e, "a release cannot be read");
            // Damaged or missing on this node: another one, or this one once it is whole again, can answer.
            let p = Problem::new(503, "unreadable", "Cannot be read", "a part of the release is damaged or missing")
                .help("try again later; `ashlar release verify` shows what is damaged, and `ashlar release import` restores it");
            p.write(Some(view.label()), parts, out)
        }
        Err(Failure::Heavy) => busy().write(Some(view.label()), parts, out),
    }
}

/// Writes a problem as an HTTP/1.1 message at the end of `out`.
pub fn write_problem(problem: &Problem, parts: &RequestParts<'_>, out: &mut Vec<u8>) -> Written {
    let start = out.len();
    problem.write(None, parts, &mut Out { buf: out, start, pace: Pace::Any, shared: None })
}

/// The answer to a request taken apart, for doors that do not speak HTTP/1.1 themselves; `None` when the path is that of
/// nothing: neither an entry, a view, a page, `/graphql`, a redirect, a sitemap nor a feed.
pub fn answer(view: &ReleaseView, parts: &RequestParts<'_>) -> Option<Answer> {
    let mut out = Vec::with_capacity(4096);
    let mut shared = None;
    let Quick::Written(written) = share_answer(view, parts, true, &mut out, &mut shared) else { return None };
    Some(Answer::read(out, written, shared))
}
