//! Connections to providers. Every call of a model goes through here, so there is nothing between a call and its connection: no
//! redirects, no proxies, no cookies, and no second reading of addresses.

use std::{
    error::Error,
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, crypto::CryptoProvider};
use rustls_platform_verifier::Verifier;
use tokio::time::timeout;
use tower::Service;

/// Connections to a host that wait for the next request, and for how long.
const IDLE_MAX: usize = 256;
const IDLE_TIME: Duration = Duration::from_secs(90);
/// How often a silent connection is asked whether it is still there, and how often in vain.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
const ALIVE_TRIES: u32 = 3;
/// How long sent bytes may stay without acknowledgement.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Finds the addresses of a host.
pub type Resolver = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Looks names up, as the system does unless somebody else is named.
#[derive(Clone)]
struct Names(Option<Resolver>);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolver, name) = (self.0.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = match resolver {
                Some(resolver) => resolver(name).await?,
                None => tokio::net::lookup_host((name, 0)).await?.collect(),
            };
            Ok(found.into_iter())
        })
    }
}

type Https = HttpsConnector<HttpConnector<Names>>;
type BoxError = Box<dyn Error + Send + Sync>;

/// Makes connections within a time, that of encryption included.
#[derive(Clone)]
struct Connector {
    https: Https,
    within: Duration,
}

impl Service<Uri> for Connector {
    type Response = <Https as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (made, within) = (self.https.call(uri), self.within);
        Box::pin(async move { timeout(within, made).await? })
    }
}

/// Sends requests to a provider over connections that it keeps.
#[derive(Clone)]
pub struct Client(legacy::Client<Connector, Full<Bytes>>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// No connection was made.
    Unreached,
    /// The connection ended.
    Closed,
    /// Nothing came over it for too long.
    Silent,
}

impl Broken {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let timed_out = |error: &(dyn Error + 'static)| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        let mut causes = std::iter::successors(Some(error), |error| (*error).source());
        if causes.any(timed_out) { Self::Silent } else { Self::Closed }
    }
}

impl Client {
    /// A client whose connections are made within a time, to the addresses that `resolver` finds; `None`: to those that the system finds.
    ///
    /// # Errors
    /// When the process has no cryptography, or the certificates of the system cannot be read.
    pub fn new(connect: Duration, resolver: Option<Resolver>) -> Result<Self, String> {
        let provider = CryptoProvider::get_default().ok_or("no cryptography is installed")?.clone();
        let verifier = Verifier::new(provider.clone()).map_err(|error| error.to_string())?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let mut http = HttpConnector::new_with_resolver(Names(resolver));
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(ALIVE_EVERY));
        http.set_keepalive_interval(Some(ALIVE_EVERY));
        http.set_keepalive_retries(Some(ALIVE_TRIES));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let https = https.enable_http1().enable_http2().wrap_connector(http);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.pool_timer(TokioTimer::new());
        builder.pool_idle_timeout(IDLE_TIME);
        builder.pool_max_idle_per_host(IDLE_MAX);
        Ok(Self(builder.build(Connector { https, within: connect })))
    }

    /// Sends a request; the answer has begun when this returns.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken> {
        let sent = self.0.request(request).await;
        sent.map_err(|error| if error.is_connect() { Broken::Unreached } else { Broken::of(&error) })
    }
}

/// The next piece of a body; `None` at its end.
pub(super) async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, Broken> {
    loop {
        match body.frame().await.transpose() {
            Ok(None) => return Ok(None),
            Ok(Some(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Err(error) => return Err(Broken::of(&error)),
        }
    }
}
