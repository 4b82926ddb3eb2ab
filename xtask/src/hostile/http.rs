//! Plain HTTP/1.1 with deadlines: no request of a hostile run may wait for ever.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// The most that is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, in lower case; several are joined.
    pub fn header(&self, name: &str) -> Option<String> {
        let all: Vec<&str> = self
            .head
            .lines()
            .filter_map(|l| l.split_once(':').filter(|(n, _)| *n == name).map(|(_, v)| v.trim()))
            .collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Whether the body contains a text.
    pub fn contains(&self, text: &str) -> bool {
        self.body.windows(text.len().max(1)).any(|w| w == text.as_bytes())
            || self.head.contains(&text.to_ascii_lowercase())
    }
}

/// What became of a request.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was answered.
    Answered(Answer),
    /// The connection ended before an answer.
    Closed,
    /// Nothing came until the deadline.
    Silent,
    /// Nobody listens.
    Refused,
}

/// A connection that is kept.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

impl Client {
    /// Connects, within five seconds.
    pub fn open(address: &str) -> Option<Self> {
        let to = address.to_socket_addrs().ok()?.next()?;
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream, read: Vec::new() })
    }

    /// Sends bytes and waits for one answer.
    pub fn ask(&mut self, request: &[u8], deadline: Duration) -> Outcome {
        let until = Instant::now() + deadline;
        let _ = self.stream.set_write_timeout(Some(deadline.max(Duration::from_millis(1))));
        // Who refuses a body early closes before all of it is sent; the answer may be there all the same.
        let _ = self.stream.write_all(request);
        self.answer(until)
    }

    fn more(&mut self, until: Instant) -> Option<Result<usize, ()>> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let _ = self.stream.set_read_timeout(Some(left));
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(n) => {
                self.read.extend_from_slice(&buffer[..n]);
                Some(Ok(n))
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                None
            }
            Err(_) => Some(Err(())),
        }
    }

    fn answer(&mut self, until: Instant) -> Outcome {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end;
            }
            match self.more(until) {
                None => return Outcome::Silent,
                Some(Ok(0) | Err(())) => return Outcome::Closed,
                Some(Ok(_)) => {}
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
        let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
        let answer = Answer { status, head, body: Vec::new() };
        let length = answer.header("content-length").and_then(|l| l.parse::<usize>().ok());
        let chunked = answer.header("transfer-encoding").is_some_and(|t| t.contains("chunked"));
        let start = end + 4;
        let mut whole = false;
        let stop = loop {
            let have = self.read.len() - start;
            let done = match (length, chunked) {
                (Some(length), _) if have >= length => Some(length),
                (None, true) if self.read.ends_with(b"0\r\n\r\n") => Some(have),
                _ if whole || have > ANSWER_BYTES_MAX => Some(have),
                _ => None,
            };
            if let Some(stop) = done {
                break stop;
            }
            match self.more(until) {
                None => return Outcome::Silent,
                Some(Ok(0) | Err(())) => whole = true,
                Some(Ok(_)) => {}
            }
        };
        let rest = self.read.split_off(start + stop);
        let body = self.read.split_off(start);
        self.read = rest;
        Outcome::Answered(Answer { body, ..answer })
    }
}

/// Sends bytes on a connection of their own.
pub fn send(address: &str, request: &[u8], deadline: Duration) -> Outcome {
    match Client::open(address) {
        Some(mut client) => client.ask(request, deadline),
        None => Outcome::Refused,
    }
}

/// A request's bytes.
pub fn request(
    method: &str,
    path: &str,
    host: &str,
    key: Option<&str>,
    headers: &[(String, String)],
    body: Option<&[u8]>,
    keep: bool,
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    if !keep {
        head.push_str("connection: close\r\n");
    }
    if let Some(key) = key {
        head.push_str(&format!("authorization: Bearer {key}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(body.unwrap_or_default());
    bytes
}
