//! Sending what the outbox contains: signed as Standard Webhooks describe, never into the network the server is in
//! unless that is allowed, at least once, in order per entry.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ashlar_model::{Actor, TenantId};
use ashlar_release::{
    Ctx, Engine, LEASE, Outgoing, ReleaseError, Round, Sent, UpdateWebhook, new_id,
    receivers::{is_public, refused},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{FutureExt, StreamExt, stream};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sha2::Sha256;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::metrics::Metrics;

/// How often due deliveries are looked for.
const LOOK: Duration = Duration::from_millis(500);
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

/// Names are resolved to public addresses alone, and what was looked at is what is connected to.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str().to_owned(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|a| is_public(a.ip())).collect();
            if public.is_empty() {
                return Err(format!("{} leads to no public address", name.as_str()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

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

/// Sends until `stop`. `private`: receivers may be inside the server's own networks.
pub async fn run(metrics: Arc<Metrics>, engine: Engine, private: bool, stop: CancellationToken) {
    let builder = reqwest::Client::builder()
        .timeout(ANSWER_MAX)
        .connect_timeout(Duration::from_secs(5))
        // A redirect would lead past everything that was checked.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("Ashlar/", env!("CARGO_PKG_VERSION")));
    let builder = if private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) };
    let (client, owner) = match (builder.build(), new_id()) {
        (Ok(client), Ok(owner)) => (client, owner),
        (Err(error), _) => return tracing::error!(%error, "webhooks cannot be sent"),
        (_, Err(error)) => return tracing::error!(%error, "webhooks cannot be sent"),
    };
    let mut moves = engine.moves();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut running: HashMap<(TenantId, String), JoinHandle<()>> = HashMap::new();
    let mut forgotten = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = looks.tick() => {}
            _ = moves.recv() => {}
        }
        let webhooks = match engine.webhooks_enabled().await {
            Ok(webhooks) => webhooks,
            Err(error) => {
                tracing::warn!(%error, "webhooks cannot be listed; what is to be sent waits");
                continue;
            }
        };
        running.retain(|_, task| !task.is_finished());
        if forgotten.elapsed() > FORGET {
            forgotten = Instant::now();
            for (tenant, _) in &webhooks {
                if let Err(error) = engine.forget_deliveries(tenant).await {
                    tracing::warn!(%tenant, %error, "old deliveries cannot be forgotten");
                }
            }
        }
        for (tenant, webhook) in webhooks {
            running.entry((tenant.clone(), webhook.clone())).or_insert_with(|| {
                let work = Work {
                    metrics: metrics.clone(),
                    engine: engine.clone(),
                    client: client.clone(),
                    owner: owner.clone(),
                    tenant,
                    webhook,
                    private,
                    stop: stop.clone(),
                };
                tokio::spawn(async move {
                    if let Err(error) = work.drain().await {
                        tracing::warn!(tenant = %work.tenant, webhook = work.webhook, %error, "a webhook waits");
                    }
                })
            });
        }
    }
    for (_, task) in running {
        // What is being sent is sent, and noted; the rest waits for the next start.
        let _ = tokio::time::timeout(ANSWER_MAX, task).await;
    }
}

struct Work {
    metrics: Arc<Metrics>,
    engine: Engine,
    client: reqwest::Client,
    owner: String,
    tenant: TenantId,
    webhook: String,
    private: bool,
    stop: CancellationToken,
}

impl Work {
    /// Makes and sends everything that is due for one webhook.
    async fn drain(&self) -> Result<(), ReleaseError> {
        // A look that writes nothing, as long as there is nothing to do.
        let idle = |round: &Option<Round>| round.as_ref().is_none_or(|r| r.deliveries.is_empty());
        let waiting = !self.engine.pending_events(&self.tenant, &self.webhook).await?;
        if waiting && idle(&self.engine.round(&self.tenant, &self.webhook, 1).await?) {
            return Ok(());
        }
        if !self.engine.lease(&self.tenant, &self.webhook, &self.owner).await? {
            return Ok(());
        }
        let worked = self.work().await;
        self.engine.unlease(&self.tenant, &self.webhook, &self.owner).await?;
        worked
    }

    async fn work(&self) -> Result<(), ReleaseError> {
        let mut leased = Instant::now();
        while !self.stop.is_cancelled() {
            if leased.elapsed().as_millis() as i128 > LEASE.as_millis() / 3 {
                if !self.engine.lease(&self.tenant, &self.webhook, &self.owner).await? {
                    return Ok(());
                }
                leased = Instant::now();
            }
            let more = self.engine.expand(&self.tenant, &self.webhook).await?;
            let Some(round) = self.engine.round(&self.tenant, &self.webhook, ROUND).await? else {
                return Ok(());
            };
            if round.deliveries.is_empty() {
                if more {
                    continue;
                }
                return Ok(());
            }
            self.send(&round).await?;
        }
        Ok(())
    }

    /// Sends one round while the lease is renewed, and notes what came of it as it comes.
    async fn send(&self, round: &Round) -> Result<(), ReleaseError> {
        let requests: Vec<_> = round.deliveries.iter().map(|d| self.one(round, d).boxed()).collect();
        let mut sending = stream::iter(requests).buffer_unordered(AT_ONCE).ready_chunks(64);
        let mut renew = tokio::time::interval(Duration::from_secs(LEASE.as_secs().unsigned_abs() / 3));
        renew.tick().await;
        let mut gone = false;
        loop {
            tokio::select! {
                some = sending.next() => {
                    let Some(sent) = some else { break };
                    gone |= sent.iter().any(|s| s.status == 410);
                    self.engine.sent(&self.tenant, &sent).await?;
                    let failed = sent.iter().filter(|s| !s.error.is_empty()).count();
                    self.metrics.webhooks_sent((sent.len() - failed) as u64, failed as u64);
                }
                _ = renew.tick() => {
                    if !self.engine.lease(&self.tenant, &self.webhook, &self.owner).await? {
                        break;
                    }
                }
            }
        }
        drop(sending);
        if gone {
            let ctx = Ctx::new(self.tenant.clone(), Actor::local("webhooks"))?;
            let why = "the receiver answered 410 Gone".to_owned();
            let off = UpdateWebhook {
                id: self.webhook.clone(),
                url: None,
                filter: None,
                enabled: Some(false),
                why,
            };
            self.engine.run(&ctx, off).await?;
            tracing::warn!(tenant = %self.tenant, webhook = self.webhook, "a receiver answered 410 Gone; its webhook is disabled");
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

/// An error with what caused it, without the address it was about.
fn chain(error: &reqwest::Error) -> String {
    let mut out = if error.is_timeout() { "it did not answer in time".to_owned() } else { String::new() };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        if !out.is_empty() {
            out.push_str(": ");
        }
        out.push_str(&error.to_string());
        cause = error.source();
    }
    if out.is_empty() { "it could not be sent".to_owned() } else { out }
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
