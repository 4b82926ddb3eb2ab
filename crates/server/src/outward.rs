//! Requests to other servers: never into the network this one is in, unless that is allowed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ashlar_release::receivers::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Connections to a host that wait for the next request.
const IDLE_MAX: usize = 256;

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
