//! Bodies of requests and answers that pass through hyper, watched.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures::FutureExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::{budget::Charge, count, progress::Progress, shared::Shared};

/// Answers are given out in pieces of this size, so that hyper asks again when the client has taken one.
const PIECE_BYTES: usize = 32 << 10;
const NO_ROOM: &str = r#"{"type":"urn:ashlar:problem:busy","title":"Service Unavailable","status":503,"detail":"too many answers wait to be read","help":"read the answers that are under way, then try again"}"#;

/// The body of a request made no progress for too long.
#[derive(Debug)]
pub struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request stalled")
    }
}

impl std::error::Error for Stalled {}

/// Whether reading a body failed because its client stopped sending.
pub fn stalled(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| e.is::<Stalled>())
}

/// The body of a request, which fails when nothing of it comes for a while.
pub(super) struct Patient {
    inner: Incoming,
    wait: Duration,
    /// Made when there is something to wait for.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patient {
    pub(super) fn new(inner: Incoming, wait: Duration) -> Self {
        Self { inner, wait, timer: None, waiting: false }
    }
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let wait = self.wait;
        let begins = !std::mem::replace(&mut self.waiting, true);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(wait)));
        if begins {
            timer.as_mut().reset(Instant::now() + wait);
        }
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Stalled.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A request from its head to the last byte of its answer.
pub(super) struct Open {
    pub(super) progress: Arc<Progress>,
    shared: Arc<Shared>,
}

impl Open {
    pub(super) fn new(progress: Arc<Progress>, shared: Arc<Shared>) -> Self {
        progress.begin();
        Self { progress, shared }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.progress.end(self.shared.clock.now_ms());
    }
}

/// The body of an answer.
pub(super) struct Answering {
    inner: Body,
    /// What of it is at hand.
    rest: Bytes,
    /// Whether bytes were given out that the client has not taken.
    owing: bool,
    _charge: Option<Charge>,
    open: Open,
}

impl Answering {
    /// Watches an answer; one that the budget has no room for becomes a problem.
    pub(super) fn watch(response: Response, open: Open) -> hyper::Response<Self> {
        let (parts, mut inner) = response.into_parts();
        let mut rest = Bytes::new();
        // The size of a body that is whole is known; a stream has none.
        if inner.size_hint().exact().is_some_and(|len| len > 0)
            && let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut inner).poll_frame(cx)).now_or_never()
            // A body with a size gives neither trailers nor an error.
            && let Some(Ok(Ok(data))) = frame.map(|frame| frame.map(Frame::into_data))
        {
            rest = data;
        }
        let (budget, config) = (&open.shared.budget, &open.shared.config);
        let charge = budget.hold(&rest, &open.progress, config.answer_bytes_per_connection);
        if charge.is_none() {
            count(&config.figures.answers_refused, 1);
            let mut refused = hyper::Response::new(Self {
                inner: Body::empty(),
                rest: Bytes::from_static(NO_ROOM.as_bytes()),
                owing: false,
                _charge: None,
                open,
            });
            *refused.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            let headers = refused.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return refused;
        }
        hyper::Response::from_parts(parts, Self { inner, rest, owing: false, _charge: charge, open })
    }

    fn paid(&mut self) {
        if std::mem::take(&mut self.owing) {
            self.open.progress.paid(self.open.shared.clock.now_ms());
        }
    }

    /// The next piece of what is at hand.
    fn piece(&mut self) -> Frame<Bytes> {
        self.owing = true;
        self.open.progress.owe(self.open.shared.clock.now_ms());
        let len = self.rest.len().min(PIECE_BYTES);
        Frame::data(self.rest.split_to(len))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.paid();
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.paid();
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if data.is_empty() => Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(data) => {
                    self.rest = data;
                    Poll::Ready(Some(Ok(self.piece())))
                }
                Err(other) => Poll::Ready(Some(Ok(other))),
            },
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let here = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(here));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(here));
        }
        hint
    }
}
