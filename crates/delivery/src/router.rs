//! Answering a request: what a path names, and who may take how long to answer.

use bytes::Bytes;

use crate::{
    Answer, GRAPHQL, Problem, Quick, ReleaseView, RequestParts, Written,
    cache::ready::Look,
    crawl,
    http::message::{Out, Pace},
    read::{
        entry::{Failure, entries, entry, method, problem, shaped},
        graphql,
    },
    site,
};

/// Answers a request from a release, as an HTTP/1.1 message at the end of `out`; `None`, and nothing written, when the
/// path is that of nothing: entries, views, `/graphql`, redirects, sitemap and feeds. The same request gives the same bytes.
pub fn write_answer(view: &ReleaseView, parts: &RequestParts<'_>, out: &mut Vec<u8>) -> Option<Written> {
    match write_at(view, parts, Pace::Any, out) {
        Quick::Written(written) => Some(written),
        Quick::Nothing | Quick::Heavy => None,
    }
}

/// As [`write_answer`], for threads that serve: what takes long is left to others.
pub fn write_quick(view: &ReleaseView, parts: &RequestParts<'_>, out: &mut Vec<u8>) -> Quick {
    write_at(view, parts, Pace::Quick, out)
}

fn write_at(view: &ReleaseView, parts: &RequestParts<'_>, pace: Pace, out: &mut Vec<u8>) -> Quick {
    let start = out.len();
    answer_into(view, parts, &mut Out { buf: out, start, pace, shared: None })
}

/// Like [`write_answer`] when `patient`, else like [`write_quick`]; but a body that is kept in memory anyway is put into
/// `shared` instead of being copied behind the head.
pub fn share_answer(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    patient: bool,
    out: &mut Vec<u8>,
    shared: &mut Option<Bytes>,
) -> Quick {
    let start = out.len();
    let pace = if patient { Pace::Any } else { Pace::Quick };
    answer_into(view, parts, &mut Out { buf: out, start, pace, shared: Some(shared) })
}

fn answer_into(view: &ReleaseView, parts: &RequestParts<'_>, out: &mut Out<'_>) -> Quick {
    let look = view.caches.look(view, parts, out);
    if let Look::Written(written, _) = look {
        return Quick::Written(written);
    }
    // Whether the same request has the same answer for as long as the release is served, and whether it is composed.
    let (mut lasts, mut composed) = (true, false);
    let result = match parts.path.strip_prefix("/v1/entries/") {
        Some(rest) => match method(parts) {
            Err(e) => Err(e),
            Ok(()) => match rest.split_once('/') {
                Some((type_name, id)) => entry(view, parts, type_name, id, out),
                None => entries(view, parts, rest, out),
            },
        },
        None if parts.path == GRAPHQL => {
            lasts = false;
            method(parts).and_then(|()| graphql::answer_get(view, parts, out))
        }
        None => match view.definitions.views.route(parts.path) {
            Some((at, shape, slug)) => {
                composed = !shape.is_whole_entry();
                method(parts).and_then(|()| shaped(view, parts, at, shape, slug, out))
            }
            None => {
                lasts = false;
                let answered = match site::answer(view, parts, out) {
                    Some(answered) => answered,
                    None => match crawl::answer(view, parts, out) {
                        Some(answered) => answered,
                        None => match site::missing(view, parts, out) {
                            Ok(Some(written)) => Ok(written),
                            Ok(None) => return Quick::Nothing,
                            Err(failure) => Err(failure),
                        },
                    },
                };
                method(parts).and(answered)
            }
        },
    };
    if matches!(result, Err(Failure::Heavy)) {
        out.buf.truncate(out.start);
        return Quick::Heavy;
    }
    let written = finish(view, parts, result, out);
    if let (Look::Wanted(hash), true) = (look, lasts) {
        view.caches.keep_ready(hash, view, parts, (&*out, &written, composed));
    }
    Quick::Written(written)
}

/// Answers `POST /graphql` with this body, like [`share_answer`].
pub fn write_graphql(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    out: &mut Vec<u8>,
    shared: &mut Option<Bytes>,
) -> Written {
    let start = out.len();
    let mut out = Out { buf: out, start, pace: Pace::Any, shared: Some(shared) };
    let result = graphql::answer_post(view, parts, body, &mut out);
    finish(view, parts, result, &mut out)
}

/// Like [`write_graphql`] when `patient`; otherwise what takes long is left to others.
pub fn share_graphql(
    view: &ReleaseView,
    parts: &RequestParts<'_>,
    body: &[u8],
    patient: bool,
    out: &mut Vec<u8>,
    shared: &mut Option<Bytes>,
) -> Quick {
    let start = out.len();
    let pace = if patient { Pace::Any } else { Pace::Quick };
    let mut out = Out { buf: out, start, pace, shared: Some(shared) };
    match graphql::answer_post(view, parts, body, &mut out) {
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
        Err(Failure::Problem(p)) => problem(&p, Some(view.label()), parts, out),
        Err(Failure::Broken(e)) => {
            tracing::error!(release = view.label, path = parts.path, error = %e, "a release cannot be read");
            // Damaged or missing on this node: another one, or this one once it is whole again, can answer.
            let p = Problem::new(503, "unreadable", "Cannot be read", "a part of the release is damaged or missing")
                .help("try again later; `ashlar release verify` shows what is damaged, and `ashlar release import` restores it");
            problem(&p, Some(view.label()), parts, out)
        }
        Err(Failure::Heavy) => problem(&busy(), Some(view.label()), parts, out),
    }
}

/// What is said when there is no room for more work.
pub fn busy() -> Problem {
    Problem::new(503, "busy", "Too much to do", "the server has too much to do to make this answer now")
        .help("send the request again in a moment")
}

/// Writes a problem as an HTTP/1.1 message at the end of `out`.
pub fn write_problem(problem_: &Problem, parts: &RequestParts<'_>, out: &mut Vec<u8>) -> Written {
    let start = out.len();
    problem(problem_, None, parts, &mut Out { buf: out, start, pace: Pace::Any, shared: None })
}

/// [`write_answer`] taken apart, for doors that do not speak HTTP/1.1 themselves.
pub fn answer(view: &ReleaseView, parts: &RequestParts<'_>) -> Option<Answer> {
    let mut out = Vec::with_capacity(4096);
    let mut shared = None;
    let Quick::Written(written) = share_answer(view, parts, true, &mut out, &mut shared) else { return None };
    Some(Answer::read(out, written, shared))
}

impl Answer {
    /// Takes apart what [`share_answer`] or [`write_problem`] wrote into an empty buffer, and the body beside it.
    pub fn read(message: Vec<u8>, written: Written, shared: Option<Bytes>) -> Self {
        let message = Bytes::from(message);
        let head_len = written.head_len.min(message.len());
        let body = shared.unwrap_or_else(|| message.slice(head_len..));
        let head = String::from_utf8_lossy(&message[..head_len]);
        let headers = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self { status: written.status, headers, body }
    }
}
