//! Spans of model calls on their way to a collector of OpenTelemetry: OTLP over HTTP, in its JSON encoding.
//!
//! A span is sent after the record of its call is stored. A collector that is slow or gone costs spans, never calls or records.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use ashlar_gateway::record::{Waiting, export};
use axum::body::Bytes;
use percent_encoding::percent_decode_str;
use reqwest::{
    StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::Deserialize;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::metrics::Metrics,
    outward::{chain, client},
};

/// Batches of records that wait. Spans of further ones are dropped and counted.
const BATCHES_MAX: usize = 8;
/// Spans of a request.
const SPANS_MAX: usize = 512;
/// How often a request is tried again.
const RETRIES: u32 = 4;
/// The first wait before a retry, and the longest.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a request may take unless the environment says otherwise, and at most.
const ANSWER: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long spans may be sent after a stop was asked for.
const LAST: Duration = Duration::from_secs(3);
/// The most of a collector's answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Attributes and headers that the environment may name.
const PAIRS_MAX: usize = 64;

/// Where spans are sent.
#[derive(Clone)]
pub struct Collector {
    url: Url,
    headers: HeaderMap,
    answer_max: Duration,
    /// Attributes of this process.
    resource: Vec<(String, String)>,
}

impl fmt::Debug for Collector {
    // Headers have credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// A variable of OpenTelemetry that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {why}")]
pub struct CollectorError {
    /// The variable.
    pub variable: String,
    /// What is wrong with it.
    pub why: String,
}

/// `a=1,b=2` with percent-encoded values.
fn pairs(variable: &str, text: &str) -> Result<Vec<(String, String)>, CollectorError> {
    let error = |why: String| CollectorError { variable: variable.to_owned(), why };
    let each = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let made: Result<Vec<_>, _> = each
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| error("write it as `name=value,name=value`".to_owned()))?;
            let value = percent_decode_str(value.trim()).decode_utf8();
            let value = value.map_err(|_| error(format!("the value of `{}` is not UTF-8", name.trim())))?;
            Ok((name.trim().to_owned(), value.into_owned()))
        })
        .collect();
    let made = made?;
    match made.len() <= PAIRS_MAX {
        true => Ok(made),
        false => Err(error(format!("it has {} pairs; at most {PAIRS_MAX} are possible", made.len()))),
    }
}

impl Collector {
    /// Reads the variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_…`). Without an endpoint, nothing is sent.
    ///
    /// # Errors
    /// When a variable cannot be used.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, CollectorError> {
        let get = |name: &str| {
            variable(name).map(|value| (name.to_owned(), value)).filter(|(_, value)| !value.trim().is_empty())
        };
        // The name for traces goes before the one for everything.
        let traces = |name: &str| {
            get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is = |name: &str, wanted: &str| get(name).is_some_and(|(_, value)| value.trim() == wanted);
        let off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
        let Some((name, given)) = traces("ENDPOINT").filter(|_| !off) else { return Ok(None) };
        let error = |why: String| CollectorError { variable: name.clone(), why };
        // An endpoint for everything has a path for each signal.
        let address = match name.contains("_TRACES_") {
            true => given.trim().to_owned(),
            false => format!("{}/v1/traces", given.trim().trim_end_matches('/')),
        };
        let url: Url = address.parse().map_err(|e| error(format!("`{given}` is not an address: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error("the address must begin with http:// or https://".to_owned()));
        }
        if let Some((variable, value)) = traces("PROTOCOL")
            && !value.trim().starts_with("http/")
        {
            let why = format!("`{}` is not supported; use `http/json` and the port 4318", value.trim());
            return Err(CollectorError { variable, why });
        }
        let mut headers = HeaderMap::new();
        if let Some((variable, text)) = traces("HEADERS") {
            for (name, value) in pairs(&variable, &text)? {
                let error = |why: &str| CollectorError { variable: variable.clone(), why: why.to_owned() };
                let name = HeaderName::try_from(name).map_err(|_| error("a header has no valid name"))?;
                let mut value =
                    HeaderValue::try_from(value).map_err(|_| error("a header has no valid value"))?;
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        let answer_max = match traces("TIMEOUT") {
            None => ANSWER,
            Some((variable, text)) => {
                let ms: Option<u64> = text.trim().parse().ok().filter(|ms| *ms > 0);
                let why = "write it as milliseconds, such as 10000".to_owned();
                Duration::from_millis(ms.ok_or(CollectorError { variable, why })?).min(ANSWER_MAX)
            }
        };
        let mut resource: BTreeMap<String, String> = BTreeMap::new();
        if let Some((variable, text)) = get("OTEL_RESOURCE_ATTRIBUTES") {
            resource.extend(pairs(&variable, &text)?);
        }
        if let Some((_, service)) = get("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), service);
        }
        resource.entry("service.name".to_owned()).or_insert_with(|| "ashlar".to_owned());
        resource.entry("service.version".to_owned()).or_insert_with(|| env!("CARGO_PKG_VERSION").to_owned());
        Ok(Some(Self { url, headers, answer_max, resource: resource.into_iter().collect() }))
    }
}

/// Takes records whose spans are to be sent.
#[derive(Clone)]
pub struct Spans {
    waiting: Sender<Vec<Waiting>>,
    metrics: Arc<Metrics>,
}

/// Sends spans.
pub struct Sending {
    collector: Collector,
    waiting: Receiver<Vec<Waiting>>,
    metrics: Arc<Metrics>,
}

/// What a collector answers when it took a part.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    partial_success: Partial,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    /// A 64-bit integer, as text or as a number.
    rejected_spans: serde_json::Value,
    error_message: String,
}

impl Partial {
    fn rejected(&self) -> u64 {
        let spans = &self.rejected_spans;
        spans.as_u64().or_else(|| spans.as_str()?.parse().ok()).unwrap_or(0)
    }
}

/// Why a request failed.
enum Failed {
    /// It may succeed later.
    Again(String, Option<Duration>),
    /// The collector does not want it.
    Refused(String),
}

impl Spans {
    /// A queue of spans for a collector, and what sends them.
    pub fn to(collector: Collector, metrics: Arc<Metrics>) -> (Self, Sending) {
        let (sender, waiting) = channel(BATCHES_MAX);
        (Self { waiting: sender, metrics: metrics.clone() }, Sending { collector, waiting, metrics })
    }

    /// Adds the calls of stored records. Does not wait.
    pub fn add(&self, records: Vec<Waiting>) {
        if let Err(TrySendError::Full(records) | TrySendError::Closed(records)) =
            self.waiting.try_send(records)
        {
            self.metrics.llm.spans_dropped(records.len() as u64);
        }
    }
}

impl Sending {
    /// Sends spans until nobody adds any more. After `stop`, what waits has a few seconds.
    pub async fn run(mut self, stop: CancellationToken) {
        // An operator names the collector, and it usually runs beside the server.
        let client = match client(true, self.collector.answer_max) {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "spans of model calls cannot be sent");
                return;
            }
        };
        let mut warned = false;
        while let Some(batch) = self.waiting.recv().await {
            let count = batch.len();
            let resource = self.collector.resource.clone();
            // Thousands of spans as JSON would hold up calls.
            let bodies = tokio::task::spawn_blocking(move || {
                let requests = batch.chunks(SPANS_MAX).map(|some| {
                    let each = some.iter().map(|waiting| (&waiting.tenant, &waiting.record));
                    (some.len() as u64, export(&resource, env!("CARGO_PKG_VERSION"), each))
                });
                requests.collect::<Vec<_>>()
            });
            let Ok(bodies) = bodies.await else {
                self.metrics.llm.spans_dropped(count as u64);
                continue;
            };
            for (spans, body) in bodies {
                match self.send(&client, body, &stop).await {
                    Ok(rejected) => {
                        self.metrics.llm.spans_dropped(rejected.min(spans));
                        self.metrics.llm.spans_sent(spans.saturating_sub(rejected));
                        warned = false;
                    }
                    Err(why) => {
                        self.metrics.llm.spans_dropped(spans);
                        // Once until it works again: a collector that is gone must not fill the log.
                        if !std::mem::replace(&mut warned, true) {
                            tracing::warn!(collector = ?self.collector, why, "spans of model calls are lost");
                        }
                    }
                }
            }
        }
    }

    /// Sends a request, several times if it has to; returns how many spans the collector rejected.
    async fn send(
        &self,
        client: &reqwest::Client,
        body: Vec<u8>,
        stop: &CancellationToken,
    ) -> Result<u64, String> {
        let body = Bytes::from(body);
        let mut tries = 0;
        loop {
            let asking = self.once(client, body.clone());
            let answered = tokio::select! {
                answered = asking => answered,
                () = late(stop) => return Err("the server stopped".to_owned()),
            };
            match answered {
                Ok(rejected) => return Ok(rejected),
                Err(Failed::Refused(why)) => return Err(why),
                Err(Failed::Again(why, _)) if tries >= RETRIES || stop.is_cancelled() => return Err(why),
                Err(Failed::Again(_, asked)) => {
                    let wait = asked.unwrap_or(WAIT.saturating_mul(1 << tries)).min(WAIT_MAX);
                    tries += 1;
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
    }

    async fn once(&self, client: &reqwest::Client, body: Bytes) -> Result<u64, Failed> {
        let until = Instant::now() + self.collector.answer_max;
        let request = client
            .post(self.collector.url.clone())
            .headers(self.collector.headers.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let mut response =
            request.send().await.map_err(|error| Failed::Again(chain(&error.without_url()), None))?;
        let status = response.status();
        if !status.is_success() {
            let why = format!("it answered {status}");
            let asked =
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let again = [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ];
            return Err(match again.contains(&status) {
                true => Failed::Again(why, asked.map(Duration::from_secs)),
                false => Failed::Refused(why),
            });
        }
        let mut said = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                said.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - said.len())]);
                if said.len() == ANSWER_BYTES_MAX {
                    break;
                }
            }
        };
        // The spans arrived. An answer that cannot be read rejects nothing.
        let _ = timeout_at(until, reading).await;
        let partial = serde_json::from_slice::<Answer>(&said).unwrap_or_default().partial_success;
        if !partial.error_message.is_empty() {
            let said: String = partial.error_message.chars().take(200).collect();
            tracing::warn!(rejected = partial.rejected(), said, "a collector rejects spans");
        }
        Ok(partial.rejected())
    }
}

/// Some time after a stop was asked for.
async fn late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    fn of(given: &[(&str, &str)]) -> Result<Option<Collector>, String> {
        let get = |name: &str| given.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Collector::of(get).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variables_of_opentelemetry_decide() {
        assert!(of(&[]).unwrap().is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        let made = of(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret, x-team=a"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=prod"),
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ]);
        let made = made.unwrap().unwrap();
        assert_eq!(made.url.as_str(), "http://collector:4318/v1/traces");
        assert_eq!(made.headers["authorization"], "Bearer secret");
        assert!(made.resource.contains(&("service.name".to_owned(), "shop".to_owned())));
        assert!(!format!("{made:?}").contains("secret"));
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t.example/otlp");
        assert_eq!(of(&[endpoint, traces]).unwrap().unwrap().url.as_str(), "https://t.example/otlp");
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert!(of(&[endpoint, off]).unwrap().is_none());
        }
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (given, says) in [
            (
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
                "OTEL_EXPORTER_OTLP_ENDPOINT: the address must begin",
            ),
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), "OTEL_EXPORTER_OTLP_PROTOCOL: `grpc` is not supported"),
            (("OTEL_EXPORTER_OTLP_HEADERS", "secret"), "OTEL_EXPORTER_OTLP_HEADERS: write it as"),
            (("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"), "OTEL_EXPORTER_OTLP_TIMEOUT: write it as milliseconds"),
        ] {
            let error = of(&[given, endpoint]).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
