//! Token artifacts by version, and the registry that npm installs from.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::process::{Command, Stdio};

use base64::Engine as _;
use common::{Answer, Rig, Served, eventually, fetch, start};
use serde_json::{Value, json};

const RESOLVER: &str = r##"{ "name": "Harbour", "version": "2025.10",
  "sets": { "core": { "sources": [{ "$ref": "core.tokens.json" }] } },
  "modifiers": { "theme": { "contexts": { "light": [], "dark": [{ "$ref": "dark.tokens.json" }] }, "default": "light" } },
  "resolutionOrder": [{ "$ref": "#/sets/core" }, { "$ref": "#/modifiers/theme" }] }"##;

/// The base colour `ink`, and whether the deprecated token is still there.
fn core(ink: &str, old: bool) -> String {
    let mut core = json!({
        "base": { "color": { "$type": "color", "ink": { "$value": ink }, "snow": { "$value": "#ffffff" } } },
        "semantic": { "color": { "$type": "color", "text": { "$value": "{base.color.ink}" }, "page": { "$value": "{base.color.snow}" } } },
    });
    if old {
        core["semantic"]["color"]["words"] = json!({
            "$value": "{base.color.ink}", "$deprecated": "Use semantic.color.text.",
            "$extensions": { "dev.ashlar": { "replaced_by": "semantic.color.text" } },
        });
    }
    core.to_string()
}

/// Three versions: the first, one that looks different with a note, one that takes a deprecated token away.
struct Installation {
    rig: Rig,
    _server: Served,
    url: String,
    delivery: String,
    admin: String,
}

impl Installation {
    /// With the first version.
    fn new() -> Self {
        let rig = Rig::new();
        rig.place("site/tokens/harbour.resolver.json", RESOLVER);
        rig.place(
            "site/tokens/dark.tokens.json",
            r##"{ "semantic": { "color": { "$type": "color", "text": { "$value": "{base.color.snow}" }, "page": { "$value": "{base.color.ink}" } } } }"##,
        );
        rig.place("site/tokens.toml", "name = \"@harbour/tokens\"\nprefix = \"hb\"\n");
        rig.place("site/tokens/core.tokens.json", &core("#1a2b3c", true));
        rig.push();
        rig.release();
        let (server, ready) = start(&rig, &["serve", "--data", "data", "--trusted-proxy", "127.0.0.1"]);
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let url = text(&ready["url"]);
        let (delivery, admin) = (text(&ready["keys"]["delivery"]), text(&ready["keys"]["admin"]));
        Self { rig, _server: server, url, delivery, admin }
    }

    fn second(&self) {
        self.rig.place("site/tokens/core.tokens.json", &core("#30475e", true));
        let note = "---\nbump: minor\n---\nInk is lighter, for long reading.\n";
        self.rig.place("site/tokens/changes/2027-01-lighter-ink.md", note);
        self.rig.push();
        assert_eq!(self.rig.release(), "r2");
        self.served("1.1.0");
    }

    fn third(&self) {
        self.rig.place("site/tokens/core.tokens.json", &core("#30475e", false));
        self.rig.push();
        assert_eq!(self.rig.release(), "r3");
        self.served("2.0.0");
    }

    fn get(&self, path: &str) -> Answer {
        fetch(&self.url, path, &[])
    }

    fn get_as(&self, key: &str, path: &str) -> Answer {
        fetch(&self.url, path, &[("authorization", &format!("Bearer {key}"))])
    }

    /// Waits until a version is the latest.
    fn served(&self, version: &str) {
        eventually(version, || {
            (self.get("/v1/tokens").json()["sets"][0]["tags"]["latest"] == version).then_some(())
        });
    }

    fn versions(&self, listed: &Value) -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let versions = listed["sets"][0]["versions"].as_array().unwrap();
        versions.iter().map(|v| (text(&v["version"]), text(&v["release"]))).collect()
    }
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn problem(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["type"].as_str().unwrap().to_owned())
}

#[test]
fn versions_follow_from_what_releases_changed() {
    let it = Installation::new();
    let listed = it.get("/v1/tokens").json();
    assert_eq!(it.versions(&listed), pairs(&[("1.0.0", "r1")]));
    assert_eq!(listed["sets"][0]["name"], "@harbour/tokens");
    assert!(listed["sets"][0]["files"].as_array().unwrap().contains(&json!("tokens.css")), "{listed}");
    let css = "/v1/tokens/@harbour/tokens@1.0.0/tokens.css";
    let first = it.get(css);
    assert!(first.text().contains("--hb-base-color-ink: #1a2b3c"), "{}", first.text());
    assert_eq!(first.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(first.header("cache-control"), Some("public, max-age=31536000, immutable"));

    // A release that leaves tokens alone makes no version.
    it.rig.put("port", &json!({"slug": "port", "name": "Port", "price": 10}), "mia");
    let made = it.rig.candidate();
    let name = made["candidate"].as_str().unwrap();
    it.rig.json(0, &["candidate", "approve", name, "--right", "pricing", "--as", "olga", "--format", "json"]);
    it.rig.json(0, &["release", "promote", name, "--format", "json"]);
    eventually("r2", || (it.get("/v1/entries/plan/port").status == 200).then_some(()));
    assert_eq!(it.versions(&it.get("/v1/tokens").json()), pairs(&[("1.0.0", "r1")]));

    it.rig.place("site/tokens/core.tokens.json", &core("#30475e", true));
    it.rig.place(
        "site/tokens/changes/lighter-ink.md",
        "---\nbump: minor\n---\nInk is lighter, for long reading.\n",
    );
    it.rig.push();
    assert_eq!(it.rig.release(), "r3");
    it.served("1.1.0");
    it.rig.place("site/tokens/core.tokens.json", &core("#30475e", false));
    it.rig.push();
    assert_eq!(it.rig.release(), "r4");
    it.served("2.0.0");
    let listed = it.get("/v1/tokens").json();
    assert_eq!(it.versions(&listed), pairs(&[("1.0.0", "r1"), ("1.1.0", "r3"), ("2.0.0", "r4")]));

    // What a version is stays, and is not sent again to who has it.
    let again = it.get(css);
    assert_eq!((again.body == first.body, again.header("etag")), (true, first.header("etag")));
    let etag = first.header("etag").unwrap();
    let known = fetch(&it.url, css, &[("if-none-match", etag)]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let newer = "/v1/tokens/@harbour/tokens@1.1.0/tokens.css";
    let moved = fetch(&it.url, newer, &[("if-none-match", etag)]);
    assert!(moved.status == 200 && moved.text().contains("--hb-base-color-ink: #30475e"));
    assert!(moved.text().contains("hb-semantic-color-words"));
    // A tag moves, so that it is asked for again.
    let latest = it.get("/v1/tokens/@harbour/tokens@latest/tokens.css");
    assert!(latest.status == 200 && !latest.text().contains("hb-semantic-color-words"));
    assert_eq!(latest.header("cache-control"), Some("public, max-age=60"));
    for (path, status, code) in [
        ("/v1/tokens/@harbour/tokens@9.9.9/tokens.css", 404, "no-such-version"),
        ("/v1/tokens/@harbour/tokens@nonsense/tokens.css", 404, "no-such-version"),
        ("/v1/tokens/other@1.0.0/tokens.css", 404, "no-such-version"),
        ("/v1/tokens/@harbour/tokens@1.0.0/nothing.css", 404, "no-such-file"),
        ("/v1/tokens/@harbour/tokens@1.0.0/package.json", 404, "no-such-file"),
        ("/v1/tokens/nothing", 400, "invalid-input"),
        ("/npm/left-pad", 404, "no-such-package"),
        ("/npm/@harbour%2ftokens/9.9.9", 404, "no-such-package"),
        ("/npm/@harbour/tokens/-/tokens-9.9.9.tgz", 404, "no-such-package"),
    ] {
        let answer = it.get(path);
        assert_eq!(problem(&answer), (status, format!("urn:ashlar:problem:{code}")), "{path}");
        assert!(!answer.json()["help"].as_str().unwrap().is_empty(), "{path}");
    }
}

#[test]
fn the_registry_speaks_like_npms() {
    let it = Installation::new();
    it.second();
    let document = it.get("/npm/@harbour%2ftokens");
    let packument = document.json();
    assert_eq!(packument["name"], "@harbour/tokens");
    assert_eq!(packument["dist-tags"], json!({"latest": "1.1.0", "production": "1.1.0"}));
    let known =
        fetch(&it.url, "/npm/@harbour%2ftokens", &[("if-none-match", document.header("etag").unwrap())]);
    assert_eq!(known.status, 304);
    let versions = packument["versions"].as_object().unwrap();
    assert_eq!(versions.keys().collect::<Vec<_>>(), ["1.0.0", "1.1.0"]);
    for (version, manifest) in versions {
        assert_eq!(manifest["version"], version.as_str());
        let tarball = manifest["dist"]["tarball"].as_str().unwrap();
        let path = tarball.strip_prefix(&it.url).unwrap_or_else(|| panic!("{tarball}"));
        let sent = it.get(path);
        let digest = <sha2::Sha512 as sha2::Digest>::digest(&sent.body);
        let integrity = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(digest));
        assert_eq!(manifest["dist"]["integrity"], integrity.as_str(), "{version}");
        // Yarn 1 checks SHA-1 alone.
        std::fs::write(it.rig.path().join("sent.tgz"), &sent.body).unwrap();
        let sum = Command::new("sha1sum").arg("sent.tgz").current_dir(it.rig.path()).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert_eq!(manifest["dist"]["shasum"].as_str(), sum.split(' ').next(), "{version}");
        assert_eq!(sent.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(it.get(path).body == sent.body, "{version}");
    }
    let one = it.get("/npm/@harbour%2ftokens/1.0.0").json();
    assert_eq!(one, packument["versions"]["1.0.0"]);
    let tags = it.get("/npm/-/package/@harbour%2ftokens/dist-tags").json();
    assert_eq!(tags, packument["dist-tags"]);
    // The address that clients are reported is the one they came by.
    let proxied = fetch(
        &it.url,
        "/npm/@harbour%2ftokens",
        &[("x-forwarded-proto", "https"), ("x-forwarded-host", "tokens.example")],
    );
    let tarball = proxied.json()["versions"]["1.1.0"]["dist"]["tarball"].clone();
    assert_eq!(tarball, "https://tokens.example/npm/@harbour/tokens/-/tokens-1.1.0.tgz");

    // Who has no key reads what is public; a bad key is reported, and opens nothing.
    for path in [
        "/v1/tokens",
        "/npm/@harbour%2ftokens",
        "/npm/-/whoami",
        "/v1/tokens/@harbour/tokens@1.0.0/tokens.css",
    ] {
        let answer = it.get_as("ash_0123456789abcdef_nonsense", path);
        assert_eq!(problem(&answer), (401, "urn:ashlar:problem:unauthorized".to_owned()), "{path}");
    }
    assert_eq!(it.get("/npm/-/whoami").status, 401);
    assert!(!it.get_as(&it.delivery, "/npm/-/whoami").json()["username"].as_str().unwrap().is_empty());
    let private = it.get_as(&it.delivery, "/npm/@harbour%2ftokens");
    assert_eq!((private.status, private.header("cache-control")), (200, Some("private, no-cache")));
}

#[test]
fn a_rollback_takes_latest_back_and_nothing_else() {
    let it = Installation::new();
    it.second();
    it.third();
    assert_eq!(it.get("/npm/@harbour%2ftokens").json()["dist-tags"]["latest"], "2.0.0");
    it.rig.json(0, &["release", "rollback", "r2", "--format", "json"]);
    it.served("1.1.0");
    let newer = "/v1/tokens/@harbour/tokens@2.0.0/tokens.css";
    // Those who may look at what is not public still install what they have installed.
    assert_eq!(it.get_as(&it.admin, newer).status, 200);
    let all = it.get_as(&it.admin, "/npm/@harbour%2ftokens").json();
    assert!(all["versions"]["2.0.0"].is_object() && all["dist-tags"]["latest"] == "1.1.0", "{all}");
    assert_eq!(it.get_as(&it.delivery, newer).status, 404);
    assert_eq!(it.get(newer).status, 404);
    assert_eq!(it.get("/v1/tokens/@harbour/tokens@1.1.0/tokens.css").status, 200);
    // Brought back, it is the same version again, and no further one.
    it.rig.json(0, &["release", "promote", "r3", "--channel", "production", "--format", "json"]);
    it.served("2.0.0");
    let versions = it.versions(&it.get("/v1/tokens").json());
    assert_eq!(versions, pairs(&[("1.0.0", "r1"), ("1.1.0", "r2"), ("2.0.0", "r3")]));
}

#[test]
fn npm_installs_it_and_node_imports_it() {
    if Command::new("npm").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var("ASHLAR_REQUIRE_ALL").is_err(), "npm is absent, and everything is required");
        println!("not run: npm is absent");
        return;
    }
    let it = Installation::new();
    it.second();
    let host = it.url.strip_prefix("http:").unwrap();
    it.rig.place(
        "app/package.json",
        r#"{"name": "app", "version": "1.0.0", "type": "module", "private": true}"#,
    );
    let npm = |args: &[&str], key: &str| {
        it.rig.place("app/.npmrc", &format!("{host}/npm/:_authToken={key}\naudit=false\nfund=false\n"));
        Command::new("npm")
            .args(args)
            .args(["--registry", &format!("{}/npm/", it.url), "--cache", "../cache", "--prefer-online"])
            .args(["--fetch-retries", "0"])
            .current_dir(it.rig.path().join("app"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let said = |out: &std::process::Output| {
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
    };
    let out = npm(&["install", "@harbour/tokens"], "ash_0123456789abcdef_nonsense");
    assert!(!out.status.success() && said(&out).contains("401"), "{}", said(&out));
    let out = npm(&["install", "@harbour/tokens@1.0.0"], &it.delivery);
    assert!(out.status.success(), "{}", said(&out));
    assert!(it.rig.read("app/package-lock.json").contains("sha512-"));
    let read = || {
        let program = "import { token, tokens, vars } from '@harbour/tokens';\n\
            console.log(token('semantic.color.text', { theme: 'light' }), token('semantic.color.text', { theme: 'dark' }), \
            tokens['base.color.ink'], vars['semantic.color.text']);\n";
        it.rig.place("app/read.js", program);
        let out =
            Command::new("node").arg("read.js").current_dir(it.rig.path().join("app")).output().unwrap();
        assert!(out.status.success(), "{}", said(&out));
        said(&out).trim().to_owned()
    };
    assert_eq!(read(), "#1a2b3c #ffffff #1a2b3c var(--hb-semantic-color-text)");
    // Without a version it is the latest, and `ci` gets by the lock file what was installed.
    let out = npm(&["install", "@harbour/tokens@latest"], &it.delivery);
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(read(), "#30475e #ffffff #30475e var(--hb-semantic-color-text)");
    let changes = it.rig.read("app/node_modules/@harbour/tokens/CHANGELOG.md");
    assert!(
        changes.contains("## 1.1.0") && changes.contains("Ink is lighter, for long reading."),
        "{changes}"
    );
    let out = npm(&["ci"], &it.delivery);
    assert!(out.status.success(), "{}", said(&out));
    let out = npm(&["view", "@harbour/tokens", "dist-tags", "--json"], &it.delivery);
    let tags: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(tags["latest"], "1.1.0");
}
