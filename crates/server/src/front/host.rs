//! Which name a request asks for, and who asks: the host, and what a proxy in front says of the client.
//!
//! Invariant: every request that reaches the router has passed [`admit`]. `Host` is then well formed, in normal form and the
//! one that counts, and headers of a proxy are there only when a configured proxy sent them.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ashlar_model::Network;
use axum::{
    body::Bytes,
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderValue, Uri, Version, header, request::Parts, uri::PathAndQuery},
    response::{IntoResponse, Response},
};

use crate::front::ApiError;

/// The longest host with its port: a DNS name with a dot at its end, a colon and five digits.
const AUTHORITY_BYTES_MAX: usize = 254 + 6;
/// Proxies of a chain that are looked at.
const HOPS_MAX: usize = 32;
/// Headers by which proxies say who asks.
const SAID: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
/// The value of `Vary` of an answer that contains an address of this server, when a proxy says which.
pub const VARY_BY_PROXY: &str = "forwarded, x-forwarded-host, x-forwarded-proto";

/// The name and the port of a `Host` or `:authority`; `None` when it is malformed. The port is empty when there is none.
pub fn split(authority: &str) -> Option<(&str, &str)> {
    if authority.len() > AUTHORITY_BYTES_MAX {
        return None;
    }
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            let port = if after.is_empty() { "" } else { after.strip_prefix(':')? };
            (&authority[..address.len() + 2], port)
        }
        None => {
            let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
            let mut before = b'.';
            for byte in name.bytes() {
                let good = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                if !good || (byte == b'.' && before == b'.') {
                    return None;
                }
                before = byte;
            }
            (name, port)
        }
    };
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let good = !name.is_empty() && digits && (port.is_empty() || port.parse::<u16>().is_ok());
    good.then_some((name, port))
}

/// A host in normal form: without its port, in lower case, without a dot at its end.
pub fn normal(authority: &str) -> Cow<'_, str> {
    let name = split(authority).map_or(authority, |(name, _)| name);
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// What is known of who asks. Only [`Proxies::asked`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `https` when a configured proxy says so.
    pub scheme: &'static str,
    /// The host and port as the client has them, for addresses in answers. What is served follows from `Host` alone.
    pub authority: String,
    /// The client: the peer, or what configured proxies say.
    pub client: IpAddr,
    /// Whether the peer is a configured proxy.
    pub proxied: bool,
}

impl Asked {
    /// What [`admit`] found out about a request.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self {
            scheme: "http",
            authority: text(&parts.headers, "host").unwrap_or("localhost").to_owned(),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            proxied: false,
        })
    }

    /// Where this server is, as the client sees it.
    pub fn origin(&self) -> String {
        let host = if self.authority.is_empty() { "localhost" } else { &self.authority };
        format!("{}://{host}", self.scheme)
    }
}

/// The proxies whose headers are believed: `server.trusted_proxies`.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[Network]>);

/// What a proxy says: the client, the scheme, the host.
type Said = (IpAddr, Option<&'static str>, Option<String>);

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The items of a header that may stand in several lines, in order.
fn items(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|l| l.split(',')).map(|i| i.trim().to_owned()).collect()
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let found = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.parse().ok(),
        None => {
            text.parse().ok().or_else(|| text.rsplit_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::V4))
        }
    };
    found.map(|ip: IpAddr| ip.to_canonical())
}

fn scheme(text: &str) -> Option<&'static str> {
    match text {
        t if t.eq_ignore_ascii_case("https") => Some("https"),
        t if t.eq_ignore_ascii_case("http") => Some("http"),
        _ => None,
    }
}

fn host(text: &str) -> Option<String> {
    split(text).map(|_| text.to_ascii_lowercase())
}

impl Proxies {
    /// Those of a configuration.
    pub fn new(networks: &[Network]) -> Self {
        Self(networks.into())
    }

    /// Whether an address is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|n| n.contains(address))
    }

    /// Walks a chain of addresses from the peer outwards: the first that is no proxy of ours, and its place from the left.
    /// What cannot be read was not written by a proxy of ours, and ends the walk.
    fn walk(&self, peer: IpAddr, chain: &[Option<IpAddr>]) -> (IpAddr, usize) {
        let (mut client, mut at) = (peer, chain.len());
        for address in chain.iter().rev().take(HOPS_MAX) {
            let Some(address) = address else { break };
            (client, at) = (*address, at - 1);
            if !self.trusts(client) {
                break;
            }
        }
        (client, at)
    }

    fn by_x_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Said> {
        if !SAID[1..].iter().any(|name| headers.contains_key(*name)) {
            return None;
        }
        let chain: Vec<_> = items(headers, "x-forwarded-for").iter().map(|i| address(i)).collect();
        let (client, at) = self.walk(peer, &chain);
        // A list as long as the chain has an item for each proxy; otherwise the last item is that of the peer.
        let pick = |name: &str| {
            let all = items(headers, name);
            let at = if all.len() == chain.len() { at } else { all.len().checked_sub(1)? };
            all.get(at).cloned()
        };
        let host = pick("x-forwarded-host").and_then(|h| host(&h));
        Some((client, pick("x-forwarded-proto").and_then(|p| scheme(&p)), host))
    }

    /// RFC 7239.
    fn by_forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Said> {
        if !headers.contains_key("forwarded") {
            return None;
        }
        let elements = items(headers, "forwarded");
        let of = |element: &str, wanted: &str| {
            element.split(';').find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                name.eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        let chain: Vec<_> = elements.iter().map(|e| of(e, "for").and_then(|a| address(&a))).collect();
        let (client, at) = self.walk(peer, &chain);
        let element = elements.get(at).or(elements.last())?;
        let (proto, named) = (of(element, "proto"), of(element, "host"));
        Some((client, proto.and_then(|p| scheme(&p)), named.and_then(|h| host(&h))))
    }

    /// Who asks: the one place that says scheme, host and client address of a request. `authority` is that of its `Host`.
    pub fn asked(&self, peer: IpAddr, authority: &str, headers: &HeaderMap) -> Asked {
        let peer = peer.to_canonical();
        let mut asked = Asked {
            scheme: "http",
            authority: authority.to_owned(),
            client: peer,
            proxied: self.trusts(peer),
        };
        if !asked.proxied {
            return asked;
        }
        let said = match (self.by_x_forwarded(peer, headers), self.by_forwarded(peer, headers)) {
            // A proxy writes one of the two and passes the other on; which of them is the client's own is not known.
            (Some(a), Some(b)) => (a == b).then_some(a),
            (a, b) => a.or(b),
        };
        if let Some((client, scheme, host)) = said {
            asked.client = client;
            asked.scheme = scheme.unwrap_or("http");
            asked.authority = host.unwrap_or(asked.authority);
        }
        asked
    }
}

fn bad_host(detail: &str) -> Box<ApiError> {
    let help = "send exactly one Host header with a host name, and a port when it is not the usual one";
    Box::new(ApiError::new(400, "bad-host", detail, help))
}

/// The host of a request in normal form, with its port; empty when an old client names none.
fn authority(request: &Request) -> Result<String, Box<ApiError>> {
    let uri = request.uri();
    let mut lines = request.headers().get_all(header::HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (_, Some(_)) => return Err(bad_host("the request has more than one Host header")),
        (Some(line), None) => {
            let line = line.to_str().ok().filter(|l| split(l).is_some());
            Some(line.ok_or_else(|| bad_host("the Host header is not a host name with or without a port"))?)
        }
        (None, None) => None,
    };
    if line.is_none() && request.version() == Version::HTTP_11 {
        return Err(bad_host("the request has no Host header"));
    }
    let target = match uri.authority().map(|a| a.as_str()) {
        Some(target) if target.contains('@') => {
            return Err(bad_host("the address of the request contains a user name or a password"));
        }
        Some(target) if split(target).is_none() => {
            return Err(bad_host("the address of the request has no well-formed host"));
        }
        target => target,
    };
    if uri.scheme_str().is_some_and(|s| scheme(s).is_none()) {
        return Err(bad_host("the address of the request is neither http nor https"));
    }
    let shown = |authority: &str| {
        let port = split(authority).map_or("", |(_, port)| port);
        let usual = matches!((uri.scheme_str(), port), (Some("http"), "80") | (Some("https"), "443"));
        match port.is_empty() || usual {
            true => normal(authority).into_owned(),
            false => format!("{}:{port}", normal(authority)),
        }
    };
    if request.version() >= Version::HTTP_2
        && let (Some(target), Some(line)) = (target, line)
        && shown(target) != shown(line)
    {
        return Err(bad_host("the Host header and :authority name different hosts"));
    }
    match target.or(line) {
        Some(authority) => Ok(shown(authority)),
        None if request.version() >= Version::HTTP_2 => Err(bad_host("the request names no host")),
        None => Ok(String::new()),
    }
}

/// The byte that an escape at this place of a path stands for, when it could be written as it is: a letter, a digit, `-`,
/// `_` or `~`. Dots stay escaped: no address gets parts that lead upwards by this.
fn unescaped(path: &[u8], at: usize) -> Option<u8> {
    let digits = path.get(at..at + 3).filter(|p| p[0] == b'%')?;
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let value = digit(digits[1])? << 4 | digit(digits[2])?;
    (value.is_ascii_alphanumeric() || b"-_~".contains(&value)).then_some(value)
}

/// Whether the path of a target has escapes of what need not be escaped.
pub fn hides_letters(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default().as_bytes();
    path.contains(&b'%') && (0..path.len()).any(|at| unescaped(path, at).is_some())
}

/// The same path and query, without such escapes: `/v1/%70ages` is `/v1/pages` (RFC 3986, section 6.2.2.2).
pub fn with_letters(uri: &Uri) -> Option<Uri> {
    let whole = uri.path_and_query()?.as_str();
    if !hides_letters(whole) {
        return None;
    }
    let (path, query) = match whole.split_once('?') {
        Some((path, query)) => (path.as_bytes(), Some(query)),
        None => (whole.as_bytes(), None),
    };
    let (mut out, mut at) = (Vec::with_capacity(whole.len()), 0);
    while at < path.len() {
        match unescaped(path, at) {
            Some(letter) => {
                out.push(letter);
                at += 3;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(out)).ok()?);
    Uri::from_parts(parts).ok()
}

/// Lets in what names its host as it must, once, and keeps what only proxies may say from everybody else. An answer that
/// says nothing about caching is not kept.
pub async fn admit(
    proxies: &Proxies,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let authority = match authority(&request) {
        Ok(authority) => authority,
        Err(error) => return error.into_response(),
    };
    if request.headers().get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        let help = "send one Authorization header";
        return ApiError::invalid("the request has more than one Authorization header", help).into_response();
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let asked = proxies.asked(peer, &authority, request.headers());
    let headers = request.headers_mut();
    for name in SAID {
        headers.remove(name);
    }
    headers.remove(header::HOST);
    if let Ok(value) = HeaderValue::try_from(authority)
        && !value.is_empty()
    {
        headers.insert(header::HOST, value);
    }
    request.extensions_mut().insert(asked);
    let mut response = next(request).await;
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The host that a request asks for.
pub fn host_of(headers: &HeaderMap) -> Option<&str> {
    text(headers, "host")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn letters_need_no_escape() {
        for (given, expected) in [
            ("/v1/%70ages/x?a=%70", Some("/v1/pages/x?a=%70")),
            ("/%7e%2D%5f%30", Some("/~-_0")),
            ("/a%2Fb%2e%2E%20%zz%", None),
            ("/a%2570", None),
            ("/plain?%61", None),
        ] {
            let uri: Uri = given.parse().unwrap_or_default();
            let found = with_letters(&uri).map(|u| u.to_string());
            assert_eq!(found.as_deref(), expected.filter(|_| uri.path() != "/"), "{given}");
        }
    }

    #[test]
    fn hosts_are_split_and_brought_to_normal_form() {
        for (given, expected) in [
            ("a.example", Some("a.example")),
            ("A.Example.:8080", Some("a.example")),
            ("a.example:", Some("a.example")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("my_host", Some("my_host")),
            ("", None),
            (".", None),
            (".a", None),
            ("a..b", None),
            ("a.example..", None),
            ("a.example:99999", None),
            ("a.example:8o", None),
            ("a:1:2", None),
            ("u@a.example", None),
            ("a.example/x", None),
            ("a, b", None),
            ("a b", None),
            ("[::1", None),
            ("[x]", None),
            ("[::1]x", None),
            ("%41", None),
            ("ä.example", None),
        ] {
            assert_eq!(split(given).map(|_| normal(given).into_owned()).as_deref(), expected, "{given}");
        }
        assert_eq!(split(&"a".repeat(300)), None);
    }

    fn asked(trusted: &[&str], peer: &str, headers: &[(&str, &str)]) -> (String, String, bool) {
        let networks: Vec<Network> = trusted.iter().map(|t| t.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let asked = Proxies::new(&networks).asked(peer.parse().unwrap(), "in.example:8080", &map);
        (asked.origin(), asked.client.to_string(), asked.proxied)
    }

    #[test]
    fn only_configured_proxies_are_believed() {
        let said = [
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "Out.example"),
        ];
        let seen = |origin: &str, client: &str, proxied| (origin.to_owned(), client.to_owned(), proxied);
        assert_eq!(asked(&[], "10.0.0.1", &said), seen("http://in.example:8080", "10.0.0.1", false));
        assert_eq!(
            asked(&["10.0.0.0/8"], "11.0.0.1", &said),
            seen("http://in.example:8080", "11.0.0.1", false)
        );
        assert_eq!(asked(&["10.0.0.0/8"], "10.0.0.1", &said), seen("https://out.example", "9.9.9.9", true));
        // A client may write what it likes to the left of what proxies add.
        let chain = [("x-forwarded-for", "1.1.1.1, 9.9.9.9"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(asked(&["10.0.0.0/8"], "10.0.0.1", &chain).1, "9.9.9.9");
        let unknown = [("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.2")];
        assert_eq!(asked(&["10.0.0.0/8"], "10.0.0.1", &unknown).1, "10.0.0.2");
        let forwarded =
            [("forwarded", "for=1.1.1.1;proto=http, For=\"[2001:db8::9]:471\";proto=https;host=out.example")];
        assert_eq!(
            asked(&["10.0.0.0/8"], "::ffff:10.0.0.1", &forwarded),
            seen("https://out.example", "2001:db8::9", true)
        );
        // Two headers that disagree: one of them may be the client's own.
        let both = [("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=8.8.8.8;host=evil.example")];
        assert_eq!(asked(&["10.0.0.1"], "10.0.0.1", &both), seen("http://in.example:8080", "10.0.0.1", true));
        // A host that is none is not repeated.
        let evil = [("x-forwarded-host", "evil\"><script>")];
        assert_eq!(asked(&["10.0.0.1"], "10.0.0.1", &evil).0, "http://in.example:8080");
    }

    #[test]
    fn one_name_is_asked_for() {
        let (one, two) = (Version::HTTP_11, Version::HTTP_2);
        for (version, target, hosts, expected) in [
            (one, "/x", &["a.example"][..], Some("a.example")),
            (one, "/x", &["A.Example.:8080"], Some("a.example:8080")),
            (one, "/x", &[], None),
            (one, "/x", &["a.example", "a.example"], None),
            (one, "http://B.example:80/x", &["a.example"], Some("b.example")),
            (one, "http://b.example/x", &[], None),
            (one, "http://u@b.example/x", &["a.example"], None),
            (Version::HTTP_10, "/x", &[], Some("")),
            (two, "http://a.example/x", &[], Some("a.example")),
            (two, "http://a.example/x", &["A.example.:80"], Some("a.example")),
            (two, "http://a.example/x", &["b.example"], None),
            (two, "http://a.example:81/x", &["a.example"], None),
            (two, "http://u:p@a.example/x", &[], None),
            (two, "/x", &["a.example"], Some("a.example")),
            (two, "/x", &[], None),
        ] {
            let mut request = Request::builder().version(version).uri(target);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            let found = authority(&request.body(axum::body::Body::empty()).unwrap());
            assert_eq!(found.ok().as_deref(), expected, "{version:?} {target} {hosts:?}");
        }
    }
}
