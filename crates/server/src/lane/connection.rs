use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ashlar_delivery::{GRAPHQL, Quick, RequestParts, Traceparent, write_quick};
use axum::Router;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    LaneConfig, Source,
    clock::Clock,
    handover,
    parse::{Parsed, Plain, parse},
};

/// Buffers larger than this are given back when they are empty again.
const BUFFER_KEPT_MAX: usize = 64 << 10;
/// Answers of pipelined requests are sent when they have this many bytes.
const OUT_BYTES_MAX: usize = 256 << 10;
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What all connections share.
pub(super) struct Shared {
    pub(super) source: Arc<dyn Source>,
    pub(super) app: Router,
    pub(super) config: LaneConfig,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

/// What the sweeper knows of a connection.
pub(super) struct Slot {
    /// When it is closed, in milliseconds of the lane's clock; `u64::MAX` for never.
    pub(super) deadline_ms: AtomicU64,
    /// Whether it waits for a request and nothing of one has come yet.
    pub(super) idle: AtomicBool,
}

impl Slot {
    pub(super) fn new(deadline_ms: u64) -> Self {
        Self { deadline_ms: AtomicU64::new(deadline_ms), idle: AtomicBool::new(true) }
    }
}

/// Serves one connection until it ends.
pub(super) async fn run(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, slot: Arc<Slot>) {
    match lane(&mut stream, &shared, &slot).await {
        Ok(Some(before)) => {
            // Hyper has its own clocks.
            slot.deadline_ms.store(u64::MAX, Ordering::Relaxed);
            slot.idle.store(false, Ordering::Relaxed);
            handover::run(stream, before, peer, shared.app.clone(), &shared.config, &shared.stop).await;
        }
        Ok(None) => {}
        Err(error) => tracing::debug!(%peer, %error, "a connection ended early"),
    }
}

fn later(shared: &Shared, wait: std::time::Duration) -> u64 {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    shared.clock.now_ms().saturating_add(wait)
}

/// Answers plain requests; returns the bytes hyper has to start with, or `None` when the connection is done.
async fn lane(stream: &mut TcpStream, shared: &Shared, slot: &Slot) -> io::Result<Option<Vec<u8>>> {
    let mut input: Vec<u8> = Vec::with_capacity(2 << 10);
    let mut out: Vec<u8> = Vec::with_capacity(8 << 10);
    let mut extra: Vec<u8> = Vec::with_capacity(64);
    loop {
        let mut at = 0;
        let mut other = false;
        let mut close = false;
        while at < input.len() && !other && !close && out.len() < OUT_BYTES_MAX {
            match parse(&input[at..]) {
                Parsed::Partial => break,
                Parsed::Other => other = true,
                Parsed::Plain(request, len) => {
                    close = request.close || shared.stop.is_cancelled();
                    extra.clear();
                    shared.clock.write_date(&mut extra);
                    if close {
                        extra.extend_from_slice(b"connection: close\r\n");
                    }
                    if answer(&request, shared, &extra, &mut out) {
                        at += len;
                    } else {
                        (other, close) = (true, false);
                    }
                }
            }
        }
        input.drain(..at);
        let full = out.len() >= OUT_BYTES_MAX;
        if !out.is_empty() {
            send(stream, &out, shared, slot).await?;
            out.clear();
            if out.capacity() > BUFFER_KEPT_MAX {
                out = Vec::with_capacity(8 << 10);
            }
        }
        if close {
            stream.shutdown().await?;
            return Ok(None);
        }
        if other {
            return Ok(Some(input));
        }
        if full {
            continue;
        }
        if input.len() >= shared.config.head_bytes_max {
            send(stream, TOO_LARGE, shared, slot).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        if input.is_empty() || at > 0 {
            // From here on the next request has to come, whole.
            slot.deadline_ms.store(later(shared, shared.config.idle), Ordering::Relaxed);
        }
        slot.idle.store(input.is_empty(), Ordering::Relaxed);
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(None);
        }
        slot.idle.store(false, Ordering::Relaxed);
    }
}

/// Writes the answer of a request; `false` when the full server has to answer it.
fn answer(request: &Plain<'_>, shared: &Shared, extra_head: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(resolved) = shared.source.resolve(&request.caller) else { return false };
    let traceparent = Traceparent::follow(request.traceparent);
    let parts = RequestParts {
        method: request.method,
        path: request.path,
        query: request.query,
        accept_language: request.accept_language,
        accept_encoding: request.accept_encoding,
        accept: request.accept,
        if_none_match: request.if_none_match,
        traceparent: &traceparent,
        private: !resolved.public,
        developer: resolved.developer,
        extra_head,
    };
    match write_quick(&resolved.release, &parts, out) {
        Quick::Written(written) => {
            shared.source.served(written.status, written.head_len + written.body_len);
            let counted = request.caller.key.is_some() || request.path == GRAPHQL;
            if counted && matches!(written.status, 200 | 304) {
                shared.source.read_by(&request.caller, &resolved.release, request.path, request.query);
            }
            true
        }
        // What takes long is made away from this thread; the full server knows where.
        Quick::Nothing | Quick::Heavy => false,
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8], shared: &Shared, slot: &Slot) -> io::Result<()> {
    let sent = match stream.try_write(bytes) {
        Ok(sent) => sent,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
        Err(e) => return Err(e),
    };
    if sent < bytes.len() {
        slot.deadline_ms.store(later(shared, shared.config.write), Ordering::Relaxed);
        stream.write_all(&bytes[sent..]).await?;
    }
    Ok(())
}
