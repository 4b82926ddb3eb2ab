//! Requests over connections that stay open.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{Result, mock};

/// Where requests go, and what they consist of.
#[derive(Clone)]
pub struct Target {
    /// `host:port`
    pub address: String,
    /// The path of chat completions.
    pub path: String,
    /// The model that is asked for.
    pub model: String,
    /// The key.
    pub key: String,
}

impl Target {
    fn request(&self, question: &str, streams: bool) -> Vec<u8> {
        let stream = if streams { ",\"stream\":true" } else { "" };
        let body = format!(
            "{{\"model\":\"{}\",\"messages\":[{{\"role\":\"system\",\"content\":\"You answer questions about a harbour.\"}},\
             {{\"role\":\"user\",\"content\":\"{question}\"}}],\"max_tokens\":100{stream}}}",
            self.model
        );
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            self.key,
            body.len()
        )
        .into_bytes()
    }

    fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let read = BufReader::new(stream.try_clone()?);
        Ok(Connection { stream, read })
    }

    /// One request; returns the answer's body.
    pub fn ask(&self) -> Result<String> {
        let mut connection = self.connect()?;
        connection.ask(&self.request("When is the tide high?", false))
    }

    /// Asks over so many connections for so long; returns how long each answer took, in milliseconds, in order.
    pub fn load(&self, connections: usize, time: Duration) -> Result<Vec<f64>> {
        let request = self.request("When is the tide high?", false);
        let asking = |_| -> Result<Vec<f64>> {
            let mut connection = self.connect()?;
            let until = Instant::now() + time;
            let mut took = Vec::new();
            while Instant::now() < until {
                let started = Instant::now();
                connection.ask(&request)?;
                took.push(started.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(took)
        };
        let mut all = Vec::new();
        std::thread::scope(|scope| -> Result<()> {
            let running: Vec<_> = (0..connections)
                .map(|number| scope.spawn(move || asking(number).map_err(|e| e.to_string())))
                .collect();
            for one in running {
                all.extend(one.join().map_err(|_| "a client ended early")??);
            }
            Ok(())
        })?;
        all.sort_by(f64::total_cmp);
        Ok(all)
    }

    /// How old each chunk of a stream is when it arrives, in milliseconds, in order.
    pub fn stream(&self) -> Result<Vec<f64>> {
        let mut connection = self.connect()?;
        let mut ages = Vec::new();
        connection.send(&self.request("When is the tide high?", true))?;
        connection.lines(&mut |line| {
            ages.extend(mock::age_ms(line));
            line.trim_end() != "data: [DONE]"
        })?;
        if ages.len() != mock::CHUNKS {
            return Err(format!("{} of {} chunks came", ages.len(), mock::CHUNKS).into());
        }
        ages.sort_by(f64::total_cmp);
        Ok(ages)
    }

    /// A client that keeps its connection.
    pub fn client(&self) -> Result<Calling> {
        let question = "When is the tide high?";
        let requests = [false, true].map(|streams| self.request(question, streams));
        Ok(Calling { connection: self.connect()?, requests })
    }

    /// Opens a stream and waits for its first chunk; the stream lasts as long as the value.
    pub fn hold(&self) -> Result<TcpStream> {
        let mut connection = self.connect()?;
        connection.send(&self.request(mock::WAITS, true))?;
        connection.lines(&mut |line| mock::age_ms(line).is_none())?;
        Ok(connection.stream)
    }
}

/// A client that keeps its connection.
pub struct Calling {
    connection: Connection,
    requests: [Vec<u8>; 2],
}

impl Calling {
    /// One call, to the end of its answer.
    pub fn call(&mut self, streams: bool) -> Result<()> {
        self.connection.ask(&self.requests[usize::from(streams)]).map(drop)
    }
}

struct Connection {
    stream: TcpStream,
    read: BufReader<TcpStream>,
}

/// What the head of an answer says.
struct Head {
    length: usize,
    chunked: bool,
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    fn head(&mut self) -> Result<Head> {
        let mut head = Head { length: 0, chunked: false };
        let (mut line, mut status) = (String::new(), String::new());
        loop {
            line.clear();
            if self.read.read_line(&mut line)? == 0 {
                return Err("the connection was closed".into());
            }
            if status.is_empty() {
                status.clone_from(&line);
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                head.length = value.trim().parse()?;
            }
            head.chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
        }
        if status.get(9..12) != Some("200") {
            let body = self.body(&head)?;
            return Err(format!("{} {}", status.trim_end(), String::from_utf8_lossy(&body)).into());
        }
        Ok(head)
    }

    fn body(&mut self, head: &Head) -> Result<Vec<u8>> {
        Ok(match head.chunked {
            true => mock::chunks(&mut self.read)?,
            false => mock::exactly(&mut self.read, head.length)?,
        })
    }

    fn ask(&mut self, request: &[u8]) -> Result<String> {
        self.send(request)?;
        let head = self.head()?;
        Ok(String::from_utf8(self.body(&head)?)?)
    }

    /// Hands over the lines of a stream, until there are no more or `each` has had enough.
    fn lines(&mut self, each: &mut dyn FnMut(&str) -> bool) -> Result<()> {
        self.head()?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.read.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.starts_with("data:") && !each(&line) {
                return Ok(());
            }
        }
    }
}
