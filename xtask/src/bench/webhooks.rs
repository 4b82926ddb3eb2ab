//! Many webhooks to a receiver that fails one time in five and dies midway, from a server that dies midway too: how long
//! it takes, and that nothing is lost or out of order.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::site::{Result, Site};

/// What a receiver took, in the order it came: the id, the entry and the sequence.
type Taken = Arc<Mutex<Vec<(String, String, u64)>>>;

struct Receiver {
    address: String,
    taken: Taken,
    requests: Arc<AtomicU64>,
    alive: Arc<AtomicBool>,
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => value.clone_into(&mut id),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((id, body))
}

impl Receiver {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver = Self {
            address: listener.local_addr()?.to_string(),
            taken: Arc::default(),
            requests: Arc::default(),
            alive: Arc::new(AtomicBool::new(true)),
        };
        let (taken, requests, alive) =
            (receiver.taken.clone(), receiver.requests.clone(), receiver.alive.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (taken, requests, alive) = (taken.clone(), requests.clone(), alive.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(&stream);
                    while alive.load(Ordering::Relaxed) {
                        let Some((id, body)) = request(&mut reader) else { return };
                        let n = requests.fetch_add(1, Ordering::Relaxed);
                        // It may die with a request in its hands, taken or not.
                        if !alive.load(Ordering::Relaxed) {
                            return;
                        }
                        let answer: &[u8] = if n % 5 == 4 {
                            b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"
                        } else {
                            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                            let entry = body["data"]["entry"]["id"].as_str().unwrap_or_default().to_owned();
                            let sequence = body["data"]["sequence"].as_u64().unwrap_or(0);
                            if let Ok(mut taken) = taken.lock() {
                                taken.push((id, entry, sequence));
                            }
                            b"HTTP/1.1 204 No Content\r\n\r\n"
                        };
                        let _ = (&stream).write_all(answer);
                    }
                });
            }
        });
        Ok(receiver)
    }

    fn distinct(&self) -> usize {
        let taken = self.taken.lock().map(|t| t.clone()).unwrap_or_default();
        taken.iter().map(|(id, ..)| id).collect::<BTreeSet<_>>().len()
    }
}

/// Runs `count` deliveries: half as many entries, each published twice.
///
/// # Errors
/// When something is lost, out of order, or not there in time.
pub fn run(count: usize) -> Result<()> {
    let entries = count / 2;
    let line = |version: usize| {
        move |i: usize| {
            json!({"type": "page", "id": format!("p{i}"), "locale": "en",
                "fields": {"slug": format!("p{i}"), "title": format!("Page {i}, {version}"), "body": "Tide."}})
        }
    };
    let site = Site::with(&[], &mut (0..entries).map(line(0)))?;
    let receiver = Receiver::start()?;
    let url = format!("http://{}/hook", receiver.address);
    site.ashlar(&["webhook", "add", &url, "--event", "entry.*", "--format", "json"])?;
    for version in 1..=2 {
        let text: Vec<String> = (0..entries).map(line(version)).map(|l| l.to_string()).collect();
        std::fs::write(site.dir.join("more.ndjson"), text.join("\n"))?;
        site.ashlar(&["import", "json", "more.ndjson"])?;
        let made = site.ashlar(&["candidate", "create", "--format", "json"])?;
        site.ashlar(&["release", "promote", made["candidate"].as_str().unwrap_or_default()])?;
    }
    // For this run alone: receivers are on this machine.
    let started = Instant::now();
    let mut server = site.serve_with(None, &[("ASHLAR_SERVER_WEBHOOKS_TO_PRIVATE", "true")])?;
    let until = |what: &str, wanted: usize| -> Result<()> {
        while receiver.distinct() < wanted {
            if started.elapsed() > Duration::from_secs(1_800) {
                return Err(format!("{what}: {} of {wanted} arrived", receiver.distinct()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    };
    until("the first third", count / 3)?;
    receiver.alive.store(false, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(2));
    receiver.alive.store(true, Ordering::Relaxed);
    until("the second third", count * 2 / 3)?;
    server.child.kill()?;
    server.child.wait()?;
    server = site.serve_with(None, &[("ASHLAR_SERVER_WEBHOOKS_TO_PRIVATE", "true")])?;
    let most = count * 99 / 100;
    until("all but a hundredth", most)?;
    let nearly = started.elapsed();
    until("everything", count)?;
    let all = started.elapsed();
    drop(server);
    let taken = receiver.taken.lock().map_err(|_| "the receiver died")?;
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut late = 0;
    for (_, entry, sequence) in taken.iter() {
        let known = newest.entry(entry).or_default();
        late += usize::from(sequence < known);
        *known = (*known).max(*sequence);
    }
    println!(
        "{count} webhooks to a receiver that fails every fifth time, is gone for two seconds, and a server killed midway:\n\
         99 % after {:.1} s, all after {:.1} s; {} requests, {} arrivals, {} of them repetitions, {late} out of order, none lost",
        nearly.as_secs_f64(),
        all.as_secs_f64(),
        receiver.requests.load(Ordering::Relaxed),
        taken.len(),
        taken.len() - count,
    );
    if late > 0 || newest.len() != entries {
        return Err("deliveries came out of order, or are missing".into());
    }
    Ok(())
}
