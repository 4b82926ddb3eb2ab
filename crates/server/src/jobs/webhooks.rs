//! Sending what the outbox contains: signed as Standard Webhooks describe, never into the network the server is in
//! unless that is allowed, at least once, in order per entry.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ashlar_model::Actor;
use ashlar_release::{
    Ctx, Engine, Failure, Follower, Outgoing, ReleaseError, Round, Sent, Target, UpdateWebhook, WEBHOOKS,
    place_name, receivers::refused,
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{FutureExt, StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use crate::{
    app::metrics::Metrics,
    outward::{self, chain},
};

/// How long a receiver may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Deliveries of one round, each of another order.
const ROUND: u32 = 128;
/// Requests to one receiver at a time.
const AT_ONCE: usize = 16;
/// The most of an answer that is read, in bytes; the log keeps its beginning when it is no success.
const ANSWER_BYTES_MAX: usize = 4 << 10;
/// The longest wait a receiver can ask for.
const RETRY_AFTER_MAX: i64 = 3_600;
/// How often old deliveries are forgotten.
const FORGET: Duration = Duration::from_secs(3_600);

/// `v1,…` for each secret over `id.timestamp.body`.
pub fn signature(secrets: &[String], id: &str, timestamp: i64, body: &str) -> String {
    let signed = secrets.iter().filter_map(|secret| {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

/// Sends what the outbox contains.
pub struct Webhooks {
    engine: Engine,
    metrics: Arc<Metrics>,
    client: reqwest::Client,
    /// Receivers may be inside the server's own networks.
    private: bool,
    /// When old deliveries were last forgotten.
    forgotten: Mutex<Instant>,
}

impl Webhooks {
    /// # Errors
    /// When no client can be made.
    pub fn new(engine: Engine, metrics: Arc<Metrics>, private: bool) -> reqwest::Result<Self> {
        let client = outward::client(private, ANSWER_MAX)?;
        Ok(Self { engine, metrics, client, private, forgotten: Mutex::new(Instant::now()) })
    }

    /// Whether it is time to forget old deliveries.
    fn forgets(&self) -> bool {
        let mut last = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.elapsed() > FORGET;
        if is_time {
            *last = Instant::now();
        }
        is_time
    }
}

#[async_trait]
impl Follower for Webhooks {
    fn name(&self) -> &'static str {
        WEBHOOKS
    }

    async fn targets(&self) -> Result<Vec<Target>, Failure> {
        let webhooks = self.engine.webhooks_enabled().await?;
        if self.forgets() {
            for (tenant, _) in &webhooks {
                if let Err(error) = self.engine.forget_deliveries(tenant).await {
                    tracing::warn!(%tenant, %error, "old deliveries cannot be forgotten");
                }
            }
        }
        Ok(webhooks.into_iter().map(|(tenant, name)| Target { tenant, name }).collect())
    }

    async fn behind(&self, of: &Target) -> Result<Option<Timestamp>, Failure> {
        let behind = self.engine.behind(&of.tenant, &place_name(WEBHOOKS, &of.name)).await?;
        if behind.is_some() {
            return Ok(behind);
        }
        // Deliveries that were made before and are due now, such as another try.
        let round = self.engine.round(&of.tenant, &of.name, 1).await?;
        Ok(round.filter(|r| !r.deliveries.is_empty()).map(|_| self.engine.now()))
    }

    async fn work(&self, of: &Target, stop: &CancellationToken) -> Result<(), Failure> {
        while !stop.is_cancelled() {
            let more = self.engine.expand(&of.tenant, &of.name).await?;
            let Some(round) = self.engine.round(&of.tenant, &of.name, ROUND).await? else { break };
            match round.deliveries.is_empty() {
                false => self.send(of, &round).await?,
                true if more => {}
                true => break,
            }
        }
        Ok(())
    }
}

impl Webhooks {
    /// Sends one round, and notes what came of it as it comes.
    async fn send(&self, of: &Target, round: &Round) -> Result<(), ReleaseError> {
        let requests: Vec<_> = round.deliveries.iter().map(|d| self.one(round, d).boxed()).collect();
        let mut sending = stream::iter(requests).buffer_unordered(AT_ONCE).ready_chunks(64);
        let mut gone = false;
        while let Some(sent) = sending.next().await {
            gone |= sent.iter().any(|s| s.status == 410);
            self.engine.sent(&of.tenant, &sent).await?;
            let failed = sent.iter().filter(|s| !s.error.is_empty()).count();
            self.metrics.counted.webhooks_delivered.inc_by((sent.len() - failed) as u64);
            self.metrics.counted.webhook_failures.inc_by(failed as u64);
        }
        if gone {
            let ctx = Ctx::new(of.tenant.clone(), Actor::local("webhooks"))?;
            let why = "the receiver answered 410 Gone".to_owned();
            let off =
                UpdateWebhook { id: of.name.clone(), url: None, filter: None, enabled: Some(false), why };
            self.engine.run(&ctx, off).await?;
            tracing::warn!(tenant = %of.tenant, webhook = of.name, "a receiver answered 410 Gone; its webhook is disabled");
        }
        Ok(())
    }

    async fn one(&self, round: &Round, delivery: &Outgoing) -> Sent {
        let started = Instant::now();
        let mut sent = Sent {
            number: delivery.number,
            attempts: delivery.attempts,
            status: 0,
            error: String::new(),
            wait: None,
            took_ms: 0,
        };
        match refused(&round.url, self.private) {
            Some(why) => sent.error = why.to_owned(),
            None => self.request(round, delivery, &mut sent).await,
        }
        sent.took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        sent
    }

    async fn request(&self, round: &Round, delivery: &Outgoing, sent: &mut Sent) {
        let timestamp = Timestamp::now().as_second();
        let body: serde_json::Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
        let trace = body.pointer("/data/trace_id").and_then(|t| t.as_str()).unwrap_or_default();
        let mut request = self
            .client
            .post(&round.url)
            .header("content-type", "application/json")
            .header("webhook-id", &delivery.event)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                signature(&round.secrets, &delivery.event, timestamp, &delivery.payload),
            )
            .body(delivery.payload.clone());
        if trace.len() == 32 {
            request = request.header("traceparent", format!("00-{trace}-{}-01", &trace[..16]));
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                sent.error = chain(&error);
                return;
            }
        };
        sent.status = u32::from(response.status().as_u16());
        if response.status().is_success() {
            return;
        }
        let wait = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse::<i64>().ok());
        sent.wait = wait.map(|s| SignedDuration::from_secs(s.clamp(0, RETRY_AFTER_MAX)));
        let mut text = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            text.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - text.len())]);
            if text.len() >= ANSWER_BYTES_MAX {
                break;
            }
        }
        let said: String =
            String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).take(200).collect();
        sent.error = match response.status().is_redirection() {
            true => format!("it answered {}; redirects are not followed", sent.status),
            false => format!("it answered {}: {said}", sent.status),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let body = r#"{"test": 2432232314}"#;
        let signed =
            signature(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signature(&[secret.clone(), secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(two, format!("{signed} {signed}"));
    }
}
