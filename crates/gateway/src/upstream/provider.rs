//! A provider, and requests to it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use ashlar_model::TenantId;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    Client, EventStream, Failed, Key, Next,
    client::{Broken, chunk},
};
use crate::wire::{Fault, FaultKind};

/// The largest whole answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 32 << 20;
/// The most of an answer that is read when it is no success, in bytes.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// The most of a list of models that is read, in bytes.
const PROBE_BYTES_MAX: usize = 1 << 20;
/// How long reading the reason of a failure may take.
const ERROR_WAIT_MAX: Duration = Duration::from_secs(5);
/// Clients of a provider: one for each time limit of connections.
const CLIENTS_MAX: usize = 16;
/// Addresses of a provider that are remembered. Those of Azure name the model.
const ADDRESSES_MAX: usize = 64;
/// The version of Anthropic's interface.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// The user agent that providers see.
const AGENT: &str = concat!("Ashlar/", env!("CARGO_PKG_VERSION"));

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The format of OpenAI: OpenAI itself, vLLM, Ollama and many others.
    OpenAi,
    /// The format of Anthropic.
    Anthropic,
    /// The format of OpenAI at addresses of Azure.
    Azure,
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A conversation goes on.
    Chat,
    /// Texts become vectors.
    Embed,
    /// Which models there are.
    Models,
}

/// A request to a provider.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The model, in the provider's words.
    pub model: &'a str,
    /// The trace and the span of the call, as the header `traceparent`.
    pub traceparent: Option<&'a HeaderValue>,
}

/// Makes a client whose connections are made within a time.
pub type MakeClient = Arc<dyn Fn(Duration) -> Result<Client, String> + Send + Sync>;

/// A provider of models.
pub struct Provider {
    /// What the operator calls it.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// Its address, without the path of an operation.
    pub url: String,
    /// For Azure: the version of its interface; absent for the newest.
    pub api_version: Option<String>,
    /// Who may use it.
    pub tenants: Vec<TenantId>,
    /// How often it is asked whether it answers; `None`: never.
    pub probe_every: Option<Duration>,
    /// Its credential.
    pub key: Key,
    make: MakeClient,
    clients: RwLock<HashMap<Duration, Client>>,
    addresses: RwLock<HashMap<Operation, HashMap<String, Uri>>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Provider {
    /// A provider. Its clients are made by `make`.
    #[must_use]
    pub fn new(name: &str, kind: Kind, url: &str, key: Key, make: MakeClient) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: url.trim_end_matches('/').to_owned(),
            api_version: None,
            tenants: vec![TenantId::main()],
            probe_every: None,
            key,
            make,
            clients: RwLock::default(),
            addresses: RwLock::default(),
        }
    }

    fn client(&self, connect: Duration) -> Result<Client, Failed> {
        let known = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(&connect) {
            return Ok(client.clone());
        }
        drop(known);
        let made = (self.make)(connect).map_err(|why| {
            tracing::error!(provider = self.name, %why, "no client can be made");
            Failed::again(
                FaultKind::Overloaded,
                "upstream_unreachable",
                "no connection to the provider can be made",
            )
        })?;
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(connect, made.clone());
        Ok(made)
    }

    fn address(&self, operation: Operation, model: &str) -> String {
        let path = match (self.kind, operation) {
            (_, Operation::Models) => "models",
            (Kind::Anthropic, _) => "messages",
            (_, Operation::Chat) => "chat/completions",
            (_, Operation::Embed) => "embeddings",
        };
        match (self.kind, &self.api_version) {
            (Kind::Anthropic, _) if !self.url.ends_with("/v1") => format!("{}/v1/{path}", self.url),
            (Kind::Azure, Some(version)) if operation == Operation::Models => {
                format!("{}/openai/{path}?api-version={version}", self.url)
            }
            (Kind::Azure, Some(version)) => {
                let model: String =
                    percent_encoding::utf8_percent_encode(model, percent_encoding::NON_ALPHANUMERIC)
                        .to_string();
                let model = model.replace("%2D", "-").replace("%2E", ".").replace("%5F", "_");
                format!("{}/openai/deployments/{model}/{path}?api-version={version}", self.url)
            }
            (Kind::Azure, None) => format!("{}/openai/v1/{path}", self.url),
            _ => format!("{}/{path}", self.url),
        }
    }

    /// The address of an operation, which is read once.
    fn url(&self, operation: Operation, model: &str) -> Result<Uri, Failed> {
        let named = if self.kind == Kind::Azure { model } else { "" };
        let known = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = known.get(&operation).and_then(|of| of.get(named)) {
            return Ok(url.clone());
        }
        drop(known);
        let unusable = |error: &dyn fmt::Display| {
            tracing::error!(provider = self.name, %error, "the address of a provider cannot be used");
            Failed::again(
                FaultKind::Overloaded,
                "upstream_unreachable",
                "the address of the provider cannot be used",
            )
        };
        // Names with letters of any language are written as the network has them.
        let url = Url::parse(&self.address(operation, model)).map_err(|error| unusable(&error))?;
        let url: Uri = url.as_str().parse().map_err(|error| unusable(&error))?;
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        let of = addresses.entry(operation).or_default();
        if of.len() >= ADDRESSES_MAX {
            of.clear();
        }
        of.insert(named.to_owned(), url.clone());
        Ok(url)
    }

    fn headers(&self, stream: bool) -> Result<HeaderMap, Failed> {
        let key = self.key.values().map_err(|why| {
            tracing::error!(provider = self.name, %why, "a provider has no key");
            let message =
                format!("the provider `{}` has no credentials; check its key in models.toml", self.name);
            Failed {
                fault: Fault::new(FaultKind::Overloaded, "upstream_unauthorized", message),
                next: Next::Elsewhere,
            }
        })?;
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if self.kind == Kind::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static(ANTHROPIC_VERSION));
        }
        if let Some((plain, bearer)) = key {
            match self.kind {
                Kind::OpenAi => headers.insert(AUTHORIZATION, bearer),
                Kind::Anthropic => headers.insert(HeaderName::from_static("x-api-key"), plain),
                Kind::Azure => headers.insert(HeaderName::from_static("api-key"), plain),
            };
        }
        Ok(headers)
    }

    /// Sends a request; the answer has begun when this returns.
    async fn begin(
        &self,
        (asked, stream): (Asked<'_>, bool),
        body: Bytes,
        connect: Duration,
        until: Instant,
    ) -> Result<Response<Incoming>, Failed> {
        let (client, url) = (self.client(connect)?, self.url(asked.operation, asked.model)?);
        let mut headers = self.headers(stream)?;
        if let Some(traceparent) = asked.traceparent {
            headers.insert(HeaderName::from_static("traceparent"), traceparent.clone());
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = match asked.operation {
            Operation::Models => Method::GET,
            Operation::Chat | Operation::Embed => Method::POST,
        };
        (*request.uri_mut(), *request.headers_mut()) = (url, headers);
        let sent = timeout_at(until, client.send(request)).await.map_err(|_| Failed::late(&self.name))?;
        let mut response = sent.map_err(|broken| Failed::connection(&self.name, broken))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let mut said = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = chunk(response.body_mut()).await {
                let room = ERROR_BYTES_MAX - said.len();
                said.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if said.len() == ERROR_BYTES_MAX {
                    break;
                }
            }
        };
        // Without its reason a failure is a failure all the same.
        let _ = timeout_at(until.min(Instant::now() + ERROR_WAIT_MAX), reading).await;
        let status = response.status().as_u16();
        Err(Failed::status(&self.name, status, response.headers(), &said))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer in time, or it is no success.
    pub async fn whole(
        &self,
        asked: Asked<'_>,
        body: Bytes,
        connect: Duration,
        until: Instant,
    ) -> Result<Bytes, Failed> {
        let mut body = self.begin((asked, false), body, connect, until).await?.into_body();
        let too_large = || {
            let message =
                format!("the answer of the provider `{}` has more than {ANSWER_BYTES_MAX} bytes", self.name);
            Failed {
                fault: Fault::new(FaultKind::Upstream, "upstream_too_large", message),
                next: Next::Elsewhere,
            }
        };
        let length = body.size_hint().exact().unwrap_or(0);
        if length > ANSWER_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let reading = async {
            let failed = |broken: Broken| Failed::connection(&self.name, broken);
            let Some(first) = chunk(&mut body).await.map_err(failed)? else { return Ok(Bytes::new()) };
            // Most answers come in one piece.
            if first.len() as u64 == length {
                return Ok(first);
            }
            let mut all = first.to_vec();
            while let Some(chunk) = chunk(&mut body).await.map_err(failed)? {
                if all.len() + chunk.len() > ANSWER_BYTES_MAX {
                    return Err(too_large());
                }
                all.extend_from_slice(&chunk);
            }
            Ok(all.into())
        };
        timeout_at(until, reading).await.map_err(|_| Failed::late(&self.name))?
    }

    /// Asks whether it answers, with its credential: for its models, of whose list only the beginning is read.
    ///
    /// # Errors
    /// When there is no answer in time, or it is no success.
    pub async fn probe(&self, connect: Duration, until: Instant) -> Result<(), Failed> {
        let asked = Asked { operation: Operation::Models, model: "", traceparent: None };
        let mut body = self.begin((asked, false), Bytes::new(), connect, until).await?.into_body();
        let reading = async {
            let mut bytes = 0;
            // A list that was read to its end leaves a connection for the next call.
            while let Some(chunk) = chunk(&mut body).await? {
                bytes += chunk.len();
                if bytes > PROBE_BYTES_MAX {
                    break;
                }
            }
            Ok(())
        };
        let read = timeout_at(until, reading).await.map_err(|_| Failed::late(&self.name))?;
        read.map_err(|broken: Broken| Failed::connection(&self.name, broken))
    }

    /// Sends a request whose answer comes in pieces.
    ///
    /// # Errors
    /// When no answer begins in time, or it is no success.
    pub async fn stream(
        &self,
        asked: Asked<'_>,
        body: Bytes,
        connect: Duration,
        until: Instant,
    ) -> Result<EventStream, Failed> {
        let response = self.begin((asked, true), body, connect, until).await?;
        Ok(EventStream::new(&self.name, response.into_body()))
    }
}

/// The providers of a node, by name.
#[derive(Debug, Clone, Default)]
pub struct Providers(pub Arc<BTreeMap<String, Arc<Provider>>>);

impl Providers {
    /// A provider that a tenant may use.
    #[must_use]
    pub fn get(&self, name: &str, tenant: &TenantId) -> Option<Arc<Provider>> {
        self.0.get(name).filter(|provider| provider.tenants.contains(tenant)).cloned()
    }

    /// Reads credentials again that have changed. Blocks.
    pub fn refresh(&self) {
        self.0.values().for_each(|provider| provider.key.refresh());
    }
}
