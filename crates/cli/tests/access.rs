//! Who sees what: tenants, hosts, keys, and caches that stand between.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
};

use common::{Answer, PLAN, Rig, Served, eventually, start};
use serde_json::{Value, json};

/// Sends bytes as they are and reads one answer to the end of the connection.
fn raw(url: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
    Answer { status, head, body: answer.get(end + 4..).unwrap_or_default().to_vec() }
}

fn get(url: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    raw(url, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}\r\n"))
}

/// Two tenants with the same definitions and ids: `main` at `www.example`, `b` at `b.example`; each serves one thing on
/// its public channel and another on `staging`.
struct Two {
    rig: Rig,
    _server: Served,
    url: String,
    admin: BTreeMap<&'static str, String>,
    keys: Vec<(String, &'static str, &'static str)>,
}

fn files() -> Value {
    json!({
        "ashlar.toml": "name = 'two'\n[site]\nurl = 'https://two.example'\n[[site.feeds]]\nname = 'plans'\ntype = 'plan'\ndate = 'day'\n",
        "contracts/plan.v1.json": PLAN.replace("\"price\":{", "\"day\":{\"type\":\"string\",\"format\":\"date\",\"x-ashlar\":{\"indexed\":true}},\"price\":{"),
        "views/plans.v1.toml": "source = 'plan'\nlookup = 'slug'\nfields = ['name', 'slug']\n",
        "views/whole.v1.toml": "source = 'plan'\nlookup = 'slug'\n",
        "queries/plan.graphql": "query Plan { plan(id: \"team\") { name } }\n",
        "site/site.toml": "title = 'two'\nhome = '/pricing/team'\n[[page]]\ntype = 'plan'\nview = 'plans.v1'\nlayout = 'plan.html'\n",
        "site/layouts/plan.html": "<!doctype html><html lang=\"en\"><head><title>{{ page.name }}</title></head><body><h1>{{ page.name }}</h1></body></html>",
        "redirects.toml": "[[redirect]]\nfrom = '/old'\nto = '/pricing/team'\n",
        "tokens/core.tokens.json": "{\"ink\":{\"$type\":\"color\",\"$value\":\"#102030\"}}",
    })
}

impl Two {
    fn new(args: &[&str]) -> Self {
        let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "data".to_owned() };
        let mut all = vec!["serve", "--data", "data"];
        all.extend(args);
        let (server, ready) = start(&rig, &all);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let url = text(&ready["url"]);
        let mut two = Self { rig, _server: server, url, admin: BTreeMap::new(), keys: Vec::new() };
        two.admin.insert("main", text(&ready["keys"]["admin"]));
        two.api("main", "POST", "/tenants", &json!({"tenant": "main", "hosts": ["www.example"]}));
        let made = two.api(
            "main",
            "POST",
            "/tenants",
            &json!({"tenant": "b", "hosts": ["b.example"], "admin": "olga"}),
        );
        two.admin.insert("b", text(&made["key"]["key"]));
        for tenant in ["main", "b"] {
            two.api(tenant, "POST", "/definitions", &json!({ "files": files() }));
            two.release(tenant, &format!("public-{tenant}"), "production");
            two.release(tenant, &format!("next-{tenant}"), "staging");
            for (channel, says) in [(Value::Null, "public"), (json!("staging"), "next")] {
                let body = json!({"name": says, "scopes": ["read"], "channel": channel});
                let key = text(&two.api(tenant, "POST", "/keys", &body)["key"]);
                let says = match (tenant, says) {
                    ("main", "public") => "public-main",
                    ("main", _) => "next-main",
                    (_, "public") => "public-b",
                    _ => "next-b",
                };
                two.keys.push((key, tenant, says));
            }
        }
        two
    }

    fn api(&self, tenant: &str, method: &str, path: &str, body: &Value) -> Value {
        let (status, _, answer) = common::http(
            &self.url,
            method,
            &format!("/api/v1{path}"),
            &self.admin[tenant],
            &body.to_string(),
        );
        assert!(matches!(status, 200 | 201), "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    fn release(&self, tenant: &str, name: &str, channel: &str) {
        let fields = json!({"fields": {"slug": "team", "name": name, "price": 100, "day": "2026-01-01"}});
        self.api(tenant, "PUT", "/entries/plan/team?locale=en", &fields);
        let made = self.api(tenant, "POST", "/candidates", &json!({}));
        let id = made["candidate"].as_str().unwrap();
        if made["status"] != "passed" {
            let boss = json!({"name": "boss", "scopes": ["approve:pricing"]});
            let boss = self.api(tenant, "POST", "/keys", &boss)["key"].as_str().unwrap().to_owned();
            let path = format!("/api/v1/candidates/{id}/approve");
            let (status, _, said) =
                common::http(&self.url, "POST", &path, &boss, &json!({"right": "pricing"}).to_string());
            assert_eq!(status, 200, "{said} {made}");
        }
        self.api(tenant, "POST", &format!("/candidates/{id}/promote"), &json!({ "channel": channel }));
    }
}

const MARKS: [&str; 4] = ["public-main", "next-main", "public-b", "next-b"];

fn marks(answer: &Answer) -> (u16, Vec<&'static str>) {
    let text = String::from_utf8_lossy(&answer.body).into_owned() + &answer.head;
    (answer.status, MARKS.into_iter().filter(|m| text.contains(m)).collect())
}

/// A shared cache as RFC 9111 allows it, at its most eager: it keeps whatever is not forbidden, also without a lifetime.
#[derive(Default)]
struct SharedCache {
    kept: Vec<(String, Vec<(String, String)>, Answer)>,
    hits: usize,
}

impl SharedCache {
    fn get(
        &mut self,
        key: &str,
        headers: &[(&str, &str)],
        ask: impl FnOnce() -> Answer,
    ) -> (u16, Vec<&'static str>) {
        let sent = |name: &str| {
            headers.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()).unwrap_or_default()
        };
        let known =
            self.kept.iter().find(|(k, varies, _)| k == key && varies.iter().all(|(n, v)| sent(n) == *v));
        if let Some((_, _, answer)) = known {
            self.hits += 1;
            return marks(answer);
        }
        let answer = ask();
        let control = answer.header("cache-control").unwrap_or_default().to_owned();
        let forbidden = ["no-store", "private"].iter().any(|d| control.contains(d));
        let authorized = headers.iter().any(|(n, _)| *n == "authorization") && !control.contains("public");
        let vary: Vec<String> = answer
            .head
            .lines()
            .filter_map(|l| l.strip_prefix("vary: "))
            .flat_map(|v| v.split(',').map(|n| n.trim().to_owned()))
            .collect();
        let out = marks(&answer);
        if !forbidden && !authorized && !vary.iter().any(|v| v == "*") {
            let varies = vary.into_iter().map(|n| (n.clone(), sent(&n))).collect();
            self.kept.push((key.to_owned(), varies, answer));
        }
        out
    }
}

#[test]
fn no_tenant_reads_another_not_even_through_a_cache() {
    let two = Two::new(&[]);
    let sheet = {
        let body = get(&two.url, "www.example", "/pricing/team", &[]);
        assert_eq!(marks(&body), (200, vec!["public-main"]), "{}", body.text());
        format!("/v1/tokens/{}", "x@1.0.0/tokens.css")
    };
    let document = {
        let found = two.api("main", "GET", "/definitions?files=true", &json!({}));
        assert!(found["paths"].as_array().unwrap().len() > 5, "{found}");
        "/graphql?query=%7Bplan(id%3A%22team%22)%7Bname%7D%7D"
    };
    let hosts = [
        ("127.0.0.1:80", None),
        ("www.example", Some("main")),
        ("WWW.Example.:8080", Some("main")),
        ("b.example", Some("b")),
        ("B.EXAMPLE.", Some("b")),
    ];
    let paths = [
        "/v1/entries/plan/team",
        "/v1/entries/plan/team?locale=en",
        "/v1/entries/plan",
        "/v1/entries/plan/none",
        "/v1/plans/team",
        "/v1/whole/team",
        "/pricing/team",
        "/",
        "/old",
        "/nothing",
        "/en/nothing",
        "/v1/routes?path=/pricing/team",
        "/sitemap.xml",
        "/sitemap-plan.en.1.xml",
        "/feeds/plans.en.xml",
        "/robots.txt",
        "/openapi.json",
        "/v1/tokens",
        sheet.as_str(),
        "/npm/two-tokens",
        "/npm/-/whoami",
        "/metrics",
        document,
    ];
    let mut callers: Vec<(Option<&str>, &str, &str)> = vec![(None, "", "")];
    callers.extend(two.keys.iter().map(|(k, t, s)| (Some(k.as_str()), *t, *s)));
    let mut all = Vec::new();
    for (host, bound) in hosts {
        for (key, tenant, says) in &callers {
            for path in paths {
                all.push((host, bound, *key, *tenant, *says, path));
            }
        }
    }
    let mut cache = SharedCache::default();
    let mut seen = 0;
    // Every order can matter to a cache: a few, always the same.
    for round in 0_usize..3 {
        let steps = [1, 97, 389][round];
        for n in 0..all.len() {
            let (host, bound, key, tenant, says, path) = all[(n * steps + round) % all.len()];
            let auth = key.map(|k| format!("Bearer {k}")).unwrap_or_default();
            let headers: Vec<(&str, &str)> =
                if key.is_some() { vec![("authorization", auth.as_str())] } else { Vec::new() };
            let name = filed(host);
            let (status, found) =
                cache.get(&format!("{name}{path}"), &headers, || get(&two.url, host, path, &headers));
            let what = format!("{host} {path} {tenant}/{says}: {status} {found:?}");
            if key.is_some() && bound.is_some_and(|b| b != tenant) {
                // What names no tenant's content may be answered to anybody.
                let open = ["/openapi.json", "/metrics"].contains(&path);
                assert!(status == 421 || open, "{what}");
                assert_eq!(found, Vec::<&str>::new(), "{what}");
                continue;
            }
            let may = match key {
                Some(_) => says,
                None => match bound {
                    Some("b") => "public-b",
                    _ => "public-main",
                },
            };
            assert!(found.iter().all(|m| *m == may), "{what}");
            assert_ne!(status, 421, "{what}");
            seen += usize::from(!found.is_empty());
        }
    }
    assert!(seen > 300 && cache.hits > 100, "{seen} {}", cache.hits);
    // What is public and read without a key is for shared caches; what a key reads is not.
    let (key, ..) = &two.keys[0];
    for path in
        ["/v1/entries/plan/team", "/v1/plans/team", "/pricing/team", "/v1/entries/plan", "/sitemap.xml"]
    {
        let open = get(&two.url, "www.example", path, &[]);
        assert!(open.header("cache-control").unwrap().starts_with("public"), "{path} {}", open.head);
        assert!(open.header("vary").unwrap().contains("authorization"), "{path} {}", open.head);
        let own = get(&two.url, "www.example", path, &[("authorization", &format!("bearer {key}"))]);
        assert_eq!(own.header("cache-control"), Some("private, no-cache"), "{path}");
        let etag = own.header("etag").unwrap();
        let same = [("authorization", format!("Bearer {key}")), ("if-none-match", etag.to_owned())];
        let same: Vec<(&str, &str)> = same.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let same = get(&two.url, "www.example", path, &same);
        assert_eq!((same.status, same.header("cache-control")), (304, Some("private, no-cache")), "{path}");
        assert!(same.header("vary").unwrap().contains("authorization"), "{path} {}", same.head);
    }
    // The management API, changes and previews as well.
    let b = format!("Bearer {}", two.admin["b"]);
    for path in ["/api/v1/entries", "/api/v1/keys", "/v1/changes"] {
        let refused = get(&two.url, "www.example", path, &[("authorization", &b)]);
        assert_eq!(refused.status, 421, "{path} {}", refused.head);
        assert_eq!(refused.json()["type"], "urn:ashlar:problem:misdirected");
        assert_eq!(refused.header("cache-control"), Some("no-store"), "{path}");
    }
    assert_eq!(get(&two.url, "b.example", "/api/v1/entries", &[("authorization", &b)]).status, 200);
    let link =
        two.api("b", "POST", "/previews", &json!({"at": "draft"}))["path"].as_str().unwrap().to_owned();
    assert_eq!(get(&two.url, "www.example", &format!("{link}pricing/team"), &[]).status, 421);
    assert_eq!(get(&two.url, "b.example", &format!("{link}pricing/team"), &[]).status, 200);
    drop(two.rig);
}

/// The name that a cache files a host under.
fn filed(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(n, _)| n);
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[test]
fn a_host_is_named_once_and_well() {
    let two = Two::new(&[]);
    let path = "/v1/entries/plan/team";
    let status = |request: String| {
        let answer = raw(&two.url, &request);
        (answer.status, marks(&answer).1, answer)
    };
    // Through the lane, and through the full server, which an `origin` leads to.
    for door in ["", "origin: http://x\r\n"] {
        let end = format!("{door}connection: close\r\n\r\n");
        let name = "Host: www.example\r\n";
        for (lines, what) in [
            (String::new(), "none"),
            (format!("{name}{name}"), "two"),
            (format!("{name}host: b.example\r\n"), "two that differ"),
            ("Host:\r\n".to_owned(), "empty"),
            ("Host: a b\r\n".to_owned(), "a space"),
            ("Host: www.example/x\r\n".to_owned(), "a path"),
            ("Host: u@www.example\r\n".to_owned(), "a user"),
            ("Host: www.example, b.example\r\n".to_owned(), "a list"),
            ("Host: www..example\r\n".to_owned(), "an empty label"),
            ("Host: www.example:http\r\n".to_owned(), "a port that is none"),
            ("Host: www.example:70000\r\n".to_owned(), "a port out of range"),
            ("Host: [::1\r\n".to_owned(), "half an address"),
        ] {
            let (code, found, answer) = status(format!("GET {path} HTTP/1.1\r\n{lines}{end}"));
            assert_eq!((code, found), (400, Vec::new()), "{what} {door}");
            assert_eq!(answer.json()["type"], "urn:ashlar:problem:bad-host", "{what}");
            // The same for a target in absolute form.
            if what != "none" {
                let target = format!("GET http://b.example{path} HTTP/1.1\r\n{lines}{end}");
                assert_eq!(status(target).0, 400, "{what}");
            }
        }
        for (host, mark) in [
            ("b.example", "public-b"),
            ("B.Example", "public-b"),
            ("b.example.", "public-b"),
            ("b.example.:80", "public-b"),
            ("b.example:", "public-b"),
            ("www.example", "public-main"),
            ("[::1]:80", "public-main"),
        ] {
            let (code, found, _) = status(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{end}"));
            assert_eq!((code, found), (200, vec![mark]), "{host} {door}");
        }
        let absolute = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: www.example\r\n{end}");
        assert_eq!(status(absolute(&format!("http://b.example{path}"))).1, ["public-b"]);
        assert_eq!(status(absolute(&format!("http://B.example.:80{path}"))).1, ["public-b"]);
        assert_eq!(status(absolute(&format!("http://u:p@b.example{path}"))).0, 400);
        assert_eq!(status(absolute(&format!("ftp://b.example{path}"))).0, 400);
        // Clients of the first version need no host.
        assert_eq!(status(format!("GET {path} HTTP/1.0\r\n{end}")).1, ["public-main"]);
        let twice = format!(
            "GET {path} HTTP/1.1\r\nhost: www.example\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n{end}"
        );
        assert_eq!(status(twice).0, 400);
    }
}

#[test]
fn only_configured_proxies_say_who_asks() {
    let said =
        [("x-forwarded-proto", "https"), ("x-forwarded-host", "b.example"), ("forwarded", "host=b.example")];
    let two = Two::new(&[]);
    let listed = get(&two.url, "www.example", "/v1/tokens", &[]).json();
    let name = listed["sets"][0]["name"].as_str().unwrap();
    let path = format!("/npm/{}", name.replace('/', "%2f"));
    let answer = get(&two.url, "www.example", &path, &said);
    assert!(answer.text().contains("http://www.example/npm/"), "{}", answer.text());
    assert!(!answer.header("vary").unwrap().contains("forwarded"), "{}", answer.head);
    assert_eq!(marks(&get(&two.url, "www.example", "/v1/plans/team", &said)).1, ["public-main"]);
    drop(two);
    let two = Two::new(&["--trusted-proxy", "10.0.0.0/8,127.0.0.0/8"]);
    let answer = get(&two.url, "www.example", &path, &said[..2]);
    assert!(answer.text().contains("https://b.example/npm/"), "{}", answer.text());
    assert!(answer.header("vary").unwrap().contains("x-forwarded-host"), "{}", answer.head);
    // Which tenant is served follows from `Host` alone.
    assert_eq!(marks(&get(&two.url, "www.example", "/v1/plans/team", &said[..2])).1, ["public-main"]);
    assert_eq!(marks(&get(&two.url, "www.example", "/pricing/team", &said[..2])).1, ["public-main"]);
}

#[test]
fn an_expired_or_revoked_key_ends_at_once() {
    let two = Two::new(&[]);
    let soon = |seconds: i64| {
        let at = in_seconds(seconds);
        json!({"name": "short", "scopes": ["admin"], "expires_at": at})
    };
    let made = two.api("main", "POST", "/keys", &soon(2));
    let short = made["key"].as_str().unwrap().to_owned();
    let status = |key: &str| common::http(&two.url, "GET", "/api/v1/keys", key, "").0;
    let ends = std::time::Instant::now() + std::time::Duration::from_millis(2_100);
    // It is in use until it expires, so that what is remembered of it is fresh.
    let mut used = 0;
    while std::time::Instant::now() < ends {
        used += u32::from(status(&short) == 200);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(used > 3, "{used}");
    assert_eq!(status(&short), 401);
    let made = two.api("main", "POST", "/keys", &json!({"name": "k", "scopes": ["admin"]}));
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(status(key), 200);
    two.api("main", "DELETE", &format!("/keys/{id}"), &json!({}));
    assert_eq!(status(key), 401);
}

#[test]
fn a_key_is_bound_to_a_reader() {
    let rig = Rig::new();
    let create = ["key", "create", "--name", "by hand", "--scope", "read", "--format", "json"];
    let made = rig.json(0, &[&create[..], &["--reader", "partner"]].concat());
    assert_eq!(made["reader"], "partner");
    let plain = rig.json(0, &create);
    assert!(plain.get("reader").is_none(), "{plain}");
    let out = rig.run(&["key", "list"]);
    let listed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(listed.contains("READER") && listed.contains("partner"), "{listed}");

    let (_server, ready) = start(&rig, &["serve", "--data", "data"]);
    let (url, key) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    let body = |reader: &str| json!({"name": "far", "scopes": ["read"], "reader": reader}).to_string();
    let (status, _, made) = common::http(url, "POST", "/api/v1/keys", key, &body("partner"));
    assert!(status == 201 && made.contains(r#""reader":"partner""#), "{made}");
    let (status, _, refused) = common::http(url, "POST", "/api/v1/keys", key, &body("A b"));
    assert!(status == 400 && refused.contains("readers.NAME"), "{status} {refused}");
    let (_, _, listed) = common::http(url, "GET", "/api/v1/keys", key, "");
    assert_eq!(listed.matches(r#""reader":"partner""#).count(), 2, "{listed}");
}

/// A time a few seconds from now, RFC 3339.
fn in_seconds(seconds: i64) -> String {
    let out = std::process::Command::new("date")
        .args(["-u", "-d", &format!("+{seconds} seconds"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn nothing_of_a_request_becomes_a_header() {
    let two = Two::new(&[]);
    let link =
        two.api("main", "POST", "/previews", &json!({"at": "draft"}))["path"].as_str().unwrap().to_owned();
    for path in [
        "/preview/%0d%0aX",
        "/preview/%0d%0aX/",
        "/preview/%0d%0aset-cookie:%20a=b/x",
        "/preview/x/-/compare/%0d%0aX",
    ] {
        let answer = get(&two.url, "www.example", path, &[]);
        assert_eq!(answer.status, 404, "{path} {}", answer.head);
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    }
    for path in [
        "/%0d%0aX",
        "/old%0d%0aX",
        "/v1/plans/%0d%0aset-cookie:a",
        "/v1/entries/plan/%0d%0aX",
        "/assets/%0d%0aX",
        "/npm/%0d%0aX",
        "/v1/tokens/%0d%0aX",
    ] {
        let answer = get(&two.url, "www.example", path, &[]);
        assert!((400..500).contains(&answer.status), "{path} {}", answer.head);
        assert!(!answer.head.contains("\nset-cookie"), "{}", answer.head);
    }
    // Whatever is under a link is nobody's to keep, to find or to be told of.
    for path in ["pricing/team", "nothing", "v1/plans/team", "sitemap.xml", "-/preview.css", "", "old"] {
        let answer = get(&two.url, "www.example", &format!("{link}{path}"), &[]);
        assert_eq!(answer.header("x-robots-tag"), Some("noindex, nofollow"), "{path} {}", answer.head);
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"), "{path}");
    }
}

#[test]
fn a_preview_of_what_cannot_be_rendered_says_so() {
    let two = Two::new(&[]);
    // The layout needs a number that the draft does not have.
    let mut changed = files();
    changed["site/layouts/plan.html"] = json!(
        "<!doctype html><html lang=\"en\"><head><title>x</title></head><body>{{ page.name.first.second.third }}</body></html>"
    );
    two.api("main", "POST", "/definitions", &json!({ "files": changed }));
    let link =
        two.api("main", "POST", "/previews", &json!({"at": "draft"}))["path"].as_str().unwrap().to_owned();
    let answer = get(&two.url, "www.example", &format!("{link}pricing/team"), &[]);
    assert_eq!(answer.status, 422, "{} {}", answer.head, answer.text());
    assert_eq!(answer.json()["type"], "urn:ashlar:problem:preview-invalid");
    assert_eq!(answer.header("x-robots-tag"), Some("noindex, nofollow"));
    let admin = format!("Bearer {}", two.admin["main"]);
    let answer = get(&two.url, "www.example", "/pricing/team?at=draft", &[("authorization", &admin)]);
    assert_eq!(answer.status, 422, "{} {}", answer.head, answer.text());
    eventually("live stays", || {
        (get(&two.url, "www.example", "/pricing/team", &[]).status == 200).then_some(())
    });
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new();
    rig.push();
    let mode = |path: &str| {
        let found = std::fs::metadata(rig.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        format!("{:o}", found.permissions().mode() & 0o777)
    };
    let (server, ready) = start(&rig, &["serve", "--data", "data"]);
    let (url, admin) = (ready["url"].as_str().unwrap(), ready["keys"]["admin"].as_str().unwrap());
    let hook = json!({"url": "https://example.com/"}).to_string();
    assert_eq!(common::http(url, "POST", "/api/v1/webhooks", admin, &hook).0, 201);
    let private =
        ["data/state.db", "data/state.db-wal", "data/state.db-shm", "data/keys.json", "data/secrets.key"];
    for file in private {
        assert_eq!(mode(file), "600", "{file}");
    }
    for dir in ["data", "data/objects"] {
        assert_eq!(mode(dir), "700", "{dir}");
    }
    drop(server);
    // An installation from before is closed, and the log says so.
    let set = |path: &str, mode: u32| {
        std::fs::set_permissions(rig.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for file in private {
        set(file, 0o644);
    }
    set("data", 0o755);
    let out = rig.run(&["key", "list"]);
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{log}");
    for path in ["data", "data/state.db"] {
        assert!(["600", "700"].contains(&mode(path).as_str()), "{path}");
    }
    let (_server, _) = start(&rig, &["serve", "--data", "data"]);
    for file in ["data/state.db", "data/keys.json"] {
        assert_eq!(mode(file), "600", "{file}");
    }
    // The cache of checks says what drafts contain.
    rig.run(&["check", "site"]);
    if rig.path().join("site/.ashlar").exists() {
        assert_eq!(mode("site/.ashlar"), "700");
    }
}

#[test]
fn addresses_on_pages_are_checked_where_they_stand() {
    let two = Two::new(&[]);
    let with = |layout: &str| {
        let mut changed = files();
        changed["site/layouts/plan.html"] = json!(format!(
            "<!doctype html><html lang=\"en\"><head><title>x</title></head><body>{layout}</body></html>"
        ));
        changed
    };
    let gate = |definitions: &Value, name: &str| {
        two.api("main", "POST", "/definitions", &json!({ "files": definitions }));
        let fields = json!({"fields": {"slug": "team", "name": name, "price": 100, "day": "2026-01-01"}});
        two.api("main", "PUT", "/entries/plan/team?locale=en", &fields);
        let made = two.api("main", "POST", "/candidates", &json!({}));
        let found = common::found(&made, "components");
        let link = two.api("main", "POST", "/previews", &json!({"at": "draft"}))["path"]
            .as_str()
            .unwrap()
            .to_owned();
        let page = get(&two.url, "www.example", &format!("{link}pricing/team"), &[]).text();
        (found, page)
    };
    for evil in ["javascript:alert(1)", " JaVa\tScript:alert(1)", "data:text/html,x", "vbscript:x"] {
        let (found, page) = gate(&with("<a href=\"{{ page.name }}\">x</a>"), evil);
        assert!(found.iter().any(|f| f.0 == "url-blocked" && f.1.contains("plan/team")), "{evil} {found:?}");
        assert!(page.contains("href=\"about:invalid#blocked\""), "{evil} {page}");
    }
    let (found, page) = gate(&with("<a href=\"{{ page.name }}\">x</a>"), "https://fine.example/");
    assert!(found.is_empty(), "{found:?}");
    assert!(page.contains("href=\"https://fine.example/\""), "{page}");
    for (layout, code) in [
        ("<a href={{ page.name }}>x</a>", "template-unquoted"),
        ("<a onclick=\"{{ page.name }}\">x</a>", "template-handler"),
        ("<script>{{ page.name }}</script>", "template-script"),
        ("<iframe srcdoc=\"{{ page.name }}\"></iframe>", "template-srcdoc"),
    ] {
        let (found, _) = gate(&with(layout), "x");
        assert!(
            found.iter().any(|f| f.0 == code && f.1.starts_with("site/layouts/plan.html")),
            "{layout} {found:?}"
        );
    }
}
