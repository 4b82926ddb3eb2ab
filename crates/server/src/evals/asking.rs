//! Asking one case.

use std::{sync::Arc, time::Duration};

use ashlar_evals::{
    Reply, Subject, Unasked,
    completion::{reply, unasked},
    judge::{self, Judging},
    metric::passes,
    suite::{Case, JudgeRoute, Message},
};
use ashlar_gateway::wire::Fault;
use ashlar_isolate::Workers;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{
    kept::Kept,
    opened::{KEY, Opened},
};
use crate::llm::{Answered, Asked, Inside};

/// How long one call may take. The routes of the gateway have shorter times of their own.
const CALL_MAX: Duration = Duration::from_secs(900);
/// How often a case is asked again when it could not be asked.
const RETRIES: u32 = 2;
/// The first wait before asking again. Each further one is twice as long.
const WAIT: Duration = Duration::from_millis(250);
/// The longest wait that a limit may ask for, and how long a case waits for limits in all.
const LIMIT_WAIT_MAX: Duration = Duration::from_secs(60);
const LIMITED_MAX: Duration = Duration::from_secs(1_800);
/// How often work that found no place is handed in again, and how long it waits before.
const TURNS_MAX: u32 = 100;
const TURN_WAIT: Duration = Duration::from_millis(100);
/// The code of a call that came too soon.
const LIMITED: &str = "rate_limited";

/// What came of a case.
pub struct Came {
    /// As it is stored.
    pub text: String,
    /// Whether it meets all expectations.
    pub passed: bool,
    /// Whether no reply came.
    pub error: bool,
    /// What it cost, in picounits.
    pub cost: u64,
}

impl Came {
    /// No reply came.
    pub fn unasked(unasked: Unasked) -> Self {
        Self { text: Kept::Unasked(unasked).text(), passed: false, error: true, cost: 0 }
    }
}

/// Does work when it is the tenant's turn, and hands it in again when too much waits.
async fn in_turn<T: Send + 'static>(
    workers: &Workers,
    opened: &Arc<Opened>,
    work: impl Fn() -> T + Clone + Send + 'static,
) -> Option<T> {
    for _ in 0..TURNS_MAX {
        match workers.run(&opened.tenant, work.clone()).await {
            Ok(done) => return Some(done),
            Err(ashlar_isolate::Busy::Full) => sleep(TURN_WAIT).await,
            // It panicked.
            Err(ashlar_isolate::Busy::Lost) => return None,
        }
    }
    None
}

/// Why no reply came, and when to ask again.
type Refused = (Unasked, Option<Duration>);

fn failed(code: &str, message: &str, again: bool) -> Refused {
    (Unasked { code: code.to_owned(), message: message.to_owned(), again }, None)
}

/// What a call came to.
enum Said {
    Answered(Box<Answered>),
    /// The model answered, and the gateway did not let the answer out.
    Withheld {
        code: String,
        message: String,
    },
}

/// Makes a call once.
async fn call(inside: &Inside, opened: &Opened, feature: &str, body: Value) -> Result<Said, Refused> {
    let asked = Asked {
        tenant: opened.tenant.clone(),
        key: KEY,
        feature: feature.to_owned(),
        body: body.to_string().into_bytes(),
    };
    let answered = timeout(CALL_MAX, inside.chat(&opened.scene, &opened.view, asked)).await;
    let answered = answered.map_err(|_| failed("timeout", "No answer came in time.", true))?;
    match answered {
        Ok(answered) => Ok(Said::Answered(Box::new(answered))),
        Err(Fault { kind, code, message, retry_after, .. }) => {
            match unasked(kind.status(), &code, &message) {
                Some(unasked) => Err((unasked, retry_after)),
                None => Ok(Said::Withheld { code: code.into_owned(), message }),
            }
        }
    }
}

/// Tries again after failures that may pass. What is refused by a limit on requests or tokens per minute waits for it.
async fn patiently<T, F: Future<Output = Result<T, Refused>>>(attempt: impl Fn() -> F) -> Result<T, Unasked> {
    let began = Instant::now();
    let (mut retries, mut wait) = (0, WAIT);
    loop {
        let (unasked, after) = match attempt().await {
            Ok(done) => return Ok(done),
            Err(refused) => refused,
        };
        if unasked.code == LIMITED && began.elapsed() < LIMITED_MAX {
            sleep(after.unwrap_or(WAIT).clamp(WAIT, LIMIT_WAIT_MAX)).await;
            continue;
        }
        if !unasked.again || retries >= RETRIES {
            return Err(unasked);
        }
        sleep(wait).await;
        (retries, wait) = (retries + 1, wait * 2);
    }
}

/// No place was found to read what came back, or reading it panicked.
fn unread() -> Unasked {
    failed("internal", "The answer could not be judged; the server's log says more.", false).0
}

/// Asks for a reply once.
async fn once(
    (inside, workers): (&Inside, &Workers),
    opened: &Arc<Opened>,
    case: &Case,
) -> Result<Reply, Refused> {
    let began = Instant::now();
    let said = call(inside, opened, &opened.suite.feature, opened.asking.body(case)).await?;
    let facts = Reply {
        release: opened.scene.release.clone(),
        latency_ms: began.elapsed().as_secs_f64() * 1e3,
        ..Reply::default()
    };
    match said {
        Said::Withheld { code, message } => Ok(Reply { refusal: Some(code), reason: message, ..facts }),
        Said::Answered(answered) => {
            let Answered { body, facts: made, trace } = *answered;
            let facts = Reply { prompt: made.prompt, cost: made.cost, trace, ..facts };
            let read = move || reply(&serde_json::from_slice(&body).unwrap_or(Value::Null), facts.clone());
            in_turn(workers, opened, read).await.ok_or_else(|| (unread(), None))
        }
    }
}

/// The route of what is asked that judges by rubrics.
struct Judges<'a> {
    room: (&'a Inside, &'a Workers),
    opened: &'a Arc<Opened>,
    by: &'a JudgeRoute,
}

impl judge::Judge for Judges<'_> {
    async fn ask(&self, messages: &[Message]) -> Result<judge::Said, Unasked> {
        let (inside, workers) = self.room;
        let body = json!({
            "model": self.by.route, "messages": messages, "temperature": 0, "user": "eval-judge", "ashlar": {"cache": false},
        });
        match patiently(|| call(inside, self.opened, &self.by.feature, body.clone())).await? {
            // An answer that the gateway did not let out has no text, and so no verdict.
            Said::Withheld { .. } => Ok(judge::Said::default()),
            Said::Answered(answered) => {
                let Answered { body, facts, .. } = *answered;
                let read = move || {
                    let said: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    said["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
                };
                let text = in_turn(workers, self.opened, read).await.ok_or_else(unread)?;
                Ok(judge::Said { text, cost: facts.cost })
            }
        }
    }
}

/// The subject of a run.
struct Room<'a> {
    room: (&'a Inside, &'a Workers),
    opened: &'a Arc<Opened>,
}

impl Subject for Room<'_> {
    async fn ask(&self, case: &Case, _: u32) -> Result<Reply, Unasked> {
        patiently(|| once(self.room, self.opened, case)).await
    }

    fn setting(&self) -> &'static str {
        ""
    }
}

/// Asks a case, again after failures that may pass, and the judge of the suite about a case with a rubric. A wrong answer is never asked again.
pub async fn ask(room: (&Inside, &Workers), opened: &Arc<Opened>, case: &Arc<Case>) -> Came {
    let subject = Room { room, opened };
    let asked = match &opened.suite.judge {
        None => subject.ask(case, 0).await,
        Some(by) => Judging::new(subject, &Judges { room, opened, by }, by).ask(case, 0).await,
    };
    let reply = match asked {
        Ok(reply) => reply,
        Err(unasked) => return Came::unasked(unasked),
    };
    let judging = {
        let (opened, case) = (opened.clone(), case.clone());
        move || {
            let passed = passes(&opened.judge.scores(&case, &reply));
            let cost = reply.spent().pico();
            let (kept, text) = Kept::Reply(Box::new(reply.clone())).bounded();
            let error = matches!(kept, Kept::Unasked(_));
            Came { text, passed: passed && !error, error, cost }
        }
    };
    in_turn(room.1, opened, judging).await.unwrap_or_else(|| Came::unasked(unread()))
}
