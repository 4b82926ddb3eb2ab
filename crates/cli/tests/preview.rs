//! Preview links: what they show, to whom, and what they do not give away.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Answer, Demo, eventually, fetch};
use serde_json::{Value, json};

impl Demo {
    fn get(&self, path: &str) -> Answer {
        fetch(&self.url, path, &[("accept", "text/html")])
    }

    /// A link, with its path without a slash at the end.
    fn link(&self, what: &str) -> (String, Value) {
        let made = self.rig.json(0, &["preview", what, "--format", "json"]);
        let path = made["path"].as_str().unwrap().trim_end_matches('/').to_owned();
        (path, made)
    }
}

/// Where the words of the about page say something.
const WORDS: &str = "Quay side words";

fn about(demo: &Demo, words: &str) {
    let mut page = demo.rig.json(0, &["entry", "get", "page", "about", "--locale", "en"]);
    page["sections"][0]["title"] = json!(words);
    demo.rig.write("about.json", &page.to_string());
    demo.rig.json(0, &["entry", "put", "page", "about", "--locale", "en", "--file", "about.json"]);
}

#[test]
fn a_draft_is_shown_as_it_will_be() {
    let demo = Demo::new();
    let live = demo.get("/en/about").text();
    about(&demo, WORDS);
    let (link, made) = demo.link("draft");
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z') && made["at"] == "draft", "{made}");
    let page = demo.get(&format!("{link}/en/about"));
    let html = page.text();
    assert!(page.status == 200 && html.contains(WORDS), "{html}");
    assert!(!demo.get("/en/about").text().contains(WORDS), "live stays as it is");

    // A banner, and nothing else that differs.
    assert!(html.contains("class=\"ashlar-preview\"") && html.contains("Not live."), "{html}");
    let plain = demo.get(&format!("{link}/en/about?plain")).text();
    assert!(!plain.contains("ashlar-preview"));
    let heading = live.split_once("<h1").unwrap().1.split_once('>').unwrap().1.split_once("</h1>").unwrap().0;
    assert_eq!(plain.replace(&link, "").replace(WORDS, heading), live);
    // Nobody keeps it, finds it or is told of it, and it may do no more than the page itself.
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    assert_eq!(page.header("x-robots-tag"), Some("noindex, nofollow"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(page.header("etag").is_none());

    // What leads on stays inside; what is not there is reported.
    for attribute in ["href", "src"] {
        for address in html.split(&format!("{attribute}=\"")).skip(1).map(|r| r.split('"').next().unwrap()) {
            let inside =
                address.starts_with(&link) || address.starts_with('#') || address.starts_with("https://");
            assert!(inside, "{address}");
            if address.starts_with(&link) {
                let status = demo.get(address).status;
                assert!(status == 200 || status == 307, "{address}: {status}");
            }
        }
    }
    let fallback = demo.get(&format!("{link}/de/contact"));
    assert_eq!(fallback.header("location"), Some(format!("{link}/en/contact").to_lowercase().as_str()));
    let missing = demo.get(&format!("{link}/en/nothing"));
    assert!(missing.status == 404 && missing.text().contains("ashlar-preview"));

    // A later change of the draft shows at the same address.
    about(&demo, "Other words");
    let html = demo.get(&format!("{link}/en/about")).text();
    assert!(html.contains("Other words") && !html.contains(WORDS));
}

#[test]
fn what_changes_is_listed_and_compared() {
    let demo = Demo::new();
    about(&demo, WORDS);
    let (link, _) = demo.link("draft");
    let overview = demo.get(&format!("{link}/"));
    assert_eq!(overview.header("cache-control"), Some("private, no-store"));
    let html = overview.text();
    assert!(html.contains("page/about (en)") && html.contains("<td>Changed</td>"), "{html}");
    assert!(html.contains(&format!("href=\"{link}/-/compare/en/about\"")), "{html}");
    assert!(!html.contains("page/home"), "{html}");
    let to = demo.get(&link);
    assert_eq!(to.header("location"), Some(format!("{link}/").to_lowercase().as_str()));

    let compared = demo.get(&format!("{link}/-/compare/en/about"));
    assert_eq!(compared.header("cache-control"), Some("private, no-store"));
    let html = compared.text();
    assert!(html.contains(&format!("<ins>{WORDS}</ins>")), "{html}");
    let live = demo.get("/en/about").text();
    let heading = live.split_once("<h1").unwrap().1.split_once('>').unwrap().1.split_once("</h1>").unwrap().0;
    assert!(html.contains(&format!("<del>{heading}</del>")), "{html}");
    assert_eq!((html.matches("<ins>").count(), html.matches("<del>").count()), (1, 1), "{html}");
    let same = demo.get(&format!("{link}/-/compare/en/home")).text();
    assert!(same.contains("No text on this page changes."), "{same}");
    // What an entry says is text, also here.
    about(&demo, "<img src=x onerror=alert(1)>");
    let html = demo.get(&format!("{link}/-/compare/en/about")).text();
    assert!(!html.contains("<img src=x"), "{html}");
    let html = demo.get(&format!("{link}/-/compare/en/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")).text();
    assert!(!html.contains("<script>alert"), "{html}");
    for address in ["/-/preview.css", "/en/about"] {
        assert_eq!(demo.get(&format!("{link}{address}")).status, 200, "{address}");
    }
    // An entry that another page shows is listed with that page.
    demo.rig.set("feature", "berth-map", "en", &json!({"summary": "Every berth, seen from above."}));
    let html = demo.get(&format!("{link}/")).text();
    assert!(
        html.contains("feature/berth-map (en)") && html.contains(&format!("{link}/-/compare/en/home")),
        "{html}"
    );
}

#[test]
fn a_link_opens_one_thing_and_nothing_else() {
    let demo = Demo::new();
    let candidate = |words: &str| {
        about(&demo, words);
        demo.rig.candidate()["candidate"].as_str().unwrap().to_owned()
    };
    let (first, second) = (candidate("First words"), candidate("Second words"));
    let (one, _) = demo.link(&first);
    let (other, _) = demo.link(&second);
    let shows = |path: &str| demo.get(path).text();
    assert!(shows(&format!("{one}/en/about")).contains("First words"));
    assert!(shows(&format!("{other}/en/about")).contains("Second words"));
    // Whatever is asked beside it.
    for query in [format!("?at={second}"), "?at=draft".to_owned(), "?at=r1".to_owned()] {
        let html = shows(&format!("{one}/en/about{query}"));
        assert!(html.contains("First words") && !html.contains("Second words"), "{query}");
    }
    let key = one.rsplit('/').next().unwrap();
    let bearer = format!("Bearer {key}");
    let with = |path: &str| fetch(&demo.url, path, &[("authorization", &bearer)]);
    for path in [
        "/api/v1/entries".to_owned(),
        "/api/v1/candidates".to_owned(),
        format!("/api/v1/candidates/{second}"),
        "/api/v1/keys".to_owned(),
        "/v1/entries/page/about?at=draft".to_owned(),
        format!("/v1/entries/page/about?at={second}"),
        format!("/v1/entries/page/about?at={first}"),
        format!("/v1/pages/about?at={first}"),
        format!("/en/about?at={first}"),
        "/v1/tokens".to_owned(),
        "/npm/-/whoami".to_owned(),
    ] {
        let answer = with(&path);
        assert!(matches!(answer.status, 401 | 403), "{path}: {} {}", answer.status, answer.text());
    }
    let (status, _, _) = common::http(&demo.url, "POST", "/api/v1/previews", key, "{\"at\":\"draft\"}");
    assert!(matches!(status, 401 | 403), "{status}");
    // Keys for other things are no links.
    let gone = |path: &str| {
        let answer = demo.get(path);
        assert_eq!(
            (answer.status, answer.json()["type"].clone()),
            (404, json!("urn:ashlar:problem:no-preview")),
            "{path}"
        );
    };
    gone(&format!("/preview/{}/en/about", demo.admin));
    gone("/preview/ash_0123456789abcdef_nonsense/");
    gone("/preview/x/-/compare/en/about");
    let (id, secret) = key.rsplit_once('_').unwrap();
    gone(&format!("/preview/{id}_{}/", secret.chars().rev().collect::<String>()));
}

#[test]
fn links_end() {
    let demo = Demo::new();
    about(&demo, WORDS);
    let (link, made) = demo.link("draft");
    let pages = ["/", "/en/about", "/-/compare/en/about", "/assets/x/site.css"];
    assert_eq!(demo.get(&format!("{link}/en/about")).status, 200);
    // Revoked here, or by somebody else at the server: it ends at once.
    let id = made["id"].as_str().unwrap();
    let (status, _, body) = common::http(&demo.url, "DELETE", &format!("/api/v1/keys/{id}"), &demo.admin, "");
    assert!(status < 300, "{body}");
    for page in pages {
        let answer = demo.get(&format!("{link}{page}"));
        assert_eq!(
            (answer.status, answer.json()["type"].clone()),
            (404, json!("urn:ashlar:problem:no-preview")),
            "{page}"
        );
    }
    for (args, part) in [
        (&["preview", "production"][..], "a channel moves"),
        (&["preview", "draft", "--hours", "0"], "1 to 2,160"),
        (&["preview", "draft", "--hours", "2161"], "1 to 2,160"),
        (&["preview", "c99"], "c99"),
        (&["preview", "changeset:none"], "none"),
        (&["preview", "what ever"], "what ever"),
    ] {
        let out = demo.rig.run(args);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            matches!(out.status.code(), Some(1 | 2)) && said.contains(part),
            "{args:?}: {:?} {said}",
            out.status
        );
    }
    // Over HTTP it is made by who may preview, and says the same.
    let made =
        common::http(&demo.url, "POST", "/api/v1/previews", &demo.admin, "{\"at\":\"draft\",\"hours\":1}");
    assert_eq!(made.0, 201, "{}", made.2);
    let made: Value = serde_json::from_str(&made.2).unwrap();
    assert!(demo.get(&format!("{}en/about", made["path"].as_str().unwrap())).text().contains(WORDS));
    assert_eq!(common::http(&demo.url, "POST", "/api/v1/previews", "", "{\"at\":\"draft\"}").0, 401);
    // Its time is over: the key ring, which every node judges links by, says when that is.
    let ring = demo.rig.path().join("demo/objects/t/main/keys.json");
    let path = format!("{}en/about", made["path"].as_str().unwrap());
    eventually("its end", || {
        let mut keys: Value = serde_json::from_slice(&std::fs::read(&ring).unwrap()).unwrap();
        keys["keys"][made["id"].as_str().unwrap()]["expires_at"] = json!("2026-01-01T00:00:00Z");
        std::fs::write(&ring, keys.to_string()).unwrap();
        (demo.get(&path).status == 404).then_some(())
    });
    let listed = demo.rig.json(0, &["key", "list", "--format", "json"]).to_string();
    assert!(
        listed.contains(made["id"].as_str().unwrap()) && !listed.contains(link.rsplit('_').next().unwrap())
    );
}
