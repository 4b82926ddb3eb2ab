//! Connections that are not for the lane go on in hyper, from the first byte that was not answered.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tower::ServiceExt;

use crate::front::with_letters;

use super::{
    bodies::{Answering, Open, Patient},
    progress::{PREFACE, Progress},
    shared::Shared,
};

/// Streams of an HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 200;
/// Streams that a client has reset and the server has not looked at yet.
const RESETS_MAX: usize = 20;
/// Streams that the server has reset because of what the client sent.
const FAULTS_MAX: usize = 256;
/// What a client may send ahead on an HTTP/2 stream and connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// What is kept of an answer of an HTTP/2 stream beside the piece that is being sent.
const SEND_BYTES: usize = 64 << 10;

/// A stream that first gives bytes that were read from it before, and notes when it gets on.
struct Watched {
    before: Vec<u8>,
    at: usize,
    stream: TcpStream,
    /// Bytes of HTTP/2's preface so far; `None` when it is something else, or whole.
    preface: Option<usize>,
    progress: Arc<Progress>,
    shared: Arc<Shared>,
}

impl Watched {
    fn noted<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.progress.wrote(written.is_ready(), self.shared.clock.now_ms());
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let from = buf.filled().len();
        if self.at < self.before.len() {
            let len = buf.remaining().min(self.before.len() - self.at);
            buf.put_slice(&self.before[self.at..self.at + len]);
            self.at += len;
            if self.at == self.before.len() {
                self.before = Vec::new();
                self.at = 0;
            }
        } else {
            match Pin::new(&mut self.stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        let read = &buf.filled()[from..];
        if !read.is_empty() {
            self.preface = self.progress.read(read, self.preface, self.shared.clock.now_ms());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Serves the rest of a connection with hyper: HTTP/1.1, or HTTP/2 when it starts with its preface.
pub(super) async fn run(
    stream: TcpStream,
    before: Vec<u8>,
    peer: SocketAddr,
    shared: &Arc<Shared>,
    progress: Arc<Progress>,
) {
    let config = &shared.config;
    let (of_service, seen) = (shared.clone(), progress.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let open = Open::new(seen.clone(), of_service.clone());
        request.extensions_mut().insert(ConnectInfo(peer));
        // Before routes are looked up.
        if let Some(uri) = with_letters(request.uri()) {
            *request.uri_mut() = uri;
        }
        let wait = of_service.config.body;
        let answer = of_service.app.clone().oneshot(request.map(|b| Body::new(Patient::new(b, wait))));
        async move {
            let Ok(response) = answer.await;
            Ok::<_, Infallible>(Answering::watch(response, open))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.idle)
        .max_buf_size(config.head_bytes_max.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(FAULTS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BYTES)
        .max_header_list_size(u32::try_from(config.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(config.idle)
        .keep_alive_timeout(Duration::from_secs(10));
    // A connection whose version must be found out reads as much as a preface has, and then more into a buffer of twice the size.
    // One that allows upgrades finds it out whatever the builder says; nothing here upgrades.
    if !before.is_empty() && !before.starts_with(&PREFACE[..before.len().min(PREFACE.len())]) {
        builder = builder.http1_only();
    }
    let io = TokioIo::new(Watched {
        before,
        at: 0,
        stream,
        preface: Some(0),
        progress: progress.clone(),
        shared: shared.clone(),
    });
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = async { tokio::select! {
            () = shared.stop.cancelled() => {}
            () = progress.leave.notified() => {}
        } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
