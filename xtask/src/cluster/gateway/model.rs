//! A stand-in for a model that counts what it answers, and sometimes does not.

use std::{
    collections::BTreeMap,
    io::{BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{super::rig::Result, known::get};
use crate::{bench::gateway::mock, random::Random};

/// Tokens that every request is said to have. The gateway takes it to have more.
pub const TOKENS_IN: u64 = 5;
/// Tokens beyond the maximum that some answers are said to have.
pub const TOKENS_BEYOND: u64 = 40;
/// Pieces of an answer that comes in pieces.
const PIECES: u64 = 5;

/// A call as the stand-in saw it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When it came.
    pub at: Instant,
    /// Whether all of the answer was sent.
    pub whole: bool,
    /// Tokens of the answer, if all of it was sent.
    pub tokens_out: u64,
    /// Of these, tokens beyond the maximum.
    pub beyond: u64,
}

/// What it saw, by the name of the call.
pub type Book = Arc<Mutex<BTreeMap<String, Seen>>>;

/// A stand-in for a model.
pub struct Model {
    /// `host:port`
    pub address: String,
    /// What it saw.
    pub book: Book,
}

/// How a call is answered.
enum Way {
    Answered,
    /// The connection is closed before anything was sent.
    Closed,
    /// Part of the answer is sent.
    Cut,
    /// A refusal.
    Limited,
}

impl Model {
    /// Starts it.
    pub fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let book = Book::default();
        let of = book.clone();
        std::thread::spawn(move || {
            let mut random = Random(seed);
            for stream in listener.incoming().flatten() {
                let (book, random) = (of.clone(), Random(random.next()));
                std::thread::spawn(move || drop(serve(&stream, &book, random)));
            }
        });
        Ok(Self { address, book })
    }
}

fn serve(stream: &TcpStream, book: &Book, mut random: Random) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = BufReader::new(stream);
    while let Some(body) = mock::request(&mut read)? {
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let name = asked["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        let most = asked["max_tokens"].as_u64().unwrap_or(0);
        let beyond = if name.contains("beyond") { TOKENS_BEYOND } else { 0 };
        let tokens_out = match beyond {
            0 => random.below(most) + 1,
            beyond => most + beyond,
        };
        let way = match random.below(40) {
            0 => Way::Closed,
            1 => Way::Cut,
            2 => Way::Limited,
            _ => Way::Answered,
        };
        if !matches!(way, Way::Limited) {
            let seen = Seen { at: Instant::now(), whole: false, tokens_out: 0, beyond: 0 };
            get(book).insert(name.clone(), seen);
        }
        std::thread::sleep(Duration::from_millis(random.below(40)));
        let usage = json!({"prompt_tokens": TOKENS_IN, "completion_tokens": tokens_out});
        let done = answer(stream, &way, asked["stream"] == true, &usage);
        if matches!(way, Way::Answered)
            && done.is_ok()
            && let Some(seen) = get(book).get_mut(&name)
        {
            (seen.whole, seen.tokens_out, seen.beyond) = (true, tokens_out, beyond);
        }
        done?;
        if !matches!(way, Way::Answered | Way::Limited) {
            return stream.shutdown(std::net::Shutdown::Both);
        }
    }
    Ok(())
}

fn answer(mut stream: &TcpStream, way: &Way, streams: bool, usage: &Value) -> std::io::Result<()> {
    let whole = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    match way {
        Way::Closed => return Ok(()),
        Way::Limited => {
            let body = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
            return stream.write_all(whole("429 Too Many Requests", body).as_bytes());
        }
        Way::Answered | Way::Cut => {}
    }
    let cut = matches!(way, Way::Cut);
    if !streams {
        let body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "counted", "usage": usage,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "High."}, "finish_reason": "stop"}],
        });
        let text = whole("200 OK", &body.to_string());
        let end = if cut { text.len() - 20 } else { text.len() };
        return stream.write_all(&text.as_bytes()[..end]);
    }
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    for _ in 0..PIECES {
        mock::event(stream, r#"{"content":"High. "}"#, "null")?;
        std::thread::sleep(Duration::from_millis(15));
        if cut {
            return Ok(());
        }
    }
    mock::event(stream, "{}", "\"stop\"")?;
    mock::piece(
        stream,
        &format!(
            "data: {{\"id\":\"chatcmpl-1\",\"model\":\"counted\",\"choices\":[],\"usage\":{usage}}}\n\n"
        ),
    )?;
    mock::piece(stream, "data: [DONE]\n\n")?;
    stream.write_all(b"0\r\n\r\n")
}
