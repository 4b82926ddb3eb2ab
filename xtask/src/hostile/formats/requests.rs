//! Requests: lists, filters, search, locales, headers, paths, framing.

use super::text::{nested, pieces};
use crate::{
    hostile::corpus::{Generator, Load},
    random::Random,
};

/// A head on a connection of its own.
fn raw(head: &str, body: &[u8]) -> Load {
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend(body);
    Load::Raw(bytes)
}

/// A GET with one further header.
fn with(random: &mut Random, name: &str, value: String) -> Load {
    let path = random
        .one(&[
            "/en/home",
            "/v1/entries/page/home",
            "/v1/pages/home",
            "/sitemap.xml",
            "/",
            "/v1/tokens",
            "/npm/@alpha/tokens",
        ])
        .copied()
        .unwrap_or("/");
    Load::Read { path: path.to_owned(), headers: vec![(name.to_owned(), value)] }
}

const LONG: [usize; 4] = [100, 4_000, 20_000, 1_000_000];
const MANY: [usize; 4] = [10, 100, 1_000, 100_000];
const FEW: [usize; 4] = [0, 1, 2, 3];

macro_rules! generator {
    ($name:literal, $sizes:expr, $make:expr) => {
        Generator { format: "requests", name: $name, sizes: $sizes, make: $make }
    };
}

/// What stands in an address and in a head.
pub const ALL: &[Generator] = &[
    generator!("filters", MANY, |_, n| Load::read(format!(
        "/v1/entries/page?{}",
        pieces(n, "&", |i| format!("rank[gte]={i}"))
    ))),
    generator!("unknown-filters", MANY, |_, n| Load::read(format!(
        "/v1/entries/page?{}",
        pieces(n, "&", |i| format!("f{i}=1"))
    ))),
    generator!("filter-value", LONG, |_, n| Load::read(format!("/v1/entries/page?rank={}", "9".repeat(n)))),
    generator!("sorts", MANY, |_, n| Load::read(format!(
        "/v1/entries/page?sort={}",
        pieces(n, ",", |_| "-rank".to_owned())
    ))),
    generator!("limit", FEW, |_, n| Load::read(format!(
        "/v1/entries/page?limit={}",
        ["0", "-1", "99999999999999999999", "1e9"][n % 4]
    ))),
    generator!("cursor", LONG, |_, n| Load::read(format!("/v1/entries/page?cursor={}", "A".repeat(n)))),
    generator!("cursor-forms", FEW, |_, n| Load::read(format!(
        "/v1/entries/page?cursor={}",
        ["%00", "null", "W1tbW1tb", "%ff%fe"][n % 4]
    ))),
    generator!("locales", MANY, |_, n| Load::read(format!(
        "/v1/entries/page/home?locale={}",
        pieces(n, ",", |i| format!("l{i}"))
    ))),
    generator!("same-parameter", MANY, |_, n| Load::read(format!(
        "/v1/pages/home?{}",
        "locale=de&".repeat(n)
    ))),
    generator!("at", FEW, |_, n| Load::read(format!(
        "/v1/pages/home?at={}",
        ["c99999999999999999999", "r0", "changeset:../../x", "draft%00"][n % 4]
    ))),
    generator!("search-words", MANY, |_, n| Load::read(format!(
        "/en/search?q={}",
        pieces(n, "+", |i| format!("w{i}"))
    ))),
    generator!("search-length", LONG, |_, n| Load::read(format!("/en/search?q={}", "a".repeat(n)))),
    generator!("search-marks", LONG, |_, n| Load::read(format!(
        "/en/search?q={}",
        "%CC%81".repeat(n / 6 + 1)
    ))),
    generator!("search-api", MANY, |_, n| Load::read(format!(
        "/v1/search?limit=50&facets=type,index&q={}",
        pieces(n.min(400), "+", |i| format!("word{i}"))
    ))),
    // Letters swapped, so that each word is compared with all there are.
    generator!("search-misspelt", [1, 5, 20, 64], |r, n| {
        let begins = r.below(10);
        let words = pieces(n, "+", |i| format!("{}{begins}{i}", ["wrods", "hmoe", "contnet", "paeg"][i % 4]));
        Load::read(format!("/v1/search?q={words}"))
    }),
    generator!("answers", [1, 20, 60, 200], |_, n| {
        let body = format!(r#"{{"question":"{}"}}"#, pieces(n, " ", |i| format!("what word{i}")));
        raw(
            &format!(
                "POST /v1/answers HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            ),
            body.as_bytes(),
        )
    }),
    generator!("search-distinct", [1, 2, 3, 4], |r, _| Load::read(format!("/en/search?q=x{}", r.next()))),
    generator!("surface", LONG, |_, n| Load::read(format!("/en/home?surface={}", "a".repeat(n)))),
    generator!("compare", LONG, |_, n| Load::read(format!("/v1/routes?path=/{}", "a/".repeat(n / 2)))),
    generator!("path", LONG, |_, n| Load::read(format!("/{}", "a".repeat(n)))),
    generator!("path-segments", LONG, |_, n| Load::read("/a".repeat(n / 2))),
    generator!("path-dots", LONG, |_, n| Load::read(format!("/{}etc/passwd", "../".repeat(n / 3)))),
    generator!("path-escapes", LONG, |_, n| Load::read(format!("/{}", "%2e%2e%2f".repeat(n / 9)))),
    generator!("path-percent", LONG, |_, n| Load::read(format!("/{}", "%".repeat(n)))),
    generator!("path-forms", FEW, |_, n| Load::read(
        ["/assets/..%2f..%2fashlar.toml", "/preview/%0d%0aX/", "/en/home%00", "//beta.example/en/home"]
            [n % 4]
    )),
    generator!("preview-forms", FEW, |_, n| Load::read(
        ["/preview/", "/preview/ash_x_y/", "/preview/%0d%0aX: y", "/preview//-/compare/"][n % 4]
    )),
    generator!("npm-forms", FEW, |_, n| Load::read(
        [
            "/npm/@alpha%2ftokens/-/../../x.tgz",
            "/npm/-/whoami",
            "/npm/%00",
            "/v1/tokens/@alpha/tokens@99999999999999999999.0.0/x"
        ][n % 4]
    )),
    generator!("graphql-get", LONG, |_, n| Load::read(format!(
        "/graphql?documentId=sha256:x&variables={}",
        nested("[", "", "]", n)
    ))),
    generator!("accept-language", LONG, |r, n| with(
        r,
        "accept-language",
        pieces(n / 8, ",", |i| format!("l{i};q=0.1"))
    )),
    generator!("accept-language-q", FEW, |r, n| with(
        r,
        "accept-language",
        ["de;q=1e999", "*;q=-1", "de;q=NaN,en;q=0", "-"][n % 4].to_owned()
    )),
    generator!("accept-encoding", LONG, |r, n| with(r, "accept-encoding", "gzip;q=0.1,".repeat(n / 11))),
    generator!("if-none-match", LONG, |r, n| with(r, "if-none-match", "\"a\",".repeat(n / 4))),
    generator!("range", LONG, |r, n| with(r, "range", format!("bytes={}", "0-1,".repeat(n / 4)))),
    generator!("cookie", LONG, |r, n| with(r, "cookie", "a=b;".repeat(n / 4))),
    generator!("accept", LONG, |r, n| with(r, "accept", "a/b;c=d,".repeat(n / 8))),
    generator!("traceparent", LONG, |r, n| with(r, "traceparent", format!("00-{}-01", "f".repeat(n)))),
    generator!("last-event-id", FEW, |r, n| with(
        r,
        "last-event-id",
        ["-1", "99999999999999999999", "\u{1}", "x"][n % 4].to_owned()
    )),
    generator!("authorization", LONG, |r, n| with(r, "authorization", format!("Bearer {}", "a".repeat(n)))),
    generator!("authorization-form", FEW, |r, n| with(
        r,
        "authorization",
        [
            format!("Bearer ash_{}_{}", "0".repeat(16), "0".repeat(64)),
            "Basic eA==".to_owned(),
            "Bearer".to_owned(),
            "bearer  x".to_owned()
        ][n % 4]
            .clone()
    )),
    generator!("forwarded-host", FEW, |r, n| with(
        r,
        "x-forwarded-host",
        ["beta.example", "evil.example", "a\"><script>", "beta.example, alpha.example"][n % 4].to_owned()
    )),
    generator!("forwarded-proto", FEW, |r, n| with(
        r,
        "x-forwarded-proto",
        ["javascript", "https", "http\"", "https,http"][n % 4].to_owned()
    )),
    generator!("forwarded", FEW, |r, n| with(
        r,
        "forwarded",
        ["host=beta.example", "for=1.2.3.4;host=\"x\"", "host=;;;", "proto=javascript"][n % 4].to_owned()
    )),
    generator!("override", FEW, |r, n| {
        let name = ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-host"][n % 4];
        with(r, name, "beta.example".to_owned())
    }),
    generator!("headers", MANY, |_, n| {
        let headers = (0..n).map(|i| (format!("x-h{i}"), "v".to_owned())).collect();
        Load::Read { path: "/en/home".to_owned(), headers }
    }),
    generator!("header-name", LONG, |_, n| Load::Read {
        path: "/en/home".to_owned(),
        headers: vec![("x".repeat(n), "v".to_owned())]
    }),
    // Framing.
    generator!("host", [0, 1, 2, 11], |_, n| {
        let hosts = [
            "beta.example",
            "",
            "alpha.example\r\nhost: beta.example",
            "alpha.example, beta.example",
            "beta.example.",
            "BETA.EXAMPLE",
            "beta.example:99999",
            "beta.example/en",
            "user@beta.example",
            "[::1",
            "beta.example#",
            "beta.example\\",
        ];
        raw(
            &format!(
                "GET /en/home HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
                hosts[n % hosts.len()]
            ),
            b"",
        )
    }),
    generator!("no-host", FEW, |_, n| raw(
        &format!("GET /en/home HTTP/1.{}\r\nconnection: close\r\n\r\n", n % 2),
        b""
    )),
    generator!("absolute", FEW, |_, n| {
        let target = [
            "http://beta.example/en/home",
            "http://user@beta.example/en/home",
            "http://alpha.example:80/en/home",
            "ftp://beta.example/",
        ][n % 4];
        raw(&format!("GET {target} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n"), b"")
    }),
    generator!("lengths", [0, 1, 2, 7], |_, n| {
        let framing = [
            "content-length: 5\r\ncontent-length: 6",
            "content-length: -1",
            "content-length: 99999999999999999999",
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked, identity",
            "transfer-encoding: xchunked",
            "content-length: +5",
            "content-length: 5, 5",
        ][n % 8];
        raw(
            &format!("POST /graphql HTTP/1.1\r\nhost: HOST\r\n{framing}\r\nconnection: close\r\n\r\n"),
            b"0\r\n\r\nGET /en/home HTTP/1.1\r\nhost: beta.example\r\n\r\n",
        )
    }),
    generator!("chunks", [1, 1_000, 100_000, 1_000_000], |_, n| {
        raw(
            "POST /api/v1/consumers/verify HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            format!("{}0\r\n\r\n", "1\r\n{\r\n".repeat(n)).as_bytes(),
        )
    }),
    generator!("chunk-extensions", LONG, |_, n| {
        raw(
            "POST /api/v1/consumers/verify HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            format!("1;{}\r\n{{\r\n0\r\n\r\n", "a".repeat(n)).as_bytes(),
        )
    }),
    generator!("chunk-length", FEW, |_, n| {
        let length = ["ffffffffffffffff", "fffffffffffffffff", "-1", "0x10"][n % 4];
        raw(
            "POST /api/v1/consumers/verify HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            format!("{length}\r\nabc").as_bytes(),
        )
    }),
    generator!("folded", FEW, |_, n| raw(
        &format!(
            "GET /en/home HTTP/1.1\r\nhost: HOST\r\nx: a\r\n{}b\r\nconnection: close\r\n\r\n",
            [" ", "\t", "\u{b}", "\0"][n % 4]
        ),
        b""
    )),
    generator!("method", LONG, |_, n| raw(
        &format!("{} / HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n", "G".repeat(n)),
        b""
    )),
    generator!("pipelined", [10, 1_000, 10_000, 50_000], |_, n| raw(
        &"GET /v1/entries/page/home HTTP/1.1\r\nhost: HOST\r\n\r\n".repeat(n),
        b""
    )),
    generator!("noise", LONG, |r, n| {
        let mut bytes = Vec::new();
        while bytes.len() < n {
            bytes.extend(r.next().to_le_bytes());
        }
        Load::Raw(bytes)
    }),
    generator!("line-feeds", LONG, |_, n| raw(&"\n".repeat(n), b"")),
    generator!("http2-noise", LONG, |r, n| {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        while bytes.len() < n + 24 {
            bytes.extend(r.next().to_le_bytes());
        }
        Load::Raw(bytes)
    }),
    generator!("http2-settings", [1, 100, 10_000, 500_000], |_, n| {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for _ in 0..n {
            bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        }
        Load::Raw(bytes)
    }),
    generator!("http2-pings", [1, 100, 10_000, 500_000], |_, n| {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        for _ in 0..n {
            bytes.extend([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
        Load::Raw(bytes)
    }),
    generator!("http2-resets", [1, 100, 10_000, 200_000], |_, n| {
        // HEADERS and RST_STREAM at once, again and again (CVE-2023-44487).
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        for i in 0..n as u32 {
            let stream = (i * 2 + 1).to_be_bytes();
            bytes.extend([0, 0, 3, 1, 5]);
            bytes.extend(stream);
            bytes.extend([0x82, 0x86, 0x84]);
            bytes.extend([0, 0, 4, 3, 0]);
            bytes.extend(stream);
            bytes.extend([0, 0, 0, 8]);
        }
        Load::Raw(bytes)
    }),
    generator!("http2-continuation", [1, 100, 10_000, 200_000], |_, n| {
        // Headers that never end (CVE-2024-27316).
        let mut bytes =
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x01\0\0\0\x01\x82".to_vec();
        for _ in 0..n {
            bytes.extend(b"\0\0\x04\x09\0\0\0\0\x01\0\x01a\0");
        }
        Load::Raw(bytes)
    }),
    generator!("changes", [1, 2, 3, 4], |_, _| raw(
        "GET /v1/changes HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n",
        b""
    )),
];
