//! What crawlers and front ends ask besides content: old paths, routes, sitemap, feeds.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Rig, http, start};
use serde_json::{Value, json};

fn get(url: &str, path: &str) -> (u16, String, String) {
    http(url, "GET", path, "", "")
}

/// The `lastmod` of a path in a sitemap.
fn lastmod(sitemap: &str, path: &str) -> String {
    let line = sitemap.lines().find(|l| l.contains(&format!("{path}</loc>"))).unwrap();
    line.split_once("<lastmod>").unwrap().1.split_once('<').unwrap().0.to_owned()
}

#[test]
fn the_demo_answers_crawlers_and_old_links() {
    let rig = Rig { dir: tempfile::tempdir().unwrap(), data: "demo".to_owned() };
    let (server, ready) = start(&rig, &["demo", "--data", "demo"]);
    let url = ready["url"].as_str().unwrap();
    let (status, head, body) = get(url, "/en/tour");
    assert_eq!((status, body.as_str()), (301, ""));
    assert!(head.contains("location: /en/product") && head.contains("surrogate-key: definitions"), "{head}");
    assert_eq!(get(url, "/en/tour/").0, 301);
    assert_eq!(get(url, "/en/nothing").0, 404);
    let route = |path: &str| -> (u16, Value) {
        let (status, _, body) = get(url, &format!("/v1/routes?path={path}"));
        (status, serde_json::from_str(&body).unwrap())
    };
    let (status, found) = route("/de/product");
    assert_eq!(
        (status, &found["type"], &found["id"], &found["locale"]),
        (200, &json!("page"), &json!("product"), &json!("de"))
    );
    assert_eq!(found["alternates"]["fr"], "/fr/product");
    assert_eq!(route("/en/tour").1, json!({"path": "/en/tour", "status": 301, "to": "/en/product"}));
    assert_eq!(route("/en/nothing").0, 404);
    assert_eq!(route("nothing").0, 400);
    let (_, head, robots) = get(url, "/robots.txt");
    assert!(head.contains("text/plain") && robots.contains("Sitemap: https://mooring.example/sitemap.xml"));
    let (_, head, index) = get(url, "/sitemap.xml");
    assert!(
        head.contains("content-type: application/xml") && index.matches("<sitemap>").count() == 3,
        "{index}"
    );
    let (_, head, before) = get(url, "/sitemap-en-1.xml");
    assert!(
        head.contains("surrogate-key: doc-article feature legal-page page post pricing-plan")
            || head.contains("surrogate-key: "),
        "{head}"
    );
    assert!(before.contains("hreflang=\"de\" href=\"https://mooring.example/de/about\""));
    for missing in [
        "/sitemap-en-2.xml",
        "/sitemap-xx-1.xml",
        "/sitemap-en-0.xml",
        "/sitemap-en-x.xml",
        "/feeds/none.en.xml",
    ] {
        assert_eq!(get(url, missing).0, 404, "{missing}");
    }
    let (_, head, feed) = get(url, "/feeds/log.fr.xml");
    assert!(head.contains("application/atom+xml") && head.contains("content-language: fr"), "{head}");
    assert!(feed.contains("xml:lang=\"fr\"") && feed.matches("<entry>").count() == 2, "{feed}");

    // One entry is changed: it alone is said to be newer.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let mut about = rig.json(0, &["entry", "get", "page", "about", "--locale", "en"]);
    about["title"] = json!("About <us> & you");
    rig.write("about.json", &about.to_string());
    rig.json(0, &["entry", "put", "page", "about", "--locale", "en", "--file", "about.json"]);
    let made = rig.json(0, &["candidate", "create", "--format", "json"]);
    rig.json(0, &["release", "promote", made["candidate"].as_str().unwrap(), "--format", "json"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let after = loop {
        let (_, _, after) = get(url, "/sitemap-en-1.xml");
        if after != before || std::time::Instant::now() > until {
            break after;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(lastmod(&after, "/en/about") > lastmod(&before, "/en/about"));
    assert_eq!(lastmod(&after, "/en/product"), lastmod(&before, "/en/product"));
    // Taken back, the old time is served again.
    rig.json(0, &["release", "rollback", "r3", "--format", "json"]);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while get(url, "/sitemap-en-1.xml").2 != before {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(server);
}

#[test]
fn what_is_gone_for_good_says_so() {
    let rig = Rig::new();
    let plan = |price: u64| json!({"slug": "port", "name": "Port", "price": price});
    assert!(rig.run(&["push", "site"]).status.success());
    rig.put("port", &plan(10), "mia");
    rig.put("basin", &json!({"slug": "basin", "name": "Basin", "price": 20}), "mia");
    let publish = |waive: bool| {
        let made = rig.json(0, &["candidate", "create", "--format", "json"]);
        let name = made["candidate"].as_str().unwrap().to_owned();
        let approve =
            ["candidate", "approve", &name, "--right", "pricing", "--as", "olga", "--format", "json"];
        assert!(!waive || rig.run(&approve).status.success());
        rig.run(&["release", "promote", &name, "--format", "json"])
    };
    let out = publish(true);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert!(rig.run(&["entry", "rm", "plan", "basin", "--locale", "en", "--as", "mia"]).status.success());
    // A route vanishes: refused without a word on where it leads.
    let out = publish(true);
    assert_eq!(out.status.code(), Some(1));
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("route-vanished") && said.contains("410"), "{said}");
    rig.write("site/redirects.toml", "[[redirect]]\nfrom = \"/pricing/basin\"\nstatus = 410\n");
    assert!(rig.run(&["push", "site"]).status.success());
    let out = publish(true);
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    let (_server, ready) = start(&rig, &["serve", "--data", "data"]);
    let url = ready["url"].as_str().unwrap();
    let (status, _, body) = get(url, "/pricing/basin");
    assert!(status == 410 && body.contains("urn:ashlar:problem:gone"), "{body}");
    assert!(get(url, "/v1/routes?path=/pricing/basin").2.contains("\"status\":410"));
    // A redirect into nothing and one with a target for what is gone are reported on files.
    for (text, says) in [
        (
            "[[redirect]]\nfrom = \"/a\"\nto = \"/pricing/basin\"\n[[redirect]]\nfrom = \"/pricing/basin\"\nstatus = 410\n",
            "redirect-target",
        ),
        ("[[redirect]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 410\n", "must not have a target"),
        ("[[redirect]]\nfrom = \"/a\"\nstatus = 404\n", "neither a path"),
    ] {
        rig.write("site/redirects.toml", text);
        let out = rig.run(&["check", "site", "--format", "json"]);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.code() == Some(1) && said.contains(says), "{text}: {said}");
    }
    // Sitemap and feeds need an address.
    assert!(get(url, "/sitemap.xml").2.contains("no-site-url"));
    rig.write("site/redirects.toml", "");
    let config = std::fs::read_to_string(rig.path().join("site/ashlar.toml")).unwrap();
    rig.write(
        "site/ashlar.toml",
        &format!(
            "{config}\n[[site.feeds]]\nname = \"Up\"\ntype = \"plan\"\ndate = \"when\"\nsummary = \"none\"\n"
        ),
    );
    let out = rig.run(&["check", "site", "--format", "json"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    for part in ["cannot be the name of a feed", "not an indexed field", "does not have"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
