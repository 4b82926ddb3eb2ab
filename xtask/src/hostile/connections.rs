//! Connections that take a place and give nothing: half prefaces, slow heads and bodies, answers nobody reads, HTTP/2 windows
//! of zero. Few of each, on the loopback interface.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::rig;

/// How many of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Half of an HTTP/2 preface, then nothing.
    pub prefaces: usize,
    /// A head, one byte at a time.
    pub heads: usize,
    /// A body that was announced and comes one byte at a time.
    pub bodies: usize,
    /// Many requests, no answer read.
    pub unread: usize,
    /// HTTP/2 with a window of zero and many requests.
    pub windows: usize,
}

/// One connection and what it sends.
struct Held {
    kind: &'static str,
    stream: TcpStream,
    opened: Instant,
    /// Sent a byte at a time, from the front.
    rest: Vec<u8>,
    sent: usize,
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap_or(0).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A preface with a window of zero, and `n` requests for a large page.
fn window_zero(path: &str, n: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let host = format!("{}.example", rig::HOSTILE);
    // :method GET, :scheme http, :path and :authority as literals without indexing.
    let mut head = vec![0x82, 0x86, 0x04, path.len() as u8];
    head.extend(path.as_bytes());
    head.extend([0x01, host.len() as u8]);
    head.extend(host.as_bytes());
    for i in 0..n {
        bytes.extend(frame(1, 5, i * 2 + 1, &head));
    }
    bytes
}

impl Held {
    fn open(address: &str, kind: &'static str, now: &[u8], rest: Vec<u8>) -> Option<Self> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(1))).ok()?;
        let _ = stream.write_all(now);
        Some(Self { kind, stream, opened: Instant::now(), rest, sent: 0 })
    }

    /// Sends the next byte, if it is one that trickles; `false` when the server has closed.
    fn turn(&mut self) -> bool {
        let reads = !matches!(self.kind, "unread answers" | "window of zero");
        if reads {
            let mut buffer = [0; 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(e)
                    if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                Err(_) => return false,
            }
        } else if self.stream.take_error().ok().flatten().is_some() {
            return false;
        }
        if let Some(byte) = self.rest.get(self.sent) {
            self.sent += 1;
            return self.stream.write_all(&[*byte]).is_ok();
        }
        // What is never read shows a close only when something is written.
        reads
            || self
                .stream
                .write_all(b"\r\n")
                .map_or_else(|e| e.kind() == std::io::ErrorKind::WouldBlock, |()| true)
    }
}

/// Holds connections until `stop`; those that the server closes are opened again. Returns each kind with the longest time one
/// of it was held.
pub fn hold(address: &str, counts: Counts, stop: &AtomicBool) -> Vec<(&'static str, Duration)> {
    let host = format!("{}.example", rig::HOSTILE);
    let slow_head = format!("GET /en/home HTTP/1.1\r\nhost: {host}\r\nx: {}", "a".repeat(4_000)).into_bytes();
    let body_head =
        format!("POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100000\r\n\r\n").into_bytes();
    let unread = format!("GET /openapi.json HTTP/1.1\r\nhost: {host}\r\n\r\n").repeat(400).into_bytes();
    let open = |kind: &'static str| match kind {
        "half prefaces" => Held::open(address, kind, b"PRI * HTTP/2.0\r\n\r\n", Vec::new()),
        "slow heads" => Held::open(address, kind, b"", slow_head.clone()),
        "slow bodies" => Held::open(address, kind, &body_head, vec![b'{'; 90_000]),
        "unread answers" => Held::open(address, kind, &unread, Vec::new()),
        _ => Held::open(address, kind, &window_zero("/openapi.json", 100), Vec::new()),
    };
    let kinds = [
        ("half prefaces", counts.prefaces),
        ("slow heads", counts.heads),
        ("slow bodies", counts.bodies),
        ("unread answers", counts.unread),
        ("window of zero", counts.windows),
    ];
    let mut longest: Vec<(&'static str, Duration)> =
        kinds.iter().map(|(k, _)| (*k, Duration::ZERO)).collect();
    let mut held: Vec<Held> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for (kind, count) in kinds {
            for _ in held.iter().filter(|h| h.kind == kind).count()..count {
                held.extend(open(kind));
            }
        }
        held.retain_mut(|one| {
            let open = one.turn();
            for (kind, time) in &mut longest {
                if *kind == one.kind {
                    *time = (*time).max(one.opened.elapsed());
                }
            }
            open
        });
        std::thread::sleep(Duration::from_millis(500));
    }
    longest
}
