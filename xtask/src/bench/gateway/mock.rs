//! A stand-in for a hosted model: it speaks the chat format of OpenAI and answers at once.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::Result;

/// The most of a request that is read, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Chunks of a stream, and what lies between them.
pub const CHUNKS: usize = 200;
const BETWEEN: Duration = Duration::from_millis(2);
/// A question with this word gets a stream that begins and then waits.
pub const WAITS: &str = "please-wait";
/// How long such a stream waits.
const WAIT: Duration = Duration::from_secs(60);
/// A thread per connection needs little.
const STACK_BYTES: usize = 96 << 10;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"The tide is high at noon, and low in the evening."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":12,"total_tokens":32}}"#;

/// Nanoseconds of the clock on the wall, which processes share.
pub fn now_ns() -> u128 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos()
}

/// Starts it; returns its address.
pub fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = move || drop(serve(&stream));
            let _ = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(serve);
        }
    });
    Ok(address)
}

/// The body of the next request; `None` when the connection has ended.
pub fn request(read: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let (mut length, mut chunked, mut line) = (0, false, String::new());
    loop {
        line.clear();
        if read.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let lower = line.trim_end().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
    }
    if chunked { chunks(read) } else { exactly(read, length) }.map(Some)
}

/// The answer of the model `echo`: the last message.
fn echo(body: &str) -> String {
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let last = asked["messages"].as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
    let mut answer: Value = serde_json::from_str(ANSWER).unwrap_or_default();
    answer["choices"][0]["message"]["content"] = last["content"].clone();
    answer.to_string()
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = (BufReader::new(stream), stream);
    while let Some(body) = request(&mut read)? {
        let body = String::from_utf8_lossy(&body);
        let streams = body.contains("\"stream\":true") || body.contains("\"stream\": true");
        if !streams {
            let answer = if body.contains("\"model\":\"echo\"") { echo(&body) } else { ANSWER.to_owned() };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            write.write_all(head.as_bytes())?;
            continue;
        }
        write.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        let waits = body.contains(WAITS);
        for number in 0..CHUNKS {
            if number == 1 && waits {
                std::thread::sleep(WAIT);
            }
            event(write, &format!("{{\"content\":\"@{}@ \"}}", now_ns()), "null")?;
            std::thread::sleep(BETWEEN);
        }
        event(write, "{}", "\"stop\"")?;
        piece(write, "data: [DONE]\n\n")?;
        write.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// A piece of an answer.
pub fn event(write: &TcpStream, delta: &str, finish: &str) -> std::io::Result<()> {
    piece(
        write,
        &format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        ),
    )
}

/// A part of a body in chunks.
pub fn piece(mut write: &TcpStream, text: &str) -> std::io::Result<()> {
    write.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}

/// So many bytes.
pub fn exactly(read: &mut impl Read, length: usize) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; length.min(BODY_BYTES_MAX)];
    read.read_exact(&mut body)?;
    Ok(body)
}

/// A body in chunks, to its end.
pub fn chunks(read: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let (mut out, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        read.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        let bytes = exactly(read, length + 2)?;
        if length == 0 || out.len() > BODY_BYTES_MAX {
            return Ok(out);
        }
        out.extend_from_slice(&bytes[..length]);
    }
}

/// How long ago a moment was that a chunk names, in milliseconds.
pub fn age_ms(chunk: &str) -> Option<f64> {
    let sent: u128 = chunk.split('@').nth(1)?.parse().ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(now.saturating_sub(sent) as f64 / 1e6)
}
