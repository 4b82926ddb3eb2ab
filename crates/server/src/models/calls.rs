//! Requests to endpoints from threads that may block.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{reading::SettingsError, settings::Address};
use crate::outward;

/// The longest wait that an endpoint can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// How long an endpoint is left alone after the first failure, and at most after several.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The most of an answer that is shown when it is no success, in bytes.
const SHOWN_BYTES: usize = 300;
/// What a thread waits for an answer beyond the time of the request.
const SLACK: Duration = Duration::from_secs(1);

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A thread that talks to endpoints. It ends with the last sender.
pub struct Caller(UnboundedSender<Job>);

impl Caller {
    pub fn start() -> std::io::Result<Self> {
        let (send, mut jobs) = unbounded_channel::<Job>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            runtime.block_on(async {
                while let Some(job) = jobs.recv().await {
                    drop(tokio::spawn(job));
                }
            });
        };
        std::thread::Builder::new().name("models".to_owned()).spawn(work)?;
        Ok(Self(send))
    }

    /// Waits for work, at most so long.
    fn wait<T: Send + 'static>(
        &self,
        most: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, answer) = mpsc::sync_channel(1);
        let job = async move {
            // Whoever asked may have stopped waiting.
            let _ = done.send(work.await);
        };
        self.0.send(Box::pin(job)).ok()?;
        answer.recv_timeout(most).ok()
    }
}

/// Until when an endpoint is left alone.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
    why: String,
}

/// An endpoint. After a failure it is left alone for a while, the longer the more failures follow each other.
pub struct Target {
    pub address: Address,
    client: reqwest::Client,
    pause: Mutex<Pause>,
}

struct Failed {
    why: String,
    wait: Option<Duration>,
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self { why, wait: None }
    }
}

impl Target {
    pub fn new(address: Address) -> Result<Self, SettingsError> {
        let most = address.timeout.max(address.query_timeout);
        let client =
            outward::client(address.private, most).map_err(|e| SettingsError::Client(e.to_string()))?;
        Ok(Self { address, client, pause: Mutex::default() })
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts a body and reads the answer, at most `bytes_max` bytes of it.
    pub fn post<A: DeserializeOwned>(
        &self,
        caller: &Caller,
        body: &impl Serialize,
        timeout: Duration,
        bytes_max: usize,
    ) -> Result<A, String> {
        {
            let pause = self.pause();
            if pause.until.is_some_and(|until| until > Instant::now()) {
                return Err(format!("{}; it is not asked again before some time has passed", pause.why));
            }
        }
        let asked = self.ask(caller, body, timeout, bytes_max).and_then(|bytes| {
            serde_json::from_slice(&bytes)
                .map_err(|e| Failed::from(format!("it answered something else than expected: {e}")))
        });
        asked.map_err(|failed| {
            self.failed(&failed);
            failed.why
        })
    }

    /// Counts an answer that was as it should be.
    pub fn succeeded(&self) {
        *self.pause() = Pause::default();
    }

    /// Counts an answer that was not as it should be.
    pub fn refuse(&self, why: String) -> String {
        self.failed(&Failed { why: why.clone(), wait: None });
        why
    }

    fn failed(&self, failed: &Failed) {
        let mut pause = self.pause();
        let usual = PAUSE.saturating_mul(1 << pause.failures.min(16)).min(PAUSE_MAX);
        pause.failures = pause.failures.saturating_add(1);
        pause.until = Some(Instant::now() + failed.wait.unwrap_or(usual).min(RETRY_AFTER_MAX));
        pause.why.clone_from(&failed.why);
    }

    fn ask(
        &self,
        caller: &Caller,
        body: &impl Serialize,
        timeout: Duration,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Failed> {
        let mut request = self.client.post(&self.address.url).timeout(timeout).json(body);
        if let Some(key) = self.address.key.as_ref().map_err(|why| Failed::from(why.clone()))? {
            request = request.bearer_auth(&key.0);
        }
        let work = async move {
            let mut response = request.send().await.map_err(|e| Failed::from(outward::chain(&e)))?;
            let status = response.status();
            let wait =
                response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
            let most = if status.is_success() { bytes_max } else { SHOWN_BYTES };
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| Failed::from(outward::chain(&e)))? {
                if status.is_success() && bytes.len() + chunk.len() > most {
                    return Err(Failed::from(format!("its answer has more than {most} bytes")));
                }
                bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len())]);
                if bytes.len() == most && !status.is_success() {
                    break;
                }
            }
            if status.is_success() {
                return Ok(bytes);
            }
            let said = String::from_utf8_lossy(&bytes);
            let said: String = said.chars().filter(|c| !c.is_control()).collect();
            let why = match status.is_redirection() {
                true => format!("it answered {}; redirects are not followed", status.as_u16()),
                false => format!("it answered {}: {}", status.as_u16(), said.trim()),
            };
            Err(Failed { why, wait: wait.map(Duration::from_secs) })
        };
        let late = || Err(Failed::from("it did not answer in time".to_owned()));
        caller.wait(timeout + SLACK, work).unwrap_or_else(late)
    }
}
