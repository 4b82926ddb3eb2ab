//! A stand-in for a provider: a real server that answers as it is told, and remembers what it was asked.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

/// A part of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Bytes.
    Send(Vec<u8>),
    /// Nothing for a while.
    Wait(Duration),
    /// The connection ends.
    Close,
}

impl Step {
    pub fn text(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }

    /// A whole answer.
    pub fn json(status: u16, body: &str) -> Self {
        Self::text(&format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// The head of an answer in pieces, which ends with the connection.
    pub fn begin_events() -> Self {
        Self::text("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    }

    /// A whole answer in pieces.
    pub fn events(events: &[String]) -> Self {
        let body = events.concat();
        Self::text(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

type Script = dyn Fn(&Asked, usize) -> Vec<Step> + Send + Sync;

pub struct Standin {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Ok(0), |(_, value)| value.parse()).ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path, headers, body })
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<Asked>>, script: &Script) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let number = {
            let mut all = asked.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        let mut closes = false;
        for step in script(&request, number) {
            match step {
                Step::Send(bytes) => {
                    closes |= String::from_utf8_lossy(&bytes).contains("connection: close");
                    if writer.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Step::Wait(time) => thread::sleep(time),
                Step::Close => closes = true,
            }
        }
        if closes {
            let _ = writer.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

impl Standin {
    /// A stand-in that answers the request with this number (from 0) by these steps.
    pub fn new(script: impl Fn(&Asked, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let noted = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, script) = (noted.clone(), script.clone());
                thread::spawn(move || serve(stream, &noted, script.as_ref()));
            }
        });
        Self { url, asked }
    }

    /// An address at which nobody listens.
    pub fn gone() -> Self {
        let url = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        Self { url, asked: Arc::default() }
    }

    pub fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}
