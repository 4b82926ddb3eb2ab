//! Who a client is when it has no key: its address. And how often somebody may ask.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{extract::ConnectInfo, http::Extensions};

use crate::front::Asked;

/// Clients that are counted apart. Beyond them new ones are counted together.
const KNOWN_MAX: usize = 10_000;
/// How often room is made at most.
const SWEEP: Duration = Duration::from_millis(200);

/// What limits per address count by: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one customer of
/// a network gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            ip => Self(ip),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of the client of a request: the peer of the connection, or what a configured proxy says.
pub fn client_address(extensions: &Extensions) -> Address {
    let asked = extensions.get::<Asked>().map(|asked| asked.client);
    let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    asked.or_else(peer).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)).into()
}

/// Requests per second and client, with a burst of one second's worth.
#[derive(Debug)]
pub struct Limits<K> {
    per_second: f64,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    known: HashMap<K, Bucket>,
    /// Of all who found no room.
    others: Bucket,
    swept: Instant,
}

#[derive(Debug)]
struct Bucket {
    at: Instant,
    left: f64,
}

impl Bucket {
    fn fill(&mut self, per_second: f64) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * per_second).min(per_second.max(1.0));
        self.at = now;
    }
}

impl<K: Eq + Hash> Limits<K> {
    /// `per_second` of 0 means no limit.
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        let others = Bucket { at: Instant::now(), left: per_second };
        let buckets = Buckets { known: HashMap::new(), others, swept: Instant::now() };
        Self { per_second, buckets: Mutex::new(buckets) }
    }

    /// How many there may be.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Takes one; `false` when there is none left.
    pub fn take(&self, key: K) -> bool {
        if self.per_second == 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = &mut *buckets;
        if buckets.known.len() >= KNOWN_MAX && buckets.swept.elapsed() > SWEEP {
            // After a second of quiet a bucket is full, as a new one would be.
            buckets.known.retain(|_, bucket| bucket.at.elapsed() < Duration::from_secs(1));
            buckets.swept = Instant::now();
        }
        let full = buckets.known.len() >= KNOWN_MAX;
        let bucket = match buckets.known.get_mut(&key) {
            Some(bucket) => bucket,
            None if full => &mut buckets.others,
            None => buckets.known.entry(key).or_insert(Bucket { at: Instant::now(), left: self.per_second }),
        };
        bucket.fill(self.per_second);
        let enough = bucket.left >= 1.0;
        if enough {
            bucket.left -= 1.0;
        }
        enough
    }

    /// Whether there is none left.
    pub fn is_spent(&self, key: &K) -> bool {
        if self.per_second == 0.0 {
            return false;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = buckets.known.get_mut(key) else { return false };
        bucket.fill(self.per_second);
        bucket.left < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_one_client_and_the_table_is_bounded() {
        let of = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(of("2001:db8:1:2:3::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        let limits = Limits::new(2);
        assert!(limits.take(of("192.0.2.1")) && limits.take(of("192.0.2.1")));
        assert!(!limits.take(of("192.0.2.1")) && limits.is_spent(&of("192.0.2.1")));
        assert!(limits.take(of("192.0.2.2")) && !limits.is_spent(&of("192.0.2.3")));
        for n in 0..20_000_u32 {
            limits.take(Address::from(IpAddr::from(n.to_be_bytes())));
        }
        assert!(limits.buckets.lock().unwrap().known.len() <= KNOWN_MAX);
        assert!(Limits::new(0).take(()), "0 is no limit");
    }
}
