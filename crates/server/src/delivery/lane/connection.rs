use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use ashlar_delivery::{GRAPHQL, Quick, RequestParts, Traceparent, write_quick};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    count, handover,
    parse::{Parsed, Plain, parse},
    progress::Progress,
    shared::{Shared, Slot},
};
use crate::front::Address;

/// Buffers larger than this are given back when they are empty again.
const BUFFER_KEPT_MAX: usize = 64 << 10;
/// Answers of pipelined requests are sent when they have this many bytes.
const OUT_BYTES_MAX: usize = 256 << 10;
/// Bytes of answers that may wait for a client without being counted.
const UNCOUNTED_BYTES_MAX: usize = 16 << 10;
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves one connection until it ends.
pub(super) async fn run(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, slot: Arc<Slot>) {
    match lane(&mut stream, peer, &shared, &slot).await {
        Ok(Some(before)) => {
            let progress = Arc::new(Progress::new(shared.clock.now_ms(), slot.of_address.clone()));
            let progress = slot.in_hyper.get_or_init(|| progress).clone();
            handover::run(stream, before, peer, &shared, progress).await;
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
async fn lane(
    stream: &mut TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    slot: &Slot,
) -> io::Result<Option<Vec<u8>>> {
    let mut input: Vec<u8> = Vec::with_capacity(2 << 10);
    let mut out: Vec<u8> = Vec::with_capacity(8 << 10);
    let mut extra: Vec<u8> = Vec::with_capacity(64);
    let mut begun = false;
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
                    if may_read(&request, peer, shared) && answer(&request, shared, &extra, &mut out) {
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
        if input.is_empty() {
            begun = false;
            slot.deadline_ms.store(later(shared, shared.config.idle), Ordering::Relaxed);
        } else if !begun || at > 0 {
            // The rest of the head has to come, however it is cut up.
            begun = true;
            slot.deadline_ms.store(later(shared, shared.config.head), Ordering::Relaxed);
        }
        slot.idle.store(input.is_empty(), Ordering::Relaxed);
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(None);
        }
        slot.idle.store(false, Ordering::Relaxed);
    }
}

/// Whether the address may read once more. When it may not, the full server says so.
fn may_read(request: &Plain<'_>, peer: SocketAddr, shared: &Shared) -> bool {
    match &shared.config.reads {
        // Who is behind a proxy is known to the full server.
        Some(reads) if request.caller.key.is_none() => {
            !shared.config.proxies.trusts(peer.ip()) && reads.take(Address::from(peer.ip()))
        }
        _ => true,
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
        reader: resolved.reader.as_deref(),
        // Searches are answered by the full server.
        asker: None,
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

/// Sends bytes for as long as the client goes on taking some.
async fn send(stream: &mut TcpStream, bytes: &[u8], shared: &Shared, slot: &Slot) -> io::Result<()> {
    let mut sent = match stream.try_write(bytes) {
        Ok(sent) => sent,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
        Err(e) => return Err(e),
    };
    if sent == bytes.len() {
        return Ok(());
    }
    let counted = bytes.len() > UNCOUNTED_BYTES_MAX;
    let charge = counted.then(|| shared.budget.take(bytes.len(), &slot.of_address));
    if matches!(charge, Some(None)) {
        count(&shared.config.figures.answers_refused, 1);
        return Err(io::Error::other("too many answers wait to be read"));
    }
    while sent < bytes.len() {
        slot.deadline_ms.store(later(shared, shared.config.write), Ordering::Relaxed);
        stream.writable().await?;
        match stream.try_write(&bytes[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => sent += more,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
