//! Which receivers of webhooks can be sent to: addresses outside the server's own networks, unless those are allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address leads out of the server's own networks. Everything that is not plainly public is inside.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || ip.is_unspecified()
                || a == 0
                // Carrier-grade NAT, protocol assignments, benchmarks, reserved.
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b))
                || a >= 240)
        }
        IpAddr::V6(ip) => match embedded(ip) {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // Global unicast is 2000::/3; documentation, benchmarking and overlays inside it are not.
            None => {
                let [s0, s1, ..] = ip.segments();
                s0 & 0xe000 == 0x2000 && !(s0 == 0x2001 && (s1 == 0x0db8 || s1 < 0x0200)) && s0 != 0x3fff
            }
        },
    }
}

/// The IPv4 address inside one that stands for it: mapped, NAT64, 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Why an address is not sent to; asked when a webhook is made, and before every try, because names and settings change.
pub fn refused(url: &str, private: bool) -> Option<&'static str> {
    let Ok(parsed) = url::Url::parse(url) else { return Some("the address cannot be read") };
    if private {
        return None;
    }
    if parsed.scheme() != "https" {
        return Some(
            "the address must begin with https://; set server.webhooks_to_private for a network of your own",
        );
    }
    let inside = match parsed.host() {
        Some(url::Host::Ipv4(ip)) => !is_public(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) => !is_public(IpAddr::V6(ip)),
        Some(url::Host::Domain(name)) => is_inner_name(name),
        None => true,
    };
    inside.then_some("the address is inside a private network; set server.webhooks_to_private to allow that")
}

/// Names that are kept for a machine or a network by itself (RFC 6761, 6762, 8375), and names without a domain.
fn is_inner_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    !name.contains('.')
        || ["localhost", "local", "internal", "test", "invalid", "onion"].contains(&last)
        || name.ends_with(".home.arpa")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "203.0.113.5",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn addresses_are_refused_before_anything_is_sent() {
        for url in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest",
            "https://[::ffff:10.0.0.1]/",
        ] {
            assert!(refused(url, false).is_some(), "{url}");
        }
        assert_eq!(refused("https://example.com/", false), None);
        assert_eq!(refused("http://127.0.0.1:9/", true), None);
    }
}
