//! Requests to other servers: never into the network this one is in, unless that is allowed.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use ashlar_gateway::upstream::Resolver;
use ashlar_release::receivers::is_public;
use futures::FutureExt as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Connections to a host that wait for the next request.
const IDLE_MAX: usize = 256;

/// Names are resolved to public addresses alone, and what was looked at is what is connected to.
struct PublicOnly;

/// The public addresses of a host.
async fn public(host: String) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
    let public: Vec<SocketAddr> = found.filter(|a| is_public(a.ip())).collect();
    if public.is_empty() {
        return Err(io::Error::other(format!("{host} leads to no public address")));
    }
    Ok(public)
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move { Ok(Box::new(public(name).await?.into_iter()) as Addrs) })
    }
}

/// How providers of models are found; `None`: as the system finds them. `private`: they may be in this network and on this machine.
pub fn resolver(private: bool) -> Option<Resolver> {
    (!private).then(|| Arc::new(|host| public(host).boxed()) as Resolver)
}

/// A client whose requests take at most so long. `private`: it may connect to this network and this machine.
///
/// # Errors
/// When no client can be made.
pub fn client(private: bool, answer_max: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .timeout(answer_max)
        .connect_timeout(CONNECT_MAX)
        // A redirect would lead past everything that was checked.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("Ashlar/", env!("CARGO_PKG_VERSION")));
    let builder = if private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) };
    builder.build()
}

/// A client for answers of any length, whose connections are made within a time. `private`: as above.
///
/// # Errors
/// When no client can be made.
pub fn patient(private: bool, connect_max: Duration) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(connect_max)
        .pool_max_idle_per_host(IDLE_MAX)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("Ashlar/", env!("CARGO_PKG_VERSION")));
    let builder = if private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) };
    builder.build()
}

/// An error with what caused it, without the address it was about.
pub fn chain(error: &reqwest::Error) -> String {
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
