//! Asking one case.

use std::{sync::Arc, time::Duration};

use ashlar_evals::{
    Reply, Unasked,
    completion::{reply, unasked},
    metric::passes,
    suite::Case,
};
use ashlar_gateway::wire::Fault;
use ashlar_isolate::Workers;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{
    kept::Kept,
    opened::{KEY, Opened},
};
use crate::llm::{Asked, Inside};

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

/// Asks once.
async fn once(
    (inside, workers): (&Inside, &Workers),
    opened: &Arc<Opened>,
    case: &Arc<Case>,
) -> Result<Came, (Unasked, Option<Duration>)> {
    let failed = |code: &str, message: &str, again: bool| {
        (Unasked { code: code.to_owned(), message: message.to_owned(), again }, None)
    };
    let began = Instant::now();
    let asked = Asked {
        tenant: opened.tenant.clone(),
        key: KEY,
        feature: opened.suite.feature.clone(),
        body: opened.asking.body(case).to_string().into_bytes(),
    };
    let answered = timeout(CALL_MAX, inside.chat(&opened.scene, &opened.view, asked)).await;
    let answered = answered.map_err(|_| failed("timeout", "No answer came in time.", true))?;
    let facts = Reply {
        release: opened.scene.release.clone(),
        latency_ms: began.elapsed().as_secs_f64() * 1e3,
        ..Reply::default()
    };
    let (body, facts) = match answered {
        Ok(answered) => {
            let made = answered.facts;
            let facts = Reply { prompt: made.prompt, cost: made.cost, trace: answered.trace, ..facts };
            (Some(answered.body), facts)
        }
        Err(Fault { kind, code, message, retry_after, .. }) => {
            match unasked(kind.status(), &code, &message) {
                Some(unasked) => return Err((unasked, retry_after)),
                // The model answered, and the gateway did not let the answer out.
                None => (None, Reply { refusal: Some(code.into_owned()), reason: message, ..facts }),
            }
        }
    };
    let judging = {
        let (opened, case) = (opened.clone(), case.clone());
        move || {
            let reply = match &body {
                Some(body) => reply(&serde_json::from_slice(body).unwrap_or(Value::Null), facts.clone()),
                None => facts.clone(),
            };
            let passed = passes(&opened.judge.scores(&case, &reply));
            let cost = reply.cost.pico();
            let (kept, text) = Kept::Reply(Box::new(reply)).bounded();
            let error = matches!(kept, Kept::Unasked(_));
            Came { text, passed: passed && !error, error, cost }
        }
    };
    let judged = in_turn(workers, opened, judging).await;
    judged.ok_or_else(|| {
        failed("internal", "The answer could not be judged; the server's log says more.", false)
    })
}

/// Asks a case, again after failures that may pass. A wrong answer is never asked again. A case that is refused by a limit on requests or tokens
/// per minute waits for it.
pub async fn ask(room: (&Inside, &Workers), opened: &Arc<Opened>, case: &Arc<Case>) -> Came {
    let began = Instant::now();
    let (mut retries, mut wait) = (0, WAIT);
    loop {
        let (unasked, after) = match once(room, opened, case).await {
            Ok(came) => return came,
            Err(failed) => failed,
        };
        if unasked.code == LIMITED && began.elapsed() < LIMITED_MAX {
            sleep(after.unwrap_or(WAIT).clamp(WAIT, LIMIT_WAIT_MAX)).await;
            continue;
        }
        if !unasked.again || retries >= RETRIES {
            return Came::unasked(unasked);
        }
        sleep(wait).await;
        (retries, wait) = (retries + 1, wait * 2);
    }
}
