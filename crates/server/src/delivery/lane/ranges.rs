//! Parts of files: `Range` for what is under `/assets/`, and for nothing else. One part at a time.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use futures::FutureExt as _;

/// Whether a request asks for a part of a file.
pub(super) fn wanted(request: &Parts) -> bool {
    request.uri.path().starts_with("/assets/")
        && request.method == Method::GET
        && request.headers.contains_key(header::RANGE)
}

/// What a `Range` header asks for of so many bytes.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// From the first byte up to the last, which is in it.
    Part(usize, usize),
    /// Nothing that is there.
    Beyond,
    /// Something else than one range of bytes: the whole is answered.
    Whole,
}

fn read(range: &str, len: usize) -> Asked {
    let Some((unit, one)) = range.split_once('=') else { return Asked::Whole };
    let Some((first, last)) =
        one.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes"))
    else {
        return Asked::Whole;
    };
    // A number without a bound: digits beyond those of a length are its end.
    let number = |text: &str| -> Option<usize> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            None => Asked::Whole,
            Some(0) => Asked::Beyond,
            Some(_) if len == 0 => Asked::Beyond,
            Some(n) => Asked::Part(len - n.min(len), len - 1),
        },
        (first, last) => {
            let (from, to) = match (number(first), last) {
                (Some(from), "") => (from, usize::MAX),
                (Some(from), last) => match number(last).filter(|to| *to >= from) {
                    Some(to) => (from, to),
                    None => return Asked::Whole,
                },
                (None, _) => return Asked::Whole,
            };
            if from >= len { Asked::Beyond } else { Asked::Part(from, to.min(len - 1)) }
        }
    }
}

/// The part of an answer that its request asks for; the answer itself when it asks for none.
pub(super) fn cut(request: &Parts, response: Response) -> Response {
    if !wanted(request) || response.status() != StatusCode::OK {
        return response;
    }
    let text = |name| request.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    // A part of another version than the one the client has is of no use to it.
    let same = text(header::IF_RANGE).is_none_or(|known| {
        response.headers().get(header::ETAG).is_some_and(|tag| tag.as_bytes() == known.as_bytes())
    });
    let Some(range) = text(header::RANGE).filter(|_| same) else { return response };
    let Some(len) = response.body().size_hint().exact().and_then(|len| usize::try_from(len).ok()) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    // The body is in memory, so this does not wait.
    let bytes = axum::body::to_bytes(body, len).now_or_never().and_then(Result::ok).unwrap_or_default();
    let (status, range, body) = match read(range, bytes.len()) {
        Asked::Whole => return Response::from_parts(parts, Body::from(bytes)),
        Asked::Beyond => {
            parts.headers.remove(header::CONTENT_TYPE);
            (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{}", bytes.len()), Bytes::new())
        }
        Asked::Part(from, to) => (
            StatusCode::PARTIAL_CONTENT,
            format!("bytes {from}-{to}/{}", bytes.len()),
            bytes.slice(from..=to),
        ),
    };
    parts.status = status;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Ok(value) = HeaderValue::try_from(range) {
        parts.headers.insert(header::CONTENT_RANGE, value);
    }
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (range, expected) in [
            ("bytes=0-9", Asked::Part(0, 9)),
            ("Bytes=90-", Asked::Part(90, 99)),
            ("bytes=-5", Asked::Part(95, 99)),
            ("bytes=-500", Asked::Part(0, 99)),
            ("bytes=50-99999999999999999999999", Asked::Part(50, 99)),
            ("bytes=100-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=9-0", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("bytes=a-", Asked::Whole),
        ] {
            assert_eq!(read(range, 100), expected, "{range}");
        }
        assert_eq!(read("bytes=-1", 0), Asked::Beyond);
    }
}
