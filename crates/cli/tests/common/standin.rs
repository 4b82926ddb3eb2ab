//! A stand-in for providers and tool servers.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

/// The header of an answer in JSON.
pub const JSON: &str = "content-type: application/json\r\n";

/// A request that a stand-in was sent.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    /// In lower case.
    pub head: String,
    pub body: Value,
}

/// A server that answers as it is told, and remembers what it was asked.
pub struct Standin {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Script = dyn Fn(&Asked, usize) -> (u16, String, String) + Send + Sync;

fn serve(stream: TcpStream, asked: &Mutex<Vec<Asked>>, script: &Script) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut head) = (String::new(), String::new());
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        while !head.ends_with("\r\n\r\n") && head != "\r\n" {
            reader.read_line(&mut head).ok()?;
        }
        let head = head.to_ascii_lowercase();
        let length =
            head.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let request = Asked {
            line: line.trim().to_owned(),
            head,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        let number = {
            let mut all = asked.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        let (status, headers, body) = script(&request, number);
        write!(writer, "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
            .ok()?;
    }
}

impl Standin {
    pub fn new(script: impl Fn(&Asked, usize) -> (u16, String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, script): (Arc<Mutex<Vec<Asked>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let noted = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, script) = (noted.clone(), script.clone());
                thread::spawn(move || serve(stream, &noted, script.as_ref()));
            }
        });
        Self { url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}
